# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a site on their way to the monitor: validated, published, watched, asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.compile import errors as compile_errors
from monitor.core.model import probe as model_probe
from monitor.core.model import site as site_model
from monitor.core.report import watch_list
from monitor.judge.health import Composed, Health, Kind, Result, State
from monitor.judge.target import Target, Whose
from monitor.judge.watch_list import Watch, parse
from monitor.watch.prober import Key, Prober
from tests.small_site import running, small_state
from tests.unit.embedded_site import DELETE, changed, raw_site

BUS = "muster_applications/scen2_srv/bus"
SERVICE = "muster_services/common_data_bus"
PASSWORD = {"user": "probe", "password_file": "/etc/muster/probe"}
RICH: dict[str, Any] = {
    "all_of": [
        {"type": "nats", "port": "client", "topic": "plant.probe.", "tls": {"ca": "/etc/ca.pem"}, **PASSWORD},
        {"type": "mqtt", "port": "leaf", "interval": 2, "slow": 0.1},
        {
            "any_of": [
                {"type": "http", "port": "monitor", "path": "/healthz", "status": 204, "text": "ok", "timeout": 3},
                {"type": "exec", "command": ["/usr/bin/check", "-H", "{address}:{port}", "{item}"], "port": "client"},
            ]
        },
        {"type": "process", "program": "data_processing"},
        {"type": "tcp", "port": "client", "failures": 2, "window": 4},
    ],
    "failures": 4,
    "window": 6,
    "startup_timeout": 20,
    "shadow": True,
}


def raw(probe: Any = RICH, **beside: Any) -> dict[str, Any]:
    return changed(raw_site(), {BUS: {"program": "internal_data_bus", "probe": probe, **beside}})


def probe_of(site: site_model.Site) -> model_probe.Probe:
    bus = site.application("scen2_srv").bus
    assert bus is not None
    return bus.probe


def watched(site: site_model.Site) -> Watch:
    state = small_state(claims={"scen2_srv_02": running("server_3", 7)})
    return parse(json.loads(json.dumps(watch_list.watch_document(site, state, 17))))


class TestTheSite:
    def test_the_short_form_takes_what_every_kind_has(self) -> None:
        short = raw("nats", port="client", failures=2, window=5, slow=0.2, startup_timeout=9, shadow=True)
        expected = model_probe.Probe("nats", "client", failures=2, window=5, slow=0.2, startup_timeout=9.0, shadow=True)
        assert probe_of(compiler.compile_site(short)) == expected

    def test_a_mapping_says_the_same(self) -> None:
        mapping = raw({"type": "nats", "port": "client", "shadow": True})
        assert compiler.compile_site(mapping) == compiler.compile_site(raw("nats", port="client", shadow=True))

    def test_several_inherit_what_is_said_for_all(self) -> None:
        probe = probe_of(compiler.compile_site(raw()))
        nats, mqtt, either, process, tcp = probe.probes
        assert (probe.type, probe.failures, probe.startup_timeout, probe.shadow) == ("all_of", 4, 20.0, True)
        assert [(p.failures, p.window) for p in (nats, mqtt, process, tcp)] == [(4, 6), (4, 6), (4, 6), (2, 4)]
        assert (nats.tls, nats.user) == (model_probe.Tls(ca="/etc/ca.pem"), "probe")
        assert [(p.type, p.failures, p.interval, p.timeout) for p in either.probes] == [
            ("http", 4, 1.0, 3.0),
            ("exec", 4, 5.0, 5.0),
        ]
        assert (either.probes[0].status, process.program) == ((204,), "data_processing")

    def test_a_host_service_has_the_same_probes(self) -> None:
        command = ["/usr/bin/check", "{host}", "{instance}"]
        service = {SERVICE + "/port": DELETE, SERVICE + "/probe": {"type": "exec", "command": command}}
        found = compiler.compile_site(changed(raw_site(), service)).service("common_data_bus").probe
        assert found is not None and found.command == tuple(command)
        process = {SERVICE + "/port": DELETE, SERVICE + "/probe": "process"}
        assert compiler.compile_site(changed(raw_site(), process)).service("common_data_bus").probe is not None

    def test_is_the_same_after_its_way_through_json(self) -> None:
        site = compiler.compile_site(raw())
        assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site
        probe = probe_of(site)
        assert model_probe.probe_from_json(json.loads(json.dumps(model_probe.probe_to_json(probe)))) == probe

    def test_a_site_published_by_an_older_version_is_read(self) -> None:
        document = json.loads(json.dumps(site_model.site_to_json(compiler.compile_site(raw("nats", port="client")))))
        usual = ("type", "port", "interval", "timeout", "failures")
        for application in document["applications"]:
            application["bus"]["probe"] = {key: application["bus"]["probe"][key] for key in usual}
        assert probe_of(site_model.site_from_json(document)) == model_probe.Probe("nats", "client")

    @pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "x", "", [], ["x"], {}, {"x": 1}, [{}], [None]])
    def test_no_value_anywhere_breaks_the_reader(self, value: Any) -> None:
        whole = raw()
        tried = list(_paths(whole["muster_applications"]["scen2_srv"]["bus"], BUS + "/"))
        assert len(tried) > 35
        for path in tried:
            try:
                compiler.compile_site(changed(whole, {path: value}))
            except compile_errors.SiteErrors as errors:
                assert errors.errors

    def test_all_errors_of_several_probes_come_at_once(self) -> None:
        changes = {"all_of/0/port": "clients", "all_of/1/topik": "x", "all_of/2/any_of/1/command": ["x"], "windo": 1}
        wrong = changed(raw(), {"%s/probe/%s" % (BUS, key): value for key, value in changes.items()})
        with pytest.raises(compile_errors.SiteErrors) as caught:
            compiler.compile_site(wrong)
        assert len(caught.value.errors) == 4

    @pytest.mark.parametrize("reached", [{"connection": "ssh"}, {"ssh": {"host": "server_2"}}, {"connection": "x.y.z"}])
    def test_a_process_on_another_machine_is_refused_because_it_is_never_seen(self, reached: dict[str, Any]) -> None:
        far = {"inventory/hosts/server_2/%s" % key: value for key, value in reached.items()}
        process = {"any_of": [{"type": "tcp", "port": "client"}, {"type": "process"}]}
        with pytest.raises(compile_errors.SiteErrors) as caught:
            change = {SERVICE + "/probe": "process", **far, SERVICE + "/port": DELETE}
            compiler.compile_site(changed(raw(process), change))
        assert [error.keys for error in caught.value.errors] == [
            (*BUS.split("/"), "probe"), (*SERVICE.split("/"), "probe"),
        ]  # fmt: skip
        assert "of the controller's own machine only, and scen2_srv may run on server_2" in str(caught.value)
        compiler.compile_site(changed(raw({"type": "tcp", "port": "client"}), far))

    @pytest.mark.parametrize("connection", ["local", "ansible.builtin.local", "control_room.muster.machine"])
    def test_a_process_on_the_controller_s_machine_is_seen(self, connection: str) -> None:
        compiler.compile_site(changed(raw("process"), {"inventory/hosts/server_2/connection": connection}))


class TestTheWatchList:
    def test_has_no_more_than_what_is_said(self) -> None:
        site = compiler.compile_site(raw("nats", port="client", shadow=True))
        document = watch_list.watch_document(site, small_state(claims={"scen2_srv_02": running("server_3", 7)}), 17)
        bus = document["instances"]["scen2_srv_02"]["bus"]
        assert bus["probe"] == {"type": "nats", "port": "client", "interval": 1.0, "timeout": 1.0, "failures": 3,
                                "shadow": True}  # fmt: skip
        assert "ports" not in bus

    def test_leads_to_the_places_where_each_probe_asks(self) -> None:
        target = watched(compiler.compile_site(raw())).instances["scen2_srv_02"].target
        assert target is not None and target.how.shadow
        asked = [(leaf.probe, leaf.port, leaf.interval, leaf.timeout, leaf.failures) for leaf in target.leaves()]
        assert asked == [
            ("nats", 20008, 1.0, 1.0, 4), ("mqtt", 20009, 2.0, 1.0, 4), ("http", 20010, 1.0, 3.0, 4),
            ("exec", 20008, 5.0, 5.0, 4), ("process", 0, 1.0, 1.0, 4), ("tcp", 20008, 1.0, 1.0, 2),
        ]  # fmt: skip

    def test_says_whose_processes_are_looked_for(self) -> None:
        seen = watched(compiler.compile_site(changed(raw("process"), {
            SERVICE + "/probe": "process", SERVICE + "/port": DELETE,
            "inventory/hosts/server_3/connection": "local",
        })))  # fmt: skip
        target = seen.instances["scen2_srv_02"].target
        assert target is not None
        assert target.whose == Whose(seen.site_id, "server_3", "scen2_srv_02", 7, "internal_data_bus", "02",
                                     "/srv/muster/hosts/server_3", "local")  # fmt: skip
        common = seen.services["common_data_bus", "server_1"].target.whose
        assert common is not None
        assert (common.instance, common.program, common.epoch) == ("common_data_bus_server_1", "common_data_bus", 0)

    def test_probes_over_the_network_get_no_owner_of_processes(self) -> None:
        target = watched(compiler.compile_site(raw("nats", port="client"))).instances["scen2_srv_02"].target
        assert target == Target("127.60.0.13", 20008, "nats", 1.0, 1.0, 3)


class Asked:
    """Makes probes that ask nothing; a test reports for them."""

    def __init__(self) -> None:
        self.made: list[Asking] = []

    def make(self, name: str, target: Target, report: Callable[[Result], None]) -> Asking:
        self.made.append(Asking(name, target, report))
        return self.made[-1]


class Asking:
    def __init__(self, name: str, target: Target, report: Callable[[Result], None]) -> None:
        self.name, self.target, self.report, self.state = name, target, report, ""

    def start(self) -> None:
        self.state = "started"

    def nudge(self) -> None:
        self.state = "nudged"

    def stop(self) -> None:
        self.state = "stopped"


class TestTheProber:
    def test_asks_each_of_several_and_puts_their_answers_together(self) -> None:
        told: list[tuple[Key, Health]] = []
        asked = Asked()
        prober = Prober(lambda key, health: told.append((key, health)), lambda why: None, asked.make)
        seen = watched(compiler.compile_site(raw()))
        prober.follow(seen, 0.0)
        mine = [one for one in asked.made if one.name == "scen2_srv_02 7"]
        assert [one.target.probe for one in mine] == ["nats", "mqtt", "http", "exec", "process", "tcp"]
        assert {one.state for one in mine} == {"nudged"}
        health = prober.buses["scen2_srv_02", 7]
        assert isinstance(health, Composed)
        for one in mine[:2] + mine[3:]:  # http may fail: any of http and exec will do
            one.report(Result(Kind.ANSWERED, 1.0, "", 0.001))
        assert health.state(1.0) is State.HEALTHY
        assert [key for key, _unused in told] == [("scen2_srv_02", 7)]
        mine[4].report(Result(Kind.GONE, 2.0, "data_processing ended"))
        assert health.why == "process: data_processing ended"
        prober.stop()
        assert {one.state for one in mine} == {"stopped"}

    def test_gives_each_of_several_the_time_to_start(self) -> None:
        asked = Asked()
        prober = Prober(lambda key, health: None, lambda why: None, asked.make)
        prober.follow(watched(compiler.compile_site(raw())), 0.0)
        mine = [one for one in asked.made if one.name == "scen2_srv_02 7"]
        health = prober.buses["scen2_srv_02", 7]
        mine[0].report(Result(Kind.GONE, 19.0, "gone"))
        assert health.state(19.0) is State.UNKNOWN
        mine[0].report(Result(Kind.GONE, 20.0, "gone"))
        assert health.state(20.0) is State.UNHEALTHY


class TestALink:
    LEAF: dict[str, Any] = {"type": "http", "port": "monitor", "path": "/leafz", "text": "x"}  # noqa: RUF012

    def site(self, link: Any, **beside: Any) -> dict[str, Any]:
        return changed(raw_site(), {"muster_applications/scen2_hci/bus/link": link, **beside})

    def test_is_asked_while_its_bus_runs_and_reports_only_the_link(self) -> None:
        told: list[Key] = []
        asked = Asked()
        prober = Prober(lambda key, health: told.append(key), lambda why: None, asked.make)
        site = compiler.compile_site(self.site(self.LEAF))
        state = small_state(claims={"scen2_hci_02": running("console_1", 7)})
        seen = parse(json.loads(json.dumps(watch_list.watch_document(site, state, 17))))
        prober.follow(seen, 0.0)
        mine = [one for one in asked.made if one.name == "scen2_hci_02 7"]
        assert [(one.target.probe, one.target.port) for one in mine] == [("nats", 24008), ("http", 24010)]
        for _turn in range(3):
            mine[1].report(Result(Kind.MISSED, 1.0, "no leaf"))
        link = ("scen2_hci_02", 7, "link")
        assert told == [link]
        assert (prober.links[link].state(1.0), prober.links[link].why) == (State.UNHEALTHY, "no leaf")
        assert prober.buses["scen2_hci_02", 7].state(1.0) is State.UNKNOWN
        prober.follow(Watch(), 2.0)
        assert not prober.links and {one.state for one in mine} == {"stopped"}

    def test_is_the_same_after_its_way_through_json(self) -> None:
        site = compiler.compile_site(self.site(self.LEAF))
        assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site

    @pytest.mark.parametrize(
        ("link", "sentence"),
        [
            ("http", "link"),
            ({}, "a probe has one of type, all_of and any_of, this one has none"),
            ({**LEAF, "port": "leav"}, 'port "leav" is not among ports'),
            ({**LEAF, "shadow": True}, "a link leads to nothing that could be left undone"),
        ],
    )
    def test_that_is_wrong_is_told(self, link: Any, sentence: str) -> None:
        with pytest.raises(compile_errors.SiteErrors) as error:
            compiler.compile_site(self.site(link))
        assert sentence in str(error.value)

    def test_needs_a_peer(self) -> None:
        with pytest.raises(compile_errors.SiteErrors, match="link needs peer"):
            compiler.compile_site(self.site(self.LEAF, **{"muster_applications/scen2_hci/peer": DELETE}))


def _paths(node: Any, way: str) -> Iterator[str]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, entry in below:
        yield "%s%s" % (way, key)
        yield from _paths(entry, "%s%s/" % (way, key))
