//! The attach that all systems share: programs around the system's own steps.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use log::info;

use super::super::sys::{self, Interface};
use super::{Tap, datalink, descriptors, inherited, settings};
use crate::attach::{
    AttachError, Config, InterfaceName, Source, System, Terminate, exists, read_pairs, setup,
};

/// What `attach`, the folder of `src/`, needs of this system.
const SYSTEM: System = System {
    check_name: sys::check_name,
    duplicate: descriptors::duplicate,
    inherit_standard_streams_only: descriptors::inherit_standard_streams_only,
};

/// What becomes of a configuration.
impl Config {
    /// Reads the configuration keys of VirtualBox's TAP driver: `Device`, `FileHandle`, `TAPSetupApplication`,
    /// `TAPTerminateApplication` and `MAC`.
    ///
    /// `Device` is an interface name; without it and without `FileHandle`, the setup program or the kernel chooses.
    /// `FileHandle` is the number of an open descriptor of this process, in decimal digits. It is duplicated at once, and
    /// the caller's stays open and its own. `MAC` (twelve hexadecimal digits, `:` or `-` between bytes allowed) is the
    /// guest's address. The programs are paths as in [`setup_program`](Self::setup_program); they run on every system,
    /// where VirtualBox ran them on Solaris only.
    ///
    /// ```
    /// use tap_plumb::Config;
    ///
    /// let config = Config::from_pairs([("Device", "tap3"), ("MAC", "08:00:27:00:00:01")])?;
    /// assert!(Config::from_pairs([("Devise", "tap3")]).is_err());
    /// # let _ = config;
    /// # Ok::<(), tap_plumb::AttachError>(())
    /// ```
    ///
    /// # Errors
    /// [`AttachError::BadOption`] for any other key, a key given twice, a value of the wrong form, or `Device` together
    /// with `FileHandle`. [`AttachError::Request`] when the descriptor cannot be duplicated.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, AttachError> {
        read_pairs(pairs, &SYSTEM)
    }

    /// Attaches the TAP.
    ///
    /// # Errors
    /// [`AttachError`] names the step that failed; everything done before it is undone.
    pub fn attach(self) -> Result<Tap, AttachError> {
        let mut taps = attach(self, 1)?;
        taps.pop().ok_or(AttachError::Unsupported { what: "a TAP without a queue" })
    }

    /// Attaches the TAP with `queues` queues, each a [`Tap`] with a descriptor of its own. The interface goes, and the
    /// terminate program runs, once, after the last of them.
    ///
    /// # Errors
    /// As [`attach`](Self::attach), and [`AttachError::Unsupported`] for more than one queue where the host has no such thing.
    pub fn attach_queues(self, queues: u16) -> Result<Vec<Tap>, AttachError> {
        attach(self, queues)
    }
}

/// Attaches `queues` descriptors to one interface.
fn attach(mut config: Config, queues: u16) -> Result<Vec<Tap>, AttachError> {
    if queues == 0 {
        return Err(AttachError::BadOption {
            option: "queues".into(),
            reason: "at least 1 is needed".into(),
        });
    }
    settings::check(&config)?;
    datalink::check(&config, queues)?;
    // Held apart from what is attached: when a step fails, all of that is closed before the terminate program runs.
    let (attached, owed) = match std::mem::replace(&mut config.source, Source::Any) {
        Source::Inherited(fds) => adopt(fds, &config, queues)?,
        Source::Name(name) => create(Some(&name), &config, queues)?,
        Source::Any => create(None, &config, queues)?,
        Source::Datalink(name) => open_datalink(&name, &config)?,
    };
    complete(&attached, &config)?;
    let terminate = owed.map(Arc::new);
    let taps: Vec<Tap> =
        attached.into_iter().map(|queue| Tap::new(queue, terminate.clone(), &config)).collect();
    for tap in &taps {
        info!("attached {tap:?}");
    }
    Ok(taps)
}

/// What comes last, so that a failure before leaves neither an interface nor a descriptor that others can inherit.
fn complete(queues: &[Interface], config: &Config) -> Result<(), AttachError> {
    if let (Some(owner), Some(first)) = (config.persistent, queues.first()) {
        first.persist(owner)?;
    }
    queues.iter().try_for_each(|queue| let_inherit(queue, config))
}

/// Leaves the frames' descriptor to the programs that this process starts, where that was asked for.
pub(super) fn let_inherit(queue: &Interface, config: &Config) -> Result<(), AttachError> {
    if !config.inheritable {
        return Ok(());
    }
    descriptors::make_inheritable(queue.as_fd()).map_err(|source| AttachError::Request {
        request: "F_SETFD",
        object: "the frames' descriptor".into(),
        remedy: "",
        source,
    })
}

/// The queues of an interface, and the terminate program that is owed.
type Owing = (Vec<Interface>, Option<Terminate>);

/// Makes or opens the interface, which the setup program may name.
fn create(name: Option<&str>, config: &Config, queues: u16) -> Result<Owing, AttachError> {
    if let Some(name) = name {
        check_static(name, config)?;
    }
    let vanishes = config.terminate_program.is_some() && !name.map(OsStr::new).is_some_and(exists);
    let (printed, owed) = setup(config, name.map(OsStr::new), SYSTEM)?;
    let attached = Interface::attach(printed.as_deref().or(name), config, queues)?;
    owe(attached, owed, config, vanishes)
}

/// Opens an existing data link, which the setup program may have made.
fn open_datalink(name: &str, config: &Config) -> Result<Owing, AttachError> {
    sys::check_datalink_name(name)?;
    let (_, owed) = setup(config, Some(OsStr::new(name)), SYSTEM)?;
    let attached = Interface::attach_datalink(name, config)?;
    owe(vec![attached], owed, config, false)
}

fn check_static(name: &str, config: &Config) -> Result<(), AttachError> {
    sys::check_name(name)?;
    if name.contains('%') && config.setup_program.is_some() {
        let reason = "a template names no interface yet; give a name, or let the setup program print one";
        return Err(AttachError::BadOption { option: "setup_program".into(), reason: reason.into() });
    }
    Ok(())
}

/// Adopts descriptors; their interface exists, so the programs are always told the name.
fn adopt(fds: Vec<OwnedFd>, config: &Config, queues: u16) -> Result<Owing, AttachError> {
    if fds.len() != usize::from(queues) {
        let reason = format!(
            "{queues} asked for, and {} inherited: give a descriptor of its own for each queue",
            fds.len()
        );
        return Err(AttachError::BadOption { option: "queues".into(), reason });
    }
    let mut owed = None;
    if let (Some(_), Some(first)) = (&config.setup_program, fds.first()) {
        let name = Interface::name_of(first.as_fd()).map_err(no_name)?;
        (_, owed) = setup(config, Some(OsStr::from_bytes(name.as_bytes())), SYSTEM)?;
    }
    let adopted = fds.into_iter().map(|fd| inherited::adopt(fd, config));
    let adopted = adopted.collect::<Result<Vec<_>, _>>()?;
    if let [first, further @ ..] = &adopted[..] {
        further.iter().try_for_each(|one| same_interface(first, one))?;
        if !further.is_empty() && !first.limits().ends_silently {
            // Where there can be no further queue, a second descriptor is a duplicate of the first. A macvtap may have many,
            // whatever its mode.
            first.add_queues(0)?;
        }
        settings::apply(first, config)?;
    }
    owe(adopted, owed, config, false)
}

fn same_interface(first: &Interface, further: &Interface) -> Result<(), AttachError> {
    let (wanted, found) = (first.name().map_err(no_name)?, further.name().map_err(no_name)?);
    if wanted == found {
        return Ok(());
    }
    Err(AttachError::Mismatch {
        what: "the interface of a further queue",
        wanted: wanted.to_string(),
        found: found.to_string(),
    })
}

/// Without a setup program, the terminate program is owed from the attach on. An interface that the attach made `vanishes` at
/// the detach.
fn owe(
    attached: Vec<Interface>,
    owed: Option<Terminate>,
    config: &Config,
    vanishes: bool,
) -> Result<Owing, AttachError> {
    let (Some(first), None, Some(_)) = (attached.first(), &owed, &config.terminate_program) else {
        return Ok((attached, owed));
    };
    let name: InterfaceName = first.name().map_err(no_name)?;
    let owed = Terminate::owed(config, OsStr::from_bytes(name.as_bytes()), vanishes, SYSTEM);
    Ok((attached, owed))
}

fn no_name(source: std::io::Error) -> AttachError {
    AttachError::Request {
        request: "the interface's name",
        object: "the descriptor".into(),
        remedy: "setup and terminate programs, and several queues, need an interface that has a name",
        source,
    }
}
