# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and fixtures of the browser tests: a real Chromium looks at the page of a real monitor of a real site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Look, Screen, missing
from tests.integration.local_site import SiteLab, site_lab, wait_for


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        help="write what the page looks like into this folder, such as docs/img; then look at it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing()
    if why:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """One Chromium for all tests, with an empty profile of its own."""
    with Screen.on(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="session")
def site() -> Iterator[SiteLab]:
    with site_lab(58) as deployed:
        deployed.start_monitor()
        yield deployed


@pytest.fixture
def look(screen: Screen, site: SiteLab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Look]]:
    """Opens the page at a host of the site. Afterwards: no error in the console, no request beyond loopback."""
    wait_for(lambda: settled(site), "all items operational", site.monitor_log)
    folder = request.config.getoption("--screenshots")
    opened: list[Look] = []

    def go(host: str = "controller", **options: Any) -> Look:
        opened.append(Look(screen, site, host, Path(folder) if folder else None, **options))
        return opened[-1]

    yield go
    for page in opened:
        page.close()
    for page in opened:
        assert page.errors == []
        assert page.strangers == []


def settled(site: SiteLab) -> bool:
    try:
        return all(item["verdict"] == "operational" for item in site.seen()["items"])
    except OSError:  # its API has not begun to listen
        return False
