# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a program's life: how it may end, and when it counts as started."""

from __future__ import annotations

from ..model.parts import KINDS, READY_TYPES
from .table import Field
from .table import table as _table

READY = _table(
    "When a program is ready",
    "muster_applications.<name>.programs.<program>.ready",
    "A word, or a mapping with these keys. The next rank begins when the program is ready, and it fails when it is not"
    " within its `start_timeout`.",
    (
        Field("type", "choice", "`notify`: it says `READY=1` at `NOTIFY_SOCKET`, as sd_notify(3) does. `tcp`: its port"
              " takes a connection. `http`: a GET is answered with a status from 200 to 399.", required=True,
              choices=READY_TYPES),
        Field("port", "name", "`tcp`, `http`: the name of the port in `ports`.", default=""),
        Field("path", "url path", "`http`: what is asked for.", default="/"),
    ),
    probe="inside this mapping the word is type",
    timeout="start_timeout of the program is how long this may take",
)

PROGRAM = (
    Field("kind", "choice", "`once`: it does its work and ends, once per start of its instance. Its end with one of"
          " `exit_codes` is no failure.", default="lasting", choices=KINDS),
    Field("exit_codes", "codes", "With which it may end by itself: that is an end, not a crash, and it starts again"
          " with its instance. Of a gate: with which the next rank begins. An end by a signal is never expected.",
          default=(), default_doc="`0` for gates and `kind: once`, else none", minimum=0, maximum=255),
    Field("ready", "ready", "When the next rank may begin: `notify`, or a mapping (below).", default={},
          choices=("notify",), default_doc="when it runs"),
)
