# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many who follow the same logs share one stream of the host, and each reads what a stream of their own would give."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.host.logs import serve, sources
from monitor.web.logs import shared, wanted

Json = dict[str, Any]


class Host:
    """Real streams of a folder, which are moved on by hand."""

    def __init__(self, root: Path) -> None:
        self.facts = {"host": "h", "root": str(root), "service_manager": "supervisor"}
        self.log = root / "log" / "app_01" / "bus.log"
        self.log.parent.mkdir(parents=True)
        self.log.touch()
        self.written: list[str] = []
        self.open_now: dict[int, tuple[serve.Stream, Callable[[Json], None]]] = {}
        self.opened = 0

    def open(self, _host: str, request: Json, take: Callable[[Json], None]) -> Callable[[], None]:
        self.opened += 1
        number = self.opened
        self.open_now[number] = (serve.Stream(sources.Wanted(request)), take)
        return lambda: self.close(number)

    def close(self, number: int, why: str | None = None) -> None:
        stream, take = self.open_now.pop(number, (None, None))
        if stream is not None and take is not None:
            stream.close()
            if why is not None:
                take({"over": why})

    def write(self, count: int) -> None:
        new = ["line %d" % (len(self.written) + number) for number in range(count)]
        self.written += new
        with self.log.open("a") as handle:
            handle.writelines(line + "\n" for line in new)

    def move(self) -> None:
        """Until there is nothing more to say."""
        moved = True
        while moved:
            moved = False
            for stream, take in list(self.open_now.values()):
                part = stream.step()
                if part is not None:
                    moved = True
                    take(part)


class Reader:
    def __init__(self, host: Host, streams: shared.Shared, lines: int, after: Any = None, **more: Any) -> None:
        self.texts: list[str] = []
        self.cursor: Any = None
        self.over: str | None = None
        request = {"host": host.facts, "follow": True, "lines": lines, **more}
        request["sources"] = [{"instance": "app_01", "program": "bus"}]
        if after:
            request["after"] = after
        self.leave = streams.open("h", [0], request, self.take)

    def take(self, part: shared.Part) -> None:
        assert self.over is None
        if part.over is not None:
            self.over = part.over
            return
        self.texts += [line["text"] for line in json.loads(part.data or b"[]")]
        self.cursor = part.cursor or self.cursor


def scene(folder: str) -> tuple[Host, shared.Shared]:
    host = Host(Path(folder))
    return host, shared.Shared(host.open)


def test_a_hundred_who_follow_the_same_program_share_one_stream(tmp_path: Path) -> None:
    host, streams = scene(str(tmp_path))
    host.write(300)
    readers = [Reader(host, streams, lines) for lines in (10, 0, 200)]
    host.move()
    readers += [Reader(host, streams, number) for number in range(97)]
    host.write(5)
    host.move()
    assert host.opened == 1
    assert [len(reader.texts) for reader in readers[:5]] == [15, 5, 205, 5, 6]
    assert all(reader.texts == host.written[-len(reader.texts) :] for reader in readers)
    for reader in readers:
        reader.leave()
    assert not host.open_now and not streams._streams


def test_other_programs_words_and_times_have_streams_of_their_own(tmp_path: Path) -> None:
    host, streams = scene(str(tmp_path))
    host.write(3)
    by_word = [Reader(host, streams, 10, word="line 2") for _unused in range(2)]
    apart = [Reader(host, streams, 10), Reader(host, streams, 10, since=1.0), Reader(host, streams, 5000)]
    host.move()
    assert host.opened == 4
    assert [reader.texts for reader in by_word] == [["line 2"]] * 2
    assert [reader.texts for reader in apart] == [host.written] * 3


def test_after_a_cut_all_go_on_over_one_stream(tmp_path: Path) -> None:
    host, streams = scene(str(tmp_path))
    host.write(5)
    readers = [Reader(host, streams, 3) for _unused in range(20)]
    host.move()
    host.close(1, "the line to h ended")
    assert {reader.over for reader in readers} == {"the line to h ended"}
    host.write(2)
    again = [Reader(host, streams, 3, reader.cursor) for reader in readers]
    host.move()
    late = Reader(host, streams, 0, readers[0].cursor)
    assert host.opened == 2
    assert [reader.texts for reader in (*again, late)] == [host.written[5:]] * 21


def test_a_host_that_says_nothing_for_ever_is_kept_small(tmp_path: Path) -> None:
    host, streams = scene(str(tmp_path))
    Reader(host, streams, 0)
    (stream,) = streams._streams.values()
    for number in range(20_000):
        stream.take({"lines": [], "cursor": {"f": {"0": [number, number]}}})
        stream.take({"lines": [{"s": 0, "t": "x" * 100, "at": None}], "cursor": {"j": "x" * 1000}})
    assert stream._size <= shared.MOST_BYTES and len(stream._kept) <= 2 * wanted.LINES


@given(st.lists(st.one_of(
    st.tuples(st.just("write"), st.integers(1, 400)), st.tuples(st.just("move"), st.just(0)),
    st.tuples(st.just("join"), st.sampled_from([0, 1, 199, 200, 201, 999])), st.tuples(st.just("cut"), st.just(0)),
    st.tuples(st.sampled_from(["leave", "resume"]), st.integers(0, 5)),
), max_size=25))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_each_reads_what_a_stream_of_their_own_would_give(acts: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host, streams = scene(folder)
        alone = shared.Shared(host.open)
        pairs: list[tuple[Reader, Reader]] = []
        for what, number in acts:
            if what == "write":
                host.write(number)
            elif what == "move":
                host.move()
            elif what == "join":
                host.move()  # else what is written meanwhile is history to the one, and new to the other
                pairs.append((Reader(host, streams, number), Reader(host, alone, number, until=9e9)))
                host.move()
            elif what == "leave" and number < len(pairs):
                for reader in pairs.pop(number):
                    reader.leave()
            elif what == "resume" and number < len(pairs):
                host.move()
                shared_one, _own = pairs[number]
                pairs.append((Reader(host, streams, 5, shared_one.cursor), Reader(host, alone, 0, until=9e9)))
                host.move()
            elif what == "cut":
                for one in list(host.open_now):
                    host.close(one, "cut")
                pairs.clear()
        host.move()
        for shared_one, own in pairs:
            assert shared_one.texts == own.texts
        for pair in pairs:
            for reader in pair:
                reader.leave()
        assert not host.open_now and not streams._streams
