# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of phrases finds them where people read them, and nothing else."""

from __future__ import annotations

import pytest

from tests.sanity import words


@pytest.mark.parametrize(
    "text",
    [
        "The monitor is told.",
        "Is Told",
        "what is\ntold over two lines",
        "    # a comment that is\n    # told further",
        '"a text that is "\n    "told further"',
        "// it is\n// told",
    ],
)
def test_a_phrase_is_found_over_the_end_of_a_line(text: str) -> None:
    assert [phrase for _line, phrase in words.found(text)] == ["is told"]


@pytest.mark.parametrize("text", ["it is toldest", "is, told", "is\n\ntold", "renewed", "a planewing"])
def test_other_words_are_left_alone(text: str) -> None:
    assert list(words.found(text)) == []


def test_a_problem_names_file_line_phrase_and_a_better_word() -> None:
    assert words.problems({"docs/x.md": "one\ntwo\nstarts anew"}, ()) == ['docs/x.md:3: "anew"; better: again, new']


def test_what_is_still_to_do_is_left_out_and_an_entry_that_is_clean_must_go() -> None:
    texts = {"plugins/a/x.py": "# anew", "plugins/ab/x.py": "# again"}
    assert words.problems(texts, ("plugins/a/",)) == []
    [sentence] = words.problems(texts, ("plugins/a", "plugins/ab"))
    assert "plugins/ab is clean: take it out of TO_DO" in sentence


def test_every_phrase_has_a_better_one_without_such_a_phrase() -> None:
    for phrase, better in words.BETTER.items():
        assert [found for _line, found in words.found(phrase)] == [phrase]
        assert list(words.found(better.replace("nobody asks", ""))) == []
