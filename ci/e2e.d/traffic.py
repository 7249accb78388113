"""What goes over the network under test: each function fails unless all of it arrives whole."""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import time

from processes import run
from steps import Failed, check, step, until

TRANSFER = 16 << 20  # bytes


def ping(guest):
    net = guest.net
    for address, command in ((net.guest4, "ping"), (net.guest6, "ping6")):
        # the second size needs fragments both ways
        for size in (56, 4000):
            output = run(["busybox", command, "-c", "3", "-i", "0.2", "-W", "20", "-s", size, address])
            check(" 0% packet loss" in output, "no loss", output)


def transfer(guest, address, port=9):
    """Random bytes to the guest, which sums them, and back."""
    sent = os.urandom(TRANSFER)
    guest.run(f"nc -l -p {port} </dev/null >/tmp/www/random &")
    with connect(address, port) as connection:
        connection.sendall(sent)
    guest.run("wait $!")
    expected, seen = hashlib.md5(sent).hexdigest(), guest.run("md5sum /tmp/www/random").split()[0]
    check(seen == expected, f"md5 {expected} in the guest", seen)
    guest.run(f"nc -l -p {port} </tmp/www/random >/dev/null &")
    with connect(address, port) as connection:
        returned = receive_all(connection)
    compare(sent, returned)
    return sent


def fetch(address, expected):
    """The file that `transfer` left, by HTTP."""
    server = http.client.HTTPConnection(address, 80)  # without the port, the end of an IPv6 address is one
    server.request("GET", "/random")
    response = server.getresponse()
    check(response.status == 200, "status 200", response.status)
    compare(expected, response.read())
    server.close()


def compare(expected, seen):
    if seen != expected:
        same = len(os.path.commonprefix([expected, seen]))
        raise Failed(f"expected the {len(expected)} bytes that were sent, saw {len(seen)}, the first {same} alike")


def connect(address, port):
    """A connection to a server of the guest that may not listen yet."""
    while True:
        try:
            return socket.create_connection((address, port))
        except ConnectionRefusedError:
            time.sleep(0.1)


def receive_all(connection):
    received = bytearray()
    while part := connection.recv(1 << 20):
        received += part
    return bytes(received)


def iperf(address, *options, seconds=1):
    """Bytes and Gbit/s that arrived."""
    def probe():
        result = subprocess.run(["iperf3", "-J", "-c", address, "-t", str(seconds), *options], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, check=False)
        return json.loads(result.stdout)

    # for a moment after a test the server takes no other
    report = until("iperf3 to end without an error", probe, lambda report: "error" not in report)
    received = report["end"]["sum_received"]
    return received["bytes"], received["bits_per_second"] / 1e9


def everything(guest):
    """All kinds of traffic, as steps."""
    net = guest.net
    with step("ping, ping6", 60):
        ping(guest)
    with step("16 MiB both ways over IPv4", 60):
        transfer(guest, net.guest4)
    with step("16 MiB both ways over IPv6", 60):
        sent = transfer(guest, net.guest6)
    with step("HTTP over IPv4 and IPv6", 60):
        fetch(net.guest4, sent)
        fetch(net.guest6, sent)
    with step("iperf3 both ways", 60):
        rates = iperf(net.guest4)[1], iperf(net.guest4, "-R")[1]
    print(f"  iperf3: {rates[0]:.2f} Gbit/s to the guest, {rates[1]:.2f} Gbit/s from it", flush=True)
