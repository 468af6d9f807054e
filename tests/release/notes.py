# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notes of one release, from CHANGELOG.md: python -m tests.release.notes VERSION"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECTION = re.compile(r'^(?:<a id="[^"]*"></a>\n)?## v?([\d.\\]+\S*)$', re.MULTILINE)


def notes(text: str, version: str) -> str:
    """The section of a version.

    :raises KeyError: when there is none.
    """
    found = list(_SECTION.finditer(text))
    for match, following in zip(found, [*found[1:], None]):
        if match.group(1).replace("\\", "") == version:
            return text[match.end() : following.start() if following else len(text)].strip() + "\n"
    raise KeyError(version)


if __name__ == "__main__":
    print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), sys.argv[1]), end="")
