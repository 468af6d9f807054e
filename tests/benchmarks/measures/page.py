# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that a person waits after a click: from the key on the page, in Chromium, until all windows run."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_WINDOWS, Lab, dummies, laboratory
from tests.benchmarks.options import Options

ITEM, CONSOLE = "02", "console_3"
ITEMS = 3
AIM = 0.5


def measure(options: Options, report: Report) -> None:
    """A click on "Open here" on the page: until all windows run"""
    from tests.browser import chromium

    why = chromium.missing()
    if why:
        report.skip(why)
        return
    values = []
    from playwright.sync_api import Error

    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        lab.wait_until_ready()
        try:
            with chromium.Screen.on(lab.folder / "chromium") as screen:
                page = screen.context.new_page()
                page.goto(f"http://{lab.addresses[CONSOLE]}:{chromium.PORT}/")
                page.locator("body:not(.loading)").wait_for()
                for _run in range(options.count(10, 2)):
                    values.append(_click(lab, page, chromium))
        except Error as error:
            raise TimeoutError(f"the page did not do it: {error}") from error
    report.add(Figure("click on the page -> all windows running", values, aim=AIM))


def _click(lab: Lab, page: Any, kit: Any) -> float:
    """One opening, and everything as before afterwards."""
    lab.wait_until_ready()
    row = page.locator(f'#matrix [data-item="{ITEM}"]')
    button = row.get_by_role("button", name="Open here")
    button.hover()  # waits until it can be clicked; the hand is there already
    watcher = machine.Watcher(lab.identify)
    time.sleep(random.uniform(0.2, 1.0))
    at = time.time()
    page.mouse.down()
    page.mouse.up()
    seconds = watcher.wait_for({f"scen2_hci_{ITEM}": DUMMY_WINDOWS}, 30, 0.003) - at
    row.locator(".windows", has_text=kit.exactly(CONSOLE)).wait_for()
    lab.wait_until_ready()
    lab.play("close", muster_instances=[f"scen2_hci_{ITEM}"])
    row.locator(".windows", has_text=kit.exactly("not open")).wait_for()
    return seconds
