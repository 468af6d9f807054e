# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys that are only shown, or saved: what they would do, and the inventory that they are bound to."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Protocol, Tuple

from ..model import site as site_model
from ..model.plan import Plan
from ..model.sentences import listing
from . import publish
from .places import SITE_FILE
from .saved_plans import Unsaved

Json = Dict[str, Any]
Inputs = Tuple[Mapping[str, Any], Mapping[str, Any], int, Mapping[str, Any], float]


class Call(Protocol):
    """What is used of a call to the controller."""

    @property
    def request(self) -> Mapping[str, Any]: ...
    @property
    def site(self) -> site_model.Site: ...
    @property
    def document(self) -> Mapping[str, Any]: ...
    @property
    def digests(self) -> Dict[str, str]: ...
    @property
    def check(self) -> bool: ...
    @property
    def state_dir(self) -> str: ...


def with_inventory(call: Call, request: Json) -> Json:
    """The request; that of a deploy which is saved, or was, with the mark of the inventory that it deploys."""
    if not request.get("facts") or request.get("kind") != "deploy":
        return request
    return dict(request, inventory=publish.site_mark(call.document, call.digests))


def of(call: Call, plan: Plan, inputs: Inputs) -> Json:
    """``{"preview": ...}``, see `report.preview`, of a deploy in check mode; nothing of any other run.

    :param inputs: request, state, revision, observations and time of the plan.
    :raises Unsaved: when the plan of a deploy is to be saved that prepares hosts first: it can only be made after that.
    """
    if not call.check or plan.kind != "deploy" or plan.refusals:
        return {}
    from ..report import preview  # not in the way of other runs

    request, state, revision, observations, now = inputs
    before = _before(call.state_dir)
    document = preview.preview(before, call.site, state, revision, observations, request, now, call.digests)
    if "save" in call.request and document["prepared"]:
        raise Unsaved(
            "a deploy that has to prepare %s first cannot be saved: what it does is only known after that"
            % listing(document["prepared"])
        )
    return {"preview": document}


def _before(state_dir: str) -> Optional[Any]:
    from ..report.preview import Before

    published = publish.read_published(state_dir, SITE_FILE)
    try:
        return Before(site_model.site_from_json(published["site"]), dict(published.get("digests") or {}))
    except (KeyError, TypeError, ValueError):
        return None
