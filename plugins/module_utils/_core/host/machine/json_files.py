# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of JSON that a host keeps for itself, and can do without."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

DAMAGED = (ValueError, RecursionError)  # what reading JSON raises, whatever the file holds


def read(path: str) -> Dict[str, Any]:
    """The mapping in a file; {} when there is none, or it is damaged: zeros after a power cut, or something else."""
    import json

    try:
        with open(path, "rb") as handle:
            found = json.loads(handle.read().decode("utf-8"))
    except (OSError, *DAMAGED):
        return {}
    return found if isinstance(found, dict) else {}
