# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of Event-Driven Ansible beside a real API: in order, once, and on after a gap."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller.past import Past
from tests.integration.monitor.served_monitor import Told, folder, monitor, web_here, write_site  # noqa: F401
from tests.integration.probes.real_buses import until

PLUGIN = Path(__file__).resolve().parents[3] / "extensions/eda/plugins/event_source/events.py"
spec = importlib.util.spec_from_file_location("muster_events", PLUGIN)
assert spec is not None and spec.loader is not None
source = importlib.util.module_from_spec(spec)
spec.loader.exec_module(source)


def happened(state_dir: Path, *subjects: str) -> None:
    with Past(str(state_dir), write=True) as store:
        store.remember({}, [
            {"at": time.time(), "what": "alarm", "subject": subject, "before": "", "after": "unacknowledged",
             "why": "news", "lasted": 0.0} for subject in subjects
        ])  # fmt: skip


async def heard(queue: asyncio.Queue[Any], count: int) -> list[str]:
    return [(await asyncio.wait_for(queue.get(), 20))["subject"] for _unused in range(count)]


def test_events_come_once_in_order_and_go_on_after_a_gap(folder: Path, tmp_path: Path) -> None:
    write_site(folder)
    happened(folder, "old")
    args = {"socket": str(folder / "run/api.sock"), "what": "alarm", "state_file": str(tmp_path / "last"),
            "interval": 0.1}  # fmt: skip

    async def scenario() -> list[str]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        found: list[str] = []
        async with monitor(folder, Told(), web_here):
            task = asyncio.create_task(source.main(queue, args))
            await until(lambda: (tmp_path / "last").exists(), "it knows where it is")
            happened(folder, *("a%d" % number for number in range(source.AT_ONCE + 5)))
            found += await heard(queue, source.AT_ONCE + 5)
            task.cancel()
        happened(folder, "while nobody listened")  # neither rulebook nor monitor
        task = asyncio.create_task(source.main(queue, args))
        await asyncio.sleep(0.3)
        async with monitor(folder, Told(), web_here):
            happened(folder, "last")
            found += await heard(queue, 2)
            task.cancel()
        assert queue.empty()
        return found

    found = asyncio.run(scenario())
    assert found == ["a%d" % number for number in range(source.AT_ONCE + 5)] + ["while nobody listened", "last"]


@pytest.mark.parametrize(("args", "why"), [
    ({}, "needs either socket or url"),
    ({"socket": "/x", "url": "http://x"}, "needs either socket or url"),
    ({"socket": "/x", "sate_file": "/y"}, "has no argument sate_file"),
    ({"socket": "/x", "interval": "nan"}, "must be greater than 0"),
    ({"socket": "/x", "interval": -1}, "must be greater than 0"),
])  # fmt: skip
def test_arguments_that_cannot_be_right_are_refused(args: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        asyncio.run(source.main(asyncio.Queue(), args))


def test_a_past_that_was_replaced_and_a_file_that_cannot_be_written_silence_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_site(folder)
    happened(folder, "old")
    last = tmp_path / "last"
    last.write_text("900\n", encoding="ascii")  # of the past before the backup

    async def scenario() -> list[str]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        async with monitor(folder, Told(), web_here):
            args = {"socket": str(folder / "run/api.sock"), "state_file": str(last), "interval": 0.1}
            task = asyncio.create_task(source.main(queue, args))
            await until(lambda: last.read_text() != "900\n", "it knows where it is")
            last.unlink()
            last.with_name("last.new").mkdir()
            happened(folder, "fresh", "more")
            found = await heard(queue, 2)
            task.cancel()
            return found

    assert asyncio.run(scenario()) == ["fresh", "more"]
    said = capsys.readouterr().out
    assert "its past was replaced" in said and "cannot be written" in said


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"past": [1], "last": 1}', b'{"past": {}, "last": null}', b"x"])
def test_another_server_does_not_end_it(body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
            writer.close()

        server = await asyncio.start_unix_server(answer, tmp_path / "s")
        async with server:
            task = asyncio.create_task(source.main(asyncio.Queue(), {"socket": str(tmp_path / "s"), "interval": 0.01}))
            await asyncio.sleep(0.3)
            assert not task.done()
            task.cancel()

    asyncio.run(scenario())
    assert "trying again" in capsys.readouterr().out
