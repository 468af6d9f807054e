# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document as text: a table of items, one of hosts, then what concerns the whole site. Pure."""

from __future__ import annotations

import textwrap
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..decide import changes
from ..model import sentences
from ..model.observation import is_full
from ..model.words import DOWN, NOT_ASKED, SEEN, UNREACHABLE, UP
from . import attention as report_attention
from . import readiness
from . import rollouts as report_rollouts

WIDTH = 120
RECENT = 90.0  # s; an older observation is shown with its time

_COLOURS = {
    "operational": "32", "running": "32", "up": "32",
    "degraded": "33", "waiting": "33", "starting": "33", "stopping": "33", "suspect": "33", "drained": "33",
    "not operational": "31", "failed": "31", "down": "31", "unreachable": "31",
    "unknown": "35",
    "stopped": "2",
}  # fmt: skip


def render_table(document: Mapping[str, Any], width: int = WIDTH, colour: bool = False) -> str:
    """The status document as text: items with verdict and cause, hosts, then common services and the monitor.

    :param width: of the terminal, in characters.
    """
    now = document["at"]
    clock = sentences.clock(now, now, seconds=True)
    head = "site %s, revision %d, %s" % (document["site"], document["revision"], clock)
    items = [
        (
            entry["item"],
            entry["verdict"],
            _place(entry.get("services")),
            _place(entry.get("hci"), on_request=True),
            entry["cause"] or "",
        )
        for entry in document["items"]
    ]
    hosts = [_host_row(entry, now) for entry in document["hosts"]]
    parts = [
        head,
        _table(("ITEM", "VERDICT", "SERVICES", "HCI", "CAUSE"), items, width, colour),
        _table(("HOST", "STATE", "LOAD", "RESERVED", "HOLDS"), hosts, width, colour),
        "\n".join(
            report_rollouts.lines(document.get("rollout"))
            + _pending_lines(document["instances"], now)
            + report_attention.lines(document, now)
        ),
        "\n".join(
            _service_lines(document["services"])
            + [line for line in [readiness.sentence(document["readiness"])] if line]
            + [entry["beyond"] for entry in document["instances"].values() if entry.get("beyond")]
            + [says for says in [(document.get("exclusion") or {}).get("says")] if says]
            + [_monitor_line(document["monitor"], now)]
            + ["  " + note for note in _lead_lines(document["monitor"]) + (document["monitor"].get("notes") or [])]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _place(part: Optional[Mapping[str, Any]], on_request: bool = False) -> str:
    """Where an instance runs; how it is, when that is not simply running. An HCI that is not open is a dash."""
    if not part or (on_request and part["state"] == "stopped" and not part["host"]):
        return "-"
    if not part["host"]:
        return str(part["state"])
    return str(part["host"]) if part["state"] == "running" else "%s (%s)" % (part["host"], part["state"])


def _host_row(entry: Mapping[str, Any], now: float) -> Tuple[str, ...]:
    state = entry["state"]
    if entry["answer"] == UNREACHABLE and state == UP:
        state = UNREACHABLE
    load = entry["load"]
    known = {"cpu", "memory"} <= load.keys() and state not in (UNREACHABLE, DOWN)  # else it is not of now
    measured = "cpu %.0f %% mem %.0f %%" % (load["cpu"], load["memory"]) if known else "-"
    words = []
    if entry["instances"]:
        words.append(sentences.listing(entry["instances"], most=12))
    if entry["answer"] == UNREACHABLE and entry["why"]:
        words.append(entry["why"])
    elif entry["evidence"] and state != UP:
        words.append(entry["evidence"])
    if entry.get("left_behind"):
        left = sentences.listing(entry["left_behind"], most=12)
        words.append("if it is only cut off, second copies may live there until it answers: %s" % left)
    if (entry.get("drain") or {}).get("until"):
        words.append("used again from %s" % sentences.clock(entry["drain"]["until"], now))
    if entry.get("planned_drain"):
        words.append("to be drained at %s" % sentences.clock(entry["planned_drain"]["since"], now))
    if entry["answer"] == NOT_ASKED:
        words.append("not asked")
    elif entry["at"] and now - entry["at"] > RECENT:
        words.append("as seen at %s" % sentences.clock(entry["at"], now))
    if entry["answer"] == SEEN and entry["service_manager"] not in (None, "running"):
        words.append("its service manager is %s" % entry["service_manager"])
    if is_full(load):
        words.append("its disk is full, so nothing starts there")
    if entry["answer"] == SEEN and entry.get("lease") == "lost":
        words.append("it holds no lease, so nothing starts there")
    if entry["answer"] == SEEN and entry.get("lease") == "no guard":
        words.append("its guard does not run, so it gets no lease and nothing starts there: deploy starts the guard")
    words.extend(entry["drift"])
    return (entry["host"], state, measured, "%d/%d" % (entry["reserved"], entry["limit"]), "; ".join(words) or "-")


def _pending_lines(instances: Mapping[str, Mapping[str, Any]], now: float) -> List[str]:
    """``pending: the configuration of 12:40 for scen2_hci_02, which takes it when it is closed``, for all of them."""
    said: Dict[Tuple[float, str, str], List[str]] = {}
    for name, entry in instances.items():
        pending = entry.get("pending")
        if pending:
            said.setdefault((pending["since"], pending["how"], pending["why"]), []).append(name)
    return [
        "pending: the configuration of %s for %s: %s" % (
            sentences.clock(since, now), sentences.listing(names, most=12), changes.when(how, why))
        for (since, how, why), names in sorted(said.items())
    ]


def _service_lines(services: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """``the common bus: healthy on server_1 and server_2, stopped on server_3``"""
    lines = []
    for name in sorted(services):
        states: Dict[str, List[str]] = {}
        for host, entry in services[name]["hosts"].items():
            states.setdefault(entry["state"], []).append(host)
        where = ["%s on %s" % (state, sentences.listing(hosts)) for state, hosts in sorted(states.items())]
        lines.append("%s: %s" % (services[name]["label"], ", ".join(where) or "on no host"))
    return lines


def _lead_lines(monitor: Mapping[str, Any]) -> List[str]:
    """Who leads, where there are several controllers."""
    says = (monitor.get("lead") or {}).get("says")
    return [str(says)] if says else []


def _monitor_line(monitor: Mapping[str, Any], now: float) -> str:
    if monitor["state"] == "running" and monitor.get("no_runs"):
        found = monitor["no_runs"]
        return "%s %s, so nothing is restarted by itself: %s" % (
            sentences.CANNOT_RUN, sentences.clock(found["since"], now), found["why"])
    if monitor["state"] == "running" and monitor.get("storm"):
        return "monitor: holds: %s" % monitor["storm"]
    if monitor["state"] == "running":
        at_work = monitor.get("intents") or []
        about = sentences.listing(str(entry.get("instance") or entry.get("host")) for entry in at_work)
        return "monitor: running%s" % (", at work on %s" % about if at_work else "")
    if monitor["state"] == "silent":
        said = sentences.clock(monitor["at"], now, seconds=True)
        return "monitor: silent since %s: nothing is restarted by itself until it is back" % said
    return "monitor: not running: nothing is restarted by itself"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], width: int, colour: bool) -> str:
    """Columns as wide as needed; the last one takes the rest of the line and goes on below itself."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    if len(lines) == 1:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles) - 1)]
    indent = sum(widths) + 2 * len(widths)
    rest = max(20, width - indent)
    text: List[str] = []
    for number, line in enumerate(lines):
        cells = [cell.ljust(widths[column]) for column, cell in enumerate(line[:-1])]
        if colour:
            cells = [_bold(cell) for cell in cells] if number == 0 else [_coloured(cell) for cell in cells]
        wrapped = textwrap.wrap(line[-1], rest) or [""]
        if colour and number == 0:
            wrapped = [_bold(wrapped[0])]
        text.append(("  ".join(cells) + "  " + wrapped[0]).rstrip())
        text.extend(" " * indent + more for more in wrapped[1:])
    return "\n".join(text)


def _coloured(cell: str) -> str:
    code = _COLOURS.get(cell.strip())
    return "\033[%sm%s\033[0m" % (code, cell) if code else cell


def _bold(cell: str) -> str:
    return "\033[1m%s\033[0m" % cell
