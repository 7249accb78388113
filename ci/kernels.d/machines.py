"""Guests under QEMU that run the tests, two at a time; what they say is kept."""

import sys
import time

import filesystem
from processes import Process
from results import Result

AT_A_TIME = 2
MEMORY = "1G"
CPUS = 2
# QEMU 7.2 now and then spoils the flags after CMPXCHG16B, on which a kernel panics; without it kernels use a lock
CPU = "max,-cx16"
LIMIT = 600  # seconds a guest may take
# settings of the tests: an emulated processor is slow
SETTINGS = "TAP_PLUMB_ORACLE_FRAMES=700 TAP_PLUMB_TRAFFIC_FRAMES=200000"
REDRAW = 1  # seconds


class Machine:
    """One kernel with the tests."""

    def __init__(self, unpacked, archive, work, kept):
        self.label = unpacked.folder.name.partition("_")[2]
        directory = work / self.label
        directory.mkdir()
        initramfs = filesystem.for_kernel(unpacked, archive, directory)
        self.console, self.output = (kept / f"{self.label}.{name}" for name in ("console", "output"))
        for log in (self.console, self.output):
            log.write_bytes(b"")
        self.begun = time.monotonic()
        self.process = Process("QEMU", [
            "qemu-system-x86_64", "-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", CPU, "-m", MEMORY,
            "-smp", CPUS, "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{self.console}",
            "-serial", f"file:{self.output}", "-kernel", unpacked.image, "-initrd", initramfs, "-append",
            f"console=ttyS0 panic=-1 quiet mitigations=off {SETTINGS}",
        ], kept / f"{self.label}.qemu")

    def seconds(self):
        return time.monotonic() - self.begun

    def runs(self):
        """Whether it goes on; one that takes too long is ended."""
        if self.process.ended() is None and self.seconds() > LIMIT:
            self.process.stop()
        return self.process.ended() is None

    def doing(self):
        """What it is at."""
        begun = [line.split()[2] for line in self.text().splitlines() if line.startswith("== begin ")]
        return begun[-1] if begun else "boot"

    def text(self):
        return self.output.read_text(errors="replace")

    def result(self):
        return Result(self.label, self.text(), self.seconds(), self.console, self.output)


class Progress:
    """A line a guest on a terminal, rewritten while it runs; elsewhere a line when it ends."""

    def __init__(self):
        self.lines = 0
        self.drawn = 0

    def draw(self, running):
        if sys.stdout.isatty() and time.monotonic() - self.drawn > REDRAW:
            self.clear()
            for machine in running:
                print(f"  {machine.label}: {machine.doing()} ({machine.seconds():.0f} s)")
            self.lines, self.drawn = len(running), time.monotonic()

    def clear(self):
        """Goes back over the lines of the last time."""
        print("\x1b[F\x1b[K" * self.lines, end="", flush=True)
        self.lines = 0

    def ended(self, result):
        self.clear()
        print(f"  {result.label}: {result.verdict} ({result.seconds:.0f} s)", flush=True)


def run(kernels, archive, work, kept):
    """The results of all kernels, in their order."""
    waiting, running, results = list(kernels), [], {}
    progress = Progress()
    try:
        while waiting or running:
            while waiting and len(running) < AT_A_TIME:
                running.append(Machine(waiting.pop(0), archive, work, kept))
            time.sleep(0.2)
            for machine in [machine for machine in running if not machine.runs()]:
                running.remove(machine)
                results[machine.label] = machine.result()
                progress.ended(results[machine.label])
            progress.draw(running)
    finally:
        for machine in running:
            machine.process.stop()
    return [results[unpacked.folder.name.partition("_")[2]] for unpacked in kernels]
