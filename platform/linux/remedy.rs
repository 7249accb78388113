//! What an administrator can do about an errno, step by step. A cause that the errno alone does not tell is looked for.

use std::io;
use std::net::IpAddr;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::super::tap::Setting;
use super::netdev::NetDevice;
use super::tun::NODE;

const DESCRIPTORS: &str =
    "this process has as many descriptors as it may: raise its limit (`ulimit -n`, LimitNOFILE=)";
const SYSTEM_DESCRIPTORS: &str = "the system has as many open files as it may: raise fs.file-max";
const MEMORY: &str = "the kernel has no memory for this: free some, and try again";
const ELSEWHERE: &str = "the interface was removed, or is in another network namespace than this thread: attach again, or set it there";

/// Opening `/dev/net/tun`.
pub(super) fn of_open(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) => {
            "load the driver (`modprobe tun`), or make the node: `mknod /dev/net/tun c 10 200`; a container needs `--device /dev/net/tun`"
        }
        Some(libc::ENODEV | libc::ENXIO) => "the kernel has no driver behind the node: `modprobe tun`",
        Some(libc::EACCES) => of_closed(
            NODE,
            "let this user read and write the node (`chmod 0666 /dev/net/tun`, or its group; a udev rule keeps the change after a reboot). If the node's mode allows it already, a policy forbids it: SELinux, AppArmor or Landlock",
        ),
        // The node's mode gives EACCES; EPERM comes from a policy, such as that of the device cgroup.
        Some(libc::EPERM) => {
            "the device cgroup, or another policy, forbids it: `--device /dev/net/tun` for a container, `DeviceAllow=/dev/net/tun rw` for a unit of systemd"
        }
        Some(libc::EMFILE) => DESCRIPTORS,
        Some(libc::ENFILE) => SYSTEM_DESCRIPTORS,
        Some(libc::ENOMEM) => MEMORY,
        _ => "",
    }
}

/// A node that may not be opened; `closed` is said where nothing else explains it.
pub(super) fn of_closed(node: &str, closed: &'static str) -> &'static str {
    match statvfs(node) {
        Ok(system) if system.flags().contains(FsFlags::ST_NODEV) => {
            "its file system is mounted `nodev`, where no node works: mount it with `dev`, or bring the node in by a bind mount"
        }
        Err(Errno::EACCES) => "let this user search the directories above the node (`chmod a+x`)",
        _ => closed,
    }
}

/// `TUNSETIFF` for the interface `name`, but for `EBUSY`, `EINVAL` and `ENOTTY`, which are errors of their own.
pub(super) fn of_claim(source: &io::Error, name: &[u8]) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EPERM) if NetDevice::named(name).and_then(|device| device.index()).is_ok() => {
            "the TAP was not made for this user: make it with `ip tuntap add NAME mode tap user USER`, or run with CAP_NET_ADMIN in this network namespace"
        }
        Some(libc::EPERM) => {
            "CAP_NET_ADMIN in this network namespace is needed, or a persistent TAP made for this user: \
             `ip tuntap add NAME mode tap user USER`"
        }
        Some(libc::E2BIG) => "the interface has as many queues as the kernel allows: ask for fewer",
        Some(libc::ENFILE) => {
            "the kernel found no free number for this template: give another one, or remove interfaces"
        }
        Some(libc::EEXIST) => "an interface of that name was made a moment ago: try again",
        Some(libc::ENOMEM | libc::ENOBUFS) => MEMORY,
        _ => "",
    }
}

/// Making an interface outlive its descriptors.
pub(super) fn of_persist(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EINVAL) => {
            "this user namespace has no such user or group: give one that /proc/self/uid_map or gid_map shows"
        }
        _ => "",
    }
}

/// A setting of the interface.
pub(crate) fn of_setting(setting: Setting, source: &io::Error) -> &'static str {
    let v6 = matches!(setting, Setting::Address(IpAddr::V6(_)));
    match (setting, source.raw_os_error()) {
        (_, Some(libc::EPERM)) => {
            "the process needs CAP_NET_ADMIN in this network namespace; or let an administrator set the same value beforehand, which needs no privilege here"
        }
        (_, Some(libc::ENODEV)) => ELSEWHERE,
        (_, Some(libc::EMFILE)) => DESCRIPTORS,
        (_, Some(libc::ENFILE)) => SYSTEM_DESCRIPTORS,
        (_, Some(libc::ENOMEM | libc::ENOBUFS)) => MEMORY,
        (Setting::Mtu, Some(libc::EINVAL)) => {
            "a TAP takes an MTU of 68 to 65521 bytes, a macvtap no more than the NIC below it"
        }
        (Setting::QueueLength, Some(libc::EINVAL | libc::ERANGE)) => {
            "the kernel refuses this length: ask for 32767 frames or fewer"
        }
        (Setting::HardwareAddress, Some(libc::EADDRNOTAVAIL)) => {
            "it must be a unicast address: not all zero, and not multicast"
        }
        (Setting::HardwareAddress, Some(libc::EBUSY)) => "bring the interface down first",
        (Setting::Address(_), Some(libc::EACCES)) if v6 => {
            "IPv6 is off on this interface: `sysctl -w net.ipv6.conf.NAME.disable_ipv6=0`"
        }
        (Setting::Address(_), Some(libc::EINVAL)) if v6 => "IPv6 needs an MTU of 1280 bytes or more",
        (Setting::Address(_), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
            "this kernel runs without that IP version"
        }
        (Setting::Address(_), Some(libc::EADDRNOTAVAIL)) => "only the loopback interface takes that address",
        (Setting::Address(_), Some(libc::EEXIST)) => {
            "the interface has this address already, with a peer's address: remove it first (`ip addr del`)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRNOS: [i32; 17] = [
        libc::EPERM,
        libc::ENOENT,
        libc::EIO,
        libc::ENXIO,
        libc::E2BIG,
        libc::ENOMEM,
        libc::EACCES,
        libc::EBUSY,
        libc::EEXIST,
        libc::ENODEV,
        libc::EINVAL,
        libc::ENFILE,
        libc::EMFILE,
        libc::EAFNOSUPPORT,
        libc::EOPNOTSUPP,
        libc::EADDRNOTAVAIL,
        libc::ENOBUFS,
    ];

    /// The remedy of each errno by a word of its own; one that is not listed has none.
    fn check(step: &str, known: &[(i32, &str)], remedy: impl Fn(&io::Error) -> &'static str) {
        for errno in ERRNOS {
            let given = remedy(&io::Error::from_raw_os_error(errno));
            match known.iter().find(|(listed, _)| *listed == errno) {
                Some((_, word)) => assert!(given.contains(word), "{step}, errno {errno}: {given:?}"),
                None => assert_eq!(given, "", "{step}, errno {errno}"),
            }
        }
    }

    #[test]
    fn each_errno_of_opening_the_node_has_the_remedy_of_its_cause() {
        let known = [
            (libc::ENOENT, "mknod"),
            (libc::ENODEV, "modprobe"),
            (libc::ENXIO, "modprobe"),
            (libc::EACCES, "chmod"),
            (libc::EPERM, "DeviceAllow"),
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "fs.file-max"),
            (libc::ENOMEM, "memory"),
        ];
        check("open", &known, of_open);
    }

    #[test]
    fn each_errno_of_the_claim_has_the_remedy_of_its_cause() {
        let common = [
            (libc::E2BIG, "queues"),
            (libc::ENFILE, "free number"),
            (libc::EEXIST, "try again"),
            (libc::ENOMEM, "memory"),
            (libc::ENOBUFS, "memory"),
        ];
        let with = |permission: &'static str| [&common[..], &[(libc::EPERM, permission)]].concat();
        check("TUNSETIFF", &with("or a persistent TAP"), |error| of_claim(error, b"no such one"));
        check("TUNSETIFF", &with("not made for this user"), |error| of_claim(error, b"lo"));
    }

    #[test]
    fn an_owner_that_is_not_mapped_has_a_remedy() {
        check("TUNSETOWNER", &[(libc::EINVAL, "user namespace")], of_persist);
    }

    #[test]
    fn each_errno_of_a_setting_has_the_remedy_of_its_cause() {
        let common = [
            (libc::EPERM, "administrator"),
            (libc::ENODEV, "network namespace"),
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "fs.file-max"),
            (libc::ENOMEM, "memory"),
            (libc::ENOBUFS, "memory"),
        ];
        let with = |own: &[(i32, &'static str)]| [&common[..], own].concat();
        let of = |setting: Setting| move |error: &io::Error| of_setting(setting, error);
        check("MTU", &with(&[(libc::EINVAL, "68 to 65521")]), of(Setting::Mtu));
        check("queue length", &with(&[(libc::EINVAL, "32767")]), of(Setting::QueueLength));
        check("up", &with(&[]), of(Setting::Up));
        let hardware = [(libc::EADDRNOTAVAIL, "unicast"), (libc::EBUSY, "down first")];
        check("hardware address", &with(&hardware), of(Setting::HardwareAddress));
        let address = [
            (libc::EAFNOSUPPORT, "IP version"),
            (libc::EOPNOTSUPP, "IP version"),
            (libc::EADDRNOTAVAIL, "loopback"),
            (libc::EEXIST, "peer"),
        ];
        check("IPv4 address", &with(&address), of(Setting::Address([10, 0, 0, 1].into())));
        let v6 = [&address[..], &[(libc::EACCES, "disable_ipv6"), (libc::EINVAL, "1280")]].concat();
        check("IPv6 address", &with(&v6), of(Setting::Address(std::net::Ipv6Addr::LOCALHOST.into())));
    }
}
