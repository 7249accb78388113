//! The `maxbw` property: a link sends so much each tick, and queues the rest.

use std::collections::VecDeque;

use crate::kernel::Kernel;
use crate::kernel::datalink::LinkId;
use crate::kernel::datalink::offload::Packet;

/// Length of a tick, milliseconds.
pub(super) const TICK: u64 = 10;
/// Ticks in a second.
const TICKS: u64 = 1000 / TICK;
/// With more frames than this queued, the sender is told to stop.
const HIGH_WATER: usize = 1000;
/// With more frames than this queued, further ones are dropped.
const MOST: usize = 100_000;

/// The state of a limited link.
#[derive(Clone, Debug)]
pub(super) struct Bandwidth {
    pub(super) bits_per_second: u64,
    /// Bytes a tick allows.
    limit: usize,
    /// Bytes sent in the tick that is noted.
    used: usize,
    tick: Option<u64>,
    /// Whether all is queued until the next tick.
    enforced: bool,
    queue: VecDeque<Packet>,
    /// Whether a sender was told to stop.
    stopped: bool,
    next_tick: Option<u64>,
}

/// What becomes of a frame.
pub(super) enum Decision {
    Send,
    Drop,
    /// It waits; the sender shall stop when the flag is set.
    Queue {
        stop: bool,
    },
}

impl Bandwidth {
    pub(super) fn new(bits_per_second: u64) -> Self {
        Self {
            bits_per_second,
            limit: (bits_per_second / 8 / TICKS) as usize,
            used: 0,
            tick: None,
            enforced: false,
            queue: VecDeque::new(),
            stopped: false,
            next_tick: None,
        }
    }

    fn decide(&mut self, now: u64, length: usize) -> Decision {
        if self.limit == 0 {
            return Decision::Drop;
        }
        if !self.queue.is_empty() || self.enforced {
            let stop = self.queue.len() > HIGH_WATER;
            return if self.queue.len() > MOST { Decision::Drop } else { Decision::Queue { stop } };
        }
        let tick = now / TICK;
        if self.tick != Some(tick) {
            self.tick = Some(tick);
            self.used = 0;
        } else if self.used > self.limit {
            self.enforced = true;
            return Decision::Queue { stop: false };
        }
        self.used += length;
        Decision::Send
    }

    fn enqueue(&mut self, now: u64, packet: Packet, stop: bool) {
        self.queue.push_back(packet);
        self.stopped |= stop;
        self.next_tick.get_or_insert((now / TICK + 1) * TICK);
    }

    /// Takes what the tick that begins now allows.
    fn take(&mut self, now: u64) -> Vec<Packet> {
        let mut taken = Vec::new();
        self.enforced = false;
        while let Some(packet) = self.queue.pop_front() {
            let length = packet.frame.len();
            taken.push(packet);
            self.used += length;
            if self.used < self.limit {
                continue;
            }
            let tick = now / TICK;
            if self.tick == Some(tick) {
                self.enforced = true;
                break;
            }
            self.tick = Some(tick);
            self.used = length;
        }
        let goes_on = self.enforced || !self.queue.is_empty();
        self.next_tick = goes_on.then_some((now / TICK + 1) * TICK);
        taken
    }
}

impl Kernel {
    /// Sends a frame of a link, or queues it. True when the sender shall stop.
    pub(super) fn send_limited(&mut self, link: LinkId, packet: Packet) -> bool {
        let now = self.timers.now();
        let bandwidth = self.link_of_mut(link).and_then(|link| link.bandwidth.as_mut());
        let Some(bandwidth) = bandwidth else {
            self.send_now(link, packet);
            return false;
        };
        match bandwidth.decide(now, packet.frame.len()) {
            Decision::Send => {
                self.send_now(link, packet);
                false
            }
            Decision::Drop => {
                self.traffic.dropped_writes += 1;
                false
            }
            Decision::Queue { stop } => {
                bandwidth.enqueue(now, packet, stop);
                stop
            }
        }
    }

    /// When the next limited link may send again.
    pub(super) fn next_tick(&self) -> Option<u64> {
        let bandwidths = self.datalinks.links.values().filter_map(|link| link.bandwidth.as_ref());
        bandwidths.filter_map(|bandwidth| bandwidth.next_tick).min()
    }

    /// What the links do by themselves until then: limited ones send, chunks end.
    pub(in crate::kernel) fn advance_datalinks(&mut self, end: u64) {
        while let Some(at) =
            self.next_tick().into_iter().chain(self.next_deadline()).min().filter(|at| *at <= end)
        {
            self.timers.reach(at);
            self.send_due(at);
            self.close_overdue_chunks(at);
        }
    }

    /// Every limited link whose tick has come sends what it may.
    pub(super) fn send_due(&mut self, now: u64) {
        let ids: Vec<LinkId> = self.datalinks.links.keys().copied().collect();
        for id in ids {
            let Some(bandwidth) = self.link_of_mut(id).and_then(|link| link.bandwidth.as_mut()) else {
                continue;
            };
            if bandwidth.next_tick.is_none_or(|at| at > now) {
                continue;
            }
            let packets = bandwidth.take(now);
            let resumes = bandwidth.queue.is_empty() && std::mem::take(&mut bandwidth.stopped);
            for packet in packets {
                self.send_now(id, packet);
            }
            if resumes {
                self.resume(id);
            }
        }
    }

    /// Every stream of a link may write again.
    pub(super) fn resume(&mut self, link: LinkId) {
        for stream in self.streams_of(link) {
            if let Some(stream) = self.datalink_mut(stream) {
                stream.full = false;
            }
        }
    }
}
