# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about where everything runs: moves, an even load, the whole site down and up again."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator

import pytest

from tests.integration.local_site import SERVERS, WITHOUT_LEASES, SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long
ITEMS = ["01", "02", "03"]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(71, consoles=["console_1"], muster_items=ITEMS) as deployed:
        yield deployed


def places(lab: SiteLab) -> dict[str, set[str]]:
    return {name: lab.hosts_of(name) for name in SERVICES}


def other_than(*hosts: str) -> str:
    return next(host for host in SERVERS if host not in hosts)


def test_a_service_moves_where_a_person_says_and_nothing_else_does(lab: SiteLab) -> None:
    before = places(lab)
    (home,) = before["scen2_srv_01"]
    to = other_than(home)
    told = lab.muster("move", "01", "--to", to, "--dry-run")
    assert told.rc == 0, told.output
    assert places(lab) == before
    moved = lab.muster("move", "01", "--to", to, "--why", "fan noise")
    assert moved.rc == 0, moved.output
    assert places(lab) == {**before, "scen2_srv_01": {to}}
    assert "eve asked to move it to %s: fan noise" % to in lab.muster("why", "scen2_srv_01").output
    again = lab.good("move", instances=["scen2_srv_01"], to=to)
    assert again.changed == 0 and "already runs on" in again.output
    refused = lab.muster("move", "01", "--to", "console_1")
    assert refused.rc == 5 and "may run on servers" in refused.output
    assert lab.muster("move", "01", "--to", "server_99").rc == 3


def test_a_move_at_a_moment_waits_in_the_ledger_and_is_made_by_the_next_reconcile(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_02")
    to = other_than(home)
    assert lab.muster("move", "02", "--to", to, "--at", "1h").rc == 0
    assert [move["instance"] for move in lab.status()["moves"]] == ["scen2_srv_02"]
    assert lab.good("reconcile").changed == 0
    called_off = lab.muster("move", "02", "--to", home)
    assert called_off.rc == 0 and "called off" in called_off.output
    assert lab.status()["moves"] == []
    assert lab.muster("move", "02", "--to", to, "--at", "1s").rc == 0
    over = time.time() + 1
    wait_for(lambda: time.time() > over, "the moment of the move")
    lab.good("reconcile")
    assert lab.hosts_of("scen2_srv_02") == {to}
    assert lab.status()["moves"] == []
    assert lab.good("reconcile").changed == 0


def test_a_saved_plan_is_carried_out_exactly_or_not_at_all(lab: SiteLab) -> None:
    before = places(lab)
    (home,) = before["scen2_srv_01"]
    to, (folder, called) = other_than(home), lab.shared()
    path = called + "/plan.json"
    saved = lab.muster("move", "01", "--to", to, "--save", path)
    assert saved.rc == 0, saved.output
    assert stat.S_IMODE((folder / "plan.json").stat().st_mode) == 0o600
    assert places(lab) == before
    applied = lab.muster("apply", path)
    assert applied.rc == 0, applied.output
    assert lab.hosts_of("scen2_srv_01") == {to}
    again = lab.good("reconcile")
    assert again.changed == 0, again.output
    refused = lab.muster("apply", path)
    assert refused.rc == 5 and "does not fit any more" in refused.output, refused.output
    assert lab.hosts_of("scen2_srv_01") == {to}


def test_the_load_is_evened_out_one_by_one(lab: SiteLab) -> None:
    for item in ITEMS[:2]:
        lab.muster("move", item, "--to", "server_1")
    crowded = places(lab)
    assert [crowded[name] for name in SERVICES[:2]] == [{"server_1"}] * 2
    done = lab.muster("rebalance", "--spread", "42", "--why", "after the repair")
    assert done.rc == 0, done.output
    after = places(lab)
    assert sorted(host for hosts in after.values() for host in hosts) == sorted(SERVERS)
    assert sum(after[name] != crowded[name] for name in SERVICES) == 1
    assert lab.status()["moves"] == []
    quiet = lab.good("rebalance", spread=42)
    assert quiet.changed == 0 and "nothing moves" in quiet.output


def test_the_whole_site_is_stopped_stays_so_and_starts_as_it_was(lab: SiteLab) -> None:
    assert lab.muster("open", "01", "--console", "console_1").rc == 0
    assert lab.muster("stop", "03").rc == 0
    before = places(lab)
    wanted = {name: lab.status()["instances"][name]["wanted"] for name in SERVICES}
    stopped = lab.muster("site", "stop", "--why", "power works")
    assert stopped.rc == 0, stopped.output
    everything = [*SERVICES, "scen2_hci_01"]
    assert not any(lab.programs(name) for name in everything)
    shown = lab.status()
    assert (shown["stopped"]["by"], shown["stopped"]["why"]) == ("eve", "power works")
    assert {name: shown["instances"][name]["wanted"] for name in SERVICES} == wanted
    assert lab.verdict("01")["verdict"] == "stopped" and "the whole site" in lab.verdict("01")["cause"]
    assert "the site is stopped by eve" in lab.muster("status").output
    refused = lab.muster("start", "01")
    assert refused.rc == 5 and "muster site start" in refused.output

    for verb in ("reconcile", "deploy"):
        quiet = lab.good(verb)
        assert "so nothing is started" in quiet.output
        assert quiet.changed == 0, quiet.output
    assert not any(lab.programs(name) for name in everything)

    started = lab.muster("site", "start")
    assert started.rc == 0, started.output
    assert places(lab) == before
    assert lab.status()["stopped"] is None
    assert not lab.programs("scen2_hci_01") and not lab.programs("scen2_srv_03")
    assert lab.good("reconcile").changed == 0
    assert lab.muster("start", "03").rc == 0


def test_a_stop_of_the_site_that_a_host_did_not_hear_goes_on_with_any_reconcile() -> None:
    """Without leases: with them, such a host ends its services by itself."""
    with site_lab(78, consoles=["console_1"], muster_items=ITEMS, muster_settings=WITHOUT_LEASES) as lab:
        before = places(lab)
        (home,) = before["scen2_srv_01"]
        lab.machine("freeze", home)
        try:
            lab.muster("site", "stop", "--why", "power works")
            assert lab.programs("scen2_srv_01")
            elsewhere = [name for name in SERVICES if before[name] != {home}]
            assert not any(lab.programs(name) for name in elsewhere)
        finally:
            lab.machine("thaw", home)
        lab.good("reconcile")
        assert not any(lab.programs(name) for name in SERVICES)
        assert lab.muster("site", "start").rc == 0
        assert places(lab) == before
