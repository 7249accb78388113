"""The guest's kernel and initial file system, from Debian's packages."""

import gzip
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from processes import run
from steps import Failed

KERNEL = "linux-image-cloud-amd64"  # names the real package, whose version changes
NEEDED_MODULES = ("virtio_pci", "virtio_net")
PROGRAMS = ("busybox", "iperf3", "ethtool")


def cached_kernel():
    """The folder of an unpacked kernel package; any version does, so the newest there is, else it is downloaded."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = pathlib.Path(base) / "tap-plumb/e2e"
    cache.mkdir(parents=True, exist_ok=True)
    kernels = sorted(cache.glob("linux-image-*/boot/vmlinuz-*"), key=lambda kernel: kernel.stat().st_mtime)
    return kernels[-1].parents[1] if kernels else download_kernel(cache)


def download_kernel(cache):
    depends = re.search(r"Depends: (linux-image-\S+)", run(["apt-cache", "depends", KERNEL]))
    if not depends:
        raise Failed(f"apt-cache knows no package that {KERNEL} names; try apt-get update")
    # unpacked elsewhere and moved when whole: a run that is cut short leaves nothing that passes for a kernel
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=cache) as work:
        print(f"e2e: downloading {depends[1]}", flush=True)
        run(["apt-get", "download", "-q", depends[1]], cwd=work)
        package, = pathlib.Path(work).glob("*.deb")
        run(["dpkg", "-x", package, f"{work}/root"])
        folder = cache / depends[1]
        try:
            os.rename(f"{work}/root", folder)
        except OSError:  # another run was quicker
            if not folder.exists():
                raise
    return folder


def boot_files(kernel_folder, directory):
    """Builds the initial file system below `directory`; gives the paths of kernel and file system."""
    kernel, = (kernel_folder / "boot").glob("vmlinuz-*")
    root = directory / "root"
    for folder in ("bin", "dev", "proc", "sys", "tmp", "modules"):
        (root / folder).mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).parent / "init", root / "init")
    for program in PROGRAMS:
        copy_program(shutil.which(program), root)
    copy_modules(kernel_folder, root / "modules")
    return kernel, pack(root, directory / "initramfs")


def copy_program(path, root):
    """A program with the shared libraries it names, if any."""
    shutil.copy(path, root / "bin")
    libraries = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    for library in re.findall(r"(/\S+) \(0x", libraries.stdout):
        target = root / library[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def copy_modules(kernel_folder, target):
    """What a virtio-net card needs, in the order in which insmod takes it (the package has no modules.dep)."""
    found = {path.name.partition(".")[0].replace("-", "_"): path for path in kernel_folder.glob("lib/modules/**/*.ko*")}
    order = []

    def add(name):
        if name in order or name not in found:  # not found: built into this kernel
            return
        content = found[name].read_bytes()
        if found[name].suffix == ".xz":
            content = lzma.decompress(content)
        for needed in re.search(rb"\0depends=([^\0]*)\0", content)[1].decode().split(","):
            add(needed.replace("-", "_"))
        (target / f"{name}.ko").write_bytes(content)
        order.append(name)

    for name in NEEDED_MODULES:
        add(name)
    (target / "order").write_text("".join(f"{name}\n" for name in order))


def pack(root, archive):
    names = subprocess.run(["find", "."], cwd=root, stdout=subprocess.PIPE, check=True).stdout
    packed = subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=True).stdout
    archive.write_bytes(gzip.compress(packed, compresslevel=1))
    return archive
