# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed on hosts is complete, needs nothing but Python itself, and is read by the oldest Python there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitor.shared import _agent_files, _listen

FOLDER = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"


def imports(name: str) -> Iterator[tuple[int, str]]:
    """(level, module) of every import of a file; names of siblings for ``from . import a, b``."""
    for node in ast.walk(ast.parse((FOLDER / name).read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level and not node.module:
                yield from ((node.level, alias.name) for alias in node.names)
            else:
                yield node.level, node.module or ""


def installed(name: str) -> Iterator[str]:
    """Modules that a file loads from the installed agent, by name: it may have been sent to the host alone."""
    for node in ast.walk(ast.parse((FOLDER / name).read_text())):
        if isinstance(node, ast.Constant) and str(node.value).startswith("muster_host._"):
            yield str(node.value).removeprefix("muster_host.")


@pytest.mark.parametrize("name", _agent_files.NAMES)
def test_a_file_of_the_agent_imports_only_python_and_other_files_of_the_agent(name: str) -> None:
    for level, module in imports(name):
        if level:
            assert level == 1 and module + ".py" in _agent_files.NAMES, module
        else:
            allowed = {"psutil"} if name == "_hostload.py" else set()
            assert module.split(".")[0] in sys.stdlib_module_names | allowed, module


@pytest.mark.parametrize("name", _agent_files.NAMES)
def test_a_file_of_the_agent_is_python_3_8(name: str) -> None:
    ast.parse((FOLDER / name).read_text(), feature_version=(3, 8))


def test_the_agent_is_complete() -> None:
    seen: set[str] = set()
    todo = ["_agent.py"]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [module + ".py" for level, module in imports(name) if level]
            todo += [module + ".py" for module in installed(name)]
    assert seen == set(_agent_files.NAMES)


def test_the_command_for_people_of_a_console_is_complete_and_no_more_than_that() -> None:
    variables = yaml.safe_load((FOLDER.parents[1] / "roles/monitor/vars/main.yml").read_text())
    names = variables["monitor_console_files"]
    for name in names:
        ast.parse((FOLDER / name).read_text(), feature_version=(3, 8))
    seen: set[str] = set()
    todo = ["_console.py"]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [module + ".py" for level, module in imports(name) if level]
    # What only a type checker looks into is not there.
    assert seen - {"_model.py", "_probes.py"} == set(names)
    assert variables["monitor_api_folder"] == _listen.SHARED
