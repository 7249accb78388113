//! The other way to be connected: QEMU's `-netdev stream`. Its guest can do neither checksums nor segmentation, so the
//! host's oversized frames are cut and completed here.

use std::convert::Infallible;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::net::UnixStream;

use log::{debug, info, trace, warn};
use rustix::event::{PollFd, PollFlags, poll};
use tap_plumb::{Frame, Offload, ReceiveError, Received, TransmitError};

use crate::features::Negotiated;
use crate::framing::{Inbox, Outbox};
use crate::pair::Pair;
use crate::report;
use crate::revive::Reviver;
use crate::socket::{ServeError, Socket};
use crate::stop::Stop;

/// Serves one hypervisor after the other, until the end is asked for, or after the first one with `once`.
///
/// # Errors
/// [`ServeError`]. What a hypervisor does wrong ends its own connection only.
pub fn run(
    socket: &Socket,
    pair: &Pair,
    reviver: &Reviver,
    stop: &Stop,
    once: bool,
) -> Result<(), ServeError> {
    // The daemon does all work that the host can leave undone. It is no loss when the host leaves less undone.
    if let Err(error) = pair.agree(Negotiated::new(Offload::ALL.virtio_features())) {
        warn!("the TAP does not change its offloads: {error}");
    }
    while let Some(stream) = socket.accept(stop)? {
        info!("a hypervisor has connected");
        pair.backend.discard_queued();
        let buffer = vec![0; pair.backend.receive_buffer_len()];
        let mut bridge = Bridge {
            stream,
            pair,
            buffer,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            blocked: false,
            gone: false,
        };
        if let Err(error) = bridge.run(reviver, stop) {
            warn!("the connection ended: {error}");
        }
        stop.guard(None);
        report::event("disconnected");
        if once {
            break;
        }
    }
    Ok(())
}

/// One connection.
struct Bridge<'p> {
    stream: UnixStream,
    pair: &'p Pair,
    buffer: Vec<u8>,
    inbox: Inbox,
    outbox: Outbox,
    /// A frame of the guest waits for the TAP.
    blocked: bool,
    gone: bool,
}

/// What is ready.
struct Ready {
    stream: bool,
    closed: bool,
    /// The TAP takes frames again, or says why not.
    writable: bool,
}

impl Bridge<'_> {
    fn run(&mut self, reviver: &Reviver, stop: &Stop) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        while !stop.is_asked() {
            let ready = self.wait(stop)?;
            if ready.closed && self.blocked {
                return Ok(());
            }
            self.blocked &= !ready.writable;
            if ready.stream && !self.blocked && !self.inbox.fill(&self.stream).or_else(nothing_yet)? {
                return Ok(());
            }
            self.transmit()?;
            self.receive();
            self.outbox.flush(&self.stream)?;
            if self.gone {
                reviver.gone();
            }
        }
        Ok(())
    }

    /// Waits until something can be done. A TAP that is gone is left alone until we are told of another one.
    fn wait(&mut self, stop: &Stop) -> io::Result<Ready> {
        let when = |condition, flags| if condition { flags } else { PollFlags::empty() };
        let stream = when(!self.blocked, PollFlags::IN) | when(!self.outbox.is_empty(), PollFlags::OUT);
        let tap = when(self.outbox.has_room(), PollFlags::IN) | when(self.blocked, PollFlags::OUT);
        let mut polled = [
            PollFd::new(&self.stream, stream),
            PollFd::new(&self.pair.wake, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
            PollFd::new(&self.pair.backend, tap),
        ];
        let count = if self.gone { 3 } else { 4 };
        match poll(&mut polled[..count], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let broken = PollFlags::HUP | PollFlags::ERR;
        let [stream, wake, _, tap] = polled.map(|fd| fd.revents());
        let revived = !wake.is_empty() && self.pair.wake.lower();
        self.gone &= !revived;
        Ok(Ready {
            stream: !stream.is_empty(),
            closed: stream.intersects(broken),
            writable: revived || tap.intersects(broken | PollFlags::OUT),
        })
    }

    /// Sends the guest's frames. The first one that the TAP does not take now stays, and all behind it.
    fn transmit(&mut self) -> io::Result<()> {
        let Some(mut session) = self.pair.backend.begin_transmit() else { return Ok(()) };
        while !self.blocked
            && let Some(frame) = self.inbox.frame()?
        {
            match session.send(&Frame::new(&[IoSlice::new(frame)])) {
                Ok(()) => self.pair.counts.transmit.crossed(frame.len()),
                Err(TransmitError::WouldBlock { .. } | TransmitError::InterfaceDown { .. }) => {
                    self.blocked = true;
                }
                Err(TransmitError::Gone) => {
                    self.blocked = true;
                    self.gone = true;
                }
                Err(error) => trace!("transmit: {error}"),
            }
            if !self.blocked {
                self.inbox.take();
            }
        }
        Ok(())
    }

    /// Fills the outbox with the host's frames.
    fn receive(&mut self) {
        while self.outbox.has_room() && !self.gone {
            self.buffer.resize(self.pair.backend.receive_buffer_len(), 0);
            match self.pair.backend.receive(&mut [IoSliceMut::new(&mut self.buffer)]) {
                Ok(Some(received)) => self.deliver(received),
                Ok(None) => return,
                Err(ReceiveError::Gone) => self.gone = true,
                Err(error @ ReceiveError::Io { .. }) => {
                    debug!("receive: {error}");
                    return;
                }
                Err(error) => trace!("receive: {error}"),
            }
        }
    }

    /// Puts a frame into the outbox: completed, and cut if it is too long for the guest.
    fn deliver(&mut self, received: Received) {
        let slices = [IoSlice::new(&self.buffer[..received.len])];
        let frame = Frame::new(&slices).checksum(received.checksum);
        let frame = received.gso.map_or(frame, |gso| frame.gso(gso));
        let outbox = &mut self.outbox;
        let carved = frame.carve(0, |segment| {
            outbox.push(segment);
            Ok::<_, Infallible>(())
        });
        match carved {
            Ok(segments) => {
                self.pair.counts.receive_segments_cut.add(segments.into());
                self.pair.counts.receive.crossed(received.len);
            }
            Err(error) => {
                debug!("receive: {error}");
                self.pair.counts.receive_not_agreed.one();
            }
        }
    }
}

fn nothing_yet(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(true),
        _ => Err(error),
    }
}
