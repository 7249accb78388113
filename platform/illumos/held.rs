//! What holds an interface together besides the control stream, and what a re-attach keeps of it.

use log::warn;

use super::name::{Ppa, TapName};
use super::plumb::Muxes;
use super::plumbing::Plumbing;
use crate::attach::{AttachError, Config, DetachError};

/// The interface's name, which not every version of the driver tells again, and its IP side where this process has plumbed
/// it. Dropped in this order: the links, then the multiplexors.
#[derive(Debug, Default)]
pub(super) struct Held {
    plumbing: Option<Plumbing>,
    /// Kept when a re-attach fails: the next one needs their numbers, which lie below that of the control stream.
    muxes: Option<Muxes>,
    name: Option<TapName>,
    /// A re-attach has undone the interface and not made another.
    lost: bool,
}

impl Held {
    /// Of a device over which somebody else plumbs, or nobody.
    pub(super) fn of_device(ppa: Ppa) -> Result<Self, AttachError> {
        Ok(Self { name: Some(TapName::of(ppa)?), ..Self::default() })
    }

    pub(super) fn of_interface(plumbing: Plumbing, muxes: Muxes) -> Self {
        Self { name: Some(plumbing.name()), plumbing: Some(plumbing), muxes: Some(muxes), lost: false }
    }

    /// What the interface was plumbed as, or what the device's number makes of it; `None` for an adopted control stream.
    pub(super) fn name(&self) -> Option<TapName> {
        self.name
    }

    /// The interface, where it is this process'.
    pub(super) fn plumbing(&self) -> Option<&Plumbing> {
        self.plumbing.as_ref()
    }

    /// Does the interface depend on more than its descriptor?
    pub(super) fn is_needed(&self) -> bool {
        self.muxes.is_some()
    }

    /// Has a re-attach failed after the interface was undone?
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Begins to make the interface anew: the old one is undone. It is lost until [`renewed`](Self::renewed).
    pub(super) fn begin_again(&mut self) {
        self.lost = true;
        if let Some(Err(error)) = self.plumbing.take().map(Plumbing::undo) {
            warn!("{error}");
        }
    }

    /// Opens the multiplexors, under the numbers they have where they are open, or returns `None` when somebody else
    /// plumbs. Their close undoes whatever link the kernel refused to undo before.
    pub(super) fn renew_muxes(&mut self, config: &Config) -> Result<Option<Muxes>, AttachError> {
        match &mut self.muxes {
            Some(muxes) => muxes.renew(config)?,
            None if config.external_plumbing => {}
            none => *none = Some(Muxes::open(config)?),
        }
        Ok(self.muxes.clone())
    }

    /// The interface is there again.
    pub(super) fn renewed(&mut self, name: TapName, plumbing: Option<Plumbing>) {
        (self.name, self.plumbing, self.lost) = (Some(name), plumbing, false);
    }

    /// Unplumbs as a drop does, and tells the first thing that failed.
    pub(super) fn undo(self) -> Result<(), DetachError> {
        self.plumbing.map_or(Ok(()), Plumbing::undo)
    }
}
