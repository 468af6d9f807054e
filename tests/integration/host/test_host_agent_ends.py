# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program may end: with which exit codes, at once or later, and what is a crash all the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.logs import serve
from monitor.core.host.logs.sources import Wanted
from tests.integration.host.host_in_a_folder import (
    Host,
    gate,
    host_fixture,  # noqa: F401 - a fixture
    kill,
    program,
    wait_for,
)

# Ends with $1 once var/go is there.
LATER = 'echo run >>"$MUSTER_ROOT/var/runs"; until [ -e "$MUSTER_ROOT/var/go" ]; do sleep 0.02; done; exit %d'


def later(code: int) -> list[str]:
    return ["/bin/sh", "-c", LATER % code]


def seen(host: Host, instance: str = "app_01") -> dict[str, Any]:
    return host.observe()["instances"][instance]


def runs(host: Host) -> int:
    return len(Path(host.root, "var/runs").read_text().splitlines())


def let_go(host: Host, pid: int) -> None:
    Path(host.root, "var/go").touch()
    wait_for(lambda: not Path("/proc/%d/fd" % pid).exists(), "it has ended")


@pytest.mark.parametrize("code", [0, 3])
def test_an_expected_end_is_an_end(host: Host, code: int) -> None:
    host.define("app_01", [program("bus", 1), program("job", 2, later(code), exit_codes=[0, 3])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    let_go(host, host.pids("app_01")["job"])
    wait_for(lambda: seen(host).get("done") == {"job": code}, "its end is known")
    assert set(seen(host)["programs"]) == {"bus"}
    # neither a repair nor the same start again runs it twice; check mode says so, too
    assert host.do("repair", "app_01", 1, check=True)["changed"] is False
    assert host.do("repair", "app_01", 1)["started"] == []
    assert host.do("start", "app_01", 1)["started"] == []
    assert seen(host)["done"] == {"job": code} and runs(host) == 1
    # somebody who asks for it gets it; and it starts with its instance
    assert host.do("renew", "app_01", 1, only=["job"])["started"] == ["job"]
    wait_for(lambda: runs(host) == 2 and seen(host).get("done") == {"job": code}, "it has ended again")
    assert host.do("restart", "app_01", 2)["result"] == "running"
    wait_for(lambda: seen(host).get("done") == {"job": code}, "it has ended again")
    assert runs(host) == 3


def test_another_exit_code_is_a_crash(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("job", 2, later(4), exit_codes=[0, 3])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    let_go(host, host.pids("app_01")["job"])
    assert "done" not in seen(host)
    assert host.do("repair", "app_01", 1)["started"] == ["job"]
    wait_for(lambda: runs(host) == 2, "it has run again")


def test_a_signal_is_never_expected(host: Host) -> None:
    # systemd alone takes an end by SIGTERM for a success
    host.define("app_01", [program("bus", 1), program("job", 2, exit_codes=[0, 15])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    pid = host.pids("app_01")["job"]
    kill(pid, signal.SIGTERM)
    wait_for(lambda: "job" not in seen(host)["programs"], "it has ended")
    assert "done" not in seen(host)
    assert host.do("repair", "app_01", 1)["started"] == ["job"]


@pytest.mark.parametrize("code", [0, 7])
def test_an_end_at_once_is_expected_too(host: Host, code: int) -> None:
    # supervisord by itself takes any end within startsecs for a failure
    host.define("app_01", [program("bus", 1), program("job", 2, ["dummy/say", "done", str(code)], exit_codes=[0, 7]),
                           program("core", 3)])
    answer = host.do("start", "app_01", 1, settle=0.2)
    assert (answer["result"], answer["failed"], answer["started"]) == ("running", {}, ["bus", "job", "core"]), answer
    assert seen(host)["done"] == {"job": code}


def test_an_end_while_the_others_start_is_expected_too(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("job", 2, later(0), exit_codes=[0]),
                           gate("check", 3, ["/bin/sh", "-c", 'touch "$MUSTER_ROOT/var/go"; sleep 0.2']),
                           program("core", 4)])
    answer = host.do("start", "app_01", 1)
    assert (answer["result"], answer["failed"]) == ("running", {}), answer
    assert set(host.pids("app_01")) == {"bus", "core"} and seen(host)["done"] == {"job": 0}


def test_an_unexpected_end_at_once_fails_the_start(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("job", 2, ["dummy/say", "no disk", "5"], exit_codes=[0])])
    answer = host.do("start", "app_01", 1, settle=0.2)
    assert answer["result"] == "failed" and "exited with 5 (no disk)" in answer["reason"], answer


@pytest.mark.parametrize(("code", "passes"), [(3, True), (0, False)])
def test_a_gate_lets_the_next_rank_begin_with_its_own_codes(host: Host, code: int, passes: bool) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, ["dummy/say", "said", str(code)], exit_codes=[3]),
                           program("core", 3)], strategy="abort")
    answer = host.do("start", "app_01", 1)
    assert (answer["result"] == "running") is passes, answer
    assert ("core" in host.pids("app_01")) is passes


def test_all_of_it_may_end(host: Host) -> None:
    host.define("app_01", [program("job", 1, later(0), exit_codes=[0])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    let_go(host, host.pids("app_01")["job"])
    wait_for(lambda: seen(host).get("done") == {"job": 0}, "its end is known")
    found = seen(host)
    assert (found["claim"], found["epochs"], found["programs"]) == (1, [], {})
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert host.observe()["instances"] == {} and os.listdir(host.root + "/run/starts") == []


def test_the_table_of_programs_says_that_it_is_done(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("job", 2, ["dummy/say", "done", "0"], exit_codes=[0])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    wanted = {"host": host.facts, "figures": True,
              "sources": [{"instance": "app_01", "program": name, "application": "app_01", "item": "01"}
                          for name in ("bus", "job")]}
    wait_for(lambda: seen(host).get("done"), "it has ended")
    part = serve.Stream(Wanted(wanted)).step()
    assert part is not None
    table = sorted(part["left"], key=lambda entry: entry["s"])
    assert [(entry["state"], entry.get("how")) for entry in table] == [("running", None), ("done", "exited with 0")]


def test_systemd_does_not_call_it_failed(host: Host) -> None:
    """A unit that failed is what people look for with ``systemctl --failed``."""
    host.define("app_01", [program("bus", 1), program("job", 2, ["dummy/say", "done", "3"], exit_codes=[3])])
    assert host.do("start", "app_01", 1)["result"] == "running"
    wait_for(lambda: seen(host).get("done") == {"job": 3}, "it has ended")
    if host.facts["service_manager"] == "systemd":
        assert "failed" not in host.known_to_manager()
    else:
        assert "exit status 3; expected" in Path(host.root, "log/supervisord.log").read_text()
