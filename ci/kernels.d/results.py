"""What the tests of one guest said, and the table of all."""

import re

from filesystem import TESTS

# the last line of a test binary, of either harness
SUMMARY = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
FAILED = re.compile(r"^test (\S+)\s+\.\.\. FAILED$", re.MULTILINE)
PROBE = re.compile(r"^probe: (\d+) sent, (\d+) refused, (\d+) lost, (\d+) wrong$", re.MULTILINE)
FAULT = re.compile(r"^fault: (.*): (\d+) times: (.*)$", re.MULTILINE)
NOT_TRIED = re.compile(r"(?:^|\.\.\. )((?:not tried|skipped): .*)", re.MULTILINE)
SHOWN = 8  # lines of a list


class Result:
    """One guest's."""

    def __init__(self, label, text, seconds, console, output):
        self.label, self.seconds, self.console, self.output = label, seconds, console, output
        text = text.replace("\r", "")
        self.ended = "\n== done\n" in text
        self.release = self.found(r"^== kernel (\S+)", text)
        self.granted = self.found(r"^granted: (.*)", text)
        self.parts = {name: self.part(name, text) for name in TESTS}
        # the last of each: a test may run its binary again and show what that says
        counts = [SUMMARY.findall(part or "")[-1:] for part in self.parts.values()]
        self.passed, self.failed, self.ignored = (
            sum(int(count[column]) for found in counts for count in found) for column in range(3))
        self.probe = [sum(column) for column in zip(*(map(int, found) for found in PROBE.findall(text)))]
        self.probe_faults = self.by_case(FAULT.findall(text))
        self.not_tried = sorted(set(NOT_TRIED.findall(text)))
        self.faults = list(self.find_faults())

    @staticmethod
    def found(pattern, text):
        match = re.search(pattern, text, re.MULTILINE)
        return match[1] if match else "?"

    @staticmethod
    def by_case(faults):
        """One line a case of the probe, whichever TAPs it went through; the first text stands for all."""
        cases = {}
        for case, count, text in faults:
            total, first = cases.get(case, (0, text))
            cases[case] = (total + int(count), first)
        return [f"probe: {case}: {total} times: {text}" for case, (total, text) in cases.items()]

    @staticmethod
    def part(name, text):
        """What one test binary wrote, with the line of its end; None if it did not end."""
        match = re.search(rf"^== begin {name}\n(.*?^== end {name} \d+)$", text, re.MULTILINE | re.DOTALL)
        return match[1] if match else None

    def find_faults(self):
        """Everything for which this kernel counts as failed."""
        for name, part in self.parts.items():
            if part is None:
                yield f"{name}: did not end"
                continue
            status = int(part.split()[-1])
            failed = sorted(set(FAILED.findall(part)))
            yield from (f"{name}: {test}" for test in failed)
            if status and not failed:
                yield f"{name}: ended with {status}"
            if not SUMMARY.search(part):
                yield f"{name}: says nothing of its tests"
        if not self.probe:
            yield "probe: no counts"
        if self.ignored:
            yield f"{self.ignored} tests were left out"
        if not self.ended:
            yield "the guest did not come to its end"

    @property
    def verdict(self):
        return f"{len(self.faults)} faults" if self.faults else "ok"

    def row(self):
        probe = self.probe or ["?"] * 4
        return (self.label, self.granted, f"{self.passed}/{self.failed}/{len(self.not_tried)}",
                "/".join(map(str, probe)), self.verdict)

    def report(self):
        """What stands below the table."""
        lines = [f"{self.label}: {text}" for text in self.not_tried]
        for faults in (self.faults, self.probe_faults):
            lines += [f"{self.label}: FAILED: {fault}" for fault in faults[:SHOWN]]
            if len(faults) > SHOWN:
                lines.append(f"{self.label}: and {len(faults) - SHOWN} more")
        if self.faults:
            lines.append(f"{self.label}: console {self.console}, tests {self.output}")
        return lines


HEAD = ("kernel", "granted of all offloads", "passed/failed/not tried", "probe: sent/refused/lost/wrong", "verdict")


def table(results):
    rows = [HEAD, *(result.row() for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
