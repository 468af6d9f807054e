# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error of a single value of a site, and its message; values of every kind anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.compile import errors as compile_errors
from tests.unit.compile.refused_sites import HCI, HOST, PROGRAM, SERVICE, SRV, Case, each, lines_of, refused
from tests.unit.embedded_site import DELETE, changed, raw_site

CASES: list[Case] = [
    # keys and types
    ("unknown variable", {"muster_item": ["01"]}, "muster_item: unknown variable", ["did you mean muster_items?"]),
    ("unknown host variable", {HOST + "/muster_adress": "10.0.0.1"}, "hosts.server_2.muster_adress: unknown key",
     ["did you mean muster_address?"]),
    ("connection without input", {HOST + "/connection": "ansible.netcommon.paramiko_ssh"},
     "hosts.server_2: host server_2 is reached by ansible.netcommon.paramiko_ssh, which cannot hand over what",
     ["say ansible_connection: ssh"]),
    ("unknown key of an application", {SRV + "/start_sequnce": 1},
     "muster_applications.scen2_srv.start_sequnce: unknown key", ["did you mean start_sequence?", "allowed: "]),
    ("unknown key of a program", {PROGRAM + "/start_sequnce": 3},
     "muster_applications.scen2_srv.programs.data_processing.start_sequnce: unknown key",
     ["did you mean start_sequence? (allowed: command, model, environment, start_sequence, "]),
    ("misspelt model of the bus", {SRV + "/programs/internal_data_bus": {
        "modell": "data_bus", "command": ["bus"]}},
     "muster_applications.scen2_srv.programs.internal_data_bus.modell: unknown key", ["did you mean model?"]),
    ("unknown key of a model", {"muster_models/service/requird": True}, "muster_models.service.requird: unknown key",
     ["did you mean required?"]),
    ("unknown key of a rule", {HCI + "/program_rules": {".*_(view|control)": {"model": "window", "wait": 1}}},
     'muster_applications.scen2_hci.program_rules[".*_(view|control)"].wait: unknown key', []),
    ("unknown key of a bus", {SRV + "/bus/prob": 1}, "muster_applications.scen2_srv.bus.prob: unknown key",
     ["did you mean probe?"]),
    ("unknown key of a host service", {SERVICE + "/host": "servers"},
     "muster_services.common_data_bus.host: unknown key", ["did you mean hosts?"]),
    ("unknown setting", {"muster_settings": {"run_time": 3}}, "muster_settings.run_time: unknown key",
     ["did you mean run_timeout?"]),
    ("a word of Supvisors that is said otherwise here", {PROGRAM + "/autorestart": True},
     "muster_applications.scen2_srv.programs.data_processing.autorestart: unknown key",
     ["running_failure_strategy says what a crash means"]),
    ("identifiers at a program", {PROGRAM + "/identifiers": "servers"},
     "muster_applications.scen2_srv.programs.data_processing.identifiers: unknown key", ["by the application"]),
    ("text where a number belongs", {PROGRAM + "/start_sequence": "first"},
     'muster_applications.scen2_srv.programs.data_processing.start_sequence: is "first", must be a whole number', []),
    ("true where a number belongs", {SRV + "/start_sequence": True},
     "muster_applications.scen2_srv.start_sequence: is true, must be a whole number", []),
    ("a fraction where a whole number belongs", {SRV + "/start_sequence": 1.5},
     "muster_applications.scen2_srv.start_sequence: is 1.5, must be a whole number", []),
    ("a number where true or false belongs", {PROGRAM + "/required": 1},
     "muster_applications.scen2_srv.programs.data_processing.required: is 1, must be true or false", []),
    ("a list where a mapping belongs", {"muster_applications": []},
     "muster_applications: is a list, must be a mapping", []),
    ("a mapping where a list belongs", {"muster_items": {"01": {}}}, "muster_items: is a mapping, must be a list", []),
    ("nothing where a mapping belongs", {SRV: None},
     "muster_applications.scen2_srv: application scen2_srv is empty, must be a mapping", []),
    ("nothing where programs belong", {SRV + "/programs/extra": None},
     "muster_applications.scen2_srv.programs.extra: program extra is empty, must be a mapping", []),
    ("endless seconds", {PROGRAM + "/stop_timeout": float("inf")},
     "muster_applications.scen2_srv.programs.data_processing.stop_timeout: is inf", []),
    ("no site name", {"muster_site": DELETE}, "muster_site: the site needs muster_site", []),
    ("site name with a blank", {"muster_site": "my site"}, 'muster_site: is "my site", must be a name', []),
    ("no state folder", {"muster_state_dir": DELETE}, "muster_state_dir: the site needs muster_state_dir", []),
    ("state folder that is not absolute", {"muster_state_dir": ".muster"},
     'muster_state_dir: is ".muster", must be an absolute path', []),
    # items
    ("item id with a slash", {"muster_items/1": "a/b"}, 'muster_items[1]: is "a/b", must be an id of', []),
    ("item id with a quote", {"muster_items/1": "a'b"}, "muster_items[1]: is \"a'b\", must be an id of", []),
    ("item id with a newline", {"muster_items/1": "02\n"}, 'muster_items[1]: is "02\\n", must be an id of', []),
    ("item id with a command", {"muster_items/1": "02; rm -rf ~"},
     'muster_items[1]: is "02; rm -rf ~", must be an id of', []),
    ("item id that leaves its folder", {"muster_items/1": ".."}, 'muster_items[1]: is "..", must be an id of', []),
    ("item id with a template", {"muster_items/1": "{{ x }}"}, 'muster_items[1]: is "{{ x }}", must be an id', []),
    ("item id that ends as a file of another item", {"muster_items/1": {"id": "01.ini", "slot": 9}},
     'muster_items[1].id: is "01.ini", must be an id that does not end in ".ini"', []),
    ("empty item id", {"muster_items/1": ""}, 'muster_items[1]: is "", must be an id of', []),
    ("item id that YAML read as a number", {"muster_items/1": 8}, "muster_items[1]: is 8, must be a text",
     ["put it in quotes"]),
    ("item without id", {"muster_items/1": {"slot": 2}}, "muster_items[1]: an item needs id", []),
    ("item that is a list", {"muster_items/1": ["02"]}, "muster_items[1]: is a list, must be an id of", []),
    ("duplicate item", {"muster_items/2": "01"}, 'muster_items[2]: item "01" is already written at muster_items[0]',
     []),
    ("two items on one slot", {"muster_items/1": "1"}, 'muster_items[1]: items "01" and "1" are both on slot 1', []),
    ("item without a slot", {"muster_items/1": "north"}, 'muster_items[1]: item "north" needs a slot',
     ['write {id: "north", slot: <']),
    ("slot that is no number", {"muster_items/1": {"id": "north", "slot": "x"}},
     'muster_items[1].slot: is "x", must be a whole number from 0 to 9999', []),
    ("slot out of range", {"muster_items/1": {"id": "north", "slot": 10000}},
     "muster_items[1].slot: is 10000, must be from 0 to 9999", []),
    ("item variable that templates cannot read", {"muster_items/1": {"id": "02", "keys": 1}},
     'muster_items[1].keys: "keys" cannot be read as item.keys', []),
    # inventory
    ("no controller", {"inventory/controllers": []}, "groups.muster_controller: the inventory group muster_controller"
     " is empty or missing", ["it needs one host"]),
    ("two controllers", {"inventory/controllers": ["a", "b"]},
     "groups.muster_controller: the inventory group muster_controller has 2 hosts: a, b",
     ["several controllers need one ledger"]),
    ("four controllers", {"inventory/controllers": ["a", "b", "c", "d"], "muster_ledger": {"etcd": ["http://a:2379"]}},
     "groups.muster_controller: the inventory group muster_controller has 4 hosts: a, b, c, d", ["3 at most"]),
    ("a ledger at no address", {"muster_ledger": {"etcd": ["https://a:2379", "controller_2"]}},
     'muster_ledger.etcd[1]: is "controller_2", must be an address with a port', ["as https://controller_1:2379"]),
    ("a ledger without members", {"muster_ledger": {"ca": "/etc/ca.pem"}},
     "muster_ledger: muster_ledger needs etcd", []),
    ("a certificate without TLS", {"muster_ledger": {"etcd": ["http://a:2379"], "ca": "/etc/ca.pem"}},
     "muster_ledger.ca: certificates count only with addresses that begin with https://", []),
    ("a certificate without its key", {"muster_ledger": {"etcd": ["https://a:2379"], "cert": "/etc/c.pem"}},
     "muster_ledger.cert: a certificate needs its key", ["write key, too"]),
    ("root that is not absolute", {HOST + "/muster_root": "muster"},
     'hosts.server_2.muster_root: is "muster", must be an absolute path', []),
    ("root with a blank", {HOST + "/muster_root": "/srv/my muster"},
     'hosts.server_2.muster_root: is "/srv/my muster", whose parts hold something that configuration files', []),
    ("root with a percent sign", {HOST + "/muster_root": "/srv/%h"}, 'hosts.server_2.muster_root: is "/srv/%h"', []),
    ("root with a quote", {HOST + "/muster_root": '/srv/"x'}, "hosts.server_2.muster_root: is ", []),
    ("root with a parent", {HOST + "/muster_root": "/srv/x/.."}, "hosts.server_2.muster_root: is ", []),
    ("no root", {HOST + "/muster_root": DELETE}, "hosts.server_2: host server_2 needs muster_root", []),
    ("socket path too long", {HOST + "/muster_root": "/" + "x" * 90},
     "hosts.server_2.muster_root: the socket /xxx", ["111 characters, the system allows 99", "at most 79 characters"]),
    ("same root on one node", {HOST + "/muster_root": "/srv/muster/hosts/server_1", HOST + "/muster_node": "server_1"},
     "hosts.server_2.muster_root: hosts server_1 and server_2 are on one machine (node server_1)", []),
    ("same root at one address", {
        HOST + "/muster_root": "/srv/muster/hosts/console_1", HOST + "/muster_address": "127.60.0.14"},
     "hosts.console_1.muster_root: hosts server_2 and console_1 are on one machine (address 127.60.0.14)", []),
    ("two hosts at one address with one service", {HOST + "/muster_address": "127.60.0.11"},
     "hosts.server_2.muster_address: hosts server_1 and server_2 have the same address 127.60.0.11, and port client"
     " (19000) of common_data_bus", []),
    ("address that is none", {HOST + "/muster_address": "10.0.0.1; true"},
     'hosts.server_2.muster_address: is "10.0.0.1; true", must be an IP address or a host name', []),
    ("load limit out of range", {HOST + "/muster_load_limit": -1}, "hosts.server_2.muster_load_limit: is -1", []),
    ("service manager that there is none of", {HOST + "/muster_service_manager": "sysvinit"},
     'hosts.server_2.muster_service_manager: "sysvinit" is not known here', ["supervisor, systemd"]),
    ("limit that only systemd can keep", {PROGRAM + "/limits": {"memory_max": "1G"}},
     "muster_applications.scen2_srv.programs.data_processing.limits: server_1 cannot do that: supervisor runs its",
     ["set muster_service_manager: systemd there"]),
    ("unknown limit", {PROGRAM + "/limits": {"memory_maximum": "1G"}},
     'muster_applications.scen2_srv.programs.data_processing.limits: "memory_maximum" is not known here',
     ["did you mean memory_max?"]),
    ("limit of one process for a whole instance", {SRV + "/limits": {"nice": 5}},
     'muster_applications.scen2_srv.limits: "nice" is not known here', []),
    ("limit that is no size", {PROGRAM + "/limits": {"memory_max": "much"}},
     'muster_applications.scen2_srv.programs.data_processing.limits: memory_max is "much", must be a size', []),
    ("sandboxing that would be another directive", {PROGRAM + "/sandbox": {"read_only_paths": ["/a\nUser=root"]}},
     "muster_applications.scen2_srv.programs.data_processing.sandbox: read_only_paths is", []),
    ("word of systemd for a sandbox", {PROGRAM + "/sandbox": {"protect_system": "everything"}},
     'muster_applications.scen2_srv.programs.data_processing.sandbox: protect_system is "everything"',
     ["true, false, full, strict"]),
    ("user of a program where supervisor has none of its own", {PROGRAM + "/user": "eve"},
     "muster_applications.scen2_srv.programs.data_processing.user: the programs of server_1 run as who deploys",
     ["set muster_user there"]),
    ("display without a user name", {HOST + "/muster_display": {"user": "eve; id"}},
     'hosts.server_2.muster_display: user is "eve; id", must be the name of a user', []),
    ("unknown measure", {HOST + "/muster_measure": "nodes"},
     'hosts.server_2.muster_measure: "nodes" is not known here', ["did you mean node?"]),
]


@each(CASES)
def test_is_refused_with_one_sentence(case: Case) -> None:
    refused(case)


def test_all_errors_come_at_once() -> None:
    lines = lines_of(changed(raw_site(), {
        "muster_items/1": "a/b",
        "muster_models/service/requird": True,
        PROGRAM + "/start_sequence": "x",
        SERVICE + "/hosts": "nowhere",
        HOST + "/muster_root": "x",
        "inventory/controllers": [],
    }))
    assert len(lines) == 6


def test_an_empty_inventory_is_reported() -> None:
    lines = lines_of({})
    assert any("muster_hosts is empty or missing" in line for line in lines)
    assert any("muster_controller is empty or missing" in line for line in lines)
    assert any("needs muster_applications" in line for line in lines)


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "x", "", [], ["x"], {}, {"x": 1}, [{}], [None], {"a": None}])
def test_no_value_anywhere_breaks_the_reader(value: Any) -> None:
    """With any value at any place the result is a site or error messages, never another exception."""
    raw = raw_site()
    tried = [path for path in _paths(raw) if not path.startswith("inventory/") and path != "inventory"]
    tried += ["inventory/hosts/server_1/" + name for name in ("muster_root", "muster_address", "muster_load_limit")]
    assert len(tried) > 100
    for path in tried:
        try:
            compiler.compile_site(changed(raw, {path: value}))
        except compile_errors.SiteErrors as errors:
            assert errors.errors


def _paths(node: Any, way: str = "") -> Iterator[str]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, entry in below:
        yield "%s%s" % (way, key)
        yield from _paths(entry, "%s%s/" % (way, key))
