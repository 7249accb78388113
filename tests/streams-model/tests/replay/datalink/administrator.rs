//! Lines of the administrator, and of other clients of a link.

use std::net::Ipv4Addr;

use streams_model::{Errno, Offload, Offloads};

use super::super::line::Line;
use super::super::{Checked, UNKNOWN};
use super::frames::{self, mac_of};
use super::{Datalinks, outcome_of, zone_in};

type Done = Result<(), Errno>;

impl Datalinks {
    /// Where the arguments are prose, the note has the plain form.
    pub(super) fn administrator_line(&mut self, line: &Line) -> Checked {
        if line.args.contains("kernel client")
            || line.args.starts_with("again")
            || line.args.starts_with("the same")
        {
            return self.kernel_client_line(line);
        }
        let done = match self.administer(&line.note, line) {
            Some(done) => Some(done),
            None => self.administer(&line.args, line),
        };
        line.compare(&outcome_of(done.ok_or_else(|| format!("{UNKNOWN} {} {}", line.args, line.note))?))
    }

    /// A client in the kernel takes a link; the note then tells what was done before it.
    fn kernel_client_line(&mut self, line: &Line) -> Checked {
        if let Some(Err(errno)) = self.administer(&line.note, line) {
            return Err(format!("{}: {errno}", line.note));
        }
        let named = line.word_after("takes").or_else(|| line.word_after("wants"));
        if let Some(link) = named {
            self.kernel_client = link.to_owned();
        }
        let link = self.kernel_client.clone();
        line.compare(&outcome_of(self.caller.kernel.take_link(&link)))
    }

    fn administer(&mut self, text: &str, line: &Line) -> Option<Done> {
        let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let kernel = &mut self.caller.kernel;
        Some(match words[..] {
            ["create", "simnet", name, "address", mac, ..] => kernel.create_nic(name, mac_of(mac)?),
            ["create", "etherstub", name, .., "address", mac, "vid", _] => {
                kernel.create_etherstub(name, mac_of(mac)?)
            }
            ["create", "vnic", name, "over", over, "address", mac, "vid", vid] => {
                kernel.create_vnic(name, over, mac_of(mac)?, vid.parse().ok()?)
            }
            ["set", "mtu", "of", name, "to", mtu, ..] => kernel.set_link_mtu(name, mtu.parse().ok()?),
            ["wire", "between", one, "and", other, ..] => kernel.connect_nics(one, other),
            ["delete", "vnic", "or", "etherstub", name, ..] | ["delete", "simnet", name, ..] => {
                kernel.delete_link(name)
            }
            ["delete", name, ..] => kernel.delete_link(name),
            ["rename", name, "to", to, ..] => kernel.rename_link(name, to),
            ["carrier", "of", name, state, ..] => {
                kernel.set_carrier(name.trim_end_matches(':'), state == "up")
            }
            ["maxbw", "of", name, bits, "bit/s", ..] => {
                let bits: u64 = bits.parse().ok()?;
                kernel.set_maxbw(name.trim_end_matches(':'), (bits > 0).then_some(bits))
            }
            ["protection", "of", name, "types", kinds, ..] => {
                let kinds = u32::from_str_radix(kinds.trim_start_matches("0x"), 16).ok()?;
                kernel.set_protection(name.trim_end_matches(':'), kinds, &allowed(&line.args))
            }
            ["private", "property", "of", name, setting, ..] => {
                let name = name.trim_end_matches(':');
                let offloads = offered(kernel.offloads(name).unwrap_or_default(), setting)?;
                kernel.set_offloads(name, offloads)
            }
            ["address", "of", name, mac, ..] => {
                kernel.set_link_address(name.trim_end_matches(':'), mac_of(mac)?)
            }
            _ => return self.zone(&words),
        })
    }

    /// "zone of vnic0: 1", "vnic0 to zone 1", "vnic0 back to the global zone", ...
    fn zone(&mut self, words: &[&str]) -> Option<Done> {
        let zone = zone_in(&words.join(" "))?;
        let states = self.caller.kernel.datalink_states();
        let known = |word: &str| states.iter().any(|state| state.name == word);
        let name = words.iter().map(|word| word.trim_end_matches(':')).find(|word| known(word))?;
        Some(self.caller.kernel.set_link_zone(name, zone))
    }

    /// IP, or whoever else sends by a client of its own inside the kernel.
    pub(super) fn sender_line(&mut self, line: &Line) -> Checked {
        let numbers = line.numbers();
        let [length, start, stuff, end, ..] = numbers[..] else {
            return Err(format!("{UNKNOWN} a sender of {}", line.args));
        };
        let flags = line.word_after("flags").unwrap_or_default().trim_start_matches("0x");
        let flags = u32::from_str_radix(flags, 16).map_err(|_| format!("{UNKNOWN} flags {flags}"))?;
        let mss = line.word_after("mss").and_then(|word| word.parse().ok()).filter(|mss| *mss > 0);
        let whole = (flags & PARTIAL != 0).then_some((start as usize, stuff as usize, end as usize));
        // Marked as verified means that nothing is left to do, though the mark shares its bit with the request.
        let verified = flags & FULL_VERIFIED != 0;
        let left = Offload {
            partial: whole,
            full: flags & FULL != 0,
            ip: flags & IP_HEADER != 0 && !verified,
            mss: mss.filter(|_| flags & PARTIAL != 0 || flags & FULL != 0),
        };
        let frame = frames::continued(line.note.trim_start_matches("frame="), length as usize);
        let link = self.link_of(line.fd(0))?;
        line.compare(&outcome_of(self.caller.kernel.link_sends_with(&link, &frame, left)))
    }

    /// A client sends a frame in several blocks, which make one message all the same.
    pub(super) fn client_line(&mut self, line: &Line) -> Checked {
        let link = line.call.trim_end_matches(')').rsplit(' ').next().unwrap_or_default().to_owned();
        let length = *line.numbers().iter().find(|number| **number > 14).unwrap_or(&60) as usize;
        let states = self.caller.kernel.datalink_states();
        let source = states.iter().find(|state| state.name == link).map(|state| state.address);
        let source = source.ok_or_else(|| format!("no link {link}"))?;
        self.last_number = self.last_number.wrapping_add(1);
        let head = frames::header(self.last_destination, source, 0x800);
        let frame = frames::numbered(length, &head, self.last_number);
        line.compare(&outcome_of(self.caller.kernel.link_sends(&link, &frame)))
    }
}

/// Marks of a frame inside the kernel.
const IP_HEADER: u32 = 0x1;
const PARTIAL: u32 = 0x2;
const FULL: u32 = 0x4;
const FULL_VERIFIED: u32 = 0x8;

/// The addresses behind "allowed-ips=".
fn allowed(args: &str) -> Vec<Ipv4Addr> {
    let list = args.split("allowed-ips=").nth(1).unwrap_or_default();
    let list = list.split(' ').next().unwrap_or_default();
    list.split(',').filter_map(|address| address.parse().ok()).collect()
}

fn offered(mut offloads: Offloads, setting: &str) -> Option<Offloads> {
    match setting {
        "_tx_ulp_cksum=partial" => (offloads.partial_checksum, offloads.full_checksum) = (true, false),
        "_tx_ulp_cksum=fullv4" | "_tx_ulp_cksum=full" => {
            (offloads.partial_checksum, offloads.full_checksum) = (false, true);
        }
        "_tx_ulp_cksum=none" => (offloads.partial_checksum, offloads.full_checksum) = (false, false),
        "_tx_ipv4_cksum=on" => offloads.ip_checksum = true,
        "_tx_ipv4_cksum=off" => offloads.ip_checksum = false,
        "_lso=on" => offloads.segmentation = true,
        "_lso=off" => offloads.segmentation = false,
        _ => return None,
    }
    Some(offloads)
}
