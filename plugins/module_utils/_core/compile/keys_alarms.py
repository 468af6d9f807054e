# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of the site's rules about alarms."""

from __future__ import annotations

from ..model.alarm import KINDS, PRIORITIES
from .table import Field, table

SITE = (
    Field("muster_alarms", "items", "Rules about alarms: what matters how much, what to do, what is none"
          " ([alarms](alarms.md)). For each key the first rule that is about an alarm counts.", default=[]),
)  # fmt: skip

RULE = table(
    "A rule about alarms",
    "muster_alarms[]",
    "`kinds`, `items`, `hosts` and `between` say which alarms it is about; without any of them it is about all. The"
    " other keys say what holds for these.",
    (
        Field("kinds", "names", "Kinds of alarms: %s." % ", ".join("`%s`" % name for name in KINDS), default=(),
              default_doc="all"),
        Field("items", "names", "Ids of items, or patterns such as `test-*`. An alarm that is also about others is not"
              " meant.", default=(), default_doc="all"),
        Field("hosts", "names", "Names of hosts, or patterns; likewise.", default=(), default_doc="all"),
        Field("between", "text", "The time of day, on the controller, at which the rule holds: `22:00-06:00`.",
              default="", default_doc="always"),
        Field("priority", "choice", "How urgent it is.", default="", choices=PRIORITIES, default_doc="by consequence"),
        Field("do", "text", "What to do, for the person who reads it.", default="", default_doc="the kind's words"),
        Field("after", "number", "How long its cause must last until it is an alarm.", minimum=0, maximum=86400,
              unit="s", default_doc="the kind's"),
        Field("off", "boolean", "It is no alarm: it is listed as suppressed by design.", default=False),
    ),
)
