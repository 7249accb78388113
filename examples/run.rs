//! Attaches a TAP and gives its descriptors to any program that takes one: to QEMU, for example.
//!
//! `cargo run --release --example run -- --tap tap0 --queues 2 --header 12 -- qemu-system-x86_64 … -netdev
//! tap,id=n0,fds={fds},vhost=off -device virtio-net-pci,netdev=n0,mq=on`
//!
//! Where the descriptor is all there is to the TAP, as on Linux, the command takes the place of this program (exec), and the
//! interface goes when the command ends. Where plumbing holds the interface (illumos and Solaris), or a terminate program is
//! to run, this program must stay: the plumbing are streams of this process, and closing them would take the interface
//! apart. It then starts the command as a child, passes signals on, and ends as the command ends.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};

use lexopt::prelude::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use tap_plumb::{Config, Offload, Tap};

const HELP: &str = "\
Attaches a TAP and runs a command with its descriptors.

  run [options] -- COMMAND [ARGUMENT ...]

In the command, {fd} stands for the descriptor's number, and {fds} for the numbers of all queues with `:` between them.
The descriptors are non-blocking; everything else of the TAP is the command's to set. No shell is involved.

  --tap NAME       the interface, which is made if there is none; without it the kernel chooses
  --queues N       a descriptor for each of N queues [1]
  --header N       a virtio-net header of 10 or 12 bytes before each frame; QEMU chooses the length itself [0: none]
  --address A/P    an address for the host's side; may be given several times
  --up             brings the interface up
  --setup P        runs `P [NAME]` first; without --tap the first line it prints is the name
  --terminate P    runs `P NAME` when the command has ended
  --help           this text

An ordinary user needs a TAP made beforehand: `ip tuntap add NAME mode tap user USER`, with `multi_queue` for several queues.
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(arguments) = Arguments::parse()? else { return Ok(ExitCode::SUCCESS) };
    arguments.check()?;
    let taps = arguments.config.inheritable().attach_queues(arguments.queues)?;
    let mut command = with_descriptors(&arguments.command, &taps);
    let (mut fds, mut rest) = (Vec::new(), taps.into_iter());
    while let Some(tap) = rest.next() {
        match tap.into_fd() {
            Ok(fd) => fds.push(fd),
            Err(tap) => return stay(command, std::iter::once(tap).chain(rest).collect()),
        }
    }
    // It returns only when it fails.
    let error = command.exec();
    Err(cannot_run(&command, &error).into())
}

struct Arguments {
    config: Config,
    queues: u16,
    command: Vec<OsString>,
}

impl Arguments {
    /// Reads the command line; `None` when all that was asked for was help.
    fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut parser = lexopt::Parser::from_env();
        let (mut config, mut queues) = (Config::new(), 1);
        let mut words = Vec::new();
        while let Some(argument) = parser.next()? {
            config = match argument {
                Long("tap") => config.name(parser.value()?.string()?),
                Long("queues") => {
                    queues = parser.value()?.parse()?;
                    config
                }
                Long("header") => config.offload(parser.value()?.parse_with(header)?),
                Long("address") => {
                    let (address, prefix) = parser.value()?.parse_with(address)?;
                    config.address(address, prefix)
                }
                Long("up") => config.up(),
                Long("setup") => config.setup_program(parser.value()?),
                Long("terminate") => config.terminate_program(parser.value()?),
                Long("help") | Short('h') => {
                    print!("{HELP}");
                    return Ok(None);
                }
                // The command begins: its words are its own.
                Value(program) => {
                    words.push(program);
                    words.extend(parser.raw_args()?);
                    config
                }
                other => return Err(format!("{}; --help lists the options", other.unexpected()).into()),
            };
        }
        Ok(Some(Self { config, queues, command: words }))
    }

    /// Refuses, before anything is attached, a command that the descriptors would not reach.
    fn check(&self) -> Result<(), String> {
        if self.command.is_empty() {
            return Err("a command is missing; --help shows how to write it".to_owned());
        }
        let mentions =
            |mark: &str| self.command.iter().any(|word| find(word.as_bytes(), mark.as_bytes()).is_some());
        match (mentions(ONE), mentions(ALL)) {
            (false, false) => {
                Err("the command does not say where the descriptor goes: write {fd} or {fds}".to_owned())
            }
            (true, _) if self.queues > 1 => {
                Err(format!("{} queues need a descriptor each: write {{fds}} instead of {{fd}}", self.queues))
            }
            _ => Ok(()),
        }
    }
}

const ONE: &str = "{fd}";
const ALL: &str = "{fds}";

fn header(text: &str) -> Result<Offload, String> {
    let offload = match text {
        "0" => Some(Offload::NONE),
        text => text.parse().ok().and_then(Offload::with_header),
    };
    offload.ok_or_else(|| "a virtio-net header has 0, 10 or 12 bytes".to_owned())
}

fn address(text: &str) -> Result<(IpAddr, u8), String> {
    let parse = || {
        let (address, prefix) = text.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse().ok()?))
    };
    parse().ok_or_else(|| format!("{text} does not look like 192.0.2.1/24 or fd00::1/64"))
}

/// Builds the command, with numbers for its marks.
fn with_descriptors(words: &[OsString], taps: &[Tap]) -> Command {
    let numbers: Vec<String> = taps.iter().map(|tap| tap.as_raw_fd().to_string()).collect();
    let all = numbers.join(":");
    let mut words = words.iter().map(|word| replace(&replace(word, ALL, &all), ONE, &all));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Replaces each `mark` in a word, whose other bytes may be anything.
fn replace(word: &OsStr, mark: &str, text: &str) -> OsString {
    let (mut rest, mut replaced) = (word.as_bytes(), Vec::new());
    while let Some(at) = find(rest, mark.as_bytes()) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(text.as_bytes());
        rest = &rest[at + mark.len()..];
    }
    replaced.extend_from_slice(rest);
    OsString::from_vec(replaced)
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run {}: {error}", command.get_program().display())
}

/// Runs the command as a child, and detaches when it has ended.
fn stay(mut command: Command, taps: Vec<Tap>) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT])?;
    let mut child = command.spawn().map_err(|error| cannot_run(&command, &error))?;
    let status = wait(&mut child, &mut signals)?;
    taps.into_iter().try_for_each(Tap::detach)?;
    Ok(code(status))
}

fn wait(child: &mut Child, signals: &mut Signals) -> std::io::Result<ExitStatus> {
    for signal in signals.forever() {
        match signal {
            SIGCHLD => {
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
            }
            // A terminal has sent these to the command, too.
            SIGINT | SIGQUIT => {}
            other => pass_on(child, other),
        }
    }
    child.wait()
}

/// This program has not waited for the child yet, so the process ID is still the child's. If the child has ended, it needs no
/// signal.
fn pass_on(child: &Child, signal: i32) {
    if let (Ok(id), Ok(signal)) = (child.id().try_into(), Signal::try_from(signal)) {
        let _ = kill(Pid::from_raw(id), signal);
    }
}

/// As a shell has it: the command's own status, or 128 and the signal that ended it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
