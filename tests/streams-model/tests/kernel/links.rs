//! Linking and unlinking, their errors, and who is hit.

use streams_model::Errno;
use streams_model::abi::{self, I_LINK, I_PLINK, I_PUNLINK, I_UNLINK, IFF_IPV4, POLLIN, POLLNVAL};

use crate::caller::{Caller, lifreq};
use crate::{done, failed};

fn muxids(caller: &mut Caller, mux: i32, name: &str) -> (i32, i32) {
    let (outcome, answered) = caller.lif(mux, abi::SIOCGLIFMUXID, &lifreq(name, 0, 0));
    assert_eq!(outcome, done(0));
    answered.muxids()
}

fn names(caller: &Caller) -> Vec<String> {
    caller.kernel.interface_states().into_iter().map(|state| state.name).collect()
}

#[test]
fn a_failed_link_uses_up_an_id() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.arp_stream("tap0", 0);
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(arp)), failed(Errno::EINVAL));
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(ip)), done(2));
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(arp)), done(3));
    assert_eq!(muxids(&mut caller, mux, "tap0"), (2, 3));
}

#[test]
fn any_recorded_ip_id_lets_arp_link() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.arp_stream("tap0", 0);
    let mut request = lifreq("tap0", 0, 0);
    request.set_muxids(77, 0);
    assert_eq!(caller.lif(mux, abi::SIOCSLIFMUXID, &request).0, done(0));
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(arp)), done(1));
}

#[test]
fn links_that_are_refused() {
    let mut caller = Caller::default();
    let mux = caller.must_open("/dev/udp");
    let other = caller.must_open("/dev/udp");
    let tap = caller.must_open("/dev/tap");
    let hung = caller.must_open("/dev/tap");
    caller.kernel.hang_up(hung).expect("open");
    let linked = caller.must_open("/dev/tap");
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(linked)), done(1));
    for (upper, lower, errno) in [
        (mux, mux, Errno::EINVAL),
        (mux, other, Errno::EINVAL),
        (tap, mux, Errno::EINVAL),
        (mux, linked, Errno::EINVAL),
        (mux, hung, Errno::EINVAL),
        (linked, tap, Errno::EINVAL),
        (mux, 99, Errno::EBADF),
        (mux, -1, Errno::EBADF),
        (99, tap, Errno::EBADF),
    ] {
        assert_eq!(caller.ioctl(upper, I_LINK, i64::from(lower)), failed(errno), "{lower} under {upper}");
    }
    caller.kernel.hang_up(mux).expect("open");
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(tap)), failed(Errno::ENXIO));
}

#[test]
fn a_linked_stream_refuses_everything_but_close() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
    caller.ioctl(mux, I_LINK, i64::from(ip));
    let refused = failed(Errno::EINVAL);
    assert_eq!(caller.read(ip, 10).0, refused);
    assert_eq!(caller.write(ip, &[0; 60]), refused);
    assert_eq!(caller.getmsg(ip, 10, 10).outcome, refused);
    assert_eq!(caller.putmsg(ip, None, Some(&[0; 60])), refused);
    assert_eq!(caller.ioctl(ip, abi::I_POP, 0), refused);
    assert_eq!(caller.ioctl(ip, abi::I_FLUSH, 1), refused);
    assert_eq!(caller.str_ioctl(ip, abi::TUNGETPPA, 0, &[]).0, refused);
    assert_eq!(caller.lif(ip, abi::SIOCGLIFFLAGS, &lifreq("", 0, 0)).0, refused);
    assert_eq!(caller.kernel.poll_events(ip, POLLIN), POLLNVAL);
    assert_eq!(caller.ioctl(mux, I_UNLINK, 1), done(0));
    assert_eq!(caller.str_ioctl(ip, abi::TUNGETPPA, 0, &[]).0, done(0), "its head is its own again");
}

#[test]
fn unlinks_that_are_refused_change_nothing() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    let other = caller.must_open("/dev/udp");
    let before = caller.kernel.snapshot();
    for (fd, request, id) in [
        (plumbed.mux, I_UNLINK, 0),
        (plumbed.mux, I_UNLINK, 999),
        (plumbed.mux, I_PUNLINK, 0),
        (plumbed.mux, I_PUNLINK, 999),
        (plumbed.mux, I_PUNLINK, 1),
        (plumbed.mux, I_PUNLINK, 2),
        (other, I_UNLINK, 1),
    ] {
        assert_eq!(caller.ioctl(fd, request, id), failed(Errno::EINVAL), "{request:#x} {id}");
    }
    assert_eq!(caller.ioctl(other, I_UNLINK, -1), done(0));
    assert_eq!(caller.kernel.snapshot(), before);
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 2), done(0));
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 2), failed(Errno::EINVAL), "twice");
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, -1), done(0));
    assert_eq!(names(&caller), [""; 0]);
}

#[test]
fn persistent_links_belong_to_the_driver() {
    let mut caller = Caller::default();
    caller.kernel.allow_muxid_all();
    let plumbed = caller.plumb("tap0", 0, I_PLINK);
    for path in ["/dev/udp6", "/dev/ip"] {
        let fd = caller.must_open(path);
        assert_eq!(caller.ioctl(fd, I_PUNLINK, 1), failed(Errno::EINVAL));
        assert_eq!(caller.ioctl(fd, I_PUNLINK, -1), done(0));
    }
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 1), failed(Errno::EINVAL));
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, -1), done(0));
    caller.close(plumbed.mux);
    caller.close(plumbed.control);
    assert_eq!(names(&caller), ["tap0"]);
    assert!(!caller.kernel.host_network_destroyed());
    let any = caller.must_open("/dev/udp");
    assert_eq!(caller.ioctl(any, I_PUNLINK, 2), done(0));
    assert_eq!(caller.ioctl(any, I_PUNLINK, 1), done(0));
    assert_eq!(names(&caller), [""; 0]);
}

/// Which interfaces are left after an unlink of everything, each made persistent (P) or by `I_LINK` (L) in this order.
fn left_after_unlinking_all(kinds: &str) -> (Caller, Vec<String>) {
    let mut caller = Caller::default();
    caller.kernel.allow_muxid_all();
    for (index, kind) in kinds.chars().enumerate() {
        let link = if kind == 'P' { I_PLINK } else { I_LINK };
        caller.plumb(&format!("tap{index}"), index as u32, link);
    }
    let unrelated = caller.must_open("/dev/udp");
    assert_eq!(caller.ioctl(unrelated, I_PUNLINK, -1), done(0));
    let left = names(&caller);
    (caller, left)
}

#[test]
fn unlinking_all_persistent_goes_from_the_oldest_to_the_first_other_link() {
    for (kinds, left) in [
        ("PPL", &["tap2"][..]),
        ("LP", &["tap0", "tap1"]),
        ("PLP", &["tap1", "tap2"]),
        ("PPP", &[]),
        ("LL", &["tap0", "tap1"]),
    ] {
        let (caller, names) = left_after_unlinking_all(kinds);
        assert_eq!(names, left, "{kinds}");
        assert_eq!(caller.kernel.host_network_destroyed(), kinds.starts_with('P'), "{kinds}");
    }
}

#[test]
fn a_stale_interface_of_somebody_else_can_be_removed_by_its_ids() {
    let mut caller = Caller::default();
    let (ip, arp) = caller.kernel.plumb_elsewhere("tap3");
    caller.control(3);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    assert_eq!(caller.lif(fd, abi::SIOCSLIFNAME, &lifreq("tap3", 3, IFF_IPV4)).0, failed(Errno::EEXIST));
    let mux = caller.must_open("/dev/udp");
    assert_eq!(muxids(&mut caller, mux, "tap3"), (ip, arp));
    assert_eq!(caller.ioctl(mux, I_PUNLINK, i64::from(arp)), done(0));
    assert_eq!(caller.ioctl(mux, I_PUNLINK, i64::from(ip)), done(0));
    assert_eq!(
        caller.lif(fd, abi::SIOCSLIFNAME, &lifreq("tap3", 3, IFF_IPV4)).0,
        done(0),
        "the same stream may try again"
    );
}

#[test]
fn streams_without_ip_or_arp_link_without_comment() {
    let mut caller = Caller::default();
    let mux = caller.must_open("/dev/udp");
    let bare = caller.must_open("/dev/tap");
    let unnamed = caller.must_open("/dev/tap");
    caller.push(unnamed, "ip");
    let arp = caller.must_open("/dev/tap");
    caller.push(arp, "arp");
    for (id, fd) in [(1, bare), (2, unnamed), (3, arp)] {
        assert_eq!(caller.ioctl(mux, I_LINK, i64::from(fd)), done(id));
    }
    assert_eq!(caller.close(mux), done(0));
    assert_eq!(caller.kernel.open_streams(), 3);
}

#[test]
fn every_multiplexor_will_do() {
    for path in ["/dev/udp", "/dev/ip", "/dev/udp6"] {
        let mut caller = Caller::default();
        caller.control(0);
        let mux = caller.must_open(path);
        let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
        assert_eq!(caller.ioctl(mux, I_LINK, i64::from(ip)), done(1), "{path}");
        caller.close(ip);
        assert_eq!(caller.ioctl(mux, I_UNLINK, 1), done(0));
        assert_eq!(names(&caller), [""; 0]);
    }
}

#[test]
fn one_arp_link_made_persistent_stays_behind() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let ip = caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.arp_stream("tap0", 0);
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(ip)), done(1));
    assert_eq!(caller.ioctl(mux, I_PLINK, i64::from(arp)), done(2));
    for fd in [ip, arp, mux, control] {
        assert_eq!(caller.close(fd), done(0));
    }
    assert_eq!((caller.kernel.open_streams(), caller.kernel.link_states().len()), (1, 1));
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    assert_eq!(plumbed.muxids, [3, 4]);
    assert_eq!(caller.ioctl(plumbed.mux, I_PUNLINK, 2), done(0));
}
