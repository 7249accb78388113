//! A loop for each public data function, as a hypervisor has it. `ci/shape` reads the machine code: the system call
//! has to stand in the loop's own function.

use std::io::{IoSlice, IoSliceMut};

use tap_plumb::{Backend, Checksum, Frame, OwnedTransmitter, RawSlice, Transmitter};

const HEADER: usize = 12;

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_send(session: &mut Transmitter<'_>, slices: &[IoSlice<'_>]) -> usize {
    (0..1000).filter(|_| session.send(&Frame::new(slices)).is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_send_owned(session: &mut OwnedTransmitter, slices: &[IoSlice<'_>]) -> usize {
    (0..1000).filter(|_| session.send(&Frame::new(slices)).is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_send_with_header(session: &mut Transmitter<'_>, slices: &[IoSlice<'_>]) -> usize {
    (0..1000).filter(|_| session.send_with_header(slices, HEADER).is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_send_raw(session: &mut Transmitter<'_>, slices: &[RawSlice]) -> usize {
    // SAFETY: nobody calls this; it is compiled to be looked at.
    (0..1000).filter(|_| unsafe { session.send_raw(slices, None, Checksum::Complete) }.is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_send_raw_with_header(session: &mut Transmitter<'_>, slices: &[RawSlice]) -> usize {
    // SAFETY: as above.
    (0..1000).filter(|_| unsafe { session.send_raw_with_header(slices, HEADER) }.is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_receive(backend: &Backend, slices: &mut [IoSliceMut<'_>]) -> usize {
    (0..1000).filter(|_| backend.receive(slices).is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_receive_with_header(backend: &Backend, slices: &mut [IoSliceMut<'_>]) -> usize {
    (0..1000).filter(|_| backend.receive_with_header(slices).is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_receive_raw(backend: &Backend, slices: &[RawSlice]) -> usize {
    // SAFETY: as above.
    (0..1000).filter(|_| unsafe { backend.receive_raw(slices) }.is_ok()).count()
}

#[unsafe(no_mangle)]
#[inline(never)]
fn shape_receive_raw_with_header(backend: &Backend, slices: &[RawSlice]) -> usize {
    // SAFETY: as above.
    (0..1000).filter(|_| unsafe { backend.receive_raw_with_header(slices) }.is_ok()).count()
}

fn main() {
    let functions = [
        shape_send as *const (),
        shape_send_owned as *const (),
        shape_send_with_header as *const (),
        shape_send_raw as *const (),
        shape_send_raw_with_header as *const (),
        shape_receive as *const (),
        shape_receive_with_header as *const (),
        shape_receive_raw as *const (),
        shape_receive_raw_with_header as *const (),
    ];
    println!("{functions:?}");
}
