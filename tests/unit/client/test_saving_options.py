# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second name without a plan to give it to: nothing is done, where the same command without it would act."""

from __future__ import annotations

import pytest

from monitor.cli import main, views
from monitor.cli.places import Places, UsageError
from monitor.core.client import console, options
from monitor.core.model.request import KINDS

SAYS = "--approve goes with --save FILE: somebody else applies that plan"


@pytest.mark.parametrize(
    "words", ["drain server_2", "stop 02 --dry-run", "site stop", "rollout revert", "resume --site"]
)
def test_a_second_name_without_a_saved_plan_is_no_request(words: str) -> None:
    given = main._parsed([*words.split(), "--approve"])
    kind = KINDS["rollout_revert" if given.verb == "rollout" else given.kind]
    with pytest.raises(options.Incomplete) as found:
        options.request_of(kind, given)
    assert str(found.value) == SAYS
    given.save = "plan.json"
    assert options.request_of(kind, given).kind == kind.name


def test_a_plan_that_is_only_shown_has_no_second_name() -> None:
    with pytest.raises(UsageError, match=SAYS):
        views.plan(main._parsed(["plan", "--approve"]), Places((), None))
    with pytest.raises(options.Incomplete, match=SAYS):
        console.plan(main._parsed(["plan", "--approve"]), None)  # type: ignore[arg-type]


def test_what_a_command_needs_is_said_in_its_own_words() -> None:
    with pytest.raises(options.Incomplete, match=r"^drill end needs NAME or --all$"):
        options.request_of(KINDS["drill_end"], main._parsed(["drill", "end"]))
