# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the page can be read: sizes, contrast, shapes beside colours, and 200 items."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from tests.browser.chromium import Look, trail
from tests.integration.local_site import SiteLab

Opened = Callable[..., Look]
KINDS = ("bad", "warn", "wait", "unknown", "good", "off")
MANY = 200
ROWS = "(n) => Number(document.querySelector('#matrix').getAttribute('aria-rowcount')) === n"

# The contrast of text on what lies behind it, as WCAG 2 computes it.
CONTRAST = """(selector) => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const found = [];
  for (const node of document.querySelectorAll(selector)) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !node.checkVisibility()) continue;
    let behind = node;
    while (behind && (parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const back = light(parts(getComputedStyle(behind || document.body).backgroundColor));
    const front = light(parts(getComputedStyle(node).color));
    const ratio = (Math.max(back, front) + .05) / (Math.min(back, front) + .05);
    found.push([Math.round(ratio * 10) / 10, node.textContent.slice(0, 40), node.className]);
  }
  return found;
}"""

# One row, card, note and state of each kind, made of the page's own style, so that all of them are measured.
SAMPLES = """(kinds) => {
  const box = document.createElement('div');
  box.id = 'samples';
  for (const kind of kinds) {
    const row = document.querySelector('#matrix .item').cloneNode(true);
    row.dataset.kind = kind;
    const card = document.querySelector('#host-list .host').cloneNode(true);
    card.dataset.kind = kind;
    card.querySelector('.word').textContent = kind;
    const state = Object.assign(document.createElement('span'), { className: 'state', textContent: kind });
    state.dataset.kind = kind;
    const band = Object.assign(document.createElement('p'), { className: `band ${kind}`, textContent: kind });
    const note = Object.assign(document.createElement('p'), { className: `note ${kind}`, textContent: kind });
    box.append(row, card, state, band, note);
  }
  document.querySelector('#items').append(box);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_it_needs(look: Opened, scheme: str) -> None:
    seen = look("console_1")
    seen.page.emulate_media(color_scheme=scheme)
    seen.row("01").click()
    if scheme == "dark":
        seen.shot("dark")
    seen.page.evaluate(SAMPLES, list(KINDS))
    measured = seen.page.evaluate(CONTRAST, "body *")
    assert len(measured) > 60
    assert [one for one in measured if one[0] < 4.5] == []
    seen.page.emulate_media(color_scheme="light")


def test_colour_is_never_alone(look: Opened) -> None:
    seen = look()
    shapes = seen.page.evaluate(
        """async (kinds) => {
          const { shape } = await import('/static/dom.js');
          return kinds.map((kind) => [...shape(kind).children].map((part) => part.outerHTML).join());
        }""",
        list(KINDS),
    )
    assert len(set(shapes)) == len(KINDS)


def test_nothing_is_beyond_the_edge_and_letters_are_large(look: Opened) -> None:
    seen = look()
    for size in ("rows", "dense", "large"):
        seen.page.get_by_role("button", name=size, exact=True).click()
        seen.until("(size) => document.querySelector('#items').dataset.size === size", size)
        assert seen.fits(), size
        assert seen.row("01").evaluate("(row) => row.scrollWidth <= row.clientWidth"), size
    heights = seen.page.evaluate(
        """() => ['.id', '.word'].map((name) =>
          parseFloat(getComputedStyle(document.querySelector('#matrix ' + name)).fontSize))"""
    )
    assert heights[0] >= 44 and heights[1] >= 34
    word = seen.row("02").locator(".word")
    word.evaluate("(node) => { node.textContent = 'not operational'; node.closest('.item').dataset.kind = 'bad'; }")
    assert seen.row("02").evaluate(
        """(row) => row.querySelector('.word').getBoundingClientRect().right
          <= row.querySelector('.verdict').getBoundingClientRect().right"""
    ), "the longest verdict fits"
    for narrow in (1024, 640):
        seen.page.set_viewport_size({"width": narrow, "height": 800})
        assert seen.fits(), narrow


def test_200_items_are_found_by_filter_word_and_verdict(look: Opened, site: SiteLab) -> None:
    before = site.seen()["items"]
    site.set(muster_items=["%02d" % number for number in range(1, MANY + 1)])
    try:
        site.good("deploy")
        seen = look()
        seen.until(ROWS, MANY)
        assert seen.page.locator("#items").get_attribute("data-size") == "dense"
        assert seen.fits()
        seen.shot("items_200")
        document = site.status()
        for verdict, count in document["counts"].items():
            chip = seen.page.locator('#counts [data-only="%s"]' % verdict)
            chip.click()
            seen.until(ROWS, count)
            chip.click()
        seen.keys("/")
        seen.page.keyboard.type("server_2")
        there = sum(item["services"]["host"] == "server_2" or "server_2" in item["cause"] for item in document["items"])
        seen.until(ROWS, there)
        seen.page.locator("#filter").fill("")
        seen.until(ROWS, MANY)
        seen.row("01").focus()
        seen.keys("ArrowRight", "ArrowDown")
        wide = seen.page.evaluate(
            """() => { const all = [...document.querySelectorAll('#matrix [role=row]')];
              return all.findIndex((node) => node.offsetTop !== all[0].offsetTop); }"""
        )
        seen.until("(item) => document.activeElement.dataset.item === item", "%02d" % (2 + wide))
    finally:
        site.set(muster_items=[item["item"] for item in before])
        site.good("deploy")


@pytest.mark.parametrize(
    ("ahead", "says"), [(630, "10 min ahead of the monitor's"), (-9000, "2 h behind the monitor's")]
)
def test_a_screen_whose_clock_differs_says_by_how_much_and_shows_the_monitor_s_times(
    look: Opened, site: SiteLab, ahead: int, says: str
) -> None:
    seen = look(ahead=ahead)
    seen.page.locator("#skew", has_text="this screen's clock is %s" % says).wait_for()
    newest = datetime.datetime.fromtimestamp(trail(site)[-1]["at"]).strftime("%H:%M:%S")
    assert newest in (seen.page.locator("#story-list li").first.text_content() or "")
