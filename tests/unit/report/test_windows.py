# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window that stands still: from the event of its console to the words of the status."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.model import answers
from monitor.core.report import status_text
from monitor.judge.watch_list import Watch
from monitor.judge.windows import Windows
from tests.unit.monitor import watch_lists
from tests.unit.report.test_status import NOW, document, monitor, seen, two_running

Json = dict[str, Any]


def event(**more: Any) -> Json:
    said = {"event": "window", "instance": "scen2_srv_01", "epoch": 4, "program": "data_processing", "state": "silent",
            "since": NOW - 5.0, **more}  # fmt: skip
    return answers.event(said, "server_1")


def picture(windows: Json, **more: Any) -> Json:
    state = two_running()
    up = [seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7))]
    return document(state, *up, monitor=monitor(windows=windows, **more))


def test_a_silent_window_degrades_its_item_and_says_which_and_since_when() -> None:
    silent = {"scen2_srv_01": {"epoch": 4, "programs": {"data_processing": NOW - 5.0}}}
    found = picture(silent)
    [item] = [entry for entry in found["items"] if entry["item"] == "01"]
    assert item["verdict"] == "degraded"
    words = "data_processing of item 01 on server_1 does not answer since "
    assert item["cause"].startswith(words)
    assert words in " ".join(status_text.render_table(found, 400).split())
    assert picture({})["items"][0]["verdict"] == "operational"


@pytest.mark.parametrize(
    "silent",
    [
        {"scen2_srv_01": {"epoch": 3, "programs": {"data_processing": NOW}}},  # it was started again since
        {"scen2_srv_99": {"epoch": 4, "programs": {"data_processing": NOW}}},
        {"scen2_hci_01": {"epoch": 0, "programs": {"sensor_view": NOW}}},  # it is closed
        {"scen2_srv_01": {"epoch": 4, "programs": {}}},
    ],
)
def test_what_is_not_there_any_more_is_not_silent(silent: Json) -> None:
    assert picture(silent)["items"][0]["verdict"] == "operational"


def test_a_monitor_that_is_silent_itself_says_nothing_about_windows() -> None:
    silent = {"scen2_srv_01": {"epoch": 4, "programs": {"data_processing": NOW - 5.0}}}
    assert "does not answer" not in picture(silent, at=NOW - 1000.0)["items"][0]["cause"]


def watch() -> Watch:
    return watch_lists.watch(watch_lists.entry("scen2_srv_01", epoch=4))


def test_reports_of_a_console_about_what_it_holds_count_and_no_others() -> None:
    windows = Windows()
    for more in ({"epoch": 3}, {"instance": "scen2_srv_02"}):
        assert not windows.reported(event(**more), watch())
    assert not windows.reported(dict(event(), host="server_2"), watch())
    assert windows.to_json(watch()) == {}
    assert windows.reported(event(), watch()) and not windows.reported(event(), watch())
    shown = {"scen2_srv_01": {"epoch": 4, "programs": {"data_processing": NOW - 5.0}}}
    assert windows.to_json(watch()) == shown
    windows.unseen("server_2")
    assert windows.to_json(watch()) == shown
    assert windows.reported(event(state="answers"), watch()) and windows.to_json(watch()) == {}
    windows.reported(event(), watch())
    windows.unseen("server_1")
    assert windows.to_json(watch()) == {}


@pytest.mark.parametrize("more", [{"since": None}, {"program": 3}, {"epoch": -1}, {"since": "now"}, {"state": ["x"]}])
def test_nonsense_of_a_console_is_refused(more: Json) -> None:
    with pytest.raises(answers.Nonsense):
        event(**more)
