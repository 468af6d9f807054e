# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows that stand still, as consoles report them. Pure; nothing is done about them but a sentence in the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .watch_list import Watch

SILENT = "silent"


class Windows:
    def __init__(self) -> None:
        self._silent: dict[tuple[str, int, str], tuple[str, float]] = {}  # (instance, epoch, program) -> host, since

    def reported(self, event: Mapping[str, Any], watch: Watch) -> bool:
        """Take in an event of a host. No host has a say about what another one holds.

        :return: whether it changes anything.
        """
        entry = watch.instances.get(str(event["instance"]))
        if entry is None or (entry.host, entry.epoch) != (event["host"], event["epoch"]):
            return False
        key = (entry.name, entry.epoch, str(event["program"]))
        if event["state"] != SILENT:
            return self._silent.pop(key, None) is not None
        before = self._silent.get(key)
        self._silent[key] = (entry.host, float(event["since"]))
        return self._silent[key] != before

    def unseen(self, host: str) -> None:
        """The line to a host is new: it reports again what is silent there."""
        self._silent = {key: found for key, found in self._silent.items() if found[0] != host}

    def to_json(self, watch: Watch) -> dict[str, dict[str, Any]]:
        """instance -> {epoch, programs: {program: since}}, of those that are there still."""
        found: dict[str, dict[str, Any]] = {}
        for (instance, epoch, program), (host, since) in sorted(self._silent.items()):
            entry = watch.instances.get(instance)
            if entry is not None and (entry.host, entry.epoch) == (host, epoch):
                found.setdefault(instance, {"epoch": epoch, "programs": {}})["programs"][program] = since
        return found
