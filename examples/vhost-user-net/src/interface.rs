//! The host's interface: attached at the start, and again after a removal.

use tap_plumb::{AttachError, Config, Offload, Tap};
use thiserror::Error;

use crate::arguments::{Arguments, Choice, Way};

/// The header of a guest that speaks virtio 1.
const HEADER: usize = 12;

/// Why the interface is not as it was asked for.
#[derive(Debug, Error)]
pub enum InterfaceError {
    /// It could not be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// It could not be given an address or brought up.
    #[error("{what}: {source}; do it beforehand, as an administrator, or run with CAP_NET_ADMIN")]
    Prepare {
        /// What was to be done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// What was asked for, to be asked for again.
pub struct Interface {
    name: Option<String>,
    /// It was there before, so that whoever made it will make it again.
    existed: bool,
    /// The host's own address on it: a guest goes on sending to the one it knows.
    hardware_address: Option<[u8; 6]>,
    offload: Offload,
    addresses: Vec<(std::net::IpAddr, u8)>,
    up: bool,
}

/// Attaches what the command line asks for, all queues of it.
///
/// # Errors
/// [`InterfaceError`].
pub fn attach(arguments: &Arguments) -> Result<(Interface, Vec<Tap>), InterfaceError> {
    let plain = Offload::with_header(HEADER).unwrap_or_default();
    // A guest behind a stream has no offloads, so the daemon does all that the host leaves undone. It accepts oversized
    // frames to spare system calls.
    let offload =
        if arguments.offload || matches!(arguments.way, Way::Stream(_)) { Offload::ALL } else { plain };
    let (taps, existed) = open(arguments, offload)?;
    let name = taps[0].name().ok().map(|name| name.to_string());
    let hardware_address = taps[0].hardware_address().ok();
    let addresses = arguments.addresses.clone();
    let interface = Interface { name, existed, hardware_address, offload, addresses, up: arguments.up };
    interface.prepare(&taps[0])?;
    Ok((interface, taps))
}

/// Opens the queues; `true` for an interface that was there before.
fn open(arguments: &Arguments, offload: Offload) -> Result<(Vec<Tap>, bool), AttachError> {
    match &arguments.choice {
        Choice::Descriptor(number) => {
            let config = Config::from_pairs([("FileHandle", number.to_string().as_str())])?;
            Ok((config.offload(offload).attach_queues(1)?, true))
        }
        Choice::Any => Ok((Config::new().offload(offload).attach_queues(arguments.queues)?, false)),
        Choice::Name(name) => {
            let named = || Config::new().name(name.as_str()).offload(offload);
            if !name.contains('%') {
                match named().must_exist().attach_queues(arguments.queues) {
                    Err(AttachError::Missing { .. } | AttachError::Unsupported { .. }) => {}
                    there => return Ok((there?, true)),
                }
            }
            Ok((named().attach_queues(arguments.queues)?, false))
        }
    }
}

impl Interface {
    /// The name it had when it was attached; a socket has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How to attach it again. One that somebody else made is waited for; one that was made here is made again.
    pub fn again(&self) -> Config {
        let mut config = Config::new().offload(self.offload);
        if let Some(name) = &self.name {
            config = config.name(name);
        }
        match self.hardware_address {
            _ if self.existed => config.must_exist(),
            Some(address) => config.hardware_address(address),
            None => config,
        }
    }

    /// Gives it its addresses and brings it up, as far as that was asked for.
    ///
    /// # Errors
    /// [`InterfaceError::Prepare`].
    pub fn prepare(&self, tap: &Tap) -> Result<(), InterfaceError> {
        let failed = |what: String| move |source| InterfaceError::Prepare { what, source };
        for (address, prefix) in &self.addresses {
            tap.set_address(*address, *prefix).map_err(failed(format!("setting {address}/{prefix}")))?;
        }
        if self.up {
            tap.set_up(true).map_err(failed("bringing the interface up".to_owned()))?;
        }
        Ok(())
    }
}
