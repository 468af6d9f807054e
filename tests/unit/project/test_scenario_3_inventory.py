# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""inventory/scenario_3 is inventory/local and two applications more, and its site is valid."""

from __future__ import annotations

from typing import Any

import yaml

from monitor.core.compile import compiler
from tests.unit.embedded_site import LOCAL, ROOT, raw_site

OURS = ROOT / "inventory" / "scenario_3"
OWN = "group_vars/all/site_scenario_3.yml"


def own() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((OURS / OWN).read_text(encoding="utf-8"))
    return document


def test_every_file_but_one_is_that_of_inventory_local() -> None:
    files = {str(path.relative_to(OURS)) for path in OURS.rglob("*") if path.is_file()}
    known = {str(path.relative_to(LOCAL)) for path in LOCAL.rglob("*") if path.is_file()}
    assert files == known | {OWN}
    assert [name for name in known if (OURS / name).resolve() != LOCAL / name] == []
    assert max(path.name for path in (OURS / OWN).parent.iterdir()) == "site_scenario_3.yml"  # read last, so it wins


def test_it_adds_one_application_for_the_site_and_one_per_console() -> None:
    raw = raw_site()
    raw["muster_applications"].update(own()["local_scenario_3"])
    site = compiler.compile_site(raw)
    assert [row.id for row in site.rows] == ["01", "02", "03", "site", "console_1", "console_2", "console_3"]
    assert site.application("scen3_srv").start_sequence > site.application("scen2_srv").start_sequence
    peer = site.peer_of(site.instance("scen3_hci_console_1"))
    assert peer is not None and peer.name == "scen3_srv_site"
