# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single programs of an instance that runs: the others keep their processes, whatever the service manager."""

from __future__ import annotations

from pathlib import Path

from tests.integration.host.host_in_a_folder import Host, host_fixture, program, wait_for  # noqa: F401 - a fixture


def three(host: Host) -> dict[str, int]:
    host.define("app_01", [program("bus", 1), program("core", 2), program("edge", 3, ["dummy/family"]),
                           program("extra", 0)])
    assert host.do("start", "app_01", 5)["result"] == "running"
    wait_for(lambda: len(host.processes("app_01")) >= 6, "the family is complete")
    return host.pids("app_01")


def test_one_is_stopped_with_its_children_and_stays_away(host: Host) -> None:
    before = three(host)
    answer = host.do("end", "app_01", 5, only=["edge"])
    assert (answer["result"], answer["changed"]) == ("running", True), answer
    assert host.pids("app_01") == {name: before[name] for name in ("bus", "core")}
    assert {process.program for process in host.processes("app_01")} == {"bus", "core"}
    again = host.do("end", "app_01", 5, only=["edge"])
    assert (again["result"], again["changed"]) == ("running", False)


def test_one_is_restarted_under_the_epoch_that_runs(host: Host) -> None:
    before = three(host)
    answer = host.do("renew", "app_01", 5, only=["core"])
    assert (answer["result"], answer["started"]) == ("running", ["core"]), answer
    after = host.pids("app_01")
    assert after["core"] != before["core"]
    assert {name: after[name] for name in ("bus", "edge")} == {name: before[name] for name in ("bus", "edge")}
    assert {process.epoch for process in host.processes("app_01")} == {5}


def test_one_on_demand_starts_with_its_verb_only(host: Host) -> None:
    before = three(host)
    assert "extra" not in before
    assert host.do("repair", "app_01", 5)["started"] == []
    assert host.do("renew", "app_01", 5, only=["extra"])["started"] == ["extra"]
    assert set(host.pids("app_01")) == {"bus", "core", "edge", "extra"}
    assert host.do("stop", "app_01", 5)["result"] == "stopped"
    assert host.processes("app_01") == []


def test_nothing_is_done_to_another_incarnation(host: Host) -> None:
    before = three(host)
    answer = host.do("end", "app_01", 6, only=["core"])
    assert answer["result"] == "refused" and "does not run" in answer["reason"]
    assert host.pids("app_01") == before


HEARS = 'trap "echo $1 >>$MUSTER_ROOT/var/told" HUP; touch $MUSTER_ROOT/var/ready; while :; do sleep 0.02; done'


def test_a_signal_reaches_the_program_and_nothing_else(host: Host) -> None:
    hears = ["/bin/sh", "-c", HEARS, "sh", "heard"]
    host.define("app_01", [program("bus", 1), program("core", 2, hears), program("edge", 3, ["dummy/family"])])
    assert host.do("start", "app_01", 5)["result"] == "running"
    before = host.pids("app_01")
    wait_for(Path(host.root, "var/ready").exists, "it has its handler")
    answer = host.do("signal", "app_01", 5, only=["core"], tell="HUP")
    assert (answer["result"], answer["changed"], answer["started"]) == ("running", True, []), answer
    wait_for(Path(host.root, "var/told").exists, "it was told")
    assert host.pids("app_01") == before
    # check mode sends nothing
    assert host.do("signal", "app_01", 5, only=["core"], tell="HUP", check=True)["changed"] is True
    # of a program that does not handle it, a signal is the end, and that is a crash
    assert host.do("signal", "app_01", 5, only=["bus"], tell="USR1")["result"] == "running"
    wait_for(lambda: "bus" not in host.pids("app_01"), "it has ended")
    assert Path(host.root, "var/told").read_text() == "heard\n"
    gone = host.do("signal", "app_01", 5, only=["bus"], tell="HUP")
    assert (gone["result"], gone["reason"]) == ("failed", "bus does not run")


def test_no_signal_reaches_another_incarnation(host: Host) -> None:
    three(host)
    answer = host.do("signal", "app_01", 6, only=["core"], tell="HUP")
    assert answer["result"] == "refused" and "does not run" in answer["reason"], answer
