# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that change nothing and ask no host: explain and what-if, answered by the code that decides."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from ..core.client.commands import FAILED, OK
from ..core.model import sentences
from ..core.report import readiness, story
from .places import Places, UsageError
from .verbs import as_json

Json = dict[str, Any]
OLD = 120.0  # s; answers over older observations say so


def explain(options: argparse.Namespace, places: Places) -> int:
    """Print where each application of an item is and why, and every host that may run it."""
    document = places.question({"verb": "explain", "item": options.item})["explain"]
    if options.json:
        as_json(document)
        return OK
    for number, entry in enumerate(document["applications"]):
        if number:
            print()
        print("%s: %s" % (entry["instance"], entry["where"]))
        if entry["because"]:
            print("  why    %s" % entry["because"])
        print("  rule   %s" % entry["rule"])
        wide = max([len(row["host"]) for row in entry["candidates"]] or [0])
        for row in entry["candidates"]:
            figures = "reserved %g + %g of %g" % (row["reserved"], row["load"], row["limit"])
            print("  %-*s  %-12s  %-26s  %s" % (wide, row["host"], row["verdict"], figures, row["why"]))
        if not entry["candidates"]:
            print("  no host of this site may run it")
    _tell_age(document)
    return OK


def what_if(options: argparse.Namespace, places: Places) -> int:
    """Print what would happen under assumptions; exit code 1 when a service would find no place because of them."""
    assume = assumptions(options)
    document = places.question({"verb": "what_if", "assume": assume})["what_if"]
    lost = [entry for entry in document["waits"] if not entry["already"]]
    code = FAILED if lost else OK
    if options.json:
        as_json(document)
        return code
    print("if " + ("; ".join(document["assumed"]) or "nothing changes"))
    for action in document["actions"]:
        print("  " + story.sentence(action))
    if not document["actions"]:
        print("  nothing is started, stopped or moved")
    for entry in document["holds"]:
        print("  hold: %s" % entry["why"])
    for entry in document["waits"]:
        print("  no place%s: %s" % (", as now" if entry["already"] else "", entry["why"]))
    print("then")
    wide = max(len(host["host"]) for host in document["hosts"])
    for host in document["hosts"]:
        held = sentences.listing(host["instances"], most=12) or "-"
        print("  %-*s  %3d/%d  %s" % (wide, host["host"], host["reserved"], host["limit"], held))
    print("  " + (readiness.sentence(document["readiness"]) or "the loss of any one server could still be made up for"))
    _tell_age(document)
    return code


def assumptions(options: argparse.Namespace) -> Json:
    """The `assume` of a what-if from the command's options.

    :raises UsageError: when there is none, or a load is not HOST=PERCENT.
    """
    assume: Json = {key: list(getattr(options, key) or ()) for key in ("down", "up", "drain", "undrain")}
    assume["add_items"] = list(options.add_item or ())
    assume["remove_items"] = list(options.remove_item or ())
    load: dict[str, float] = {}
    for written in options.load or ():
        host, _unused, percent = written.partition("=")
        try:
            load[host] = float(percent)
        except ValueError:
            raise UsageError("--load %s: must be HOST=PERCENT, for example server_1=30" % written) from None
    assume["load"] = load
    if not any(assume.values()):
        raise UsageError("assume something: --down, --up, --drain, --undrain, --add-item, --remove-item or --load")
    return assume


def _tell_age(document: Mapping[str, Any]) -> None:
    """Print how old the observations are that the answer is based on, when they are old."""
    times = [at for at in document["seen"].values() if at]
    if not times:
        print("(no host was looked at yet: this is what the ledger says)")
    elif time.time() - min(times) > OLD:
        oldest = sentences.clock(min(times), time.time())
        print("(over what the hosts said last, the oldest at %s: muster status asks them again)" % oldest)
