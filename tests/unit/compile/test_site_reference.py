# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page is what the field tables say."""

from __future__ import annotations

import pytest

from monitor.core.compile import keys
from tests.sanity import reference


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run python -m tests.sanity.reference"


def test_check_only_compares(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_every_key_has_its_meaning_in_a_sentence() -> None:
    for section in keys.site_reference():
        for row in section["rows"]:
            assert row["doc"].endswith((".", ":")), row
            assert row["kind"] and row["default"], row
