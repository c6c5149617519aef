//! What COMMAND DOCS means, and how hints shrink.

use super::*;

fn list(items: Vec<Value>) -> Value {
    Value::Array(items)
}

fn word(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn map(fields: Vec<(&str, Value)>) -> Value {
    Value::Map(fields.into_iter().flat_map(|(key, value)| [word(key), value]).collect())
}

fn arg(name: &str, kind: &str, more: Vec<(&str, Value)>) -> Value {
    let mut fields = vec![("name", word(name)), ("type", word(kind))];
    fields.extend(more);
    map(fields)
}

fn flags(names: &[&str]) -> (&'static str, Value) {
    (
        "flags",
        Value::Set(names.iter().map(|name| Value::Status(name.as_bytes().to_vec())).collect()),
    )
}

pub fn sample() -> Table {
    let expiry = arg(
        "expiry",
        "oneof",
        vec![
            flags(&["optional"]),
            (
                "arguments",
                list(vec![
                    arg("seconds", "integer", vec![("token", word("EX"))]),
                    arg("keepttl", "pure-token", vec![("token", word("KEEPTTL"))]),
                ]),
            ),
        ],
    );
    let set = map(vec![
        ("summary", word("Stores a string.")),
        ("since", word("1.0.0")),
        ("group", word("string")),
        (
            "arguments",
            list(vec![arg("key", "key", vec![]), arg("value", "string", vec![]), expiry]),
        ),
    ]);
    let get = map(vec![
        ("summary", word("Reads parameters.")),
        ("group", word("server")),
        (
            "arguments",
            list(vec![arg(
                "parameter",
                "block",
                vec![
                    flags(&["multiple"]),
                    ("arguments", list(vec![arg("parameter", "string", vec![])])),
                ],
            )]),
        ),
    ]);
    let config = map(vec![
        ("summary", word("Holds subcommands.")),
        ("group", word("server")),
        ("subcommands", map(vec![("config|get", get)])),
    ]);
    let sort = map(vec![
        ("group", word("generic")),
        (
            "arguments",
            list(vec![
                arg("key", "key", vec![]),
                arg(
                    "pattern",
                    "pattern",
                    vec![
                        ("token", word("GET")),
                        flags(&["optional", "multiple", "multiple_token"]),
                    ],
                ),
            ]),
        ),
    ]);
    let mut table = Table::default();
    table.add_docs(None, &map(vec![("set", set), ("config", config), ("sort", sort)]));
    table
}

#[test]
fn docs_become_syntax() {
    let table = sample();
    let syntax =
        |name: &str| table.lookup(&name.split(' ').collect::<Vec<_>>()).unwrap().0.syntax.clone();
    assert_eq!(syntax("set"), "key value [EX seconds|KEEPTTL]");
    assert_eq!(syntax("config get"), "parameter [parameter ...]");
    assert_eq!(syntax("SORT"), "key [GET pattern [GET pattern ...]]");
    assert_eq!(table.groups(), ["generic", "server", "string"]);
    let names: Vec<_> = table.starting_with("s").map(|hint| hint.name.as_str()).collect();
    assert_eq!(names, ["SET", "SORT"]);
    assert!(table.lookup(&["nope"]).is_none());
}

#[test]
fn hints_shrink_while_typing() {
    let table = sample();
    for (line, want) in [
        ("set", Some(" key value [EX seconds|KEEPTTL]")),
        ("set ", Some("key value [EX seconds|KEEPTTL]")),
        ("SET k", Some(" value [EX seconds|KEEPTTL]")),
        ("set k v", Some(" [EX seconds|KEEPTTL]")),
        ("set k v EX 3 ", Some("[EX seconds|KEEPTTL]")),
        ("3 set k", Some(" value [EX seconds|KEEPTTL]")),
        ("3", None),
        ("config", None),
        ("config get ", Some("parameter [parameter ...]")),
        ("se", None),
        ("set \"open", None),
        ("", None),
    ] {
        assert_eq!(table.remaining(line).as_deref(), want, "{line}");
    }
}

#[test]
fn old_servers_tell_arity_only() {
    let mut table = Table::default();
    let get = list(vec![word("get"), Value::Int(2), list(vec![]), Value::Int(1)]);
    let ping = list(vec![word("ping"), Value::Int(-1), list(vec![]), Value::Int(0)]);
    table.merge([get, ping].iter().filter_map(from_command));
    assert_eq!(table.remaining("get").as_deref(), Some(" key"));
    assert_eq!(table.remaining("ping ").as_deref(), Some("[arg ...]"));
    let known = table.lookup(&["get"]).unwrap().0.clone();
    table.merge([Hint { syntax: "other".to_owned(), ..known }]);
    assert_eq!(table.remaining("get").as_deref(), Some(" key"), "what the server says stays");
}
