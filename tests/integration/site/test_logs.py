# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster logs` on a real site: by the monitor, followed over a crash, and by a run where there is no monitor.

The site of test_req_programs shows in `make test` that they work at all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api_client import Client, fits
from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(96, consoles=["console_1"]) as deployed:
        deployed.start_monitor()
        wait_for(lambda: '"it listens"' in deployed.monitor_log(), "the API", deployed.monitor_log)
        yield deployed


def bus_log(lab: SiteLab) -> Path:
    return lab.root(lab.claims()["scen2_srv_02"]["host"]) / "log" / "scen2_srv_02" / "internal_data_bus.log"


def add(path: Path, text: bytes) -> None:
    with path.open("ab") as handle:
        handle.write(text)


def test_the_programs_of_an_item_are_shown_with_their_names(lab: SiteLab) -> None:
    add(bus_log(lab), b"\x1b]0;owned\x07 caf\xc3\xa9 \xff\n")
    shown = wait_for(lambda: lab.muster("logs", "02"), "an answer")
    assert shown.rc == 0, shown.output
    assert "internal_data_bus " in shown.output and "| \\x1b]0;owned\\x07 café \\xff" in shown.output
    one = lab.muster("tail", "scen2_srv_02/internal_data_bus", "-n", "1", "--json")
    assert json.loads(one.output)["text"] == "\\x1b]0;owned\\x07 café \\xff"
    assert lab.muster("logs", "scen2_srv_02", "--grep", "OWNED").output == ""
    host = lab.claims()["scen2_srv_02"]["host"]
    assert "start scen2_srv_02" in lab.muster("logs", host + "/muster").output
    assert "spawned" in lab.muster("logs", host + "/supervisord").output
    assert "common_data_bus" in lab.muster("logs", "common_data_bus", "--json").output
    assert "parked" in lab.muster("logs", "monitor").output


def test_what_there_is_no_log_of_is_said(lab: SiteLab) -> None:
    for name, words, code in (
        ("scen2_srv_2", "did you mean", 3), ("02/data_procesing", "did you mean data_processing?", 3),
    ):  # fmt: skip
        said = lab.muster("logs", name)
        assert said.rc == code and words in said.output, said.output
    said = lab.muster("logs", "02", "--since", "yesterday")
    assert said.rc == 2 and "yesterday is not a time" in said.output
    said = lab.muster("logs", "common_data_bus", "--previous")
    assert "keeps no record of its starts" in said.output


def test_a_follower_sees_the_crash_and_the_next_run(lab: SiteLab) -> None:
    command = [str(ROOT / "bin" / "muster"), "logs", "scen2_srv_02", "-f", "-n", "0"]
    shown = lab.folder / "followed"
    with shown.open("wb") as output:
        follower = subprocess.Popen(command, env=lab.environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: add(bus_log(lab), b"are you there\n") or b"are you there" in shown.read_bytes(), "a line")
            epoch = lab.claims()["scen2_srv_02"]["epoch"]
            os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
            wait_for(lambda: lab.whole("scen2_srv_02", epoch), "the item is whole again", lab.monitor_log)
            wait_for(lambda: add(bus_log(lab), b"and now\n") or b"and now" in shown.read_bytes(), "a new line")
        finally:
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 130
    before = lab.muster("logs", "scen2_srv_02/internal_data_bus", "--previous").output
    assert "are you there" in before and "and now" not in before


def test_the_api_answers_as_promised_and_a_stream_goes_on_from_its_id(lab: SiteLab) -> None:
    api = Client(lab.state / "run" / "api.sock")
    answer = api.get("/logs/02?lines=3")
    fits(answer, "logs")
    assert len(answer.json["lines"]) == 3
    assert api.get("/logs/02?lines=3&previos=1").status == 422


def test_of_a_crash_the_last_lines_are_kept_and_linked(lab: SiteLab) -> None:
    add(bus_log(lab), b"the last words of the bus\n")
    epoch = lab.claims()["scen2_srv_02"]["epoch"]
    os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
    wait_for(lambda: lab.whole("scen2_srv_02", epoch), "the item is whole again", lab.monitor_log)
    shown = wait_for(lambda: kept(lab, epoch), "the last words", lab.monitor_log)
    assert "internal_data_bus of scen2_srv_02 on server_" in shown and "SIGKILL" in shown
    assert "internal_data_bus " in shown and "| the last words of the bus" in shown
    why = lab.muster("why", "scen2_srv_02").output
    assert "muster logs scen2_srv_02 --failed" in why and "SIGKILL" in why
    api = Client(lab.state / "run" / "api.sock")
    fits(api.get("/last-words"), "last_words")
    newest = api.get("/last-words?instance=scen2_srv_02&limit=1").json["last_words"][0]
    fits(api.get("/last-words/" + newest["id"]), "last_words_of")
    assert api.get("/last-words/../../x").status == 404


def kept(lab: SiteLab, epoch: int) -> str:
    """What is kept of the last failure, once it is the one under an epoch."""
    output = lab.muster("logs", "scen2_srv_02", "--failed").output
    return output if "epoch %d:" % epoch in output else ""


@pytest.mark.parametrize("name", ["02", "scen2_srv_02/internal_data_bus"])
def test_without_a_monitor_a_run_reads_them(lab: SiteLab, name: str) -> None:
    add(bus_log(lab), b"the last one\n")
    lab.stop_monitor()
    try:
        shown = lab.muster("logs", name, "-n", "5")
        assert shown.rc == 0 and "the last one" in shown.output, shown.output
        followed = lab.muster("logs", name, "-f")
        assert followed.rc == 2 and "only a monitor follows" in followed.output
    finally:
        lab.start_monitor()


def test_one_program_is_stopped_and_stays_so_until_it_is_started(lab: SiteLab) -> None:
    wait_for(lambda: lab.whole("scen2_srv_01"), "it runs", lab.monitor_log)
    before = lab.programs("scen2_srv_01")
    stopped = lab.muster("stop", "scen2_srv_01/data_processing", "--reason", "a test")
    assert stopped.rc == 0 and "data_processing" in stopped.output, stopped.output
    left = {name: pid for name, pid in before.items() if name != "data_processing"}
    assert lab.programs("scen2_srv_01") == left
    assert lab.verdict("01")["verdict"] == "operational"
    assert "data_processing stopped by" in lab.muster("why", "scen2_srv_01").output
    epoch = lab.claims()["scen2_srv_01"]["epoch"]
    os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
    wait_for(lambda: lab.claims()["scen2_srv_01"]["epoch"] > epoch and set(lab.programs("scen2_srv_01")) == set(left),
             "its next start goes without it", lab.monitor_log)  # fmt: skip
    wait_for(lambda: lab.seen()["instances"]["scen2_srv_01"]["phase"] == "running", "it runs", lab.monitor_log)
    shown = lab.muster("ps", "01")
    assert shown.rc == 0 and "scen2_srv_01 on server_" in shown.output and "MiB" in shown.output, shown.output
    wait_for(lambda: "internal_data_bus" in (past := lab.muster("ps", "01", "--since", "1h")).output and
             "MiB" in past.output, "a minute is kept", lab.monitor_log, 90)  # fmt: skip
    assert "internal_data_bus" in lab.muster("top", "01", "--sort", "memory").output.splitlines()[1]
    assert lab.muster("restart", "scen2_srv_01/internal_data_bus").rc == 5
    assert lab.muster("stop", "scen2_srv_01/data_procesing").rc in (3, 5)
    assert lab.muster("start", "scen2_srv_01/data_processing").rc == 0
    assert set(lab.programs("scen2_srv_01")) == set(before)
    pid = lab.program("scen2_srv_01", "data_processing")
    assert lab.muster("restart", "01/data_processing").rc == 0
    assert lab.program("scen2_srv_01", "data_processing") != pid
