//! Names and PPAs: checked once, before anything is asked of the kernel.

use std::ffi::c_int;
use std::fmt;

use crate::attach::{AttachError, InterfaceName};

/// The longest name: `LIFNAMSIZ` - 1. The kernel cuts a longer one, and so would take another interface.
const LONGEST: usize = 31;

/// Checks the rule for names, and that the PPA is one that the driver has.
pub(crate) fn check_name(name: &str) -> Result<(), AttachError> {
    TapName::parse(name).map(drop)
}

/// A physical point of attachment: the number of a TAP device, 0 to 19.
///
/// The driver itself also takes 20, which lies past the end of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ppa(u8);

impl Ppa {
    /// How many the driver has.
    pub(super) const COUNT: u8 = 20;

    pub(super) fn new(number: c_int) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number < Self::COUNT).map(Self)
    }

    pub(super) fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Ppa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of an IP interface over a TAP, and the PPA that it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TapName {
    text: InterfaceName,
    ppa: Ppa,
}

impl TapName {
    /// Checks the kernel's rule (`ill_get_ppa_ptr` of illumos' `ip_if.c`). First a letter; then letters, digits, `.` and `_`; at the
    /// end the PPA, which is all the trailing digits, without a leading zero.
    pub(super) fn parse(name: &str) -> Result<Self, AttachError> {
        let bad = |reason| AttachError::BadName { name: name.to_owned(), reason };
        if name.len() > LONGEST {
            return Err(bad("it is longer than 31 bytes"));
        }
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(bad("it does not begin with a letter"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')) {
            return Err(bad("it contains something other than letters, digits, '.' and '_'"));
        }
        let ppa = parse_ppa(name).map_err(bad)?;
        let text = InterfaceName::from_c_bytes(name.as_bytes()).ok_or_else(|| bad("it is empty"))?;
        Ok(Self { text, ppa })
    }

    /// The name of a PPA that the driver chose: that of the device and the number.
    pub(super) fn of(ppa: Ppa) -> Result<Self, AttachError> {
        Self::parse(&format!("tap{ppa}"))
    }

    pub(super) fn text(&self) -> InterfaceName {
        self.text
    }

    pub(super) fn ppa(&self) -> Ppa {
        self.ppa
    }

    /// Whether it is the name that the system's own tools give to this PPA of the tap driver.
    pub(super) fn is_device_name(&self) -> bool {
        self.text.as_bytes().strip_prefix(b"tap").is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
    }
}

impl fmt::Display for TapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

fn parse_ppa(name: &str) -> Result<Ppa, &'static str> {
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let digits = &name[stem.len()..];
    if digits.is_empty() {
        return Err("it does not end in a number, the PPA");
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err("its number has a leading zero");
    }
    let number = digits.parse().ok().and_then(Ppa::new);
    number.ok_or("its number is above 19, the driver's last PPA")
}
