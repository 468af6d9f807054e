# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs make targets, all of them whatever fails, and ends with one line of totals.

usage: python tests/all_checks.py TARGET...

Two targets run at a time, in the order in which they are named. A target that runs pytest counts with its tests, any
other one as a single check. `.cache/checks/durations.txt` has the seconds of every target, test file and slow test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".cache" / "checks"
DURATIONS = REPORTS / "durations.txt"
AT_A_TIME = 2
PYTEST_TARGETS = ("unit", "integration", "browser", "installed", "lab-core", "lab-test")
NOTED = 1.0  # s: faster tests are not listed
SLOWEST = 10  # test files in the summary

_printing = threading.Lock()


@dataclass
class Result:
    """The result of one target."""

    target: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    processor: float = 0.0  # s, of all processes of the target that were waited for; daemons are not
    tests: dict[str, float] = field(default_factory=dict)  # file::test -> s, with its fixtures

    @property
    def files(self) -> Counter[str]:
        """Test file -> s."""
        found: Counter[str] = Counter()
        for test, seconds in self.tests.items():
            found[test.partition("::")[0]] += seconds
        return found


def run(target: str) -> Result:
    """One target; its output is shown as a whole when it ended."""
    report = REPORTS / f"{target}.xml"
    report.unlink(missing_ok=True)
    command = ["make", "--no-print-directory", target]
    if target in PYTEST_TARGETS:
        command.append(f"ARGS=--junitxml={report}")
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "ARGS")}
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        result = Result(target, seconds=time.monotonic() - begin, processor=used.ru_utime + used.ru_stime)
        said.seek(0)
        with _printing:
            print(f"\n##### make {target}\n{said.read().decode(errors='replace')}", flush=True)
    if report.exists():
        count(report, result)
    if process.returncode and not result.failed:
        result.failed = 1
    elif not process.returncode and target not in PYTEST_TARGETS:
        result.passed = 1
    return result


def count(report: Path, result: Result) -> None:
    """Adds pytest's own figures."""
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        result.failed += failed
        result.skipped += skipped
        result.passed += int(suite.get("tests", 0)) - failed - skipped
        for case in suite.iter("testcase"):
            name = f"{_file(case.get('classname', ''))}::{case.get('name')}"
            result.tests[name] = result.tests.get(name, 0.0) + float(case.get("time", 0))


def _file(classname: str) -> str:
    """The file of a test, from its dotted name with or without a class."""
    words = classname.split(".")
    while words and not (ROOT / Path(*words)).with_suffix(".py").is_file():
        words.pop()
    return "/".join(words) + ".py" if words else classname


def durations(results: list[Result]) -> Iterator[str]:
    """Lines of the report: targets, files and slow tests, the slowest first."""
    yield "seconds  processor  target"
    for result in sorted(results, key=lambda result: -result.seconds):
        yield f"{result.seconds:7.1f}    {result.processor:7.1f}  {result.target}"
    for result in results:
        if result.tests:
            yield f"\n{result.target}: files"
            yield from (f"{seconds:7.1f}  {name}" for name, seconds in result.files.most_common())
            yield f"\n{result.target}: tests of {NOTED:g} s and more"
            slow = sorted(result.tests.items(), key=lambda item: -item[1])
            yield from (f"{seconds:7.1f}  {name}" for name, seconds in slow if seconds >= NOTED)


def main(targets: list[str]) -> int:
    """0 when nothing failed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = list(pool.map(run, targets))
    DURATIONS.write_text("\n".join(durations(results)) + "\n")
    files = Counter({f"{name} ({result.target})": s for result in results for name, s in result.files.items()})
    print(f"\nthe slowest files; all of them are in {DURATIONS.relative_to(ROOT)}")
    for name, seconds in files.most_common(SLOWEST):
        print(f"{seconds:7.1f} s  {name}")
    print()
    for result in results:
        word = "FAILED" if result.failed else "ok"
        print(f"{result.target:<12} {word:<7} {result.passed:>5} passed {result.failed:>4} failed"
              f" {result.skipped:>4} skipped {result.seconds:>7.1f} s {result.processor:>7.1f} s of a processor")
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    print(f"{sum(result.passed for result in results)} passed, {failed} failed"
          f"{f', {skipped} skipped' if skipped else ''} in {time.monotonic() - begin:.2f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
