//! What a configuration asks for that takes more than a number.

use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

/// Where the TAP comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A name or a `tap%d` template.
    Name(String),
    /// The kernel, or the setup program, chooses the name.
    Any,
    /// Descriptors that somebody else opened, one for each queue.
    Inherited(Vec<OwnedFd>),
    /// An existing data link of this name.
    Datalink(String),
}

/// Whether the interface may, must or must not exist before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Creation {
    #[default]
    Either,
    MustExist,
    Exclusive,
}

/// Who may attach a persistent TAP without privilege, by number; `None`: not restricted to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub user: Option<u32>,
    pub group: Option<u32>,
}

/// What is asked of an existing data link beside its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatalinkOptions {
    /// Bytes of frames to be kept for a guest that does not read; `None`: as many as usual, or fewer where that fails.
    pub buffer: Option<u32>,
    /// IP may be plumbed on the link.
    pub shared: bool,
}

impl DatalinkOptions {
    /// The smallest and the largest buffer.
    pub const BUFFERS: RangeInclusive<u32> = 16 * 1024..=64 * 1024 * 1024;
}
