//! What is asked, in groups.
//!
//! - `stream` and `device` are the system calls, `interface` what plumbing is made of, `frames` what a guest sends.
//! - `facts` is what becomes of the answers; the other modules are one group each. `datalink` has a folder.

#[expect(dead_code, reason = "the library needs more of it")]
#[path = "../../../../platform/illumos/abi.rs"]
mod abi;
mod closing;
mod contention;
mod datalink;
mod delivery;
mod device;
mod driver;
mod facts;
mod frames;
mod head;
mod interface;
mod plumbing;
mod reading;
mod stream;
mod up;

pub(crate) use datalink::Links;
pub(crate) use facts::{Clock, Facts, GROUPS};
