//! An interface of IP over a device, plumbed step by step as ifconfig(8) does it, and undone in the order that never hangs.

use std::ffi::c_int;

use nix::errno::Errno;

use super::abi::{
    AF_INET, IFF_IPV4, IFF_UP, LIFR_ADDR, LIFR_ARP_MUXID, LIFR_FLAGS, LIFR_IP_MUXID, LIFR_MTU, LifReq,
    Request, SIN_ADDR, SIOCGLIFFLAGS, SIOCGLIFMTU, SIOCGLIFMUXID, SIOCSLIFADDR, SIOCSLIFFLAGS, SIOCSLIFMTU,
    SIOCSLIFNAME, SIOCSLIFNETMASK,
};
use super::device::Control;
use super::facts::{Step, Stopped};
use super::stream::{Answer, Stream};

/// For documentation (RFC 5737): no network has them.
pub(crate) const HOST: [u8; 4] = [192, 0, 2, 1];
pub(crate) const GUEST: [u8; 4] = [192, 0, 2, 2];
pub(crate) const MASK: [u8; 4] = [255, 255, 255, 0];

/// A plumbed interface. Its fields are dropped in this order: the multiplexor, which undoes the links, before the device.
pub(crate) struct Plumbed {
    pub(crate) mux: Stream,
    pub(crate) control: Control,
    pub(crate) name: String,
    /// The numbers of the links of ip and arp.
    pub(crate) links: [c_int; 2],
}

impl Plumbed {
    /// Makes a device and plumbs an interface over it.
    pub(crate) fn new() -> Result<Self, Stopped> {
        let mux = mux()?;
        let control = Control::by_frame(Control::ANY).step("TUNNEWPPA -1")?;
        let name = name_of(&control);
        let ip = ip(&name, control.ppa)?;
        let arp = arp(&name, control.ppa)?;
        let links = [mux.link(&ip).step("I_LINK of ip")?, mux.link(&arp).step("I_LINK of arp")?];
        Ok(Self { mux, control, name, links })
    }

    /// Undoes the links, the newest first, then closes in order.
    pub(crate) fn unplumb(self) -> Result<Control, Stopped> {
        let [ip, arp] = self.links;
        self.mux.unlink(arp).step("I_UNLINK of arp")?;
        self.mux.unlink(ip).step("I_UNLINK of ip")?;
        Ok(self.control)
    }

    pub(crate) fn set_address(&self, family: u16, address: [u8; 4], mask: [u8; 4]) -> Answer {
        self.set(SIOCSLIFADDR, &[(LIFR_ADDR, &family.to_ne_bytes()), (LIFR_ADDR + SIN_ADDR, &address)])?;
        self.set(SIOCSLIFNETMASK, &[(LIFR_ADDR, &family.to_ne_bytes()), (LIFR_ADDR + SIN_ADDR, &mask)])
    }

    pub(crate) fn set_mtu(&self, mtu: u32) -> Answer {
        self.set(SIOCSLIFMTU, &[(LIFR_MTU, &mtu.to_ne_bytes())])
    }

    pub(crate) fn set_up(&self, up: bool) -> Answer {
        let flags = self.flags()? & !IFF_UP | if up { IFF_UP } else { 0 };
        self.set(SIOCSLIFFLAGS, &[(LIFR_FLAGS, &flags.to_ne_bytes())])
    }

    /// An address, a mask, and up.
    pub(crate) fn come_up(&self) -> Result<(), Stopped> {
        self.set_address(AF_INET, HOST, MASK).step("SIOCSLIFADDR")?;
        self.set_up(true).step("SIOCSLIFFLAGS up").map(drop)
    }

    pub(crate) fn flags(&self) -> Result<u64, Errno> {
        flags(&self.mux, &self.name)
    }

    pub(crate) fn mtu(&self) -> Result<u32, Errno> {
        Ok(u32::from_ne_bytes(get(&self.mux, &self.name, SIOCGLIFMTU, LIFR_MTU)?))
    }

    /// What IP says the links' numbers are.
    pub(crate) fn mux_ids(&self) -> Result<[c_int; 2], Errno> {
        let ask = |at| get(&self.mux, &self.name, SIOCGLIFMUXID, at).map(c_int::from_ne_bytes);
        Ok([ask(LIFR_IP_MUXID)?, ask(LIFR_ARP_MUXID)?])
    }

    fn set(&self, request: Request, fields: &[(usize, &[u8])]) -> Answer {
        let mut argument = about(&self.name);
        for (at, bytes) in fields {
            argument.lifr_lifru[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        self.mux.ask_ip(request, &mut argument)
    }
}

/// The stream below which an interface is linked.
pub(crate) fn mux() -> Result<Stream, Stopped> {
    let mux = Stream::open("/dev/udp").step("open /dev/udp")?;
    mux.push("arp").step("I_PUSH arp on udp")?;
    Ok(mux)
}

/// The name that the system's tools give a device.
pub(crate) fn name_of(control: &Control) -> String {
    format!("tap{}", control.ppa)
}

/// A stream of ip with this name, not yet linked.
pub(crate) fn ip(name: &str, ppa: c_int) -> Result<Stream, Stopped> {
    let stream = Stream::open("/dev/tap").step("open /dev/tap for ip")?;
    stream.push("ip").step("I_PUSH ip")?;
    stream.ask_ip(SIOCSLIFNAME, &mut named(name, ppa)).step("SIOCSLIFNAME of ip")?;
    Ok(stream)
}

/// A stream of arp for the interface of this name, not yet linked.
pub(crate) fn arp(name: &str, ppa: c_int) -> Result<Stream, Stopped> {
    let stream = Stream::open("/dev/tap").step("open /dev/tap for arp")?;
    stream.push("arp").step("I_PUSH arp")?;
    stream.ask_module(SIOCSLIFNAME, &mut named(name, ppa)).step("SIOCSLIFNAME of arp")?;
    Ok(stream)
}

/// What names a stream.
pub(crate) fn named(name: &str, ppa: c_int) -> LifReq {
    let mut request = about(name);
    request.lifr_ppa = ppa.cast_unsigned();
    request.lifr_lifru[LIFR_FLAGS..][..8].copy_from_slice(&IFF_IPV4.to_ne_bytes());
    request
}

/// The flags of an interface, asked for through any stream that IP answers on.
pub(crate) fn flags(through: &Stream, name: &str) -> Result<u64, Errno> {
    get(through, name, SIOCGLIFFLAGS, LIFR_FLAGS).map(u64::from_ne_bytes)
}

fn get<const N: usize>(through: &Stream, name: &str, request: Request, at: usize) -> Result<[u8; N], Errno> {
    let mut argument = about(name);
    through.ask_ip(request, &mut argument)?;
    Ok(std::array::from_fn(|index| argument.lifr_lifru[at + index]))
}

/// An otherwise empty request about an interface; a name that is too long is cut.
fn about(name: &str) -> LifReq {
    let mut request = LifReq { lifr_name: [0; 32], lifr_ppa: 0, lifr_type: 0, lifr_lifru: [0; 336] };
    request.lifr_name.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    request
}
