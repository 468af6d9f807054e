# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts said last is corrected by what a run did there since: requests are planned over it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import last_seen, publish
from monitor.core.controller.places import SEEN_FILE
from monitor.core.model.site import Site
from tests.small_site import quiet_host, small_site

NAME = "scen2_srv_01"
COPY = {"epochs": [1], "claim": 1, "programs": {"internal_data_bus": {"pid": 1}}}


@pytest.fixture(name="site")
def site_fixture(tmp_path: Path) -> Site:
    site = dataclasses.replace(small_site(items=1), state_dir=str(tmp_path))
    stopped = quiet_host("console_1", service_manager="stopped", incarnation=None)
    last_seen.keep(site, {"console_1": stopped, "server_1": quiet_host("server_1", instances={NAME: COPY})}, 7, 1.0)
    return site


def seen(site: Site) -> dict[str, Any]:
    return dict(publish.read_published(site.state_dir, SEEN_FILE)["hosts"])


def test_a_service_manager_that_was_started_runs(site: Site) -> None:
    """A soak found it: a window could not be opened there before the next regular look."""
    last_seen.done(site, {"console_1": {"service_manager": "started", "incarnation": "boot/9", "results": {}}})
    assert seen(site)["console_1"]["service_manager"] == "running"
    assert seen(site)["console_1"]["incarnation"] == "boot/9"


def test_one_that_could_not_be_started_does_not(site: Site) -> None:
    last_seen.done(site, {"console_1": {"service_manager": "supervisord ended with 1", "results": {}}})
    assert seen(site)["console_1"]["service_manager"] == "stopped"


def test_what_was_stopped_is_not_there_any_more(site: Site) -> None:
    last_seen.done(site, {"server_1": {"results": {NAME: {"result": "failed"}}}})
    assert NAME in seen(site)["server_1"]["instances"]
    last_seen.done(site, {"server_1": {"results": {NAME: {"result": "stopped"}}}})
    assert NAME not in seen(site)["server_1"]["instances"]
