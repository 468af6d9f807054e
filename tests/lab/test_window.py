# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window is a window: what a person sees who is logged in at a console, drawn by programs that systemd runs.

MUSTER_WINDOW_USE says for how many seconds the windows are used, as in `tests/integration/host/test_window_use.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.host.test_window_use import MEASURED, TOLD_SECONDS, USED_SECONDS
from tests.integration.local_site import wait_for
from tests.lab import screen as screens
from tests.lab.hosts import lab as booted
from tests.lab.layer import USER_ID
from tests.lab.names import missing
from tests.lab.screen import Screen
from tests.lab.site import LabSite, deployed

pytestmark = pytest.mark.skipif(bool(missing() or screens.missing()), reason=missing() or screens.missing())
CONSOLE, HCI = "console_1", "scen2_hci_02"
WINDOWS = {"item 02: sensors", "item 02: temperature", "item 02: settings"}


@pytest.fixture(scope="module")
def site() -> Iterator[LabSite]:
    with booted(servers=("server_1",), consoles=(CONSOLE,)) as lab:
        made = LabSite(lab, "systemd", muster_items=["02"])
        made.set_host(CONSOLE, muster_display=screens.DISPLAY)
        with deployed(lab, service_manager="systemd", muster_items=["02"]) as site:
            yield site


@pytest.fixture(scope="module")
def screen(site: LabSite) -> Screen:
    return Screen(site.lab, CONSOLE)


@pytest.fixture
def opened(site: LabSite, screen: Screen) -> Iterator[Screen]:
    """A person is logged in, and has opened item 02."""
    if not screen.session():
        screen.log_in()
    asked = site.muster("open", "02", "--console", CONSOLE)
    assert asked.rc == 0, asked.output
    wait_for(lambda: set(screen.windows()) == WINDOWS, "three windows", lambda: (screen.windows(), said(site)))
    yield screen
    assert site.muster("close", "02").rc == 0


def said(site: LabSite, program: str = "*") -> str:
    unit = f"muster-scen2_hci.{program}@02.service"
    return site.on(CONSOLE, "journalctl", "-q", "-o", "cat", "--no-pager", "-u", unit)


def test_windows_are_on_the_screen_of_who_is_logged_in_and_are_that_persons(
    site: LabSite, opened: Screen, request: pytest.FixtureRequest
) -> None:
    assert opened.session()["UID"] == str(USER_ID)
    running = site.processes(HCI)
    assert {os.stat(f"/proc/{process.pid}").st_uid for process in running} == {USER_ID}
    assert "plain text" not in said(site)
    # They draw what comes from the server: the picture changes with each reading.
    for title in ("item 02: sensors", "item 02: temperature"):
        number = opened.windows()[title]
        before = opened.picture(number)
        wait_for(lambda: opened.picture(number) != before, "another picture of " + title)  # noqa: B023
    folder = request.config.getoption("--screenshots", None)
    if folder:
        wait_for(lambda: said(site, "chart_view") and len(site.processes(HCI)) == 4, "all of it")
        opened.shot(Path(folder) / "windows.png")


def test_text_typed_into_a_window_reaches_the_server(site: LabSite, opened: Screen) -> None:
    assert "alarm_above 30" in said(site, "sensor_control")
    opened.enter(opened.windows()["item 02: settings"], row=1, text="17")
    word = "alarm_above 17, period 1 (config_manager of scen2_srv_02@server_1"
    wait_for(lambda: word in said(site, "sensor_control"), "the server's word for it", lambda: said(site))


def test_closing_takes_the_windows_off_the_screen_and_leaves_the_person_logged_in(
    site: LabSite, screen: Screen, opened: Screen
) -> None:
    assert site.muster("close", "02").rc == 0
    wait_for(lambda: screen.windows() == {}, "an empty screen", screen.windows)
    assert site.processes(HCI) == []
    assert screen.session()["State"] == "active"


def test_who_logs_out_takes_the_windows_along_and_muster_says_so(site: LabSite, opened: Screen) -> None:
    opened.log_out()
    wait_for(lambda: set(site.programs(HCI)) == {"internal_data_bus"}, "no windows", lambda: site.programs(HCI))
    site.good("reconcile")
    assert f"{HCI} on {CONSOLE} runs without " in site.muster("why", HCI).output
    opened.log_in()
    assert opened.windows() == {}  # nothing shows itself again by itself
    site.good("restart", instances=[HCI])
    wait_for(lambda: set(opened.windows()) == WINDOWS, "three windows again", lambda: (opened.windows(), said(site)))


def test_a_window_that_stands_still_is_told_and_nothing_is_done(site: LabSite, opened: Screen) -> None:
    site.start_monitor()
    [view] = [process.pid for process in site.processes(HCI) if process.program == "sensor_view"]

    words = f"sensor_view of item 02 on {CONSOLE} does not answer since "

    def cause(words: str) -> bool:
        [item] = site.status()["items"]
        return item["verdict"] == "degraded" and item["cause"].startswith(words)

    def answers() -> bool:
        return [item["verdict"] for item in site.status()["items"]] == ["operational"]

    wait_for(answers, "an item that is well", lambda: (site.status()["items"], site.monitor_log()))
    for _unused in range(10):  # a window counts once it has answered, so a try may come too early
        os.kill(view, signal.SIGSTOP)
        try:
            wait_for(lambda: cause(words), "a word", within=5.0)
            break
        except AssertionError:
            os.kill(view, signal.SIGCONT)
    else:
        raise AssertionError(site.monitor_log())
    os.kill(view, signal.SIGCONT)
    wait_for(answers, "its answers", lambda: (site.status()["items"], site.monitor_log()))
    assert view in {process.pid for process in site.processes(HCI)}, "it was not touched"


def told_of_windows(site: LabSite, since: float) -> list[tuple[float, str]]:
    """What was said of windows since a moment, and when: read past our own code."""
    database = sqlite3.connect("file:%s?mode=ro" % (site.state / "past/past.db"), uri=True, timeout=20)
    with contextlib.closing(database):
        rows = database.execute("SELECT at, entry FROM change WHERE at >= ? ORDER BY id", (since,)).fetchall()
    said = [(at, str(json.loads(entry).get("why"))) for at, entry in rows]
    return [(at, why) for at, why in said if "not answer since" in why]


@pytest.mark.long
def test_windows_in_use_are_never_called_silent_and_a_stopped_one_soon(site: LabSite, opened: Screen) -> None:
    site.start_monitor()
    verdicts = lambda: [item["verdict"] for item in site.status()["items"]]  # noqa: E731
    wait_for(lambda: verdicts() == ["operational"], "an item that is well", site.monitor_log)
    began, ends = time.time(), time.monotonic() + USED_SECONDS
    step = 0
    while time.monotonic() < ends:
        windows = opened.windows()
        assert set(windows) == WINDOWS
        for title in sorted(WINDOWS):
            opened.use(windows[title], step)
        opened.enter(windows["item 02: settings"], row=1, text=str(10 + step % 30))
        step += 1
        time.sleep(1.0)  # a person is no faster
    assert verdicts() == ["operational"]
    assert told_of_windows(site, began) == [], "they were used all the time, %d times" % step
    [view] = [process.pid for process in site.processes(HCI) if process.program == "sensor_view"]
    for _again in range(3):
        stopped = time.time()
        os.kill(view, signal.SIGSTOP)
        try:
            wait_for(lambda: told_of_windows(site, stopped), "a word", site.monitor_log)  # noqa: B023
        finally:
            os.kill(view, signal.SIGCONT)
        after = told_of_windows(site, stopped)[0][0] - stopped
        print("used %d times; told after %.1f s" % (step, after))
        assert not MEASURED or after < TOLD_SECONDS, after
        wait_for(lambda: verdicts() == ["operational"], "its answers", site.monitor_log)
