# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that travel to hosts parse on Python 3.8 and need nothing but it; those that decide touch nothing at all."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "plugins" / "module_utils"
# `_entry` is what Ansible calls, and never travels with the agent.
MODULES = sorted(path.stem for path in FOLDER.glob("_*.py") if path.stem not in ("__init__", "_entry"))

# The decision core and the words it uses: no clock, no input or output, no chance, no logging.
PURE = [
    "_ask", "_batch", "_confinement", "_draft", "_errors", "_explain", "_field", "_fields", "_fields_confinement",
    "_fields_probe", "_fleet", "_forget",
    "_intents", "_kinds", "_kinds_confinement", "_model", "_moves", "_notes", "_placement",
    "_placement_exact", "_plan", "_policy", "_probes", "_reading", "_reconcile", "_requests", "_running", "_sequence",
    "_overtaken", "_preflight", "_questions", "_readiness", "_site_hooks", "_whatif",
    "_asked", "_attention", "_confirm", "_conflicts", "_drains", "_moments", "_notices", "_pauses", "_records",
    "_upkeep",
    "_settle", "_site", "_site_api", "_site_applications", "_site_checks", "_site_confinement", "_site_probes",
    "_state", "_status", "_story", "_verdict", "_watch", "_words",
]  # fmt: skip
PURE_IMPORTS = {
    "__future__", "collections", "collections.abc", "dataclasses", "datetime", "difflib", "enum", "functools",
    "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "re", "string", "textwrap", "typing",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "id", "hash"}
IMPURE_METHODS = {"now", "today", "utcnow"}
LAZY = {("_hostload", "psutil")}  # imported where it is needed, by that module only


def tree(module: str) -> ast.Module:
    return ast.parse((FOLDER / f"{module}.py").read_text(), feature_version=(3, 8))


def imports(module: str) -> Iterator[tuple[str, int]]:
    """(absolute name or .relative name, line) of every import, wherever it stands."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((f".{name}", node.lineno) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node.lineno


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_the_standard_library_and_its_neighbours_only(module: str) -> None:
    for name, line in imports(module):
        if name.startswith("."):
            assert name[1:].split(".")[0] in MODULES, f"{module}:{line} imports {name}"
        elif (module, name) not in LAZY:
            assert name.split(".")[0] in sys.stdlib_module_names, f"{module}:{line} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_it_uses_nothing_newer_than_python_3_8(module: str) -> None:
    assert "from __future__ import annotations" in (FOLDER / f"{module}.py").read_text()
    for node in evaluated(tree(module)):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
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


@pytest.mark.parametrize("module", PURE)
def test_what_decides_has_no_clock_no_files_no_chance_and_no_log(module: str) -> None:
    for name, line in imports(module):
        if name.startswith("."):
            assert name[1:] in PURE, f"{module}:{line} imports {name}, which is not pure"
        else:
            assert name in PURE_IMPORTS, f"{module}:{line} imports {name}"
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"{module}:{node.lineno} calls {node.func.id}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in IMPURE_METHODS, f"{module}:{node.lineno} calls {node.func.attr}"
        if isinstance(node, ast.Global):
            raise AssertionError(f"{module}:{node.lineno} changes a global")
