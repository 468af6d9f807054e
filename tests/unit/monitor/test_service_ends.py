# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host services that ended by themselves: what hosts say of them is kept for the status, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.judge.service_ends import ServiceEnds
from monitor.judge.target import Target
from monitor.judge.watch_list import Watch, WatchedService

BUS = WatchedService("common_bus", "server_1", "the common bus", Target("127.0.0.1", 1, "tcp", 1.0, 1.0, 2))
WATCH = Watch(services={("common_bus", "server_1"): BUS})
EVENT = {"event": "exited", "host": "server_1", "instance": "common_bus_server_1", "program": "common_bus", "epoch": 0}


@pytest.mark.parametrize(("code", "how"), [(-1, "was killed by a signal"), (3, "ended with code 3")])
def test_the_last_end_is_known(code: int, how: str) -> None:
    ends = ServiceEnds()
    assert ends.to_json("common_bus", "server_1") == {}
    assert ends.reported({**EVENT, "code": 0}, WATCH, 5.0)
    assert ends.reported({**EVENT, "code": code}, WATCH, 7.0)
    assert ends.to_json("common_bus", "server_1") == {"at": 7.0, "how": how}


@pytest.mark.parametrize(
    "other", [{"program": "elsewhere"}, {"host": "server_2"}, {"instance": "scen2_srv_01"}, {"instance": "common_bus"}]
)
def test_nothing_else_is_taken_for_one(other: dict[str, Any]) -> None:
    ends = ServiceEnds()
    assert not ends.reported({**EVENT, **other, "code": 1}, WATCH, 5.0)
    assert ends.to_json("common_bus", "server_1") == {}
