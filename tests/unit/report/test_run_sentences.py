# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run prints: a refusal and a failure are in the error with which the run ends, and nowhere else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SAID = "rollout 41 is done, so there is nothing to pause"  # it names no instance
HOLD = {"action": "hold", "instance": "scen2_srv_01", "host": "server_1", "reason": "it runs"}
REFUSE = {"action": "refuse", "instance": None, "host": None, "reason": SAID}
LOST = {"result": "failed", "reason": "it exited 3"}


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`plugin_utils._sentences`, found as Ansible finds it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "collections"))
    yield importlib.import_module("ansible_collections.control_room.muster.plugins.plugin_utils._sentences")
    for name in set(sys.modules) - before:
        if name.startswith("ansible_collections"):
            del sys.modules[name]


def test_a_refusal_is_left_to_the_error(sentences: Any) -> None:
    silent = {"server_2": {"answer": "unreachable", "why": "no answer"}}
    assert sentences.of_run({"actions": [REFUSE]}, {}) == []
    assert SAID in sentences.of_plan({"actions": [REFUSE]}, {})  # of the run's report
    shown = sentences.of_run({"actions": [REFUSE]}, silent)
    assert len(shown) == 1 and shown[0].startswith("server_2")


def test_without_a_refusal_all_of_the_plan_is_shown(sentences: Any) -> None:
    assert sentences.of_run({"actions": [HOLD]}, {}) == sentences.of_plan({"actions": [HOLD]}, {})
    assert sentences.of_run({"actions": []}, {}) == ["nothing to do: everything is as wanted"]


def test_an_act_that_concerns_no_host_says_what_it_did(sentences: Any) -> None:
    trail = [{"what": "server_2 may be used again"}]
    plan = {"actions": [], "trail": trail, "request": {"kind": "undrain"}}
    assert sentences.of_run(plan, {}) == ["server_2 may be used again"]
    plan["request"] = {"kind": "deploy"}  # notes of a look at everything are no act
    assert sentences.of_run(plan, {}) == ["nothing to do: everything is as wanted"]


def test_a_failure_with_which_the_run_ends_is_left_to_the_error(sentences: Any) -> None:
    results = {"scen2_srv_01": LOST, "scen2_srv_02": LOST}
    assert sentences.of_outcome(results, {}, but=["scen2_srv_01"]) == ["scen2_srv_02 failed: it exited 3"]
    assert len(sentences.of_outcome(results, {})) == 2


@pytest.mark.parametrize(
    ("check_mode", "save", "approve", "lacks"),
    [
        (True, "plan.json", True, ""),
        (False, "", False, ""),
        (False, "plan.json", False, "muster_save goes with check mode"),
        (False, "", True, "muster_approve goes with muster_save"),
        (True, "", True, "muster_approve goes with muster_save"),
    ],
)
def test_what_saves_a_plan_never_acts_for_want_of_what_it_goes_with(
    sentences: Any, check_mode: bool, save: str, approve: bool, lacks: str
) -> None:
    if not lacks:
        sentences.check_saving(check_mode, save, approve)
        return
    with pytest.raises(sentences.AnsibleActionFail, match=lacks):
        sentences.check_saving(check_mode, save, approve)
