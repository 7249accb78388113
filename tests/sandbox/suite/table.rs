//! The table of src/guide/sandboxes.md, read from its text.

use std::collections::{BTreeMap, BTreeSet};

/// What a row allows: each entry is a call by its name, or several of which a C library uses one.
pub(crate) type Row = Vec<BTreeSet<String>>;

const GUIDE: &str = include_str!("../../../src/guide/sandboxes.md");

/// The rows by the text of their first cell, without its marks.
pub(crate) fn rows() -> BTreeMap<String, Row> {
    let lines = GUIDE.lines().skip_while(|line| !line.starts_with("| step or method |")).skip(2);
    let mut rows = BTreeMap::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [title, calls, requests] = cells[..] else { panic!("three cells: {line}") };
        let row = entries(calls, "").chain(entries(requests, "ioctl ")).collect();
        assert!(rows.insert(title.replace('`', ""), row).is_none(), "twice: {title}");
    }
    assert!(!rows.is_empty(), "the table is not where it was");
    rows
}

/// `a`, `b` or `c`: two entries.
fn entries<'a>(cell: &'a str, kind: &'a str) -> impl Iterator<Item = BTreeSet<String>> + 'a {
    cell.split(", ").filter(|entry| !entry.is_empty()).map(move |entry| {
        let names = entry.split(" or ").map(|name| {
            let bare = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            format!("{kind}{}", bare.unwrap_or_else(|| panic!("no name in backticks: {name:?} in {cell:?}")))
        });
        names.collect()
    })
}
