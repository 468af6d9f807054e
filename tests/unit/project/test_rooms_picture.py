# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the rooms in docs/development.md is up to date, and the program that draws it counts right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.sanity import rooms


@pytest.fixture(scope="module")
def code() -> rooms.Code:
    return rooms.Code.read(rooms.ROOT)


def graph(*arrows: str) -> dict[str, Counter[str]]:
    """Each arrow as `a b`, or `a b 3` for three imports."""
    found: dict[str, Counter[str]] = {}
    for arrow in arrows:
        a, b, *number = arrow.split()
        found.setdefault(a, Counter())[b] = int(number[0]) if number else 1
        found.setdefault(b, Counter())
    return found


def test_the_picture_is_up_to_date(code: rooms.Code) -> None:
    assert rooms.PAGE.read_text(encoding="utf-8") == rooms.page(code), "run python -m tests.sanity.rooms --write"


def test_every_way_to_import_is_seen(tmp_path: Path) -> None:
    core = tmp_path / "plugins" / "module_utils" / "_core"
    texts = {
        core / "model" / "site.py": "X = 1\n",
        core / "model" / "words.py": "from . import site\n",
        core / "plan" / "plan.py": "def f():\n    from ..model.site import X\n    return X\n",
        tmp_path / "plugins" / "modules" / "plan.py": (
            "from ansible_collections.control_room.muster.plugins.module_utils._core.plan import plan\n"
        ),
        tmp_path / "monitor" / "loop.py": "import monitor.judge.brain\nfrom .core.model import site\nimport os\n",
        tmp_path / "monitor" / "judge" / "brain.py": "from monitor.core.model.words import site\n",
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        (path.parent / "__init__.py").touch()
    found = rooms.Code.read(tmp_path)
    assert found.rooms(9) == graph(
        "core/plan core/model", "modules core/plan", "monitor monitor/judge", "monitor core/model",
        "monitor/judge core/model",
    )  # fmt: skip
    assert found.arrows["plugins/module_utils/_core/model/words.py"]["plugins/module_utils/_core/model/site.py"] == 1
    assert sum(found.lines.values()) == 10


def test_arrows_up_are_those_with_the_fewest_imports_and_circles_are_named() -> None:
    found = graph("top middle 5", "middle low 5", "low top 1", "low bottom 2", "left bottom")
    assert rooms.upward(found) == [("low", "top")]
    assert rooms.circles(found) == [["low", "middle", "top"]]
    assert rooms.floors(found) == 4


def test_the_picture_leaves_out_an_arrow_that_a_longer_way_replaces() -> None:
    assert rooms.shortest(graph("a b", "b c", "a c")) == [("a", "b"), ("b", "c")]


def test_the_program_prints_rooms_and_circles(capsys: pytest.CaptureFixture[str]) -> None:
    assert rooms.main([]) == 0
    printed = capsys.readouterr().out
    assert "core/model" in printed and "circles" in printed
    assert rooms.main(["--mermaid"]) == 0
    assert "flowchart TD" in capsys.readouterr().out
