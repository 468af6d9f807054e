# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host services that ended by themselves, as their hosts report it. Their service manager starts them again, often
before a probe has noticed; so all that follows is an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .watch_list import Watch, how_it_ended


class ServiceEnds:
    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, str]] = {}  # (service, host) -> s since 1970, how it ended

    def reported(self, event: Mapping[str, Any], watch: Watch, wall: float) -> bool:
        """Take in an event of a host. :return: whether a host service ended by itself."""
        key = (str(event["program"]), str(event["host"]))
        if key not in watch.services or event["instance"] != "_".join(key):
            return False
        self._last[key] = (wall, how_it_ended(event.get("code")))
        return True

    def to_json(self, service: str, host: str) -> dict[str, Any]:
        """{at, how} of its last end; empty when none is known."""
        found = self._last.get((service, host))
        return {"at": found[0], "how": found[1]} if found is not None else {}
