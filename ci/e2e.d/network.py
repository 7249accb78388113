"""The host's side of the network under test, in the namespace of this process."""

import dataclasses
import pathlib

from processes import run


@dataclasses.dataclass(frozen=True)
class Net:
    """A TAP and the addresses on it."""

    tap: str
    number: int

    @property
    def host4(self):
        return f"10.0.{self.number}.1"

    @property
    def guest4(self):
        return f"10.0.{self.number}.2"

    @property
    def host6(self):
        return f"fd00:{self.number}::1"

    @property
    def guest6(self):
        return f"fd00:{self.number}::2"


def prepare_namespace():
    """For every interface there will be: usable at once, and its IPv6 address outlives being down."""
    run(["ip", "link", "set", "lo", "up"])
    for folder in ("all", "default"):
        settings = pathlib.Path("/proc/sys/net/ipv6/conf") / folder
        (settings / "accept_dad").write_text("0")
        (settings / "keep_addr_on_down").write_text("1")


def silence():
    """No frame but those of the test: a host speaks up by IPv6 when an interface comes up."""
    for folder in ("all", "default"):
        (pathlib.Path("/proc/sys/net/ipv6/conf") / folder / "disable_ipv6").write_text("1")


def speak():
    """IPv6 as at first."""
    for folder in ("all", "default"):
        (pathlib.Path("/proc/sys/net/ipv6/conf") / folder / "disable_ipv6").write_text("0")


def interfaces(text=None):
    """{name: its counters} by the names of ip-link(8), of this host or of another's /proc/net/dev."""
    counters = {}
    for line in (text or pathlib.Path("/proc/net/dev").read_text()).splitlines()[2:]:
        name, numbers = line.split(":")
        numbers = [int(number) for number in numbers.split()]
        counters[name.strip()] = {"rx_bytes": numbers[0], "rx_packets": numbers[1], "rx_dropped": numbers[3],
                                  "tx_bytes": numbers[8], "tx_packets": numbers[9], "tx_dropped": numbers[11]}
    return counters
