# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items come and go, are placed within capacity and started in stages: Req 1, 2, 5, 10, 11, 12, 13."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local_site import ROOT, SERVERS, SiteLab, site_lab, wait_for

ALL_SERVICES = {
    "internal_data_bus",
    "sensor_acquisition",
    "data_processing",
    "config_manager",
    "common_bus_interface",
}
# What `template` of an application replaces; a line there, and what starts a program with one variable more.
MANAGERS_TEMPLATE = {
    "supervisor": ("supervisor_instance.ini.j2", "\nenvironment=", '\nenvironment=WHOSE_TEMPLATE="mine",'),
    "systemd": ("systemd_application.units.j2", "\nWorking", "\nEnvironment=WHOSE_TEMPLATE=mine\nWorking"),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    at_once = {"canary": 0, "max_parallel": "100%"}  # batches have a site of their own
    with site_lab(1, consoles=["console_1"], muster_rollout=at_once) as deployed:
        yield deployed


def services(lab: SiteLab) -> dict[str, dict[str, int]]:
    return {name: lab.programs(name) for name in sorted({p.instance for p in lab.processes() if "_srv_" in p.instance})}


def test_req_1_and_11_deploy_starts_one_instance_per_item(lab: SiteLab) -> None:
    running = services(lab)
    assert set(running) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}
    assert all(set(programs) == ALL_SERVICES for programs in running.values())


def test_a_second_deploy_changes_nothing(lab: SiteLab) -> None:
    before = services(lab)
    played = lab.good("deploy")
    assert played.changed == 0, played.output
    assert lab.good("deploy", "--check", "--diff").changed == 0
    assert services(lab) == before


CHANGED = {"id": "02", "config": {"alarm_above": 25.0}}


def test_req_1_items_are_added_and_changed_and_no_other_is_touched(lab: SiteLab) -> None:
    before = services(lab)
    lab.set(muster_items=["01", CHANGED, "03", "04", "05"])
    told = lab.good("deploy", "--check", "--diff")
    assert told.changed > 0
    assert "25.0" in told.output
    assert services(lab) == before, "check mode started something"
    lab.good("deploy")
    after = services(lab)
    assert set(after) == {"scen2_srv_%02d" % i for i in range(1, 6)}
    assert not set(after["scen2_srv_02"].values()) & set(before["scen2_srv_02"].values())
    del before["scen2_srv_02"]
    assert {name: after[name] for name in before} == before
    assert (lab.root("server_1") / "etc/available/scen2_srv_05/bus.conf").exists()


def test_req_1_items_are_removed_and_no_other_is_touched(lab: SiteLab) -> None:
    before = services(lab)
    foreign = lab.root("server_1") / "etc/available/notes.txt"
    foreign.write_text("kept by hand\n")
    # The list comes from elsewhere and lost more than half: nobody takes that for what is wanted, until a person does.
    lab.set(muster_items=["01", CHANGED], muster_items_source="https://cmdb.example.org/sensors")
    refused = lab.play("deploy")
    assert refused.rc != 0
    assert "lost 3 of the 5 that are deployed, 03, 04 and 05" in " ".join(refused.output.split())
    assert services(lab) == before
    lab.good("deploy", accept=True)
    lab.set(muster_items_source="")
    assert services(lab) == {name: before[name] for name in ("scen2_srv_01", "scen2_srv_02")}
    for gone in ("03", "04", "05"):
        assert not (lab.root("server_1") / "etc/available" / ("scen2_srv_" + gone)).exists()
    assert foreign.read_text() == "kept by hand\n"
    foreign.unlink()
    lab.set(muster_items=["01", CHANGED, "03"])
    lab.good("deploy")
    assert set(services(lab)) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}


@pytest.mark.long
def test_a_template_beside_the_inventory_replaces_the_one_of_the_collection(lab: SiteLab) -> None:
    own = lab.inventory / "templates"
    own.mkdir()
    shipped = (ROOT / "roles/programs/templates/scen2_srv_bus.conf.j2").read_text()
    (own / "scen2_srv_bus.conf.j2").write_text("# ours: item {{ item.id }} on {{ host }}\n" + shipped)
    lab.good("deploy")
    written = (lab.root("server_2") / "etc/available/scen2_srv_02/bus.conf").read_text()
    assert written.startswith("# ours: item 02 on server_2\n")
    assert lab.good("deploy").changed == 0
    (own / "scen2_srv_bus.conf.j2").unlink()
    lab.good("deploy")


def test_req_10_a_service_is_refused_on_a_console(lab: SiteLab) -> None:
    played = lab.play("start", instances=["scen2_srv_01"], host="console_1")
    assert played.rc != 0
    assert "may run on servers" in played.output


def test_a_host_left_out_by_limit_holds_what_it_has(lab: SiteLab) -> None:
    before = services(lab)
    played = lab.good("reconcile", "--limit", "server_1")
    assert played.changed == 0
    assert services(lab) == before


def test_req_12_two_reconciles_at_once_start_everything_once(lab: SiteLab) -> None:
    lab.good("stop", instances=["scen2_srv_01", "scen2_srv_02"])
    starts = [lab.begin("start", instances=["scen2_srv_01", "scen2_srv_02"]) for _ in range(2)]
    starts.append(lab.begin("reconcile"))
    outputs = [process.communicate(timeout=120)[0] for process in starts]
    lab.good("reconcile")
    copies = Counter((p.instance, p.program) for p in lab.processes() if p.epoch and "_srv_" in p.instance)
    assert set(copies.values()) == {1}, outputs
    assert set(services(lab)) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}


def test_req_12_a_start_past_the_tool_is_refused_on_a_second_host(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_01")
    other = next(name for name in SERVERS if name != home)
    where = lab.seen_root(other)
    started = lab.begin_at(
        other, [where + "/bin/muster-exec", "sleep", "60"], MUSTER_ROOT=where, MUSTER_HOST=other,
        MUSTER_INSTANCE="scen2_srv_01", MUSTER_PROGRAM="config_manager",
    )  # fmt: skip
    said = started.communicate(timeout=20)[0]
    assert started.returncode == 78
    assert "scen2_srv_01" in said


def test_req_12_a_copy_made_by_other_means_is_stopped_and_the_claimed_one_stays(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_01")
    other = next(name for name in SERVERS if name != home)
    before = lab.programs("scen2_srv_01")
    with lab.stray("scen2_srv_01", other) as copy:
        lab.good("reconcile")
        wait_for(lambda: copy.poll() is not None, "the stray copy stopped")
        assert lab.programs("scen2_srv_01") == before


def test_req_11_everything_comes_back_after_a_reboot_of_all_hosts_but_no_hci(lab: SiteLab) -> None:
    lab.good("open", instances=["scen2_hci_02"], host="console_1")
    assert lab.hosts_of("scen2_hci_02") == {"console_1"}
    lab.reboot(*SERVERS, "console_1")
    assert not [p for p in lab.processes() if p.epoch], "an item started without anybody having decided it"
    lab.good("reconcile")
    assert set(services(lab)) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}
    assert lab.programs("scen2_hci_02") == {}
    assert lab.good("reconcile").changed == 0


def test_req_5_what_has_no_room_waits_with_its_reasons_and_starts_when_there_is_room(lab: SiteLab) -> None:
    lab.set(muster_items=["%02d" % i for i in range(1, 8)])  # 42 points each: two per server
    lab.good("deploy")
    counts = Counter(next(iter(lab.hosts_of(name))) for name in services(lab))
    assert counts == dict.fromkeys(SERVERS, 2)  # Req 13: equal items, equal counts
    waiting = lab.verdict("07")
    assert waiting["verdict"] == "waiting"
    why = lab.muster("why", "scen2_srv_07")
    assert all(server in why.output for server in SERVERS), why.output
    lab.good("stop", instances=["scen2_srv_05"])
    lab.good("reconcile")
    assert "scen2_srv_07" in services(lab)
    assert "scen2_srv_05" not in services(lab)
    assert max(lab.watch.fullest[server] for server in SERVERS) == 84, "two of 42 points, of the 100 there are"


@pytest.mark.long
def test_req_13_a_host_busy_with_other_work_gets_less(lab: SiteLab) -> None:
    lab.good("stop", instances=sorted(services(lab)))
    lab.set_host("server_1", muster_extra_load=90)
    lab.set(muster_items=["21", "22", "23", "24"])
    lab.good("deploy")
    counts = Counter(next(iter(lab.hosts_of(name))) for name in services(lab))
    assert counts["server_1"] < counts["server_2"]
    assert counts["server_1"] < counts["server_3"]
    assert sum(counts.values()) == 4
    lab.set_host("server_1", muster_extra_load=0)


def test_room_made_by_a_deploy_is_used_by_the_same_deploy(lab: SiteLab) -> None:
    lab.set(muster_items=["%02d" % i for i in range(31, 37)])  # six new ones for the room that four old ones still hold
    lab.good("deploy")
    assert set(services(lab)) == {"scen2_srv_%02d" % i for i in range(31, 37)}


def idle(load: int, rank: int, **more: object) -> dict[str, object]:
    """An application of one program that does nothing."""
    program = {"command": ["/bin/sleep", "infinity"], "start_sequence": 1, "required": True, "expected_loading": load}
    return {"identifiers": "servers", "start_sequence": rank, "starting_strategy": "less_loaded",
            "programs": {"idle": program}, **more}  # fmt: skip


@pytest.mark.long
def test_req_13_unequal_loads_are_spread_as_well_as_they_can_be_and_a_template_of_ones_own_is_used(
    lab: SiteLab,
) -> None:
    loads = {"heavy": 30, "light": 12}
    (lab.inventory / "templates").mkdir(exist_ok=True)
    name, line, ours = MANAGERS_TEMPLATE[lab.service_manager]
    text = (ROOT / "roles/host/templates" / name).read_text()
    assert line in text
    (lab.inventory / "templates" / "mine.j2").write_text(text.replace(line, ours))
    lab.set(
        muster_items=["01", "02", "03", "04"],
        muster_applications={"heavy": idle(30, 1), "light": idle(12, 2, template="mine.j2")},
    )
    lab.good("deploy")
    lab.good("reconcile")
    running = {process.instance: process for process in lab.processes() if process.epoch}
    assert len(running) == 8
    held: Counter[str] = Counter()
    for name, process in running.items():
        held[process.host] += loads[name.partition("_")[0]]
        environment = Path("/proc/%d/environ" % process.pid).read_bytes().split(b"\0")
        assert (b"WHOSE_TEMPLATE=mine" in environment) == name.startswith("light")
    best = min(
        max(sum(load for load, at in zip(4 * [30] + 4 * [12], places, strict=True) if at == server)
            for server in SERVERS)
        for places in itertools.product(SERVERS, repeat=8)
    )  # fmt: skip
    assert max(held.values()) <= best + min(loads.values()), held
