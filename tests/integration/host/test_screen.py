# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows on a real X server: whether they answer, whose they are; servers that hang, lie or let nobody in."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.machine import screen
from monitor.core.host.service.preparation import environment_lines
from tests.integration.local_site import ROOT, wait_for

TK = ["/usr/bin/python3", "-c", "import tkinter; tkinter.Tk().mainloop()"]
has_tk = subprocess.run([*TK[:2], "import tkinter"], capture_output=True, check=False).returncode == 0
pytestmark = pytest.mark.skipif(
    not (has_tk and shutil.which("Xvfb") and shutil.which("xauth")),
    reason="windows need Xvfb, xauth and tkinter (Debian: xvfb, xauth, python3-tk)",
)


class Server:
    """An X server that lets in only who has its secret."""

    def __init__(self, folder: Path) -> None:
        self.authority = str(folder / "authority")
        Path(self.authority).touch(mode=0o600)
        reading, writing = os.pipe()
        cookie = secrets.token_hex(16)
        self._add(":0", cookie)  # the server takes any entry's secret
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp", "-noreset",
             "-auth", self.authority],
            pass_fds=(writing,), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as told:
            self.display = ":" + told.readline().strip()
        if self.display != ":0":
            self._add(self.display, cookie)

    def _add(self, display: str, cookie: str) -> None:
        subprocess.run(["xauth", "-q", "-f", self.authority, "add", display, ".", cookie], check=True)

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "DISPLAY": self.display, "XAUTHORITY": self.authority, **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("screen"))
    yield made
    made.process.terminate()
    made.process.wait()


@pytest.fixture
def window(server: Server) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    begun: list[subprocess.Popen[bytes]] = []

    def open_window(**variables: str) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(TK, env=server.environment(**variables)))
        return begun[-1]

    yield open_window
    for process in begun:
        process.kill()
        process.wait()


def shown_by(looked: screen.Screen, process: subprocess.Popen[bytes]) -> int:
    return wait_for(lambda: [w.number for w in looked.windows() if w.pid == process.pid], "its window")[0]


def asked(looked: screen.Screen, numbers: list[int], seconds: float) -> set[int]:
    looked.ping(numbers)
    looked.wait(seconds)
    return looked.answered()


def test_a_window_answers_until_its_program_stands_still(
    server: Server, window: Callable[..., subprocess.Popen[bytes]]
) -> None:
    looked = screen.Screen(server.display, server.authority)
    one, other = window(), window()
    numbers = [shown_by(looked, one), shown_by(looked, other)]
    assert asked(looked, numbers, 10.0) == set(numbers)
    os.kill(one.pid, signal.SIGSTOP)
    assert asked(looked, numbers, 1.0) == {numbers[1]}
    os.kill(one.pid, signal.SIGCONT)
    wait_for(lambda: asked(looked, numbers, 1.0) == set(numbers), "its answers")
    one.kill()
    one.wait()
    wait_for(lambda: {w.number for w in looked.windows()} == {numbers[1]}, "its end")
    assert asked(looked, numbers, 0.5) == {numbers[1]}
    looked.close()


def test_what_is_answered_late_is_an_answer(
    server: Server, window: Callable[..., subprocess.Popen[bytes]]
) -> None:
    looked = screen.Screen(server.display, server.authority)
    slow = window()
    number = shown_by(looked, slow)
    wait_for(lambda: asked(looked, [number], 1.0), "its first answer")
    os.kill(slow.pid, signal.SIGSTOP)
    assert asked(looked, [number], 0.5) == set()
    os.kill(slow.pid, signal.SIGCONT)
    wait_for(looked.answered, "its answer to the question before")
    # Between two rounds it is read along with what the server answers.
    looked.ping([number])
    wait_for(lambda: looked.windows() and number in looked._answers, "its answer to the next")
    assert asked(looked, [number], 0.0) == {number}
    looked.close()


def test_who_may_not_is_told_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(screen.NoScreen, match="does not let this user in"):
        screen.Screen(server.display)
    (tmp_path / "nonsense").write_bytes(b"\x00\x01\xff\xff" + os.urandom(50))
    with pytest.raises(screen.NoScreen, match="does not let this user in"):
        screen.Screen(server.display, str(tmp_path / "nonsense"))
    with pytest.raises(screen.NoScreen, match="there is no X server"):
        screen.Screen(":59999")
    with pytest.raises(screen.NoScreen, match="is no display of this machine"):
        screen.Screen("elsewhere:0")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_the_secret_goes_to_no_other_users_server(server: Server, tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    shutil.copy(server.authority, authority)
    subprocess.run(["xauth", "-q", "-f", str(authority), "add", ":58124", ".", "0" * 32], check=True)
    os.chown(authority, 4711, 4711)
    program = (
        "import os, socket; os.setuid(4712); s = socket.socket(socket.AF_UNIX); s.bind('\\0/tmp/.X11-unix/X58124');"
        "s.listen(1); print('listens', flush=True); c = s.accept()[0]; print(c.recv(4096))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as impostor:
        assert impostor.stdout is not None and impostor.stdout.readline() == "listens\n"
        with pytest.raises(screen.NoScreen, match="is another user's than its secret"):
            screen.Screen(":58124", str(authority))
        assert impostor.stdout.readline() == "b''\n"


@pytest.mark.parametrize("answer", ["nothing", "end", "endless", "no screen", "noise"])
def test_a_server_that_lies_costs_one_sentence(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = b"\x01\0\x0b\0\0\0" + struct.pack("<H", 8) + bytes(16) + struct.pack("<HHBB", 0, 0, 1, 0) + bytes(10)
    root = struct.pack("<I", 77)
    said = {
        "nothing": b"", "end": None, "no screen": setup[:28] + b"\0" + setup[29:],
        "endless": setup[:6] + struct.pack("<H", 9) + setup[8:] + root + b"\x01\0\x01\0" + b"\xff" * 28,
        "noise": os.urandom(4096),
    }[answer]  # fmt: skip
    monkeypatch.setattr(screen, "WITHIN_SECONDS", 0.5)
    name = "\0/tmp/.X11-unix/X58123"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as liar:
        liar.bind(name)
        liar.listen(2)

        def lie() -> None:
            made, _address = liar.accept()
            with made:
                if said is not None:
                    made.sendall(said)
                    time.sleep(3.0)

        threading.Thread(target=lie, daemon=True).start()
        with pytest.raises(screen.NoScreen):
            screen.Screen(":58123")


def first_silence(process: subprocess.Popen[bytes], listener: socket.socket) -> dict[str, Any]:
    """Let a program stand still. Its window is silent only after it has answered once, so let it go on until then."""
    listener.settimeout(4.0)
    for _unused in range(10):
        os.kill(process.pid, signal.SIGSTOP)
        try:
            event: dict[str, Any] = json.loads(listener.recv(4096))
            return event
        except TimeoutError:
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(2.0)  # in which it answers, also on a busy machine
    raise AssertionError("no event")


def test_a_silent_window_is_an_event_and_forged_or_unasked_ones_are_none(
    server: Server, window: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    for folder in ("etc", "run/listeners"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/host.json").write_text(json.dumps({"site_id": "s-1", "host": "console_1"}))
    shown = {"DISPLAY": server.display, "XAUTHORITY": server.authority}
    (tmp_path / "etc/display").write_text(environment_lines(shown))
    label = {"MUSTER_SITE": "s-1", "MUSTER_HOST": "console_1", "MUSTER_INSTANCE": "hci_02", "MUSTER_EPOCH": "3"}
    asked = window(**label, MUSTER_PROGRAM="view", MUSTER_WINDOW="1")
    others = [
        window(**label, MUSTER_PROGRAM="chart"),
        window(**{**label, "MUSTER_HOST": "console_2"}, MUSTER_PROGRAM="view", MUSTER_WINDOW="1"),
        window(**label, MUSTER_PROGRAM="chart", MUSTER_WINDOW="²"),
    ]
    looked = screen.Screen(server.display, server.authority)
    for process in (asked, *others):
        shown_by(looked, process)
    looked.close()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "run/listeners/test.sock"))
    program = "import os; from monitor.core.host import windows; windows.watch(%r, os.getppid())" % str(tmp_path)
    watching = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        for process in others:
            os.kill(process.pid, signal.SIGSTOP)
        event = first_silence(asked, listener)
        assert time.time() - 10.0 < event.pop("since") < time.time() - 1.0
        assert event == {"event": "window", "instance": "hci_02", "epoch": 3, "program": "view", "state": "silent"}
        listener.settimeout(30.0)
        os.kill(asked.pid, signal.SIGCONT)
        assert json.loads(listener.recv(4096))["state"] == "answers"
        listener.settimeout(2.0)
        with pytest.raises(TimeoutError):
            listener.recv(4096)
    finally:
        watching.kill()
        watching.wait()
        listener.close()
