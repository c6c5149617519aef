//! ACL categories of a command: those its row names and those its flags imply.
//!
//! Rows name only what flags cannot tell, so a command that writes can never be missing from
//! `@write`.

use super::{Command, Flags};

/// Every category, in the order in which replies list them.
pub const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Whether `command` is in `category` (lower case).
pub fn is_in(command: &Command, category: &str) -> bool {
    let flags = command.flags;
    command.categories.contains(&category)
        || match category {
            "read" => flags.has(Flags::READ) && !command.categories.contains(&"scripting"),
            "write" => flags.has(Flags::WRITE),
            "admin" | "dangerous" => flags.has(Flags::ADMIN),
            "pubsub" => flags.has(Flags::PUBSUB),
            "blocking" => flags.has(Flags::BLOCKING),
            "fast" => flags.has(Flags::FAST),
            "slow" => !flags.has(Flags::FAST),
            _ => false,
        }
}

/// The categories of `command`, in the order of [`CATEGORIES`].
pub fn of(command: &Command) -> impl Iterator<Item = &'static str> {
    CATEGORIES.iter().copied().filter(|category| is_in(command, category))
}

#[cfg(test)]
mod tests {
    use super::super::table::{Group, table};
    use super::*;

    #[test]
    fn flags_imply_categories() {
        let row = Command::new("x", 1, Group::Server, |_, _| Ok(()));
        let list = |row: &Command| of(row).collect::<Vec<_>>().join(" ");
        assert_eq!(list(&row), "slow");
        assert_eq!(list(&row.flags(Flags::ADMIN)), "admin slow dangerous");
        let row = row.flags(Flags::WRITE.and(Flags::FAST)).acl(&["string"]);
        assert_eq!(list(&row), "write string fast");
    }

    #[test]
    fn rows_name_only_categories_that_exist() {
        for row in &table().rows {
            for category in row.command.categories {
                assert!(CATEGORIES.contains(category), "{}: {category}", row.full_name());
            }
        }
    }
}
