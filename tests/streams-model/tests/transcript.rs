//! Every line of the records of the real code gives the same answer on the model.

#[path = "support/caller.rs"]
mod caller;
#[path = "support/guest.rs"]
mod guest;
#[path = "replay/mod.rs"]
mod replay;

use replay::run::run;

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
