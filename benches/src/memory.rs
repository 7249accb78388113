//! Heap allocations a frame, and the memory a backend keeps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tap_plumb::{Backend, Frame, Resume, Threads};

use crate::frontend::Device;
use crate::report::{Bound, Report};
use crate::rig::{Outcome, config, frame, send, socket_to};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by way of `alloc`, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as in `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FRAMES: usize = 500;
const LEN: usize = 1514;
const FIRST: u8 = 128;
/// Backends over which the memory is averaged.
const BACKENDS: u8 = 24;
const LIMIT: (&str, f64) = ("128-KiB", 128.0);

pub fn all(report: &mut Report) -> Outcome<()> {
    allocations(report)?;
    resident(report)
}

fn allocations(report: &mut Report) -> Outcome<()> {
    let backend = Backend::new(config(6).attach()?);
    let socket = socket_to(6)?;
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let bytes = frame(LEN);
    let slices = [IoSlice::new(&bytes)];
    let mut session = backend.begin_transmit().ok_or("nobody else sends")?;
    let transmit = counted(|| session.send(&Frame::new(&slices)).expect("send"));
    let receive = counted(|| {
        send(&socket, 1, LEN).expect("send");
        assert!(backend.receive(&mut [IoSliceMut::new(&mut buffer)]).expect("receive").is_some());
    });
    let delivered = counted_by_thread()?;
    for (name, count) in [("transmit", transmit), ("receive", receive), ("threads.receive", delivered)] {
        let each = count as f64 / FRAMES as f64;
        report.count(&format!("allocations.{name}"), each, "allocations", ("one", 1.0), Bound::AtMost(0.0));
    }
    Ok(())
}

/// Allocations of any thread while each of the frames is moved.
fn counted(mut act: impl FnMut()) -> usize {
    act();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..FRAMES).for_each(|_| act());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn counted_by_thread() -> Outcome<usize> {
    let device = Arc::new(Device::new(true, || ()));
    let backend = Arc::new(Backend::new(config(7).attach()?));
    let socket = socket_to(7)?;
    let threads = Threads::spawn(backend, Arc::clone(&device) as _)?;
    // Both threads have begun when they stand still; what a thread allocates as it begins is not a frame's.
    threads.suspend()?;
    threads.resume(Resume::Normal)?;
    device.close(FRAMES + 1);
    send(&socket, 1, LEN)?;
    device.wait_for_thread();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    send(&socket, FRAMES, LEN)?;
    device.open_and_wait();
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    threads.stop()?;
    Ok(count)
}

/// A backend in a loop of one's own, whose receive buffer is the caller's; and one with threads, whose buffer counts
/// as far as frames of the MTU touch it.
fn resident(report: &mut Report) -> Outcome<()> {
    let taps = (0..BACKENDS).map(|number| config(FIRST + number).attach());
    let taps = taps.collect::<Result<Vec<_>, _>>()?;
    let sockets = (0..BACKENDS).map(|number| socket_to(FIRST + number)).collect::<Outcome<Vec<_>>>()?;
    let bytes = frame(LEN);
    let mut buffer = vec![0; 65536];
    let start = resident_bytes()?;
    let backends: Vec<_> = taps.into_iter().map(|tap| Arc::new(Backend::new(tap))).collect();
    for (backend, socket) in backends.iter().zip(&sockets) {
        let mut session = backend.begin_transmit().ok_or("nobody else sends")?;
        session.send(&Frame::new(&[IoSlice::new(&bytes)]))?;
        send(socket, 1, LEN)?;
        backend.receive(&mut [IoSliceMut::new(&mut buffer)])?;
    }
    let alone = resident_bytes()?;
    let mut driven = Vec::new();
    for (backend, socket) in backends.iter().zip(&sockets) {
        let device = Arc::new(Device::new(true, || ()));
        driven.push(Threads::spawn(Arc::clone(backend), Arc::clone(&device) as _)?);
        device.close(2);
        send(socket, 1, LEN)?;
        device.wait_for_thread();
        send(socket, 1, LEN)?;
        device.open_and_wait();
    }
    let all = resident_bytes()?;
    let each = |from: usize, to: usize| to.saturating_sub(from) as f64 / f64::from(BACKENDS) / 1024.0;
    report.count("memory.backend", each(start, alone), "KiB", LIMIT, Bound::AtMost(1.0));
    report.count("memory.backend+threads", each(start, all), "KiB", LIMIT, Bound::AtMost(1.0));
    Ok(())
}

/// From the page tables: the counters of `/proc/self/status` lag by some pages a processor.
fn resident_bytes() -> Outcome<usize> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
