"""A guest under QEMU, and the line to its shell."""

import re
import socket
import time

from processes import Process
from steps import Failed, until

MEMORY = "256M"


class Guest:
    """One virtual machine; `network` are QEMU's arguments for netdev and device, and `before` the words before QEMU's own."""

    def __init__(self, boot_files, directory, net, network, cpus=1, before=()):
        self.console = directory / "console"
        self.control = directory / "control"
        self.net = net
        kernel, initramfs = boot_files
        # -cpu max boots as quickly as any; romfile= (in `network`) and -nodefaults save what is not used
        self.process = Process("QEMU", [
            *before, "qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-smp", cpus,
            "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{self.console}",
            "-chardev", f"socket,id=control,path={self.control},server=on,wait=off", "-serial", "chardev:control",
            "-kernel", kernel, "-initrd", initramfs, "-append",
            f"console=ttyS0 panic=-1 quiet mitigations=off ip4={net.guest4}/24 ip6={net.guest6}/64", *network,
        ], directory / "qemu.log")
        self.line = None

    def wait_ready(self):
        until("GUEST-READY on the console", lambda: self.output()[-200:], lambda output: "GUEST-READY" in output)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(self.control))

    def output(self):
        self.process.must_run()
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def run(self, command):
        """What a shell command in the guest wrote; fails with it if it does not end with 0."""
        self.line.sendall(command.encode() + b"\n")
        answer = b""
        while not (end := re.search(rb"==STATUS (\d+)==\r?\n", answer)):
            part = self.line.recv(65536)
            if not part:
                time.sleep(0.1)
                self.process.must_run()
                raise Failed("the guest's control line was closed")
            answer += part
        text = answer[:end.start()].decode(errors="replace").replace("\r", "")
        if end[1] != b"0":
            raise Failed(f"the guest's '{command}' ends with {end[1].decode()}: {text.strip()}")
        return text

    def stop(self):
        if self.line:
            self.line.close()
        return self.process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
