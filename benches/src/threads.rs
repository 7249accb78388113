//! The receive thread: a full queue after a wait for guest buffers, beside a bare loop of reads; and the time from
//! the host's send to the frontend, beside a bare thread of poll and read.

use std::hint::spin_loop;
use std::io::{PipeReader, PipeWriter, pipe};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use tap_plumb::{Backend, Offload, Threads};

use crate::frontend::{Clock, Device};
use crate::measure::{Cost, ROUNDS_APART, compare, compare_waits, least, least_of, timed};
use crate::report::{Bound, MICROSECONDS, Report};
use crate::rig::{HELD, OTHER, Outcome, Rig, WORKER, config, pin, room, send, socket_to};

const LEN: usize = 1514;
/// Rounds of latencies, which have no fastest turns to be measured by: a wake-up may come early as well as late.
const WAIT_ROUNDS: usize = 121;
/// Frames of one latency figure, one at a time.
const SAMPLES: usize = 200;
/// Of each turn.
const WAIT_TRIES: usize = 4;
/// TAPs whose threads take turns at a full queue: each has a buffer at a place of its own.
const RECEIVERS: [u8; 4] = [20, 21, 22, 23];
/// Between two of them, so that the receiver is asleep again.
const PAUSE: Duration = Duration::from_micros(40);

pub fn all(report: &mut Report) -> Outcome<()> {
    full_queue(report)?;
    latency(report)
}

fn full_queue(report: &mut Report) -> Outcome<()> {
    let contenders = RECEIVERS.map(Receiver::new).into_iter().collect::<Outcome<Vec<_>>>()?;
    let rig = Rig::new(3, Offload::NONE)?;
    let mut buffers = room(rig.backend.receive_buffer_len());
    let mut ours = || least(contenders.iter().chain(&contenders).map(Receiver::drain));
    let mut bare = || {
        least(buffers.each_mut().map(|buffer| {
            rig.send(HELD, LEN).expect("fill");
            timed(|| (0..HELD).for_each(|_| assert_eq!(read(&rig.backend, buffer), Ok(LEN))))
        }))
    };
    let result = compare(ROUNDS_APART, &mut ours, &mut bare);
    report.line("threads.receive", &result, HELD, "read", Bound::AtMost(1.15));
    contenders.into_iter().try_for_each(Receiver::stop)
}

/// A backend with threads of its own.
struct Receiver {
    device: Arc<Device>,
    socket: UdpSocket,
    threads: Threads,
}

impl Receiver {
    fn new(number: u8) -> Outcome<Self> {
        let device = Arc::new(Device::new(true, || ()));
        let backend = Arc::new(Backend::new(config(number).attach()?));
        let threads = Threads::spawn(backend, Arc::clone(&device) as _)?;
        Ok(Self { device, socket: socket_to(number)?, threads })
    }

    /// The thread takes one frame and waits with it; the others fill the queue.
    fn drain(&self) -> Cost<1> {
        self.device.close(HELD + 1);
        send(&self.socket, 1, LEN).expect("send");
        self.device.wait_for_thread();
        send(&self.socket, HELD, LEN).expect("fill");
        [self.device.open_and_wait()]
    }

    fn stop(self) -> Outcome<()> {
        Ok(self.threads.stop()?)
    }
}

fn latency(report: &mut Report) -> Outcome<()> {
    let clock = Arc::new(Clock(Device::new(true, || ())));
    let backend = Arc::new(Backend::new(config(4).attach()?));
    let sockets = [socket_to(4)?];
    let threads = Threads::spawn(Arc::clone(&backend), Arc::clone(&clock) as _)?;
    let peer_clock = Arc::new(Device::new(true, || ()));
    let peer = Arc::new(Backend::new(config(5).attach()?));
    let peer_sockets = [socket_to(5)?];
    let (bare, quit) = bare_thread(Arc::clone(&peer), Arc::clone(&peer_clock))?;
    // The threads were started on the processor of this one, which now goes elsewhere.
    pin(OTHER);
    let quiet =
        |clock, socket| least_of(WAIT_TRIES, || quantiles(clock, || send(socket, 1, LEN).expect("send")));
    let mut ours = || quiet(&clock.0, &sockets[0]);
    let mut theirs = || quiet(&peer_clock, &peer_sockets[0]);
    let [p50, p99] = compare_waits(WAIT_ROUNDS, &mut ours, &mut theirs);
    pin(WORKER);
    report.line_in(MICROSECONDS, "threads.latency.p50", &p50, 1, "poll+read", Bound::AtMost(1.05));
    report.line_in(MICROSECONDS, "threads.latency.p99", &p99, 1, "poll+read", Bound::None);
    drop(quit);
    bare.join().map_err(|_| "the bare thread panicked")?;
    threads.stop()?;
    Ok(())
}

/// Median and 99th percentile of the seconds from before `send` to the arrival.
fn quantiles(clock: &Device, send: impl Fn()) -> Cost<2> {
    let mut times: Vec<_> = (0..SAMPLES).map(|_| sample(clock, &send)).collect();
    times.sort_unstable();
    [SAMPLES / 2, SAMPLES * 99 / 100].map(|at| times[at] as f64 / 1e9)
}

fn sample(clock: &Device, send: impl Fn()) -> u64 {
    spin_until(PAUSE, || false);
    clock.forget();
    let sent = clock.now();
    send();
    spin_until(Duration::from_secs(5), || clock.arrived() > 0);
    assert!(clock.arrived() > sent, "a frame was lost");
    clock.arrived() - sent
}

fn spin_until(limit: Duration, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() && start.elapsed() < limit {
        spin_loop();
    }
}

/// Polls the TAP and a pipe, and reads a frame; ends when the pipe's other end is dropped.
fn bare_thread(backend: Arc<Backend>, clock: Arc<Device>) -> Outcome<(JoinHandle<()>, PipeWriter)> {
    let (reader, writer) = pipe()?;
    let mut buffer = vec![0; backend.receive_buffer_len()];
    let main = move || {
        while wait(&backend, &reader) {
            while read(&backend, &mut buffer).is_ok() {
                clock.note_arrival();
            }
        }
    };
    Ok((thread::Builder::new().spawn(main)?, writer))
}

fn wait(backend: &Backend, quit: &PipeReader) -> bool {
    let mut fds = [backend.as_fd(), quit.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE).expect("poll");
    !fds[1].any().unwrap_or(true)
}
