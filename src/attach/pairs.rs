//! The configuration keys of VirtualBox's TAP driver.

use std::path::PathBuf;

use super::{AttachError, Config, Source, System};

/// The keys as VirtualBox spells them; an error names the one it is about.
const DEVICE: &str = "Device";
const FILE_HANDLE: &str = "FileHandle";
const SETUP: &str = "TAPSetupApplication";
const TERMINATE: &str = "TAPTerminateApplication";
const MAC: &str = "MAC";

/// Each key's value, where it was given.
#[derive(Default)]
struct Values<'a> {
    device: Option<&'a str>,
    file_handle: Option<&'a str>,
    setup: Option<&'a str>,
    terminate: Option<&'a str>,
    mac: Option<&'a str>,
}

impl<'a> Values<'a> {
    fn collect(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, AttachError> {
        let mut values = Self::default();
        for (key, value) in pairs {
            let slot =
                values.slot(key).ok_or_else(|| refuse(key, "is not a key of VirtualBox's TAP driver"))?;
            if slot.replace(value).is_some() {
                return Err(refuse(key, "is given twice"));
            }
        }
        Ok(values)
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        match key {
            DEVICE => Some(&mut self.device),
            FILE_HANDLE => Some(&mut self.file_handle),
            SETUP => Some(&mut self.setup),
            TERMINATE => Some(&mut self.terminate),
            MAC => Some(&mut self.mac),
            _ => None,
        }
    }
}

/// Reads the keys; `system` says what can be a name, and duplicates a descriptor.
pub(crate) fn read<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    system: &System,
) -> Result<Config, AttachError> {
    let values = Values::collect(pairs)?;
    let mut config = Config::new();
    config.setup_program = values.setup.map(|path| program(SETUP, path)).transpose()?;
    config.terminate_program = values.terminate.map(|path| program(TERMINATE, path)).transpose()?;
    config.guest_address = values.mac.map(hardware_address).transpose()?;
    config.source = source(values.device, values.file_handle, system)?;
    Ok(config)
}

fn source(device: Option<&str>, file_handle: Option<&str>, system: &System) -> Result<Source, AttachError> {
    match (device, file_handle) {
        (None, None) => Ok(Source::Any),
        (Some(name), None) => device_name(name, system),
        (None, Some(number)) => descriptor(number, system),
        (Some(_), Some(_)) => Err(refuse(FILE_HANDLE, "cannot be given together with Device")),
    }
}

fn device_name(name: &str, system: &System) -> Result<Source, AttachError> {
    match (system.check_name)(name) {
        Ok(()) => Ok(Source::Name(name.into())),
        Err(AttachError::BadName { name, reason }) => {
            Err(refuse(DEVICE, &format!("{name:?} cannot name an interface: {reason}")))
        }
        Err(other) => Err(other),
    }
}

fn descriptor(number: &str, system: &System) -> Result<Source, AttachError> {
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // Descriptors are numbered by a C int; what does not fit was never one.
    let Some(fd) = number.parse::<i32>().ok().filter(|_| digits) else {
        return Err(refuse(FILE_HANDLE, &format!("{number:?} is no number from 0 to {}", i32::MAX)));
    };
    let fd = (system.duplicate)(fd).map_err(|source| AttachError::Request {
        request: "F_DUPFD_CLOEXEC",
        object: format!("{} {fd}", FILE_HANDLE),
        remedy: "give the number of a descriptor that is open in this process",
        source,
    })?;
    Ok(Source::Inherited(vec![fd]))
}

/// Whether there is such a program, and whether it can be run, is found out by running it.
fn program(key: &str, path: &str) -> Result<PathBuf, AttachError> {
    if path.is_empty() { Err(refuse(key, "is an empty path")) } else { Ok(path.into()) }
}

fn hardware_address(text: &str) -> Result<[u8; 6], AttachError> {
    let address = parse_address(text)
        .ok_or_else(|| refuse(MAC, &format!("{text:?} is not twelve hexadecimal digits")))?;
    if address[0] & 1 != 0 || address == [0; 6] {
        return Err(refuse(MAC, &format!("{text:?} is not a unicast address")));
    }
    Ok(address)
}

/// Takes `080027000001`, `08:00:27:00:00:01` or `08-00-27-00-00-01`.
fn parse_address(text: &str) -> Option<[u8; 6]> {
    let separated = |separator: char| text.split(separator).all(|byte| byte.len() == 2);
    let digits: String = match text.len() {
        12 => text.into(),
        17 if separated(':') => text.split(':').collect(),
        17 if separated('-') => text.split('-').collect(),
        _ => return None,
    };
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let number = u64::from_str_radix(&digits, 16).ok()?;
    let [_, _, address @ ..] = number.to_be_bytes();
    Some(address)
}

fn refuse(option: &str, reason: &str) -> AttachError {
    AttachError::BadOption { option: option.into(), reason: reason.into() }
}
