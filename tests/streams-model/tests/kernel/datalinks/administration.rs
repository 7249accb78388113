//! The administrator is refused while a link is in use.

use streams_model::Errno;

use super::{Datalink, NIC, OTHER, OWN, PATH, network};

#[test]
fn an_open_stream_keeps_its_link_as_it_is() {
    let mut caller = network();
    let fd = caller.open_link(PATH);
    let busy = Err(Errno::EBUSY);
    assert_eq!(caller.kernel.delete_link("vnic0"), busy);
    assert_eq!(caller.kernel.rename_link("vnic0", "net7"), busy);
    assert_eq!(caller.kernel.set_link_zone("vnic0", 1), busy);
    assert_eq!(caller.kernel.delete_link("net0"), busy);
    caller.close(fd);
    assert_eq!(caller.kernel.rename_link("vnic0", "vnic1"), Err(Errno::EEXIST));
    assert_eq!(caller.kernel.rename_link("vnic0", "net7"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net7"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), busy, "another lies over it");
    assert_eq!(caller.kernel.delete_link("vnic1"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), Ok(()));
    assert_eq!(caller.kernel.delete_link("net0"), Err(Errno::ENOENT));
}

#[test]
fn a_link_lies_over_what_is_there_with_an_address_of_its_own() {
    let mut caller = network();
    assert_eq!(caller.kernel.create_vnic("vnic2", "net9", [2; 6], 0), Err(Errno::ENOENT));
    assert_eq!(caller.kernel.create_vnic("vnic2", "vnic0", [2; 6], 0), Err(Errno::EINVAL));
    assert_eq!(caller.kernel.create_vnic("vnic2", "net0", OTHER, 0), Err(Errno::EBUSY));
    assert_eq!(caller.kernel.create_vnic("vnic0", "net0", [2; 6], 0), Err(Errno::EEXIST));
    assert_eq!(caller.kernel.connect_nics("net0", "vnic0"), Err(Errno::EINVAL));
    assert_eq!(caller.kernel.set_link_address("vnic0", NIC), Err(Errno::EBUSY));
    assert_eq!(caller.kernel.datalink_states()[1].address, OWN);
}

#[test]
fn links_are_made_as_a_text_describes_them() {
    let mut caller = crate::caller::Caller::default();
    let text = "nic net0 2:8:20:0:0:1 1500; vnic vnic0 net0 2:8:20:0:1:0; etherstub stub0 2:0:0:0:0:1; vnic v1 stub0 2:0:0:0:0:2 5";
    assert_eq!(caller.kernel.make_links(text), Ok(()));
    let states = caller.kernel.datalink_states();
    let seen: Vec<_> =
        states.iter().map(|state| (state.name.as_str(), state.over.as_deref(), state.mtu)).collect();
    let expected = [
        ("net0", None, 1500),
        ("vnic0", Some("net0"), 1500),
        ("stub0", None, 9000),
        ("v1", Some("stub0"), 9000),
    ];
    assert_eq!((seen.as_slice(), states[1].address), (&expected[..], OWN));
    for wrong in
        ["nic net1", "vnic v2 net9 2:0:0:0:0:3", "nic net0 2:0:0:0:0:4", "nic net2 2:0:0", "tap tap0 x"]
    {
        let error = caller.kernel.make_links(wrong).expect_err(wrong);
        assert!(error.contains(wrong), "{error}");
    }
}
