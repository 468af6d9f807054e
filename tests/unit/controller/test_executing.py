# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command beside a program, in the ledger: who runs what, where it is refused, and that no argument is kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import calls, ledgers, publish
from monitor.core.controller.places import SITE_FILE
from monitor.core.model.site import site_to_json
from tests.small_site import small_site

RUNS = {"host": "server_1", "epoch": 3, "phase": "running"}
SECRET = "eve:secret"
ONE = "scen2_srv_01/data_processing"


@pytest.fixture
def state(tmp_path: Path) -> str:
    site = dataclasses.replace(small_site(items=2), state_dir=str(tmp_path))
    publish.write_document(str(tmp_path), SITE_FILE, {"site": site_to_json(site), "digests": {}, "config_digests": {}})
    with ledgers.open_ledger(str(tmp_path)) as ledger:
        ledger.create(site.name, "site-1")
        claims = {"scen2_srv_01": RUNS, "scen2_srv_02": {**RUNS, "host": "server_2", "phase": "starting"}}
        ledger.commit(ledger.read()[1], {"claims": claims}, [])
    return str(tmp_path)


def begin(state: str, program: str, *command: str, **more: Any) -> dict[str, Any]:
    asked = {"program": program, "command": list(command), "who": "eve", "from": "controller", **more}
    return calls.handle({"verb": "exec", "state_dir": state, **asked})


def trail(state: str) -> list[dict[str, Any]]:
    with ledgers.open_ledger(state) as ledger:
        return list(ledger.trail())


def test_the_trail_has_the_command_before_it_runs_and_its_end(state: str) -> None:
    begun = begin(state, ONE, "curl", "-u", SECRET, why="a look")
    assert begun["host"] == "server_1"
    asked = begun["request"]
    assert (asked["instance"], asked["program"], asked["epoch"]) == ("scen2_srv_01", "data_processing", 3)
    assert asked["command"] == ["curl", "-u", SECRET] and asked["host"]["root"]
    [entry] = trail(state)
    assert entry["what"] == "curl with 2 arguments beside data_processing of scen2_srv_01 on server_1"
    assert (entry["who"], entry["why"], entry["result"]) == ("eve", "a look", "begun")
    over = {"verb": "exec_over", "state_dir": state, "entry": begun["entry"]}
    assert calls.handle({**over, "came": {"code": 7, "why": "", "took": 0.21}}) == {"said": "exited with 7 after 0.2 s"}
    assert [entry["result"] for entry in trail(state)] == ["begun", "exited with 7"]
    lost = calls.handle({**over, "came": {"error": "the line to server_1 ended"}})
    assert lost == {"said": "not run: the line to server_1 ended"}
    assert SECRET not in json.dumps(trail(state))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("scen2_srv_01", "say beside which program: INSTANCE/PROGRAM"),
        ("scen2_srv_01/data_procesing", "did you mean data_processing?"),
        ("scen2_srv_01/*", "name one of them"),
        ("scen2_srv_01/check_internal_data_bus", "is a gate"),
        ("scen2_srv_02/data_processing", "scen2_srv_02 does not run"),
        ("scen2_hci_01/sensor_view", "scen2_hci_01 does not run"),
        ("nobody/x", "there is no instance or item nobody"),
    ],
)
def test_where_nothing_can_be_run_a_sentence_says_why(state: str, program: str, words: str) -> None:
    assert words in begin(state, program, "true")["error"]
    assert trail(state) == []


def test_nothing_is_run_on_a_host_that_is_down(state: str) -> None:
    with ledgers.open_ledger(state) as ledger:
        ledger.commit(ledger.read()[1], {"hosts": {"server_1": {"state": "down"}}}, [])
    assert "server_1 is down" in begin(state, ONE, "true")["error"]
