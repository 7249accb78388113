#!/usr/bin/env python3
"""Makes illumos' system libraries out of lists of their symbols.

    libraries.py OUT [--shim LIBRARY] SYMBOLS...

Each SYMBOLS is a list: library, name, version, size; later lists add to earlier ones. In OUT/lib appear shared
objects with illumos' file names, symbols and symbol versions. The linker resolves against them, and the loader
loads them when the program is run on Linux: every function is one jump, to `illumos_NAME` of the shim if the
shim has it, else to `illumos_missing`, which names the function and stops the process. OUT/link holds what only
the linker wants.
"""

import argparse
import csv
import pathlib
import shutil
import subprocess

# illumos gives these libraries another number than 1
SONAMES = {"libm": "libm.so.2", "libresolv": "libresolv.so.2"}
# a compiler's library, not a system's: at run time the host's own is the right one
LINK_ONLY = {"libgcc_s"}
# libc keeps -lposix4 as an old name of librt
ALIASES = {"libposix4": "librt"}


def soname(library):
    return SONAMES.get(library, f"{library}.so.1")


def read_symbols(tables):
    """{library: {symbol: (version, size)}}; size is None for a function."""
    libraries = {}
    for table in tables:
        with table.open(newline="") as lines:
            for library, name, version, size in csv.reader(lines, delimiter="\t"):
                symbols = libraries.setdefault(library, {})
                if name in symbols:
                    raise SystemExit(f"{table}: {name} is listed twice")
                symbols[name] = (version, None if size == "-" else int(size))
    return libraries


def exported_by(shim):
    """The functions the shim implements, without their prefix."""
    listing = subprocess.run(["nm", "--dynamic", "--defined-only", shim], check=True, capture_output=True, text=True)
    names = (line.split()[-1] for line in listing.stdout.splitlines())
    return {name.removeprefix("illumos_") for name in names if name.startswith("illumos_")}


def data(name, size):
    return f".bss\n.balign 16\n{name}: .zero {size}\n.type {name},@object\n.size {name},{size}\n"


def function(name, body):
    return f".text\n{name}: {body}\n.type {name},@function\n.size {name},.-{name}\n"


def jump(name):
    return f"jmp *illumos_{name}@GOTPCREL(%rip)"


def trap(name):
    # a jump, so that the stack is as aligned as the caller left it for a call
    return f"lea 1f(%rip),%rdi\n{jump('missing')}\n.section .rodata\n1: .asciz \"{name}\"\n.text"


def assembly(symbols, implemented):
    parts = [".section .note.GNU-stack,\"\",@progbits\n"]
    for name, (_, size) in symbols.items():
        parts.append(f".globl {name}\n")
        if size is not None:
            parts.append(data(name, size))
        elif implemented is None:
            parts.append(function(name, "ud2"))
        else:
            parts.append(function(name, jump(name) if name in implemented else trap(name)))
    return "".join(parts)


def version_script(symbols):
    versions = {}
    for name, (version, _) in symbols.items():
        versions.setdefault(version, []).append(name)
    return "".join(f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in versions.items())


def run(*command):
    subprocess.run(command, check=True)


def build(library, symbols, folder, shim, implemented):
    stem = folder / library
    source, script, unit = (stem.with_suffix(suffix) for suffix in (".s", ".map", ".o"))
    source.write_text(assembly(symbols, implemented))
    script.write_text(version_script(symbols))
    run("as", "--64", "-o", unit, source)
    # by -l and not by its path, so that the loader looks for it where it found this library
    needed = ["-L", shim.parent, f"-l:{shim.name}"] if shim else []
    run("ld", "-m", "elf_x86_64", "-shared", "-z", "nodelete", "-soname", soname(library), "--version-script", script,
        "-o", folder / soname(library), unit, *needed)
    for scaffold in (source, script, unit):
        scaffold.unlink()


def link_names(libraries, lib, link):
    for library in libraries:
        folder = link if library in LINK_ONLY else lib
        (link / f"{library}.so").symlink_to((folder / soname(library)).resolve())
    for alias, library in ALIASES.items():
        (link / f"{alias}.so").symlink_to((lib / soname(library)).resolve())
    # gcc's stack protector lives in libc on illumos; rustc asks for the archive all the same
    (link / "libssp.a").write_bytes(b"!<arch>\n")
    run("as", "--64", "-o", link / "crt1.o", pathlib.Path(__file__).with_name("crt1.s"))


def refuse_unknown(implemented, tables):
    """A name that no system has is a misspelt one: nothing would ever call it."""
    everywhere = {sibling for table in tables for sibling in table.resolve().parent.glob("*.tsv")}
    # two lists may have the same name in one library
    known = {name for table in everywhere for symbols in read_symbols([table]).values() for name in symbols}
    unknown = implemented - known - {"missing"}
    if unknown:
        raise SystemExit(f"the shim implements what no system has: {' '.join(sorted(unknown))}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--shim", type=pathlib.Path)
    arguments.add_argument("symbols", type=pathlib.Path, nargs="+")
    given = arguments.parse_args()

    lib, link = given.out / "lib", given.out / "link"
    for folder in (lib, link):
        folder.mkdir(parents=True)
    if given.shim:
        shutil.copy(given.shim, lib)
    implemented = exported_by(given.shim) if given.shim else None
    libraries = read_symbols(given.symbols)
    for library, symbols in libraries.items():
        if library in LINK_ONLY:
            build(library, symbols, link, None, None)
        else:
            build(library, symbols, lib, given.shim, implemented)
    link_names(libraries, lib, link)
    if implemented is not None:
        refuse_unknown(implemented, given.symbols)
        names = {name for symbols in libraries.values() for name in symbols}
        print(f"{given.out.name}: {len(names)} symbols in {len(libraries)} libraries, {len(names & implemented)} implemented")



if __name__ == "__main__":
    main()
