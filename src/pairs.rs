//! The configuration keys of VirtualBox's TAP driver.

use crate::config::Config;
use crate::error::AttachError;

pub(crate) fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, AttachError> {
    let _ = pairs;
    Err(AttachError::Unsupported { what: "a configuration of pairs" })
}
