# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured scenario gives the same plan as its site, and holds no field that may contain a secret."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.cli import capture
from monitor.cli.places import UsageError
from monitor.core.model import probe, site
from monitor.core.report import scenario
from tests import scenario_form
from tests.small_site import small_site

SECRET = "tulip-4711"
NOT_KEPT = {
    site.Site: {"state_dir", "hooks", "ledger", "alarms"},
    site.Host: {"address", "root", "user", "display", "connection", "ssh"},
    site.Item: {"variables"},
    site.Terms: set(),
    site.Application: {"ports", "files", "template", "limits", "reserves", "learn", "lease_lost"},
    site.Need: set(),
    site.Program: {"command", "environment", "stop_signal", "directory", "umask", "nice", "log", "user", "group",
                   "limits", "sandbox", "window"},
    site.Bus: set(),
    site.Service: {"command", "environment", "ports", "files", "user", "group", "limits", "sandbox"},
    site.Settings: {"artifacts", "artifacts_size", "trail_days", "past_days", "api", "api_address", "api_port",
                    "ask_wait", "ask_silence", "lease", "lease_margin", "clock_error", "lease_port", "power_fence",
                    "power_fence_timeout", "reconcile_interval", "backup_folder", "backup_interval", "backup_keep"},
    probe.Probe: {"port", "user", "password_file", "token_file", "tls", "topic", "path", "status", "text", "command",
                  "program"},
}  # fmt: skip


def captured(full: dict[str, Any], made: site.Site | None = None) -> dict[str, Any]:
    made = made or scenario.site_of(full)
    again = scenario.captured(
        made, full["ledger"], full["revision"], full["seen"], full["request"], full["now"], full["digests"],
        full["configs"] or {},
    )  # fmt: skip
    extra = {key: full[key] for key in ("configs", "answers", "run") if key in full}
    return {**again, **extra}


@pytest.mark.parametrize("path", scenario_form.files(), ids=scenario_form.name_of)
def test_a_captured_golden_scenario_gives_the_same_text(path: Path) -> None:
    given = scenario_form.load(path)["given"]
    if "steps" in given:
        given = {**{key: value for key, value in given.items() if key != "steps"}, "request": {"kind": "reconcile"}}
    full = scenario_form.full(given)
    kept = yaml.load(capture.dump("a test", captured(full), []), Loader=yaml.CSafeLoader)["given"]
    assert scenario.answer(kept) == scenario.answer(full)


@pytest.mark.parametrize("kind", NOT_KEPT, ids=lambda kind: kind.__name__)
def test_each_field_of_a_site_is_kept_or_left_out_on_purpose(kind: Any) -> None:
    """A new field fails here: add it to `scenario.KEPT` when plans depend on it, else to `NOT_KEPT`."""
    names = {field.name for field in dataclasses.fields(kind)}
    assert set(scenario.KEPT[kind]) | NOT_KEPT[kind] == names
    assert not set(scenario.KEPT[kind]) & NOT_KEPT[kind]


def spoiled(value: Any) -> Any:
    """The site with a secret in every field that is left out and can hold text."""
    if dataclasses.is_dataclass(value):
        changes = {}
        for field in dataclasses.fields(value):
            old = getattr(value, field.name)
            if field.name not in NOT_KEPT.get(type(value), ()):
                changes[field.name] = spoiled(old)
            elif isinstance(old, (str, tuple, dict)):
                changes[field.name] = {str: SECRET, tuple: (SECRET,), dict: {"password": SECRET}}[type(old)]
        return dataclasses.replace(value, **changes)  # type: ignore[type-var]
    if isinstance(value, tuple):
        return tuple(spoiled(entry) for entry in value)
    return value


def test_no_text_of_a_field_that_is_left_out_is_captured() -> None:
    full = scenario_form.full({"base": "three_running", "request": {"kind": "reconcile"}})
    bad = spoiled(small_site())
    assert json.dumps(site.to_json(bad)).count(SECRET) > 30
    full["seen"]["server_1"]["marker"] = full["seen"]["server_1"]["services_config"] = SECRET
    full["seen"]["server_1"]["instances"]["scen2_srv_01"]["programs"]["internal_data_bus"] = {"pid": 1, "line": SECRET}
    text = capture.dump("a test", captured(full, bad), [])
    assert SECRET not in text
    assert scenario.answer(yaml.safe_load(text)["given"]) == scenario.answer(full)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("a: [", "is not valid YAML"),
        ("given: {base: three_running}", "is not a captured scenario: it has no given.site"),
        ("- 1", "is not a captured scenario: it has no given.site"),
        ("given: {site: {name: x}}", "cannot be read: KeyError"),
        ("given: {site: 7, now: 1}", "cannot be read: TypeError"),
    ],
)
def test_a_file_that_is_no_captured_scenario_is_refused(
    text: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    path = tmp_path / "x.yml"
    if text is not None:
        path.write_text(text)
    try:
        with pytest.raises(UsageError, match=why):
            capture.plan(str(path), json=False)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("offset", "zone"), [(0, "<site>-00:00"), (7200, "<site>-02:00"), (-12600, "<site>+03:30")])
def test_the_time_zone_of_a_file(offset: int, zone: str) -> None:
    assert capture.zone({"utc_offset": offset}) == zone
