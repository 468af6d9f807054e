# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single programs by hand on a real site: more arguments for one start, a command beside one, a start after its end."""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api_client import Client, fits
from tests.integration.local_site import ROOT, SERVICE_PROGRAMS, SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long

CURL = shutil.which("curl")
SERVICE, ONE = "scen2_srv_01", "scen2_srv_01/data_processing"
SECRET = "correct horse"


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    written = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    applications = copy.deepcopy(written["muster_applications"])
    applications["scen2_srv"]["programs"]["data_processing"]["running_failure_strategy"] = "restart_process"
    site = {"muster_items": ["01"], "muster_applications": applications,
            "muster_settings": {"stable_after": 1, "observe_interval": 3600}}  # fmt: skip
    with site_lab(98, consoles=["console_1"], **site) as deployed:
        deployed.start_monitor()
        wait_for(lambda: '"it listens"' in deployed.monitor_log(), "the API", deployed.monitor_log)
        wait_for(lambda: set(deployed.programs(SERVICE)) == SERVICE_PROGRAMS, "all programs", deployed.monitor_log)
        yield deployed


def api(lab: SiteLab) -> Client:
    return Client(lab.state / "run" / "api.sock")


def shows(lab: SiteLab) -> tuple[list[str], dict[str, str]]:
    """(arguments, environment) of the program, from the kernel."""
    pid = lab.program(SERVICE, "data_processing")
    words = Path("/proc/%d/cmdline" % pid).read_bytes().split(b"\0")[:-1]
    pairs = [entry.decode().partition("=") for entry in Path("/proc/%d/environ" % pid).read_bytes().split(b"\0")]
    return [word.decode() for word in words], {name: value for name, _sign, value in pairs}


def texts(lab: SiteLab) -> str:
    """All that people are shown: status, trail, log."""
    return json.dumps([lab.status(), lab.muster("events", "-n", "500").output, lab.monitor_log()])


def test_more_arguments_last_until_the_next_stop(lab: SiteLab) -> None:
    before, others = shows(lab)[0], lab.programs(SERVICE)
    said = lab.muster("restart", ONE, "--arg=--odd", "--arg", "a b;$(x)", "--env", "TOKEN", "--reason", "a look",
                      TOKEN=SECRET)  # fmt: skip
    assert said.rc == 0, said.output
    words, environment = shows(lab)
    assert (words, environment["TOKEN"]) == ([*before, "--odd", "a b;$(x)"], SECRET)
    assert {n: p for n, p in lab.programs(SERVICE).items() if n != "data_processing"} == {
        n: p for n, p in others.items() if n != "data_processing"}  # fmt: skip
    for command in (("why", SERVICE), ("ps", SERVICE)):
        shown = lab.muster(*command).output
        assert "2 more arguments and TOKEN, by" in shown and "a look" in shown, shown
    assert SECRET not in texts(lab) and "a b;$(x)" not in texts(lab)
    crashed = lab.program(SERVICE, "data_processing")
    os.kill(crashed, signal.SIGKILL)
    wait_for(lambda: lab.programs(SERVICE).get("data_processing", crashed) != crashed, "it runs again", lab.monitor_log)
    assert shows(lab)[0][-2:] == ["--odd", "a b;$(x)"], "nobody stopped it"
    wait_for(lambda: lab.claims()[SERVICE]["actor"] is None, "the run is over", lab.monitor_log)
    assert lab.muster("restart", ONE).rc == 0
    assert shows(lab)[0] == before and "TOKEN" not in shows(lab)[1]
    assert not (lab.status()["instances"][SERVICE].get("given"))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (("restart", SERVICE, "--arg", "x"), "is for single programs"),
        (("restart", ONE, "--env", "MUSTER_ITEM=7"), "reserved"),
        (("restart", ONE, "--env", "NOT_THERE"), "names no variable of this command's environment"),
        (("restart", "scen2_srv_01/check_internal_data_bus", "--arg", "x"), "is a gate"),
        (("restart", "common_data_bus/common_data_bus", "--arg", "x"), "there is no instance"),
        (("restart", ONE, "--arg", "x", "--save", "plan.json"), "is not saved"),
    ],
)
def test_where_it_makes_no_sense_a_sentence_says_so(lab: SiteLab, request_: tuple[str, ...], words: str) -> None:
    before = lab.programs(SERVICE)
    said = lab.muster(*request_)
    assert said.rc != 0 and words in said.output, said.output
    assert lab.programs(SERVICE) == before


def test_a_start_right_after_the_end_starts_it(lab: SiteLab) -> None:
    """The monitor plans over what the host said last, which is an hour old."""
    assert lab.muster("pause", "01", "--reason", "a test").rc == 0
    try:
        for _again in range(3):
            ended = lab.program(SERVICE, "sensor_acquisition")
            os.kill(ended, signal.SIGKILL)
            said = lab.muster("start", SERVICE + "/sensor_acquisition")
            assert said.rc == 0, said.output
            assert lab.programs(SERVICE).get("sensor_acquisition", ended) != ended, said.output
    finally:
        assert lab.muster("resume", "01").rc == 0
    again = lab.muster("start", SERVICE + "/sensor_acquisition")
    assert again.rc == 0 and "already runs" in again.output, again.output


def trail(lab: SiteLab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api(lab).get("/events?limit=20").json["events"]
    return found


def test_a_command_beside_a_program(lab: SiteLab) -> None:
    said = lab.muster("exec", ONE, "--reason", "a look", "--", "sh", "-c", "echo $MUSTER_PROGRAM; exit 7")
    assert (said.rc, said.output) == (7, "data_processing\n")
    begun, over = trail(lab)[-2:]
    assert begun["what"] == "sh with 2 arguments beside data_processing of %s on %s" % (
        SERVICE, lab.claims()[SERVICE]["host"])  # fmt: skip
    assert (begun["why"], begun["result"], over["result"]) == ("a look", "begun", "exited with 7")
    assert begun["who"] and begun["instance"] == SERVICE
    assert "MUSTER_PROGRAM" not in texts(lab), "arguments may be secrets"
    late = lab.muster("exec", "--within", "1", ONE, "--", "sleep", "60")
    assert late.rc == 124 and "did not end within 1 s" in late.output
    for name, words in (
        ("scen2_srv_01/check_internal_data_bus", "is a gate"), ("scen2_srv_01/data_procesing", "did you mean"),
        ("scen2_hci_01/sensor_view", "does not run"), ("01", "say beside which program"),
    ):  # fmt: skip
        refused = lab.muster("exec", name, "--", "true")
        assert refused.rc == 125 and words in refused.output, refused.output


def test_a_command_by_the_api(lab: SiteLab) -> None:
    answer = api(lab).post("/exec", {"program": ONE, "command": ["head", "-c", "300000", "/dev/zero"]})
    assert answer.status == 200, answer.json
    fits(answer, "execute")
    assert len(base64.b64decode(answer.json["out"])) + answer.json["left_out"][0] == 300000
    wrong = api(lab).post("/exec", {"program": ONE, "command": [], "with": 1})
    assert wrong.status == 422 and {error["field"] for error in wrong.json["errors"]} == {"command", "with"}


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_an_independent_client_gets_figures_at_its_interval(lab: SiteLab) -> None:
    place = str(lab.state / "run" / "api.sock")
    address = "http://muster/api/v1/events/stream?figures=2s"
    with subprocess.Popen([str(CURL), "-sSN", "--max-time", "60", "--unix-socket", place, address],
                          stdout=subprocess.PIPE, text=True) as client:  # fmt: skip
        assert client.stdout is not None
        found: list[dict[str, Any]] = []
        event = ""
        for line in client.stdout:
            if line.startswith("event: "):
                event = line[7:].strip()
            elif line.startswith("data: ") and event == "figures":
                found.append(json.loads(line[6:]))
            if len(found) == 3:
                break
        client.terminate()
    moments = [document["at"] for document in found]
    assert len(moments) == 3 and moments == sorted(set(moments))
    last = {program["program"]: program for program in found[-1]["programs"] if program["instance"] == SERVICE}
    assert set(last) == set(SERVICE_PROGRAMS)
    assert {name: one["pid"] for name, one in last.items()} == lab.programs(SERVICE)
    assert all(one["memory"] > 0 and one["cpu"] is not None for one in last.values())
    wrong = api(lab).get("/events/stream?figures=1s")
    assert wrong.status == 422 and "must be from 2 s to 1 h" in wrong.json["error"]


def test_without_a_monitor_a_run_does_it_and_no_socket_is_left(lab: SiteLab) -> None:
    lab.stop_monitor()
    try:
        wait_for(lambda: not (lab.state / "run" / "api.sock").exists(), "the sockets gone", lab.monitor_log)
        assert not (lab.root("console_1") / "run" / "api.sock").exists()
        assert "monitor: not running" in lab.muster("status").output
        assert lab.muster("restart", SERVICE).rc == 0
        told = lab.muster("signal", ONE, "cont")  # by the playbook of that name
        assert told.rc == 0 and "data_processing" in told.output, told.output
        said = lab.muster("exec", ONE, "--", "sh", "-c", "echo $MUSTER_PROGRAM; echo no >&2; exit 7")
        assert said.rc == 7 and "data_processing\n" in said.output and "no\n" in said.output, said.output
        refused = lab.muster("exec", "scen2_hci_01/sensor_view", "--", "true")
        assert refused.rc == 125 and "does not run" in refused.output
        played = lab.play("exec", program=ONE, command=["false"])
        assert played.rc != 0 and "exited with 1 after" in played.output
        given = lab.muster("restart", ONE, "--env", "TOKEN", TOKEN=SECRET)
        assert given.rc == 0 and shows(lab)[1]["TOKEN"] == SECRET, given.output
        assert SECRET not in given.output
    finally:
        lab.start_monitor()
