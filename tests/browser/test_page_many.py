# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of many items: only what is in sight is drawn, and what changes costs little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Screen
from tests.browser.stage import Json, Stage, stage

PORT = 8941
MANY = 5000
NODES = 12_000  # of the document at most; 5,000 items had 201,142 when all of them were drawn
FIRST_BYTES = 1_000_000  # of the first load, which were 38 MB
CHANGE_BYTES = 5_000


def labels(number: int) -> Json:
    return {"name": "Antenna %d" % number, "area": ("North", "South", "Lab")[number % 3]}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), PORT, MANY, labels) as made:
        yield made


class Counted:
    """A page with what it took over the wire."""

    def __init__(self, screen: Screen, shown: Stage, view: str = "") -> None:
        self.page = screen.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.devtools = screen.context.new_cdp_session(self.page)
        self.devtools.send("Performance.enable")
        self.devtools.send("Network.enable")
        self.bytes = 0
        self.devtools.on("Network.dataReceived", self._received)
        self.page.goto(shown.url + view)
        self.page.locator("body:not(.loading)").wait_for()
        self.page.locator("#matrix .item").first.wait_for()

    def _received(self, event: Any) -> None:
        self.bytes += event["encodedDataLength"]

    def figure(self, name: str) -> float:
        found: Json = self.devtools.send("Performance.getMetrics")
        return next(float(one["value"]) for one in found["metrics"] if one["name"] == name)

    def until(self, condition: str, argument: Any = None) -> None:
        self.page.wait_for_function(condition, arg=argument, polling=100)


@pytest.fixture
def seen(screen: Screen, shown: Stage) -> Iterator[Counted]:
    page = Counted(screen, shown)
    yield page
    page.page.close()
    assert page.errors == []


def test_5000_items_take_few_nodes_and_bytes_and_a_change_takes_few(seen: Counted, shown: Stage) -> None:
    assert seen.page.locator("#matrix").get_attribute("aria-rowcount") == str(MANY)
    assert seen.figure("Nodes") < NODES
    assert seen.bytes < FIRST_BYTES
    before = seen.bytes
    for number in range(1, 6):
        shown.change("%02d" % number, cause="change %d" % number)
        seen.page.locator('#matrix [data-item="%02d"][data-kind="bad"]' % number).wait_for()
    assert (seen.bytes - before) / 5 < CHANGE_BYTES
    assert seen.figure("Nodes") < NODES
    shown.change(*["%02d" % number for number in range(1, 6)], verdict="operational", cause="")


def test_scrolling_draws_what_comes_into_sight_and_keeps_no_more(seen: Counted) -> None:
    seen.page.get_by_role("button", name="rows", exact=True).click()
    seen.until("() => document.querySelector('#items').dataset.size === 'rows'")
    seen.page.locator("#below-here", has_text="more below").wait_for()
    for share in (0.25, 0.5, 1.0):
        seen.page.locator("#matrix").evaluate("(node, share) => { node.scrollTop = node.scrollHeight * share; }", share)
        seen.until(
            """() => { const frame = document.querySelector('#matrix').getBoundingClientRect();
              return [...document.querySelectorAll('#matrix .item')].map((row) => row.getBoundingClientRect())
                .some((box) => box.top < frame.bottom && box.bottom > frame.top); }"""
        )
    assert seen.page.locator("#matrix .item").count() < 300
    seen.page.locator("#matrix .item").last.focus()
    seen.page.keyboard.press("End")
    seen.until("(id) => document.activeElement.dataset.item === id", str(MANY))
    seen.page.keyboard.press("Home")
    seen.until("() => document.activeElement.dataset.item === '01'")
    seen.page.get_by_role("button", name="dense", exact=True).click()


def test_what_is_not_normal_is_found_wherever_it_is(seen: Counted, shown: Stage) -> None:
    shown.change("4000", cause="far below")
    seen.page.locator("#shown", has_text="1 not normal out of sight").wait_for()
    seen.page.get_by_role("button", name="worst first").click()
    seen.until("() => document.querySelector('#matrix .item').dataset.item === '4000'")
    seen.page.get_by_role("button", name="worst first").click()
    seen.page.locator("#filter").fill("antenna 3999")
    seen.until("() => document.querySelector('#matrix').getAttribute('aria-rowcount') === '1'")
    seen.page.locator("#filter").fill("")
    shown.change("4000", verdict="operational", cause="")


def test_groups_have_heads_and_fold(seen: Counted) -> None:
    seen.page.get_by_role("button", name="by area").click()
    heads = seen.page.locator("#matrix .group")
    heads.first.wait_for()
    assert [text.split()[1] for text in heads.all_inner_texts()] == ["South", "Lab", "North"]
    assert "group=area" in seen.page.url
    heads.first.get_by_role("button").click()
    seen.until("(n) => document.querySelector('#matrix').getAttribute('aria-rowcount') === n", str(MANY - 1667))
    heads.first.get_by_role("button").click()
    seen.page.get_by_role("button", name="by area").click()


@pytest.mark.long
def test_24_hours_of_a_shift_at_1000_items_do_not_grow(screen: Screen, tmp_path: Path) -> None:
    """A day of 1,000 items with one change every 12 s on average, in minutes."""
    with stage(tmp_path, PORT + 1, 1000, labels) as shown:
        seen = Counted(screen, shown)
        sizes = []
        for hour in range(24):
            for turn in range(300):
                item = "%02d" % (1 + (hour * 300 + turn) % 1000)
                if turn % 2:
                    shown.change(item, verdict="operational", cause="")
                else:
                    shown.change(item, cause="hour %d, change %d" % (hour, turn))
                shown.tell("change %d" % turn, "scen2_srv_" + item)
            seen.page.locator("#matrix").evaluate("(node, at) => { node.scrollTop = at * 400; }", hour)
            seen.page.keyboard.press("a")
            seen.until("(id) => Number(document.querySelector('#story-list li')?.dataset.id) >= id", (hour + 1) * 300)
            seen.devtools.send("HeapProfiler.collectGarbage")
            sizes.append((seen.figure("JSHeapUsedSize"), seen.figure("Nodes")))
        print("heap MB, nodes by hour:", [(round(heap / 1e6, 1), int(nodes)) for heap, nodes in sizes])
        early, late = sizes[3:8], sizes[-5:]
        for which in (0, 1):
            assert max(s[which] for s in late) < 1.2 * max(s[which] for s in early)
        seen.page.close()
        assert seen.errors == []
