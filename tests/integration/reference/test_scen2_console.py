# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows of one item on a console, joined to whichever server holds the item."""

from __future__ import annotations

import signal

import pytest

from tests.integration.addresses import NET
from tests.integration.reference.programs_by_hand import (  # noqa: F401 - a fixture
    HOSTS,
    Lab,
    Running,
    lab,
    ports_of,
    wait_for,
    wait_for_settings,
)

ITEM = {"id": "02", "slot": 2, "config": {"period": 0.05}}
SERVICES = ("internal_data_bus", "check_internal_data_bus", "sensor_acquisition", "data_processing", "config_manager")
PEERS = ",".join(HOSTS[name] for name in ("server_1", "server_2", "server_3"))


def start_services(lab: Lab, host: str, epoch: str, item: dict[str, object] = ITEM) -> dict[str, Running]:
    return lab.start_instance("scen2_srv", item, host, SERVICES, MUSTER_EPOCH=epoch)[1]


def stop(lab: Lab, instance: str, running: dict[str, Running], how: int = signal.SIGKILL) -> None:
    for program in running.values():
        program.kill(how)
        program.process.wait()
    assert lab.processes(MUSTER_INSTANCE=instance) == []


def test_the_windows_show_values_that_come_from_the_items_server(lab: Lab) -> None:
    start_services(lab, "server_1", "7")
    start_services(lab, "server_1", "3", {"id": "03", "slot": 3, "config": {"period": 0.05}})
    _, windows = lab.start_instance("scen2_hci", ITEM, "console_3", MUSTER_PEERS=PEERS)
    sensor, chart, control = (windows[n] for n in ("sensor_view", "chart_view", "sensor_control"))
    wait_for(lambda: "(from scen2_srv_02@server_1 epoch 7)" in sensor.said(), "values of item 02")
    wait_for(lambda: "(from scen2_srv_02@server_1 epoch 7)" in chart.said(), "a curve of item 02")
    wait_for(lambda: "(config_manager of scen2_srv_02@server_1 epoch 7)" in control.said(), "settings of item 02")
    assert "item 02: temperature " in sensor.said()
    assert "scen2_srv_03" not in sensor.said() + chart.said() + control.said()


def test_a_setting_changed_on_the_console_reaches_the_server(lab: Lab) -> None:
    services = start_services(lab, "server_1", "1")
    _, windows = lab.start_instance("scen2_hci", ITEM, "console_3", MUSTER_PEERS=PEERS)
    wait_for(lambda: "config_manager of" in windows["sensor_control"].said(), "the settings are known")
    client = lab.client(HOSTS["console_3"], ports_of("scen2_hci", 2)["client"])
    assert client.ask("config.set", {"name": "alarm_above", "value": 25.5})["config"]["alarm_above"] == 25.5
    wait_for(lambda: "alarm_above is now 25.5" in services["config_manager"].said(), "the server has it")
    wait_for(lambda: "alarm_above 25.5" in windows["sensor_control"].said(), "the console shows it")
    client.close()


def test_the_check_on_a_console_waits_for_the_link_to_the_server(lab: Lab) -> None:
    environment = lab.configure("scen2_hci", ITEM, "console_1")
    lab.start(environment, "internal_data_bus", MUSTER_PEERS=PEERS)
    check = lab.start(environment, "check_internal_data_bus", MUSTER_PEERS=PEERS)
    wait_for(lambda: "the services of item 02 are not within reach" in check.said(), "it says what it waits for")
    assert check.process.poll() is None
    start_services(lab, "server_2", "1")
    wait_for(lambda: check.process.poll() == 0, "it ends once a server holds the item", 5)


def test_the_check_on_a_console_waits_for_the_local_bus_too(lab: Lab) -> None:
    start_services(lab, "server_1", "1")
    check = lab.start(lab.configure("scen2_hci", ITEM, "console_1"), "check_internal_data_bus", MUSTER_PEERS=PEERS)
    wait_for(lambda: f"the internal bus of item 02 does not work at {NET}.4.21:24008" in check.said(), "the reason")
    assert check.process.poll() is None


def test_the_link_is_up_at_once_when_the_holder_is_named_first(lab: Lab) -> None:
    start_services(lab, "server_3", "1")
    environment = lab.configure("scen2_hci", ITEM, "console_1")
    peers = ",".join(HOSTS[name] for name in ("server_3", "server_1", "server_2"))
    bus = lab.start(environment, "internal_data_bus", MUSTER_PEERS=peers)
    lab.gate(environment, "check_internal_data_bus", MUSTER_PEERS=peers)
    assert "Error trying to connect" not in bus.said()  # one refusal costs nats-server half a second


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_windows_survive_a_failover_and_show_the_other_servers_values(lab: Lab, how: int) -> None:
    services = start_services(lab, "server_1", "7")
    _, windows = lab.start_instance("scen2_hci", ITEM, "console_3", MUSTER_PEERS=PEERS)
    view, chart = windows["sensor_view"], windows["chart_view"]
    wait_for(lambda: "@server_1 epoch 7)" in view.said(), "values from server_1")
    before = {name: window.process.pid for name, window in windows.items()}
    if how == signal.SIGSTOP:  # a server that hangs keeps its connections open
        for program in services.values():
            program.kill(how)
    else:
        stop(lab, "scen2_srv_02", services)
        wait_for(lambda: "services not reachable" in view.said(), "the loss is shown")
    start_services(lab, "server_2", "8")
    wait_for(lambda: "(from scen2_srv_02@server_2 epoch 8)" in view.said(), "values from server_2", 15)
    wait_for(lambda: "@server_2 epoch 8)" in chart.said(), "the curve from server_2", 15)
    wait_for(lambda: "@server_2 epoch 8)" in windows["sensor_control"].said(), "the settings of server_2", 15)
    assert {name: w.process.pid for name, w in windows.items() if w.process.poll() is None} == before


def test_a_window_that_opens_late_has_the_history_at_once(lab: Lab) -> None:
    start_services(lab, "server_1", "1")
    client = lab.client(HOSTS["server_1"], ports_of("scen2_srv", 2)["client"])
    client.subscribe("results.statistics")
    wait_for(lambda: client.next()[1].get("count", 0) > 9, "ten readings")
    wait_for_settings(client)
    client.ask("config.set", {"name": "period", "value": 0.5})
    _, windows = lab.start_instance("scen2_hci", ITEM, "console_3", MUSTER_PEERS=PEERS)
    chart = windows["chart_view"]
    wait_for(lambda: any(sum(line.count(bar) for bar in "▁▂▃▄▅▆▇█") > 9 for line in chart.said().splitlines()[:6]),
             "a curve of ten readings among its first lines")
    client.close()


@pytest.mark.parametrize("program", ["sensor_view", "chart_view", "sensor_control"])
def test_a_display_that_cannot_be_opened_means_plain_text(lab: Lab, program: str) -> None:
    start_services(lab, "server_1", "1")
    programs = ("internal_data_bus", "check_internal_data_bus", program)
    _, windows = lab.start_instance("scen2_hci", ITEM, "console_3", programs, MUSTER_PEERS=PEERS, DISPLAY=":4711")
    wait_for(lambda: "no window on display :4711, plain text instead" in windows[program].said(), "the reason")
    wait_for(lambda: "@server_1 epoch 1)" in windows[program].said(), "plain text")
