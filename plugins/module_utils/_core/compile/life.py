# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads how programs may end and when they count as started, and refuses what could not have an effect."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ..model.parts import BY_PORT, ONCE
from .errors import Keys, Problems, show, suggest
from .keys_life import READY
from .reader import Reader, Values

NOT_ITS_OWN = {78: "muster-exec refuses a start with it", 126: "a shell says with it that it cannot execute something",
               127: "a shell says with it that it does not find something"}  # fmt: skip


def read_ready(written: Any, reader: Reader, keys: Keys) -> Mapping[str, Any]:
    """``notify``, or a mapping with a type. Errors are added to the reader's problems."""
    values = reader.table(READY, {"type": written} if isinstance(written, str) else written, keys, "ready")
    by_port = values.get("type") in BY_PORT
    for key in ("port", "path"):
        if key in values and values.sound("type") and (not by_port or (key, values["type"]) == ("path", "tcp")):
            reader.problems.add(keys + (key,), "%s says nothing about type %s" % (key, values["type"]), values[key])
    if by_port and "port" not in values and values.sound("port"):
        reader.problems.add(keys, "%s needs a port" % values["type"], None, "write port: <name of one in ports>")
    return dict(values)


def check(values: Values, name: str, origin: Mapping[str, Keys], keys: Keys, problems: Problems) -> None:
    """:param values: the keys that count for the program. :param origin: where each was written."""
    gate, once = values.get("wait_exit", False), values.get("kind") == ONCE
    if not values.sound("wait_exit", "kind", "model"):
        return
    if gate and once:
        problems.add(origin.get("kind", keys), "gate %s ends by itself: kind adds nothing" % name, ONCE,
                     "leave kind out")
    if values.get("ready") and (gate or once):
        hint = "the next rank waits for its end already" if gate else "with wait_exit: true the next rank waits for it"
        problems.add(origin.get("ready", keys), "%s is ready when it has ended: ready says nothing about it" % name,
                     None, hint)
    for code in values.get("exit_codes", ()):
        if code in NOT_ITS_OWN:
            problems.add(origin.get("exit_codes", keys), "%d cannot be expected of %s: %s" % (
                code, name, NOT_ITS_OWN[code]), code)


def check_ports(programs: Iterable[Any], ports: Iterable[str], keys: Keys, problems: Problems) -> None:
    """Refuse ports of ``ready`` that the application does not have."""
    known = list(ports)
    for program in programs:
        port = program.ready.get("port", "")
        if port and port not in known:
            problems.add(keys + ("programs", program.name, "ready", "port"), "there is no port %s" % show(port), port,
                         suggest(port, known) or "this application has no ports")


def check_bus(program: Any, keys: Keys, problems: Problems) -> None:
    """The bus may not end while its application runs."""
    key = "kind" if program.kind == ONCE else "exit_codes"
    if program.ends and not program.is_gate:
        problems.add(keys, "the bus %s may end (%s): it must run while the application runs" % (program.name, key),
                     program.name)
