"""Everything that is counted must add up, and agree with what the kernels of host and guest counted."""

import network
from steps import check, until

# what becomes of a frame that is offered but not sent: the daemon offers it again, or it is lost
AGAIN = ("would_block", "interface_down", "gone")
LOST_IN_TRANSMIT = ("link_down", "no_buffer_space", "runt", "oversize", "rejected", "too_many_slices",
                    "io_error")
# what becomes of one that the crate is not offered
BEFORE_THE_CRATE = ("bad_chains", "not_agreed")
# what becomes of one that is received but not delivered
LOST_IN_RECEIVE = ("interrupted", "reset", "link_down", "stale", "truncated", "runt", "rejected", "refused")


def total(counters, names):
    return sum(counters[name] for name in names)


def check_sums(statistics):
    """Each frame has one fate, in each queue."""
    for queue in (statistics, *statistics["queues"]):
        transmit, receive = queue["transmit"], queue["receive"]
        fates = transmit["frames_sent"] + total(transmit, AGAIN + LOST_IN_TRANSMIT)
        check(transmit["frames_offered"] == fates, f"{transmit['frames_offered']} frames offered", transmit)
        fates = receive["frames_delivered"] + total(receive, LOST_IN_RECEIVE)
        check(receive["frames_received"] == fates, f"{receive['frames_received']} frames received", receive)


def to_the_guest(way, receive):
    """Frames as the guest sees them; a stream's are cut by the daemon, not by the library's threads."""
    return receive["segments_cut"] if way.stream else receive["frames_delivered"] - receive["not_agreed"]


class Account:
    """Compares the daemon's counters with those of the two kernels, from a moment on when the guest is there."""

    def __init__(self, way, daemon, guest):
        self.way, self.daemon, self.guest = way, daemon, guest
        # a stream begins when QEMU does, which drops what comes before the guest
        self.dropped_by_qemu = self.dropped_before_the_guest() if way.stream else 0

    def dropped_before_the_guest(self):
        def probe():
            counted = to_the_guest(self.way, self.daemon.statistics()["receive"])
            return counted - self.of_the_kernels(True)["guest rx_packets"]

        # twice the same: nothing is on its way
        return until("nothing on its way", lambda: (probe(), probe()), lambda seen: seen[0] == seen[1])[0]

    def of_the_daemon(self, statistics, guest_only):
        """What others must have counted as well: the guest, and unless `guest_only` the host."""
        transmit, receive = statistics["transmit"], statistics["receive"]
        counted = {
            "guest tx_packets": transmit["frames_sent"] + total(transmit, (*LOST_IN_TRANSMIT, *BEFORE_THE_CRATE)),
            "guest rx_packets": to_the_guest(self.way, receive) - self.dropped_by_qemu,
        }
        if not guest_only:
            # not of bytes to the guest: what was queued before it came is not read whole
            counted |= {"host rx_packets": transmit["segments_sent"], "host rx_bytes": transmit["bytes_sent"],
                        "host tx_packets": receive["frames_received"], "host tx_dropped": statistics["dropped_by_host"]}
        return counted

    def of_the_kernels(self, guest_only):
        """The same from the kernels."""
        inside = network.interfaces(self.guest.run("cat /proc/net/dev"))["eth0"]
        counted = {f"guest {name}": inside[name] for name in ("tx_packets", "rx_packets")}
        if not guest_only:
            host = network.interfaces()[self.guest.net.tap]
            counted |= {f"host {name}": host[name] for name in ("rx_packets", "rx_bytes", "tx_packets", "tx_dropped")}
        return counted

    def check_agreed(self, guest_only=False):
        """Compares until nothing is on its way; a kernel speaks up now and then. Gives the daemon's counters."""
        statistics = {}

        def differences():
            statistics.update(self.daemon.statistics())
            ours, theirs = self.of_the_daemon(statistics, guest_only), self.of_the_kernels(guest_only)
            return {name: f"{ours[name]}, by the kernel {theirs[name]}" for name in ours if ours[name] != theirs[name]}

        until("the daemon's counters to be the kernels'", differences, lambda different: not different)
        check_sums(statistics)
        return statistics


def check_undisturbed(way, statistics):
    """Oversized frames go over exactly when they were agreed to; a stream's are cut into segments; none is lost."""
    transmit, receive = statistics["transmit"], statistics["receive"]
    oversized = {"transmit": transmit["longer_than_1514"] > 0, "receive": receive["longer_than_1514"] > 0,
                 "cut": to_the_guest(way, receive) > receive["frames_delivered"]}
    expected = {"transmit": way.offloads, "receive": way.offloads or way.stream, "cut": way.stream}
    check(oversized == expected, f"oversized frames {expected}", statistics)
    lost = total(transmit, (*LOST_IN_TRANSMIT, *BEFORE_THE_CRATE, "bad_rings"))
    # stale is what the host sent before there was a guest
    lost += total(receive, (*LOST_IN_RECEIVE, "not_agreed", "bad_chains", "bad_rings")) - receive["stale"]
    check(lost == 0, "no frame lost", statistics)
    for queue in statistics["queues"]:
        used = queue["transmit"]["frames_sent"] and queue["receive"]["frames_delivered"]
        check(used, "every queue in use both ways", statistics)
