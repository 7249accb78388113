//! The attach, step by step; re-attach and detach.

use std::time::Duration;

use tap_plumb::{AttachError, Config, Offload, Tap};

use super::frames::backend;
use super::host::ip;
use super::sandbox::Sandbox;
use super::scenarios::Scenario;

const MEMORY: &str = "memory and locks, as any program of Rust";
const ATTACH: &str = "Config::attach, for each queue";
const HEADER: &str = "… with Config::offload, for each queue";
const MAC: &str = "… with Config::hardware_address";
const MTU: &str = "… with Config::mtu";
const ADDRESS: &str = "… with Config::address";
const UP: &str = "… with Config::up";
const MUST_EXIST: &str = "… with Config::must_exist";
const BUSY: &str = "… of an interface that is busy";
const INHERITED: &str = "Config::inherited, Tap::from_fd, for a TAP";
const SOCKET: &str = "Config::inherited, Tap::from_fd, for a socket";
const REATTACH: &str = "reattach, beside what its Config asks for";
const DETACH: &str = "detach, or a drop";

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "attach", rows: &[MEMORY, ATTACH], play: |sandbox| attach(sandbox, Config::new(), 1) },
    Scenario { name: "queues", rows: &[MEMORY, ATTACH], play: |sandbox| attach(sandbox, Config::new(), 2) },
    Scenario { name: "header", rows: &[MEMORY, ATTACH, HEADER], play: header },
    Scenario { name: "with-mac", rows: &[MEMORY, ATTACH, MAC], play: with_mac },
    Scenario { name: "with-mtu", rows: &[MEMORY, ATTACH, MTU], play: with_mtu },
    Scenario { name: "with-address", rows: &[MEMORY, ATTACH, ADDRESS], play: with_address },
    Scenario { name: "with-up", rows: &[MEMORY, ATTACH, UP], play: with_up },
    Scenario { name: "must-exist", rows: &[MEMORY, ATTACH, MUST_EXIST], play: must_exist },
    Scenario { name: "busy", rows: &[MEMORY, ATTACH, BUSY], play: busy },
    Scenario { name: "inherited", rows: &[MEMORY, INHERITED], play: inherited },
    Scenario { name: "socket", rows: &[MEMORY, SOCKET], play: socket },
    Scenario { name: "reattach", rows: &[MEMORY, REATTACH], play: reattach },
    Scenario { name: "detach", rows: &[MEMORY, DETACH], play: detach },
];

/// What is attached outlives the step.
fn attach(sandbox: &Sandbox, config: Config, queues: u16) {
    let taps = sandbox.within(|| config.name("vm0").attach_queues(queues)).unwrap();
    assert_eq!(taps.len(), usize::from(queues));
}

fn header(sandbox: &Sandbox) {
    attach(sandbox, Config::new().offload(Offload::ALL), 1);
    attach(sandbox, Config::new().offload(Offload::ALL), 2);
}

fn with_mac(sandbox: &Sandbox) {
    attach(sandbox, Config::new().hardware_address([2, 0, 0, 0, 0, 9]), 1);
}

fn with_mtu(sandbox: &Sandbox) {
    attach(sandbox, Config::new().mtu(1400), 1);
}

fn with_address(sandbox: &Sandbox) {
    attach(
        sandbox,
        Config::new().address([10, 9, 0, 1].into(), 24).address("fd09::1".parse().unwrap(), 64),
        1,
    );
}

fn with_up(sandbox: &Sandbox) {
    attach(sandbox, Config::new().up(), 1);
}

fn must_exist(sandbox: &Sandbox) {
    ip("tuntap add vm0 mode tap");
    attach(sandbox, Config::new().must_exist(), 1);
}

fn busy(sandbox: &Sandbox) {
    let _holder = Config::new().name("vm0").attach().unwrap();
    let config = Config::new().name("vm0").busy_timeout(Duration::from_millis(3));
    let refused = sandbox.within(|| config.attach()).unwrap_err();
    assert!(matches!(&refused, AttachError::Busy { holder, .. } if holder == "this process"), "{refused}");
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

fn socket(sandbox: &Sandbox) {
    let (ours, _theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(sandbox.within(|| Tap::from_fd(ours.into())).is_ok());
}

fn reattach(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    ip("link del tap0");
    let config = Config::new().name("tap0");
    assert!(!sandbox.within(|| backend.reattach(&config)).unwrap());
}

fn detach(sandbox: &Sandbox) {
    for _ in 0..2 {
        let tap = Config::new().name("vm0").attach().unwrap();
        sandbox.within(|| tap.detach()).unwrap();
    }
    let tap = Config::new().name("vm0").attach().unwrap();
    sandbox.within(|| drop(tap));
}
