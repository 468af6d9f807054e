# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the core: which may import which, and what the code in each may touch.

A room is a folder of ``plugins/module_utils/_core``. Code may import from its own room and from those named here.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "_core"
FILES = sorted(path for path in CORE.rglob("*.py") if path.name != "__init__.py")

# From top to bottom: each room may import every PURE room named before it, and what EXTRA gives it.
PURE = ("model", "compile", "place", "decide", "requests", "arrange", "plan", "report", "alarms")
EXTRA = {
    "controller": set(PURE),
    "client": {"model", "report"},
    "host": set(),
}
# Single files that may be imported across: (from, to).
ACROSS = {
    ("client/console.py", "host/relay.py"),  # both ends of the socket's introduction
    ("client/forward.py", "host/relay.py"),
    ("client/api.py", "host/relay.py"),
    ("controller/lease_ways.py", "host/lease/messages.py"),  # both ends of a question to a witness
    ("controller/run_process.py", "host/machine/procs.py"),  # how a process is looked at
}
STANDARD_AND_PURE = {
    "__future__", "collections", "collections.abc", "copy", "dataclasses", "datetime", "difflib", "enum", "fnmatch",
    "functools", "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "re", "string", "textwrap", "typing",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "id", "hash"}
IMPURE_METHODS = {"now", "today", "utcnow"}
LAZY = {("host/load.py", "psutil")}  # imported where it is needed, by that module only
LONGEST = 400  # lines of a file


def name_of(path: Path) -> str:
    return path.relative_to(CORE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), feature_version=(3, 8))


def imports(path: Path) -> Iterator[tuple[str | Path, int]]:
    """(name of the module, or file of the core, line) of every import, wherever it stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            if folder.with_suffix(".py").exists():
                yield folder.with_suffix(".py"), node.lineno
            else:
                yield from ((folder / f"{alias.name}.py", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node.lineno


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in FILES} == {*PURE, *EXTRA}
    assert [name_of(path) for path in CORE.glob("*.py") if path.name != "__init__.py"] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_imports_the_standard_library_its_room_and_rooms_below(path: Path) -> None:
    room = room_of(path)
    below = set(PURE[: PURE.index(room)]) if room in PURE else EXTRA[room]
    for found, line in imports(path):
        where = f"{name_of(path)}:{line} imports {found}"
        if isinstance(found, Path):
            assert found.exists(), where
            crosses = (name_of(path), name_of(found)) in ACROSS
            assert room_of(found) in below | {room} or crosses, where
        elif (name_of(path), found) not in LAZY:
            allowed = STANDARD_AND_PURE if room in PURE else sys.stdlib_module_names
            assert found in allowed or found.split(".")[0] in allowed, where


def test_no_file_imports_itself_through_others() -> None:
    """Imports within functions and those for the type checker only count as well."""
    graph = {path: {found for found, _line in imports(path) if isinstance(found, Path)} for path in FILES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(name_of(path) for path in reversed(error.args[1])))


MONITOR = CORE.parents[2] / "monitor"
MONITOR_FILES = sorted(path for path in MONITOR.rglob("*.py") if "core" not in path.relative_to(MONITOR).parts)
# From top to bottom: each room of the monitor may import every room named before it; the files at its top import all.
MONITOR_ROOMS = ("base", "judge", "watch", "runs", "lead", "tell", "web", "cli")
# The rooms below `web`, likewise; its own files import all of them.
WEB_ROOMS = ("doors", "figures", "logs", "metrics", "schema")


def monitor_imports(path: Path) -> Iterator[tuple[Path, int]]:
    """(file or folder of the monitor, line) of every import of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).startswith("monitor.")):
            start = path.parents[node.level - 1] if node.level else MONITOR.parent
            folder = start.joinpath(*(node.module or "").split("."))
            names = [folder / alias.name for alias in node.names] if folder.is_dir() else [folder]
            yield from ((found, node.lineno) for found in names)


@pytest.mark.parametrize("path", MONITOR_FILES, ids=lambda path: path.relative_to(MONITOR).as_posix())
def test_a_file_of_the_monitor_imports_rooms_below_its_own(path: Path) -> None:
    name = path.relative_to(MONITOR)
    for found, line in monitor_imports(path):
        target = found.relative_to(MONITOR).parts
        where = f"{name}:{line} imports {'.'.join(target)}"
        if target[0] == "core" or len(name.parts) == 1:
            continue
        room, rooms = name.parts[0], MONITOR_ROOMS
        if room == target[0] == "web" and len(name.parts) == 3:
            room, rooms, target = name.parts[1], WEB_ROOMS, target[1:]
        assert target[0] in rooms[: rooms.index(room) + 1], where


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_newcomer_can_hold_it_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_uses_nothing_newer_than_python_3_8(path: Path) -> None:
    assert "from __future__ import annotations" in path.read_text()
    for node in evaluated(tree(path)):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in {"dict", "list", "tuple", "set", "frozenset", "type"}, f"{where} subscripts"
        if isinstance(node, ast.Call):
            assert not any(k.arg in ("slots", "kw_only", "strict") for k in node.keywords), f"{where} is for 3.10"
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            assert method not in ("removeprefix", "removesuffix", "bit_count"), f"{where} calls {method}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = [side for side in (node.left, node.right) if isinstance(side, ast.Constant) and side.value is None]
            assert not sides, f"{where} has a union at run time"


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those of annotations, which are never evaluated."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from evaluated(child)


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in PURE], ids=name_of)
def test_pure_code_has_no_clock_no_files_no_chance_and_no_log(path: Path) -> None:
    for node in ast.walk(tree(path)):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"{where} calls {node.func.id}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in IMPURE_METHODS, f"{where} calls {node.func.attr}"
        assert not isinstance(node, ast.Global), f"{where} changes a global"
