# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mosquitto in the reference application, unlike NATS: bridges without loops, one-way consoles, a missing broker.

What it has in common with NATS is tested on both buses by test_scen2_*.py.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.reference.blocking_mqtt import MqttClient
from tests.integration.reference.programs_by_hand import (
    HOSTS,
    MOSQUITTO,
    NO_MOSQUITTO,
    SITE,
    Lab,
    Running,
    ports_of,
    wait_for,
    wait_for_settings,
)

pytestmark = pytest.mark.skipif(not os.access(MOSQUITTO, os.X_OK), reason=NO_MOSQUITTO)
SERVERS = ("server_1", "server_2", "server_3")
COMMON_PORT = SITE["muster_services"]["common_data_bus"]["ports"]["client"]
ITEM = {"id": "02", "slot": 2, "config": {"period": 0.05}}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path, "mqtt")
    yield lab
    lab.clean()


def test_a_message_reaches_every_broker_of_the_common_bus_once_with_any_of_them_down(lab: Lab) -> None:
    """The first broker is what the others join: without it the second takes its place, and gives it back."""
    running = dict(zip(SERVERS, start_common(lab, SERVERS)))
    assert_joined(SERVERS)
    running["server_1"].kill()
    running["server_1"].process.wait()
    assert_joined(SERVERS[1:])
    (running["server_1"],) = start_common(lab, ["server_1"])
    assert_joined(SERVERS)
    running["server_2"].kill()
    running["server_2"].process.wait()
    assert_joined(("server_1", "server_3"))


def test_a_console_cannot_speak_for_the_services(lab: Lab) -> None:
    services = ("internal_data_bus", "check_internal_data_bus", "config_manager")
    lab.start_instance("scen2_srv", ITEM, "server_1", services)
    lab.start_instance("scen2_hci", ITEM, "console_1", MUSTER_PEERS=HOSTS["server_1"])
    server = MqttClient(HOSTS["server_1"], ports_of("scen2_srv", 2)["client"])
    console = MqttClient(HOSTS["console_1"], ports_of("scen2_hci", 2)["client"])
    server.subscribe("sensors.reading")
    server.subscribe("config.changed")
    for subject in ("sensors.reading", "config.changed"):
        console.publish(subject, {"forged": True})
    # The question takes the same way behind them, and comes through.
    wait_for_settings(console)
    console.ask("config.set", {"name": "period", "value": 0.5})
    assert server.next() == ("config.changed", {"config": {"period": 0.5, "alarm_above": 30.0},
                                                "source": {"instance": "scen2_srv_02", "host": "server_1", "epoch": 1}})
    server.close()
    console.close()


@pytest.mark.parametrize("program", ["internal_data_bus", "common_data_bus"])
def test_a_missing_mosquitto_is_reported_with_what_to_do(lab: Lab, program: str) -> None:
    running = lab.start(lab.configure("scen2_srv", ITEM, "server_1"), program, MUSTER_MOSQUITTO="/opt/none/mosquitto")
    assert running.process.wait(5) == 78
    assert running.said() == (
        "/opt/none/mosquitto is not there: install it (on Debian: apt install mosquitto), "
        "or name another one as MUSTER_MOSQUITTO in muster_environment\n"
    )


@pytest.mark.parametrize("program", ["internal_data_bus", "check_internal_data_bus", "data_processing"])
def test_an_unknown_bus_is_refused_with_a_sentence(lab: Lab, program: str) -> None:
    running = lab.start(lab.configure("scen2_srv", ITEM, "server_1"), program, SCEN2_BUS="carrier_pigeon")
    assert running.process.wait(5) == 78
    assert running.said() == "SCEN2_BUS is 'carrier_pigeon': the buses of scen2 are nats and mqtt\n"


def test_a_bus_that_refuses_the_check_is_reported_as_such(lab: Lab) -> None:
    environment = lab.configure("scen2_srv", ITEM, "server_1")
    config = Path(environment["MUSTER_ETC"]) / "bus.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    lab.start(environment, "internal_data_bus")
    check = lab.start(environment, "check_internal_data_bus")
    wait_for(lambda: "it refuses us: not authorised" in check.said(), "the reason", 5)
    assert check.process.poll() is None


def start_common(lab: Lab, hosts: tuple[str, ...] | list[str]) -> list[Running]:
    return lab.start_common_bus(hosts, order=SERVERS)


def assert_joined(hosts: tuple[str, ...]) -> None:
    """Check that a message published at one of these brokers arrives once at each."""
    clients = {host: wait_for(lambda host=host: client_of(host), f"the broker of {host}") for host in hosts}
    everybody = {(speaker, listener) for speaker in hosts for listener in hosts}
    seen: Counter[tuple[str, str, int]] = Counter()
    for client in clients.values():
        client.subscribe("scen2.test.results")

    def listen() -> None:
        for listener, client in clients.items():
            try:
                while True:
                    message = client.next(0.02)[1]
                    seen[message["from"], listener, message["number"]] += 1
            except TimeoutError:
                continue

    number = 0
    deadline = time.monotonic() + 80
    while {key[:2] for key in seen if key[2] == number} != everybody:  # until one round is complete
        assert time.monotonic() < deadline, f"not joined: {sorted(seen)}"
        number += 1
        for speaker, client in clients.items():
            client.publish("scen2.test.results", {"from": speaker, "number": number})
        for _ in range(5):
            listen()
    listen()  # a copy that went round would be here by now
    assert not [key for key, count in seen.items() if count > 1]
    for client in clients.values():
        client.close()


def client_of(host: str) -> MqttClient | None:
    try:
        return MqttClient(HOSTS[host], COMMON_PORT)
    except OSError:
        return None
