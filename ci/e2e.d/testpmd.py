"""DPDK's testpmd behind the daemon: a hypervisor's side that shares no code with QEMU's, and polls its rings.

It needs no guest, no kernel image and no huge pages: its memory is a file without a name, which vhost-user can share.
"""

import contextlib
import os
import re
import socket
import subprocess
import time

import counters
import network
from daemon import Daemon
from processes import Process
from steps import Failed, begin, check, step, until

PROGRAM = "dpdk-testpmd"
NAME = "testpmd"
BURST = 200  # frames that the host sends at once; its queue for a TAP has 1000
FRAMES = 20_000
ETHERNET = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + b"\x88\xb5"  # an EtherType for experiments


class Testpmd:
    """One testpmd with its prompt."""

    def __init__(self, directory, socket_path, number):
        self.log = directory / f"testpmd.{number}.log"
        self.process = Process("testpmd", [
            # else what it says waits in a buffer for more
            "stdbuf", "-oL", PROGRAM, "--lcores", "(0,1)@(0-1)" if number_of_processors() > 1 else "(0,1)@0",
            "--no-pci", "--no-huge", "-m", "128", "--single-file-segments", f"--file-prefix={directory.name}-{number}",
            f"--vdev=net_virtio_user0,path={socket_path},queues=1,queue_size=256",
            "--", "-i", "--total-num-mbufs=4096",
        ], self.log, stdin=subprocess.PIPE)

    def wait_ready(self):
        self.wait_output("testpmd> ", 0)

    def output(self):
        self.process.must_run()
        return self.log.read_text(errors="replace")

    def wait_output(self, text, start):
        """What it wrote from `start` on, when that has `text`."""
        return until(f"'{text}' from testpmd", lambda: self.output()[start:], lambda output: text in output)

    def run(self, command, answer="testpmd> "):
        start = len(self.output())
        self.process.child.stdin.write(command.encode() + b"\n")
        self.process.child.stdin.flush()
        return self.wait_output(answer, start)

    def start(self, mode, size=64):
        self.run(f"set fwd {mode}")
        self.run(f"set txpkts {size}")
        self.run("start")

    def halt(self):
        """Stops forwarding; gives the frames received and transmitted in this run."""
        output = self.run("stop", "Done.")
        run = output[output.index("Forward statistics"):]
        return [int(re.search(rf"{name}-packets: (\d+)", run)[1]) for name in ("RX", "TX")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.child.stdin.close()
        self.process.stop()


def number_of_processors():
    return len(os.sched_getaffinity(0))


class Host:
    """The host's side of the TAP: raw frames."""

    def __init__(self, tap):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((tap, 0x88b5))

    def send(self, count, size=64):
        frame = ETHERNET + bytes(size - len(ETHERNET))
        for number in range(count):
            with contextlib.suppress(OSError):  # ENOBUFS: counted by the kernel as dropped
                self.socket.send(frame)
            if number % BURST == BURST - 1:
                time.sleep(0.002)

    def close(self):
        self.socket.close()


def settled(daemon):
    """The daemon's counters, when they have stopped moving."""
    def probe():
        before = daemon.statistics()
        time.sleep(0.1)
        return before, daemon.statistics()

    return until("the counters to stand still", probe, lambda both: both[0] == both[1])[0]


def differences(before, after):
    """The counters of the time between, by direction."""
    return {way: {name: after[way][name] - before[way][name] for name in after[way]} for way in ("transmit", "receive")}


def counted(daemon, tap, act):
    """Runs `act`; what daemon and host counted meanwhile, and what `act` gave."""
    before, host_before = settled(daemon), network.interfaces()[tap]
    given = act()
    after, host_after = settled(daemon), network.interfaces()[tap]
    counters.check_sums(after)
    host = {name: host_after[name] - host_before[name] for name in host_after}
    return differences(before, after), host, given


def check_equal(**numbers):
    check(len(set(numbers.values())) == 1, "equal numbers", numbers)


def transmit(daemon, tap, pmd):
    def act():
        pmd.start("txonly")
        time.sleep(1)
        return pmd.halt()

    ours, host, (_, sent) = counted(daemon, tap, act)
    check_equal(testpmd=sent, daemon=ours["transmit"]["frames_sent"], host=host["rx_packets"])
    check(sent > 1000, "more than 1000 frames", sent)
    return sent


def receive(daemon, tap, pmd, host_side):
    def act():
        pmd.start("rxonly")
        host_side.send(FRAMES)
        settled(daemon)
        return pmd.halt()

    ours, host, (received, _) = counted(daemon, tap, act)
    delivered = ours["receive"]["frames_delivered"] - ours["receive"]["not_agreed"]
    check_equal(testpmd=received, daemon=delivered)
    check_equal(daemon=ours["receive"]["frames_received"], host=host["tx_packets"])
    check_equal(offered=FRAMES, received=host["tx_packets"] + host["tx_dropped"])
    check(received > FRAMES // 2, "most of the frames", received)
    return received


def both(daemon, tap, pmd, host_side):
    def act():
        pmd.start("macswap")
        host_side.send(FRAMES)
        settled(daemon)
        return pmd.halt()

    ours, host, (received, sent) = counted(daemon, tap, act)
    check_equal(received=received, daemon=ours["receive"]["frames_delivered"] - ours["receive"]["not_agreed"])
    check_equal(sent=sent, daemon=ours["transmit"]["frames_sent"], host=host["rx_packets"])
    check(sent > FRAMES // 2, "most of the frames returned", sent)
    return sent


def test(program, directory):
    """All steps; the network namespace is this process's."""
    begin(NAME)
    net = network.Net("tap0", 0)
    network.silence()
    path = directory / "socket"
    with contextlib.ExitStack() as running:
        with step("start", 30):
            daemon = running.enter_context(Daemon(program, directory, net, "--socket", path, addresses=False))
            daemon.wait_event("listening")
            host_side = running.enter_context(contextlib.closing(Host(net.tap)))
        for number in (1, 2):
            which = "" if number == 1 else " by the next hypervisor"
            with Testpmd(directory, path, number) as pmd:
                with step(f"connect{which}", 60):
                    pmd.wait_ready()
                    daemon.wait_event("features", number)
                    daemon.statistics()
                with step(f"transmit{which}", 60):
                    sent = transmit(daemon, net.tap, pmd)
                with step(f"receive{which}", 60):
                    received = receive(daemon, net.tap, pmd, host_side)
                with step(f"both ways{which}", 60):
                    returned = both(daemon, net.tap, pmd, host_side)
                print(f"  {sent} sent in a second, {received} of {FRAMES} received, {returned} returned", flush=True)
            with step("disconnect", 30):
                daemon.wait_event("disconnected", number)
        with step("end", 30):
            counters.check_sums(daemon.stop())
            if net.tap in network.interfaces():
                raise Failed(f"{net.tap} is left behind")


SECONDS = 4  # of a figure


def figure(daemon, tap):
    def now():
        return time.monotonic(), network.interfaces()[tap]["rx_packets"], daemon.process.cpu_seconds()

    before = now()
    time.sleep(SECONDS)
    seconds, frames, cpu = (after - first for first, after in zip(before, now()))
    return f"{frames / seconds:9.0f} frames a second, {cpu / frames * 1e6:.2f} us of the daemon a frame"


def figures(program, directory):
    """Frames a second into the TAP, and the daemon's processor time a frame."""
    begin(NAME)
    directory.mkdir()
    net, path = network.Net("tap0", 0), directory / "socket"
    with contextlib.ExitStack() as running:
        daemon = running.enter_context(Daemon(program, directory, net, "--socket", path, addresses=False))
        daemon.wait_event("listening")
        pmd = running.enter_context(Testpmd(directory, path, 1))
        rows = []
        with step(f"transmit, 64 and 1514 bytes, {SECONDS} s each", 120):
            pmd.wait_ready()
            for size in (64, 1514):
                pmd.start("txonly", size)
                time.sleep(1)
                rows.append(f"{size:5} bytes {figure(daemon, net.tap)}")
                pmd.halt()
    print(*rows, sep="\n")
