"""What the tests need of this machine, and the way into a network namespace. QEMU of another suite of Debian comes into a folder of
its own: nothing of the machine's is replaced.
"""

import json
import os
import shutil
import subprocess

import kernel
from apt import Apt, mirrors, source
from processes import run
from steps import Failed, Skipped

QEMU = "qemu-system-x86_64"
# program: Debian's package
PROGRAMS = {QEMU: "qemu-system-x86", "busybox": "busybox-static", "iperf3": "iperf3", "ethtool": "ethtool",
            "ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux", "dpdk-testpmd": "dpdk-dev"}
BACKPORTS = "-backports"
# the machine's own loader runs the program, and needs the C library that belongs to it
LEFT_OUT = ("libc6_", "libc-bin_", "libc-l10n_", "libcrypt1_", "libgcc-s1_")
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


def put_first(suite):
    """Makes QEMU of `suite` the one that is found by its name; says its version."""
    cache = kernel.cache_folder("qemu") / suite
    root = cache / "root"
    shutil.rmtree(root, ignore_errors=True)
    for package in download(suite, cache):
        if not package.name.startswith(LEFT_OUT):
            run(["dpkg-deb", "-x", package, root])
    programs = root / "first"
    programs.mkdir()
    wrap(root, programs / QEMU)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    version = subprocess.run([QEMU, "--version"], check=False, capture_output=True, text=True)
    if version.returncode:
        raise Failed(f"QEMU of {suite} does not run: {version.stderr.strip()}")
    print(f"  {version.stdout.splitlines()[0]}", flush=True)


def download(suite, cache):
    """The files of QEMU's package and of all that it depends on."""
    main, security = mirrors()
    base = suite.removesuffix(BACKPORTS)
    sources = [source(main, base), source(security, f"{base}-security"), source(main, f"{base}{BACKPORTS}")]
    apt = Apt(cache / "apt", sources)
    apt.update()
    archives = apt.folder / "cache" / "archives"
    for old in archives.glob("*.deb"):
        old.unlink()
    apt.run("apt-get", "install", "-qq", "--download-only", "--no-install-recommends", "-t", suite, "qemu-system-x86")
    return sorted(archives.glob("*.deb"))


def wrap(root, program):
    """A program that runs the unpacked one with the libraries that were unpacked with it."""
    libraries = ":".join(str(root / folder) for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
    program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {root / "usr/bin" / QEMU} "$@"\n')
    program.chmod(0o755)
