# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stream sends in place of a whole status."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from monitor.core.report import status
from monitor.web.changes import applied, difference
from tests.small_site import quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0
ITEMS = 200


def document(at: float = 0.0, **more: Any) -> dict[str, Any]:
    names = ["scen2_srv_%02d" % number for number in range(1, ITEMS + 1)]
    record = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 1.0}
    wanted = {name: dict(record) for name in names}
    claims = {name: running("server_%d" % (1 + n % 3), 1) for n, name in enumerate(names)}
    claims.update(more.pop("claims", {}))
    seen = {host: {**quiet_host(host), "at": NOW} for host in ("server_1", "server_2", "server_3")}
    state = small_state(claims=claims, wanted=wanted, **more)
    site = small_site(items=ITEMS)
    site = dataclasses.replace(site, hosts=tuple(dataclasses.replace(h, load_limit=100_000) for h in site.hosts))
    found = status.status_document(site, state, 17, seen, {}, NOW + at)
    return dict(json.loads(json.dumps(found)))


CHANGES = {
    "nothing": {},
    "an instance": {"claims": {"scen2_srv_07": running("server_2", 2, phase="starting")}},
    "a host": {"hosts": {"server_1": {"state": "down", "evidence": "no power", "by": "eve"}}},
    "a pause": {"pauses": {"item/07": {"by": "eve", "why": "", "at": 1.0, "until": None}}},
    "an instance that left": {"claims": {"gone_99": running("server_3", 2)}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_the_document_before_into_the_one_after(name: str) -> None:
    before, after = document(), document(3.0, **CHANGES[name])
    for first, last in ((before, after), (after, before)):
        assert applied(copy.deepcopy(first), json.loads(json.dumps(difference(first, last)))) == last


def test_items_that_come_go_or_change_places_are_sent_whole() -> None:
    before, after = document(), document(1.0)
    after["items"] = after["items"][::-1]
    assert applied(copy.deepcopy(before), difference(before, after)) == after
    assert difference(before, after)["set"]["items"] == after["items"]


def test_a_change_of_one_instance_among_many_is_small() -> None:
    before, after = document(), document(3.0, **CHANGES["an instance"])
    assert len(json.dumps(after)) > 200_000
    assert len(json.dumps(difference(before, after))) < 5000
