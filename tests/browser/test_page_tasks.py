# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do at the page, with clicks counted; what the address keeps; and whether it can be read from afar."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page

from monitor.core.model.request import Request
from tests.browser.chromium import Screen
from tests.browser.stage import Json, Stage, stage

PORT = 8943
ITEMS = 12
AXE = os.environ.get("MUSTER_TEST_AXE", "")  # the file of axe-core, where there is one
SCREEN_MM = 24 * 25.4 * 16 / math.hypot(16, 9)  # width of a screen of 24 inches
AFAR_MM = 3000.0
ARC_MINUTES = 16.0

# Texts that do not fit into their boxes.
CLIPPED = """() => [...document.querySelectorAll('header *, #alarms *, #items *, #below *, dialog[open] *')]
  .filter((node) => node.checkVisibility() && node.children.length === 0 && node.textContent.trim()
    && !node.classList.contains('unseen') && getComputedStyle(node).overflowX !== 'visible'
    && node.tagName !== 'INPUT' && node.scrollWidth > node.clientWidth + 1)
  .map((node) => [node.tagName, node.id, node.className, node.textContent.slice(0, 40)])"""

Opened = Callable[..., Page]


def labels(number: int) -> Json:
    return {"name": "Antenna %d" % number, "area": ("North", "South")[number % 2]}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), PORT, ITEMS, labels) as made:
        made.judge()
        yield made


@pytest.fixture
def go(screen: Screen, shown: Stage) -> Iterator[Opened]:
    opened: list[Page] = []
    errors: list[str] = []

    def open_page(view: str = "", width: int = 1280, height: int = 800) -> Page:
        page = screen.context.new_page()
        opened.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if wrong(said) else None)
        page.set_viewport_size({"width": width, "height": height})
        page.goto(shown.url + view)
        page.locator("body:not(.loading)").wait_for()
        page.locator("#matrix .item").first.wait_for()
        return page

    shown.core.asked.clear()
    yield open_page
    for page in opened:
        page.close()
    assert errors == []


def wrong(said: ConsoleMessage) -> bool:
    """Whether a line of the console is an error; that a wrong request was refused is none."""
    return said.type == "error" and "422" not in said.text


def clicks(page: Page, *selectors: str) -> int:
    for selector in selectors:
        if ".go" in selector:
            page.locator("#reason").fill("a test")
        page.locator(selector).first.click()
    return len(selectors)


def test_item_and_verdict_are_16_minutes_of_arc_high_at_3_m(go: Opened) -> None:
    for width, height in ((1280, 720), (1920, 1080), (3840, 2160)):
        page = go("#size=large", width, height)
        for name in (".id", ".word"):
            pixels = page.evaluate(
                """(name) => { const style = getComputedStyle(document.querySelector('#matrix ' + name));
                  const pen = document.createElement('canvas').getContext('2d');
                  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
                  return pen.measureText('H').actualBoundingBoxAscent; }""",
                name,
            )
            arc = math.degrees(math.atan(pixels * SCREEN_MM / width / AFAR_MM)) * 60
            assert arc >= ARC_MINUTES, (width, name, arc)


def test_nothing_is_clipped_and_nothing_lies_beyond_the_edge_at_any_size(go: Opened, shown: Stage) -> None:
    shown.change("02", cause="data bus crashed on server_2; server_3 is full (needs 42, has 16), server_1 is down")
    views = ("#size=large", "#size=rows", "#size=dense", "#group=area", "#panel=item:02", "#panel=past", "#wall=15")
    for view in views:
        page = go(view)
        for width, height in ((320, 640), (390, 844), (640, 400), (1280, 800), (1920, 1080), (3840, 2160)):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            where = (view, width)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
            assert page.evaluate(CLIPPED) == [], where
        page.close()
    shown.change("02", verdict="operational", cause="")


def test_a_row_takes_one_line_after_midnight_too(go: Opened, shown: Stage) -> None:
    page = go("#size=rows")
    high = "(id) => document.querySelector(`#matrix [data-item='${id}']`).getBoundingClientRect().height"
    before = page.evaluate(high, "03")
    ages = {"03": 20 * 3600.0, "04": 40 * 3600.0, "05": 90 * 86400.0}
    shown.put(
        lambda d: dict(d, items=[dict(i, since=d["at"] - ages.get(i["item"], 3600.0)) for i in d["items"]])
    )
    page.locator('#matrix [data-item="05"] .since', has_text="90 days").wait_for()
    assert [page.evaluate(high, item) for item in ages] == [before] * 3


def test_the_panel_is_part_of_the_address_and_back_goes_back(go: Opened) -> None:
    page = go()
    page.locator('#matrix [data-item="04"]').click()
    page.locator("#detail-title", has_text="Item 04 · Antenna 4").wait_for()
    assert "panel=item%3A04" in page.url
    page.locator('[data-host="server_1"]').wait_for(state="hidden")
    page.go_back()
    page.locator("#detail").wait_for(state="hidden")
    page.go_forward()
    page.locator("#detail-title", has_text="Item 04").wait_for()
    other = go(page.url.partition("/#")[2] and "#" + page.url.partition("#")[2])
    other.locator("#detail-title", has_text="Item 04").wait_for()
    page.keyboard.press("Escape")
    page.locator("#detail").wait_for(state="hidden")
    assert "panel" not in page.url


def test_the_past_is_searched_and_a_moment_has_a_link(go: Opened, shown: Stage) -> None:
    shown.change("06", cause="its data bus crashed")
    shown.judge()
    shown.change("06", verdict="operational", cause="")
    shown.judge()
    shown.tell("stop scen2_srv_07 on server_1", "scen2_srv_07", who="root (Eve)", why="new fan")
    page = go()
    assert clicks(page, "#search-past") <= 3
    found = page.locator("#past-list li")
    page.locator("#past-item").fill("06")
    page.keyboard.press("Enter")
    page.locator("#past-list li", has_text="item 06").first.wait_for()
    only = "() => [...document.querySelectorAll('#past-list li')].every((row) => /06/.test(row.textContent))"
    page.wait_for_function(only)
    assert "item=06" in page.url
    page.locator("#past-item").fill("")
    page.locator("#past-person").fill("eve")
    page.keyboard.press("Enter")
    found.get_by_text("new fan").wait_for()
    assert found.count() == 1
    link = found.locator("a").get_attribute("href") or ""
    other = go(link)
    other.locator("#past-list li", has_text="new fan").wait_for()
    page.locator("#past-since").fill("yesterday noon")
    page.keyboard.press("Enter")
    page.locator("#detail .hint", has_text="is not").or_(page.locator("#detail .hint", has_text="no moment")).wait_for()


def test_a_selection_is_stopped_at_once_and_needs_a_reason_before_enter_counts(go: Opened, shown: Stage) -> None:
    page = go()
    for item in ("03", "05"):
        page.locator('#matrix [data-item="%s"]' % item).click(modifiers=["Control"])
    page.locator('#matrix [data-item="07"]').click(modifiers=["Shift"])
    page.locator("#selection b", has_text="4 selected").wait_for()
    page.locator("#selection").get_by_role("button", name="Stop…").click()
    dialog = page.locator("#ask")
    dialog.get_by_text("Stop 4 items?").wait_for()
    page.locator("#ask .go:enabled").wait_for()
    page.keyboard.press("Enter")
    dialog.get_by_text("Enter does it once there is a reason").wait_for()
    assert shown.core.asked == []
    page.keyboard.type("power works")
    page.locator("#person").fill("Eve")
    page.locator("#reason").focus()
    page.keyboard.press("Enter")
    page.locator("#said .note.good").wait_for()
    [asked] = shown.core.asked
    names = {"scen2_srv_%s" % item for item in ("03", "05", "06", "07")}
    assert (asked["kind"], set(asked["instances"]), asked["why"]) == ("stop", names, "power works")
    assert asked["who"].endswith(" (Eve)")
    page.keyboard.press("Escape")
    page.locator("#selection").wait_for(state="hidden")


def test_what_was_typed_stays_when_it_is_refused(go: Opened, shown: Stage) -> None:
    page = go("#panel=host:server_2")
    dialog = page.locator("#ask")
    page.get_by_role("button", name="Drain…").click()
    dialog.get_by_label("Reason").fill("new disk")
    dialog.get_by_label("Until").fill("14h00")
    page.locator("#ask .go:enabled").click()
    dialog.get_by_text("14h00 is not a time").wait_for()
    assert dialog.get_by_label("Reason").input_value() == "new disk"
    dialog.get_by_label("Until").fill("2h")
    shown.core.answer = lambda request: {"ok": False, "said": ["server_2 is suspect"], "results": {}}
    page.locator("#ask .go:enabled").click()
    note = page.locator("#said .note.bad", has_text="server_2 is suspect")
    note.get_by_role("button", name="Again…").click()
    dialog.get_by_text("Refused: server_2 is suspect").wait_for()
    assert dialog.get_by_label("Until").input_value() == "2h"
    shown.core.answer = done
    page.keyboard.press("Escape")


def done(request: Request) -> Json:
    return {"ok": True, "said": ["done"], "results": {}}


def test_a_long_act_tells_how_far_it_is_and_how_to_end_it(go: Opened, shown: Stage) -> None:
    page = go("#panel=host:server_2")
    shown.hold()
    page.get_by_role("button", name="Drain…").click()
    page.locator("#ask .go:enabled").click()
    note = page.locator("#said .note.wait")
    note.get_by_text("0 of 4 have left").wait_for()
    shown.tell("stop scen2_srv_02 on server_2", "scen2_srv_02")
    note.get_by_text("stop scen2_srv_02 on server_2").wait_for()
    note.get_by_role("button", name="Call it off…").wait_for()
    shown.release()
    page.locator("#said .note.good", has_text="Drain server_2: done").wait_for()


def test_a_window_is_asked_for_and_kept_or_given(go: Opened, shown: Stage) -> None:
    """The holder of item 08 is console_1, which is here; console_2 asks through the API, as its page does."""
    before = shown.desk.document
    shown.put(lambda d: dict(d, instances={**d["instances"], "scen2_hci_08": dict(
        d["instances"]["scen2_hci_08"], host="console_1", phase="running", state="running")}))  # fmt: skip
    page = go()
    for word, button, last in (("keep", "Keep it", "note"), ("give", "Give it", "open")):
        asked = shown.ask("console_2", "08", "shift change")
        band = page.locator("#asks .band", has_text="asks for item 08")
        band.get_by_text("shift change").wait_for()
        band.get_by_role("button", name=button).click()
        answer = asked.result(30)
        assert answer["ok"] == (word == "give"), answer
        assert shown.core.asked[-1]["kind"] == last
        band.wait_for(state="detached")
    assert shown.core.asked[-1]["take"] and shown.core.asked[-1]["console"] == "console_2"
    site = shown.desk.stage_site
    for silence, ok in (("keep", False), ("give", True)):
        type(shown.desk).stage_site = replace(site, settings=replace(site.settings, ask_wait=0.3, ask_silence=silence))
        answer = shown.ask("console_2", "08", "").result(30)
        assert answer["ok"] == ok, answer
    type(shown.desk).stage_site = site
    shown.put(lambda d: before)


def test_the_wall_has_no_buttons_and_turns_its_pages(go: Opened) -> None:
    page = go("#wall=3", 1920, 1080)
    page.locator("#page", has_text="page 1 of").wait_for()
    touched = "[...document.querySelectorAll('button, input, a')].filter((node) => node.checkVisibility()).length"
    assert page.evaluate(touched) == 0
    page.locator("#page", has_text="page 2 of").wait_for()
    page.keyboard.press("Escape")
    page.locator("#site-button").wait_for()


def test_letters_are_no_shortcuts_where_a_person_switched_them_off(go: Opened) -> None:
    page = go()
    page.keyboard.press("?")
    page.get_by_label("Letters are shortcuts on this screen").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.locator("#site-button").wait_for()
    assert page.locator("#detail").is_hidden()
    page.keyboard.press("?")
    page.get_by_label("Letters are shortcuts on this screen").check()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.locator("#detail-title", has_text="Site").wait_for()


def test_no_task_takes_more_than_3_clicks(go: Opened, shown: Stage) -> None:
    """The tasks of a control room, from the page as it opens to what they need. Typing is no click."""
    shown.change("02", cause="data bus crashed on server_2")
    shown.judge()
    row = '#matrix [data-item="02"]'
    tasks = {
        "what is wrong, and why": (),
        "open item 02 here": ((row + " .open"), "#said .note.good"),
        "what changed in the last hour": ("#search-past", "#past-list li"),
        "log of a failing program": (row + " .log", "#logs[open]"),
        "does losing server_2 matter": ('[data-host="server_2"]', "#detail dt:text('If it died')"),
        "maintenance of server_2": (
            '[data-host="server_2"]', "#detail button:text('Drain…')", "#ask .go:enabled", "#said .note.good",
        ),
        "restart item 02": (row, "#detail button:text('Restart')", "#ask .go:enabled", "#said .note.good"),
        "write a note": (row, "#detail button:text('Note…')", "#ask .go:enabled", "#said .note.good"),
        "hand over to the next shift": ("#alarms a[href*=handover]", "#parts section"),
    }
    for task, steps in tasks.items():
        page = go()
        page.locator(row + " .cause", has_text="data bus crashed").wait_for()
        *pressed, last = steps or ("",)
        assert clicks(page, *pressed) <= 3, task
        if last:
            page.locator(last).first.wait_for()
        page.close()
    shown.change("02", verdict="operational", cause="")


@pytest.mark.parametrize("view", ["", "#size=dense", "#group=area", "#panel=past", "#panel=item:02", "#wall=15"])
def test_axe_finds_no_barrier(go: Opened, view: str) -> None:
    if not AXE:
        pytest.skip("MUSTER_TEST_AXE names no axe-core")
    page = go(view)
    page.locator('#matrix [data-item="02"]').click(modifiers=["Control"])
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
