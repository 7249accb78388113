//! A data link, by two vnics over an etherstub that were made for these questions: nobody else's link is ever opened.
//!
//! - `name` and `link` see to it that only they are asked, and nothing that could harm the machine;
//! - `requests` are the driver's answers, `news` the second stream, `frames` who gets what, `waiting` the head of a stream.

mod frames;
mod link;
mod name;
mod news;
mod requests;
mod waiting;

use nix::errno::Errno;

use super::abi::DL_CURR_PHYS_ADDR;
use super::facts::{Facts, Step, Stopped};
use link::Link;
use name::LinkName;

pub(crate) use name::Links;

/// In the first byte of an address: somebody has made it up, as the system does for a vnic.
const LOCAL: u8 = 2;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let Some(Links([one, other])) = facts.links() else {
        return Err(Errno::ENODEV).step("two links made for the purpose");
    };
    for name in [&one, &other] {
        made_up(name)?;
    }
    requests::questions(facts, &one)?;
    news::questions(facts, [&one, &other])?;
    frames::questions(facts, [&one, &other])?;
    waiting::questions(facts, [&one, &other])
}

/// Stops before anything is set on a link whose address is a manufacturer's: it would be no vnic.
fn made_up(name: &LinkName) -> Result<(), Stopped> {
    let link = Link::open(name).step("open of a link made for the purpose")?;
    let address = link.address(DL_CURR_PHYS_ADDR).step("DL_PHYS_ADDR_REQ")?;
    let local = if address[0] & LOCAL == 0 { Err(Errno::EPERM) } else { Ok(()) };
    local.step("an address as vnics have")
}
