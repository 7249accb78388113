#!/usr/bin/env python3
"""Runs a package's whole test suite for foreign targets and accounts for every test.

    suite.py LINUX_ONLY TARGET...

Each test of the native build must run for each target, but for those of LINUX_ONLY: a line has the test's program and
name (either may end in *) and, after them, the reason. A line that no longer fits is an error as well. The cargo for the
targets is $CARGO with its variables as `prepare` prints them, the native one is plain cargo.
"""

import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

TIME_LIMIT = 900  # seconds for all tests of a target
VARIABLES_OF_PREPARE = ("CARGO", "RUSTC", "RUSTDOC", "CARGO_TARGET_DIR")


class Failed(Exception):
    pass


def native_environment():
    return {name: value for name, value in os.environ.items() if name not in VARIABLES_OF_PREPARE}


def build(cargo, environment, arguments):
    """Builds all tests; gives [(target or None, test program's name, executable)]."""
    command = [cargo, "test", "--no-run", "--message-format=json-render-diagnostics", "--quiet", *arguments]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise Failed(f"{' '.join(command)} failed")
    messages = (json.loads(line) for line in result.stdout.splitlines() if line.startswith("{"))
    return [(message["target"]["name"], pathlib.Path(message["executable"]), pathlib.Path(message["manifest_path"]).parent)
            for message in messages
            if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]]


def list_tests(programs, runner):
    """{(program, test)} by asking each program."""
    tests = set()
    for name, executable, folder in programs:
        command = [*runner, executable, "--list", "--format", "terse"]
        listing = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, timeout=60)
        if listing.returncode:
            raise Failed(f"{executable.name} --list ends with {listing.returncode}")
        tests |= {(name, line.removesuffix(": test")) for line in listing.stdout.splitlines() if line.endswith(": test")}
    return tests


def read_linux_only(path):
    """[(line number, program pattern, test pattern)]"""
    patterns = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            words = line.split(maxsplit=2)
            if len(words) < 3:
                raise Failed(f"{path.name}:{number}: wants program, test and reason")
            patterns.append((number, words[0], words[1]))
    return patterns


def fits(pattern, test):
    return fnmatch.fnmatchcase(test[0], pattern[1]) and fnmatch.fnmatchcase(test[1], pattern[2])


def account(native, foreign, patterns):
    """The tests that are left out on purpose; whatever else differs is an error."""
    left_out = {test for test in native if any(fits(pattern, test) for pattern in patterns)}
    lost = native - foreign - left_out
    there_after_all = left_out & foreign
    stale = [number for number, *_ in patterns if not any(fits((number, *_), test) for test in native)]
    complaints = [f"not built for this target, and not in the list: {' '.join(test)}" for test in sorted(lost)]
    complaints += [f"in the list, but built for this target: {' '.join(test)}" for test in sorted(there_after_all)]
    complaints += [f"line {number} of the list fits no test" for number in stale]
    if complaints:
        raise Failed("\n".join(complaints))
    return left_out


def run(target, log):
    """Runs everything; gives what cargo's lines add up to, apart for documentation's examples."""
    command = [os.environ["CARGO"], "test", "--no-fail-fast", "--target", target]
    with log.open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=TIME_LIMIT).returncode
    text = log.read_text()
    programs, _, documentation = text.partition("Doc-tests ")
    if status:
        interesting = (line for line in text.splitlines() if not line.endswith(" ... ok"))
        raise Failed("\n".join([*interesting, f"the tests of {target} failed; all of it is in {log}"]))
    return add_up(programs), add_up(documentation)


def add_up(text):
    """Of both libtest's and libtest-mimic's last lines."""
    sums = collections.Counter()
    for line in re.findall(r"^test result: .*$", text, re.M):
        for count, what in re.findall(r"(\d+) (passed|failed|ignored)", line):
            sums[what] += int(count)
    return sums


def runner_of(target):
    return shlex.split(os.environ[f"CARGO_TARGET_{target.upper().replace('-', '_')}_RUNNER"])


def check(target, programs, native, patterns):
    start = time.monotonic()
    foreign = list_tests([program for program in programs if target in program[1].parts], runner_of(target))
    left_out = account(native, foreign, patterns)
    ran, examples = run(target, pathlib.Path(os.environ["CARGO_TARGET_DIR"]) / f"{target}.log")
    if ran["passed"] + ran["ignored"] != len(foreign):
        raise Failed(f"{target}: {len(foreign)} tests are listed, but {dict(ran)} ran")
    own = foreign - native
    print(f"{target}: {ran['passed']} tests ran ({len(native)} natively, less {len(left_out)} that are Linux's, and "
          f"{len(own)} of its own; {ran['ignored']} ignored), {examples['passed']} examples of the documentation: "
          f"{time.monotonic() - start:.0f} s", flush=True)


def main():
    linux_only, targets = pathlib.Path(sys.argv[1]), sys.argv[2:]
    try:
        patterns = read_linux_only(linux_only)
        # both at once: two processors are kept busy by two targets better than by one
        programs = build(os.environ["CARGO"], None, [word for target in targets for word in ("--target", target)])
        native = list_tests(build("cargo", native_environment(), []), [])
        # at once as well: tests wait more than they work
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda target: check(target, programs, native, patterns), targets))
    except Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
