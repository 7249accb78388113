"""The guest's initial file system, and the kernel beneath it."""

import gzip
import pathlib
import re
import shutil
import subprocess

import kernel
from apt import Apt

NEEDED_MODULES = ("virtio_pci", "virtio_net")
PROGRAMS = ("busybox", "iperf3", "ethtool")


def cached_kernel():
    """The folder of an unpacked kernel; any version does, so the newest of the cache, else one is downloaded."""
    cache = kernel.cache_folder("e2e")
    if known := kernel.cached(cache):
        return known[-1].folder
    apt = Apt(cache / "apt")
    apt.update()
    return kernel.newest(cache, kernel.offered(apt)).folder


def boot_files(kernel_folder, directory):
    """Builds the initial file system below `directory`; gives the paths of kernel and file system."""
    unpacked = kernel.Unpacked(kernel_folder)
    root = directory / "root"
    for folder in ("bin", "dev", "proc", "sys", "tmp", "modules"):
        (root / folder).mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).parent / "init", root / "init")
    for program in PROGRAMS:
        copy_program(shutil.which(program), root)
    kernel.copy_modules(unpacked, NEEDED_MODULES, root / "modules")
    return unpacked.image, pack(root, directory / "initramfs")


def copy_program(path, root, target="bin"):
    """A program with the shared libraries it names, if any."""
    shutil.copy(path, root / target)
    libraries = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    for library in re.findall(r"(/\S+) \(0x", libraries.stdout):
        target = root / library[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def pack(root, archive):
    names = subprocess.run(["find", "."], cwd=root, stdout=subprocess.PIPE, check=True).stdout
    packed = subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=True).stdout
    archive.write_bytes(gzip.compress(packed, compresslevel=1))
    return archive
