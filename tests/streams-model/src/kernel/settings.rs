//! What a test can set about the machine: privileges, devices, limits, scheduling.

use std::collections::BTreeSet;

use crate::abi::Errno;
use crate::kernel::Kernel;
use crate::kernel::stream::Driver;

/// The hardware address the tap driver made up when it was attached; every PPA gets a copy.
pub const DEFAULT_MAC: [u8; 6] = [0x0a, 0x00, 0x20, 0xb7, 0x55, 0x65];

/// The privileges of the process, `privileges(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Pushing ip and arp.
    pub net_rawaccess: bool,
    /// Interface requests and links; `PRIV_SYS_NET_CONFIG` implies it.
    pub sys_ip_config: bool,
    /// Opening `/dev/tap`: the node is mode 0600.
    pub open_tap: bool,
}

impl Default for Privileges {
    fn default() -> Self {
        Self { net_rawaccess: true, sys_ip_config: true, open_tap: true }
    }
}

/// When the tap driver gets to serve the requests queued in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Service {
    /// As late as possible: when time passes, or when the calling thread itself waits for it. The strict order, in which
    /// closing the control stream too early is always punished.
    #[default]
    Late,
    /// After every call, as on a quiet machine.
    Prompt,
    /// Not before time passes: a call that waits for the driver falls asleep, so that a test can play a second thread.
    Held,
}

/// The version of the tuntap driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tuntap {
    /// 1.3.3 of 2013, which illumos distributions package: it does not know `TUNGETPPA`.
    V1_3_3,
    /// The sources of 2023, without a number of their own.
    #[default]
    Newer,
}

impl Tuntap {
    /// The variable that says which version a machine has: `1.3.3`, or none.
    pub const VARIABLE: &str = "STREAMS_TUNTAP";

    /// The version that the environment asks for.
    ///
    /// # Panics
    /// For a version that there is not.
    pub fn of_environment() -> Self {
        match std::env::var(Self::VARIABLE).as_deref() {
            Ok("1.3.3") => Self::V1_3_3,
            Err(_) | Ok("") => Self::Newer,
            Ok(other) => {
                panic!("{}={other}: there is 1.3.3, and without a value the newer one", Self::VARIABLE)
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) tuntap: Tuntap,
    pub(super) privileges: Privileges,
    pub(super) service: Service,
    pub(super) missing: BTreeSet<Driver>,
    pub(super) descriptor_limit: usize,
    pub(super) mac: [u8; 6],
    pub(super) muxid_all_allowed: bool,
    pub(super) transparent_arp_allowed: bool,
    pub(super) datalink_hazards_allowed: bool,
    pub(super) zone: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tuntap: Tuntap::default(),
            privileges: Privileges::default(),
            service: Service::default(),
            missing: BTreeSet::new(),
            descriptor_limit: 256,
            mac: DEFAULT_MAC,
            muxid_all_allowed: false,
            transparent_arp_allowed: false,
            datalink_hazards_allowed: false,
            zone: 0,
        }
    }
}

impl Kernel {
    /// Sets the version of the tuntap driver.
    pub fn set_tuntap(&mut self, version: Tuntap) {
        self.settings.tuntap = version;
    }

    /// The version of the tuntap driver.
    pub fn tuntap(&self) -> Tuntap {
        self.settings.tuntap
    }

    /// Sets the privileges of the process.
    pub fn set_privileges(&mut self, privileges: Privileges) {
        self.settings.privileges = privileges;
    }

    /// Sets when the tap driver serves what is queued in it.
    pub fn set_service(&mut self, service: Service) {
        self.settings.service = service;
    }

    /// Takes a device away, as on a machine without the driver: opening it is `ENOENT`.
    pub fn remove_device(&mut self, driver: Driver) {
        self.settings.missing.insert(driver);
    }

    /// Sets how many descriptors the process may have in the model before an open is `EMFILE`.
    pub fn set_descriptor_limit(&mut self, limit: usize) {
        self.settings.descriptor_limit = limit;
    }

    /// Sets the hardware address new PPAs get.
    pub fn set_mac(&mut self, mac: [u8; 6]) {
        self.settings.mac = mac;
    }

    /// Lets `I_PUNLINK` of everything happen instead of panicking: for replaying what was observed with it.
    pub fn allow_muxid_all(&mut self) {
        self.settings.muxid_all_allowed = true;
    }

    /// Answers a transparent `SIOCSLIFNAME` on an ARP stream with the `ENXIO` that was observed, instead of panicking.
    /// On a real machine it reads beyond an 8-byte block, so the answer is an accident.
    pub fn allow_transparent_arp_name(&mut self) {
        self.settings.transparent_arp_allowed = true;
    }

    /// Puts the process into a zone, or with 0 into the global one.
    pub fn set_zone(&mut self, zone: u32) {
        self.settings.zone = zone;
    }

    pub(super) fn require_ip_config(&self) -> Result<(), Errno> {
        if self.settings.privileges.sys_ip_config { Ok(()) } else { Err(Errno::EPERM) }
    }

    pub(super) fn require_raw_access(&self) -> Result<(), Errno> {
        if self.settings.privileges.net_rawaccess { Ok(()) } else { Err(Errno::EPERM) }
    }
}
