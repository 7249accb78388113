//! Lines that are interface requests.

use std::net::{Ipv4Addr, Ipv6Addr};

use streams_model::abi::{self, AF_INET, AF_INET6, IFF_UP};
use streams_model::{Lifreq, Outcome};

use super::line::Line;
use super::{Checked, Replay, UNKNOWN, equal};

impl Replay {
    pub(super) fn interface_line(&mut self, line: &Line, operation: &str) -> Checked {
        let request = match operation {
            "SIOCSLIFNAME" => return self.name_line(line),
            "I_STR SIOCSLIFNAME" => return self.str_name_line(line),
            "IF_UNITSEL" => return self.unit_line(line),
            "SIOCGLIFFLAGS" => abi::SIOCGLIFFLAGS,
            "SIOCSLIFFLAGS" => abi::SIOCSLIFFLAGS,
            "SIOCGLIFMUXID" => abi::SIOCGLIFMUXID,
            "SIOCSLIFMUXID" => abi::SIOCSLIFMUXID,
            "SIOCGLIFMTU" => abi::SIOCGLIFMTU,
            "SIOCSLIFMTU" => abi::SIOCSLIFMTU,
            "SIOCGLIFADDR" => abi::SIOCGLIFADDR,
            "SIOCSLIFADDR" => abi::SIOCSLIFADDR,
            "SIOCGLIFNETMASK" => abi::SIOCGLIFNETMASK,
            "SIOCSLIFNETMASK" => abi::SIOCSLIFNETMASK,
            "SIOCLIFADDIF" => abi::SIOCLIFADDIF,
            other => return Err(format!("{UNKNOWN} {other}")),
        };
        let asked = self.request(line, request);
        let fd = if line.args.starts_with("fd") { line.fd(0) } else { 3 };
        let (outcome, answered) = self.caller.lif(fd, request, &asked);
        if request == abi::SIOCSLIFFLAGS && asked.flags() & IFF_UP != 0 {
            self.up_at = self.caller.kernel.now();
        }
        if request == abi::SIOCGLIFFLAGS {
            self.lifreq = answered.clone();
        }
        let failed = matches!(outcome, Outcome::Failed(_));
        self.compare(line, outcome)?;
        if failed && request != abi::SIOCGLIFFLAGS {
            return Ok(());
        }
        compare_answer(line, request, &answered)
    }

    fn request(&mut self, line: &Line, request: u32) -> Lifreq {
        if line.args.ends_with("same lifreq") {
            return self.lifreq.clone();
        }
        let mut lifreq = Lifreq::default();
        lifreq.set_name(line.interface_name());
        match request {
            abi::SIOCSLIFFLAGS => {
                lifreq.set_flags(line.argument_number("flags").unwrap_or(0).cast_unsigned());
            }
            abi::SIOCSLIFMUXID => {
                let id = |key| line.argument_number(key).unwrap_or(0) as i32;
                lifreq.set_muxids(id("ip_muxid"), id("arp_muxid"));
            }
            abi::SIOCSLIFMTU => {
                lifreq.set_number(line.argument_number("mtu").unwrap_or(0) as u32);
            }
            abi::SIOCSLIFADDR | abi::SIOCSLIFNETMASK | abi::SIOCLIFADDIF => {
                self.address_given |= request == abi::SIOCSLIFADDR;
                set_address(&mut lifreq, &line.args);
            }
            _ => {}
        }
        lifreq
    }

    fn name_line(&mut self, line: &Line) -> Checked {
        self.lifreq = naming_request(line);
        let (outcome, answered) = self.caller.lif(line.fd(0), abi::SIOCSLIFNAME, &self.lifreq);
        self.lifreq = answered;
        self.compare(line, outcome)?;
        self.compare_naming(line)
    }

    fn str_name_line(&mut self, line: &Line) -> Checked {
        let asked = naming_request(line);
        let length = line.argument_number("ic_len").unwrap_or(0) as i32;
        let mut data = asked.0.to_vec();
        data.resize(data.len().max(line.bounded(length as usize)), 0);
        let (outcome, length, data) = self.caller.str_ioctl(line.fd(0), abi::SIOCSLIFNAME, length, &data);
        self.lifreq = Lifreq::from_bytes(&data);
        self.compare(line, outcome)?;
        equal("ic_len", line.noted_number("ic_len"), Some(i64::from(length)))?;
        self.compare_naming(line)
    }

    fn compare_naming(&self, line: &Line) -> Checked {
        if let Some(name) = line.noted("name") {
            // The record shows 32 bytes; the last is never part of a name.
            let shown: String = name.chars().take(31).collect();
            equal("name", shown, self.lifreq.name())?;
        }
        if let Some(ppa) = line.noted_number("ppa") {
            equal("ppa", ppa as i32, self.lifreq.ppa().cast_signed())?;
        }
        equal("flags", line.noted_number("flags"), Some(self.lifreq.flags().cast_signed()))
    }

    fn unit_line(&mut self, line: &Line) -> Checked {
        let rest = line.args.split(", ").nth(1).unwrap_or_default();
        let unit: i32 = rest.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(-1);
        let (outcome, _) = self.caller.ioctl_bytes(line.fd(0), abi::IF_UNITSEL, &unit.to_le_bytes());
        self.compare(line, outcome)
    }
}

impl Line {
    fn interface_name(&self) -> &str {
        match self.argument("name") {
            // An address may follow the name.
            Some(name) => name.split(' ').next().unwrap_or_default(),
            None if self.args.contains("zeroed") => "",
            None => "tap0",
        }
    }
}

fn naming_request(line: &Line) -> Lifreq {
    let mut lifreq = Lifreq::default();
    let name = line.argument("name").unwrap_or_default().as_bytes();
    // Too long a name goes in as it is, without its NUL.
    let length = name.len().min(Lifreq::NAME_LEN);
    lifreq.0[..length].copy_from_slice(&name[..length]);
    lifreq.set_ppa((line.argument_number("ppa").unwrap_or(0) as i32).cast_unsigned());
    lifreq.set_flags(line.argument_number("flags").unwrap_or(0).cast_unsigned());
    lifreq
}

fn set_address(lifreq: &mut Lifreq, args: &str) {
    for word in args.split(' ') {
        if let Ok(address) = word.parse::<Ipv4Addr>() {
            lifreq.set_address(AF_INET as u16, &address.octets());
        } else if let Ok(address) = word.parse::<Ipv6Addr>() {
            lifreq.set_address(AF_INET6 as u16, &address.octets());
        }
    }
    if args.contains("family AF_INET6") {
        lifreq.set_address(AF_INET6 as u16, &[0; 16]);
    }
}

fn compare_answer(line: &Line, request: u32, answered: &Lifreq) -> Checked {
    match request {
        abi::SIOCGLIFFLAGS => {
            equal("flags", line.noted_number("flags"), Some(answered.flags().cast_signed()))?;
            equal("name", line.noted("name").map(ToOwned::to_owned), Some(answered.name()))?;
            line.noted_number("ppa").map_or(Ok(()), |ppa| equal("ppa", ppa, i64::from(answered.ppa())))
        }
        abi::SIOCGLIFMUXID => {
            let (ip, arp) = answered.muxids();
            equal("ip_muxid", line.noted_number("ip_muxid"), Some(i64::from(ip)))?;
            equal("arp_muxid", line.noted_number("arp_muxid"), Some(i64::from(arp)))
        }
        abi::SIOCGLIFMTU => equal("mtu", line.noted_number("mtu"), Some(i64::from(answered.number()))),
        abi::SIOCGLIFADDR | abi::SIOCGLIFNETMASK => {
            let text = format!("family={} {}", answered.family(), Ipv4Addr::from(answered.ipv4()));
            equal("address", line.note.clone(), text)
        }
        abi::SIOCLIFADDIF => equal("name", line.noted("name").map(ToOwned::to_owned), Some(answered.name())),
        _ => Ok(()),
    }
}
