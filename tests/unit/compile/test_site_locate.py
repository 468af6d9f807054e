# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors name the file and line where the value is written, in the order in which Ansible lets files win."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.compile import compiler, errors
from plugins.plugin_utils._locate import Locator, messages, parse_path
from tests.unit.embedded_site import DELETE, LOCAL, ROOT, changed, raw_site

HOSTS = """\
all:
  vars:
    muster_root: /from/hosts.yml
  children:
    muster_controller:
      hosts:
        controller:
    muster_hosts:
      children:
        servers:
          hosts:
            server_1: {muster_address: 10.0.0.1}
            server_2:
              muster_address: 10.0.0.2
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "inv/hosts.yml", HOSTS)
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def line_of(text: str, file: Path, after: str = "") -> int:
    lines = file.read_text(encoding="utf-8").splitlines()
    begin = line_of(after, file) if after else 0
    return next(number for number, line in enumerate(lines, 1) if number > begin and text in line)


def test_places_in_the_embedded_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    locator = Locator(["inventory/local"])
    file = LOCAL / "group_vars" / "all" / "site.yml"
    name = "inventory/local/group_vars/all/site.yml"
    assert locator.where("muster_items[2]") == "%s:%d" % (name, line_of("muster_items", file))
    assert locator.where("muster_applications.scen2_srv.ports.base") == "%s:%d" % (name, line_of("base: 20000", file))
    rule = 'muster_applications.scen2_hci.program_rules[".*_(view|control)"].model'
    assert locator.where(rule) == "%s:%d" % (name, line_of(".*_(view|control)", file))
    assert locator.where("hosts.console_3") == "inventory/local/hosts.yml:%d" % line_of(
        "console_3", LOCAL / "hosts.yml")
    assert locator.repeated() == []


def test_the_deepest_part_that_is_written_is_named(site: Path) -> None:
    write(site, "inv/group_vars/all.yml", "muster_items:\n  - '01'\n  - id: '02'\nmuster_models: '{{ models }}'\n")
    locator = Locator(["inv"])
    assert locator.where("muster_items[1].slot") == "inv/group_vars/all.yml:3"
    assert locator.where("muster_models.service.required") == "inv/group_vars/all.yml:4"
    assert locator.where("muster_items[7]") == "inv/group_vars/all.yml:1"
    assert locator.where("muster_site") is None
    assert locator.where(()) is None


def test_the_file_that_wins_is_named(site: Path) -> None:
    def where() -> str | None:
        return Locator(["inv"], "play").where("hosts.server_2.muster_root")

    assert where() == "inv/hosts.yml:3"
    for name in ("inv/group_vars/all/a.yml", "inv/group_vars/all/b.yml", "play/group_vars/all.yml",
                 "inv/group_vars/servers.yaml", "play/group_vars/servers/x.yml", "inv/host_vars/server_2.yml",
                 "play/host_vars/server_2.yml"):
        write(site, name, "other: 1\nmuster_root: /x\n")
        assert where() == name + ":2"
    write(site, "inv/host_vars/server_1.yml", "muster_root: /y\n")
    assert where() == "play/host_vars/server_2.yml:2"


def test_a_groups_own_variables_do_not_count_for_others(site: Path) -> None:
    write(site, "inv/group_vars/all.yml", "muster_site: x\n")
    write(site, "inv/group_vars/servers.yml", "\nmuster_site: y\n")
    assert Locator(["inv/hosts.yml"]).where("muster_site") == "inv/group_vars/all.yml:1"


def test_hosts_and_groups_are_found(site: Path) -> None:
    locator = Locator(["inv"])
    assert locator.where("hosts.server_2") == "inv/hosts.yml:13"
    assert locator.where("hosts.server_1.muster_address") == "inv/hosts.yml:12"
    assert locator.where("hosts.server_1.muster_node") == "inv/hosts.yml:12"
    assert locator.where("groups.servers") == "inv/hosts.yml:10"
    assert locator.where("groups.nothing") is None
    assert locator.where("hosts.nobody.muster_root") == "inv/hosts.yml:3"


def test_keys_written_twice_are_errors_with_both_places(site: Path) -> None:
    write(site, "inv/group_vars/all.yml", "muster_applications:\n  a: {x: 1}\n  b: {x: 1, x: 2}\n  a: {y: 2}\n"
                                          "own: {a: 1, a: 2}\nmuster_site: s\nmuster_site: t\n")
    assert [error.line() for error in Locator(["inv"]).repeated()] == [
        "inv/group_vars/all.yml:3: muster_applications.b.x: written twice, first at inv/group_vars/all.yml:3; Ansible"
        " would silently keep the last one only",
        "inv/group_vars/all.yml:4: muster_applications.a: written twice, first at inv/group_vars/all.yml:2; Ansible"
        " would silently keep the last one only",
        "inv/group_vars/all.yml:7: muster_site: written twice, first at inv/group_vars/all.yml:6; Ansible would"
        " silently keep the last one only",
    ]


def test_broken_files_and_tags_do_not_stop_it(site: Path) -> None:
    write(site, "inv/group_vars/all/a.yml", "muster_site: [\n")
    write(site, "inv/group_vars/all/b.yml", "secret: !vault |\n  $ANSIBLE_VAULT\nmuster_site: x\n")
    (site / "inv/group_vars/all/c.yml").write_bytes(b"\xff\xfe\x00muster_site")
    write(site, "inv/group_vars/all/.d.yml", "muster_site: y\n")
    assert Locator(["inv", "not/there"]).where("muster_site") == "inv/group_vars/all/b.yml:3"


def test_messages_are_sorted_by_place_and_hold_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    raw = changed(raw_site(), {
        "muster_services/common_data_bus/port": "clients",
        "muster_applications/scen2_srv/programs/internal_data_bus/start_sequnce": 1,
        "inventory/hosts/server_2/muster_root": DELETE,
        "muster_items/1": "a/b",
    })
    with pytest.raises(errors.SiteErrors) as caught:
        compiler.compile_site(raw)
    lines = messages(caught.value.errors, Locator(["inventory/local"]))
    file = LOCAL / "group_vars" / "all" / "site.yml"
    name = "inventory/local/group_vars/all/site.yml"
    assert [line.split(": ")[0] for line in lines] == [
        "%s:%d" % (name, line_of("muster_items", file)),
        "%s:%d" % (name, line_of("internal_data_bus:", file)),
        "%s:%d" % (name, line_of("    port: client", file, after="muster_services:")),
        "inventory/local/hosts.yml:%d" % line_of("server_2", LOCAL / "hosts.yml"),
    ]
    assert lines[1].startswith("%s:%d: muster_applications.scen2_srv.programs.internal_data_bus.start_sequnce: unknown"
                               " key; did you mean start_sequence? (allowed: " % (name, line_of(
                                   "internal_data_bus:", file)))


def test_paths_are_read_as_they_are_written() -> None:
    for keys in (("muster_items", 2, "slot"), ("a", "b.c", "d"), ("a", 'q"u', 0), ("a", ".*_(view|control)", "model"),
                 ("a", "x[1]"), ("a", "line\nend")):
        assert parse_path(errors.path_text(keys)) == keys


def test_a_large_inventory_is_read_to_its_last_line(site: Path) -> None:
    items = "".join("  - {id: 'item-%d', slot: %d, colour: red}\n" % (n, n) for n in range(2000))
    write(site, "inv/group_vars/all.yml", "muster_items:\n" + items)
    locator = Locator(["inv"])
    assert locator.where("muster_items[1999].slot") == "inv/group_vars/all.yml:2001"
    assert locator.repeated() == []
