# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of 10,000 programs: what keeping them takes of memory and disk, with the real sampler and the real files."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.web import figure_sampler
from monitor.web.figures import segments
from tests.unit.embedded_site import raw_site

pytestmark = pytest.mark.long

MIB = 1 << 20
ITEMS = 1112  # of nine programs that live on: services and windows
MEMORY, DISK = 30 * MIB, 200 * MIB
AT_A_TIME = 60  # rows that are written by the sampler; the others have the same size


def hosts_say(request: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
    """As `host.logs.figures` answers."""
    return [
        {"s": position, "state": "running", "pid": 4000 + position, "since": 1795487754.75, "cpu": None,
         "used": number + position / 7, "memory": 14_000_000 + position, "threads": 9, "files": 12, "processes": 1,
         "restarts": 0}
        for position, _source in enumerate(request["sources"])
    ]  # fmt: skip


def measure(folder: str) -> None:
    """In a process of its own: prints what was kept, and the most memory that it took beyond what was there before."""
    site = compiler.compile_site(raw_site(muster_items=["%04d" % number for number in range(1, ITEMS + 1)]))
    instances = site.by_name()
    hosts = [host.name for host in site.hosts]
    places = {name: hosts[position % len(hosts)] for position, name in enumerate(instances)}
    turn = 0

    def opened(_host: str, request: Mapping[str, Any], take: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        asyncio.get_running_loop().call_soon(take, json.loads(json.dumps({"left": hosts_say(request, turn)})))
        return lambda: None

    async def known() -> Any:
        return SimpleNamespace(site=site)

    async def living() -> dict[str, str]:
        return places

    async def run(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    async def scene() -> dict[str, Any]:
        nonlocal turn
        desk: Any = SimpleNamespace(site=known, run=run)
        sampler, files = figure_sampler.Sampler(desk, opened, living), segments.Segments(Path(folder))
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for turn in range(AT_A_TIME):  # noqa: B007 - `opened` reads it
            await figure_sampler.keep(sampler, desk, files)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        names, document = await sampler.take()
        curve = files.read(names[0], 0.0)
        return {"names": len(names), "programs": len(document["programs"]), "silent": document["silent"],
                "memory": (after - before) * 1024, "points": len(curve), "last": curve[-1]}  # fmt: skip

    print(json.dumps(asyncio.run(scene())))


def test_ten_thousand_programs_for_twelve_hours_fit(tmp_path: Path) -> None:
    code = "from tests.unit.monitor.test_figures_of_many import measure; measure(%r)" % str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["names"] >= 10_000 and found["programs"] >= 10_000 and found["silent"] == {}, found
    assert found["points"] == AT_A_TIME and None not in found["last"][2:], found
    assert found["memory"] < MEMORY, "%.1f MiB" % (found["memory"] / MIB)
    [file] = tmp_path.iterdir()
    of_a_segment = file.stat().st_size
    assert AT_A_TIME == segments.ROWS
    # Of twelve hours, with the one that begins before the oldest is removed.
    most = of_a_segment * (math.ceil(segments.KEPT_SECONDS / 60 / segments.ROWS) + 1)
    assert most < DISK, "%.1f MiB" % (most / MIB)
    assert segments.MOST_BYTES <= DISK, "and more programs take no more"
