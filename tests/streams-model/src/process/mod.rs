//! One process around a kernel: real pointers, real descriptors behind the model's, threads that wait.
//!
//! Numbers are illumos' throughout. Each descriptor of the model is backed by a descriptor of the host, so it has the
//! number the host would give, and poll(2) of the host can wait for it: the host descriptor is readable exactly when the
//! stream has something to say.

mod backing;
mod poll;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use backing::Backing;

use crate::abi::{self, Errno};
use crate::call::{Call, Outcome, Place};
use crate::kernel::interface::Family;
use crate::kernel::stream::Driver;
use crate::kernel::{Kernel, Tuntap};
use crate::memory::HostMemory;

pub(crate) use backing::host;

/// What a system call gives its caller: the value, or the illumos error number.
pub type Answer = Result<i64, Errno>;

/// Descriptors from this number on are never the model's.
const DESCRIPTOR_LIMIT: usize = 4096;

/// A process and the machine it runs on. There is one, [`process`]; it is idle until a [`crate::Machine`] is booted.
pub struct Process {
    /// The process number of the host while booted, 0 else: a forked child is not on the machine.
    booted_by: AtomicI32,
    owned: [AtomicBool; DESCRIPTOR_LIMIT],
    running: Mutex<Option<Running>>,
    changed: Condvar,
}

/// A booted machine.
pub(crate) struct Running {
    pub(crate) kernel: Kernel,
    backing: Backing,
    /// Why nothing works any more: the kernel panicked, or a call never returned.
    pub(crate) failure: Option<String>,
}

static PROCESS: Process = Process {
    booted_by: AtomicI32::new(0),
    owned: [const { AtomicBool::new(false) }; DESCRIPTOR_LIMIT],
    running: Mutex::new(None),
    changed: Condvar::new(),
};

/// The process all interposed calls go to.
pub fn process() -> &'static Process {
    &PROCESS
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("booted", &self.is_booted()).finish_non_exhaustive()
    }
}

impl Process {
    /// Whether a machine is booted in this process. Takes no lock.
    pub fn is_booted(&self) -> bool {
        let by = self.booted_by.load(Ordering::Acquire);
        by != 0 && by == host::process_id()
    }

    /// Whether a descriptor is the model's. Takes no lock, so that it can be asked on every call of the process.
    pub fn owns(&self, fd: i32) -> bool {
        usize::try_from(fd).is_ok_and(|fd| fd < DESCRIPTOR_LIMIT && self.owned[fd].load(Ordering::Acquire))
            && self.is_booted()
    }

    /// Whether a path is one of the model's devices.
    pub fn serves(&self, path: &[u8]) -> bool {
        self.is_booted() && Driver::is_device(path)
    }

    /// Whether a descriptor of the model is a stream, not one of its sockets.
    pub fn is_stream(&self, fd: i32) -> bool {
        self.with(|running| running.kernel.is_stream(fd)).unwrap_or(false)
    }

    pub(crate) fn boot(&self) {
        let mut kernel = Kernel::new();
        kernel.set_tuntap(Tuntap::of_environment());
        *self.lock() = Some(Running { kernel, backing: Backing::default(), failure: None });
        self.booted_by.store(host::process_id(), Ordering::Release);
    }

    /// Ends the machine. The host's descriptors stay open: they belong to whoever still holds them.
    pub(crate) fn shut_down(&self) -> Option<String> {
        self.booted_by.store(0, Ordering::Release);
        self.owned.iter().for_each(|owned| owned.store(false, Ordering::Release));
        let failure = self.lock().take().and_then(|running| running.failure);
        self.changed.notify_all();
        failure
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the machine; afterwards the host's descriptors are brought in step and whoever waits looks again.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Running) -> R) -> Option<R> {
        let mut guard = self.lock();
        let running = guard.as_mut()?;
        let result = work(running);
        running.backing.synchronize(&running.kernel);
        drop(guard);
        self.changed.notify_all();
        Some(result)
    }

    /// Ends the process on the machine: closes everything in ascending order. The host's descriptors stay open.
    pub(crate) fn exit(&self) {
        self.owned.iter().for_each(|owned| owned.store(false, Ordering::Release));
        self.with(|running| {
            running.guarded(Kernel::kill);
            running.backing.forget_all();
        });
    }

    /// Opens a device of the model.
    ///
    /// # Safety
    /// `path` must be the address of a NUL-terminated string.
    // UNSAFETY: takes an address from its caller.
    #[expect(unsafe_code, reason = "the caller vouches for an address")]
    pub unsafe fn open(&self, path: u64, flags: i32) -> Answer {
        let host_fd = host::event_descriptor(flags & abi::O_CLOEXEC != 0)?;
        self.make(host_fd, Call::Open { path, flags, place: Place::At(host_fd) })
    }

    /// Makes a datagram socket: a real one, whose interface requests the model answers.
    ///
    /// # Errors
    /// The host's, and those the fault plan gives.
    pub fn socket(&self, family: Family, close_on_exec: bool) -> Answer {
        let host_fd = host::datagram_socket(family, close_on_exec)?;
        self.make(host_fd, Call::Socket { family, close_on_exec, place: Place::At(host_fd) })
    }

    /// Duplicates a descriptor to the lowest free number that is not below `minimum`.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`
    pub fn duplicate(&self, fd: i32, minimum: i32, close_on_exec: bool) -> Answer {
        let host_fd = host::duplicate(fd, minimum, close_on_exec)?;
        self.make(host_fd, Call::Dup { fd, close_on_exec, place: Place::At(host_fd) })
    }

    /// dup2(2) and dup3(2), where at least one of the two is the model's.
    ///
    /// # Errors
    /// `EBADF`
    pub fn duplicate_onto(&self, fd: i32, onto: i32, close_on_exec: bool) -> Answer {
        if fd == onto {
            return if self.owns(fd) { Ok(i64::from(fd)) } else { Err(Errno::EBADF) };
        }
        if !self.owns(fd) {
            // Whatever the close says: the number is free, and dup2 does not report it.
            let _reported_to_nobody = self.close(onto);
            return host::duplicate_onto(fd, onto, close_on_exec).map(i64::from);
        }
        let owned = usize::try_from(onto).ok().and_then(|onto| self.owned.get(onto)).ok_or(Errno::EBADF)?;
        // One call, as it is one on a real machine: when it fails, `onto` is what it was.
        let answer = self.answer(Call::Dup { fd, close_on_exec, place: Place::At(onto) })?;
        host::duplicate_onto(fd, onto, close_on_exec)?;
        owned.store(true, Ordering::Release);
        Ok(answer)
    }

    /// Makes the model's descriptor for a number the host has chosen, or gives the number back.
    fn make(&self, host_fd: i32, call: Call) -> Answer {
        let Some(owned) = usize::try_from(host_fd).ok().and_then(|fd| self.owned.get(fd)) else {
            host::close(host_fd);
            return Err(Errno::EMFILE);
        };
        let answer = self.answer(call);
        match answer {
            Ok(_) => owned.store(true, Ordering::Release),
            Err(_) => host::close(host_fd),
        }
        answer
    }

    /// Closes a descriptor of the model; it is gone whatever comes back.
    ///
    /// # Errors
    /// `EBADF`, and those the fault plan gives.
    pub fn close(&self, fd: i32) -> Answer {
        if !self.owns(fd) {
            return Err(Errno::EBADF);
        }
        let answer = self.answer(Call::Close { fd });
        self.owned[fd as usize].store(false, Ordering::Release);
        host::close(fd);
        answer
    }

    /// fcntl(2), with the commands and flags of illumos.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL`
    pub fn fcntl(&self, fd: i32, command: i32, argument: i64) -> Answer {
        match command {
            abi::F_DUPFD => return self.duplicate(fd, argument as i32, false),
            abi::F_DUPFD_CLOEXEC => return self.duplicate(fd, argument as i32, true),
            // Asked by the standard library before each close of a debug build: answered, not recorded.
            abi::F_GETFD => return host::close_on_exec(fd).map(i64::from),
            abi::F_SETFD => host::set_close_on_exec(fd, argument & i64::from(abi::FD_CLOEXEC) != 0)?,
            _ => {}
        }
        self.answer(Call::Fcntl { fd, command, argument })
    }

    /// Any other system call on a descriptor of the model. It sleeps where the real one would.
    ///
    /// # Safety
    /// The addresses in the call must be those its system call requires, valid for the length of the call.
    // UNSAFETY: takes addresses from its caller.
    #[expect(unsafe_code, reason = "the caller vouches for the addresses in the call")]
    pub unsafe fn call(&self, call: Call) -> Answer {
        self.answer(call)
    }

    /// Carries a call out. Only reached from functions whose callers vouch for the addresses in it.
    fn answer(&self, call: Call) -> Answer {
        let mut guard = self.lock();
        loop {
            let running = guard.as_mut().ok_or(Errno::EIO)?;
            let outcome = running.carry_out(call);
            running.backing.synchronize(&running.kernel);
            self.changed.notify_all();
            match outcome {
                Outcome::WouldBlock => {
                    guard = self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                }
                outcome => return outcome.result(),
            }
        }
    }
}

impl Running {
    fn carry_out(&mut self, call: Call) -> Outcome {
        let outcome = self.guarded(|kernel| kernel.call(&mut host_memory(), call));
        let outcome = outcome.unwrap_or(Outcome::Failed(Errno::EIO));
        if let Outcome::Hang(hang) = &outcome {
            let line = self.kernel.trace().last().map(ToString::to_string).unwrap_or_default();
            self.failure = Some(format!("a call never returns: {line} ({})", hang.reason));
            return Outcome::Failed(Errno::EIO);
        }
        outcome
    }

    /// Lets the kernel work; its panic is kept, and nothing works afterwards.
    pub(crate) fn guarded<R>(&mut self, work: impl FnOnce(&mut Kernel) -> R) -> Option<R> {
        if self.failure.is_some() {
            return None;
        }
        let kernel = &mut self.kernel;
        match catch_unwind(AssertUnwindSafe(|| work(kernel))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.failure = Some(message_of(payload.as_ref()));
                None
            }
        }
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "the kernel panicked".to_owned())
}

fn host_memory() -> HostMemory {
    backing::caller_memory()
}
