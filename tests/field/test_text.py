# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from items arrives at programs exactly as written or is refused; text from hosts orders nothing.

Sources: Supervisor/supervisor#599, #1393 (blanks, quotes and percent signs in commands and environments); an attack on
a site: a value of an item that became the command of a program, escape sequences in what a program printed last, and
an answer of one host that ended every run.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions, UnhosedConfigParser

from monitor.cli import main as cli
from monitor.core.client import terminal
from monitor.core.compile import compiler
from monitor.core.model import answers, site, text
from monitor.core.model.observation import Observation, observed
from tests.unit.embedded_site import ROOT, raw_site

# Renders one site per line of standard input with Ansible's own engine; answers {"files"} or {"refused"}.
_RENDER = """
import json, os, sys
sys.path.insert(0, %r)
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.control_room.muster.plugins.module_utils._core.model.site import site_from_json
from ansible_collections.control_room.muster.plugins.plugin_utils import _render
folders = [%r + "/roles/%%s/templates/" %% role for role in ("host", "programs")]
def find(name):
    return next(folder + name for folder in folders if os.path.exists(folder + name))
for line in sys.stdin:
    asked = json.loads(line)
    site = site_from_json(asked["site"])
    variables = {"muster_common_bus_hosts": "servers", "db_password": "S3CRET", **asked["variables"]}
    try:
        made = _render.Renderer(site, Templar(loader=DataLoader()), variables, find).render()
        answer = {"files": {name: made.files_for(site, name) for name in ("server_1", "server_2")},
                  "digests": made.digests}
    except AnsibleError as error:
        answer = {"refused": str(error)}
    print("MADE:" + json.dumps(answer), flush=True)
"""
BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
ODD = [
    *(blank + mark for blank in BLANKS for mark in ";#"),
    *BLANKS,
    *("'", '"', "\\", "%", "%%", "%(ENV_HOME)s", "%(here)s", "$", "$(id)", "${HOME}", "`id`", "{{", "}}"),
    *("{{ 7 * 7 }}", "{% raw %}", "{#", "\n", "\r", "\0", "\x02", "\x03", "\x1b[31m", ">", "=", ","),
    *("@@root@@ ", "\ud800", "é", "😀"),
]
VALUES = st.lists(st.sampled_from(ODD) | st.text(max_size=3), max_size=4).map("".join)
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Renderer:
    """A process that renders sites."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RENDER % (str(ROOT / "collections"), str(ROOT))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
        )  # fmt: skip

    def __call__(self, compiled: site.Site, **variables: Any) -> dict[str, Any]:
        """
        :param variables: further ones of the inventory.
        """
        source, answer = self._process.stdin, self._process.stdout
        assert source is not None and answer is not None
        source.write(json.dumps({"site": site.site_to_json(compiled), "variables": variables}) + "\n")
        source.flush()
        line = next(line for line in answer if line.startswith("MADE:"))
        made: dict[str, Any] = json.loads(line[5:])
        return made

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def render() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.end()


def with_values(**values: Any) -> dict[str, Any]:
    """The embedded site whose first program gets the variables of items as an argument and in its environment; its
    second server runs systemd."""
    raw = raw_site(muster_items=[{"id": "01", **values}, "02"])
    raw["inventory"]["hosts"]["server_2"]["muster_service_manager"] = "systemd"
    programs = raw["muster_applications"]["scen2_srv"]["programs"]
    for number, name in enumerate(programs):
        own = programs[name]
        own["environment"] = {**own.get("environment", {}), "SECRET": "{{ db_password }}"}
        if number == 0:
            own["command"] = ["/bin/echo", "{{ item.one | default('') }}", "end"]
            own["environment"] = {"TWO": "{{ item.two | default('') }}", "SECRET": "{{ db_password }}"}
    return raw


def first_program() -> str:
    return str(next(iter(raw_site()["muster_applications"]["scen2_srv"]["programs"])))


def as_supervisord_reads_it(folder: Path, section: str) -> tuple[list[str], dict[str, str]]:
    path = folder / "one.ini"
    lines = section.replace("@@root@@", "/srv").split("\n")
    kept = [line for line in lines if not line.startswith("stdout_logfile=")]  # its folder would have to be there
    path.write_text("\n".join([*kept, ""]), encoding="utf-8")
    parser = UnhosedConfigParser()
    parser.read([str(path)], encoding="utf-8")
    options = ServerOptions()
    parser.expansions = options.environ_expansions
    name = next(s for s in parser.sections() if s.endswith("." + first_program()))
    [config] = options.processes_from_section(parser, name, "x")
    return shlex.split(config.command), config.environment


def as_muster_exec_starts_it(folder: Path, placed: str) -> tuple[list[str], dict[str, str]]:
    """What /proc says of the program that the real bin/muster-exec became."""
    mark = "#@ %s\n" % first_program()
    lines = placed[placed.index(mark) + len(mark) :].split("\n#@ ")[0]
    lines = lines.replace(">/bin/echo", ">%s\n>-c\n>%s" % (sys.executable, _SAY), 1)
    (folder / "etc" / "services").mkdir(parents=True, exist_ok=True)
    (folder / "etc" / "environment").write_text("")
    (folder / "etc" / "services" / "x.run").write_text(lines + "\n", encoding="utf-8")
    done = subprocess.run(
        [ROOT / "bin" / "muster-exec", "--placed-service", "x"], capture_output=True, timeout=60, check=True,
        env={"MUSTER_ROOT": str(folder), "MUSTER_INSTANCE": "x", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    arguments, environment = json.loads(done.stdout)
    return arguments, environment


_SAY = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


@FEW
@given(st.data())
def test_a_variable_of_an_item_arrives_exactly_as_written_or_is_refused_at_check(
    render: Renderer, tmp_path: Path, data: st.DataObject
) -> None:
    one, two = data.draw(VALUES), data.draw(VALUES)
    try:
        compiled = compiler.compile_site(with_values(one=one, two=two))
    except compiler.SiteErrors as refused:
        assert "control character" in str(refused) or "@@root@@" in str(refused), str(refused)
        return
    made = render(compiled)
    if "refused" in made:
        assert "scen2_srv_01" in made["refused"]
        assert "control character" in made["refused"] or "quote" in made["refused"]
        return
    for read in (
        as_supervisord_reads_it(tmp_path, made["files"]["server_1"]["scen2_srv_01.ini"]["text"]),
        as_muster_exec_starts_it(tmp_path, made["files"]["server_2"]["scen2_srv_01.run"]["text"]),
    ):
        arguments, environment = read
        assert arguments[-2:] == [one, "end"]
        assert environment["TWO"] == two
        assert environment["SECRET"] == "S3CRET"


@pytest.mark.parametrize("value", ["x\x03/bin/touch\x03/tmp/pwned", "x\x02y", "\x1b]0;x\x07", "\ud800", "\0"])
def test_a_control_character_in_an_item_is_refused_with_its_place(value: str) -> None:
    with pytest.raises(compiler.SiteErrors) as refused:
        compiler.compile_site(with_values(one=[{"deep": value}]))
    assert "muster_items[0].one[0].deep" in str(refused.value)
    assert "pwned" not in str(refused.value)


def test_a_value_that_only_a_template_makes_never_becomes_a_command(render: Renderer) -> None:
    raw = with_values(one="x")
    program = raw["muster_applications"]["scen2_srv"]["programs"][first_program()]
    program["command"] = ["/bin/echo", "{{ 'a' ~ ('%c' | format(3)) ~ '/bin/touch' }}"]
    made = render(compiler.compile_site(raw))
    assert "argument 2 of %s holds the control character '\\x03'" % first_program() in made["refused"]
    assert "touch" not in made["refused"]


def test_a_block_that_ends_in_another_string_is_refused(render: Renderer) -> None:
    raw = with_values()
    program = raw["muster_applications"]["scen2_srv"]["programs"][first_program()]
    program["command"] = ["/bin/echo", "{% if slot == 1 %}a", "b{% endif %}"]
    assert "must end in the string in which it begins" in render(compiler.compile_site(raw))["refused"]


@pytest.mark.parametrize("value", ["9" * 4300, "9" * 5000, "x" * 100_000])
def test_long_texts_arrive(render: Renderer, tmp_path: Path, value: str) -> None:
    made = render(compiler.compile_site(with_values(one=value)))
    arguments, _environment = as_supervisord_reads_it(tmp_path, made["files"]["server_1"]["scen2_srv_01.ini"]["text"])
    assert arguments[-2] == value


@pytest.mark.parametrize("changes", [
    {"one": 10**5000}, {"slot": "9" * 5000}, {"slot": 10**5000},
])  # fmt: skip
def test_numbers_of_thousands_of_digits_are_refused_with_a_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(compiler.SiteErrors) as refused:
        compiler.compile_site(with_values(**changes))
    assert "muster_items[0]" in str(refused.value)


def good() -> dict[str, Any]:
    return {
        "host": "server_2", "answer": "seen", "prepared": True, "site_id": "s", "controller": "c", "incarnation": "1",
        "service_manager": "running", "config": "d", "drift": [], "foreign": [], "load": {"memory": 3.5},
        "services": {"bus": {"pid": 3}},
        "instances": {"a_01": {"epoch": 3, "epochs": [3], "claim": None, "programs": {"p": {"pid": 4}}, "failed": {}}},
    }  # fmt: skip


def test_a_good_answer_stays_as_it_is() -> None:
    assert answers.checked("observe", good()) == good()
    assert Observation.from_json(good()).instances["a_01"].epochs == (3,)


@pytest.mark.parametrize(("place", "value", "words"), [
    (("instances", "a_01", "epochs"), ["x"], "instances.a_01.epochs is a text, must be a whole number"),
    (("instances", "a_01", "epochs"), "x", "instances.a_01.epochs is a text, must be a list"),
    (("instances", "a_01", "last_epoch"), 10**4000, "instances.a_01.last_epoch is no epoch"),
    (("instances", "a_01", "claim"), "3", "instances.a_01.claim is a text"),
    (("instances", "a_01", "cpu"), float("nan"), "instances.a_01.cpu is a number beyond all limits"),
    (("instances", "a_01", "failed"), ["p"], "instances.a_01.failed is a list, must be a mapping"),
    (("instances", "a_01"), 7, "instances.a_01 is a number, must be a mapping"),
    (("instances", "\x1b[31m"), {}, "instances holds a name that is none"),
    (("instances",), [], "instances is a list"),
    (("load", "memory"), float("inf"), "load.memory is a number beyond all limits"),
    (("service_manager",), ["running"], "service_manager is not one of running, stopped, absent"),
    (("answer",), "operational", "answer is not one of seen"),
    (("answer",), None, "answer is nothing"),
    (("host",), "server_1", "host is another than was asked"),
    (("prepared",), "yes", "prepared is a text, must be true or false"),
    (("drift",), {"a": 1}, "drift is a mapping, must be a list"),
])  # fmt: skip
def test_an_answer_that_does_not_fit_is_nonsense_with_its_place(place: tuple[str, ...], value: Any, words: str) -> None:
    answer = good()
    inner: Any = answer
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(answers.Nonsense, match="answers nonsense: ") as refused:
        answers.checked("observe", answer, "server_2")
    assert words in str(refused.value)
    observed({"server_2": answer}, "server_2")  # whatever it is, it ends no run


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*good(), "else"]), JSON, st.sampled_from(["", *good()["instances"]["a_01"], "last_epoch"]))
def test_any_answer_is_read_or_makes_one_host_silent(field: str, value: Any, of_instance: str) -> None:
    answer = good()
    if of_instance:
        answer["instances"]["a_01"][of_instance] = value
    else:
        answer[field] = value
    view = observed({"server_2": answer}, "server_2")
    assert view.seen or view.why.isprintable()
    try:
        clean = answers.checked("observe", answer, "server_2")
    except answers.Nonsense as error:
        assert str(error).isprintable()
        return
    json.dumps(clean, allow_nan=False).encode()
    Observation.from_json(clean)
    assert observed({"server_2": clean}, "server_2").seen


def test_the_outcome_of_an_act_is_printable_and_bounded() -> None:
    words = "\x1b]0;PWNED\x07\x1b[31mEVIL\u202e" + "x" * 5000
    answer = {"results": {"a_01": {"result": "failed", "reason": words, "failed": {"p": words}, "epoch": 3}}}
    clean = answers.checked("act", answer)["results"]["a_01"]
    for shown in (clean["reason"], clean["failed"]["p"]):
        assert shown.startswith("?]0;PWNED??[31mEVIL?x") and len(shown) == text.LONGEST and shown.isprintable()
    with pytest.raises(answers.Nonsense, match=r"results\.a_01\.result is not one of"):
        answers.checked("act", {"results": {"a_01": {"result": {}}}})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_no_text_gives_the_terminal_an_order(words: str) -> None:
    stream: IO[str] = Terminal()
    print("\x1b]52;c;x\x07" + words + "\x1b[2J", file=terminal.Shown(stream))  # type: ignore[arg-type]
    shown = stream.getvalue()  # type: ignore[attr-defined]
    assert "\x1b]" not in shown and "\x1b[2J" not in shown
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t\x1b"]


def test_muster_itself_colours_and_clears() -> None:
    stream = Terminal()
    shown: Any = terminal.Shown(stream)
    print(terminal.CLEAR, end="", file=shown)
    print("\x1b[32mup\x1b[0m", file=shown)
    assert stream.getvalue() == terminal.CLEAR + "\x1b[32mup\x1b[0m\n"
    assert shown.isatty()


def test_the_command_line_prints_through_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["why", "--timeout", "\x1b]0;x\x07"])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
