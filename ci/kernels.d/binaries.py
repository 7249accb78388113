"""The crate's test binaries, built as users build the crate, but with debug assertions."""

import json
import pathlib
import subprocess

from steps import Failed

# `engine` has no kernel in it. The probe is last: it takes the longest.
TESTS = ("inherited", "gso_offload", "no_allocation", "linux", "programs", "example_guest", "oracle_kernel", "oracle_families",
         "tap", "probe")
EXAMPLES = ("guest",)
PROFILE = {"inherits": '"release"', "debug-assertions": "true", "debug": "false", "strip": "true"}


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
