//! The path of a frame does not touch the heap.

// UNSAFETY: a global allocator is an unsafe trait.
#![expect(unsafe_code, reason = "the allocator that counts")]

#[path = "support/datagrams.rs"]
mod datagrams;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixDatagram;

use tap_plumb::{Backend, Checksum, Frame, Gso, GsoKind, Tap};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // At the end of a thread there is nothing left to count for.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by way of `alloc`, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as in `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Heap calls of this thread during `act`, which has run once before so that pools are filled.
fn allocations(mut act: impl FnMut()) -> u64 {
    act();
    let before = COUNT.get();
    (0..100).for_each(|_| act());
    COUNT.get() - before
}

/// TCP over IPv4 with `payload` bytes and a header that passes the validator.
fn oversized(payload: usize) -> Vec<u8> {
    let mut frame = vec![0x55; 54 + payload];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    let total = u16::try_from(40 + payload).unwrap().to_be_bytes();
    frame[14..34]
        .copy_from_slice(&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[34..54].copy_from_slice(&[0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    frame
}

#[test]
fn no_frame_costs_an_allocation_either_way() {
    let (ours, host) = UnixDatagram::pair().unwrap();
    let backend = Backend::new(Tap::from_fd(ours.into()).unwrap());
    let frame = vec![0x66; 1514];
    let large = oversized(8000);
    let gso = Gso {
        kind: GsoKind::Tcp4,
        header_len: 54,
        segment_size: 1448,
        network_offset: 14,
        transport_offset: 34,
    };
    let mut sink = vec![0; 70_000];
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut session = backend.begin_transmit().unwrap();

    let plain = allocations(|| {
        session.send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
        host.recv(&mut sink).unwrap();
    });
    let scattered = allocations(|| {
        let (front, back) = frame.split_at(700);
        session.send(&Frame::new(&[IoSlice::new(front), IoSlice::new(back)])).unwrap();
        host.recv(&mut sink).unwrap();
    });
    let segments = allocations(|| {
        session.send(&Frame::new(&[IoSlice::new(&large)]).gso(gso)).unwrap();
        (0..6).for_each(|_| assert!(host.recv(&mut sink).unwrap() > 54));
    });
    let checksum = allocations(|| {
        let partial = Checksum::Partial { start: 34, offset: 16 };
        session.send(&Frame::new(&[IoSlice::new(&large)]).checksum(partial)).unwrap();
        host.recv(&mut sink).unwrap();
    });
    let built = allocations(|| {
        let mut buffer = session.allocate(1514).unwrap();
        buffer[..14].copy_from_slice(&frame[..14]);
        session.send_buffer(buffer, None).unwrap();
        host.recv(&mut sink).unwrap();
    });
    let received = allocations(|| {
        host.send(&frame).unwrap();
        datagrams::wait_readable(&backend);
        assert!(backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().is_some());
        assert!(backend.receive(&mut [IoSliceMut::new(&mut buffer)]).unwrap().is_none());
    });
    let refused = allocations(|| {
        assert!(session.send(&Frame::new(&[IoSlice::new(&frame[..5])])).is_err());
        assert!(session.send(&Frame::new(&[IoSlice::new(&frame)]).gso(gso)).is_err());
    });
    assert_eq!([plain, scattered, segments, checksum, built, received, refused], [0; 7]);
    assert!(allocations(|| drop(std::hint::black_box(vec![0_u8; 9]))) >= 100, "the counter counts");
}
