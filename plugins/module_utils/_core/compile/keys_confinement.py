# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a program, a host service and a host that say as whom programs run and what they may use."""

from __future__ import annotations

from ..model.confinement import LIMITS, SANDBOX
from .table import Field

PROGRAM = (
    Field("user", "user", "As whom it runs, on systemd.", default="", default_doc="`muster_user` of the host"),
    Field("group", "user", "Its group, on systemd.", default="", default_doc="that of its user"),
    Field("limits", "limits", "What it may use, on systemd: %s." % ", ".join("`%s`" % name for name in LIMITS),
          default={}, default_doc="none"),
    Field("sandbox", "sandbox", "What it may see and do, on systemd: %s. They mean what systemd.exec(5) says of the"
          " directive of the same name." % ", ".join("`%s`" % name for name in SANDBOX), default={}),
)

HOST = (
    Field("muster_user", "user", "Who its programs run as, on systemd: a user that the role `host` makes.",
          default="", default_doc="`muster-programs` on systemd, else who deploys"),
    Field("muster_display", "display", "What the programs of an HCI application find in their environment, so that"
          " their windows show on the screen: `display`, `wayland_display`, `xauthority`, `runtime_dir`; and the"
          " `user` of that screen, as who they run (on systemd).", default={}),
)
