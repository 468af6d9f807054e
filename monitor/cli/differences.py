# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What diff mode returns, as text for a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def lines(diffs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Unified differences; a file that has no text in both forms is only named."""
    for diff in diffs:
        before, after = (str(diff.get(side) or "") for side in ("before", "after"))
        old, new = (str(diff.get(side + "_header") or "") for side in ("before", "after"))
        made = list(difflib.unified_diff(before.splitlines(), after.splitlines(), old, new, n=1, lineterm=""))
        for line in made or ["--- " + old, "+++ " + new]:
            yield "  " + "".join(c if c.isprintable() or c == "\t" else "?" for c in line)
