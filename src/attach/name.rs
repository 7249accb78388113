//! An interface name as the kernel gives it.

use std::fmt;

/// The longest name of the systems served: 31 bytes (`LIFNAMSIZ` - 1 on illumos; Linux allows 15).
const CAPACITY: usize = 31;

/// An interface name, held without allocation. Shown lossily when it is not UTF-8, which Linux permits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceName {
    bytes: [u8; CAPACITY],
    len: u8,
}

impl InterfaceName {
    /// Takes the bytes before the first NUL; `None` when there is none, or more than 31.
    pub(crate) fn from_c_bytes(bytes: &[u8]) -> Option<Self> {
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
        if name.is_empty() || name.len() > CAPACITY {
            return None;
        }
        let mut held = [0; CAPACITY];
        held[..name.len()].copy_from_slice(name);
        let len = u8::try_from(name.len()).ok()?;
        Some(Self { bytes: held, len })
    }

    /// The name's bytes, without a NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The name, where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}
