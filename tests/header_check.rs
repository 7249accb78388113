//! `ci/header-check` against headers made of the numbers that a compiler printed from the system's own: it must pass, and
//! must see every number that is wrong.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[path = "support/programs.rs"]
mod programs;

use programs::write_program;

const TABLE: &str = include_str!("streams-model/data/illumos-abi.txt");
/// What the table was printed without; `sys/stropts.h`, by streamio(4I), and `net/if.h`, by if_tcp(4P).
const NOT_PRINTED: &str = "
alignof(struct lifconf) 8
alignof(struct str_list) 8
offsetof(struct str_list, sl_nmods) 0
offsetof(struct str_list, sl_modlist) 8
";
/// Every header that the program includes, but those of C itself.
const HEADERS: [&str; 11] = [
    "net/if.h",
    "net/if_tun.h",
    "netinet/in.h",
    "sys/bufmod.h",
    "sys/conf.h",
    "sys/dlpi.h",
    "sys/errno.h",
    "sys/socket.h",
    "sys/sockio.h",
    "sys/stropts.h",
    "sys/types.h",
];

#[derive(Default)]
struct Type {
    size: usize,
    align: usize,
    /// Members by offset: those that share one share their bytes.
    members: BTreeMap<usize, Vec<String>>,
}

/// The table as C: macros, and types whose members lie where it says. `error` is added to each number, and put in front of
/// each type.
fn headers(table: &str, error: usize) -> String {
    let (mut text, mut types) = (String::from("#pragma once\n"), BTreeMap::<String, Type>::new());
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let Some((what, of)) = name.trim_end_matches(')').split_once('(') else {
            writeln!(text, "#define {name} ({value} + {error})").unwrap();
            continue;
        };
        let value = value.parse().unwrap();
        let (of, member) = of.split_once(", ").map_or((of, None), |(of, member)| (of, Some(member)));
        let entry = types.entry(of.into()).or_default();
        match (what, member) {
            ("sizeof", _) => entry.size = value,
            ("alignof", _) => entry.align = value,
            // A member is as long here as the way to the next one.
            ("fieldsize", _) => {}
            ("offsetof", Some(member)) => entry.members.entry(value).or_default().push(member.into()),
            _ => panic!("{line}"),
        }
    }
    types.remove("union DL_primitives");
    types.iter().for_each(|(name, kind)| text += &definition(name, kind, error));
    text
}

fn definition(name: &str, kind: &Type, error: usize) -> String {
    let offsets: Vec<usize> = kind.members.keys().copied().chain([kind.size]).collect();
    let mut body = if error == 0 { String::new() } else { format!("char wrong[{error}];") };
    if kind.members.keys().next() != Some(&0) {
        write!(body, "char first[{}];", offsets[0]).unwrap();
    }
    for (members, ends) in kind.members.values().zip(offsets.windows(2)) {
        let len = ends[1] - ends[0];
        let members: String = members.iter().map(|member| format!("char {member}[{len}];")).collect();
        write!(body, "union {{{members}}};").unwrap();
    }
    let align = kind.align.max(1) << usize::from(error > 0);
    let attribute = format!("__attribute__((aligned({align})))");
    match name.strip_prefix("struct ") {
        Some(tag) => format!("struct {tag} {{{body}}} {attribute};\n"),
        None => format!("typedef struct {{{body}}} {attribute} {name};\n"),
    }
}

/// Runs the script on a system that is made of these headers.
fn check(folder: &Path, text: &str, omitted: &[&str]) -> Output {
    for header in HEADERS.iter().filter(|header| !omitted.contains(header)) {
        let path = folder.join("include").join(header);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#include <all.h>\n").unwrap();
    }
    fs::write(folder.join("include/all.h"), text).unwrap();
    write_program(&folder.join("uname"), "#!/bin/sh\necho SunOS\n");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let flags = format!("-Werror -I{}", folder.join("include").display());
    Command::new("ci/header-check").env("PATH", path).env("CFLAGS", flags).output().unwrap()
}

/// What it printed, and its status.
#[track_caller]
fn said(output: Output) -> (String, Option<i32>) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "", "nothing goes to standard error");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("header-check-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn table() -> String {
    [TABLE, NOT_PRINTED].concat()
}

/// How many facts there are, by the last line of a run that found all of them right.
fn count(text: &str) -> usize {
    text.strip_suffix(" numbers, sizes and offsets agree, 0 do not, 0 were not compared\n")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_system_s_own_numbers_pass() {
    let folder = Folder::new("right");
    let (text, status) = said(check(&folder.0, &headers(&table(), 0), &[]));
    assert_eq!(status, Some(0), "{text}");
    assert!(count(&text) > 80, "{text}");
}

#[test]
fn every_number_that_is_wrong_is_seen() {
    let folder = Folder::new("wrong");
    let all = count(&said(check(&folder.0, &headers(&table(), 0), &[])).0);
    let (text, status) = said(check(&folder.0, &headers(&table(), 16), &[]));
    assert_eq!(status, Some(1));
    assert_eq!(text.lines().filter(|line| line.starts_with("MISMATCH ")).count(), all, "{text}");
}

#[test]
fn one_wrong_number_is_named() {
    let folder = Folder::new("one");
    let text = table().replace("\nSIOCSLIFNAME 0xc0786981\n", "\nSIOCSLIFNAME 0xc0786982\n");
    let (text, status) = said(check(&folder.0, &headers(&text, 0), &[]));
    assert_eq!(status, Some(1));
    let expected = "MISMATCH SIOCSLIFNAME: the headers say 0xc0786982, the crate 0xc0786981";
    assert_eq!(text.lines().next(), Some(expected));
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn what_no_header_defines_is_an_error_but_for_the_driver() {
    let folder = Folder::new("missing");
    let without = |name: &str| {
        table()
            .lines()
            .filter(|line| !line.starts_with(name))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let (text, status) = said(check(&folder.0, &headers(&without("I_LINK "), 0), &[]));
    assert_eq!((status, text.lines().next()), (Some(1), Some("MISSING I_LINK: no header defines it")));
    let (text, status) = said(check(&folder.0, &headers(&without("TUN"), 0), &[]));
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("not compared TUN")).count(), 2, "{text}");
}

#[test]
fn elsewhere_it_is_skipped_with_a_reason() {
    let (text, status) = said(Command::new("ci/header-check").output().unwrap());
    assert_eq!(status, Some(0));
    assert!(text.starts_with("header-check: skipped: this is Linux"), "{text}");
    let (text, status) = said(Command::new("ci/header-check").arg("--print").output().unwrap());
    assert_eq!(status, Some(0));
    assert!(text.contains("is(\"I_STR\", (unsigned int)(I_STR), 0x5308ULL);"), "{text}");
}
