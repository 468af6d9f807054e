# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an inventory is still the one that a parked run has read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..base.files import file_stamp

MOST_FILES = 5000  # looked at; a change in further ones counts when the parked run is replaced by age
_BESIDE = ("group_vars", "host_vars")  # Ansible reads them beside an inventory file, too


def stamp(sources: Sequence[str]) -> int:
    """A number that changes when a file of these inventory sources changes; sources that are no path are ignored."""
    facts = []
    for path in _files(sources):
        found = file_stamp(path)
        if found is None:
            continue
        facts.append((path, *found))
        if len(facts) >= MOST_FILES:
            break
    return hash(tuple(facts))


def _files(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        path = Path(source)
        if path.is_dir():
            yield from _below(path)
        elif path.is_file():
            yield str(path)
            for name in _BESIDE:
                yield from _below(path.parent / name)


def _below(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith("~"):
                yield os.path.join(place, name)
