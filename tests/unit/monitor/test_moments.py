# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The span that a question is about."""

from __future__ import annotations

import time

import pytest

from monitor.core.model import moments
from monitor.core.requests.read import RequestErrors
from monitor.web.alarms import moments_of

NOW = 1_700_000_000.0


def test_a_span_that_ends_before_it_begins_is_an_error_and_not_empty() -> None:
    assert moments_of({"since": "3h", "until": "2h"}, NOW) == {"since": NOW - 10800, "until": NOW - 7200}
    for since, until in (("2h", "3h"), ("2h", "2h")):
        with pytest.raises(RequestErrors, match="must be before until") as found:
            moments_of({"since": since, "until": until}, NOW)
        assert [error["field"] for error in found.value.errors] == ["since"]


def test_a_time_of_day_is_that_of_the_clock_where_clocks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        evening = time.mktime((2030, 3, 30, 22, 0, 0, 0, 0, -1))  # clocks go forward in the night
        assert moments.past("06:00", evening) == time.mktime((2030, 3, 30, 6, 0, 0, 0, 0, -1))
        assert moments.past("23:00", evening + 11 * 3600) == time.mktime((2030, 3, 30, 23, 0, 0, 0, 0, -1))
    finally:
        monkeypatch.undo()
        time.tzset()
