//! The other forms of the two calls: behind a virtio-net header, and in guest memory.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::slice;

use nix::errno::Errno;
use nix::sys::uio::{readv, writev};
use nix::unistd::{read, write};
use tap_plumb::{Checksum, Offload, RawSlice};

use crate::measure::{ROUNDS_APART, beside_calls};
use crate::report::Report;
use crate::rig::{Outcome, Places, QUEUE, Rig, copies, frame, room};
use crate::{drain, fastest, in_line, repeat};

const BATCH: usize = 2000;
const LEN: usize = 1514;
const HEADER: usize = 12;
/// Beside the same instruction in line.
const BARE: f64 = 1.05;
/// The header is read, and is a slice of its own.
const BEHIND_HEADER: f64 = 1.08;

pub fn all(report: &mut Report) -> Outcome<()> {
    let rig = Rig::new(0, Offload::ALL)?;
    transmit_header(&rig, report);
    transmit_raw_header(&rig, report);
    receive_header(&rig, report);
    receive_raw_header(&rig, report);
    let rig = Rig::new(1, Offload::NONE)?;
    transmit_raw(&rig, report);
    receive_raw(&rig, report);
    receive_empty(&rig, report);
    Ok(())
}

/// Beside the call with the header in a slice of its own, copied for each frame.
macro_rules! beside_writev {
    ($report:expr, $name:expr, $rig:expr, $bytes:expr, $ours:expr) => {{
        let fd = $rig.backend.as_fd().as_raw_fd();
        let bytes = &$bytes;
        let mut in_line = fastest!(at => {
            let (header, rest) = bytes[at].split_at(HEADER);
            repeat!(BATCH, {
                let copy: [u8; HEADER] = header.try_into().expect("a header");
                let slices = [IoSlice::new(&copy), IoSlice::new(rest)];
                assert_eq!(in_line::writev(fd, &slices), Ok(HEADER + LEN));
            })
        });
        let mut library = fastest!(at => {
            let (header, rest) = bytes[at].split_at(HEADER);
            repeat!(BATCH, {
                let copy: [u8; HEADER] = header.try_into().expect("a header");
                let slices = [IoSlice::new(&copy), IoSlice::new(rest)];
                assert_eq!(writev(&$rig.backend, &slices), Ok(HEADER + LEN));
            })
        });
        let result = beside_calls(ROUNDS_APART, &mut $ours, &mut in_line, &mut library);
        $report.beside_calls($name, &result, BATCH, "writev", BEHIND_HEADER);
    }};
}

/// Beside the call with the header in a slice of its own.
macro_rules! beside_readv {
    ($report:expr, $name:expr, $rig:expr, $ours:expr) => {{
        let fd = $rig.backend.as_fd().as_raw_fd();
        let [mut line, mut bare] = std::array::from_fn(|_| room($rig.backend.receive_buffer_len()));
        let mut in_line = fastest!(at => {
            let buffer = &mut line[at][..];
            drain!($rig, LEN, {
                let mut header = [0; HEADER];
                let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
                in_line::readv(fd, &mut slices).is_ok()
            })
        });
        let mut library = fastest!(at => {
            let buffer = &mut bare[at][..];
            drain!($rig, LEN, {
                let mut header = [0; HEADER];
                let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
                readv(&$rig.backend, &mut slices).is_ok()
            })
        });
        let result = beside_calls(ROUNDS_APART, &mut $ours, &mut in_line, &mut library);
        $report.beside_calls($name, &result, QUEUE, "readv", BEHIND_HEADER);
    }};
}

fn transmit_header(rig: &Rig, report: &mut Report) {
    let bytes = behind_header();
    let slices = bytes.each_ref().map(|bytes| [IoSlice::new(bytes)]);
    let mut ours = fastest!(at => {
        let slices = &slices[at][..];
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, session.send_with_header(slices, HEADER).expect("send"))
    });
    beside_writev!(report, "transmit.header", rig, bytes, ours);
}

fn transmit_raw_header(rig: &Rig, report: &mut Report) {
    let mut own_bytes = behind_header();
    let slices = own_bytes.each_mut().map(|bytes| RawSlice::new(bytes.as_mut_ptr(), bytes.len()));
    let mut ours = fastest!(at => {
        let slice = slice::from_ref(&slices[at]);
        let mut session = rig.backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, {
            // SAFETY: the slice is one of `own_bytes`, which live until the end; nobody refers to it during the call.
            unsafe { session.send_raw_with_header(slice, HEADER) }.expect("send");
        })
    });
    beside_writev!(report, "transmit.raw-header", rig, behind_header(), ours);
}

fn behind_header() -> Places {
    copies(&[&[0; HEADER][..], &frame(LEN)].concat())
}

fn receive_header(rig: &Rig, report: &mut Report) {
    let mut own = room(rig.backend.receive_buffer_len());
    let mut ours = fastest!(at => {
        let buffer = &mut own[at][..];
        drain!(rig, LEN, rig.backend.receive(&mut [IoSliceMut::new(buffer)]).expect("receive").is_some())
    });
    beside_readv!(report, "receive.header", rig, ours);
}

fn receive_raw_header(rig: &Rig, report: &mut Report) {
    let mut own = room(rig.backend.receive_buffer_len());
    let slices = own.each_mut().map(|buffer| RawSlice::new(buffer.as_mut_ptr(), buffer.len()));
    let mut ours = fastest!(at => {
        let slice = slice::from_ref(&slices[at]);
        drain!(rig, LEN, {
            // SAFETY: the slice is one of `own`, which live until the end; nobody refers to it during the call.
            unsafe { rig.backend.receive_raw(slice) }.expect("receive").is_some()
        })
    });
    beside_readv!(report, "receive.raw-header", rig, ours);
}

/// The read that ends every drain.
fn receive_empty(rig: &Rig, report: &mut Report) {
    let [mut own, mut line, mut bare] = std::array::from_fn(|_| room(rig.backend.receive_buffer_len()));
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let buffer = &mut own[at][..];
        repeat!(BATCH, {
            let received = backend.receive(&mut [IoSliceMut::new(buffer)]);
            assert!(received.expect("receive").is_none());
        })
    });
    let mut in_line = fastest!(at => {
        let buffer = &mut line[at][..];
        repeat!(BATCH, assert_eq!(in_line::read(fd, buffer), Err(Errno::EAGAIN as i32)))
    });
    let mut library = fastest!(at => {
        let buffer = &mut bare[at][..];
        repeat!(BATCH, assert_eq!(read(backend, &mut *buffer), Err(Errno::EAGAIN)))
    });
    let result = beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library);
    report.beside_library("receive.empty", &result, BATCH, "read");
}

fn transmit_raw(rig: &Rig, report: &mut Report) {
    let mut own_bytes = copies(&frame(LEN));
    let slices = own_bytes.each_mut().map(|bytes| RawSlice::new(bytes.as_mut_ptr(), LEN));
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let slice = slice::from_ref(&slices[at]);
        let mut session = backend.begin_transmit().expect("nobody else sends");
        repeat!(BATCH, {
            // SAFETY: the slice is one of `own_bytes`, which live until the end; nobody refers to it during the call.
            unsafe { session.send_raw(slice, None, Checksum::Complete) }.expect("send");
        })
    });
    let bytes = copies(&frame(LEN));
    let mut in_line = fastest!(at => {
        let bytes = &bytes[at][..];
        repeat!(BATCH, assert_eq!(in_line::write(fd, bytes), Ok(LEN)))
    });
    let mut library = fastest!(at => {
        let bytes = &bytes[at][..];
        repeat!(BATCH, assert_eq!(write(backend, bytes), Ok(LEN)))
    });
    let result = beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library);
    report.beside_calls("transmit.raw", &result, BATCH, "write", BARE);
}

fn receive_raw(rig: &Rig, report: &mut Report) {
    let [mut own, mut line, mut bare] = std::array::from_fn(|_| room(rig.backend.receive_buffer_len()));
    let slices = own.each_mut().map(|buffer| RawSlice::new(buffer.as_mut_ptr(), buffer.len()));
    let backend = &rig.backend;
    let fd = backend.as_fd().as_raw_fd();
    let mut ours = fastest!(at => {
        let slice = slice::from_ref(&slices[at]);
        drain!(rig, LEN, {
            // SAFETY: the slice is one of `own`, which live until the end; nobody refers to it during the call.
            unsafe { backend.receive_raw(slice) }.expect("receive").is_some()
        })
    });
    let mut in_line = fastest!(at => {
        let buffer = &mut line[at][..];
        drain!(rig, LEN, in_line::read(fd, buffer).is_ok())
    });
    let mut library = fastest!(at => {
        let buffer = &mut bare[at][..];
        drain!(rig, LEN, read(backend, &mut *buffer).is_ok())
    });
    let result = beside_calls(ROUNDS_APART, &mut ours, &mut in_line, &mut library);
    report.beside_calls("receive.raw", &result, QUEUE, "read", BARE);
}
