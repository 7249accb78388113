//! Naming: every rule of the name, the PPA and the flags, and what a refusal leaves behind.

use streams_model::abi::{self, IFF_BROADCAST, IFF_IPV4, IFF_IPV6, IFF_UP, SIOCSLIFNAME};
use streams_model::{Errno, Lifreq, Outcome};

use crate::caller::{Caller, lifreq};
use crate::{done, failed};

/// What naming a fresh ip stream gives, with PPAs 0 and 3 there.
fn name(name: &str, ppa: u32, flags: u64) -> (Outcome, Lifreq) {
    let mut caller = Caller::default();
    caller.control(0);
    caller.control(3);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    let mut request = lifreq("", ppa, flags);
    let length = name.len().min(Lifreq::NAME_LEN);
    request.0[..length].copy_from_slice(&name.as_bytes()[..length]);
    caller.lif(fd, SIOCSLIFNAME, &request)
}

#[test]
fn names_that_are_taken() {
    let longest = format!("{}3", "x".repeat(30));
    for (text, ppa, filled_in) in [
        ("tap3", 3, 3),
        ("tap3", 0, 3),
        ("vm3", 3, 3),
        ("t_a.p3", 3, 3),
        ("T3", 3, 3),
        ("tap0", 0, 0),
        ("tap4294967299", 3, 3),
        ("tap4294967296", 0, 0),
        ("lo0", 0, 0),
        (&longest, 3, 3),
    ] {
        let (outcome, answered) = name(text, ppa, IFF_IPV4);
        assert_eq!((outcome, answered.name().as_str(), answered.ppa()), (done(0), text, filled_in));
    }
}

#[test]
fn names_that_are_refused() {
    let too_long = format!("{}e3", "x".repeat(30));
    for (text, ppa) in [
        ("tap3", 2),
        ("tap0", 3),
        ("tap33", 3),
        ("tap", 3),
        ("tap", u32::MAX),
        ("", 0),
        ("3", 3),
        ("3tap3", 3),
        ("tap03", 3),
        ("tap00", 0),
        ("_tap3", 3),
        (".tap3", 3),
        ("ta-p3", 3),
        ("ta p3", 3),
        ("ta/p3", 3),
        ("tap:3", 3),
        ("tap3:1", 3),
        ("täp3", 3),
        (&too_long, 3),
    ] {
        let (outcome, answered) = name(text, ppa, IFF_IPV4);
        assert_eq!(outcome, failed(Errno::EINVAL), "{text} {ppa}");
        assert_eq!(answered.ppa(), ppa, "nothing is copied out");
    }
}

#[test]
fn too_long_a_name_is_cut_and_then_judged() {
    let (outcome, answered) = name(&format!("{}33", "x".repeat(30)), 3, IFF_IPV4);
    assert_eq!((outcome, answered.name().len()), (done(0), 31));
}

#[test]
fn a_ppa_left_to_ip_is_not_the_taps() {
    let (outcome, answered) = name("tap3", u32::MAX, IFF_IPV4);
    assert_eq!((outcome, answered.name().as_str(), answered.ppa()), (done(0), "tap0", 0));
}

#[test]
fn flags_choose_the_family() {
    for (flags, expected) in [
        (0, done(0)),
        (IFF_IPV4, done(0)),
        (IFF_IPV6, done(0)),
        (IFF_IPV4 | IFF_BROADCAST | IFF_UP, done(0)),
        (IFF_IPV4 | IFF_IPV6, failed(Errno::EINVAL)),
        (IFF_IPV6 | IFF_BROADCAST, failed(Errno::EINVAL)),
    ] {
        assert_eq!(name("tap3", 3, flags).0, expected, "{flags:#x}");
    }
}

#[test]
fn a_refusal_leaves_the_stream_unnamed_but_a_missing_ppa_spends_it() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    let try_name =
        |caller: &mut Caller, name, ppa| caller.lif(fd, SIOCSLIFNAME, &lifreq(name, ppa, IFF_IPV4)).0;
    assert_eq!(try_name(&mut caller, "tap", 0), failed(Errno::EINVAL));
    assert_eq!(try_name(&mut caller, "tap5", 5), failed(Errno::ENXIO));
    caller.control(5);
    assert_eq!(try_name(&mut caller, "tap5", 5), failed(Errno::EALREADY));
    assert_eq!(caller.kernel.interface_states()[0].name, "tap5");
    assert_eq!(caller.kernel.console().len(), 4);
    let other = caller.must_open("/dev/tap");
    caller.push(other, "ip");
    assert_eq!(caller.lif(other, SIOCSLIFNAME, &lifreq("tap5", 5, IFF_IPV4)).0, failed(Errno::EEXIST));
    caller.close(fd);
    assert_eq!(caller.lif(other, SIOCSLIFNAME, &lifreq("tap5", 5, IFF_IPV4)).0, done(0));
}

#[test]
fn the_same_name_in_the_other_family_is_free() {
    let mut caller = Caller::default();
    caller.control(0);
    caller.ip_stream("tap0", 0, IFF_IPV4);
    caller.ip_stream("tap0", 0, IFF_IPV6);
    let third = caller.must_open("/dev/tap");
    caller.push(third, "ip");
    assert_eq!(caller.lif(third, SIOCSLIFNAME, &lifreq("tap0", 0, IFF_IPV6)).0, failed(Errno::EEXIST));
    assert_eq!(caller.lif(third, SIOCSLIFNAME, &lifreq("vm0", 0, IFF_IPV4)).0, done(0), "two names, one PPA");
}

#[test]
fn other_streams_do_not_take_a_name() {
    let mut caller = Caller::default();
    let control = caller.control(0);
    let mux = caller.must_open("/dev/udp");
    let request = lifreq("tap0", 0, IFF_IPV4);
    assert_eq!(caller.lif(mux, SIOCSLIFNAME, &request).0, failed(Errno::ENXIO));
    assert_eq!(caller.lif(control, SIOCSLIFNAME, &request).0, failed(Errno::EINVAL));
    assert_eq!(caller.str_ioctl(control, SIOCSLIFNAME, 376, &request.0).0, failed(Errno::EINVAL));
}

#[test]
fn the_i_str_form_needs_the_whole_structure_on_ip_and_none_of_it_on_arp() {
    for (length, expected) in
        [(375, failed(Errno::EINVAL)), (40, failed(Errno::EINVAL)), (376, done(0)), (377, done(0))]
    {
        let mut caller = Caller::default();
        caller.control(0);
        let ip = caller.must_open("/dev/tap");
        caller.push(ip, "ip");
        let data = [&lifreq("tap0", 0, IFF_IPV4).0[..], &[0]].concat();
        let (outcome, left, _) = caller.str_ioctl(ip, SIOCSLIFNAME, length, &data);
        assert_eq!(outcome, expected, "{length}");
        assert_eq!(left, if expected == done(0) { 376 } else { length });
    }
    let mut caller = Caller::default();
    caller.control(0);
    caller.ip_stream("tap0", 0, IFF_IPV4);
    let arp = caller.must_open("/dev/tap");
    caller.push(arp, "arp");
    let data = lifreq("tap0", 0, IFF_IPV4);
    let (outcome, left, _) = caller.str_ioctl(arp, SIOCSLIFNAME, 32, &data.0);
    assert_eq!((outcome, left), (done(0), 0));
}

#[test]
fn arp_needs_its_interface_and_only_one_may_have_it() {
    let mut caller = Caller::default();
    caller.control(0);
    let arps = [caller.must_open("/dev/tap"), caller.must_open("/dev/tap")];
    assert_eq!(arps.map(|fd| caller.push(fd, "arp")), [done(0), done(0)]);
    let name = |caller: &mut Caller, fd, name: &str| {
        caller.str_ioctl(fd, SIOCSLIFNAME, 376, &lifreq(name, 0, IFF_IPV4).0).0
    };
    assert_eq!(name(&mut caller, arps[0], "tap0"), failed(Errno::ENXIO));
    caller.ip_stream("tap0", 0, IFF_IPV6);
    assert_eq!(
        name(&mut caller, arps[0], "tap0"),
        failed(Errno::ENXIO),
        "only IPv4 interfaces are looked up"
    );
    caller.ip_stream("tap0", 0, IFF_IPV4);
    assert_eq!(name(&mut caller, arps[0], "tap0"), done(0));
    assert_eq!(name(&mut caller, arps[0], "tap0"), failed(Errno::EEXIST));
    assert_eq!(name(&mut caller, arps[1], "tap0"), failed(Errno::EEXIST));
    assert_eq!(caller.kernel.take_console(), ["tap0: PPA already exists"; 2]);
}

#[test]
fn an_ip_stream_knows_three_requests_and_passes_on_the_drivers() {
    let mut caller = Caller::default();
    caller.control(0);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    let (outcome, answered) = caller.lif(fd, abi::SIOCGLIFFLAGS, &lifreq("", 0, 0));
    assert_eq!((outcome, answered.flags()), (done(0), 0x100_0040));
    caller.lif(fd, SIOCSLIFNAME, &lifreq("tap0", 0, IFF_IPV4));
    for request in [abi::SIOCGLIFMUXID, abi::SIOCGLIFMTU, abi::SIOCSLIFFLAGS, abi::SIOCSLIFADDR] {
        assert_eq!(caller.lif(fd, request, &lifreq("tap0", 0, 0)).0, failed(Errno::EINVAL), "{request:#x}");
    }
    assert_eq!(caller.lif(fd, abi::SIOCGLIFFLAGS, &lifreq("", 0, 0)).1.flags(), 0x100_0842);
    assert_eq!(caller.lif(fd, abi::SIOCGLIFFLAGS, &lifreq("no1", 0, 0)).0, failed(Errno::ENXIO));
    assert_eq!(caller.str_ioctl(fd, abi::TUNGETPPA, 0, &[]).0, done(0));
}

#[test]
fn unit_selection_names_after_the_driver() {
    let mut caller = Caller::default();
    caller.control(3);
    let fd = caller.must_open("/dev/tap");
    caller.push(fd, "ip");
    assert_eq!(caller.ioctl_bytes(fd, abi::IF_UNITSEL, &3_u32.to_le_bytes()).0, done(0));
    assert_eq!(caller.kernel.interface_states()[0].name, "tap3");
    assert_eq!(caller.ioctl_bytes(fd, abi::IF_UNITSEL, &3_u32.to_le_bytes()).0, failed(Errno::EALREADY));
}
