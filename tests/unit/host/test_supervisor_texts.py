# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord's own parser reads muster's files as meant; muster's XML-RPC equals that of the standard library."""

from __future__ import annotations

import shlex
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions, UnhosedConfigParser

from monitor.core.host.service.supervisor import orders
from monitor.core.host.service.supervisor import xmlrpc as supervisor_xmlrpc

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
NASTY = st.sampled_from(["", "a ;b", " # x", "100%", "%(here)s", "$(id)", "`id`", "; rm -rf", "it's", '"', "\\", "a\tb",
                         "\\n", "'", "''", "x=y", "a,b", "%%", "\xa0;", "*", "~", "[x]", "@@root@@",
                         "a\x85b", "\u2028", "a\u2029b"])


def read_back(tmp_path: Path, command: str, environment: str) -> Any:
    path = tmp_path / "one.ini"
    path.write_text("[program:x]\ncommand=%s\nenvironment=%s\nstdout_logfile=NONE\n" % (command, environment),
                    encoding="utf-8")
    parser = UnhosedConfigParser()
    parser.read([str(path)], encoding="utf-8")
    options = ServerOptions()
    parser.expansions = options.environ_expansions
    [config] = options.processes_from_section(parser, "program:x", "x")
    return config


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS | NASTY, min_size=1, max_size=5))
def test_supervisord_splits_a_command_into_exactly_the_arguments_given(
    tmp_path_factory: pytest.TempPathFactory, arguments: list[str]
) -> None:
    arguments = ["/bin/echo", *arguments]
    config = read_back(tmp_path_factory.mktemp("q"), orders.quote_command(arguments), "")
    assert shlex.split(config.command) == arguments


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), WORDS | NASTY, max_size=4))
def test_supervisord_reads_exactly_the_environment_given_or_we_refuse_it(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]
) -> None:
    try:
        line = orders.quote_environment(variables)
    except ValueError as error:
        assert any(name in str(error) for name in variables)
        return
    config = read_back(tmp_path_factory.mktemp("q"), "/bin/true", line)
    assert config.environment == variables


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\0", "\x1b[0m", "\x7f"])
def test_control_characters_are_refused_by_name(value: str) -> None:
    with pytest.raises(ValueError, match="the variable NAME holds the control character"):
        orders.quote_environment({"NAME": value})
    with pytest.raises(ValueError, match="control character"):
        orders.quote_command(["x", value])


@pytest.mark.parametrize("name", ["", "A B", "1A", "A=B", "A;B", "É"])
def test_odd_variable_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        orders.quote_environment({name: "x"})


VALUES = st.recursive(
    st.integers(-(2**31), 2**31 - 1) | st.booleans() | st.text(st.characters(exclude_categories=("Cc", "Cs"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), inner,
                                                                max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_answers_are_read_as_the_standard_library_wrote_them(value: Any) -> None:
    text = xmlrpc.client.dumps((value,), methodresponse=True)
    assert supervisor_xmlrpc._parse(text.encode()) == value


@given(st.lists(VALUES, max_size=3))
def test_questions_are_written_as_the_standard_library_reads_them(values: list[Any]) -> None:
    parameters, method = xmlrpc.client.loads(supervisor_xmlrpc._request("supervisor.x", values))
    assert (list(parameters), method) == (values, "supervisor.x")


def test_faults_are_read_as_faults() -> None:
    fault = supervisor_xmlrpc._parse(xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: <x>")).encode())
    assert isinstance(fault, supervisor_xmlrpc.Fault) and (fault.code, fault.text) == (10, "BAD_NAME: <x>")


def test_a_server_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        supervisor_xmlrpc.XmlRpcClient(str(tmp_path / "no.sock")).call("x")
