"""What the guests run: the crate's test binaries, built as users build the crate but with debug assertions; and their initial
file system, one for all kernels, with an archive of modules for each appended.
"""

import json
import pathlib
import shutil
import subprocess

import kernel
from image import copy_program, pack
from steps import Failed

# `engine` has no kernel in it. The probe is last: it takes the longest.
TESTS = ("inherited", "gso", "no_allocation", "linux", "programs", "example_guest", "oracle", "probe")
EXAMPLES = ("guest",)
PROFILE = {"inherits": '"release"', "debug-assertions": "true", "debug": "false", "strip": "true"}

MODULES = ("tun", "bridge", "macvtap", "veth", "dummy")
PROGRAMS = ("busybox", "ip", "unshare")
# dash is its own; busybox' shell would run busybox' own `ip` whatever PATH says
NOT_OF_BUSYBOX = ("sh", "ash", "ip", "unshare", "init")
FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "run", "root", "etc", "modules", "tests/deps", "tests/examples")


def built():
    """{name: path} of tests and examples."""
    settings = [word for key, value in PROFILE.items() for word in ("--config", f"profile.kernels.{key}={value}")]
    targets = [word for kind, names in (("--test", TESTS), ("--example", EXAMPLES)) for name in names
               for word in (kind, name)]
    # not `test --no-run`, which would make a test of the example
    build = subprocess.run(["cargo", "build", "--quiet", "--message-format=json-render-diagnostics", *settings,
                            "--profile", "kernels", *targets], stdout=subprocess.PIPE, check=False, text=True)
    if build.returncode:
        raise Failed("the tests do not build")
    messages = (json.loads(line) for line in build.stdout.splitlines())
    artifacts = (message for message in messages if message["reason"] == "compiler-artifact")
    paths = {artifact["target"]["name"]: pathlib.Path(artifact["executable"]) for artifact in artifacts
             if artifact["executable"] and artifact["target"]["name"] in TESTS + EXAMPLES}
    if missing := set(TESTS + EXAMPLES) - set(paths):
        raise Failed(f"cargo built no {' '.join(sorted(missing))}")
    return paths


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
