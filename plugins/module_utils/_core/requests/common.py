# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the requests of people: the reason of what follows from them, and whether a host may take an instance."""

from __future__ import annotations

from dataclasses import replace

from ..decide import pauses
from ..decide.draft import Draft
from ..model.sentences import did_you_mean, kinds
from ..model.site import Instance
from ..model.words import FAILED


def because(draft: Draft, name: str, verb: str, where: str = "") -> str:
    """Note what a person asked for, and return it as the reason of the actions that follow.

    A pause does not block a person's request; the reason mentions it.

    :param verb: what to do, as in "asked to restart it".
    :param where: as in "to server_2", or "".
    """
    paused = pauses.paused(draft, name)
    words = "%s asked to %s it" % (draft.who, verb) + (" " + where if where else "")
    draft.asked[name] = words + (": " + draft.why if draft.why else "") + ("; " + paused if paused else "")
    return draft.asked[name]


def wrong_kind(draft: Draft, instance: Instance, host: str) -> str:
    """Why a host may not take an instance; empty when it may."""
    names = [h.name for h in draft.site.hosts]
    if host not in names:
        return "there is no host %s in this site%s" % (host, did_you_mean(host, names))
    application = instance.application
    if host in application.identifiers:
        return ""
    where = kinds(draft.site, application.identifiers_as_written)
    return "%s may run on %s only: %s is not one of them" % (instance.name, where, host)


def clear(draft: Draft, name: str) -> None:
    """Clear the failures of an instance: a person's start gives it its whole budget back."""
    claim = draft.claim(name)
    if claim.failures or claim.crashes or claim.phase == FAILED:
        draft.set_claim(name, replace(claim, failures=(), crashes=(), until=0.0))
