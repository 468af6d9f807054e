# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to happen to an instance that runs: its configuration, its missing programs, its deferred part."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

from ..model.observation import Seen
from ..model.plan import RESTART
from ..model.records import Claim, Failure
from ..model.sentences import clock, duration, listing, times
from ..model.sequence import expected_programs
from ..model.site import Instance
from ..model.words import DOWN, DRAINED, FAILED, FREE, MUSTER, RUNNING, STOPPED, SUSPECT
from . import changes
from .draft import Draft
from .failures import (
    charge,
    endless,
    given_up,
    in_a_row,
    longest_wait,
    running_failure,
    tired_hosts,
    tried_slowly,
    wait_before,
)
from .relocate import booked, in_place, misplaced, move, stop_strays


def keep_running(draft: Draft, instance: Instance, host: str, copy: Seen, strays: List[str]) -> None:
    """Decide about an instance that runs where its claim is: restart, move, repair, continue, or leave it alone.

    :param host: of the claim.
    :param copy: what that host shows of it.
    :param strays: hosts with copies that no claim allows.
    """
    name, claim = instance.name, draft.claim(instance.name)
    if copy.epochs != (claim.epoch,) and not rests(instance, claim, copy):
        runs = listing(str(e) if e else "none" for e in copy.epochs)
        reason = "%s runs on %s under epoch %s, the ledger says %d" % (name, host, runs, claim.epoch)
        in_place(draft, instance, host, reason, strays)
        return
    if name in draft.restarts:
        in_place(draft, instance, host, draft.restarts[name], strays)
        return
    wrong = misplaced(draft, instance, host)
    if wrong and not instance.application.on_request:
        stays = instance.application.per == "host"  # it runs there or nowhere
        reason = "%s, so %s %s" % (wrong, name, "stops" if stays else "moves")
        move(draft, instance, reason, [host] + strays, "" if stays else wrong, {host: ""}, leaves=host)
        return
    if wrong:
        what = "%s shows %s%s" % (host, draft.label(instance), draft.held_since(name))
        draft.hold(name, host, "%s, and %s: close it first" % (what, wrong))
        draft.stays[name] = wrong
    if booked(draft, instance, host, strays):
        return
    _keep_it_well(draft, instance, host, copy, strays)


def left_there(draft: Draft, instance: Instance, host: str) -> bool:
    """What an instance needs that cannot leave a drained host: it runs there, so it is looked after there.

    :return: whether it needs anything.
    """
    before = len(draft.actions)
    copy = draft.copies(instance.name).get(host)
    if copy is not None and draft.copies(instance.name).keys() == {host}:
        _keep_it_well(draft, instance, host, copy, [])
    return len(draft.actions) > before


def _keep_it_well(draft: Draft, instance: Instance, host: str, copy: Seen, strays: List[str]) -> None:
    """Its configuration, its missing programs, its deferred part: it stays where it is."""
    name, claim = instance.name, draft.claim(instance.name)
    if changes.take(draft, instance, host, copy, strays):
        return
    stop_strays(draft, name, strays)
    if claim.until and claim.until <= draft.now:
        _repair_after_wait(draft, instance, host)
        return
    expected = expected_programs(instance.application, without=_not_expected(claim, copy))
    missing = [program for program in expected if program not in copy.present]
    if missing and missing_programs(draft, instance, host, missing):
        return
    if changes.reload(draft, instance, host, copy):
        return
    if claim.deferred:
        _continue_deferred(draft, instance, host)
        return
    incarnation = draft.observation(host).incarnation
    if incarnation and claim.incarnation != incarnation:
        draft.set_claim(name, replace(claim, incarnation=incarnation))


def waits_in_a_gate(instance: Instance, claim: Claim, copy: Optional[Seen]) -> bool:
    """Whether nothing of it runs because all its programs come after a gate that waits for something."""
    return bool(claim.deferred) and rests(instance, claim, copy)


def rests(instance: Instance, claim: Claim, copy: Optional[Seen]) -> bool:
    """Whether nothing of it runs, and nothing should: all its programs wait for something, or ended as they may."""
    return (
        copy is not None and claim.phase == RUNNING and bool(claim.deferred or copy.done) and not copy.live
        and copy.claim == claim.epoch
        and not expected_programs(instance.application, without=(*_not_expected(claim, copy), *copy.done))
    )  # fmt: skip


def _not_expected(claim: Claim, copy: Seen) -> Tuple[str, ...]:
    """Programs that a running instance is known to run without: deferred, or failed under strategy continue."""
    return claim.deferred + copy.deferred + tuple(claim.failed) + tuple(copy.failed)


def missing_programs(draft: Draft, instance: Instance, host: str, missing: List[str]) -> bool:
    """Do what the running failure strategy of dead programs says; whether that is anything.

    :param missing: programs that should run and do not.
    """
    strategy = running_failure(instance.application, missing)
    died = "%s of %s no longer %s on %s" % (
        listing(missing), instance.name, "runs" if len(missing) == 1 else "run", host,
    )  # fmt: skip
    return apply_strategy(draft, instance, host, strategy, died, missing, urgent=False)


def apply_strategy(
    draft: Draft,
    instance: Instance,
    host: str,
    strategy: str,
    what: str,
    programs: List[str],
    urgent: bool,
    at: Optional[float] = None,
) -> bool:
    """Carry out a running failure strategy, within the budget; whether it does anything.

    :param what: what happened, as the beginning of the reason.
    :param programs: those that failed.
    :param urgent: the host acts at once, without a look at other hosts.
    :param at: when it failed, if that is known: what has waited for a run since then was no operation.
    """
    name, settings = instance.name, draft.site.settings
    if strategy == "continue":
        return False
    if strategy == "stop_application":
        draft.want(name, STOPPED, what, by=MUSTER)
        draft.stop(name, host, "%s (running_failure_strategy stop_application)" % what, urgent=urgent)
        return True
    claim = draft.claim(name)
    failure = Failure(min(at or draft.now, draft.now), host, what)
    charged = replace(
        claim, failures=charge(claim, failure, settings), crashes=in_a_row(claim, failure, settings), until=0.0
    )
    draft.set_claim(name, charged)
    ended = _given_up(draft, instance, what)
    if ended:
        draft.stop(name, host, ended, after=FAILED, urgent=urgent)
    elif wait_before(charged.crashes):
        bus = instance.application.bus.program if instance.application.bus else ""
        alone = programs if strategy == "restart_process" and bus not in programs else []
        _wait(draft, name, host, what, alone, urgent)
    elif strategy == "restart_process":
        draft.repair(name, host, "%s (running_failure_strategy restart_process)" % what, programs)
    else:
        _again(draft, instance, host, "%s (running_failure_strategy restart_application)" % what, [], urgent)
    return True


def repair_gone(draft: Draft, instance: Instance, host: str, what: str, strays: List[str]) -> None:
    """Start an instance again of which its host shows nothing, although no person stopped it.

    It is charged like a crash, so that an instance which ends after each start is given up at last.

    :param what: what happened, as the beginning of the reason.
    :param strays: hosts with copies that no claim allows; they are stopped.
    """
    name, claim, settings = instance.name, draft.claim(instance.name), draft.site.settings
    # How long it ran is not known, so no point of the budget comes back for it.
    failure = Failure(draft.now, host, what)
    failures = charge(replace(claim, since=draft.now), failure, settings)
    crashes = in_a_row(claim, failure, settings)
    draft.set_claim(name, replace(claim, failures=failures, crashes=crashes, until=0.0))
    ended = _given_up(draft, instance, what)
    if ended:
        draft.stop(name, host, ended, after=FAILED)
        stop_strays(draft, name, strays)
    elif wait_before(crashes) and not instance.application.on_request:
        _wait(draft, name, host, what, [], urgent=False)
        stop_strays(draft, name, strays)
    else:
        _again(draft, instance, host, what, strays, urgent=False)


def _given_up(draft: Draft, instance: Instance, what: str) -> str:
    """Why an instance is not restarted any more, or only slowly; empty while it is restarted at once."""
    name = instance.name
    claim, settings = draft.claim(name), draft.site.settings
    if len(claim.failures) > settings.failure_budget or endless(claim.crashes, settings):
        slow = tried_slowly(instance.application, claim, what, draft.now)
        if slow is not None:
            draft.set_claim(name, slow)
            return slow.reason
    if len(claim.failures) > settings.failure_budget:
        return spent(name, what, draft)
    if endless(claim.crashes, settings):
        return "%s; it was restarted %s in a row, so %s stays failed until a person starts it" % (
            what, times(len(claim.crashes) - 1), name,
        )  # fmt: skip
    return ""


def _wait(draft: Draft, name: str, host: str, what: str, alone: List[str], urgent: bool) -> None:
    """Restarted again and again: it is stopped, or without the programs that end `alone`, and starts again later."""
    claim = draft.claim(name)
    until = draft.now + wait_before(claim.crashes)
    since = clock(claim.crashes[0].at, draft.now, seconds=True)
    reason = "%s; it was restarted %s in a row since %s and starts again at %s" % (
        what, times(len(claim.crashes) - 1), since, clock(until, draft.now, seconds=True),
    )  # fmt: skip
    if alone:
        failed = dict(claim.failed, **dict.fromkeys(alone, reason))
        draft.set_claim(name, replace(claim, failed=failed, until=until))
        draft.hold(name, host, reason)
    else:
        draft.set_claim(name, replace(claim, until=until))
        draft.stop(name, host, reason, after=FAILED, urgent=urgent)


def after_wait(draft: Draft, instance: Instance, strays: List[str]) -> None:
    """What crashed in a row waits for its time, and is then placed like anything that runs nowhere."""
    name, claim = instance.name, draft.claim(instance.name)
    if draft.now < claim.until <= draft.now + longest_wait(instance.application):
        draft.hold(name, claim.host, claim.reason)
        stop_strays(draft, name, strays)
        return
    draft.free(name, claim.reason)
    slowly = instance.application.after_budget is not None and given_up(claim, draft.site.settings)
    if slowly:
        reason = "%s is tried again although its failure budget is spent (after_budget)" % name
    else:
        reason = "%s crashed %s in a row, has waited and is tried again" % (name, times(len(claim.crashes)))
    last = claim.failures[-1:] or claim.crashes[-1:]
    move(draft, instance, reason, list(draft.copies(name)), avoid=[last[0].host] if last and slowly else None)


def _repair_after_wait(draft: Draft, instance: Instance, host: str) -> None:
    """The programs that crashed in a row while the others run on."""
    name, claim = instance.name, draft.claim(instance.name)
    programs = [program for program in expected_programs(instance.application) if program in claim.failed]
    draft.set_claim(name, replace(claim, until=0.0))
    if programs:
        draft.repair(name, host, "%s of %s has waited and is tried again" % (listing(programs), name), programs)


def _again(draft: Draft, instance: Instance, host: str, reason: str, strays: List[str], urgent: bool) -> None:
    """Once more: here, or after several failures on this host on another one, if there is any.

    An urgent run has not looked at the others: it stops it, and the reconcile that follows places it.
    """
    name = instance.name
    others = [h for h in instance.application.identifiers if h != host and _usable(draft, h)]
    if host in tired_hosts(draft.charges(name)) and others and not instance.application.on_request:
        reason = "%s; it failed too often on %s, so another host is tried" % (reason, host)
        if urgent:
            draft.stop(name, host, reason, after=FREE, urgent=True)
        else:
            move(draft, instance, reason, ([host] if host in draft.copies(name) else []) + strays)
    elif urgent:
        draft.start(name, host, reason, RESTART, urgent=True)
    else:
        in_place(draft, instance, host, reason, strays)


def _usable(draft: Draft, host: str) -> bool:
    return draft.record(host).state not in (DOWN, DRAINED, SUSPECT)


def spent(name: str, what: str, draft: Draft) -> str:
    """Why an instance stays failed: its budget is spent.

    :param what: the last failure.
    """
    settings = draft.site.settings
    return "%s; that was more often than %s in %s, so %s stays failed until a person starts it" % (
        what, times(settings.failure_budget), duration(settings.failure_window), name,
    )  # fmt: skip


def _continue_deferred(draft: Draft, instance: Instance, host: str) -> None:
    """The deferred part of a start goes on once the host service it waits for runs."""
    name, claim = instance.name, draft.claim(instance.name)
    service = waits_for(instance, claim)
    if service and not _service_runs(draft, service, host):
        return
    reason = "%s runs again, so the deferred part of %s starts" % (service, name) if service else (
        "the deferred part of %s is tried again" % name
    )  # fmt: skip
    draft.continue_deferred(name, host, reason)


def waits_for(instance: Instance, claim: Claim) -> str:
    """The host service whose answer a deferred start waits for; empty when its gate names none."""
    for program in instance.application.programs:
        if program.name in claim.deferred and program.is_gate and program.waits_for:
            return program.waits_for
    return ""


def _service_runs(draft: Draft, service: str, host: str) -> bool:
    """On the host itself when the service belongs there, else on any host that was seen."""
    hosts: Tuple[str, ...] = draft.site.service(service).hosts
    return any(service in draft.observation(h).services for h in ((host,) if host in hosts else hosts))
