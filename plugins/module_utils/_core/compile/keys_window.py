# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a program's window."""

from __future__ import annotations

from .table import Field
from .table import table as _table

WINDOW = _table(
    "A window",
    "muster_applications.<name>.programs.<program>.window",
    "A window that stands still is worse than none: it shows an old picture. On X11 the console asks the windows of"
    " this program whether they answer; the status says when one does not. Nothing is restarted because of it.",
    (
        Field("answers", "number", "How long it may be silent. A window that has never answered is not judged: there"
              " are toolkits that do not answer.", required=True, minimum=1, maximum=3600, unit="s"),
    ),
)
PROGRAM = (
    Field("window", "mapping", "`{answers: 3}`: the status says when its window stands still (below).", default={}),
)
