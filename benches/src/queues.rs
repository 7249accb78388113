//! Two queues of one TAP on two threads, beside one queue on one.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use tap_plumb::{Backend, Frame};

use crate::measure::{Comparison, Cost, compare, timed};
use crate::report::{Bound, Report};
use crate::rig::{HELD, OTHER, Outcome, WORKER, config, frame, pin, send, socket_to};

const NUMBER: u8 = 8;
const BATCH: usize = 4000;
const LEN: usize = 1514;
/// Sockets that are tried until both queues have one: each hashes to either.
const TRIES: usize = 64;

pub fn all(report: &mut Report) -> Outcome<()> {
    let taps = config(NUMBER).attach_queues(2)?;
    let backends: Vec<_> = taps.into_iter().map(Backend::new).collect();
    let [first, second] = &backends[..] else { return Err("not two queues".into()) };
    report.line("queues.transmit", &transmit([first, second]), 2 * BATCH, "one-queue", Bound::AtLeast(1.6));
    let bare = transmit_beside_bare([first, second]);
    report.line("queues.transmit", &bare, 2 * BATCH, "write-on-two-threads", Bound::None);
    let sockets = [socket_for(first)?, socket_for(second)?];
    // What was sent to find them.
    for backend in &backends {
        backend.discard_queued();
    }
    match receive([first, second], &sockets) {
        Ok(result) => {
            report.line("queues.receive", &result, 2 * HELD, "one-queue", Bound::AtLeast(1.6));
        }
        Err(error) => eprintln!("queues.receive is not measured: {error}"),
    }
    Ok(())
}

fn transmit([first, second]: [&Backend; 2]) -> Comparison {
    let mut two =
        || side_by_side([&|| (), &|| ()], [&|| send_frames(first, BATCH), &|| send_frames(second, BATCH)]);
    let mut one = || timed(|| send_frames(first, 2 * BATCH));
    compare(&mut two, &mut one).inverted()
}

/// Beside the bare call on as many threads: how far two processors help is the host's affair.
fn transmit_beside_bare([first, second]: [&Backend; 2]) -> Comparison {
    let nothing: Act<'_> = &|| ();
    let bytes = frame(LEN);
    let bare = |backend| (0..BATCH).for_each(|_| assert_eq!(write(backend, &bytes), Ok(LEN)));
    let mut ours =
        || side_by_side([nothing; 2], [&|| send_frames(first, BATCH), &|| send_frames(second, BATCH)]);
    let mut theirs = || side_by_side([nothing; 2], [&|| bare(first), &|| bare(second)]);
    compare(&mut ours, &mut theirs)
}

fn receive([first, second]: [&Backend; 2], [one, other]: &[UdpSocket; 2]) -> Outcome<Comparison> {
    let astray = AtomicUsize::new(0);
    let drain = |backend| {
        if drain(backend) != HELD {
            astray.fetch_add(1, Ordering::Relaxed);
        }
    };
    let fill = |socket| send(socket, HELD, LEN).expect("fill");
    let mut two = || side_by_side([&|| fill(one), &|| fill(other)], [&|| drain(first), &|| drain(second)]);
    let mut one_queue = || {
        let mut sum = 0.0;
        for _ in 0..2 {
            fill(one);
            let [time] = timed(|| drain(first));
            sum += time;
        }
        [sum]
    };
    let result = compare(&mut two, &mut one_queue).inverted();
    match astray.into_inner() {
        0 => Ok(result),
        count => Err(format!("{count} times the host put frames into the other queue").into()),
    }
}

type Act<'a> = &'a (dyn Fn() + Sync);

/// Prepares and runs both on processors of their own, so that each finds its frames where it would with one queue; gives
/// the time from the first one's start to the last one's end.
fn side_by_side(prepare: [Act<'_>; 2], acts: [Act<'_>; 2]) -> Cost<1> {
    let barrier = Barrier::new(2);
    let run = |processor, prepare: Act<'_>, act: Act<'_>| {
        pin(processor);
        prepare();
        barrier.wait();
        let start = Instant::now();
        act();
        (start, Instant::now())
    };
    let [one, other] = thread::scope(|scope| {
        let threads = [(WORKER, prepare[0], acts[0]), (OTHER, prepare[1], acts[1])]
            .map(|(at, prepare, act)| scope.spawn(move || run(at, prepare, act)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    [(one.1.max(other.1) - one.0.min(other.0)).as_secs_f64()]
}

fn send_frames(backend: &Backend, count: usize) {
    let bytes = frame(LEN);
    let slices = [IoSlice::new(&bytes)];
    let mut session = backend.begin_transmit().expect("nobody else sends");
    (0..count).for_each(|_| session.send(&Frame::new(&slices)).expect("send"));
}

fn drain(backend: &Backend) -> usize {
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let mut frames = 0;
    while backend.receive(&mut [IoSliceMut::new(&mut buffer)]).expect("receive").is_some() {
        frames += 1;
    }
    frames
}

/// A socket whose datagrams the host puts into this queue.
fn socket_for(backend: &Backend) -> Outcome<UdpSocket> {
    for _ in 0..TRIES {
        let socket = socket_to(NUMBER)?;
        send(&socket, 1, LEN)?;
        let mut fds = [PollFd::new(backend.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO)? > 0 {
            backend.discard_queued();
            return Ok(socket);
        }
    }
    Err("the host does not use the second queue".into())
}
