//! Two queues of one TAP on two threads, beside one queue on one: ours, and the bare calls, which show what the machine's
//! second processor is worth just then.

use std::hint::spin_loop;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{Backend, Frame};

use crate::in_line;
use crate::measure::{Comparison, Cost, alternate, least_of, timed};
use crate::report::{Bound, Report};
use crate::rig::{Aligned, HELD, OTHER, Outcome, WORKER, config, frame, pin, send, socket_to};

const NUMBER: u8 = 8;
const BATCH: usize = 4000;
const LEN: usize = 1514;
/// Sockets that are tried until both queues have one: each hashes to either.
const TRIES: usize = 64;
/// Of two threads at once, which the machine disturbs more often than one.
const TRIES_A_TURN: usize = 32;
/// Few, of many tries each.
const ROUNDS: usize = 17;
/// How many times as much two threads are to move as one.
const GAIN: f64 = 1.6;

pub fn all(report: &mut Report) -> Outcome<()> {
    let taps = config(NUMBER).attach_queues(2)?;
    let backends: Vec<_> = taps.into_iter().map(Backend::new).collect();
    let [first, second] = &backends[..] else { return Err("not two queues".into()) };
    transmit([first, second], report);
    let sockets = [socket_for(first)?, socket_for(second)?];
    // What was sent to find them.
    backends.iter().for_each(|backend| {
        backend.discard_queued();
    });
    receive([first, second], &sockets, report)
}

fn transmit([first, second]: [&Backend; 2], report: &mut Report) {
    let names = Names { ours: "queues.transmit", bare: "in-line-on-two-threads", count: 2 * BATCH };
    let ours: [Act<'_>; 2] = [&|| send_frames(first), &|| send_frames(second)];
    let bare: [Act<'_>; 2] = [&|| write_frames(first), &|| write_frames(second)];
    names.report(compare([&|| (); 2], ours, bare), report);
}

fn receive(
    [first, second]: [&Backend; 2],
    [one, other]: &[UdpSocket; 2],
    report: &mut Report,
) -> Outcome<()> {
    let astray = AtomicUsize::new(0);
    let all = |taken| {
        if taken != HELD {
            astray.fetch_add(1, Ordering::Relaxed);
        }
    };
    let fill = |socket| send(socket, HELD, LEN).expect("fill");
    let names = Names { ours: "queues.receive", bare: "in-line-on-two-threads", count: 2 * HELD };
    let ours: [Act<'_>; 2] = [&|| all(drain(first)), &|| all(drain(second))];
    let bare: [Act<'_>; 2] = [&|| all(read_frames(first)), &|| all(read_frames(second))];
    let costs = compare([&|| fill(one), &|| fill(other)], ours, bare);
    match astray.into_inner() {
        0 => names.report(costs, report),
        count => return Err(format!("{count} times a queue did not hold what was sent to it").into()),
    }
    Ok(())
}

/// What two threads gain, ours and the bare calls, and how ours compare with those.
struct Gains {
    ours: Comparison,
    bare: Comparison,
    beside: Comparison,
}

struct Names {
    ours: &'static str,
    bare: &'static str,
    /// Frames of one run.
    count: usize,
}

impl Names {
    /// The bound counts where the bare calls reach it: beyond that the machine has no second processor to give.
    fn report(&self, mut gains: Gains, report: &mut Report) {
        let machine = gains.bare.ratio;
        if machine < GAIN {
            for gained in [&mut gains.ours, &mut gains.bare, &mut gains.beside] {
                gained.unsteady = true;
            }
            eprintln!(
                "{}: two threads of bare calls gain {machine:.3} only, so the bound does not count",
                self.ours
            );
        }
        report.line(self.ours, &gains.ours, self.count, "one-queue", Bound::AtLeast(GAIN));
        report.line(self.ours, &gains.beside, self.count, self.bare, Bound::None);
        report.line(&format!("{}.bare", self.ours), &gains.bare, self.count, "one-queue", Bound::None);
    }
}

fn compare(prepare: [Act<'_>; 2], ours: [Act<'_>; 2], bare: [Act<'_>; 2]) -> Gains {
    let turn = |contender| match contender {
        0 => side_by_side(prepare, ours),
        1 => alone(prepare[0], ours[0]),
        2 => side_by_side(prepare, bare),
        _ => alone(prepare[0], bare[0]),
    };
    let costs =
        alternate(ROUNDS, &[0, 1, 2, 3, 3, 2, 1, 0], |contender| least_of(TRIES_A_TURN, || turn(contender)));
    let [two, one, bare_two, bare_one] = [0, 1, 2, 3].map(|contender| &costs[contender][0]);
    Gains {
        ours: Comparison::of(two, one, one).inverted(),
        bare: Comparison::of(bare_two, bare_one, bare_one).inverted(),
        beside: Comparison::of(two, bare_two, bare_two),
    }
}

type Act<'a> = &'a (dyn Fn() + Sync);

/// Prepares and runs both on processors of their own, so that each finds its frames where it would with one queue; gives
/// the time from the first one's start to the last one's end.
fn side_by_side(prepare: [Act<'_>; 2], acts: [Act<'_>; 2]) -> Cost<1> {
    let ready = AtomicUsize::new(0);
    let run = |processor, prepare: Act<'_>, act: Act<'_>| {
        pin(processor);
        prepare();
        // Both spin: whoever had to be woken would start late.
        ready.fetch_add(1, Ordering::AcqRel);
        while ready.load(Ordering::Acquire) < 2 {
            spin_loop();
        }
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

/// Does what one of two threads does, twice.
fn alone(prepare: Act<'_>, act: Act<'_>) -> Cost<1> {
    let turns = [(); 2].map(|()| {
        prepare();
        timed(act)
    });
    [turns.iter().flatten().sum()]
}

fn send_frames(backend: &Backend) {
    let bytes = frame(LEN);
    let slices = [IoSlice::new(&bytes)];
    let mut session = backend.begin_transmit().expect("nobody else sends");
    (0..BATCH).for_each(|_| session.send(&Frame::new(&slices)).expect("send"));
}

fn write_frames(backend: &Backend) {
    let bytes = frame(LEN);
    let fd = backend.as_fd().as_raw_fd();
    (0..BATCH).for_each(|_| assert_eq!(in_line::write(fd, &bytes), Ok(LEN)));
}

fn drain(backend: &Backend) -> usize {
    let mut buffer = Aligned::new(backend.receive_buffer_len());
    let mut frames = 0;
    while backend.receive(&mut [IoSliceMut::new(&mut buffer)]).expect("receive").is_some() {
        frames += 1;
    }
    frames
}

fn read_frames(backend: &Backend) -> usize {
    let mut buffer = Aligned::new(backend.receive_buffer_len());
    let fd = backend.as_fd().as_raw_fd();
    let mut frames = 0;
    while in_line::read(fd, &mut buffer).is_ok() {
        frames += 1;
    }
    frames
}

/// A socket whose datagrams the host puts into this queue.
fn socket_for(backend: &Backend) -> Outcome<UdpSocket> {
    for _ in 0..TRIES {
        // What an earlier try put there.
        backend.discard_queued();
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
