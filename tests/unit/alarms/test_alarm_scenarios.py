# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden scenarios of alarms: what ledger, hosts and monitor show over time goes in, what a person hears comes out.

The files are in tests/scenarios/alarms; `pytest --update-scenarios` writes `then`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import scenario_form
from tests.unit.alarms.alarms_over_time import AlarmsOverTime

FILES = scenario_form.files("alarms")


@pytest.mark.parametrize("path", FILES, ids=scenario_form.name_of)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    shown = AlarmsOverTime(scenario_form.load(path)["given"]).play()
    scenario_form.compare(path, shown, request.config.getoption("--update-scenarios"))


def test_there_are_scenarios_of_alarms() -> None:
    assert len(FILES) >= 8


def test_what_counts_in_a_moment_is_looked_at_although_nothing_changes() -> None:
    [path] = [path for path in FILES if path.stem == "windows_closed"]
    played = AlarmsOverTime(scenario_form.load(path)["given"])
    waits = []
    for step, now in ((0, 1.0), (1, 2.0), (None, 4.0), (None, 5.0)):
        if step is not None:
            played.take(played.steps[step], now)
        played.look(now)
        waits.append((played.known["waits"], len(played.shown)))
    assert [waits[0], waits[1], waits[-1]] == [(False, 0), (True, 0), (False, 1)]


def test_a_crash_after_the_clock_was_set_back_is_an_alarm() -> None:
    earlier = [[at, "server_2", "it ended"] for at in (-30, -20, -10)]
    crash = [-3590, "server_2", "the internal bus of scen2_srv_02 on server_2 crashed: its connection ended"]
    claim = {"epoch": 3, "since": -3590}
    played = AlarmsOverTime({"base": "three_running", "steps": [
        {"at": 1, "ledger": {"claims": {"scen2_srv_02": {"failures": [*earlier, [0, *crash[1:]]]}}}},
        {"at": -3590, "ledger": {"claims": {"scen2_srv_02": {**claim, "failures": [*earlier, [0, *crash[1:]], crash]}}},
         "seen": {"server_2": {"instances": {"scen2_srv_02": 3}}}},
    ]})  # fmt: skip
    played.take(played.steps[1], 1.0)
    played.look(1.0)
    played.look(5.0)
    played.look(-3600.0)
    told = len(played.shown)
    played.take(played.steps[0], -3590.0)
    played.look(-3590.0)
    played.look(-3587.0)
    [line] = played.shown[told:]
    assert line.split("  ")[1] == "item:02 came and went -> came and went (after 13 s)"


def test_a_crash_that_an_earlier_version_knew_is_no_alarm() -> None:
    crashes = [[at, "server_2", "the internal bus of scen2_srv_02 on server_2 crashed: it ended"] for at in (1, 2)]
    claim = {"scen2_srv_02": {"failures": crashes}}
    played = AlarmsOverTime({"base": "three_running", "steps": [{"at": 5, "ledger": {"claims": claim}}]})
    played.take(played.steps[0], 5.0)
    played.look(5.0)
    played.known["memory"]["charged"] = {"02": max(played.known["memory"]["charged"]["02"])}
    played.look(6.0)
    assert played.shown == []


def test_while_one_host_of_a_machine_is_gone_the_sentence_names_the_one_that_is_back() -> None:
    [path] = [path for path in FILES if path.stem == "machine_hosts_return_apart"]
    played = AlarmsOverTime(scenario_form.load(path)["given"])
    says = []
    for step in (0, 1, 2):
        played.take(played.steps[step], float(played.steps[step]["at"]))
        played.look(float(played.steps[step]["at"]))
        says.append(played.known["alarms"].get("host:server_1", {}).get("says", "").partition(":")[0])
    assert says == ["", "machine hall_b (server_1 and server_2) is down", "server_2 is down, server_1 is back"]


def test_a_window_that_is_missed_a_moment_before_its_console_has_no_alarm_of_its_own() -> None:
    """Their doubts begin hundredths of a second apart; which alarm comes first must not depend on that."""
    played = AlarmsOverTime({"base": "one_open", "steps": [
        {"at": 1, "ledger": {"claims": {"scen2_hci_01": {"failed": {"chart_view": "was killed by a signal"}}}}},
        {"at": 2, "monitor": {"hosts": {"console_1": {"state": "suspect", "why": "its service manager is gone"}}}},
    ]})  # fmt: skip
    played.look(0.0)
    for step, now in ((0, 1.0), (1, 1.01), (None, 2.0), (None, 4.0), (None, 4.005), (None, 4.02), (None, 9.0)):
        if step is not None:
            played.take(played.steps[step], now)
        played.look(now)
    assert [line.split("  ")[1] for line in played.shown] == ["host:console_1 new -> unacknowledged"], played.shown
