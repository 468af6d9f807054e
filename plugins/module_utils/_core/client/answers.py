# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that change nothing and ask no host: their options, and how both command lines print the answers."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any, Callable, Dict, List, Mapping

from ..model import sentences
from ..report import story
from .commands import FAILED, OK, say

Json = Dict[str, Any]
OLD = 120.0  # s; answers over older observations say so
ASSUMPTIONS = (
    ("down", "HOST", "the host is dead"),
    ("up", "HOST", "the host came back, with nothing running"),
    ("drain", "HOST", "the host is drained"),
    ("undrain", "HOST", "the host is used again"),
    ("add-item", "ID[:SLOT]", "the site has one more item"),
    ("remove-item", "ID", "the site no longer has the item"),
    ("load", "HOST=PERCENT", "other work takes so much of the host's machine"),
)


class NoAssumption(Exception):
    """The options of a what-if assume nothing, or something that cannot be read; the text is one sentence."""


def text_of(path: str) -> Callable[[argparse.Namespace, Any], int]:
    """A command that prints what the monitor has made a text of; with --json, of which."""

    def command(options: argparse.Namespace, remote: Any) -> int:
        query = {"since": options.since} if getattr(options, "since", None) else {}
        if options.json:
            import json

            say(json.dumps(remote.get(path, options.timeout, **query), indent=2))
        else:
            say(remote.text(path + ".txt", options.timeout, **query).rstrip("\n"))
        return OK

    return command


def print_explanation(document: Mapping[str, Any]) -> None:
    """Where each application of an item is and why, and every host that may run it."""
    for number, entry in enumerate(document["applications"]):
        if number:
            say("")
        say("%s: %s" % (entry["instance"], entry["where"]))
        if entry["because"]:
            say("  why    %s" % entry["because"])
        say("  rule   %s" % entry["rule"])
        wide = max([len(row["host"]) for row in entry["candidates"]] or [0])
        for row in entry["candidates"]:
            figures = "reserved %g + %g of %g" % (row["reserved"], row["load"], row["limit"])
            say("  %-*s  %-12s  %-26s  %s" % (wide, row["host"], row["verdict"], figures, row["why"]))
        if not entry["candidates"]:
            say("  no host of this site may run it")
    _say_age(document)


def print_what_if(document: Mapping[str, Any]) -> None:
    """What would happen under assumptions."""
    say("if " + ("; ".join(document["assumed"]) or "nothing changes"))
    for action in document["actions"]:
        say("  " + story.sentence(action))
    if not document["actions"]:
        say("  nothing is started, stopped or moved")
    for entry in document["holds"]:
        say("  hold: %s" % entry["why"])
    for entry in document["waits"]:
        say("  no place%s: %s" % (", as now" if entry["already"] else "", entry["why"]))
    say("then")
    wide = max(len(host["host"]) for host in document["hosts"])
    for host in document["hosts"]:
        held = sentences.listing(host["instances"], most=12) or "-"
        say("  %-*s  %3d/%d  %s" % (wide, host["host"], host["reserved"], host["limit"], held))
    says = document["readiness"]["says"]
    say("  " + (says or "the loss of any one server could still be made up for"))
    _say_age(document)


def what_if_code(document: Mapping[str, Any]) -> int:
    """The exit code: 1 when a service would find no place because of what is assumed."""
    return FAILED if [entry for entry in document["waits"] if not entry["already"]] else OK


def add_assumptions(parser: argparse.ArgumentParser) -> None:
    for name, metavar, meaning in ASSUMPTIONS:
        parser.add_argument("--" + name, action="append", metavar=metavar, help=meaning + "; may be repeated")
    parser.add_argument("--json", action="store_true", help="the whole answer, for programs")


def assumptions(options: argparse.Namespace) -> Json:
    """The `assume` of a what-if from the command's options.

    :raises NoAssumption: when there is none, or a load is not HOST=PERCENT.
    """
    assume: Json = {key: list(getattr(options, key) or ()) for key in ("down", "up", "drain", "undrain")}
    assume["add_items"] = list(options.add_item or ())
    assume["remove_items"] = list(options.remove_item or ())
    load: Dict[str, float] = {}
    for written in options.load or ():
        host, _unused, percent = written.partition("=")
        try:
            load[host] = float(percent)
            if not (host and math.isfinite(load[host])):
                raise ValueError
        except ValueError:
            raise NoAssumption("--load %s: must be HOST=PERCENT, for example server_1=30" % written) from None
    assume["load"] = load
    if not any(assume.values()):
        raise NoAssumption("assume something: %s" % _listed(["--" + name for name, *_unused in ASSUMPTIONS]))
    return assume


def _listed(words: List[str]) -> str:
    return "%s or %s" % (", ".join(words[:-1]), words[-1])


def _say_age(document: Mapping[str, Any]) -> None:
    """Say how old the observations are that the answer is based on, when they are old."""
    times = [at for at in document["seen"].values() if at]
    if not times:
        say("(no host was looked at yet: this is what the ledger says)")
    elif time.time() - min(times) > OLD:
        oldest = sentences.clock(min(times), time.time())
        say("(over what the hosts said last, the oldest at %s: muster status asks them again)" % oldest)
