//! Commands from templates.
//!
//! `$x` is a slot, which the test fills, `<A|B|>` a choice, `( … )?` `( … )*` `( … )+` are optional or
//! repeated: rarely often.

use super::Random;

/// What stands for the name of a slot.
pub type Slot<'s> = dyn Fn(&str, &mut Random) -> Vec<u8> + Sync + 's;

/// Puts the words of a template, or of a group in one, behind `words`.
pub fn expand(tokens: &[&str], slot: &Slot<'_>, random: &mut Random, words: &mut Vec<Vec<u8>>) {
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens[at];
        at += 1;
        if token == "(" {
            let length = tokens[at..].iter().position(|t| t.starts_with(')')).unwrap();
            let (group, end) = (&tokens[at..at + length], tokens[at + length]);
            at += length + 1;
            let many = if random.once_in(12) { 60 } else { 3 };
            let times = match end {
                ")?" => random.below(2),
                ")*" => random.below(many),
                ")+" => 1 + random.below(many),
                other => panic!("what is {other}"),
            };
            (0..times).for_each(|_| expand(group, slot, random, words));
        } else if let Some(choice) = token.strip_prefix('<') {
            let choices: Vec<&str> =
                choice.trim_end_matches('>').trim_end_matches('\\').split('|').collect();
            match choices[random.below(choices.len() as u64) as usize] {
                "" => {}
                "\\" | "\\>" => words.push(b">".to_vec()),
                word => words.push(word.into()),
            }
        } else if let Some((before, name)) = token.split_once('$') {
            let (name, after) = name.split_once("->").map_or((name, ""), |(n, _)| (n, "->*"));
            let word = [before.as_bytes(), &slot(name, random), after.as_bytes()].concat();
            words.push(word);
        } else {
            words.push(token.into());
        }
    }
}
