//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use lexopt::prelude::*;

/// What `--help` prints.
pub const HELP: &str = "\
Gives a QEMU guest a network over a TAP.

tap-plumb-vhost-user --socket PATH | --stream PATH [options]

  --socket PATH     listen for a hypervisor's vhost-user connection (-netdev vhost-user)
  --stream PATH     listen for QEMU's -netdev stream
  --tap NAME        attach this interface, or make it; tap%d is a template; default: the kernel's choice
  --fd N            use this open descriptor of a TAP, or of a datagram socket pair
  --queues N        pairs of queues, 1 to 32; for --socket
  --no-offload      offer no checksum or segmentation offload; for --socket
  --address A/P     give the host's side an address, and bring it up; may be repeated
  --up              bring the interface up
  --once            end when the hypervisor disconnects
  --help

SIGUSR1 prints the statistics, SIGTERM and SIGINT end. Output: one JSON object a line; log: standard error (RUST_LOG).
";

/// How the hypervisor connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// vhost-user, at this path.
    VhostUser(PathBuf),
    /// QEMU's stream, at this path.
    Stream(PathBuf),
}

/// Which TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The interface of this name.
    Name(String),
    /// An open descriptor.
    Descriptor(u32),
    /// A new one, named by the kernel.
    Any,
}

/// The command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// How the hypervisor connects.
    pub way: Way,
    /// Which TAP.
    pub choice: Choice,
    /// Pairs of queues.
    pub queues: u16,
    /// Offer offloads.
    pub offload: bool,
    /// Addresses of the host's side, with the prefix length.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Bring the interface up.
    pub up: bool,
    /// End when the hypervisor disconnects.
    pub once: bool,
}

/// The most pairs. A pair has two rings, and the daemon's library keeps one bit of a word for each ring.
const MOST_QUEUES: u16 = 32;

/// Reads the command line without the program's name; `None` when help is asked for.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut ways, mut choices) = (Vec::new(), Vec::new());
    let (mut queues, mut offload, mut addresses, mut up, mut once) = (1, true, Vec::new(), false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => ways.push(Way::VhostUser(parser.value()?.into())),
            Long("stream") => ways.push(Way::Stream(parser.value()?.into())),
            Long("tap") => choices.push(Choice::Name(parser.value()?.string()?)),
            Long("fd") => choices.push(Choice::Descriptor(parser.value()?.parse()?)),
            Long("queues") => queues = parser.value()?.parse()?,
            Long("no-offload") => offload = false,
            Long("address") => addresses.push(parser.value()?.parse_with(address)?),
            Long("up") => up = true,
            Long("once") => once = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let [way] = <[Way; 1]>::try_from(ways).map_err(|_| "give one of --socket and --stream, once")?;
    if choices.len() > 1 {
        return Err("give one of --tap and --fd, once".into());
    }
    let choice = choices.pop().unwrap_or(Choice::Any);
    check(&way, &choice, queues)?;
    up |= !addresses.is_empty();
    Ok(Some(Arguments { way, choice, queues, offload, addresses, up, once }))
}

fn check(way: &Way, choice: &Choice, queues: u16) -> Result<(), &'static str> {
    match (way, choice, queues) {
        (_, _, 1) => Ok(()),
        (Way::Stream(_), ..) => Err("a stream has one queue; --queues is for --socket"),
        (_, Choice::Descriptor(_), _) => Err("a descriptor is one queue; use --tap with --queues"),
        (_, _, 2..=MOST_QUEUES) => Ok(()),
        _ => Err("--queues takes 1 to 32"),
    }
}

fn address(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, prefix) =
        text.split_once('/').ok_or("an address is given with its prefix, as 10.0.3.1/24")?;
    let address = address.parse().map_err(|error| format!("{address}: {error}"))?;
    Ok((address, prefix.parse().map_err(|error| format!("prefix {prefix}: {error}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Option<Arguments>, lexopt::Error> {
        read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn reads_a_full_line() {
        let read =
            of("--socket s --tap tap3 --queues 2 --no-offload --address 10.0.0.1/24 --address fd00::1/64");
        let read = read.unwrap().unwrap();
        assert_eq!(read.way, Way::VhostUser("s".into()));
        assert_eq!(read.choice, Choice::Name("tap3".into()));
        assert_eq!((read.queues, read.offload, read.up, read.once), (2, false, true, false));
        assert_eq!(read.addresses[0], ([10, 0, 0, 1].into(), 24));
        assert_eq!(read.addresses.len(), 2);
    }

    #[test]
    fn an_interface_is_left_down_unless_told() {
        assert!(!of("--stream s").unwrap().unwrap().up);
        assert!(of("--stream s --up").unwrap().unwrap().up);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let lines = [
            "",
            "--socket a --stream b",
            "--socket a --tap t --fd 3",
            "--socket a --queues 0",
            "--socket a --queues 33",
            "--stream a --queues 2",
            "--socket a --fd 3 --queues 2",
            "--socket a --fd -1",
            "--socket a --address 10.0.0.1",
            "--socket a --address x/1",
            "--socket a --nonsense",
        ];
        for line in lines {
            assert!(of(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_goes_before_all_else() {
        assert_eq!(of("--help --queues 0").unwrap(), None);
    }
}
