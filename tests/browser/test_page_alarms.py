# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of alarms on the page: one per cause, with what to do, until somebody has seen it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.browser.chromium import Look
from tests.integration.local_site import SiteLab, wait_for

Opened = Callable[..., Look]
AXE = os.environ.get("MUSTER_TEST_AXE", "")  # the file of axe-core, where there is one


@pytest.fixture(autouse=True)
def calm(site: SiteLab) -> Iterator[None]:
    yield
    site.muster("acknowledge", "--all")


def crash(site: SiteLab, name: str) -> None:
    before = site.claims()[name]["epoch"]
    os.kill(site.bus(name), signal.SIGKILL)
    wait_for(lambda: site.whole(name, before), "%s runs again" % name, site.monitor_log)


def test_a_crash_that_was_repaired_stays_until_it_is_acknowledged(look: Opened, site: SiteLab) -> None:
    assert site.muster("acknowledge", "--all").rc == 0  # what other tests of this site left
    seen = look()
    seen.page.evaluate("localStorage.clear()")
    seen.page.reload()
    seen.page.locator("#alarms-title", has_text="No alarms").wait_for()
    crash(site, "scen2_srv_02")
    alarm = seen.page.locator('#alarm-list [data-id="item:02"]')
    alarm.wait_for()
    assert alarm.locator(".says").inner_text().startswith("data bus of 02 crashed on server_")
    assert "To do: If it runs again, nothing." in alarm.inner_text()
    seen.page.locator('#alarm-list [data-state="came and went"]').wait_for()
    seen.page.locator("#news", has_text="1 alarm").wait_for()
    seen.shot("alarm")
    alarm.get_by_role("button", name="More about").click()
    assert "why" in alarm.locator(".all").inner_text()
    alarm.get_by_role("button", name="Acknowledge").click()
    alarm.wait_for(state="detached")
    seen.page.get_by_role("button", name="Seen", exact=True).click()
    assert seen.page.locator("#news").is_hidden()


def test_an_alarm_is_shelved_until_a_moment_only(look: Opened, site: SiteLab) -> None:
    seen = look()
    dialog = seen.page.locator("#ask")
    crash(site, "scen2_srv_03")
    alarm = seen.page.locator('#alarm-list [data-id="item:03"]')
    alarm.wait_for()
    alarm.get_by_role("button", name="Shelve").click()
    dialog.get_by_role("button", name="Shelve").click()
    dialog.get_by_text("nothing is shelved for good").wait_for()
    dialog.get_by_label("For how long").fill("30min")
    dialog.get_by_role("button", name="Shelve").click()
    seen.page.locator('#alarm-list [data-state="shelved"]').wait_for()
    assert "shelved until" in alarm.inner_text()
    seen.shot("shelved")
    alarm.get_by_role("button", name="Unshelve").click()
    seen.page.locator('#alarm-list [data-state="came and went"]').wait_for()


def test_what_fails_in_a_drill_is_apart_and_not_new(look: Opened, site: SiteLab) -> None:
    assert site.muster("acknowledge", "--all").rc == 0
    seen = look()
    dialog = seen.page.locator("#ask")
    seen.row("02").focus()
    seen.keys("Enter")
    seen.page.locator("#detail").get_by_role("button", name="Drill…").click()
    dialog.get_by_label("Reason").fill("exercise")
    dialog.get_by_role("button", name="Begin the drill").click()
    dialog.get_by_text("a drill ends by itself").wait_for()
    dialog.get_by_label("Until when").fill("30min")
    dialog.get_by_role("button", name="Begin the drill").click()
    drill = seen.page.locator('#drills [data-about="item:02"]')
    drill.get_by_text("No alarms yet.").wait_for()
    crash(site, "scen2_srv_02")
    drill.get_by_text("data bus of 02 crashed on").wait_for()
    assert seen.page.locator('#alarm-list [data-id="item:02"]').count() == 0
    assert seen.page.locator("#alarms-title").inner_text() == "No alarms"
    assert seen.fits()
    seen.shot("drill")
    drill.get_by_role("button", name="End the drill").click()
    drill.wait_for(state="detached")


def test_sound_is_off_until_it_is_allowed_and_silence_has_an_end(look: Opened) -> None:
    seen = look()
    sound = seen.page.locator("#sound")
    sound.get_by_role("button", name="Sound: off").click()
    sound.get_by_role("button", name="Sound: on").wait_for()
    sound.get_by_role("button", name="Silence 10 min").click()
    sound.get_by_role("button", name="Silent until").click()
    sound.get_by_role("button", name="Silence 10 min").wait_for()
    sound.get_by_role("button", name="Sound: on").click()
    sound.get_by_role("button", name="Sound: off").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_fits_and_has_no_barrier(look: Opened, site: SiteLab, scheme: str) -> None:
    seen = look()
    seen.page.emulate_media(color_scheme=scheme)
    crash(site, "scen2_srv_01")
    alarm = seen.page.locator('#alarm-list [data-id="item:01"]')
    alarm.wait_for()
    alarm.get_by_role("button", name="More about").click()
    for wide in (1280, 1024, 640, 320):
        seen.page.set_viewport_size({"width": wide, "height": 800})
        assert seen.fits(), wide
        seen.shot("alarms_%s_%d" % (scheme, wide))
    seen.page.set_viewport_size({"width": 1280, "height": 800})
    if AXE:
        with open(AXE, encoding="utf-8") as file:
            script = file.read()
        seen.page.evaluate(script)
        found = seen.page.evaluate("axe.run()")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
    seen.page.emulate_media(color_scheme="light")


def test_the_worst_can_come_first_and_places_are_fixed_otherwise(look: Opened, site: SiteLab) -> None:
    seen = look()
    assert site.muster("stop", "02", "--why", "a test").rc == 0
    seen.until_verdict("02", "stopped")
    order = "() => [...document.querySelectorAll('#matrix .item')].map((row) => row.dataset.item).join()"
    assert seen.page.evaluate(order) == "01,02,03"
    seen.page.get_by_role("button", name="worst first").click()
    seen.until("() => (%s)() === '02,01,03'" % order)
    assert "order=worst" in seen.page.url
    seen.page.get_by_role("button", name="worst first").click()
    seen.until("() => (%s)() === '01,02,03'" % order)
    assert site.muster("start", "02").rc == 0
    seen.until_verdict("02", "operational")
