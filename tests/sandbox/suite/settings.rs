//! What is asked of a TAP in service, and told it.

use std::io::Write;

use nix::sched::{CloneFlags, unshare};
use tap_plumb::{Backend, Config, LinkState, Offload};

use super::frames::backend;
use super::host::{PacketSocket, frame};
use super::sandbox::Sandbox;
use super::scenarios::Scenario;

pub(crate) const OFFLOAD: &str = "Backend::set_offload, Tap::set_offload";
pub(crate) const MEMORY: &str = "memory and locks, as any program of Rust; allocate, on_transmit_ready";
pub(crate) const DUPLICATE: &str = "duplicate_fd";
const LINK: &str = "set_link_state, set_carrier";
const STATISTICS: &str = "statistics";
pub(crate) const MTU: &str = "Backend::new, refresh_mtu, take_link_events, mtu";
pub(crate) const NAME: &str = "name, check_gone, Debug of a Tap";
const MAC: &str = "hardware_address";
const SET_MAC: &str = "set_hardware_address";
const UP: &str = "is_up";
const SET_UP: &str = "set_up";
pub(crate) const SET_MTU: &str = "set_mtu";
const SET_ADDRESS: &str = "set_address";
const QUEUE: &str = "set_queue_enabled";
const SET_HEADER: &str = "set_header_len";
const INDEX: &str = "index";
const ADDRESSES: &str = "addresses";

/// A scenario of a process without any right over the network.
macro_rules! ordinary {
    ($name:literal, $row:ident, $ask:expr) => {
        Scenario { name: $name, rows: &[MEMORY, $row], play: |sandbox| ordinary(sandbox, $ask) }
    };
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "memory", rows: &[MEMORY], play: memory },
    Scenario { name: "duplicate", rows: &[DUPLICATE], play: duplicate },
    Scenario { name: "offload", rows: &[OFFLOAD], play: offload },
    Scenario { name: "link", rows: &[LINK], play: link },
    Scenario { name: "statistics", rows: &[MEMORY, STATISTICS], play: statistics },
    Scenario { name: "mtu", rows: &[MEMORY, MTU], play: mtu },
    Scenario { name: "name", rows: &[NAME], play: name },
    Scenario { name: "mac", rows: &[MAC], play: mac },
    Scenario { name: "set-mac", rows: &[SET_MAC], play: set_mac },
    Scenario { name: "up", rows: &[UP], play: up },
    Scenario { name: "set-up", rows: &[SET_UP], play: set_up },
    Scenario { name: "set-mtu", rows: &[SET_MTU], play: set_mtu },
    Scenario { name: "set-address", rows: &[MEMORY, SET_ADDRESS], play: set_address },
    Scenario { name: "queue", rows: &[QUEUE], play: queue },
    Scenario { name: "set-header", rows: &[SET_HEADER], play: set_header },
    Scenario { name: "index", rows: &[INDEX], play: index },
    Scenario { name: "addresses", rows: &[MEMORY, ADDRESSES], play: addresses },
    ordinary!("ordinary-statistics", STATISTICS, |backend| {
        assert_eq!(backend.statistics().dropped_by_host, Some(0));
    }),
    ordinary!("ordinary-mtu", MTU, |backend| assert_eq!(backend.tap().mtu().unwrap(), 1500)),
    ordinary!("ordinary-index", INDEX, |backend| assert!(backend.tap().index().is_ok())),
    ordinary!("ordinary-addresses", ADDRESSES, |backend| assert!(backend.tap().addresses().is_ok())),
    ordinary!("ordinary-up", UP, |backend| assert!(backend.tap().is_up().unwrap())),
    ordinary!("ordinary-set-up", SET_UP, |backend| assert!(backend.tap().set_up(false).is_err())),
    ordinary!("ordinary-set-mtu", SET_MTU, |backend| assert!(backend.tap().set_mtu(1400).is_err())),
    ordinary!("ordinary-set-address", SET_ADDRESS, |backend| {
        assert!(backend.tap().set_address([10, 9, 0, 1].into(), 24).is_err());
    }),
];

fn ordinary(sandbox: &Sandbox, ask: fn(&Backend)) {
    let backend = backend(Config::new());
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    sandbox.within(|| ask(&backend));
}

fn memory(sandbox: &Sandbox) {
    assert_eq!(sandbox.within(|| vec![1_u8; 1 << 20].len()), 1 << 20);
    let backend = backend(Config::new());
    sandbox.within(|| backend.on_transmit_ready(|| ()));
    assert!(sandbox.within(|| backend.begin_transmit().unwrap().allocate(1514)).is_ok());
}

fn duplicate(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.duplicate_fd()).is_ok());
}

fn offload(sandbox: &Sandbox) {
    let backend = backend(Config::new().offload(Offload::ALL));
    let wanted = Offload::with_header(12).unwrap();
    assert_eq!(sandbox.within(|| backend.set_offload(wanted)).unwrap(), wanted);
    assert_eq!(sandbox.within(|| backend.tap().set_offload(Offload::ALL)).unwrap(), Offload::ALL);
    assert!(sandbox.within(|| backend.set_offload(Offload::NONE)).is_err());
}

fn link(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    let wire = PacketSocket::new("tap0");
    sandbox.within(|| backend.set_link_state(LinkState::Down));
    wire.send(&frame(60, 0));
    sandbox.within(|| backend.set_link_state(LinkState::Up));
    assert_eq!(backend.statistics().receive.link_down, 1);
    assert!(sandbox.within(|| backend.tap().set_carrier(false)).is_ok());
}

fn statistics(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert_eq!(sandbox.within(|| backend.statistics()).dropped_by_host, Some(0));
}

fn mtu(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    sandbox.within(|| backend.refresh_mtu());
    assert_eq!(sandbox.within(|| backend.take_link_events()).unwrap(), None);
    assert_eq!(sandbox.within(|| backend.tap().mtu()).unwrap(), 1500);
    let tap = Config::new().name("other0").attach().unwrap();
    assert!(sandbox.within(|| Backend::new(tap)).receive_buffer_len() < 1600);
}

fn name(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert_eq!(sandbox.within(|| backend.tap().name()).unwrap().as_str(), Some("tap0"));
    assert!(!sandbox.within(|| backend.check_gone()));
    let mut shown = [0; 32];
    // As much of it as there is room for.
    let _ = sandbox.within(|| write!(&mut shown[..], "{:?}", backend.tap()));
    assert!(shown.starts_with(b"Tap { name: \"tap0\", fd: "), "{}", shown.escape_ascii());
}

fn set_header(sandbox: &Sandbox) {
    let mut tap = Config::new().name("vm0").offload(Offload::ALL).attach().unwrap();
    assert!(sandbox.within(|| tap.set_header_len(10)).is_ok());
}

fn index(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().index()).unwrap() > 1);
}

fn addresses(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert_eq!(sandbox.within(|| backend.tap().addresses()).unwrap(), []);
}

fn mac(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().hardware_address()).is_ok());
}

fn set_mac(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().set_hardware_address([2, 0, 0, 0, 0, 9])).is_ok());
}

fn up(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().is_up()).unwrap());
}

fn set_up(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().set_up(false)).is_ok());
}

fn set_mtu(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    assert!(sandbox.within(|| backend.tap().set_mtu(1400)).is_ok());
}

fn set_address(sandbox: &Sandbox) {
    let backend = backend(Config::new());
    for prefix in [24, 24, 16] {
        assert!(sandbox.within(|| backend.tap().set_address([10, 9, 0, 1].into(), prefix)).is_ok());
    }
}

fn queue(sandbox: &Sandbox) {
    let taps = Config::new().name("many0").attach_queues(2).unwrap();
    for enabled in [false, false, true] {
        assert!(sandbox.within(|| taps[1].set_queue_enabled(enabled)).is_ok());
    }
}
