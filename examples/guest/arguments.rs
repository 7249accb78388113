//! The command line.

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use lexopt::prelude::*;
use log::LevelFilter;
use smoltcp::wire::Ipv4Cidr;
use tap_plumb::Config;

use crate::Os;
use crate::card::GUEST_MAC;

const HELP: &str = "\
A guest that answers ARP, ping and HTTP, on a TAP of this host.

  guest [options]

Without --name and --fd it works in a network namespace of its own (Linux), which is gone when it ends. It pings the
guest, fetches a page from it, prints the statistics, and exits with 0 if all went well and every frame is accounted for.

  --name NAME      the host's interface; a template such as tap%d lets the kernel choose the number
  --datalink NAME  an existing data link instead of a TAP (a vnic, on Linux a macvtap), which gets the guest's
                   MAC address; the host reaches the guest by a link of its own beside it
  --fd N           a TAP that is open already, as descriptor N of this process
  --setup P        runs `P [NAME]` first; without --name the first line it prints is the name
  --terminate P    runs `P NAME` at the end
  --address A/P    the host's address, which the interface is given; the guest has the next one
                   [192.0.2.1/24; with --fd, --datalink and --setup the interface is left as it is]; with none
                   it is left as it is, and the guest has 192.0.2.2
  --stay           keeps the guest running until Ctrl-C instead of testing it
  --attach-only    attaches, prints the name and detaches; no guest
  --cycles N       does everything N times
  --verbose        shows the library's log; twice: every frame too
  --help           this text
";

/// What `--address` says of the host's address.
#[derive(Clone, Copy)]
enum Address {
    /// Nothing.
    Unsaid,
    /// That this program must not give the host an address.
    None,
    Given(Ipv4Cidr),
}

const HOST: Ipv4Cidr = Ipv4Cidr::new(Ipv4Addr::new(192, 0, 2, 1), 24);

/// What to do.
pub(crate) struct Arguments {
    name: Option<String>,
    datalink: Option<String>,
    fd: Option<String>,
    setup: Option<PathBuf>,
    terminate: Option<PathBuf>,
    address: Address,
    verbose: u32,
    pub(crate) stay: bool,
    pub(crate) attach_only: bool,
    pub(crate) cycles: u64,
}

impl Arguments {
    /// Reads the command line; `None` when all that was asked for was help.
    pub(crate) fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut parser = lexopt::Parser::from_env();
        let mut all = Self {
            name: None,
            datalink: None,
            fd: None,
            setup: None,
            terminate: None,
            address: Address::Unsaid,
            verbose: 0,
            stay: false,
            attach_only: false,
            cycles: 1,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("name") => all.name = Some(parser.value()?.string()?),
                Long("datalink") => all.datalink = Some(parser.value()?.string()?),
                Long("fd") => all.fd = Some(parser.value()?.string()?),
                Long("setup") => all.setup = Some(parser.value()?.into()),
                Long("terminate") => all.terminate = Some(parser.value()?.into()),
                Long("address") => all.address = parser.value()?.parse_with(address)?,
                Long("stay") => all.stay = true,
                Long("attach-only") => all.attach_only = true,
                Long("cycles") => all.cycles = parser.value()?.parse()?,
                Long("verbose") | Short('v') => all.verbose += 1,
                Long("help") | Short('h') => {
                    print!("{HELP}");
                    return Ok(None);
                }
                other => return Err(format!("{}; --help lists the options", other.unexpected()).into()),
            }
        }
        let sources = [all.name.is_some(), all.datalink.is_some(), all.fd.is_some()];
        if sources.iter().filter(|given| **given).count() > 1 {
            return Err("--name, --datalink and --fd exclude each other".into());
        }
        Ok(Some(all))
    }

    /// Whether it works on an interface that nobody else is to see.
    pub(crate) fn is_private(&self) -> bool {
        Os::HAS_NAMESPACES && self.name.is_none() && self.datalink.is_none() && self.fd.is_none()
    }

    /// What to attach.
    pub(crate) fn config(&self) -> Result<Config, Box<dyn Error>> {
        let mut config = match (&self.fd, &self.name, &self.datalink) {
            (Some(fd), ..) => Config::from_pairs([("FileHandle", fd.as_str())])?,
            (None, Some(name), _) => Config::new().name(name),
            (None, None, Some(link)) => Config::new().datalink(link).hardware_address(GUEST_MAC),
            (None, None, None) => Config::new(),
        };
        config = config.guest_address(GUEST_MAC);
        if let Some(program) = &self.setup {
            config = config.setup_program(program);
        }
        if let Some(program) = &self.terminate {
            config = config.terminate_program(program);
        }
        // A setup program, whoever opened the descriptor, and whoever made the link, have made the interface as they want it.
        let prepared = self.setup.is_some() || self.fd.is_some() || self.datalink.is_some();
        let host = match self.address {
            Address::Given(host) => host,
            Address::Unsaid if !prepared => HOST,
            Address::Unsaid | Address::None => return Ok(config),
        };
        Ok(config.address(host.address().into(), host.prefix_len()).up())
    }

    /// The guest's address: the one after the host's.
    pub(crate) fn guest(&self) -> Ipv4Cidr {
        let host = if let Address::Given(host) = self.address { host } else { HOST };
        Ipv4Cidr::new((host.address().to_bits() + 1).into(), host.prefix_len())
    }

    pub(crate) fn log_level(&self) -> LevelFilter {
        match self.verbose {
            0 => LevelFilter::Warn,
            1 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }
}

/// Reads `none`, or `A/P`, where both A and the address after it must be a host's.
fn address(text: &str) -> Result<Address, String> {
    if text == "none" {
        return Ok(Address::None);
    }
    let parse = || {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix): (Ipv4Addr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
        (1..=30).contains(&prefix).then(|| Ipv4Cidr::new(address, prefix))
    };
    let host = parse().ok_or("an address looks like 192.0.2.1/24")?;
    let guest = Ipv4Addr::from(host.address().to_bits().wrapping_add(1));
    let ends = [Some(host.network().address()), host.broadcast()];
    let usable = |address| host.contains_addr(&address) && !ends.contains(&Some(address));
    if usable(host.address()) && usable(guest) {
        Ok(Address::Given(host))
    } else {
        Err(format!("{text} leaves no address for the guest"))
    }
}
