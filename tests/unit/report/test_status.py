# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document and its table."""

from __future__ import annotations

import json
import re
from typing import Any

from monitor.core.report import status, status_text, story
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0
SERVICE_PROGRAMS = ("internal_data_bus", "data_processing", "common_bus_interface")
STARTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 1.0}


def seen(host: str, *copies: tuple[str, int], without: str = "", **more: Any) -> dict[str, Any]:
    """A host that runs these (instance, epoch), all programs but one."""
    instances = {}
    for name, epoch in copies:
        programs = SERVICE_PROGRAMS if "srv" in name else ("internal_data_bus", "sensor_view")
        alive = {program: {"pid": 40, "started": 2.0} for program in programs if program != without}
        instances[name] = {
            "epoch": epoch,
            "epochs": [epoch],
            "claim": epoch,
            "programs": alive,
            "cpu": 1.5,
            "memory": 0.5,
        }
    return quiet_host(host, instances=instances, services={"common_data_bus": {"pid": 9}}, **more)


def document(
    state: dict[str, Any], *hosts: dict[str, Any], monitor: dict[str, Any] | None = None, items: int = 2
) -> dict[str, Any]:
    observations = {host["host"]: host for host in hosts}
    return status.status_document(small_site(items=items), state, 17, observations, monitor or {}, NOW)


def two_running(**more: Any) -> dict[str, Any]:
    claims = {"scen2_srv_01": running("server_1", 4), "scen2_srv_02": running("server_2", 7)}
    return small_state(claims=claims, wanted=dict.fromkeys(claims, STARTED), **more)


def monitor(**more: Any) -> dict[str, Any]:
    return {"schema": 1, "state": "running", "pid": 77, "at": NOW - 2, "revision": 17, "standby": "ready", "buses": {},
            "services": {}, "intents": [], **more}  # fmt: skip


class TestAMonitorThatGetsNoRun:
    """ansible/ansible-navigator#61, ansible/ansible-runner#47: nothing was restarted, and nothing said why."""

    def test_is_no_monitor_that_runs_well(self) -> None:
        told = monitor(no_runs={"since": NOW - 600, "why": "ERROR! no vault password"}, settings=["ansible.cfg asks"])
        found = document(two_running(), monitor=told)
        assert found["monitor"]["no_runs"] == told["no_runs"]
        text = status_text.render_table(found, 120, False).splitlines()
        [line] = [line for line in text if line.startswith("monitor:")]
        assert re.fullmatch(
            r"monitor: cannot run playbooks since \d\d:\d\d.*, so nothing is restarted by itself: ERROR! no vault .*",
            line,
        )
        assert "  ansible.cfg asks" in text

    def test_that_is_silent_says_so_instead(self) -> None:
        told = monitor(no_runs={"since": NOW - 600, "why": "ERROR!"}, at=NOW - 600)
        assert document(two_running(), monitor=told)["monitor"]["no_runs"] is None


class TestTheDocument:
    def test_says_how_much_of_its_budget_an_instance_has_spent(self) -> None:
        state = two_running()
        crashes = [[NOW - ago, "server_1", "bus crash"] for ago in (700.0, 20.0, 5.0)]
        state["claims"]["scen2_srv_01"].update(failures=crashes, since=NOW - 1)
        found = document(state, seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7)))
        instance = found["instances"]["scen2_srv_01"]
        assert (instance["failures"], instance["failure_budget"]) == (2, 5)  # the oldest is out of the window
        told = dict(story.facts(instance, found, "scen2_srv_01", NOW))
        assert told["failures"] == "2 of 5; after 5 it stays failed"

    def test_says_per_item_where_it_is_served_and_how_well(self) -> None:
        state = two_running()
        state["claims"]["scen2_hci_02"] = running("console_1", 1)
        state["wanted"]["scen2_hci_02"] = dict(STARTED, host="console_1")
        found = document(
            state,
            seen("server_1", ("scen2_srv_01", 4)),
            seen("server_2", ("scen2_srv_02", 7), without="data_processing"),
            seen("console_1", ("scen2_hci_02", 1)),
        )
        first, second = found["items"]
        assert (first["item"], first["verdict"], first["services"]["host"]) == ("01", "operational", "server_1")
        assert (second["verdict"], second["hci"]["host"]) == ("not operational", "console_1")
        assert "data_processing" in second["cause"]
        assert found["counts"] == {"operational": 1, "not operational": 1}

    def test_has_every_instance_with_state_epoch_ports_and_processes(self) -> None:
        instances = document(two_running(), seen("server_2", ("scen2_srv_02", 7)))["instances"]
        assert sorted(instances) == ["scen2_hci_01", "scen2_hci_02", "scen2_srv_01", "scen2_srv_02"]
        entry = instances["scen2_srv_02"]
        assert (entry["state"], entry["epoch"], entry["address"]) == ("running", 7, "127.60.1.12")
        assert (entry["ports"]["client"], entry["programs"]["data_processing"]["pid"]) == (20008, 40)
        assert (entry["major"], entry["cpu"], entry["wanted"]["by"]) == (False, 1.5, "muster")

    def test_keeps_an_instance_that_left_the_site_while_it_holds_a_host(self) -> None:
        state = two_running()
        state["claims"]["scen2_srv_09"] = running("server_3", 2)
        state["claims"]["scen2_srv_08"] = running("server_3", 2, phase="free")
        instances = document(state)["instances"]
        assert instances["scen2_srv_09"]["host"] == "server_3" and "scen2_srv_08" not in instances

    def test_counts_what_a_host_reserves_a_move_on_both(self) -> None:
        state = two_running()
        state["claims"]["scen2_srv_01"].update(phase="stopping", target="server_2")
        hosts = {entry["host"]: entry for entry in document(state)["hosts"]}
        assert [hosts[name]["reserved"] for name in ("server_1", "server_2", "server_3")] == [22, 44, 0]
        assert hosts["server_2"]["instances"] == ["scen2_srv_01", "scen2_srv_02"]

    def test_is_json_and_knows_its_schema(self) -> None:
        found = document(two_running(), monitor=monitor())
        assert json.loads(json.dumps(found))["schema"] == 1


class TestTheMonitorsWord:
    def test_about_a_bus_that_hangs_makes_its_item_not_operational(self) -> None:
        buses = {"scen2_srv_02": {"epoch": 7, "state": "unhealthy", "why": "3 round trips missed"}}
        hosts = seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7))
        found = document(two_running(), *hosts, monitor=monitor(buses=buses))
        assert [entry["verdict"] for entry in found["items"]] == ["operational", "not operational"]
        assert "3 round trips missed" in found["items"][1]["cause"]

    def test_of_an_earlier_epoch_or_of_a_silent_monitor_does_not_count(self) -> None:
        hosts = seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7))
        old = {"scen2_srv_02": {"epoch": 6, "state": "unhealthy", "why": "x"}}
        assert document(two_running(), *hosts, monitor=monitor(buses=old))["counts"] == {"operational": 2}
        silent = monitor(buses={"scen2_srv_02": {"epoch": 7, "state": "unhealthy", "why": "x"}}, at=NOW - 60)
        found = document(two_running(), *hosts, monitor=silent)
        assert found["counts"] == {"operational": 2} and found["monitor"]["state"] == "silent"

    def test_about_the_common_bus_counts_more_than_its_process(self) -> None:
        probed = {"common_data_bus": {"server_1": {"state": "unhealthy", "why": "no answer"}}}
        found = document(two_running(), seen("server_1"), seen("server_2"), monitor=monitor(services=probed))
        hosts = found["services"]["common_data_bus"]["hosts"]
        assert {name: entry["state"] for name, entry in hosts.items()} == {
            "server_1": "unhealthy", "server_2": "running", "server_3": "unknown"
        }  # fmt: skip


    def test_that_a_service_answers_does_not_count_where_none_of_its_processes_runs(self) -> None:
        """A stranger took the port first. What was seen before it began to answer says nothing about it."""
        probed = {"common_data_bus": {host: {"state": "healthy", "why": "", "since": 60.0} for host in SERVERS}}
        hosts = [dict(seen("server_1"), services={}, at=NOW - 5), dict(seen("server_2"), services={}, at=NOW - 90)]
        found = document(two_running(), *hosts, seen("server_3"), monitor=monitor(services=probed))
        shown = found["services"]["common_data_bus"]["hosts"]
        assert {name: entry["state"] for name, entry in shown.items()} == {
            "server_1": "unhealthy", "server_2": "healthy", "server_3": "healthy"
        }  # fmt: skip
        assert shown["server_1"]["why"] == "what answers on server_1 is not of muster"


class TestTheTable:
    def test_reads_like_this(self) -> None:
        state = two_running(hosts={"server_3": {"state": "drained", "evidence": "drained by eve: new disk"}})
        state["claims"]["scen2_hci_02"] = running("console_1", 1)
        state["wanted"]["scen2_hci_02"] = dict(STARTED, host="console_1")
        lost = {"host": "console_2", "answer": "unreachable", "why": "No route to host"}
        found = document(
            state, seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7)),
            quiet_host("server_3", services={}),
            seen("console_1", ("scen2_hci_02", 1)), lost, monitor=monitor(),
        )  # fmt: skip
        lines = status_text.render_table(found).splitlines()
        assert re.fullmatch(r"site scenario_2, revision 17, \d\d:\d\d:\d\d", lines[0])
        assert lines[1:] == [
            "",
            "ITEM  VERDICT      SERVICES  HCI        CAUSE",
            "01    operational  server_1  -",
            "02    operational  server_2  console_1",
            "",
            "HOST       STATE        LOAD              RESERVED  HOLDS",
            "server_1   up           cpu 1 % mem 10 %  22/100    scen2_srv_01",
            "server_2   up           cpu 1 % mem 10 %  22/100    scen2_srv_02",
            "server_3   drained      cpu 1 % mem 10 %  0/100     drained by eve: new disk",
            "console_1  up           cpu 1 % mem 10 %  10/100    scen2_hci_02",
            "console_2  unreachable  -                 0/100     No route to host",
            "",
            "the common bus: running on server_1 and server_2, stopped on server_3",
            "exclusion: none, so a cut network may show two copies of an instance",
            "monitor: running",
        ]

    def test_wraps_long_causes_below_themselves_and_loses_no_word(self) -> None:
        state = two_running()
        reason = "data_processing exited 3 (Traceback: no such file /etc/sensors.conf) on server_1; " * 4
        state["claims"]["scen2_srv_01"].update(phase="failed", reason=reason.strip())
        table = status_text.render_table(document(state), width=90)
        assert max(map(len, table.splitlines())) <= 90
        items = table.split("\n\n")[1]
        assert " ".join(reason.split()) in " ".join(items.split())

    def test_colours_whole_words_only_when_asked(self) -> None:
        found = document(two_running(), seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7)))
        assert "\033" not in status_text.render_table(found)
        coloured = status_text.render_table(found, colour=True)
        assert "\033[32moperational\033[0m" in coloured
        assert re.sub(r"\033\[\d*m", "", coloured) == status_text.render_table(found)

    def test_says_when_no_monitor_runs(self) -> None:
        told = status_text.render_table(document(two_running()))
        assert "monitor: not running: nothing is restarted by itself" in told
        silent = status_text.render_table(document(two_running(), monitor=monitor(at=NOW - 100)))
        assert re.search(r"monitor: silent since \d\d:\d\d:\d\d: nothing is restarted by itself", silent)

    def test_says_how_old_an_observation_is_and_which_hosts_were_not_asked(self) -> None:
        seen_before = dict(seen("server_1", ("scen2_srv_01", 4)), at=NOW - 300)
        table = status_text.render_table(document(two_running(), seen_before))
        assert re.search(r"server_1 .*scen2_srv_01; as seen at \d\d:\d\d", table)
        assert re.search(r"server_2 .*scen2_srv_02; not asked", table)

    def test_shows_drift_and_a_service_manager_that_does_not_run(self) -> None:
        drift = ["etc/available/scen2_srv_01.ini changed by somebody"]
        table = status_text.render_table(
            document(two_running(), quiet_host("server_3", drift=drift, service_manager="stopped"))
        )
        assert "its service manager is stopped; etc/available/scen2_srv_01.ini changed by somebody" in " ".join(
            table.split()
        )
