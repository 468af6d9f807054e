# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the parameters of a request for logs to what each host is asked."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.model import moments
from ...core.model.site import Site
from ...core.requests import check, log_sources

Json = dict[str, Any]
LINES = 200  # where a request does not say how many
LONGEST_CURSOR = 16000


@dataclass(frozen=True)
class Wanted:
    """A request, checked against the site."""

    sources: list[log_sources.LogSource]
    more: Json = field(default_factory=dict)  # what every host is asked
    after: Mapping[str, Any] = field(default_factory=dict)  # host -> its cursor

    def requests(self, site: Site, follow: bool) -> dict[str, tuple[list[int], Json]]:
        """host -> positions of its sources, and what it is asked."""
        found = {}
        for host, of_host in log_sources.by_host(self.sources).items():
            known = any(host == one.name for one in site.hosts)
            facts = log_sources.host_facts(site, host) if known else {"host": host, "root": "/"}
            request: Json = {**self.more, "host": facts, "follow": follow}
            request["sources"] = [dict(source.entry) for _unused, source in of_host]
            if follow and self.after.get(host):
                request["after"] = self.after[host]
            found[host] = ([position for position, _unused in of_host], request)
        return found


def read(
    site: Site, places: Mapping[str, str | None], name: str, query: Mapping[str, str], last: str = ""
) -> tuple[Wanted | None, list[check.Error]]:
    """What is wanted, and every error of its parameters.

    :param query: as in the address.
    :param last: the cursor of a stream that goes on.
    :raises log_sources.NoLogs: when there is no such log.
    """
    problems: list[check.Error] = []
    now = time.time()
    more: Json = {"lines": int(query.get("lines") or LINES)}
    for key in ("since", "until"):
        if query.get(key):
            try:
                more[key] = moments.past(query[key], now)
            except ValueError as error:
                problems.append(check.error(key, str(error), query[key][:60]))
    if query.get("grep"):
        more["word"] = query["grep"]
    if query.get("previous") == "1":
        more["previous"] = True
    after: Mapping[str, Any] = {}
    if last:
        after = decoded(last)
        if not after:
            problems.append(check.error("Last-Event-ID", "must be the id of an event of such a stream", last[:60]))
    found = log_sources.log_sources(site, places, name, query.get("host", ""))
    return (None if problems else Wanted(found, more, after)), problems


def encoded(cursors: Mapping[str, Any]) -> str:
    """Cursors of all hosts as the id of an event."""
    return base64.urlsafe_b64encode(json.dumps(cursors, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(text: str) -> Mapping[str, Any]:
    """The inverse; empty for what is none. Hosts get it as it is, so nothing of another shape may pass."""
    if len(text) > LONGEST_CURSOR:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, dict) and all(_is_cursor(one) for one in found.values()) else {}


def _is_cursor(value: Any) -> bool:
    """Whether it is what `host.logs.serve` made: places in files, and in the journal."""
    if not isinstance(value, dict) or not value.keys() <= {"f", "j"} or not isinstance(value.get("j", ""), str):
        return False
    places = value.get("f", {})
    return isinstance(places, dict) and all(_is_place(place) for place in places.values())


def _is_place(value: Any) -> bool:
    numbers = isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 64 for one in value)
    return numbers and len(value) == 2
