//! `ci/omnios` on a machine of small commands: `machine` stands for the system's tools and for the example, and each can be
//! broken. What the script says of a real machine is worth as much as this.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A machine: what its commands leave, and the script's temporary folder.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("omnios-{}-{name}", std::process::id()));
        for part in ["state", "tmp"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        assert!(Command::new("tests/omnios/machine").arg(path.join("bin")).status().unwrap().success());
        Self(path)
    }

    fn script(&self, broken: &str) -> Command {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        // A shell cannot trap what its parent ignored, as a job in the background ignores interrupts.
        let mut script = Command::new("env");
        script.args(["--default-signal=INT,TERM,HUP", "ci/omnios"]);
        script.env("PATH", path).env("BREAK", broken).env("STATE", self.0.join("state"));
        script
            .env("TMPDIR", self.0.join("tmp"))
            .env_remove("GUEST")
            .env_remove("CI")
            .env("LIMIT", "8")
            .stdin(Stdio::null());
        script
    }

    /// What must hold whatever went wrong: no guest runs, and nothing of the script's own is left.
    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.0.join("tmp")).unwrap().count(), 0, "its temporary files");
        for name in ["tap0", "tap19", "plumbguest0", "plumbguest1"] {
            let Ok(owner) = fs::read_to_string(self.0.join("state").join(name)) else { continue };
            let owner = Pid::from_raw(owner.trim().parse().unwrap());
            assert!(kill(owner, None).is_err(), "the guest of {name} still runs");
        }
        assert_eq!(self.links(), Vec::<String>::new(), "its links");
    }

    /// What there is of links, and of the host's IP on them.
    fn links(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.join("state")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("link.") || name.starts_with("ip.")).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What was said of each step: `ok`, `FAILED` or `skipped`, and the rest of the line.
fn verdicts(output: &Output) -> BTreeMap<String, (String, String)> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = |line: &str| {
        let (verdict, rest) = line.split_once(' ')?;
        let (step, rest) = rest.trim_start().split_once(": ")?;
        assert!(rest.starts_with("expected ") && rest.contains("; seen "), "{line}");
        Some((step.to_owned(), (verdict.to_owned(), rest.to_owned())))
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("not a verdict: {text}"))).collect()
}

fn steps(output: &Output, wanted: &str) -> Vec<String> {
    verdicts(output).into_iter().filter(|(_, (verdict, _))| verdict == wanted).map(|(step, _)| step).collect()
}

/// All steps, in the order of their names.
const STEPS: [&str; 39] = [
    "address",
    "alive",
    "attach",
    "beyond",
    "build",
    "crash",
    "cycles",
    "descriptors",
    "detach",
    "device",
    "driver",
    "guest",
    "interface",
    "last",
    "link-address",
    "link-alive",
    "link-arp",
    "link-attach",
    "link-busy",
    "link-crash",
    "link-detach",
    "link-guest",
    "link-ip",
    "link-ping",
    "link-plumbed",
    "link-proof",
    "link-restored",
    "link-unprivileged",
    "links",
    "ping",
    "privileges",
    "probe",
    "proof",
    "second",
    "snoop",
    "teardown",
    "unplumb",
    "unprivileged",
    "up",
];

/// Rows O6 and O8.
#[test]
fn on_a_machine_where_all_is_well_every_step_is_ok() {
    let machine = Machine::new("well");
    let output = machine.script("").output().unwrap();
    assert_eq!(steps(&output, "ok"), STEPS, "{output:?}");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    machine.assert_clean();
    // A second run in the same boot finds what the first one has left.
    let output = machine.script("").output().unwrap();
    assert_eq!((output.status.code(), steps(&output, "ok")), (Some(0), STEPS.map(str::to_owned).into()));
    machine.assert_clean();
}

/// Row O2.
#[test]
fn a_step_whose_tool_is_not_installed_is_skipped_with_what_installs_it() {
    let machine = Machine::new("snoopless");
    fs::remove_file(machine.0.join("bin/snoop")).unwrap();
    // A real snoop of this machine must not be found either.
    let path = format!("{}:/usr/bin:/bin", machine.0.join("bin").display());
    let output = machine.script("").env("PATH", &path).output().unwrap();
    assert_eq!(
        (output.status.code(), steps(&output, "skipped")),
        (Some(0), vec!["snoop".into()]),
        "{output:?}"
    );
    assert!(verdicts(&output)["snoop"].1.contains("pkg install network/snoop"), "{output:?}");
    let output = machine.script("").env("PATH", &path).env("CI", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    machine.assert_clean();
}

/// Steps that do not hide each other, so that one run shows all of them broken: a machine takes seconds for a run.
const BROKEN_TOGETHER: [&[&str]; 7] = [
    &["build"],
    &["attach", "guest", "privileges", "device", "last", "beyond", "unprivileged", "proof", "links"],
    &[
        "driver",
        "interface",
        "up",
        "descriptors",
        "unplumb",
        "second",
        "detach",
        "probe",
        "alive",
        "ping",
        "snoop",
        "cycles",
        "link-attach",
        "link-guest",
        "link-ip",
        "link-plumbed",
        "link-unprivileged",
        "link-proof",
    ],
    &["address", "link-address", "link-busy", "link-detach", "link-alive", "link-ping", "link-arp"],
    &["teardown", "link-restored"],
    &["crash"],
    &["link-crash"],
];

/// What fails with a step: the same defect shows in it.
fn same_defect(step: &str) -> &[&str] {
    match step {
        // Both leave what is not the script's to remove, or cannot be removed.
        "crash" => &["proof", "teardown"],
        "link-crash" => &["teardown"],
        "up" => &["address"],
        _ => &[],
    }
}

/// The steps that are broken must fail and no other one, and the machine be left as it was.
fn break_steps(broken: &[&str]) {
    let machine = Machine::new(broken[0]);
    // What never comes is waited for this long, a crash twice.
    let limit = if broken == ["crash"] { "3" } else { "5" };
    let output = machine.script(&broken.join(" ")).env("LIMIT", limit).output().unwrap();
    let failed = steps(&output, "FAILED");
    let missing: Vec<_> = broken.iter().filter(|step| !failed.iter().any(|failed| failed == *step)).collect();
    assert!(missing.is_empty(), "{missing:?} did not fail: {output:?}");
    let same: Vec<_> = broken.iter().flat_map(|step| same_defect(step)).chain(broken).collect();
    assert!(failed.iter().all(|failed| same.contains(&&failed.as_str())), "{failed:?} {output:?}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, format!("omnios: {} failed\n", failed.len()));
    if !same.contains(&&"teardown") {
        assert_eq!(verdicts(&output)["teardown"].0, "ok", "{output:?}");
    }
    if broken.contains(&"link-crash") {
        assert_eq!(machine.links().len(), 2, "{:?}", machine.links());
        return;
    }
    machine.assert_clean();
}

#[test]
fn a_broken_step_fails_and_no_other_one() {
    let mut all = BROKEN_TOGETHER.concat();
    all.sort_unstable();
    assert_eq!(all, STEPS);
    thread::scope(|scope| {
        for broken in BROKEN_TOGETHER {
            scope.spawn(|| break_steps(broken));
        }
    });
}

#[test]
fn a_step_that_cannot_be_done_is_skipped_but_not_where_nobody_reads_it() {
    let machine = Machine::new("taken");
    let output = machine.script("taken").output().unwrap();
    assert_eq!(
        (output.status.code(), steps(&output, "skipped")),
        (Some(0), vec!["last".into()]),
        "{output:?}"
    );
    let output = machine.script("taken").env("CI", "true").output().unwrap();
    assert_eq!((output.status.code(), steps(&output, "FAILED").len()), (Some(1), 0), "{output:?}");
    machine.assert_clean();
}

/// Row O6. The job on a real machine is a script on standard input, of which the tools must leave the rest.
#[test]
fn no_tool_takes_what_the_script_was_given_to_read() {
    let machine = Machine::new("reader");
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"the rest of the job").unwrap();
    drop(writer);
    let output = machine.script("").stdin(reader.try_clone().unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "the rest of the job");
    machine.assert_clean();
}

/// Row O6.
#[test]
fn without_the_driver_the_steps_of_a_vnic_are_done() {
    let machine = Machine::new("driverless");
    let output = machine.script("driverless").output().unwrap();
    assert_eq!(
        (output.status.code(), steps(&output, "skipped")),
        (Some(0), vec!["tap".into()]),
        "{output:?}"
    );
    assert!(verdicts(&output)["tap"].1.contains("pkg install driver/tuntap"), "{output:?}");
    let others = STEPS.into_iter().filter(|step| step.starts_with("link"));
    let others: Vec<_> = ["build"].into_iter().chain(others).chain(["privileges", "teardown"]).collect();
    assert_eq!(steps(&output, "ok"), others, "{output:?}");
    machine.assert_clean();
}

/// The steps of a vnic are skipped, and those of a TAP are done.
#[track_caller]
fn assert_no_links(machine: &Machine, broken: &str, reason: &str) {
    let output = machine.script(broken).output().unwrap();
    assert_eq!(
        (output.status.code(), steps(&output, "skipped")),
        (Some(0), vec!["links".into()]),
        "{output:?}"
    );
    assert!(verdicts(&output)["links"].1.contains(reason), "{output:?}");
    assert_eq!(steps(&output, "ok").len(), 24, "{output:?}");
}

#[test]
fn where_no_link_can_be_made_the_steps_of_a_vnic_are_skipped() {
    let machine = Machine::new("zone");
    assert_no_links(&machine, "zone", "permission denied: this zone has no sys_dl_config");
    machine.assert_clean();
    let machine = Machine::new("dladmless");
    fs::remove_file(machine.0.join("bin/dladm")).unwrap();
    assert_no_links(&machine, "", "no dladm");
    machine.assert_clean();
}

#[test]
fn the_administrators_links_are_left_alone_whatever_their_names() {
    let machine = Machine::new("named");
    let give =
        |name: &str| fs::write(machine.0.join("state").join(format!("link.{name}")), "e1000g0").unwrap();
    give("plumbguest0");
    let output = machine.script("").output().unwrap();
    assert_eq!((output.status.code(), steps(&output, "ok").len()), (Some(0), STEPS.len()), "{output:?}");
    assert!(verdicts(&output)["link-attach"].1.contains("attached plumbguest1"), "{output:?}");
    assert_eq!(machine.links(), ["link.plumbguest0"]);
    (1..20).for_each(|number| give(&format!("plumbstub{number}")));
    assert_no_links(&machine, "", "are all in use");
    assert_eq!(machine.links().len(), 20);
}

#[test]
fn a_tool_that_does_not_end_is_killed() {
    let machine = Machine::new("hang");
    let output = machine.script("hang").env("LIMIT", "2").output().unwrap();
    assert_eq!(steps(&output, "FAILED"), ["snoop"], "{output:?}");
    assert!(verdicts(&output)["snoop"].1.contains("seen no end after 2 s"), "{output:?}");
    machine.assert_clean();
}

/// A tool does not end; the signal comes when the guest is there.
fn interrupt(signal: Signal, tool: &str, guest: &str) {
    let machine = Machine::new(&format!("{signal}-{tool}"));
    let script = machine.script(tool).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !machine.0.join("state").join(guest).exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no guest was started");
        thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(script.id().try_into().unwrap()), signal).unwrap();
    let output = script.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.status.signal()), (Some(130), None), "{output:?}");
    assert_eq!(verdicts(&output)["teardown"].0, "ok", "{output:?}");
    machine.assert_clean();
}

#[test]
fn an_interrupt_leaves_nothing_either() {
    thread::scope(|scope| {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            for (tool, guest) in [("hang", "crashed"), ("link-hang", "crashed-link")] {
                scope.spawn(move || interrupt(signal, tool, guest));
            }
        }
    });
}

/// Row O6.
#[test]
fn what_is_missing_is_named_with_what_installs_it() {
    let output = Command::new("ci/omnios").env("PATH", "/usr/bin:/bin").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    for expected in ["this is Linux", "ppriv: pkg install $(pkg search -H -o pkg.name -r basename:ppriv)"] {
        assert!(said.contains(expected), "{said}");
    }
}
