# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered files are remembered only where the result is certain, and rendered again when any input changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.plugin_utils import _render_memory

VALUES: dict[str, Any] = {"rate": 5, "names": ["a", "b"]}


def key(*sources: str, inputs: Any = None, values: dict[str, Any] = VALUES, code: Path | None = None) -> str | None:
    return _render_memory.key(sources, ["item"], values.__getitem__, inputs, [str(code)] if code else [])


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.id }} {{ rate * 2 }}",
        "{% for name in names | sort %}{{ name | upper }}{% endfor %}",
        "{{ names | map('upper') | join(',') }}",
        "{% if rate is defined and rate > 3 %}x{% endif %}",
        "{{ missing | default('none') }}",
    ],
)
def test_a_function_of_known_values_has_a_key(text: str) -> None:
    assert key(text)
    assert key(text) == key(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ lookup('file', '/etc/hostname') }}",
        "{{ query('env', 'HOME') }}",
        "{{ now() }}",
        "{{ hostvars['a'].b }}",
        "{{ names | random }}",
        "{{ names | shuffle }}",
        "{{ 'x' | password_hash }}",
        "{{ names | map('random') }}",
        "{{ 'f' is file }}",
        "{% include 'other.j2' %}",
        "{% import 'macros.j2' as m %}",
        "{{ names | own.collection.filter }}",
        "{{ not closed",
    ],
)
def test_a_template_that_may_read_other_inputs_has_no_key(text: str) -> None:
    assert key(text) is None
    assert key("{{ item.id }}", text) is None


def test_every_input_changes_the_key(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("one")
    keys = [key("{{ rate }}", code=code), key("{{ rate }} ", code=code), key("{{ rate }}", inputs=["01"], code=code)]
    keys.append(key("{{ rate }}", values={"rate": 6}, code=code))
    keys.append(key("{{ rate }}", values={}, code=code))
    code.write_text("two")
    keys.append(key("{{ rate }}", code=code))
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_a_variable_that_no_template_names_does_not_matter() -> None:
    assert key("{{ rate }}", values={"rate": 5, "other": 1}) == key("{{ rate }}", values={"rate": 5, "other": 2})


def test_remembered_files_are_recalled_and_the_oldest_are_dropped(tmp_path: Path) -> None:
    folder = str(tmp_path / "memory")
    for number in range(12):
        path = _render_memory.remember(folder, "key%d" % number, {"digests.json": {"n": number}})
        assert json.loads((Path(path) / "digests.json").read_text()) == {"n": number}
    assert _render_memory.recall(folder, "key11") == str(Path(folder) / "key11")
    assert _render_memory.recall(folder, "key0") is None
    assert len(list(Path(folder).iterdir())) <= 8
    assert (tmp_path / "memory").stat().st_mode & 0o777 == 0o700


def test_remembering_the_same_twice_keeps_the_first(tmp_path: Path) -> None:
    first = _render_memory.remember(str(tmp_path), "k", {"a.json": 1})
    assert _render_memory.remember(str(tmp_path), "k", {"a.json": 1}) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["k"]
