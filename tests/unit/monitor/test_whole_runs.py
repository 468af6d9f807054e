# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person gets to know of a request that had a run of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from monitor.runs import whole_runs
from monitor.runs.runs import Outcome

RECAP = "".join("server_%d : ok=2 changed=0 unreachable=0 failed=0\n" % number for number in range(1, 20))
OUTPUT = """
TASK [Plan, and commit the plan] ***
[ERROR]: Task failed: this site has no such plan: make it again
Origin: turn.yml:10:3

fatal: [server_1 -> controller]: FAILED! => {"changed": false, "msg": "this site has no such plan: make it again"}

PLAY RECAP ***
"""


def answer(why: str, report: dict[str, Any], output: str = "") -> dict[str, Any]:
    job: Any = SimpleNamespace(playbook="apply", ident="apply-1")
    return whole_runs.answer(job, Outcome(2 if why else 0, why), report, output)


def test_a_run_that_fails_says_its_error_and_not_ansibles_recap() -> None:
    found = answer("it ended with 2", {}, OUTPUT + RECAP)
    assert found["said"] == ["apply did not succeed: this site has no such plan: make it again"]
    assert not found["ok"] and not found["refused"]


def test_a_run_that_left_no_error_says_how_it_ended() -> None:
    found = answer("it ended with 137", {}, "PLAY [x]\n\nPLAY RECAP ***\n" + RECAP)
    assert found["said"] == ["apply did not succeed: it ended with 137: PLAY [x]"]


def test_a_run_without_hosts_did_nothing_although_ansible_calls_it_a_success() -> None:
    """A YAML file that cannot be read is left out of an inventory with a warning."""
    nothing = "PLAY [Observe, plan, act] ***\nskipping: no hosts matched\n\nPLAY RECAP ***\n"
    found = answer("", {}, nothing)
    assert not found["ok"] and "has no host, or cannot be read" in found["said"][0]
    assert answer("", {"plan": {"actions": []}, "sentences": ["nothing to do"]}, nothing)["ok"]


def test_what_was_tried_and_failed_is_not_done() -> None:
    restart = {"action": "restart", "instance": "scen2_srv_01", "reason": "asked"}
    failed = {"scen2_srv_01": {"result": "failed", "reason": "it exited 3"}}
    report: dict[str, Any] = {"plan": {"actions": [restart]}, "outcome": ["scen2_srv_01 failed"], "results": failed}
    assert not answer("", report)["ok"]
    report["plan"]["actions"] = [{**restart, "action": "grant"}]  # what a host may do by itself was not asked for
    assert answer("", report)["ok"]
