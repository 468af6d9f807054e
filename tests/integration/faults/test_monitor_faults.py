# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of a real site when it, its runs or what it watches fail, and when people act beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.integration.local_site import ROOT, SiteLab, facts, site_lab, wait_for
from tests.integration.process_table import alive

INSTANCES = ("scen2_srv_01", "scen2_srv_02", "scen2_srv_03")


@pytest.fixture(scope="module")
def site() -> Iterator[SiteLab]:
    with site_lab(41, consoles=["console_1"]) as deployed:
        deployed.start_monitor()
        yield deployed


@pytest.fixture
def lab(site: SiteLab) -> SiteLab:
    """The site with everything running and a run parked, whatever the test before did."""
    settled(site)
    wait_for(lambda: facts(site).get("standby") == "parked", "a parked run", site.monitor_log)
    return site


def monitor(lab: SiteLab) -> int:
    pid = int(facts(lab)["pid"])
    assert alive(pid)
    return pid


def epochs(lab: SiteLab) -> dict[str, int]:
    return {name: claim["epoch"] for name, claim in lab.claims().items()}


def settled(lab: SiteLab, after: dict[str, int] | None = None) -> None:
    """Wait until every service instance runs in full, of a later epoch than given."""
    for name in INSTANCES:
        wait_for(lambda: lab.whole(name, (after or {}).get(name, 0)), "%s runs in full" % name, lab.monitor_log, 90)  # noqa: B023


def runs(lab: SiteLab) -> list[int]:
    """Processes of parked and working standby runs."""
    mark = str(lab.state / "run" / "standby").encode()
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError), open("/proc/%d/cmdline" % int(name), "rb") as handle:
            if mark in handle.read() and alive(int(name)):
                found.append(int(name))
    return found


def test_a_monitor_killed_in_the_middle_of_a_restart_loses_nothing(lab: SiteLab) -> None:
    before, pid = epochs(lab), monitor(lab)
    os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
    wait_for(lambda: lab.claims()["scen2_srv_02"]["epoch"] > before["scen2_srv_02"], "the restart's commit")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: facts(lab)["pid"] != pid, "the next monitor", lab.monitor_log)
    wait_for(lambda: lab.whole("scen2_srv_02", before["scen2_srv_02"]), "all of it again", lab.monitor_log, 150)
    assert epochs(lab)["scen2_srv_01"] == before["scen2_srv_01"]


def requests(lab: SiteLab) -> int:
    """How many requests are written down and not planned yet."""
    with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % (lab.state / "ledger.db"), uri=True)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM record WHERE kind = 'requests'").fetchone()[0])


def runs_of(lab: SiteLab, verb: str) -> list[int]:
    """Processes of the runs of a playbook for this site."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError), open("/proc/%d/cmdline" % int(name), "rb") as handle:
            line = handle.read()
            mine = str(lab.folder).encode() in line
            if mine and any(mark % verb.encode() in line for mark in (b"/%s-", b"muster.%s")):
                found.append(int(name))
    return found


def test_a_request_of_a_person_outlives_the_monitor_and_its_run(lab: SiteLab) -> None:
    pid = monitor(lab)
    command = [str(ROOT / "bin" / "muster"), "drain", "server_3", "--reason", "a test"]
    asking = subprocess.Popen(
        command, cwd=ROOT, env=lab.environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        wait_for(lambda: requests(lab), "the request in the ledger", lab.monitor_log)
        os.kill(pid, signal.SIGKILL)
        for one in runs_of(lab, "drain"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        asking.wait(timeout=60)
        wait_for(lambda: facts(lab)["pid"] != pid, "the next monitor", lab.monitor_log)
        watch = lab.state / "watch.json"
        state = lambda: json.loads(watch.read_text())["hosts"]["server_3"]["state"]  # noqa: E731
        wait_for(lambda: state() == "drained", "server_3 is drained", lab.monitor_log, 150)
        wait_for(lambda: not requests(lab), "no request left", lab.monitor_log)
    finally:
        asking.kill()
        asking.wait()
        lab.good("undrain", host="server_3")


@pytest.mark.long
def test_a_bus_that_died_while_no_monitor_was_there_is_found_by_the_next(lab: SiteLab) -> None:
    before = epochs(lab)
    lab.stop_monitor()
    assert runs(lab) == []
    os.kill(lab.bus("scen2_srv_03"), signal.SIGKILL)
    lab.good("monitor")
    # Its host may have restarted it meanwhile, which the first regular look takes into the ledger.
    wait_for(lambda: lab.whole("scen2_srv_03", before["scen2_srv_03"]), "all of it again", lab.monitor_log, 150)
    assert epochs(lab)["scen2_srv_01"] == before["scen2_srv_01"]


@pytest.mark.long
def test_intents_survive_the_run_that_had_them(lab: SiteLab) -> None:
    before = epochs(lab)
    for pid in runs(lab):
        os.kill(pid, signal.SIGSTOP)  # it takes the intents and does nothing with them
    stuck = runs(lab)
    os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
    wait_for(lambda: '"event": "intent"' in lab.monitor_log(), "the intent")
    wait_for(lambda: any(i["run"] for i in facts(lab)["intents"]), "a run that has it", lab.monitor_log)
    for pid in stuck:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: lab.whole("scen2_srv_01", before["scen2_srv_01"]), "all of it again", lab.monitor_log)


@contextlib.contextmanager
def none_parks(lab: SiteLab) -> Iterator[None]:
    """Kill every run that parks or is about to park, again and again."""
    ending = threading.Event()

    def kill() -> None:
        while not ending.wait(0.05):
            for pid in runs(lab):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@pytest.mark.long
def test_while_no_run_can_park_cold_ones_do_what_has_to_be_done(lab: SiteLab) -> None:
    before, cold = epochs(lab), lab.monitor_log().count('"event": "cold run"')
    with none_parks(lab):
        wait_for(lambda: facts(lab)["standby"] != "parked", "no parked run", lab.monitor_log)
        os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
        wait_for(lambda: lab.whole("scen2_srv_01", before["scen2_srv_01"]), "all of it again", lab.monitor_log, 90)
        assert lab.monitor_log().count('"event": "cold run"') == cold + 1
        restarted = lab.muster("restart", "scen2_srv_02", "--reason", "a test")
        assert restarted.rc == 0, restarted.output
        assert lab.whole("scen2_srv_02", before["scen2_srv_02"])
        assert lab.monitor_log().count('"event": "cold run"') == cold + 2
    assert epochs(lab)["scen2_srv_03"] == before["scen2_srv_03"]
    lab.stop_monitor()  # the next run to be parked would be tried only after a minute
    lab.start_monitor()


def test_a_stop_by_a_person_is_no_crash(lab: SiteLab) -> None:
    said = lab.monitor_log().count('"event": "intent"')
    stopped = lab.muster("stop", "scen2_srv_02", "--reason", "a test")
    assert stopped.rc == 0, stopped.output
    assert lab.processes("scen2_srv_02") == []
    lab.good("reconcile")
    assert lab.processes("scen2_srv_02") == []
    assert lab.monitor_log().count('"event": "intent"') == said
    assert "a test" in lab.muster("why", "scen2_srv_02").output
    started = lab.muster("start", "scen2_srv_02")
    assert started.rc == 0, started.output
    assert lab.whole("scen2_srv_02")


@pytest.mark.long
def test_a_restart_by_a_person_is_no_crash(lab: SiteLab) -> None:
    said, before = lab.monitor_log().count('"event": "intent"'), epochs(lab)
    restarted = lab.muster("restart", "scen2_srv_*")
    assert restarted.rc == 0, restarted.output
    settled(lab, before)
    assert lab.monitor_log().count('"event": "intent"') == said


def test_a_half_written_watch_list_changes_nothing(lab: SiteLab) -> None:
    before, path = epochs(lab), lab.state / "watch.json"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    try:
        wait_for(lambda: "damaged or half-written" in lab.monitor_log(), "the complaint", lab.monitor_log)
    finally:
        fresh = path.with_name("watch.json.test")
        fresh.write_text(text)
        os.replace(fresh, path)
    assert epochs(lab) == before


def test_only_one_monitor_watches_a_site(lab: SiteLab) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "monitor", "--state-dir", str(lab.state), "-i", str(lab.inventory)],
        cwd=ROOT, env=lab.environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "a monitor with pid %d already watches" % monitor(lab) in second.stderr


def test_the_status_shows_the_monitor_and_what_it_sees(lab: SiteLab) -> None:
    seen = facts(lab)
    assert {bus["state"] for bus in seen["buses"].values()} == {"healthy"}
    assert seen["revision"] == json.loads((lab.state / "watch.json").read_text())["revision"]
    assert "monitor: running" in lab.muster("status").output
    assert lab.status()["monitor"]["state"] == "running"


@pytest.mark.long
def test_a_monitor_that_is_told_to_stop_leaves_no_process(lab: SiteLab) -> None:
    pid = monitor(lab)
    lab.stop_monitor()
    wait_for(lambda: not alive(pid), "its end")
    assert runs(lab) == []
    assert facts(lab)["state"] == "stopped"
    assert "monitor: not running" in lab.muster("status").output
    lab.good("monitor")
