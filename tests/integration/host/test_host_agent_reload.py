# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that take changed files while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    host_fixture,
    program,
    wait_for,
)

HEARS = ["/bin/sh", "-c", "trap 'echo told >>\"$MUSTER_ROOT/var/told\"' HUP; trap 'exit 1' USR1; echo ready"
         ' >"$MUSTER_ROOT/var/ready"; while :; do sleep 0.02; done']


def started(host: Host, **bus: Any) -> dict[str, int]:
    """An instance of two programs that runs. :return: program -> pid."""
    host.define("app_01", [program("bus", 1, HEARS, **bus), program("other", 1)])
    assert host.do("start", "app_01", 3)["result"] == "running"
    wait_for(lambda: Path(host.root, "var/ready").exists(), "its traps are set")
    return host.pids("app_01")


def seen(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = host.observe()["instances"]["app_01"]
    return found


def test_a_signal_tells_the_program_and_nothing_restarts(host: Host) -> None:
    before = started(host, reload="HUP")
    result = host.do("reload", "app_01", 3, digest="new", only=["bus"])
    assert (result["result"], result["restarted"], result["started"]) == ("running", False, [])
    wait_for(lambda: Path(host.root, "var/told").exists(), "the program heard of it")
    assert host.pids("app_01") == before
    assert (seen(host)["digest"], seen(host)["epoch"]) == ("new", 3)


def test_what_ends_at_its_signal_did_not_take_its_files(host: Host) -> None:
    started(host, reload="USR1")
    result = host.do("reload", "app_01", 3, digest="new", only=["bus"], settle=10.0)
    assert (result["result"], result["reason"]) == ("failed", "bus ended when it was told to take its files")
    assert seen(host)["digest"] == "d"


def test_a_command_has_the_environment_of_its_program_and_tells_by_its_exit_code(host: Host) -> None:
    told = 'echo "$MUSTER_INSTANCE $MUSTER_EPOCH $MUSTER_PID" >"$MUSTER_ROOT/var/told"'
    before = started(host, reload=["/bin/sh", "-c", told])
    assert host.do("reload", "app_01", 3, digest="new", only=["bus"])["result"] == "running"
    assert Path(host.root, "var/told").read_text() == "app_01 3 %d\n" % before["bus"]
    assert host.pids("app_01") == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/bin/sh", "-c", "exit 3"], "bus refused: /bin/sh exited with 3"),
        (["/bin/sh", "-c", "kill -9 $$"], "bus refused: /bin/sh was ended by signal 9"),
        (["/bin/nowhere"], "bus could not be told: /bin/nowhere: No such file or directory"),
    ],
)
def test_a_command_that_does_not_end_well_is_a_refusal_and_all_of_it_runs_on(
    host: Host, command: list[str], said: str
) -> None:
    before = started(host, reload=command)
    result = host.do("reload", "app_01", 3, digest="new", only=["bus"])
    assert (result["result"], result["reason"]) == ("failed", said)
    assert (host.pids("app_01"), seen(host)["digest"]) == (before, "d")


def test_a_command_that_hangs_is_ended_with_its_children(host: Host) -> None:
    before = started(host, reload=["/bin/sh", "-c", "sleep 600 & echo $! >\"$MUSTER_ROOT/var/child\"; wait"])
    host.instances["app_01"]["programs"][0]["start_timeout"] = 0.5
    result = host.do("reload", "app_01", 3, digest="new", only=["bus"])
    assert result["reason"] == "bus was not told in time: /bin/sh did not end"
    child = int(Path(host.root, "var/child").read_text())
    wait_for(lambda: not Path("/proc/%d" % child).exists() or "Z" in
             Path("/proc/%d/stat" % child).read_text().split(")")[1][:3], "its child has ended")
    assert host.pids("app_01") == before


def test_nothing_is_told_under_another_epoch_or_where_nothing_runs(host: Host) -> None:
    started(host, reload="HUP")
    assert host.do("reload", "app_01", 4, digest="new", only=["bus"])["result"] == "refused"
    host.do("stop", "app_01", 4)
    result = host.do("reload", "app_01", 4, digest="new", only=["bus"])
    assert (result["result"], result["changed"]) == ("refused", False)
    assert not Path(host.root, "var/told").exists()


def test_files_that_programs_watch_themselves_need_no_word(host: Host) -> None:
    before = started(host)
    assert host.do("reload", "app_01", 3, digest="new", only=[])["result"] == "running"
    assert (host.pids("app_01"), seen(host)["digest"]) == (before, "new")


def test_check_mode_tells_nobody(host: Host) -> None:
    started(host, reload="HUP")
    result = host.do("reload", "app_01", 3, digest="new", only=["bus"], check=True)
    assert (result["result"], result["changed"], seen(host)["digest"]) == ("running", True, "d")
    assert not Path(host.root, "var/told").exists()
