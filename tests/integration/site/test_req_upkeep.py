# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of people on a running site: pauses, drains in turn, resets, conflicts and what they acknowledge."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.local_site import ROOT, SERVERS, SiteLab, site_lab, wait_for

ITEMS = ["01", "02", "03", "04"]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(64, muster_items=ITEMS) as deployed:
        yield deployed


def applications(**changes: str) -> dict[str, object]:
    """The site's applications, with other keys for its services."""
    document = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    found: dict[str, dict[str, object]] = document["muster_applications"]
    found["scen2_srv"].update(changes)
    return dict(found)


def places(lab: SiteLab) -> dict[str, set[str]]:
    return {name: lab.hosts_of(name) for name in SERVICES}


def stop_by_hand(lab: SiteLab, host: str, name: str) -> None:
    lab.by_hand(host, "stop", name)
    wait_for(lambda: not lab.programs(name), name + " stopped by hand")


def over_at(moment: float) -> None:
    wait_for(lambda: time.time() > moment, "the end of what was given one")


@pytest.mark.long
def test_a_paused_item_is_left_alone_until_a_person_requests_something_or_the_pause_ends(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_02")
    done = lab.muster("pause", "02", "--why", "new fan", "--until", "2h")
    assert done.rc == 0, done.output
    assert "item 02 is paused by eve until" in done.output
    stop_by_hand(lab, home, "scen2_srv_02")
    held = lab.good("reconcile")
    assert "paused by eve" in held.output and "so nothing is done" in held.output
    assert held.changed == 0
    assert lab.programs("scen2_srv_02") == {}
    shown = lab.status()
    assert [(p["key"], p["why"]) for p in shown["pauses"]] == [("item/02", "new fan")]
    assert "paused by eve" in lab.verdict("02")["cause"]
    assert "paused" not in (lab.verdict("01")["cause"] or "")

    started = lab.muster("start", "scen2_srv_02")
    assert started.rc == 0, started.output
    assert "item 02 is paused" in started.output
    assert lab.programs("scen2_srv_02")
    assert lab.muster("stop", "scen2_srv_02").rc == 0
    assert lab.programs("scen2_srv_02") == {}
    assert lab.muster("start", "scen2_srv_02").rc == 0

    stop_by_hand(lab, home, "scen2_srv_02")
    resumed = lab.muster("resume", "02")
    assert resumed.rc == 0, resumed.output
    assert lab.programs("scen2_srv_02"), resumed.output
    assert lab.status()["pauses"] == []


@pytest.mark.long
def test_a_pause_ends_by_itself(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_03")
    lab.good("pause", whole_site=True, why="network work", until="1h")
    stop_by_hand(lab, home, "scen2_srv_03")
    assert lab.good("reconcile").changed == 0
    assert not lab.programs("scen2_srv_03")
    lab.good("pause", whole_site=True, why="network work", until="1s")
    over_at(time.time() + 1)
    lab.good("reconcile")
    assert lab.programs("scen2_srv_03")
    assert lab.good("reconcile").changed == 0


@pytest.mark.long
def test_a_host_is_drained_one_by_one_stays_so_over_a_power_cut_and_returns_by_itself(lab: SiteLab) -> None:
    before = places(lab)
    (busiest, count), *_others = Counter(host for hosts in before.values() for host in hosts).most_common()
    assert count == 2
    told = lab.muster("drain", busiest, "--dry-run", "--at-a-time", "1")
    assert told.rc == 0, told.output
    assert "waits for its turn" in told.output
    assert places(lab) == before
    drained = lab.muster("drain", busiest, "--why", "new disk", "--at-a-time", "1", "--until", "1h")
    assert drained.rc == 0, drained.output
    assert busiest not in {host for hosts in places(lab).values() for host in hosts}
    moves = [line for line in lab.muster("events", "-n", "200").output.splitlines() if "begins: stop" in line]
    assert len(moves) >= 2, moves  # a round of its own for each
    assert all(line.count("begins: stop scen2_srv") == 1 and line.count("stop scen2_srv") == 1 for line in moves[-2:])

    lab.machine("power_cut", busiest)
    assert lab.muster("host", "confirm-down", busiest, "--reason", "the test pulled the plug").rc == 0
    lab.machine("power_on", busiest)
    lab.good("deploy")
    entry = next(host for host in lab.status()["hosts"] if host["host"] == busiest)
    assert (entry["state"], entry["drain"]["why"]) == ("drained", "new disk")
    assert entry["drain"]["until"] > time.time()

    lab.good("drain", host=busiest, until="1s")
    over_at(time.time() + 1)
    lab.good("reconcile")
    entry = next(host for host in lab.status()["hosts"] if host["host"] == busiest)
    assert (entry["state"], entry["drain"]) == ("up", None)


@pytest.mark.long
def test_instances_that_cannot_leave_a_host_are_shown_and_nothing_is_done(lab: SiteLab) -> None:
    lab.good("open", instances=["scen2_hci_01"], host="console_1")
    refused = lab.muster("drain", "console_1", "--why", "new screen")
    assert refused.rc == 5
    assert "scen2_hci_01 cannot leave console_1" in refused.output and "--force" in refused.output
    assert next(h for h in lab.status()["hosts"] if h["host"] == "console_1")["state"] == "up"
    assert lab.muster("drain", "console_1", "--why", "new screen", "--force").rc == 0
    assert lab.hosts_of("scen2_hci_01") == {"console_1"}
    assert lab.muster("undrain", "console_1").rc == 0
    lab.good("close", instances=["scen2_hci_01"])


@pytest.mark.long
def test_a_second_copy_is_held_until_a_person_decides_and_shown_until_it_is_acknowledged(lab: SiteLab) -> None:
    lab.set(muster_applications=applications(conflicts="ask"))
    lab.good("deploy")
    (home,) = lab.hosts_of("scen2_srv_01")
    other = next(host for host in SERVERS if host != home)
    before = lab.programs("scen2_srv_01")
    with lab.stray("scen2_srv_01", other) as copy:
        held = lab.good("reconcile")
        assert "muster resolve scen2_srv_01 --keep HOST" in held.output
        assert copy.poll() is None
        (conflict,) = lab.status()["conflicts"]
        assert (conflict["instance"], conflict["hosts"], conflict["policy"], conflict["open"]) == (
            "scen2_srv_01", sorted((home, other)), "ask", True,
        )  # fmt: skip
        nowhere = lab.muster("resolve", "scen2_srv_01", "--keep", "console_1")
        assert nowhere.rc == 5 and "say which copy" in nowhere.output
        resolved = lab.muster("resolve", "scen2_srv_01", "--keep", home, "--why", "the other was a test")
        assert resolved.rc == 0, resolved.output
        wait_for(lambda: copy.poll() is not None, "the stray copy stopped")
    assert lab.programs("scen2_srv_01") == before
    lab.good("reconcile")
    (conflict,) = lab.status()["conflicts"]
    assert not conflict["open"]
    done = lab.muster("acknowledge", conflict["id"], "--why", "seen")
    assert done.rc == 0, done.output
    assert lab.status()["conflicts"] == []
    assert "conflict: scen2_srv_01 runs on" in lab.muster("events", "-n", "200").output


@pytest.mark.long
def test_all_copies_are_stopped_and_one_starts_where_its_claim_is(lab: SiteLab) -> None:
    lab.set(muster_applications=applications(conflicts="stop_all"))
    lab.good("deploy")
    (home,) = lab.hosts_of("scen2_srv_01")
    other = next(host for host in SERVERS if host != home)
    before = lab.programs("scen2_srv_01")
    with lab.stray("scen2_srv_01", other) as copy:
        lab.good("reconcile")
        wait_for(lambda: copy.poll() is not None, "the stray copy stopped")
    after = lab.programs("scen2_srv_01")
    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    assert lab.hosts_of("scen2_srv_01") == {home}
    lab.good("reconcile")
    assert lab.muster("acknowledge", "--all").rc == 0


@pytest.mark.long
def test_with_repair_report_drift_is_shown_and_left(lab: SiteLab) -> None:
    lab.set(muster_applications=applications(repair="report"))
    lab.good("deploy")
    (home,) = lab.hosts_of("scen2_srv_04")
    other = next(host for host in SERVERS if host != home)
    changed = lab.definition(other, "scen2_srv_04")
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text + "; by hand\n", encoding="utf-8")
    stop_by_hand(lab, home, "scen2_srv_04")
    with lab.stray("scen2_srv_01", next(h for h in SERVERS if h not in lab.hosts_of("scen2_srv_01"))) as copy:
        for _ in range(2):
            shown = lab.good("reconcile")
            assert shown.changed == 0, shown.output
            assert shown.output.count("repair: report") >= 3, shown.output
        assert copy.poll() is None
        assert not lab.programs("scen2_srv_04")
        assert changed.read_text(encoding="utf-8").endswith("; by hand\n")
        document = lab.status()
        assert {entry["id"] for entry in document["drift"]} == {"drift:scen2_srv_04", "drift:" + other}
        assert [entry["policy"] for entry in document["conflicts"]] == ["report"]
    told = [line for line in lab.muster("events", "-n", "300").output.splitlines() if "drift: scen2_srv_04" in line]
    assert len(told) == 1, told  # once, however often it is seen
    lab.good("deploy")
    assert changed.read_text(encoding="utf-8") == text
    assert lab.muster("start", "scen2_srv_04").rc == 0
    lab.good("reconcile")
    assert lab.status()["drift"] == []


@pytest.mark.long
def test_a_monitor_leaves_a_paused_item_alone_and_goes_on_when_it_is_resumed(lab: SiteLab) -> None:
    lab.set(muster_applications=applications())
    lab.good("deploy")
    lab.start_monitor()
    try:
        assert lab.muster("pause", "02", "--why", "new fan").rc == 0
        os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
        wait_for(lambda: "so nothing is done" in lab.muster("why", "scen2_srv_02").output + lab.monitor_log(),
                 "the monitor holding the restart", lab.monitor_log)  # fmt: skip
        assert "internal_data_bus" not in lab.programs("scen2_srv_02")
        assert lab.muster("stop", "scen2_srv_01").rc == 0  # a pause of one item is nobody else's
        assert lab.muster("start", "scen2_srv_01").rc == 0
        assert lab.programs("scen2_srv_01")
        resumed = lab.muster("resume", "02")
        assert resumed.rc == 0, resumed.output
        wait_for(lambda: "internal_data_bus" in lab.programs("scen2_srv_02"), "the bus running", lab.monitor_log)
        assert lab.muster("reset", "scen2_srv_02", "--why", "repaired").rc == 0
    finally:
        lab.stop_monitor()
