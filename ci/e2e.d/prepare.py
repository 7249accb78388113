"""What the tests need of this machine, and the way into a network namespace."""

import json
import os
import shutil
import subprocess

from processes import run
from steps import Failed, Skipped

QEMU = "qemu-system-x86_64"
# program: Debian's package
PROGRAMS = {QEMU: "qemu-system-x86", "busybox": "busybox-static", "iperf3": "iperf3", "ethtool": "ethtool",
            "ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux", "dpdk-testpmd": "dpdk-dev"}
MANIFEST = "examples/vhost-user-net/Cargo.toml"
PROGRAM = "tap-plumb-vhost-user"


def install_programs(programs=None):
    """Installs what is missing of {program: Debian's package}."""
    programs = programs or PROGRAMS
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    install = ["apt-get", "install", "-yqq", "--no-install-recommends", *sorted({programs[name] for name in missing})]
    if os.getuid() == 0 and shutil.which("apt-get"):
        run(["apt-get", "update", "-qq"])
        run(install, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    elif QEMU in missing:
        raise Skipped(f"QEMU is missing; install with: sudo apt-get update && sudo {' '.join(install)}")
    else:
        raise Failed(f"missing: {' '.join(missing)}; install with: sudo apt-get update && sudo {' '.join(install)}")


def build_daemon():
    """The path of the daemon, built."""
    return build(PROGRAM, "--release", "--manifest-path", MANIFEST)


def build_bare():
    """The path of the daemon's benchmark beside bare system calls, built."""
    return build("transmit", "--release", "--manifest-path", MANIFEST, "--bench", "transmit")


def build_run():
    """The path of the example that runs a command with a TAP, built."""
    return build("run", "--example", "run")


def build(program, *arguments):
    built = subprocess.run(["cargo", "build", "--quiet", "--message-format=json-render-diagnostics", *arguments],
                           stdout=subprocess.PIPE, check=False, text=True)
    if built.returncode:
        raise Failed(f"{program} does not build")
    messages = map(json.loads, built.stdout.splitlines())
    return next(message["executable"] for message in messages if message["reason"] == "compiler-artifact"
                and message["target"]["name"] == program and message["executable"])


def namespace():
    """The command that runs another in a network namespace of its own; it was tried, with a TAP."""
    unshare = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-Urn"]
    tried = subprocess.run([*unshare, "sh", "-c", ": <>/dev/net/tun"], stdin=subprocess.DEVNULL, check=False,
                           stderr=subprocess.PIPE, text=True)
    if tried.returncode:
        raise Skipped(f"no TAP here (root may try: modprobe tun; chmod 666 /dev/net/tun): {tried.stderr.strip()}")
    return unshare
