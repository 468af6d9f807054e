# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs make targets, all of them whatever fails, and ends with one line of totals.

usage: python tests/all_checks.py TARGET...

Two targets that deploy sites run at a time: more of them starve each other. Beside them runs one of the others,
which only compute, with what processor time is left. In both kinds the order is that in which they are named.

A target that runs pytest counts with its tests, any other one as a single check. `.cache/checks/durations.txt` has the
seconds of every target, test file and slow test.
"""

from __future__ import annotations

import contextlib
import os
import signal
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
SITE_TARGETS = ("integration", "parts", "lab-core", "lab-test", "browser", "installed")
PYTEST_TARGETS = (*SITE_TARGETS, "unit")
SITES_AT_A_TIME, OTHERS_AT_A_TIME = 2, 1
POLITE = 10  # nice value of the others: what a site does in time must not wait for them
NOTED = 1.0  # s: faster tests are not listed
SLOWEST = 10  # test files in the summary

_printing = threading.Lock()
_polite: set[int] = set()  # process groups of the others, which run in sessions of their own


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
    polite = target not in SITE_TARGETS
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            ["nice", "-n", str(POLITE), *command] if polite else command,
            cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=polite,
        )  # fmt: skip
        if polite:
            _polite.add(process.pid)
            # Linux may share processor time between sessions first, and then by the nice value within each.
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text(str(POLITE))
        _pid, status, used = os.wait4(process.pid, 0)
        _polite.discard(process.pid)
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


def _ends(number: int, _frame: object) -> None:
    """A signal that this process gets does not reach other sessions."""
    for group in tuple(_polite):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
    os._exit(128 + number)


def main(targets: list[str]) -> int:
    """0 when nothing failed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ends)
    with ThreadPoolExecutor(SITES_AT_A_TIME) as sites, ThreadPoolExecutor(OTHERS_AT_A_TIME) as others:
        running = [(sites if target in SITE_TARGETS else others).submit(run, target) for target in targets]
        results = [one.result() for one in running]
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
