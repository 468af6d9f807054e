# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input and accidents on a running site: a clear message, nothing is lost, and the next reconcile repairs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from monitor.core.client.commands import REFUSED
from tests.integration.local_site import BIN, Played, SiteLab, site_lab, wait_for
from tests.integration.process_table import alive

SERVICES = {"internal_data_bus", "sensor_acquisition", "data_processing", "config_manager", "common_bus_interface"}
SLOW = {"id": "02", "faults": {"scen2_srv": {"internal_data_bus": {"start_delay": 2}}}}


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    settings = {"start_timeout": 10, "run_timeout": 20, "stable_after": 1}
    with site_lab(5, consoles=["console_1"], muster_items=["01", SLOW, "03"], muster_settings=settings) as deployed:
        wait_for(lambda: _repaired(deployed), "all of it runs", deployed.processes, within=90)
        yield deployed


@pytest.fixture(autouse=True)
def _everything_runs_once_again(lab: SiteLab) -> Iterator[None]:
    """After every accident: each instance once, as wanted, and a reconcile with nothing to do."""
    yield
    played = wait_for(lambda: _repaired(lab), "repaired by reconcile", lab.processes, within=90)
    assert played.changed == 0 or lab.good("reconcile").changed == 0


def _repaired(lab: SiteLab) -> Played | None:
    """The reconcile after which everything runs."""
    played = lab.play("reconcile")
    return played if played.rc == 0 and _whole(lab) else None


def _whole(lab: SiteLab) -> bool:
    copies = Counter((p.instance, p.program) for p in lab.processes() if p.epoch)
    wanted = {("scen2_srv_%02d" % item, program) for item in (1, 2, 3) for program in SERVICES}
    phases = {lab.claims()["scen2_srv_%02d" % item]["phase"] for item in (1, 2, 3)}
    return set(copies) == wanted and set(copies.values()) == {1} and phases == {"running"}


@pytest.mark.long
def test_all_errors_of_a_site_are_reported_with_their_place_before_anything_is_touched(lab: SiteLab) -> None:
    before = {p.pid for p in lab.processes()}
    published = (lab.state / "site.json").read_text()
    good = lab._site.read_text()
    broken = good.replace("identifiers: servers", "identifiers: servrs").replace(
        "start_sequence: 5", "start_sequnce: 5"
    )
    lab._site.write_text(broken.replace("- '01'", "- '01'\n- '01'\n- a/b\n- '; rm -rf'\n- \"new\\nline\""))
    try:
        played = lab.play("deploy")
    finally:
        lab._site.write_text(good)
    assert played.rc != 0
    for word in ("servrs", "did you mean servers", "start_sequnce", "start_sequence", "a/b", "; rm -rf", "site.yml:"):
        assert word in played.output, played.output
    assert {p.pid for p in lab.processes()} == before
    assert (lab.state / "site.json").read_text() == published


@pytest.mark.long
def test_a_port_taken_by_a_stranger_is_named_with_the_stranger(lab: SiteLab) -> None:
    lab.good("stop", instances=["scen2_srv_01"])
    strangers = []
    try:
        for number in (11, 12, 13):
            stranger = socket.socket()
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("%s.%d" % (lab.net, number), 20004))
            stranger.listen()
            strangers.append(stranger)
        played = lab.play("start", instances=["scen2_srv_01"])
    finally:
        for stranger in strangers:
            stranger.close()
    assert played.rc != 0
    assert "20004" in played.output
    assert str(os.getpid()) in played.output
    lab.good("start", instances=["scen2_srv_01"])


def test_a_run_interrupted_between_stop_and_start_is_finished_by_the_next(lab: SiteLab) -> None:
    old = lab.bus("scen2_srv_02")
    run = lab.begin("restart", instances=["scen2_srv_02"])
    wait_for(lambda: not alive(old), "the stop of the restart")
    os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C on the terminal does
    output = run.communicate(timeout=60)[0]
    assert "scen2_srv_02" in output
    held = lab.play("reconcile")
    assert held.rc == 0, held.output


@pytest.mark.long
def test_a_run_that_sleeps_past_its_time_starts_nothing_twice(lab: SiteLab) -> None:
    run = lab.begin("restart", instances=["scen2_srv_01"])
    epoch = lab.claims()["scen2_srv_01"]["epoch"]
    try:
        wait_for(lambda: lab.claims()["scen2_srv_01"]["epoch"] > epoch, "its plan committed", lab.claims)
        os.killpg(run.pid, signal.SIGSTOP)  # as a laptop that is closed
        deadline = (lab.claims()["scen2_srv_01"]["actor"] or {"deadline": 0})["deadline"]
        wait_for(lambda: time.time() > deadline, "its time is over")
        wait_for(
            lambda: lab.play("reconcile").rc == 0 and lab.claims()["scen2_srv_01"]["phase"] == "running",
            "another run took over", lab.claims,
        )
        taken = lab.programs("scen2_srv_01")
    finally:
        os.killpg(run.pid, signal.SIGCONT)
        run.communicate(timeout=60)
    assert lab.programs("scen2_srv_01") == taken


@pytest.mark.long
def test_a_reconcile_says_who_is_at_work(lab: SiteLab) -> None:
    def at_work() -> str:
        return str((lab.claims()["scen2_srv_02"]["actor"] or {}).get("run") or "")

    for _ in range(5):  # until a restart is held up before it is over
        restart = lab.begin("restart", instances=["scen2_srv_02"])
        try:
            wait_for(at_work, "a run at work", lab.claims)
            os.kill(restart.pid, signal.SIGSTOP)
            run = at_work()
            held = lab.good("reconcile") if run else None
        finally:
            os.kill(restart.pid, signal.SIGCONT)
            restart.communicate(timeout=60)
        if held is not None:
            assert "run %s is" % run in held.output
            return
    pytest.fail("each restart was over before it could be held up")


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_read_only_host_folder_is_reported_and_its_claims_are_released(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_03")
    before = lab.programs("scen2_srv_03")
    others = {p.pid for p in lab.processes() if p.host != home}
    folder = str(lab.root(home) / "etc" / "available")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        lab.set(muster_items=["01", SLOW, {"id": "03", "config": {"alarm_above": 25.0}}])
        told = lab.play("deploy")
        claim = lab.claims()["scen2_srv_03"]
        assert told.rc != 0 and "%s: cannot write %s" % (home, folder) in told.output
        assert claim["host"] == home and claim["actor"] is None, claim
        assert lab.programs("scen2_srv_03") == before
        assert others <= {p.pid for p in lab.processes()}
        assert "refused to restart scen2_srv_03" in lab.muster("why", "scen2_srv_03").output
    finally:
        subprocess.run(["umount", folder], check=True)
    repaired = lab.good("reconcile")
    assert "restart scen2_srv_03 on %s" % home in repaired.output
    assert lab.programs("scen2_srv_03") != before


@pytest.mark.long
def test_a_host_that_cannot_be_prepared_is_reported_with_its_own_reason(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_03")
    marker = lab.root(home) / "etc" / "host.json"
    good = marker.read_text()
    marker.write_text(json.dumps(dict(json.loads(good), site_id="elsewhere-123", site="elsewhere")))
    try:
        told = lab.play("deploy")
    finally:
        marker.write_text(good)
    output = " ".join(told.output.split())
    assert told.rc != 0 and "hold scen2_srv_03 on %s: " % home in output
    assert "--limit" not in output and output.count("elsewhere") > 1, told.output


@pytest.mark.long
def test_a_run_from_an_inventory_that_was_not_deployed_uses_the_deployed_site(lab: SiteLab) -> None:
    """An old or half edited copy of the inventory removes no running instance."""
    before = {p.pid for p in lab.processes()}
    good = lab._site.read_text()
    lab.set(muster_items=["01"])
    try:
        played = lab.good("reconcile")
        assert "deploy to apply it" in played.output.replace("\n", " ")
        assert played.changed == 0 and {p.pid for p in lab.processes()} == before
        restarted = lab.good("restart", instances=["scen2_srv_03"])
        assert "restart scen2_srv_03" in restarted.output
        assert "scen2_srv_02" in lab.claims()
    finally:
        lab._site.write_text(good)


@pytest.mark.long
def test_a_host_that_does_not_answer_is_reported_and_keeps_its_instances(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_03")
    before = {p.pid for p in lab.processes()}
    lab.set_host(home, ansible_connection="ansible.builtin.ssh", ansible_host="127.0.0.1", ansible_port=1)
    try:
        played = lab.good("reconcile")
        stopped = lab.good("stop", instances=["scen2_srv_03"])
        strict = lab.play("reconcile", strict=True)
    finally:
        (lab.inventory / "host_vars" / (home + ".yml")).unlink()
    assert "%s does not answer" % home in played.output
    assert played.changed == 0
    assert "hold scen2_srv_03" in stopped.output
    assert {p.pid for p in lab.processes()} == before
    assert strict.rc != 0
    lab.good("start", instances=["scen2_srv_03"])


def test_a_supervisord_that_dies_takes_its_programs_along_and_reconcile_brings_them_back(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_03")
    os.kill(lab.supervisord(home), signal.SIGKILL)
    wait_for(lambda: not [p for p in lab.processes() if p.host == home], "its programs gone", lab.processes)


def test_a_second_control_machine_with_an_empty_ledger_is_refused(lab: SiteLab) -> None:
    before = {p.pid for p in lab.processes()}
    other = lab.folder / "other"
    refused = lab.play("deploy", state_dir=str(other))
    assert refused.rc != 0
    assert "belongs to" in refused.output
    assert {p.pid for p in lab.processes()} == before
    reconcile = lab.play("reconcile", state_dir=str(lab.folder / "none"))
    assert reconcile.rc != 0
    assert "deploy" in reconcile.output


def test_a_damaged_ledger_is_an_error_with_its_copy_named_and_what_runs_goes_on(lab: SiteLab) -> None:
    before = {p.pid for p in lab.processes()}
    ledger = lab.state / "ledger.db"
    kept = {path: path.read_bytes() for path in lab.state.glob("ledger.db*")}
    for path in kept:
        path.unlink()
    ledger.write_bytes(b"not a database, for sure" * 400)
    os.chmod(ledger, 0o600)
    try:
        played = lab.play("reconcile")
    finally:
        for path in lab.state.glob("ledger.db*"):
            path.unlink()
        for path, content in kept.items():
            path.write_bytes(content)
            path.chmod(0o600)
    assert played.rc != 0
    assert "ledger" in played.output
    assert {p.pid for p in lab.processes()} == before


def test_a_controller_whose_disk_is_lost_adopts_its_site_and_no_process_is_touched(lab: SiteLab) -> None:
    elsewhere = lab.folder / "elsewhere"
    elsewhere.mkdir()
    at = ("--state-dir", str(lab.state), "-i", str(lab.inventory))
    copied = lab.muster("ledger", "backup", str(elsewhere), *at)
    assert copied.rc == 0, copied.output
    refused = lab.muster("adopt", "--backup", str(elsewhere), "--yes", *at)
    assert refused.rc == REFUSED and "nothing is lost" in refused.output, refused.output
    lab.good("restart", instances=["scen2_srv_01"])  # after the backup
    before, epoch = {p.pid for p in lab.processes()}, lab.claims()["scen2_srv_01"]["epoch"]
    shutil.rmtree(lab.state)
    shown = lab.muster("adopt", "--backup", str(elsewhere), "-i", str(lab.inventory))
    assert shown.rc == REFUSED and "needs a person's yes" in shown.output, shown.output
    assert "scen2_srv_01 runs on" in shown.output and "cannot know:" in shown.output, shown.output
    assert not (lab.state / "ledger.db").exists()
    adopted = lab.muster("adopt", "--backup", str(elsewhere), "--yes", "-i", str(lab.inventory))
    assert adopted.rc == 0 and "the ledger is made" in adopted.output, adopted.output
    lab.good("deploy")
    assert lab.claims()["scen2_srv_01"]["epoch"] == epoch
    assert {p.pid for p in lab.processes()} == before


def test_a_removed_watch_list_is_published_again(lab: SiteLab) -> None:
    (lab.state / "watch.json").unlink()
    lab.good("restart", instances=["scen2_srv_03"])
    watch = json.loads((lab.state / "watch.json").read_text())
    assert watch["instances"]["scen2_srv_03"]["phase"] == "running"


@pytest.mark.long
def test_a_host_whose_agent_is_gone_is_answered_by_one_sent_along_and_gets_it_back(lab: SiteLab) -> None:
    library = lab.root("server_1") / "lib"
    (library / next(entry.name for entry in library.iterdir())).rename(lab.folder / "agent")
    assert lab.good("reconcile").changed == 0
    assert [entry for entry in library.iterdir() if entry.is_dir()]


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="hiding the system's Python needs root")
def test_a_host_whose_python_has_another_name_is_answered_by_the_module(lab: SiteLab) -> None:
    """Ansible looks for a Python; the agent's usual one is hidden from this run only."""
    upper, work = lab.folder / "upper", lab.folder / "work"
    upper.mkdir()
    work.mkdir()
    hide = ("mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=%s,workdir=%s /usr/bin && rm /usr/bin/python3"
            ' && exec "$@"' % (upper, work))  # fmt: skip
    command = ["ansible-playbook", "-i", str(lab.inventory), "control_room.muster.status",
               "-e", "ansible_python_interpreter=auto_silent", "-e", "muster_strict=true"]  # fmt: skip
    shown = lab.run(["unshare", "-m", "sh", "-c", hide, "sh", *command], PATH="%s:/usr/bin:/bin" % BIN)
    assert shown.rc == 0, shown.output
    assert shown.output.count("operational") >= 3, shown.output
