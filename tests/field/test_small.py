# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a program: the umask of an account, a mount without programs, a container, a stranger, a secret.

Sources: quay/mirror-registry#136, DavidWittman/ansible-redis#197, sensu/sensu-ansible#94 (umask 077);
k3s-io/k3s#7372, newrelic/nri-elasticsearch#72, ansible-lockdown/RHEL9-CIS#450 (noexec); giampaolo/psutil#2100,
casacore/casacore PR#450, k3s-io/k3s#2924, lxc/lxc#3703 (limits of containers); ansible/ansible#17276 and the
documentation of Ansible Vault (decrypted values stay where tasks put them); sshd_config(5), UseDNS (names in `from=`).
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.host import agent, observe
from monitor.core.host import load as host_load
from monitor.core.host.machine import limits
from monitor.core.model.moments import LAST, moment
from monitor.core.report import attention, status, status_text
from monitor.core.requests import check, read
from monitor.web.desk import encode
from plugins.plugin_utils import _agent_files, _preflight, _render_memory
from tests.integration.host.host_in_a_folder import Host, answer_of, bundle, only_supervisor, program
from tests.unit.embedded_site import ROOT

NOW = 1_700_000_000.0
GIB = 1024**3


def modes(root: str) -> dict[str, str]:
    """Modes of everything that a prepare wrote; not of what the service manager makes."""
    found = {}
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in ("run", "__pycache__")]
        for name in [*below, *names]:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = stat.filemode(os.lstat(path).st_mode)
    return found


@only_supervisor
def test_modes_are_the_same_whatever_the_umask_of_the_account() -> None:
    found = []
    for number, umask in ((1, 0o022), (2, 0o077)):
        one = Host("server_%d" % number)
        before = os.umask(umask)
        try:
            asked: dict[str, Any] = {}
            one.ask = lambda verb, asked=asked, **request: asked.update(request, verb=verb) or asked  # type: ignore
            one.prepare(agent=bundle())
            answer = answer_of(one.agent(asked, _agent_files.CARRIED))
            assert answer.get("changed"), answer
            found.append(modes(one.root))
        finally:
            os.umask(before)
            one.close()
    assert found[0] == found[1]
    assert found[1]["bin/dummy"] in ("drwxr-x---", "drwxr-xr-x")


# -- a mount without programs


def test_a_mount_without_programs_is_named(tmp_path: Path) -> None:
    without = str(tmp_path)
    program = tmp_path / "probe"
    program.write_text(_preflight.probe(without + "/there/is/nothing/yet", []))
    script = 'exec 3<"$1" && mount -t tmpfs -o noexec muster-test "$2" && exec "$3" - <&3'
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(program), without, sys.executable],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("no mounts of its own here: %s" % done.stderr.strip())
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout[done.stdout.index(_preflight.MARK) + len(_preflight.MARK) :])
    told = _preflight.findings(facts, {"root": without}, 0.0, 0.0)
    assert any("%s, which is mounted noexec" % facts["place"] in sentence for sentence in told), told
    facts["noexec"] = False
    assert not any("noexec" in sentence for sentence in _preflight.findings(facts, {"root": without}, 0.0, 0.0))


# -- limits of containers and control groups


def control_groups(folder: Path, files: dict[str, str], line: str) -> dict[str, str]:
    for name, text in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(line)
    return {"mount": str(folder / "mount"), "proc": str(folder / "proc")}


@pytest.mark.parametrize(
    ("files", "line", "memory", "used", "cpus"),
    [
        pytest.param({}, "0::/\n", 0, 0, 0, id="a machine"),
        pytest.param({"memory.max": "max\n", "cpu.max": "max 100000\n"}, "0::/\n", 0, 0, 0, id="no limit"),
        pytest.param(
            {"memory.max": "%d\n" % GIB, "memory.current": "%d\n" % (GIB // 2), "cpu.max": "150000 100000\n",
             "memory.stat": "anon 5\ninactive_file %d\n" % (GIB // 4)},
            "0::/\n", GIB, GIB // 4, 1.5, id="a container"),
        pytest.param(
            {"a/memory.max": "%d" % GIB, "a/b/memory.max": "%d" % (2 * GIB), "a/b/cpu.max": "50000 100000",
             "a/cpu.max": "max 100000"}, "0::/a/b\n", GIB, 0, 0.5, id="the narrowest above"),
        pytest.param(
            {"memory/x/memory.limit_in_bytes": "%d" % GIB, "memory/memory.limit_in_bytes": "9223372036854771712",
             "cpu,cpuacct/x/cpu.cfs_quota_us": "200000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            "4:memory:/x\n3:cpu,cpuacct:/x\n1:name=systemd:/x\n", GIB, 0, 2.0, id="version 1"),
        pytest.param(
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "200000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
             "cpuset/x/cpu.cfs_quota_us": "1"},
            "8:cpuacct,cpu:/x\n2:cpuset:/\n", 0, 0, 2.0, id="version 1 whose folder has another order"),
        pytest.param({"memory.max": "-7", "cpu.max": "x y"}, "0::/../..\nnonsense\n", 0, 0, 0, id="nonsense"),
    ],
)  # fmt: skip
def test_limits_are_read(
    files: dict[str, str], line: str, memory: int, used: int, cpus: float, tmp_path: Path
) -> None:
    assert limits.of("self", **control_groups(tmp_path, files, line)) == (memory, used, cpus)


def test_a_process_that_is_gone_has_no_limits() -> None:
    assert limits.of("0") == (0, 0, 0)


def test_of_machine_and_limit_the_smaller_one_counts() -> None:
    machine = {"total_memory": 64 * GIB, "free_memory": 32 * 1024, "memory": 50.0, "cpus": 16}
    found = host_load._within(machine, limits.Limits(2 * GIB, GIB // 2, 1.5))
    assert found == {"total_memory": 2 * GIB, "free_memory": 1536, "memory": 25.0, "cpus": 1.5, "limited": True}
    assert host_load._within(machine, limits.Limits(128 * GIB, 0, 32)) == machine
    full = host_load._within(machine, limits.Limits(GIB, 2 * GIB, 0))
    assert (full["free_memory"], full["memory"]) == (0, 100.0)


# -- a stranger on a port


@pytest.mark.parametrize(
    ("services", "since", "stranger"),
    [
        ({}, 60.0, True),
        ({"bus": {"pid": 7, "started": NOW - 5.2}}, 60.0, True),  # it cannot listen, and is tried again and again
        ({"bus": {"pid": 7, "started": NOW - 61.0}}, 60.0, False),
        ({"bus": {"pid": 7, "started": NOW - 30.0}}, 60.0, False),  # restarted between two questions, and well
        ({"bus": {"pid": 7}}, 60.0, False),
        ({"bus": {"pid": 7, "started": NOW - 5.2}}, 5.0, False),
    ],
)
def test_what_answers_is_not_taken_for_a_service_that_cannot_have_answered(
    services: dict[str, Any], since: float, stranger: bool
) -> None:
    seen = {"answer": "seen", "at": NOW - 5.0, "services": services}
    probe = {"state": "healthy", "since": since}
    assert status._answered_by_a_stranger("bus", probe, seen, NOW) == stranger


# -- decrypted values


class EncryptedString(str):
    """What ansible-core keeps for `!vault`, by name."""


def test_what_is_rendered_from_encrypted_values_is_not_remembered(tmp_path: Path) -> None:
    secret = _render_memory.secret
    assert not secret({"a": "1", "muster_items": [{"id": "01"}]}, [str(tmp_path)])
    assert secret({"muster_items": [{"id": "01", "token": EncryptedString("x")}]}, [])
    assert secret({"word": EncryptedString("x")}, [])
    assert not secret({"ansible_become_password": EncryptedString("x")}, [])
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "group_vars" / "all" / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6138\n")
    assert secret({}, [str(tmp_path)])


def test_what_is_remembered_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = _render_memory.remember(str(tmp_path / "memory"), "key", {"config.json": {"text": "x"}})
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(folder, "config.json")).st_mode) == 0o600


# -- requests that are no request


@pytest.mark.parametrize("until", [1e15, 1e300, LAST + 1, "99999999999", "40000000d", "9999-12-31 00:00"])
def test_a_moment_that_is_too_far_away_is_refused(until: Any) -> None:
    with pytest.raises(read.RequestErrors) as wrong:
        read.request({"kind": "pause", "site": True, "until": until})
    assert [error["field"] for error in wrong.value.errors] == ["until"]


def test_a_moment_that_is_none_is_refused_before_anything_is_done() -> None:
    with pytest.raises(read.RequestErrors, match="14h00 is not a time: write a duration"):
        read.request({"kind": "drain", "host": "server_1", "until": "14h00"})


@given(st.text(max_size=12) | st.floats() | st.integers())
def test_no_moment_breaks_its_reader(written: Any) -> None:
    try:
        at = moment(written, NOW)
    except (ValueError, OverflowError):
        return
    assert at is None or NOW < at <= LAST


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", float("inf"), float("-inf"), float("nan")])
def test_an_error_can_be_written_as_json(value: Any) -> None:
    problem = check.error("x", "must be something else", value)
    assert json.loads(encode(problem), parse_constant=pytest.fail)["field"] == "x"


@only_supervisor
def test_what_a_request_says_is_one_line_of_the_log_and_its_epoch_leaves_room_for_later_ones() -> None:
    one = Host()
    try:
        one.prepare()
        one.define("app_01", [program("idle", 1)])
        wish = one.wish("start", "app_01", 1, reason="first\n2030-01-01T00:00:00 run 9: stop app_02 \x1b[2J")
        assert one.act(wish)["results"]["app_01"]["result"] == "running"
        [line] = Path(one.root, "log/muster.log").read_text().splitlines()
        assert "first?2030-01-01" in line and line.isprintable()
        for epoch in (10**4000, -1, 2.5, "7"):
            answer = agent.handle({"verb": "act", "host": one.facts, "instances": [dict(wish, epoch=epoch)]})
            assert "an epoch is a whole number" in answer["error"]
        assert one.do("restart", "app_01", 2)["result"] == "running"
    finally:
        one.close()


# -- words


def conflict(number: int, is_open: bool) -> dict[str, Any]:
    return {"id": "c%d" % number, "why": "copy %d" % number, "instance": "app_0%d" % number, "since": NOW,
            "open": is_open, "acknowledged": None}  # fmt: skip


def test_conflicts_that_are_over_do_not_hide_the_one_that_is_true() -> None:
    few = attention.lines({"conflicts": [conflict(1, False), conflict(2, True)]}, NOW)
    assert [line.split(" (")[0] for line in few] == ["conflict: copy 2", "conflict: copy 1"]
    many = attention.lines({"conflicts": [*(conflict(n, False) for n in range(1, 7)), conflict(7, True)]}, NOW)
    assert len(many) == 2 and many[0].startswith("conflict: copy 7")
    assert many[1].startswith("conflicts that are over: 6, about app_01, ") and "acknowledge --all" in many[1]


@pytest.mark.parametrize(
    ("state", "answer", "shown"), [("up", "seen", True), ("up", "unreachable", False), ("down", "seen", False)]
)
def test_the_load_of_a_host_that_does_not_answer_is_not_shown_as_that_of_now(
    state: str, answer: str, shown: bool
) -> None:
    entry = {"host": "server_1", "state": state, "answer": answer, "why": "", "evidence": "", "drain": None, "at": NOW,
             "load": {"cpu": 1.0, "memory": 1.0}, "reserved": 0, "limit": 100, "instances": [], "drift": [],
             "service_manager": "running"}  # fmt: skip
    assert (status_text._host_row(entry, NOW)[2] != "-") == shown


def test_a_host_of_a_ledger_that_was_lost_is_not_said_to_be_removed() -> None:
    host = {"host": "server_2", "root": "/srv/m", "site_id": "site-b", "site": "site", "controller": "ctl"}
    marker = {"site_id": "site-a", "controller": "ctl", "host": "server_2"}
    told = observe.foreign_marker(marker, host)
    assert "the ledger was lost (put a copy of it back" in told and "remove" not in told
    assert "remove it there first" in observe.foreign_marker(dict(marker, site_id="other-a"), host)
    assert observe.foreign_marker(dict(marker, site_id="site-b"), host) == ""


# -- names in from=


@pytest.mark.parametrize(
    ("address", "kept"),
    [("10.0.0.9", True), ("fd00::1", True), ("::1", True), ("10.0.0.0/24", True), ("controller", False),
     ("ctl.example.org", False), ("bad.cafe", False), ("1.2.3.4.example.org", False)],
)  # fmt: skip
def test_the_key_is_bound_to_addresses_only(address: str, kept: bool) -> None:
    """What is no address is looked up on the host, and its addresses are taken instead."""
    tasks = yaml.safe_load((ROOT / "roles/monitor/tasks/access.yml").read_text())
    [pattern] = [task["vars"]["monitor_is_address"] for task in tasks if "access_key.yml" in str(task)]
    assert bool(re.match(pattern, address)) == kept
