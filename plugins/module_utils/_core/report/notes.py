# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor's probes have to say besides healthy and unhealthy: warnings, doubts, and what is in shadow."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping

MOST = 20  # sentences


def notes(monitor: Mapping[str, Any]) -> List[str]:
    """Sentences about what the monitor wrote last, at most `MOST` of them and how many more there are."""
    found = list(_all(monitor))
    return found if len(found) <= MOST else found[: MOST - 1] + ["and %d more" % (len(found) - MOST + 1)]


def _all(monitor: Mapping[str, Any]) -> Iterator[str]:
    for wish in monitor.get("shadow") or []:
        reason = "it is paused" if wish.get("paused") else "its probe is in shadow"
        yield "would %s %s, but %s: %s" % (wish["what"], wish["instance"], reason, wish["why"])
    for name, bus in (monitor.get("buses") or {}).items():
        yield from _of_one("the bus of %s" % name, bus)
        if bus.get("link"):
            yield from _of_one("the link of %s to its services" % name, bus["link"])
    for name, copies in (monitor.get("services") or {}).items():
        for host, service in copies.items():
            yield from _of_one("%s on %s" % (name, host), service)


def _of_one(what: str, health: Dict[str, Any]) -> Iterator[str]:
    if health.get("warning"):
        yield "%s works, with a warning: %s" % (what, health["warning"])
    elif health.get("state") == "unknown" and health.get("why") not in (None, "", "not asked yet"):
        yield "whether %s works is not known: %s" % (what, health["why"])
