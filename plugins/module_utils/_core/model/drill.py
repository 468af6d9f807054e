# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill as people read it. Its record is ``{what, about, by, why, at, until}`` among the ledger's notices."""

from __future__ import annotations

from typing import Any, Mapping

from .sentences import clock


def drill_says(about: str, record: Mapping[str, Any], now: float) -> str:
    """``drill on server_2 by eve until 15:00 (power of hall B)``

    :param about: ``host:server_2`` or ``item:02``.
    """
    why = " (%s)" % record["why"] if record.get("why") else ""
    until = clock(record["until"], now)
    return "drill on %s by %s until %s%s" % (drill_label(about), record.get("by") or "?", until, why)


def drill_label(about: str) -> str:
    """``server_2``, ``item 02``"""
    what, _unused, name = about.partition(":")
    return name if what == "host" else "%s %s" % (what, name)
