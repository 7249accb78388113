//! Threads that cannot be started leave nothing behind, whichever of them it is.

use std::fs;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use tap_plumb::{Backend, Checksum, Frontend, Refused, Tap, Threads, ThreadsError, Wait};

use super::host::{is_root_of_the_machine, open_descriptors, wait_until};
use super::process;

/// A user that no process of this machine belongs to: the limit counts the processes of a user.
const NOBODY_ELSE: u32 = 1_000_000_000;

/// A device that is never called: nothing was started.
struct Untouched;

impl Frontend for Untouched {
    fn wait_receive_available(&self, _: Duration) -> Wait {
        panic!("a thread was started");
    }

    fn interrupt_wait(&self) {}

    fn receive(&self, _: &[IoSlice<'_>], _: Checksum) -> Result<(), Refused> {
        panic!("a thread was started");
    }
}

pub(crate) fn threads_that_cannot_be_had_leave_nothing() {
    process::run("scarce-threads", "");
}

pub(crate) fn a_pipe_that_cannot_be_had_leaves_nothing() {
    process::run("scarce-pipes", "");
}

fn threads_of_this_process() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// A backend whose peer has sent a frame, which stays queued unless a thread takes it.
fn backend() -> (Arc<Backend>, UnixDatagram) {
    let (ours, host) = UnixDatagram::pair().unwrap();
    host.send(&[0; 60]).unwrap();
    (Arc::new(Backend::new(Tap::from_fd(ours.into()).unwrap())), host)
}

fn assert_refused(backend: &Arc<Backend>, errno: i32) {
    let before = (threads_of_this_process(), open_descriptors());
    let device = Arc::new(Untouched);
    let error = Threads::spawn(Arc::clone(backend), Arc::clone(&device) as _).unwrap_err();
    let ThreadsError::Start { source } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(errno), "{error}");
    assert_eq!((Arc::strong_count(backend), Arc::strong_count(&device)), (1, 1), "{error}");
    wait_until("the end of the threads", || (threads_of_this_process(), open_descriptors()) == before);
    assert_eq!(backend.statistics().receive.frames_received, 0, "{error}");
}

/// As a user of its own with `limit` threads at most.
fn limit_threads(limit: u64) {
    let (_, most) = getrlimit(Resource::RLIMIT_NPROC).unwrap();
    setrlimit(Resource::RLIMIT_NPROC, limit, most).unwrap();
}

/// The superuser is exempt from the limit. Another user's threads are counted apart in a user namespace of its own.
fn become_a_lone_user() {
    if is_root_of_the_machine() {
        let id = NOBODY_ELSE + std::process::id();
        setgroups(&[]).unwrap();
        setresgid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id)).unwrap();
        setresuid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id)).unwrap();
        // Another user's procfs entries are not to be read after the change.
        set_dumpable(true).unwrap();
    } else {
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    }
}

pub(crate) fn scarce_threads() {
    become_a_lone_user();
    let (backend, _host) = backend();
    for room in [1, 2] {
        limit_threads(room);
        for _ in 0..20 {
            assert_refused(&backend, libc::EAGAIN);
        }
    }
    limit_threads(3);
    backend.discard_queued();
    Threads::spawn(Arc::clone(&backend), Arc::new(Untouched)).unwrap().stop().unwrap();
}

/// Two pipes are four descriptors; each of them fails in turn.
pub(crate) fn scarce_pipes() {
    let (backend, _host) = backend();
    let (soft, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for left in 0..4 {
        let fillers: Vec<_> = std::iter::repeat_with(UnixDatagram::unbound).take(left).collect();
        let next = fs::File::open("/").unwrap().as_raw_fd();
        drop(fillers);
        setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(next).unwrap(), most).unwrap();
        let device = Arc::new(Untouched);
        let error = Threads::spawn(Arc::clone(&backend), Arc::clone(&device) as _).unwrap_err();
        setrlimit(Resource::RLIMIT_NOFILE, soft, most).unwrap();
        let ThreadsError::Start { source } = &error else { panic!("{error}") };
        assert_eq!(source.raw_os_error(), Some(libc::EMFILE), "{error}");
        assert_eq!((Arc::strong_count(&backend), Arc::strong_count(&device)), (1, 1), "{left} left");
        assert_eq!(threads_of_this_process(), 1);
    }
    backend.discard_queued();
    Threads::spawn(Arc::clone(&backend), Arc::new(Untouched)).unwrap().stop().unwrap();
}

/// Row L12.
pub(crate) fn the_pipes_of_threads_leave_the_numbers_of_the_standard_streams_alone() {
    process::run("threads-without-streams", "");
}

/// Without standard streams, whose numbers are the lowest free ones.
pub(crate) fn threads_without_streams() {
    let (backend, _host) = backend();
    backend.discard_queued();
    (0..3).for_each(|number| nix::unistd::close(number).unwrap());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::new(Untouched)).unwrap();
    // Nothing can be printed: the status says it.
    if (0..3).any(|number| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()) {
        std::process::exit(17);
    }
    threads.stop().unwrap();
}
