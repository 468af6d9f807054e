# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process probe, which finds real processes by their environment, and the exec probe, which runs real plug-ins."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.judge.health import Kind
from monitor.judge.target import Whose
from tests.integration.probes.probing import Seen, probing, run
from tests.integration.probes.real_buses import ADDRESS, WAIT, until

SITE = "probes-%d" % os.getpid()


def whose(**facts: Any) -> Whose:
    known = {"site_id": SITE, "host": "server_1", "instance": "plant_01", "epoch": 4, "program": "bus",
             "item": "01", "root": "/", "connection": "local"}  # fmt: skip
    return Whose(**{**known, **facts})


class Program:
    """A process that says whose it is in its environment."""

    def __init__(self, **marks: Any) -> None:
        facts = {"SITE": SITE, "HOST": "server_1", "INSTANCE": "plant_01", "PROGRAM": "bus", "EPOCH": 4, **marks}
        environment = {"MUSTER_" + name: str(value) for name, value in facts.items()}
        self.process = subprocess.Popen(["/bin/sleep", "600"], env=environment)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.end()


class TestProcess:
    def test_a_living_process_answers_and_its_end_is_seen_at_once(self, programs: list[Program]) -> None:
        async def scenario(seen: Seen) -> None:
            programs.append(Program())
            with probing(0, seen, "process", interval=60.0, timeout=1.0, whose=whose()) as asking:
                await until(lambda: seen.count(Kind.ANSWERED), "the first answer")
                asking.nudge()
                await until(lambda: seen.count(Kind.ANSWERED) == 2, "the second one")
                programs[0].process.kill()  # its parent has not collected it yet, which makes no difference
                await until(lambda: seen.count(Kind.GONE), "the end, long before the next turn")

        seen = run(scenario)
        pid = programs[0].process.pid
        why = "bus of plant_01 on server_1 (process %d) ended, and no other process of it runs" % pid
        assert seen.first(Kind.GONE).why == why

    def test_another_process_of_the_same_program_will_do(self, programs: list[Program]) -> None:
        async def scenario(seen: Seen) -> None:
            programs.extend([Program(), Program()])
            with probing(0, seen, "process", whose=whose()):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")
                for program in programs:
                    answers = seen.count(Kind.ANSWERED)
                    program.end()
                    await until(lambda n=answers: seen.count(Kind.ANSWERED) > n or seen.count(Kind.GONE), "either")

        seen = run(scenario)
        assert seen.count(Kind.GONE) == 1 and seen.results[-1].kind in (Kind.GONE, Kind.REFUSED)

    @pytest.mark.parametrize("mark", [{"EPOCH": 3}, {"PROGRAM": "other"}, {"SITE": "other"}, {"HOST": "server_2"},
                                      {"INSTANCE": "plant_02"}])  # fmt: skip
    def test_processes_of_another_epoch_program_instance_host_or_site_do_not_count(
        self, programs: list[Program], mark: dict[str, Any]
    ) -> None:
        async def scenario(seen: Seen) -> None:
            programs.append(Program(**mark))
            with probing(0, seen, "process", whose=whose()):
                await until(lambda: seen.count(Kind.REFUSED) >= 2, "twice nothing")
                programs.append(Program())
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")

        assert run(scenario).results[0].why == "no process of bus of plant_01 on server_1 runs"

    def test_a_process_stopped_by_a_signal_is_missed(self, programs: list[Program]) -> None:
        async def scenario(seen: Seen) -> None:
            programs.append(Program())
            with probing(0, seen, "process", whose=whose()):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")
                programs[0].process.send_signal(signal.SIGSTOP)
                await until(lambda: seen.count(Kind.MISSED) >= 2, "misses")
                programs[0].process.send_signal(signal.SIGCONT)
                answers = seen.count(Kind.ANSWERED)
                await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer again")

        assert run(scenario).first(Kind.MISSED).why.endswith("is stopped by a signal")

    def test_a_host_that_is_another_machine_leaves_it_unsure(self, programs: list[Program]) -> None:
        async def scenario(seen: Seen) -> None:
            programs.append(Program())
            with probing(0, seen, "process", whose=whose(connection="ssh")):
                await until(lambda: seen.count(Kind.UNSURE) >= 2, "unsure")
            with probing(0, seen, "process", whose=whose(connection=""), address="192.0.2.7"):
                before = seen.count(Kind.UNSURE)
                await until(lambda: seen.count(Kind.UNSURE) > before, "unsure")

        seen = run(scenario)
        assert {result.kind for result in seen.results} == {Kind.UNSURE}
        assert "server_1 is another machine: give its bus a probe that asks over the network" in seen.results[0].why


def plug_in(folder: Path, text: str) -> str:
    path = folder / "check"
    path.write_text("#!%s -S\n%s" % (sys.executable, text), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


class TestExec:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [(0, Kind.ANSWERED), (1, Kind.ANSWERED), (2, Kind.MISSED), (3, Kind.UNSURE), (77, Kind.UNSURE)],
    )
    def test_the_exit_code_is_the_verdict_and_the_first_line_the_reason(
        self, tmp_path: Path, code: int, kind: Kind
    ) -> None:
        text = "import sys; print('\\nPLANT is so | load=3;4\\nmore'); sys.exit(%d)" % code

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=5.0, whose=whose(), command=(plug_in(tmp_path, text),)):
                await until(lambda: len(seen.results) >= 2, "two results")

        result = run(scenario).results[0]
        assert result.kind is kind
        assert (result.why, result.warning) == {
            0: ("", ""), 1: ("", "PLANT is so")
        }.get(code, ("PLANT is so", ""))  # fmt: skip

    def test_it_gets_the_endpoint_and_nothing_of_the_monitors_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("API_TOKEN", "open sesame")
        text = "import os, sys; print(sys.argv[1:], sorted(os.environ)); sys.exit(2)"
        words = ("{address}:{port}", "{host}", "{instance}", "{item}", "$(id)")

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=5.0, whose=whose(), command=(plug_in(tmp_path, text), *words)):
                await until(lambda: seen.results, "a result")

        why = run(scenario).results[0].why
        assert why.startswith(repr([ADDRESS + ":7", "server_1", "plant_01", "01", "$(id)"]))
        assert "API_TOKEN" not in why and "MUSTER_INSTANCE" not in why

    def test_past_its_deadline_it_is_killed_with_all_it_started(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        text = (
            "import os, subprocess, time\n"
            "child = subprocess.Popen(['/bin/sleep', '600'])\n"
            "open(%r, 'a').write('%%d %%d ' %% (os.getpid(), child.pid))\n"
            "time.sleep(600)" % str(pids)
        )

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=2.0, whose=whose(), command=(plug_in(tmp_path, text),)):
                await until(lambda: seen.count(Kind.MISSED), "the deadline")

        assert run(scenario).results[0].why.endswith("check did not end within 2 s")
        _all_gone([int(pid) for pid in pids.read_text().split()])

    def test_it_ends_with_its_probe(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        text = "import os, time; open(%r, 'a').write('%%d ' %% os.getpid()); time.sleep(600)" % str(pids)

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=60.0, whose=whose(), command=(plug_in(tmp_path, text),)):
                await until(pids.exists, "the plug-in")
                await until(lambda: pids.read_text(), "its pid")
            await asyncio.sleep(0.05)
            assert seen.results == []

        run(scenario)
        _all_gone([int(pid) for pid in pids.read_text().split()])

    def test_much_output_and_a_child_that_keeps_the_pipe_hold_nothing_up(self, tmp_path: Path) -> None:
        text = (
            "import subprocess, sys\n"
            "subprocess.Popen(['/bin/sleep', '600'])\n"
            "sys.stdout.write('first\\n' + 'x' * 1000000); sys.stdout.flush(); sys.exit(2)"
        )

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=10.0, whose=whose(), command=(plug_in(tmp_path, text),)):
                await until(lambda: seen.results, "a result")

        assert run(scenario).results[0].why == "first"

    @pytest.mark.parametrize("command", ["/nowhere/check", "/etc/passwd"])
    def test_a_program_that_cannot_be_started_leaves_it_unsure(self, command: str) -> None:
        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", whose=whose(), command=(command,)):
                await until(lambda: seen.results, "a result")

        result = run(scenario).results[0]
        assert result.kind is Kind.UNSURE and result.why.startswith("%s cannot be started: " % command)

    def test_one_that_dies_of_a_signal_leaves_it_unsure(self, tmp_path: Path) -> None:
        text = "import os; os.kill(os.getpid(), 11)"

        async def scenario(seen: Seen) -> None:
            with probing(7, seen, "exec", timeout=5.0, whose=whose(), command=(plug_in(tmp_path, text),)):
                await until(lambda: seen.results, "a result")

        result = run(scenario).results[0]
        assert result.kind is Kind.UNSURE and "was ended by signal 11" in result.why


def _all_gone(pids: list[int]) -> None:
    assert pids
    end = time.monotonic() + WAIT
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < end, "still there: %s" % alive
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
