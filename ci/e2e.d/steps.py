"""Named steps with a time limit each, and how one fails."""

import contextlib
import signal
import time


class Failed(Exception):
    """A step saw something else than it expected; the text says both."""


class Skipped(Exception):
    """This machine lacks what the test needs; the text says what."""


_label = ""
_waits = []  # what is waited for, and within the probe of that, and so on


def begin(label):
    """Puts `label` before the lines of the steps that follow."""
    global _label
    _label = label


@contextlib.contextmanager
def step(name, limit):
    """Runs the block as one step of at most `limit` seconds, and prints its time."""
    _waits.clear()

    def late(*_):
        raise Failed("; ".join([f"not done within {limit} s", *_waits]))

    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    except (Failed, OSError) as failure:
        raise Failed(f"{_label}: {name}: FAILED: {failure}") from failure
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    print(f"{_label}: {name}: {time.monotonic() - start:.1f} s", flush=True)


def until(expected, probe, is_good):
    """Asks `probe` again and again, until its answer is good; the step's limit ends it."""
    _waits.append(f"expected {expected}")
    while not is_good(seen := probe()):
        _waits[-1] = f"expected {expected}, saw {seen}"
        time.sleep(0.05)
    _waits.pop()
    return seen


def check(holds, expected, seen):
    """Fails unless `holds`."""
    if not holds:
        raise Failed(f"expected {expected}, saw {seen}")
