//! What to attach, and how.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::wanted::{Creation, DatalinkOptions, Owner, Source};
use crate::wire::Offload;

/// Describes the TAP to attach. Nothing is asked of the system before [`attach`](Self::attach). It is an error to ask for two
/// sources, such as two names, or for two values of one setting. Of offloads, time limits and switches the last call counts.
///
/// ```no_run
/// use std::net::Ipv4Addr;
/// use tap_plumb::Config;
///
/// let tap = Config::new().name("tap3").address(Ipv4Addr::new(10, 0, 3, 1).into(), 24).up().attach()?;
/// println!("attached {}", tap.name()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Config {
    pub(crate) source: Source,
    pub(crate) creation: Creation,
    /// The option that asks for something else than an earlier one did.
    pub(crate) contradiction: Option<&'static str>,
    pub(crate) setup_program: Option<PathBuf>,
    pub(crate) terminate_program: Option<PathBuf>,
    pub(crate) program_timeout: Duration,
    pub(crate) busy_timeout: Duration,
    pub(crate) mtu: Option<u32>,
    pub(crate) hardware_address: Option<[u8; 6]>,
    pub(crate) guest_address: Option<[u8; 6]>,
    pub(crate) offload: Offload,
    /// In the order in which they were asked for, each once.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    pub(crate) up: bool,
    pub(crate) external_plumbing: bool,
    pub(crate) replace_stale: bool,
    pub(crate) keep_state: bool,
    pub(crate) inheritable: bool,
    pub(crate) persistent: Option<Owner>,
    pub(crate) queue_length: Option<u32>,
    pub(crate) name_holder: bool,
    pub(crate) datalink: DatalinkOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Describes a TAP whose name the kernel chooses, without offloads.
    pub fn new() -> Self {
        Self {
            source: Source::Any,
            creation: Creation::Either,
            contradiction: None,
            setup_program: None,
            terminate_program: None,
            program_timeout: Duration::from_secs(30),
            busy_timeout: Duration::from_millis(250),
            mtu: None,
            hardware_address: None,
            guest_address: None,
            offload: Offload::NONE,
            addresses: Vec::new(),
            up: false,
            external_plumbing: false,
            replace_stale: false,
            keep_state: false,
            inheritable: false,
            persistent: None,
            queue_length: None,
            name_holder: true,
            datalink: DatalinkOptions::default(),
        }
    }

    /// Attaches the interface of this name; on Linux also a template such as `tap%d`.
    ///
    /// Linux: 1 to 15 bytes, no `/`, `:`, white space, NUL, and no other `%`; not `.` or `..`. illumos and Solaris: a letter,
    /// then letters, digits, `.` or `_`, ending in the PPA. The PPA is 0 to 19, without a leading zero. The whole name has at
    /// most 31 bytes.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with_source("name", Source::Name(name.into()))
    }

    /// Lets the kernel choose the name. With a setup program, the first line of the program's output is the name.
    pub fn any(self) -> Self {
        self.with_source("any", Source::Any)
    }

    /// Adopts a descriptor that somebody else opened. See [`Tap::from_fd`](crate::Tap::from_fd). A further call adds a queue.
    ///
    /// illumos and Solaris: the control stream of a TAP, or a bound stream of a data link. Such a stream gives neither the
    /// link's name nor news of the link: [`Backend::refresh_mtu`](crate::Backend::refresh_mtu) asks what has changed. The
    /// attach does not check whether the host's IP is plumbed on that link.
    pub fn inherited(self, fd: OwnedFd) -> Self {
        self.inherited_queues(vec![fd])
    }

    /// Adopts the queues of one interface that somebody else opened, a descriptor for each (QEMU's `fds=`).
    /// [`attach_queues`](Self::attach_queues) returns them in this order. It must be asked for as many queues as there are
    /// descriptors.
    ///
    /// When one is refused, [`AttachError::Adopt`](crate::AttachError::Adopt) gives that one back, and the others are closed.
    ///
    /// ```no_run
    /// # use tap_plumb::Config;
    /// # fn queues(fds: Vec<std::os::fd::OwnedFd>) -> Result<(), tap_plumb::AttachError> {
    /// let count = fds.len() as u16;
    /// let taps = Config::new().inherited_queues(fds).attach_queues(count)?;
    /// # drop(taps);
    /// # Ok(()) }
    /// ```
    pub fn inherited_queues(mut self, fds: Vec<OwnedFd>) -> Self {
        match &mut self.source {
            Source::Inherited(all) => {
                all.extend(fds);
                self
            }
            _ => self.with_source("inherited", Source::Inherited(fds)),
        }
    }

    /// Takes an existing data link, which the administrator has made for this guest alone, instead of a TAP.
    ///
    /// illumos and Solaris: a vnic (`dladm create-vnic -l net0 vnic0`), in the global or an exclusive-IP zone. The process
    /// needs `PRIV_NET_RAWACCESS`, which such zones have. No driver is needed. The guest must use the link's own MAC address.
    /// Where it is to use another one, [`hardware_address`](Self::hardware_address) sets that, and the detach puts the former
    /// one back. If the process is killed, the former one is not put back. The host itself reaches the guest only by a vnic
    /// of its own on the same NIC or etherstub. There are no offloads.
    ///
    /// Linux: a macvtap of this name (`ip link add link eth0 name mv0 type macvtap mode bridge`), by its node `/dev/tapN`,
    /// which the process must be allowed to open. It has offloads, as a TAP has. Elsewhere
    /// [`AttachError::Unsupported`](crate::AttachError::Unsupported).
    ///
    /// ```no_run
    /// use tap_plumb::Config;
    ///
    /// let tap = Config::new().datalink("vnic0").attach()?;
    /// println!("the guest's address is {:x?}", tap.hardware_address()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "vnic", alias = "macvtap", alias = "DLPI")]
    pub fn datalink(self, name: impl Into<String>) -> Self {
        self.with_source("datalink", Source::Datalink(name.into()))
    }

    /// illumos and Solaris: keeps this many bytes of frames from a [`datalink`](Self::datalink) while the guest does not
    /// read. 16 KiB to 64 MiB are allowed. What comes when they are full is lost, and nobody counts it.
    ///
    /// The default is 256 KiB. Where the system lacks the module `bufmod`, only 5 KiB are kept, and the log has a warning.
    /// Where this setting was given, the attach fails instead. On other systems it changes nothing.
    pub fn datalink_buffer(self, bytes: u32) -> Self {
        self.once("datalink_buffer", |config| &mut config.datalink.buffer, bytes)
    }

    /// illumos and Solaris: takes a [`datalink`](Self::datalink) even when the host's IP is plumbed on it. Both then answer
    /// to the same MAC address, and each resets the other's connections. Elsewhere it changes nothing.
    pub fn share_datalink(mut self) -> Self {
        self.datalink.shared = true;
        self
    }

    /// Fails when there is no interface of that name yet. illumos and Solaris: always
    /// [`AttachError::Unsupported`](crate::AttachError::Unsupported), since a device there lives only as long as its owner's descriptor.
    pub fn must_exist(self) -> Self {
        self.with_creation("must_exist", Creation::MustExist)
    }

    /// Fails when there is an interface of that name already. illumos and Solaris: every attach fails then; this call only
    /// excludes [`replace_stale`](Self::replace_stale).
    pub fn create_exclusive(self) -> Self {
        self.with_creation("create_exclusive", Creation::Exclusive)
    }

    /// Runs `program` before the device is opened. The command is `program NAME`. It has no argument where the first line of
    /// the program's output is to give the name. Blanks and a carriage return may surround that name.
    ///
    /// No shell is involved and `PATH` is not searched: a path without a directory is taken from the current one. The program
    /// gets the environment, `/dev/null` as standard input, and no descriptor of this process. It must end by itself with
    /// status 0; a daemon it leaves behind is neither waited for nor ended, but must redirect its output. The first 4 KiB of
    /// its output count, and the rest is discarded. When the program was given a name, all of its output is discarded. The
    /// beginning of its standard error goes to the log.
    ///
    /// With an [`inherited`](Self::inherited) descriptor it runs before the adoption, and is given the interface's
    /// name. It cannot be combined with a template such as `tap%d`, which names nothing yet.
    ///
    /// In a process that ignores `SIGCHLD`, or waits for children that are not its own, the status is lost. That is an
    /// error ([`ProgramError::Wait`](crate::ProgramError::Wait) with `ECHILD`), since success would be a guess.
    pub fn setup_program(self, program: impl Into<PathBuf>) -> Self {
        self.once("setup_program", |config| &mut config.setup_program, program.into())
    }

    /// Runs `program NAME` after everything is closed, under the same rules. It is run exactly when the
    /// setup program succeeded, also if the attach failed after that; without a setup program, when the attach succeeded.
    ///
    /// The name is the one the setup program was given or printed, else the one the interface had when it was attached.
    /// Before the program runs, the detach waits until an interface that the attach made is gone, 250 ms at most. A process
    /// that is being started at that moment may keep the interface for some milliseconds.
    pub fn terminate_program(self, program: impl Into<PathBuf>) -> Self {
        self.once("terminate_program", |config| &mut config.terminate_program, program.into())
    }

    /// Gives each program this long (default 30 s), then `SIGTERM`, then `SIGKILL` 5 s later, both to its whole process
    /// group. A process that `SIGKILL` does not end is waiting inside the kernel, or runs as another user. It is left behind
    /// after another 5 s, with a line in the log.
    pub fn program_timeout(mut self, timeout: Duration) -> Self {
        self.program_timeout = timeout;
        self
    }

    /// Retries a busy interface for this long (default 250 ms): the kernel frees it some time after its owner's death. A TUN
    /// device, or a TAP with another number of queues, may belong to an owner that has just died, too. So they are refused
    /// only after this time.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets the IP MTU in bytes, without the Ethernet header.
    pub fn mtu(self, mtu: u32) -> Self {
        self.once("mtu", |config| &mut config.mtu, mtu)
    }

    /// Sets the host's own MAC address on the interface. The guest must use another one.
    pub fn hardware_address(self, address: [u8; 6]) -> Self {
        self.once("hardware_address", |config| &mut config.hardware_address, address)
    }

    /// States the guest's MAC address, from which announcements are sent. It is never set on the TAP.
    pub fn guest_address(self, address: [u8; 6]) -> Self {
        self.once("guest_address", |config| &mut config.guest_address, address)
    }

    /// Asks for offloads; [`Tap::offload`](crate::Tap::offload) tells what was granted.
    pub fn offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// Gives the host's side of the interface an address with a prefix length in bits. May be called for each address, of
    /// both families; see [`Tap::set_address`](crate::Tap::set_address) for what the host makes of it.
    ///
    /// ```no_run
    /// # use tap_plumb::Config;
    /// let config = Config::new().address("10.0.3.1".parse()?, 24).address("fd00:3::1".parse()?, 64);
    /// # let _ = config;
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn address(mut self, address: IpAddr, prefix: u8) -> Self {
        if !self.addresses.contains(&(address, prefix)) {
            self.addresses.push((address, prefix));
        }
        self
    }

    /// Brings the interface up.
    pub fn up(mut self) -> Self {
        self.up = true;
        self
    }

    /// illumos and Solaris: only makes the device, which must be named `tap` and its PPA. `ifconfig tap3 plumb`, run by
    /// whoever is told of the device, does the rest, so that no address, MTU or `up` can be asked for here.
    /// `ifconfig tap3 unplumb` must come before the detach. Elsewhere it changes nothing.
    pub fn external_plumbing(mut self) -> Self {
        self.external_plumbing = true;
        self
    }

    /// illumos and Solaris: unplumbs a left-over interface of the same name, `tap` and its PPA, where one is in the way.
    /// Never touches one whose owner lives. With [`any`](Self::any) another name is taken instead. Elsewhere it changes nothing.
    pub fn replace_stale(mut self) -> Self {
        self.replace_stale = true;
        self
    }

    /// Linux: leaves the filters, offloads, byte order, send buffer and carrier of a TAP that was inherited or found as they
    /// are. An administrator's filter stays, and so does what another owner of the same queue has set.
    ///
    /// The kernel does not tell which offloads are set. State them by [`offload`](Self::offload); nothing checks them. An
    /// inherited TAP must have the header length that is stated there. Where none is stated, the TAP's own is taken, 10 or 12
    /// bytes. Elsewhere it changes nothing.
    ///
    /// ```no_run
    /// # use tap_plumb::{Config, Offload};
    /// # fn duplicate(fd: std::os::fd::OwnedFd) -> Result<(), tap_plumb::AttachError> {
    /// // `fd` is a duplicate of a queue that goes on being used with these offloads.
    /// let tap = Config::new().inherited(fd).offload(Offload::ALL).keep_state().attach()?;
    /// # drop(tap);
    /// # Ok(()) }
    /// ```
    pub fn keep_state(mut self) -> Self {
        self.keep_state = true;
        self
    }

    /// Lets programs that this process starts inherit the frames' descriptor: close-on-exec is not set. Setup and terminate
    /// programs get no descriptor all the same.
    pub fn inheritable(mut self) -> Self {
        self.inheritable = true;
        self
    }

    /// Linux: makes the interface outlive its descriptors (`ip tuntap del` ends it), for this user or this group, by number,
    /// to attach without privilege. Without a user and a group, newer kernels let nobody attach without privilege. Elsewhere
    /// [`AttachError::Unsupported`](crate::AttachError::Unsupported).
    pub fn persistent(self, owner: Option<u32>, group: Option<u32>) -> Self {
        self.once("persistent", |config| &mut config.persistent, Owner { user: owner, group })
    }

    /// Linux: sets how many frames the kernel keeps for a guest that does not read (`txqueuelen`, 1000 at first); it drops
    /// and counts the rest. Elsewhere [`AttachError::Unsupported`](crate::AttachError::Unsupported).
    pub fn queue_length(self, frames: u32) -> Self {
        self.once("queue_length", |config| &mut config.queue_length, frames)
    }

    /// Linux: whether the error about a busy interface names the processes that hold it, which is the default. The search
    /// reads `/proc`, which a sandbox may forbid.
    pub fn name_holder(mut self, on: bool) -> Self {
        self.name_holder = on;
        self
    }

    fn with_source(mut self, option: &'static str, source: Source) -> Self {
        let agrees = match (&self.source, &source) {
            (Source::Any, _) => true,
            (Source::Name(old), Source::Name(new)) | (Source::Datalink(old), Source::Datalink(new)) => {
                old == new
            }
            _ => false,
        };
        self.source = source;
        self.unless(agrees, option)
    }

    fn with_creation(mut self, option: &'static str, creation: Creation) -> Self {
        let agrees = self.creation == Creation::Either || self.creation == creation;
        self.creation = creation;
        self.unless(agrees, option)
    }

    /// Sets what can be asked for once; the same again is no contradiction.
    fn once<T: PartialEq>(
        mut self,
        option: &'static str,
        place: fn(&mut Self) -> &mut Option<T>,
        value: T,
    ) -> Self {
        let place = place(&mut self);
        let agrees = place.as_ref().is_none_or(|old| *old == value);
        *place = Some(value);
        self.unless(agrees, option)
    }

    fn unless(mut self, agrees: bool, option: &'static str) -> Self {
        self.contradiction = self.contradiction.or((!agrees).then_some(option));
        self
    }
}
