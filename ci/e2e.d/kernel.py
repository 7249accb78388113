"""Debian's kernels: found in the lists, fetched, unpacked into the user's cache; their modules."""

import dataclasses
import gzip
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from apt import Apt, order
from processes import run
from steps import Failed

IMAGE = "linux-image-"
# not the meta packages (two numbers at most), nor the unsigned and the debugging ones
NAMES = IMAGE + r"\d+\.\d+\.\d+\S*-cloud-amd64"
TRIES = 5
UNUSED = 60 * 24 * 3600  # seconds
# kept of a package, besides the kernel itself: what any of our guests may load
MODULES = ("drivers/net", "drivers/virtio", "net", "lib", "crypto", "arch", "fs/nls")


def cache_folder(user):
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = pathlib.Path(base) / "tap-plumb" / user
    cache.mkdir(parents=True, exist_ok=True)
    return cache


@dataclasses.dataclass(frozen=True)
class Offer:
    """A kernel that an apt has in its lists."""

    apt: Apt
    name: str
    version: str

    @property
    def label(self):
        return f"{self.name.removeprefix(IMAGE)} {self.version}"

    @property
    def upstream(self):
        """The kernel's own version, such as 6.1.192."""
        return re.match(r"[\d.]+", self.version)[0]


class Unpacked:
    """An unpacked kernel; `whole` tells whether it is one."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # in /boot up to 7.1, beside its modules later
        images = [*self.folder.glob("boot/vmlinuz-*"), *self.folder.glob("usr/lib/modules/*/vmlinuz")]
        self.image = images[0] if images else None
        self.modules = {path.name.partition(".")[0].replace("-", "_"): path
                        for path in self.folder.glob("**/modules/**/*.ko*")}

    @property
    def whole(self):
        return self.image is not None and "virtio_net" in self.modules


def cached(cache):
    """All whole kernels of the cache, the newest last."""
    kernels = [Unpacked(folder) for folder in cache.glob(f"{IMAGE}*") if folder.is_dir()]
    return sorted((kernel for kernel in kernels if kernel.whole), key=lambda kernel: order(kernel.folder.name))


def offered(*apts):
    """The kernels in the lists, the newest first."""
    offers = [Offer(apt, name, fields["Version"])
              for apt in apts for name, fields in apt.fields(apt.names(IMAGE, NAMES), "Version").items()]
    return sorted(offers, key=lambda offer: order(offer.version), reverse=True)


def newest(cache, offers):
    """The newest of `offers` that can be had: old names stay in the lists after their files have gone."""
    reasons = []
    for offer in offers[:TRIES]:
        try:
            return fetched(cache, offer)
        except Failed as failure:
            reasons.append(str(failure).splitlines()[-1])
            print(f"  {offer.label} is not to be had: {reasons[-1]}", flush=True)
    if not offers:
        raise Failed("the lists name no such kernel")
    raise Failed(f"none of {len(reasons)} kernels could be fetched: {reasons[-1]}")


def fetched(cache, offer):
    """The unpacked kernel of this package, from the cache or downloaded."""
    folder = cache / f"{offer.name}_{offer.version}"
    kernel = Unpacked(folder)
    if kernel.whole:
        os.utime(folder)
        return kernel
    # unpacked elsewhere and moved when whole: a run that is cut short leaves nothing that passes for a kernel
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=cache) as work:
        packages = parts(offer.apt, offer.name)
        print(f"  downloading {offer.label}", flush=True)
        root = pathlib.Path(work) / "root"
        for package in packages:
            offer.apt.download(package, work)
        for package in pathlib.Path(work).glob("*.deb"):
            run(["dpkg", "-x", package, root])
        thin_out(root)
        if not Unpacked(root).whole:
            raise Failed(f"{offer.label} and what it depends on hold no kernel with its modules")
        os.utime(root)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.rename(root, folder)
        except OSError:  # another run was quicker
            if not Unpacked(folder).whole:
                raise
    return Unpacked(folder)


def forget_unused(cache):
    """Removes kernels that nobody has booted for long: Debian makes new ones every week or two."""
    for folder in cache.glob(f"{IMAGE}*"):
        if time.time() - folder.stat().st_mtime > UNUSED:
            shutil.rmtree(folder, ignore_errors=True)


def parts(apt, name):
    """The package and those of the same kernel that it depends on: from 6.19 on, it is empty itself."""
    release = name.removeprefix(IMAGE)
    wanted, known = [name], set()
    while wanted:
        package = wanted.pop()
        known.add(package)
        found = apt.fields([package], "Depends").get(package)
        if not found:
            raise Failed(f"the lists lack {package}")
        others = re.findall(rf"linux-(?:binary|modules)-{re.escape(release)}(?![\w.+~-])", found["Depends"])
        wanted += [other for other in others if other not in known]
    return sorted(known)


def thin_out(root):
    """Keeps the kernel and the modules that matter here; the rest is most of the package."""
    for unused in (root / "usr/share", *root.glob("boot/System.map*"), *root.glob("**/lib/debug")):
        shutil.rmtree(unused, ignore_errors=True)
    for tree in root.glob("**/modules/*/kernel"):
        for module in list(tree.rglob("*.ko*")):
            if not str(module.relative_to(tree)).startswith(MODULES):
                module.unlink()


def copy_modules(kernel, names, target):
    """Modules with all they need, in the order in which insmod takes them (no package has a modules.dep)."""
    chosen = []

    def add(name):
        if name in chosen or name not in kernel.modules:  # not there: built into this kernel
            return
        content = unpacked(kernel.modules[name])
        for needed in re.search(rb"\0depends=([^\0]*)\0", content)[1].decode().split(","):
            add(needed.replace("-", "_"))
        (target / f"{name}.ko").write_bytes(content)
        chosen.append(name)

    for name in names:
        add(name)
    (target / "order").write_text("".join(f"{name}\n" for name in chosen))


def unpacked(module):
    """A module's bytes, whatever Debian packed it with."""
    content = module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(content)
    if module.suffix == ".gz":
        return gzip.decompress(content)
    if module.suffix == ".zst":
        return subprocess.run(["zstd", "-dc"], input=content, stdout=subprocess.PIPE, check=True).stdout
    return content
