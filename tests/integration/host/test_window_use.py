# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window that a person uses: no false word while it is used, and a true one soon after it stands still.

MUSTER_WINDOW_USE says for how many seconds it is used (default: 60); an hour was run before this was released.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.service.preparation import environment_lines
from tests.integration.host.test_screen import Server, has_tk
from tests.integration.local_site import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (has_tk and shutil.which("Xvfb") and shutil.which("xauth")),
        reason="windows need Xvfb, xauth and tkinter (Debian: xvfb, xauth, python3-tk)",
    ),
]
MEASURED = "MUSTER_WINDOW_USE" in os.environ  # by a person, on a machine that has time
USED_SECONDS = float(os.environ.get("MUSTER_WINDOW_USE", "60"))
ANSWERS_SECONDS, TOLD_SECONDS = 3.0, 5.0
# Draws a curve, and does in turn what keeps windows busy: computes for up to two seconds, shows a dialog that takes all
# input, opens a menu, hides itself and comes back, changes its size, makes and destroys windows.
USED = """
import itertools, random, time, tkinter as tk
random.seed(7)
top = tk.Tk(); top.title("used"); top.geometry("300x200")
canvas = tk.Canvas(top); canvas.pack(fill="both", expand=True); tk.Entry(top).pack()
bar = tk.Menu(top); menu = tk.Menu(bar, tearoff=0); menu.add_command(label="x"); bar.add_cascade(label="m", menu=menu)
top.config(menu=bar)
def draw():
    canvas.delete("all")
    canvas.create_line(*[c for x in range(300) for c in (x, random.randint(0, 150))])
    top.after(100, draw)
def busy(): time.sleep(random.uniform(0.2, 2.0))
def dialog():
    other = tk.Toplevel(top); other.transient(top); other.wait_visibility(); other.grab_set()
    other.after(2500, other.destroy)
def post(): menu.post(10, 10); top.after(1500, menu.unpost)
def hide(): top.withdraw(); top.after(1500, top.deiconify)
def size(): top.geometry("%dx%d" % (random.randint(200, 320), random.randint(150, 240)))
def many():
    for n in range(8): w = tk.Toplevel(top); w.after(800, w.destroy)
steps = itertools.cycle([busy, dialog, post, hide, size, many])
def step(): next(steps)(); top.after(3000, step)
draw(); step(); top.mainloop()
"""


@pytest.fixture
def events(tmp_path: Path) -> Iterator[tuple[socket.socket, Server]]:
    """What the watch tells of windows, as the monitor's line gets it."""
    server = Server(tmp_path)
    for name in ("etc", "run/listeners"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/host.json").write_text(json.dumps({"site_id": "site-1", "host": "console_1"}))
    shown = {"DISPLAY": server.display, "XAUTHORITY": server.authority}
    (tmp_path / "etc/display").write_text(environment_lines(shown))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "run/listeners/test.sock"))
    code = "import os; from monitor.core.host import windows; windows.watch(%r, os.getppid())" % str(tmp_path)
    watch = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    yield listener, server
    for process in (watch, server.process):
        process.terminate()
        process.wait()
    listener.close()


def told(listener: socket.socket, within: float) -> dict[str, Any] | None:
    """The next event; None when there is none in that time."""
    if not select.select([listener], [], [], within)[0]:
        return None
    found: dict[str, Any] = json.loads(listener.recv(65536))
    return found


def test_a_used_window_is_never_called_silent_and_a_stopped_one_soon(events: tuple[socket.socket, Server]) -> None:
    listener, server = events
    labels = {"MUSTER_SITE": "site-1", "MUSTER_HOST": "console_1", "MUSTER_INSTANCE": "scen2_hci_02",
              "MUSTER_PROGRAM": "sensor_view", "MUSTER_EPOCH": "7", "MUSTER_WINDOW": str(ANSWERS_SECONDS)}  # fmt: skip
    used = subprocess.Popen(["/usr/bin/python3", "-c", USED], env=server.environment(**labels))
    try:
        assert told(listener, USED_SECONDS) is None, "it was used all the time"
        assert used.poll() is None
        for _again in range(3):
            os.kill(used.pid, signal.SIGSTOP)
            stopped = time.monotonic()
            event = told(listener, 30.0)
            after = time.monotonic() - stopped
            assert event is not None and (event["state"], event["program"]) == ("silent", "sensor_view"), event
            print("told after %.1f s" % after)
            if MEASURED:
                assert after < TOLD_SECONDS, after
            os.kill(used.pid, signal.SIGCONT)
            event = told(listener, 30.0)
            assert event is not None and event["state"] == "answers", event
    finally:
        used.kill()
        used.wait()
