# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be templated, and templates that are nowhere: every one is an error with the key where it is written."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
UTILS = "ansible_collections.control_room.muster.plugins.plugin_utils."


class HostVars(dict):  # type: ignore[type-arg]
    """Variables of hosts, as they are written."""

    def raw_get(self, host: str) -> Any:
        return self[host]


@pytest.fixture
def utils(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of `plugin_utils` by its name, found as Ansible finds it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "collections"))
    yield lambda name: importlib.import_module(UTILS + name)
    for name in set(sys.modules) - before:
        if name.startswith("ansible_collections"):
            del sys.modules[name]


def test_every_variable_that_cannot_be_templated_is_an_error_of_its_own(
    utils: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = utils("_inventory")
    monkeypatch.setattr(inventory, "_of_the_inventory", lambda hostvars: hostvars)

    class Templar:
        def copy_with_new_env(self, **_given: Any) -> Any:
            return self

        def template(self, text: str) -> str:
            if "nobody" in text:
                raise inventory.AnsibleError("'nobody' is undefined")
            return text

    written = {"muster_site": "s", "muster_items": ["{{ nobody }}"], "muster_services": {"bus": "{{ nobody }}"}}
    task_vars = {"hostvars": HostVars(c=written), "groups": {"muster_controller": ["c"]}}
    with pytest.raises(Exception, match="nobody") as found:
        inventory.gather(Templar(), task_vars)
    errors = found.value.errors  # type: ignore[attr-defined]
    assert [(error.keys, error.message) for error in errors] == [
        (("muster_items",), "'nobody' is undefined"),
        (("muster_services",), "'nobody' is undefined"),
    ]


def test_every_template_that_is_nowhere_is_an_error_of_its_own(utils: Any, tmp_path: Path) -> None:
    (tmp_path / "there.j2").write_text("")
    raw = {
        "muster_applications": {"srv": {"files": {"a.conf": "there.j2", "b.conf": {"template": "none.j2"}}}, "w": {}},
        "muster_services": {"bus": {"files": {"bus.conf": "neither.j2"}}},
    }
    task_vars = {"ansible_inventory_sources": [str(tmp_path)], "playbook_dir": ""}
    errors = utils("_compiled")._without_template(raw, task_vars)
    assert [error.path for error in errors] == [
        'muster_applications.srv.files["b.conf"].template',
        'muster_services.bus.files["bus.conf"]',
    ]
    assert all(error.message.startswith("no template n") for error in errors)
