# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error of what a site says about probes, and its message."""

from __future__ import annotations

from tests.unit.compile.refused_sites import BARE, BUS_PROBE, GATE, PROBE, SERVICE, SRV, Case, each, refused
from tests.unit.embedded_site import DELETE

CASES: list[Case] = [
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
]


@each(CASES)
def test_is_refused_with_one_sentence(case: Case) -> None:
    refused(case)
