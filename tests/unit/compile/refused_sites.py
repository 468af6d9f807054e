# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site that is changed so that it must be refused, and the sentence that must come."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.compile import errors as compile_errors
from tests.unit.embedded_site import DELETE, changed, raw_site

SRV = "muster_applications/scen2_srv"
HCI = "muster_applications/scen2_hci"
PROGRAM = SRV + "/programs/data_processing"
GATE = SRV + "/programs/check_common_data_bus"
SERVICE = "muster_services/common_data_bus"
HOST = "inventory/hosts/server_2"
PROBE = SRV + "/bus/probe"
BARE: dict[str, Any] = {SRV + "/bus/port": DELETE}  # a mapping says its port itself
BUS_PROBE = "muster_applications.scen2_srv.bus.probe"


# What is tried, the change, the beginning of the one error that must come, and what else it must say.
Case = tuple[str, dict[str, Any], str, list[str]]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    """One test for each, with its name."""
    return pytest.mark.parametrize("case", cases, ids=[case[0] for case in cases])


def refused(case: Case) -> None:
    """With the change the site has this one error."""
    _name, change, beginning, also = case
    lines = lines_of(changed(raw_site(), change))
    assert len(lines) == 1, lines
    assert lines[0].startswith(beginning), lines[0]
    for part in also:
        assert part in lines[0]


def lines_of(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(compile_errors.SiteErrors) as caught:
        compiler.compile_site(raw)
    return caught.value.lines()
