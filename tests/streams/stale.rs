//! Left-over interfaces, and devices that somebody else is to plumb.

use streams_model::{Errno, Machine, Moment, Record, Trouble};

use crate::AttachError;
use crate::bench::{
    assert_unchanged, attach, calls, errno_of, everything, host, impatient, named, refused, trace_text,
};

/// Suspicions but the one that `I_PUNLINK` was used, which is what is tested here.
fn suspicions(machine: &Machine) -> Vec<String> {
    let all = machine.suspicions();
    all.iter().filter(|one| one.what != "I_PUNLINK was used").map(ToString::to_string).collect()
}

#[test]
fn a_left_over_is_replaced_on_request_only() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    refused(&machine, named("tap3"));
    assert!(calls(&machine, "I_PUNLINK").is_empty());
    let tap = attach(everything("tap3").replace_stale());
    let state = machine.snapshot();
    assert_eq!(state.links.len(), 2);
    assert!(state.links.iter().all(|link| !link.persistent));
    assert_eq!((state.interfaces.len(), state.interfaces[0].is_up()), (1, true));
    tap.detach().unwrap();
    let state = machine.snapshot();
    assert!(state.links.is_empty() && state.interfaces.is_empty() && state.descriptors.is_empty());
    assert_eq!(suspicions(&machine), [] as [&str; 0]);
}

#[test]
fn only_the_left_over_s_own_links_go() {
    let machine = Machine::boot();
    let others = ["tap1", "tap5"].map(|name| machine.kernel(|kernel| kernel.plumb_elsewhere(name)));
    let ids = machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    let _tap = attach(named("tap3").replace_stale());
    let undone: Vec<_> = calls(&machine, "I_PUNLINK").iter().map(|record| record.arguments.clone()).collect();
    // IP first: a refusal then comes before anything was touched.
    assert!(
        undone[0].ends_with(&format!(", {}", ids.0)) && undone[1].ends_with(&format!(", {}", ids.1)),
        "{undone:?}"
    );
    let left: Vec<_> =
        machine.snapshot().links.iter().filter(|link| link.persistent).map(|link| link.muxid).collect();
    assert_eq!(left, others.into_iter().flat_map(|(ip, arp)| [ip, arp]).collect::<Vec<_>>());
    assert!(!machine.kernel(|kernel| kernel.host_network_destroyed()));
}

#[test]
fn nothing_is_unplumbed_when_the_name_is_free() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap5"));
    let _tap = attach(named("tap3").replace_stale());
    assert!(calls(&machine, "I_PUNLINK").is_empty() && calls(&machine, "SIOCGLIFMUXID").len() == 1);
}

#[test]
fn a_living_owner_s_interface_is_not_touched() {
    let machine = Machine::boot();
    let _owner = attach(everything("tap3"));
    // The owner's control stream is found busy before its interface is looked at; this driver lost it.
    machine.fail_nth(1, |record| record.is_about("I_STR", "TUNNEWPPA"), Trouble::Answer(3), Moment::Before);
    let before = machine.snapshot();
    let error = named("tap3").replace_stale().attach().expect_err("it has an owner");
    assert!(matches!(&error, AttachError::Busy { holder, .. } if holder.contains("I_PUNLINK")), "{error:?}");
    assert_eq!(errno_of(error), host(Errno::EINVAL));
    assert_eq!(machine.snapshot(), before);
    assert_eq!(suspicions(&machine), [] as [&str; 0]);
    assert_eq!(calls(&machine, "I_PUNLINK").len(), 1, "{}", trace_text(&machine));
}

/// Row hazard 11.
#[test]
fn no_id_but_one_above_0_is_ever_unlinked() {
    for id in [0, -1, i32::MIN] {
        let machine = Machine::boot();
        machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
        let number = Trouble::StoreNumber(id.cast_unsigned());
        machine.fail_nth(1, |record| record.is("SIOCGLIFMUXID"), number, Moment::Before);
        let error = refused(&machine, named("tap3").replace_stale());
        assert!(matches!(error, AttachError::Mismatch { .. }), "{error:?}");
        assert!(calls(&machine, "I_PUNLINK").is_empty());
    }
}

/// What another program may have stored for ARP, checked by nobody.
fn store_mux_ids(name: &str, ip: i32, arp: i32) {
    let mut request = streams_model::Lifreq::default();
    request.set_name(name);
    request.set_muxids(ip, arp);
    let udp = std::fs::File::options().read(true).write(true).open("/dev/udp").unwrap();
    // SAFETY: the argument points at the 376 bytes of a lifreq, which outlives the call.
    #[expect(unsafe_code, reason = "the test plays another program")]
    let stored = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&udp), 0x8078_6984_u32 as _, request.0.as_mut_ptr())
    };
    assert_eq!(stored, 0);
}

/// Row hazard 11.
#[test]
fn a_stored_arp_id_of_minus_1_is_refused_and_0_is_none() {
    let machine = Machine::boot();
    let (ip, _) = machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    store_mux_ids("tap3", ip, -1);
    let error = refused_but_for_cloexec(&machine);
    assert!(error.to_string().contains("-1"), "{error}");
    assert!(calls(&machine, "I_PUNLINK").is_empty());
    store_mux_ids("tap3", ip, 0);
    let _tap = attach(named("tap3").replace_stale());
    assert_eq!(calls(&machine, "I_PUNLINK").len(), 1);
}

fn refused_but_for_cloexec(machine: &Machine) -> AttachError {
    let before = machine.snapshot();
    let error = named("tap3").replace_stale().attach().expect_err("that id would be every interface");
    assert_eq!(machine.snapshot(), before);
    error
}

#[test]
fn each_failing_step_of_a_replacement_is_named() {
    let steps: [(&str, Errno, &str); 4] = [
        ("SIOCGLIFMUXID", Errno::ENXIO, "SIOCGLIFMUXID on tap3"),
        ("I_PUNLINK", Errno::EPERM, "PRIV_SYS_IP_CONFIG"),
        ("I_PUNLINK", Errno::EBUSY, "I_PUNLINK on the left-over tap3, muxid "),
        ("I_PUNLINK", Errno::EINVAL, "in use by a process that still runs"),
    ];
    for (operation, errno, words) in steps {
        let machine = Machine::boot();
        machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
        let before = machine.snapshot();
        machine.fail_nth(
            1,
            move |record: &Record| record.is(operation),
            Trouble::Errno(errno),
            Moment::Before,
        );
        let error = named("tap3").replace_stale().attach().expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(errno_of(error), host(errno));
        assert_eq!(machine.snapshot(), before);
    }
}

#[test]
fn a_name_that_stays_taken_after_the_replacement_is_an_error() {
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    machine.fail_nth(2, |record| record.is("SIOCSLIFNAME"), Trouble::Errno(Errno::EEXIST), Moment::Before);
    let error = named("tap3").replace_stale().attach().expect_err("taken again at once");
    assert!(matches!(error, AttachError::WrongKind { .. }), "{error:?}");
    assert!(machine.snapshot().descriptors.is_empty());
}

#[test]
fn external_plumbing_makes_the_device_alone() {
    let machine = Machine::boot();
    let before = machine.snapshot();
    let tap = attach(named("tap3").external_plumbing().hardware_address([2, 0, 0, 0, 0, 3]));
    let state = machine.snapshot();
    assert_eq!((state.ppas.as_slice(), state.links.len(), state.interfaces.len()), ([3].as_slice(), 0, 0));
    assert_eq!(state.descriptors.len(), 1);
    assert_eq!(tap.name().unwrap().as_str(), Some("tap3"));
    assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 3]);
    assert!(calls(&machine, "I_PUSH").is_empty());
    tap.detach().unwrap();
    assert_unchanged(&machine, &before);
    let tap = attach(impatient().external_plumbing());
    assert_eq!(tap.name().unwrap().as_str(), Some("tap0"));
}

/// Set in the child that runs in a mount namespace of its own.
const WITH_DATALINK: &str = "TAP_PLUMB_TEST_DATALINK";

/// Lays a node where the host's datalinks are, and runs this very test there.
const NAMESPACE: &str = "mount -t tmpfs none /dev/net && : > /dev/net/tap3 && exec \"$0\" --exact \"$1\"";

#[test]
fn a_datalink_s_interface_is_no_left_over() {
    if std::env::var_os(WITH_DATALINK).is_none() {
        return run_with_datalink("stale::a_datalink_s_interface_is_no_left_over");
    }
    let machine = Machine::boot();
    machine.kernel(|kernel| kernel.plumb_elsewhere("tap3"));
    let error = refused(&machine, named("tap3").replace_stale());
    assert!(
        matches!(error, AttachError::WrongKind { .. }) && error.to_string().contains("datalink"),
        "{error}"
    );
    assert!(calls(&machine, "I_PUNLINK").is_empty());
}

fn run_with_datalink(test: &str) {
    let this = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new("unshare");
    child.args(["-Urm", "sh", "-c", NAMESPACE]).arg(this).arg(test).env(WITH_DATALINK, "1");
    match child.output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        obstacle => {
            eprintln!("skipped: no mount namespace can be had here: {obstacle:?}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "a skipped test is an error where CI=true");
        }
    }
}
