//! Mutexes and condition variables: `pthread.h`, `sys/types.h`.
//!
//! illumos' objects are smaller than the host's. Their data word, zero in a static initialiser, holds the address of
//! the host's object, made when it is first needed.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::number;
use crate::handle::Handle;
use crate::system::host_clock;
use crate::translate::Numbers;
use libc::timespec;
use std::ffi::c_int;
use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, Ordering::AcqRel, Ordering::Acquire};

/// `pthread_mutex_t`: flags, type and magic, the lock word, the data word.
#[repr(C)]
struct Mutex {
    _flags: u64,
    _lock: u64,
    host: AtomicPtr<libc::pthread_mutex_t>,
}
const _: () = assert!(size_of::<Mutex>() == 24 && offset_of!(Mutex, host) == 16);

/// `pthread_cond_t`: flags, type and magic, the data word.
#[repr(C)]
struct Condition {
    _flags: u64,
    host: AtomicPtr<libc::pthread_cond_t>,
}
const _: () = assert!(size_of::<Condition>() == 16 && offset_of!(Condition, host) == 8);

type MutexAttributes = Handle<libc::pthread_mutexattr_t>;
type ConditionAttributes = Handle<libc::pthread_condattr_t>;

/// `pthread.h`.
const MUTEX_TYPES: Numbers = Numbers {
    what: "mutex type",
    pairs: &[
        (0, libc::PTHREAD_MUTEX_NORMAL),
        (2, libc::PTHREAD_MUTEX_ERRORCHECK),
        (4, libc::PTHREAD_MUTEX_RECURSIVE),
    ],
};

/// The host's object behind a data word; whoever comes first makes it.
fn behind<T>(word: &AtomicPtr<T>, initial: T) -> *mut T {
    let found = word.load(Acquire);
    if !found.is_null() {
        return found;
    }
    let made = Box::into_raw(Box::new(initial));
    match word.compare_exchange(std::ptr::null_mut(), made, AcqRel, Acquire) {
        Ok(_) => made,
        Err(first) => {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
            first
        }
    }
}

impl Mutex {
    /// # Safety
    /// `this` is initialised, statically or by pthread_mutex_init, and not destroyed.
    unsafe fn host(this: *mut Self) -> *mut libc::pthread_mutex_t {
        // SAFETY: as the caller promises; the data word is only used atomically.
        behind(unsafe { &(*this).host }, libc::PTHREAD_MUTEX_INITIALIZER)
    }
}

impl Condition {
    /// # Safety
    /// `this` is initialised, statically or by pthread_cond_init, and not destroyed.
    unsafe fn host(this: *mut Self) -> *mut libc::pthread_cond_t {
        // SAFETY: as the caller promises; the data word is only used atomically.
        behind(unsafe { &(*this).host }, libc::PTHREAD_COND_INITIALIZER)
    }
}

#[unsafe(export_name = "illumos_pthread_mutexattr_init")]
unsafe extern "C" fn pthread_mutexattr_init(attributes: *mut MutexAttributes) -> c_int {
    // SAFETY: initialises the host's object.
    let initialise = |host| unsafe { libc::pthread_mutexattr_init(host) };
    // SAFETY: the caller's place for one address.
    unsafe { Handle::make(attributes, initialise) }
}

#[unsafe(export_name = "illumos_pthread_mutexattr_destroy")]
unsafe extern "C" fn pthread_mutexattr_destroy(attributes: *mut MutexAttributes) -> c_int {
    // SAFETY: ends the host's object, which is not used again.
    let destroy = |host| unsafe { libc::pthread_mutexattr_destroy(host) };
    // SAFETY: made by the init function, given back by the caller.
    unsafe { Handle::end(attributes, destroy) }
}

#[unsafe(export_name = "illumos_pthread_mutexattr_settype")]
unsafe extern "C" fn pthread_mutexattr_settype(attributes: *mut MutexAttributes, kind: c_int) -> c_int {
    // SAFETY: initialised by pthread_mutexattr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: as above.
    number(unsafe { libc::pthread_mutexattr_settype(host, MUTEX_TYPES.to_host(kind)) })
}

#[unsafe(export_name = "illumos_pthread_mutex_init")]
unsafe extern "C" fn pthread_mutex_init(mutex: *mut Mutex, attributes: *const MutexAttributes) -> c_int {
    let host = Box::into_raw(Box::new(libc::PTHREAD_MUTEX_INITIALIZER));
    // SAFETY: null, or attributes initialised by pthread_mutexattr_init.
    let attributes = unsafe { Handle::host(attributes) };
    // SAFETY: the caller's mutex, writable, perhaps uninitialised.
    unsafe { mutex.write(Mutex { _flags: 0, _lock: 0, host: AtomicPtr::new(host) }) };
    // SAFETY: the box made above, null or initialised attributes.
    number(unsafe { libc::pthread_mutex_init(host, attributes) })
}

#[unsafe(export_name = "illumos_pthread_mutex_destroy")]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut Mutex) -> c_int {
    // SAFETY: the caller's mutex, which nobody holds or uses any more.
    let host = unsafe { &(*mutex).host }.swap(std::ptr::null_mut(), AcqRel);
    if !host.is_null() {
        // SAFETY: the box made for this mutex.
        drop(unsafe { Box::from_raw(host) });
    }
    0
}

#[unsafe(export_name = "illumos_pthread_mutex_lock")]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    // SAFETY: the caller's mutex, initialised and not destroyed.
    let host = unsafe { Mutex::host(mutex) };
    // SAFETY: the host's mutex behind it.
    number(unsafe { libc::pthread_mutex_lock(host) })
}

#[unsafe(export_name = "illumos_pthread_mutex_trylock")]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut Mutex) -> c_int {
    // SAFETY: the caller's mutex, initialised and not destroyed.
    let host = unsafe { Mutex::host(mutex) };
    // SAFETY: the host's mutex behind it.
    number(unsafe { libc::pthread_mutex_trylock(host) })
}

#[unsafe(export_name = "illumos_pthread_mutex_unlock")]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    // SAFETY: the caller's mutex, initialised and not destroyed.
    let host = unsafe { Mutex::host(mutex) };
    // SAFETY: the host's mutex behind it, which this thread holds.
    number(unsafe { libc::pthread_mutex_unlock(host) })
}

#[unsafe(export_name = "illumos_pthread_condattr_init")]
unsafe extern "C" fn pthread_condattr_init(attributes: *mut ConditionAttributes) -> c_int {
    // SAFETY: initialises the host's object.
    let initialise = |host| unsafe { libc::pthread_condattr_init(host) };
    // SAFETY: the caller's place for one address.
    unsafe { Handle::make(attributes, initialise) }
}

#[unsafe(export_name = "illumos_pthread_condattr_destroy")]
unsafe extern "C" fn pthread_condattr_destroy(attributes: *mut ConditionAttributes) -> c_int {
    // SAFETY: ends the host's object, which is not used again.
    let destroy = |host| unsafe { libc::pthread_condattr_destroy(host) };
    // SAFETY: made by the init function, given back by the caller.
    unsafe { Handle::end(attributes, destroy) }
}

#[unsafe(export_name = "illumos_pthread_condattr_setclock")]
unsafe extern "C" fn pthread_condattr_setclock(attributes: *mut ConditionAttributes, clock: c_int) -> c_int {
    // SAFETY: initialised by pthread_condattr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: as above.
    number(unsafe { libc::pthread_condattr_setclock(host, host_clock(clock)) })
}

#[unsafe(export_name = "illumos_pthread_cond_init")]
unsafe extern "C" fn pthread_cond_init(
    condition: *mut Condition,
    attributes: *const ConditionAttributes,
) -> c_int {
    let host = Box::into_raw(Box::new(libc::PTHREAD_COND_INITIALIZER));
    // SAFETY: null, or attributes initialised by pthread_condattr_init.
    let attributes = unsafe { Handle::host(attributes) };
    // SAFETY: the caller's condition variable, writable, perhaps uninitialised.
    unsafe { condition.write(Condition { _flags: 0, host: AtomicPtr::new(host) }) };
    // SAFETY: the box made above, null or initialised attributes.
    number(unsafe { libc::pthread_cond_init(host, attributes) })
}

#[unsafe(export_name = "illumos_pthread_cond_destroy")]
unsafe extern "C" fn pthread_cond_destroy(condition: *mut Condition) -> c_int {
    // SAFETY: the caller's condition variable, on which nobody waits any more.
    let host = unsafe { &(*condition).host }.swap(std::ptr::null_mut(), AcqRel);
    if !host.is_null() {
        // SAFETY: the box made for this variable.
        drop(unsafe { Box::from_raw(host) });
    }
    0
}

#[unsafe(export_name = "illumos_pthread_cond_signal")]
unsafe extern "C" fn pthread_cond_signal(condition: *mut Condition) -> c_int {
    // SAFETY: the caller's condition variable, initialised and not destroyed.
    let host = unsafe { Condition::host(condition) };
    // SAFETY: the host's variable behind it.
    number(unsafe { libc::pthread_cond_signal(host) })
}

#[unsafe(export_name = "illumos_pthread_cond_broadcast")]
unsafe extern "C" fn pthread_cond_broadcast(condition: *mut Condition) -> c_int {
    // SAFETY: the caller's condition variable, initialised and not destroyed.
    let host = unsafe { Condition::host(condition) };
    // SAFETY: the host's variable behind it.
    number(unsafe { libc::pthread_cond_broadcast(host) })
}

#[unsafe(export_name = "illumos_pthread_cond_wait")]
unsafe extern "C" fn pthread_cond_wait(condition: *mut Condition, mutex: *mut Mutex) -> c_int {
    // SAFETY: the caller's condition variable, initialised and not destroyed.
    let host = unsafe { Condition::host(condition) };
    // SAFETY: the caller's mutex, likewise.
    let mutex = unsafe { Mutex::host(mutex) };
    // SAFETY: the host's objects behind them; this thread holds the mutex.
    number(unsafe { libc::pthread_cond_wait(host, mutex) })
}

#[unsafe(export_name = "illumos_pthread_cond_timedwait")]
unsafe extern "C" fn pthread_cond_timedwait(
    condition: *mut Condition,
    mutex: *mut Mutex,
    until: *const timespec,
) -> c_int {
    // SAFETY: the caller's condition variable, initialised and not destroyed.
    let host = unsafe { Condition::host(condition) };
    // SAFETY: the caller's mutex, likewise.
    let mutex = unsafe { Mutex::host(mutex) };
    // SAFETY: the host's objects behind them; this thread holds the mutex; the caller's time, laid out as the host's.
    number(unsafe { libc::pthread_cond_timedwait(host, mutex, until) })
}
