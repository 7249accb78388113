#!/usr/bin/env python3
"""Tests of how kernels are found: python3 -B ci/e2e.d/kernel_test.py. Packages are made on the spot, nothing is fetched."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import kernel
from steps import Failed

OLD = "linux-image-6.1.0-56-cloud-amd64"  # kernel and modules in one package
SPLIT = "linux-image-7.3.4+deb13-cloud-amd64"  # empty: what it depends on has both
MODULE = b"\0depends=\0"


class Packages:
    """An apt with a few packages; the files of some have gone."""

    def __init__(self, packages, gone=()):
        self.packages, self.gone = packages, gone

    def names(self, _, pattern):
        return [name for name in self.packages if re.fullmatch(pattern, name)]

    def fields(self, names, *wanted):
        return {name: {field: self.packages[name][0].get(field, "") for field in wanted}
                for name in names if name in self.packages}

    def download(self, name, folder):
        if name in self.gone:
            raise Failed(f"{name}: 404 Not Found")
        with tempfile.TemporaryDirectory() as root:
            (pathlib.Path(root) / "DEBIAN").mkdir()
            control = f"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: {name}\n"
            (pathlib.Path(root) / "DEBIAN/control").write_text(control)
            for path in self.packages[name][1]:
                file = pathlib.Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(MODULE)
            subprocess.run(["dpkg-deb", "--build", root, f"{folder}/{len(list(pathlib.Path(folder).iterdir()))}.deb"],
                           check=True, stdout=subprocess.DEVNULL)


def of_one_package(version):
    release = OLD.removeprefix("linux-image-")
    return {"Version": version}, [f"boot/vmlinuz-{release}",
                                  f"lib/modules/{release}/kernel/drivers/net/virtio_net.ko"]


def in_parts():
    release = SPLIT.removeprefix("linux-image-")
    depends = f"initramfs-tools, linux-base-{release} (= 1), linux-binary-{release} (= 1), linux-modules-{release} (= 1)"
    modules = f"usr/lib/modules/{release}"
    return {SPLIT: ({"Version": "7.3.4-1", "Depends": depends}, []),
            f"linux-binary-{release}": ({"Version": "7.3.4-1"}, [f"{modules}/vmlinuz"]),
            f"linux-modules-{release}": ({"Version": "7.3.4-1"}, [f"{modules}/kernel/drivers/net/virtio_net.ko"])}


class Kernels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name)

    def newest(self, apt):
        return kernel.newest(self.cache, kernel.offered(apt))

    def test_a_kernel_of_one_package_is_found(self):
        found = self.newest(Packages({OLD: of_one_package("6.1.192-2")}))
        self.assertEqual(found.image.parent.name, "boot")
        self.assertEqual(list(found.modules), ["virtio_net"])

    def test_a_kernel_in_parts_is_put_together(self):
        found = self.newest(Packages(in_parts()))
        self.assertEqual(found.image.name, "vmlinuz")
        self.assertTrue(found.whole)

    def test_a_kernel_whose_modules_have_gone_is_not_fetched(self):
        packages = in_parts()
        del packages[SPLIT.replace("image", "modules")]
        with self.assertRaisesRegex(Failed, "lack linux-modules"):
            self.newest(Packages(packages, gone=packages))

    def test_an_empty_folder_is_no_kernel(self):
        (self.cache / SPLIT).mkdir()
        (self.cache / f"{SPLIT}_7.3.4-1").mkdir()
        self.assertEqual(kernel.cached(self.cache), [])
        self.assertTrue(self.newest(Packages(in_parts())).whole)
        self.assertEqual(len(kernel.cached(self.cache)), 1)

    def test_a_package_without_a_kernel_leaves_nothing(self):
        with self.assertRaises(Failed):
            self.newest(Packages({OLD: ({"Version": "6.1.192-2"}, ["usr/share/doc/x"])}))
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_where_the_newest_is_gone_the_next_is_taken(self):
        found = self.newest(Packages({**in_parts(), OLD: of_one_package("6.1.192-2")}, gone=(SPLIT,)))
        self.assertTrue(found.folder.name.startswith(OLD))

    def test_the_newest_is_so_by_its_numbers(self):
        offers = kernel.offered(Packages({**in_parts(), OLD: of_one_package("6.12.9-1"),
                                          OLD.replace("56", "57"): of_one_package("6.12.10-1")}))
        self.assertEqual([offer.upstream for offer in offers], ["7.3.4", "6.12.10", "6.12.9"])

    def test_meta_and_unsigned_packages_are_no_kernels(self):
        names = ["linux-image-cloud-amd64", "linux-image-6.1-cloud-amd64", f"{OLD}-unsigned", f"{OLD}-dbg"]
        self.assertEqual(kernel.offered(Packages({name: ({"Version": "1"}, []) for name in names})), [])


if __name__ == "__main__":
    unittest.main()
