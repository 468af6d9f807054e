# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments and variables that a person gives to a program: from one start until its next stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.host.host_in_a_folder import Host, host_fixture, kill, program, wait_for  # noqa: F401 - a fixture

# Says its arguments and one variable, each between marks and in one step.
SAYS = 'printf "<%s>" "$@" "${COLOUR-none}" >"$0.new"; mv "$0.new" "$0"; while :; do sleep 0.02; done'
ODD = ["two words", "$(touch pwned)", "`x`", "'\"\\", "%i %%", "-n", ">x", "ä€", "", "a=b"]


def says(host: Host, name: str) -> str:
    """What a program said since the last call."""
    path = Path(host.root, "var", name)
    wait_for(path.exists, "%s says what it was given" % name)
    text = path.read_text(encoding="utf-8")
    path.unlink()
    return text


def two(host: Host) -> None:
    programs = [program(name, rank, ["/bin/sh", "-c", SAYS, "%s/var/%s" % (host.root, name), "own"])
                for rank, name in enumerate(("core", "edge"), 1)]  # fmt: skip
    host.define("app_01", [program("bus", 1), *programs])
    assert host.do("start", "app_01", 5)["result"] == "running"
    assert [says(host, name) for name in ("core", "edge")] == ["<own><none>"] * 2


def given(**values: Any) -> dict[str, Any]:
    return {"core": {"args": [], "env": {}, **values}}


def test_every_text_arrives_as_it_is(host: Host) -> None:
    two(host)
    before = host.pids("app_01")
    answer = host.do("renew", "app_01", 5, only=["core"], given=given(args=ODD, env={"COLOUR": "$HOME;'red'"}))
    assert (answer["result"], answer["started"]) == ("running", ["core"]), answer
    assert says(host, "core") == "<own>" + "".join("<%s>" % text for text in ODD) + "<$HOME;'red'>"
    assert host.pids("app_01")["edge"] == before["edge"]
    path = Path(host.root, "run/given/app_01/core")
    assert path.stat().st_mode & 0o007 == 0, "it may be a secret"


def test_it_lasts_over_a_crash_and_not_over_a_stop(host: Host) -> None:
    two(host)
    assert host.do("renew", "app_01", 5, only=["core"], given=given(args=["more"]))["result"] == "running"
    assert says(host, "core") == "<own><more><none>"
    kill(host.pids("app_01")["core"], signal.SIGKILL)
    wait_for(lambda: "core" not in host.pids("app_01"), "it has ended")
    assert host.do("repair", "app_01", 5)["started"] == ["core"]
    assert says(host, "core") == "<own><more><none>", "nobody stopped it"
    assert host.do("renew", "app_01", 5, only=["core"])["started"] == ["core"]
    assert says(host, "core") == "<own><none>"
    assert not os.path.exists(host.root + "/run/given/app_01")


def test_a_stop_of_the_program_or_of_all_ends_it(host: Host) -> None:
    two(host)
    for again, epoch in (("end", 5), ("restart", 5), ("stop", 6)):
        renewed = host.do("renew", "app_01", epoch, only=["core"], given=given(env={"COLOUR": "red"}))
        assert renewed["result"] == "running"
        assert says(host, "core") == "<own><red>"
        if again == "end":
            assert host.do("end", "app_01", epoch, only=["core"])["changed"]
            assert host.do("add", "app_01", epoch, only=["core"])["started"] == ["core"]
        elif again == "restart":
            assert host.do("restart", "app_01", epoch + 1)["result"] == "running"
            says(host, "edge")
        else:
            assert host.do("stop", "app_01", epoch)["result"] == "stopped"
            assert not os.path.exists(host.root + "/run/given/app_01")
            return
        assert says(host, "core") == "<own><none>", again


def test_under_another_epoch_it_counts_no_more(host: Host) -> None:
    two(host)
    assert host.do("renew", "app_01", 5, only=["core"], given=given(args=["more"]))["result"] == "running"
    says(host, "core")
    left = Path(host.root, "run/given/app_01/core").read_bytes()
    assert host.do("stop", "app_01", 5)["result"] == "stopped"
    Path(host.root, "run/given/app_01").mkdir()
    Path(host.root, "run/given/app_01/core").write_bytes(left)  # as an agent leaves it that was killed
    Path(host.root, "run/given/app_01/core").chmod(0o644)
    assert host.do("start", "app_01", 6)["result"] == "running"
    assert says(host, "core") == "<own><none>"


def test_a_program_that_runs_is_left_alone(host: Host) -> None:
    two(host)
    before = host.pids("app_01")
    answer = host.do("add", "app_01", 5, only=["core", "edge"])
    assert (answer["result"], answer["changed"], answer["started"]) == ("running", False, []), answer
    refused = host.do("add", "app_01", 5, only=["core"], given=given(args=["more"]))
    assert refused["result"] == "refused" and "core of app_01 already runs" in refused["reason"], refused
    assert host.pids("app_01") == before
    kill(before["edge"], signal.SIGKILL)
    wait_for(lambda: "edge" not in host.pids("app_01"), "it has ended")
    assert host.do("add", "app_01", 5, only=["core", "edge"], check=True)["changed"] is True
    answer = host.do("add", "app_01", 5, only=["core", "edge"])
    assert (answer["changed"], answer["started"]) == (True, ["edge"])
    assert host.pids("app_01")["core"] == before["core"]


WRONG: list[dict[str, Any]] = [
    {"args": ["a\nEVIL=1"]}, {"env": {"A\nB": "c"}}, {"env": {"MUSTER_ROOT": "/"}}, {"env": {"X": "a\nMUSTER_ITEM=7"}},
]  # fmt: skip


@pytest.mark.parametrize("values", WRONG)
def test_what_no_line_can_hold_is_refused_by_the_host_too(host: Host, values: dict[str, Any]) -> None:
    two(host)
    answer = host.do("renew", "app_01", 5, only=["core"], given=given(**values))
    assert answer["result"] in ("failed", "refused"), answer
    assert "EVIL" not in answer["reason"] and not os.path.exists(host.root + "/run/given/app_01/core")
    assert set(host.pids("app_01")) == {"bus", "core", "edge"}, "nothing was stopped for it"
