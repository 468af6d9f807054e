# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of requests about alarms, for the table of `model.request`."""

from __future__ import annotations

from typing import Any, Tuple


def kinds(kind: Any, subject: Any) -> Tuple[Any, ...]:
    """:param kind: `RequestKind`. :param subject: `Subject`."""
    alarms = subject("ids", "ID", "id of an alarm or of an item, or a kind of alarm", many=True)
    return (
        kind(
            "acknowledge", "Take note of alarms, conflicts and failed actions.",
            "What is over is listed no longer; what lasts stays in the list as acknowledged.",
            subject=subject("ids", "ID", "id in brackets, as `muster alarms` lists it", many=True, needed=False),
            one_of=("ids", "all"), example="acknowledge item:02",
        ),
        kind(
            "shelve", "Keep alarms quiet until a moment: one of them, those of an item, or those of a kind.",
            "They stay in the list, and are heard again at that moment if their cause is still there.",
            subject=alarms, needs=("ids", "until"), example="shelve 02 --for 30min --why 'new fan'",
        ),
        kind(
            "note", "Write a note for the others into the trail: about an item, a host, or the site.",
            "The next hand-over shows it.",
            subject=subject("item", "ITEM", "id of the item", needed=False), takes=("item", "host"), reason=True,
            example="note 02 --why 'fan replaced, watch it'",
        ),
        kind("unshelve", "Hear of shelved alarms again.", subject=alarms, needs=("ids",), example="unshelve 02"),
    )  # fmt: skip
