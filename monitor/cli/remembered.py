# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers the inventory that a state folder was last used with, so that commands need no -i."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

PLACES = "places.json"  # below <state_dir>/run


def remember(state_dir: Path, inventory: list[str]) -> None:
    """Note the inventory; that it cannot be noted is no error."""
    path = state_dir / "run" / PLACES
    sources = [str(Path(source).resolve()) if os.path.exists(source) else source for source in inventory]
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name("%s.%d" % (PLACES, os.getpid()))
        temporary.write_text(json.dumps({"inventory": sources}), encoding="utf-8")
        os.replace(temporary, path)
