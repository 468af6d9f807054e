# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the process of a run still lives, seen in real processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from monitor.core.controller import run_process


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "inf"])
    yield process
    process.kill()
    process.wait()


def test_one_that_lives_is_not_gone(run: subprocess.Popen[bytes]) -> None:
    assert not run_process.is_gone(run_process.text_of(run.pid))


@pytest.mark.parametrize("reaped", [True, False])
def test_one_that_was_killed_is_gone(run: subprocess.Popen[bytes], reaped: bool) -> None:
    text = run_process.text_of(run.pid)
    run.kill()
    os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
    if reaped:
        run.wait()
    assert run_process.is_gone(text)


def test_another_process_with_its_number_is_not_it(run: subprocess.Popen[bytes]) -> None:
    before, _slash, started = run_process.text_of(run.pid).rpartition("/")
    assert run_process.is_gone("%s/%d" % (before, int(started) - 1))


@pytest.mark.parametrize("text", ["", "x", "another-boot.4026531836/1/1", "////", "-1/0/0"])
def test_of_what_is_not_of_this_machine_nothing_is_known(text: str) -> None:
    assert not run_process.is_gone(text)


def test_claims_of_a_run_that_is_gone_got_no_answer(run: subprocess.Popen[bytes]) -> None:
    def claim(process: str) -> dict[str, object]:
        return {"phase": "starting", "actor": {"run": "7", "deadline": 10.0, "process": process}}

    ours = run_process.text_of(os.getpid())
    claims = {"a": claim(run_process.text_of(run.pid)), "b": claim(ours), "c": {"phase": "free", "actor": None}}
    run.kill()
    run.wait()
    found = run_process.without_gone({"claims": claims, "meta": {}})["claims"]
    assert found["a"]["actor"]["lost"] and found["b"] == claims["b"] and found["c"] == claims["c"]
    assert "lost" not in claims["a"]["actor"]  # type: ignore[operator]
