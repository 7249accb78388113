//! The thread of one pair of queues, for the length of a connection.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{debug, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use crate::pair::{Pair, Turn};
use crate::revive::Reviver;

/// Between two tries to get a thread out of a system call.
const PERIOD: Duration = Duration::from_millis(2);

/// The threads of all pairs; ended and joined when dropped.
pub struct Workers {
    pairs: Arc<[Pair]>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts a thread for each pair; one whose guest loses its memory closes `connection`.
    ///
    /// # Errors
    /// The system's; then no thread is left.
    pub fn start(
        pairs: &Arc<[Pair]>,
        reviver: &Arc<Reviver>,
        connection: &Arc<UnixStream>,
    ) -> io::Result<Self> {
        interruptible()?;
        let mut workers = Self { pairs: Arc::clone(pairs), threads: Vec::new() };
        for index in 0..pairs.len() {
            let (pairs, reviver, connection) =
                (Arc::clone(pairs), Arc::clone(reviver), Arc::clone(connection));
            let run = move || run(&pairs[index], &reviver, &connection);
            workers.threads.push(thread::Builder::new().name(format!("pair{index}")).spawn(run)?);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.pairs.iter().for_each(Pair::end);
        for thread in self.threads.drain(..) {
            // A peer can make a descriptor blocking again that was made non-blocking here, and fill it.
            while !thread.is_finished() {
                let _ = thread.kill(SIGRTMIN());
                thread::sleep(PERIOD);
            }
            if thread.join().is_err() {
                warn!("the thread of a pair has panicked");
            }
        }
        self.pairs.iter().for_each(Pair::rest);
    }
}

/// Makes a signal of ours interrupt system calls and do nothing else.
fn interruptible() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    let register = || register_signal_handler(SIGRTMIN(), nothing).map_err(|error| error.errno());
    DONE.get_or_init(register).map_err(io::Error::from_raw_os_error)
}

fn run(pair: &Pair, reviver: &Reviver, connection: &UnixStream) {
    let mut gone = false;
    while !pair.is_ending() {
        let turn = pair.turn();
        if turn.lost {
            warn!("the hypervisor has cut the guest's memory short; its connection ends");
            let _ = connection.shutdown(Shutdown::Both);
            return;
        }
        if turn.gone && !gone {
            gone = true;
            reviver.gone();
        }
        if (!turn.more || gone)
            && let Err(error) = wait(pair, &turn, &mut gone, reviver)
        {
            warn!("waiting for the guest: {error}");
            let _ = connection.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Waits for what the turn has named. A TAP that is `gone` is left alone until there is word of another one.
fn wait(pair: &Pair, turn: &Turn, gone: &mut bool, reviver: &Reviver) -> io::Result<()> {
    let mut polled = Vec::with_capacity(4);
    polled.push(PollFd::new(&pair.wake, PollFlags::IN));
    let kicks = || turn.kicks.iter().flatten();
    polled.extend(kicks().map(|kick| PollFd::new(kick.descriptor(), PollFlags::IN)));
    if !*gone {
        polled.push(PollFd::new(&pair.backend, turn.tap));
    }
    let limit = turn
        .patience
        .map(|limit| Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() });
    match poll(&mut polled, limit.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let mut ready = polled.iter().map(PollFd::revents);
    if ready.next().is_some_and(|events| !events.is_empty()) && pair.wake.lower() {
        *gone = false;
    }
    for (kick, events) in kicks().zip(&mut ready) {
        if !events.is_empty() {
            kick.lower();
        }
    }
    if ready.next().is_some_and(|events| events.contains(PollFlags::ERR)) {
        debug!("{:?} is gone", pair.backend.tap());
        *gone = true;
        reviver.gone();
    }
    Ok(())
}
