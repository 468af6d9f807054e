# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of verdicts that hooks are run for: debounced per item, each reported once. Pure.

A verdict counts once it has lasted for the hook's debounce. An item that keeps changing is reported with the verdict
that it has after `FLAPPING_DEBOUNCES` of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.model.site import Hook

ALL = "all"
FLAPPING_DEBOUNCES = 5  # times the debounce that an item may keep changing before it is reported all the same


def hook_key(hook: Hook) -> str:
    """The name under which the verdicts that it has heard of are kept; independent of its times."""
    text = json.dumps([hook.command, sorted(hook.on), *([hook.about, *sorted(hook.priority)] if hook.priority else [])])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wants(hook: Hook, verdict: str) -> bool:
    """Whether a hook is to run when an item gets this verdict."""
    return ALL in hook.on or verdict in hook.on


@dataclass(frozen=True, slots=True)
class Change:
    """One item's verdict has changed."""

    item: str
    verdict: str
    before: str
    cause: str
    since: float  # when this verdict was first seen, seconds since 1970


@dataclass(slots=True)
class _Pending:
    """A verdict that differs from the one that the hook was run for."""

    verdict: str
    cause: str
    first: float  # monotonic: since when anything differs
    stable: float  # monotonic: since when it is this verdict
    since: float  # the same, seconds since 1970


@dataclass(slots=True)
class Changes:
    """The verdicts that one hook was run for, and the changes that it waits with."""

    hook: Hook
    told: dict[str, str] = field(default_factory=dict)  # item -> verdict
    pending: dict[str, _Pending] = field(default_factory=dict)

    def offer(self, items: Iterable[Mapping[str, Any]], now: float, wall: float) -> None:
        """Take in the verdicts of all items: {item, verdict, cause}.

        An item that is new is not a change. One that left the site is forgotten.

        :param now: monotonic seconds. :param wall: seconds since 1970.
        """
        present = set()
        for entry in items:
            item, verdict = str(entry["item"]), str(entry["verdict"])
            present.add(item)
            if self.told.setdefault(item, verdict) == verdict:
                self.pending.pop(item, None)
                continue
            known = self.pending.get(item)
            cause = str(entry.get("cause") or "")
            if known is None:
                self.pending[item] = _Pending(verdict, cause, now, now, wall)
            elif known.verdict != verdict:
                self.pending[item] = _Pending(verdict, cause, known.first, now, wall)
            else:
                known.cause = cause
        for item in [item for item in self.told if item not in present]:
            del self.told[item]
            self.pending.pop(item, None)

    def due(self, now: float) -> list[Change]:
        """The changes to run the hook for, returned once. Verdicts that the hook does not want are only remembered."""
        found = []
        for item, pending in list(self.pending.items()):
            if now < self._when(pending):
                continue
            before, self.told[item] = self.told[item], pending.verdict
            del self.pending[item]
            if wants(self.hook, pending.verdict):
                found.append(Change(item, pending.verdict, before, pending.cause, pending.since))
        return found

    def next_time(self) -> float | None:
        """When `due` has something, if nothing else changes; None for never."""
        return min((self._when(pending) for pending in self.pending.values()), default=None)

    def _when(self, pending: _Pending) -> float:
        debounce = self.hook.debounce
        return min(pending.stable + debounce, pending.first + FLAPPING_DEBOUNCES * debounce)
