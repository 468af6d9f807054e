# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of requests, and each place that is derived from it.

Derived by code: the commands of both command lines, the body and the OpenAPI document of the API, the arguments of the
module and of the action plugin `plan`, the variables that playbooks know. Written, and compared here: the module's
documentation, the variables in playbooks/tasks/turn.yml, the table in docs/api.md, the requests of the page.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.cli import main
from monitor.core.client import console, options
from monitor.core.model import request
from monitor.core.model.request import FIELDS, KINDS, PROVENANCE, Request, RequestKind
from monitor.core.requests import names, read
from monitor.web.schema import openapi
from tests.small_site import small_site

ROOT = Path(__file__).resolve().parents[3]
BY_API = [kind for kind in KINDS.values() if kind.by_api]
BY_COMMAND = [kind for kind in KINDS.values() if kind.by_command]
NAMES = names.names_of(small_site(), {"scen2_srv_99": "server_9"})


def named(kind: RequestKind) -> str:
    return kind.name


def arguments_of(parser: argparse.ArgumentParser, command: str) -> dict[str, argparse.Action]:
    """The arguments of a command by the field that they fill."""
    for word in command.split():
        commands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not commands:
            break  # the second word is an argument
        parser = commands[0].choices[word]
    return {action.dest: action for action in parser._actions}


def test_the_documentation_of_the_module_has_every_argument_of_a_request() -> None:
    text = (ROOT / "plugins/modules/plan.py").read_text()
    found = re.search(r'DOCUMENTATION = r"""\n(.*?)"""', text, re.DOTALL)
    assert found is not None
    documented = yaml.safe_load(found[1])["options"]
    spec = request.argument_spec()
    for name, argument in spec.items():
        facts = {key: documented[name].get(key) for key in argument}
        assert facts == argument, name
    assert set(documented) - set(spec) == {"report", "observed", "save", "approve"}


def test_module_and_action_plugin_take_the_arguments_of_the_table() -> None:
    for name in ("plugins/modules/plan.py", "plugins/action/plan.py"):
        assert "request.argument_spec()" in (ROOT / name).read_text(), name
    assert "*request.VARIABLES" in (ROOT / "plugins/plugin_utils/_inventory.py").read_text()


def test_playbooks_hand_on_every_variable_of_a_request() -> None:
    tasks = yaml.safe_load((ROOT / "playbooks/tasks/turn.yml").read_text())
    [planned] = [task["control_room.muster.plan"] for task in tasks if "control_room.muster.plan" in task]
    for field in FIELDS.values():
        assert field.variable in planned[field.argument], field.name


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.name != "forget"], ids=named)
def test_each_kind_has_a_playbook(kind: RequestKind) -> None:
    assert (ROOT / "playbooks" / (kind.name + ".yml")).exists()


@pytest.mark.parametrize("kind", BY_COMMAND, ids=named)
def test_the_example_of_each_command_is_a_request_without_errors(
    kind: RequestKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text('{"kind": "muster plan", "schema": 1}')  # the example of apply
    parsed = main._parser("").parse_args(shlex.split(kind.example))
    made = options.request_of(KINDS[parsed.kind], parsed)
    assert made.kind == kind.name
    assert set(made.variables()) <= set(request.VARIABLES)
    if kind.by_api:
        site = small_site(items=3)
        hosts = dict(names.names_of(site).hosts, console_3=None)
        assert read.request(made.to_json(), NAMES._replace(hosts=hosts)).kind == kind.name


@pytest.mark.parametrize("kind", BY_COMMAND, ids=named)
def test_commands_have_every_field_of_their_kind(kind: RequestKind) -> None:
    found = arguments_of(main._parser(""), kind.command or kind.name)
    # An item is a subject, and `confirm` follows from --force.
    assert set(kind.fields) - set(found) <= ({"item"} if kind.name in names.BY_HCI else {"confirm"})
    if kind.by_api:
        there = arguments_of(console._parser(), kind.command or kind.name)
        assert {name: there[name].help for name in kind.fields if name in there} == {
            name: found[name].help for name in kind.fields if name in found
        }


@pytest.mark.parametrize("kind", BY_API, ids=named)
def test_the_openapi_document_has_every_field_of_a_kind(kind: RequestKind) -> None:
    schemas = openapi.document()["components"]["schemas"]["Request"]["oneOf"]
    [schema] = [schema for schema in schemas if schema["title"] == kind.name]
    assert set(schema["properties"]) == {"kind", *kind.fields, *kind.renamed}
    assert not {*PROVENANCE} & set(schema["properties"])


@pytest.mark.parametrize("kind", BY_API, ids=named)
def test_the_documentation_of_the_api_has_every_field_of_a_kind(kind: RequestKind) -> None:
    rows = [line for line in (ROOT / "docs/api.md").read_text().splitlines() if line.startswith("| `")]
    [row] = [row for row in rows if "`%s`" % kind.name in row.split("|")[1]]
    for name in kind.fields:
        assert name == "why" or "`%s" % name in row, name


def test_the_page_sends_known_kinds_and_fields() -> None:
    text = (ROOT / "monitor/web/static/actions.js").read_text()
    sent = dict(re.findall(r'\{ kind: "(\w+)"([^}]*)', text))
    assert set(sent) <= {kind.name for kind in BY_API}
    for name, fields in sent.items():
        known = set(KINDS[name].fields) | {"instances", "item"}
        assert set(re.findall(r"(?:^|[ ,{])(\w+):", fields)) <= known, name
    for asked in re.findall(r"fields: \[([^\]]*)\]", text):
        for name in re.findall(r'"(\w+)"', asked):
            assert name in FIELDS


def test_a_request_is_the_same_after_json() -> None:
    made = Request(
        "drain", "eve", "console_1", "new disk", host="server_2", until="2h", at_a_time=1, force=True
    )  # fmt: skip
    assert request.filled(made.to_json()) == made
    assert made.to_json()["from"] == "console_1"
    assert made.variables()["muster_from"] == "console_1"
    assert Request("pause", site=True).variables() == {"muster_whole_site": True}


def test_arguments_of_the_module_become_the_request() -> None:
    empty = {name: argument["default"] for name, argument in request.argument_spec().items()}
    assert request.from_arguments(empty) == {"kind": "reconcile"}
    given: dict[str, Any] = {**empty, "kind": "pause", "whole_site": True, "from_where": "console_1", "until": "2h"}
    assert request.from_arguments(given) == {"kind": "pause", "site": True, "from": "console_1", "until": "2h"}


@pytest.mark.parametrize(
    ("kind", "written", "instances", "problem"),
    [
        ("start", "scen2_srv_01", ["scen2_srv_01"], ""),
        ("stop", "scen2_srv", ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"], ""),
        ("stop", "scen2_srv_9*", ["scen2_srv_99"], ""),
        ("close", "02", ["scen2_hci_02"], ""),
        ("close", "2", [], "there is no instance or item 2 in this site; did you mean 02?"),
        ("start", "02", ["scen2_srv_02"], ""),
        ("stop", "99", ["scen2_srv_99"], ""),
        ("restart", "02..03", ["scen2_srv_02", "scen2_srv_03"], ""),
        ("reset", "03..02", ["scen2_srv_02", "scen2_hci_02", "scen2_srv_03", "scen2_hci_03"], ""),
        ("open", "01..02", ["scen2_hci_01", "scen2_hci_02"], ""),
        ("stop", "04", [], "there is no instance or item 04 in this site; there are 01, 02 and 03"),
        ("stop", "02..09", [], "there is no instance or item 02..09 in this site"),
        ("resolve", "02", [], "there is no instance 02 in this site"),
        ("start", "x*", [], "no instance of the site fits the pattern x*"),
        ("start", "scen2_srv_1", [], "there is no instance or item scen2_srv_1 in this site; did you mean scen2_srv"),
    ],
)
def test_what_a_name_stands_for(kind: str, written: str, instances: list[str], problem: str) -> None:
    [meaning] = names.meanings(kind, [written], NAMES)
    assert list(meaning.instances) == instances
    assert meaning.problem.startswith(problem)
    assert bool(meaning.problem) == bool(problem)


def test_of_what_is_pending_an_item_stands_for_its_window_too() -> None:
    [meaning] = names.meanings("restart", ["02"], NAMES, pending=True)
    assert meaning.instances == ("scen2_srv_02", "scen2_hci_02")
    document = {"kind": "restart", "instances": ["02"], "pending": True}
    assert read.request(document, NAMES).instances == meaning.instances


@pytest.mark.parametrize(
    ("applications", "problem"),
    [
        ({"srv": False}, "item 02 has no HCI: no application of this site is opened on request for it"),
        ({"view": True, "chart": True}, "item 02 has several HCIs: name one of view_02 and chart_02"),
    ],
)
def test_an_item_without_exactly_one_hci_is_not_opened(applications: dict[str, bool], problem: str) -> None:
    instances = dict.fromkeys(f"{name}_02" for name in applications)
    known = names.Names(instances, items={"02": None}, applications=applications)
    [meaning] = names.meanings("open", ["02"], known)
    assert meaning.problem == problem


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pause"], "pause needs ITEM or --site"),
        (["pause", "02", "--site"], "pause needs ITEM or --site, not both"),
        (["acknowledge"], "acknowledge needs ID or --all"),
    ],
)
def test_a_command_that_does_not_say_what_it_is_about_is_incomplete(words: list[str], says: str) -> None:
    parsed = main._parser("").parse_args(words)
    with pytest.raises(options.Incomplete) as found:
        options.request_of(KINDS[parsed.kind], parsed)
    assert str(found.value) == says


@pytest.mark.parametrize("number", ["0", "1001", "two", "1.5"])
def test_a_number_beyond_its_limits_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main._parser("").parse_args(["drain", "server_2", "--at-a-time", number])
    assert "must be a whole number from 1 to 1000" in capsys.readouterr().err
