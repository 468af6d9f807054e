# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account whose locale has another encoding than UTF-8: what is written arrives byte by byte all the same.

Sources: Supervisor/supervisor#1531, fail2ban/fail2ban#273, theskumar/python-dotenv#74 (a file of UTF-8 is read in the
encoding of the locale, and one letter keeps everything from starting); gem/oq-engine PR#2397.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions, UnhosedConfigParser

from monitor.core.host.machine import ownership, procs
from monitor.core.host.service.supervisor import orders
from plugins.plugin_utils import _agent_files
from tests.integration.host.host_in_a_folder import Host, answer_of, bundle, only_supervisor, program
from tests.unit.embedded_site import ROOT

WORDS = st.lists(
    st.sampled_from(["à", "…", "Ω", "ą", "\u0085", "\xa0", "日", ";", "#", " ", "b", "%", "'", "=", ","]), max_size=6
).map("".join)
VALUES = ["voilà; b", "à;b", "Å#", "日本;", "Ω"]


@pytest.fixture(scope="module", name="latin")
def latin_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a locale with the encoding ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    name = "en_US.ISO-8859-1"
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / name)], capture_output=True, check=False
    )
    if not made or not (folder / name).exists():
        pytest.skip("no locale can be made here")
    return {"LOCPATH": str(folder), "LC_ALL": name}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORDS, WORDS)
def test_a_supervisord_that_reads_latin_1_takes_the_same_bytes(tmp_path: Path, one: str, two: str) -> None:
    try:
        environment = orders.quote_environment({"TWO": two})
    except ValueError:
        return
    path = tmp_path / "one.ini"
    command = orders.quote_command(["/bin/echo", one, "end"])
    text = "[program:x]\ncommand=%s\nenvironment=%s\nstdout_logfile=NONE\n" % (command, environment)
    path.write_text(text, encoding="utf-8")
    parser = UnhosedConfigParser()
    parser.read([str(path)], encoding="iso8859-1")
    options = ServerOptions()
    parser.expansions = options.environ_expansions
    [config] = options.processes_from_section(parser, "program:x", "x")
    assert [word.encode("iso8859-1") for word in shlex.split(config.command)][1:] == [one.encode(), b"end"]
    assert config.environment["TWO"].encode("iso8859-1") == two.encode()


@only_supervisor
def test_a_host_whose_account_has_another_locale_starts_what_is_written(latin: dict[str, str]) -> None:
    one = Host()

    def by_agent(verb: str, **request: Any) -> dict[str, Any]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", *ownership.UTF8, "-c", _agent_files.CARRIED],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **latin},
        )  # fmt: skip
        assert process.stdin is not None
        asked = {"verb": verb, "host": one.facts, "agent": bundle(), **request}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.close()
        return answer_of(process)

    try:
        one.ask = by_agent  # type: ignore[method-assign]
        assert one.prepare(environment={"LOCPATH": latin["LOCPATH"], "TEXT": "voilà Ω"})["changed"]
        values = {"V%d" % number: value for number, value in enumerate(VALUES)}
        one.define("app_01", [program("idle", 1, environment=values)])
        assert one.do("start", "app_01", 1)["result"] == "running"
        [pid] = one.pids("app_01").values()
        found = procs.read_file("/proc/%d/environ" % pid).split(b"\0")
        wanted = {**values, "TEXT": "voilà Ω", "LC_ALL": latin["LC_ALL"]}
        assert set(found) >= {("%s=%s" % pair).encode() for pair in wanted.items()}
        assert not [entry for entry in found if entry.startswith((b"PYTHONUTF8=", b"MUSTER_UTF8="))]
    finally:
        one.close()


def test_a_terminal_of_another_encoding_gets_what_it_has() -> None:
    script = "from monitor.core.client import terminal\nterminal.guarded(lambda: print('voilà Ω') or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=ROOT, check=True,
        env={**os.environ, "PYTHONIOENCODING": "iso8859-1"},
    )  # fmt: skip
    assert done.stdout == "voilà ?\n".encode("iso8859-1")
