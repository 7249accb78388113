//! What the model is calibrated by.
//!
//! Every number of it is the one a compiler printed from the illumos headers. Every line of the records of the real code
//! gives the same answer on the model.

#[path = "support/caller.rs"]
mod caller;
#[path = "replay/mod.rs"]
mod replay;

use std::collections::BTreeMap;

use streams_model::{Errno, abi, image};

use replay::run;

const HEADERS: &str = include_str!("../data/illumos-abi.txt");
/// What the data links need beside it, printed the same way.
const DATALINK_HEADERS: &str = include_str!("../data/dlpi-abi.txt");

fn printed() -> BTreeMap<&'static str, i64> {
    let lines = DATALINK_HEADERS.lines().chain(HEADERS.lines());
    let lines = lines.filter(|line| !line.starts_with('#') && !line.starts_with("32:") && !line.is_empty());
    let pairs = lines.filter_map(|line| {
        let line = line.split(" align ").next()?;
        let (name, value) = line.rsplit_once([' ', '='])?;
        let number = match value.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok()?,
            None => value.parse().ok()?,
        };
        Some((name, number))
    });
    pairs.collect()
}

#[test]
fn every_constant_is_the_headers() {
    let printed = printed();
    let tables = [
        abi::FILE_NUMBERS,
        abi::POLL_NUMBERS,
        abi::STREAM_REQUESTS,
        abi::STREAM_VALUES,
        abi::INTERFACE_REQUESTS,
        abi::INTERFACE_FLAGS,
        abi::DLPI_PRIMITIVES,
        abi::DLPI_VALUES,
        abi::DLPI_NOTES,
        abi::DATALINK_FLAGS,
        abi::SIZES,
    ];
    for (name, value) in tables.concat() {
        assert_eq!(printed.get(name), Some(&value), "{name}");
    }
}

#[test]
fn every_errno_is_the_headers() {
    let printed = printed();
    for (name, errno) in Errno::ALL {
        assert_eq!(printed.get(name), Some(&i64::from(errno.0)), "{name}");
        assert_eq!(Errno::by_name(name), Some(*errno));
    }
}

#[test]
fn every_layout_is_the_compilers() {
    let printed = printed();
    for (name, value) in image::LAYOUT {
        assert_eq!(printed.get(name), Some(&(*value as i64)), "{name}");
    }
}

#[test]
fn the_byte_images_are_those_of_a_caller() {
    let strioctl =
        streams_model::Strioctl { cmd: abi::TUNNEWPPA, timout: 5, len: 4, dp: 0x1122_3344_5566_7788 };
    let image =
        [1, 0, 0x54, 0, 5, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
    assert_eq!(strioctl.image(), image);
    let mut lifreq = streams_model::Lifreq::default();
    lifreq.set_name("tap3").set_ppa(3).set_flags(abi::IFF_IPV4);
    assert_eq!(&lifreq.0[..5], b"tap3\0");
    assert_eq!(&lifreq.0[32..48], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
}

const PLUMBING: &str = include_str!("../data/plumb-transcript.jsonl");
const DATALINKS: &str = include_str!("../data/dlpi-transcript.jsonl");

/// The share of lines that must be covered and right, in hundredths of a percent.
const REQUIRED: usize = 9950;

fn is_replayed(record: &str) {
    let report = run(record).expect("a record");
    println!("{report}");
    let (right, lines) = (report.right, report.lines);
    assert!(right * 10_000 >= lines * REQUIRED, "only {right} of {lines} lines come out right");
    assert!(report.wrong.is_empty(), "{} lines come out wrong", report.wrong.len());
}

#[test]
fn the_record_of_plumbing_is_replayed_line_by_line() {
    is_replayed(PLUMBING);
}

#[test]
fn the_record_of_data_links_is_replayed_line_by_line() {
    is_replayed(DATALINKS);
}

/// The first line of the record with this call, and all before it in its case.
fn up_to(call: &str) -> String {
    let at = DATALINKS
        .lines()
        .position(|line| line.contains(&format!("\"call\": \"{call}\"")))
        .expect("such a line");
    let case = DATALINKS.lines().nth(at).and_then(|line| line.split("\"step\"").next()).expect("a case");
    let lines: Vec<_> = DATALINKS.lines().take(at + 1).filter(|line| line.starts_with(case)).collect();
    lines.join("\n")
}

#[test]
fn a_line_that_tells_another_answer_is_wrong() {
    let record = up_to("poll");
    assert_eq!(run(&record).expect("a record").wrong, [""; 0]);
    let report = run(&record.replace("\"ret\": 4", "\"ret\": 5")).expect("a record");
    assert_eq!((report.wrong.len(), report.missing.len()), (1, 0), "{report}");
    assert!(report.wrong[0].contains("observed"), "{report}");
}

#[test]
fn what_is_no_record_is_told_in_words() {
    for (text, complaint) in [("", "no line"), ("{", "line 1 is no JSON"), ("{}", "no text \"case\"")] {
        let error = run(text).expect_err("no record");
        assert!(error.contains(complaint), "{text}: {error}");
    }
}

#[test]
fn a_line_nobody_knows_is_not_covered() {
    let line =
        r#"{"case": "x", "step": "1", "call": "CALL", "args": "ARGS", "ret": 0, "errno": null, "note": ""}"#;
    for (call, args) in [("(administrator)", "dances"), ("ioctl 0x99", ""), ("read", "fd"), ("I_STR", "")] {
        let first = line
            .replace("CALL", "(administrator)")
            .replace("ARGS", "create simnet sim0 address 020820000001");
        let record = format!("{first}\n{}", line.replace("CALL", call).replace("ARGS", args));
        let report = run(&record).expect("a record");
        assert_eq!((report.right, report.missing.len()), (1, 1), "{call}: {report}");
    }
}
