//! What an unprivileged process is refused.

use streams_model::abi::{self, AF_INET, I_LINK, I_PLINK, I_UNLINK, IFF_IPV4, SIOCSLIFNAME};
use streams_model::{Errno, Privileges};

use crate::caller::{Caller, lifreq};
use crate::{done, failed};

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
