//! Counters that are always on, and their snapshot. They add up: see [`Statistics`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::tally::Tally;
use crate::wire::RejectReason;

/// One counter. Each is exact; a snapshot taken while frames move may catch two of them on either side of a frame.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    #[inline]
    pub fn one(&self) {
        self.add(1);
    }

    /// [`add`](Self::add) for a counter that only the holder of the transmit session writes. A locked instruction for
    /// each of them would be measurable beside the system call.
    #[inline]
    pub fn add_unshared(&self, count: u64) {
        self.0.store(self.get().wrapping_add(count), Ordering::Relaxed);
    }

    #[inline]
    pub fn one_unshared(&self) {
        self.add_unshared(1);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the live counters and their snapshot from one list, so that none can be counted and not shown.
macro_rules! counters {
    ($live:ident, $shown:ident, $about:literal, { $($(#[doc = $text:literal])+ $name:ident,)+ }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $live { $(pub(crate) $name: Counter,)+ }

        #[doc = $about]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $shown { $($(#[doc = $text])+ pub $name: u64,)+ }

        impl $live {
            fn snapshot(&self) -> $shown {
                $shown { $($name: self.$name.get(),)+ }
            }
        }

        impl $shown {
            /// Every counter with its name, in order.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters!(TransmitCounters, TransmitStatistics, "Frames from the guest to the host.", {
    /// Frames offered by the device; a frame that is offered again counts again.
    frames_offered,
    /// Frames that the host took whole.
    frames_sent,
    /// Bytes of these frames as the device offered them, without FCS and virtio-net header.
    bytes_sent,
    /// Frames written to the device, each segment of an oversized frame counted.
    segments_sent,
    /// Dropped: the guest's link was down.
    link_down,
    /// Refused: the device was full.
    would_block,
    /// Refused: the host had no buffer.
    no_buffer_space,
    /// Refused: the host's interface was down.
    interface_down,
    /// Dropped: shorter than the host takes.
    runt,
    /// Dropped: longer than the host takes, or refused by it for its length.
    oversize,
    /// Dropped: malformed headers or contexts.
    rejected,
    /// Dropped: more slices than one system call takes.
    too_many_slices,
    /// Refused: no segment to go on with is left.
    bad_resume,
    /// Dropped: the interface is gone.
    gone,
    /// Dropped: any other error of the host.
    io_error,
    /// Transmit sessions opened.
    sessions,
    /// Attempts to open a session while another one was open.
    sessions_refused,
});

counters!(ReceiveCounters, ReceiveStatistics, "Frames from the host to the guest.", {
    /// Frames taken from the device.
    frames_received,
    /// Bytes of these frames, without FCS and virtio-net header; of a truncated frame the part that was read. That is why the
    /// sums below are of frames alone.
    bytes_received,
    /// Frames handed to the guest's device.
    frames_delivered,
    /// Bytes of these frames.
    bytes_delivered,
    /// Deliveries, each segment of an oversized frame counted.
    segments_delivered,
    /// Dropped: the wait for guest buffers was interrupted.
    interrupted,
    /// Dropped: the device was reset while the frame waited.
    reset,
    /// Dropped: the guest's link was down.
    link_down,
    /// Dropped: queued by the kernel while the backend was suspended.
    stale,
    /// Dropped: longer than the buffer.
    truncated,
    /// Dropped: shorter than an Ethernet header.
    runt,
    /// Dropped: a malformed virtio-net header or headers that contradict it.
    rejected,
    /// Dropped: the guest's device refused the frame.
    refused,
    /// Dropped: sent to another station than the guest. A data link without another vnic on its NIC delivers such frames,
    /// too.
    foreign,
    /// Errors of the host on read that took no frame.
    io_error,
    /// Wake-ups of the receive thread.
    wakeups,
});

/// Everything counted, at one moment.
///
/// While no frame is on its way two sums hold:
/// `transmit.frames_offered` = `frames_sent` + every refusal and drop of [`TransmitStatistics`], and
/// `receive.frames_received` = `frames_delivered` + every drop of [`ReceiveStatistics`].
/// [`TransmitStatistics::dropped`] and [`ReceiveStatistics::dropped`] add the drops up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Guest to host.
    pub transmit: TransmitStatistics,
    /// Host to guest.
    pub receive: ReceiveStatistics,
    /// Frames rejected for each reason, both ways; see [`rejected_for`](Self::rejected_for).
    rejections: [u64; RejectReason::ALL.len()],
    /// Frames the host dropped before the device because they were not read in time, where the host counts them.
    pub dropped_by_host: Option<u64>,
    /// Time spent in transmit calls, while [`Backend::measure_time`](crate::Backend::measure_time) is on.
    pub transmit_time: Duration,
    /// Time spent in receive calls and deliveries, without waits for frames and guest buffers; likewise.
    pub receive_time: Duration,
}

impl Statistics {
    /// Frames that were rejected for `reason`, both ways: the parts of `transmit.rejected` + `receive.rejected`.
    #[must_use]
    pub fn rejected_for(&self, reason: RejectReason) -> u64 {
        self.rejections[reason as usize]
    }
}

impl TransmitStatistics {
    /// Frames offered that did not go out whole.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.link_down
            + self.would_block
            + self.no_buffer_space
            + self.interface_down
            + self.runt
            + self.oversize
            + self.rejected
            + self.too_many_slices
            + self.bad_resume
            + self.gone
            + self.io_error
    }
}

impl ReceiveStatistics {
    /// Frames taken from the device that did not reach the guest's device.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.interrupted
            + self.reset
            + self.link_down
            + self.stale
            + self.truncated
            + self.runt
            + self.rejected
            + self.refused
            + self.foreign
    }
}

/// The live counters of one backend.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub transmit: TransmitCounters,
    pub receive: ReceiveCounters,
    rejections: [Counter; RejectReason::ALL.len()],
    /// Frames received and delivered by one call.
    pub direct: Tally,
    /// Frames sent without a session. Other counters of sent frames belong to the holder of the session.
    pub verbatim: Tally,
    /// Frames that were refused there; the cause is counted with those of sessions.
    pub verbatim_refused: Counter,
    pub transmit_nanos: Counter,
    pub receive_nanos: Counter,
}

impl Counters {
    pub fn reject_received(&self, reason: RejectReason) {
        self.receive.rejected.one();
        self.reject(reason);
    }

    pub fn reject(&self, reason: RejectReason) {
        self.rejections[reason as usize].one();
    }

    fn transmitted(&self) -> TransmitStatistics {
        let (frames, bytes) = self.verbatim.read();
        let mut transmit = self.transmit.snapshot();
        transmit.frames_offered += frames + self.verbatim_refused.get();
        transmit.frames_sent += frames;
        transmit.segments_sent += frames;
        transmit.bytes_sent += bytes;
        transmit
    }

    pub fn snapshot(&self, dropped_by_host: Option<u64>) -> Statistics {
        let (frames, bytes) = self.direct.read();
        let mut receive = self.receive.snapshot();
        for count in
            [&mut receive.frames_received, &mut receive.frames_delivered, &mut receive.segments_delivered]
        {
            *count += frames;
        }
        receive.bytes_received += bytes;
        receive.bytes_delivered += bytes;
        Statistics {
            transmit: self.transmitted(),
            receive,
            rejections: std::array::from_fn(|reason| self.rejections[reason].get()),
            dropped_by_host,
            transmit_time: Duration::from_nanos(self.transmit_nanos.get()),
            receive_time: Duration::from_nanos(self.receive_nanos.get()),
        }
    }
}
