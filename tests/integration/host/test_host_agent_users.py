# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as other users than root, on a host whose supervisord is root's."""

from __future__ import annotations

import grp
import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.host.host_in_a_folder import Host, kill, only_supervisor, program, wait_for

pytestmark = [only_supervisor, pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")]
OURS, OTHER, GROUP = "daemon", "games", "mail"  # that every system has
SAYS = ["/bin/sh", "-c", 'id -u >"out-$MUSTER_PROGRAM"; id -G >>"out-$MUSTER_PROGRAM"; echo "$HOME $USER $LOGNAME"'
        ' >>"out-$MUSTER_PROGRAM"; cat "$MUSTER_ROOT/etc/host.json" >/dev/null && touch "read-$MUSTER_PROGRAM";'
        " exec sleep inf"]  # fmt: skip


@pytest.fixture(name="host")
def host_fixture() -> Iterator[Host]:
    one = Host()
    os.chmod(one.folder, 0o711)
    one.facts.update(user=OURS, runs_as=[["", ""], [OTHER, ""], [OTHER, GROUP]])
    try:
        one.prepare()
        yield one
    finally:
        one.close()


def ids(pid: int) -> tuple[int, int]:
    status = dict(line.partition(":")[::2] for line in Path("/proc/%d/status" % pid).read_text().splitlines())
    return int(status["Uid"].split()[0]), int(status["Gid"].split()[0])


def account(name: str) -> tuple[int, int]:
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def started(host: Host) -> dict[str, int]:
    host.define("app_01", [program("plain", 1, SAYS), program("other", 1, SAYS, user=OTHER),
                           program("grouped", 1, SAYS, user=OTHER, group=GROUP)])  # fmt: skip
    assert host.do("start", "app_01", 3)["result"] == "running"
    said = [Path(host.root, "var/app_01/read-" + name) for name in ("plain", "other", "grouped")]
    wait_for(lambda: all(path.exists() for path in said), "each has read what the host keeps")
    return host.pids("app_01")


def test_each_runs_as_its_user_with_the_group_that_reads_the_folder(host: Host) -> None:
    pids = started(host)
    group = grp.getgrnam(GROUP).gr_gid
    assert ids(pids["plain"]) == account(OURS)
    assert ids(pids["other"]) == account(OTHER)
    assert ids(pids["grouped"]) == (account(OTHER)[0], group)
    user, groups, names = Path(host.root, "var/app_01/out-grouped").read_text().splitlines()
    assert int(user) == account(OTHER)[0]
    assert {group, account(OURS)[1]} <= {int(one) for one in groups.split()} and "0" not in groups.split()
    assert names == "%s %s %s" % (pwd.getpwnam(OTHER).pw_dir, OTHER, OTHER)


def test_none_of_them_may_write_where_root_reads(host: Host) -> None:
    started(host)
    for folder in ("", "etc", "bin", "run", "lib", "log/app_01"):
        path = Path(host.root, folder)
        if path.exists():
            assert (path.stat().st_uid, path.stat().st_mode & 0o022) == (0, 0), path


def test_they_end_with_their_supervisord(host: Host) -> None:
    pids = started(host)
    os.kill(host.manager_pid(), signal.SIGKILL)
    wait_for(lambda: not any(Path("/proc/%d" % pid).exists() for pid in pids.values()), "the kernel has ended them")


def test_they_are_stopped_and_found(host: Host) -> None:
    pids = started(host)
    kill(pids["other"])
    wait_for(lambda: set(host.pids("app_01")) == {"plain", "grouped"}, "one of them is missed")
    assert host.do("stop", "app_01", 4)["result"] == "stopped"
    assert not host.processes("app_01")


def test_a_program_keeps_the_home_that_its_site_gives_it(host: Host) -> None:
    """See `_render_programs`: what the site says comes after what the user has."""
    host.define("app_01", [program("plain", 1, ["env", "HOME=/srv/home", *SAYS])])
    host.instances["app_01"]["programs"][0]["command"][0] = "/usr/bin/env"
    assert host.do("start", "app_01", 3)["result"] == "running"
    out = Path(host.root, "var/app_01/read-plain")
    wait_for(out.exists, "it has said so")
    assert Path(host.root, "var/app_01/out-plain").read_text().splitlines()[2].startswith("/srv/home ")


@pytest.mark.parametrize(
    ("facts", "says"),
    [({"user": "nobody-here", "runs_as": [["", ""]]}, "the user nobody-here, as whom programs of server_1 run"),
     ({"user": OURS, "runs_as": [["", "no-such-group"]]}, "the group no-such-group")],
)  # fmt: skip
def test_who_is_not_there_is_an_error_of_the_preparation(facts: dict[str, Any], says: str) -> None:
    one = Host()
    try:
        one.facts.update(facts)
        with pytest.raises(AssertionError, match=says):
            one.prepare()
    finally:
        one.close()
