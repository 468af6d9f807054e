# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to happen to one instance: its claim and what hosts show, against what is wanted.

The order of the questions is what keeps an instance at most once: is another run at work; is the host that may hold it
seen; is there a copy that no claim allows; only then, what should become of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

from ..model.observation import Seen
from ..model.records import Claim, Failure
from ..model.sentences import times
from ..model.sequence import expected_programs
from ..model.site import Instance
from ..model.words import DOWN, FAILED, FREE, HOST_DOWN, MONITOR, MUSTER, RUNNING, STARTED, STARTING, STOPPED
from . import alone, conflicts, notices, pauses, unfinished, windows
from .draft import WHOLE, Draft, Move
from .failures import avoided_hosts, given_up, running_failure, tried_slowly
from .keep_running import after_wait, apply_strategy, keep_running, repair_gone, rests
from .relocate import in_place, misplaced, move, stop_strays, strays_of

DEADLINE_SLACK = 1.0  # s, for a deadline that was written in this second
BY_HAND = "stopped"  # how a program ended, by the word of its service manager: as somebody ordered
FORGET_AFTER = 30 * 24 * 3600.0  # s that the claim of an instance which left the site is kept, so that epochs go on


def reconcile(draft: Draft, name: str) -> None:
    """Add what one instance needs to the draft; nothing when all is as wanted."""
    host = unfinished.started_in_vain(draft, name)
    if host:
        _undo_start(draft, name, host)
        return
    busy = draft.busy(name)
    if busy and not unfinished.shown(draft, name):
        _shorten(draft, name)
        draft.waits[name] = _deadline(draft.claim(name))
        draft.hold(name, draft.claim(name).host, "%s waits: %s" % (name, busy))
        return
    claim = draft.claim(name)
    if claim.phase == RUNNING and claim.actor is not None and claim.actor.run != draft.run:
        draft.set_claim(name, replace(claim, actor=None))  # what it runs with shows what came of it
    alone_at_it = alone.count(draft, name)
    if alone_at_it and name not in draft.asked:
        draft.waits[name] = draft.now + draft.site.settings.start_timeout
        draft.hold(name, draft.claim(name).host, "%s waits: %s" % (name, alone_at_it))
        return
    wrong = conflicts.notice(draft, name)
    paused = pauses.holds(draft, name)
    if not paused:
        _reconcile(draft, name, wrong)
        return
    mark = draft.mark(name)
    _reconcile(draft, name, wrong)
    pauses.hold_back(draft, name, mark, paused)


def _reconcile(draft: Draft, name: str, wrong: List[str]) -> None:
    if conflicts.decided(draft, name, wrong):
        return
    claim = draft.claim(name)
    holder = claim.host if claim.holds else None
    because = draft.asked.get(name) or "%s should run and runs nowhere" % name
    if holder is not None and not draft.observation(holder).seen:
        if _stays_claimed(draft, name, holder):
            stop_strays(draft, name, strays_of(draft, name, holder))
            return
        because, holder = "%s is down" % holder, None
    instance = draft.site.by_name().get(name)
    if instance is None:
        _leave(draft, name)
        return
    if holder is not None:
        windows.was_cut_off(draft, instance, holder)
        windows.ends(draft, instance, holder)
    else:
        windows.waits_for_console(draft, instance)
    if draft.is_started(name):
        _keep_started(draft, instance, holder, because)
    else:
        _keep_stopped(draft, name, _why_stopped(draft, name))


def _shorten(draft: Draft, name: str) -> None:
    """A deadline further away than a run may take was made by a clock that was wrong: it begins again."""
    claim, longest = draft.claim(name), draft.now + draft.site.settings.run_timeout
    if claim.actor is not None and claim.actor.deadline > longest + DEADLINE_SLACK:
        draft.set_claim(name, replace(claim, actor=replace(claim.actor, deadline=longest)))


def _deadline(claim: Claim) -> float:
    return claim.actor.deadline if claim.actor else 0.0


def _why_stopped(draft: Draft, name: str) -> str:
    wanted = draft.wanted(name)
    return wanted.why or "%s is not wanted anywhere" % name


def _undo_start(draft: Draft, name: str, host: str) -> None:
    instance = draft.site.by_name().get(name)
    if instance is not None:
        windows.ends(draft, instance, host)
    draft.undo_start(name, host, "the start of %s on %s got no answer and is not there, so it is undone" % (name, host))


# --- the host that holds it does not answer


def _stays_claimed(draft: Draft, name: str, host: str) -> bool:
    """Hold what is claimed on a host that was not seen; False when the host is down and the claim was freed."""
    claim = draft.claim(name)
    observation = draft.observation(host)
    instance = draft.site.by_name().get(name)
    if claim.target and claim.target != host and draft.record(host).state != DOWN:
        draft.hold(name, host, "%s stays claimed on %s, from where it moves: %s" % (name, host, observation.why))
        return True
    if draft.record(host).state != DOWN:
        draft.hold(name, host, "%s stays claimed on %s: %s" % (name, host, observation.why))
        return True
    if instance is not None and instance.application.on_request and not draft.confirmed_down(host):
        draft.want(name, STOPPED, "%s is believed down" % host, by=MUSTER, cause=HOST_DOWN)
        draft.hold(
            name, host, "%s stays claimed on %s, which is believed down: see it empty, confirm it down, or take over "
            "with a reason" % (name, host),
        )  # fmt: skip
        return True
    if instance is not None and instance.application.on_request:
        draft.want(name, STOPPED, "%s is confirmed down" % host, by=MUSTER)
    draft.free(name, "%s is down" % host)
    if draft.record(host).by == MONITOR and not pauses.holds(draft, name):
        draft.leave_behind(name, host)
    return False


# --- an instance whose item is not in the site any more


def _leave(draft: Draft, name: str) -> None:
    claim = draft.claim(name)
    reason = "%s has left the site" % name
    draft.forget_wanted(name)
    draft.unbook(name, reason)
    if not _stop_all(draft, name, reason) and name in draft.state.claims:
        if claim.phase != FREE:
            draft.release(name, reason, "%s: %s shows nothing of it" % (reason, claim.host))
        elif draft.now - claim.since > FORGET_AFTER:
            draft.set_claim(name, None)


def _stop_all(draft: Draft, name: str, reason: str) -> bool:
    """Stop every copy on seen hosts; whether there was one."""
    claim = draft.claim(name)
    copies = draft.copies(name)
    holder = claim.host if claim.holds else None
    hosts = sorted(copies, key=lambda host: (host != holder, not copies[host].live))
    for position, host in enumerate(hosts):
        if position == 0 and (copies[host].live or host == holder):
            draft.stop(name, host, reason)  # the claim is about this one until its stop is confirmed
        else:
            draft.stop_copy(name, host, reason)
    return bool(hosts)


# --- wanted stopped


def _keep_stopped(draft: Draft, name: str, reason: str) -> None:
    claim = draft.claim(name)
    if draft.site_stop is not None:
        if claim.phase == FAILED and not draft.copies(name):
            return  # it has nothing to stop, and is as it was when the site starts again
        if claim.holds and draft.wanted_else(name).state == STARTED:
            draft.set_claim(name, replace(claim, back=claim.target or str(claim.host)))
            claim = draft.claim(name)
    else:
        draft.unbook(name, reason)
    if _stop_all(draft, name, reason):
        return
    if claim.room:
        draft.set_claim(name, replace(claim, room=""))
    if claim.phase != FREE:
        draft.release(name, draft.wanted(name).why, "%s; %s shows nothing of it" % (reason, claim.host))


# --- wanted started


def _keep_started(draft: Draft, instance: Instance, holder: Optional[str], because: str) -> None:
    name, claim = instance.name, draft.claim(instance.name)
    strays = strays_of(draft, name, holder)
    if claim.phase == FAILED:
        _after_failure(draft, instance, holder, strays)
        return
    host = _lives_on(draft, instance) if holder is None else ""
    if host:
        reason = "%s still runs on %s, whole and nowhere else" % (name, host)
        draft.moves.append(Move(name, reason, (host,), hosts=(host,), keeps=True))
        return
    if holder is None:
        move(draft, instance, because, strays)
        return
    copy = draft.copies(name).get(holder)
    if (copy is None or not copy.live) and not rests(instance, claim, copy):
        _gone(draft, instance, holder, strays)
    elif claim.phase == RUNNING and copy is not None:
        keep_running(draft, instance, holder, copy, strays)
    elif claim.phase == STARTING and copy is not None:
        _take_over_start(draft, instance, holder, copy, strays)
    else:
        _finish_stop(draft, instance, holder, strays)


def _lives_on(draft: Draft, instance: Instance) -> str:
    """The host where an instance that nothing claims runs on in full, and nowhere else; empty when there is none.

    It has to be the newest that anybody knows of: what the free claim held last, on a host that was believed down and
    was only cut off; or what ran before a start that came to nothing, as the host of that start shows.
    """
    name, claim, copies = instance.name, draft.claim(instance.name), draft.copies(instance.name)
    if claim.phase != FREE or len(copies) != 1 or name in draft.asked or name in draft.restarts:
        return ""
    ((host, copy),) = copies.items()
    whole = not expected_programs(instance.application, without=copy.deferred + tuple(copy.failed) + copy.present)
    last = host == claim.host and copy.epochs == (claim.epoch,)
    before = host != claim.host and draft.observation(str(claim.host)).seen and copy.epochs == (copy.highest,) != (0,)
    known = max(claim.epoch, claim.highest, claim.ahead.until if claim.ahead is not None else 0)
    newest = draft.known_epoch(name) == known and (last or before)
    placed = draft.wanted(name).host in (None, host) and not misplaced(draft, instance, host)
    return host if whole and newest and placed else ""


def _gone(draft: Draft, instance: Instance, host: str, strays: List[str]) -> None:
    """Claimed on a seen host that shows no live process of it."""
    name, claim = instance.name, draft.claim(instance.name)
    if claim.phase != RUNNING:
        draft.free(name, claim.reason)
        reason = "%s was left unfinished on %s and is not there" % (name, host)
        move(draft, instance, reason, list(draft.copies(name)))
        return
    incarnation = draft.observation(host).incarnation
    if incarnation != claim.incarnation and (claim.incarnation or not incarnation):
        again = "%s, so %s starts there again" % (windows.restarted(host, incarnation), name)
        in_place(draft, instance, host, again, strays)
    elif name in draft.restarts:
        in_place(draft, instance, host, draft.restarts[name], strays)
    elif name in draft.asked:
        in_place(draft, instance, host, draft.asked[name], strays)
    elif windows.lease_ended(draft, name, host):
        used = "" if draft.observation(host).lease_lost else "; it is used again"
        what = "%s lost its lease, and ended %s%s" % (host, name, used)
        in_place(draft, instance, host, what, strays)
    elif windows.bus_ended(draft, instance, host):
        _after_its_bus(draft, instance, host, strays)
    elif instance.application.repair == "report" and draft.kind in WHOLE:
        notices.drift(draft, name, host, "%s was stopped on %s" % (name, host), report=True)
        draft.hold(name, host, "%s was stopped on %s outside muster (repair: report): start it" % (name, host))
    else:
        _after_its_end(draft, instance, host, strays)


def _after_its_end(draft: Draft, instance: Instance, host: str, strays: List[str]) -> None:
    """All of it is gone, for a reason of its own: what its service manager knows decides what that is called and costs.

    Only an order to the service manager is somebody's doing, and costs nothing. What ended by itself is a crash.
    """
    name, copy = instance.name, draft.copies(instance.name).get(host)
    expected = expected_programs(instance.application, without=copy.done if copy else ())
    endings = {program: how for program, how in (copy.endings if copy else {}).items() if program in expected}
    if endings and all(how == BY_HAND for how in endings.values()):
        what = "somebody stopped %s on %s by an order to its service manager, past muster" % (name, host)
        notices.drift(draft, name, host, what, report=False)
        in_place(draft, instance, host, what, strays)
        return
    by_itself = ["%s %s" % (program, how) for program, how in endings.items() if how != BY_HAND]
    if by_itself:
        repair_gone(draft, instance, host, "%s ended by itself on %s: %s" % (name, host, "; ".join(by_itself)), strays)
        return
    what = "%s no longer runs on %s, and muster did not stop it" % (name, host)
    notices.drift(draft, name, host, what, report=False)
    repair_gone(draft, instance, host, what, strays)


def _after_its_bus(draft: Draft, instance: Instance, host: str, strays: List[str]) -> None:
    name, program = instance.name, draft.copies(instance.name)[host].ended
    what = "the internal bus of %s crashed on %s" % (name, host)
    strategy = running_failure(instance.application, [program])
    if strays and strategy == "restart_application":  # they are stopped first, confirmed
        in_place(draft, instance, host, what, strays)
        return
    apply_strategy(draft, instance, host, strategy, what, [program], urgent=False)
    stop_strays(draft, name, strays)


def _take_over_start(draft: Draft, instance: Instance, host: str, copy: Seen, strays: List[str]) -> None:
    """A start whose run is over without having said how it ended."""
    name, claim = instance.name, draft.claim(instance.name)
    missing = expected_programs(instance.application, without=copy.deferred + tuple(copy.failed) + copy.present)
    if copy.epochs == (claim.epoch,) and not missing and name not in draft.restarts:
        stop_strays(draft, name, strays)
        found = replace(
            claim, phase=RUNNING, actor=None, deferred=copy.deferred, failed=dict(copy.failed), reason="",
            since=draft.now,
        )  # fmt: skip
        draft.set_claim(name, found)
        draft.note("%s runs on %s" % (name, host), "its start had been left unfinished", "running", name, host)
        return
    in_place(draft, instance, host, "the start of %s on %s was left unfinished" % (name, host), strays)


def _finish_stop(draft: Draft, instance: Instance, host: str, strays: List[str]) -> None:
    """A stop whose run is over without a confirmation, of an instance that is wanted started."""
    name, claim = instance.name, draft.claim(instance.name)
    if claim.target and claim.target != host:
        reason = "the move of %s from %s to %s was left unfinished" % (name, host, claim.target)
        draft.set_claim(name, replace(claim, target=None))
        move(draft, instance, reason, [host] + strays, exclude={host: ""}, prefer=claim.target)
    else:
        draft.set_claim(name, replace(claim, target=None))
        in_place(draft, instance, host, "the stop of %s on %s was left unfinished" % (name, host), strays)


def _after_failure(draft: Draft, instance: Instance, holder: Optional[str], strays: List[str]) -> None:
    """A failed start is tried again while its budget lasts, an HCI only when somebody opens it again."""
    name, claim = instance.name, draft.claim(instance.name)
    another = bool(claim.digest) and draft.digests.get(name, "") not in ("", claim.digest)
    if another and draft.kind in WHOLE and not instance.application.on_request:
        claim = replace(claim, failures=(), crashes=(), until=0.0)  # what failed was another configuration
        draft.set_claim(name, claim)
    if claim.until:
        after_wait(draft, instance, strays)
        return
    if instance.application.on_request and claim.failures:
        draft.hold(name, claim.host, "the start of %s on %s failed: %s; open it again, or close it" % (
            name, claim.host, claim.reason))  # fmt: skip
        stop_strays(draft, name, strays)
        return
    last = (claim.failures or claim.crashes or (Failure(claim.since, "", claim.reason),))[-1].why
    slow = tried_slowly(instance.application, claim, last, claim.since)
    if given_up(claim, draft.site.settings) and slow is not None:  # the site says so since it failed
        draft.set_claim(name, slow)
        after_wait(draft, instance, strays)
        return
    if given_up(claim, draft.site.settings):
        draft.hold(name, claim.host, "%s stays failed until a person starts it: %s" % (name, claim.reason))
        stop_strays(draft, name, strays)
        return
    count = len(claim.failures)
    reason = "%s failed %s (last: %s) and is tried again" % (name, times(count), claim.reason)
    if not count:
        reason = draft.asked.get(name) or "%s is started again" % name
    copy = draft.copies(name).get(holder) if holder is not None else None
    wanted_host = draft.wanted(name).host
    if copy is None:
        draft.free(name, claim.reason)
        move(draft, instance, reason, strays)
    elif holder in avoided_hosts(claim, draft.now, draft.site.settings) or wanted_host not in (None, holder):
        tried = {str(holder): "it failed on %s: %s" % (holder, claim.reason)}
        move(draft, instance, reason, [str(holder)] + strays, exclude=tried)
    else:
        in_place(draft, instance, str(holder), reason, strays)
