//! poll(2) over descriptors of the model and of the host at once.

use std::time::{Duration, Instant};

use crate::abi::{POLLIN, POLLOUT, POLLPRI, POLLRDNORM};
use crate::call::Call;
use crate::kernel::Kernel;
use crate::process::{Answer, Process, Running, host};

/// How long to sleep where a stream is readable in a way its poller did not ask for: the host would not wake again.
const SHORT_SLEEP: Duration = Duration::from_millis(5);

impl Process {
    /// poll(2). Event bits of the host's descriptors are the host's, those of the model's are illumos'; the two agree
    /// but for write bands. `timeout_ms` below 0 waits for ever. A wait for an answer that a fault has lost is over at once,
    /// unless it is one for ever.
    ///
    /// # Errors
    /// `EINTR`, and those the fault plan gives.
    pub fn poll(&self, fds: &mut [libc::pollfd], timeout_ms: i32) -> Answer {
        let deadline = u64::try_from(timeout_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
        if deadline.is_some() && self.waits_in_vain(fds) {
            return self.finish_poll(fds);
        }
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let expired = left == Some(Duration::ZERO);
            if expired || self.model_is_ready(fds) {
                return self.finish_poll(fds);
            }
            let mut waited = self.waitable(fds);
            let stale = waited.iter().zip(&*fds).any(|(host, asked)| host.fd < 0 && asked.fd >= 0);
            let sleep =
                if stale { Some(left.map_or(SHORT_SLEEP, |left| left.min(SHORT_SLEEP))) } else { left };
            host::poll(&mut waited, milliseconds(sleep))?;
            let host_ready = waited.iter().any(|entry| entry.revents != 0 && !self.owns(entry.fd));
            if host_ready {
                return self.finish_poll(fds);
            }
        }
    }

    fn waits_in_vain(&self, fds: &[libc::pollfd]) -> bool {
        let lost = |running: &mut Running| fds.iter().any(|entry| running.kernel.take_lost_answer(entry.fd));
        self.with(lost).unwrap_or(false)
    }

    /// Whether the model's part of a poll has its answer: an event, a planned fault, or a machine that is gone.
    fn model_is_ready(&self, fds: &mut [libc::pollfd]) -> bool {
        let (mut model, _) = self.split(fds);
        let call = poll_call(&mut model);
        let ready = self.with(|running| {
            let event = |running: &Running, entry: &libc::pollfd| {
                entry.fd >= 0 && running.kernel.poll_events(entry.fd, entry.events) != 0
            };
            // The caller waits: what it asked of a link's driver is served by then.
            if !model.iter().any(|entry| event(running, entry)) {
                running.guarded(Kernel::serve_before_waiting);
            }
            running.failure.is_some()
                || model.iter().any(|entry| event(running, entry))
                || running.fault_is_due(call)
        });
        ready.unwrap_or(true)
    }

    /// The array the host shall wait on: the model's descriptors become readable through their backing.
    fn waitable(&self, fds: &[libc::pollfd]) -> Vec<libc::pollfd> {
        let entries = fds.iter().map(|entry| {
            let mut entry = *entry;
            if self.owns(entry.fd) {
                let says_something =
                    self.with(|running| running.kernel.poll_events(entry.fd, POLLIN | POLLPRI | POLLRDNORM));
                let events = std::mem::replace(&mut entry.events, POLLIN);
                // Nothing on the host tells when flow control ends.
                let waits_to_write = events & POLLOUT != 0;
                if says_something != Some(0) || waits_to_write {
                    entry.fd = -1;
                }
            }
            entry
        });
        entries.collect()
    }

    /// One recorded poll of the model's descriptors, one look at the host's, merged.
    fn finish_poll(&self, fds: &mut [libc::pollfd]) -> Answer {
        let (mut model, mut others) = self.split(fds);
        let call = poll_call(&mut model);
        self.answer(call)?;
        host::poll(&mut others, 0)?;
        for (entry, (model, other)) in fds.iter_mut().zip(model.iter().zip(&others)) {
            entry.revents = if model.fd >= 0 { model.revents } else { other.revents };
        }
        Ok(fds.iter().filter(|entry| entry.revents != 0).count() as i64)
    }

    /// The same array twice: once with only the model's descriptors, once with only the others.
    fn split(&self, fds: &[libc::pollfd]) -> (Vec<libc::pollfd>, Vec<libc::pollfd>) {
        let only = |ours: bool| {
            let entries = fds.iter().map(|entry| {
                let keep = entry.fd >= 0 && self.owns(entry.fd) == ours;
                libc::pollfd { fd: if keep { entry.fd } else { -1 }, events: entry.events, revents: 0 }
            });
            entries.collect()
        };
        (only(true), only(false))
    }
}

impl Running {
    fn fault_is_due(&self, call: Call) -> bool {
        self.kernel.fault_is_due(&super::host_memory(), &call)
    }
}

fn poll_call(fds: &mut [libc::pollfd]) -> Call {
    Call::Poll { fds: fds.as_mut_ptr().expose_provenance() as u64, count: fds.len() as u64 }
}

fn milliseconds(sleep: Option<Duration>) -> i32 {
    match sleep {
        None => -1,
        // Rounded up, so that a short rest does not become a busy loop.
        Some(sleep) => i32::try_from(sleep.as_millis().saturating_add(1)).unwrap_or(i32::MAX),
    }
}
