# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of hosts have short names: a socket's path may have 99 bytes, of which pytest's own folders use up most."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leftovers import own


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="mu-")
    own(folder)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
