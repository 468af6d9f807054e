# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page, looked at and worked with as people do: it shows what status says, and does what they choose."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from tests.browser.chromium import Look, exactly, strangers, trail
from tests.integration.local_site import SiteLab, wait_for

Opened = Callable[..., Look]


def test_the_page_shows_what_status_says(look: Opened, site: SiteLab) -> None:
    seen = look()
    seen.shot("page")
    status = site.status()
    rows = seen.page.evaluate(
        """() => [...document.querySelectorAll('#matrix [role=row]')].map((row) => ({
          item: row.querySelector('.id').textContent, verdict: row.querySelector('.word').textContent,
          services: row.querySelector('.services').textContent, windows: row.querySelector('.windows').textContent,
          cause: row.querySelector('.cause').textContent, since: row.querySelector('.since').textContent}))"""
    )
    assert [row["item"] for row in rows] == [item["item"] for item in status["items"]]
    for row, item in zip(rows, status["items"]):
        assert row["verdict"] == item["verdict"]
        assert row["services"] == item["services"]["host"]
        assert row["windows"] == (item["hci"]["host"] or "not open")
        assert row["cause"] == item["cause"]
        assert row["since"].startswith("since ")
    hosts = seen.page.locator("#host-list .name").all_text_contents()
    assert hosts == [host["host"] for host in status["hosts"]]
    for host in status["hosts"]:
        card = seen.page.locator('[data-host="%s"]' % host["host"])
        assert "reserved %d of %d %%" % (host["reserved"], host["limit"]) in (card.text_content() or "")
        assert card.locator("svg.spark path.reserved").count() >= 1
    newest = seen.page.locator("#story-list li").first
    assert int(newest.get_attribute("data-id") or 0) == trail(site)[-1]["id"]
    assert "monitor running" in (seen.page.locator("#monitor").text_content() or "")
    assert "N-1" in (seen.page.locator("#readiness").text_content() or "")


def test_an_item_opens_on_the_console_the_request_comes_from(look: Opened, site: SiteLab) -> None:
    there = look(source="console_2")
    assert "on console_2" in (there.page.locator("#caller").text_content() or "")
    there.row("02").get_by_role("button", name="Open here").click()
    there.row("02").locator(".windows", has_text=exactly("console_2")).wait_for()
    assert site.hosts_of("scen2_hci_02") == {"console_2"}
    assert any(e["who"] and e.get("from") == "console_2" and "scen2_hci_02" in e["what"] for e in trail(site))

    other = look("console_1")
    take = other.row("02").get_by_role("button", name="Take over")
    take.click()
    dialog = other.page.locator("#ask")
    dialog.get_by_text("is open on console_2").wait_for()
    go = dialog.get_by_role("button", name="Take over")
    go.click()
    assert dialog.is_visible(), "a take-over without a reason"
    dialog.get_by_label("Reason").fill("the night shift sits here")
    go.click()
    other.row("02").locator(".windows", has_text=exactly("console_1")).wait_for()
    wait_for(lambda: site.hosts_of("scen2_hci_02") == {"console_1"}, "the windows on console_1", site.monitor_log)
    assert any(e.get("from") == "console_1" and "night shift" in (e.get("why") or "") for e in trail(site))

    other.row("02").focus()
    other.keys("c")
    dialog.get_by_role("button", name="Close").click()
    other.row("02").locator(".windows", has_text=exactly("not open")).wait_for()
    assert site.hosts_of("scen2_hci_02") == set()


def test_nothing_opens_where_no_console_is(look: Opened, site: SiteLab) -> None:
    seen = look("server_1")
    assert "server_1 (no console)" in (seen.page.locator("#caller").text_content() or "")
    button = seen.row("01").get_by_role("button", name="Open here")
    assert button.get_attribute("aria-disabled") == "true"
    assert "server_1, which is no console" in (button.get_attribute("title") or "")
    before = trail(site)[-1]["id"]
    button.click(force=True)
    seen.page.locator("#said", has_text="Nothing can be opened here").wait_for()
    seen.row("01").focus()
    seen.keys("o")
    seen.until("() => document.querySelectorAll('#said .note').length === 2")
    assert site.hosts_of("scen2_hci_01") == set()
    assert trail(site)[-1]["id"] == before


def test_by_keyboard_alone_an_item_is_opened_and_stopped(look: Opened, site: SiteLab) -> None:
    seen = look("console_3")
    seen.until("() => document.activeElement.dataset.item === '01'")
    seen.keys("ArrowDown", "ArrowDown", "o")
    seen.row("03").locator(".windows", has_text=exactly("console_3")).wait_for()

    seen.keys("Enter")
    seen.page.locator("#detail").get_by_role("button", name="Stop", exact=True).wait_for()
    seen.until("() => document.activeElement.textContent === 'Open here'")
    seen.keys("x")
    dialog = seen.page.locator("#ask")
    dialog.get_by_text("scen2_srv_03 on server_").wait_for()
    seen.page.keyboard.type("its sensor is exchanged")
    seen.keys("Enter")
    seen.until_verdict("03", "stopped")
    assert site.verdict("03")["verdict"] == "stopped"
    assert site.programs("scen2_srv_03") == {}
    told = [e for e in trail(site) if e.get("why") == "its sensor is exchanged"]
    assert told and {e.get("from") for e in told} == {"console_3"} and all(e["who"] for e in told)
    seen.page.locator("#story-list .why", has_text="its sensor is exchanged").first.wait_for()

    seen.keys("s")
    dialog.get_by_text("starts on server_").wait_for()
    seen.keys("Enter")
    seen.until_verdict("03", "operational")
    seen.keys("Escape")
    seen.until("() => document.activeElement.dataset.item === '03'")
    seen.keys("c")
    dialog.get_by_role("button", name="Close").wait_for()
    seen.keys("Enter")
    seen.row("03").locator(".windows", has_text=exactly("not open")).wait_for()
    seen.keys("?")
    seen.page.locator("#help").get_by_text("stop its services").wait_for()
    seen.keys("Escape")
    seen.until("() => !document.querySelector('dialog[open]')")


def test_a_dead_bus_changes_the_row_until_it_is_restarted(look: Opened, site: SiteLab) -> None:
    """The item is paused, so that the bus stays dead while the test looks."""
    seen = look()
    seen.row("01").focus()
    seen.keys("p")
    seen.page.locator("#ask").get_by_text("leaves item 01 to people").wait_for()
    seen.keys("Enter")
    seen.row("01").locator(".cause", has_text="paused").wait_for()
    before = site.claims()["scen2_srv_01"]["epoch"]
    os.kill(site.bus("scen2_srv_01"), signal.SIGKILL)
    seen.until_verdict("01", "not operational")
    row = seen.row("01")
    assert row.get_attribute("data-kind") == "bad"
    assert row.locator(".verdict svg.bad").count() == 1, "a shape beside the colour and the word"
    row.locator('.bus[data-kind="bad"]', has_text="services").wait_for()
    row.locator(".cause", has_text="scen2_srv_01").wait_for()
    seen.until("() => document.title.includes('1 not normal')")
    seen.keys("n")
    seen.until("() => document.querySelectorAll('#matrix [role=row]').length === 1")
    seen.keys("n")
    seen.until("() => document.querySelectorAll('#matrix [role=row]').length === 3")
    seen.shot("dead_bus")
    seen.keys("p")
    seen.page.locator("#ask").get_by_text("looks after item 01 again").wait_for()
    seen.keys("Enter")
    seen.until_verdict("01", "operational")
    assert site.claims()["scen2_srv_01"]["epoch"] > before
    seen.page.locator("#story-list .did", has_text="scen2_srv_01 runs on").first.wait_for()


def test_a_failed_action_stays_until_it_is_acknowledged(look: Opened, site: SiteLab) -> None:
    seen = look()
    dialog = seen.page.locator("#ask")
    seen.row("02").focus()
    seen.keys("x")
    dialog.get_by_text("It stays stopped").wait_for()
    seen.page.keyboard.type("a test")
    seen.keys("Enter")
    seen.until_verdict("02", "stopped")
    with strangers(site, 20008):
        seen.keys("s")
        dialog.get_by_text("starts on server_").wait_for()
        seen.keys("Enter")
        alarm = seen.page.locator('#alarm-list [data-id="item:02"]')
        alarm.wait_for()
        seen.shot("failed")
        seen.row("02").focus()
        seen.keys("x")
        dialog.get_by_text("It stays stopped").wait_for()
        seen.page.keyboard.type("a test")
        seen.keys("Enter")
        seen.until_verdict("02", "stopped")
    seen.page.locator('#alarm-list [data-id="item:02"][data-state="came and went"]').wait_for()
    alarm.get_by_role("button", name="Acknowledge").click()
    alarm.wait_for(state="detached")
    assert site.seen()["failures"] == []
    seen.row("02").focus()
    seen.keys("s")
    dialog.get_by_text("starts on server_").wait_for()
    seen.keys("Enter")
    seen.until_verdict("02", "operational")


def test_draining_a_host_shows_first_where_its_items_go(look: Opened, site: SiteLab) -> None:
    seen = look()
    host = site.claims()["scen2_srv_01"]["host"]
    seen.page.locator('[data-host="%s"]' % host).click()
    seen.page.locator("#detail svg.plot.large path.reserved").first.wait_for()
    seen.page.locator("#detail").get_by_text("B/s received").wait_for()
    seen.page.locator("#detail").get_by_text("Up for").wait_for()
    seen.page.get_by_role("button", name="Drain…").click()
    dialog = seen.page.locator("#ask")
    dialog.get_by_text("scen2_srv_01 goes to server_").wait_for()
    seen.shot("drain")
    dialog.get_by_label("Reason").fill("a new disk")
    dialog.get_by_role("button", name="Drain").click()
    seen.page.locator('#detail .state[data-kind="off"]', has_text="drained").wait_for()
    wait_for(lambda: site.hosts_of("scen2_srv_01") - {host}, "item 01 elsewhere", site.monitor_log)
    again = seen.page.locator("#detail").get_by_role("button", name="Use again")
    again.click()
    dialog.get_by_role("button", name="Use again").click()
    seen.page.locator('#detail .state[data-kind="good"]', has_text="up").first.wait_for()
    assert any(e.get("why") == "a new disk" for e in trail(site))


def test_a_host_that_answers_is_not_confirmed_down_by_a_slip(look: Opened, site: SiteLab) -> None:
    seen = look()
    before = site.claims()
    seen.page.locator('[data-host="server_2"]').click()
    seen.page.locator("#detail").get_by_role("button", name="It is down").click()
    dialog = seen.page.locator("#ask")
    dialog.get_by_text("server_2 answered at").wait_for()
    dialog.get_by_label("Reason").fill("the wrong one")
    go = dialog.get_by_role("button", name="It is down")
    assert go.is_disabled()
    name = dialog.get_by_label("If it is dead all the same, write server_2")
    name.fill("server_3")
    assert go.is_disabled()
    name.fill("server_2")
    assert go.is_enabled()
    seen.shot("answers")
    seen.keys("Escape")
    assert site.muster("host", "confirm-down", "server_2", "--reason", "the wrong one").rc == 5
    assert site.claims() == before


def test_enter_alone_stops_nothing_and_a_wrong_time_is_said_in_the_question(look: Opened, site: SiteLab) -> None:
    seen = look()
    before = site.claims()
    seen.row("01").focus()
    seen.keys("x")
    dialog = seen.page.locator("#ask")
    dialog.get_by_text("scen2_srv_01 on server_").wait_for()
    seen.keys("Enter")
    dialog.get_by_text("Enter does it once there is a reason").wait_for()
    seen.keys("Escape")
    seen.keys("p")
    dialog.get_by_label("Until").fill("14h00")
    dialog.get_by_role("button", name="Pause").click()
    dialog.get_by_text("14h00 is not a time").wait_for()
    assert dialog.is_visible()
    assert [error for error in seen.errors if "422" not in error] == []  # the browser itself notes the answer
    seen.errors.clear()
    seen.keys("Escape")
    assert site.claims() == before


def test_a_monitor_that_is_silent_or_dead_is_seen_at_once(look: Opened, site: SiteLab) -> None:
    seen = look("console_1")
    band = seen.page.locator('[data-band="stale"]')
    pid = int(json.loads((site.state / "run" / "monitor.json").read_text())["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        band.wait_for()  # its heartbeat is late
    finally:
        os.kill(pid, signal.SIGCONT)
    band.wait_for(state="detached")

    seen.quiet = True
    os.kill(pid, signal.SIGKILL)
    band.wait_for()
    band.wait_for(state="detached")  # its service manager has started it again

    site.stop_monitor()
    band.wait_for()
    assert "nothing can be done from here" in (band.text_content() or "")
    assert "grayscale" in seen.page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    assert seen.row("01").get_by_role("button", name="Open here").get_attribute("aria-disabled") == "true"
    seen.row("01").focus()
    seen.keys("x")
    seen.page.locator("#said", has_text="until it is back").wait_for()
    assert not seen.page.locator("#ask").is_visible()
    seen.shot("silent")
    site.start_monitor()
    band.wait_for(state="detached")
    seen.quiet = False
    seen.row("01").get_by_role("button", name="Open here").click()
    seen.row("01").locator(".windows", has_text=exactly("console_1")).wait_for()
    assert site.muster("close", "01").rc == 0


@pytest.mark.long
def test_a_monitor_that_cannot_read_the_status_is_seen(look: Opened, site: SiteLab) -> None:
    seen = look("console_1")
    band = seen.page.locator('[data-band="stale"]')
    seen.quiet = True
    ledger, away = site.state / "ledger.db", site.state / "away.db"
    ledger.rename(away)
    try:
        band.wait_for()
        assert "The monitor cannot read the status" in (band.text_content() or "")
        assert seen.row("01").get_by_role("button", name="Open here").get_attribute("aria-disabled") == "true"
    finally:
        away.rename(ledger)
    band.wait_for(state="detached")
    seen.quiet = False
