//! A command that takes descriptors: this test binary again, told by its arguments.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tap_plumb::{Backend, Config, Frame};

use super::host::{ip, vanishes};
use super::process::{self, Role};
use super::{host, programs};

pub(crate) const ROLES: &[Role] = &[("unprivileged", |_| unprivileged())];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| programs::build(&["run"]));

/// The example with these words; `SELF` among them is this test binary.
pub(crate) fn run(words: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(FOLDER.join("run"));
    command.env(USUAL, usual());
    command.args(words.iter().map(|word| if *word == "SELF" { this.as_os_str() } else { word.as_ref() }));
    command
}

pub(crate) fn success(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Acts as the command, when the arguments ask for it. Must come first in `main`.
pub(crate) fn play() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some("move-frames") => move_frames(words[1].to_str().unwrap()),
        Some("echo-words") => words[1..].iter().for_each(|word| println!("{word:?}")),
        Some("count-descriptors") => println!("{}", host::open_descriptors()),
        Some("hold") => std::thread::sleep(Duration::from_secs(10)),
        _ => return,
    }
    std::process::exit(0);
}

/// Sends a frame by each descriptor of the list, and takes one from the host by any of them.
fn move_frames(list: &str) {
    let mut backends = Vec::new();
    for number in list.split(':') {
        let config = Config::from_pairs([("FileHandle", number)]).unwrap();
        backends.push(Backend::new(config.attach().unwrap()));
    }
    println!("{} on {}", open_descriptors(list), backends[0].tap().name().unwrap());
    println!("a header of {}", backends[0].tap().offload().header_len);
    for backend in &backends {
        let frame = [[0xff; 6], [2, 0, 0, 0, 0, 2]].concat();
        let frame = [frame, [0x88, 0xb5].repeat(24)].concat();
        backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
    }
    println!("asked: {}", is_asked(&backends));
}

/// The host asks for the address of a neighbour that it does not know; it is reminded, since a TAP that was there before has
/// its carrier some time after it was opened.
fn is_asked(backends: &[Backend]) -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        socket.send_to(b"payload", "192.0.2.2:7000").unwrap();
        std::thread::sleep(Duration::from_millis(5));
        if backends.iter().any(has_question) {
            return true;
        }
    }
    false
}

/// Reads all there is; ARP about 192.0.2.2 is what is looked for.
fn has_question(backend: &Backend) -> bool {
    let mut buffer = vec![0; backend.receive_buffer_len()];
    while backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().is_some() {
        if buffer[12..14] == [8, 6] && buffer[38..42] == [192, 0, 2, 2] {
            return true;
        }
    }
    false
}

/// What this process has open, beside what any program has that the tests start, and but for copies of the list.
fn open_descriptors(list: &str) -> String {
    let inherited = list.split(':').count();
    let usual: usize = std::env::var(USUAL).unwrap().parse().unwrap();
    let others = host::open_descriptors() - usual - 2 * inherited;
    format!("{inherited} inherited and {others} others")
}

/// Tells a command how many descriptors any program has that the tests start.
const USUAL: &str = "USUAL_DESCRIPTORS";

fn usual() -> String {
    let output = Command::new(std::env::current_exe().unwrap()).arg("count-descriptors").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn a_program_moves_frames_by_the_descriptor_it_is_given() {
    let words = ["--tap", "vm1", "--address", "192.0.2.1/24", "--up", "--", "SELF", "move-frames", "{fd}"];
    let output = success(&run(&words).output().unwrap());
    assert_eq!(output, "1 inherited and 0 others on vm1\na header of 0\nasked: true\n");
    vanishes("vm1");
}

pub(crate) fn every_queue_has_a_descriptor_and_none_is_left_over() {
    let words = ["--queues", "3", "--address", "192.0.2.1/24", "--up", "SELF", "move-frames", "{fds}"];
    let output = success(&run(&words).output().unwrap());
    assert_eq!(output, "3 inherited and 0 others on tap0\na header of 0\nasked: true\n");
}

pub(crate) fn a_virtio_header_is_there_when_asked_for() {
    for len in ["10", "12"] {
        let words =
            ["--header", len, "--address", "192.0.2.1/24", "--up", "--", "SELF", "move-frames", "{fd}"];
        let output = success(&run(&words).output().unwrap());
        assert!(output.contains("a header of 12") && output.ends_with("asked: true\n"), "{len}: {output}");
    }
}

pub(crate) fn an_ordinary_user_runs_a_command_on_a_tap_made_beforehand() {
    ip("tuntap add vm2 mode tap multi_queue");
    ip("addr add 192.0.2.1/24 dev vm2");
    ip("link set vm2 up");
    process::run("unprivileged", "");
}

/// Runs without any right over the network.
fn unprivileged() {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    let words = ["--tap", "vm2", "--queues", "2", "--", "SELF", "move-frames", "{fds}"];
    let output = success(&run(&words).output().unwrap());
    assert_eq!(output, "2 inherited and 0 others on vm2\na header of 0\nasked: true\n");
    let refused = run(&["--tap", "vm3", "--", "SELF", "move-frames", "{fd}"]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("ip tuntap add NAME mode tap user USER"), "{text}");
}

pub(crate) fn words_arrive_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let mut command =
        run(&["--", "SELF", "echo-words", "--tap", "a b", "", "{fds}{fd}", "x{fd}y", "{f}", "--"]);
    command.arg(std::ffi::OsStr::from_bytes(b"\xff{fd}"));
    let output = success(&command.output().unwrap());
    let number: String = output.lines().nth(4).unwrap().chars().filter(char::is_ascii_digit).collect();
    let expected = format!(
        "\"--tap\"\n\"a b\"\n\"\"\n\"{number}{number}\"\n\"x{number}y\"\n\"{{f}}\"\n\"--\"\n\"\\xFF{number}\"\n"
    );
    assert_eq!(output, expected);
}
