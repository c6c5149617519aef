//! What the table says to people: `--version`, `--help`, CONFIG HELP's detail, `docs/config.md`.

use super::param::Param;
use super::{PARAMS, REDIS_VERSION};

/// The line `--version` prints.
pub fn version() -> String {
    let bits = usize::BITS;
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    format!("EonKV server v={version} ({name}) redis_version={REDIS_VERSION} bits={bits}")
}

/// The text `--help` prints.
pub fn usage() -> String {
    let mut text = String::from(
        "Usage: eonkv-server [FILE | -] [--NAME VALUE...]...\n\
         \x20      eonkv-server --check-config [FILE] [--NAME VALUE...]...\n\
         \x20      eonkv-server --repair-aof [DIR | FILE] [--fix] [--encryption-key-file FILE]\n\
         \x20      eonkv-server --version | --help\n\n\
         FILE is in the syntax of redis.conf or in TOML; - reads standard input.\n\
         Each parameter is a directive, a flag --NAME and a variable EONKV_NAME. Flags win over\n\
         variables, variables over the file.\n\nParameters:\n",
    );
    for param in PARAMS.iter().filter(|p| !p.hidden) {
        let default = shown_default(param);
        let also: Vec<String> = param.spellings.iter().map(|s| format!("--{s}")).collect();
        let also =
            if also.is_empty() { String::new() } else { format!(" (also {})", also.join(", ")) };
        text += &format!("  --{} {}{also}\n", param.name, param.form());
        text += &format!("        {} [{default}]\n", param.help);
    }
    text
}

fn shown_default(param: &Param) -> String {
    match (param.name, param.default) {
        ("io-threads", _) => "the cores the process may use".into(),
        ("dir", _) => "the directory of the start".into(),
        (_, "") => "empty".into(),
        (_, default) => default.into(),
    }
}

/// The page `docs/config.md`.
pub fn page() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Generated from the table in src/config/table.rs; EONKV_BLESS=1 cargo test --test generated. -->\n\n\
         Each parameter is a directive of a file (redis.conf syntax or TOML), a flag `--name value` and a\n\
         variable `EONKV_NAME`. Order: defaults, file, standard input (`-`), variables, flags; the last wins.\n\
         *Live* parameters can be changed with CONFIG SET. *Protected* ones need\n\
         `enable-protected-configs` for that.\n\n\
         | name | value | default | live | meaning |\n|---|---|---|---|---|\n",
    );
    for param in PARAMS.iter().filter(|p| !p.hidden) {
        text += &row(param);
    }
    text
}

fn row(param: &Param) -> String {
    let names: Vec<String> = param.names().map(|name| format!("`{name}`")).collect();
    let live = match (param.live, param.protected) {
        (true, true) => "protected",
        (true, false) => "yes",
        (false, _) => "no",
    };
    let mut help = param.help.to_string();
    if !param.harness.is_empty() {
        help += &format!(" *Kept, without effect: {}.*", param.harness);
    }
    let form = param.form().replace('|', "\\|");
    format!("| {} | {form} | {} | {live} | {help} |\n", names.join(", "), shown_default(param))
}
