//! Threads and their keys: `pthread.h`.

// UNSAFETY: C functions with raw arguments, each passed on to the host or read as its illumos prototype says.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

use crate::errno::{number, to_illumos};
use crate::handle::Handle;
use crate::signal::Stack;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// illumos' `pthread_t` is a 32-bit number, the host's an address: this keeps the one for the other.
static THREADS: Mutex<BTreeMap<u32, libc::pthread_t>> = Mutex::new(BTreeMap::new());
/// The first thread is number 1, as on illumos.
const FIRST: u32 = 1;
/// Numbers are never given twice: a detached thread keeps its own without being in the map.
static NEXT: AtomicU32 = AtomicU32::new(FIRST + 1);

thread_local! {
    static SELF: Cell<u32> = const { Cell::new(0) };
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

type Attributes = Handle<libc::pthread_attr_t>;

struct Start {
    number: u32,
    body: Body,
    argument: *mut c_void,
}

fn threads() -> MutexGuard<'static, BTreeMap<u32, libc::pthread_t>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's thread of that number.
pub(crate) fn host_thread(thread: u32) -> Option<libc::pthread_t> {
    if thread == pthread_self() {
        // SAFETY: takes nothing.
        return Some(unsafe { libc::pthread_self() });
    }
    threads().get(&thread).copied()
}

#[unsafe(export_name = "illumos_pthread_attr_init")]
unsafe extern "C" fn pthread_attr_init(attributes: *mut Attributes) -> c_int {
    // SAFETY: initialises the host's object.
    let initialise = |host| unsafe { libc::pthread_attr_init(host) };
    // SAFETY: the caller's place for one address.
    unsafe { Handle::make(attributes, initialise) }
}

#[unsafe(export_name = "illumos_pthread_attr_destroy")]
unsafe extern "C" fn pthread_attr_destroy(attributes: *mut Attributes) -> c_int {
    // SAFETY: ends the host's object, which is not used again.
    let destroy = |host| unsafe { libc::pthread_attr_destroy(host) };
    // SAFETY: made by the init function, given back by the caller.
    unsafe { Handle::end(attributes, destroy) }
}

#[unsafe(export_name = "illumos_pthread_attr_setstacksize")]
unsafe extern "C" fn pthread_attr_setstacksize(attributes: *mut Attributes, size: usize) -> c_int {
    // SAFETY: initialised by pthread_attr_init.
    let host = unsafe { Handle::host(attributes) };
    // the host's least is more than illumos' 8192 bytes
    let size = size.max(libc::PTHREAD_STACK_MIN);
    // SAFETY: as above.
    number(unsafe { libc::pthread_attr_setstacksize(host, size) })
}

#[unsafe(export_name = "illumos_pthread_attr_setdetachstate")]
unsafe extern "C" fn pthread_attr_setdetachstate(attributes: *mut Attributes, state: c_int) -> c_int {
    // pthread.h: PTHREAD_CREATE_DETACHED is 0x40
    let host_state =
        if state == 0x40 { libc::PTHREAD_CREATE_DETACHED } else { libc::PTHREAD_CREATE_JOINABLE };
    // SAFETY: initialised by pthread_attr_init.
    let host = unsafe { Handle::host(attributes) };
    // SAFETY: as above.
    number(unsafe { libc::pthread_attr_setdetachstate(host, host_state) })
}

extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: the box that pthread_create gave away.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    SELF.set(start.number);
    (start.body)(start.argument)
}

#[unsafe(export_name = "illumos_pthread_create")]
unsafe extern "C" fn pthread_create(
    thread: *mut u32,
    attributes: *const Attributes,
    body: Body,
    argument: *mut c_void,
) -> c_int {
    // held while the thread starts, so that it is known by the time anyone can ask for it
    let mut threads = threads();
    let number = NEXT.fetch_add(1, Relaxed);
    let start = Box::into_raw(Box::new(Start { number, body, argument }));
    // SAFETY: null, or attributes initialised by pthread_attr_init.
    let host_attributes = unsafe { Handle::host(attributes) };
    let mut host = MaybeUninit::uninit();
    // SAFETY: a place for the thread, null or initialised attributes, and a box that `run` takes over.
    let result = unsafe { libc::pthread_create(host.as_mut_ptr(), host_attributes, run, start.cast()) };
    if result != 0 {
        // SAFETY: no thread has taken it.
        drop(unsafe { Box::from_raw(start) });
        return to_illumos(result);
    }
    // SAFETY: the host filled it.
    threads.insert(number, unsafe { host.assume_init() });
    // SAFETY: the caller's place for a number.
    unsafe { thread.write(number) };
    0
}

#[unsafe(export_name = "illumos_pthread_self")]
extern "C" fn pthread_self() -> u32 {
    if SELF.get() == 0 {
        SELF.set(FIRST);
    }
    SELF.get()
}

#[unsafe(export_name = "illumos_pthread_equal")]
extern "C" fn pthread_equal(one: u32, other: u32) -> c_int {
    c_int::from(one == other)
}

#[unsafe(export_name = "illumos_pthread_join")]
unsafe extern "C" fn pthread_join(thread: u32, result: *mut *mut c_void) -> c_int {
    let Some(host) = host_thread(thread) else {
        return to_illumos(libc::ESRCH);
    };
    // SAFETY: a thread neither joined nor detached, and null or the caller's place for its result.
    let outcome = unsafe { libc::pthread_join(host, result) };
    if outcome == 0 {
        threads().remove(&thread);
    }
    number(outcome)
}

#[unsafe(export_name = "illumos_pthread_detach")]
extern "C" fn pthread_detach(thread: u32) -> c_int {
    let Some(host) = threads().remove(&thread) else {
        return to_illumos(libc::ESRCH);
    };
    // SAFETY: a thread neither joined nor detached.
    number(unsafe { libc::pthread_detach(host) })
}

/// The host's names are shorter (15 bytes to 31): what does not fit is cut.
#[unsafe(export_name = "illumos_pthread_setname_np")]
unsafe extern "C" fn pthread_setname_np(thread: u32, name: *const c_char) -> c_int {
    let Some(host) = host_thread(thread) else {
        return to_illumos(libc::ESRCH);
    };
    let mut short: [c_char; 16] = [0; 16];
    for (index, place) in short.iter_mut().take(15).enumerate() {
        // SAFETY: inside the caller's string, of which everything before this byte was not its end.
        let next = unsafe { name.add(index) };
        // SAFETY: as above.
        *place = unsafe { next.read() };
        if *place == 0 {
            break;
        }
    }
    // SAFETY: a live thread, and a NUL-terminated string of this stack.
    number(unsafe { libc::pthread_setname_np(host, short.as_ptr()) })
}

/// illumos' first key is 1, the host's 0; std takes 0 for "none yet".
#[unsafe(export_name = "illumos_pthread_key_create")]
unsafe extern "C" fn pthread_key_create(
    key: *mut u32,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> c_int {
    let mut host = 0;
    // SAFETY: a place for the key, and the caller's destructor.
    let result = unsafe { libc::pthread_key_create(&raw mut host, destructor) };
    // SAFETY: the caller's place for a key.
    unsafe { key.write(host + 1) };
    number(result)
}

#[unsafe(export_name = "illumos_pthread_key_delete")]
extern "C" fn pthread_key_delete(key: u32) -> c_int {
    // SAFETY: takes a number.
    number(unsafe { libc::pthread_key_delete(key.wrapping_sub(1)) })
}

#[unsafe(export_name = "illumos_pthread_getspecific")]
extern "C" fn pthread_getspecific(key: u32) -> *mut c_void {
    // SAFETY: takes a number.
    unsafe { libc::pthread_getspecific(key.wrapping_sub(1)) }
}

#[unsafe(export_name = "illumos_pthread_setspecific")]
extern "C" fn pthread_setspecific(key: u32, value: *const c_void) -> c_int {
    // SAFETY: the value is only kept.
    number(unsafe { libc::pthread_setspecific(key.wrapping_sub(1), value) })
}

/// `ucontext.h`: this thread's stack.
#[unsafe(export_name = "illumos_stack_getbounds")]
unsafe extern "C" fn stack_getbounds(stack: *mut Stack) -> c_int {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: takes nothing.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: this thread, and a place for its attributes.
    let result = unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) };
    if result != 0 {
        return crate::errno::fail(to_illumos(result));
    }
    let (mut address, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: filled by the call above; two places of this stack.
    unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut address, &raw mut size) };
    // SAFETY: filled by the call above, not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    // SAFETY: the caller's structure, writable, perhaps uninitialised.
    unsafe { stack.write(Stack::new(address, size)) };
    0
}
