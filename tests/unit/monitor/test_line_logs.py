# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs over a line that is held: history, following, going on; bounded, and the line's own answers never wait."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import install
from monitor.core.host.logs import serve
from monitor.watch.line_logs import LineLogs, NoLog
from plugins.plugin_utils import _agent_files
from tests.unit.monitor.line_host import LineHost, until


class Reader:
    """Takes in one stream."""

    def __init__(self, host: LineHost, logs: LineLogs, **more: Any) -> None:
        self.texts: list[str] = []
        self.cursor: Any = None
        self.over: str | None = None
        source = {"instance": "app_01", "program": "bus"}
        self.end = logs.open({"host": host.facts, "sources": [source], "lines": 100, **more}, self.take)

    def take(self, said: dict[str, Any]) -> None:
        if "over" in said:
            self.over = said["over"]
            return
        self.texts += [line.get("t", line.get("note")) for line in said["lines"]]
        self.cursor = said["cursor"]


def log(host: LineHost) -> Path:
    path = host.root / "log" / "app_01" / "bus.log"
    path.parent.mkdir(exist_ok=True)
    return path


def write(host: LineHost, *lines: str) -> None:
    with log(host).open("a") as handle:
        handle.writelines(line + "\n" for line in lines)


def test_the_last_lines_come_and_what_is_written_next(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    write(host, "one", "two")

    async def scene() -> None:
        async with host.line() as line:
            once = Reader(host, line.acts.logs)
            await until(lambda: once.over is not None)
            assert (once.over, once.texts) == ("", ["one", "two"])
            follower = Reader(host, line.acts.logs, follow=True)
            await until(lambda: follower.texts == ["one", "two"])
            write(host, "three", "\x1b[2Jfour")
            await until(lambda: follower.texts[2:] == ["three", "\\x1b[2Jfour"])
            line.acts.logs.close(follower.end)
            write(host, "five")
            later = Reader(host, line.acts.logs, follow=True, after=follower.cursor)
            await until(lambda: later.texts == ["five"])

    asyncio.run(scene())


def test_a_flood_of_lines_waits_for_its_reader_and_not_the_line(tmp_path: Path, monkeypatch: Any) -> None:
    """What nobody takes in stays at the host: a window of it is on the way at most, and questions are answered."""
    host = LineHost(tmp_path)
    write(host, *("x" * 1000 for _unused in range(3000)))

    async def scene() -> None:
        async with host.line() as line:
            logs = line.acts.logs
            held: list[Any] = []
            monkeypatch.setattr(logs, "_acknowledge", lambda *given: held.append(given))
            reader = Reader(host, logs, lines=3000)
            await until(lambda: len(held) >= 4)
            beats = 0

            def beat(_said: Any) -> None:
                nonlocal beats
                beats += 1

            monkeypatch.setattr(line.acts, "beat", beat)
            await until(lambda: beats >= 2)
            assert sum(counted for _token, counted, _size in held) < serve.WINDOW_BYTES + 3 * serve.PART_BYTES
            assert len(reader.texts) < 3000 and reader.over is None
            monkeypatch.undo()
            for given in held:
                logs._acknowledge(*given)
            await until(lambda: reader.over == "")
            assert len(reader.texts) > 2000 and "too much" in reader.texts[0]

    asyncio.run(scene())


def test_what_reads_the_logs_may_die_and_comes_back(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    write(host, "one")

    async def scene() -> None:
        async with host.line() as line:
            reader = Reader(host, line.acts.logs, follow=True)
            await until(lambda: reader.texts == ["one"])
            far = next(pid for pid in _children(os.getpid()) if b"muster_line" in _words(pid))
            os.kill(_children(far)[0], signal.SIGKILL)
            await until(lambda: reader.over is not None)
            assert reader.over == "what reads the logs there ended"
            again = Reader(host, line.acts.logs)
            await until(lambda: again.texts == ["one"])
            assert not line.acts.refusal()

    asyncio.run(scene())


def test_a_line_that_ends_ends_its_streams_and_one_without_logs_says_why(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    write(host, "one")

    async def scene() -> None:
        async with host.line() as line:
            reader = Reader(host, line.acts.logs, follow=True)
            await until(lambda: reader.texts == ["one"])
        assert "ended" in str(reader.over)
        with pytest.raises(NoLog, match="no line to this machine answers"):
            Reader(host, line.acts.logs)

    asyncio.run(scene())
    old = LineLogs("server_1")
    old.opened(None)  # type: ignore[arg-type]
    old.beat({"beat": 1, "agent": "0123456789abcdef"})
    old._writer = object()  # type: ignore[assignment]
    with pytest.raises(NoLog, match="deploy to it"):
        old.open({}, print)


@pytest.mark.parametrize("said", [
    {"log": "1", "lines": "no list"}, {"log": "1"}, {"log": "1", "lines": [], "size": "x"}, {"log": 7, "over": None},
    {"log": ["1"]}, {"log": "1", "lines": [], "size": 10**12},
])  # fmt: skip
def test_nonsense_of_a_host_harms_nothing(said: dict[str, Any]) -> None:
    class Writer:
        class transport:
            get_write_buffer_size = staticmethod(lambda: 0)
            is_closing = staticmethod(lambda: False)

        write = staticmethod(lambda _data: None)

    async def scene() -> None:
        logs = LineLogs("h")
        logs.opened(Writer())  # type: ignore[arg-type]
        logs.beat({"logs": 1})
        token = logs.open({}, lambda _said: None)
        logs.take({**said, "log": token} if said["log"] == "1" else said, 100)

    asyncio.run(scene())


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()]


def _words(pid: int) -> bytes:
    return Path("/proc/%d/cmdline" % pid).read_bytes()


def test_what_reads_the_logs_ends_with_the_last_stream_and_gives_way_to_a_new_agent(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    write(host, "one")

    async def scene() -> None:
        async with host.line() as line:
            once = Reader(host, line.acts.logs)
            await until(lambda: once.over == "")
            far = next(pid for pid in _children(os.getpid()) if b"muster_line" in _words(pid))
            write(host, "two")
            again = Reader(host, line.acts.logs)  # which collects the first one
            await until(lambda: again.over == "" and len(_children(far)) <= 1)
            follower = Reader(host, line.acts.logs, follow=True)
            await until(lambda: follower.texts == ["one", "two"])
            newer = "f" * 16
            install.install(str(host.root), {"hash": newer, "files": _agent_files.texts()})
            async with host.door(line.acts):
                given = await host.give(host.request(), newer)
                assert "answer" in await host.collect(given)
            await until(lambda: follower.over == "the agent there is a new one")
            later = Reader(host, line.acts.logs, follow=True, after=follower.cursor)
            write(host, "three")
            await until(lambda: later.texts == ["three"])

    asyncio.run(scene())
