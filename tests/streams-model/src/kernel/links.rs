//! Links below a multiplexor: `I_LINK`, `I_PLINK`, `I_UNLINK`, `I_PUNLINK`.

use crate::abi::{Errno, MUXID_ALL};
use crate::call::Sys;
use crate::kernel::Kernel;
use crate::kernel::files::FileId;
use crate::kernel::sleep::Step;
use crate::kernel::stream::{Driver, Module, StreamId};

/// One lower stream under a multiplexor.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) id: i32,
    /// Made by `I_PLINK`: it belongs to the driver and survives the stream it was made on.
    pub(super) persistent: bool,
    pub(super) upper: StreamId,
    pub(super) driver: Driver,
    pub(super) lower: StreamId,
    pub(super) file: FileId,
}

/// All links of the system, oldest first, and the counter their ids come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) list: Vec<Link>,
    last: i32,
}

impl Links {
    /// The next id. A link that then fails has used it up.
    pub(super) fn next_id(&mut self) -> i32 {
        self.last += 1;
        self.last
    }

    fn find(&self, wanted: impl Fn(&Link) -> bool) -> Option<&Link> {
        self.list.iter().find(|link| wanted(link))
    }
}

impl Kernel {
    pub(super) fn link(&mut self, upper: StreamId, lower_fd: i32, persistent: bool) -> Sys {
        let driver = self.stream(upper)?.driver;
        if !driver.is_multiplexor() {
            return Err(Errno::EINVAL.into());
        }
        let file = self.files.descriptor(lower_fd)?.file;
        let lower = self.stream_of(lower_fd)?;
        self.check_lower(upper, driver, lower)?;
        let id = self.links.next_id();
        self.require_ip_config()?;
        self.record_muxid(lower, id)?;
        self.links.list.push(Link { id, persistent, upper, driver, lower, file });
        self.files.add_reference(file);
        self.stream_mut(lower)?.linked = true;
        Ok(i64::from(id))
    }

    fn check_lower(&self, upper: StreamId, driver: Driver, lower: StreamId) -> Result<(), Errno> {
        let stream = self.stream(lower)?;
        let is_stream = !matches!(stream.driver, Driver::Socket(_));
        let healthy = !stream.linked && !stream.hung_up && stream.error.is_none();
        // The same driver on both sides would be a cycle.
        if is_stream && healthy && lower != upper && stream.driver != driver {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// What IP notes when a stream is linked: the id of a stream with ip or arp, and that ARP comes second.
    fn record_muxid(&mut self, lower: StreamId, id: i32) -> Result<(), Errno> {
        let stream = self.stream(lower)?;
        let (is_ip, is_arp) = (stream.has(Module::Ip), stream.has(Module::Arp));
        let Some(interface) = stream.interface.and_then(|interface| self.interfaces.get_mut(&interface))
        else {
            return Ok(());
        };
        if is_ip {
            interface.ip_muxid = id;
        } else if is_arp && interface.ip_muxid == 0 {
            return Err(Errno::EINVAL);
        } else if is_arp {
            interface.arp_muxid = id;
        }
        Ok(())
    }

    pub(super) fn unlink(&mut self, upper: StreamId, id: i32, persistent: bool) -> Sys {
        let driver = self.stream(upper)?.driver;
        match (id, persistent) {
            (MUXID_ALL, false) => self.unlink_all_of(upper),
            (MUXID_ALL, true) => self.unlink_all_persistent(driver),
            _ => {
                let ours = |link: &Link| {
                    let place = if persistent { link.driver == driver } else { link.upper == upper };
                    link.id == id && link.persistent == persistent && place
                };
                let lower = self.links.find(ours).ok_or(Errno::EINVAL)?.lower;
                self.require_ip_config()?;
                self.remove_link(id, lower)
            }
        }
    }

    /// Removes the links made by `I_LINK` on one stream, newest first.
    fn unlink_all_of(&mut self, upper: StreamId) -> Sys {
        self.require_ip_config()?;
        while let Some(link) = self.newest_link_of(upper) {
            self.remove_link(link.id, link.lower)?;
        }
        Ok(0)
    }

    pub(super) fn newest_link_of(&self, upper: StreamId) -> Option<Link> {
        self.links.list.iter().rev().find(|link| link.upper == upper && !link.persistent).cloned()
    }

    /// Removes the persistent links of a driver, whoever made them, from the oldest on; the first link that is not
    /// persistent ends it without an error.
    fn unlink_all_persistent(&mut self, driver: Driver) -> Sys {
        if !self.settings.muxid_all_allowed {
            panic!(
                "call {}: I_PUNLINK of MUXID_ALL takes away every persistent link of /dev/{}: the host's network",
                self.calls,
                driver.name()
            );
        }
        self.require_ip_config()?;
        while let Some(link) =
            self.links.find(|link| link.driver == driver).filter(|link| link.persistent).cloned()
        {
            self.host_network_destroyed = true;
            self.remove_link(link.id, link.lower)?;
        }
        Ok(0)
    }

    /// Takes one link away: the mux forgets the id, and the lower stream loses the reference the link held.
    pub(super) fn remove_link(&mut self, id: i32, lower: StreamId) -> Sys {
        self.wait_to_take_away(lower)?;
        self.forget_muxid(lower);
        let Some(at) = self.links.list.iter().position(|link| link.id == id) else { return Ok(0) };
        let link = self.links.list.remove(at);
        self.stream_mut(lower)?.linked = false;
        if self.files.drop_reference(link.file).is_none() {
            return Ok(0);
        }
        self.sleep_if_held(lower, Step::CloseLower { stream: lower })?;
        self.close_stream(lower)?;
        Ok(0)
    }

    fn forget_muxid(&mut self, lower: StreamId) {
        let Ok(stream) = self.stream(lower) else { return };
        let is_ip = stream.has(Module::Ip);
        let Some(interface) = stream.interface.and_then(|interface| self.interfaces.get_mut(&interface))
        else {
            return;
        };
        if is_ip {
            interface.ip_muxid = 0;
        } else {
            interface.arp_muxid = 0;
        }
    }
}
