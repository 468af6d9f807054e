# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a plan takes it: what was asked for, checked before, and what the controller adds to it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, TypedDict, Union, cast

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
