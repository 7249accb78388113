//! Every public form of sending a frame.

// UNSAFETY: the raw forms take guest memory, for which this process's own stands in.
#![expect(unsafe_code, reason = "the raw forms of send")]

use std::io::IoSlice;
use std::sync::Arc;

use tap_plumb::{Backend, Checksum, Frame, Gso, RawSlice, TransmitError};

use super::cases::Case;

/// How a form ended; `None` where it cannot say what the case asks for.
type Outcome = Option<Result<(), TransmitError>>;

/// One of the forms, for a frame of which so many segments have been sent.
type Form = fn(&Arc<Backend>, &Case, u32) -> Outcome;

/// Names, and whether the form goes on with a frame that was begun.
pub(crate) const FORMS: [(&str, bool, Form); 17] = [
    ("send", false, |backend, case, _| framed(backend, case, WHOLE, None)),
    ("send, scattered", false, |backend, case, _| framed(backend, case, 1000, None)),
    ("resume", true, |backend, case, sent| framed(backend, case, 1000, Some(sent))),
    ("send_buffer", false, |backend, case, _| buffered(backend, case)),
    ("send_with_header of 12", false, |backend, case, _| headed(backend, case, 12, WHOLE, None)),
    ("send_with_header of 12, scattered", false, |backend, case, _| headed(backend, case, 12, 1000, None)),
    ("send_with_header of 10", false, |backend, case, _| headed(backend, case, 10, 700, None)),
    ("resume_with_header of 12", true, |backend, case, sent| headed(backend, case, 12, 1000, Some(sent))),
    ("send_raw", false, |backend, case, _| raw(backend, case, WHOLE, None)),
    ("send_raw, scattered", false, |backend, case, _| raw(backend, case, 1000, None)),
    ("resume_raw", true, |backend, case, sent| raw(backend, case, 1000, Some(sent))),
    ("send_raw_with_header of 12", false, |backend, case, _| raw_headed(backend, case, 12, WHOLE, None)),
    ("send_raw_with_header of 10, scattered", false, |backend, case, _| {
        raw_headed(backend, case, 10, 1000, None)
    }),
    ("resume_raw_with_header of 10", true, |backend, case, sent| {
        raw_headed(backend, case, 10, 1000, Some(sent))
    }),
    ("an owned session's send", false, |backend, case, _| owned(backend, case)),
    ("an owned session's send_with_header", false, |backend, case, _| owned_headed(backend, case)),
    ("an owned session's send_raw", false, |backend, case, _| owned_raw(backend, case)),
];

/// Bytes of a slice, where the frame is to be in one.
const WHOLE: usize = usize::MAX;

fn slices(bytes: &[u8], most: usize) -> Vec<IoSlice<'_>> {
    bytes.chunks(most).map(IoSlice::new).collect()
}

fn raw_slices(bytes: &mut [u8], most: usize) -> Vec<RawSlice> {
    bytes.chunks_mut(most).map(|chunk| RawSlice::new(chunk.as_mut_ptr(), chunk.len())).collect()
}

fn frame<'a>(slices: &'a [IoSlice<'a>], gso: Option<Gso>, checksum: Checksum) -> Frame<'a> {
    let frame = Frame::new(slices).checksum(checksum);
    gso.map_or(frame, |gso| frame.gso(gso))
}

/// Header and frame in one run of bytes, as a driver may have them.
fn with_header(case: &Case, len: usize) -> Option<Vec<u8>> {
    Some([&case.header?[..len], &case.frame].concat())
}

fn framed(backend: &Arc<Backend>, case: &Case, most: usize, sent: Option<u32>) -> Outcome {
    let (gso, checksum) = case.contexts?;
    let slices = slices(&case.frame, most);
    let frame = frame(&slices, gso, checksum);
    let mut session = backend.begin_transmit().expect("a session");
    Some(match sent {
        None => session.send(&frame),
        Some(sent) => session.resume(&frame, sent),
    })
}

/// A buffer's frame has a whole checksum, or one that cutting it makes anew.
fn buffered(backend: &Arc<Backend>, case: &Case) -> Outcome {
    let (gso, Checksum::Complete) = case.contexts? else { return None };
    let mut session = backend.begin_transmit().expect("a session");
    let mut buffer = session.allocate(case.frame.len()).expect("a buffer");
    buffer.set_used(case.frame.len()).expect("room for what was asked for");
    buffer[..case.frame.len()].copy_from_slice(&case.frame);
    Some(session.send_buffer(buffer, gso))
}

fn headed(backend: &Arc<Backend>, case: &Case, len: usize, most: usize, sent: Option<u32>) -> Outcome {
    let bytes = with_header(case, len)?;
    let slices = slices(&bytes, most);
    let mut session = backend.begin_transmit().expect("a session");
    Some(match sent {
        None => session.send_with_header(&slices, len),
        Some(sent) => session.resume_with_header(&slices, len, sent),
    })
}

fn raw(backend: &Arc<Backend>, case: &Case, most: usize, sent: Option<u32>) -> Outcome {
    let (gso, checksum) = case.contexts?;
    let mut bytes = case.frame.clone();
    let slices = raw_slices(&mut bytes, most);
    let mut session = backend.begin_transmit().expect("a session");
    Some(match sent {
        // SAFETY: the slices are the bytes of `bytes`, which lives and is not touched until after the call.
        None => unsafe { session.send_raw(&slices, gso, checksum) },
        // SAFETY: as above.
        Some(sent) => unsafe { session.resume_raw(&slices, gso, checksum, sent) },
    })
}

fn raw_headed(backend: &Arc<Backend>, case: &Case, len: usize, most: usize, sent: Option<u32>) -> Outcome {
    let mut bytes = with_header(case, len)?;
    let slices = raw_slices(&mut bytes, most);
    let mut session = backend.begin_transmit().expect("a session");
    Some(match sent {
        // SAFETY: the slices are the bytes of `bytes`, which lives and is not touched until after the call.
        None => unsafe { session.send_raw_with_header(&slices, len) },
        // SAFETY: as above.
        Some(sent) => unsafe { session.resume_raw_with_header(&slices, len, sent) },
    })
}

fn owned(backend: &Arc<Backend>, case: &Case) -> Outcome {
    let (gso, checksum) = case.contexts?;
    let slices = slices(&case.frame, 1000);
    let mut session = Arc::clone(backend).begin_transmit_owned().expect("a session");
    Some(session.send(&frame(&slices, gso, checksum)))
}

fn owned_headed(backend: &Arc<Backend>, case: &Case) -> Outcome {
    let bytes = with_header(case, 12)?;
    let mut session = Arc::clone(backend).begin_transmit_owned().expect("a session");
    Some(session.send_with_header(&slices(&bytes, WHOLE), 12))
}

fn owned_raw(backend: &Arc<Backend>, case: &Case) -> Outcome {
    let (gso, checksum) = case.contexts?;
    let mut bytes = case.frame.clone();
    let slices = raw_slices(&mut bytes, 1000);
    let mut session = Arc::clone(backend).begin_transmit_owned().expect("a session");
    // SAFETY: the slices are the bytes of `bytes`, which lives and is not touched until after the call.
    Some(unsafe { session.send_raw(&slices, gso, checksum) })
}
