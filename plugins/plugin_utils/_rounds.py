# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the rounds of a run follow each other: a rollout waits between them until its batch has been well.

A round begins so much earlier that its plan is made at that moment: its look at the hosts takes place meanwhile. Pure:
times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_WAIT = 120.0  # s that a run waits for a batch between two looks
SPARE = 1.3  # of the time that the round before took until its plan, for one that takes longer
UNSEEN = 0.2  # s between the end of a wait and the first task of the round
MOST_EARLY = 5.0  # s: what a look shows must not be old
# Of the monitor's runs: a longer wait is left to the monitor, which has other things to do meanwhile.
MONITOR_WAITS = 10.0  # s for a batch
MONITOR_SHARE = 0.5  # of what a run may take


def carries(kind: str, variables: Mapping[str, Any]) -> bool:
    """Whether a run goes on with the rollout that its plan begins or finds: a deploy, and those of the monitor."""
    return kind == "deploy" or bool(variables.get("muster_carries"))


def monitor_waits(seconds: float, begun: float, now: float, timeout: float) -> bool:
    """Whether a run of the monitor waits for a batch itself.

    :param begun: when its first round began.
    :param timeout: after which the monitor ends it.
    """
    return seconds <= MONITOR_WAITS and now + seconds - begun <= MONITOR_SHARE * timeout


def note_since(answer: dict[str, Any]) -> None:
    """Add to each instance of an act's answer that runs since when: its host has watched it for a while since then.

    By this machine's clock, and no earlier than it was.
    """
    for result in (answer.get("results") or {}).values():
        steps, took = result.get("timeline") or (), answer.get("took")
        if result.get("result") == "running" and steps and took:
            result["since"] = answer["heard"] - max(0.0, float(took) - float(steps[-1][1]))


def due(now: float, seconds: float, answers: Iterable[Mapping[str, Any]]) -> float:
    """When the next plan is due.

    :param seconds: that a batch has to be well.
    :param answers: of hosts in this round: it counts from the last of their instances to run. Without one, from now.
    """
    results = [result for answer in answers for result in (answer.get("results") or {}).values()]
    last = max((float(result.get("since") or 0.0) for result in results), default=0.0)
    return (last if 0.0 < last < now else now) + min(seconds, LONGEST_WAIT)


def lead(begun: float | None, now: float) -> float:
    """How long before its plan the next round has to begin.

    :param begun: when the first task of this round began, which makes its plan now.
    """
    return min(MOST_EARLY, SPARE * (max(0.0, now - begun) + UNSEEN)) if begun else 0.0


def until(at: float | None, now: float, before: float = 0.0) -> float:
    """Seconds to sleep until some time before a moment; 0 when it is over, or there is none."""
    return max(0.0, at - before - now) if at else 0.0
