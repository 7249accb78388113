//! The numbers and layouts of the crate beside the table that a compiler printed from the system's headers, and the C
//! program that compares them with the headers themselves.

use std::collections::BTreeSet;

#[path = "../platform/illumos/abi.rs"]
mod abi;
#[path = "../ci/illumos/headers/list.rs"]
mod list;

use list::{Fact, Kind, facts};

const TABLE: &str = include_str!("streams-model/data/illumos-abi.txt");
const ABI: &str = include_str!("../platform/illumos/abi.rs");

/// What the table was printed without: of `sys/stropts.h`, by streamio(4I), and of `net/if.h`, by if_tcp(4P).
const NOT_PRINTED: [&str; 4] = [
    "alignof(struct str_list)",
    "offsetof(struct str_list, sl_nmods)",
    "offsetof(struct str_list, sl_modlist)",
    "alignof(struct lifconf)",
];

/// The value of a line `name value`.
fn printed(name: &str) -> Option<u64> {
    let value = TABLE.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim();
    let hex = value.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16));
    Some(hex.unwrap_or_else(|| value.parse()).unwrap())
}

#[test]
fn every_fact_is_the_system_s() {
    let mut not_printed = Vec::new();
    for Fact { c, value, .. } in facts() {
        match printed(&c) {
            Some(number) => assert_eq!(value, number, "{c}"),
            None => not_printed.push(c),
        }
    }
    assert_eq!(not_printed, NOT_PRINTED);
}

/// The names that a file of constants and structures declares: constants, and members as `Structure.member`.
fn declared(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut structure = None;
    for line in source.lines().map(str::trim_end) {
        let item = line.strip_prefix("pub(crate) ");
        let name = |rest: &str| {
            rest.split(|end: char| !(end.is_alphanumeric() || end == '_')).next().unwrap().to_owned()
        };
        if let Some(rest) = item.and_then(|item| item.strip_prefix("const ")) {
            names.insert(name(rest));
        } else if let Some(rest) = item.and_then(|item| item.strip_prefix("struct ")) {
            structure = Some(name(rest));
        } else if let (Some(rest), Some(structure)) = (line.strip_prefix("    pub(crate) "), &structure) {
            names.insert(format!("{structure}.{}", name(rest)));
        } else if line.ends_with(';') && line.contains(" = 0x") && line.starts_with("    ") {
            names.insert(name(line.trim_start()));
        }
    }
    names
}

#[test]
fn no_declaration_is_forgotten() {
    let list = include_str!("../ci/illumos/headers/list.rs");
    let words: BTreeSet<_> = list.split(|end: char| !(end.is_alphanumeric() || end == '_')).collect();
    let names = declared(ABI);
    assert!(names.len() > 50 && names.contains("I_STR") && names.contains("LifReq.lifr_type"), "{names:?}");
    // What a request consists of is no layout of the system's.
    for name in names.iter().filter(|name| !name.starts_with("Request.")) {
        assert!(
            name.split('.').all(|word| words.contains(word)),
            "{name} is not in ci/illumos/headers/list.rs"
        );
    }
}

#[test]
fn no_fact_is_there_twice() {
    let all = facts();
    assert_eq!(all.iter().map(|fact| &fact.c).collect::<BTreeSet<_>>().len(), all.len());
    assert!(all.iter().any(|fact| fact.kind == Kind::Layout));
}
