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
from typing import Callable, Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from ..model import change
from ..model.records import Claim
from ..model.rollout import ABORTED, DONE, GOING, HALTED, LIVE, PAUSED, Rollout
from ..model.sentences import duration, listing, number
from ..model.site import instance_name
from ..model.words import FAILED, MUSTER, RUNNING
from . import batches, pauses, well
from .draft import WHOLE, Draft

Lost = Callable[[Draft], str]
OF_BEFORE = "%s of the rollout before"
SELDOM = 600.0  # s until what waits for a person is looked at again, besides every regular look
LOOKS_APART = 5.0  # s between two looks at a batch that is not well yet
UNWATCHED = 120.0  # s without a look that was due, from which on that time does not count
AHEAD = 5.0  # s that a moment of the past may be ahead of the clock
_LIVES = (change.RESTART, change.RELOAD, change.NOTHING)  # what a rollout brings about


def advance(draft: Draft, lost: Lost) -> None:
    """Begin a rollout for what changed, or go on with the one that is under way; then show the plan what follows.

    :param lost: what would find no place if a server died now, as a sentence; empty when all would.
    """
    record = draft.rollout
    if draft.kind in WHOLE and not pauses.site_paused(draft):
        record = _advance(draft, record, lost)
        if record is not None:
            record = _carried(draft, record)
            draft.set_rollout(record)
            tell(draft, record)
    show(draft)


def show(draft: Draft) -> None:
    """Let the plan work with the configurations that the rollout says."""
    if draft.rollout is not None:
        draft.digests = {**draft.described, **draft.rollout.effective(draft.described)}


def _carried(draft: Draft, record: Rollout) -> Rollout:
    """With the run that goes on with it: so the monitor does not, while that run lives."""
    if record.state != GOING:
        return replace(record, carrier="")
    return replace(record, carrier=draft.actor.process or draft.run) if draft.request.get("carries") else record


def again_after(draft: Draft) -> float:
    """Seconds after which the run that made this plan may go on with the rollout; 0: it has nothing more to do."""
    record = draft.rollout
    if draft.kind not in WHOLE or record is None or record.state != GOING or len(record.batches) < 2:
        return 0.0
    under_way = set(record.batches[record.at]) if record.at >= 0 else set()
    mended = any(action.acts and action.instance in under_way for action in draft.actions)
    if record.began == draft.now or mended:  # counted from its outcome on, and looking takes a moment, too
        return max(record.hold_for, 0.01) if record.at >= 0 else 1.0
    if record.due > draft.now + max(LOOKS_APART, record.hold_for + 1.0):
        return 0.0
    return min(LOOKS_APART, max(0.05, record.due - draft.now))


def holds_from(
    record: Optional[Rollout], before: Mapping[str, Claim], claims: Mapping[str, Claim]
) -> Optional[Rollout]:
    """The record with the moment at which its batch has held, after an outcome with which all of that runs; None where
    there is none, or that is known already.

    :param before: the claims before this outcome; `claims` are those that it changes.
    """
    batch = record.batches[record.at] if record is not None and record.at >= 0 and len(record.batches) > 1 else ()
    found = [claims.get(name) or before.get(name) for name in batch]
    running = [claim for claim in found if claim is not None and claim.phase == RUNNING and claim.actor is None]
    if record is None or record.state != GOING or len(running) < len(batch) or not set(batch) & set(claims):
        return None
    due = max([record.began, record.lacked, *(claim.since for claim in running)]) + record.hold_for
    return replace(record, due=due) if due != record.due else None


def _advance(draft: Draft, record: Optional[Rollout], lost: Lost) -> Optional[Rollout]:
    changed = _changed(draft)
    known = record.targets if record is not None else {}
    fresh = {name: pair for name, pair in changed.items() if known.get(name) != pair[1]}
    if record is not None and fresh and record.state in LIVE and not any(name in known for name in fresh):
        record = _join(draft, record, fresh)
    elif fresh:
        return _begin(draft, record, changed, lost)
    if record is not None and record.state in LIVE and not _is_described(draft, record):
        why = "the site describes another configuration"
        draft.note("rollout %s is over" % record.id, why, who=MUSTER)
        return replace(record, state=ABORTED, reason=why)
    if record is None or record.state != GOING:
        return record
    return _go_on(draft, record, lost)


def _is_described(draft: Draft, record: Rollout) -> bool:
    """Whether the site still describes what it brings about for any of its instances."""
    return any(draft.described.get(name, target) == target for name, target in record.targets.items())


def _join(draft: Draft, record: Rollout, fresh: Mapping[str, Tuple[str, str]]) -> Rollout:
    """More instances, which did not run when it began, in batches after the others."""
    made = batches.batches_of(draft.site, fresh, _opened(draft), 0, canary=False)
    rules = (*(record.rules or (batches.of_record(record),) * len(record.batches)), *(batch.rules for batch in made))
    return replace(
        record, batches=(*record.batches, *(batch.instances for batch in made)),
        rules=() if all(one == rules[0] for one in rules) else rules,
        targets={**record.targets, **{name: target for name, (_source, target) in fresh.items()}},
        sources={**record.sources, **{name: source for name, (source, _target) in fresh.items()}},
    )  # fmt: skip


def tell(draft: Draft, record: Rollout) -> None:
    """What waits for its turn, and why it does not come."""
    if record.state in (PAUSED, HALTED, ABORTED) and record.waiting and _is_described(draft, record):
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


def _begin(
    draft: Draft, before: Optional[Rollout], changed: Mapping[str, Tuple[str, str]], lost: Lost
) -> Rollout:
    made = batches.batches_of(draft.site, changed, _opened(draft), int(draft.request.get("at_a_time") or 0))
    alike = all(batch.rules == made[0].rules for batch in made)
    record = Rollout(
        draft.run, GOING, draft.who, draft.why, draft.now,
        batches=tuple(batch.instances for batch in made),
        began=draft.now,
        targets={name: target for name, (_source, target) in changed.items()},
        sources={name: source for name, (source, _target) in changed.items()},
        rules=() if alike else tuple(batch.rules for batch in made),
        ready=len(made) > 1 and not lost(draft),
    ).with_batch(0, **made[0].rules)  # fmt: skip
    record = as_before(draft, replace(record, due=draft.now + record.hold_for + 1.0))
    down = _still_down(draft, before)
    if down:
        record = _wait(draft, replace(record, at=-1, after=down), {}, OF_BEFORE % listing(down))
    if before is not None and before.state != DONE and before.waiting:
        left = listing(before.waiting, most=6)
        draft.note("rollout %s is replaced by rollout %s" % (before.id, record.id), "it had not reached %s" % left)
    if len(made) > 1:
        draft.note("rollout %s begins: %s" % (record.id, said_batches(record)), draft.why)
    return record


def _opened(draft: Draft) -> FrozenSet[str]:
    """Ids of items with an open window."""
    windows = [a.name for a in draft.site.applications if a.on_request]
    return frozenset(
        item.id for item in draft.site.items
        if any(draft.claim(instance_name(window, item.id)).holds for window in windows)
    )  # fmt: skip


class _Judged(NamedTuple):
    """The batch under way."""

    failed: Dict[str, str]  # instance -> why; with those of earlier batches
    waits: Dict[str, str]  # -> what is missing
    paused: Dict[str, str]  # what has not taken it because of a pause -> that
    held: Dict[str, float]  # what is operational -> s until it has been so for long enough
    lacks: Dict[str, str]  # what runs as its turn brings, and lacks a part -> what


def _go_on(draft: Draft, record: Rollout, lost: Lost) -> Rollout:
    """Judge the batch under way; begin the next one when it is well, stop when too much of it failed."""
    record = _in_time(draft, record)
    if record.at < 0:
        return _begin_after(draft, record)
    failed, waits, paused, held, lacks = _judge(draft, record)
    if lacks:
        record = replace(record, lacked=draft.now)
    if len(record.together & set(failed)) > record.max_failures:
        return _halt(draft, record, failed)
    known, record = record.returned, _borne(draft, record, failed)
    if draft.now <= record.began + _time(record) + record.missed:
        down = [name for name in record.returned if name not in known or _is_down(draft, name)]
        waits.update(dict.fromkeys(down, "goes back to what it ran with"))
    if waits:
        return _wait(draft, record, failed, listing(["%s %s" % pair for pair in waits.items()], most=4))
    left = max(held.values(), default=0.0)
    if left > 0.01:
        texts = ["%s must run for %s s more" % (n, number(round(s, 1))) for n, s in held.items() if s > 0.01]
        return replace(record, failed=failed, due=draft.now + left, reason="waits: %s" % listing(texts, most=4))
    if record.at + 1 < len(record.batches):
        return _next(draft, record, failed, paused, lost)
    if paused:
        why = "waits: %s" % listing(dict.fromkeys(paused.values()), most=4)
        due = record.due if record.due > draft.now + LOOKS_APART else draft.now + SELDOM
        return replace(record, failed=failed, due=due, reason=why, held_up=True)
    if len(record.batches) > 1:
        what = "is done" if not record.back else "has gone back"
        draft.note("rollout %s %s" % (record.id, what), said_batches(record), who=MUSTER)
    return replace(record, state=DONE, failed=failed, reason="")


def _in_time(draft: Draft, record: Rollout) -> Rollout:
    """Without the time in which nobody looked, since the controller was off or its clock was wrong."""
    late = draft.now - record.due
    over = record.held_up and not any(pauses.paused(draft, name) for name in record.batches[record.at])
    if over or record.began > draft.now + AHEAD:  # the pause is over, or the clock was set back
        due = draft.now + record.hold_for + 1.0
        return replace(record, began=draft.now, due=due, missed=0.0, held_up=False, lacked=0.0)
    if record.due and late > UNWATCHED:
        return replace(record, missed=record.missed + late, due=draft.now + LOOKS_APART)
    return record


def _judge(draft: Draft, record: Rollout) -> _Judged:
    judged = _Judged(dict(record.failed), {}, {}, {}, {})
    late = draft.now > record.began + _time(record) + record.missed
    for name in record.batches[record.at]:
        instance = draft.site.by_name().get(name)
        if instance is None or not draft.is_started(name):
            continue
        if draft.described.get(name) != record.targets[name]:  # it is not judged, but it may be down
            if not late and _is_down(draft, name):
                judged.waits[name] = "is on its way to a configuration that the site does not describe any more"
            continue
        claim = draft.claim(name)
        why = well.failure(name, claim, record)
        if why:
            judged.failed[name] = why
        if name in judged.failed:
            continue
        why = well.lacks(draft, instance, claim, well.goal(record, name), name in record.ailing)
        pause = pauses.paused(draft, name)
        if why and claim.phase == RUNNING and well.runs_with(draft, claim, name) == well.goal(record, name):
            judged.lacks[name] = why
        if why and pause:
            if well.runs_with(draft, claim, name) != well.goal(record, name):
                judged.paused[name] = pause
        elif why and late:
            judged.failed[name] = "not well within %s: it %s" % (duration(_time(record)), why)
        elif why:
            judged.waits[name] = why
        else:
            since = max(_since(draft, claim), record.began, record.lacked)
            judged.held[name] = since + record.hold_for - draft.now
    return judged


def _time(record: Rollout) -> float:
    """Seconds that a batch has, of those in which somebody looks."""
    return record.hold_for + record.well_within


def _since(draft: Draft, claim: Claim) -> float:
    """Since when a claim is as it is, unless the clock was set back since then."""
    return claim.since if claim.since <= draft.now + AHEAD else 0.0


def _next(
    draft: Draft, record: Rollout, failed: Mapping[str, str], paused: Mapping[str, str], lost: Lost
) -> Rollout:
    """Begin the next batch, unless a server was lost meanwhile and another loss could not be borne."""
    why = lost(draft) if record.ready else ""
    if why:
        reason = "the site cannot bear the loss of a server as when it began: %s" % why
        if draft.now <= record.began + _time(record) + record.missed:
            return _wait(draft, record, failed, reason)
        draft.note("rollout %s stops" % record.id, reason, "stopped", who=MUSTER)
        return replace(record, state=HALTED, failed=dict(failed), reason=reason)
    at = record.at + 1
    if paused:
        draft.note("rollout %s comes back to %s at the end" % (record.id, listing(paused)),
                   listing(dict.fromkeys(paused.values())), who=MUSTER)  # fmt: skip
        record, at = record.put_off(frozenset(paused))
    return _at_batch(draft, replace(record, failed=dict(failed)), at, "the one before is well")


def _begin_after(draft: Draft, record: Rollout) -> Rollout:
    """Begin the first batch, once what the rollout before had taken down is up."""
    down = tuple(name for name in record.after if _is_down(draft, name))
    if down and draft.now <= record.began + _time(record) + record.missed:
        return _wait(draft, replace(record, after=down), record.failed, OF_BEFORE % listing(down))
    return _at_batch(draft, replace(record, after=()), 0, "what the rollout before took down is up")


def _at_batch(draft: Draft, record: Rollout, at: int, why: str) -> Rollout:
    draft.note("batch %d of rollout %s begins" % (at + 1, record.id), why, who=MUSTER)
    record = as_before(draft, record.with_batch(at))
    return replace(record, began=draft.now, due=draft.now + record.hold_for + 1.0, missed=0.0,
                   held_up=False, reason="")  # fmt: skip


def as_before(draft: Draft, record: Rollout) -> Rollout:
    """With what of the batch is not whole already: the rollout did not bring that about."""
    batch = record.batches[record.at] if record.at >= 0 else ()
    claims = {name: draft.claim(name) for name in batch}
    found = tuple(n for n, claim in claims.items() if claim.deferred or claim.failed or well.is_sick(draft, n, claim))
    return replace(record, ailing=found, lacked=0.0)


def _still_down(draft: Draft, before: Optional[Rollout]) -> Tuple[str, ...]:
    """What the rollout that is replaced has taken down, and is not up again: a batch more would be too much."""
    if before is None or before.state == DONE:
        return ()
    under_way = before.batches[before.at] if before.at >= 0 else before.after
    return tuple(name for name in dict.fromkeys((*under_way, *before.returned)) if _is_down(draft, name))


def _is_down(draft: Draft, name: str) -> bool:
    """Whether it is on its way, or lacks a program; what has failed or was stopped is not waited for."""
    instance, claim = draft.site.by_name().get(name), draft.claim(name)
    if instance is None or not draft.is_started(name) or claim.phase == FAILED or pauses.paused(draft, name):
        return False
    return bool(well.lacks(draft, instance, claim, ailing=True))


def _wait(draft: Draft, record: Rollout, failed: Mapping[str, str], for_what: str) -> Rollout:
    due = draft.now + LOOKS_APART if record.due <= draft.now + 1.0 else record.due
    return replace(record, failed=failed, due=due, reason="waits: %s" % for_what)


def _borne(draft: Draft, record: Rollout, failed: Mapping[str, str]) -> Rollout:
    """What failed, where that many may: it is not left down, and the rollout goes on without it."""
    after = _given_back(draft, record, failed)
    fresh = [name for name in after.returned if name not in record.returned]
    if fresh:
        why = listing(["%s failed: %s" % (name, failed[name]) for name in fresh], most=4)
        what = "%s go%s back to what %s with" % (
            listing(fresh, most=6), *(("es", "it ran") if len(fresh) == 1 else ("", "they ran")))
        draft.note("rollout %s goes on; %s" % (record.id, what), why, who=MUSTER)
    return after


def _given_back(draft: Draft, record: Rollout, failed: Mapping[str, str]) -> Rollout:
    """With what failed on its way back to what it ran with, where that is to be so."""
    if not record.revert or record.back:
        return record
    together = record.together
    fresh = tuple(name for name in failed if name in together and name not in record.returned)
    for name in fresh:  # its next start is another one
        draft.set_claim(name, replace(draft.claim(name), failures=(), crashes=(), until=0.0))
    return replace(record, failed=dict(failed), returned=(*record.returned, *fresh)) if fresh else record


def _halt(draft: Draft, record: Rollout, failed: Mapping[str, str]) -> Rollout:
    name, why = list(failed.items())[-1]
    more = "" if len(failed) == 1 else "; %d instances failed in all" % len(failed)
    reason = "%s failed: %s%s" % (name, why, more)
    if record.revert and not record.back:
        reason += "; what failed goes back to what it ran with"
    record = _given_back(draft, record, failed)
    draft.note("rollout %s stops" % record.id, reason, "stopped", who=MUSTER)
    return replace(record, state=HALTED, failed=dict(failed), reason=reason)


def said_batches(record: Rollout) -> str:
    """``4 instances in 3 batches (1, 2 and 1)``"""
    sizes = [len(batch) for batch in record.batches]
    return "%d instances in %d batch%s (%s)" % (
        sum(sizes), len(sizes), "" if len(sizes) == 1 else "es", listing([str(size) for size in sizes], most=8))
