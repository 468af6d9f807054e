# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command shows while it waits."""

from __future__ import annotations

import io
import time
from argparse import Namespace
from typing import Any

import pytest

from monitor.cli.by_playbook import Event
from monitor.cli.verbs import Progress, step
from monitor.core.client import api, commands, terminal, waiting, withdraw
from monitor.core.client.terminal import Shown

BODY = {"kind": "restart", "instances": ["scen2_srv_01", "scen2_srv_02"]}
ENTRIES = [
    {"id": 8, "at": 5.0, "who": "joan", "what": "stop", "result": "stopped", "instance": "scen2_srv_01"},
    {"id": 9, "at": 6.0, "who": "joan", "what": "drain", "host": "server_\x1b[2J1"},
]


class Screen(io.StringIO):
    def __init__(self, live: bool) -> None:
        super().__init__()
        self._live = live

    def isatty(self) -> bool:
        return self._live


class Monitor(api.Remote):
    """Answers the questions about the trail; the request is over when the entries are."""

    def __init__(self, entries: list[dict[str, Any]], interrupt: bool = False) -> None:
        super().__init__("nowhere")
        self.left = entries
        self.interrupt = interrupt

    def get(self, path: str, timeout: float = 30.0, **query: Any) -> Any:
        assert path == "/events"
        if "after" not in query:
            return {"events": [], "last": 7}
        return {"events": [entry for entry in self.left if entry["id"] > query["after"]], "last": 9}

    def act(self, body: Any, timeout: float, meanwhile: Any = None) -> Any:
        meanwhile()
        if self.interrupt:
            raise KeyboardInterrupt
        return {"ok": True, "said": ["done"]}


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait is a long one."""
    monkeypatch.setattr(waiting, "LIVE_AFTER", 0.0)
    monkeypatch.setattr(waiting, "LINES_AFTER", 0.0)


def waited(screen: Screen) -> waiting.Waiting:
    one = waiting.Waiting(Monitor(ENTRIES), BODY, Shown(screen))
    one.began()
    one.turn()
    return one


@pytest.mark.usefixtures("late")
def test_on_a_terminal_one_line_says_how_far_it_is_and_goes_away() -> None:
    screen = Screen(True)
    one = waited(screen)
    assert screen.getvalue().startswith("\rrestart of scen2_srv_01 and scen2_srv_02: 0 s; 2 acted on, last server_")
    assert "\x1b[2J" not in screen.getvalue(), "no name gives the terminal an order"
    one.end()
    assert screen.getvalue().endswith("\r" + terminal.REST)


@pytest.mark.usefixtures("late")
def test_elsewhere_each_entry_of_the_trail_is_a_line_once() -> None:
    screen = Screen(False)
    waited(screen).turn()
    lines = screen.getvalue().splitlines()
    assert lines[0] == "restart of scen2_srv_01 and scen2_srv_02 is under way"
    assert len(lines) == 3 and "scen2_srv_01  stop -> stopped" in lines[1]


def test_what_is_done_at_once_needs_no_words() -> None:
    screen = Screen(False)
    waited(screen).end()
    assert screen.getvalue() == ""


def test_ctrl_c_says_what_was_done_and_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.act(BODY, Monitor(ENTRIES, interrupt=True), 10.0) == 130
    said = capsys.readouterr().err
    assert "the monitor goes on with restart of scen2_srv_01 and scen2_srv_02" in said
    assert "scen2_srv_01 (stopped)" in said and "muster status" in said


def test_ctrl_c_names_what_takes_it_back_while_it_may_still_wait(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor([], interrupt=True)
    monitor.asked = "5f0c"
    assert commands.act(BODY, monitor, 10.0) == 130
    assert "muster withdraw 5f0c takes it back while it waits" in capsys.readouterr().err
    done = Monitor(ENTRIES, interrupt=True)
    done.asked = "5f0c"
    assert commands.act(BODY, done, 10.0) == 130
    assert "withdraw" not in capsys.readouterr().err


def test_what_waits_is_listed_and_one_is_withdrawn(capsys: pytest.CaptureFixture[str]) -> None:
    class Asked(api.Remote):
        def _call(self, method: str, path: str, body: Any, query: Any, timeout: float, patient: bool = False) -> Any:
            if method == "GET":
                return {"requests": [{"id": "5f0c", "says": "restart of 02, asked for by eve, waits"}]}
            if path.endswith("/5f0c"):
                return {"ok": True, "said": ["it is withdrawn: %s" % body["why"]]}
            raise api.Refused(409, "it is begun already", [])

    monitor = Asked("nowhere")
    assert withdraw.withdraw(Namespace(request="", why="", timeout=1.0), monitor) == 0
    assert capsys.readouterr().out == "5f0c  restart of 02, asked for by eve, waits\n"
    assert withdraw.withdraw(Namespace(request="5f0c", why="a slip", timeout=1.0), monitor) == 0
    assert capsys.readouterr().out == "it is withdrawn: a slip\n"
    with pytest.raises(api.Refused) as late:
        withdraw.withdraw(Namespace(request="77", why="", timeout=1.0), monitor)
    assert commands.code(late.value) == commands.REFUSED


def test_a_monitor_that_does_not_say_does_not_end_the_wait() -> None:
    class Silent(Monitor):
        def get(self, path: str, timeout: float = 30.0, **query: Any) -> Any:
            raise api.Silent("the monitor does not answer")

    one = waiting.Waiting(Silent([]), BODY, Shown(Screen(True)))
    one.began()
    one.turn()
    assert "So far: nothing" in one.interrupted()


def test_a_task_is_shown_without_the_name_of_its_role() -> None:
    assert step(Event("task", "control_room.muster.host : Create its folders")) == "Create its folders"
    spec = "control_room.muster.host : Validating arguments against arg spec 'main' - Prepare a host"
    assert step(Event("task", spec)) == "preparing the hosts"
    assert step(Event("task", "Act", "act")) == "acting"


def test_the_line_of_a_playbook_counts_hosts_and_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(True)
    progress = Progress(Shown(screen))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 12.5)
    progress.show("preparing the hosts")
    for host in ("server_1", "server_2", "server_2"):
        progress.again(host)
    assert screen.getvalue().split("\r")[-1] == "preparing the hosts ... 2 hosts 12 s" + terminal.REST
    progress.show("planning")
    progress.again()
    assert screen.getvalue().split("\r")[-1] == "planning ... 12 s" + terminal.REST
    progress.clear()
    assert "?" not in screen.getvalue()
