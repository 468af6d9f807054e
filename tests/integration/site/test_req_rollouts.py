# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed configuration on a running site: a few items at a time, windows stay open, a failure stops it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for

ITEMS = ["01", "02", "03"]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]
WINDOWS = {"scen2_hci_01": "console_1", "scen2_hci_02": "console_2"}  # of the first items: these come last
FULL = {"internal_data_bus", "sensor_acquisition", "data_processing", "config_manager", "common_bus_interface"}


def applications(word: str, **programs: Any) -> dict[str, Any]:
    """The site's applications, with a word in the environment of a program of each; more keys for `data_processing`."""
    document = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    found: dict[str, Any] = document["muster_applications"]
    found["scen2_srv"]["programs"]["data_processing"].update({"environment": {"WORD": word}, **programs})
    found["scen2_hci"]["programs"]["sensor_view"].update({"environment": {"WORD": word}})
    return found


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    rules = {"max_parallel": 1, "hold_for": 0.5}
    with site_lab(77, ["console_1", "console_2"], muster_items=ITEMS, muster_applications=applications("one"),
                  muster_rollout=rules) as deployed:  # fmt: skip
        yield deployed


def word_of(pid: int) -> str:
    return Path("/proc/%d/environ" % pid).read_bytes().split(b"\0WORD=")[1].partition(b"\0")[0].decode()


def words(lab: SiteLab, program: str, names: list[str]) -> list[str]:
    return [word_of(lab.programs(name)[program]) for name in names]


class DownAtMost:
    """Counts, from the process table, how many services are not whole at once."""

    def __init__(self, lab: SiteLab) -> None:
        self.most, self.samples, self._lab, self._over = 0, 0, lab, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.is_set():
            running: dict[str, set[str]] = {}
            for process in self._lab.processes():
                running.setdefault(process.instance, set()).add(process.program)
            down = [name for name in SERVICES if not running.get(name, set()) >= FULL]
            self.most, self.samples = max(self.most, len(down)), self.samples + 1

    def __enter__(self) -> DownAtMost:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        self._thread.join()


def record(lab: SiteLab) -> dict[str, Any]:
    shown = lab.muster("rollout", "status", "--json")
    assert shown.rc == 0, shown.output
    found: dict[str, Any] = json.loads(shown.output) or {}
    return found


def test_a_change_of_all_items_takes_down_one_at_a_time_and_closes_no_window(lab: SiteLab) -> None:
    for name, console in WINDOWS.items():
        assert lab.muster("open", name[-2:], "--console", console).rc == 0
    windows = {name: lab.programs(name) for name in WINDOWS}
    lab.set(muster_applications=applications("two"))
    with DownAtMost(lab) as down:
        lab.good("deploy")
    assert down.samples > 20 and down.most == 1
    assert words(lab, "data_processing", SERVICES) == ["two"] * len(SERVICES)
    assert {name: lab.programs(name) for name in WINDOWS} == windows
    assert words(lab, "sensor_view", list(WINDOWS)) == ["one", "one"]
    shown = record(lab)
    assert (shown["state"], [batch[0] for batch in shown["batches"]]) == (
        "done", ["scen2_srv_03", "scen2_srv_01", "scen2_srv_02"])  # fmt: skip

    status = lab.muster("status").output
    assert "for scen2_hci_01 and scen2_hci_02: taken when it is closed" in status
    assert lab.good("deploy").changed == 0
    one = lab.muster("restart", "--pending", "01")  # the item: its service has nothing pending
    assert one.rc == 0, one.output
    assert words(lab, "sensor_view", list(WINDOWS)) == ["two", "one"]
    lab.muster("close", "02")
    lab.muster("open", "02", "--console", "console_2")
    assert words(lab, "sensor_view", list(WINDOWS)) == ["two", "two"]
    assert "pending" not in lab.muster("status").output


def test_a_canary_that_fails_is_back_with_what_it_had_and_nothing_else_is_touched(lab: SiteLab) -> None:
    before = {name: lab.programs(name) for name in SERVICES}
    broken = applications("three", command=["/bin/false"])
    lab.set(muster_applications=broken)
    failed = lab.play("deploy")
    assert failed.rc != 0 and "rollout" in failed.output and "stopped" in failed.output, failed.output
    wait_for(lambda: set(lab.programs("scen2_srv_03")) >= FULL, "the canary is back")
    assert words(lab, "data_processing", SERVICES) == ["two"] * len(SERVICES)
    others = [name for name in SERVICES if name != "scen2_srv_03"]
    assert {name: lab.programs(name) for name in others} == {name: before[name] for name in others}
    shown = record(lab)
    assert (shown["state"], list(shown["failed"]), shown["returned"]) == (
        "stopped", ["scen2_srv_03"], ["scen2_srv_03"])  # fmt: skip

    assert lab.good("reconcile").changed == 0  # what the site describes does not come by itself


@pytest.mark.long
def test_what_was_reached_goes_back_when_a_person_says_so(lab: SiteLab) -> None:
    before = words(lab, "data_processing", SERVICES)
    lab.set(muster_applications=applications("four"))
    lab.good("deploy")
    assert words(lab, "data_processing", SERVICES) == ["four"] * len(SERVICES)
    back = lab.muster("rollout", "revert", "--why", "another day")
    assert back.rc == 0, back.output
    wait_for(lambda: lab.good("reconcile") and record(lab)["state"] == "done", "all of it has gone back")
    assert words(lab, "data_processing", SERVICES) == before
