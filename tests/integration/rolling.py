# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed configurations of a running site, and what they do to it, read from the process table."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import yaml

from tests.integration.local_site import ROOT, SERVICE_PROGRAMS, SiteLab

APART = 0.01  # s between two looks at the process table


def applications(word: str, **programs: Any) -> dict[str, Any]:
    """The site's applications, with a word in the environment of a program of each; more keys for `data_processing`."""
    document = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    found: dict[str, Any] = document["muster_applications"]
    found["scen2_srv"]["programs"]["data_processing"].update({"environment": {"WORD": word}, **programs})
    found["scen2_hci"]["programs"]["sensor_view"].update({"environment": {"WORD": word}})
    return found


def light_models() -> dict[str, Any]:
    """The site's models, of which twelve instances fit on two servers."""
    models = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())["muster_models"]
    return {name: {**model, "expected_loading": 1} for name, model in models.items()}


def word_of(pid: int) -> str:
    return Path("/proc/%d/environ" % pid).read_bytes().split(b"\0WORD=")[1].partition(b"\0")[0].decode()


def words(lab: SiteLab, program: str, names: list[str]) -> list[str]:
    return [word_of(lab.program(name, program)) for name in names]


class DownAtMost:
    """Counts, from the process table, how many services are not whole at once, and under which epochs each runs."""

    def __init__(self, lab: SiteLab, services: list[str]) -> None:
        self._services = services
        self.epochs: dict[str, set[int]] = {name: set() for name in services}
        self.most, self.samples, self._lab, self._over = 0, 0, lab, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.is_set():
            running: dict[str, set[str]] = {}
            for process in self._lab.processes():
                running.setdefault(process.instance, set()).add(process.program)
                if process.epoch and process.instance in self.epochs:
                    self.epochs[process.instance].add(process.epoch)
            down = [name for name in self._services if not running.get(name, set()) >= SERVICE_PROGRAMS]
            self.most, self.samples = max(self.most, len(down)), self.samples + 1
            self._over.wait(APART)

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
