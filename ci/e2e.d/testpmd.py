"""DPDK's testpmd behind the daemon: a hypervisor's side that shares no code with QEMU's, and polls its rings.

It needs no guest, no kernel image and no huge pages: its memory is a file without a name, which vhost-user can share.
"""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time

import counters
import network
from daemon import Daemon
from processes import Process, run
from steps import Failed, begin, check, step, until

PROGRAM = "dpdk-testpmd"
NAME = "testpmd"
BURST = 200  # frames that the host sends at once; its queue for a TAP has 1000
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

    def send(self, seconds, size=64, pause=0.002):
        """Offers frames for so long, with a pause behind each burst; gives their number."""
        frame = ETHERNET + bytes(size - len(ETHERNET))
        end, offered = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for _ in range(BURST):
                with contextlib.suppress(OSError):  # ENOBUFS: counted by the kernel as dropped
                    self.socket.send(frame)
            offered += BURST
            time.sleep(pause)
        return offered

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


def transmit(daemon, tap, pmd, seconds):
    def act():
        pmd.start("txonly")
        time.sleep(seconds)
        return pmd.halt()

    ours, host, (_, sent) = counted(daemon, tap, act)
    check_equal(testpmd=sent, daemon=ours["transmit"]["frames_sent"], host=host["rx_packets"])
    check(sent > 1000, "more than 1000 frames", sent)
    return sent


def receive(daemon, tap, pmd, host_side, seconds):
    def act():
        pmd.start("rxonly")
        offered = host_side.send(seconds)
        settled(daemon)
        return offered, pmd.halt()

    ours, host, (offered, (received, _)) = counted(daemon, tap, act)
    delivered = ours["receive"]["frames_delivered"] - ours["receive"]["not_agreed"]
    check_equal(testpmd=received, daemon=delivered)
    check_equal(daemon=ours["receive"]["frames_received"], host=host["tx_packets"])
    check_equal(offered=offered, received=host["tx_packets"] + host["tx_dropped"])
    check(received > 1000, "more than 1000 frames", received)
    return received


def both(daemon, tap, pmd, host_side, seconds):
    def act():
        pmd.start("macswap")
        offered = host_side.send(seconds)
        settled(daemon)
        return offered, pmd.halt()

    ours, host, (offered, (received, sent)) = counted(daemon, tap, act)
    check_equal(received=received, daemon=ours["receive"]["frames_delivered"] - ours["receive"]["not_agreed"])
    check_equal(sent=sent, daemon=ours["transmit"]["frames_sent"], host=host["rx_packets"])
    check_equal(offered=offered, received=host["tx_packets"] + host["tx_dropped"])
    check(sent > 1000, "more than 1000 frames returned", sent)
    return sent


def test(program, directory, seconds):
    """All steps, each way for so long; the network namespace is this process's."""
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
                with step(f"transmit{which}", 60 + seconds):
                    sent = transmit(daemon, net.tap, pmd, seconds)
                with step(f"receive{which}", 60 + seconds):
                    received = receive(daemon, net.tap, pmd, host_side, seconds)
                with step(f"both ways{which}", 60 + seconds):
                    returned = both(daemon, net.tap, pmd, host_side, seconds)
                print(f"  in {seconds} s each {sent} sent, {received} received, {returned} received and returned", flush=True)
            with step("disconnect", 30):
                daemon.wait_event("disconnected", number)
        with step("end", 30):
            counters.check_sums(daemon.stop())
            if net.tap in network.interfaces():
                raise Failed(f"{net.tap} is left behind")


SECONDS = 4  # of a figure


def figure(daemon, tap, counter):
    def now():
        return time.monotonic(), network.interfaces()[tap][counter], daemon.process.cpu_seconds()

    before = now()
    time.sleep(SECONDS)
    seconds, frames, cpu = (after - first for first, after in zip(before, now()))
    return f"{frames / seconds:9.0f} frames a second, {cpu / frames * 1e6:.2f} us of the daemon a frame"


def transmit_figure(daemon, tap, pmd, size):
    pmd.start("txonly", size)
    time.sleep(1)
    row = figure(daemon, tap, "rx_packets")
    pmd.halt()
    return f"transmit {size:5} bytes {row}"


def receive_figure(daemon, tap, pmd, host_side, size):
    """The host sends as fast as one thread of Python can."""
    pmd.start("rxonly")
    sender = threading.Thread(target=host_side.send, args=(SECONDS + 2, size, 0))
    sender.start()
    time.sleep(1)
    row = figure(daemon, tap, "tx_packets")
    sender.join()
    pmd.halt()
    return f"receive  {size:5} bytes {row}"


def figures(program, bare, directory):
    """Frames a second each way, and the daemon's processor time a frame; then `bare`, which says what is the least."""
    begin(NAME)
    directory.mkdir()
    net, path = network.Net("tap0", 0), directory / "socket"
    with contextlib.ExitStack() as running:
        daemon = running.enter_context(Daemon(program, directory, net, "--socket", path, addresses=False))
        daemon.wait_event("listening")
        host_side = running.enter_context(contextlib.closing(Host(net.tap)))
        pmd = running.enter_context(Testpmd(directory, path, 1))
        rows = []
        with step(f"64 and 1514 bytes, each way {SECONDS} s", 120):
            pmd.wait_ready()
            for size in (64, 1514):
                rows.append(transmit_figure(daemon, net.tap, pmd, size))
                rows.append(receive_figure(daemon, net.tap, pmd, host_side, size))
    print(*rows, sep="\n")
    with step("bare calls", 120):
        print(run([bare]), end="")
