//! Runs one program within its time, and leaves no process behind.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use log::{Level, debug, log, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::output::Output;
use super::remedy;
use crate::attach::{ProgramError, System};

/// From `SIGTERM` to `SIGKILL`, and from there to giving up on a process that the kernel cannot end.
const GRACE: Duration = Duration::from_secs(5);
/// How late the end of a program may be noticed when its streams do not tell.
const TICK: Duration = Duration::from_millis(10);

/// One run of one program.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub program: &'a Path,
    pub argument: Option<&'a OsStr>,
    pub limit: Duration,
    /// Whether standard output is wanted; else it goes to `/dev/null`.
    pub capture: bool,
    pub system: System,
}

/// Runs a program to its end and returns the beginning of its output.
pub(super) fn run(call: &Call<'_>) -> Result<Vec<u8>, ProgramError> {
    let program = call.program;
    debug!("running {} {:?}", program.display(), call.argument.unwrap_or_default());
    let mut running = Running::start(call).map_err(|source| ProgramError::Spawn {
        program: program.into(),
        remedy: remedy::of(&as_given(program), &source),
        source,
    })?;
    let ended = running.wait(call.limit);
    let timed_out = matches!(ended, Ok(None));
    if timed_out {
        running.stop(program);
    }
    let outcome = match ended {
        Ok(Some(status)) => judge(program, status),
        Ok(None) => Err(ProgramError::Timeout { program: program.into(), seconds: round_up(call.limit) }),
        Err(source) => Err(ProgramError::Wait { program: program.into(), source }),
    };
    running.log_errors(program, if outcome.is_ok() { Level::Info } else { Level::Warn });
    outcome.map(|()| running.output.map_or_else(Vec::new, |output| output.kept().to_vec()))
}

fn judge(program: &Path, status: ExitStatus) -> Result<(), ProgramError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(status), _) => Err(ProgramError::Status { program: program.into(), status }),
        (None, signal) => {
            Err(ProgramError::Signal { program: program.into(), signal: signal.unwrap_or_default() })
        }
    }
}

fn round_up(limit: Duration) -> u64 {
    limit.as_secs().saturating_add(u64::from(limit.subsec_nanos() > 0))
}

/// A started program. It leads a process group of its own. The children of a shell script are stopped with it, and
/// an interrupt from the terminal does not reach it.
#[derive(Debug)]
struct Running {
    child: Child,
    output: Option<Output>,
    errors: Option<Output>,
}

impl Running {
    fn start(call: &Call<'_>) -> io::Result<Self> {
        let mut command = Command::new(as_given(call.program));
        command.args(call.argument).process_group(0);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.stdout(if call.capture { Stdio::piped() } else { Stdio::null() });
        (call.system.inherit_standard_streams_only)(&mut command);
        let mut child = command.spawn()?;
        let output = child.stdout.take().and_then(|pipe| reader(pipe.into(), call.program));
        let errors = child.stderr.take().and_then(|pipe| reader(pipe.into(), call.program));
        Ok(Self { child, output, errors })
    }

    /// Reads the program's streams until it ends; `None` when it has not ended within `limit`.
    ///
    /// Its own end counts, not that of its streams: a daemon it started may hold them open for ever.
    fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now().checked_add(limit);
        let mut tick = Duration::from_millis(1);
        loop {
            let status = self.child.try_wait()?;
            self.take();
            let left = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if status.is_some() || left.is_zero() {
                return Ok(status);
            }
            self.sleep(tick.min(left));
            tick = (tick * 2).min(TICK);
        }
    }

    fn take(&mut self) {
        self.output.iter_mut().chain(&mut self.errors).for_each(Output::take);
    }

    /// Sleeps until the program writes, or `time` is over.
    fn sleep(&self, time: Duration) {
        let pipes = self.output.iter().chain(&self.errors).filter_map(Output::pipe);
        let mut pipes: Vec<_> = pipes.map(|pipe| PollFd::new(pipe, PollFlags::POLLIN)).collect();
        // Rounded up, or the last millisecond before a deadline would be spent spinning.
        let timeout = PollTimeout::try_from(time + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
        if poll(&mut pipes, timeout).is_err() {
            std::thread::sleep(time);
        }
    }

    /// Ends the program and what it started in its process group.
    fn stop(&mut self, program: &Path) {
        self.signal(Signal::SIGTERM);
        if !matches!(self.wait(GRACE), Ok(None)) {
            // The program is gone and its process ID is free. But the kernel gives no new process that ID while the process
            // group has members. Without members the signal reaches nobody.
            self.signal(Signal::SIGKILL);
            return;
        }
        self.signal(Signal::SIGKILL);
        if matches!(self.wait(GRACE), Ok(None)) {
            warn!("{} (process {}) cannot be ended and is left behind", program.display(), self.child.id());
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(group) = i32::try_from(self.child.id())
            && let Err(errno) = killpg(Pid::from_raw(group), signal)
        {
            debug!("{signal} to process group {group}: {errno}");
        }
    }

    fn log_errors(&self, program: &Path, level: Level) {
        let Some(errors) = &self.errors else { return };
        for line in String::from_utf8_lossy(errors.kept()).lines() {
            log!(level, "{}: {}", program.display(), line.escape_debug());
        }
        if errors.discarded() > 0 {
            log!(
                level,
                "{}: {} more bytes of its standard error were discarded",
                program.display(),
                errors.discarded()
            );
        }
    }
}

/// A stream that cannot be read is closed: the program goes on without it, or fails by itself.
fn reader(pipe: OwnedFd, program: &Path) -> Option<Output> {
    Output::new(pipe)
        .inspect_err(|error| warn!("{}: its output cannot be read: {error}", program.display()))
        .ok()
}

/// Keeps `PATH` from being searched for a program without a directory.
fn as_given(program: &Path) -> PathBuf {
    if program.as_os_str().as_bytes().contains(&b'/') { program.into() } else { Path::new(".").join(program) }
}

/// What no interface name can show: arguments that only a careful caller passes on whole.
#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::Duration;

    use super::{Call, run};
    use crate::attach::System;

    /// A system without rules, on which a program inherits what it inherits.
    const SYSTEM: System = System {
        check_name: |_| Ok(()),
        duplicate: |_| Err(std::io::ErrorKind::Unsupported.into()),
        inherit_standard_streams_only: |_| {},
    };

    /// Row hazard 20.
    #[test]
    fn an_argument_arrives_byte_by_byte() {
        let arguments: [&[u8]; 5] = [b"a b", b"a'b\"c;d", b"$(id) `id` $HOME", b"*\n?", b"\xff\xfe"];
        for argument in arguments {
            let argument = Some(OsStr::from_bytes(argument));
            // `echo` is a program of its own here; it writes its argument and a newline.
            let call = Call {
                program: Path::new("/bin/echo"),
                argument,
                limit: Duration::from_secs(10),
                capture: true,
                system: SYSTEM,
            };
            let output = run(&call).unwrap();
            assert_eq!(output.strip_suffix(b"\n"), argument.map(OsStr::as_bytes));
        }
    }

    /// Row hazard 21.
    #[test]
    fn an_argument_beyond_4096_bytes_is_not_cut() {
        let argument = "x".repeat(100_000);
        let call = Call {
            program: Path::new("/usr/bin/printf"),
            argument: Some(OsStr::new(&argument)),
            limit: Duration::from_secs(10),
            capture: true,
            system: SYSTEM,
        };
        assert_eq!(run(&call).unwrap(), [b'x'; 4096]);
    }
}
