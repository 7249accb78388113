"""QEMU's own TAP backend, on the descriptors that the example `run` hands it."""

import contextlib
import os

import guests
import network
import traffic
from guest import Guest
from steps import begin, step, until

# each way by its number of queues
WAYS = {"handed": 1, "handed-queues": 2}
PROGRAM = "TAP_PLUMB_RUN"  # where `prepare` has told the path of the example


def test(name, boot_files, directory):
    """A guest's life on descriptors that QEMU did not open; the network namespace is this process's."""
    begin(name)
    net, queues = network.Net("tap0", 0), WAYS[name]
    before = [os.environ[PROGRAM], "--tap", net.tap, "--queues", queues, "--header", "12", "--up",
              "--address", f"{net.host4}/24", "--address", f"{net.host6}/64", "--"]
    device = guests.DEVICE + (",mq=on" if queues > 1 else "")
    arguments = ["-netdev", "tap,id=net,fds={fds},vhost=off", "-device", device]
    with contextlib.ExitStack() as running:
        with step("boot", 120):
            guest = running.enter_context(Guest(boot_files, directory, net, arguments, queues, before))
            guest.wait_ready()
        if queues > 1:
            guests.check_queues(guest, queues)
        traffic.everything(guest)
        with step("end", 30):
            guest.stop()
            until(f"the end of {net.tap}", network.interfaces, lambda seen: net.tap not in seen)
