# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sites on one machine with the same addresses: the error of the second one names the first one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.host.host_in_a_folder import Host, host_fixture, seven  # noqa: F401 - a fixture


@pytest.fixture
def other() -> Iterator[Host]:
    """The same host name and address in a site of the same name, from another folder."""
    one = Host()
    try:
        one.prepare()
        yield one
    finally:
        one.close()


def test_a_port_taken_by_another_site_names_that_site_and_its_folder(host: Host, other: Host) -> None:
    known = seven(20111)
    for one in (host, other):
        one.define("app_01", known["programs"], ports=known["ports"], environment=known["environment"])
    assert other.do("start", "app_01", 1)["result"] == "running"
    bus = other.pids("app_01")["internal_data_bus"]
    refused = host.do("start", "app_01", 1)
    assert refused["result"] == "failed" and refused["started"] == []
    assert (
        "(process %d) of app_01 on server_1 of another muster site (test in %s)" % (bus, other.root)
        in refused["reason"]
    )
    assert "MUSTER_LOCAL_NET" in refused["reason"]


def test_a_port_taken_by_the_same_site_blames_no_other_one(host: Host) -> None:
    known = seven(20112)
    for name in ("app_01", "app_02"):
        host.define(name, known["programs"], ports=known["ports"], environment=known["environment"])
    assert host.do("start", "app_01", 1)["result"] == "running"
    reason = host.do("start", "app_02", 1)["reason"]
    assert " of app_01 on server_1" in reason
    assert "another muster site" not in reason
