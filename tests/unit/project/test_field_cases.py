# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of cases from the field names what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TABLE = (ROOT / "tests/field/README.md").read_text(encoding="utf-8")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_test_of_the_table_exists() -> None:
    named = re.findall("`((?:tests|docs)/[^`]+)`", TABLE.partition("|---|---|---|")[2])
    assert len(named) > 60
    missing = []
    for name in named:
        file, _colons, test = name.partition("::")
        path = ROOT / file
        if not path.is_file() or (test and test not in functions(path)):
            missing.append(name)
    assert missing == []


def test_each_file_of_cases_is_in_the_table() -> None:
    files = {path.name for path in (ROOT / "tests/field").glob("test_*.py")}
    assert {name for name in files if name not in TABLE} <= {"test_no_runs.py"}
