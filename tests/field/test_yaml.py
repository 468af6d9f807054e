# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML makes of what a person wrote: it arrives as it is written, or is refused at check with its place.

Sources: ansible/ansible#56034, Sceptre/sceptre#823 (070 is 56); alibaba/nacos#12969, canonical/cloud-init#6127,
home-assistant/core#69955 (no is false, as a value and as a key); conda/conda-build#2905, travis-ci/travis-ci#2615 (1.10
is 1.1); ansible-collections/community.clickhouse PR#114, kislyuk/yq#167, yaml/pyyaml#235 (anchors within themselves,
and within each other); ddollar/foreman#668, vm0-ai/vm0#9470 (an environment that a service manager reads otherwise).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.core.compile import host_environment
from monitor.core.compile.compiler import compile_site
from monitor.core.compile.errors import Problems, SiteErrors
from plugins.plugin_utils._locate import Locator
from tests.unit.embedded_site import ROOT, raw_site

_CONTROLLER = "all: {children: {muster_controller: {hosts: {controller: }}}}\n"


def rewritten(folder: Path, text: str) -> list[str]:
    variables = folder / "group_vars" / "all.yml"
    variables.parent.mkdir(exist_ok=True)
    variables.write_text(text, encoding="utf-8")
    (folder / "hosts.yml").write_text(_CONTROLLER, encoding="utf-8")
    locator = Locator([str(folder)])
    assert locator.repeated() == []
    return [error.line().partition("all.yml:")[2] for error in locator.rewritten()]


@pytest.mark.parametrize(("written", "read"), [
    ("010", "8"), ("-010", "-8"), ("1_000", "1000"), ("0x1F", "31"), ("12:30", "750"), ("1.10", "1.1"), ("no", "false"),
    ("On", "true"), ("1.0e+3", "1000.0"), (".inf", "inf"),
])  # fmt: skip
def test_a_variable_of_an_item_that_would_arrive_otherwise_is_named(written: str, read: str, tmp_path: Path) -> None:
    text = 'muster_items:\n  - "01"\n  - {id: "02", words: {one: [%s]}}\n' % written
    [line] = rewritten(tmp_path, text)
    assert line == "3: muster_items[1].words.one[0]: is %s, which YAML reads as %s; put it in quotes, or write %s" % (
        written, read, read)  # fmt: skip


@pytest.mark.parametrize("written", [
    "10", "0", "-7", "1.5", "true", "False", "~", '"010"', "'no'", "2024-01-01", "08", "1e3", "!!str 010",
    "|-\n      no",
])  # fmt: skip
def test_what_arrives_as_it_is_written_is_no_error(written: str, tmp_path: Path) -> None:
    assert rewritten(tmp_path, 'muster_items:\n  - id: "02"\n    one: %s\n' % written) == []


def test_numbers_of_muster_itself_may_be_written_as_one_likes_but_for_octal_ones(tmp_path: Path) -> None:
    text = """\
muster_applications:
  a:
    ports: {base: 20_000, stride: 0x4, client: 0, other: 010}
    programs:
      p: {command: [/bin/p, 022, 0x10, 7], environment: {A: 1_0, B: 10}, expected_loading: 1.50}
other: 010
muster_items: [{id: "01", slot: 1_0, priority: 0x1, expected_loading: 1.50}]
"""
    assert [line.partition(": is ")[0] for line in rewritten(tmp_path, text)] == [
        "3: muster_applications.a.ports.other",
        "5: muster_applications.a.programs.p.command[1]",
        "5: muster_applications.a.programs.p.command[2]",
        "5: muster_applications.a.programs.p.environment.A",
    ]


def test_anchors_within_themselves_and_within_each_other_end_no_search_for_places(tmp_path: Path) -> None:
    bomb = "\n".join("b%d: &b%d [%s]" % (n, n, ", ".join(["*b%d" % (n - 1)] * 9)) for n in range(1, 10))
    text = "b0: &b0 [010]\n%s\nmuster_items: [*b9]\nmuster_models: &m {a: *m}\n" % bomb
    rewritten(tmp_path, text)


def in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _unused in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(("value", "words"), [
    (in_itself(), "nested more than 64 times: perhaps an anchor (&) stands within itself"),
    (deep(3000), "nested more than 64 times"),
    (yaml.safe_load("!!set {a, b}"), "is a set, which has no order; write a list"),
    (yaml.safe_load("!!binary aGVsbG8="), "is binary data; write text"),
    (yaml.safe_load("2001-12-14t21:59:43.10-05:00"), "is a moment, which YAML writes in its own way; put it in quotes"),
    (yaml.safe_load("{no: Oslo}"), "has the key false, which is no text; put it in quotes"),
    (yaml.safe_load("{~: 1}"), "has the key empty, which is no text"),
    (yaml.safe_load("{1.10: 1}"), "has the key 1.1, which is no text"),
    (yaml.safe_load("{1: a, '1': b}"), "written twice, as a number and as text"),
])  # fmt: skip
@pytest.mark.parametrize("place", ["muster_items", "muster_models", "hosts"])
def test_data_that_no_site_can_hold_is_refused_with_its_place(value: Any, words: str, place: str) -> None:
    raw = raw_site(muster_items=[{"id": "01", "one": value if place == "muster_items" else "x"}])
    if place == "muster_models":
        raw["muster_models"]["service"]["environment"] = value
    elif place == "hosts":
        raw["inventory"]["hosts"]["server_1"]["muster_resources"] = value
    with pytest.raises(SiteErrors) as refused:
        compile_site(raw)
    [line] = refused.value.lines()
    path = {"muster_items": "muster_items[0]", "muster_models": "muster_models.service", "hosts": "inventory.hosts"}
    assert line.startswith(path[place]) and words in line


def test_a_date_as_an_id_is_the_text_that_was_written(tmp_path: Path) -> None:
    """Which is what the inventory hands on."""
    with pytest.raises(SiteErrors, match="needs a slot"):
        compile_site(raw_site(muster_items=[str(yaml.safe_load("2024-01-01"))]))


# -- the environment of all programs


@pytest.mark.parametrize(("written", "words"), [
    ({"A B": "x"}, '"A B" is not a name of an environment variable; allowed: letters'),
    ({"": "x"}, '"" is not a name'), ({"A=B": "x"}, '"A=B" is not a name'), ({"é": "x"}, "is not a name"),
    ({"A": "x\ny"}, "A holds the control character '\\n', must be one line of text"),
    ({"A": "x\0"}, "A holds the control character '\\x00'"), ({"A": "\ud800"}, "A holds the control character"),
    ({"A": True}, "A is no text, must be a text; put it in quotes"), ({"A": None}, "A is empty"),
    ({"A": [1]}, "A is no text"),
    ({"A": 10**4000}, "A is no text"), ({"MUSTER_EPOCH": "7"}, "MUSTER_EPOCH is reserved: muster sets it"),
    ({"MUSTER_PORT_X": "7"}, "is reserved"), (["A=B"], "is a list, must be a mapping of names to texts"),
    ("A=B", "must be a mapping"),
])  # fmt: skip
def test_a_variable_for_all_programs_that_would_keep_them_from_starting_is_refused(written: Any, words: str) -> None:
    problems = Problems()
    host_environment.read(written, ("hosts", "server_1", "muster_environment"), problems)
    [error] = problems.errors
    assert words in error.line() and error.line().startswith("hosts.server_1.muster_environment")


def test_the_others_are_taken_as_they_are() -> None:
    problems = Problems()
    good = {"A": "", "_b": " x\t\u00e0; %(here)s", "N": 7, "MUSTER_PYTHON": "/usr/bin/python3"}
    assert host_environment.read(good, ("e",), problems) == {**good, "N": "7"}
    assert problems.errors == []


# -- the real check


def test_check_names_all_of_it_at_once(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory" / "local", inventory)
    site = inventory / "group_vars" / "all" / "site.yml"
    text = site.read_text(encoding="utf-8")
    items = 'muster_items: [{id: "01", country: no, build: 1.10}, no]\nmuster_environment: {A B: x, B: 017}\n'
    text = text.replace('muster_items: ["01", "02", "03"]\n', items)
    for change, wanted in (
        (text, ["items[0].country: is no, which", "items[0].build: is 1.10, which",
                "muster_items[1]: is false, must be",
                'muster_environment["A B"]: "A B" is not a name', "muster_environment.B: is 017, which"]),
        (text.replace("country: no", "areas: &a [*a]"), ["muster_items[0].areas: is nested more than 64 times"]),
        (text.replace("country: no", "areas: {no: Oslo}"), ["muster_items[0].areas: has the key false"]),
    ):  # fmt: skip
        site.write_text(change, encoding="utf-8")
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, ROOT / "playbooks" / "check.yml"],
            capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
            env={**os.environ, "MUSTER_LOCAL_DIR": str(tmp_path / "m")},
        )  # fmt: skip
        assert "the site is not valid" in done.stderr + done.stdout
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(str(site))]
        for words in wanted:
            assert sum(words in line for line in lines) == 1, (words, lines)
