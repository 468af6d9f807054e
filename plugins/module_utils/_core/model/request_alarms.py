# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of requests about alarms, for the table of `model.request`."""

from __future__ import annotations

from typing import Any, Tuple


def kinds(kind: Any, subject: Any) -> Tuple[Any, ...]:
    """:param kind: `RequestKind`. :param subject: `Subject`."""
    drilled = subject("ids", "NAME", "name of a host, or id of an item", many=True)
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
        kind(
            "drill_begin", "Say that what fails on a host, or of an item, is a drill until a moment.",
            "Its alarms are recorded and shown apart; they make no sound and call no hook. Nothing else is different:"
            " what fails is repaired, moved and reported as ever. The drill ends by itself at that moment, and what"
            " still fails then is an alarm. What failed before is none of it, and two copies of an instance are always"
            " an alarm.",
            subject=drilled, needs=("ids", "until"), reason=True, command="drill begin",
            example="drill begin server_2 --until 15:00 --why 'power of hall B'",
        ),
        kind(
            "drill_end", "End a drill before its time: what still fails there is an alarm then.",
            subject=drilled._replace(needed=False), one_of=("ids", "all"), command="drill end",
            example="drill end server_2",
        ),
    )  # fmt: skip
