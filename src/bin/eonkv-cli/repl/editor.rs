//! What the line editor asks us: what to show dimmed, how to colour, what Tab may insert, what to remember.

use std::sync::Arc;

use nu_ansi_term::{Color, Style};
use parking_lot::Mutex;
use reedline::{
    Completer, CompletionResult, FileBackedHistory, Highlighter, Hinter, History, HistoryItem,
    HistoryItemId, HistorySessionId, Result, SearchQuery, Span, StyledText, Suggestion,
};

use super::secrets::has_secret;
use crate::hints::{Hint, Table, count_end};

/// What the editor's parts share with the session, which learns it from the server.
#[derive(Debug, Default)]
pub struct Known {
    pub table: Table,
    pub hints: bool,
}

type Shared = Arc<Mutex<Known>>;

/// Shows the rest of a command's syntax behind the cursor.
pub struct CommandHinter(pub Shared);

impl Hinter for CommandHinter {
    fn handle(&mut self, line: &str, pos: usize, _: &dyn History, colour: bool, _: &str) -> String {
        let known = self.0.lock();
        if !known.hints || pos < line.len() {
            return String::new();
        }
        match known.table.remaining(line) {
            Some(text) if colour => Style::new().fg(Color::DarkGray).paint(text).to_string(),
            Some(text) => text,
            None => String::new(),
        }
    }

    // A hint names what to type, it is not the text itself: there is nothing to accept.
    fn complete_hint(&self) -> String {
        String::new()
    }

    fn next_hint_token(&self) -> String {
        String::new()
    }
}

/// Offers names of commands, of topics behind `help`, and the options of the command being typed.
pub struct CommandCompleter(pub Shared);

impl Completer for CommandCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let typed = line.get(..pos).unwrap_or(line);
        CompletionResult::fresh(suggest(&self.0.lock().table, typed))
    }
}

fn suggest(table: &Table, typed: &str) -> Vec<Suggestion> {
    let behind = count_end(typed);
    let topic = typed.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("help "));
    let command = typed.get(if topic { 5 } else { behind }..).unwrap_or_default();
    let start = typed.len() - command.trim_start().len();
    let prefix = typed.get(start..).unwrap_or_default();
    let entry = |value: String, about: &str, from: usize| Suggestion {
        value,
        description: (!about.is_empty()).then(|| about.to_owned()),
        span: Span::new(from, typed.len()),
        append_whitespace: true,
        ..Suggestion::default()
    };
    // Whoever types in lower case gets lower case.
    let lower = prefix.chars().any(char::is_lowercase);
    let cased = |name: &str| if lower { name.to_lowercase() } else { name.to_owned() };
    let mut found: Vec<Suggestion> = table
        .starting_with(prefix)
        .map(|hint| entry(cased(&hint.name), &hint.summary, start))
        .collect();
    if topic && (prefix.is_empty() || prefix.starts_with('@')) {
        let groups = table.groups().into_iter().map(|group| format!("@{group}"));
        found.extend(
            groups.filter(|group| group.starts_with(prefix)).map(|group| entry(group, "", start)),
        );
    }
    if found.is_empty() {
        let from = prefix.rfind(' ').map_or(typed.len(), |blank| start + blank + 1);
        let word = typed.get(from..).unwrap_or_default();
        let words: Vec<&str> = prefix.split_whitespace().collect();
        if let Some((hint, _)) = table.lookup(&words).filter(|_| !word.is_empty()) {
            let lower = word.chars().any(char::is_lowercase);
            found.extend(
                tokens(hint, word)
                    .into_iter()
                    .map(|token| entry(if lower { token.to_lowercase() } else { token }, "", from)),
            );
        }
    }
    found
}

/// The option words of a command that start with `word`.
fn tokens(hint: &Hint, word: &str) -> Vec<String> {
    let word = word.to_uppercase();
    let separators = |letter: char| matches!(letter, ' ' | '[' | ']' | '|');
    let mut tokens: Vec<String> = hint
        .syntax
        .split(separators)
        .filter(|token| {
            token.len() > 1
                && token.starts_with(&word)
                && token.chars().all(|c| c.is_ascii_uppercase())
        })
        .map(str::to_owned)
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// Colours the line: commands the server knows, quoted text, numbers, a quote that is still open.
pub struct Colours {
    pub known: Shared,
    pub on: bool,
}

impl Highlighter for Colours {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        if !self.on {
            styled.push((Style::new(), line.to_owned()));
            return styled;
        }
        let known = self.known.lock();
        let pieces = pieces(line);
        let words: Vec<&str> =
            pieces.iter().filter(|piece| !piece.trim().is_empty()).copied().collect();
        // A count before the command is no part of its name.
        let counted = usize::from(count_end(line) > 0);
        let named = known.table.lookup(words.get(counted..).unwrap_or_default());
        let named = counted..counted + named.map_or(0, |(_, length)| length);
        let mut word = 0;
        for piece in pieces {
            let blank = piece.trim().is_empty();
            let style = match () {
                () if blank => Style::new(),
                () if named.contains(&word) => Style::new().fg(Color::Green).bold(),
                // A name that no command starts with is worth a warning before it is sent.
                () if word == counted
                    && !known.table.is_empty()
                    && known.table.starting_with(piece).next().is_none() =>
                {
                    Style::new().fg(local_or(piece, Color::Red))
                }
                () if word > 0 && is_open(piece) => Style::new().fg(Color::Red),
                () if word > 0 && piece.starts_with(['"', '\'']) => Style::new().fg(Color::Yellow),
                () if word > 0 && piece.parse::<f64>().is_ok() => Style::new().fg(Color::Cyan),
                () => Style::new(),
            };
            word += usize::from(!blank);
            styled.push((style, piece.to_owned()));
        }
        styled
    }
}

/// The colour of the client's own words, or the other one.
fn local_or(word: &str, other: Color) -> Color {
    let local = ["help", "?", "quit", "exit", "connect", "clear", ":set"];
    let known = local.iter().any(|name| name.starts_with(&word.to_lowercase()));
    if known || word.parse::<u64>().is_ok() { Color::Green } else { other }
}

/// The line cut into words and the blanks between them; a quoted text is one word.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut blank = None;
    for (at, letter) in line.char_indices() {
        let is_blank = quote.is_none() && letter.is_ascii_whitespace();
        if blank.is_some_and(|was: bool| was != is_blank) {
            pieces.extend(line.get(start..at));
            start = at;
        }
        blank = Some(is_blank);
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            _ => {}
        }
    }
    pieces.extend(line.get(start..).filter(|rest| !rest.is_empty()));
    pieces
}

fn is_open(word: &str) -> bool {
    crate::quote::split(word.as_bytes()).is_none()
}

/// The history, deaf to secrets.
pub struct SafeHistory(pub FileBackedHistory);

impl History for SafeHistory {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        // Handed back as if saved: an error would make the editor keep the line for the next arrow-up.
        if has_secret(item.command_line.as_bytes()) { Ok(item) } else { self.0.save(item) }
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::tests::sample;

    fn offered(typed: &str) -> Vec<(String, usize)> {
        suggest(&sample(), typed).into_iter().map(|found| (found.value, found.span.start)).collect()
    }

    fn owned(found: &[(&str, usize)]) -> Vec<(String, usize)> {
        found.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect()
    }

    #[test]
    fn tab_offers_names_options_and_topics() {
        assert_eq!(offered("s"), owned(&[("set", 0), ("sort", 0)]));
        assert_eq!(offered("CONF"), owned(&[("CONFIG", 0), ("CONFIG GET", 0)]));
        assert_eq!(offered("config g"), owned(&[("config get", 0)]));
        assert_eq!(offered("set k v k"), owned(&[("keepttl", 8)]));
        assert_eq!(offered("set k v E"), owned(&[("EX", 8)]));
        assert_eq!(offered("help so"), owned(&[("sort", 5)]));
        assert_eq!(offered("help @s"), owned(&[("@server", 5), ("@string", 5)]));
        assert_eq!(offered("3 se"), owned(&[("set", 2)]));
        assert_eq!(offered("nope x"), []);
    }

    #[test]
    fn a_line_falls_into_words() {
        assert_eq!(
            pieces("set k  \"a \\\" b\" 1"),
            ["set", " ", "k", "  ", "\"a \\\" b\"", " ", "1"]
        );
        assert_eq!(pieces(" 'open x"), [" ", "'open x"]);
        assert_eq!(pieces(""), [""; 0]);
    }

    #[test]
    fn colours_keep_the_text() {
        let known = Arc::new(Mutex::new(Known { table: sample(), hints: true }));
        for line in ["set k \"v 1\" 2", "nope ü 'x", "config get x", "", "3 set"] {
            for on in [false, true] {
                let styled = Colours { known: Arc::clone(&known), on }.highlight(line, 0);
                assert_eq!(styled.raw_string(), line);
            }
        }
    }

    #[test]
    fn history_forgets_secrets() {
        let mut history = SafeHistory(FileBackedHistory::new(10).unwrap());
        for line in ["set a 1", "auth hunter2", "get a"] {
            history.save(HistoryItem::from_command_line(line)).unwrap();
        }
        assert_eq!(history.count_all().unwrap(), 2);
    }
}
