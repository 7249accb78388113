//! Datagrams on the way from one end of a pair to the other: how many fit, and when they arrive.
//!
//! illumos queues them in two places, the other end's stream head and the driver's queue behind it. A sender's datagram
//! may be moved by another thread, and arrive after its `write` has returned: `ILLUMOS_DELIVERY=thread` makes it so.

// UNSAFETY: asks the host about sockets, with buffers of this stack or of the caller.
#![expect(unsafe_code, reason = "the host's socket calls take raw arguments")]

use crate::signal_set::SignalMask;
use libc::msghdr;
use std::collections::{HashMap, VecDeque};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// `STRHIGH` of `sys/stream.h`: what the stream head takes before its queue is full.
const HEAD: usize = 5120;
/// `TL_HIWAT` of `tl.c`: what the driver's queue behind it takes.
const DRIVER: usize = 16 * 1024;
/// The variable that says when datagrams arrive, and by whom if not by the sender.
const VARIABLE: &str = "ILLUMOS_DELIVERY";
const BY_A_THREAD: &str = "thread";
/// How long a datagram is on its way then.
const ON_THE_WAY: Duration = Duration::from_micros(300);
/// How long a process that ends waits for what it has sent.
const AT_THE_END: Duration = Duration::from_secs(2);

/// Datagrams that one end of a pair has not taken yet: their lengths, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lengths: VecDeque<usize>,
    /// Sent here, not yet with the host.
    on_the_way: usize,
    peer: u64,
}

/// By the number of the socket's inode, which all its descriptors share. Only pairs of this process are here.
static QUEUES: LazyLock<Mutex<HashMap<u64, Queue>>> = LazyLock::new(Mutex::default);

fn queues() -> MutexGuard<'static, HashMap<u64, Queue>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inode(fd: c_int) -> u64 {
    let mut status = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: room for a `struct stat` on this stack.
    unsafe { libc::fstat(fd, status.as_mut_ptr()) };
    // SAFETY: numbers, for which zero is a value; the host has filled them, or left zero.
    unsafe { status.assume_init() }.st_ino
}

/// A new pair.
pub(crate) fn begin(ends: [c_int; 2]) {
    let [one, other] = ends.map(inode);
    let mut queues = queues();
    queues.insert(one, Queue { peer: other, ..Queue::default() });
    queues.insert(other, Queue { peer: one, ..Queue::default() });
}

impl Queue {
    /// The queue of what goes to the end `fd`.
    pub(crate) fn to<T>(fd: c_int, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        queues().get_mut(&inode(fd)).map(act)
    }

    /// The queue of what `fd` sends.
    fn from<T>(fd: c_int, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let mut queues = queues();
        let peer = queues.get(&inode(fd))?.peer;
        queues.get_mut(&peer).map(act)
    }

    pub(crate) fn taken(&mut self) {
        self.lengths.pop_front();
    }

    pub(crate) fn has_bytes(&self) -> bool {
        self.lengths.iter().any(|length| *length > 0)
    }

    /// Each place takes one datagram more while it holds less than its mark.
    fn has_room(&self) -> bool {
        let (mut head, mut driver) = (0, 0);
        for length in &self.lengths {
            if head < HEAD { head += length } else { driver += length }
        }
        driver < DRIVER
    }
}

/// Does a datagram that `fd` sends find room?
pub(crate) fn has_room(fd: c_int) -> bool {
    let unread = unread(fd);
    Queue::from(fd, |queue| {
        if unread == 0 && queue.on_the_way == 0 {
            // Taken by another process, which this one does not see.
            queue.lengths.clear();
        }
        queue.has_room()
    })
    .unwrap_or(true)
}

/// What the host holds of what `fd` has sent.
fn unread(fd: c_int) -> c_int {
    let mut bytes = 0;
    // SAFETY: the request fills an int, of this stack.
    unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) };
    bytes
}

/// A datagram on its way.
struct Parcel {
    from: OwnedFd,
    bytes: Vec<u8>,
}

static ON_THE_WAY_NOW: AtomicUsize = AtomicUsize::new(0);

/// The thread that carries them, if one does.
static CARRIER: LazyLock<Option<Mutex<mpsc::Sender<Parcel>>>> = LazyLock::new(|| {
    (env::var(VARIABLE).as_deref() == Ok(BY_A_THREAD)).then_some(())?;
    let (sender, parcels) = mpsc::channel();
    // The program's signals are not for it.
    let mask = SignalMask::block_all();
    let started =
        thread::Builder::new().name("delivery".into()).spawn(move || parcels.iter().for_each(carry));
    drop(mask);
    started.ok().map(|_| Mutex::new(sender))
});

/// Sends a datagram of `length` bytes. As the host's call: -1 leaves the error in its `errno`.
///
/// # Safety
/// `message` is as for `sendmsg` of the host.
pub(crate) unsafe fn deliver(fd: c_int, message: &msghdr, flags: c_int, length: usize) -> isize {
    let plain = message.msg_controllen == 0 && message.msg_name.is_null();
    match CARRIER.as_ref().filter(|_| plain) {
        Some(carrier) => {
            // SAFETY: as the caller promises.
            let bytes = unsafe { gathered(message) };
            hand_over(carrier, fd, bytes)
        }
        None => {
            // Before it is sent: the other end may take it at once.
            Queue::from(fd, |queue| queue.lengths.push_back(length));
            // SAFETY: as the caller promises.
            let result = unsafe { libc::sendmsg(fd, message, flags) };
            if result < 0 {
                let failed = io::Error::last_os_error();
                Queue::from(fd, |queue| queue.lengths.pop_back());
                restore(&failed);
            }
            result
        }
    }
}

/// Puts back an error that other calls may have overwritten.
fn restore(error: &io::Error) {
    // SAFETY: takes no argument.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: this thread's number.
    unsafe { place.write(error.raw_os_error().unwrap_or(0)) };
}

/// # Safety
/// The slices of `message` are the caller's, readable.
unsafe fn gathered(message: &msghdr) -> Vec<u8> {
    if message.msg_iovlen == 0 {
        return Vec::new();
    }
    // SAFETY: as the caller promises.
    let slices = unsafe { std::slice::from_raw_parts(message.msg_iov, message.msg_iovlen) };
    let mut bytes = Vec::new();
    for slice in slices.iter().filter(|slice| slice.iov_len > 0) {
        // SAFETY: as the caller promises.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(slice.iov_base.cast(), slice.iov_len) });
    }
    bytes
}

fn hand_over(carrier: &Mutex<mpsc::Sender<Parcel>>, fd: c_int, bytes: Vec<u8>) -> isize {
    // An end stays open until what it has sent has arrived.
    // SAFETY: takes numbers.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 200) };
    if copy < 0 {
        return -1;
    }
    let length = bytes.len();
    Queue::from(fd, |queue| {
        queue.lengths.push_back(length);
        queue.on_the_way += 1;
    });
    // SAFETY: a descriptor that was just made, and is nobody else's.
    let from = unsafe { OwnedFd::from_raw_fd(copy) };
    ON_THE_WAY_NOW.fetch_add(1, SeqCst);
    let sender = carrier.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = sender.send(Parcel { from, bytes });
    isize::try_from(length).unwrap_or(isize::MAX)
}

fn carry(parcel: Parcel) {
    thread::sleep(ON_THE_WAY);
    let fd = parcel.from.as_raw_fd();
    loop {
        // SAFETY: the parcel's own bytes.
        let sent =
            unsafe { libc::send(fd, parcel.bytes.as_ptr().cast(), parcel.bytes.len(), libc::MSG_NOSIGNAL) };
        let failed = io::Error::last_os_error().raw_os_error();
        if sent >= 0 || !matches!(failed, Some(libc::EAGAIN | libc::EINTR)) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Queue::from(fd, |queue| queue.on_the_way -= 1);
    drop(parcel);
    ON_THE_WAY_NOW.fetch_sub(1, SeqCst);
}

/// Waits until all that was sent has arrived: the kernel delivers it after the process' end.
pub(crate) fn finish() {
    let deadline = Instant::now() + AT_THE_END;
    while ON_THE_WAY_NOW.load(SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}
