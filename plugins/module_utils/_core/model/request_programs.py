# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests about single programs add to the table of `model.request`: kinds and fields."""

from __future__ import annotations

from typing import Any, Dict, Tuple

SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "WINCH", "CONT")  # to end it for good there is a stop

GIVEN = ("arg", "env")  # fields for one start of a program
_SECRET: Dict[str, Any] = {"type": "string", "maxLength": 4000, "writeOnly": True}  # never shown, nor kept in a log


def fields(field: Any) -> Tuple[Any, ...]:
    """:param field: `Field`."""
    return (
        field("signal", {"type": "string", "enum": list(SIGNALS)}, "the signal", "SIGNAL"),
        field("arg", {"type": "array", "items": _SECRET, "minItems": 1, "maxItems": 100}, "one more argument of the"
              " program, from this start until its next stop; may be repeated", "TEXT"),
        field("env", {"type": "array", "items": dict(_SECRET, minLength=1), "minItems": 1, "maxItems": 100},
              "a variable of the program, from this start until its next stop; without a value it is that of the"
              " command's own environment; may be repeated", "NAME[=VALUE]"),
        field("whole", {"type": "boolean"}, "of a bus, stop or restart the whole instance, which cannot do without it;"
              " of another program, start first what has to run before it", flags=("--with",)),
    )  # fmt: skip


def kinds(kind: Any, subject: Any) -> Tuple[Any, ...]:
    """:param kind: `RequestKind`. :param subject: `Subject`."""
    programs = subject("instances", "INSTANCE/PROGRAM", "a program of an instance or item, or a pattern of them",
                       many=True)
    return (
        kind(
            "signal", "Send a signal to a program (INSTANCE/PROGRAM) that runs.",
            "It goes to the process that was started, not to its children. A program that does not handle it ends, and"
            " that is a crash.",
            subject=programs, also=subject("signal", "SIGNAL", "one of %s" % ", ".join(SIGNALS)),
            needs=("instances", "signal"), example="signal scen2_srv_02/data_processing HUP",
        ),
    )  # fmt: skip
