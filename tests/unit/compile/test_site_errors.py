# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way in which a site can be wrong, and the sentence it is answered with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.compile import errors as compile_errors
from tests.unit.embedded_site import DELETE, changed, raw_site

SRV = "muster_applications/scen2_srv"
HCI = "muster_applications/scen2_hci"
PROGRAM = SRV + "/programs/data_processing"
GATE = SRV + "/programs/check_common_data_bus"
SERVICE = "muster_services/common_data_bus"
HOST = "inventory/hosts/server_2"
PROBE = SRV + "/bus/probe"
BARE: dict[str, Any] = {SRV + "/bus/port": DELETE}  # a mapping says its port itself
BUS_PROBE = "muster_applications.scen2_srv.bus.probe"

# What is tried, the change, the beginning of the one error that must come, and what else it must say.
CASES: list[tuple[str, dict[str, Any], str, list[str]]] = [
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
     " is empty or missing", ["exactly one host"]),
    ("two controllers", {"inventory/controllers": ["a", "b"]},
     "groups.muster_controller: the inventory group muster_controller has 2 hosts: a, b", []),
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
    ("user without systemd", {HOST + "/muster_user": "eve"},
     "hosts.server_2.muster_user: the programs of server_2 run as who deploys", []),
    ("display without a user name", {HOST + "/muster_display": {"user": "eve; id"}},
     'hosts.server_2.muster_display: user is "eve; id", must be the name of a user', []),
    ("unknown measure", {HOST + "/muster_measure": "nodes"},
     'hosts.server_2.muster_measure: "nodes" is not known here', ["did you mean node?"]),
    # references
    ("identifiers that name nothing", {SRV + "/identifiers": "server"},
     'muster_applications.scen2_srv.identifiers: "server" is neither a host of group muster_hosts nor a group',
     ["did you mean servers?"]),
    ("identifiers of the controller", {SRV + "/identifiers": ["servers", "controller"]},
     'muster_applications.scen2_srv.identifiers: "controller" is neither a host', []),
    ("an empty group", {"inventory/groups/spares": [], SRV + "/identifiers": ["servers", "spares"]},
     'muster_applications.scen2_srv.identifiers: group "spares" holds no host of group muster_hosts', []),
    ("no identifiers", {SRV + "/identifiers": []},
     "muster_applications.scen2_srv.identifiers: is a list, must be at least one name", []),
    ("identifiers with commas", {SRV + "/identifiers": "server_1, server_2"},
     'muster_applications.scen2_srv.identifiers: is "server_1, server_2", must be a list',
     ["write [server_1, server_2]"]),
    ("identifiers as Supvisors' index", {SRV + "/identifiers": "#"},
     'muster_applications.scen2_srv.identifiers: "#" has no meaning here', ["by load"]),
    ("unknown group of a host service", {SERVICE + "/hosts": "serves"},
     'muster_services.common_data_bus.hosts: "serves" is neither', ["did you mean servers?"]),
    ("unknown model", {PROGRAM + "/model": "servic"},
     'muster_applications.scen2_srv.programs.data_processing.model: there is no model "servic"',
     ["did you mean service?"]),
    ("unknown model of a rule", {HCI + "/program_rules": {"_(view|control)": {"model": "windows"}}},
     'muster_applications.scen2_hci.program_rules["_(view|control)"].model: there is no model "windows"', []),
    ("models in a circle", {"muster_models/a": {"model": "b"}, "muster_models/b": {"model": "a"}},
     "muster_models.a.model: models refer to one another in a circle: a -> b -> a", []),
    ("a model of itself", {"muster_models/a": {"model": "a"}},
     "muster_models.a.model: models refer to one another in a circle: a -> a", []),
    ("rule that matches no program", {HCI + "/program_rules/viewer": {"required": True}},
     'muster_applications.scen2_hci.program_rules.viewer: no program of scen2_hci has a name that "viewer" matches',
     ["sensor_view"]),
    ("rule that is no expression", {HCI + "/program_rules/view(": {"required": True}},
     'muster_applications.scen2_hci.program_rules["view("]: "view(" is not a regular expression', []),
    ("unknown bus program", {SRV + "/bus/program": "data_bus"},
     'muster_applications.scen2_srv.bus.program: the bus "data_bus" is not among programs',
     ["did you mean internal_data_bus?"]),
    ("unknown port of the bus", {SRV + "/bus/port": "clients"},
     'muster_applications.scen2_srv.bus.port: port "clients" is not among ports', ["did you mean client?"]),
    ("bus port without ports", {HCI + "/ports": DELETE, HCI + "/bus/link": DELETE},
     'muster_applications.scen2_hci.bus.port: port "client" is not among ports', ["has no ports"]),
    ("unknown peer", {HCI + "/peer": "scen2_serv"},
     'muster_applications.scen2_hci.peer: "scen2_serv" is not another application', ["did you mean scen2_srv?"]),
    ("itself as a peer", {SRV + "/peer": "scen2_srv"},
     'muster_applications.scen2_srv.peer: "scen2_srv" is not another application', []),
    ("unknown service to wait for", {GATE + "/waits_for": "common_bus"},
     "muster_applications.scen2_srv.programs.check_common_data_bus.waits_for: there is no host service", []),
    ("service to wait for without a probe", {SERVICE + "/probe": DELETE, SERVICE + "/port": DELETE},
     "muster_applications.scen2_srv.programs.check_common_data_bus.waits_for: host service common_data_bus has no"
     " probe", []),
    # programs
    ("no command", {PROGRAM + "/command": DELETE},
     "muster_applications.scen2_srv.programs.data_processing: program data_processing has no command", []),
    ("command in one text", {PROGRAM + "/command": "scen2/data_processing --fast"},
     'muster_applications.scen2_srv.programs.data_processing.command: is "scen2/data_processing --fast", must be a',
     ["write [scen2/data_processing, --fast]"]),
    ("command that leaves its folder", {PROGRAM + "/command": ["../../bin/sh"]},
     'muster_applications.scen2_srv.programs.data_processing.command: the program "../../bin/sh" leaves', []),
    ("command on two lines", {PROGRAM + "/command": ["a", "b\nautostart=true"]},
     "muster_applications.scen2_srv.programs.data_processing.command: argument 2 is", ["one line"]),
    ("environment that is muster's", {PROGRAM + "/environment": {"MUSTER_EPOCH": "1"}},
     "muster_applications.scen2_srv.programs.data_processing.environment: MUSTER_EPOCH is reserved: muster sets it",
     []),
    ("environment with a bad name", {PROGRAM + "/environment": {"A B": "1"}},
     'muster_applications.scen2_srv.programs.data_processing.environment: "A B" is not a name', []),
    ("environment that YAML read as false", {PROGRAM + "/environment": {"COLOUR": False}},
     "muster_applications.scen2_srv.programs.data_processing.environment: COLOUR is false, must be a text",
     ["put it in quotes"]),
    ("program name with a colon", {SRV + "/programs/a:b": {"command": ["x"]}},
     'muster_applications.scen2_srv.programs["a:b"]: "a:b" is not a name', []),
    ("application name with a blank", {"muster_applications/my app": {}},
     'muster_applications["my app"]: "my app" is not a name', []),
    ("loading above 100", {PROGRAM + "/expected_loading": 101},
     "muster_applications.scen2_srv.programs.data_processing.expected_loading: is 101, must be from 0 to 100", []),
    ("negative loading", {PROGRAM + "/expected_loading": -1},
     "muster_applications.scen2_srv.programs.data_processing.expected_loading: is -1, must be from 0 to 100", []),
    ("more load than any host allows", {PROGRAM + "/expected_loading": 90},
     "muster_applications.scen2_srv: one instance of scen2_srv reserves 122 % of a host", ["more than 100 %"]),
    ("gate without a rank", {GATE + "/start_sequence": 0, GATE + "/required": False},
     "muster_models.check_data_bus.wait_exit: gate check_common_data_bus has no start_sequence", []),
    ("required without a rank", {PROGRAM + "/start_sequence": 0},
     "muster_models.service.required: data_processing is required, but without start_sequence", []),
    ("on_timeout of no gate", {PROGRAM + "/on_timeout": "defer"},
     "muster_applications.scen2_srv.programs.data_processing.on_timeout: on_timeout is about gates", []),
    ("waits_for of no gate", {PROGRAM + "/waits_for": "common_data_bus"},
     "muster_applications.scen2_srv.programs.data_processing.waits_for: waits_for is about gates", []),
    ("waits_for of a gate that does not defer", {GATE + "/on_timeout": "fail"},
     "muster_applications.scen2_srv.programs.check_common_data_bus.waits_for: waits_for counts only", []),
    ("start longer than any start", {PROGRAM + "/start_timeout": 90},
     "muster_applications.scen2_srv.programs.data_processing.start_timeout: 90 s can never pass", ["after 60 s"]),
    ("nothing that starts", {HCI + "/programs": {"a": {"command": ["a"]}}, HCI + "/bus": DELETE,
                             HCI + "/program_rules": {}},
     "muster_applications.scen2_hci.programs: no program of scen2_hci has a start_sequence above 0", []),
    ("bus that is a gate", {SRV + "/bus/program": "check_internal_data_bus"},
     "muster_applications.scen2_srv.bus.program: the bus check_internal_data_bus is a gate", []),
    ("bus without a rank", {SRV + "/programs/internal_data_bus/start_sequence": 0,
                            SRV + "/programs/internal_data_bus/required": False},
     "muster_applications.scen2_srv.bus.program: the bus internal_data_bus has no start_sequence", []),
    ("no programs", {HCI + "/programs": {}, HCI + "/bus": DELETE, HCI + "/program_rules": {}},
     "muster_applications.scen2_hci.programs: application scen2_hci has no program", []),
    # strategies
    ("distribution over hosts", {SRV + "/distribution": "ALL_INSTANCES"},
     'muster_applications.scen2_srv.distribution: "ALL_INSTANCES" is not known here', ["muster never spreads"]),
    ("strategy in capitals", {SRV + "/starting_strategy": "LESS_LOADED"},
     'muster_applications.scen2_srv.starting_strategy: "LESS_LOADED" is not known here',
     ["did you mean less_loaded?"]),
    ("strategy that muster does not follow", {SRV + "/running_failure_strategy": "SHUTDOWN"},
     'muster_applications.scen2_srv.running_failure_strategy: "SHUTDOWN" is not known here',
     ["never stops the others"]),
    ("local for a service", {SRV + "/starting_strategy": "local"},
     "muster_applications.scen2_srv.starting_strategy: local is the console of who asks, but scen2_srv starts by", []),
    ("unknown probe", {SRV + "/bus/probe": "nat"}, 'muster_applications.scen2_srv.bus.probe: "nat" is not known here',
     ["did you mean nats?"]),
    ("run shorter than a start", {"muster_settings": {"run_timeout": 30}},
     "muster_settings.run_timeout: run_timeout (30 s) must be longer than start_timeout (60 s)", []),
    # ports
    ("two ports at one offset", {SRV + "/ports/leaf": 0},
     "muster_applications.scen2_srv.ports.leaf: client and leaf have the same offset 0", []),
    ("offset beyond the stride", {SRV + "/ports/leaf": 4},
     "muster_applications.scen2_srv.ports.leaf: is 4, must be from 0 to 3", []),
    ("base among the system's ports", {SRV + "/ports/base": 32768},
     "muster_applications.scen2_srv.ports.base: is 32768, must be from 1 to 32767", []),
    ("a slot that leads there", {"muster_items/1": {"id": "north", "slot": 9999}, HCI + "/ports/stride": 3,
                                 HCI + "/ports/base": 1000, SRV + "/ports/stride": 3},
     'muster_applications.scen2_srv.ports: port client of item "north" (slot 9999) would be 49997', []),
    ("misspelt stride", {SRV + "/ports": {"base": 20000, "strid": 4, "client": 0}},
     "muster_applications.scen2_srv.ports.strid: unknown key", ["did you mean stride?"]),
    ("port name in capitals", {SRV + "/ports/Monitor": 3},
     'muster_applications.scen2_srv.ports.Monitor: "Monitor" is not a name of a port', []),
    ("applications that share a host and ports", {HCI + "/identifiers": ["consoles", "server_2"],
                                                  HCI + "/ports/base": 20000},
     "muster_applications.scen2_hci.ports: port 20004 would be both port client of scen2_srv_01 and port client of"
     " scen2_hci_01, which share host server_2", ["scen2_srv uses 20004 to 20014"]),
    ("applications on hosts that share an address", {HCI + "/ports/base": 20000,
                                                     "inventory/hosts/console_1/muster_address": "127.60.0.11"},
     "muster_applications.scen2_hci.ports: port 20004 would be both", ["which share the address 127.60.0.11"]),
    ("application on a port of a host service", {SERVICE + "/ports/client": 20004},
     "muster_services.common_data_bus.ports.client: port 20004 would also be port client of scen2_srv_01, on server_1",
     []),
    ("two ports of a host service", {SERVICE + "/ports/cluster": 19000},
     "muster_services.common_data_bus.ports.cluster: client and cluster are both port 19000", []),
    ("two host services on one port", {"muster_services/other": {
        "hosts": "server_3", "command": ["x"], "ports": {"data": 19001}}},
     "muster_services.other.ports.data: port 19001 is also port cluster of host service common_data_bus, on server_3",
     []),
    ("probe of a host service without a port", {SERVICE + "/port": DELETE},
     "muster_services.common_data_bus.probe: probe needs port", ["allowed: client, cluster"]),
    ("probe of a host service at an unknown port", {SERVICE + "/port": "clients"},
     'muster_services.common_data_bus.port: port "clients" is not among ports', ["did you mean client?"]),
    # probes
    ("probe without a port", {SRV + "/bus/port": DELETE},
     "muster_applications.scen2_srv.bus.probe: probe needs port", ["allowed: client, leaf, monitor"]),
    ("kind of a probe in a mapping", {**BARE, PROBE: {"type": "mqqt", "port": "client"}},
     BUS_PROBE + '.type: "mqqt" is not known here', ["did you mean mqtt?"]),
    ("probe of no kind", {**BARE, PROBE: {"port": "client"}, SRV + "/bus/port": DELETE},
     BUS_PROBE + ": a probe has one of type, all_of and any_of, this one has none", ["allowed: nats, mqtt"]),
    ("probe of two kinds", {**BARE, PROBE: {"type": "nats", "port": "client", "all_of": [{"type": "process"}]}},
     BUS_PROBE + ": a probe has one of type, all_of and any_of, this one has type and all_of", []),
    ("key beside a mapping", {**BARE, PROBE: {"type": "nats", "port": "client"}, SRV + "/bus/port": "client"},
     "muster_applications.scen2_srv.bus.port: port belongs inside probe here", []),
    ("key of another kind", {**BARE, PROBE: {"type": "nats", "port": "client", "path": "/healthz"}},
     BUS_PROBE + ".path: path says nothing to a nats probe", ["it is for http"]),
    ("a secret in the site", {**BARE, PROBE: {"type": "nats", "port": "client", "password": "x"}},
     BUS_PROBE + ".password: unknown key", ["a site holds no secrets", "password_file"]),
    ("account without a password", {**BARE, PROBE: {"type": "nats", "port": "client", "user": "x"}},
     BUS_PROBE + ".user: user needs password_file", []),
    ("account and token", {**BARE, PROBE: {"type": "nats", "port": "client", "user": "x", "password_file": "/p",
                                   "token_file": "/t"}},
     BUS_PROBE + ".token_file: the probe has a token and an account", []),
    ("token of an mqtt probe", {**BARE, PROBE: {"type": "mqtt", "port": "client", "token_file": "/t"}},
     BUS_PROBE + ".token_file: token_file says nothing to a mqtt probe", ["it is for nats, http"]),
    ("password file that is not absolute", {**BARE, PROBE: {"type": "nats", "port": "client", "user": "x",
                                                    "password_file": "secret"}},
     BUS_PROBE + '.password_file: is "secret", must be the absolute path of a file', []),
    ("certificate without its key",
     {**BARE, PROBE: {"type": "nats", "port": "client", "tls": {"certificate": "/c.pem"}}},
     BUS_PROBE + ".tls.certificate: certificate needs key", []),
    ("certificates that are not verified",
     {**BARE, PROBE: {"type": "nats", "port": "client", "tls": {"verify": False}}},
     BUS_PROBE + ".tls.verify: unknown key", ["certificates are always verified"]),
    ("window smaller than failures", {SRV + "/bus/window": 2},
     "muster_applications.scen2_srv.bus.window: 3 failures do not fit into a window of 2", []),
    ("slow that is a miss already", {SRV + "/bus/slow": 1},
     "muster_applications.scen2_srv.bus.slow: an answer slower than 1 s would be missed already", []),
    ("status that is none", {**BARE, PROBE: {"type": "http", "port": "client", "status": [200, 1000]}},
     BUS_PROBE + ".status: is 1000, must be from 100 to 599", []),
    ("path that is none", {**BARE, PROBE: {"type": "http", "port": "client", "path": "healthz"}},
     BUS_PROBE + '.path: is "healthz", must be a path that begins with /', []),
    ("topic with a wildcard", {**BARE, PROBE: {"type": "mqtt", "port": "client", "topic": "probe/#"}},
     BUS_PROBE + '.topic: is "probe/#", must be the beginning of a topic', ["no wildcards"]),
    ("plug-in without a command", {**BARE, PROBE: {"type": "exec"}},
     BUS_PROBE + ": an exec probe needs command", []),
    ("plug-in in one text", {**BARE, PROBE: {"type": "exec", "command": "/bin/check -H x"}},
     BUS_PROBE + ".command: is \"/bin/check -H x\", must be a list of arguments", ["write [/bin/check, -H, x]"]),
    ("plug-in without its folder", {**BARE, PROBE: {"type": "exec", "command": ["check_tcp"]}},
     BUS_PROBE + '.command: the program "check_tcp" needs its absolute path', []),
    ("plug-in with an unknown word", {**BARE, PROBE: {"type": "exec", "command": ["/bin/check", "{adress}"]}},
     BUS_PROBE + ".command: argument 2: {adress} is not known here", ["did you mean address?"]),
    ("plug-in with Jinja", {**BARE, PROBE: {"type": "exec", "command": ["/bin/check", "{{ item.id }}"]}},
     BUS_PROBE + ".command: argument 2 holds Jinja", ["{address}"]),
    ("plug-in with a port that is not said", {**BARE, PROBE: {"type": "exec", "command": ["/bin/check", "{port}"]}},
     BUS_PROBE + ".command: argument 2: {port} needs port beside command", ["allowed: client"]),
    ("plug-in of a host service with an item", {SERVICE + "/port": DELETE, SERVICE + "/probe": {
        "type": "exec", "command": ["/bin/check", "{item}"]}},
     "muster_services.common_data_bus.probe.command: argument 2: {item} is not known here", []),
    ("process that is no program", {**BARE, PROBE: {"type": "process", "program": "data_proces"}},
     BUS_PROBE + '.program: "data_proces" is not among programs', ["did you mean data_processing?"]),
    ("process with a port", {**BARE, PROBE: "process", SRV + "/bus/port": "client"},
     "muster_applications.scen2_srv.bus.port: port says nothing to a process probe", ["it is for nats, mqtt"]),
    ("no probes at all",
     {**BARE, PROBE: {"all_of": []}}, BUS_PROBE + ".all_of: is a list, must be a list of probes", []),
    ("one of several that is wrong",
     {**BARE, PROBE: {"any_of": [{"type": "process"}, {"type": "tcp", "port": "clients"}]}},
     BUS_PROBE + '.any_of[1].port: port "clients" is not among ports', ["did you mean client?"]),
    ("shadow of one of several", {**BARE, PROBE: {"any_of": [{"type": "process", "shadow": True}]}},
     BUS_PROBE + ".any_of[0].shadow: shadow is said once for all of these probes", []),
    ("what one of several inherits", {**BARE, PROBE: {"all_of": [{"type": "process", "window": 2}], "failures": 3}},
     BUS_PROBE + ".all_of[0].window: 3 failures do not fit into a window of 2", []),
    ("probes nested too deeply",
     {**BARE, PROBE: {"any_of": [{"any_of": [{"any_of": [{"any_of": [{"type": "process"}]}]}]}]}},
     BUS_PROBE + ".any_of[0].any_of[0].any_of[0]: probes are nested more than 3 deep", []),
    ("shadow without a probe", {SERVICE + "/probe": DELETE, SERVICE + "/port": DELETE, SERVICE + "/shadow": True,
                                GATE + "/on_timeout": "fail", GATE + "/waits_for": DELETE},
     "muster_services.common_data_bus.shadow: shadow has no effect without \"probe\"", []),
    # names and files
    ("instances of the same name", {
        "muster_applications/scen2": {"identifiers": "servers", "programs": {"a": {"command": ["a"],
                                                                                   "start_sequence": 1}}},
        "muster_items/1": {"id": "srv_01", "slot": 7}},
     'muster_applications.scen2: application scen2 for item srv_01 would have the same name as application scen2_srv'
     " for item 01: scen2_srv_01", []),
    ("instance named as a host service", {
        "muster_applications/common": {"identifiers": "servers", "programs": {"a": {"command": ["a"],
                                                                                    "start_sequence": 1}}},
        "muster_items/1": {"id": "data_bus_server_1", "slot": 7}},
     "muster_applications.common: application common for item data_bus_server_1 would have the same name as host"
     " service common_data_bus on server_1", []),
    ("file that leaves its folder", {SRV + "/files": {"../x.conf": "x.j2"}},
     'muster_applications.scen2_srv.files["../x.conf"]: "../x.conf" is not a file name that stays in its folder', []),
    ("file without a template", {SRV + "/files": {"x.conf": {"mode": "0600"}}},
     'muster_applications.scen2_srv.files["x.conf"]: this file needs template', []),
    ("permissions that YAML read as a number", {SRV + "/files": {"x.conf": {"template": "x.j2", "mode": 0o640}}},
     'muster_applications.scen2_srv.files["x.conf"].mode: is 416, must be permissions such as "0640"',
     ["put it in quotes"]),
]


@pytest.mark.parametrize(("change", "beginning", "also"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_is_refused_with_one_sentence(change: dict[str, Any], beginning: str, also: list[str]) -> None:
    lines = lines_of(changed(raw_site(), change))
    assert len(lines) == 1, lines
    assert lines[0].startswith(beginning), lines[0]
    for part in also:
        assert part in lines[0]


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


def test_an_empty_inventory_is_told_and_does_not_break() -> None:
    lines = lines_of({})
    assert any("muster_hosts is empty or missing" in line for line in lines)
    assert any("muster_controller is empty or missing" in line for line in lines)
    assert any("needs muster_applications" in line for line in lines)


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "x", "", [], ["x"], {}, {"x": 1}, [{}], [None], {"a": None}])
def test_no_value_anywhere_breaks_the_reader(value: Any) -> None:
    """Whatever stands where: a site or sentences, never an exception of another kind."""
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


def lines_of(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(compile_errors.SiteErrors) as caught:
        compiler.compile_site(raw)
    return caught.value.lines()
