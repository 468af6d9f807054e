# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Req 25: a console that lost the link to its services, which are well, is degraded; nothing of it is touched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for
from tests.integration.probes.cut_wire import Wire
from tests.integration.probes.probing import wire

NAME = "scen2_hci_bus.conf.j2"


@pytest.fixture
def lab() -> Iterator[SiteLab]:
    with site_lab(76, consoles=["console_1"], muster_items=["01"]) as deployed:
        yield deployed


@pytest.mark.long
def test_req_25_a_lost_link_is_degraded_and_nothing_is_done(lab: SiteLab) -> None:
    bus = lab.status()["instances"]["scen2_srv_01"]
    with wire(bus["ports"]["leaf"], bus["address"]) as link:
        _lose_and_find(lab, link, bus["address"])


def _lose_and_find(lab: SiteLab, link: Wire, address: str) -> None:
    own = lab.inventory / "templates"
    own.mkdir()
    way = '["nats-leaf://%s:%d"]' % (address, link.port)
    (own / NAME).write_text((ROOT / "roles/programs/templates" / NAME).read_text().replace("$SCEN2_LEAF_URLS", way))
    lab.good("deploy")
    lab.start_monitor()
    lab.good("open", instances=["scen2_hci_01"], host="console_1")
    windows, services = lab.programs("scen2_hci_01"), lab.programs("scen2_srv_01")
    _shown(lab, "operational")

    link.cut()
    verdict = _shown(lab, "degraded")
    assert verdict["cause"].startswith("services of item 01 not reachable: no link to their bus"), verdict
    assert (verdict["hci"]["state"], verdict["services"]["state"]) == ("running", "running")

    link.mend()
    _shown(lab, "operational")
    assert (lab.programs("scen2_hci_01"), lab.programs("scen2_srv_01")) == (windows, services)
    assert {claim["epoch"] for claim in lab.claims().values()} == {1}


def _shown(lab: SiteLab, verdict: str) -> dict[str, object]:
    """The command line's status once the monitor has this verdict."""
    wait_for(lambda: [entry["verdict"] for entry in lab.seen()["items"]] == [verdict], verdict, lab.monitor_log)
    seen = lab.verdict("01")
    assert seen["verdict"] == verdict
    return seen
