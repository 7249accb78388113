//! The primitives under the crate's own protocols, in one place so that a model checker can stand in for them.

pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
