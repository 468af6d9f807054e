# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the tests' hosts: texts as the collection renders them, for both service managers."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
# Which service manager the hosts of a test have: systemd only inside of the machine that test_systemd_contract boots.
MANAGER = os.environ.get("MUSTER_TEST_MANAGER", "supervisor")
# Programs of the kit may run as a user who cannot read this Python.
PYTHON = "/usr/bin/python3" if MANAGER == "systemd" else sys.executable
SERVICE = """[program:{name}]
command=@@root@@/bin/muster-exec --service @@root@@/bin/dummy/idle {argument}
environment=MUSTER_INSTANCE="{name}_@@host@@",MUSTER_PROGRAM="{name}"
directory=@@root@@/var
autostart=true
autorestart=true
startsecs=0
stopasgroup=true
killasgroup=true
stdout_logfile=@@root@@/log/{name}/{name}.log
redirect_stderr=true
"""


def service_texts(name: str, argument: str = "") -> dict[str, dict[str, str]]:
    """The files of a host service for the service manager."""
    if MANAGER != "systemd":
        return {name + ".ini": {"text": SERVICE.format(name=name, argument=argument), "mode": "0640"}}
    lines = ["MUSTER_INSTANCE=%s_@@host@@" % name, "MUSTER_PROGRAM=" + name, ">@@root@@/bin/dummy/idle",
             *([">" + argument] if argument else [])]
    program_ = {"user": "@@user@@", "group": "", "stop_timeout": 2, "directives": [], "run_lines": "\n".join(lines)}
    values = {"service": name, "program": program_, "root": "@@root@@", "host": "@@host@@", "site_id": "@@site_id@@",
              "group": "@@group@@"}
    templates = REPOSITORY / "roles/host/templates"
    return {name + suffix: {"text": engine().from_string((templates / file).read_text()).render(values), "mode": "0640"}
            for suffix, file in ((".run", "systemd_service.run.j2"), (".units", "systemd_service.units.j2"))}


def unit_of(instance: str, program_name: str) -> str:
    """The unit of a program; the kit has an application of its own per instance, because their programs differ."""
    return "muster-%s.%s@%s.service" % (instance, program_name, instance[-2:])


def item_of(instance: str, known: dict[str, Any]) -> str:
    return str(known.get("item", instance[-2:]))


def engine() -> Any:
    """As Ansible renders; what a template uses and the kit does not give is an error."""
    import jinja2

    return jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )


def how_it_runs(entry: dict[str, Any]) -> dict[str, Any]:
    """What a site may say of a program beside its command, as templates want it."""
    return {
        "stop_signal": entry.get("stop_signal", "TERM"), "directory": entry.get("directory", ""),
        "ends": entry.get("exit_codes", []),
        "umask": entry.get("umask", "0027" if MANAGER == "systemd" else ""),
        "log": {"size": 1, "keep": 3, "stderr": "together", "syslog": False, **entry.get("log", {})},
    }  # fmt: skip


def systemd_texts(instance: str, known: dict[str, Any]) -> dict[str, str]:
    """The two rendered files of an instance, by suffix."""
    programs = []
    bus = known.get("bus", "")
    item = item_of(instance, known)
    for entry in known["programs"]:
        environment = {
            "MUSTER_INSTANCE": instance, "MUSTER_PROGRAM": entry["name"], "MUSTER_ITEM": item,
            **{"MUSTER_PORT_%s" % k.upper(): str(v) for k, v in known.get("ports", {}).items()},
            **({"MUSTER_BUS": "restart_application"} if entry["name"] == bus else {}),
            **known.get("environment", {}), **entry.get("environment", {}),
        }
        command = list(entry["command"])
        if not command[0].startswith("/"):
            command[0] = "@@root@@/bin/" + command[0]
        programs.append({
            "name": entry["name"], "gate": entry["wait_exit"], "give_up": math.ceil(entry["start_timeout"]) + 12,
            "bound_to": bus if entry["name"] != bus and entry["start_sequence"] else "",
            "user": "@@hci_user@@" if known.get("on_request") else "@@user@@",
            "group": "",
            "directives": [*(["Nice=%d" % entry["nice"]] if entry.get("nice") else []), *entry.get("directives", [])],
            "stop_timeout": max(1, math.ceil(entry["stop_timeout"])),
            **how_it_runs(entry),
            "run_lines": "\n".join(["%s=%s" % pair for pair in environment.items()] + [">" + word for word in command]),
        })
    values = {
        "application": instance[: -1 - len(item)], "units": known.get("units", instance), "item": {"id": item},
        "programs": programs,
        "root": "@@root@@", "host": "@@host@@", "site_id": "@@site_id@@", "group": "@@group@@",
        "on_request": known.get("on_request", False),
        "slice": "muster-" + known.get("units", instance).replace("-", "\\x2d"),
        "slice_directives": known.get("limits", []),
    }
    templates = REPOSITORY / "roles/host/templates"
    return {suffix: engine().from_string((templates / name).read_text()).render(values) for suffix, name in (
        (".units", "systemd_application.units.j2"), (".run", "systemd_instance.run.j2"))}
