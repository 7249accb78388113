//! What `ci/illumos-facts` asks a real machine, asked of the model: that the questions can be asked at all, in time, in an
//! order that crashes nothing, and what the model answers.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use streams_model::{Machine, Tuntap};

#[path = "support/programs.rs"]
mod programs;
#[path = "../ci/illumos/facts/questions/mod.rs"]
mod questions;

use programs::write_program;
use questions::{Clock, Facts, GROUPS, Links};

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

/// As `ci/illumos-facts` makes them on a real machine, and their names.
const MADE: &str =
    "etherstub facts0 2:8:20:0:2:0; vnic facts1 facts0 2:8:20:0:2:1; vnic facts2 facts0 2:8:20:0:2:2";
const LINKS: &str = "facts1 facts2";

/// What the groups print, each on a machine of its own.
fn ask(driver: Tuntap) -> String {
    let links = Links::parse(LINKS);
    let mut lines = Vec::new();
    for (name, questions) in GROUPS {
        let machine = Machine::boot();
        machine.kernel(|kernel| kernel.set_tuntap(driver));
        machine.kernel(|kernel| kernel.make_links(MADE)).unwrap();
        let before = machine.snapshot();
        Facts::ask(name, &Virtual(&machine), links.as_ref(), &mut lines, questions);
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

/// A folder of the test's own with these commands in it, which find it in `$HERE`.
fn folder_of(test: &str, commands: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("facts-{}-{test}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in commands {
        write_program(&folder.join(name), &format!("#!/bin/sh\nHERE=${{0%/*}}\n{text}\n"));
    }
    folder
}

/// The script with a program that gives the answers in the folder, and without links or a zealous environment.
fn script(folder: &Path) -> Command {
    let mut script = Command::new("ci/illumos-facts");
    script.env("FACTS", folder.join("program")).env_remove("FACTS_LINKS").env_remove("CI");
    script
}

/// Runs the script on a machine that gives these answers.
fn compare(test: &str, answers: &str, groups: &[&str]) -> Output {
    let folder = folder_of(test, &[("program", "cat \"$HERE/answers\"")]);
    fs::write(folder.join("answers"), answers).unwrap();
    let output = script(&folder).args(groups).env("FACTS_LINKS", LINKS).output().unwrap();
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

/// Answers what is asked, and notes of which links.
const PROGRAM: &str = "echo \"asks $* of ${FACTS_LINKS-nobody}\" >>\"$HERE/log\"
for group in \"$@\"; do grep \"^{.fact.:.$group\\.\" ci/illumos/facts/model.jsonl; done";

/// What the script says and ends with where dladm does this, and what it does with dladm and the program.
fn with_dladm(test: &str, dladm: &str, ci: &str, groups: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let dladm = format!("echo \"$*\" >>\"$HERE/log\"\n{dladm}");
    let folder = folder_of(test, &[("program", PROGRAM), ("dladm", &dladm)]);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = script(&folder).args(groups).env("PATH", path).env("CI", ci).output().unwrap();
    let log = fs::read_to_string(folder.join("log")).unwrap();
    fs::remove_dir_all(folder).unwrap();
    let number = |text: &str| {
        let from = text.find("facts").map_or(0, |at| at + "facts".len());
        text[from..].chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let lines = log.lines().map(|line| line.replace(&format!("facts{}", number(line)), "facts"));
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), lines.collect())
}

const MAKES: [&str; 3] = [
    "create-etherstub -t factsstub0",
    "create-vnic -t -l factsstub0 factsvnic1",
    "create-vnic -t -l factsstub0 factsvnic2",
];
const REMOVES: [&str; 3] =
    ["delete-vnic -t factsvnic2", "delete-vnic -t factsvnic1", "delete-etherstub -t factsstub0"];

#[test]
fn the_script_makes_its_links_and_removes_them() {
    let (status, said, log) = with_dladm("links", "", "true", &["datalink"]);
    assert_eq!(status, Some(0), "{said}");
    let asks = ["asks datalink of factsvnic1 factsvnic2"];
    assert_eq!(log, [&MAKES[..], &asks, &REMOVES].concat(), "{said}");

    // A link that is busy is told of, and the others go.
    let busy = "case $* in delete-vnic*1) echo busy; exit 1 ;; esac";
    let (status, said, log) = with_dladm("busy", busy, "", &["datalink"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("stays until a reboot") && said.contains("vnic1: busy; dladm delete-vnic -t"),
        "{said}"
    );
    assert_eq!(log[4..], REMOVES);
}

#[test]
fn without_links_the_other_groups_are_asked() {
    let refused = "case $* in create-vnic*2) echo 'not permitted'; exit 1 ;; esac";
    for (ci, expected) in [("", 0), ("true", 2)] {
        let (status, said, log) = with_dladm("refused", refused, ci, &["head", "datalink"]);
        assert_eq!(status, Some(expected), "{said}");
        assert!(said.contains("datalink: skipped: no vnics can be made: not permitted"), "{said}");
        assert_eq!(log, [&MAKES[..], &REMOVES[1..], &["asks head of nobody"]].concat());
        let (status, said, log) = with_dladm("alone", refused, ci, &["datalink"]);
        assert_eq!((status, log.len()), (Some(expected), 5), "{said}");
    }
}

#[test]
fn only_links_made_for_the_questions_are_asked() {
    let wrong = script(Path::new("/")).arg("datalink").env("FACTS_LINKS", "net0 net1").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert!(Links::parse(LINKS).is_some());
    for wrong in [
        "",
        "facts1",
        "facts1 facts1",
        "net0 facts1",
        "facts1 ../facts2",
        "facts1 facts2 facts3",
        "facts1  facts2",
    ] {
        assert!(Links::parse(wrong).is_none(), "{wrong:?}");
    }
}
