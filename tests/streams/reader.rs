//! The receive thread over a stream: how it ends, and that it does not spin.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use streams_model::{Errno, Machine, Message, MessageKind, Moment, Trouble};

use crate::Backend;
use crate::Threads;
use crate::bench::{assert_nothing_wrong, attach, calls, named};
use crate::{Checksum, Frame};
use crate::{Frontend, Refused, Wait};

/// A guest that counts.
#[derive(Default)]
struct Guest {
    frames: AtomicUsize,
    gone: AtomicUsize,
    interrupted: AtomicBool,
    no_buffers: AtomicBool,
}

impl Frontend for Guest {
    fn wait_receive_available(&self, _timeout: Duration) -> Wait {
        match (self.no_buffers.load(Ordering::SeqCst), self.interrupted.load(Ordering::SeqCst)) {
            (false, _) => Wait::Available,
            (true, true) => Wait::Interrupted,
            (true, false) => {
                std::thread::sleep(Duration::from_millis(1));
                Wait::TimedOut
            }
        }
    }

    fn interrupt_wait(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    fn receive(&self, _frame: &[IoSlice<'_>], _checksum: Checksum) -> Result<(), Refused> {
        self.frames.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn device_gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Running {
    backend: Arc<Backend>,
    guest: Arc<Guest>,
    threads: Threads,
    control: i32,
}

fn run(machine: &Machine) -> Running {
    let backend = Arc::new(Backend::new(attach(named("tap3"))));
    let guest = Arc::new(Guest::default());
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&guest) as _).unwrap();
    let control = *machine.snapshot().descriptors.keys().last().unwrap();
    Running { backend, guest, threads, control }
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Wake-ups of the receive thread in a while in which nothing happens.
fn idle_wakeups(backend: &Backend) -> u64 {
    let before = backend.statistics().receive.wakeups;
    std::thread::sleep(Duration::from_millis(150));
    backend.statistics().receive.wakeups - before
}

/// Row F20.
#[test]
fn frames_queued_on_the_stream_reach_the_guest() {
    let machine = Machine::boot();
    let running = run(&machine);
    for _ in 0..50 {
        machine.inject_frame(3, &[9; 60]);
    }
    wait_until("50 frames", || running.guest.frames.load(Ordering::SeqCst) == 50);
    running.threads.stop().unwrap();
    assert_eq!(running.backend.statistics().receive.frames_delivered, 50);
    assert_nothing_wrong(&machine);
}

/// Rows hazard 32 and invariant 11.
#[test]
fn a_hang_up_ends_the_reader_at_once() {
    let machine = Machine::boot();
    let running = run(&machine);
    wait_until("the first poll", || machine.calls() > 0);
    machine.kernel(|kernel| kernel.hang_up(running.control)).unwrap();
    wait_until("the end", || running.guest.gone.load(Ordering::SeqCst) == 1);
    assert!(idle_wakeups(&running.backend) <= 1);
    running.threads.stop().unwrap();
    assert_eq!(running.guest.gone.load(Ordering::SeqCst), 1);
}

/// Rows hazard 32 and invariant 11.
#[test]
fn a_stream_error_ends_the_reader_at_once() {
    let machine = Machine::boot();
    let running = run(&machine);
    machine.kernel(|kernel| kernel.set_stream_error(running.control, Some(Errno::ENOSR))).unwrap();
    wait_until("the end", || running.guest.gone.load(Ordering::SeqCst) == 1);
    assert!(idle_wakeups(&running.backend) <= 1);
    running.threads.stop().unwrap();
}

/// Rows hazard 32 and invariant 11.
#[test]
fn events_that_a_read_denies_end_the_reader() {
    for event in [0x8, 0x10, 0x20] {
        let machine = Machine::boot();
        machine.plan_fault(streams_model::Fault {
            when: streams_model::When::Every(Box::new(|record| record.is("poll"))),
            trouble: Trouble::Events(event),
            moment: Moment::Before,
        });
        let running = run(&machine);
        // Something must make poll return for the fault to be seen.
        machine.inject_frame(3, &[9; 60]);
        wait_until("the end", || running.guest.gone.load(Ordering::SeqCst) == 1);
        running.threads.stop().unwrap();
        assert!(running.backend.statistics().receive.wakeups < 5, "event {event:#x}");
    }
}

#[test]
fn a_message_that_only_raises_pollpri_wakes_nobody() {
    let machine = Machine::boot();
    let running = run(&machine);
    let message = Message::proto(MessageKind::PcProto, vec![6, 0, 0, 0, 0, 0, 0, 0]);
    machine.kernel(|kernel| kernel.inject_message(running.control, message)).unwrap();
    assert!(idle_wakeups(&running.backend) <= 2);
    running.threads.stop().unwrap();
    assert_eq!(running.guest.gone.load(Ordering::SeqCst), 0);
}

#[test]
fn a_message_that_no_read_takes_does_not_take_the_processor() {
    let machine = Machine::boot();
    let running = run(&machine);
    let message = Message::proto(MessageKind::Proto, vec![6, 0, 0, 0, 0, 0, 0, 0]);
    machine.kernel(|kernel| kernel.inject_message(running.control, message)).unwrap();
    wait_until("the refused read", || running.backend.statistics().receive.io_error > 0);
    assert!(idle_wakeups(&running.backend) <= 4);
    running.threads.stop().unwrap();
}

/// Row hazard 33.
#[test]
fn wake_ups_are_drained() {
    let machine = Machine::boot();
    let running = run(&machine);
    for _ in 0..20 {
        running.backend.set_link_state(crate::LinkState::Down);
        running.backend.set_link_state(crate::LinkState::Up);
    }
    std::thread::sleep(Duration::from_millis(50));
    assert!(idle_wakeups(&running.backend) <= 1, "a wake-up that stays in the pipe wakes again and again");
    running.threads.stop().unwrap();
}

/// Row hazard 36.
#[test]
fn the_reader_is_joined_before_the_stream_closes() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let Running { backend, threads, control, .. } = run(&machine);
    machine.inject_frame(3, &[9; 60]);
    drop(threads);
    let tap = Arc::into_inner(backend).expect("nobody else has the backend").into_tap();
    tap.detach().unwrap();
    let trace = machine.trace();
    let closed = trace.iter().rposition(|record| record.is("close") && record.fd == Some(control)).unwrap();
    assert_eq!(closed, trace.len() - 1, "{:?}", machine.trace_lines());
    assert_eq!(machine.snapshot(), before);
    assert_nothing_wrong(&machine);
}

/// Row hazard 37.
#[test]
fn a_frame_lost_to_an_interrupted_wait_is_counted() {
    for stops in [false, true] {
        let machine = Machine::boot();
        let running = run(&machine);
        running.guest.no_buffers.store(true, Ordering::SeqCst);
        machine.inject_frame(3, &[9; 60]);
        wait_until("the frame", || running.backend.statistics().receive.frames_received == 1);
        if !stops {
            running.guest.interrupt_wait();
            wait_until("the drop", || running.backend.statistics().receive.dropped() == 1);
        }
        running.threads.stop().unwrap();
        let statistics = running.backend.statistics().receive;
        assert_eq!((statistics.interrupted, statistics.frames_delivered), (1, 0));
    }
}

#[test]
fn the_threads_send_while_the_reader_sleeps() {
    let machine = Machine::boot();
    let running = run(&machine);
    let frame = [7; 60];
    running.backend.begin_transmit().unwrap().send(&Frame::new(&[IoSlice::new(&frame)])).unwrap();
    assert_eq!(calls(&machine, "write").len(), 1);
    assert_eq!(machine.kernel(|kernel| kernel.traffic().written.clone()), [(3, frame.to_vec())]);
    running.threads.stop().unwrap();
}
