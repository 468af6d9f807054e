# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's panel about a rollout: how far it is, why it stopped, what has which configuration, and its buttons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from tests.browser.chromium import Look
from tests.integration.local_site import ROOT, SiteLab, wait_for

pytestmark = pytest.mark.long


def state_of(site: SiteLab) -> str:
    return str((site.seen()["rollout"] or {}).get("state"))


def test_a_rollout_that_stopped_says_why_and_is_ended(look: Callable[..., Look], site: SiteLab) -> None:
    good = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())["muster_applications"]
    bad = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())["muster_applications"]
    bad["scen2_srv"]["programs"]["data_processing"]["command"] = ["/bin/false"]
    site.set(muster_applications=bad, muster_rollout={"max_parallel": 1})
    try:
        assert site.play("deploy").rc != 0
        wait_for(lambda: state_of(site) == "stopped", "a rollout that stopped", site.monitor_log)
        seen = look()
        band = seen.page.locator('[data-band="rollout"]')
        band.get_by_text("stopped in batch 1 of 3").wait_for()
        band.get_by_role("button", name="Show").click()
        panel = seen.page.locator("#detail")
        panel.locator('.state[data-kind="bad"]', has_text="stopped").first.wait_for()
        panel.locator("[data-instance]", has_text="it went back").first.wait_for()
        panel.locator('[data-batch="2"]', has_text="waits").get_by_text("the former configuration").wait_for()
        assert panel.get_by_role("button", name="Pause").get_attribute("aria-disabled") == "true"
        seen.shot("rollout")
        panel.get_by_role("button", name="Abort").click()
        dialog = seen.page.locator("#ask")
        dialog.get_by_text("keep what they run with").wait_for()
        dialog.get_by_label("Reason").fill("a wrong command")
        dialog.get_by_role("button", name="Abort").click()
        wait_for(lambda: state_of(site) == "aborted", "a rollout that is over", site.monitor_log)
        panel.locator(".state", has_text="aborted").first.wait_for()
    finally:
        site.set(muster_applications=good, muster_rollout={})
        site.good("deploy")
