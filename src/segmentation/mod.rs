//! How an oversized frame is cut, by software or by the host, and the public [`Frame`].

mod carve;
mod frame;
mod host;
mod segments;
mod template;

pub(crate) use carve::{Output, carve};
pub use frame::{CarveError, Completion, Frame};
pub(crate) use host::{HostCapabilities, OwnBytes, Prepared, prepare};
