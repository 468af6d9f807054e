# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of a site: from the inventory to the monitor's document, and the messages about errors in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.compile import compiler, errors
from monitor.core.model import site as site_model
from monitor.core.model.site import Hook
from monitor.core.report import watch_list
from monitor.judge.watch_list import parse
from tests.small_site import small_state
from tests.unit.embedded_site import raw_site

MAIL = {"command": ["/usr/local/bin/tell", "--to", "shift"], "on": ["not operational", "operational"], "debounce": 20}

ALARM = {"command": ["muster-notify", "syslog"], "about": "alarms", "on": ["raised"], "priority": ["high"]}


def test_hooks_of_the_inventory_reach_the_monitor() -> None:
    raw = raw_site(muster_hooks=[MAIL, {"command": ["/usr/bin/env"]}, ALARM])
    site = site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(compiler.compile_site(raw)))))
    seen = parse(json.loads(json.dumps(watch_list.watch_document(site, small_state(), 3))))
    assert seen.hooks == (
        Hook(("/usr/local/bin/tell", "--to", "shift"), ("not operational", "operational"), 20.0, 30.0),
        Hook(("/usr/bin/env",), ("all",), 5.0, 30.0),
        Hook(("muster-notify", "syslog"), ("raised",), 5.0, 30.0, "alarms", ("high",)),
    )


def test_a_site_without_hooks_and_one_published_before_there_were_any() -> None:
    document = site_model.site_to_json(compiler.compile_site(raw_site()))
    assert document.pop("hooks") == []
    assert site_model.site_from_json(document).hooks == ()


@pytest.mark.parametrize(
    ("hooks", "path", "says"),
    [
        ("/usr/bin/env", "muster_hooks", "must be a list"),
        (["/usr/bin/env"], "muster_hooks[0]", "must be a mapping"),
        ([{}], "muster_hooks[0]", "this hook needs command"),
        ([{"command": "/usr/bin/env -0"}], "muster_hooks[0].command", "must be a list of arguments"),
        ([{"command": ["notify"]}], "muster_hooks[0].command", 'the program "notify" is not an absolute path'),
        ([{**MAIL, "on": ["operatonal"]}], "muster_hooks[0].on", "did you mean operational?"),
        ([{**ALARM, "on": ["raisd"]}], "muster_hooks[0].on", "did you mean raised?"),
        ([{**ALARM, "on": ["operational"]}], "muster_hooks[0].on", "is not an event of alarms"),
        ([{**ALARM, "priority": ["hih"]}], "muster_hooks[0].priority", "did you mean high?"),
        ([{**MAIL, "priority": ["high"]}], "muster_hooks[0].priority", "is only of hooks about alarms"),
        ([MAIL, {**MAIL, "timeout": 0}], "muster_hooks[1].timeout", "from 0.1 to 3600"),
        ([{**MAIL, "debouce": 3}], "muster_hooks[0].debouce", "did you mean debounce?"),
    ],
)
def test_errors_are_reported_with_their_place(hooks: Any, path: str, says: str) -> None:
    with pytest.raises(errors.SiteErrors) as caught:
        compiler.compile_site(raw_site(muster_hooks=hooks))
    [error] = caught.value.errors
    assert error.path == path
    assert says in error.line()
