//! Where the bytes of a frame lie: slices that Rust may borrow and guest memory, to the engine one and the same. Also the
//! list of slices that a system call takes.

mod frame;
mod guest;
mod room;

pub(crate) use frame::{Cursor, FrameList, FrameMemory, with_headers};
pub use guest::RawSlice;
pub(crate) use guest::{COMMON_SLICES, FrameSlice, List, MOST_SLICES, RoomSlice, Slots, with_slices};
pub(crate) use room::{NOWHERE_LEN, ReceiveMemory, nowhere};
