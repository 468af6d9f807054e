# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends the processes that tests start below pytest's own folders, together with the tests."""

from __future__ import annotations

import pytest

from tests.leftovers import own


@pytest.fixture(scope="session", autouse=True)
def _nothing_outlives_this_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    own(tmp_path_factory.getbasetemp(), keep=True)
