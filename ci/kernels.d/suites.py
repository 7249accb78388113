"""Which of Debian's kernels are tested: those of its suites, or the newest of a version."""

import kernel
from apt import Apt, mirrors, order, source
from steps import Failed

SUITES = ("bullseye", "bullseye-security", "bookworm", "bookworm-security", "bookworm-backports", "trixie",
          "trixie-security", "trixie-backports", "sid")
# Debian 12: its own series and that of its backports, which its security archive goes on with
DEFAULT = ("bookworm", "bookworm-security", "bookworm-backports")


def chosen(versions, everything):
    """The unpacked kernels to be booted."""
    cache = kernel.cache_folder("kernels")
    kernel.forget_unused(cache)
    if not versions and not everything:
        return distinct(newest_of_each_series(cache, kernel.offered(*opened(cache, DEFAULT))))
    apts = opened(cache, SUITES)
    if everything:
        return distinct(newest for apt in apts for newest in newest_of_each_series(cache, kernel.offered(apt)))
    offers = kernel.offered(*apts)
    return distinct(newest_of(cache, offers, version) for version in versions)


def opened(cache, suites):
    """An apt a suite, with lists; a suite that no mirror serves any more has none."""
    main, security = mirrors()
    apts = []
    for suite in suites:
        uri = security if suite.endswith("-security") else main
        apt = Apt(cache / "apt" / suite, [source(uri, suite)])
        apt.update()
        apts.append(apt)
    return apts


def newest_of(cache, offers, version):
    """The newest kernel of a version, which may be short: 6.1 is any of 6.1.x, and not 6.12."""
    matching = [offer for offer in offers if f"{offer.upstream}.".startswith(f"{version}.")]
    if not matching:
        known = sorted({offer.upstream for offer in offers}, key=order)
        raise Failed(f"no suite has a kernel {version}; there are {' '.join(known)}")
    return kernel.newest(cache, matching)


def newest_of_each_series(cache, offers):
    """For 6.16, 6.17 and so on the newest that can be had; what cannot is said."""
    for series in sorted({tuple(order(offer.upstream)[:2]) for offer in offers}):
        try:
            yield kernel.newest(cache, [offer for offer in offers if tuple(order(offer.upstream)[:2]) == series])
        except Failed as failure:
            print(f"  left out: {'.'.join(map(str, series))}: {failure}", flush=True)


def distinct(kernels):
    """Each once, the oldest first."""
    by_folder = {unpacked.folder: unpacked for unpacked in kernels}
    return sorted(by_folder.values(), key=lambda unpacked: order(unpacked.folder.name.partition("_")[2]))
