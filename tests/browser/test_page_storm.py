# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Most hosts fall silent together, on a site without leases: with them what stands still ends, and is not silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.browser.chromium import Look
from tests.integration.local_site import SiteLab, site_lab

Opened = Callable[..., Look]


@pytest.fixture(scope="module")
def site() -> Iterator[SiteLab]:
    settings = {"stable_after": 1, "api_address": "{{ local_net }}.1", "api_port": 8770, "exclusion": "none"}
    with site_lab(59, muster_settings=settings) as deployed:
        deployed.start_monitor()
        yield deployed


def test_a_storm_is_shown_across_the_page(look: Opened, site: SiteLab) -> None:
    seen = look()
    band = seen.page.locator('[data-band="storm"]')
    gone = ("server_1", "server_2", "console_1", "console_2")
    site.machine("freeze", *gone)
    try:
        band.wait_for()
        assert "nothing is acted on" in (band.text_content() or "")
        assert "fell silent together" in (band.text_content() or "")
        name = seen.page.locator('[data-host="server_1"][data-kind="warn"] .name')
        lines = name.evaluate("(node) => node.offsetHeight / parseFloat(getComputedStyle(node).fontSize)")
        assert lines < 2, "a host's name is in pieces beside its state"
        seen.shot("storm")
    finally:
        site.machine("thaw", *gone)
    band.wait_for(state="detached")
