//! What a test does from the host's side, and the traffic it can count.

use crate::abi::{ETHERTYPE_ARP, Errno};
use crate::kernel::Kernel;
use crate::kernel::interface::{Family, Interface};
use crate::kernel::links::Link;
use crate::kernel::packet::{ArpPacket, BROADCAST, EtherHeader, Ipv4Packet, checksum};
use crate::kernel::stream::{Driver, Message, Module, StreamId};

/// Frames and packets that went by, and what was dropped without a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames written on control streams, with the PPA.
    pub written: Vec<(usize, Vec<u8>)>,
    /// Packets IP took in, with the interface's name.
    pub received: Vec<(String, Vec<u8>)>,
    /// Frames queued on control streams.
    pub queued: usize,
    /// Frames dropped because a control stream's head was full.
    pub dropped_full: usize,
    /// Writes that succeeded and that nobody took.
    pub dropped_writes: usize,
}

impl Kernel {
    /// Counters and copies of what went by.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Queues a frame, Ethernet header included, on the control stream of a PPA, as if a protocol above had sent it.
    /// False when there is no such PPA.
    pub fn inject_frame(&mut self, ppa: usize, frame: &[u8]) -> bool {
        let Some(control) = self.ppas.get(ppa).map(|ppa| ppa.control) else { return false };
        self.queue_frame(control, frame.to_vec());
        true
    }

    /// An ARP request of the host, or with a sender of 0.0.0.0 a probe, arrives on the control stream of a PPA. False
    /// when there is no such PPA.
    pub fn inject_arp_request(&mut self, ppa: usize, sender_ip: [u8; 4], target_ip: [u8; 4]) -> bool {
        let Some(mac) = self.ppas.get(ppa).map(|ppa| ppa.mac) else { return false };
        let operation = ArpPacket::REQUEST;
        let target_mac = if sender_ip == [0; 4] { [0; 6] } else { BROADCAST };
        let packet = ArpPacket { operation, sender_mac: mac, sender_ip, target_mac, target_ip };
        let header = EtherHeader { destination: BROADCAST, source: mac, kind: ETHERTYPE_ARP };
        self.inject_frame(ppa, &header.frame(&packet.bytes()))
    }

    /// The host pings an address on a link of its own. False when no interface leads there.
    pub fn host_pings(&mut self, to: [u8; 4], sequence: u16, payload: &[u8]) -> bool {
        let Some((interface, from)) = self.route(to) else { return false };
        let mut message = vec![8, 0, 0, 0, 0x12, 0x34];
        message.extend(sequence.to_be_bytes());
        message.extend_from_slice(payload);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.send_ipv4(interface, from, to, Ipv4Packet::ICMP, true, &message);
        true
    }

    /// The stream hangs up: reads end, writes fail, poll says so.
    ///
    /// # Errors
    /// `EBADF`
    pub fn hang_up(&mut self, fd: i32) -> Result<(), Errno> {
        let stream = self.stream_of(fd)?;
        self.stream_mut(stream)?.hung_up = true;
        Ok(())
    }

    /// The driver sends `M_ERROR` up: every later call on the stream fails with it.
    ///
    /// # Errors
    /// `EBADF`
    pub fn set_stream_error(&mut self, fd: i32, errno: Option<Errno>) -> Result<(), Errno> {
        let stream = self.stream_of(fd)?;
        self.stream_mut(stream)?.error = errno;
        Ok(())
    }

    /// Queues a message at the stream's head; an `M_PCPROTO` goes to the front.
    ///
    /// # Errors
    /// `EBADF`
    pub fn inject_message(&mut self, fd: i32, message: Message) -> Result<(), Errno> {
        let stream = self.stream_of(fd)?;
        self.stream_mut(stream)?.put(message);
        Ok(())
    }

    /// Plumbs an interface as another process did that is gone: persistent links, no descriptor, no PPA.
    /// Returns its mux ids.
    pub fn plumb_elsewhere(&mut self, name: &str) -> (i32, i32) {
        let upper = self.last_stream + 1;
        self.last_stream = upper;
        let ip = self.add_lower_stream(Module::Ip);
        let arp = self.add_lower_stream(Module::Arp);
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut interface = Interface::new(Family::V4, name, digits.parse().unwrap_or(0), ip, 0);
        interface.arp_stream = Some(arp);
        let muxids = [ip, arp].map(|lower| self.link_elsewhere(upper, lower));
        (interface.ip_muxid, interface.arp_muxid) = (muxids[0], muxids[1]);
        let id = self.add_interface(interface);
        for lower in [ip, arp] {
            if let Ok(stream) = self.stream_mut(lower) {
                stream.interface = Some(id);
                stream.linked = true;
            }
        }
        (muxids[0], muxids[1])
    }

    /// Removes the persistent links of an interface, as another process' unplumbing does.
    pub fn unplumb_elsewhere(&mut self, name: &str) {
        let named = |kernel: &Self, link: &Link| {
            let interface = kernel.stream(link.lower).ok().and_then(|stream| stream.interface);
            let interface = interface.and_then(|interface| kernel.interfaces.get(&interface));
            link.persistent && interface.is_some_and(|interface| interface.name == name)
        };
        while let Some(link) = self.links.list.iter().rev().find(|link| named(self, link)).cloned() {
            if self.remove_link(link.id, link.lower).is_err() {
                return;
            }
        }
    }

    /// Takes a PPA for another process, which keeps it. False when it is taken already.
    pub fn take_ppa_elsewhere(&mut self, ppa: usize) -> bool {
        let control = self.add_stream(Driver::Tap);
        self.files.install_foreign(control);
        let taken = i32::try_from(ppa).is_ok_and(|wanted| self.new_ppa(control, wanted).is_ok());
        if !taken {
            self.streams.remove(&control);
        }
        taken
    }

    fn add_lower_stream(&mut self, module: Module) -> StreamId {
        let id = self.add_stream(Driver::Tap);
        if let Ok(stream) = self.stream_mut(id) {
            stream.modules.push(module);
        }
        id
    }

    fn link_elsewhere(&mut self, upper: StreamId, lower: StreamId) -> i32 {
        let file = self.files.install_foreign(lower);
        let id = self.links.next_id();
        self.links.list.push(Link { id, persistent: true, upper, driver: Driver::Udp, lower, file });
        id
    }
}
