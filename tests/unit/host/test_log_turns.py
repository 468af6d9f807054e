# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many read logs of one host: each gets its turn, and a question about programs waits for none of them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.logs import serve
from monitor.core.host.logs.child import MORE, MOST, Logs

LINES = 2000  # of each log: some parts
READERS = 16  # whose parts are more than a window of bytes


class Line:
    """The other end of the process that reads logs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.here, there = socket.socketpair()
        self.here.settimeout(30.0)
        self._held = b""
        self.thread = threading.Thread(target=self._serve, args=(there,), daemon=True)
        self.thread.start()

    def _serve(self, end: socket.socket) -> None:
        with end, contextlib.suppress(OSError):  # the test is over
            serve.Server(end).run()

    def say(self, **document: Any) -> None:
        self.here.sendall(json.dumps(document).encode() + b"\n")

    def open(self, token: str, **more: Any) -> None:
        host = {"host": "server_1", "root": str(self.root), "service_manager": "supervisor"}
        program = "p%d" % (int(token, 16) % READERS)
        source = {"instance": "app_01", "program": program, "application": "app", "item": "01"}
        self.say(log=token, do="open", request={"host": host, "sources": [source], **more})

    def said(self) -> dict[str, Any]:
        while b"\n" not in self._held:
            self._held += self.here.recv(1 << 16)
        line, _end, self._held = self._held.partition(b"\n")
        document: dict[str, Any] = json.loads(line)
        if document.get("lines") is not None:
            self.say(log=document["log"], do="got", bytes=document["size"])
        return document


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    for name in ("log/app_01", "run/starts", "run/seen"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/host.json").write_text("{}")
    for number in range(READERS):
        text = "".join("line %d of %d %s\n" % (count, number, "x" * 40) for count in range(LINES))
        (tmp_path / "log/app_01" / ("p%d.log" % number)).write_text(text)
    made = Line(tmp_path)
    yield made
    made.here.close()
    made.thread.join(30)


def test_each_reader_gets_its_turn(line: Line) -> None:
    for number in range(READERS):
        line.open("%x" % number, lines=LINES, follow=True)
    got = dict.fromkeys(("%x" % number for number in range(READERS)), 0)
    while not all(got.values()):
        document = line.said()
        got[document["log"]] += len(document["lines"])
    assert max(got.values()) < LINES / 2, "nobody had half before the last one had something"


def test_a_question_about_programs_waits_for_no_reader(line: Line) -> None:
    for number in range(READERS):
        line.open("%x" % number, lines=LINES, follow=True)
    line.said()
    line.open("ff", figures=True, over=0)
    heard = 0
    while True:
        document = line.said()
        if document["log"] == "ff":
            break
        heard += len(document["lines"])
    assert document["left"][0]["state"] == "not started"
    assert heard < READERS * LINES / 2


def test_followers_leave_room_for_questions() -> None:
    logs = Logs(dict)
    logs._streams = {"%x" % number: "/nowhere" for number in range(MOST)}
    request = {"host": {"root": "/nowhere"}, "follow": True}
    refused = logs.take({"log": "aaa", "do": "open", "request": request})
    assert "are read on this line already" in refused["over"]
    logs._streams = {"%x" % number: "/nowhere" for number in range(MOST + MORE)}
    refused = logs.take({"log": "aaa", "do": "open", "request": {"host": {"root": "/nowhere"}}})
    assert "are read on this line already" in refused["over"]
