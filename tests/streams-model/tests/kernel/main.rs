//! The rules of the kernel, one family of them a file: what a call gives in every state it can be made in.

#[path = "../support/caller.rs"]
mod caller;

mod closing;
mod datalinks;
mod detection;
mod driver;
mod faults;
mod hazards;
mod interfaces;
mod links;
mod names;
mod random;
mod stream_head;
mod traffic;

use std::time::Duration;

use streams_model::abi::I_LINK;
use streams_model::{Errno, Outcome};

use caller::{Caller, Plumbed};

/// The address the host's side of an interface gets in these tests, and the guest's.
const HOST: [u8; 4] = [10, 77, 0, 1];
const GUEST: [u8; 4] = [10, 77, 0, 2];

fn done(value: i64) -> Outcome {
    Outcome::Done(value)
}

fn failed(errno: Errno) -> Outcome {
    Outcome::Failed(errno)
}

/// tap0 plumbed and up, its duplicate address detection over and its frames read.
fn up_and_quiet() -> (Caller, Plumbed) {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    caller.set_address(plumbed.mux, "tap0", HOST);
    assert_eq!(caller.set_up(plumbed.mux, "tap0", true), done(0));
    caller.kernel.advance(Duration::from_secs(20));
    assert_eq!(caller.drain(plumbed.control).len(), 8);
    (caller, plumbed)
}
