# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the facts of a saved plan and those of now, as people read it."""

from __future__ import annotations

from monitor.core.arrange.bound import MOST, differences, table
from monitor.core.model.sentences import clock

AT = 1796090460.07


def test_a_moment_is_a_time_of_day_and_a_load_is_a_number() -> None:
    saved = {"wanted": {"scen2_srv_01": {"at": AT}}, "load": {"server_1": 42.5}}
    rows = differences(saved, {"wanted": {"scen2_srv_01": {"at": AT + 60}}, "load": {"server_1": 84.0}})
    assert [tuple(row) for row in rows] == [
        ("wanted scen2_srv_01 at", clock(AT, AT, seconds=True), clock(AT + 60, AT, seconds=True)),
        ("load server_1", "42.5", "84.0"),
    ]


def test_a_long_table_ends_with_how_many_more_there_are() -> None:
    rows = differences({str(number): 1 for number in range(MOST + 5)}, {})
    assert table(rows).splitlines()[-1] == "and 5 more"
