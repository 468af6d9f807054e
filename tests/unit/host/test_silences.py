# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a window is called silent, and when not."""

from __future__ import annotations

from monitor.core.host.windows import ANSWER, SILENT, Key, Silences

VIEW, CHART = Key("scen2_hci_02", 3, "sensor_view"), Key("scen2_hci_02", 3, "chart_view")
LIMITS = {VIEW: 3.0, CHART: 3.0}


def test_a_window_is_silent_after_its_time_and_told_once_with_when_it_answered_last() -> None:
    silences = Silences()
    windows = {7: VIEW}
    assert silences.note(windows, [7], LIMITS, 10.0) == []
    assert silences.note(windows, [], LIMITS, 12.9) == []
    assert silences.note(windows, [], LIMITS, 13.0) == [(VIEW, SILENT, 10.0)]
    assert silences.note(windows, [], LIMITS, 14.0) == []
    assert silences.note(windows, [7], LIMITS, 15.0) == [(VIEW, ANSWER, 15.0)]
    assert silences.note(windows, [], LIMITS, 17.0) == []


def test_a_window_that_never_answered_is_never_called_silent() -> None:
    silences = Silences()
    for now in range(100):
        assert silences.note({7: VIEW}, [], LIMITS, float(now)) == []


def test_one_window_of_several_is_enough() -> None:
    silences = Silences()
    windows = {7: VIEW, 8: VIEW, 9: CHART}
    assert silences.note(windows, [7, 8, 9], LIMITS, 0.0) == []
    assert silences.note(windows, [8, 9], LIMITS, 4.0) == [(VIEW, SILENT, 0.0)]
    assert silences.note(windows, [7, 8, 9], LIMITS, 5.0) == [(VIEW, ANSWER, 5.0)]


def test_a_window_that_was_closed_and_a_screen_that_is_gone_are_no_longer_silent() -> None:
    silences = Silences()
    silences.note({7: VIEW, 9: CHART}, [7, 9], LIMITS, 0.0)
    assert len(silences.note({7: VIEW, 9: CHART}, [], LIMITS, 3.0)) == 2
    assert silences.note({9: CHART}, [], {CHART: 3.0}, 4.0) == [(VIEW, ANSWER, 4.0)]
    assert silences.note({}, [], {}, 5.0) == [(CHART, ANSWER, 5.0)]
    # A number that the server gave again belongs to another window.
    assert silences.note({7: VIEW}, [], LIMITS, 100.0) == []


def test_the_next_epoch_is_another_program() -> None:
    silences, later = Silences(), VIEW._replace(epoch=4)
    silences.note({7: VIEW}, [7], LIMITS, 0.0)
    assert silences.note({7: later}, [7], {later: 3.0}, 2.0) == []
    assert silences.note({7: later}, [], {later: 3.0}, 4.9) == []


def test_nobody_is_silent_for_less_than_a_second() -> None:
    silences = Silences()
    silences.note({7: VIEW}, [7], {VIEW: 0.1}, 0.0)
    assert silences.note({7: VIEW}, [], {VIEW: 0.1}, 0.9) == []
    assert silences.note({7: VIEW}, [], {VIEW: 0.1}, 1.0) == [(VIEW, SILENT, 0.0)]


def test_on_a_machine_that_has_no_time_the_delay_of_who_asks_is_nobodys_silence() -> None:
    silences = Silences()
    assert silences.note({7: VIEW}, [7], LIMITS, 0.0) == []
    assert silences.note({7: VIEW}, [], LIMITS, 4.0, late=2.5) == []
    assert silences.note({7: VIEW}, [], LIMITS, 5.5) == [(VIEW, SILENT, 2.5)]
    assert silences.note({7: VIEW}, [], LIMITS, 9.0, late=2.5) == [], "it is silent still"
    assert silences.note({7: VIEW}, [7], LIMITS, 10.0) == [(VIEW, ANSWER, 10.0)]
