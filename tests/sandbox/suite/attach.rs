//! The attach, step by step; re-attach and detach.

use std::fs::File;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tap_plumb::{AttachError, Backend, Config, Offload, Tap};

use super::frames::backend;
use super::host::ip;
use super::host_side::{empty_dev, macvtaps, make_node};
use super::sandbox::Sandbox;
use super::scenarios::Scenario;
use super::settings::{self, DUPLICATE, MEMORY, NAME, SET_MTU};

const ATTACH: &str = "Config::attach and Config::attach_queues, for each queue";
const HEADER: &str = "… with Config::offload";
const FOUND: &str = "… of an interface that was there";
const KEPT: &str = "… of an interface that was there, with Config::keep_state";
const MUST_EXIST: &str = "… with Config::must_exist";
const MAC: &str = "… with Config::hardware_address";
const MTU: &str = "… with Config::mtu";
const LENGTH: &str = "… with Config::queue_length";
const ADDRESS: &str = "… with Config::address";
const UP: &str = "… with Config::up";
const PERSISTENT: &str = "… with Config::persistent";
const INHERITABLE: &str = "… with Config::inheritable";
const BUSY: &str = "… of an interface that is busy";
const BUSY_UNNAMED: &str = "… of an interface that is busy, with Config::name_holder(false)";
const ADD: &str = "add_queues";
const INHERITED: &str = "Config::inherited, Tap::from_fd, for a TAP";
const INHERITED_KEPT: &str = "Config::inherited for a TAP, with Config::keep_state";
const SOCKET: &str = "Config::inherited, Tap::from_fd, for a socket";
const FOREIGN: &str = "Config::inherited, Tap::from_fd, for another device, which is refused";
pub(crate) const MACVTAP: &str = "Config::datalink, for a macvtap";
const REATTACH: &str = "reattach, beside the MTU and what its configuration asks for";
const DETACH: &str = "detach, or a drop";

/// A scenario that attaches by this configuration.
macro_rules! attaches {
    ($name:literal, $row:ident, $config:expr) => {
        Scenario { name: $name, rows: &[MEMORY, ATTACH, $row], play: |sandbox| attach(sandbox, $config, 1) }
    };
}

/// A scenario of a process without any right over the network, for which a TAP has been made ready.
macro_rules! ready_made {
    ($name:literal, $row:ident, $config:expr) => {
        Scenario {
            name: $name,
            rows: &[MEMORY, ATTACH, FOUND, $row],
            play: |sandbox| ready_made(sandbox, $config),
        }
    };
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "attach", rows: &[MEMORY, ATTACH], play: |sandbox| attach(sandbox, Config::new(), 1) },
    Scenario { name: "queues", rows: &[MEMORY, ATTACH], play: |sandbox| attach(sandbox, Config::new(), 2) },
    Scenario { name: "header", rows: &[MEMORY, ATTACH, HEADER], play: header },
    Scenario { name: "found", rows: &[MEMORY, ATTACH, FOUND], play: found },
    Scenario { name: "kept", rows: &[MEMORY, ATTACH, KEPT], play: kept },
    Scenario { name: "must-exist", rows: &[MEMORY, ATTACH, KEPT, MUST_EXIST], play: must_exist },
    attaches!("with-mac", MAC, Config::new().hardware_address([2, 0, 0, 0, 0, 9])),
    attaches!("with-mtu", MTU, Config::new().mtu(1400)),
    Scenario { name: "with-length", rows: &[MEMORY, ATTACH, LENGTH], play: with_length },
    attaches!("with-addresses", ADDRESS, addresses()),
    attaches!("with-up", UP, Config::new().up()),
    ready_made!("ordinary-with-mtu", MTU, Config::new().mtu(1400)),
    ready_made!("ordinary-with-length", LENGTH, Config::new().queue_length(1000)),
    ready_made!("ordinary-with-address", ADDRESS, Config::new().address([10, 9, 0, 1].into(), 24)),
    ready_made!("ordinary-with-up", UP, Config::new().up()),
    attaches!("with-owner", PERSISTENT, Config::new().persistent(Some(0), Some(0))),
    attaches!("with-heirs", INHERITABLE, Config::new().inheritable()),
    Scenario { name: "busy", rows: &[MEMORY, ATTACH, BUSY], play: |sandbox| busy(sandbox, "this process") },
    Scenario {
        name: "busy-unnamed",
        rows: &[MEMORY, ATTACH, BUSY_UNNAMED],
        play: |sandbox| busy(sandbox, ""),
    },
    Scenario { name: "more-queues", rows: &[MEMORY, ADD], play: more_queues },
    Scenario { name: "inherited", rows: &[MEMORY, INHERITED], play: inherited },
    Scenario { name: "inherited-with-mtu", rows: &[MEMORY, SET_MTU, INHERITED], play: inherited_with_mtu },
    Scenario { name: "inherited-kept", rows: &[MEMORY, INHERITED_KEPT], play: inherited_kept },
    Scenario { name: "socket", rows: &[MEMORY, SOCKET], play: socket },
    Scenario { name: "reattach", rows: &[MEMORY, settings::MTU, REATTACH], play: reattach },
    Scenario { name: "detach", rows: &[MEMORY, DETACH], play: detach },
    Scenario { name: "detach-told", rows: &[MEMORY, NAME, DETACH], play: detach_told },
    Scenario { name: "attach-without-streams", rows: &[MEMORY, DUPLICATE, DETACH, ATTACH], play: streamless },
    Scenario { name: "macvtap", rows: &[MEMORY, MACVTAP], play: macvtap },
    Scenario { name: "foreign", rows: &[MEMORY, FOREIGN], play: foreign },
];

/// What is attached outlives the step.
fn attach(sandbox: &Sandbox, config: Config, queues: u16) {
    let taps = sandbox.within(|| config.name("vm0").attach_queues(queues)).unwrap();
    assert_eq!(taps.len(), usize::from(queues));
}

fn ready_made(sandbox: &Sandbox, config: Config) {
    ip("tuntap add vm0 mode tap user 0");
    ip("addr add 10.9.0.1/24 dev vm0");
    ip("link set vm0 mtu 1400 up");
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    attach(sandbox, config, 1);
}

fn header(sandbox: &Sandbox) {
    attach(sandbox, Config::new().offload(Offload::ALL), 1);
    attach(sandbox, Config::new().offload(Offload::ALL), 2);
}

fn addresses() -> Config {
    Config::new().address([10, 9, 0, 1].into(), 24).address("fd09::1".parse().unwrap(), 64)
}

/// Linux lets nobody set it in a user namespace, but asks the same calls of whoever tries.
fn with_length(sandbox: &Sandbox) {
    let outcome = sandbox.within(|| Config::new().name("vm0").queue_length(77).attach());
    if let Err(error) = outcome {
        let AttachError::Request { request: "queue length", source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.raw_os_error(), Some(libc::EPERM));
    }
}

fn found(sandbox: &Sandbox) {
    ip("tuntap add vm0 mode tap");
    attach(sandbox, Config::new(), 1);
    attach(sandbox, Config::new().offload(Offload::ALL), 1);
    ip("link del vm0");
    ip("tuntap add vm0 mode tap multi_queue");
    attach(sandbox, Config::new().offload(Offload::ALL), 2);
}

fn kept(sandbox: &Sandbox) {
    for queues in [1, 2] {
        ip(if queues == 1 { "tuntap add vm0 mode tap" } else { "tuntap add vm0 mode tap multi_queue" });
        attach(sandbox, Config::new().keep_state(), queues);
        attach(sandbox, Config::new().keep_state().offload(Offload::ALL), queues);
        ip("link del vm0");
    }
}

fn must_exist(sandbox: &Sandbox) {
    ip("tuntap add vm0 mode tap");
    attach(sandbox, Config::new().must_exist().keep_state(), 1);
}

fn busy(sandbox: &Sandbox, named: &str) {
    let _holder = Config::new().name("vm0").attach().unwrap();
    let config =
        Config::new().name("vm0").busy_timeout(Duration::from_millis(3)).name_holder(!named.is_empty());
    let refused = sandbox.within(|| config.attach()).unwrap_err();
    assert!(matches!(&refused, AttachError::Busy { holder, .. } if holder == named), "{refused}");
}

fn more_queues(sandbox: &Sandbox) {
    let taps = Config::new().name("vm0").offload(Offload::ALL).attach_queues(2).unwrap();
    assert_eq!(sandbox.within(|| taps[0].add_queues(2)).unwrap().len(), 2);
}

fn inherited(sandbox: &Sandbox) {
    for offload in [Offload::NONE, Offload::ALL] {
        let fd = Config::new().name("vm0").offload(offload).attach().unwrap().into_fd().unwrap();
        let tap = sandbox.within(|| Config::new().inherited(fd).offload(offload).attach()).unwrap();
        assert_eq!(tap.offload(), offload);
    }
    let fd = Config::new().name("vm0").attach().unwrap().into_fd().unwrap();
    assert!(sandbox.within(|| Tap::from_fd(fd)).is_ok());
}

fn inherited_with_mtu(sandbox: &Sandbox) {
    let fd = Config::new().name("vm0").attach().unwrap().into_fd().unwrap();
    assert!(sandbox.within(|| Config::new().inherited(fd).mtu(1400).attach()).is_ok());
}

fn inherited_kept(sandbox: &Sandbox) {
    for offload in [Offload::NONE, Offload::ALL] {
        let fd = Config::new().name("vm0").offload(offload).attach().unwrap().into_fd().unwrap();
        let config = Config::new().inherited(fd).offload(offload).keep_state();
        assert!(sandbox.within(|| config.attach()).is_ok());
    }
}

fn socket(sandbox: &Sandbox) {
    let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(sandbox.within(|| Tap::from_fd(ours.into())).is_ok());
}

fn reattach(sandbox: &Sandbox) {
    for offload in [Offload::NONE, Offload::ALL] {
        let backend = backend(Config::new().offload(offload));
        ip("link del tap0");
        let config = Config::new().name("tap0").offload(offload);
        assert!(!sandbox.within(|| backend.reattach(&config)).unwrap());
    }
    let config = || Config::new().name("many0");
    let queues: Vec<_> = config().attach_queues(2).unwrap().into_iter().map(Backend::new).collect();
    ip("link del many0");
    for queue in &queues {
        assert!(!sandbox.within(|| queue.reattach(&config())).unwrap());
    }
}

fn detach(sandbox: &Sandbox) {
    for _ in 0..2 {
        let tap = Config::new().name("vm0").attach().unwrap();
        sandbox.within(|| tap.detach()).unwrap();
    }
    let tap = Config::new().name("vm0").attach().unwrap();
    sandbox.within(|| drop(tap));
}

fn foreign(sandbox: &Sandbox) {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let refused = sandbox.within(|| Tap::from_fd(null.into())).unwrap_err();
    assert!(refused.found.contains("/dev/null"), "{refused}");
}

fn macvtap(sandbox: &Sandbox) {
    assert!(macvtaps(&["mv0"]));
    empty_dev();
    make_node("mv0");
    for offload in [Offload::NONE, Offload::ALL] {
        let config = Config::new().datalink("mv0").offload(offload);
        assert!(sandbox.within(|| config.attach()).is_ok());
    }
}

/// The line in the log bears the name.
fn detach_told(sandbox: &Sandbox) {
    log::set_logger(&Formatter).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let tap = Config::new().name("vm0").attach().unwrap();
    sandbox.within(|| tap.detach()).unwrap();
}

/// Makes the text of each line, and throws it away.
struct Formatter;

impl log::Log for Formatter {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        assert!(record.args().to_string().contains("vm0"));
    }

    fn flush(&self) {}
}

fn streamless(sandbox: &Sandbox) {
    (0..3).for_each(|number| nix::unistd::close(number).unwrap());
    attach(sandbox, Config::new(), 2);
}
