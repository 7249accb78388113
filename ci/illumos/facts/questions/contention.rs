//! Several processors in the kernel at once, each with an interface of its own, which is closed in the order that is safe.

use std::thread;

use super::facts::{Facts, Step, Stopped};
use super::interface::Plumbed;

const THREADS: usize = 4;
const ROUNDS: usize = 25;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let rounds = || (0..ROUNDS).map(|_| round()).collect::<Vec<_>>();
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(rounds)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let failures = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    facts.measured("failures", failures.map(|stopped| format!("{stopped:?}")).collect::<Vec<_>>());
    facts.is("rounds_of_100", outcomes.iter().filter(|outcome| outcome.is_ok()).count());
    Ok(())
}

/// Without an address, so that nobody detects a duplicate.
fn round() -> Result<(), Stopped> {
    let plumbed = Plumbed::new()?;
    plumbed.set_up(true).step("SIOCSLIFFLAGS up")?;
    plumbed.set_up(false).step("SIOCSLIFFLAGS down")?;
    plumbed.set_up(true).step("SIOCSLIFFLAGS up, again")?;
    plumbed.unplumb().map(drop)
}
