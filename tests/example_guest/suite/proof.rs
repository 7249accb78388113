//! What the guest proves of itself.

use std::os::fd::AsRawFd;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tap_plumb::Config;

use super::guest::{command, count, success, sum};
use super::programs::Programs;

/// The table must hold what the proofs need at the least, and account for every frame.
fn assert_proved(output: &str) {
    assert!(output.contains("GET http://192.0.2.2/: Hello from the guest."), "{output}");
    assert!(output.contains("GET http://192.0.2.2/bytes/300000: all bytes as sent"), "{output}");
    let drops = ["interrupted", "reset", "link_down", "stale", "truncated", "runt", "rejected", "refused"];
    let accounted =
        count(output, "frames_delivered") + drops.map(|cause| count(output, cause)).iter().sum::<u64>();
    assert_eq!(sum(output, "the kernel handed over = delivered + every drop"), accounted);
    assert_eq!(sum(output, "received = delivered + every drop"), count(output, "frames_received"));
    assert_eq!(sum(output, "offered = sent + every drop"), count(output, "frames_offered"));
    assert_eq!(sum(output, "the kernel took = sent"), count(output, "segments_sent"));
    // 300000 bytes in segments of 1460, and an answer to ARP, to ping and to two connections.
    assert!(count(output, "frames_sent") >= 300_000 / 1460 + 4, "{output}");
    assert!(count(output, "bytes_sent") > 300_000, "{output}");
    assert!(output.ends_with("detached\n"), "{output}");
}

pub(crate) fn a_guest_answers_ping_and_http_and_every_frame_is_accounted_for() {
    let output = success(&command(&[]).output().unwrap());
    assert!(output.starts_with("attached tap0\nping 192.0.2.2"), "{output}");
    assert_proved(&output);
}

pub(crate) fn a_host_without_ping_sends_its_own_echo_request() {
    let output = success(&command(&[]).env("PATH", "/nowhere").output().unwrap());
    assert!(output.contains("ping 192.0.2.2, as no program ping is here: answered after "), "{output}");
    assert_proved(&output);
}

pub(crate) fn an_inherited_descriptor_serves_as_well() {
    let config = Config::new().name("vm3").address(std::net::Ipv4Addr::new(192, 0, 2, 1).into(), 24).up();
    let fd = config.attach().unwrap().into_fd().unwrap();
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let output = success(&command(&["--fd", &fd.as_raw_fd().to_string()]).output().unwrap());
    assert!(output.starts_with("attached vm3\n"), "{output}");
    assert_proved(&output);
    assert!(
        Command::new("ip").args(["link", "show", "vm3"]).output().unwrap().status.success(),
        "it is still ours"
    );
}

pub(crate) fn attach_only_runs_both_programs_in_every_cycle() {
    let programs = Programs::new("cycles");
    let setup = programs.recorder("setup", "echo vm9");
    let terminate = programs.recorder("terminate", "");
    let mut command = command(&["--attach-only", "--cycles", "3"]);
    let output =
        success(&command.arg("--setup").arg(setup).arg("--terminate").arg(terminate).output().unwrap());
    assert_eq!(output.matches("attached vm9\ndetached\n").count(), 3, "{output}");
    assert_eq!(programs.calls(), ["setup:0:", "terminate:1:vm9"].repeat(3));
}

pub(crate) fn without_an_address_the_interface_is_left_as_it_is() {
    // Persistent, so that it can be looked at afterwards.
    let ip = |words: &str| Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(ip("tuntap add vm4 mode tap").status.success());
    success(&command(&["--attach-only", "--name", "vm4", "--address", "none"]).output().unwrap());
    let text = String::from_utf8(ip("-o address show vm4").stdout).unwrap();
    assert_eq!(text, "", "no address");
    success(&command(&["--attach-only", "--name", "vm4"]).output().unwrap());
    let text = String::from_utf8(ip("-o address show vm4").stdout).unwrap();
    assert!(text.contains("192.0.2.1/24"), "{text}");
}
