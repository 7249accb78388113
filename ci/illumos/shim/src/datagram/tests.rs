//! Each of these is a statement of illumos' sources; README.md names the function.

use super::{
    Mark, fixed_events, has_lost_its_peer, message, receive, seen_by_poll, send, sent, slice, take_error,
    total,
};
use crate::delivery;
use crate::errno::{EAGAIN, ECONNRESET, EDESTADDRREQ, EMSGSIZE, location};
use libc::{POLLIN, POLLOUT, SOCK_NONBLOCK};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

fn pair() -> [OwnedFd; 2] {
    // SAFETY: two descriptors that were just made.
    super::pair(SOCK_NONBLOCK).unwrap().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn failed() -> c_int {
    // SAFETY: this thread's number.
    unsafe { location().read() }
}

fn put(end: &OwnedFd, bytes: &[u8]) -> Result<isize, c_int> {
    let (fd, slice) = (end.as_raw_fd(), slice(bytes.as_ptr().cast(), bytes.len()));
    let mark = Mark::of(fd).unwrap();
    // SAFETY: one slice over the bytes.
    let result = unsafe { send(fd, mark, &message(&raw const slice, 1), 0, bytes.len()) };
    if result < 0 { Err(failed()) } else { Ok(result) }
}

fn take(end: &OwnedFd) -> Result<Vec<u8>, c_int> {
    let mut buffer = vec![0; 70_000];
    let (fd, slice) = (end.as_raw_fd(), slice(buffer.as_mut_ptr().cast(), buffer.len()));
    let mark = Mark::of(fd).unwrap();
    // SAFETY: one slice over the buffer.
    let result = unsafe { receive(fd, mark, &mut message(&raw const slice, 1), 0) };
    buffer.truncate(usize::try_from(result).map_err(|_| failed())?);
    Ok(buffer)
}

/// What poll says when asked for both.
fn seen(end: &OwnedFd) -> i16 {
    let fd = end.as_raw_fd();
    let asked = POLLIN | POLLOUT;
    fixed_events(fd, asked).unwrap_or_else(|| {
        let mut one = libc::pollfd { fd, events: asked, revents: 0 };
        // SAFETY: an array of one on this stack.
        unsafe { libc::poll(&raw mut one, 1, 0) };
        seen_by_poll(fd, asked, one.revents)
    })
}

#[test]
fn frames_are_kept_apart_and_an_empty_one_is_one() {
    let [one, other] = pair();
    for bytes in [&b"two"[..], b"", b"frames"] {
        assert_eq!(put(&one, bytes), Ok(isize::try_from(bytes.len()).unwrap()));
    }
    for bytes in [&b"two"[..], b"", b"frames"] {
        assert_eq!(take(&other).as_deref(), Ok(bytes));
    }
    assert_eq!(take(&other), Err(EAGAIN));
}

/// Row O10.
#[test]
fn a_closed_end_is_told_to_a_reader_once_after_what_is_queued() {
    let [one, other] = pair();
    put(&one, b"last").unwrap();
    drop(one);
    assert_eq!(seen(&other), POLLIN | POLLOUT);
    assert_eq!(take(&other).as_deref(), Ok(&b"last"[..]));
    assert_eq!(seen(&other), POLLIN | POLLOUT);
    assert_eq!(take(&other), Err(ECONNRESET));
    for _ in 0..3 {
        assert_eq!((take(&other), seen(&other)), (Err(EAGAIN), POLLOUT));
        assert_eq!(put(&other, b"more"), Err(EDESTADDRREQ));
    }
}

/// Row O10.
#[test]
fn a_writer_takes_the_error_from_the_reader() {
    let [one, other] = pair();
    put(&one, b"last").unwrap();
    drop(one);
    assert_eq!(put(&other, b"more"), Err(ECONNRESET));
    assert_eq!(put(&other, b"more"), Err(EDESTADDRREQ));
    assert_eq!(seen(&other), POLLIN | POLLOUT);
    assert_eq!(take(&other).as_deref(), Ok(&b"last"[..]));
    assert_eq!((take(&other), seen(&other)), (Err(EAGAIN), POLLOUT));
}

/// Row O15.
#[test]
fn unread_bytes_of_the_closed_end_change_nothing() {
    let [one, other] = pair();
    put(&other, b"unread").unwrap();
    drop(one);
    assert!(has_lost_its_peer(other.as_raw_fd()));
    assert_eq!(take(&other), Err(ECONNRESET));
    assert_eq!(take(&other), Err(EAGAIN));
}

/// Row O10.
#[test]
fn a_copy_of_an_end_keeps_it_open_and_knows_what_was_told() {
    let [one, other] = pair();
    let copy = one.try_clone().unwrap();
    drop(one);
    assert_eq!((take(&other), put(&other, b"x")), (Err(EAGAIN), Ok(1)));
    drop(copy);
    let copy = other.try_clone().unwrap();
    assert_eq!(take(&copy), Err(ECONNRESET));
    assert_eq!(take(&other), Err(EAGAIN));
}

/// Row O10.
#[test]
fn so_error_takes_the_error_as_well() {
    let [one, other] = pair();
    assert_eq!(take_error(other.as_raw_fd()), None);
    drop(one);
    assert_eq!(take_error(other.as_raw_fd()), Some(ECONNRESET));
    assert_eq!((take_error(other.as_raw_fd()), take(&other)), (None, Err(EAGAIN)));
}

/// Row O13.
#[test]
fn an_empty_datagram_is_not_announced_but_one_behind_it_is() {
    let [one, other] = pair();
    put(&one, b"").unwrap();
    assert_eq!(seen(&other), POLLOUT);
    put(&one, b"behind").unwrap();
    assert_eq!(seen(&other), POLLIN | POLLOUT);
    assert_eq!(take(&other).as_deref(), Ok(&b""[..]));
}

/// Row O4.
#[test]
fn a_datagram_ends_at_65536_bytes() {
    let [one, other] = pair();
    assert_eq!(put(&one, &[7; 65537]), Err(EMSGSIZE));
    assert_eq!(put(&one, &[7; 65536]), Ok(65536));
    assert_eq!(take(&other).map(|bytes| bytes.len()), Ok(65536));
}

/// Row O7.
#[test]
fn an_end_takes_two_long_frames_or_fifteen_usual_ones() {
    for (length, most) in [(65000, 2), (1514, 15), (60, 360)] {
        let [one, other] = pair();
        let sent = (0..1000).take_while(|_| put(&one, &vec![1; length]).is_ok()).count();
        assert_eq!((sent, failed(), seen(&one)), (most, EAGAIN, 0), "{length}");
        assert!(take(&other).is_ok() && delivery::has_room(one.as_raw_fd()));
        assert_eq!(seen(&one), POLLOUT);
    }
}

/// Row O5.
#[test]
fn that_nobody_is_there_by_name_is_told_by_the_next_call() {
    let path = std::env::temp_dir().join(format!("illumos-shim-{}", std::process::id()));
    let host = UnixDatagram::bind(&path).unwrap();
    let ours = UnixDatagram::unbound().unwrap();
    ours.connect(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(host);
    let fd = ours.as_raw_fd();
    let bytes = slice(b"lost".as_ptr().cast(), 4);
    // SAFETY: four bytes of this program.
    let first = sent(fd, unsafe { libc::write(fd, bytes.iov_base, 4) }, 4);
    assert_eq!((first, Mark::of(fd)), (4, Some(Mark::Losing)));
    for _ in 0..2 {
        assert_eq!(fixed_events(fd, POLLIN), Some(POLLIN));
        // SAFETY: one slice of four bytes.
        let next = unsafe { send(fd, Mark::of(fd).unwrap(), &message(&raw const bytes, 1), 0, 4) };
        assert_eq!((next, failed()), (-1, ECONNRESET));
        // SAFETY: as above.
        let again = unsafe { send(fd, Mark::of(fd).unwrap(), &message(&raw const bytes, 1), 0, 4) };
        assert_eq!(again, 4);
    }
}

#[test]
fn slices_add_up() {
    let slices =
        [slice(std::ptr::null(), 5), slice(std::ptr::null(), usize::MAX), slice(std::ptr::null(), 1)];
    // SAFETY: as many entries as the array has, of which only the lengths are read.
    assert_eq!(unsafe { total(slices.as_ptr(), 1) }, 5);
    // SAFETY: as above.
    assert_eq!(unsafe { total(slices.as_ptr(), 3) }, usize::MAX);
}
