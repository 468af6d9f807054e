# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a soak, for people and as JSON."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.soak.audit import KINDS
from tests.soak.story import Step


def summary(steps: Sequence[Step]) -> dict[str, Any]:
    """Findings by kind, and how long recovery took (s), by kind of fault; a pair counts under a name of its own."""
    times: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        times[step.kinds[0] if len(step.kinds) == 1 else "pairs"].append(step)
    if steps:
        times["all"] = list(steps)
    return {
        "faults": sum(len(step.kinds) for step in steps),
        "steps": len(steps),
        "requests": sum(1 for step in steps if step.asked),
        **{kind: sum(1 for s in steps for finding in s.findings if finding.kind == kind) for kind in KINDS},
        "recovery": {kind: _figures([s.recovered for s in there]) for kind, there in sorted(times.items())},
        "quiet": {kind: _figures([s.quiet for s in there]) for kind, there in sorted(times.items())},
    }


def table(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = ["%-22s %5s %9s %9s %9s   %s" % ("fault", "times", "p50", "p99", "longest", "quiet p50 / p99")]
    for kind, figures in found["recovery"].items():
        quiet = found["quiet"][kind]
        values = (kind, figures["n"], figures["p50"], figures["p99"], figures["max"], quiet["p50"], quiet["p99"])
        lines.append("%-22s %5d %7.1f s %7.1f s %7.1f s   %.1f s / %.1f s" % values)
    lines.append("recovery: until all wanted services were whole")
    lines.append("quiet: from the last cure until nothing at all was left to do")
    counts = ", ".join("%s %d" % (kind, found[kind]) for kind in KINDS)
    lines.append("%d faults in %d steps, %d requests: %s" % (
        found["faults"], found["steps"], found["requests"], counts))  # fmt: skip
    return "\n".join(lines)


def write(path: Path, seed: int, steps: Sequence[Step], samples: int) -> dict[str, Any]:
    found = summary(steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"seed": seed, "samples": samples, **found, "story": [step.to_json() for step in steps]}
    path.write_text(json.dumps(document, indent=1, default=str))
    return found


def _figures(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)

    def rank(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)

    return {"n": len(ordered), "p50": rank(0.5), "p99": rank(0.99), "max": round(ordered[-1], 2)}
