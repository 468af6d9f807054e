# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are observed over the lines: all of them or none, and what they say is checked."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from monitor.watch.line_acts import LineActs
from monitor.watch.looks import NoLook, look
from tests.unit.monitor.line_host import LineHost

WAY = {"by": "here"}


class OneLine:
    """The lines of a monitor that has one, for one host."""

    def __init__(self, line: LineActs | str) -> None:
        self.line = line

    def looks(self, name: str) -> LineActs | str:
        return self.line if name == "h" else "no line to %s answers" % name

    def way(self, _name: str) -> dict[str, str]:
        return WAY


class Says(LineActs):
    """A line whose host gives a certain answer."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__("h")
        self.version, self._reply = "a" * 16, reply

    def refusal(self) -> str:
        return ""

    def hand_over(self, _token: str, _version: str, _request: Any) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(self._reply)
        return done


def test_a_host_is_observed_over_its_line_and_nothing_is_left_there(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as held:
            for _turn in range(2):
                seen = (await look(OneLine(held.acts), {"h": host.facts}))["h"]
                assert (seen["observation"]["answer"], seen["agent"], seen["way"]) == ("seen", host.version, WAY)
                assert {"instances", "config", "load"} <= set(seen["observation"]), "as in a run"
            with pytest.raises(NoLook, match="no line to other"):
                await look(OneLine(held.acts), {"h": host.facts, "other": {**host.facts, "host": "other"}})

    asyncio.run(scene())
    acts = host.root / "run" / "acts"
    assert not acts.exists() or not os.listdir(acts)
    assert not host.complaints


@pytest.mark.parametrize(("reply", "why"), [
    ({"lost": "the line ended"}, "the line ended"),
    ({"refused": "16 acts are under way on this line"}, "under way"),
    ({"answer": {"error": "Permission denied"}}, "Permission denied"),
    ({"answer": {"host": "h"}}, "answers nonsense"),
    ({"answer": {"host": "another", "answer": "seen"}}, "answers nonsense"),
    ({"answer": ["seen"]}, "answers nonsense"),
])  # fmt: skip
def test_what_a_host_does_not_say_well_ends_the_look(reply: dict[str, Any], why: str) -> None:
    async def scene() -> None:
        with pytest.raises(NoLook, match=why):
            await look(OneLine(Says(reply)), {"h": {"host": "h"}})

    asyncio.run(scene())
