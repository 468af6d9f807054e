# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says of how programs end and when they are ready: defaults, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.model import site as site_model
from monitor.core.model.parts import Program
from tests.unit.compile.refused_sites import GATE, PROGRAM, SRV, Case, each, refused
from tests.unit.embedded_site import changed, raw_site

PLACE = "muster_applications.scen2_srv.programs.data_processing."
BUS = SRV + "/programs/internal_data_bus"
SYSTEMD = {"inventory/hosts/%s/muster_service_manager" % host: "systemd"
           for host in ("server_1", "server_2", "server_3", "console_1", "console_2", "console_3")}  # fmt: skip

CASES: list[Case] = [
    ("a bus that may end", {BUS + "/exit_codes": 0}, "muster_applications.scen2_srv.bus.program: the bus"
     " internal_data_bus may end (exit_codes)", ["must run while the application runs"]),
    ("a bus once", {BUS + "/kind": "once"}, "muster_applications.scen2_srv.bus.program: the bus internal_data_bus may"
     " end (kind)", []),
    ("a gate once", {GATE + "/kind": "once"}, "muster_applications.scen2_srv.programs.check_common_data_bus.kind: gate"
     " check_common_data_bus ends by itself", ["leave kind out"]),
    ("another kind", {PROGRAM + "/kind": "oneshot"}, PLACE + 'kind: "oneshot" is not known here', ["lasting, once"]),
    ("no exit code", {PROGRAM + "/exit_codes": [0, 256]}, PLACE + "exit_codes: is 256, must be from 0 to 255", []),
    ("an empty list", {PROGRAM + "/exit_codes": []}, PLACE + "exit_codes: is a list, must be a number or a list", []),
    ("muster-exec's own", {PROGRAM + "/exit_codes": [78]}, PLACE + "exit_codes: 78 cannot be expected",
     ["muster-exec refuses a start with it"]),
    ("a shell's own", {PROGRAM + "/exit_codes": [127]}, PLACE + "exit_codes: 127 cannot be expected", []),
    ("supervisor's word", {PROGRAM + "/exitcodes": [0]}, PLACE + "exitcodes: unknown key",
     ["the word here is exit_codes"]),
    ("a gate that is ready", {GATE + "/ready": "notify"}, "muster_applications.scen2_srv.programs."
     "check_common_data_bus.ready: check_common_data_bus is ready when it has ended", []),
    ("one that ends is ready", {PROGRAM + "/kind": "once", PROGRAM + "/ready": "notify"},
     PLACE + "ready: data_processing is ready when it has ended", ["wait_exit: true"]),
    ("another word", {PROGRAM + "/ready": "tcp"}, PLACE + 'ready: "tcp" is not known here', ["notify"]),
    ("no port", {PROGRAM + "/ready": {"type": "tcp"}}, PLACE + "ready: tcp needs a port", []),
    ("another port", {PROGRAM + "/ready": {"type": "tcp", "port": "clint"}}, PLACE + 'ready.port: there is no port'
     ' "clint"', ["did you mean client?"]),
    ("a port that is not asked", {PROGRAM + "/ready": {"type": "notify", "port": "client"}},
     PLACE + "ready.port: port says nothing about type notify", []),
    ("a path of no page", {PROGRAM + "/ready": {"type": "tcp", "port": "client", "path": "/up"}},
     PLACE + "ready.path: path says nothing about type tcp", []),
    *[("log.%s in a journal" % key, {**SYSTEMD, PROGRAM + "/log": {key: value}},
       PLACE + "log.%s: server_1 keeps its logs in the journal, " % key, [hint])
      for key, value, hint in (("size", 1, "SystemMaxUse"), ("keep", 3, "MaxRetentionSec"),
                               ("stderr", "apart", "one order"), ("syslog", True, "ForwardToSyslog"))],
    ("too few that last", {PROGRAM + "/kind": "once", SRV + "/needs": [{"any": 1, "of": "data_.*"}]},
     "muster_applications.scen2_srv.needs[0]: 1 of", ["it fits no program"]),
]  # fmt: skip


@each(CASES)
def test_is_refused_with_one_sentence(case: Case) -> None:
    refused(case)


@pytest.mark.parametrize(
    ("says", "codes"),
    [({}, ()), ({"kind": "once"}, (0,)), ({"kind": "once", "exit_codes": 3}, (3,)), ({"exit_codes": [3, 0, 3]}, (0, 3)),
     ({"wait_exit": True}, (0,)), ({"wait_exit": True, "exit_codes": [0, 2]}, (0, 2))],
)  # fmt: skip
def test_how_a_program_may_end(says: dict[str, Any], codes: tuple[int, ...]) -> None:
    assert program({PROGRAM + "/" + key: value for key, value in says.items()}).ends == codes


def test_a_journal_is_what_these_words_say() -> None:
    assert program({**SYSTEMD, PROGRAM + "/log": {"stderr": "together", "syslog": False}}).log["stderr"] == "together"


def test_ready_in_short() -> None:
    assert program({PROGRAM + "/ready": "notify"}).ready == {"type": "notify"}


def test_what_was_written_is_read_again() -> None:
    site = compiler.compile_site(changed(raw_site(), {
        PROGRAM + "/exit_codes": [0, 3], PROGRAM + "/ready": {"type": "tcp", "port": "client"}}))  # fmt: skip
    assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site


def program(change: dict[str, Any]) -> Program:
    return compiler.compile_site(changed(raw_site(), change)).application("scen2_srv").program("data_processing")
