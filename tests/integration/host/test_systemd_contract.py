# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of the host agent once more, on a machine run by systemd: one suite, two service managers."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.host import booted_machine
from tests.integration.host.booted_machine import REPOSITORY, Machine

# Users of programs of a supervisord: those of systemd's units are tested where the units are.
OF_SUPERVISOR = ("test_host_agent_users.py",)
SUITES = sorted(path.name for path in Path(__file__).parent.glob("test_host_agent_*.py")
                if path.name not in OF_SUPERVISOR)  # fmt: skip
# More that are about both service managers.
FIELD = {"test_identity.py": "tests/field/test_identity.py", "test_lease.py": "tests/integration/host/test_lease.py",
         "test_alone.py": "tests/integration/host/test_alone.py"}
_LONG = ("test_lease.py", "test_alone.py")
_CORE = ("test_host_agent_claims.py", "test_host_agent_systemd.py")
_PLAYED = 600.0


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    why = booted_machine.missing()
    if why:
        pytest.skip(why)
    one = Machine()
    try:
        yield one
    finally:
        one.close()


@pytest.mark.parametrize(
    "suite", [pytest.param(suite, marks=[pytest.mark.core] if suite in _CORE else
                           [pytest.mark.long] if suite in _LONG else []) for suite in [*SUITES, *FIELD]]
)  # fmt: skip
def test_a_host_run_by_systemd_does_the_same(machine: Machine, suite: str) -> None:
    passes(machine, suite)


def test_programs_end_with_the_guard_of_their_host(machine: Machine) -> None:
    passes(machine, "test_lease.py", "-k", "needs_neither_guard_nor_systemd")


@pytest.mark.long
def test_a_command_beside_a_program_is_in_its_control_group_of_version_2() -> None:
    why = booted_machine.missing()
    if why:
        pytest.skip(why)
    machine = Machine("muster-test-unified", unified=True)
    try:
        shown = machine.run(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"]).stdout.strip()
        if shown != "cgroup2fs":
            pytest.skip("this kernel has no control groups of version 2")
        passes(machine, "test_host_agent_exec.py")
    finally:
        machine.close()


def passes(machine: Machine, suite: str, *options: str) -> None:
    report = "/tmp/%s.xml" % suite
    done = machine.run(
        ["env", "MUSTER_TEST_MANAGER=systemd", sys.executable, "-m", "pytest", "-q", "-o", "cache_dir=/tmp/cache",
         "--junit-xml=" + report, *options, FIELD.get(suite, "tests/integration/host/" + suite)],
        timeout=_PLAYED)  # fmt: skip
    [counted] = ET.fromstring(machine.run(["cat", report]).stdout).iter("testsuite")
    assert int(counted.get("tests", 0)) > int(counted.get("skipped", 0)), done.stdout[-3000:]
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.core
def test_after_a_reboot_nothing_of_an_item_runs_and_host_services_do() -> None:
    why = booted_machine.missing()
    if why:
        pytest.skip(why)
    machine = Machine("muster-test-reboot")
    script = Path(__file__).with_name("inside_a_reboot.py")
    try:
        for step in ("before", "after"):
            command = ["env", "MUSTER_TEST_MANAGER=systemd", "PYTHONPATH=%s" % REPOSITORY, sys.executable]
            done = machine.run([*command, str(script), step], timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            if step == "before":
                machine.reboot()
    finally:
        machine.close()


def test_a_machine_of_the_tests_leaves_nothing_behind() -> None:
    why = booted_machine.missing()
    if why:
        pytest.skip(why)
    machine = Machine("muster-test-traces")
    folder, groups = machine.folder, list(machine.groups)
    machine.close()
    assert not folder.exists() and not any(group.exists() for group in groups)
    assert "muster-test-traces" not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
