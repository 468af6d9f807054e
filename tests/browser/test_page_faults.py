# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on the page, and what people do about them there: failures, conflicts, dead hosts, storms."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import pytest
import yaml

from tests.browser.chromium import Look, exactly, strangers, trail
from tests.integration.frozen_runs import frozen_runs
from tests.integration.local_site import ROOT, SERVERS, SiteLab, wait_for

Opened = Callable[..., Look]


def test_req_3_a_minor_and_a_major_failure_show_in_the_row_and_a_restart_mends_it(look: Opened, site: SiteLab) -> None:
    seen = look("console_1")
    row, dialog = seen.row("01"), seen.page.locator("#ask")
    row.get_by_role("button", name="Open here").click()
    row.locator(".windows", has_text=exactly("console_1")).wait_for()
    for instance, program, verdict, kind in (
        ("scen2_hci_01", "chart_view", "degraded", "warn"),
        ("scen2_srv_01", "config_manager", "not operational", "bad"),
    ):
        os.kill(site.program(instance, program), signal.SIGKILL)
        seen.until_verdict("01", verdict)
        assert row.get_attribute("data-kind") == kind
        assert row.locator(".verdict svg." + kind).count() == 1, "a shape beside the colour and the word"
        row.locator(".cause", has_text=program).wait_for()
    seen.shot("major")
    row.focus()
    seen.keys("r")
    dialog.get_by_text("scen2_srv_01 stops on server_").wait_for()
    dialog.get_by_label("Reason").fill("it lost a program")
    seen.keys("Enter")
    seen.until_verdict("01", "degraded")  # its windows still lack one
    assert "config_manager" in site.programs("scen2_srv_01")
    assert any(e.get("why") == "it lost a program" and e.get("from") == "console_1" for e in trail(site))
    row.focus()
    seen.keys("c")
    dialog.get_by_role("button", name="Close").click()
    seen.until_verdict("01", "operational")


def test_failures_are_forgotten_by_a_reset(look: Opened, site: SiteLab) -> None:
    """Paused, so that it is left as it failed."""
    seen = look()
    row, dialog = seen.row("02"), seen.page.locator("#ask")
    assert site.muster("pause", "02", "--why", "a test").rc == 0
    assert site.muster("stop", "scen2_srv_02").rc == 0
    row.focus()
    seen.keys("e")
    seen.page.locator("#said", has_text="there is nothing to forget").wait_for()
    with strangers(site, 20008):
        assert site.muster("start", "scen2_srv_02").rc != 0
        seen.until_verdict("02", "not operational")
    row.focus()
    seen.keys("e")
    dialog.get_by_text("failures of scen2_srv_02 are forgotten").wait_for()
    dialog.get_by_label("Reason").fill("the stranger left")
    seen.keys("Enter")
    seen.page.locator("#story-list .why", has_text="the stranger left").first.wait_for()
    wait_for(lambda: site.seen()["instances"]["scen2_srv_02"]["failures"] == 0, "its failures forgotten")
    assert site.status()["instances"]["scen2_srv_02"]["failures"] == 0
    assert site.muster("resume", "02").rc == 0
    seen.until_verdict("02", "operational")
    assert site.muster("acknowledge", "--all").rc == 0


def test_a_request_that_waits_is_withdrawn_beside_its_progress(look: Opened, site: SiteLab) -> None:
    seen = look()
    epoch = site.claims()["scen2_srv_02"]["epoch"]
    seen.row("02").focus()
    seen.keys("Enter")
    with frozen_runs(site):
        seen.page.locator("#detail").get_by_role("button", name="Restart", exact=True).click()
        seen.page.locator("#ask").get_by_role("button", name="Restart", exact=True).click()
        note = seen.page.locator("#said .note.wait", has_text="Restart 02")
        note.get_by_role("button", name="Withdraw").click()
        seen.page.locator("#said .note.off", has_text="scen2_srv_02 is withdrawn by").wait_for()
        note.wait_for(state="detached")
        seen.shot("withdrawn")
    assert site.muster("restart", "scen2_srv_01").rc == 0
    assert site.claims()["scen2_srv_02"]["epoch"] == epoch


def test_a_conflict_is_seen_decided_and_acknowledged(look: Opened, site: SiteLab) -> None:
    seen = look()
    dialog = seen.page.locator("#ask")
    applications = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())["muster_applications"]
    applications["scen2_srv"]["conflicts"] = "ask"
    site.set(muster_applications=applications)
    site.good("deploy")
    (home,) = site.hosts_of("scen2_srv_01")
    before = site.programs("scen2_srv_01")
    try:
        with site.stray("scen2_srv_01", next(host for host in SERVERS if host != home)) as copy:
            seen.row("01").focus()
            seen.keys("g")
            seen.page.get_by_role("button", name="Repair what differs").click()
            dialog.get_by_role("button", name="Repair").click()
            notice = seen.page.locator("#attention-list .notice", has_text="scen2_srv_01 runs on")
            notice.wait_for()
            assert notice.get_attribute("data-kind") == "bad"
            assert copy.poll() is None, "nothing is done before somebody decided"
            seen.shot("conflict")
            notice.get_by_role("button", name="Keep " + home).click()
            dialog.get_by_text("Only the copy on %s stays" % home).wait_for()
            dialog.get_by_role("button", name="Keep " + home).click()
            wait_for(lambda: copy.poll() is not None, "the other copy stopped", site.monitor_log)
        assert site.programs("scen2_srv_01") == before
        assert site.muster("reconcile").rc == 0
        notice.get_by_text("It is over").wait_for()
        notice.get_by_role("button", name="Acknowledge").click()
        notice.wait_for(state="detached")
        assert site.status()["conflicts"] == []
    finally:
        del applications["scen2_srv"]["conflicts"]
        site.set(muster_applications=applications)
        site.good("deploy")


@pytest.mark.long
def test_a_dead_console_is_confirmed_down_with_a_reason(look: Opened, site: SiteLab) -> None:
    seen = look()
    dialog, detail = seen.page.locator("#ask"), seen.page.locator("#detail")
    assert site.muster("open", "03", "--console", "console_3").rc == 0
    seen.page.locator('[data-host="console_3"]').click()
    with contextlib.ExitStack() as cures:
        site.machine("power_cut", "console_3")
        cures.callback(site.machine, "power_on", "console_3")
        detail.locator(".state", has_text=exactly("down")).wait_for()
        detail.get_by_role("button", name="It is down").click()
        dialog.get_by_text("Confirm only if console_3 is switched off").wait_for()
        dialog.get_by_role("button", name="It is down").click()
        assert dialog.is_visible(), "confirmed without a reason"
        dialog.get_by_label("Reason").fill("it lies on my desk")
        seen.shot("confirm_down")
        dialog.get_by_role("button", name="It is down").click()
        seen.page.locator("#story-list .did", has_text="console_3 is confirmed down").first.wait_for()
        assert any(e.get("why") == "it lies on my desk" for e in trail(site))
        assert site.muster("open", "03", "--console", "console_2").rc == 0, "the item is free again"
    detail.locator(".line .state", has_text=exactly("up")).wait_for()
    assert site.hosts_of("scen2_hci_03") == {"console_2"}
    assert site.muster("close", "03").rc == 0
