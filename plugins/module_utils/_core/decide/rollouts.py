# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed configuration reaches what runs in batches, each of which must be well before the next one begins.

The record in the ledger says whose turn has come. For everything else the plan works with the configuration that it
runs with (`Rollout.effective`): whatever restarts, repairs or moves an instance meanwhile keeps that. So nothing else
of the plan knows of rollouts, and every run goes on with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..model import change
from ..model.records import Claim
from ..model.rollout import ABORTED, DONE, GOING, HALTED, LIVE, PAUSED, Rollout
from ..model.sentences import listing, number, times
from ..model.sequence import expected_programs
from ..model.site import Instance, instance_name
from ..model.words import FAILED, MUSTER, RUNNING, STARTING
from . import pauses
from .draft import WHOLE, Draft

LOOKS_APART = 5.0  # s between two looks at a batch that is not well yet
_LIVES = (change.RESTART, change.RELOAD, change.NOTHING)  # what a rollout brings about


def batches(
    items: Sequence[Tuple[str, bool]], canary: int, parallel: int
) -> List[List[str]]:
    """The items of each batch: first `canary` of them, then `parallel` at a time, those with open windows last.

    :param items: (id, whether a window of it is open), in site order.
    """
    order = [item for item, is_open in items if not is_open] + [item for item, is_open in items if is_open]
    found = [order[:canary]] if canary and len(order) > canary else []
    rest = order[len(found[0]) if found else 0 :]
    return found + [rest[first : first + parallel] for first in range(0, len(rest), parallel)]


def advance(draft: Draft) -> None:
    """Begin a rollout for what changed, or go on with the one that is under way; then show the plan what follows."""
    record = draft.rollout
    if draft.kind in WHOLE and not pauses.site_paused(draft):
        record = _advance(draft, record)
        if record is not None:
            draft.set_rollout(record)
            _tell(draft, record)
    show(draft)


def show(draft: Draft) -> None:
    """Let the plan work with the configurations that the rollout says."""
    if draft.rollout is not None:
        draft.digests = {**draft.described, **draft.rollout.effective(draft.described)}


def again_after(draft: Draft) -> float:
    """Seconds after which the run that made this plan may go on with the rollout; 0: it has nothing more to do."""
    record = draft.rollout
    if draft.kind not in WHOLE or record is None or record.state != GOING or len(record.batches) < 2:
        return 0.0
    if record.began == draft.now:  # counted from its outcome on, and looking takes a moment, too
        return max(record.hold_for, 0.01)
    return min(LOOKS_APART, max(1.0, record.hold_for))


def _advance(draft: Draft, record: Optional[Rollout]) -> Optional[Rollout]:
    changed = _changed(draft)
    known = record.targets if record is not None else {}
    fresh = {name: pair for name, pair in changed.items() if known.get(name) != pair[1]}
    if record is not None and fresh and record.state in LIVE and not any(name in known for name in fresh):
        record = _join(record, fresh)  # it did not run when the rollout began
    elif fresh:
        return _begin(draft, record, changed)
    if record is None or record.state != GOING:
        return record
    return _go_on(draft, record)


def _join(record: Rollout, fresh: Mapping[str, Tuple[str, str]]) -> Rollout:
    return replace(
        record, batches=(*record.batches, tuple(fresh)),
        targets={**record.targets, **{name: target for name, (_source, target) in fresh.items()}},
        sources={**record.sources, **{name: source for name, (source, _target) in fresh.items()}},
    )  # fmt: skip


def _tell(draft: Draft, record: Rollout) -> None:
    """What waits for its turn, and why it does not come."""
    if record.state in (PAUSED, HALTED, ABORTED) and record.waiting:
        why = " (%s)" % record.reason if record.reason else ""
        keep = "%s keep what they run with" % listing(record.waiting, most=6)
        verbs = "" if record.state == ABORTED else " (muster rollout resume, abort or revert)"
        draft.hold(None, None, "rollout %s is %s%s: %s%s" % (record.id, record.state, why, keep, verbs))
        return
    if record.state != GOING:
        return
    for number_, batch in enumerate(record.batches[record.at + 1 :], record.at + 2):
        for name in batch:
            claim = draft.claim(name)
            if claim.holds:
                draft.hold(name, claim.host, "%s waits for its turn in rollout %s: batch %d of %d" % (
                    name, record.id, number_, len(record.batches)))  # fmt: skip


def _changed(draft: Draft) -> Dict[str, Tuple[str, str]]:
    """Instance -> (digest that it runs with, digest that the site describes), of what a changed one takes down."""
    found = {}
    for name, instance in draft.site.by_name().items():
        claim, wanted = draft.claim(name), draft.described.get(name, "")
        if claim.phase != RUNNING or not claim.host or not wanted or not draft.is_started(name):
            continue
        copy = draft.copies(name).get(claim.host)
        if copy is None or not copy.live or copy.digest in ("", wanted):
            continue
        refused = claim.pending is not None and claim.pending.why and claim.pending.digest == wanted
        if refused and draft.kind != "deploy":
            continue
        reported = instance.application.repair == "report" and draft.kind != "deploy"
        if not reported and change.effect(instance.application, copy.digest, wanted) in _LIVES:
            found[name] = (copy.digest, wanted)
    return found


def _begin(draft: Draft, before: Optional[Rollout], changed: Mapping[str, Tuple[str, str]]) -> Rollout:
    settings = draft.site.rollout
    by_item: Dict[str, List[str]] = {}
    for name in changed:
        by_item.setdefault(draft.site.instance(name).item.id, []).append(name)
    items = [(item, _is_open(draft, item)) for item in by_item]
    parallel = int(draft.request.get("at_a_time") or 0) or settings.parallel(len(items))
    made = batches(items, min(settings.canary, parallel), parallel)
    hold_for = draft.site.settings.stable_after if settings.hold_for is None else settings.hold_for
    record = Rollout(
        draft.run, GOING, draft.who, draft.why, draft.now,
        batches=tuple(tuple(name for item in batch for name in by_item[item]) for batch in made),
        began=draft.now,
        due=draft.now + hold_for + 1.0,
        targets={name: target for name, (_source, target) in changed.items()},
        sources={name: source for name, (source, _target) in changed.items()},
        hold_for=hold_for, max_failures=settings.max_failures, revert=settings.revert,
    )  # fmt: skip
    if before is not None and before.state != DONE and before.waiting:
        left = listing(before.waiting, most=6)
        draft.note("rollout %s is replaced by rollout %s" % (before.id, record.id), "it had not reached %s" % left)
    if len(made) > 1:
        draft.note("rollout %s begins: %s" % (record.id, said_batches(record)), draft.why)
    return record


def _is_open(draft: Draft, item: str) -> bool:
    windows = [a.name for a in draft.site.applications if a.on_request]
    return any(draft.claim(instance_name(window, item)).holds for window in windows)


def _go_on(draft: Draft, record: Rollout) -> Rollout:
    """Judge the batch under way; begin the next one when it is well, stop when too much of it failed."""
    failed, waits = dict(record.failed), []
    for name in record.batches[record.at]:
        instance = draft.site.by_name().get(name)
        if instance is None or not draft.is_started(name) or draft.described.get(name) != record.targets[name]:
            continue
        claim = draft.claim(name)
        why = failure(claim, record)
        if why:
            failed[name] = why
        elif name not in failed:
            why = _not_well(draft, instance, claim, record)
            waits += ["%s %s" % (name, why)] if why else []
    if len(failed) > record.max_failures:
        return _halt(draft, record, failed)
    if waits:
        due = draft.now + LOOKS_APART if record.due <= draft.now else record.due
        return replace(record, failed=failed, due=due, reason="waits: %s" % listing(waits, most=4))
    if record.at + 1 >= len(record.batches):
        if len(record.batches) > 1:
            what = "is done" if not record.back else "has gone back"
            draft.note("rollout %s %s" % (record.id, what), said_batches(record), who=MUSTER)
        return replace(record, state=DONE, failed=failed, reason="")
    draft.note("batch %d of rollout %s begins" % (record.at + 2, record.id), "the one before is well", who=MUSTER)
    return replace(
        record, at=record.at + 1, began=draft.now, due=draft.now + record.hold_for + 1.0, failed=failed, reason=""
    )


def _halt(draft: Draft, record: Rollout, failed: Mapping[str, str]) -> Rollout:
    name, why = list(failed.items())[-1]
    more = "" if len(failed) == 1 else "; %s in all" % times(len(failed))
    reason = "%s failed: %s%s" % (name, why, more)
    returned = record.returned
    if record.revert and not record.back:
        returned = tuple(dict.fromkeys((*returned, *failed)))
        reason += "; what failed goes back to what it ran with"
        for each in failed:  # its next start is another one
            claim = draft.claim(each)
            draft.set_claim(each, replace(claim, failures=(), crashes=(), until=0.0))
    draft.note("rollout %s stops" % record.id, reason, "stopped", who=MUSTER)
    return replace(record, state=HALTED, failed=dict(failed), returned=returned, reason=reason)


def failure(claim: Claim, record: Rollout) -> str:
    """Why an instance of the batch under way has failed; empty while it has not."""
    if claim.phase == FAILED:
        return claim.reason or "it did not start"
    found = [entry for entry in (*claim.failures, *claim.crashes) if entry.at >= record.began]
    if found:
        return found[-1].why
    pending = claim.pending
    return pending.why if pending is not None and pending.why and pending.since >= record.began else ""


def _not_well(draft: Draft, instance: Instance, claim: Claim, record: Rollout) -> str:
    """What is missing until an instance is operational for long enough, as a phrase; empty when nothing is."""
    copy = draft.copies(instance.name).get(str(claim.host)) if claim.holds else None
    goal = record.sources[instance.name] if record.back else record.targets[instance.name]
    if claim.phase != RUNNING or claim.actor is not None:
        return "is starting" if claim.phase == STARTING else "is %s" % claim.phase
    if copy is None or not copy.live:
        return "is not seen on %s" % claim.host
    if copy.digest != goal:
        return "has not taken it yet"
    missing = expected_programs(instance.application, without=claim.deferred + tuple(claim.failed) + copy.programs)
    if missing:
        return "runs without %s" % listing(missing)
    left = max(claim.since, record.began) + record.hold_for - draft.now
    return "must run for %s s more" % number(round(left, 1)) if left > 0.01 else ""


def said_batches(record: Rollout) -> str:
    """``4 instances in 3 batches (1, 2 and 1)``"""
    sizes = [len(batch) for batch in record.batches]
    return "%d instances in %d batch%s (%s)" % (
        sum(sizes), len(sizes), "" if len(sizes) == 1 else "es", listing([str(size) for size in sizes], most=8))
