# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regular look goes over the lines: no playbook runs while all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.local_site import SiteLab, site_lab, wait_for


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    settings = {"stable_after": 1, "observe_interval": 2, "reconcile_interval": 3600}
    with site_lab(97, consoles=["console_1"], muster_items=["01"], muster_settings=settings) as deployed:
        deployed.start_monitor()
        yield deployed


def said(lab: SiteLab, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in lab.monitor_log().splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] == event]


def test_a_quiet_site_is_looked_at_without_a_playbook(lab: SiteLab) -> None:
    wait_for(lambda: said(lab, "look"), "a first look over the lines", lab.monitor_log)
    runs = len(said(lab, "run"))
    wait_for(lambda: len(said(lab, "look")) >= 4, "some more", lab.monitor_log)
    assert [look["why"] for look in said(lab, "look") if look.get("why")] == []
    assert len(said(lab, "run")) == runs, lab.monitor_log()
    seen = json.loads((lab.state / "seen.json").read_text())["hosts"]
    assert all(host["answer"] == "seen" for host in seen.values())
