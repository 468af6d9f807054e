# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of logs on the page of a real site: followed, searched, downloaded; hostile lines are text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Look
from tests.integration.local_site import SiteLab, wait_for

Opened = Callable[..., Look]


def add(site: SiteLab, item: str, text: bytes) -> None:
    instance = "scen2_srv_" + item
    path = site.root(site.claims()[instance]["host"]) / "log" / instance / "data_processing.log"
    with path.open("ab") as handle:
        handle.write(text)


def test_logs_are_followed_searched_and_downloaded(look: Opened, site: SiteLab, tmp_path: Path) -> None:
    seen = look()
    seen.row("02").focus()
    seen.keys("l")
    panel = seen.page.locator("#logs")
    panel.get_by_role("heading", name="Logs of 02").wait_for()
    panel.locator("#logs-lines li").first.wait_for()
    add(site, "02", b"<img src=x onerror=alert(1)> \x1b[2J \xff alarm raised\n")
    hostile = panel.locator("#logs-lines li", has_text="alarm raised")
    hostile.wait_for()
    assert hostile.locator(".text").text_content() == "<img src=x onerror=alert(1)> \\x1b[2J \\xff alarm raised"
    seen.shot("logs")
    add(site, "02", b"y" * 20000 + b"\n")
    panel.locator("#logs-lines li", has_text="bytes more)").wait_for()
    assert seen.fits()
    panel.get_by_label("Find").fill("ALARM RAISED")
    assert panel.locator("#logs-lines li:visible").count() == 1
    assert hostile.locator("mark").text_content() == "alarm raised"
    panel.get_by_label("Find").fill("")
    panel.get_by_role("button", name="data_processing").click()
    panel.get_by_role("heading", name="Logs of 02: data_processing").wait_for()
    panel.locator("#logs-lines li", has_text="alarm raised").wait_for()
    panel.get_by_role("button", name="Follow").click()
    with seen.page.expect_download() as loaded:
        panel.get_by_role("button", name="Download").click()
    loaded.value.save_as(tmp_path / "log")
    assert "data_processing <img src=x onerror=alert(1)> \\x1b[2J \\xff alarm raised" in (tmp_path / "log").read_text()
    panel.get_by_role("button", name="Before the last start").click()
    seen.until("() => !document.querySelector('#logs-lines').textContent.includes('alarm raised')")
    panel.get_by_role("button", name="Last failure").click()
    # Whether a test before this one let something of item 02 fail is not known here.
    seen.until(
        "() => document.querySelector('#logs-why').textContent === 'Nothing is kept of a failure.'"
        " || document.querySelector('#logs-lines li')"
    )
    seen.keys("Escape")
    seen.until("() => !document.querySelector('#logs').open")


def test_one_click_leads_from_a_row_that_is_not_normal_to_its_logs(look: Opened, site: SiteLab) -> None:
    seen = look()
    assert not seen.row("03").get_by_role("button", name="Logs of item 03").is_visible()
    assert site.muster("pause", "03", "--reason", "a test").rc == 0
    try:
        button = seen.row("03").get_by_role("button", name="Logs of item 03")
        button.wait_for()
        seen.shot("row")
        button.click()
        seen.page.locator("#logs").get_by_role("heading", name="Logs of 03").wait_for()
    finally:
        assert site.muster("resume", "03").rc == 0


def test_logs_and_programs_are_part_of_the_address(look: Opened, site: SiteLab) -> None:
    seen = look(view="#dialog=logs%3A02%2Fdata_processing")
    logs, programs = seen.page.locator("#logs"), seen.page.locator("#programs")
    logs.get_by_role("heading", name="Logs of 02: data_processing").wait_for()
    seen.keys("Escape")
    seen.until("() => !document.querySelector('#logs').open && !location.hash")
    programs_of(seen, "01").get_by_role("button", name="Log of config_manager").click()
    logs.get_by_role("heading", name="Logs of scen2_srv_01: config_manager").wait_for()
    assert "dialog=logs%3Ascen2_srv_01%2Fconfig_manager" in seen.page.url
    seen.page.go_back()
    seen.until("() => !document.querySelector('#logs').open && document.querySelector('#programs').open")
    assert "dialog=programs%3Ascen2_srv_01" in seen.page.url
    seen.page.go_back()
    seen.until("() => !document.querySelector('#programs').open")
    seen.page.go_forward()
    programs.get_by_text("MiB").first.wait_for()


def programs_of(seen: Look, item: str) -> Any:
    """The panel of the programs of an item, opened."""
    seen.row(item).focus()
    seen.keys("Enter")
    seen.page.locator("#detail").get_by_role("button", name="Programs").click()
    return seen.page.locator("#programs")


def test_one_program_is_restarted_stopped_and_started_from_the_page(look: Opened, site: SiteLab) -> None:
    seen = look()
    panel = programs_of(seen, "01")
    panel.get_by_text("MiB").first.wait_for()
    seen.shot("programs")
    before = site.programs("scen2_srv_01")
    dialog = seen.page.locator("#ask")
    for verb, there in (("Restart", True), ("Stop", False), ("Start", True)):
        panel.get_by_role("button", name=verb + " config_manager", exact=True).click()
        dialog.get_by_label("Reason").fill("a test")
        dialog.get_by_role("button", name=verb, exact=True).click()
        other = before["config_manager"]
        wait_for(lambda there=there, other=other: (
            ("config_manager" in site.programs("scen2_srv_01")) is there
            and site.programs("scen2_srv_01").get("config_manager") != other), verb, site.monitor_log)  # fmt: skip
    panel.get_by_role("button", name="Signal config_manager", exact=True).click()
    dialog.get_by_label("Signal").fill("WINCH")
    dialog.get_by_role("button", name="Signal", exact=True).click()
    seen.page.get_by_text("WINCH to config_manager of scen2_srv_01").first.wait_for()
    assert {n: p for n, p in site.programs("scen2_srv_01").items() if n != "config_manager"} == {
        n: p for n, p in before.items() if n != "config_manager"}  # fmt: skip


@pytest.mark.long  # waits for two minutes
def test_a_plot_for_each_figure_shows_what_a_program_used(look: Opened, site: SiteLab) -> None:
    seen = look()
    panel = programs_of(seen, "02")
    asked = panel.get_by_role("button", name="What internal_data_bus used over time")

    def drawn() -> bool:
        asked.click()
        panel.locator("#programs-past").get_by_text(re.compile("Memory: .* MiB now|Not enough is known")).wait_for()
        return panel.locator("#programs-past svg").count() == 4

    wait_for(drawn, "two minutes are kept", site.monitor_log, 150)
    assert "L" in str(panel.get_by_role("img", name=re.compile("Memory")).locator("path").get_attribute("d"))
    seen.shot("figures")
