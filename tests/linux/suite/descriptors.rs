//! Nothing is left by what failed: no descriptor, no interface, no thread.

use std::collections::HashSet;
use std::fs;
use std::io::IoSlice;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use tap_plumb::{
    AttachError, Backend, Checksum, Config, Frontend, Offload, Refused, Tap, Threads, ThreadsError, Wait,
};

use super::host::{exists, ip, is_root_of_the_machine, open_descriptors, wait_until};
use super::{process, seccomp};

// No descriptor and no interface is left by an attach that failed, at whatever step.

/// A configuration that takes every step there is.
fn everything() -> Config {
    let config = Config::new().name("all0").offload(Offload::ALL).mtu(1400).up();
    config.hardware_address([2, 0, 0, 0, 0, 1]).address(Ipv4Addr::new(10, 0, 0, 1).into(), 24)
}

/// Linux lets nobody set it in a user namespace.
const QUEUE_LENGTH: &str = "queue length";

const REQUESTS: &[(libc::Ioctl, &str)] = &[
    (libc::TUNSETIFF, "TUNSETIFF"),
    (libc::TUNGETIFF, "TUNGETIFF"),
    (libc::TUNSETVNETHDRSZ, "TUNSETVNETHDRSZ"),
    (libc::TUNSETOFFLOAD, "TUNSETOFFLOAD"),
    (libc::SIOCSIFHWADDR as libc::Ioctl, "hardware address"),
    (libc::SIOCSIFMTU as libc::Ioctl, "MTU"),
    (libc::SIOCSIFTXQLEN as libc::Ioctl, QUEUE_LENGTH),
    (libc::SIOCGIFINDEX as libc::Ioctl, "address"),
    (libc::SIOCGIFFLAGS as libc::Ioctl, "up"),
    (libc::SIOCSIFFLAGS as libc::Ioctl, "up"),
    (libc::TUNSETOWNER, "TUNSETOWNER"),
    (libc::TUNSETPERSIST, "TUNSETPERSIST"),
];

/// Those that undo what an earlier owner may have left.
const UNDOING: &[(libc::Ioctl, &str)] = &[
    (libc::TUNDETACHFILTER, "TUNDETACHFILTER"),
    (libc::TUNSETTXFILTER, "TUNSETTXFILTER"),
    (libc::TUNSETFILTEREBPF, "TUNSETFILTEREBPF"),
    (libc::TUNGETVNETHDRSZ, "TUNGETVNETHDRSZ"),
    (libc::TUNSETVNETLE, "TUNSETVNETLE"),
    (libc::TUNSETSNDBUF, "TUNSETSNDBUF"),
    (libc::TUNSETCARRIER, "TUNSETCARRIER"),
];

/// Row B30.
pub(crate) fn nothing_is_left_by_any_request_that_fails() {
    process::run("failing-attaches", "");
}

pub(crate) fn failing_attaches() {
    let before = open_descriptors();
    for queues in [1, 3] {
        for (number, step) in
            REQUESTS.iter().filter(|(_, step)| *step != QUEUE_LENGTH || is_root_of_the_machine())
        {
            assert_fails(queues, *number, step);
            assert_eq!(open_descriptors(), before, "{step}");
            assert!(!exists("all0"), "{step}");
        }
        ip(&format!("tuntap add all0 mode tap {}", if queues > 1 { "multi_queue" } else { "" }));
        for (number, step) in UNDOING {
            assert_fails(queues, *number, step);
            assert_eq!(open_descriptors(), before, "{step}");
        }
        drop(everything().attach_queues(queues).unwrap());
        ip("link del all0");
    }
}

fn assert_fails(queues: u16, number: libc::Ioctl, step: &str) {
    let all = || if is_root_of_the_machine() { everything().queue_length(100) } else { everything() };
    let attach = || all().persistent(Some(0), None).attach_queues(queues);
    let error = seccomp::with_refused(libc::SYS_ioctl, Some(number), libc::ENOMEM, attach).unwrap_err();
    let AttachError::Request { request, object, source, .. } = &error else { panic!("{step}: {error}") };
    let found = (*request, object.as_str(), source.raw_os_error());
    assert_eq!(found, (step, "all0", Some(libc::ENOMEM)));
}

/// Row B29.
pub(crate) fn an_error_bears_the_name_that_the_kernel_chose() {
    let attach = || Config::new().name("vm%d").offload(Offload::ALL).attach();
    let number = Some(libc::TUNSETOFFLOAD);
    let error = seccomp::with_refused(libc::SYS_ioctl, number, libc::ENOMEM, attach).unwrap_err();
    assert!(matches!(&error, AttachError::Request { object, .. } if object == "vm0"), "{error}");
}

/// Row B30.
pub(crate) fn nothing_is_left_when_descriptors_run_out() {
    process::run("scarce-descriptors", "");
}

pub(crate) fn scarce_descriptors() {
    let before = open_descriptors();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut failed = HashSet::new();
    for limit in 0.. {
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        let attached = everything().create_exclusive().attach_queues(3);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let Err(error) = attached else { break };
        failed.insert(error.to_string());
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        assert_eq!(open_descriptors(), before, "with {limit}");
        assert!(!exists("all0"), "with {limit}");
    }
    // A node could not be opened, or later a socket for the first setting that needs one.
    assert!(failed.iter().any(|error| error.starts_with("open /dev/net/tun")), "{failed:?}");
    assert!(failed.iter().any(|error| error.starts_with("MTU on all0")), "{failed:?}");
    assert_eq!(open_descriptors(), before);
}

/// Row B30.
pub(crate) fn three_hundred_attaches_leave_nothing() {
    process::run("many-attaches", "");
}

pub(crate) fn many_attaches() {
    let before = open_descriptors();
    for round in 0..300 {
        let config = if round % 2 == 0 { Config::new().name("loop0") } else { Config::new() };
        config.attach().unwrap().detach().unwrap();
    }
    assert_eq!(open_descriptors(), before);
    assert!(!exists("loop0") && !exists("tap0"));
}

pub(crate) fn no_descriptor_takes_the_number_of_a_standard_stream() {
    process::run("without-streams", "");
}

/// Without standard streams, whose numbers are the lowest free ones.
pub(crate) fn without_streams() {
    for number in 0..3 {
        nix::unistd::close(number).unwrap();
    }
    let taps = everything().setup_program("/bin/true").attach_queues(3).unwrap();
    let numbers: Vec<_> = taps.iter().map(|tap| tap.as_fd().as_raw_fd()).collect();
    // Nothing can be printed: the status says it.
    if numbers.len() != 3 || numbers.iter().any(|number| *number < 3) {
        std::process::exit(17);
    }
}

/// Row L12.
pub(crate) fn a_program_has_standard_streams_also_where_its_parent_has_none() {
    let script = std::env::temp_dir().join(format!("tap-plumb-streams-{}", std::process::id()));
    let write = "printf '#!/bin/sh\ncat && echo x && echo y >&2\n' > \"$1\" && chmod 755 \"$1\"";
    let status = std::process::Command::new("sh").args(["-c", write, "sh"]).arg(&script).status().unwrap();
    assert!(status.success());
    process::run("program-without-streams", script.to_str().unwrap());
    fs::remove_file(script).unwrap();
}

pub(crate) fn program_without_streams(script: &str) {
    let file = fs::File::open("/").unwrap();
    (0..3).for_each(|number| nix::unistd::close(number).unwrap());
    // With a descriptor that programs would inherit, they are started another way.
    for flags in [FdFlag::FD_CLOEXEC, FdFlag::empty()] {
        fcntl(&file, FcntlArg::F_SETFD(flags)).unwrap();
        // Nothing can be printed: the status says it.
        if Config::new().name("prog0").setup_program(script).attach().is_err() {
            std::process::exit(17);
        }
    }
}

// Threads that cannot be started leave nothing behind, whichever of them it is.

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
