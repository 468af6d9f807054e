# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of lines from hosts: those that the monitor holds, and the monitor's own log on this machine."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from ...core.host.logs import serve, sources, text
from ...core.model.text import for_terminal

Json = dict[str, Any]
Take = Callable[[Json], None]
End = Callable[[], None]
LOOK_SECONDS = 0.2  # between looks at the monitor's own log
LONGEST = 4 * text.LONGEST_BYTES  # characters of a line


def monitor_log() -> str:
    """The file of the monitor's log, where a supervisord keeps it; "" elsewhere."""
    place = os.environ.get("SUPERVISOR_SERVER_URL", "").removeprefix("unix://")
    root, run = os.path.split(os.path.dirname(place))
    return root + "/log/monitor.log" if place.startswith("/") and run == "run" else ""


def own_log(request: Mapping[str, Any], take: Take) -> End:
    """As `desk.Core.logs`, of the monitor's own log: read in this process."""
    path = monitor_log()
    if not path:
        take({"over": "its log is in the journal of the controller: journalctl -u muster-monitor"})
        return lambda: None
    task = asyncio.get_running_loop().create_task(_own(path, request, take))

    def end() -> None:
        task.cancel()

    return end


async def _own(path: str, request: Mapping[str, Any], take: Take) -> None:
    stream: serve.Stream | None = None
    try:
        wanted = sources.Wanted({**request, "sources": [{"own": "muster"}]})
        wanted.sources[0].path = path
        stream = await asyncio.to_thread(serve.Stream, wanted)
        while not stream.over:
            part = stream.step()
            if part is not None:
                take(part)
            await asyncio.sleep(0 if part is not None else LOOK_SECONDS)
        take({"over": ""})
    except (sources.Wrong, OSError) as error:
        take({"over": str(error)})
    finally:
        if stream is not None:
            stream.close()


def clean(line: Any, numbers: list[int]) -> Json | None:
    """A line of a host, with no more than it may hold; None for what is none.

    :param numbers: positions of its sources in the whole answer.
    """
    if not isinstance(line, dict):
        return None
    source, at, cut = line.get("s"), line.get("at"), line.get("cut")
    if not isinstance(source, int) or not 0 <= source < len(numbers):
        return None
    known = isinstance(at, (int, float)) and not isinstance(at, bool) and math.isfinite(at)
    found: Json = {"source": numbers[source], "at": at if known else None}
    key, words = ("note", line["note"]) if "note" in line else ("text", line.get("t"))
    found[key] = for_terminal(str(words)[:LONGEST]).replace("\n", "?").replace("\x1b", "?")
    if isinstance(cut, int) and cut > 0:
        found["cut"] = cut
    if line.get("about"):
        found["about"] = True
    return found
