//! close(2) in every order, and the end of the process.

use crate::abi::Errno;
use crate::call::{Call, Outcome, Stop, Sys};
use crate::kernel::Kernel;
use crate::kernel::sleep::lost_answer;
use crate::kernel::stream::{Module, StreamId};
use crate::memory::Arena;

impl Kernel {
    pub(super) fn close(&mut self, fd: i32) -> Sys {
        let file = self.files.descriptor(fd)?.file;
        self.files.descriptors.remove(&fd);
        if let Some(stream) = self.files.drop_reference(file) {
            self.close_stream(stream)?;
        }
        Ok(0)
    }

    /// Ends the process: every descriptor is closed, in ascending order.
    pub fn exit(&mut self) -> Vec<Outcome> {
        let fds: Vec<i32> = self.files.descriptors.keys().copied().collect();
        fds.into_iter().map(|fd| self.call(&mut Arena::new(), Call::Close { fd })).collect()
    }

    /// Closes a stream nobody refers to any more: links first, then the modules from the top, then the driver.
    pub(super) fn close_stream(&mut self, id: StreamId) -> Sys<()> {
        self.close_links(id)?;
        while let Some(&module) = self.stream(id)?.modules.first() {
            self.close_module(id, module)?;
            self.stream_mut(id)?.modules.remove(0);
        }
        if self.stream(id)?.driver.is_tuntap() {
            self.close_tuntap(id);
        }
        if self.stream(id)?.driver.is_datalink() {
            self.close_datalink(id);
        }
        self.streams.remove(&id);
        Ok(())
    }

    fn close_links(&mut self, upper: StreamId) -> Sys<()> {
        while let Some(link) = self.newest_link_of(upper) {
            if !self.settings.privileges.sys_ip_config {
                let errno = Errno::EPERM.0;
                self.log(format!(
                    "KERNEL: munlink: could not perform unlink ioctl, closing anyway ({errno})"
                ));
            }
            match self.remove_link(link.id, link.lower) {
                Err(Stop::Asleep(ticket)) => {
                    self.sleepers.set_closing(ticket, upper);
                    return Err(Stop::Asleep(ticket));
                }
                other => other?,
            };
        }
        Ok(())
    }

    /// What a module does when it is popped or its stream closed.
    pub(super) fn close_module(&mut self, id: StreamId, module: Module) -> Sys<()> {
        match module {
            Module::Ip => {
                self.wait_to_take_away(id)?;
                self.note_closing(id, true);
                self.remove_interface_of(id);
                self.unbind_now(id);
            }
            Module::Arp => {
                self.wait_to_take_away(id)?;
                self.note_closing(id, false);
                self.leave_interface(id);
            }
            Module::StuckIp => return Err(lost_answer(false, None)),
            Module::Dummy => {}
            // What it held back is lost.
            Module::Bufmod => drop(self.stream_mut(id)?.bufmods.remove(0)),
        }
        Ok(())
    }

    /// The interface goes on without its ARP stream: it no longer answers for its addresses.
    fn leave_interface(&mut self, arp: StreamId) {
        let Ok(stream) = self.stream_mut(arp) else { return };
        let Some(interface) = stream.interface.take() else { return };
        self.unbind_now(arp);
        if let Some(interface) = self.interfaces.get_mut(&interface) {
            interface.arp_stream = None;
            interface.arp_muxid = 0;
        }
    }
}
