# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an instance goes on: in place, or through the placement of the whole batch."""

from __future__ import annotations

from typing import List, Mapping, Optional

from ..model.plan import RESTART, START
from ..model.sentences import kinds
from ..model.site import Instance, instance_name
from ..model.words import DRAINED, STOPPING
from ..place.ties import unit_of
from . import pauses
from .draft import WHOLE, Draft, Move
from .failures import tired_hosts


def strays_of(draft: Draft, name: str, holder: Optional[str]) -> List[str]:
    """Hosts other than the holder that show something of an instance."""
    return [host for host in draft.copies(name) if host != holder]


def stop_strays(draft: Draft, name: str, strays: List[str]) -> None:
    """Stop the copies that no claim allows, and remove what ended ones left."""
    claim = draft.claim(name)
    where = "its claim is on %s" % claim.host if claim.holds else "nothing of it is claimed anywhere"
    for host in strays:
        draft.stop_copy(name, host, stray(draft, name, host, where))


def stray(draft: Draft, name: str, host: str, where: str = "") -> str:
    """Why something of an instance has to go from a host. :param where: where its claim is, if that matters."""
    copy = draft.copies(name).get(host)
    lives = copy is None or copy.live
    told = "%s runs on %s without a valid claim" if lives else "%s left a claim behind on %s"
    return told % (name, host) + (": %s" % where if where else "")


def misplaced(draft: Draft, instance: Instance, host: str) -> str:
    """Why an instance may not stay on its host; empty when it may."""
    application = instance.application
    if host not in application.identifiers:
        where = kinds(draft.site, application.identifiers_as_written)
        return "%s may run on %s only, not on %s" % (application.name, where, host)
    if draft.record(host).state == DRAINED:
        return "%s is drained" % host
    return without_lease(host) if draft.observation(host).lease_lost else ""


def without_lease(host: str) -> str:
    return "%s holds no lease: no majority of the witnesses answers it, or it is fenced" % host


def in_place(draft: Draft, instance: Instance, host: str, reason: str, strays: List[str]) -> None:
    """Start or restart on the host that holds it, after the stop of its copies elsewhere.

    :param strays: the hosts of those copies.
    """
    name = instance.name
    copy = draft.copies(name).get(host)
    wrong = "" if name in draft.stays else misplaced(draft, instance, host)
    observation = draft.observation(host)
    if observation.seen and observation.service_manager != "running" and draft.kind not in WHOLE:
        draft.hold(name, host, "%s, but the service manager of %s does not run: reconcile starts it" % (reason, host))
        stop_strays(draft, name, strays)
    elif wrong and not instance.application.on_request:
        stops = ([host] if copy else []) + strays
        asked = name in draft.restarts and copy is not None and copy.live  # it runs, and nobody asked to stop it
        again = host if draft.record(host).state == DRAINED and not strays else ""
        exclude = {host: ""} if again else {}  # the reason says it
        reason = "%s; %s" % (reason, wrong)
        draft.moves.append(Move(name, reason, tuple(stops), exclude=exclude, asked=asked, again=again))
    elif strays:
        stops = strays + ([host] if copy else [])
        draft.moves.append(Move(name, reason, tuple(stops), hosts=(host,)))
    else:
        draft.start(name, host, reason, RESTART if copy is not None and copy.live else START)


def booked(draft: Draft, instance: Instance, host: str, strays: List[str]) -> bool:
    """Begin the move that a person booked, when its time and its turn have come; whether it does anything.

    :param host: where it runs.
    """
    name = instance.name
    move_ = draft.booking(name)
    if move_ is None or draft.now < move_.due or pauses.holds(draft, name):
        return False
    if move_.host != host:
        draft.unbook(name, "it runs on %s by now" % host)
        return False
    open_on = open_window(draft, instance) if move_.rebalance else ""
    if open_on:
        draft.unbook(name, "%s shows item %s" % (open_on, instance.item.id))
        return False
    what = "even out the load, so %s moves" % name if move_.rebalance else "move it"
    reason = "%s asked to %s to %s" % (move_.by, what, move_.to)
    reason += ": " + move_.why if move_.why else ""
    if not _has_a_turn(draft, name, move_.at_a_time):
        draft.turns.append(name)
        draft.hold(name, host, "%s; it waits for its turn, %d at a time" % (reason, move_.at_a_time))
        return False
    draft.unbook(name)
    draft.moves.append(Move(name, reason, (host, *strays), hosts=(move_.to,), stays=reason, booked=True))
    return True


def open_window(draft: Draft, instance: Instance) -> str:
    """The console that shows the item of a service; empty when none does."""
    windows = [application.name for application in draft.site.applications if application.on_request]
    for name in windows:
        other = draft.site.by_name().get(instance_name(name, instance.item.id))
        if other is not None and other.item is instance.item:
            claim = draft.claim(other.name)
            if claim.holds or draft.is_started(other.name):
                return str(claim.host or draft.wanted(other.name).host or "a console")
    return ""


def _has_a_turn(draft: Draft, name: str, at_a_time: int) -> bool:
    """Whether few enough booked moves begin in this plan, or are carried out by another run; all that must be together
    count once.

    :param at_a_time: 0: any number.
    """
    begun = [n for n, c in draft.state.claims.items() if c.phase == STOPPING and c.target and draft.busy(n)]
    units = {unit_of(draft.site, n) for n in [*begun, *(move_.name for move_ in draft.moves if move_.booked)]}
    return not at_a_time or len(units) < at_a_time or unit_of(draft.site, name) in units


def move(
    draft: Draft,
    instance: Instance,
    reason: str,
    stops: List[str],
    stays: str = "",
    exclude: Optional[Mapping[str, str]] = None,
    leaves: str = "",
    avoid: Optional[List[str]] = None,
    prefer: str = "",
) -> None:
    """Queue an instance for placement.

    :param stops: hosts where it is stopped first.
    :param stays: it runs, and why it should not run there; without room elsewhere it stays for this reason.
    :param exclude: host -> why it must not start there; "" where `reason` says so.
    :param leaves: the drained host that it leaves, in its turn.
    :param avoid: hosts where it starts only if there is no room elsewhere; None: those where it failed too often.
    :param prefer: the host where it starts if there is room; by default the one where others stopped for it, or where
        it ran when the site was stopped.
    """
    name = instance.name
    claim = draft.claim(name)
    prefer = prefer or claim.room or ("" if name in draft.asked else claim.back)
    wanted_host = draft.wanted(name).host
    asked = draft.kind in ("open", "start", "restart") and instance.application.on_request
    hosts = (wanted_host,) if wanted_host else None
    tired = tuple(tired_hosts(draft.troubles(name)) if avoid is None else avoid)
    tired += tuple(host for host in draft.refusing(name) if host not in tired)
    tired = tuple(host for host in tired if host != claim.room)  # nobody stops for it in vain, again and again
    prefer = "" if prefer in tired or prefer in (exclude or {}) else prefer
    made = Move(name, reason, tuple(stops), hosts, tired, exclude or {}, stays, leaves, prefer, asked=asked)
    draft.moves.append(made)
