"""QEMU of another suite of Debian, in a folder of its own: nothing of the machine's is replaced."""

import os
import pathlib
import shutil
import subprocess

import kernel
from apt import Apt, mirrors, source
from prepare import QEMU
from processes import run
from steps import Failed

BACKPORTS = "-backports"
# the machine's own loader runs the program, and needs the C library that belongs to it
LEFT_OUT = ("libc6_", "libc-bin_", "libc-l10n_", "libcrypt1_", "libgcc-s1_")


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
