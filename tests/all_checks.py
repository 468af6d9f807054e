# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs make targets one after the other, all of them whatever fails, and ends with one line of totals.

usage: python tests/all_checks.py TARGET[+TARGET...]...

Those joined by + run beside each other, two at a time, in the order they are named: a target uses one processor, or
waits a good part of its time. One that runs pytest counts with its tests, any other one as a single check.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".cache" / "checks"
AT_A_TIME = 2
PYTEST_TARGETS = ("unit", "integration", "browser", "installed", "lab-core", "lab-test")


@dataclass
class Result:
    """What came of one target."""

    target: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


def together(targets: list[str]) -> list[Result]:
    """Targets, two at a time; the output of one alone is shown as it comes, else each as a whole at its end."""
    if len(targets) == 1:
        print(f"\n##### make {targets[0]}", flush=True)
        return [run(targets[0])]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(lambda target: run(target, quiet=True), targets))


def run(target: str, quiet: bool = False) -> Result:
    """One target; `quiet`: its output is shown when it ended."""
    report = REPORTS / f"{target}.xml"
    report.unlink(missing_ok=True)
    command = ["make", "--no-print-directory", target]
    if target in PYTEST_TARGETS:
        command.append(f"ARGS=--junitxml={report}")
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "ARGS")}
    begin = time.monotonic()
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, text=True, errors="replace", **said)
    status = done.returncode
    result = Result(target, seconds=time.monotonic() - begin)
    if quiet:
        print(f"\n##### make {target}\n{done.stdout}", flush=True)
    if report.exists():
        count(report, result)
    if status and not result.failed:
        result.failed = 1
    elif not status and target not in PYTEST_TARGETS:
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


def main(targets: list[str]) -> int:
    """0 when nothing failed."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    results = [result for group in targets for result in together(group.split("+"))]
    print()
    for result in results:
        word = "FAILED" if result.failed else "ok"
        print(f"{result.target:<12} {word:<7} {result.passed:>5} passed {result.failed:>4} failed"
              f" {result.skipped:>4} skipped {result.seconds:>7.1f} s")
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    print(f"{sum(result.passed for result in results)} passed, {failed} failed"
          f"{f', {skipped} skipped' if skipped else ''} in {time.monotonic() - begin:.2f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
