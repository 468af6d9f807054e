# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a console's going and coming means for a window: one that ended is not wanted any more."""

from __future__ import annotations

from typing import Optional

from ..model.observation import LEASE, Seen
from ..model.records import Claim
from ..model.sentences import listing
from ..model.site import Instance
from ..model.words import DOWN, HOST_DOWN, MUSTER, RUNNING, STARTED, STARTING, STOPPED, STOPPING
from .draft import Draft
from .failures import running_failure
from .keep_running import rests, waits_in_a_gate


def was_cut_off(draft: Draft, instance: Instance, host: str) -> None:
    """A window that was given up with its console, and has been open and well there all the time, is left open."""
    name, claim, wanted = instance.name, draft.claim(instance.name), draft.wanted(instance.name)
    copy = draft.copies(name).get(host)
    given_up_with_it = (wanted.state, wanted.cause) == (STOPPED, HOST_DOWN)
    if not (instance.application.on_request and given_up_with_it and name not in draft.asked):
        return
    if claim.phase == RUNNING and copy is not None and copy.epochs == (claim.epoch,):
        draft.want(name, STARTED, "%s answers again and has shown it all the time" % host, host=host, by=MUSTER)


def ends(draft: Draft, instance: Instance, host: str) -> None:
    """An HCI whose console was restarted, or that was closed outside muster, is not wanted any more."""
    name, claim = instance.name, draft.claim(instance.name)
    if not instance.application.on_request or not draft.is_started(name) or claim.phase == STOPPING:
        return
    observation, copy = draft.observation(host), draft.copies(name).get(host)
    if waits_in_a_gate(instance, claim, copy) and observation.incarnation == claim.incarnation:
        return
    if copy is not None and copy.epochs == (claim.epoch,):
        return  # processes of this epoch live: whatever restarted did so before they began
    if claim.incarnation and observation.incarnation != claim.incarnation:
        draft.want(name, STOPPED, restarted(host, observation.incarnation), by=MUSTER)
    elif lease_ended(draft, name, host):
        draft.want(name, STOPPED, "%s lost its lease, and ended %s" % (host, name), by=MUSTER)
    elif rests(instance, claim, copy):
        how = listing("%s exited with %d" % pair for pair in sorted(copy.done.items())) if copy else ""
        draft.want(name, STOPPED, "%s ended on %s by itself: %s" % (name, host, how), by=MUSTER)
    elif claim.phase == RUNNING and (copy is None or not copy.live) and not bus_ended(draft, instance, host):
        draft.want(name, STOPPED, "%s was closed on %s outside muster" % (name, host), by=MUSTER)
    elif claim.phase == STARTING and copy is not None and copy.claim == claim.epoch and not copy.live:
        why = "%s was opened on %s, and ended before the run that opened it could say so" % (name, host)
        draft.want(name, STOPPED, why, by=MUSTER)
    elif claim.phase == STARTING and _ended_before(instance, claim, copy):
        why = "%s ended on %s before its restart arrived there" % (name, host)
        draft.want(name, STOPPED, why, by=MUSTER)


def _ended_before(instance: Instance, claim: Claim, copy: Optional[Seen]) -> bool:
    """Whether what is there is from before a restart, and ended, or lost the bus whose end stops it."""
    if copy is None or copy.highest >= claim.epoch:
        return False
    bus = instance.application.bus
    lost = bus is not None and bus.program not in copy.present
    return not copy.live or (
        lost and bus is not None and running_failure(instance.application, [bus.program]) == "stop_application"
    )


def waits_for_console(draft: Draft, instance: Instance) -> None:
    """An HCI whose console went down before it was shown there must not appear when that console returns."""
    name, host = instance.name, draft.wanted(instance.name).host
    if not instance.application.on_request or not draft.is_started(name) or name in draft.asked or not host:
        return
    if draft.record(host).state == DOWN:
        draft.want(name, STOPPED, "%s is down" % host, by=MUSTER)


def restarted(host: str, incarnation: str) -> str:
    return "%s was restarted" % host if incarnation else "the service manager of %s does not run" % host


def lease_ended(draft: Draft, name: str, host: str) -> bool:
    """Its host stopped all of it because its lease ended."""
    copy = draft.copies(name).get(host)
    return copy is not None and not copy.live and copy.ended == LEASE and copy.claim == draft.claim(name).epoch


def bus_ended(draft: Draft, instance: Instance, host: str) -> bool:
    """Its host stopped all of it because its bus ended, as the bus program's running failure strategy still says."""
    claim, copy = draft.claim(instance.name), draft.copies(instance.name).get(host)
    if copy is None or copy.live or copy.claim != claim.epoch or not instance.application.bus:
        return False
    return copy.ended == instance.application.bus.program and running_failure(
        instance.application, [copy.ended]
    ) in ("stop_application", "restart_application")
