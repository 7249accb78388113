//! Naming, linking and asking: the steps of an attach, and what each refuses.

use std::net::{Ipv4Addr, UdpSocket};

use serde_json::json;

use super::abi::{SIOCGLIFFLAGS, SIOCSLIFNAME};
use super::device::Control;
use super::facts::{Facts, Step, Stopped, value};
use super::interface::{self, Plumbed, name_of, named};
use super::stream::Stream;

/// A link that nobody has: numbers rise from 1 for as long as the machine runs.
const NO_LINK: i32 = 0x7fff_0000;

pub(crate) fn questions(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    naming(facts)?;
    without_device(facts)?;
    linking(facts)?;
    ids(facts)
}

fn naming(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let control = Control::by_frame(Control::ANY).step("TUNNEWPPA -1")?;
    let (name, ppa) = (name_of(&control), control.ppa);
    let mux = interface::mux()?;
    facts.is("no_such_interface", hex(interface::flags(&mux, &name)));
    let stream = Stream::open("/dev/tap").step("open /dev/tap")?;
    facts.is("name_a_bare_tap", value(stream.ask_module(SIOCSLIFNAME, &mut named(&name, ppa))));
    facts.is("name_the_mux", value(mux.ask_ip(SIOCSLIFNAME, &mut named(&name, ppa))));
    stream.push("ip").step("I_PUSH ip")?;
    facts.is("ip_stream", value(stream.list()));
    facts.is("flags_before_naming", hex(interface::flags(&stream, "")));
    // No digits, a leading zero, a first character that is no letter; and a number that is not the name's.
    let wrong = [
        ("tap".into(), ppa),
        (format!("tap0{ppa}"), ppa),
        (format!("_tap{ppa}"), ppa),
        (name.clone(), ppa + 1),
    ];
    let name_it = |(name, ppa): &(String, i32)| value(stream.ask_ip(SIOCSLIFNAME, &mut named(name, *ppa)));
    facts.is("wrong_names", wrong.iter().map(name_it).collect::<Vec<_>>());
    facts.is("a_name", value(stream.ask_ip(SIOCSLIFNAME, &mut named(&name, ppa))));
    facts.is("a_second_name", value(stream.ask_ip(SIOCSLIFNAME, &mut named(&format!("vm{ppa}"), ppa))));
    facts.is("flags_of_a_named_stream", hex(interface::flags(&mux, &name)));
    let other = Stream::open("/dev/tap").step("open /dev/tap")?;
    other.push("ip").step("I_PUSH ip")?;
    facts.is("a_taken_name", value(other.ask_ip(SIOCSLIFNAME, &mut named(&name, ppa))));
    drop(stream);
    facts.is("after_the_close", hex(interface::flags(&mux, &name)));
    facts.is("the_name_is_free_again", value(other.ask_ip(SIOCSLIFNAME, &mut named(&name, ppa))));
    Ok(())
}

/// A stream that was named for a device which is not there is spent, and its name taken, until it is closed.
fn without_device(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let control = Control::new(Control::ANY).step("TUNNEWPPA -1")?;
    let (name, ppa) = (name_of(&control), control.ppa);
    drop(control);
    let mux = interface::mux()?;
    let stream = Stream::open("/dev/tap").step("open /dev/tap")?;
    stream.push("ip").step("I_PUSH ip")?;
    for question in ["name_without_device", "name_without_device_again"] {
        facts.is(question, value(stream.ask_ip(SIOCSLIFNAME, &mut named(&name, ppa))));
    }
    facts.is("interface_without_device", hex(interface::flags(&mux, &name)));
    drop(stream);
    facts.is("interface_when_that_is_closed", hex(interface::flags(&mux, &name)));
    Ok(())
}

fn hex(flags: Result<u64, nix::errno::Errno>) -> serde_json::Value {
    value(flags.map(|flags| format!("{flags:#x}")))
}

fn linking(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let mux = interface::mux()?;
    facts.is("mux_stream", value(mux.list()));
    let control = Control::by_frame(Control::ANY).step("TUNNEWPPA -1")?;
    let (name, ppa) = (name_of(&control), control.ppa);
    let arp_first = Stream::open("/dev/tap").step("open /dev/tap")?;
    arp_first.push("arp").step("I_PUSH arp")?;
    facts.is("arp_before_ip_is_named", value(arp_first.ask_module(SIOCSLIFNAME, &mut named(&name, ppa))));
    drop(arp_first);
    let ip = interface::ip(&name, ppa)?;
    let arp = interface::arp(&name, ppa)?;
    facts.is("arp_stream", value(arp.list()));
    facts.is("link_of_arp_before_ip", value(mux.link(&arp)));
    facts.is("link_of_the_mux_below_itself", value(mux.link(&mux)));
    facts.is("unlink_of_nothing", value(mux.unlink(NO_LINK)));
    let links = [mux.link(&ip).step("I_LINK of ip")?, mux.link(&arp).step("I_LINK of arp")?];
    facts.measured("links", links.to_vec());
    facts.is("numbers_rise_by_one", links[1] == links[0] + 1);
    facts.is("link_again", value(mux.link(&ip)));
    below(facts, &ip, &name);
    let plumbed = Plumbed { mux, control, name, links };
    still_open(facts, plumbed, ip)
}

/// A stream that is linked answers nothing.
fn below(facts: &mut Facts<'_>, ip: &Stream, name: &str) {
    facts.is("read_of_a_linked_stream", value(ip.read(64).map(|bytes| bytes.len())));
    facts.is("write_of_a_linked_stream", value(ip.write(&[0; 60])));
    facts.is("list_of_a_linked_stream", value(ip.list()));
    facts.is("pop_of_a_linked_stream", value(ip.pop()));
    facts.is("flags_by_a_linked_stream", value(ip.ask_ip(SIOCGLIFFLAGS, &mut named(name, 0))));
    facts.is("ready_of_a_linked_stream", ip.ready());
}

/// A lower stream that somebody keeps open outlives its link, and with it the interface.
fn still_open(facts: &mut Facts<'_>, plumbed: Plumbed, ip: Stream) -> Result<(), Stopped> {
    let name = plumbed.name.clone();
    let control = plumbed.unplumb()?;
    let mux = interface::mux()?;
    facts.is("interface_while_ip_is_open", hex(interface::flags(&mux, &name)));
    drop(ip);
    facts.is("interface_when_ip_is_closed", hex(interface::flags(&mux, &name)));
    drop(control);
    Ok(())
}

/// SIOCGLIFMUXID: the numbers that ifconfig(8) would use, and for which links it may.
fn ids(facts: &mut Facts<'_>) -> Result<(), Stopped> {
    let plumbed = Plumbed::new()?;
    let [ip, arp] = plumbed.links;
    facts.is("muxids_are_the_links", plumbed.mux_ids() == Ok([ip, arp]));
    let refused =
        json!([value(plumbed.mux.unlink_persistent(arp)), value(plumbed.mux.unlink_persistent(ip))]);
    facts.is("persistent_unlink_of_a_link", refused);
    let other = interface::mux()?;
    facts.is("unlink_by_another_stream", value(other.unlink(arp)));
    // ifconfig(8) asks by a socket.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map(|socket| Stream(socket.into()));
    let flags = socket.is_ok_and(|socket| interface::flags(&socket, &plumbed.name) == plumbed.flags());
    facts.is("flags_by_a_socket", flags);
    facts.is("muxids_afterwards", plumbed.mux_ids() == Ok([ip, arp]));
    facts.is("mtu", value(plumbed.mtu()));
    for mtu in [67, 68, 1400, 1500, 1501] {
        facts.is(&format!("set_mtu_{mtu}"), value(plumbed.set_mtu(mtu)));
    }
    facts.is("flags_with_a_set_mtu", hex(plumbed.flags()));
    plumbed.mux.unlink(arp).step("I_UNLINK of arp")?;
    facts.is("muxids_without_arp", plumbed.mux_ids() == Ok([ip, 0]));
    plumbed.mux.unlink(ip).step("I_UNLINK of ip")?;
    facts.is("muxids_without_both", value(plumbed.mux_ids().map(Vec::from)));
    Ok(())
}
