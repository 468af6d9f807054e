# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People's requests on their way: each goes to a run of its own, one after the other, and is answered once. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.model.plan import lost

TRIES = 2  # runs that a request is sent to, at most: a run that was lost before it planned did nothing


@dataclass(slots=True)
class Ask:
    """One request; `run` is the run that has it now, "" while it waits for one."""

    request: Mapping[str, Any]
    waiter: Any  # opaque: whom the caller answers; None: nobody waits any more
    run: str = ""
    attempts: int = 0


class Asks:
    """The requests that are not answered yet, the oldest first."""

    def __init__(self) -> None:
        self._queue: deque[Ask] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Ask]:
        return iter(list(self._queue))

    def add(self, request: Mapping[str, Any], waiter: Any) -> None:
        self._queue.append(Ask(request, waiter))

    def next(self) -> Ask | None:
        """The oldest one that no run has."""
        return next((ask for ask in self._queue if not ask.run), None)

    def taken(self, ask: Ask, run: str) -> None:
        ask.run = run
        ask.attempts += 1

    def find(self, ident: str) -> Ask | None:
        return next((ask for ask in self._queue if ident and ask.request.get("id") == ident), None)

    def drop(self, ask: Ask) -> None:
        self._queue.remove(ask)

    def over(self, run: str, result: Mapping[str, Any], why: str) -> list[tuple[Ask, dict[str, Any]]]:
        """The run is over: returns the requests that it had with their answers, and drops them.

        A request whose run was lost before it planned anything goes to another run, `TRIES` times at most.
        """
        answered = []
        for ask in [ask for ask in self._queue if ask.run == run]:
            if result.get("plan") is None and ask.attempts < TRIES:
                ask.run = ""
                continue
            answered.append((ask, answer(result, why)))
            self._queue.remove(ask)
        return answered


def answer(result: Mapping[str, Any], why: str) -> dict[str, Any]:
    """What a person gets to know of a request.

    :param result: what its run reported; without a plan the run was lost.
    :param why: why the run did not end well, "" when it did.
    """
    plan = result.get("plan")
    if plan is None:
        return {"ok": False, "said": ["the run was lost: %s" % (why or "it left no result")], "results": {}}
    refused = [action["reason"] for action in plan["actions"] if action["action"] == "refuse"]
    results = result.get("results") or {}
    failed = lost(plan["actions"], results)
    said = list(result.get("sentences") or []) + list(result.get("outcome") or [])
    return {
        "ok": not (refused or failed or why),
        "said": refused or said,
        "refused": bool(refused),
        "run": plan["run"],
        "results": results,
    }
