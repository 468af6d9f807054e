# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a lease, validated against each other; and which hosts are the witnesses of a site."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.compile import compiler
from monitor.core.model.site import Host, Site
from monitor.core.model.witnesses import GROUP, witnesses
from monitor.core.report.exclusion import exclusion
from tests.unit.compile.refused_sites import each, refused
from tests.unit.embedded_site import changed, raw_site

ON = {"muster_settings": {"exclusion": "witnesses"}}


@each(
    [
        ("an unknown exclusion", {"muster_settings": {"exclusion": "witness"}},
         "muster_settings.exclusion", ["witnesses"]),
        ("a margin of more than half", {"muster_settings": {"lease": 1.0, "lease_margin": 0.6}},
         "muster_settings.lease_margin", ["lease_margin (0.6 s)", "lease (1 s)"]),
        ("a lease too short", {"muster_settings": {"lease": 0.2, "lease_margin": 0.1}},
         "muster_settings.lease", ["0.2"]),
        ("a clock that is wrong", {"muster_settings": {"clock_error": 0.5}}, "muster_settings.clock_error", ["0.5"]),
        ("a lease that is lost in another way", {"muster_applications/scen2_srv/lease_lost": "freeze"},
         "muster_applications.scen2_srv.lease_lost", ["stop", "kill"]),
        ("a power fence without a path", {"muster_settings": {"exclusion": "witnesses", "power_fence": ["ipmi"]}},
         "muster_settings.power_fence", ["ipmi", "absolute path"]),
        ("a power fence that is never run", {"muster_settings": {"exclusion": "none", "power_fence": ["/bin/ipmi"]}},
         "muster_settings.power_fence", ["exclusion: witnesses"]),
        ("a name for an address", {**ON, "inventory/hosts/server_2/muster_address": "server-2.example"},
         "hosts.server_2.muster_address", ["server-2.example", "IP address"]),
    ]
)  # fmt: skip
def test_a_site_is_refused(case: object) -> None:
    refused(case)  # type: ignore[arg-type]


def test_a_site_with_too_few_nodes_has_no_witnesses() -> None:
    nodes = {"inventory/hosts/%s/muster_node" % host.name: "one" for host in embedded().hosts}
    refused(("", {**ON, **nodes}, "muster_settings.exclusion", ["1 node", "it takes 3"]))


def embedded() -> Site:
    return compiler.compile_site(changed(raw_site(), ON))


def hosts(site: Site, **nodes: str) -> Site:
    return replace(site, hosts=tuple(replace(host, node=nodes.get(host.name, host.node)) for host in site.hosts))


def test_servers_witness_before_consoles_and_the_reason_is_told() -> None:
    chosen = witnesses(embedded())
    assert chosen.names == ("server_1", "server_2", "server_3")
    assert "servers" in chosen.why
    says = exclusion(embedded())
    assert says["witnesses"] == list(chosen.names) and "server_1, server_2 and server_3" in says["says"]


def test_one_on_each_node_and_consoles_fill_up() -> None:
    chosen = witnesses(hosts(embedded(), server_2="n", server_3="n"))
    assert chosen.names == ("server_1", "server_2", "console_1")


def test_a_host_that_is_the_controller_comes_first() -> None:
    site = replace(embedded(), controller="console_2")
    assert witnesses(site).names == ("console_2", "server_1", "server_2")


@pytest.mark.parametrize(("count", "chosen"), [(4, 3), (5, 5), (9, 5)])
def test_they_are_three_or_five_of_the_servers(count: int, chosen: int) -> None:
    site = embedded()
    more = tuple(Host("more_%d" % n, 10 + n, "more_%d" % n, "10.0.0.%d" % n, "/m") for n in range(count - 3))
    applications = tuple(
        a if a.on_request else replace(a, identifiers=a.identifiers + tuple(h.name for h in more))
        for a in site.applications
    )
    assert len(witnesses(replace(site, hosts=site.hosts + more, applications=applications)).names) == chosen


def test_a_group_names_them_and_an_even_one_loses_the_last() -> None:
    site = embedded()
    named = replace(site, groups={**site.groups, GROUP: ("console_1", "console_2", "server_1", "server_2")})
    chosen = witnesses(named)
    assert len(chosen.names) == 3 and "is left out" in chosen.why
    assert witnesses(replace(site, groups={**site.groups, GROUP: ("console_1",)})).names == ()


def test_a_site_that_says_nothing_has_leases_where_three_nodes_that_stay_on_can_witness() -> None:
    def promised(**inventory: object) -> str:
        change = {"inventory/hosts/" + key.replace("__", "/muster_"): value for key, value in inventory.items()}
        return str(exclusion(compiler.compile_site(changed(raw_site(), change)))["kind"])

    assert promised() == "witnesses"
    assert promised(server_3__node="server_2") == "none", "two servers, and consoles that are switched off at night"
    assert promised(server_3__address="server-3.example") == "none", "a guard waits for no name server"
    two = {"inventory/hosts/server_3/muster_node": "server_2",
           "inventory/groups/" + GROUP: ["server_1", "server_2", "console_1"]}  # fmt: skip
    assert exclusion(compiler.compile_site(changed(raw_site(), two)))["kind"] == "witnesses", "somebody named them"


def test_without_leases_a_site_says_what_a_cut_may_do() -> None:
    found = exclusion(compiler.compile_site(changed(raw_site(), {"muster_settings": {"exclusion": "none"}})))
    assert found["kind"] == "none" and "two copies" in found["says"]
