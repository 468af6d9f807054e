# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of maintenance: reset, pause, resume, drain, resolve, acknowledge; their arguments and what they ask."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from .places import UsageError

Add = Callable[..., argparse.ArgumentParser]

UNTIL = "when it ends by itself: a duration (30m, 2h, 1d), a time of day (14:00), or a date and time"
_PAUSE = """\
While an item is paused nothing automatic acts on it: no restarts, no moves, no repairs, no changes by a deploy; what
would have been done is told. What people ask for is still done, a stop always. With --site that holds for everything.
"""
_DRAIN = """\
Move what runs on a host to other hosts, and use it no more. First it is looked at what cannot leave (no room elsewhere,
windows that are open): then nothing is done, and the list is shown; --force drains it all the same and leaves those
where they are. A drained host that goes down and comes back stays drained.
"""
_RESOLVE = """\
An instance lives more than once, or without a valid claim (`muster status` shows it), and its application says
`conflicts: ask` or `repair: report`. Say which host keeps it; every other copy is stopped. `muster stop` ends all.
"""


def add_commands(add: Add, command: Callable[..., int], reason: Callable[[argparse.ArgumentParser], None]) -> None:
    """:param add: as in `main`: (name, command, what it does, an example) -> its parser."""
    reset = add(
        "reset",
        command,
        "clear failed instances and give them their budget back; a wanted service starts again",
        "reset scen2_srv_02 --why 'disk replaced'",
    )
    reset.add_argument("instances", nargs="+", metavar="INSTANCE", help="its name, or a pattern like 'scen2_srv_*'")
    reason(reset)
    pause = add("pause", command, "leave an item or the whole site to people", "pause 02 --why 'new fan' --until 2h")
    pause.description = _PAUSE
    resume = add("resume", command, "end a pause; what was held is done now", "resume 02")
    for sub in (pause, resume):
        sub.add_argument("item", nargs="?", default="", metavar="ITEM", help="the item's id")
        sub.add_argument("--site", action="store_true", help="the whole site")
        reason(sub)
    pause.add_argument("--until", default="", metavar="WHEN", help=UNTIL)
    resolve = add("resolve", command, "say which copy of an instance stays", "resolve scen2_srv_02 --keep server_1")
    resolve.description = _RESOLVE
    resolve.add_argument("instance", metavar="INSTANCE")
    resolve.add_argument("--keep", required=True, metavar="HOST", help="the host whose copy stays")
    reason(resolve)
    seen = add(
        "acknowledge",
        command,
        "take note of conflicts and failed actions, so that status shows them no longer",
        "acknowledge failure:scen2_srv_02:server_1",
    )
    seen.add_argument("ids", nargs="*", metavar="ID", help="as `muster status` shows it in brackets")
    seen.add_argument("--all", action="store_true", help="all of them")
    reason(seen)


def add_drain_options(drain: argparse.ArgumentParser) -> None:
    drain.description = _DRAIN
    drain.epilog = (
        "examples:\n  muster drain server_2 --dry-run\n"
        "  muster drain server_2 --why 'new disk' --until 2h --at-a-time 1"
    )
    drain.add_argument("--until", default="", metavar="WHEN", help=UNTIL)
    drain.add_argument(
        "--at-a-time", type=_positive, default=0, metavar="N", help="instances that move together (default: all)"
    )
    drain.add_argument("--force", action="store_true", help="also when something cannot leave: it stays there")
    drain.add_argument("--dry-run", action="store_true", help="show what would move and what cannot; nothing is done")


def asked(options: argparse.Namespace, site: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a command of maintenance adds to its playbook.

    :raises UsageError: when it does not say what it is about.
    """
    verb, extra = options.verb, {}
    if verb == "reset":
        from .verbs import expand

        extra["muster_instances"] = expand(options.instances, site) if site else options.instances
    elif verb in ("pause", "resume"):
        if bool(options.item) == options.site:
            raise UsageError("%s what? Say an item's id, or --site for everything" % verb)
        extra.update({"muster_item": options.item} if options.item else {"muster_site": True})
    elif verb == "resolve":
        extra.update(muster_instances=[options.instance], muster_host=options.keep)
    elif verb == "acknowledge":
        if bool(options.ids) == options.all:
            raise UsageError("acknowledge what? Say the ids that `muster status` shows, or --all")
        extra.update({"muster_ids": options.ids} if options.ids else {"muster_all": True})
    for name in ("until", "at_a_time", "force"):
        if getattr(options, name, None):
            extra["muster_" + name] = getattr(options, name)
    return extra


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
