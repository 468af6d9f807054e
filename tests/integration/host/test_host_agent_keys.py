# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says of how a program runs, as the kernel shows it: signal, folder, umask, priority, logs."""

from __future__ import annotations

import os
from pathlib import Path

from tests.integration.host.host_in_a_folder import Host, host_fixture, only_supervisor, program, wait_for  # noqa: F401 - a fixture

WAITS = "while :; do sleep 0.02; done"


def test_it_is_asked_to_end_by_its_signal(host: Host) -> None:
    told = 'trap "echo INT >$MUSTER_ROOT/var/told; exit 0" INT; trap "echo TERM >$MUSTER_ROOT/var/told" TERM; '
    ready = "touch $MUSTER_ROOT/var/ready; "
    host.define("app_01", [program("bus", 1, ["/bin/sh", "-c", told + ready + WAITS], stop_signal="INT")])
    assert host.do("start", "app_01", 1)["result"] == "running"
    wait_for(lambda: Path(host.root, "var/ready").exists(), "it is ready")
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert Path(host.root, "var/told").read_text() == "INT\n"


def test_it_runs_in_its_folder_with_its_umask_and_priority(host: Host) -> None:
    folder = os.path.join(host.folder, "data")
    os.mkdir(folder)
    makes = "touch made; exec sleep 1000"
    host.define("app_01", [program("bus", 1, ["/bin/sh", "-c", makes], directory=folder, umask="0077", nice=7)])
    assert host.do("start", "app_01", 1)["result"] == "running"
    made = Path(folder, "made")
    wait_for(made.exists, "its file")
    assert made.stat().st_mode & 0o777 == 0o600
    pid = host.pids("app_01")["bus"]
    assert Path("/proc/%d/cwd" % pid).readlink() == Path(folder)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 7


@only_supervisor
def test_standard_error_apart_and_the_size_of_its_log(host: Host) -> None:
    says = "echo out; echo err >&2; head -c 2500000 /dev/zero | tr '\\0' x; echo; exec sleep 1000"
    host.define("app_01", [program("bus", 1, ["/bin/sh", "-c", says], log={"stderr": "apart", "keep": 1})])
    assert host.do("start", "app_01", 1)["result"] == "running"
    logs = Path(host.root, "log/app_01")
    wait_for(lambda: (logs / "bus.log.1").exists(), "its log is rotated")
    assert (logs / "bus.err.log").read_text() == "err\n" and not (logs / "bus.log.2").exists()
    answer = host.ask("log", sources=[{"instance": "app_01", "program": "bus"}], lines=100, word="err")
    assert [line["t"] for line in answer["lines"]] == ["err"]
