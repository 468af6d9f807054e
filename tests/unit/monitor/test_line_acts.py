# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts over the monitor's line: the real far end, the real agent, the real door; no service manager."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.monitor.line_host import LineHost


def test_an_act_goes_over_the_line_and_its_answer_comes_back(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            for _turn in range(3):
                given = await host.give(host.request())
                said = await host.collect(given)
                assert said["answer"]["results"]["app_01"]["result"] == "stopped", said
            assert (await host.collect(given))["lost"] == "the monitor knows nothing of it"

    asyncio.run(scene())
    assert not host.complaints
