# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of settings and of hooks."""

from __future__ import annotations

from ..model import parts, site
from . import keys_lease
from .table import Field
from .table import table as _table

SETTINGS = _table(
    "Settings",
    "muster_settings",
    "",
    (
        Field("start_timeout", "number", "The whole staged start of one instance.",
              default=site.Settings.start_timeout, minimum=0.1, unit="s"),
        Field("run_timeout", "number", "A run that acts for longer is taken over by the next one.",
              default=site.Settings.run_timeout, minimum=1, unit="s"),
        Field("stable_after", "number", "Operation that gives back one point of the failure budget; a crash within"
              " twelve times as much after a start is in a row with those before.",
              default=site.Settings.stable_after, minimum=0, unit="s"),
        Field("failure_budget", "integer", "Failures of an instance, of every kind, after which it stays failed.",
              default=site.Settings.failure_budget, minimum=1),
        Field("failure_window", "number", "The time they are counted in.", default=site.Settings.failure_window,
              minimum=1, unit="s"),
        Field("observe_interval", "number", "Time between two scheduled looks of the monitor at all hosts, over its"
              " lines.", default=site.Settings.observe_interval, minimum=1, unit="s"),
        Field("reconcile_interval", "number", "Time after which such a look is a reconcile by playbook, although the"
              " lines show nothing to do. It shows that Ansible still reaches every host.",
              default=site.Settings.reconcile_interval, minimum=1, unit="s"),
        Field("host_interval", "number", "Time between two questions of the monitor to a host's service manager.",
              default=site.Settings.host_interval, minimum=0.1, unit="s"),
        Field("host_down_after", "number", "How long two independent signals must agree that a host is gone until the"
              " monitor believes it down and moves what it held; of a machine that takes no connection, since its last"
              " answer and one `host_interval`.", default=site.Settings.host_down_after, minimum=0,
              unit="s"),
        Field("artifacts", "integer", "Runs of the monitor whose artefacts are kept.",
              default=site.Settings.artifacts, minimum=1),
        Field("artifacts_size", "integer", "What they may take together; beyond, the oldest ones go.",
              default=site.Settings.artifacts_size, minimum=1, unit="MiB"),
        Field("trail_days", "integer", "How long the trail of events is kept.", default=site.Settings.trail_days,
              minimum=1, unit="days"),
        Field("past_days", "integer", "How long changes of verdicts, alarms and hosts are kept, for `muster past` and"
              " `muster availability`.", default=site.Settings.past_days, minimum=1, unit="days"),
        Field("api", "boolean", "The monitor answers the HTTP API on Unix sockets: one in the state folder, one in the"
              " folder of each host on its machine.", default=site.Settings.api),
        Field("api_address", "address", "The loopback address where the API also listens, when it has a port.",
              default=site.Settings.api_address),
        Field("api_port", "integer", "The TCP port of the API there, and at the loopback address of each host on the"
              " controller's machine. 0: Unix sockets only.", default=site.Settings.api_port, minimum=0,
              maximum=65535),
        Field("ask_wait", "number", "How long the people at a console have time to answer when another console asks for"
              " a window that is open there.", default=site.Settings.ask_wait, minimum=5, maximum=3600, unit="s"),
        Field("ask_silence", "choice", "What it means when they do not answer: `keep`, the window stays; `give`, it"
              " moves.", default=site.Settings.ask_silence, choices=("keep", "give")),
        Field("backup_folder", "path", "A folder on the controller to which its monitor copies the ledger, best on"
              " another disk: `muster ledger backup` by timer ([the controller is lost](lost_controller.md)).",
              default="", default_doc="none"),
        Field("backup_interval", "number", "Time between two such copies.", default=site.Settings.backup_interval,
              minimum=1, unit="s"),
        Field("backup_keep", "integer", "How many of them stay there.", default=site.Settings.backup_keep, minimum=1),
    ) + keys_lease.SETTINGS,
)

HOOK = _table(
    "A hook",
    "muster_hooks[]",
    "The monitor runs the command on the controller, with a JSON document on standard input: {site, item, verdict,"
    " before, cause, since, at}; about alarms {site, id, alarm, event, state, before, kind, priority, says, items,"
    " hosts, who, at}. It gets no secret of the monitor's environment; what it prints goes to the monitor's log.",
    (
        Field("command", "arguments", "The arguments as a list, no shell. The first one, the program, is an absolute"
              " path, or `muster-notify` ([alarms](alarms.md#telling-others)).", required=True),
        Field("about", "choice", "What it hears of.", default=site.Hook.about, choices=parts.ABOUT),
        Field("on", "names", "The new verdicts it is run for: `operational`, `degraded`, `not operational`, `waiting`,"
              " `stopped`, `unknown`; of alarms %s; or `all`." % ", ".join("`%s`" % w for w in parts.ALARM_EVENTS),
              default=("all",), default_doc="`all`"),
        Field("priority", "names", "Of alarms: only those of these priorities.", default=(), default_doc="all"),
        Field("debounce", "number", "How long a verdict must last before the command runs; shorter changes are"
              " ignored.", default=site.Hook.debounce, minimum=0, maximum=86400, unit="s"),
        Field("timeout", "number", "How long the command may take until it is killed.", default=site.Hook.timeout,
              minimum=0.1, maximum=3600, unit="s"),
    ),
)
