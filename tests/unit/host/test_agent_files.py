# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files installed on hosts are complete, need nothing but Python, and run with the oldest supported Python."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitor.core.host import install
from monitor.core.host.machine import ownership
from plugins.plugin_utils import _agent_files

CORE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "_core"


def neighbours(path: Path) -> Iterator[Path]:
    """Files of the core that a file imports at any place of its code, those that only a type checker reads left out."""
    for node in executed(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            if node.module and folder.with_suffix(".py").exists():
                yield folder.with_suffix(".py")
            else:
                yield from (folder / f"{alias.name}.py" for alias in node.names)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def installed(path: Path) -> Iterator[Path]:
    """Modules that a file loads from the installed agent, by name: it may have been sent to the host alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and str(node.value).startswith("muster_host."):
            yield CORE.joinpath("host", *str(node.value).split(".")[1:]).with_suffix(".py")


def later(path: Path) -> Iterator[Path]:
    """Modules that `remove` loads by name."""
    if path.name == "remove.py":
        from monitor.core.host import remove

        yield from (CORE.joinpath("host", *name.split(".")).with_suffix(".py") for name in remove._IMPORTED_LATE)


def closure(start: Path) -> set[Path]:
    seen: set[Path] = set()
    todo = [start]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += [*neighbours(path), *installed(path), *later(path)]
    return seen


def test_the_room_of_the_host_is_the_agent_and_what_runs_at_boot() -> None:
    """Every file there is used by one of these or a guard, and they use no file of another room."""
    files = {CORE / "host" / name for name in _agent_files.texts()}
    at_boot = (CORE.parents[2] / "bin/muster-boot").read_text()
    assert "from muster_host import boot as does\n" in at_boot
    assert "from muster_host.alone import keep as does\n" in at_boot
    assert "from muster_host.service.systemd import guard as does\n" in at_boot
    guard = (CORE.parents[2] / "bin/muster-supervisor/muster_guard.py").read_text()
    of_guard = ("post", "stopping", "priority", "binding")
    assert str(of_guard).replace("'", '"') in guard and '"muster_host.lease." + name' in guard
    leases = ["lease/%s.py" % name for name in of_guard]
    roots = ("agent.py", "boot.py", "alone/keep.py", "service/systemd/guard.py", *leases)
    assert set().union(*(closure(CORE / "host" / name) for name in roots)) == files


@pytest.mark.parametrize("missing", ["", "agent.py", "observe.py", "service/choose.py", "machine", "machine/procs.py"])
def test_an_installed_agent_that_lacks_a_file_counts_as_absent(tmp_path: Path, missing: str) -> None:
    bundle = {"hash": "0123", "files": _agent_files.texts()}
    (tmp_path / "lib").mkdir()
    install.install(str(tmp_path), bundle)
    library = tmp_path / "lib" / "0123"
    path = library / install.PACKAGE / missing if missing else library
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    host = {"host": "h", "root": str(tmp_path), "site_id": "s", "controller": "c", "address": "127.0.0.1"}
    request = json.dumps({"verb": "observe", "load": False, "host": host}) + "\n"
    program = ownership.launcher(str(tmp_path), str(library), install.PACKAGE)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], input=request, capture_output=True, text=True)
    assert done.returncode and not done.stdout
    assert any(words in done.stderr for words in _agent_files.ABSENT), done.stderr


def test_the_agent_that_is_replaced_stays_for_those_who_run_it(tmp_path: Path) -> None:
    """However long ago it was installed: lines and listeners that began with it import files late."""
    (tmp_path / "lib").mkdir()
    for age, name in enumerate(("c", "b", "a"), start=1):
        install.install(str(tmp_path), {"hash": name, "files": {"agent.py": ""}})
        os.utime(tmp_path / "lib" / name, (1e9 - age, 1e9 - age))
    install.install(str(tmp_path), {"hash": "d", "files": {"agent.py": ""}})
    assert sorted(path.name for path in (tmp_path / "lib").iterdir()) == ["c", "d"]


def test_packages_of_the_core_have_no_code() -> None:
    """The agent's packages are made empty where it is installed."""
    for path in CORE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{path}: a docstring and nothing else"


def test_the_command_for_people_of_a_console_is_complete_and_no_more_than_that() -> None:
    variables = yaml.safe_load((CORE.parents[2] / "roles/monitor/vars/main.yml").read_text())
    names = set(variables["monitor_console_files"])
    reached = {path.relative_to(CORE).as_posix() for path in closure(CORE / "client/console.py")}
    assert reached == names
