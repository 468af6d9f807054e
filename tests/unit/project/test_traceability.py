# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/requirements.md names tests that exist, for every requirement by every way, and every requirement test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "requirements.md").read_text()
WRITTEN = {
    path.name: set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    for path in (ROOT / "tests").glob("**/test_*.py")
}
ALL = set().union(*WRITTEN.values())
REQS = (1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27)
WAYS = ("command line", "API", "page", "events")
BY_EVERY_WAY = (3, 20, 21, 22, 23, 27)


def table(head: str) -> dict[int, list[str]]:
    """Req -> the cells behind it, of the table whose first row begins so."""
    lines = PAGE[PAGE.index(head) :].splitlines()
    rows = lines[: lines.index("")] if "" in lines else lines
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    return {int(row[0]): row[1:] for row in cells}


def named(text: str) -> Iterator[tuple[str, str]]:
    """(file, test), each test of the file named before it."""
    file = ""
    for word in re.findall(r"`([\w/]+\.py|test_\w+)`", text):
        if word.endswith(".py"):
            file = word.rpartition("/")[2]
        else:
            yield file, word


def test_every_test_named_for_a_requirement_exists_in_the_file_named_with_it() -> None:
    tests = list(named(PAGE))
    assert tests
    assert [(file, test) for file, test in tests if test not in WRITTEN.get(file, set())] == []


def test_every_requirement_test_is_named() -> None:
    assert {name for name in ALL if name.startswith("test_req_")} <= {test for _file, test in named(PAGE)}


def test_every_requirement_has_a_row() -> None:
    assert tuple(table("| Req | what the user gets |")) == REQS


@pytest.mark.parametrize("req", BY_EVERY_WAY)
def test_requirements_of_people_are_tested_by_every_way(req: int) -> None:
    cells = table("| Req | %s |" % " | ".join(WAYS))[req]
    assert len(cells) == len(WAYS)
    lacking = [way for way, cell in zip(WAYS, cells) if not list(named(cell))]
    assert lacking == [], "no test of Req %d" % req
    assert [file for file, _test in named(cells[WAYS.index("page")]) if not file.startswith("test_page")] == []
    events = named(cells[WAYS.index("events")])
    assert [test for file, test in events if "api" not in file and not test.endswith("_in_the_stream")] == []
