# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures muster on this machine, beside Supvisors where both can do the same.

Prints every figure as it comes: median, 99th percentile, range and number of runs; the peer's from the same run and the
ratio of the medians; the aim, judged only while the machine is quiet. All of it is kept as JSON.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from types import FrameType

from tests.benchmarks.figures import Report
from tests.benchmarks.lab import ROOT, PlayFailed
from tests.benchmarks.measures import MEASURES
from tests.benchmarks.options import Options


def _title(name: str) -> str:
    return (MEASURES[name].__doc__ or name).strip().splitlines()[0]


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # every lab cleans up on its way out


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _arguments() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<16} {_title(name)}" for name in MEASURES)
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, epilog=f"measures:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="which ones; default: all of them")
    parser.add_argument("--list", action="store_true", help="name the measures and end")
    parser.add_argument("--quick", action="store_true", help="try the harness: small sizes, few runs")
    parser.add_argument("--no-peer", action="store_true", help="leave Supvisors out")
    parser.add_argument("--runs", type=int, default=0, help="runs of each measurement instead of its own number")
    parser.add_argument("--items", type=_numbers, default=(), metavar="N,N...", help="sizes instead of its own")
    parser.add_argument("--output", type=Path, default=ROOT / ".cache" / "bench" / time.strftime("%Y%m%d-%H%M%S.json"))
    options = parser.parse_args()
    unknown = [name for name in options.measures if name not in MEASURES]
    if unknown:
        parser.error(f"no measure is called {unknown[0]}; there are: {', '.join(MEASURES)}")
    return options


def main() -> int:
    asked = _arguments()
    if asked.list:
        for name in MEASURES:
            print(f"{name:<16} {_title(name)}")
        return 0
    signal.signal(signal.SIGTERM, _interrupted)
    options = Options(asked.quick, not asked.no_peer, asked.runs, asked.items)
    report = Report(asked.output)
    for name in asked.measures or MEASURES:
        report.begin(f"{name}: {_title(name)}", patient=not options.quick)
        try:
            MEASURES[name](options, report)
        except (PlayFailed, OSError, subprocess.SubprocessError, xmlrpc.client.Error) as error:  # TimeoutError is one
            report.fail(f"{name}: {error}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
