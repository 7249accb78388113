//! The guard a test holds while its process runs on a machine of the model.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call::{Record, Suspicion};
use crate::fault::{Fault, Moment, Trouble, When};
use crate::kernel::{Kernel, Snapshot};
use crate::process::process;

/// One test of a process at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A booted machine. While it lives, `/dev/tap`, `/dev/tun`, `/dev/udp`, `/dev/udp6`, `/dev/ip`, `/dev/vnic*`,
/// `/dev/simnet*` and all of `/dev/net/` of this process are the model's; tests that boot one run after each other.
///
/// Dropping it passes on a panic of the kernel, and a call that never returned, as a panic of the test.
#[derive(Debug)]
pub struct Machine {
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    /// Boots a machine, after waiting for the one before to end. The environment says which tuntap driver it has
    /// ([`Tuntap::VARIABLE`](crate::Tuntap::VARIABLE)).
    pub fn boot() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        process().boot();
        Self { _turn: turn }
    }

    /// Works on the kernel; for everything that has no shorthand here.
    ///
    /// # Panics
    /// Never while the machine lives.
    pub fn kernel<R>(&self, work: impl FnOnce(&mut Kernel) -> R) -> R {
        process().with(|running| work(&mut running.kernel)).expect("the machine is booted")
    }

    /// Every call so far.
    pub fn trace(&self) -> Vec<Record> {
        self.kernel(|kernel| kernel.trace().to_vec())
    }

    /// Every call so far, a line each.
    pub fn trace_lines(&self) -> Vec<String> {
        self.kernel(|kernel| kernel.trace().iter().map(ToString::to_string).collect())
    }

    /// How many calls were made so far: the next one has the number after it.
    pub fn calls(&self) -> usize {
        self.kernel(|kernel| kernel.calls())
    }

    /// The state, to compare with another.
    pub fn snapshot(&self) -> Snapshot {
        self.kernel(|kernel| kernel.snapshot())
    }

    /// What looked wrong so far.
    pub fn suspicions(&self) -> Vec<Suspicion> {
        self.kernel(|kernel| kernel.suspicions().to_vec())
    }

    /// Plans a fault.
    pub fn plan_fault(&self, fault: Fault) {
        self.kernel(|kernel| kernel.plan_fault(fault));
    }

    /// Lets the call with this number go wrong; numbers count from 1 over all calls of the machine.
    pub fn fail_call(&self, number: usize, trouble: Trouble, moment: Moment) {
        self.plan_fault(Fault { when: When::Call(number), trouble, moment });
    }

    /// Lets the nth call from now that the predicate picks go wrong.
    pub fn fail_nth(
        &self,
        nth: usize,
        pick: impl Fn(&Record) -> bool + Send + 'static,
        trouble: Trouble,
        moment: Moment,
    ) {
        self.plan_fault(Fault { when: When::Nth(nth, Box::new(pick)), trouble, moment });
    }

    /// Lets somebody else do something to the machine just before a call: `Kernel::unplumb_elsewhere`,
    /// `Kernel::take_ppa_elsewhere`, ...
    pub fn before(&self, when: When, deed: impl FnOnce(&mut Kernel) + Send + 'static) {
        self.kernel(|kernel| kernel.before(when, deed));
    }

    /// Kills the process just before the call with this number: everything is closed as the kernel closes it, and no
    /// later call does anything (each fails with `EBADF`), so that the code under test may go on as a ghost.
    pub fn kill_at(&self, number: usize) {
        self.before(When::Call(number), Kernel::kill);
    }

    /// Lets virtual time pass.
    pub fn advance(&self, duration: Duration) {
        self.kernel(|kernel| kernel.advance(duration));
    }

    /// Queues a frame on the control stream of a PPA; false when there is none.
    pub fn inject_frame(&self, ppa: usize, frame: &[u8]) -> bool {
        self.kernel(|kernel| kernel.inject_frame(ppa, frame))
    }

    /// Kills the process now: every descriptor of the model is closed, in ascending order, and no later call does
    /// anything. The numbers stay open on the host, so whoever owns one may still drop it.
    pub fn exit(&self) {
        process().exit();
    }

    /// Why nothing works any more, when it does not: the kernel's panic or the call that never returned.
    pub fn failure(&self) -> Option<String> {
        process().with(|running| running.failure.clone()).flatten()
    }

    /// Takes the failure, so that the test may go on and the end of the machine does not panic.
    pub fn take_failure(&self) -> Option<String> {
        process().with(|running| running.failure.take()).flatten()
    }

    /// Ends the machine.
    ///
    /// # Panics
    /// With the failure, when there is one.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(failure) = process().shut_down()
            && !std::thread::panicking()
        {
            panic!("{failure}");
        }
    }
}
