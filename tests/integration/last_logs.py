# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of each host's own logs, beside what a failed test says: a lease that was lost explains much."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

LINES = 25
LOGS = ("muster.log", "supervisord.log", "monitor.log")
_BYTES = 1 << 16


class Site(Protocol):
    def roots(self) -> dict[str, Path]:
        """host -> its folder."""


_SITES: weakref.WeakSet[Site] = weakref.WeakSet()


def watch(site: Site) -> None:
    """From now on its logs are shown when a test fails."""
    _SITES.add(site)


def shown() -> Iterator[tuple[str, str]]:
    """A title and the lines, for each log of each site that is there."""
    for site in list(_SITES):
        for host, root in site.roots().items():
            for name in LOGS:
                text = _end(root / "log" / name)
                if text:
                    yield "%s of %s" % (name, host), text


def _end(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _BYTES))
            return "\n".join(handle.read().decode(errors="replace").splitlines()[-LINES:])
    except OSError:
        return ""
