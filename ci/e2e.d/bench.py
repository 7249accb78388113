"""Throughput of a guest behind the daemon beside that of one behind QEMU's own TAP backend."""

import contextlib
import statistics

import traffic
from daemon import Daemon
from guest import Guest
from guests import DEVICE, Way
from network import Net, interfaces
from processes import run
from steps import begin, step, until

PAIRS = 9
SECONDS = 2
DIRECTIONS = {"to the guest": (), "from the guest": ("-R",)}


class Side:
    """One guest with its processes, and the samples taken of it."""

    def __init__(self, name, guest, processes):
        self.name, self.guest, self.processes = name, guest, processes
        self.rates = {direction: [] for direction in DIRECTIONS}
        self.bytes = dict.fromkeys(DIRECTIONS, 0)
        self.cpu = {direction: dict.fromkeys(processes, 0.0) for direction in DIRECTIONS}

    def sample(self, direction, options):
        before = {name: process.cpu_seconds() for name, process in self.processes.items()}
        count, rate = traffic.iperf(self.guest.net.guest4, *options, seconds=SECONDS)
        self.rates[direction].append(rate)
        self.bytes[direction] += count
        for name, process in self.processes.items():
            self.cpu[direction][name] += process.cpu_seconds() - before[name]

    def row(self, direction):
        rates, gigabytes = self.rates[direction], self.bytes[direction] / 1e9
        cpu = " + ".join(f"{seconds / gigabytes:.2f} {name}" for name, seconds in self.cpu[direction].items())
        return (f"{direction:15} {self.name:10} {statistics.median(rates):6.2f} {min(rates):6.2f} {max(rates):6.2f}"
                f"   {cpu}")


@contextlib.contextmanager
def ours(program, boot_files, directory):
    directory.mkdir()
    net, way, socket = Net("tap0", 0), Way("offloads"), directory / "socket"
    with Daemon(program, directory, net, *way.daemon_arguments(socket)) as daemon:
        daemon.wait_event("listening")
        with Guest(boot_files, directory, net, way.network(socket)) as guest:
            guest.wait_ready()
            yield Side("tap-plumb", guest, {"QEMU": guest.process, "daemon": daemon.process})


@contextlib.contextmanager
def qemus(boot_files, directory):
    """The same offloads and the same interrupts."""
    directory.mkdir()
    net = Net("tap1", 1)
    network = ["-netdev", f"tap,id=net,ifname={net.tap},script=no,downscript=no,vhost=off",
               "-device", f"{DEVICE},guest_ufo=off,host_ufo=off"]
    with Guest(boot_files, directory, net, network) as guest:
        until(f"{net.tap} to be there", interfaces, lambda names: net.tap in names)
        run(["ip", "address", "add", f"{net.host4}/24", "dev", net.tap])
        run(["ip", "link", "set", net.tap, "up"])
        guest.wait_ready()
        yield Side("QEMU's tap", guest, {"QEMU": guest.process})


def compare(program, boot_files, work, pairs):
    """Takes the samples in pairs, close in time, in turns first; prints the table."""
    begin("bench")
    with contextlib.ExitStack() as running:
        with step("boot", 120):
            sides = [running.enter_context(ours(program, boot_files, work / "ours")),
                     running.enter_context(qemus(boot_files, work / "qemus"))]
        with step(f"{pairs} pairs of {SECONDS} s each way", pairs * SECONDS * 40):
            for pair in range(pairs):
                for direction, options in DIRECTIONS.items():
                    for side in sides if pair % 2 else reversed(sides):
                        side.sample(direction, options)
    print("                           Gbit/s: median, min, max   CPU seconds per GB")
    for direction in DIRECTIONS:
        for side in sides:
            print(side.row(direction))
        ratios = [mine / theirs for mine, theirs in zip(*(side.rates[direction] for side in sides))]
        medians = [statistics.median(side.rates[direction]) for side in sides]
        print(f"{direction:15} ratio of medians {medians[0] / medians[1]:.2f}; of pairs: median "
              f"{statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
