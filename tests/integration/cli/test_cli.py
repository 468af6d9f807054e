# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line from outside: arguments, exit codes, and what it shows of a ledger without asking any host."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.by_playbook import failure
from monitor.cli.main import main
from monitor.cli.names import UnknownName, in_full
from monitor.core.client import api
from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import publish
from monitor.core.model import site
from monitor.core.model.request import Request
from monitor.daemon import remember
from tests.small_site import SITE_ID, small_site

ROOT = Path(__file__).resolve().parents[3]
MUSTER = str(ROOT / "bin" / "muster")
SITE = site.site_to_json(small_site())


def muster(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "SUDO_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.update(MUSTER_PYTHON=sys.executable, ANSIBLE_HOME=str(cwd / "ansible"), **environment)
    return subprocess.run([MUSTER, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=90)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder as a run leaves it: item 01 runs, item 02 failed, item 03 was never started."""
    folder = tmp_path / ".muster" / "state"
    folder.mkdir(parents=True, mode=0o700)
    now = time.time()
    claims: dict[str, Any] = {}
    for name, host, phase, reason in (
        ("scen2_srv_01", "server_1", "running", ""),
        ("scen2_srv_02", "server_2", "failed", "data_processing exited 3 on server_2"),
    ):
        claims[name] = {
            "host": host, "epoch": 4, "phase": phase, "target": None, "actor": None, "deferred": [], "failed": {},
            "failures": [], "reason": reason, "since": now, "digest": "", "incarnation": "",
        }  # fmt: skip
    wanted = {"state": "started", "host": None, "by": "eve", "why": "first seen", "at": now}
    trail = [
        {"at": now, "who": "eve", "from": "controller", "what": "start asked", "why": "a test", "result": "accepted",
         "instance": "scen2_srv_01"},
        {"at": now, "who": "monitor", "from": "controller", "what": "restart", "why": "its bus crashed",
         "result": "running", "instance": "scen2_srv_02"},
    ]  # fmt: skip
    with controller_ledger.Ledger(str(folder / "ledger.db")) as ledger:
        ledger.create("scenario_2", SITE_ID)
        _, revision = ledger.read()
        changes = {"claims": claims, "wanted": {"scen2_srv_01": wanted, "scen2_srv_02": wanted}}
        ledger.commit(revision, changes, trail)
        now_state, revision = ledger.read()
    document = site.site_to_json(small_site(str(folder)))
    publish.publish(str(folder), document, now_state, revision, {}, {})
    remember(folder, [str(tmp_path)])
    return folder


@pytest.mark.parametrize("command", [[], ["status"], ["open"], ["why"], ["events"], ["start"], ["drain"], ["check"]])
def test_help_has_examples(command: list[str], tmp_path: Path) -> None:
    helped = muster(*command, "--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert "example" in helped.stdout
    assert "muster " in helped.stdout.split("example")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required"),
        (["dance"], "dance"),
        (["start"], "INSTANCE"),
        (["open"], "ITEM"),
        (["stauts"], "there is no command stauts; did you mean status?"),
        (["stat"], "stat"),
        (["status", "--timeout", "0"], "greater than 0"),
        (["status"], "no inventory given"),
        (["-i", "nowhere", "status"], "there is no inventory nowhere"),
        (["status", "-i", "nowhere"], "there is no inventory nowhere"),
        (["--state-dir", "nowhere", "status"], "there is no state folder"),
        (["why", "scen2_srv_01"], "no inventory given"),
        (["open", "02"], "on which console?"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(arguments: list[str], says: str, tmp_path: Path) -> None:
    used = muster(*arguments, cwd=tmp_path)
    assert used.returncode == 2, used
    assert says in used.stderr
    assert "Traceback" not in used.stderr


def test_an_invalid_site_ends_with_2_and_every_error(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text(
        "all: {children: {muster_controller: {hosts: {controller: {}}}, muster_hosts: {hosts: {server_1: {}}}}}\n"
    )
    (inventory / "group_vars" / "all.yml").write_text(
        "ansible_connection: local\nansible_python_interpreter: '{{ ansible_playbook_python }}'\n"
        "muster_site: test\nmuster_itms: ['01']\nmuster_state_dir: relative\n"
    )
    checked = muster("-i", str(inventory), "check", cwd=tmp_path)
    assert checked.returncode == 2, checked
    assert "muster_itms" in checked.stderr
    assert "muster_items" in checked.stderr
    assert "muster_state_dir" in checked.stderr


def test_a_key_that_is_written_twice_is_an_error_with_both_places(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inventory" / "local", tmp_path / "inventory")
    file = tmp_path / "inventory" / "group_vars" / "all" / "site.yml"
    text = file.read_text()
    file.write_text(text + "\nmuster_site: another\n")
    first = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("muster_site:"))
    again = len(file.read_text().splitlines())
    checked = muster("-i", "inventory", "check", cwd=tmp_path)
    assert checked.returncode == 2, checked
    place = "inventory/group_vars/all/site.yml"
    assert "%s:%d: muster_site: written twice, first at %s:%d" % (place, again, place, first) in checked.stderr


def test_the_shipped_site_is_valid(tmp_path: Path) -> None:
    checked = muster("check", cwd=tmp_path, MUSTER_INVENTORY=str(ROOT / "inventory" / "local"))
    assert checked.returncode == 0, checked
    assert checked.stdout.startswith("the site scenario_2 is valid: 3 items, 6 instances, 6 hosts")


def test_a_command_that_takes_too_long_ends_with_4(tmp_path: Path) -> None:
    late = muster("--timeout", "0.05", "check", "-i", str(ROOT / "inventory" / "local"), cwd=tmp_path)
    assert late.returncode == 4, late
    assert "check did not end within 0.05 s and was stopped" in late.stderr


def test_the_last_status_needs_no_host_and_no_inventory(state: Path, tmp_path: Path) -> None:
    shown = muster("status", "--last", cwd=tmp_path)
    assert shown.returncode == 0, shown
    assert "scenario_2" in shown.stdout
    assert "monitor: not running" in shown.stdout
    document = json.loads(muster("status", "--last", "--json", cwd=tmp_path).stdout)
    assert [item["item"] for item in document["items"]] == ["01", "02", "03"]


def test_the_state_folder_can_be_named(state: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for arguments, environment in ((["--state-dir", str(state)], {}), ([], {"MUSTER_STATE_DIR": str(state)})):
        assert muster(*arguments, "status", "--last", cwd=elsewhere, **environment).returncode == 0


def test_why_tells_wanted_reason_next_step_and_story(state: Path, tmp_path: Path) -> None:
    told = muster("why", "scen2_srv_02", cwd=tmp_path)
    assert told.returncode == 0, told
    for words in ("failed since", "started, by eve", "data_processing exited 3", "next", "its bus crashed"):
        assert words in told.stdout
    document = json.loads(muster("why", "scen2_srv_02", "--json", cwd=tmp_path).stdout)
    assert document["instance"]["phase"] == "failed"
    assert [entry["what"] for entry in document["trail"]] == ["restart"]


def test_why_of_an_unknown_instance_names_the_nearest(state: Path, tmp_path: Path) -> None:
    told = muster("why", "scen2_srv_1", cwd=tmp_path)
    assert told.returncode == 3
    assert "there is no instance or item scen2_srv_1 in this site; did you mean scen2_srv_01?" in told.stderr


def test_why_of_an_item_tells_of_each_of_its_instances(state: Path, tmp_path: Path) -> None:
    told = muster("why", "02", cwd=tmp_path)
    assert told.returncode == 0, told
    assert [line.split(":")[0] for line in told.stdout.splitlines() if line and not line.startswith(" ")] == [
        "scen2_srv_02", "scen2_hci_02"
    ]  # fmt: skip


def test_events_are_the_trail(state: Path, tmp_path: Path) -> None:
    told = muster("events", cwd=tmp_path)
    assert told.returncode == 0, told
    assert "eve@controller" in told.stdout
    assert "restart: its bus crashed -> running" in told.stdout
    [line] = muster("events", "--json", "--instance", "scen2_srv_01", cwd=tmp_path).stdout.splitlines()
    assert json.loads(line)["who"] == "eve"
    assert len(muster("events", "-n", "1", cwd=tmp_path).stdout.splitlines()) == 1
    for option, says in (
        ("--instance", "there is no instance nosuch"), ("--item", "there is no item nosuch"),
        ("--host", "there is no host nosuch"),
    ):  # fmt: skip
        unheard = muster("events", option, "nosuch", cwd=tmp_path)
        assert (unheard.returncode, unheard.stdout, says in unheard.stderr) == (3, "", True), unheard.stderr


def test_events_can_be_followed(state: Path, tmp_path: Path) -> None:
    env = dict(os.environ, MUSTER_PYTHON=sys.executable, MUSTER_STATE_DIR=str(state))
    following = subprocess.Popen(
        [MUSTER, "events", "--follow", "-n", "1"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert following.stdout is not None
        assert "its bus crashed" in following.stdout.readline()
        with controller_ledger.Ledger(str(state / "ledger.db")) as ledger:
            seen, revision = ledger.read()
            news = {"at": time.time(), "who": "eve", "from": "here", "what": "news", "why": "", "result": ""}
            revision = ledger.commit(revision, {}, [news])
            document = site.site_to_json(small_site(str(state)))
            publish.publish(str(state), document, seen, revision, {}, {})
        assert "news" in following.stdout.readline()
    finally:
        following.kill()
        following.wait()
        with contextlib.suppress(AttributeError):
            following.stdout.close()  # type: ignore[union-attr]


@contextlib.contextmanager
def monitor_that_says(state: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A door of a monitor that answers all requests like this, or with nothing at all; what was asked."""
    asked: list[bytes] = []
    held = []
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(state / "run" / "api.sock"))
        door.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _unused = door.accept()
                except OSError:
                    return
                held.append(connection)
                request = connection.recv(65536)
                if not request:
                    connection.close()  # a look whether there is a monitor
                    continue
                asked.append(request.partition(b"\r\n")[0])
                if answer:
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in held:
                connection.close()


BUSY = b'HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\n\r\n{"error": "eve used more than 20 requests a second"}'
WITHOUT = "the command goes on without the monitor\n"


def test_a_monitor_that_takes_nothing_is_done_without(state: Path, tmp_path: Path) -> None:
    with monitor_that_says(state, BUSY) as asked:
        told = muster("events", cwd=tmp_path)
        assert told.returncode == 0, told
        assert told.stderr == "muster: eve used more than 20 requests a second; " + WITHOUT
        assert "its bus crashed" in told.stdout
        started = muster("start", "scen2_srv_1", cwd=tmp_path)
        assert asked[-1].startswith(b"POST /api/v1/actions?wait=0 ")
        # Without the monitor the name is looked up here, before Ansible starts.
        sentence = "there is no instance or item scen2_srv_1 in this site; did you mean scen2_srv_01?"
        assert WITHOUT in started.stderr and sentence in started.stderr, started


def test_a_monitor_that_hangs_is_done_without(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "ANSWERS", 0.5)
    monkeypatch.setenv("MUSTER_STATE_DIR", str(state))
    monkeypatch.chdir(tmp_path)
    with monitor_that_says(state, b""):
        assert main(["events"]) == 0
        printed = capfd.readouterr()
        assert printed.err == "muster: the monitor does not answer within 0.5 s; " + WITHOUT
        assert "its bus crashed" in printed.out


def test_a_damaged_ledger_is_reported(state: Path, tmp_path: Path) -> None:
    (state / "ledger.db").write_bytes(b"no database at all" * 1000)
    for end in ("-wal", "-shm"):
        (state / ("ledger.db" + end)).unlink(missing_ok=True)
    told = muster("events", cwd=tmp_path)
    assert told.returncode == 2
    assert "ledger" in told.stderr
    assert "Traceback" not in told.stderr


def in_site(kind: str, *names: str, document: Any = SITE) -> tuple[str, ...]:
    """The instances of a request in full."""
    return in_full(Request(kind, instances=names), document).instances


def test_patterns_are_put_in_full() -> None:
    # `other` may be an instance whose item left the site: only the ledger knows
    assert in_site("stop", "scen2_srv_*", "other") == ("scen2_srv_01", "scen2_srv_02", "scen2_srv_03", "other")
    with pytest.raises(UnknownName, match="no instance of the site fits the pattern x\\*"):
        in_site("stop", "x*")
    with pytest.raises(UnknownName, match="there is no instance or item scen2_srv_1 in this site; did you"):
        in_site("start", "scen2_srv_1")


def test_names_of_hosts_and_items_are_looked_up_as_well() -> None:
    for request in (Request("drain", host="server_9"), Request("start", instances=("01",), host="server_9")):
        with pytest.raises(UnknownName, match="there is no host server_9 in this site; there are server_1, "):
            in_full(request, SITE)
    with pytest.raises(UnknownName, match="there is no item 09 in this site"):
        in_full(Request("pause", item="09"), SITE)
    left = Request("confirm_down", host="server_9")  # may have left the inventory and still hold something
    assert in_full(left, SITE) == left


def test_an_item_stands_for_its_services() -> None:
    assert in_site("stop", "02") == ("scen2_srv_02",)
    assert in_site("restart", "01..02") == ("scen2_srv_01", "scen2_srv_02")


def test_an_item_stands_for_its_hci() -> None:
    assert in_site("open", "02") == ("scen2_hci_02",)
    assert in_site("open", "scen2_hci_02") == ("scen2_hci_02",)
    assert in_site("close", "99") == ("99",)
    assert in_site("open", "02", document={}) == ("02",)


def test_ansibles_own_prefixes_are_left_out_of_a_reason() -> None:
    assert failure("Task failed: Action failed: item 02 is shown already") == "item 02 is shown already"
    assert failure(None) == "no reason given"
