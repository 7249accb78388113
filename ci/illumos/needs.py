#!/usr/bin/env python3
"""Says what a package's own code needs of the system, and refuses what is too new or not there.

    needs.py --newest VERSION --list LIST --std PROGRAM [--known FOLDER...] FILE...

FILE is a linked program (its dynamic symbols have versions) or an rlib (its names are looked up in LIST, which
finds also what the linker drops). What PROGRAM, an empty one, needs is std's affair and does not count. Names that the
archives in the --known folders define are not the system's.
"""

import argparse
import csv
import pathlib
import re
import subprocess
import sys

MANGLED = re.compile(r"_(R|ZN)|anon\.|rust_|__rust|__rdl_|__rg_|DW\.ref|_GLOBAL_OFFSET_TABLE_|_Unwind_")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_list(table):
    with table.open(newline="") as lines:
        return {name: version for _, name, version, _ in csv.reader(lines, delimiter="\t")}


def of_program(path):
    """{name: version}; the version is None where there is none."""
    needed = {}
    for line in output_of("readelf", "--dyn-syms", "--wide", path).splitlines():
        words = line.split()
        if len(words) >= 8 and words[6] == "UND":
            name, _, version = words[7].partition("@")
            needed[name] = version or None
    return needed


def names(path, which):
    # nm has no more to say of members without symbols
    result = subprocess.run(["nm", which, "--format=just-symbols", path], capture_output=True, text=True)
    return {line for line in result.stdout.splitlines() if line and not line.endswith(":")}


def of_archive(path, versions, known):
    needed = names(path, "--undefined-only") - names(path, "--defined-only") - known
    return {name: versions.get(name) for name in needed if not MANGLED.match(name)}


def is_too_new(version, newest):
    series, number = newest.rsplit(".", 1)
    found = re.fullmatch(re.escape(series) + r"\.(\d+)", version)
    return bool(found) and int(found[1]) > int(number)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--newest", required=True)
    arguments.add_argument("--list", type=pathlib.Path, required=True)
    arguments.add_argument("--std", type=pathlib.Path, required=True)
    arguments.add_argument("--known", type=pathlib.Path, nargs="+", default=[])
    arguments.add_argument("file", type=pathlib.Path, nargs="+")
    given = arguments.parse_args()

    versions = read_list(given.list)
    known = {name for folder in given.known for rlib in folder.glob("*.rlib") for name in names(rlib, "--defined-only")}
    std = of_program(given.std)
    complaints, own = [], {}
    for path in given.file:
        needed = of_archive(path, versions, known) if path.suffix == ".rlib" else of_program(path)
        for name in sorted(needed.keys() - std.keys()):
            own[name] = version = needed[name]
            if version is None or name not in versions:
                complaints.append(f"{path.name}: {name} is not in the system")
            elif is_too_new(version, given.newest):
                complaints.append(f"{path.name}: {name} is of {version}, newer than {given.newest}")
    if complaints:
        sys.exit("\n".join(complaints))
    print(f"own code needs, beyond std: {' '.join(f'{name}@{version}' for name, version in sorted(own.items())) or 'nothing'}")


if __name__ == "__main__":
    main()
