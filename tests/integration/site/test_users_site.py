# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site whose programs run as users of their own, under supervisords of root: deployed, reloaded, changed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, wait_for

pytestmark = [pytest.mark.long, pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")]
OURS, OTHER = "daemon", "games"  # that every system has
ITEMS = ["01", "02"]
NAMES = ["plain_%s" % item for item in ITEMS]


def applications(word: str) -> dict[str, Any]:
    command, reads = ["/bin/sleep", "inf"], "cat $MUSTER_ETC/said >read-$MUSTER_PROGRAM"
    told = ["/bin/sh", "-c", "id -un >$MUSTER_ROOT/var/$MUSTER_INSTANCE/told"]
    return {"plain": {
        "identifiers": "servers", "start_sequence": 1, "on_change": "restart",
        "files": {"said": {"template": "said.j2", "on_change": "reload"}},
        "programs": {
            "one": {"command": command, "start_sequence": 1, "required": True, "environment": {"WORD": word}},
            "two": {"command": ["/bin/sh", "-c", reads + "; exec sleep inf"], "start_sequence": 2, "required": True,
                    "user": OTHER, "reload": told},
        },
    }}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    made = SiteLab(93, consoles=[], muster_items=ITEMS, muster_applications=applications("one"), muster_services={})
    os.chmod(made.folder, 0o711)
    (made.inventory / "templates").mkdir(exist_ok=True)
    (made.inventory / "templates" / "said.j2").write_text("before {{ item.id }}\n")
    for server in SERVERS:
        made.set_host(server, muster_user=OURS)
    try:
        made.good("deploy")
        yield made
    finally:
        made.end()


def user_of(pid: int) -> str:
    return pwd.getpwuid(Path("/proc/%d" % pid).stat().st_uid).pw_name


def users(lab: SiteLab) -> set[tuple[str, str]]:
    return {(program, user_of(pid)) for name in NAMES for program, pid in lab.programs(name).items()}


def host_of(lab: SiteLab, name: str) -> str:
    (host,) = lab.hosts_of(name)
    return host


def test_each_program_runs_as_its_user_and_reads_its_files(lab: SiteLab) -> None:
    assert users(lab) == {("one", OURS), ("two", OTHER)}
    read = lab.root(host_of(lab, NAMES[0])) / "var" / NAMES[0] / "read-two"
    wait_for(lambda: read.read_text() == "before 01\n", "it has read its file")
    assert lab.good("deploy").changed == 0


def test_a_reload_is_told_by_the_programs_user(lab: SiteLab) -> None:
    before = {name: lab.programs(name) for name in NAMES}
    (lab.inventory / "templates" / "said.j2").write_text("after {{ item.id }}\n")
    lab.good("deploy")
    assert {name: lab.programs(name) for name in NAMES} == before
    for name in NAMES:
        assert (lab.root(host_of(lab, name)) / "var" / name / "told").read_text() == OTHER + "\n"


def test_a_change_restarts_them_as_the_same_users(lab: SiteLab) -> None:
    before = {name: lab.program(name, "one") for name in NAMES}
    lab.set(muster_applications=applications("two"))
    lab.good("deploy")
    assert users(lab) == {("one", OURS), ("two", OTHER)}
    assert not set(before.values()) & {lab.program(name, "one") for name in NAMES}
