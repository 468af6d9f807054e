# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of one item on a server, with real buses."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence

import pytest

from tests.integration.reference.blocking_mqtt import MqttClient
from tests.integration.reference.programs_by_hand import (  # noqa: F401 - a fixture
    HOSTS,
    SITE,
    Client,
    Lab,
    lab,
    ports_of,
    wait_for,
    wait_for_settings,
)

ITEM = {"id": "02", "slot": 2, "config": {"period": 0.05}}
BUS = (HOSTS["server_1"], ports_of("scen2_srv", 2)["client"])
CORE = ("sensor_acquisition", "data_processing", "config_manager")
COMMON_PORT = SITE["muster_services"]["common_data_bus"]["ports"]["client"]


def without_common(programs: Sequence[str] = CORE) -> list[str]:
    return ["internal_data_bus", "check_internal_data_bus", *programs]


def test_every_program_of_the_site_exists_and_is_executable(lab: Lab) -> None:
    root = lab.root("server_1")
    commands = [p["command"][0] for a in SITE["muster_applications"].values() for p in a["programs"].values()]
    commands += [s["command"][0] for s in SITE["muster_services"].values()]
    assert [c for c in commands if not os.access(root / "bin" / c, os.X_OK)] == []


def test_readings_become_statistics_on_the_items_own_bus(lab: Lab) -> None:
    lab.start_instance("scen2_srv", ITEM, "server_1", without_common(), MUSTER_EPOCH="7")
    client = lab.client(*BUS)
    client.subscribe("sensors.reading")
    _, reading = client.next()
    assert {"at", "temperature", "cpu", "memory"} <= set(reading)
    assert reading["source"] == {"instance": "scen2_srv_02", "host": "server_1", "epoch": 7}
    client.subscribe("results.statistics")
    wait_for(lambda: client.next()[1].get("count", 0) > 3, "statistics of some readings")
    _, statistics = wait_for(lambda: (m := client.next())[0] == "results.statistics" and m, "statistics")
    assert statistics["min"] <= statistics["mean"] <= statistics["max"]
    assert statistics["alarm"] is False
    state = client.ask("state.get", {})
    assert len(state["history"]) >= 4
    assert state["statistics"]["count"] >= 4
    client.close()


def test_a_changed_setting_is_followed_by_the_other_programs(lab: Lab) -> None:
    lab.start_instance("scen2_srv", ITEM, "server_1", without_common())
    client = lab.client(*BUS)
    client.subscribe("results.statistics")
    assert client.next()[1]["alarm"] is False
    wait_for_settings(client)
    answer = client.ask("config.set", {"name": "alarm_above", "value": -100})
    assert answer["config"]["alarm_above"] == -100
    wait_for(lambda: (m := client.next())[0] == "results.statistics" and m[1]["alarm"], "the alarm is raised")
    client.close()


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"name": "periode", "value": 1}, "there is no setting periode (settings: alarm_above, period)"),
        ({"name": "period", "value": "often"}, "period must be a number from 0.01 to 3600, not 'often'"),
        ({"name": "period", "value": -1}, "period must be a number from 0.01 to 3600, not -1"),
        ({"name": "period", "value": True}, "period must be a number from 0.01 to 3600, not True"),
        ({"name": ["period"], "value": 1}, "there is no setting ['period'] (settings: alarm_above, period)"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(lab: Lab, question: dict[str, object], reason: str) -> None:
    lab.start_instance("scen2_srv", ITEM, "server_1", without_common(("config_manager",)))
    client = lab.client(*BUS)
    wait_for_settings(client)
    assert client.ask("config.set", question)["error"] == reason
    assert client.ask("config.get", {})["config"]["period"] == 0.05
    client.close()


def test_a_message_that_is_no_json_is_ignored(lab: Lab) -> None:
    _, running = lab.start_instance("scen2_srv", ITEM, "server_1", without_common())
    client = lab.client(*BUS)
    wait_for_settings(client)

    def logged(program: str, subject: str) -> bool:
        client.publish(subject, 5)  # again: what is sent before the program listens is lost
        return "%s: message not understood" % subject in running[program].said()

    client.publish("config.changed", 5)
    wait_for(lambda: logged("config_manager", "config.set"), "it is logged")
    wait_for(lambda: logged("data_processing", "sensors.reading"), "it is logged")
    assert [n for n, r in running.items() if r.process.poll() is not None] == []
    client.close()


def test_the_internal_check_ends_only_when_the_bus_answers(lab: Lab) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    check = lab.start(environment, "check_internal_data_bus")
    wait_for(lambda: "the internal bus of item 02 does not work" in check.said(), "it says what it waits for")
    assert "Connection refused" in check.said()
    assert check.process.poll() is None
    lab.start(environment, "internal_data_bus")
    wait_for(lambda: check.process.poll() == 0, "it ends once the bus works", 2)


def test_the_internal_check_is_not_content_with_an_open_port(lab: Lab) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    with socket.create_server(BUS):
        check = lab.start(environment, "check_internal_data_bus")
        wait_for(lambda: "no echo within 1 s" in check.said(), "it says that nothing comes back")
        assert check.process.poll() is None


def test_the_internal_check_does_not_end_while_the_bus_hangs(lab: Lab) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    bus = lab.start(environment, "internal_data_bus")
    lab.gate(environment, "check_internal_data_bus")
    bus.kill(signal.SIGSTOP)
    check = lab.start(environment, "check_internal_data_bus")
    wait_for(lambda: "no echo within 1 s" in check.said(), "it says that nothing comes back")
    assert check.process.poll() is None
    bus.kill(signal.SIGCONT)
    wait_for(lambda: check.process.poll() == 0, "it ends once the bus goes on", 3)


def test_the_common_check_waits_for_the_common_bus_of_any_host(lab: Lab) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    check = lab.start(environment, "check_common_data_bus")
    wait_for(lambda: "the common bus does not work" in check.said(), "it says what it waits for")
    assert check.process.poll() is None
    lab.start_common_bus(["server_3"])
    wait_for(lambda: check.process.poll() == 0, "it ends once one host of the common bus works", 3)


def test_results_are_forwarded_to_every_host_of_the_common_bus(lab: Lab) -> None:
    lab.start_common_bus(["server_1", "server_2"])
    lab.start_instance("scen2_srv", ITEM, "server_1")
    other = lab.client(HOSTS["server_2"], COMMON_PORT)
    other.subscribe("scen2.02.results")
    _, results = other.next()
    assert results["item"] == "02"
    assert results["source"]["instance"] == "scen2_srv_02"
    other.close()


def test_a_lost_common_bus_stops_nothing_and_is_used_again(lab: Lab) -> None:
    common = lab.start_common_bus(["server_1", "server_2"])
    _, running = lab.start_instance("scen2_srv", ITEM, "server_1")
    for bus in common:
        bus.kill()
        bus.process.wait()
    wait_for(lambda: "common bus" in running["common_bus_interface"].said(), "the loss is logged")
    client = lab.client(*BUS)
    client.subscribe("results.statistics")
    client.next()
    lab.start_common_bus(["server_2"])
    other = wait_for(lambda: _connect(lab, HOSTS["server_2"], COMMON_PORT), "the common bus is back")
    other.subscribe("scen2.02.results")
    other.next()
    assert [n for n, r in running.items() if r.process.poll() is not None] == []
    client.close()
    other.close()


def test_programs_find_their_bus_again_after_its_crash(lab: Lab) -> None:
    environment, running = lab.start_instance("scen2_srv", ITEM, "server_1", without_common())
    running["internal_data_bus"].kill()
    running["internal_data_bus"].process.wait()
    lab.start(environment, "internal_data_bus")
    lab.gate(environment, "check_internal_data_bus")
    client = lab.client(*BUS)
    client.subscribe("results.statistics")
    client.next()
    client.close()


def test_programs_end_at_once_on_sigterm(lab: Lab) -> None:
    lab.start_common_bus(["server_1"])
    _, running = lab.start_instance("scen2_srv", ITEM, "server_1")
    for program in running.values():
        program.kill(signal.SIGTERM)
    wait_for(lambda: not lab.processes(MUSTER_INSTANCE="scen2_srv_02"), "all of them are gone", 1)


def test_an_item_id_is_never_a_wildcard_on_the_common_bus(lab: Lab) -> None:
    lab.start_common_bus(["server_1"])
    lab.start_instance("scen2_srv", {"id": "a.b", "slot": 3, "config": {"period": 0.05}}, "server_1")
    client = lab.client(HOSTS["server_1"], COMMON_PORT)
    client.subscribe("scen2.*.results")
    assert client.next()[0] == "scen2.a%2Eb.results"
    client.close()


@pytest.mark.parametrize("program", ["sensor_acquisition", "check_internal_data_bus", "check_common_data_bus"])
def test_a_program_started_past_muster_says_so(lab: Lab, program: str) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    del environment["MUSTER_INSTANCE"]
    running = lab.start({**environment, "MUSTER_INSTANCE": "x"}, program, MUSTER_ETC=str(lab.folder / "nowhere"))
    assert running.process.wait(5) == 78
    assert "nowhere/settings.json cannot be read: No such file or directory" in running.said()


def _connect(lab: Lab, address: str, port: int) -> Client | MqttClient | None:
    try:
        return lab.client(address, port)
    except OSError:
        return None
