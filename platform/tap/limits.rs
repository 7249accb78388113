//! Which frames a host takes.

/// The frames that a host takes: lengths in bytes with the Ethernet header, without FCS and without virtio-net header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameLimits {
    pub(crate) shortest: usize,
    /// A frame that is shorter, but no shorter than this, is filled up with zeros.
    pub(crate) padded_from: usize,
    /// Without a VLAN tag, where tags are looked at.
    pub(crate) longest: usize,
    pub(crate) tags: Tags,
    /// Neither a read nor a write nor a poll tells the end of the interface; [`Tap::is_removed`](super::Tap::is_removed) does.
    pub(crate) ends_silently: bool,
}

/// Which VLAN tags a host takes.
#[cfg_attr(
    not(any(target_os = "illumos", target_os = "solaris")),
    expect(dead_code, reason = "a TAP takes any, and here is nothing else")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// The host does not look at tags: every tagged frame passes.
    Unchecked,
    /// The host takes a tag that names a VLAN or a priority, in addition to the longest frame. It silently drops a frame with
    /// any other tag.
    Meaningful,
    /// One that names a priority alone.
    PriorityAlone,
}

impl FrameLimits {
    /// Those of a TAP, so that a socket pair can stand in for one.
    pub(crate) const OF_SOCKET: Self = Self::between(14, 40 + 65535 + 14 + 8);

    /// Any frame between these lengths, as it is.
    pub(crate) const fn between(shortest: usize, longest: usize) -> Self {
        Self { shortest, padded_from: shortest, longest, tags: Tags::Unchecked, ends_silently: false }
    }
}
