# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's answers to questions that change nothing: explain and what-if, over what the hosts said last."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ..model import site as site_model
from ..model.words import NOT_ASKED
from . import explain, what_if

Json = Dict[str, Any]
STORY = 50  # newest lines of an instance's trail among which the reason of its last start is looked for


def answer(
    request: Mapping[str, Any],
    site: site_model.Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Any],
    trail: Callable[..., List[Json]],
    now: float,
    digests: Mapping[str, str],
) -> Json:
    """The answer to the verbs ``explain`` and ``what_if`` of `controller.calls.handle`.

    :param request: {verb, item} or {verb, assume}.
    :param trail: `Ledger.trail`.
    :return: {"explain" or "what_if": document}, the document with when it was asked (``at``), over which revision,
        and ``seen``: host -> when it was seen last, seconds since 1970.
    :raises PlanError: when the question makes no sense.
    """
    seen = {
        name: entry.get("at")
        for name, entry in observations.items()
        if entry.get("answer", NOT_ASKED) != NOT_ASKED
    }
    if request["verb"] == "what_if":
        document = what_if.what_if(site, state, revision, observations, request.get("assume") or {}, now, digests)
        return {"what_if": dict(document, at=now, seen=seen)}
    document = explain.explain_item(site, state, observations, str(request.get("item")), now)
    for entry in document["applications"]:
        entry["because"] = _because(entry, trail(limit=STORY, instance=entry["instance"]))
    return {"explain": dict(document, revision=revision, at=now, seen=seen)}


def _because(entry: Mapping[str, Any], story: List[Json]) -> str:
    """Why it was started where it is, as the run said that did it."""
    for line in reversed(story):
        if line.get("result") == "running" and line.get("host") == entry["host"]:
            return str(line.get("why") or "")
    return ""
