# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a site about alarms: from the inventory to the published document, and the messages about errors in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.compile import compiler, errors
from monitor.core.model import site as site_model
from monitor.core.model.alarm import Rule
from tests.unit.embedded_site import raw_site

TEST_ITEM = {"items": ["0*"], "kinds": ["bus"], "between": "22:00-06:00", "priority": "low", "do": "Tell the lab."}


def test_rules_of_the_inventory_reach_the_published_site() -> None:
    site = compiler.compile_site(raw_site(muster_alarms=[TEST_ITEM, {"off": True}]))
    again = site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site))))
    assert again.alarms == site.alarms == (
        Rule(("bus",), ("0*",), (), "22:00-06:00", "low", "Tell the lab."), Rule(off=True))  # fmt: skip


def test_a_site_that_was_published_before_there_were_rules() -> None:
    document = site_model.site_to_json(compiler.compile_site(raw_site()))
    assert document.pop("alarms") == []
    assert site_model.site_from_json(document).alarms == ()


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        ({"priority": "low"}, "muster_alarms", "must be a list"),
        ([{**TEST_ITEM, "kinds": ["buss"]}], "muster_alarms[0].kinds", "did you mean bus?"),
        ([{**TEST_ITEM, "items": ["77"]}], "muster_alarms[0].items", '"77" fits no item of this site'),
        ([{**TEST_ITEM, "hosts": ["sever_1"]}], "muster_alarms[0].hosts", "did you mean server_1?"),
        ([{**TEST_ITEM, "between": "22-6"}], "muster_alarms[0].between", "write it as 22:00-06:00"),
        ([{**TEST_ITEM, "priority": "urgent"}], "muster_alarms[0].priority", "high"),
        ([{**TEST_ITEM, "prioriti": "low"}], "muster_alarms[0].prioriti", "did you mean priority?"),
        ([TEST_ITEM, {"items": ["01"]}], "muster_alarms[1]", "this rule says nothing"),
        ([{**TEST_ITEM, "after": -1}], "muster_alarms[0].after", "0"),
    ],
)
def test_errors_are_reported_with_their_place(rules: Any, path: str, says: str) -> None:
    with pytest.raises(errors.SiteErrors) as caught:
        compiler.compile_site(raw_site(muster_alarms=rules))
    [error] = caught.value.errors
    assert error.path == path
    assert says in error.line()
