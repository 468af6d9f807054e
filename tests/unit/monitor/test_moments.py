# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The span that a question is about."""

from __future__ import annotations

import pytest

from monitor.web.alarms import WrongMoment, moments_of

NOW = 1_700_000_000.0


def test_a_span_that_ends_before_it_begins_is_an_error_and_not_empty() -> None:
    assert moments_of({"since": "3h", "until": "2h"}, NOW) == {"since": NOW - 10800, "until": NOW - 7200}
    for since, until in (("2h", "3h"), ("2h", "2h")):
        with pytest.raises(WrongMoment, match="must be before until") as found:
            moments_of({"since": since, "until": until}, NOW)
        assert found.value.problem["field"] == "since"
