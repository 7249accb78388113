//! A comparable picture of everything a failed or undone attach must leave as it was.

use std::collections::BTreeMap;

use crate::abi::{IFF_UP, O_NONBLOCK};
use crate::kernel::Kernel;
use crate::kernel::datalink::DatalinkState;
use crate::kernel::interface::{Family, Wedge};
use crate::kernel::stream::{Driver, ReadMode};

/// The state of the machine. The mux id counter and the clock are left out: they only rise.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Each descriptor, in words: driver, modules, close-on-exec, non-blocking, read mode.
    pub descriptors: BTreeMap<i32, String>,
    /// Links, oldest first.
    pub links: Vec<LinkState>,
    /// Interfaces in the order IP lists them.
    pub interfaces: Vec<InterfaceState>,
    /// PPAs that are taken.
    pub ppas: Vec<usize>,
    /// Streams that exist, those only a link holds included.
    pub streams: usize,
    /// How many of each module are pushed somewhere.
    pub modules: BTreeMap<&'static str, usize>,
    /// Data links, in the order they were made.
    pub datalinks: Vec<DatalinkState>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Its mux id.
    pub muxid: i32,
    /// Whether `I_PLINK` made it.
    pub persistent: bool,
    /// The multiplexor's driver.
    pub driver: Driver,
    /// The lower stream's modules and driver, top first.
    pub lower: String,
    /// References to the lower stream's open file: 1 when only the link holds it.
    pub references: u32,
}

/// One unit of an interface, as IP lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceState {
    /// Its name, with ":n" for further units.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// Its flags; nothing when they cannot be read any more.
    pub flags: Option<u64>,
    /// Recorded id of the IP link.
    pub ip_muxid: i32,
    /// Recorded id of the ARP link.
    pub arp_muxid: i32,
    /// Its MTU.
    pub mtu: u32,
    /// Address bytes.
    pub address: Vec<u8>,
    /// Mask bytes.
    pub mask: Vec<u8>,
}

impl InterfaceState {
    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.flags.is_some_and(|flags| flags & IFF_UP != 0)
    }
}

impl Kernel {
    /// Takes a picture of the state.
    pub fn snapshot(&self) -> Snapshot {
        let descriptors = self.files.descriptors.keys().map(|&fd| (fd, self.describe(fd))).collect();
        let mut modules = BTreeMap::new();
        for module in self.streams.values().flat_map(|stream| &stream.modules) {
            *modules.entry(module.name()).or_default() += 1;
        }
        Snapshot {
            descriptors,
            links: self.link_states(),
            interfaces: self.interface_states(),
            ppas: self.ppas.taken(),
            streams: self.streams.len(),
            modules,
            datalinks: self.datalink_states(),
        }
    }

    /// Every link, oldest first.
    pub fn link_states(&self) -> Vec<LinkState> {
        let states = self.links.list.iter().map(|link| LinkState {
            muxid: link.id,
            persistent: link.persistent,
            driver: link.driver,
            lower: self.module_names(link.lower).join(" "),
            references: self.files.open.get(&link.file).map_or(0, |open| open.references),
        });
        states.collect()
    }

    /// Every unit of every interface, in the order IP lists them.
    pub fn interface_states(&self) -> Vec<InterfaceState> {
        let units = self.sorted_units().into_iter().filter_map(|(family, interface, number, name)| {
            let unit = interface.units.get(&number)?;
            let readable = !matches!(interface.wedge, Some(Wedge::IpClose | Wedge::Up));
            Some(InterfaceState {
                name,
                family,
                flags: readable.then(|| interface.flags_of(number)),
                ip_muxid: interface.ip_muxid,
                arp_muxid: interface.arp_muxid,
                mtu: interface.mtu,
                address: unit.address.clone(),
                mask: unit.mask.clone(),
            })
        });
        units.collect()
    }

    /// How many streams exist, those only a link holds included.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    fn module_names(&self, stream: u32) -> Vec<&'static str> {
        let Ok(stream) = self.stream(stream) else { return Vec::new() };
        let modules = stream.modules.iter().map(|module| module.name());
        modules.chain([stream.driver.name()]).collect()
    }

    fn describe(&self, fd: i32) -> String {
        let (Ok(descriptor), Ok(file)) = (self.files.descriptor(fd), self.files.file(fd)) else {
            return String::new();
        };
        let mut text = self.module_names(file.stream).join(" ");
        if descriptor.close_on_exec {
            text += ", close-on-exec";
        }
        if file.flags & O_NONBLOCK != 0 {
            text += ", non-blocking";
        }
        if let Ok(stream) = self.stream(file.stream)
            && stream.read_mode != ReadMode::Normal
        {
            text += &format!(", {:?}", stream.read_mode);
        }
        text
    }
}
