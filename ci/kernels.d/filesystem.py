"""The guests' initial file system: one for all kernels, and an archive of modules for each, appended."""

import pathlib
import shutil
import subprocess

import kernel
from binaries import TESTS
from image import copy_program, pack

MODULES = ("tun", "bridge", "macvtap", "veth", "dummy")
PROGRAMS = ("busybox", "ip", "unshare")
# dash is its own; busybox' shell would run busybox' own `ip` whatever PATH says
NOT_OF_BUSYBOX = ("sh", "ash", "ip", "unshare", "init")
FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "run", "root", "etc", "modules", "tests/deps", "tests/examples")


def common(binaries, directory):
    """Everything but the modules."""
    root = directory / "root"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).parent / "init", root / "init")
    for program in PROGRAMS:
        copy_program(shutil.which(program), root)
    copy_program(shutil.which("dash"), root, "bin/sh")
    for applet in subprocess.run(["busybox", "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split():
        if applet not in NOT_OF_BUSYBOX and not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")
    for name, path in binaries.items():
        copy_program(path, root, f"tests/deps/{name}" if name in TESTS else f"tests/examples/{name}")
    (root / "tests/order").write_text("".join(f"{name}\n" for name in TESTS))
    return pack(root, directory / "common")


def for_kernel(unpacked, archive, directory):
    """The whole file system of one kernel, in its directory."""
    root = directory / "root"
    (root / "modules").mkdir(parents=True)
    kernel.copy_modules(unpacked, MODULES, root / "modules")
    modules = pack(root, directory / "modules")
    whole = directory / "initramfs"
    with open(whole, "wb") as output:
        for part in (archive, modules):
            output.write(part.read_bytes())
    return whole
