# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all tests of this folder: booting it is cheap, deploying a site is not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.hosts import Lab
from tests.lab.hosts import lab as booted
from tests.lab.names import missing
from tests.lab.site import LabSite, deployed

HERE = Path(__file__).resolve().parent
ORDER = ("test_lab", "test_preflight", "test_site_over_ssh", "test_controller_elsewhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # tests/browser has it, too
        parser.addoption("--screenshots", metavar="FOLDER", help="write what windows look like into this folder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hosts as they were installed first, then those that are deployed; skipped with a sentence without a lab."""

    def place(item: pytest.Item) -> int:
        if item.path.parent != HERE:
            return -1
        return ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER)

    items.sort(key=place)
    why = missing()
    for item in items:
        if why and item.path.parent == HERE:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with booted() as made:
        yield made


@pytest.fixture(scope="session", params=["supervisor", "systemd"])
def site(request: pytest.FixtureRequest) -> Iterator[LabSite]:
    """Scenario 2 over ssh on hosts of its own, and its monitor: with each service manager."""
    with booted() as hosts, deployed(hosts, service_manager=request.param) as made:
        made.start_monitor()
        yield made
