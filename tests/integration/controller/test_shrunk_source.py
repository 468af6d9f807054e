# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of items that lost half of them is not deployed unless somebody accepts it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from monitor.core.model import site
from monitor.core.requests import shrink
from tests.integration.controller.data_hosts import Room, acts
from tests.small_site import small_site


def with_items(room: Room, *ids: str, source: str = "https://cmdb.example.org/sensors") -> None:
    """The room's site as another reading of the source has it."""
    items = tuple(site.Item(name, int(name)) for name in ids)
    room.site = dataclasses.replace(room.site, items=items, items_source=source)
    room.document = site.site_to_json(room.site)


def facts(room: Room) -> list[object]:
    """What is wanted, what is claimed, and which site is the valid one."""
    state, _revision = room.ledger()
    return [state["wanted"], state["claims"], state["meta"]["site_mark"]]


def test_a_deploy_that_loses_half_is_refused_before_anything_and_done_when_accepted(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with_items(room, "01", "02", "03")
    room.open()
    room.run("deploy")
    with_items(room, "01")
    before = (facts(room), room.published("site.json"))
    why = room.error("open_site", create=True)
    assert why.startswith("the source of the items lost 2 of the 3 that are deployed, 02 and 03: look at https://cmdb")
    assert "--accept" in why
    refused = room.plan("deploy")["plan"]["actions"]
    assert [action["action"] for action in refused] == ["refuse"] and refused[0]["reason"] == why
    assert (facts(room), room.published("site.json")) == before
    room.ask("open_site", create=True, accept=True)
    stopped = room.run("deploy", accept=True)
    assert {act[:2] for act in acts(stopped)} == {("stop", "scen2_srv_02"), ("stop", "scen2_srv_03")}
    room.ask("open_site", create=True)


def test_one_item_less_and_items_that_a_person_wrote_are_nobodys_concern(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with_items(room, "01", "02", "03")
    room.open()
    room.run("deploy")
    with_items(room, "01", "02")
    room.ask("open_site", create=True)
    with_items(room, "01", source="")
    room.ask("open_site", create=True)


@pytest.mark.parametrize(("now", "deployed", "refused"), [
    (2, 4, True),
    (3, 4, False),
    (1, 2, False),  # a single one
    (5, 4, False),
])  # fmt: skip
def test_half_and_at_least_two_items_count(now: int, deployed: int, refused: bool) -> None:
    items = [f"{number:02d}" for number in range(1, deployed + 1)]
    names = [f"{application}_{item}" for application in ("scen2_srv", "scen2_hci") for item in items]
    shrunk = dataclasses.replace(small_site(items=now), items_source="a table")
    assert bool(shrink.refusal(shrunk, [*names, "former_application_77"])) is refused
