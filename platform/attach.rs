//! The attach that all systems share: programs around the system's own steps.

use log::info;

use super::tap::Tap;
use super::{inherited, settings, sys};
use crate::config::{Config, Source};
use crate::error::AttachError;
use crate::program;

/// Attaches `queues` descriptors to one interface.
pub(crate) fn attach(mut config: Config, queues: u16) -> Result<Vec<Tap>, AttachError> {
    if queues == 0 {
        return Err(AttachError::BadOption {
            option: "queues".into(),
            reason: "at least 1 is needed".into(),
        });
    }
    settings::check(&config)?;
    config.source = match config.source {
        Source::Inherited(fd) => {
            config.source = Source::Any;
            return inherited::attach(fd, &config, queues);
        }
        source => source,
    };
    if let Source::Name(name) = &config.source {
        sys::check_name(name)?;
    }
    let (name, terminate) = program::setup(&config)?;
    let attached = sys::attach(name.as_deref(), &config, queues)?;
    let taps: Vec<Tap> =
        attached.into_iter().map(|part| Tap::new(part, terminate.clone(), &config)).collect();
    for tap in &taps {
        info!("attached {tap:?}");
    }
    Ok(taps)
}
