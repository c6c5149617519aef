//! LOLWUT: the version, with something nice to look at: a field grown line by line from one rule of
//! eight bits, another one each time.

use super::args::integer;
use super::table::Group;
use super::{Args, Command, Cx, Error, Flags};
use crate::config::REDIS_VERSION;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::new("lolwut", -1, Group::Server, lolwut)
    .flags(Flags::READ.and(Flags::FAST))
    .doc("5.0.0", "[VERSION version [size ...]]", "Draws something and tells the version.")
    .cost("")];

const COLUMNS: (i64, i64) = (64, 200);
const ROWS: (i64, i64) = (16, 100);
/// Rules whose fields are neither dull nor noise.
const RULES: [u8; 8] = [18, 22, 30, 45, 60, 90, 110, 150];

fn lolwut(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut sizes = args.from(1);
    if args.len() > 2 && args.is(1, "VERSION") {
        integer(args.get(2))?;
        sizes = args.from(3);
    }
    let size = |i: usize, (usual, max): (i64, i64)| match sizes.opt(i) {
        Some(text) => integer(text).map(|n| n.clamp(1, max) as usize),
        None => Ok(usual as usize),
    };
    let (columns, rows) = (size(0, COLUMNS)?, size(1, ROWS)?);
    let rule = match sizes.opt(2) {
        Some(text) => integer(text)?.rem_euclid(256) as u8,
        None => RULES[(cx.db.local.random() % RULES.len() as u64) as usize],
    };
    let mut text = draw(columns, rows, rule);
    text.push_str(&format!(
        "\nRule {rule}. Redis ver. {REDIS_VERSION} (EonKV {})\n",
        env!("CARGO_PKG_VERSION")
    ));
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Two cells above each other make one character.
fn draw(columns: usize, rows: usize, rule: u8) -> String {
    let mut cells = vec![false; columns];
    cells[columns / 2] = true;
    let mut text = String::new();
    for _ in 0..rows {
        let below = next(&cells, rule);
        for pair in cells.iter().zip(&below) {
            text.push(match pair {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
        cells = next(&below, rule);
    }
    text
}

/// Each cell looks at itself and its neighbours; the edges meet.
fn next(cells: &[bool], rule: u8) -> Vec<bool> {
    let n = cells.len();
    let at = |i: usize| u8::from(cells[i % n]);
    (0..n).map(|i| rule >> (at(i + n - 1) << 2 | at(i) << 1 | at(i + 1)) & 1 == 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_ninety_draws_a_triangle() {
        assert_eq!(draw(8, 2, 90), "   ▄▀▄  \n ▄▀▄ ▄▀▄\n");
        assert_eq!(draw(1, 1, 90).chars().count(), 2);
    }
}
