//! Descriptors and threads run out, and queues are full: an error that says so, and nothing is left.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, getuid, setgroups, setresgid, setresuid};
use tap_plumb::{Backend, Config, Frame, Offload, Tap, Threads, ThreadsError, TransmitError};

use crate::child::{Trials, assert_adds_up, wait_until};
use crate::frames::Random;
use crate::traffic::Guest;

/// Enough for an attach of two queues, and its threads.
const MOST: usize = 16;
/// A user that no process of this machine belongs to: the limit counts the threads of a user.
const NOBODY_ELSE: u32 = 1_100_000_000;

pub(crate) struct Exhaustion;

impl Trials for Exhaustion {
    fn round(&mut self, random: &mut Random) -> u64 {
        let mut attached = 0;
        for left in 0..=MOST {
            attached += u64::from(attach_with(left, random));
        }
        assert!(attached > 0 && attached < MOST as u64, "{attached} of {MOST} attaches succeeded");
        fill_the_queue();
        let program = std::env::current_exe().expect("the path of this program");
        let status = Command::new(program).arg("--scarce-threads").status().expect("a process");
        assert!(status.success(), "scarce threads: {status}");
        MOST as u64 + 1 + 1 + SCARCE
    }
}

/// Attaches, and starts threads, with `left` descriptors to be had; `true` when it succeeded.
fn attach_with(left: usize, random: &mut Random) -> bool {
    let offload = random.pick(&[Offload::NONE, Offload::ALL]);
    let mut config = Config::new().name("soak0").offload(offload).up();
    if random.one_in(3) {
        config = config.setup_program("/bin/true").terminate_program("/bin/true");
    }
    if random.one_in(3) {
        config = config.address([10, 0, 0, 1].into(), 24);
    }
    let guest = Arc::new(Guest::default());
    with_descriptors(left, || {
        let Ok(tap) = config.attach() else { return false };
        let backend = Arc::new(Backend::new(tap));
        let spawned = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _);
        assert_eq!(Arc::strong_count(&guest) > 1, spawned.is_ok(), "references left");
        spawned.is_ok()
    })
}

/// Runs `action` while `left` more descriptors can be had.
fn with_descriptors<T>(left: usize, action: impl FnOnce() -> T) -> T {
    let fillers: Vec<_> = (0..left).map(|_| File::open("/").expect("a descriptor")).collect();
    let next = File::open("/").expect("a descriptor").as_raw_fd();
    drop(fillers);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(next).expect("above 2"), hard).expect("a lower limit");
    let result = action();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the limit of before");
    result
}

/// The device is told when there is room again.
fn fill_the_queue() {
    let (ours, host) = UnixDatagram::pair().expect("a socket pair");
    let backend = Arc::new(Backend::new(Tap::from_fd(ours.into()).expect("a socket is a TAP")));
    let guest = Arc::new(Guest::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _).expect("two threads");
    let frame = [0; 1500];
    let send = || backend.begin_transmit().expect("a session").send(&Frame::new(&[IoSlice::new(&frame)]));
    let refusal = (0..100_000).find_map(|_| send().err()).expect("a queue that ends");
    assert!(matches!(refusal, TransmitError::WouldBlock { sent: 0 }), "{refusal}");
    host.set_nonblocking(true).expect("a socket that does not wait");
    let mut scratch = [0; 16];
    while host.recv(&mut scratch).is_ok() {}
    wait_until("the call after the queue was full", || guest.pending.load(Ordering::SeqCst) > 0);
    threads.stop().expect("the threads end");
    assert_adds_up(&backend);
}

/// Trials of one process with scarce threads.
const SCARCE: u64 = 60;

/// A process that may have few threads; each of the two fails in turn.
pub(crate) fn scarce_threads() -> ExitCode {
    become_a_lone_user();
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).expect("the limit");
    let (ours, _host) = UnixDatagram::pair().expect("a socket pair");
    let backend = Arc::new(Backend::new(Tap::from_fd(ours.into()).expect("a socket is a TAP")));
    for trial in 0..SCARCE {
        let room = 1 + trial % 3;
        setrlimit(Resource::RLIMIT_NPROC, room, hard).expect("a lower limit");
        if room < 3 {
            assert!(!threads_can_be_had(&backend), "threads beyond the limit");
        } else {
            // A thread that was joined counts for a moment longer.
            wait_until("two threads", || threads_can_be_had(&backend));
        }
    }
    ExitCode::SUCCESS
}

/// Starts both threads and stops them; where one cannot be had, nothing is left.
fn threads_can_be_had(backend: &Arc<Backend>) -> bool {
    let started = Threads::spawn(Arc::clone(backend), Arc::new(Guest::default()));
    let had = match started {
        Ok(threads) => {
            threads.stop().expect("the threads end");
            true
        }
        Err(ThreadsError::Start { source }) => {
            assert_eq!(source.raw_os_error(), Some(libc::EAGAIN), "{source}");
            false
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(Arc::strong_count(backend), 1, "references left");
    had
}

/// The superuser is exempt from the limit. Another user's threads are counted apart in a user namespace of its own.
fn become_a_lone_user() {
    if getuid().is_root() && setgroups(&[]).is_ok() {
        let id = NOBODY_ELSE + std::process::id();
        setresgid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id)).expect("another group");
        setresuid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id)).expect("another user");
    } else {
        unshare(CloneFlags::CLONE_NEWUSER).expect("a user namespace");
    }
}
