# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trail is searched by time without an index."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.controller.trail_search import Wanted, search

Json = dict[str, Any]
COUNT = 5000


class Trail:
    """Entries 10 s apart; the first of them were forgotten. Counts what is read."""

    def __init__(self, first: int = 1001) -> None:
        self.read_entries = 0
        self.entries = [entry(number) for number in range(first, COUNT + 1)]

    def read(self, after: int | None, limit: int) -> list[Json]:
        behind = self.entries if after is None else [e for e in self.entries if e["id"] > after]
        found = behind[-limit:] if after is None else behind[:limit]
        self.read_entries += len(found)
        return found


def entry(number: int) -> Json:
    who = ("muster", "root (Eve)")[number % 100 == 0]
    return {"id": number, "at": number * 10.0, "who": who, "what": "start item 07, then item 1",
            "instance": "scen2_srv_%02d" % (number % 50), "host": "server_%d" % (number % 3)}  # fmt: skip


def ids(found: list[Json]) -> list[int]:
    return [one["id"] for one in found]


def test_a_time_is_found_by_few_reads() -> None:
    trail = Trail()
    found = search(trail.read, Wanted(since=20_000.0, until=20_050.0), set(), 100)
    assert ids(found) == [2000, 2001, 2002, 2003, 2004]
    assert trail.read_entries < 2000


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(since=49_980.0), [4998, 4999, 5000]),
        (Wanted(until=10_030.0), [1001, 1002]),
        (Wanted(since=1.0, until=5.0), []),
        (Wanted(since=90_000.0), []),
        (Wanted(since=49_000.0, person="eve"), [4900, 5000]),
        (Wanted(since=49_000.0, item="03"), [4903, 4953]),
        (Wanted(since=49_960.0, host="server_1"), [4996, 4999]),
        (Wanted(since=49_990.0, item="07"), [4999, 5000]),  # the text names it
        (Wanted(since=49_990.0, item="0"), []),
        (Wanted(since=49_990.0, word="START item"), [4999, 5000]),
    ],
)
def test_what_does_not_fit_is_left_out(wanted: Wanted, expected: list[int]) -> None:
    names = {"scen2_srv_%s" % wanted.item}
    assert ids(search(Trail().read, wanted, names, 100)) == expected


def test_nothing_is_missing_where_the_clock_was_set_back() -> None:
    trail = Trail(1)
    for one in trail.entries[2000:]:
        one["at"] -= 3600.0
    for since, until in ((19_000.0, 19_100.0), (16_500.0, 16_510.0), (19_990.0, 30_000.0)):
        found = search(trail.read, Wanted(since=since, until=until), set(), COUNT)
        assert ids(found) == [one["id"] for one in trail.entries if since <= one["at"] < until]


@pytest.mark.parametrize(("text", "item", "fits"), [
    ("alarm item:02 acknowledged", "02", True), ("note about item 02: it hums", "02", True),
    ("note about item 02.5", "02", False), ("start item 02-b", "02", False), ("start items 02", "02", False),
    ("drill on item a.b.", "a.b", True),
])  # fmt: skip
def test_an_item_is_named_as_a_whole(text: str, item: str, fits: bool) -> None:
    entries = [{"id": 1, "at": 1.0, "what": text}]
    assert bool(search(lambda after, limit: entries, Wanted(item=item), set(), 3)) is fits
    entries = [{"id": 1, "at": 1.0, "what": text.replace("item ", "").replace("item:", "")}]
    assert bool(search(lambda after, limit: entries, Wanted(host=item), set(), 3)) is (fits or "items" in text)


def test_only_the_newest_are_given_and_an_empty_trail_has_none() -> None:
    assert ids(search(Trail().read, Wanted(person="eve"), set(), 3)) == [4800, 4900, 5000]
    assert search(lambda after, limit: [], Wanted(since=1.0), set(), 3) == []
