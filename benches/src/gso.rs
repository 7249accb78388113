//! Cutting an oversized frame, beside the seed's way; and giving it to the host, beside the bare call.

use std::convert::Infallible;
use std::hint::black_box;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::uio::writev;
use tap_plumb::{Backend, Completion, Frame, Gso, GsoKind, Offload};

use crate::measure::{ROUNDS, beside_calls, compare, least, timed};
use crate::report::{Bound, Report};
use crate::rig::{Aligned, Outcome, Rig, copies};
use crate::{fastest, in_line, repeat};

const HEADERS: usize = 54;
const SIZE: usize = 1448;
/// Oversized frames a run.
const SENDS: usize = 200;
/// How often a try cuts a frame.
const CUTS: usize = 20;
/// As much as an IPv4 packet holds.
const PAYLOAD: usize = 65535 - 40;
const SEGMENTS: usize = PAYLOAD.div_ceil(SIZE);
const GSO: Gso = Gso {
    kind: GsoKind::Tcp4,
    header_len: HEADERS as u16,
    segment_size: SIZE as u16,
    network_offset: 14,
    transport_offset: 34,
};

/// TCP over IPv4 to somebody else on the link, so that the host drops it at its door.
fn oversized() -> Aligned {
    let mut frame: Vec<u8> = (0..HEADERS + PAYLOAD).map(|at| (at * 31) as u8).collect();
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0xff, 0xff, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3]);
    frame[34..54].copy_from_slice(&[0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    // With the checksums that a guest leaves, so that both contenders give the host the same bytes.
    let mut whole = Vec::new();
    let completed = Frame::new(&[IoSlice::new(&frame)]).gso(GSO).complete(Completion::Pseudo, |slices| {
        whole = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        Ok::<(), Infallible>(())
    });
    completed.expect("a valid frame");
    Aligned::copy_of(&whole)
}

pub fn all(report: &mut Report) -> Outcome<()> {
    carve(report);
    super_frame(&Rig::new(1, Offload::ALL)?.backend, report);
    Ok(())
}

/// Cutting alone, without a system call.
fn carve(report: &mut Report) {
    let frames = copies(&oversized());
    let mut ours = || least(frames.each_ref().map(|frame| timed(|| (0..CUTS).for_each(|_| cut(frame)))));
    let mut own = copies(&oversized());
    let mut seed =
        || least(own.each_mut().map(|frame| timed(|| (0..CUTS).for_each(|_| in_place(black_box(frame))))));
    let result = compare(ROUNDS, &mut ours, &mut seed);
    report.line("gso.carve.64k", &result, CUTS * SEGMENTS, "in-place", Bound::AtMost(0.20));
}

fn cut(frame: &[u8]) {
    let slices = [IoSlice::new(black_box(frame))];
    let segments = Frame::new(&slices).gso(GSO).carve(0, |segment| {
        black_box(segment);
        Ok::<(), Infallible>(())
    });
    assert_eq!(segments.expect("a valid frame") as usize, SEGMENTS);
}

/// The seed's way, from its description: the headers of each segment are copied before its payload, over the end of the
/// payload before it, and all of it is summed 16 bits at a time.
fn in_place(frame: &mut [u8]) {
    let mut prototype = [0; HEADERS];
    prototype.copy_from_slice(&frame[..HEADERS]);
    for index in 0..SEGMENTS {
        let start = index * SIZE;
        let end = (start + HEADERS + SIZE).min(frame.len());
        let segment = &mut frame[start..end];
        segment[..HEADERS].copy_from_slice(&prototype);
        let total = (segment.len() - 14) as u16;
        segment[16..18].copy_from_slice(&total.to_be_bytes());
        segment[18..20].copy_from_slice(&(index as u16 + 1).to_be_bytes());
        segment[24..26].fill(0);
        let header = !naive(&segment[14..34]);
        segment[24..26].copy_from_slice(&header.to_be_bytes());
        segment[38..42].copy_from_slice(&(1 + start as u32).to_be_bytes());
        segment[50..52].fill(0);
        let pseudo = u32::from(naive(&segment[26..34])) + 6 + u32::from(total) - 20;
        let sum = pseudo + u32::from(naive(&segment[34..]));
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !(folded as u16);
        segment[50..52].copy_from_slice(&checksum.to_be_bytes());
        black_box(&segment);
    }
}

/// The sum of RFC 1071, word by word.
pub fn naive(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        // As the C loop does it: one word, one addition; not for the vectoriser.
        sum = black_box(sum + u32::from(u16::from_be_bytes([word[0], word[1]])));
    }
    if let [last] = words.remainder() {
        sum += u32::from(u16::from_be_bytes([*last, 0]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// An oversized frame to a host that cuts it itself.
fn super_frame(backend: &Backend, report: &mut Report) {
    let fd = backend.as_fd().as_raw_fd();
    let frames = copies(&oversized());
    let slices =
        frames.each_ref().map(|frame| [IoSlice::new(&frame[..HEADERS]), IoSlice::new(&frame[HEADERS..])]);
    let mut ours = fastest!(at => {
        let frame = Frame::new(&slices[at]).gso(GSO);
        backend.use_host_offload(true);
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(SENDS, session.send(&frame).expect("send"))
    });
    // NEEDS_CSUM, TCPV4, where the headers end, the segment size, the checksum at 34 + 16.
    let header = [1, 1, 54, 0, (SIZE & 0xff) as u8, (SIZE >> 8) as u8, 34, 0, 16, 0, 0, 0];
    let whole = slices.map(|[headers, payload]| [IoSlice::new(&header), headers, payload]);
    let len = header.len() + HEADERS + PAYLOAD;
    let mut in_line = fastest!(at => {
        let whole = &whole[at][..];
        repeat!(SENDS, assert_eq!(in_line::writev(fd, whole), Ok(len)))
    });
    let mut library = fastest!(at => {
        let whole = &whole[at][..];
        repeat!(SENDS, assert_eq!(writev(backend, whole), Ok(len)))
    });
    let result = beside_calls(ROUNDS, &mut ours, &mut in_line, &mut library);
    report.beside_calls("gso.super-frame.64k", &result, SENDS, "writev", 1.05);
    let mut software = fastest!(at => {
        let frame = Frame::new(&slices[at]).gso(GSO);
        backend.use_host_offload(false);
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(SENDS, session.send(&frame).expect("send"))
    });
    let result = compare(ROUNDS, &mut ours, &mut software);
    report.line("gso.super-frame.64k", &result, SENDS, "software", Bound::AtMost(0.125));
}
