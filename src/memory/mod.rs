//! Where the bytes of a frame lie: slices that Rust may borrow and guest memory, to the engine one and the same; and the
//! list of slices that a system call takes.

mod frame;
mod guest;
mod list;
mod room;

pub(crate) use frame::{Cursor, FrameList, FrameMemory, with_headers};
pub use guest::RawSlice;
pub(crate) use guest::{FrameSlice, RoomSlice};
pub(crate) use list::{COMMON_SLICES, List, MOST_SLICES, Slots};
pub(crate) use room::ReceiveMemory;
