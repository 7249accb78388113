"""The host's interface goes down, or away, while the guest talks to the host."""

import contextlib
import os
import socket
import threading
import time

from processes import run
from steps import Failed, step, until
from traffic import connect

ECHO = 7
BLOCK = 64 << 10
OUTAGE = 0.5  # seconds; the kernel's next try comes up to as long after it
SILENCE = 60  # seconds until a connection counts as dead


class Conversation:
    """One connection on which the guest sends back all it gets; it goes on by a thread."""

    def __init__(self, guest):
        self.blocks, self.failure, self.stopping = 0, None, False
        self.connection = connect(guest.net.guest4, ECHO)
        self.connection.settimeout(SILENCE)
        self.thread = threading.Thread(target=self.talk, daemon=True)
        self.thread.start()

    def talk(self):
        try:
            returned = self.connection.makefile("rb")
            while not self.stopping:
                block = os.urandom(BLOCK)
                self.connection.sendall(block)
                if returned.read(BLOCK) != block:
                    raise Failed("the guest sent back something else")
                self.blocks += 1
        except (Failed, OSError) as failure:
            self.failure = failure

    def goes_on(self):
        """Waits for blocks that were sent from now on."""
        goal = self.blocks + 3

        def probe():
            if self.failure:
                raise Failed(f"the guest's connection ended: {self.failure}")
            return self.blocks

        until(f"{goal} blocks sent back", probe, lambda blocks: blocks >= goal)

    def stop(self):
        self.stopping = True
        with contextlib.suppress(OSError):  # it may have failed before
            self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(SILENCE)
        self.connection.close()


@contextlib.contextmanager
def conversation(guest):
    talk = Conversation(guest)
    try:
        talk.goes_on()
        yield talk
        talk.goes_on()
    finally:
        talk.stop()


def down_and_up(guest):
    """Down is a pause: frames of either side come through again afterwards."""
    with step("link down and up under traffic", 60), conversation(guest):
        run(["ip", "link", "set", guest.net.tap, "down"])
        time.sleep(OUTAGE)
        run(["ip", "link", "set", guest.net.tap, "up"])


def removed(guest, daemon):
    """The daemon makes the interface again, with its addresses, and the guest's connection outlives that."""
    with step("interface removed and attached again under traffic", 60), conversation(guest):
        run(["ip", "link", "del", guest.net.tap])
        daemon.wait_event("gone")
        daemon.wait_event("reattached")
    with step("the guest speaks first to the new interface", 60):
        for command, address in (("ping", guest.net.host4), ("ping6", guest.net.host6)):
            guest.run(f"{command} -c 1 -W 20 {address}")
