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
PATIENCE = 180.0  # s to wait for that, after what was measured before


@dataclass
class Figure:
    """One measured quantity; `aim` is the largest good median, `peer` what Supvisors showed in the same run."""

    name: str
    values: list[float]
    unit: str = "s"
    aim: float | None = None
    peer: list[float] = field(default_factory=list)
    note: str = ""
    load: float = 0.0  # the load average when its measure began

    def sentence(self) -> str:
        parts = [f"{self.name:<58}", spread(self.values, self.unit)]
        if self.peer:
            ratio = statistics.median(self.values) / statistics.median(self.peer)
            parts.append(f"| Supvisors {spread(self.peer, self.unit)} | ratio {ratio:.2f}")
        if self.aim is not None:
            parts.append(f"| aim {number(self.aim)} {self.unit}: {self.verdict()}")
        if self.note:
            parts.append(f"| {self.note}")
        return " ".join(parts)

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
    """Median, and the range or, with enough values, the 99th percentile."""
    middle = number(statistics.median(values))
    if len(values) == 1:
        return f"{middle} {unit}"
    return f"{middle} {unit} (p99 {number(percentile(values, 0.99))}, {number(min(values))}..{number(max(values))}," \
        f" n={len(values)})"


class Report:
    """Prints figures as they come and keeps them as JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.figures: list[Figure] = []
        self.skipped: list[str] = []
        self.failed: list[str] = []
        self._load = 0.0

    def say(self, text: str) -> None:
        print(text, flush=True)

    def begin(self, title: str, patient: bool) -> None:
        """A measure begins: as soon as the machine is quiet, or after a while in any case."""
        deadline = time.monotonic() + (PATIENCE if patient else 0)
        while machine.load_average() > QUIET and time.monotonic() < deadline:
            time.sleep(2)
        self._load = machine.load_average()
        self.say(f"\n== {title}   (load average {self._load:.2f})")

    def add(self, figure: Figure) -> None:
        figure.load = self._load
        self.figures.append(figure)
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
        """The summary; 0 unless a measurement could not be taken."""
        judged = [figure for figure in self.figures if figure.aim is not None]
        met = sum(figure.verdict() == "met" for figure in judged)
        missed = sum(figure.verdict() == "MISSED" for figure in judged)
        self.say(f"\n{len(self.figures)} figures; aims: {met} met, {missed} missed,"
                 f" {len(judged) - met - missed} not judged; {len(self.failed)} measurements failed")
        self.say(f"all of them: {self.path}")
        return 1 if self.failed else 0

    def _write(self) -> None:
        document: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "figures": [{**asdict(figure), "verdict": figure.verdict()} for figure in self.figures],
            "skipped": self.skipped,
            "failed": self.failed,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(document, indent=1), encoding="utf-8")
