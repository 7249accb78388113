//! What is written into a `lifreq` and read from it. Every request starts from one that is all zero, since the fields of
//! its union share their bytes.

use std::ffi::c_int;
use std::net::IpAddr;

use super::abi::{
    AF_INET, AF_INET6, LIFR_ADDR, LIFR_ARP_MUXID, LIFR_FLAGS, LIFR_IP_MUXID, LIFR_MTU, LifReq, SIN_ADDR,
    SIN6_ADDR,
};
use crate::attach::name::InterfaceName;

impl LifReq {
    /// An otherwise empty request about the interface `name`.
    pub(super) fn about(name: InterfaceName) -> Self {
        let mut request = Self { lifr_name: [0; 32], lifr_ppa: 0, lifr_type: 0, lifr_lifru: [0; 336] };
        let text = name.as_bytes();
        request.lifr_name[..text.len()].copy_from_slice(text);
        request
    }

    pub(super) fn name(&self) -> Option<InterfaceName> {
        InterfaceName::from_c_bytes(&self.lifr_name)
    }

    /// `lifr_flags`: 64 bits.
    pub(super) fn flags(&self) -> u64 {
        u64::from_ne_bytes(self.at(LIFR_FLAGS))
    }

    pub(super) fn set_flags(&mut self, flags: u64) {
        self.put(LIFR_FLAGS, &flags.to_ne_bytes());
    }

    /// `lifr_mtu`: bytes, without the Ethernet header.
    pub(super) fn mtu(&self) -> u32 {
        u32::from_ne_bytes(self.at(LIFR_MTU))
    }

    pub(super) fn set_mtu(&mut self, mtu: u32) {
        self.put(LIFR_MTU, &mtu.to_ne_bytes());
    }

    /// `lifr_ip_muxid` and `lifr_arp_muxid`.
    pub(super) fn mux_ids(&self) -> (c_int, c_int) {
        (c_int::from_ne_bytes(self.at(LIFR_IP_MUXID)), c_int::from_ne_bytes(self.at(LIFR_ARP_MUXID)))
    }

    pub(super) fn set_mux_ids(&mut self, ip: c_int, arp: c_int) {
        self.put(LIFR_IP_MUXID, &ip.to_ne_bytes());
        self.put(LIFR_ARP_MUXID, &arp.to_ne_bytes());
    }

    /// `lifr_addr`: a `sockaddr_in` or a `sockaddr_in6` in a `sockaddr_storage`.
    pub(super) fn set_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                self.put(LIFR_ADDR, &AF_INET.to_ne_bytes());
                self.put(LIFR_ADDR + SIN_ADDR, &address.octets());
            }
            IpAddr::V6(address) => {
                self.put(LIFR_ADDR, &AF_INET6.to_ne_bytes());
                self.put(LIFR_ADDR + SIN6_ADDR, &address.octets());
            }
        }
    }

    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        std::array::from_fn(|index| self.lifr_lifru[offset + index])
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.lifr_lifru[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}
