"""tap-plumb-vhost-user as a process, and the JSON lines it writes."""

import json
import signal

from processes import Process
from steps import check, until


class Daemon:
    """The backend of one guest, with a TAP of its own; `arguments` say how the hypervisor reaches it."""

    def __init__(self, program, directory, net, *arguments, addresses=True):
        host = ["--address", f"{net.host4}/24", "--address", f"{net.host6}/64"] if addresses else ["--up"]
        self.written = directory / "daemon.out"
        with open(self.written, "wb") as output:
            self.process = Process("the daemon", [
                program, *arguments, "--tap", net.tap, *host,
            ], directory / "daemon.log", stdout=output)

    def events(self, name):
        """All lines so far of one kind, oldest first."""
        # the last line may not be whole yet
        lines = self.written.read_text().split("\n")[:-1]
        return [line for line in map(json.loads, lines) if line["event"] == name]

    def wait_event(self, name, count=1):
        """The `count`th line of one kind."""
        def probe():
            self.process.must_run()
            return len(self.events(name))

        until(f"{count} events {name}", probe, lambda seen: seen >= count)
        return self.events(name)[count - 1]

    def statistics(self):
        """The counters of this moment."""
        number = len(self.events("statistics")) + 1
        self.process.signal(signal.SIGUSR1)
        return self.wait_event("statistics", number)

    def stop(self):
        """Asks it to end; gives the last counters."""
        status = self.process.stop()
        check(status == 0, "the daemon to end with 0", status)
        return self.events("statistics")[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()
