//! System calls a frame, counted by strace on a process of its own.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::process::Command;
use std::sync::Arc;

use nix::unistd::getppid;
use tap_plumb::{Backend, Frame, Offload, Threads};

use crate::frontend::Device;
use crate::report::{Bound, Report};
use crate::rig::{HELD, Outcome, QUEUE, Rig, config, frame, send, socket_to};

/// The argument that makes this program the counted process.
pub const COUNTED: &str = "counted";
const LEN: usize = 1514;
/// A call that nothing here makes otherwise: it marks where counting begins and ends.
const MARK: &str = "getppid(";

pub fn all(report: &mut Report) -> Outcome<()> {
    let full = ("1+1/16", 1.0 + 1.0 / 16.0);
    for (what, frames, peer) in
        [("transmit", QUEUE, ("1", 1.0)), ("receive", QUEUE, full), ("threads.receive", HELD, full)]
    {
        let each = count(what)? as f64 / frames as f64;
        report.count(&format!("calls.{what}"), each, "calls", peer, Bound::AtMost(1.0));
    }
    Ok(())
}

fn count(what: &str) -> Outcome<usize> {
    let log = std::env::temp_dir().join(format!("tap-plumb-bench-{}.strace", std::process::id()));
    let status = Command::new("strace")
        .args(["-f", "-qq", "--signal=none", "-o"])
        .arg(&log)
        .arg(format!("/proc/{}/exe", std::process::id()))
        .args([COUNTED, what])
        .status()
        .map_err(|error| format!("strace (Debian: strace): {error}"))?;
    let text = fs::read_to_string(&log);
    // It may not even exist; the status says what happened.
    let _ = fs::remove_file(&log);
    if !status.success() {
        return Err(format!("strace: {status}").into());
    }
    between_marks(&text?).ok_or_else(|| format!("no marks in the calls of {what}").into())
}

/// The calls between the two marks that were entered by the thread that made the marks.
fn between_marks(text: &str) -> Option<usize> {
    let (thread, _) = text.lines().find(|line| line.contains(MARK))?.split_once(' ')?;
    let own = text.lines().filter(|line| line.starts_with(thread) && !line.contains("<... "));
    let behind = own.skip_while(|line| !line.contains(MARK)).skip(1);
    let before: Vec<_> = behind.clone().take_while(|line| !line.contains(MARK)).collect();
    (before.len() < behind.count()).then_some(before.len())
}

fn mark() {
    getppid();
}

/// What the counted process does.
pub fn counted(what: &str) -> Outcome<()> {
    match what {
        "transmit" => transmit(),
        "receive" => receive(),
        _ => receive_by_thread(),
    }
}

fn transmit() -> Outcome<()> {
    let rig = Rig::new(10, Offload::NONE)?;
    let bytes = frame(LEN);
    let slices = [IoSlice::new(&bytes)];
    let mut session = rig.backend.begin_transmit().ok_or("nobody else sends")?;
    mark();
    (0..QUEUE).for_each(|_| session.send(&Frame::new(&slices)).expect("send"));
    mark();
    Ok(())
}

fn receive() -> Outcome<()> {
    let rig = Rig::new(10, Offload::NONE)?;
    let mut buffer = vec![0; rig.backend.receive_buffer_len()];
    rig.fill(LEN)?;
    mark();
    // As an event loop does, with its poll.
    assert!(rig.poll());
    let mut frames = 0;
    while rig.backend.receive(&mut [IoSliceMut::new(&mut buffer)])?.is_some() {
        frames += 1;
    }
    mark();
    assert_eq!(frames, QUEUE);
    Ok(())
}

fn receive_by_thread() -> Outcome<()> {
    let device = Arc::new(Device::new(true, mark));
    let backend = Arc::new(Backend::new(config(10).attach()?));
    let socket = socket_to(10)?;
    let threads = Threads::spawn(backend, Arc::clone(&device) as _)?;
    // From one arrival at the gate to the next: as many reads as frames, the one that finds
    // nothing, the poll, and what the gate itself calls.
    for frames in [HELD, 1] {
        device.close(frames);
        send(&socket, 1, LEN)?;
        device.wait_for_thread();
        send(&socket, frames - 1, LEN)?;
        device.open_and_wait();
    }
    Ok(threads.stop()?)
}
