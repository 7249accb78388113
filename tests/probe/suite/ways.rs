//! Every public form of sending a frame.

// UNSAFETY: the raw forms take guest memory, for which this process's own stands in.
#![expect(unsafe_code, reason = "the raw forms of send")]

use std::io::IoSlice;
use std::sync::Arc;

use tap_plumb::{Backend, Checksum, Frame, Gso, RawSlice, TransmitError};

use super::cases::Case;

/// One of the forms; `None` where it cannot say what the case asks for.
type Form = fn(&Arc<Backend>, &Case) -> Option<Result<(), TransmitError>>;

pub(crate) const FORMS: [(&str, Form); 13] = [
    ("send", |backend, case| framed(backend, case, usize::MAX, false)),
    ("send, scattered", |backend, case| framed(backend, case, 1000, false)),
    ("resume", |backend, case| framed(backend, case, usize::MAX, true)),
    ("send_buffer", buffered),
    ("send_with_header of 12", |backend, case| headed(backend, case, 12, usize::MAX)),
    ("send_with_header of 12, scattered", |backend, case| headed(backend, case, 12, 1000)),
    ("send_with_header of 10", |backend, case| headed(backend, case, 10, 700)),
    ("send_raw", |backend, case| raw(backend, case, usize::MAX)),
    ("send_raw, scattered", |backend, case| raw(backend, case, 1000)),
    ("send_raw_with_header of 12", |backend, case| raw_headed(backend, case, 12, usize::MAX)),
    ("send_raw_with_header of 10, scattered", |backend, case| raw_headed(backend, case, 10, 1000)),
    ("an owned session's send", owned),
    ("an owned session's send_with_header", owned_headed),
];

fn slices(bytes: &[u8], most: usize) -> Vec<IoSlice<'_>> {
    bytes.chunks(most).map(IoSlice::new).collect()
}

fn framed(
    backend: &Arc<Backend>,
    case: &Case,
    most: usize,
    resumed: bool,
) -> Option<Result<(), TransmitError>> {
    let (gso, checksum) = case.contexts?;
    let slices = slices(&case.frame, most);
    let mut session = backend.begin_transmit().expect("a session");
    let frame = frame(&slices, gso, checksum);
    Some(if resumed { session.resume(&frame, 0) } else { session.send(&frame) })
}

fn frame<'a>(slices: &'a [IoSlice<'a>], gso: Option<Gso>, checksum: Checksum) -> Frame<'a> {
    let frame = Frame::new(slices).checksum(checksum);
    gso.map_or(frame, |gso| frame.gso(gso))
}

/// A buffer's frame has a whole checksum, or one that cutting it makes anew.
fn buffered(backend: &Arc<Backend>, case: &Case) -> Option<Result<(), TransmitError>> {
    let (gso, Checksum::Complete) = case.contexts? else { return None };
    let mut session = backend.begin_transmit().expect("a session");
    let mut buffer = session.allocate(case.frame.len()).expect("a buffer");
    buffer.set_used(case.frame.len()).expect("room for what was asked for");
    buffer[..case.frame.len()].copy_from_slice(&case.frame);
    Some(session.send_buffer(buffer, gso))
}

/// Header and frame in one run of bytes, as a driver may have them.
fn with_header(case: &Case, len: usize) -> Option<Vec<u8>> {
    Some([&case.header?[..len], &case.frame].concat())
}

fn headed(backend: &Arc<Backend>, case: &Case, len: usize, most: usize) -> Option<Result<(), TransmitError>> {
    let bytes = with_header(case, len)?;
    Some(backend.begin_transmit().expect("a session").send_with_header(&slices(&bytes, most), len))
}

fn raw_slices(bytes: &mut [u8], most: usize) -> Vec<RawSlice> {
    bytes.chunks_mut(most).map(|chunk| RawSlice::new(chunk.as_mut_ptr(), chunk.len())).collect()
}

fn raw(backend: &Arc<Backend>, case: &Case, most: usize) -> Option<Result<(), TransmitError>> {
    let (gso, checksum) = case.contexts?;
    let mut bytes = case.frame.clone();
    let slices = raw_slices(&mut bytes, most);
    let mut session = backend.begin_transmit().expect("a session");
    // SAFETY: the slices are the bytes of `bytes`, which lives and is not touched until after the call.
    Some(unsafe { session.send_raw(&slices, gso, checksum) })
}

fn raw_headed(
    backend: &Arc<Backend>,
    case: &Case,
    len: usize,
    most: usize,
) -> Option<Result<(), TransmitError>> {
    let mut bytes = with_header(case, len)?;
    let slices = raw_slices(&mut bytes, most);
    let mut session = backend.begin_transmit().expect("a session");
    // SAFETY: the slices are the bytes of `bytes`, which lives and is not touched until after the call.
    Some(unsafe { session.send_raw_with_header(&slices, len) })
}

fn owned(backend: &Arc<Backend>, case: &Case) -> Option<Result<(), TransmitError>> {
    let (gso, checksum) = case.contexts?;
    let slices = slices(&case.frame, 1000);
    let mut session = Arc::clone(backend).begin_transmit_owned().expect("a session");
    Some(session.send(&frame(&slices, gso, checksum)))
}

fn owned_headed(backend: &Arc<Backend>, case: &Case) -> Option<Result<(), TransmitError>> {
    let bytes = with_header(case, 12)?;
    let mut session = Arc::clone(backend).begin_transmit_owned().expect("a session");
    Some(session.send_with_header(&slices(&bytes, usize::MAX), 12))
}
