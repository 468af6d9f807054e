# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both command lines do beside a monitor, and how they print it: requests, the trail, one instance."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, TextIO

from . import api

OK, NO, USAGE, LATE = 0, 1, 2, 4  # exit codes: done, refused or failed, wrong usage, not done in time
BACK = 1.0  # s between attempts to reach a monitor that went away

Json = Dict[str, Any]


def act(body: Mapping[str, Any], remote: api.Remote, timeout: float) -> int:
    """Post a request, print what came of it, and return the exit code.

    The caller's identity comes from the socket, never from the body.

    :raises Lost, Late, Busy: as `Remote.act`.
    """
    try:
        answer = remote.act(body, timeout)
    except api.Busy:
        raise
    except api.Refused as refused:
        return refusal(refused)
    stream = sys.stdout if answer["ok"] or not answer.get("refused") else sys.stderr
    for sentence in answer["said"]:
        say(sentence, stream)
    return OK if answer["ok"] else NO


def refusal(refused: api.Refused) -> int:
    """Print each error of a refused request; the exit code."""
    for error in refused.errors or [{"message": str(refused)}]:
        say(error["message"], sys.stderr)
    return USAGE if refused.incomplete else NO


def watch(remote: api.Remote, show: Callable[[Json], None]) -> None:
    """Show each new status document, for ever; wait for a monitor that went away."""
    while True:
        try:
            for event, document in remote.follow():
                if event == "status":
                    show(document)
        except (OSError, ValueError, api.Lost):
            pass
        say("the monitor does not answer: waiting for it", sys.stderr)
        time.sleep(BACK)


def follow(remote: api.Remote, after: int, show: Callable[[Json], None]) -> None:
    """Show each entry of the trail behind an id, for ever; wait for a monitor that went away."""
    while True:
        try:
            for event, entry in remote.follow(after):
                if event == "trail":
                    after = int(entry["id"])
                    show(entry)
        except (OSError, ValueError, api.Lost):
            pass
        time.sleep(BACK)


def print_why(
    name: str,
    instance: Mapping[str, Any],
    status: Mapping[str, Any],
    plan: Optional[Mapping[str, Any]],
    error: str,
    trail: List[Json],
) -> None:
    """Print how an instance is, why, what a reconcile would do with it, and what happened.

    :param instance: its entry in the status document.
    :param status: the status document, or what of it says how the monitor is: {"monitor"}.
    :param plan: of a reconcile; None when there is none, because of `error`.
    :param trail: the newest entries about the instance.
    """
    from ..report import story

    now = time.time()
    say(story.headline(name, instance, now))
    for label, text in story.facts(instance, status, name, now):
        say("  %-8s %s" % (label, text))
    actions = [action for action in (plan or {}).get("actions", []) if action["instance"] == name]
    for action in actions:
        say("  %-8s %s" % ("next", story.sentence(action)))
        print_candidates(plan or {}, name)
    if error or not actions:
        say("  %-8s %s" % ("next", error or "nothing: it is as wanted"))
    for entry in trail:
        say("  " + story.line(entry, now))


def print_candidates(plan: Mapping[str, Any], name: str) -> None:
    """Print whether each candidate host of an instance fits, and why."""
    for candidate in plan.get("candidates", {}).get(name, []):
        fits = "fits" if candidate.get("fits") else "does not fit"
        say("           %s: %s%s" % (candidate["host"], fits, ", " + candidate["why"] if candidate.get("why") else ""))


def say(text: str, stream: Optional[TextIO] = None) -> None:
    """Print a line at once."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()
