"""Debian's packages by way of an apt of our own: its lists, its settings, nothing of the machine's own is changed."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
import time

from processes import run
from steps import Failed, Skipped

FRESH = 24 * 3600  # seconds for which lists are as good as new
MIRROR = "TAP_PLUMB_DEBIAN_MIRROR"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
PATIENCE = 300  # seconds for one call of apt


class Apt:
    """An apt whose lists and settings are in `folder`; without `sources` it reads the machine's own sources."""

    def __init__(self, folder, sources=None):
        self.folder = pathlib.Path(folder)
        for part in ("lists/partial", "cache/archives/partial", "parts"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        settings = [f'Dir::State "{self.folder}";', f'Dir::State::lists "{self.folder}/lists";',
                    f'Dir::State::status "{self.folder}/status";', f'Dir::Cache "{self.folder}/cache";',
                    f'Dir::Etc::PreferencesParts "{self.folder}/parts";', 'Dir::Etc::Preferences "/dev/null";',
                    'Acquire::Languages "none";', 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
                    # only files in this folder are written, and its owner is whoever calls
                    f'APT::Sandbox::User "{pwd.getpwuid(os.getuid()).pw_name}";']
        if sources is not None:
            (self.folder / "sources.list").write_text("".join(f"{line}\n" for line in sources))
            settings += [f'Dir::Etc::SourceList "{self.folder}/sources.list";',
                         f'Dir::Etc::SourceParts "{self.folder}/parts";',
                         'APT::Architecture "amd64";', 'APT::Architectures { "amd64"; };']
        (self.folder / "apt.conf").write_text("\n".join(settings) + "\n")
        self.environment = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}

    def run(self, *words, **options):
        try:
            return run(words, env=self.environment, timeout=PATIENCE, **options)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{' '.join(words)} does not end within {PATIENCE} s") from late

    def update(self):
        """Fetches the lists, unless they are fresh. Sources that cannot be reached are said and left out."""
        stamp = self.folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH:
            return
        try:
            self.run("apt-get", "update", "-qq", "-o", "Acquire::Retries=2")
            stamp.touch()
        except Failed as failure:
            print(f"  lists are old or not whole: {failure}", flush=True)

    def names(self, prefix, pattern):
        """The packages whose whole name matches `pattern`; all of them begin with `prefix`."""
        return [name for name in self.run("apt-cache", "pkgnames", prefix).split() if re.fullmatch(pattern, name)]

    def fields(self, names, *wanted):
        """{name: {field: text}}, of the newest version of each."""
        if not names:
            return {}
        found = {}
        text = self.run("apt-cache", "show", "--no-all-versions", *names)
        for paragraph in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.MULTILINE))
            if "Package" in fields:
                found.setdefault(fields["Package"], {name: fields.get(name, "") for name in wanted})
        return found

    def download(self, name, folder):
        """Fetches a package's file into `folder`."""
        self.run("apt-get", "download", "-q", name, cwd=folder)


def order(version):
    """Versions compare by their numbers: 6.12.117-1~bpo12+1 before 7.3.4-1."""
    return [int(number) for number in re.findall(r"\d+", version)]


def mirrors():
    """Where Debian's archive and its security archive are had from, by this machine's own sources."""
    if base := os.environ.get(MIRROR):
        return base.rstrip("/"), f"{base.rstrip('/')}-security"
    if not shutil.which("apt-get"):
        raise Skipped("there is no apt-get on this machine")
    repositories = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split()
    found = [next((repository.rstrip("/") for repository in repositories if repository.rstrip("/").endswith(end)), None)
             for end in ("/debian", "/debian-security")]
    if not found[0]:
        raise Skipped(f"no source of this machine is Debian's archive; set {MIRROR} to a mirror of it")
    return found[0], found[1] or f"{found[0]}-security"


def source(uri, suite):
    """A line of sources.list(5)."""
    keys = f"signed-by={KEYS}" if pathlib.Path(KEYS).exists() else ""
    return f"deb [arch=amd64 {keys}] {uri} {suite} main"
