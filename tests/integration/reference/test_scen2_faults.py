# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that can be ordered for a program through its item's variables happens as ordered, and only there."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import pytest

from tests.integration.reference.programs_by_hand import HOSTS, Lab, Running, lab, ports_of, wait_for  # noqa: F401

BUS = (HOSTS["server_1"], ports_of("scen2_srv", 2)["client"])


def start(lab: Lab, program: str, fault: dict[str, Any]) -> tuple[dict[str, str], Running]:
    item = {"id": "02", "slot": 2, "faults": {"scen2_srv": {program: fault}}}
    environment = lab.configure("scen2_srv", item, "server_1")
    return environment, lab.start(environment, program)


def answers() -> bool:
    try:
        socket.create_connection(BUS, 5).close()
    except OSError:
        return False
    return True


def test_a_slow_bus_begins_to_answer_after_its_delay(lab: Lab) -> None:
    environment, bus = start(lab, "internal_data_bus", {"start_delay": 0.7})
    lab.gate(environment, "check_internal_data_bus")
    assert time.monotonic() - bus.begun >= 0.7


def test_a_mute_bus_accepts_connections_and_never_passes_its_check(lab: Lab) -> None:
    environment, bus = start(lab, "internal_data_bus", {"mute": True})
    check = lab.start(environment, "check_internal_data_bus")
    wait_for(answers, "its port is open")
    wait_for(lambda: "no echo within 1 s" in check.said(), "the check misses the echo")
    assert check.process.poll() is None
    bus.kill(signal.SIGTERM)
    assert bus.process.wait(5) == -signal.SIGTERM


def test_a_stubborn_bus_works_and_ignores_sigterm(lab: Lab) -> None:
    environment, bus = start(lab, "internal_data_bus", {"ignore_term": True})
    lab.gate(environment, "check_internal_data_bus")
    bus.kill(signal.SIGTERM)
    time.sleep(0.3)
    assert bus.process.poll() is None
    lab.gate(environment, "check_internal_data_bus")


def test_a_crashing_bus_works_until_then(lab: Lab) -> None:
    environment, bus = start(lab, "internal_data_bus", {"crash_after": 0.5})
    lab.gate(environment, "check_internal_data_bus")
    assert bus.process.wait(5) == -signal.SIGKILL
    assert time.monotonic() - bus.begun >= 0.5
    wait_for(lambda: not answers(), "its server is gone with it")


@pytest.mark.parametrize("program", ["internal_data_bus", "check_internal_data_bus", "data_processing"])
def test_a_program_ordered_to_fail_ends_with_the_code_and_a_sentence(lab: Lab, program: str) -> None:
    _, running = start(lab, program, {"fail": "exit 3"})
    assert running.process.wait(5) == 3
    assert running.err.read_text() == f"{program} cannot start: it was ordered to fail (exit 3)\n"


def test_a_view_ordered_to_fail_does_not_touch_the_same_items_services(lab: Lab) -> None:
    item = {"id": "02", "slot": 2, "faults": {"scen2_hci": {"internal_data_bus": {"fail": "exit 4"}}}}
    lab.start_instance("scen2_srv", item, "server_1", ("internal_data_bus", "check_internal_data_bus"))
    local = lab.start(lab.configure("scen2_hci", item, "console_1"), "internal_data_bus")
    assert local.process.wait(5) == 4


def test_a_mute_check_never_ends(lab: Lab) -> None:
    environment, check = start(lab, "check_internal_data_bus", {"mute": True})
    lab.start(environment, "internal_data_bus")
    wait_for(answers, "the bus works")
    time.sleep(0.5)
    assert check.process.poll() is None


def test_a_slow_program_connects_after_its_delay(lab: Lab) -> None:
    environment, program = start(lab, "config_manager", {"start_delay": 0.5})
    lab.start(environment, "internal_data_bus")
    wait_for(lambda: "connected to bus" in program.said(), "it connects")
    assert time.monotonic() - program.begun >= 0.5


def test_a_stubborn_program_works_and_ignores_sigterm(lab: Lab) -> None:
    environment, program = start(lab, "config_manager", {"ignore_term": True})
    lab.start(environment, "internal_data_bus")
    wait_for(lambda: "connected to bus" in program.said(), "it connects")
    program.kill(signal.SIGTERM)
    time.sleep(0.3)
    assert program.process.poll() is None


@pytest.mark.parametrize("program", ["internal_data_bus", "data_processing"])
def test_a_child_left_behind_is_found_by_its_environment(lab: Lab, program: str) -> None:
    _, running = start(lab, program, {"fork_child": True})
    marks = {"MUSTER_INSTANCE": "scen2_srv_02", "MUSTER_PROGRAM": program}
    wait_for(lambda: len(lab.processes(**marks)) == 2, "the program and its child")
    running.kill(signal.SIGKILL)
    running.process.wait()
    (child,) = lab.processes(**marks)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)
    assert lab.processes(**marks) == [child]
    assert os.getsid(child) == child


def test_a_crashing_program_kills_itself(lab: Lab) -> None:
    environment, program = start(lab, "config_manager", {"crash_after": 0.4})
    lab.start(environment, "internal_data_bus")
    assert program.process.wait(5) == -signal.SIGKILL
    assert "connected to bus" in program.said()


def test_an_unknown_fault_is_refused_with_a_sentence(lab: Lab) -> None:
    _, program = start(lab, "config_manager", {"crash": 1})
    assert program.process.wait(5) == 78
    assert "unknown fault crash ordered for config_manager" in program.said()
