//! Interfaces: addresses, masks, MTU, flags, mux ids, the questions about them, and what an unprivileged process is refused.

use streams_model::abi::{
    AF_INET, AF_INET6, I_LINK, I_PLINK, I_UNLINK, IFF_IPV4, IFF_IPV6, IFF_NOLINKLOCAL, IFF_UP, SIOCSLIFNAME,
};
use streams_model::{DEFAULT_MAC, Errno, Outcome, Privileges, abi};

use crate::caller::{Caller, lifreq};
use crate::{done, failed};

fn set_ipv4(caller: &mut Caller, mux: i32, request: u32, address: [u8; 4]) -> Outcome {
    let mut lifreq = lifreq("tap0", 0, 0);
    lifreq.set_address(AF_INET as u16, &address);
    caller.lif(mux, request, &lifreq).0
}

#[test]
fn addresses_and_masks() {
    let mut caller = Caller::default();
    let mux = caller.plumb("tap0", 0, I_LINK).mux;
    let not_available = failed(Errno::EADDRNOTAVAIL);
    for (address, expected) in [
        ([0, 0, 0, 0], done(0)),
        ([127, 0, 0, 1], done(0)),
        ([224, 0, 0, 1], not_available.clone()),
        ([239, 255, 255, 255], not_available.clone()),
        ([255, 255, 255, 255], not_available),
        ([10, 77, 0, 1], done(0)),
    ] {
        assert_eq!(set_ipv4(&mut caller, mux, abi::SIOCSLIFADDR, address), expected, "{address:?}");
    }
    for (mask, expected) in [
        ([255, 0, 255, 0], failed(Errno::ENOTSUP)),
        ([0, 255, 0, 0], failed(Errno::ENOTSUP)),
        ([255, 255, 254, 0], done(0)),
        ([255, 255, 255, 0], done(0)),
    ] {
        assert_eq!(set_ipv4(&mut caller, mux, abi::SIOCSLIFNETMASK, mask), expected, "{mask:?}");
    }
    for (request, address) in [
        (abi::SIOCGLIFADDR, [10, 77, 0, 1]),
        (abi::SIOCGLIFNETMASK, [255, 255, 255, 0]),
        (abi::SIOCGLIFBRDADDR, [10, 77, 0, 255]),
    ] {
        let (outcome, answered) = caller.lif(mux, request, &lifreq("tap0", 0, 0));
        assert_eq!((outcome, answered.ipv4()), (done(0), address));
    }
}

#[test]
fn another_family_or_name_is_refused() {
    let mut caller = Caller::default();
    let mux = caller.plumb("tap0", 0, I_LINK).mux;
    let mut request = lifreq("tap0", 0, 0);
    request.set_address(AF_INET6 as u16, &[0; 16]);
    assert_eq!(caller.lif(mux, abi::SIOCSLIFADDR, &request).0, failed(Errno::EAFNOSUPPORT));
    let mux6 = caller.must_open("/dev/udp6");
    for (fd, name) in [(mux6, "tap0"), (mux, "tap9"), (mux, "tap0:1"), (mux, "tap"), (mux, "")] {
        assert_eq!(caller.lif(fd, abi::SIOCGLIFFLAGS, &lifreq(name, 0, 0)).0, failed(Errno::ENXIO), "{name}");
        assert_eq!(caller.lif(fd, abi::SIOCSLIFMUXID, &lifreq(name, 0, 0)).0, failed(Errno::ENXIO), "{name}");
    }
    assert_eq!(caller.ioctl(mux, 0xc078_69ff, 0), failed(Errno::EINVAL));
    assert_eq!(caller.ioctl(mux, abi::SIOCGLIFFLAGS, 0), failed(Errno::EFAULT));
}

#[test]
fn the_mtu_has_limits_by_family() {
    let mut caller = Caller::default();
    let mux = caller.plumb("tap0", 0, I_LINK).mux;
    let mux6 = caller.must_open("/dev/udp6");
    caller.ip_stream("tap0", 0, IFF_IPV6);
    for (fd, mtu, good) in [
        (mux, 0, false),
        (mux, 67, false),
        (mux, 68, true),
        (mux, 1500, true),
        (mux, 1501, false),
        (mux, 9000, false),
        (mux6, 1279, false),
        (mux6, 1280, true),
        (mux6, 1501, false),
    ] {
        let mut request = lifreq("tap0", 0, 0);
        request.set_number(mtu);
        let expected = if good { done(0) } else { failed(Errno::EINVAL) };
        assert_eq!(caller.lif(fd, abi::SIOCSLIFMTU, &request).0, expected, "{mtu}");
    }
    assert_eq!(caller.lif(mux, abi::SIOCGLIFMTU, &lifreq("tap0", 0, 0)).1.number(), 1500);
    let flags = caller.lif(mux, abi::SIOCGLIFFLAGS, &lifreq("tap0", 0, 0)).1.flags();
    assert_eq!(flags, 0x10_0100_0842);
}

#[test]
fn mux_ids_are_stored_as_given() {
    let mut caller = Caller::default();
    let mux = caller.plumb("tap0", 0, I_LINK).mux;
    for ids in [(-1, -1), (1, -1), (0, 0)] {
        let mut request = lifreq("tap0", 0, 0);
        request.set_muxids(ids.0, ids.1);
        assert_eq!(caller.lif(mux, abi::SIOCSLIFMUXID, &request).0, done(0));
        assert_eq!(caller.lif(mux, abi::SIOCGLIFMUXID, &lifreq("tap0", 0, 0)).1.muxids(), ids);
    }
    assert_eq!(caller.ioctl(mux, I_UNLINK, 2), done(0), "the links know better");
    let mut request = lifreq("tap0", 0, 0);
    request.set_muxids(77, 5);
    caller.lif(mux, abi::SIOCSLIFMUXID, &request);
    let ids = caller.lif(mux, abi::SIOCGLIFMUXID, &lifreq("tap0", 0, 0)).1.muxids();
    assert_eq!(ids, (77, 0), "without ARP there is nowhere to store the second");
}

#[test]
fn without_an_arp_stream_the_interface_stays_down() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    caller.ip_stream("tap0", 0, IFF_IPV4);
    caller.set_address(mux, "tap0", crate::HOST);
    assert_eq!(caller.set_up(mux, "tap0", true), failed(Errno::ENXIO));
    caller.arp_stream("tap0", 0);
    assert_eq!(caller.set_up(mux, "tap0", true), done(0), "linked or not");
}

#[test]
fn an_arp_stream_on_a_ppa_that_is_not_there_takes_the_network_down() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux = caller.must_open("/dev/udp");
    caller.ip_stream("tap0", 0, IFF_IPV4);
    caller.arp_stream("tap0", 7);
    assert_eq!(caller.set_up(mux, "tap0", true), failed(Errno::ENETDOWN));
    assert!(!caller.kernel.interface_states()[0].is_up());
}

#[test]
fn flags_are_replaced_but_for_those_nobody_can_change() {
    let mut caller = Caller::default();
    let mux = caller.plumb("tap0", 0, I_LINK).mux;
    let private = 0x8000;
    let set = |caller: &mut Caller, flags| caller.lif(mux, abi::SIOCSLIFFLAGS, &lifreq("tap0", 0, flags)).0;
    assert_eq!(set(&mut caller, private | IFF_IPV6), done(0));
    let flags = |caller: &mut Caller| caller.lif(mux, abi::SIOCGLIFFLAGS, &lifreq("tap0", 0, 0)).1.flags();
    assert_eq!(flags(&mut caller) & 0xffff_ffff, 0x100_0842 | private | (flags(&mut caller) & IFF_IPV6));
    assert_eq!(set(&mut caller, 0), done(0));
    assert_eq!(flags(&mut caller), 0x100_0842);
}

#[test]
fn ipv6_takes_its_link_local_address_from_the_mac() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux6 = caller.must_open("/dev/udp6");
    caller.ip_stream("tap0", 0, IFF_IPV6);
    let address = caller.lif(mux6, abi::SIOCGLIFADDR, &lifreq("tap0", 0, 0)).1.ipv6();
    let mac = DEFAULT_MAC;
    assert_eq!(address[8..], [mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]);
    assert_eq!(caller.set_up(mux6, "tap0", true), done(0));
    let mut request = lifreq("tap0", 0, 0);
    let global = [0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    request.set_address(AF_INET6 as u16, &global);
    assert_eq!(caller.lif(mux6, abi::SIOCSLIFADDR, &request).0, failed(Errno::EADDRNOTAVAIL));
    let (outcome, answered) = caller.lif(mux6, abi::SIOCLIFADDIF, &request);
    assert_eq!((outcome, answered.name().as_str()), (done(0), "tap0:1"));
    assert_eq!(caller.lif(mux6, abi::SIOCGLIFADDR, &lifreq("tap0:1", 0, 0)).1.ipv6(), global);
    assert_eq!(caller.set_up(mux6, "tap0:1", true), done(0));
    assert_eq!(caller.lif(mux6, abi::SIOCLIFREMOVEIF, &lifreq("tap0:1", 0, 0)).0, done(0));
    assert_eq!(caller.kernel.interface_states().len(), 1);
}

#[test]
fn ipv6_without_a_link_local_address_does_not_come_up() {
    let mut caller = Caller::default();
    caller.control(0);
    let mux6 = caller.must_open("/dev/udp6");
    caller.ip_stream("tap0", 0, IFF_IPV6 | IFF_NOLINKLOCAL);
    assert_eq!(caller.set_up(mux6, "tap0", true), failed(Errno::EINVAL));
    let flags = caller.lif(mux6, abi::SIOCGLIFFLAGS, &lifreq("tap0", 0, 0)).1.flags();
    assert_eq!(flags & (IFF_UP | IFF_NOLINKLOCAL), IFF_NOLINKLOCAL);
}

fn with(change: impl FnOnce(&mut Privileges)) -> Caller {
    let mut caller = Caller::default();
    let mut privileges = Privileges::default();
    change(&mut privileges);
    caller.kernel.set_privileges(privileges);
    caller
}

#[test]
fn without_the_node_there_is_no_tap() {
    let mut caller = with(|privileges| privileges.open_tap = false);
    assert_eq!(caller.open("/dev/tap", abi::O_RDWR), failed(Errno::EACCES));
    assert_eq!(caller.open("/dev/udp", abi::O_RDWR), done(3));
}

#[test]
fn without_raw_access_only_the_pass_through_is_pushed() {
    let mut caller = with(|privileges| privileges.net_rawaccess = false);
    let tap = caller.must_open("/dev/tap");
    let mux = caller.must_open("/dev/udp");
    assert_eq!(caller.push(tap, "ip"), failed(Errno::EPERM));
    assert_eq!(caller.push(tap, "arp"), failed(Errno::EPERM));
    assert_eq!(caller.push(mux, "arp"), done(0));
    assert_eq!(caller.list(tap).1, ["tap"]);
}

/// Rows I3 and I5.
#[test]
fn without_ip_configuration_only_questions_are_answered() {
    let mut caller = Caller::default();
    let plumbed = caller.plumb("tap0", 0, I_LINK);
    let fresh = caller.must_open("/dev/tap");
    caller.push(fresh, "ip");
    caller.kernel.set_privileges(Privileges { sys_ip_config: false, ..Privileges::default() });
    let refused = failed(Errno::EPERM);
    assert_eq!(caller.lif(fresh, SIOCSLIFNAME, &lifreq("vm0", 0, IFF_IPV4)).0, refused);
    let mut request = lifreq("tap0", 0, 0);
    request.set_address(AF_INET as u16, &crate::HOST);
    for setter in [abi::SIOCSLIFMUXID, abi::SIOCSLIFFLAGS, abi::SIOCSLIFADDR, abi::SIOCSLIFMTU] {
        assert_eq!(caller.lif(plumbed.mux, setter, &request).0, refused, "{setter:#x}");
        let unknown = caller.lif(plumbed.mux, setter, &lifreq("tap7", 0, 0)).0;
        assert_eq!(unknown, refused, "{setter:#x}: the privilege is looked at before the name");
    }
    let nobodys = lifreq("tap7", 7, 0);
    assert_eq!(caller.lif(plumbed.mux, abi::SIOCGLIFMUXID, &nobodys).0, failed(Errno::ENXIO));
    for getter in [abi::SIOCGLIFFLAGS, abi::SIOCGLIFMUXID, abi::SIOCGLIFMTU, abi::SIOCGLIFADDR] {
        assert_eq!(caller.lif(plumbed.mux, getter, &request).0, done(0), "{getter:#x}");
    }
    for link in [I_LINK, I_PLINK] {
        assert_eq!(caller.ioctl(plumbed.mux, link, i64::from(fresh)), refused);
    }
    assert_eq!(caller.ioctl(plumbed.mux, I_UNLINK, 1), refused);
    assert_eq!(caller.close(plumbed.mux), done(0));
    assert_eq!(
        caller.kernel.take_console(),
        ["KERNEL: munlink: could not perform unlink ioctl, closing anyway (1)"; 2]
    );
    assert_eq!(caller.kernel.interface_states(), []);
    caller.kernel.set_privileges(Privileges::default());
    let mux = caller.must_open("/dev/udp");
    assert_eq!(caller.ioctl(mux, I_LINK, i64::from(fresh)), done(5), "the refused links used up two ids");
}
