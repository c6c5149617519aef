//! The interactive session at a terminal: the line editor, its history, and asking for a password.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use parking_lot::Mutex;
use reedline::{
    Color, ColumnarMenu, EditMode, Emacs, FileBackedHistory, KeyCode as Key,
    KeyModifiers as Modifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, default_emacs_keybindings,
};

use super::editor::{Colours, CommandCompleter, CommandHinter, Known, SafeHistory};
use super::idle::{self, Idle};
use super::{Next, Repl};
use crate::hints::Table;
use crate::screen;
use crate::session::Stop;

/// Lines kept.
const HISTORY: usize = 10_000;

const MENU: &str = "commands";

/// Reads and runs lines until `quit`, Ctrl-C or Ctrl-D.
pub fn run(repl: &mut Repl) -> Result<(), Stop> {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    repl.session.options.format.colour = colour && std::io::stdout().is_terminal();
    let known = Arc::new(Mutex::new(Known::default()));
    let idle = Idle::default();
    let mut editor = idle::watch(editor(&known, colour), &idle);
    let mut learnt_from = None;
    loop {
        let server = repl.session.link.is_some().then(|| server(repl));
        if server.is_some() && server != learnt_from {
            known.lock().table = Table::load(&mut repl.session);
            learnt_from = server;
        }
        known.lock().hints = repl.hints;
        let prompt = Where(format!("{}> ", repl.session.prompt()));
        idle.begin(&mut repl.session);
        let line = editor.read_line(&prompt);
        idle.end(&mut repl.session);
        match line {
            Ok(Signal::Success(line)) => {
                // A line is on disk before its command runs: a crash or kill does not lose it.
                let _ = editor.sync_history();
                if repl.line(line.as_bytes())? == Next::Quit {
                    return Ok(());
                }
            }
            Ok(Signal::CtrlC | Signal::CtrlD) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                screen::complain(&format!("Error: {error}"));
                return Err(Stop::Exit(1));
            }
        }
    }
}

fn server(repl: &Repl) -> (Vec<u8>, i64) {
    (repl.session.options.host.clone(), repl.session.options.port)
}

fn editor(known: &Arc<Mutex<Known>>, colour: bool) -> Reedline {
    let menu = ColumnarMenu::default().with_name(MENU).with_marker("");
    let history = dot_file("REDISCLI_HISTFILE", ".eonkvcli_history")
        .and_then(|path| FileBackedHistory::with_file(HISTORY, path).ok())
        .or_else(|| FileBackedHistory::new(HISTORY).ok());
    let mut editor = Reedline::create()
        .with_ansi_colors(colour)
        .with_hinter(Box::new(CommandHinter(Arc::clone(known))))
        .with_highlighter(Box::new(Colours { known: Arc::clone(known), on: colour }))
        .with_completer(Box::new(CommandCompleter(Arc::clone(known))))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(keys());
    if let Some(history) = history {
        editor = editor.with_history(Box::new(SafeHistory(history)));
    }
    editor
}

fn keys() -> Box<dyn EditMode> {
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(Modifiers::NONE, Key::Tab, ReedlineEvent::UntilFound(complete));
    keys.add_binding(Modifiers::SHIFT, Key::BackTab, ReedlineEvent::MenuPrevious);
    Box::new(Emacs::new(keys))
}

/// The prompt: where the next command will run.
struct Where(String);

impl Prompt for Where {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("... ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        Color::Cyan
    }
}

/// A file in the home directory, or where the variable says; `/dev/null` there means none.
pub fn dot_file(variable: &str, name: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) if path == "/dev/null" => None,
        Some(path) => Some(PathBuf::from(path)),
        None => {
            let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
            Some(PathBuf::from(home).join(name))
        }
    }
}

/// Reads a line showing stars for its characters; from a pipe, a line as it is. `None` when given up.
pub fn ask_password(prompt: &str) -> Option<Vec<u8>> {
    if !std::io::stdin().is_terminal() {
        let mut line = Vec::new();
        std::io::stdin().lock().read_until(b'\n', &mut line).ok()?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        return Some(line);
    }
    screen::say(prompt);
    crossterm::terminal::enable_raw_mode().ok()?;
    let typed = typed_secretly();
    let _ = crossterm::terminal::disable_raw_mode();
    screen::say("\n");
    typed.map(String::into_bytes)
}

fn typed_secretly() -> Option<String> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = read().ok()? else {
            continue;
        };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Some(typed),
            KeyCode::Char('c' | 'd') if control => return None,
            KeyCode::Char('u') if control => {
                screen::say(&"\x08 \x08".repeat(typed.chars().count()));
                typed.clear();
            }
            KeyCode::Char(letter) if !control => {
                typed.push(letter);
                screen::say("*");
            }
            KeyCode::Backspace if typed.pop().is_some() => screen::say("\x08 \x08"),
            _ => {}
        }
    }
}
