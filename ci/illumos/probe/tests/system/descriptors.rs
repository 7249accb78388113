//! Descriptors: flags, copies, slices, readiness, and passing them to another process.

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().unwrap()
}

#[test]
fn a_descriptor_becomes_nonblocking_and_back() {
    let (reader, _writer) = pipe();
    let before = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).unwrap());
    assert!(!before.contains(OFlag::O_NONBLOCK));
    fcntl(&reader, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK)).unwrap();
    let now = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).unwrap());
    assert!(now.contains(OFlag::O_NONBLOCK));
    assert_eq!(nix::unistd::read(&reader, &mut [0]), Err(nix::errno::Errno::EAGAIN));
    fcntl(&reader, FcntlArg::F_SETFL(before)).unwrap();
    let after = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).unwrap());
    assert!(!after.contains(OFlag::O_NONBLOCK));
}

#[test]
fn std_s_descriptors_are_closed_by_exec_and_copies_too() {
    let (reader, _writer) = pipe();
    let close_on_exec = |fd: &OwnedFd| FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap());
    let fd = OwnedFd::from(reader);
    assert_eq!(close_on_exec(&fd), FdFlag::FD_CLOEXEC);
    assert_eq!(close_on_exec(&fd.try_clone().unwrap()), FdFlag::FD_CLOEXEC);
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    assert_eq!(close_on_exec(&fd), FdFlag::empty());
}

#[test]
fn a_copy_takes_the_lowest_number_from_the_one_given() {
    let (reader, _writer) = pipe();
    let copy = fcntl(&reader, FcntlArg::F_DUPFD_CLOEXEC(200)).unwrap();
    assert!(copy >= 200);
    assert_eq!(nix::unistd::close(copy), Ok(()));
    assert_eq!(nix::unistd::close(copy), Err(nix::errno::Errno::EBADF));
}

#[test]
fn slices_are_gathered_and_scattered() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let parts = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"payload")];
    assert_eq!(nix::sys::uio::writev(&one, &parts), Ok(11));
    let (mut first, mut second) = ([0; 6], [0; 6]);
    let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(nix::sys::uio::readv(&other, &mut parts), Ok(11));
    assert_eq!((&first, &second), (b"headpa", b"yload\0"));
}

#[test]
fn more_slices_than_the_system_says_are_refused() {
    let most = nix::unistd::sysconf(nix::unistd::SysconfVar::IOV_MAX).unwrap().unwrap();
    let most = usize::try_from(most).unwrap();
    assert!(most >= 16, "POSIX promises 16");
    let (one, _other) = UnixDatagram::pair().unwrap();
    let parts: Vec<_> = (0..=most).map(|_| IoSlice::new(b"x")).collect();
    assert_eq!(nix::sys::uio::writev(&one, &parts[..most]), Ok(most));
    assert_eq!(nix::sys::uio::writev(&one, &parts), Err(nix::errno::Errno::EINVAL));
}

#[test]
fn poll_tells_what_is_ready() {
    let (mut reader, mut writer) = pipe();
    let ready = |fd: &dyn AsFd, wanted, wait: u16| {
        let mut fds = [PollFd::new(fd.as_fd(), wanted)];
        let count = poll(&mut fds, PollTimeout::from(wait)).unwrap();
        (count, fds[0].revents().unwrap())
    };
    assert_eq!(ready(&reader, PollFlags::POLLIN, 0), (0, PollFlags::empty()));
    assert_eq!(ready(&writer, PollFlags::POLLOUT, 0), (1, PollFlags::POLLOUT));
    writer.write_all(b"x").unwrap();
    assert_eq!(ready(&reader, PollFlags::POLLIN, 0), (1, PollFlags::POLLIN));
    reader.read_exact(&mut [0]).unwrap();
    drop(writer);
    assert_eq!(ready(&reader, PollFlags::POLLIN, 0), (1, PollFlags::POLLHUP));
}

#[test]
fn poll_waits_for_another_thread_and_for_the_clock() {
    let (reader, mut writer) = pipe();
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        writer.write_all(b"x").unwrap();
        writer
    });
    let start = Instant::now();
    let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::NONE), Ok(1));
    assert!(start.elapsed() >= Duration::from_millis(29));
    let writer = late.join().unwrap();
    let mut fds = [PollFd::new(writer.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(20_u16)), Ok(0));
}

#[test]
fn a_bad_descriptor_is_told_by_poll_itself() {
    let mut fds = [libc::pollfd { fd: 9999, events: libc::POLLIN, revents: 0 }];
    #[expect(unsafe_code, reason = "no safe wrapper takes a closed descriptor")]
    // SAFETY: an array of one entry on this stack.
    let count = unsafe { libc::poll(fds.as_mut_ptr(), 1, 0) };
    assert_eq!((count, fds[0].revents), (1, libc::POLLNVAL));
}

#[test]
fn a_descriptor_travels_in_a_message() {
    use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
    let (one, other) = UnixStream::pair().unwrap();
    let (reader, mut writer) = pipe();
    writer.write_all(b"through").unwrap();
    drop(writer);
    let rights = [reader.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&rights)];
    sendmsg::<UnixAddr>(one.as_raw_fd(), &[IoSlice::new(b"!")], &control, MsgFlags::empty(), None).unwrap();
    drop(reader);

    let (mut byte, mut space) = ([0], nix::cmsg_space!([i32; 1]));
    let mut slices = [IoSliceMut::new(&mut byte)];
    let message =
        recvmsg::<UnixAddr>(other.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty()).unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else {
        panic!("no descriptor came");
    };
    #[expect(unsafe_code, reason = "takes over the descriptor that came")]
    // SAFETY: the kernel has just made it for this process, and nothing else owns it.
    let mut file = File::from(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fds[0]) });
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}
