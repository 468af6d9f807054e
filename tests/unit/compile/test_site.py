# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of compiling a valid site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.core.compile import compiler, keys
from monitor.core.model import site as site_model
from tests.unit.embedded_site import LOCAL, ROOT, changed, raw_site, site_variables

SRV = "muster_applications/scen2_srv"
HCI = "muster_applications/scen2_hci"


def compiled(**changes: Any) -> site_model.Site:
    return compiler.compile_site(raw_site(**changes))


def test_the_embedded_site_is_valid() -> None:
    site = compiled()
    assert (site.name, site.controller, site.state_dir) == ("scenario_2", "controller", "/srv/muster/state")
    assert [host.name for host in site.hosts] == [
        "server_1", "server_2", "server_3", "console_1", "console_2", "console_3"]
    assert [instance.name for instance in site.instances()] == [
        "scen2_srv_01", "scen2_srv_02", "scen2_srv_03", "scen2_hci_01", "scen2_hci_02", "scen2_hci_03"]
    assert site.service("common_data_bus").hosts == ("server_1", "server_2", "server_3")
    assert site.service("common_data_bus").label == "the common bus"


def test_a_compiled_site_comes_back_from_json_as_it_was() -> None:
    site = compiled(muster_items__1={"id": "north", "slot": 7, "faults": {"scen2_srv": [1, {"a": None}]}})
    assert site_model.site_from_json(json.loads(json.dumps(site_model.site_to_json(site)))) == site


def test_programs_take_keys_from_rules_and_models() -> None:
    site = compiled()
    bus = site.application("scen2_srv").program("internal_data_bus")
    assert (bus.start_sequence, bus.required, bus.expected_loading) == (1, True, 2)
    view = site.application("scen2_hci").program("sensor_view")
    assert (view.start_sequence, view.stop_sequence, view.expected_loading, view.required) == (3, 3, 8, False)
    assert site.application("scen2_hci").loading == 2 + 3 * 8


def test_own_keys_win_over_rules_and_those_over_models() -> None:
    site = compiler.compile_site(changed(raw_site(), {
        "muster_models/base": {"expected_loading": 1, "start_sequence": 9, "stop_timeout": 7,
                               "environment": {"A": "1"}},
        "muster_models/window": {"model": "base", "start_sequence": 3, "expected_loading": 2},
        HCI + "/program_rules": {"view": {"model": "window", "expected_loading": 3, "environment": {"B": "2"}},
                                 "control": {"model": "window"}},
        HCI + "/programs/chart_view/expected_loading": 4,
        HCI + "/programs/chart_view/environment": {"C": 3},
    }))
    chart = site.application("scen2_hci").program("chart_view")
    assert (chart.expected_loading, chart.start_sequence, chart.stop_timeout) == (4, 3, 7.0)
    assert chart.environment == {"A": "1", "B": "2", "C": "3"}
    assert site.application("scen2_hci").program("sensor_view").expected_loading == 3


def test_the_longest_matching_rule_counts_alone() -> None:
    site = compiler.compile_site(changed(raw_site(), {
        HCI + "/program_rules": {"_": {"start_sequence": 5, "required": True}, "_view": {"start_sequence": 6},
                                 "_control$": {"start_sequence": 7}},
    }))
    programs = site.application("scen2_hci")
    assert (programs.program("sensor_view").start_sequence, programs.program("sensor_view").required) == (6, False)
    assert programs.program("sensor_control").start_sequence == 7


def test_a_rule_matches_anywhere_in_the_name_as_in_supvisors() -> None:
    site = compiler.compile_site(changed(raw_site(), {HCI + "/program_rules": {"sor_|art": {"model": "window"}}}))
    assert site.application("scen2_hci").program("chart_view").expected_loading == 8


def test_stop_sequence_follows_start_sequence_unless_given() -> None:
    site = compiled(muster_applications__scen2_srv__programs__config_manager__stop_sequence=8)
    assert site.application("scen2_srv").stop_sequence == 1
    assert site.application("scen2_srv").program("config_manager").stop_sequence == 8
    assert site.application("scen2_srv").program("data_processing").stop_sequence == 3


def test_an_applications_running_failure_strategy_is_its_programs_default() -> None:
    site = compiled(muster_applications__scen2_srv__running_failure_strategy="restart_process")
    application = site.application("scen2_srv")
    assert application.program("data_processing").running_failure_strategy == "restart_process"
    assert application.program("internal_data_bus").running_failure_strategy == "restart_application"


def test_identifiers_keep_the_order_written_and_groups_the_inventorys() -> None:
    site = compiled(muster_applications__scen2_srv__identifiers=["console_2", "servers", "server_1"])
    assert site.application("scen2_srv").identifiers == ("console_2", "server_1", "server_2", "server_3")
    assert site.application("scen2_srv").identifiers_as_written == ("console_2", "servers", "server_1")
    everywhere = compiled(muster_applications__scen2_srv__identifiers="*")
    assert len(everywhere.application("scen2_srv").identifiers) == 6


def test_items_have_slots_and_variables_of_their_own() -> None:
    site = compiled(muster_items=["01", {"id": "north", "slot": "12", "colour": "red"}, {"id": "0300"}])
    assert [(item.id, item.slot) for item in site.items] == [("01", 1), ("north", 12), ("0300", 300)]
    assert site.item("north").variables == {"colour": "red"}
    assert site.instance("scen2_srv_north").ports == {"client": 20048, "leaf": 20049, "monitor": 20050}


def test_no_items_is_a_valid_site() -> None:
    assert list(compiled(muster_items=[]).instances()) == []


def test_numbers_may_come_as_text_as_from_the_command_line() -> None:
    site = compiled(inventory__hosts__server_1__muster_extra_load="30", muster_settings={"run_timeout": "90.5"})
    assert site.host("server_1").extra_load == 30
    assert site.settings.run_timeout == 90.5


def test_jinja_in_commands_and_environment_is_kept() -> None:
    site = compiled(muster_applications__scen2_srv__programs__config_manager={
        "model": "service", "command": ["x", "{{ item.id }}", 8080], "environment": {"LEVEL": "{{ item.level }}"}})
    program = site.application("scen2_srv").program("config_manager")
    assert program.command == ("x", "{{ item.id }}", "8080")
    assert program.environment == {"LEVEL": "{{ item.level }}"}


def test_a_probe_may_be_tuned() -> None:
    site = compiled(muster_applications__scen2_srv__bus__interval=0.2, muster_services__common_data_bus__failures=5)
    bus = site.application("scen2_srv").bus
    assert bus and bus.probe == site_model.Probe("nats", "client", 0.2, 1.0, 3)
    common = site.service("common_data_bus").probe
    assert common and common.failures == 5


def test_applications_on_different_hosts_may_use_the_same_ports() -> None:
    site = compiled(muster_applications__scen2_hci__ports__base=20000)
    assert site.instance("scen2_hci_01").ports["client"] == site.instance("scen2_srv_01").ports["client"]


def test_a_host_alone_needs_only_its_folder() -> None:
    raw = raw_site()
    raw["inventory"]["hosts"]["server_1"] = {"groups": ["servers"], "muster_root": "/srv/muster"}
    host = compiler.compile_site(raw).host("server_1")
    assert host == site_model.Host("server_1", 0, "server_1", "server_1", "/srv/muster", ("servers",))


@pytest.mark.parametrize(("table", "model"), [
    (keys.SETTINGS, site_model.Settings), (keys.PROGRAM, site_model.Program),
    (keys.APPLICATION, site_model.Application),
    (keys.FILE, site_model.ConfigFile), (keys.BUS, site_model.Probe),
])
def test_defaults_of_tables_are_those_of_the_model(table: keys.Table, model: Any) -> None:
    own = {name: field.default for name, field in model.__dataclass_fields__.items()}
    for field in table.fields:
        if field.name in own and not field.required and not field.default_doc and field.default is not None:
            assert own[field.name] == field.default or (not own[field.name] and not field.default) \
                or callable(model.__dataclass_fields__[field.name].default_factory), field.name


def test_the_example_inventory_is_valid_and_has_the_same_applications() -> None:
    folder = ROOT / "inventory" / "example"
    example = site_variables(folder)
    for name in ("muster_models", "muster_applications", "muster_services"):
        assert example[name] == site_variables(LOCAL)[name], "inventory/example differs from inventory/local in " + name
    site = compiler.compile_site({**raw_site(), **example})
    assert [item.id for item in site.items] == ["north", "south", "airport-1"]


def test_the_embedded_site_is_about_as_long_as_the_rules_file_it_replaces() -> None:
    lines = Path(LOCAL / "group_vars" / "all" / "site.yml").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.strip().startswith("#")]) < 70
