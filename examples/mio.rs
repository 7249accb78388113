//! A guest on mio, whose pollers are edge-triggered: one thread, and an interface that may go and come again.
//!
//! `cargo run --example mio -- NAME HOST/PREFIX [COUNT]`, as root or in a network namespace of one's own. It attaches
//! the TAP `NAME` and gives the host's side the address. It pings that from the guest's side until `COUNT` answers are there.
//! Meanwhile the interface may go down and come up; when it is removed, it is made again.

#[path = "loops/ping.rs"]
mod ping;

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tap_plumb::{Backend, Frame, ReceiveError, TransmitError};

use ping::{Arguments, Guest, Heard};

const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mio: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read("mio")?;
    let backend = Backend::new(arguments.config().attach()?);
    let mut poller = Poll::new()?;
    let mut events = Events::with_capacity(8);
    let mut card =
        Card { backend, guest: arguments.guest(), queue: VecDeque::new(), blocked: false, answered: 0 };
    register(&poller, &card.backend)?;
    let mut next = Instant::now();
    while card.answered < arguments.count {
        if let Err(error) = poller.poll(&mut events, Some(next.saturating_duration_since(Instant::now())))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        card.blocked &= !events.iter().any(|event| event.is_writable());
        if Instant::now() >= next {
            next = Instant::now() + PAUSE;
            card.ask();
        }
        if card.serve()? {
            println!("waits: the interface was removed");
            // This comes before the re-attach. Where the descriptor becomes another one, the old one cannot be named
            // afterwards.
            poller.registry().deregister(&mut SourceFd(&card.backend.as_raw_fd()))?;
            card.backend.reattach(&arguments.config())?;
            register(&poller, &card.backend)?;
            card.blocked = false;
            // The new interface has another address, and another state.
            card.guest = arguments.guest();
        }
    }
    Ok(card.backend.into_tap().detach()?)
}

fn register(poller: &Poll, backend: &Backend) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    poller.registry().register(&mut SourceFd(&backend.as_raw_fd()), Token(0), both)
}

/// The guest's network card.
struct Card {
    backend: Backend,
    guest: Guest,
    /// Frames to send.
    queue: VecDeque<Vec<u8>>,
    /// The device refused the first of them, and has not called yet.
    blocked: bool,
    answered: u16,
}

impl Card {
    /// Asks the host once more, unless there is something that waits already.
    fn ask(&mut self) {
        if self.queue.is_empty() {
            self.queue.push_back(self.guest.ask());
        }
    }

    /// Does all that can be done now, since an edge comes once only; `true` when the interface is gone.
    fn serve(&mut self) -> Result<bool, Box<dyn Error>> {
        let gone = self.receive()?;
        Ok(gone || self.send()?)
    }

    fn receive(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut buffer = vec![0; self.backend.receive_buffer_len()];
        loop {
            match self.backend.receive(&mut [IoSliceMut::new(&mut buffer)]) {
                Ok(Some(received)) => self.hear(&buffer[..received.len]),
                Ok(None) => return Ok(false),
                Err(
                    ReceiveError::Truncated { .. } | ReceiveError::Runt { .. } | ReceiveError::Rejected(_),
                ) => {}
                Err(ReceiveError::Gone) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        match self.guest.hear(frame) {
            Heard::Nothing => {}
            Heard::Answer(answer) => self.queue.push_back(answer),
            Heard::Pong(number) => {
                println!("answer {number}");
                self.answered += 1;
            }
        }
    }

    fn send(&mut self) -> Result<bool, Box<dyn Error>> {
        while !self.blocked
            && let Some(frame) = self.queue.pop_front()
        {
            match try_send(&self.backend, &frame) {
                Ok(()) => {}
                Err(TransmitError::WouldBlock { .. }) => self.wait(frame)?,
                Err(TransmitError::InterfaceDown { .. }) => {
                    println!("waits: the interface is down");
                    self.wait(frame)?;
                }
                Err(TransmitError::Gone) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Keeps a frame until the device is writable.
    fn wait(&mut self, frame: Vec<u8>) -> io::Result<()> {
        self.queue.push_front(frame);
        // A program that does not poll after the refusal is not told when the interface comes up.
        let mut ready = [PollFd::new(self.backend.as_fd(), PollFlags::POLLOUT)];
        self.blocked = poll(&mut ready, PollTimeout::ZERO)? == 0;
        Ok(())
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
