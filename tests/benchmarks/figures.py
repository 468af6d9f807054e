# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures, what they are held against, and how they are printed."""

from __future__ import annotations

import json
import math
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import machine

QUIET = 1.0  # with a higher load average at the beginning figures are printed, not judged
PATIENCE = 120.0  # s to wait for that before one measure, after what was measured before
PATIENCE_IN_ALL = 900.0  # s before all of them: a machine that others use will not become quiet
MANY = 20  # values from which on a 99th percentile says more than the range
FAILED, MISSED = 1, 3  # exit codes; 2 is a wrong command line


@dataclass
class Figure:
    """One measured quantity; `aim` is the largest good median, `peer` what Supvisors showed in the same run.

    `cited` is what an earlier measurement of Supvisors showed, for where it does not run beside.
    """

    name: str
    values: list[float]
    unit: str = "s"
    aim: float | None = None
    peer: list[float] = field(default_factory=list)
    note: str = ""
    load: float = 0.0  # the load average when its measure began
    cited: float | None = None

    def sentence(self) -> str:
        parts = [f"{self.name:<58}", spread(self.values, self.unit)]
        if self.peer:
            ratio = statistics.median(self.values) / statistics.median(self.peer)
            parts.append(f"| Supvisors {spread(self.peer, self.unit)} | ratio {ratio:.2f}")
        elif self.cited is not None:
            parts.append(f"| Supvisors {self.beside()}")
        if self.aim is not None:
            parts.append(f"| aim {number(self.aim)} {self.unit}: {self.verdict()}")
        if self.note:
            parts.append(f"| {self.note}")
        return " ".join(parts)

    def beside(self) -> str:
        """The value of Supvisors: from the same run, or an earlier one."""
        if self.peer:
            return spread(self.peer, self.unit)
        return "" if self.cited is None else f"{number(self.cited)} {self.unit} (cited)"

    def row(self) -> str:
        """The same as `sentence`, as a row of a table in Markdown."""
        name = self.name.strip() + (f" ({self.note})" if self.note else "")
        aim = "" if self.aim is None else f"{number(self.aim)} {self.unit}: {self.verdict()}"
        return f"| {name} | {spread(self.values, self.unit)} | {self.beside()} | {aim} |"

    def verdict(self) -> str:
        if self.aim is None:
            return ""
        if self.load > QUIET:
            return f"not judged, the load average was {self.load:.1f}"
        return "met" if statistics.median(self.values) <= self.aim else "MISSED"


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def spread(values: list[float], unit: str) -> str:
    """Median and range, and with enough values the 99th percentile."""
    middle = number(statistics.median(values))
    if len(values) == 1:
        return f"{middle} {unit}"
    high = f"p99 {number(percentile(values, 0.99))}, " if len(values) >= MANY else ""
    return f"{middle} {unit} ({high}{number(min(values))}..{number(max(values))}, n={len(values)})"


@dataclass
class Section:
    """One measure: its figures, the load average when it began (after `waited` s for that), and how long it took."""

    title: str
    load: float
    waited: float
    began: float  # monotonic
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        """In Markdown, as docs/benchmarks.md has it."""
        return "\n".join([
            f"### {self.title}", "", f"Load average {self.load:.2f}; took {self.seconds:.0f} s.", "",
            "| | muster | Supvisors, same run | aim |", "|---|---|---|---|", *(figure.row() for figure in self.figures),
        ])


class Report:
    """Prints figures as they come, keeps them as JSON, and ends with tables for docs/benchmarks.md."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: list[Section] = []
        self.skipped: list[str] = []
        self.failed: list[str] = []

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]

    def say(self, text: str) -> None:
        print(text, flush=True)

    def begin(self, title: str, patient: bool) -> None:
        """A measure begins: as soon as the machine is quiet, or after a while in any case."""
        self._over()
        start = time.monotonic()
        left = PATIENCE_IN_ALL - sum(section.waited for section in self.sections)
        deadline = start + (min(PATIENCE, left) if patient else 0)
        while machine.load_average() > QUIET and time.monotonic() < deadline:
            time.sleep(2)
        now, load = time.monotonic(), machine.load_average()
        self.sections.append(Section(title, load, now - start, now))
        self.say(f"\n== {title}   (load average {load:.2f})")

    def _over(self) -> None:
        if self.sections and not self.sections[-1].seconds:
            section = self.sections[-1]
            section.seconds = time.monotonic() - section.began
            waited = f", after {section.waited:.0f} s for a quiet machine" if section.waited > 1 else ""
            self.say(f"   took {section.seconds:.0f} s{waited}")

    def add(self, figure: Figure) -> None:
        section = self.sections[-1]
        figure.load = section.load
        section.figures.append(figure)
        self.say("   " + figure.sentence())
        self._write()

    def skip(self, sentence: str) -> None:
        if sentence not in self.skipped:
            self.skipped.append(sentence)
            self.say("   left out: " + sentence)

    def fail(self, sentence: str) -> None:
        self.failed.append(sentence)
        self.say("   FAILED: " + sentence)
        self._write()

    def end(self) -> int:
        """The tables and a summary.

        :return: FAILED when a measurement could not be taken, else MISSED when an aim was on a quiet machine, else 0.
        """
        self._over()
        for section in self.sections:
            if section.figures:
                self.say("\n" + section.table())
        for sentence in self.skipped:
            self.say("\nLeft out: " + sentence)
        judged = [figure for figure in self.figures if figure.aim is not None]
        met = sum(figure.verdict() == "met" for figure in judged)
        missed = sum(figure.verdict() == "MISSED" for figure in judged)
        self.say(f"\n{len(self.figures)} figures; aims: {met} met, {missed} missed,"
                 f" {len(judged) - met - missed} not judged; {len(self.failed)} measurements failed;"
                 f" {sum(section.seconds + section.waited for section in self.sections) / 60:.1f} min")
        self._write()
        self.say(f"all of them: {self.path}")
        return FAILED if self.failed else MISSED if missed else 0

    def _write(self) -> None:
        document: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "measures": {section.title: round(section.seconds, 1) for section in self.sections},
            "figures": [{**asdict(figure), "verdict": figure.verdict()} for figure in self.figures],
            "skipped": self.skipped,
            "failed": self.failed,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(document, indent=1), encoding="utf-8")
