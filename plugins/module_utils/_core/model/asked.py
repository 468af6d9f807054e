# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a plan takes it: what was asked for, checked before, and what the controller adds; and in few words."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, TypedDict, Union, cast

from .sentences import listing

Json = Dict[str, Any]

# The fields that may be given are those of `model.request.Request`; here they have been read, so each may be missing.
Asked = TypedDict(
    "Asked",
    {
        "kind": str,
        "who": str,
        "from": str,  # the host from which it is requested
        "why": str,
        "instances": List[str],
        "item": str,
        "site": bool,
        "host": str,
        "console": str,
        "keep": str,
        "to": str,
        "at": Union[str, float],
        "spread": float,
        "take": bool,
        "until": Union[str, float],
        "at_a_time": int,
        "force": bool,
        "accept": bool,
        "confirm": str,
        "ids": Sequence[str],
        "all": bool,
        "pending": bool,
        "dry_run": bool,
        "facts": bool,  # all that the plan depends on is wanted: it is saved, or was
        "heard": Mapping[str, float],  # host -> when it answered last, s since 1970
        "intents": Sequence[Json],  # of a monitor, see `monitor.judge.intents`
        "suspects": Mapping[str, str],  # host -> why
        "fenced": Sequence[str],  # hosts that hold no lease
        "alarms": Sequence[Json],  # that are open
        "asked": float,  # when, s since 1970
        "signal": str,  # its name
        "arg": Sequence[str],  # for programs, until their next stop
        "env": Sequence[str],  # NAME=VALUE, the same
        "whole": bool,  # what cannot do without a program goes with it
        "inventory": Any,  # of a saved plan
        "carries": bool,  # its run goes on with a rollout
        "sick": Mapping[str, int],  # instance whose bus does not answer, as its monitor says -> epoch
    },
    total=False,
)


def asked(request: Mapping[str, Any]) -> Asked:
    """The same request, with the types that it has been checked for."""
    return cast(Asked, request)


UNDONE_BY = {
    "start": "stop", "stop": "start", "restart": "stop", "open": "close", "close": "open", "drain": "undrain",
    "undrain": "drain", "pause": "resume", "resume": "pause", "shelve": "unshelve", "unshelve": "shelve",
    "move": "move", "site_stop": "site start", "site_start": "site stop", "drill_begin": "drill end",
    "drill_end": "drill begin", "rollout_pause": "rollout resume", "rollout_resume": "rollout pause",
    "rollout_abort": "rollout resume",
}  # fmt: skip


def subject(request: Mapping[str, Any]) -> str:
    """A request in few words: its kind and what it is about."""
    names = [str(name) for key in ("instances", "items", "hosts", "ids") for name in request.get(key) or ()]
    names += [str(request[key]) for key in ("item", "instance", "host") if request.get(key)]
    kind = str(request["kind"]).replace("_", " ")
    return "%s of %s" % (kind, listing(names, most=3)) if names else kind


def too_late(request: Mapping[str, Any], run: str = "") -> str:
    """That a request cannot be withdrawn any more because a run has begun it, and what to do instead."""
    by = " by run %s" % run if run else ""
    undo = UNDONE_BY.get(str(request["kind"]))
    then = "muster %s takes it back" % undo if undo else "muster status tells what comes of it"
    return "%s is begun already%s, so it is not withdrawn and goes on to its end: %s" % (subject(request), by, then)


def account(who: str) -> str:
    """The account of a person, without the name that stands beside it: ``ops`` of ``ops (Eve)``."""
    return who.partition(" (")[0]
