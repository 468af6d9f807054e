# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control groups a command enters beside a program, with either version, and when it must not run at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.host.inside.surroundings import groups_to_join

PROGRAM = "/muster.slice/p.service"


def made(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path / "cgroup.procs").touch()


def test_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    made(tmp_path, PROGRAM[1:])
    theirs, own = "0::%s\n" % PROGRAM, "0::/agent\n"
    assert groups_to_join(theirs, own, root=str(tmp_path)) == ["%s%s/cgroup.procs" % (tmp_path, PROGRAM)]
    with pytest.raises(OSError, match="No such file"):
        groups_to_join("0::/../elsewhere\n", own, root=str(tmp_path))


def test_version_2_with_hierarchies_of_version_1_elsewhere(tmp_path: Path) -> None:
    """As where a program mounted net_cls for itself, or the machine below a container has version 1."""
    (tmp_path / "cgroup.controllers").touch()
    made(tmp_path, ".", PROGRAM[1:], "session.slice")
    theirs = "5:net_cls:/\n4:memory:/session.slice\n3:pids:/gone\n0::%s\n" % PROGRAM
    own = "5:net_cls:/a\n4:memory:/b\n3:pids:/c\n0::/agent\n"
    assert groups_to_join(theirs, own, root=str(tmp_path)) == ["%s%s/cgroup.procs" % (tmp_path, PROGRAM)]


def test_version_1_as_far_as_it_is_shown(tmp_path: Path) -> None:
    made(tmp_path, "memory" + PROGRAM, "systemd" + PROGRAM)
    theirs = "9:name=systemd:%s\n4:memory:%s\n8:pids:%s\n1:cpu,cpuacct:/\n0::%s\n" % ((PROGRAM,) * 4)
    own = "9:name=systemd:/\n4:memory:/\n8:pids:/\n1:cpu,cpuacct:/\n0::/\n"
    assert groups_to_join(theirs, own, root=str(tmp_path)) == [
        "%s/systemd%s/cgroup.procs" % (tmp_path, PROGRAM), "%s/memory%s/cgroup.procs" % (tmp_path, PROGRAM)
    ]  # fmt: skip


def test_a_tree_that_is_mounted_at_the_group_of_a_container(tmp_path: Path) -> None:
    """It sees the paths of the whole tree where it has no namespace of control groups."""
    (tmp_path / "cgroup.controllers").touch()
    made(tmp_path, ".", PROGRAM[1:])
    mounts = "1 2 0:38 /box/payload %s rw shared:5 - cgroup2 cgroup rw\n" % tmp_path
    own = "0::/box\n"

    def joined(path: str) -> list[str]:
        return groups_to_join("0::%s\n" % path, own, mounts, str(tmp_path))

    assert joined("/box/payload" + PROGRAM) == ["%s%s/cgroup.procs" % (tmp_path, PROGRAM)]
    assert joined("/box/payload") == ["%s/cgroup.procs" % tmp_path]
    for elsewhere in ("/box/payload2" + PROGRAM, "/other" + PROGRAM):
        with pytest.raises(OSError, match="No such file"):
            joined(elsewhere)


def test_a_folder_of_version_1_may_name_its_controllers_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct" / "x").mkdir(parents=True)
    (tmp_path / "cpu,cpuacct" / "x" / "cgroup.procs").touch()
    assert groups_to_join("8:cpuacct,cpu:/x\n", "8:cpuacct,cpu:/\n", root=str(tmp_path)) == [
        "%s/cpu,cpuacct/x/cgroup.procs" % tmp_path
    ]


def test_a_group_that_it_is_in_is_left_alone(tmp_path: Path) -> None:
    """A container may have it mounted read-only, as LXC and nspawn have those of version 1."""
    made(tmp_path, "pids/box", "memory" + PROGRAM)
    theirs, own = "8:pids:/box\n4:memory:%s\n" % PROGRAM, "8:pids:/box\n4:memory:/box\n"
    assert groups_to_join(theirs, own, root=str(tmp_path)) == ["%s/memory%s/cgroup.procs" % (tmp_path, PROGRAM)]
