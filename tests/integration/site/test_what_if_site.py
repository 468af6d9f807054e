# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What-if on a deployed site, compared with what really happens afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, site_lab

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(62, muster_items=["01", "02", "03"]) as deployed:
        yield deployed


def asked(lab: SiteLab, *arguments: str) -> dict[str, Any]:
    played = lab.muster(*arguments, "--json")
    assert played.rc == 0, played.output
    document: dict[str, Any] = json.loads(played.output)
    return document


def services(lab: SiteLab) -> dict[str, list[str]]:
    """Server -> services that live there, from the process table."""
    return {
        server: sorted({p.instance for p in lab.processes() if p.host == server and p.instance.startswith("scen2_srv")})
        for server in SERVERS
    }


def test_the_status_knows_whether_the_loss_of_a_server_could_be_made_up_for(lab: SiteLab) -> None:
    document = lab.status()
    held = services(lab)
    assert {host: loss["moves"] for host, loss in document["readiness"]["hosts"].items()} == {
        server: len(held[server]) for server in SERVERS
    }
    assert document["readiness"]["ready"] is True


def test_what_if_predicts_the_real_result_of_a_drain_and_an_added_item(lab: SiteLab) -> None:
    before = services(lab)
    assert sum(len(names) for names in before.values()) == 3
    drained = max(before, key=lambda server: len(before[server]))
    answer = asked(lab, "what-if", "--drain", drained, "--add-item", "09")
    assert services(lab) == before
    told = {host["host"]: host["instances"] for host in answer["hosts"] if host["host"] in SERVERS}
    assert told[drained] == [] and sum(len(names) for names in told.values()) == 4
    lab.good("drain", host=drained, why="a test")
    lab.set(muster_items=["01", "02", "03", "09"])
    lab.good("deploy")
    assert services(lab) == told
    shown = lab.muster("status", "--last").output
    assert "there is no room for" in shown, "two servers hold as much as they can, the third is drained"


def test_explain_tells_where_an_item_runs_and_why(lab: SiteLab) -> None:
    [entry] = asked(lab, "explain", "scen2_srv_02")["applications"]
    assert {entry["host"]} == lab.hosts_of("scen2_srv_02")
    assert entry["because"]
    assert [row["host"] for row in entry["candidates"] if row["verdict"] == "holds it"] == [entry["host"]]
    assert sorted(row["host"] for row in entry["candidates"]) == list(SERVERS)
