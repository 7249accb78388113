//! What the tests of data links share: a machine with links, and frames.

use std::io::{IoSlice, IoSliceMut};

use streams_model::{Kernel, Machine, Record};

use crate::bench::attach;
use crate::{Backend, Config, Frame, ReceiveError, TransmitError};

pub(crate) const OWN: [u8; 6] = [2, 8, 0x20, 0, 1, 0];
pub(crate) const OTHER: [u8; 6] = [2, 8, 0x20, 0, 1, 1];
/// One that nobody has.
pub(crate) const NEW: [u8; 6] = [2, 8, 0x20, 0, 1, 7];
pub(crate) const FOREIGN: [u8; 6] = [2, 8, 0x20, 0, 9, 9];
pub(crate) const EVERYBODY: [u8; 6] = [0xff; 6];
pub(crate) const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 0x51];
pub(crate) const IPV4: [u8; 2] = [8, 0];

/// A machine with a NIC of MTU 1500 and the vnic `vnic0` over it.
pub(crate) fn alone() -> Machine {
    let machine = Machine::boot();
    admin(&machine, |kernel| {
        kernel.create_nic("net0", [2, 8, 0x20, 0, 0, 1])?;
        kernel.set_link_mtu("net0", 1500)?;
        kernel.create_vnic("vnic0", "net0", OWN, 0)
    });
    machine
}

/// The same, and `vnic1` beside it.
pub(crate) fn with_neighbour() -> Machine {
    let machine = alone();
    admin(&machine, |kernel| kernel.create_vnic("vnic1", "net0", OTHER, 0));
    machine
}

/// Two vnics over an etherstub.
pub(crate) fn over_etherstub() -> Machine {
    let machine = Machine::boot();
    admin(&machine, |kernel| {
        kernel.create_etherstub("stub0", [2, 8, 0x20, 0, 0, 2])?;
        kernel.set_link_mtu("stub0", 9000)?;
        kernel.create_vnic("vnic0", "stub0", OWN, 0)?;
        kernel.create_vnic("vnic1", "stub0", OTHER, 0)
    });
    machine
}

#[track_caller]
pub(crate) fn admin(machine: &Machine, work: impl FnOnce(&mut Kernel) -> Result<(), streams_model::Errno>) {
    assert_eq!(machine.kernel(work), Ok(()));
}

pub(crate) fn link() -> Config {
    Config::new().datalink("vnic0")
}

pub(crate) fn backend() -> Backend {
    Backend::new(attach(link()))
}

/// A frame with this many bytes in all, filled with a pattern that tells its place in a row.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], kind: [u8; 2], len: usize, mark: u8) -> Vec<u8> {
    let mut frame = [&to[..], &from, &kind].concat();
    let rest = (frame.len()..len.max(frame.len())).map(|at| (at as u8).wrapping_add(mark));
    frame.extend(rest);
    frame.truncate(len);
    frame
}

/// The same with a VLAN tag.
pub(crate) fn tagged(tag: u16, len: usize) -> Vec<u8> {
    let mut bytes = frame(OTHER, OWN, [0x81, 0], len.max(18), 0);
    bytes[14..16].copy_from_slice(&tag.to_be_bytes());
    bytes[16..18].copy_from_slice(&IPV4);
    bytes.truncate(len);
    bytes
}

pub(crate) fn send(backend: &Backend, frame: &[u8]) -> Result<(), TransmitError> {
    backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(frame)]))
}

pub(crate) fn receive_into(backend: &Backend, room: usize) -> Result<Option<Vec<u8>>, ReceiveError> {
    let mut buffer = vec![0; room];
    let received = backend.receive(&mut [IoSliceMut::new(&mut buffer)])?;
    Ok(received.map(|received| buffer[..received.len].to_vec()))
}

pub(crate) fn receive(backend: &Backend) -> Option<Vec<u8>> {
    receive_into(backend, 66000).unwrap()
}

pub(crate) fn received(backend: &Backend) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| receive(backend)).collect()
}

/// What reached the neighbour.
pub(crate) fn arrived(machine: &Machine) -> Vec<Vec<u8>> {
    machine.kernel(|kernel| kernel.take_arrived_frames("vnic1")).unwrap()
}

/// The neighbour sends.
#[track_caller]
pub(crate) fn neighbour(machine: &Machine, frame: &[u8]) {
    admin(machine, |kernel| kernel.link_sends("vnic1", frame));
}

/// A frame comes by the wire.
#[track_caller]
pub(crate) fn wire(machine: &Machine, frame: &[u8]) {
    admin(machine, |kernel| kernel.wire_brings("net0", frame));
}

pub(crate) fn address_of(machine: &Machine, link: &str) -> [u8; 6] {
    let states = machine.kernel(|kernel| kernel.datalink_states());
    states.iter().find(|state| state.name == link).unwrap().address
}

/// Picks a request to a link's driver.
pub(crate) fn put(name: &'static str) -> impl Fn(&Record) -> bool + Send + 'static {
    move |record| record.is_about("putmsg", name)
}

/// The answer to `DL_INFO_REQ` as it was observed, with these words changed.
pub(crate) fn info_with(changes: &[(usize, u32)]) -> &'static [u8] {
    let mut words = [0_u32; 43];
    words[..19].copy_from_slice(&[
        3,
        1500,
        0,
        8,
        4,
        0,
        0,
        (-2_i32).cast_unsigned(),
        2,
        0,
        0,
        0,
        0,
        0x500,
        0,
        2,
        6,
        98,
        0,
    ]);
    changes.iter().for_each(|(word, value)| words[*word] = *value);
    Vec::leak(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
}
