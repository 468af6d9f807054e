# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How muster's listener gets into supervisord: whatever is wrong with it, hosts start and run."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host.machine import procs
from monitor.core.host.service.supervisor import daemon
from tests.benchmarks.machine import own_cpu_seconds
from tests.integration.host.host_in_a_folder import REPOSITORY, SUPERVISORD, Host, host_fixture, kill, program, wait_for  # noqa: F401 - a fixture
from tests.integration.host.supervisor_events import BUS, Ear, application, collected, ear_fixture, ended  # noqa: F401 - a fixture

DISTRIBUTION = "/usr/bin/supervisord"


@contextlib.contextmanager
def prepared_and_ended(folder: Path) -> Iterator[Host]:
    """A host that was prepared; its supervisord has ended."""
    host = Host(folder=str(folder))
    try:
        host.prepare()
        manager = host.manager_pid()
        kill(manager)
        ended(manager)
        yield host
    finally:
        host.close()


def test_programs_do_not_get_the_listeners_python_path(host: Host) -> None:
    application(host, "app_01")
    for pid in host.pids("app_01").values():
        assert b"PYTHONPATH=" not in procs.read_file("/proc/%d/environ" % pid)


def test_a_python_path_of_the_site_reaches_its_programs(tmp_path: Path) -> None:
    host = Host(folder=str(tmp_path))
    try:
        host.prepare(environment={"PYTHONPATH": "/opt/ours"})
        application(host, "app_01")
        for pid in host.pids("app_01").values():
            assert b"\0PYTHONPATH=/opt/ours\0" in procs.read_file("/proc/%d/environ" % pid)
    finally:
        host.close()


def test_it_goes_on_after_supervisord_was_reloaded(host: Host, ear: Ear) -> None:
    pid = host.manager_pid()
    kill(pid, signal.SIGHUP)
    assert ear.hear()["event"] == "ending"
    wait_for(lambda: "RPC interface 'muster' initialized" in
             Path(host.root, "log/supervisord.log").read_text().split("restart request")[-1], "it was made again")
    wait_for(lambda: host.ctl("pid").stdout.strip() == str(pid), "supervisord answers again")
    application(host, "app_01")
    pids = host.pids("app_01")
    kill(pids[BUS])
    assert ear.hear_of(BUS)["stopped"] == ["chart", "view"]
    ended(*pids.values())


@pytest.mark.parametrize("broken", ["no python at all (", "", "raise OSError('at import')", "import no_such_module"])
def test_a_broken_listener_keeps_no_host_from_starting(tmp_path: Path, broken: str) -> None:
    with prepared_and_ended(tmp_path) as host:
        Path(host.root, "bin", daemon.LISTENER).write_text(broken)
        warnings: list[str] = []
        assert daemon.start(host.facts, SUPERVISORD, {}, warnings)
        assert len(warnings) == 1 and "without muster's listener" in warnings[0]
        application(host, "app_01")


def test_a_listener_that_fails_when_it_is_made_keeps_no_host_from_starting(tmp_path: Path) -> None:
    with prepared_and_ended(tmp_path) as host:
        path = Path(host.root, "bin", daemon.LISTENER)
        path.write_text(path.read_text().replace('os.environ["MUSTER_ROOT"]', 'os.environ["NO_SUCH"]'))
        assert daemon.start(host.facts, SUPERVISORD, {})
        assert "muster's listener does not work" in Path(host.root, "log/supervisord.log").read_text()
        application(host, "app_01")


def test_a_supervisord_of_before_keeps_working_and_gets_the_listener_at_its_next_start(tmp_path: Path) -> None:
    with prepared_and_ended(tmp_path) as host:
        listener = Path(host.root, "bin", daemon.LISTENER)
        configuration = Path(host.root, daemon.WITH_LISTENER)
        listener.unlink()
        configuration.unlink()
        old = daemon.start(host.facts, SUPERVISORD, {})
        application(host, "app_01")
        pids = host.pids("app_01")

        answer = host.prepare()  # the upgrade
        assert [warning.split(" changed:")[0] for warning in answer["warnings"]] == [
            daemon.WITH_LISTENER, "bin/" + daemon.LISTENER]
        assert host.prepare() == {"changed": False, "did": [], "warnings": []}
        assert host.manager_pid() == old and host.pids("app_01") == pids
        application(host, "app_02")  # it reads its configuration again for that
        kill(pids.pop(BUS))
        collected(host, "app_01", BUS)
        assert host.pids("app_01") == pids  # nobody stops them yet

        kill(old)
        ended(old)
        assert host.prepare()["did"] == ["started the service manager"]
        host.do("start", "app_01", 2)
        pids = host.pids("app_01")
        kill(pids[BUS])
        ended(*pids.values())


def test_a_supervisord_that_looks_nowhere_else_for_modules_runs_without_it(tmp_path: Path) -> None:
    host = Host(folder=str(tmp_path))
    try:
        answer = host.prepare(supervisord=[sys.executable, "-I", "-m", "supervisor.supervisord"])
        assert answer["did"][-1] == "started the service manager"
        assert len(answer["warnings"]) == 1 and "without muster's listener" in answer["warnings"][0]
        application(host, "app_01")
    finally:
        host.close()


def test_it_is_python_3_8_and_imports_the_standard_library_only() -> None:
    both = [(REPOSITORY / "bin" / name).read_text() for name in (daemon.LISTENER, daemon.GUARD)]
    tree = ast.parse("\n".join(both).replace("from __future__ import annotations", ""), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"supervisor", "muster_guard"}, names


@pytest.mark.skipif(not Path(DISTRIBUTION).exists(), reason="no supervisord of a distribution here: %s" % DISTRIBUTION)
def test_supervisord_comes_to_rest_when_a_log_gets_the_number_of_a_closed_connection(tmp_path: Path) -> None:
    """Without the mend, supervisord before 4.3 takes a whole processor when both happen in one turn of its loop."""
    host = Host(folder=str(tmp_path))
    try:
        host.prepare(supervisord=[DISTRIBUTION])
        host.define("app_01", [program("view", 1)])
        host.do("start", "app_01", 1)
        name = host.known_to_manager().split()[0]
        manager = host.manager_pid()
        files = Path("/proc/%d/fd" % manager)
        socket_path = str(Path(host.root, "run/supervisor.sock"))
        host.ctl("stop", name)
        wait_for(lambda: not _connections(manager, socket_path) and _log(files) is None, "it closed what it had open")
        before = set(os.listdir(files))
        with contextlib.ExitStack() as stack:
            *others, asking = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _number in range(17)]
            for one in (*others, asking):
                one.connect(socket_path)
            wait_for(lambda: _connections(manager, socket_path) == 17, "it took all of them")
            asking.sendall(_post("supervisor.getPID"))
            asking.recv(65536)
            wait_for(lambda: _state(manager) == "S", "it polls all of them")
            kill(manager, signal.SIGSTOP)
            wait_for(lambda: _state(manager) == "T", "it stands still")
            for one in others:
                one.close()
            asking.sendall(_post("supervisor.startProcess", name, False))
            kill(manager, signal.SIGCONT)
            asking.recv(65536)
        log = wait_for(lambda: _log(files), "the log is open")
        assert log not in before
        began = own_cpu_seconds(manager)
        time.sleep(1.0)
        assert own_cpu_seconds(manager) - began < 0.2
    finally:
        host.close()


def _links(files: Path) -> dict[str, str]:
    """What a process has open: number -> what it is."""
    found = {}
    for path in files.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = os.readlink(path)
    return found


def _connections(manager: int, path: str) -> int:
    """How many connections to its socket supervisord has. It binds the socket at a longer name, and links that."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    those = {"socket:[%s]" % words[6] for words in lines if words[5] == "03" and words[-1].startswith(path)}
    return len(those & set(_links(Path("/proc/%d/fd" % manager)).values()))


def _log(files: Path) -> str | None:
    """The number under which the log of the program is open."""
    return next((number for number, link in _links(files).items() if link.endswith("/log/app_01/view.log")), None)


def _post(method: str, *parameters: object) -> bytes:
    body = xmlrpc.client.dumps(parameters, method).encode()  # type: ignore[arg-type]
    return b"POST /RPC2 HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _state(pid: int) -> str:
    found = procs.stat(pid)
    assert found is not None, "supervisord is gone"
    return found.state
