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


GIVEN = "muster_items:\n  - {id: a, number: 010, answer: no}\n  - {id: b, place: -70.40, kept: '010'}\n"


def test_values_given_by_a_file_are_read_as_those_of_an_inventory_and_win(site: Path) -> None:
    write(site, "inv/group_vars/all.yml", "muster_items: []\n")
    write(site, "given.yml", GIVEN)
    write(site, "given.json", '{\n\t"muster_items": [{"id": "a",\n\t"place": -70.40}]}')
    locator = Locator(["inv"], given=["@given.yml"])
    assert locator.where("muster_items[1].place") == "given.yml:3"
    assert [error.line() for error in locator.rewritten()] == [
        "given.yml:2: muster_items[0].number: is 010, which YAML reads as 8; put it in quotes, or write 8",
        "given.yml:2: muster_items[0].answer: is no, which YAML reads as false; put it in quotes, or write false",
        "given.yml:3: muster_items[1].place: is -70.40, which YAML reads as -70.4; put it in quotes, or write -70.4",
    ]
    [error] = Locator(["inv"], given=["@given.json"]).rewritten()
    assert error.line().startswith("given.json:3: muster_items[0].place: is -70.40, which YAML")
    [error] = Locator(["inv"], given=["x=010", "muster_site=no", '{"muster_items": [{id: a, n: 010}]}']).rewritten()
    assert error.line().startswith("-e:1: muster_items[0].n: is 010")
    assert Locator(["inv"], given=["@nothing.yml", "@inv"]).rewritten() == []


INI = """\
; a comment
[muster_controller]
control muster_resources='{"gpu": 0x2}'

[servers]
srv_[1:2] muster_environment="{'A': 1_0}" muster_user=no
[muster_hosts:children]
servers
[all:vars]
muster_items=[{'id': 'a', 'place': -70.40, 'kept': '-70.40', 'whole': 7, 'true': True}, {"id": "b", "n": 0x10}]
muster_site=no
[servers:vars]
muster_root = /srv
"""


def test_values_of_an_inventory_in_the_ini_form_have_places_and_are_refused_when_they_change(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(INI, encoding="utf-8")
    for source in (file, tmp_path):
        locator = Locator([str(source)])
        assert [error.line().replace(str(tmp_path), "") for error in locator.rewritten()] == [
            "/hosts:10: muster_items[0].place: is -70.40, which Ansible reads as -70.4; put it in quotes, or write"
            " -70.4",
            "/hosts:10: muster_items[1].n: is 0x10, which Ansible reads as 16; put it in quotes, or write 16",
            "/hosts:6: hosts.srv_1.muster_environment.A: is 1_0, which Ansible reads as 10; put it in quotes, or write"
            " 10",
        ]
        assert locator.where("muster_items[1].id") == "%s:10" % file
        assert locator.where("hosts.srv_2.muster_root") == "%s:13" % file
        assert locator.where("hosts.srv_2.muster_user") == "%s:6" % file
        assert locator.where("groups.servers") == "%s:5" % file
        assert locator.repeated() == []


@pytest.mark.parametrize("text", ["[a", "[a:what]\nx=1", "'", "[", "a b=", "a b=[[[[", "=", "\0", "a b=" + "(" * 500,
                                  "a[1:x] b=1", "[g:children]\ng\n[g]\nh"])  # fmt: skip
def test_an_odd_ini_file_stops_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(text, encoding="utf-8")
    assert Locator([str(tmp_path)]).rewritten() == []


def test_a_file_that_is_no_yaml_is_an_error_with_its_place(site: Path) -> None:
    """Ansible leaves such an inventory out with a warning, and names no line of such variables."""
    write(site, "inv/more.yml", "all:\n  hosts:\n\thost_1:\n")
    write(site, "inv/group_vars/all.yml", "a:\n  b: 1\n\tc: 1\n")
    write(site, "inv/group_vars/servers.yml", "a: [\n")
    write(site, "inv/.hidden.yml", "\t")
    write(site, "inv/data.json", '{\n\t"all": {"hosts": {"tabbed": {}}}}')
    locator = Locator(["inv"])
    assert [error.line() for error in locator.unreadable()] == [
        "inv/more.yml:3: more.yml: this is no YAML: found character that cannot start any token; indent with"
        " blanks, not with tabs",
        "inv/group_vars/all.yml:3: all.yml: this is no YAML: found a tab character that violates indentation; indent"
        " with blanks, not with tabs",
        "inv/group_vars/servers.yml:2: servers.yml: this is no YAML: did not find expected node content",
    ]
    assert locator.where("hosts.tabbed") == "inv/data.json:2"
