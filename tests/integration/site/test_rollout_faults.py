# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts over twelve items with two open windows, while playbook, monitor, a server or everything is killed.

What runs with which configuration, and how much is down, is read from the process table.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for
from tests.integration.rolling import DownAtMost, applications, light_models, record, words

pytestmark = pytest.mark.long
ITEMS = ["%02d" % number for number in range(1, 13)]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]
WINDOWS = {"scen2_hci_01": "console_1", "scen2_hci_02": "console_2"}
PARALLEL = 2
WITHIN = 400.0  # s for a rollout of seven batches on a busy machine
RUN_TIMEOUT = 1000.0  # s: what was killed is noticed otherwise


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    rules = {"max_parallel": PARALLEL, "hold_for": 0.5}
    with site_lab(83, ["console_1", "console_2"], muster_items=ITEMS, muster_applications=applications("zero"),
                  muster_models=light_models(), muster_rollout=rules,
                  muster_settings={"stable_after": 1, "run_timeout": RUN_TIMEOUT}) as deployed:  # fmt: skip
        deployed.start_monitor()
        for name, console in WINDOWS.items():
            assert deployed.muster("open", name[-2:], "--console", console).rc == 0
        yield deployed


def under_way(lab: SiteLab) -> str:
    """The id of the rollout that is; the status may be a moment old."""
    found = record(lab)
    return str(found["id"]) if found.get("state") == "running" else ""


def new_ones(lab: SiteLab, word: str) -> int:
    running = [name for name in SERVICES if "data_processing" in lab.programs(name)]
    try:
        return words(lab, "data_processing", running).count(word)
    except (OSError, KeyError, IndexError):  # one of them ended meanwhile
        return 0


def whole(lab: SiteLab, word: str) -> bool:
    return all(lab.whole(name) for name in SERVICES) and new_ones(lab, word) == len(SERVICES)


def begun(lab: SiteLab, word: str, count: int = 3) -> Any:
    """A deploy of this word in the background, in whose middle we are."""
    lab.set(muster_applications=applications(word))
    process = lab.begin("deploy")
    wait_for(lambda: new_ones(lab, word) >= count, "the middle of the rollout", lab.monitor_log, WITHIN)
    return process


def good(process: Any) -> None:
    """A deploy that ends well; one of many batches takes longer than a playbook of other tests may."""
    output, _unused = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, output


def killed(process: Any) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ends(lab: SiteLab, word: str, say: Callable[[], Any] | None = None) -> None:
    wait_for(lambda: whole(lab, word), "all of it with the new configuration", say or lab.monitor_log, WITHIN)
    wait_for(lambda: record(lab).get("state") == "done", "the end of the rollout", lab.monitor_log, WITHIN)


def test_a_killed_playbook_is_no_end_the_monitor_goes_on(lab: SiteLab) -> None:
    windows = {name: lab.programs(name) for name in WINDOWS}
    with DownAtMost(lab, SERVICES) as down:
        killed(begun(lab, "one"))
        ends(lab, "one")
    assert 0 < down.most <= PARALLEL, down.most
    assert {name: lab.programs(name) for name in WINDOWS} == windows


def test_a_killed_monitor_is_no_end_the_playbook_goes_on(lab: SiteLab) -> None:
    windows = {name: lab.programs(name) for name in WINDOWS}
    with DownAtMost(lab, SERVICES) as down:
        process = begun(lab, "two")
        lab.stop_monitor()
        good(process)
        assert whole(lab, "two")
    lab.start_monitor()
    assert 0 < down.most <= PARALLEL, down.most
    assert {name: lab.programs(name) for name in WINDOWS} == windows


def test_a_second_deploy_in_the_middle_replaces_what_was_not_reached(lab: SiteLab) -> None:
    with DownAtMost(lab, SERVICES) as down:
        first = begun(lab, "three")
        before = wait_for(lambda: under_way(lab), "the record of the rollout", lambda: record(lab))
        killed(first)
        good(lab.begin("deploy"))  # the same again goes on with the same one
        assert record(lab)["id"] == before
        second = begun(lab, "four")
        lab.set(muster_applications=applications("five"))
        good(lab.begin("deploy"))
        second.communicate(timeout=WITHIN)
        ends(lab, "five")
    assert 0 < down.most <= PARALLEL, down.most
    events = lab.muster("events", "-n", "400").output
    assert "is replaced by rollout" in events and "it had not reached" in events


def test_a_deploy_that_adds_a_program_and_moves_ports_changes_only_what_is_at_its_turn(lab: SiteLab) -> None:
    """What is not is neither missed a program by the monitor nor asked at a port that it never opened."""
    windows = {name: lab.programs(name) for name in WINDOWS}
    more = applications("more")
    for application in more.values():
        application["ports"]["base"] += 1000
        application["programs"]["extra"] = {"command": ["/bin/sleep", "inf"], "start_sequence": 3, "required": True,
                                            "running_failure_strategy": "restart_application"}  # fmt: skip
    with DownAtMost(lab, SERVICES) as down:
        lab.set(muster_applications=more)
        good(lab.begin("deploy"))
        assert all("extra" in lab.programs(name) for name in SERVICES)
        assert lab.good("reconcile").changed == 0
    assert 0 < down.most <= PARALLEL, down.most
    assert {name: len(epochs) for name, epochs in down.epochs.items()} == dict.fromkeys(SERVICES, 2), down.epochs
    assert {name: lab.programs(name) for name in WINDOWS} == windows
    with DownAtMost(lab, SERVICES) as down:
        lab.set(muster_applications=applications("less"))
        good(lab.begin("deploy"))
        assert whole(lab, "less")
    assert 0 < down.most <= PARALLEL, down.most
    assert {name: lab.programs(name) for name in WINDOWS} == windows


def test_a_power_cut_in_the_middle_moves_each_with_the_configuration_of_its_turn(lab: SiteLab) -> None:
    process = begun(lab, "six")
    lab.machine("power_cut", SERVERS[0])
    gone = [name for name in SERVICES if not lab.hosts_of(name)]
    wait_for(lambda: all(lab.hosts_of(name) for name in gone), "all of them elsewhere", lab.monitor_log, WITHIN)
    lab.machine("power_on", SERVERS[0])
    process.communicate(timeout=WITHIN)
    ends(lab, "six")


def test_everything_reboots_in_the_middle_and_comes_up_with_what_its_turn_gave(lab: SiteLab) -> None:
    (before,) = set(words(lab, "data_processing", SERVICES))
    killed(begun(lab, "seven", count=5))
    lab.stop_monitor()
    hosts = [*SERVERS, *WINDOWS.values()]
    lab.machine("power_cut", *hosts)
    lab.machine("power_on", *hosts)
    paused = lab.muster("rollout", "pause")
    assert paused.rc == 0, paused.output
    reached = set(record(lab)["reached"])  # a run of the monitor may have gone on until it ended, too
    # Its claims are those of the killed playbook: the reconcile sees that it is gone.
    wait_for(lambda: lab.good("reconcile") and all(lab.whole(name) for name in SERVICES), "everything up again",
             lambda: lab.muster("status").output, WITHIN)  # fmt: skip
    found = dict(zip(SERVICES, words(lab, "data_processing", SERVICES)))
    assert found == {name: "seven" if name in reached else before for name in SERVICES}
    assert not any(lab.programs(name) for name in WINDOWS)
    lab.start_monitor()
    assert lab.muster("rollout", "resume").rc == 0
    ends(lab, "seven")
