"""Processes that are ended by their ids, whatever happens to the one that started them."""

import os
import signal
import subprocess

from steps import Failed

GRACE = 10  # seconds between being asked to end and being ended


class Process:
    """A process of its own session, so that ^C at the terminal leaves the order of the end to us.

    The kernel ends it when we are killed.
    """

    def __init__(self, name, arguments, log, **options):
        self.name, self.log = name, log
        with open(log, "ab") as output:
            options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **options}
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, arguments)],
                                          start_new_session=True, **options)

    def signal(self, number):
        self.child.send_signal(number)

    def ended(self):
        """Its exit status (negative: the signal), or None while it runs."""
        return self.child.poll()

    def must_run(self):
        if self.ended() is not None:
            raise Failed(f"{self.name} has ended with {self.ended()}")

    def stop(self):
        """Asks it to end, insists after a while, and gives its exit status."""
        if self.ended() is None:
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def cpu_seconds(self):
        """User and system time so far."""
        fields = open(f"/proc/{self.child.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def tail(self, lines=25):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().splitlines()[-lines:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def run(arguments, **options):
    """Runs a command to its end; gives what it wrote, or fails with it."""
    result = subprocess.run(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False, **options)
    if result.returncode:
        raise Failed(f"{' '.join(map(str, arguments))} ends with {result.returncode}: {result.stdout.strip()}")
    return result.stdout
