//! A guest on tokio: the backend in an `AsyncFd`, one task.
//!
//! `cargo run --example tokio -- NAME HOST/PREFIX [COUNT]`, as root or in a network namespace of one's own. It attaches
//! the TAP `NAME` and gives the host's side the address. It pings that from the guest's side until `COUNT` answers are there.
//! The interface may go down and come up meanwhile.

// UNSAFETY: tokio watches a number and cannot see who owns it.
#![expect(unsafe_code, reason = "tokio's own contract for descriptors")]

#[path = "loops/ping.rs"]
mod ping;

use std::error::Error;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{Backend, Frame, ReceiveError, TransmitError};
use tokio::io::unix::AsyncFd;
use tokio::time::{MissedTickBehavior, interval};

use ping::{Arguments, Guest, Heard};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read("tokio")?;
    let backend = Backend::new(arguments.config().attach()?);
    let mut buffer = vec![0; backend.receive_buffer_len()];
    // SAFETY: the backend owns its descriptor, whose number stays the same and open until the backend is dropped; nothing
    // here replaces the file behind it.
    let card = unsafe { AsyncFd::register(backend) }?;
    let mut guest = arguments.guest();
    let mut clock = interval(Duration::from_millis(50));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = 0;
    while answered < arguments.count {
        tokio::select! {
            received = receive(&card, &mut buffer) => {
                answered += u16::from(hear(&card, &mut guest, &buffer[..received?]).await?);
            }
            _ = clock.tick() => send(&card, &guest.ask()).await?,
        }
    }
    Ok(card.into_inner().into_tap().detach()?)
}

/// Lets the guest look at a frame; `true` when that was an answer.
async fn hear(card: &AsyncFd<Backend>, guest: &mut Guest, frame: &[u8]) -> io::Result<bool> {
    match guest.hear(frame) {
        Heard::Nothing => Ok(false),
        Heard::Answer(answer) => send(card, &answer).await.map(|()| false),
        Heard::Pong(number) => {
            println!("answer {number}");
            Ok(true)
        }
    }
}

/// Waits for a frame, and gives its length.
async fn receive(card: &AsyncFd<Backend>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = card.readable().await?;
        match card.get_ref().receive(&mut [IoSliceMut::new(buffer)]) {
            Ok(Some(received)) => return Ok(received.len),
            // The program clears the readiness only after the last frame: tokio does not report waiting frames a second time.
            Ok(None) => ready.clear_ready(),
            Err(ReceiveError::Truncated { .. } | ReceiveError::Runt { .. } | ReceiveError::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends a frame, for which the device or its interface may have to be waited for.
async fn send(card: &AsyncFd<Backend>, frame: &[u8]) -> io::Result<()> {
    loop {
        match try_send(card.get_ref(), frame) {
            Err(TransmitError::InterfaceDown { .. }) => println!("waits: the interface is down"),
            Err(TransmitError::WouldBlock { .. }) => {}
            outcome => return Ok(outcome?),
        }
        card.writable().await?.clear_ready();
        // A program that does not poll after the refusal is not told when the interface comes up.
        if !is_writable(card.get_ref())? {
            drop(card.writable().await?);
        }
    }
}

fn try_send(backend: &Backend, frame: &[u8]) -> Result<(), TransmitError> {
    match backend.begin_transmit() {
        Some(mut session) => session.send(&Frame::new(&[IoSlice::new(frame)])),
        // `None` means that another thread sends, but this program has only one. A program with several threads waits for
        // `on_transmit_ready`.
        None => Err(TransmitError::WouldBlock { sent: 0 }),
    }
}

fn is_writable(backend: &Backend) -> io::Result<bool> {
    Ok(poll(&mut [PollFd::new(backend.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO)? > 0)
}
