//! Addresses are added as `ip addr add` adds them, and nobody else's is touched.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tap_plumb::{Config, Tap};

use super::host::ip;

/// What `ip` shows of an interface's addresses, in a fixed order and without the interface's own name.
pub(crate) fn listed(name: &str) -> Vec<Value> {
    let shown: Value = serde_json::from_str(&ip(&format!("-j addr show dev {name}"))).unwrap();
    let mut list = shown[0]["addr_info"].as_array().unwrap().clone();
    // The kernel's own link-local address comes when it likes.
    list.retain(|one| one["scope"] != "link");
    for one in &mut list {
        one.as_object_mut().unwrap().remove("label");
    }
    list.sort_by_key(Value::to_string);
    list
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn an_address_that_is_there_among_others_changes_nothing() {
    ip("tuntap add some0 mode tap");
    for text in ["10.0.0.1/24", "10.0.1.1/24", "10.0.0.5/24", "fd00::1/64"] {
        ip(&format!("addr add {text} dev some0"));
    }
    let before = listed("some0");
    let again =
        || Config::new().name("some0").address(address("10.0.1.1"), 24).address(address("fd00::1"), 64);
    let tap = again().address(address("10.0.0.5"), 24).up().attach().unwrap();
    assert_eq!(listed("some0"), before);
    tap.set_address(address("10.0.9.1"), 24).unwrap();
    let after = listed("some0");
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|one| after.contains(one)), "{after:?}");
}

pub(crate) fn every_prefix_is_left_as_ip_leaves_it() {
    let tap = Config::new().name("ours0").attach().unwrap();
    let _theirs = Config::new().name("thei0").attach().unwrap();
    let v4 = (1..=32).map(|prefix| ("192.168.1.254", prefix, ""));
    let v6 = (1..=128).map(|prefix| ("fd00:1::fe", prefix, "nodad"));
    for (text, prefix, flag) in v4.chain(v6).chain([("127.5.0.1", 8, ""), ("fe80::77", 64, "nodad")]) {
        tap.set_address(address(text), prefix).unwrap();
        ip(&format!("addr add {text}/{prefix} dev thei0 {flag}"));
        assert_eq!(listed("ours0"), listed("thei0"), "{text}/{prefix}");
        for name in ["ours0", "thei0"] {
            ip(&format!("addr del {text}/{prefix} dev {name}"));
        }
    }
}

pub(crate) fn each_call_of_the_setter_adds_one() {
    let both =
        || Config::new().name("both0").address(address("10.1.0.1"), 24).address(address("fd01::1"), 64);
    let tap = both().address(address("10.1.0.1"), 24).address(address("10.2.0.1"), 16).attach().unwrap();
    let shown = listed("both0");
    let pairs: Vec<_> = shown.iter().map(|one| (one["local"].as_str().unwrap(), &one["prefixlen"])).collect();
    assert_eq!(pairs.len(), 3, "{pairs:?}");
    for (text, prefix) in [("10.1.0.1", 24), ("10.2.0.1", 16), ("fd01::1", 64)] {
        assert!(pairs.contains(&(text, &prefix.into())), "{pairs:?}");
    }
    drop(tap);
    let error = both().address(address("10.1.0.1"), 16).attach().unwrap_err();
    assert!(error.to_string().contains("given twice, with different prefixes"), "{error}");
}

fn prefixes(name: &str, text: &str) -> Vec<Value> {
    listed(name).iter().filter(|one| one["local"] == text).map(|one| one["prefixlen"].clone()).collect()
}

pub(crate) fn another_prefix_takes_the_place_of_the_old_one_alone() {
    let tap = Config::new().name("pref0").up().attach().unwrap();
    for text in ["10.0.0.1/24", "10.0.0.5/24", "10.0.0.9/24", "10.0.7.1/24", "fd00::1/64", "fd00::2/64"] {
        ip(&format!("addr add {text} dev pref0"));
    }
    tap.set_address(address("fd00::1"), 48).unwrap();
    assert_eq!(prefixes("pref0", "fd00::1"), [48]);
    // The first of its subnet, with which the kernel deletes the others.
    tap.set_address(address("10.0.0.1"), 16).unwrap();
    assert_eq!(prefixes("pref0", "10.0.0.1"), [16]);
    for (text, prefix) in [("10.0.0.5", 24), ("10.0.0.9", 24), ("10.0.7.1", 24), ("fd00::2", 64)] {
        assert_eq!(prefixes("pref0", text), [prefix], "{text}");
    }
    assert_eq!(listed("pref0").len(), 6);
}

pub(crate) fn an_address_with_another_end_is_left_alone() {
    let tap = Config::new().name("peer0").attach().unwrap();
    ip("addr add 10.0.0.1 peer 10.0.0.2/32 dev peer0");
    tap.set_address(address("10.0.0.1"), 24).unwrap();
    let shown = ip("addr show dev peer0");
    assert!(shown.contains("10.0.0.1 peer 10.0.0.2/32") && shown.contains("10.0.0.1/24"), "{shown}");
}

pub(crate) fn an_ipv6_address_can_be_used_at_once() {
    let tap = Config::new().name("soon0").address(address("fd00::1"), 64).up().attach().unwrap();
    let bind = |host: &str| UdpSocket::bind(SocketAddr::from((host.parse::<Ipv6Addr>().unwrap(), 0)));
    bind("fd00::1").unwrap();
    tap.set_address(address("fd00::2"), 64).unwrap();
    bind("fd00::2").unwrap();
}

pub(crate) fn an_address_that_no_host_has_is_refused_before_anything_is_asked() {
    for text in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
        let error = Config::new().name("none0").address(address(text), 24).attach().unwrap_err();
        assert!(error.to_string().contains("not the address of one host"), "{text}: {error}");
    }
}

/// In a process without any right: what an administrator has set beforehand.
pub(crate) fn what_is_there_needs_no_right(tap: &Tap) {
    for (text, prefix) in [("10.0.0.1", 24), ("10.0.1.1", 24), ("fd00::1", 64)] {
        tap.set_address(address(text), prefix).unwrap();
    }
    for (text, prefix) in [("10.0.0.2", 24), ("10.0.0.1", 16), ("fd00::1", 48), ("fd00::2", 64)] {
        let error = tap.set_address(address(text), prefix).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{text}/{prefix}");
    }
}

/// Runs `ip` on many lines at once.
fn batch(lines: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

pub(crate) fn a_listing_in_a_busy_namespace_is_right_or_an_error() {
    let tap = Config::new().name("busy0").address(address("10.0.0.1"), 24).attach().unwrap();
    let _crowd = Config::new().name("crowd0").attach().unwrap();
    let many: String =
        (0..5000).map(|n| format!("addr add 10.9.{}.{}/32 dev crowd0\n", n / 250, n % 250)).collect();
    batch(&many);
    let done = AtomicBool::new(false);
    let (mut right, mut failed, mut wrong) = (0, 0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let toggle = "addr add 10.8.0.1/32 dev crowd0\naddr del 10.8.0.1/32 dev crowd0\n".repeat(500);
            while !done.load(Ordering::SeqCst) {
                batch(&toggle);
            }
        });
        for _ in 0..50 {
            match tap.addresses() {
                Ok(found) if found == [(address("10.0.0.1"), 24)] => right += 1,
                Ok(found) => wrong.push(found),
                Err(_) => failed += 1,
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    println!("a busy namespace: {right} right, {failed} failed, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}
