# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every key of the reference is refused or has an effect: here, that it reaches the site that everything is made from.

What the site then does with it is for the tests of each part. A new key fails until a value of its own is given.
"""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.compile import compiler, keys, keys_probe
from monitor.core.model import site as site_model
from tests.unit.compile.refused_sites import HCI, HOST, SERVICE, SRV
from tests.unit.embedded_site import changed, raw_site

FIRST = "muster_items/0"
PROGRAM = SRV + "/programs/data_processing"
GATE = SRV + "/programs/check_common_data_bus"
BUS = SRV + "/bus"
SYSTEMD = {"inventory/hosts/%s/muster_service_manager" % host: "systemd"
           for host in ("server_1", "server_2", "server_3", "console_1", "console_2", "console_3")}  # fmt: skip
COUNT = {"muster_site_resources": {"licence": 2}}
Change = dict[str, Any]


def item(**terms: Any) -> Change:
    return {FIRST: {"id": "01", **terms}}


def probe(**more: Any) -> Change:
    return {BUS + "/probe": {"type": "http", "port": "client", **more}, BUS + "/port": None}


ETCD = {"etcd": ["https://controller_1:2379"]}

# (title of the table, key) -> a change that must show; with a second one, what it is compared with.
VALUES: dict[tuple[str, str], Change | tuple[Change, Change]] = {
    ("The site", "muster_site"): {"muster_site": "other"},
    ("The site", "muster_items"): {"muster_items": ["01", "02"]},
    ("The site", "muster_items_source"): {"muster_items_source": "a table"},
    ("The site", "muster_applications"): {SRV + "/repair": "report"},
    ("The site", "muster_models"): {"muster_models/service/expected_loading": 3},
    ("The site", "muster_services"): {SERVICE + "/label": "that bus"},
    ("The site", "muster_settings"): {"muster_settings": {"failure_budget": 2}},
    ("The site", "muster_hooks"): {"muster_hooks": [{"command": ["/bin/true"]}]},
    ("The site", "muster_state_dir"): {"muster_state_dir": "/srv/other"},
    ("The site", "muster_site_resources"): COUNT,
    ("The site", "muster_ledger"): {"muster_ledger": ETCD},
    ("The ledger in etcd", "etcd"): {"muster_ledger": ETCD},
    **{("The ledger in etcd", key): ({"muster_ledger": {**ETCD, "cert": "/c.pem", "key": "/k.pem", key: value}},
                                     {"muster_ledger": {**ETCD, "cert": "/c.pem", "key": "/k.pem"}})
       for key, value in {"ca": "/ca.pem", "cert": "/o.pem", "key": "/o.key", "lease": 4}.items()},
    ("The site", "muster_alarms"): {"muster_alarms": [{"priority": "low"}]},
    **{("A rule about alarms", key): ({"muster_alarms": [{"priority": "low", "off": True, key: value}]},
                                      {"muster_alarms": [{"priority": "low", "off": True}]}) for key, value in {
        "kinds": ["bus"], "items": ["01"], "hosts": ["server_*"], "between": "22:00-06:00", "do": "Tell the lab.",
        "after": 9}.items()},
    ("A hook", "about"): {"muster_hooks": [{"command": ["/bin/true"], "about": "alarms"}]},
    ("A hook", "priority"): {"muster_hooks": [{"command": ["/bin/true"], "about": "alarms", "priority": ["low"]}]},
    ("A rule about alarms", "priority"): {"muster_alarms": [{"priority": "high"}]},
    ("A rule about alarms", "off"): {"muster_alarms": [{"off": True}]},
    ("The site", "muster_rollout"): {"muster_rollout": {"canary": 2}},
    **{("A rollout", key): {"muster_rollout": {key: value}} for key, value in {
        "canary": 2, "max_parallel": "50%", "hold_for": 33, "max_failures": 2, "revert": False,
        "well_within": 99}.items()},
    ("An application", "lease_lost"): {SRV + "/lease_lost": "kill"},
    ("An application", "rollout"): {SRV + "/rollout": {"max_parallel": 3}},
    ("An application", "on_change"): {SRV + "/on_change": "by_hand"},
    ("A program", "reload"): ({SRV + "/on_change": "reload", PROGRAM + "/reload": "HUP"},
                              {SRV + "/on_change": "reload", PROGRAM + "/reload": "USR1"}),
    ("A configuration file", "on_change"): {
        SRV + "/files/bus.conf": {"template": "scen2_srv_bus.conf.j2", "on_change": "by_hand"}},
    ("An item", "id"): item(),
    ("An item", "slot"): item(slot=77),
    ("An item", "name"): item(name="Weather mast"),
    ("An item", "area"): item(area="north"),
    ("An item", "kind"): item(kind="weather"),
    ("An item", "applications"): item(applications="scen2_srv"),
    ("An item", "expected_loading"): item(expected_loading=1.5),
    ("An item", "identifiers"): item(identifiers="server_2"),
    ("An item", "prefer"): item(prefer="server_2"),
    ("An item", "apart_from"): item(apart_from="02"),
    ("An item", "together_with"): item(together_with="02"),
    ("An item", "priority"): item(priority=3),
    ("An item", "displace"): (item(priority=3), item(priority=3, displace=True)),
    ("An application", "identifiers"): {SRV + "/identifiers": "server_1"},
    ("An application", "programs"): {SRV + "/programs/more": {"command": ["more"]}},
    ("An application", "per"): {SRV + "/per": "site", HCI + "/peer": "scen2_srv"},
    ("An application", "items"): {HCI + "/items": ["01", "02"]},
    ("An application", "program_rules"): {HCI + "/program_rules": {"view": {"start_sequence": 4}}},
    ("An application", "start_sequence"): {SRV + "/start_sequence": 4},
    ("An application", "stop_sequence"): {SRV + "/stop_sequence": 4},
    ("An application", "starting_strategy"): {SRV + "/starting_strategy": "config"},
    ("An application", "starting_failure_strategy"): {SRV + "/starting_failure_strategy": "continue"},
    ("An application", "running_failure_strategy"): {SRV + "/running_failure_strategy": "restart_process"},
    ("An application", "bus"): {BUS + "/probe": "tcp"},
    ("An application", "ports"): {SRV + "/ports/base": 21000},
    ("An application", "files"): {SRV + "/files/more.conf": "more.conf.j2"},
    ("An application", "peer"): {HCI + "/per": "site", HCI + "/peer": "archive", "muster_applications/archive": {
        "per": "site", "identifiers": "servers", "programs": {"archive": {"command": ["a"], "start_sequence": 1}}}},
    ("An application", "repair"): {SRV + "/repair": "report"},
    ("An application", "conflicts"): {SRV + "/conflicts": "ask"},
    ("An application", "after_budget"): {SRV + "/after_budget": {"retry": 60}},
    ("An application", "limits"): (SYSTEMD, {**SYSTEMD, SRV + "/limits": {"tasks_max": 9}}),
    ("An application", "template"): {SRV + "/template": "mine.j2"},
    ("An application", "needs"): {SRV + "/needs": [{"any": 1, "of": "data_.*"}]},
    ("An application", "learn"): {SRV + "/learn": True},
    ("What follows a spent budget", "retry"): {SRV + "/after_budget": {"retry": 61}},
    ("What an application needs", "any"): {SRV + "/needs": [{"any": 1, "of": "data_.*"}]},
    ("What an application needs", "of"): {SRV + "/needs": [{"any": 1, "of": "data_.*"}]},
    ("A program", "command"): {PROGRAM + "/command": ["other"]},
    ("A program", "model"): {PROGRAM + "/model": "window"},
    ("A program", "environment"): {PROGRAM + "/environment": {"A": "1"}},
    ("A program", "start_sequence"): {PROGRAM + "/start_sequence": 9},
    ("A program", "stop_sequence"): {PROGRAM + "/stop_sequence": 9},
    ("A program", "wait_exit"): {PROGRAM + "/wait_exit": True},
    ("A program", "required"): {PROGRAM + "/required": False},
    ("A program", "expected_loading"): {PROGRAM + "/expected_loading": 9},
    ("A program", "expected_memory"): {PROGRAM + "/expected_memory": 9},
    ("A program", "resources"): (COUNT, {**COUNT, PROGRAM + "/resources": {"licence": 1}}),
    ("A program", "starting_failure_strategy"): {PROGRAM + "/starting_failure_strategy": "continue"},
    ("A program", "running_failure_strategy"): {PROGRAM + "/running_failure_strategy": "restart_process"},
    ("A program", "start_timeout"): {PROGRAM + "/start_timeout": 9},
    ("A program", "stop_timeout"): {PROGRAM + "/stop_timeout": 9},
    ("A program", "on_timeout"): {SRV + "/programs/check_internal_data_bus/on_timeout": "defer"},
    ("A program", "waits_for"): {SRV + "/programs/check_internal_data_bus": {
        "model": "check_data_bus", "command": ["c"], "on_timeout": "defer", "waits_for": "common_data_bus"}},
    ("A program", "stop_signal"): {PROGRAM + "/stop_signal": "INT"},
    ("A program", "directory"): {PROGRAM + "/directory": "/srv/data"},
    ("A program", "umask"): {PROGRAM + "/umask": "0077"},
    ("A program", "nice"): {PROGRAM + "/nice": 5},
    ("A program", "log"): {PROGRAM + "/log": {"keep": 5}},
    **{("The log of a program", key): {PROGRAM + "/log": {key: value}} for key, value in {
        "size": 5, "keep": 5, "stderr": "apart", "syslog": True}.items()},
    ("A program", "kind"): {PROGRAM + "/kind": "once"},
    ("A program", "exit_codes"): {PROGRAM + "/exit_codes": [0, 3]},
    ("A program", "ready"): {PROGRAM + "/ready": "notify"},
    **{("When a program is ready", key): ({PROGRAM + "/ready": {"type": "tcp", "port": "client"}},
                                          {PROGRAM + "/ready": {"type": "http", "port": "client", key: value}})
       for key, value in {"type": "http", "port": "leaf", "path": "/up"}.items()},
    ("A program", "window"): {PROGRAM + "/window": {"answers": 3}},
    ("A window", "answers"): ({PROGRAM + "/window": {"answers": 3}}, {PROGRAM + "/window": {"answers": 5}}),
    **{("A program", key): (SYSTEMD, {**SYSTEMD, PROGRAM + "/" + key: value}) for key, value in {
        "user": "eve", "group": "staff", "limits": {"nice": 3}, "sandbox": {"private_tmp": True}}.items()},
    **{("An internal data bus", key): {BUS + "/" + key: value} for key, value in {
        "probe": "tcp", "port": "leaf", "interval": 3, "timeout": 3, "failures": 5, "slow": 0.3,
        "startup_timeout": 4, "shadow": True}.items()},
    ("An internal data bus", "program"): {BUS + "/program": "data_processing"},
    ("An internal data bus", "window"): {BUS + "/window": 9},
    ("An internal data bus", "link"): {HCI + "/bus/link": None},
    ("Ports", "base"): {SRV + "/ports/base": 21000},
    ("Ports", "stride"): {SRV + "/ports/stride": 5},
    ("A configuration file", "template"): {SRV + "/files/bus.conf": {"template": "other.j2"}},
    ("A configuration file", "mode"): {SRV + "/files/bus.conf": {"template": "scen2_srv_bus.conf.j2", "mode": "0600"}},
    **{("A host service", key): {SERVICE + "/" + key: value} for key, value in {
        "hosts": "server_1", "command": ["other"], "label": "that bus", "environment": {"A": "1"},
        "ports": {"client": 19000}, "files": {}, "probe": "tcp", "port": "cluster", "interval": 3, "timeout": 3,
        "failures": 5, "window": 9, "slow": 0.3, "startup_timeout": 4, "shadow": True}.items()},
    **{("A host service", key): (SYSTEMD, {**SYSTEMD, SERVICE + "/" + key: value}) for key, value in {
        "user": "eve", "group": "staff", "limits": {"nice": 3}, "sandbox": {"private_tmp": True}}.items()},
    **{("A host", "muster_" + key): {HOST + "/muster_" + key: value} for key, value in {
        "root": "/srv/elsewhere", "address": "127.60.0.99", "node": "rack", "service_manager": "systemd",
        "load_limit": 50, "extra_load": 5, "measure": "processes", "min_free_memory": 5, "min_free_disk": 5,
        "resources": {"gpu": 1}, "display": {"display": ":0"}}.items()},
    ("A host", "muster_user"): (SYSTEMD, {**SYSTEMD, HOST + "/muster_user": "eve"}),
    **{("Settings", key): {"muster_settings": {key: value}} for key, value in {
        "start_timeout": 61, "run_timeout": 121, "stable_after": 11, "failure_budget": 6, "failure_window": 601,
        "observe_interval": 61, "reconcile_interval": 901, "host_interval": 2, "host_down_after": 3, "artifacts": 51,
        "artifacts_size": 201, "trail_days": 366, "past_days": 99, "api": False, "api_address": "127.0.0.2",
        "ask_wait": 12, "ask_silence": "give", "api_port": 8771, "exclusion": "none",
        "backup_folder": "/mnt/backup", "backup_interval": 61, "backup_keep": 4,
        "lease": 4, "lease_margin": 0.7, "clock_error": 0.002, "lease_port": 26991}.items()},
    **{("Settings", key): ({"muster_settings": {"exclusion": "witnesses", "power_fence": ["/bin/true"]}},
                           {"muster_settings": {"exclusion": "witnesses", "power_fence": ["/bin/true", "x"],
                                                "power_fence_timeout": 3}})
       for key in ("power_fence", "power_fence_timeout")},
    **{("A hook", key): ({"muster_hooks": [{"command": ["/bin/true"]}]},
                         {"muster_hooks": [{"command": ["/bin/true"], key: value}]})
       for key, value in {"command": ["/bin/false"], "on": "unknown", "debounce": 9, "timeout": 9}.items()},
}  # fmt: skip
# What is not written there, and why.
ELSEWHERE = {
    ("The site", "muster_items_problems"): "each of them is an error",
    ("An application", "distribution"): "it has one value only",
    **{("A probe", field.name): "tests/unit/compile/test_site_probes.py" for field in keys_probe.PROBE.fields},
    **{("TLS of a probe", field.name): "tests/unit/compile/test_site_probes.py" for field in keys_probe.TLS.fields},
}
KEYS = [(table.title, field.name) for table in keys.TABLES for field in table.fields]


def compiled(change: Change) -> dict[str, Any]:
    return site_model.site_to_json(compiler.compile_site(changed(raw_site(), change)))


def test_every_key_has_a_value_here_or_a_reason() -> None:
    assert [key for key in KEYS if (key in VALUES) == (key in ELSEWHERE)] == []
    assert [key for key in (*VALUES, *ELSEWHERE) if key not in KEYS] == []


@pytest.mark.parametrize("key", VALUES, ids=lambda key: ".".join(key).replace(" ", "_"))
def test_a_key_reaches_the_site(key: tuple[str, str]) -> None:
    change = VALUES[key]
    before, after = change if isinstance(change, tuple) else ({}, change)
    if key == ("An item", "id"):
        after = {FIRST: {"id": "north", "slot": 1}}
    assert compiled(before) != compiled(after)
