//! What `ci/illumos-facts` asks a real machine, asked of the model: that the questions can be asked at all, in time, in an
//! order that crashes nothing, and what the model answers.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use streams_model::{Machine, Tuntap};

#[path = "../ci/illumos/facts/questions/mod.rs"]
mod questions;

use questions::{Clock, Facts, GROUPS};

streams_model::interpose!();

/// The model's own time.
struct Virtual<'a>(&'a Machine);

impl Clock for Virtual<'_> {
    fn now(&self) -> Duration {
        self.0.kernel(|kernel| kernel.now())
    }

    fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

/// What the groups print, each on a machine of its own.
fn ask(driver: Tuntap) -> String {
    let mut lines = Vec::new();
    for (name, questions) in GROUPS {
        let machine = Machine::boot();
        machine.kernel(|kernel| kernel.set_tuntap(driver));
        let before = machine.snapshot();
        Facts::ask(name, &Virtual(&machine), &mut lines, questions);
        assert_eq!(machine.snapshot(), before, "{name} leaves something");
        // Two questions are about what the library never does: a link of its own undone as if it were persistent, and the
        // device closed first. Nothing else is even doubtful.
        let doubtful = machine.suspicions();
        assert!(doubtful.iter().all(|doubt| [5, 7].contains(&doubt.invariant)), "{name}: {doubtful:?}");
        machine.finish();
    }
    // One errno here, two there.
    String::from_utf8(lines).unwrap().replace("EOPNOTSUPP", "ENOTSUP")
}

const RECORDED: &str = include_str!("../ci/illumos/facts/model.jsonl");

fn facts(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("{\"fact\"")).collect()
}

#[test]
fn the_model_answers_as_it_is_written_down() {
    for (driver, knows) in [(Tuntap::Newer, true), (Tuntap::V1_3_3, false)] {
        let text = ask(driver);
        if facts(&text) != facts(RECORDED) {
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            panic!("the answers above, of {driver:?}, are not those of ci/illumos/facts/model.jsonl");
        }
        let measured = format!("{{\"measured\":\"device.the_stream_knows_its_number\",\"value\":{knows}}}");
        assert!(text.lines().any(|line| line == measured), "{text}");
    }
}

/// Runs the script on a machine that gives these answers.
fn compare(test: &str, answers: &str, groups: &[&str]) -> Output {
    let folder = std::env::temp_dir().join(format!("facts-{}-{test}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("answers"), answers).unwrap();
    let program = folder.join("program");
    fs::write(&program, "#!/bin/sh\ncat \"${0%/*}/answers\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("ci/illumos-facts").args(groups).env("FACTS", program).output().unwrap();
    fs::remove_dir_all(folder).unwrap();
    output
}

#[test]
fn the_script_tells_where_a_machine_differs() {
    let measured = "{\"measured\":\"up.other_frames\",\"value\":3}\n";
    let output = compare("same", &format!("{RECORDED}{measured}"), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.ends_with(measured.as_bytes()), "every answer is passed on");

    let other = RECORDED.replace("write_2049\",\"value\":\"ERANGE\"", "write_2049\",\"value\":2049");
    let output = compare("other", &other, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("< {\"fact\":\"head.write_2049\",\"value\":\"ERANGE\"}"), "{said}");
    assert!(said.contains("> {\"fact\":\"head.write_2049\",\"value\":2049}"), "{said}");

    // What is not there differs as well, but for what was not asked.
    let head: String =
        RECORDED.lines().filter(|line| line.contains(":\"head.")).map(|line| format!("{line}\n")).collect();
    assert_eq!(compare("part", &head, &[]).status.code(), Some(1));
    assert_eq!(compare("asked", &head, &["head"]).status.code(), Some(0));
    assert_eq!(compare("nothing", "", &[]).status.code(), Some(2));
}

#[test]
fn elsewhere_the_script_is_skipped_with_a_reason() {
    let output = Command::new("ci/illumos-facts").env_remove("FACTS").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("skipped: this is Linux"));
}
