# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of resources other than load: what programs take, and what there is."""

from __future__ import annotations

from .table import Field
from .table import table as _table

NEED = _table(
    "What an application needs",
    "muster_applications.<name>.needs[]",
    "`{any: 2, of: \".*_view\"}`: with fewer of these, it is not operational.",
    (
        Field("any", "integer", "So many of them must run.", required=True, minimum=1),
        Field("of", "text", "A regular expression for the whole name of a program; gates, programs that end"
              " (`kind: once`) and those without `start_sequence` are none of them.", required=True),
    ),
)

LOG = _table(
    "The log of a program",
    "muster_applications.<name>.programs.<program>.log",
    "Of each instance, in `<muster_root>/log/<instance>/<program>.log`. `muster logs` reads all parts.",
    (
        Field("size", "integer", "At this size it goes on in a new file.", default=1, minimum=1, maximum=10000,
              unit="MB"),
        Field("keep", "integer", "So many older files are kept.", default=3, minimum=0, maximum=50),
        Field("stderr", "choice", "Standard error: `together` with standard output, or `apart`, in"
              " `<program>.err.log`.", default="together", choices=("together", "apart")),
        Field("syslog", "boolean", "Each line goes to the host's syslog, too.", default=False),
    ),
)

SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")

PROGRAM = (
    Field("stop_signal", "choice", "The signal that asks it to end; what still lives after `stop_timeout` is killed.",
          default="TERM", choices=SIGNALS),
    Field("directory", "path", "The folder in which it starts.", default="",
          default_doc="`var/<instance>` of the host"),
    Field("umask", "mode", "The permissions that files of its own making do not get, as in `0027`.", default="",
          default_doc="`0027` on systemd, else that of who deploys"),
    Field("nice", "integer", "Its priority: greater is lower. Below 0 needs root.", default=0, minimum=-20,
          maximum=19),
    Field("log", "mapping", "How its log is kept on hosts with supervisor (below). With systemd, journald's own"
          " settings count: there, only `stderr: together` and `syslog: false` are true.", default={}),
    Field("expected_memory", "integer", "What it takes of the memory of a host, reserved before it starts. The smaller"
          " of machine and control group counts as the host's memory.", default=0, minimum=0, unit="MiB"),
    Field("resources", "amounts", "What it takes of the `muster_resources` of a host or the `muster_site_resources` of"
          " the site, reserved before it starts: `{gpu: 1}`.", default={}),
)
APPLICATION = (
    Field("needs", "items", "How many of which programs must run for it to be operational: a list of mappings (below)."
          " One that is missing without this is minor, unless it is `required`.", default=()),
    Field("learn", "boolean", "The status reports where an instance uses more load or memory than it reserves. Nothing"
          " is decided by it.", default=False),
)
SITE = (
    Field("muster_site_resources", "amounts", "What there is once for the whole site, by name, for `resources` of"
          " programs: `{licence_x: 3}`.", default={}),
)
HOST = (
    Field("muster_resources", "amounts", "What there is on its node, by name, for `resources` of programs: `{gpu: 2}`."
          " Hosts that share a node have them together.", default={}),
)
