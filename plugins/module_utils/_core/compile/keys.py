# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a site, as tables: for validation, defaults and the reference page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

from ..model import item as item_model
from ..model import site
from ..model.confinement import LIMITS, SANDBOX
from . import (
    keys_alarms,
    keys_change,
    keys_lease,
    keys_ledger,
    keys_life,
    keys_probe,
    keys_resources,
    keys_settings,
    keys_window,
)
from . import table as key_table
from .item import keys as item_keys
from .table import table as _table

Field = key_table.Field
HIGHEST_SLOT = item_keys.HIGHEST_SLOT
ITEM = item_keys.ITEM
HOOK = keys_settings.HOOK
SETTINGS = keys_settings.SETTINGS

LOWEST_EPHEMERAL_PORT = 32768  # Linux hands out ports from here on to any outgoing connection

# What Supvisors' users may write, and what muster says to it.
SINGLE_INSTANCE_ONLY = (
    "muster never spreads the processes of one instance over several hosts: single_instance is the only distribution"
)

# As whom a program or host service runs, and what it may use.
_CONFINEMENT = (
    Field("user", "user", "As whom it runs; where supervisor runs it, its hosts need a `muster_user`.", default="",
          default_doc="`muster_user` of the host"),
    Field("group", "user", "Its group; likewise.", default="", default_doc="that of its user"),
    Field("limits", "limits", "What it may use, on systemd: %s." % ", ".join("`%s`" % name for name in LIMITS),
          default={}, default_doc="none"),
    Field("sandbox", "sandbox", "What it may see and do, on systemd: %s. They mean what systemd.exec(5) says of the"
          " directive of the same name." % ", ".join("`%s`" % name for name in SANDBOX), default={}),
)

SITE = _table(
    "The site",
    "",
    "Variables of the inventory, read as the controller (group `muster_controller`) sees them: `group_vars/all` is"
    " the usual place.",
    (
        Field("muster_site", "name", "Name of the site. Every process carries it in `MUSTER_SITE`.", required=True),
        Field("muster_items", "items", "What the control room controls: one entry per item.", required=True),
        Field("muster_items_source", "text", "Where the items come from, for people, when a source that others edit"
              " holds them: `control_room.muster.items` sets it. Such a site is not deployed with half of its items"
              " gone, unless that is accepted ([items from elsewhere](items.md)).", default="",
              default_doc="they are written here"),
        Field("muster_items_problems", "items", "What is wrong in that source: `control_room.muster.items` sets it, and"
              " nothing is deployed.", default=[]),
        Field("muster_applications", "mapping", "The applications, by name. One instance of each per item, or as `per`"
              " says.", required=True),
        Field("muster_models", "mapping", "Reusable sets of program keys, by name.", default={}),
        Field("muster_services", "mapping", "Host services, by name: started on each of their hosts by themselves.",
              default={}),
        Field("muster_settings", "mapping", "Numbers that hold for the whole site.", default={}),
        Field("muster_hooks", "items", "Commands that the monitor runs when the verdict of an item changes: a list.",
              default=[]),
        Field("muster_state_dir", "path", "Folder on the controller: ledger, published state, artefacts of runs.",
              required=True),
    ) + keys_resources.SITE + keys_change.SITE + keys_ledger.SITE + keys_alarms.SITE,
    muster_hosts="hosts are written in the inventory, in the group muster_hosts",
)

APPLICATION = _table(
    "An application",
    "muster_applications.<name>",
    "One generic definition; muster makes an instance `<name>_<item id>` of it per item (or as `per` says). An instance"
    " is never spread over hosts, and runs at most once.",
    (
        Field("identifiers", "names", "Where it may run: hosts and groups of the inventory, one or a list.",
              required=True),
        Field("programs", "mapping", "Its programs, by name.", required=True),
        Field("per", "choice", "What it has one instance for: each `item`; the `site` (`<name>_site`: one that all"
              " items share, such as an archive); or each `host` of its `identifiers` (`<name>_<host>`, such as one per"
              " console), which runs there or nowhere.", default=site.Application.per, choices=item_model.PER),
        Field("items", "choice of items", "The items that have it: ids, patterns (`north-*`), ranges (`01..07`), one or"
              " a list; or a mapping of item variables to the value, or the values, that they must have.",
              default_doc="all"),
        Field("program_rules", "mapping", "Program keys by regular expression over program names, found anywhere in"
              " the name. The longest expression that matches counts; keys of the program itself win.", default={}),
        Field("start_sequence", "integer", "Rank among the applications, smallest first. 0: started on request only,"
              " as an HCI.", default=0, minimum=0),
        Field("stop_sequence", "integer", "Rank among the applications when one run stops several of them, greatest"
              " first. 0: at once, whatever the others do.", minimum=0, default_doc="as `start_sequence`"),
        Field("starting_strategy", "choice", "How a host is chosen among those with capacity. `config`: in the order"
              " of `identifiers`; `less_loaded`, `most_loaded`: by the load of the host; `less_loaded_node`,"
              " `most_loaded_node`: by that of its machine; `local`: the console of who asks.",
              default=site.Application.starting_strategy, choices=site.STARTING_STRATEGIES),
        Field("starting_failure_strategy", "choice", "A required program cannot start: `abort` the start and keep what"
              " runs; `stop` the instance; `continue` with the other programs. A gate that fails ends the start in any"
              " case.", default=site.Application.starting_failure_strategy,
              choices=site.STARTING_FAILURE_STRATEGIES),
        Field("running_failure_strategy", "choice", "Default for its programs.",
              default=site.Program.running_failure_strategy, choices=site.RUNNING_FAILURE_STRATEGIES),
        Field("distribution", "choice", "Only `single_instance`: %s." % SINGLE_INSTANCE_ONLY.split(":", 1)[0],
              default="single_instance", choices=("single_instance",)),
        Field("bus", "mapping", "Its internal data bus: which program it is, and how it is probed."),
        Field("ports", "mapping", "Its TCP ports, computed from the item's slot."),
        Field("files", "files", "Configuration files per item: name in `MUSTER_ETC` -> template.", default={}),
        Field("peer", "name", "The application it talks to: its instance of the same item is found at the hosts in"
              " `MUSTER_PEERS`, the holder first.", default=""),
        Field("repair", "choice", "What a reconcile does about what was changed past muster (programs stopped, copies"
              " started, files changed by hand): put right, or only report.", default=site.Application.repair,
              choices=("auto", "report")),
        Field("conflicts", "choice", "What becomes of a second copy, or one that no claim allows. `keep_claimed`: it is"
              " stopped; `stop_all`: every copy is, then it starts once on the claimed host; `ask`: nothing, until"
              " somebody decides (`muster resolve`).", default=site.Application.conflicts,
              choices=site.CONFLICTS),
        Field("after_budget", "mapping", "What becomes of a service whose failure budget is spent. Without it, it stays"
              " failed until somebody starts it.", default_doc="none"),
        Field("limits", "limits", "Of all processes of an instance together, on systemd: `memory_max`, `memory_high`"
              " (`2G`, or `25%` of the memory), `cpu_quota` (percent of one processor), `cpu_weight`, `io_weight`,"
              " `tasks_max`.", default={}),
        Field("template", "template", "Replaces the template of the service manager's configuration; on systemd that"
              " of the application's units, which is rendered once for all items.", default="",
              default_doc="the collection's"),
    ) + keys_resources.APPLICATION + keys_change.APPLICATION + keys_lease.APPLICATION,
    addresses="the word here is identifiers",
    core_identifiers="write identifiers",
    distributed="write distribution: single_instance, or nothing",
    operational_status="write needs: [{any: 2, of: <pattern>}], or required: true for programs that all matter",
    numprocs="muster makes one instance per entry of muster_items",
    pattern="one application serves all items: no pattern is needed",
)

AFTER_BUDGET = _table(
    "What follows a spent budget",
    "muster_applications.<name>.after_budget",
    "For services that need something which may come late or be away for hours: an instrument, a file server, a"
    " licence.",
    (
        Field("retry", "number", "A service whose failure budget is spent is tried again, once per such time, for ever."
              " Its budget comes back when it runs.", required=True, minimum=10, unit="s"),
    ),
)

PROGRAM = _table(
    "A program",
    "muster_applications.<name>.programs.<program>",
    "The same keys are allowed in `muster_models.<model>` and in `program_rules`. What counts for a key: the program"
    " itself, then its longest matching rule, then the model (and the model's model). `environment` is merged, all"
    " else replaced.",
    (
        Field("command", "arguments", "The arguments as a list, Jinja allowed. A first one without a leading slash is"
              " below `bin/` of the host's folder.", required=True),
        Field("model", "name", "The entry of `muster_models` it takes keys from.", default=""),
        Field("environment", "environment", "Variables of its environment, Jinja allowed; those of muster"
              " (`MUSTER_...`) are given.", default={}),
        Field("start_sequence", "integer", "Rank within the application, smallest first; the next rank begins when"
              " this one runs. 0: not started with it.", default=0, minimum=0),
        Field("stop_sequence", "integer", "Rank when stopping, greatest first.", minimum=0,
              default_doc="as `start_sequence`"),
        Field("wait_exit", "boolean", "A gate: the next rank begins when it has exited with 0.", default=False),
        Field("required", "boolean", "Its failure is major: the application is not operational.", default=False),
        Field("expected_loading", "integer", "What it takes of a host, reserved before it starts.", default=0,
              minimum=0, maximum=100, unit="%"),
        Field("starting_failure_strategy", "choice", "As the application's, for this program.", default="",
              choices=site.STARTING_FAILURE_STRATEGIES, default_doc="the application's"),
        Field("running_failure_strategy", "choice", "It crashes: `continue` without it, `restart_process`,"
              " `stop_application` or `restart_application`.", choices=site.RUNNING_FAILURE_STRATEGIES,
              default_doc="the application's"),
        Field("start_timeout", "number", "How long its start may take; for a gate: until its exit.",
              default=site.Program.start_timeout, minimum=0.05, unit="s"),
        Field("stop_timeout", "number", "Time from SIGTERM to SIGKILL.", default=site.Program.stop_timeout,
              minimum=0.05, unit="s"),
        Field("on_timeout", "choice", "A gate that is not through in time: `fail`, or `defer` the ranks from here on"
              " until it would pass.", default=site.Program.on_timeout, choices=("fail", "defer")),
        Field("waits_for", "name", "A gate that defers: the host service whose answer lets the start continue.",
              default=""),
    ) + keys_life.PROGRAM + keys_resources.PROGRAM + keys_change.PROGRAM + keys_window.PROGRAM + _CONFINEMENT,
    identifiers="where it may run is said once, by the application: muster keeps an instance on one host",
    reference="the word here is model",
    autostart="give start_sequence a rank: muster starts what has one",
    autorestart="running_failure_strategy says what a crash means",
    startsecs="ready says when the next rank may begin; a gate (wait_exit: true) shows that what it checks works",
    exitcodes="the word here is exit_codes",
    stopwaitsecs="the word here is stop_timeout",
    numprocs="muster makes one instance per entry of muster_items",
)

BUS = _table(
    "An internal data bus",
    "muster_applications.<name>.bus",
    "The monitor holds a connection to it: a crash shows at once, a hang after missed answers. What follows is the"
    " `running_failure_strategy` of the program.",
    (Field("program", "name", "The program that is the bus.", required=True),)
    + tuple(replace(field, required=field.name == "probe") for field in keys_probe.SHORT)
    + (Field("link", "mapping", "A probe, as a mapping, of what joins this bus to that of the `peer`: a leaf node, a"
             " bridge. While it fails the item is `degraded`; nothing is restarted or stopped for it. `null`: none."),),
)

PORTS = _table(
    "Ports",
    "muster_applications.<name>.ports",
    "Every other key is the name of a port, its value the offset: port = base + slot x stride + offset. Programs get"
    " them as `MUSTER_PORT_<NAME>`, templates as `ports.<name>`. All ports of all items stay below %d."
    % LOWEST_EPHEMERAL_PORT,
    (
        Field("base", "integer", "The first port of slot 0.", required=True, minimum=1,
              maximum=LOWEST_EPHEMERAL_PORT - 1),
        Field("stride", "integer", "Ports set apart per item.", required=True, minimum=1, maximum=1000),
    ),
)

FILE = _table(
    "A configuration file",
    "files.<name>",
    "A template's name, or a mapping with these keys. Templates are looked for in `templates` beside the inventory,"
    " then beside the playbook, then in the collection.",
    (
        Field("template", "template", "The Jinja template.", required=True),
        Field("mode", "mode", "Its permissions, in quotes.", default=site.ConfigFile.mode),
    ) + keys_change.FILE,
)

SERVICE = _table(
    "A host service",
    "muster_services.<name>",
    "Runs on each of its hosts from the service manager's start on, belongs to no item and is never moved: a bus that"
    " all items share, for example.",
    (
        Field("hosts", "names", "Where it runs: hosts and groups of the inventory, one or a list.", required=True),
        Field("command", "arguments", "The arguments as a list, as of a program.", required=True),
        Field("label", "text", "Its name in sentences.", default="", default_doc="its name"),
        Field("environment", "environment", "Variables of its environment.", default={}),
        Field("ports", "mapping", "Name -> TCP port, the same on each host.", default={}),
        Field("files", "files", "Configuration files: name in `MUSTER_ETC` -> template.", default={}),
    )
    + _CONFINEMENT
    + keys_probe.SHORT,
)

HOST = _table(
    "A host",
    "Inventory variables of the members of group `muster_hosts`",
    "A host is one service manager with its own folder and address. The name in the inventory is its only identity.",
    (
        Field("muster_root", "path", "Its folder: programs, configuration, logs. Absolute, of letters, digits and"
              " `_ . / + @ = -`, and short enough for its socket.", required=True),
        Field("muster_address", "address", "The address where its programs listen and are reached.",
              default_doc="its inventory name"),
        Field("muster_node", "node", "The machine. Hosts that give the same one share its capacity.",
              default_doc="its inventory name"),
        Field("muster_service_manager", "choice", "What runs the processes.",
              default=site.Host.service_manager, choices=site.SERVICE_MANAGERS),
        Field("muster_user", "user", "Who its programs run as: a user that the role `host` makes. Its group may read"
              " the host's folder. Where supervisor runs them, that is a supervisord of root.",
              default="", default_doc="`muster-programs` on systemd, else who deploys"),
        Field("muster_display", "display", "What the programs of an HCI application find in their environment, so that"
              " their windows show on the screen: `display`, `wayland_display`, `xauthority`, `runtime_dir`; and the"
              " `user` of that screen, as who they run (on systemd).", default={}),
        Field("muster_load_limit", "integer", "No start beyond this sum of `expected_loading`.",
              default=site.Host.load_limit, minimum=0, maximum=1000, unit="%"),
        Field("muster_extra_load", "integer", "Stands for other work on it, in demonstrations and tests.",
              default=site.Host.extra_load, minimum=0, maximum=1000, unit="%"),
        Field("muster_measure", "choice", "Its measured load: that of the whole `node`, or of muster's own"
              " `processes`.", default=site.Host.measure, choices=("node", "processes")),
        Field("muster_min_free_memory", "integer", "No start with less free memory than this. 0: no floor.",
              default=site.Host.min_free_memory, minimum=0, unit="MiB"),
        Field("muster_min_free_disk", "integer", "No start with less free disk than this. 0: no floor.",
              default=site.Host.min_free_disk, minimum=0, unit="MiB"),
    ) + keys_resources.HOST,
)

TABLES = (SITE, keys_ledger.LEDGER, keys_change.ROLLOUT, ITEM, APPLICATION, AFTER_BUDGET, keys_resources.NEED,
          PROGRAM, keys_life.READY, keys_resources.LOG, keys_window.WINDOW, BUS,
          keys_probe.PROBE, keys_probe.TLS, PORTS, FILE, SERVICE,
          HOST, SETTINGS, HOOK, keys_alarms.RULE)

# Whose keys no variable of an item may have by mistake: the first one that has it says where it counts.
COUNTED = (APPLICATION, PROGRAM, BUS, AFTER_BUDGET, SERVICE, SITE, HOST, SETTINGS)


def site_reference() -> List[Dict[str, Any]]:
    """The tables as plain data, for the reference page: title, place, doc and one row of texts per key."""
    return [
        {"title": table.title, "place": table.place, "doc": table.doc, "rows": [_row(field) for field in table.fields]}
        for table in TABLES
    ]


_KINDS = {
    "arguments": "list of texts",
    "environment": "name -> text",
    "files": "name -> template",
    "integer": "whole number",
    "items": "list",
    "item id": "text",
    "names": "name or list",
    "mapping": "mapping",
    "node": "name",
    "boolean": "true or false",
    "template": "file name",
    "path": "folder",
    "mode": "text",
    "list": "list of probes",
    "file": "path of a file",
    "url path": "text",
    "statuses": "number or list",
    "topic": "text",
    "user": "name",
    "limits": "name -> limit",
    "sandbox": "name -> value",
    "display": "name -> text",
    "amounts": "name -> whole number",
    "factor": "number or mapping",
    "choice of items": "name, list or mapping",
    "hosts": "name, list or mapping",
    "codes": "number or list",
    "ready": "mapping",
}


def _row(field: Field) -> Dict[str, str]:
    if field.required:
        default = "required"
    elif field.default_doc:
        default = field.default_doc
    else:
        default = _shown(field.default) + (" " + field.unit if field.unit and field.default is not None else "")
    return {"name": field.name, "kind": _kind(field), "default": default, "doc": field.doc}


def _kind(field: Field) -> str:
    kind = " | ".join("`%s`" % choice for choice in field.choices) or _KINDS.get(field.kind, field.kind)
    if field.kind == "probe":
        kind += " | a mapping"
    if field.minimum is not None and field.maximum is not None:
        kind += ", %g to %g" % (field.minimum, field.maximum)
    elif field.minimum is not None and field.minimum >= 1:
        kind += ", at least %g" % field.minimum
    if field.kind == "number" and field.unit == "s":
        return kind.replace("number", "duration", 1)
    return kind + (", in %s" % field.unit if field.unit else "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "%g" % value
    return "none" if not value else "`%s`" % value
