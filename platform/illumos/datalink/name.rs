//! Names of data links.

use std::fmt;

use crate::attach::{AttachError, InterfaceName};

/// Where every link that the zone sees has a node.
const FOLDER: &str = "/dev/net/";
/// The longest name: `MAXLINKNAMELEN` - 1.
const LONGEST: usize = 31;

/// Checks the rule for names of links.
pub(crate) fn check_name(name: &str) -> Result<(), AttachError> {
    LinkName::parse(name).map(drop)
}

/// A name that stays inside the folder of links; none for a link whose stream somebody else has opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkName(Option<InterfaceName>);

impl LinkName {
    /// A stream does not tell it.
    pub(super) const UNTOLD: Self = Self(None);

    pub(super) fn parse(name: &str) -> Result<Self, AttachError> {
        let bad = |reason| AttachError::BadName { name: name.to_owned(), reason };
        if name.len() > LONGEST {
            return Err(bad("it is longer than 31 bytes"));
        }
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(bad("it does not begin with a letter"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
            return Err(bad("it contains something other than letters, digits, '.', '_' and '-'"));
        }
        let text = InterfaceName::from_c_bytes(name.as_bytes()).ok_or_else(|| bad("it is empty"))?;
        Ok(Self(Some(text)))
    }

    pub(super) fn text(self) -> Option<InterfaceName> {
        self.0
    }

    /// Its node. Each open is a new stream, which is attached already.
    pub(super) fn node(self) -> String {
        self.0.map_or_else(|| self.to_string(), |name| format!("{FOLDER}{name}"))
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => name.fmt(f),
            None => f.write_str("the descriptor's data link"),
        }
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
