//! An attach asks the kernel for no more than it needs, and leaves alone what it is told to leave.

use std::os::fd::{AsFd, AsRawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::dup;
use tap_plumb::{AttachError, Config, Offload, Tap};

use super::host::Host;
use super::host::{exists, ip, is_root_of_the_machine};
use super::offload::all;
use super::raw_tap::{self, BARE, HEADER, MULTI_QUEUE, TAP};
use super::seccomp;

const BIND: [libc::Ioctl; 2] = [libc::TUNSETIFF, libc::TUNGETIFF];
const WITH_HEADER: [libc::Ioctl; 4] =
    [libc::TUNSETIFF, libc::TUNGETIFF, libc::TUNSETVNETHDRSZ, libc::TUNSETOFFLOAD];

pub(crate) fn a_fresh_tap_is_bound_and_given_its_header_and_nothing_else() {
    // Each by a name of its own: an interface of another mode that is still going away would be in the way.
    for (queues, names) in
        [(1, ["few0", "few1"]), (1, ["few%d"; 2]), (3, ["few2", "few3"]), (3, ["few%d"; 2])]
    {
        let attach = |name: &'static str, offload: Offload| {
            move || Config::new().name(name).offload(offload).attach_queues(queues)
        };
        drop(seccomp::with_requests_only(&BIND, attach(names[0], Offload::NONE)).unwrap());
        let taps = seccomp::with_requests_only(&WITH_HEADER, attach(names[1], Offload::ALL)).unwrap();
        assert!(taps.iter().all(|tap| tap.offload() == all() && tap.created()));
    }
}

/// Leaves a filter that lets nothing pass, offloads, a small send buffer and a header of 10 bytes.
fn used(fd: impl AsFd) {
    raw_tap::attach_filter(fd.as_fd(), false).unwrap();
    raw_tap::value(fd.as_fd(), libc::TUNSETOFFLOAD, 0x7).unwrap();
    raw_tap::int(fd.as_fd(), libc::TUNSETSNDBUF, 4096).unwrap();
}

/// Whether a frame of the host comes out.
fn passes_a_frame(tap: &Tap, name: &str) -> bool {
    ip(&format!("addr flush dev {name}"));
    tap.set_up(true).unwrap();
    Host::on(name).send(b"payload");
    let mut frame = [0; 2000];
    let passed = nix::unistd::read(tap, &mut frame).is_ok_and(|len| frame[..len].ends_with(b"payload"));
    tap.set_up(false).unwrap();
    passed
}

pub(crate) fn the_state_of_a_duplicate_stays_its_owners() {
    let fd = raw_tap::tap("live0", TAP | BARE | HEADER);
    raw_tap::int(&fd, libc::TUNSETVNETHDRSZ, 12).unwrap();
    used(&fd);
    let keep = |offload| Config::new().inherited(dup(&fd).unwrap()).offload(offload).keep_state().attach();
    let tap = keep(Offload::ALL).unwrap();
    assert_eq!((tap.offload(), tap.created()), (Offload::ALL, false));
    assert_eq!(raw_tap::int(&fd, libc::TUNGETSNDBUF, 0).unwrap(), 4096);
    assert!(!passes_a_frame(&tap, "live0"), "the filter stays");
    assert_eq!(keep(Offload::NONE).unwrap().offload(), Offload::with_header(12).unwrap());
    // Another header would be the other owner's undoing.
    let error = keep(Offload::with_header(10).unwrap()).unwrap_err();
    assert!(error.to_string().contains("with a virtio-net header of 12 bytes"), "{error}");
    assert_eq!(raw_tap::int(&fd, libc::TUNGETVNETHDRSZ, 0).unwrap(), 12);
    drop(Tap::from_fd(dup(&fd).unwrap()).unwrap());
    assert_eq!(raw_tap::int(&fd, libc::TUNGETSNDBUF, 0).unwrap(), i32::MAX, "without keep_state it is reset");
}

pub(crate) fn the_filter_of_a_tap_that_is_found_stays_when_it_is_to() {
    ip("tuntap add kept0 mode tap");
    // The filter of TUNATTACHFILTER does not reach a descriptor that is bound with IFF_NO_PI; this one does.
    raw_tap::address_filter(raw_tap::tap("kept0", TAP | BARE), [2, 9, 9, 9, 9, 9]).unwrap();
    let tap = Config::new().name("kept0").keep_state().attach().unwrap();
    assert!(!tap.created() && !passes_a_frame(&tap, "kept0"));
    drop(tap);
    let tap = Config::new().name("kept0").attach().unwrap();
    assert!(passes_a_frame(&tap, "kept0"), "without keep_state it goes");
    let header = Offload::with_header(12).unwrap();
    drop(tap);
    let tap = Config::new().name("kept0").offload(header).keep_state().attach().unwrap();
    assert_eq!(raw_tap::int(&tap, libc::TUNGETVNETHDRSZ, 0).unwrap(), 12);
}

pub(crate) fn what_was_made_is_told_from_what_was_found() {
    ip("tuntap add one0 mode tap");
    ip("tuntap add many0 mode tap multi_queue");
    let created =
        |name: &str, queues: u16| Config::new().name(name).attach_queues(queues).unwrap()[0].created();
    assert!(created("new0", 1) && created("new1", 2) && created("vm%d", 1) && created("vm%d", 2));
    assert!(!created("one0", 1) && !created("many0", 2));
    let _first = raw_tap::tap("share0", TAP | BARE | MULTI_QUEUE);
    assert!(!created("share0", 2), "another one's queue made it");
}

pub(crate) fn queues_are_added_to_a_tap_in_use() {
    let mut taps = Config::new().name("more0").offload(Offload::ALL).attach_queues(2).unwrap();
    let added = taps[0].add_queues(2).unwrap();
    assert_eq!(added.len(), 2);
    for tap in &added {
        assert_eq!((tap.name().unwrap().as_str(), tap.offload()), (Some("more0"), all()));
        tap.set_queue_enabled(false).unwrap();
    }
    taps.clear();
    assert!(exists("more0"), "the added queues hold it");
    let inherited = Tap::from_fd(raw_tap::tap("mine0", TAP | BARE | MULTI_QUEUE)).unwrap();
    ip("link set mine0 name renamed0");
    assert_eq!(inherited.add_queues(1).unwrap()[0].name().unwrap().as_str(), Some("renamed0"));
    let single = Config::new().name("one0").attach().unwrap();
    assert!(matches!(single.add_queues(1).unwrap_err(), AttachError::Unsupported { .. }));
}

pub(crate) fn the_header_is_changed_before_the_first_frame() {
    let mut tap = Config::new().name("head0").offload(Offload::ALL).attach().unwrap();
    for len in [10, 12] {
        tap.set_header_len(len).unwrap();
        assert_eq!(tap.offload(), all().with_len(len));
        assert_eq!(raw_tap::int(&tap, libc::TUNGETVNETHDRSZ, 0).unwrap(), len as i32);
    }
    for len in [0, 11, 20] {
        assert_eq!(tap.set_header_len(len).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
    let mut bare = Config::new().name("bare0").attach().unwrap();
    assert_eq!(bare.set_header_len(12).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let mut socket = Config::new().inherited(ours.into()).offload(Offload::ALL).attach().unwrap();
    socket.set_header_len(10).unwrap();
    assert_eq!(socket.offload().header_len, 10);
}

trait WithLen {
    fn with_len(self, len: usize) -> Self;
}

impl WithLen for Offload {
    fn with_len(mut self, len: usize) -> Self {
        self.header_len = len;
        self
    }
}

pub(crate) fn facts_of_an_attach() {
    let tap = Config::new().name("fact0").address([10, 9, 0, 1].into(), 24).attach().unwrap();
    let shown = ip("link show dev fact0");
    assert!(shown.starts_with(&format!("{}: fact0", tap.index().unwrap())), "{shown}");
    assert_eq!(tap.addresses().unwrap(), [([10, 9, 0, 1].into(), 24)]);
    assert_eq!(tap.as_raw_fd(), tap.as_fd().as_raw_fd());
}

pub(crate) fn a_child_inherits_what_it_is_to() {
    let close_on_exec = |tap: &Tap| fcntl(tap, FcntlArg::F_GETFD).unwrap() & FdFlag::FD_CLOEXEC.bits() != 0;
    let taps = Config::new().name("heir0").inheritable().attach_queues(2).unwrap();
    assert!(taps.iter().all(|tap| !close_on_exec(tap)));
    assert!(close_on_exec(&Config::new().name("heir1").attach().unwrap()));
    let adopted = Config::new().inherited(raw_tap::tap("heir2", TAP | BARE)).inheritable().attach().unwrap();
    assert!(!close_on_exec(&adopted));
}

pub(crate) fn a_persistent_tap_is_somebodys() {
    // In a user namespace there are no others, and nobody may set the length.
    let (user, group, length, shown_as) =
        if is_root_of_the_machine() { (1234, 5678, 77, ["1234", "5678"]) } else { (0, 0, 1000, ["root"; 2]) };
    let config = Config::new().name("stay0").persistent(Some(user), Some(group));
    drop(config.queue_length(length).attach().unwrap());
    let shown = ip("-d link show dev stay0");
    let [user, group] = shown_as;
    for words in ["persist on", &format!("user {user}"), &format!("group {group}"), &format!("qlen {length}")]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    ip("link del stay0");
    if !is_root_of_the_machine() {
        let error = Config::new().name("stay1").persistent(Some(1234), None).attach().unwrap_err();
        assert!(error.to_string().contains("user namespace"), "{error}");
    }
}

pub(crate) fn the_holder_is_not_looked_for_when_it_is_not_to_be() {
    let _held = raw_tap::tap("held0", TAP | BARE);
    let config = || Config::new().name("held0").busy_timeout(std::time::Duration::ZERO);
    let holder = |config: Config| match config.attach().unwrap_err() {
        AttachError::Busy { holder, .. } => holder,
        error => panic!("{error}"),
    };
    assert_eq!(holder(config()), "this process");
    assert_eq!(holder(config().name_holder(false)), "");
    let asked = || holder(config().name_holder(false));
    // Not even a look at a folder.
    assert_eq!(seccomp::with_refused(libc::SYS_getdents64, None, libc::EIO, asked), "");
}
