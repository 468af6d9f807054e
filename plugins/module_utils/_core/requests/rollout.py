# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person pauses a rollout, goes on with it, ends it, or takes it back."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

from ..decide import rollouts
from ..decide.draft import Draft
from ..model.rollout import ABORTED, DONE, GOING, LIVE, PAUSED, Rollout
from ..model.sentences import listing
from .common import clear


def rollout(draft: Draft) -> List[str]:
    """Change the record; the instances that follow it in this run."""
    record = draft.rollout
    verb = draft.kind.partition("_")[2]
    if record is None:
        draft.refuse(None, None, "there is no rollout: the next deploy that changes something that runs begins one")
        return []
    after = _VERBS[verb](draft, record)
    if after is None:
        what = "has gone back" if record.back and record.state == DONE else "is %s" % record.state
        draft.refuse(None, None, "rollout %s %s, so there is nothing to %s" % (record.id, what, verb))
        return []
    draft.note("rollout %s: %s" % (record.id, _SAID[verb]), draft.why)
    draft.set_rollout(after)
    _say(draft, record, after, _SAID[verb])
    rollouts.show(draft)
    return list(after.targets)


def _say(draft: Draft, before: Rollout, after: Rollout, what: str) -> None:
    """What becomes of it, and of what waits; each instance would say no more than that it runs."""
    left = before.waiting if after.back and not before.back else ()
    if left:
        what += "; %s, which it had not reached, keep%s what %s with" % (
            listing(left, most=6), "s" if len(left) == 1 else "", "it runs" if len(left) == 1 else "they run")
    known = len(draft.actions)
    rollouts.tell(draft, after)
    if after.state == GOING or len(draft.actions) == known:  # else that tells all of it
        draft.hold(None, None, "rollout %s: %s" % (before.id, what))


def _pause(draft: Draft, record: Rollout) -> Optional[Rollout]:
    return replace(record, state=PAUSED, reason=draft.why) if record.state == GOING else None


def _resume(draft: Draft, record: Rollout) -> Optional[Rollout]:
    """What failed is tried again: with the batch under way, or in the next batches."""
    over = record.state == DONE and (record.back or not record.failed)
    if record.state == GOING or over:
        return None
    for name in record.failed:
        clear(draft, name)
    under_way = record.batches[record.at] if record.at >= 0 and record.state != DONE else ()
    earlier = frozenset(record.returned) - set(under_way)
    record = rollouts.as_before(draft, record.again(earlier)) if earlier else record
    return replace(
        record, state=GOING, reason="", failed={}, returned=(), ready=False, began=draft.now, missed=0.0, held_up=False,
        due=draft.now + record.hold_for + 1.0,
    )  # fmt: skip


def _abort(draft: Draft, record: Rollout) -> Optional[Rollout]:
    return replace(record, state=ABORTED, reason=draft.why) if record.state in LIVE else None


def _revert(draft: Draft, record: Rollout) -> Optional[Rollout]:
    """The way back has batches of the same sizes, the last one first."""
    reached = record.reached
    if record.back or not reached:
        return None
    made = [(at, tuple(name for name in batch if name in reached)) for at, batch in enumerate(record.batches)]
    made = [(at, batch) for at, batch in reversed(made) if batch]
    record = replace(
        record, state=GOING, back=True, batches=tuple(batch for _at, batch in made), began=draft.now, missed=0.0,
        held_up=False, failed={}, returned=(), reason="", ready=False,
        rules=tuple(record.rules[at] for at, _batch in made if record.rules),
    ).with_batch(0)  # fmt: skip
    return rollouts.as_before(draft, replace(record, due=draft.now + record.hold_for + 1.0))


_VERBS = {"pause": _pause, "resume": _resume, "abort": _abort, "revert": _revert}
_SAID = {
    "pause": "no further batch begins",
    "resume": "it goes on",
    "abort": "it is over; what it has not reached keeps what it runs with",
    "revert": "what it has reached goes back",
}
