# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site says of one item: read, resolved, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.compile import compiler, keys
from monitor.core.compile.item import names
from monitor.core.model import site as site_model
from monitor.core.place.ties import ties_of
from tests.unit.compile.refused_sites import HCI, SRV, Case, each, refused
from tests.unit.embedded_site import DELETE, changed, raw_site

FIRST, SECOND = "muster_items/0", "muster_items/1"


def item(number: int, **terms: Any) -> dict[str, Any]:
    return {"id": f"{number:02d}", **terms}


def compiled(**changes: Any) -> site_model.Site:
    return compiler.compile_site(changed(raw_site(), {key.replace("__", "/"): v for key, v in changes.items()}))


CASES: list[Case] = [
    ("a key of an application", {FIRST: item(1, starting_strategy="config")},
     "muster_items[0].starting_strategy: starting_strategy is a key of the site, and does nothing in an item",
     ["it counts at muster_applications.<name>.starting_strategy", "another name"]),
    ("a key of a program", {FIRST: item(1, environment={})}, "muster_items[0].environment: environment is a key",
     ["muster_applications.<name>.programs.<program>.environment"]),
    ("a key of a host", {FIRST: item(1, muster_load_limit=5)}, "muster_items[0].muster_load_limit: ",
     ["it counts at muster_load_limit"]),
    ("a setting", {FIRST: item(1, failure_budget=1)}, "muster_items[0].failure_budget: ",
     ["muster_settings.failure_budget"]),
    ("a factor that is a text", {FIRST: item(1, expected_loading="much")},
     'muster_items[0].expected_loading: is "much", must be a number from 0 to 100', []),
    ("a factor below 0", {FIRST: item(1, expected_loading=-1)}, "muster_items[0].expected_loading: is -1", []),
    ("a load of no application", {FIRST: item(1, expected_loading={"scen2_svr": 10})},
     'muster_items[0].expected_loading.scen2_svr: "scen2_svr" is not an application', ["did you mean scen2_srv?"]),
    ("a load that is no whole number", {FIRST: item(1, expected_loading={"scen2_srv": 1.5})},
     "muster_items[0].expected_loading.scen2_srv: is 1.5, must be a whole number", []),
    ("more than any host allows", {FIRST: item(1, expected_loading={"scen2_srv": 120})},
     "muster_items[0].expected_loading: scen2_srv_01 reserves 120 % of a host", ["100 %"]),
    ("hosts that are none", {FIRST: item(1, identifiers=["server_9"])},
     'muster_items[0].identifiers: "server_9" is neither a host', ["(allowed: "]),
    ("hosts of another application", {FIRST: item(1, identifiers="consoles")},
     "muster_items[0].identifiers: scen2_srv may run on none of these hosts: its application names servers", []),
    ("prefers hosts that it may not have", {FIRST: item(1, identifiers="server_1", prefer="server_2")},
     "muster_items[0].prefer: scen2_srv may run on none of these hosts, so none of them can be preferred",
     ["it may run on server_1"]),
    ("apart from itself", {FIRST: item(1, apart_from="01")}, 'muster_items[0].apart_from: item "01" names itself', []),
    ("a label of its own", {FIRST: item(1, apart_from="0l")},
     'muster_items[0].apart_from: "0l" is no item, and no other item names it as a label', ["01"]),
    ("apart and together", {FIRST: item(1, together_with="02"), SECOND: item(2, apart_from="01")},
     'muster_items[1]: items "01" and "02" must be apart and together at once', ["take one of"]),
    ("apart and together through a third", {
        FIRST: item(1, together_with=["03"], apart_from=["02"]), SECOND: item(2, together_with="03")},
     'muster_items[1]: items "01" and "02" must be apart and together at once', []),
    ("together without a node for all", {FIRST: item(1, identifiers="server_1", together_with="02"),
                                         SECOND: item(2, identifiers="server_2")},
     'muster_items[0].together_with: items "01" and "02" are together, but scen2_srv may run for them on no node'
     " in common", []),
    ("together through a third, without room for all", {
        FIRST: item(1, together_with="02", expected_loading={"scen2_srv": 40}),
        SECOND: item(2, together_with="03", expected_loading={"scen2_srv": 40}),
        "muster_items/2": item(3, expected_loading={"scen2_srv": 40})},
     'muster_items[0].together_with: items "01", "02" and "03" are together, but scen2_srv reserves 120 % for all of'
     " them, and no node allows more than 100 %", []),
    ("priority that is no number", {FIRST: item(1, priority="high")}, 'muster_items[0].priority: is "high"', []),
    ("displace without a priority", {FIRST: item(1, displace=True)},
     "muster_items[0].displace: item \"01\" has the lowest priority of all: there is nothing that it may displace",
     ["give it a priority above"]),
]  # fmt: skip


ARCHIVE = {"per": "site", "identifiers": "servers", "start_sequence": 1,
           "programs": {"archive": {"command": ["dummy/idle"], "start_sequence": 1}}}  # fmt: skip
OVERVIEW = {"per": "host", "identifiers": "consoles", "peer": "archive",
            "programs": {"overview": {"command": ["dummy/idle"], "start_sequence": 1}}}  # fmt: skip
BOTH = {"muster_applications/archive": ARCHIVE, "muster_applications/overview": OVERVIEW}
CASES += [
    ("no such application", {FIRST: item(1, applications=["scen2_srv", "scen2_hic"])},
     'muster_items[0].applications: "scen2_hic" is no application', ["did you mean scen2_hci?"]),
    ("an application of the site", {**BOTH, FIRST: item(1, applications=["scen2_*", "archive"])},
     'muster_items[0].applications: "archive" is no application, and no pattern or range of some', ["scen2_srv"]),
    ("no such item", {SRV + "/items": ["01", "4"], HCI + "/items": "01"},
     'muster_applications.scen2_srv.items: "4" is no item', ["(allowed: 01, 02, 03)"]),
    ("a pattern of no item", {SRV + "/items": "north-*"},
     'muster_applications.scen2_srv.items: "north-*" is no item', []),
    ("no such variable", {FIRST: item(1, kind="radar"), SRV + "/items": {"knid": "radar"}},
     'muster_applications.scen2_srv.items.knid: no item has a variable "knid"', ["did you mean kind?"]),
    ("no item of that value", {FIRST: item(1, kind="radar"), SRV + "/items": {"kind": "sonar"}},
     "muster_applications.scen2_srv.items: no item has these values", []),
    ("an item without an application", {SRV + "/items": "01..02", HCI + "/items": "01..02"},
     'muster_items: item "03" has no application', []),
    ("a peer that its item has not", {SRV + "/items": "01..02"},
     "muster_applications.scen2_hci.peer: items 03 have scen2_hci, but not its peer scen2_srv", []),
    ("an application that is left with none", {SRV + "/items": "01", FIRST: item(1, applications="scen2_hci")},
     "muster_applications.scen2_srv.items: no item has scen2_srv", []),
    ("items of what the site has once", {"muster_applications/archive": {**ARCHIVE, "items": "01"}},
     "muster_applications.archive.items: items is about applications with one instance per item", ["per site"]),
    ("an item that is called site", {**BOTH, FIRST: {"id": "site", "slot": 1}},
     'muster_items: an item has the id "site"', ["archive"]),
    ("an item that is called as a console", {**BOTH, FIRST: {"id": "console_1", "slot": 1}},
     'muster_items: an item has the id "console_1", which is a host with an instance of overview', []),
    ("a peer per item of what the site has once", {"muster_applications/archive": {**ARCHIVE, "peer": "scen2_srv"}},
     "muster_applications.archive.peer: archive has one instance per site and its peer scen2_srv one per item", []),
    ("one port at one address for two hosts", {
        **BOTH, "muster_applications/overview": {**OVERVIEW, "ports": {"base": 30000, "stride": 1, "web": 0}},
        "inventory/hosts/console_2/muster_address": "127.60.0.14"},
     "muster_applications.overview.ports: overview would listen twice at 127.60.0.14, for console_1 and console_2", []),
]  # fmt: skip


NEEDS = SRV + "/programs/data_processing/resources"
CASES += [
    ("a load of what the site has once", {**BOTH, FIRST: item(1, expected_loading={"archive": 50})},
     'muster_items[0].expected_loading.archive: item "01" has no archive: there is one per site', ["scen2_srv"]),
    ("hosts of an application that other items have", {
        FIRST: item(1, prefer={"scen2_srv": "server_1"}, applications="scen2_hci"), HCI + "/peer": DELETE,
        HCI + "/bus/link": DELETE},
     'muster_items[0].prefer.scen2_srv: item "01" has no scen2_srv', ["(allowed: scen2_hci)"]),
    ("hosts of services where the item has none", {
        FIRST: item(1, prefer="server_1", applications="scen2_hci"), HCI + "/peer": DELETE, HCI + "/bus/link": DELETE},
     'muster_items[0].prefer: prefer is about services, and item "01" has none', ["by application"]),
    ("a resource that nobody has", {NEEDS: {"gpu": 1}, "muster_site_resources": {"licence": 1}},
     "muster_applications.scen2_srv: scen2_srv needs 1 of gpu, which neither its hosts nor the site have",
     ["(allowed: licence)"]),
    ("more than any host has", {NEEDS: {"gpu": 3}, "inventory/hosts/server_1/muster_resources": {"gpu": 2}},
     "muster_applications.scen2_srv: one instance of scen2_srv needs 3 of gpu, and no host of it has more than 2", []),
    ("a resource of hosts and of the site", {
        "muster_site_resources": {"gpu": 1}, "inventory/hosts/server_1/muster_resources": {"gpu": 2}},
     "muster_site_resources.gpu: gpu is a resource of hosts, too", []),
    ("a node that has two amounts", {
        "inventory/hosts/server_1/muster_resources": {"gpu": 2},
        "inventory/hosts/server_2/muster_resources": {"gpu": 1},
        "inventory/hosts/server_2/muster_node": "server_1"},
     "hosts.server_2.muster_resources.gpu: hosts of one node (server_1) have it together, but say 2 and 1", []),
    ("memory as a resource", {NEEDS: {"memory": 1}},
     "muster_applications.scen2_srv.programs.data_processing.resources: \"memory\" is not a name of a resource",
     ["expected_memory"]),
    ("together with too little of a resource for all", {
        NEEDS: {"gpu": 1}, "inventory/hosts/server_1/muster_resources": {"gpu": 1}, FIRST: item(1, together_with="02")},
     'muster_items[0].together_with: items "01" and "02" are together, but scen2_srv needs 2 of gpu for all of them,'
     " and there is no more than 1", []),
    ("half of a resource", {NEEDS: {"gpu": 0.5}},
     "muster_applications.scen2_srv.programs.data_processing.resources: gpu is 0.5, must be a whole number", []),
]  # fmt: skip
CASES += [
    ("more than there are", {HCI + "/needs": [{"any": 3, "of": ".*_view"}]},
     'muster_applications.scen2_hci.needs[0]: 3 of ".*_view" must run, but it fits chart_view, sensor_view', []),
    ("a pattern that is none", {HCI + "/needs": [{"any": 1, "of": "("}]},
     'muster_applications.scen2_hci.needs[0].of: "(" is not a regular expression', []),
    ("a need without a number", {HCI + "/needs": [{"of": ".*"}]},
     "muster_applications.scen2_hci.needs[0]: this need needs any", []),
    ("a signal that asks nobody", {SRV + "/programs/data_processing/stop_signal": "KILL"},
     'muster_applications.scen2_srv.programs.data_processing.stop_signal: "KILL" is not known here', ["TERM"]),
    ("a relative folder", {SRV + "/programs/data_processing/directory": "data"},
     'muster_applications.scen2_srv.programs.data_processing.directory: is "data", must be an absolute path', []),
    ("a umask that is none", {SRV + "/programs/data_processing/umask": "rwx"},
     "muster_applications.scen2_srv.programs.data_processing.umask: is", []),
]  # fmt: skip


@each(CASES)
def test_it_is_refused(case: Case) -> None:
    refused(case)


def test_a_key_that_a_command_or_template_reads_is_a_variable() -> None:
    command = ["scen2/data_processing", "--as", "{{ item.user }}"]
    site = compiled(**{SRV + "/programs/data_processing/command": command, FIRST: item(1, user="eve", limits=3)},
                    templates=["limit {{ item['limits'] }}"])  # fmt: skip
    assert site.items[0].variables == {"user": "eve", "limits": 3}


def test_a_factor_counts_for_every_application_and_is_rounded_up() -> None:
    site = compiled(**{FIRST: item(1, expected_loading=1.5), SECOND: item(2, expected_loading={"scen2_srv": 7})})
    assert [site.instance("scen2_srv_%s" % i).application.loading for i in ("01", "02", "03")] == [63, 7, 42]
    assert [site.instance("scen2_hci_%s" % i).application.loading for i in ("01", "02")] == [39, 26]


def test_hosts_of_an_item_are_those_of_its_services_in_its_own_order() -> None:
    site = compiled(**{FIRST: item(1, identifiers=["server_3", "server_1"], prefer=["server_1"]),
                       SECOND: item(2, identifiers={"scen2_hci": ["console_2"]})})
    first, second = site.instance("scen2_srv_01").application, site.instance("scen2_hci_02").application
    assert (first.identifiers, first.identifiers_as_written) == (("server_3", "server_1"),) * 2
    assert site.instance("scen2_hci_01").application.identifiers == site.application("scen2_hci").identifiers
    assert second.identifiers == ("console_2",)
    assert site.items[0].terms is not None
    assert site.items[0].terms.prefer == {"scen2_srv": ("server_1",)}


def test_hosts_of_an_item_are_not_about_applications_that_it_has_not() -> None:
    tracker = {"identifiers": "server_3", "start_sequence": 1, "items": "02",
               "programs": {"tracker": {"command": ["dummy/idle"], "start_sequence": 1}}}  # fmt: skip
    site = compiled(**{**BOTH, "muster_applications/tracker": tracker,
                       "muster_applications/archive": {**ARCHIVE, "identifiers": "server_3"},
                       FIRST: item(1, identifiers="server_1", prefer="server_1")})  # fmt: skip
    terms = site.items[0].terms
    assert terms is not None
    assert (dict(terms.identifiers), list(terms.prefer)) == ({"scen2_srv": ("server_1",)}, ["scen2_srv"])


def test_what_one_item_says_of_another_holds_for_both_and_only_for_services() -> None:
    site = compiled(**{FIRST: item(1, apart_from=["02", "wing"]), "muster_items__2": item(3, apart_from="wing")})
    ties = {name: ties_of(site, name) for name in site.by_name()}
    assert ties["scen2_srv_01"].apart == ("01|02", "wing")
    assert ties["scen2_srv_02"].apart == ("01|02",)
    assert ties["scen2_srv_03"].apart == ("wing",)
    assert not ties["scen2_hci_01"]


def test_who_is_together_with_an_item_may_have_an_application_that_it_lacks() -> None:
    tracker = {"identifiers": "servers", "start_sequence": 1, "items": "02",
               "programs": {"tracker": {"command": ["dummy/idle"], "start_sequence": 1}}}  # fmt: skip
    site = compiled(**{FIRST: item(1, together_with="02"), "muster_applications/tracker": tracker})
    assert ties_of(site, "scen2_srv_02").together and "tracker_01" not in site.by_name()


def test_terms_come_back_from_json_and_stay_readable_as_variables() -> None:
    site = compiled(**{FIRST: item(1, priority=3, together_with="02", prefer="server_2", expected_loading=1.2),
                       SECOND: item(2, displace=True, priority=4)})
    assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site
    assert site.items[0].variables["priority"] == 3


def test_an_item_without_terms_has_none() -> None:
    assert [entry.terms for entry in compiled().items] == [None] * 3


NOT_ELSEWHERE = {*keys.ITEM.names(), *dir({}), *names.COMMON}
ELSEWHERE = {name for table in keys.COUNTED for name in table.names()} - NOT_ELSEWHERE


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_no_key_of_the_site_does_nothing_in_an_item(name: str) -> None:
    line = refused_line({FIRST: {"id": "01", name: "x"}})
    assert line.startswith("muster_items[0].%s: %s is a key of the site" % (name, name))


def refused_line(changes: dict[str, Any]) -> str:
    with pytest.raises(compiler.SiteErrors) as caught:
        compiler.compile_site(changed(raw_site(), changes))
    lines = caught.value.lines()
    assert len(lines) == 1, lines
    return str(lines[0])


def test_hosts_by_application_count_for_an_hci_too() -> None:
    site = compiled(**{FIRST: item(1, prefer={"scen2_hci": "console_3"})})
    assert site.items[0].terms is not None
    assert site.items[0].terms.prefer == {"scen2_hci": ("console_3",)}



def test_items_and_applications_say_together_who_has_what() -> None:
    site = compiled(**{FIRST: item(1, kind="radar"), SECOND: item(2, kind="sonar", applications="scen2_*"),
                       "muster_items__2": item(3, kind="buoy", applications=["scen2_srv"]),
                       HCI + "/items": {"kind": ["radar", "buoy"]}})  # fmt: skip
    assert sorted(site.by_name()) == ["scen2_hci_01", "scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]
    assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site


def test_the_site_and_hosts_have_rows_names_ports_and_peers() -> None:
    archive = {**ARCHIVE, "ports": {"base": 30000, "stride": 2, "web": 1}}
    site = compiled(**{**BOTH, "muster_applications__archive": archive})
    assert [row.id for row in site.rows] == ["01", "02", "03", "site", "console_1", "console_2", "console_3"]
    assert [name for name in site.by_name() if name.startswith(("archive", "overview"))] == [
        "archive_site", "overview_console_1", "overview_console_2", "overview_console_3"]
    one = site.instance("overview_console_2")
    assert one.application.identifiers == ("console_2",)
    assert site.peer_of(one) is site.instance("archive_site")
    assert site.instance("archive_site").ports == {"web": 30001}
    assert site.peer_of(site.instance("scen2_hci_01")) is site.instance("scen2_srv_01")
