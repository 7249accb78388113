"""The ways a guest is connected, and what each must show."""

import contextlib
import dataclasses

import counters
import link
import network
import traffic
from daemon import Daemon
from guest import MEMORY, Guest
from steps import begin, check, step

# bits of the virtio specification, 5.1.3 and 6
OFFLOADS = {"CSUM": 0, "GUEST_CSUM": 1, "GUEST_TSO4": 7, "GUEST_TSO6": 8, "HOST_TSO4": 11, "HOST_TSO6": 12}
ALWAYS = {"MRG_RXBUF": 15, "EVENT_IDX": 29, "VERSION_1": 32}
MULTIQUEUE = {"MQ": 22}
ALL_FEATURES = OFFLOADS | ALWAYS | MULTIQUEUE

# what ethtool calls the same; rx-checksumming is always on, whatever the guest agreed to
IN_THE_GUEST = ("tx-checksumming", "tcp-segmentation-offload", "tx-tcp-segmentation", "tx-tcp6-segmentation",
                "rx-gro-hw")

NO_OFFLOADS = "".join(f",{name}=off" for name in (
    "csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ufo", "guest_ecn", "host_tso4", "host_tso6",
    "host_ufo", "host_ecn"))

# QEMU 7.2 crashes on vhost-user with MSI-X where there is no KVM; vectors=0 leaves the plain interrupt
DEVICE = "virtio-net-pci,netdev=net,romfile=,vectors=0,mac=52:54:00:00:00:02"


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to be connected."""

    name: str
    stream: bool = False
    offloads: bool = True
    queues: int = 1

    def daemon_arguments(self, socket):
        arguments = ["--stream" if self.stream else "--socket", socket]
        return arguments + (["--queues", self.queues] if self.queues > 1 else [])

    def network(self, socket):
        """QEMU's arguments."""
        if self.stream:
            return ["-netdev", f"stream,id=net,server=off,addr.type=unix,addr.path={socket}", "-device", DEVICE]
        device = DEVICE + ("" if self.offloads else NO_OFFLOADS) + (",mq=on" if self.queues > 1 else "")
        return ["-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on",
                "-machine", "memory-backend=memory", "-chardev", f"socket,id=vhost,path={socket}",
                "-netdev", f"vhost-user,id=net,chardev=vhost,queues={self.queues}", "-device", device]


WAYS = (Way("offloads"), Way("queues", queues=2), Way("stream", stream=True, offloads=False),
        Way("plain", offloads=False))


def test(way, program, boot_files, directory):
    """Runs all steps for one way; the network namespace is this process's."""
    begin(way.name)
    net = network.Net("tap0", 0)
    socket = directory / "socket"
    with contextlib.ExitStack() as running:
        with step("boot", 120):
            daemon = running.enter_context(Daemon(program, directory, net, *way.daemon_arguments(socket)))
            daemon.wait_event("listening")
            guest = running.enter_context(Guest(boot_files, directory, net, way.network(socket), way.queues))
            guest.wait_ready()
        with step("features", 20):
            check_features(way, daemon, guest)
            account = counters.Account(way, daemon, guest)
        traffic.everything(guest)
        with step("counters", 20):
            counters.check_undisturbed(way, account.check_agreed())
        link.down_and_up(guest)
        link.removed(guest, daemon)
        with step("counters of the guest", 20):
            account.check_agreed(guest_only=True)
        with step("end", 30):
            guest.stop()
            daemon.wait_event("disconnected")
            counters.check_sums(daemon.stop())
            check(net.tap not in network.interfaces(), f"{net.tap} to be gone", "it")


def check_features(way, daemon, guest):
    """What guest and daemon agreed on, as each of them says."""
    groups = ((OFFLOADS, way.offloads), (MULTIQUEUE, way.queues > 1), (ALWAYS, not way.stream))
    expected = {name for group, holds in groups if holds for name in group}
    bits = guest.run("cat /sys/bus/virtio/devices/*/features").strip()
    seen = {name for name, bit in ALL_FEATURES.items() if bits[bit] == "1"}
    check(seen - set(ALWAYS) == expected - set(ALWAYS), f"features {sorted(expected)} in the guest", sorted(seen))
    if not way.stream:
        acked = int(daemon.wait_event("features")["acked"], 16)
        seen = {name for name, bit in ALL_FEATURES.items() if acked >> bit & 1}
        check(seen == expected, f"features {sorted(expected)} acknowledged", sorted(seen))
    check_ethtool(guest, "on" if way.offloads else "off", way.queues)


def check_ethtool(guest, state, queues):
    lines = (line.strip().split(": ") for line in guest.run("ethtool -k eth0").splitlines() if ": " in line)
    features = {name: text.split()[0] for name, text in lines}
    seen = {name: features.get(name) for name in IN_THE_GUEST}
    check(set(seen.values()) == {state}, f"all {state}", seen)
    if queues > 1:
        check_queues(guest, queues)


def check_queues(guest, queues):
    channels = guest.run("ethtool -l eth0").splitlines()
    current = [line.split()[-1] for line in channels if line.startswith("Combined")][-1]
    check(current == str(queues), f"{queues} queues in use", channels)
