# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` and `make demo-stop` of a fresh clone, and what `bin/setup` says where something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.addresses import SITES
from tests.integration.local_site import wait_for
from tests.integration.process_table import sweep
from tests.integration.roles.own_checkout import clone, prepare
from tests.leftovers import ours, own

DEMO_WITHIN = 400.0  # s
SERVICE = {"internal_data_bus", "sensor_acquisition", "data_processing", "config_manager", "common_bus_interface"}
WINDOWS = {"internal_data_bus", "sensor_view", "chart_view", "sensor_control"}


@dataclass(frozen=True)
class Checkout:
    """A clone with a network and a home of its own."""

    folder: Path
    net: str

    @property
    def home(self) -> Path:
        return self.folder.parent / "home"

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "USER": "eve", "LANG": "C.UTF-8",
            "MUSTER_LOCAL_NET": self.net, **environment,
        }  # fmt: skip
        return subprocess.run(
            command, cwd=self.folder, env=own, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=DEMO_WITHIN, check=False,
        )  # fmt: skip

    def good(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def programs(self) -> dict[str, dict[str, int]]:
        """Instance -> program -> process id, from `/proc`."""
        found: dict[str, dict[str, int]] = {}
        for process in sweep(str(self.folder / ".muster") + "/"):
            if process.epoch:
                found.setdefault(process.instance, {})[process.program] = process.pid
        return found

    def files(self) -> set[str]:
        """All of the home, and of the clone but for what is made ahead to be quicker."""
        ahead = re.compile(r"/(__pycache__|\.cache|\.ansible)(/|$)")
        cloned = {str(path) for path in self.folder.rglob("*") if not ahead.search(str(path))}
        return cloned | {str(path) for path in self.home.rglob("*")}

    def listeners(self) -> list[str]:
        """The listening addresses of this network, from `/proc/net/tcp`."""
        first, second, third = (int(part) for part in self.net.split("."))
        mark = "%02X%02X%02X:" % (third, second, first)
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [words[1] for words in lines if words[3] == "0A" and words[1][2:].startswith(mark)]


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="md-", dir="/tmp"))
    own(folder)
    try:
        yield clone(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def checkouts(original: Path) -> Iterator[list[Checkout]]:
    """Two clones side by side; nothing of theirs is left."""
    made: list[Checkout] = []
    try:
        for number in (1, 2):
            parent = Path(tempfile.mkdtemp(prefix="md%d-" % number, dir="/tmp"))
            own(parent)
            shutil.copytree(original, parent / "c", symlinks=True)
            (parent / "home").mkdir()
            made.append(Checkout(prepare(parent / "c"), "%s.%d" % (SITES, 200 + number)))
        yield made
    finally:
        for one in made:
            one.run("bin/demo", "stop")
            for pid in ours(str(one.folder)):
                os.kill(pid, 9)
            shutil.rmtree(one.folder.parent, ignore_errors=True)


def test_the_demo_comes_up_twice_beside_another_one_and_goes_without_a_trace(checkouts: list[Checkout]) -> None:
    one, other = checkouts
    other.good("bin/demo")
    beside = other.programs()
    before = one.files()

    said = one.good("bin/demo")
    steps = re.findall(r"^\[(\d)/5\] ", said, re.M)
    assert steps == ["1", "2", "3", "4", "5"], said
    first = one.programs()
    assert {name: set(programs) for name, programs in first.items()} == {
        "scen2_srv_01": SERVICE, "scen2_srv_02": SERVICE, "scen2_srv_03": SERVICE, "scen2_hci_02": WINDOWS,
    }, said  # fmt: skip
    hint = re.search(r"kill -9 (\d+) +kills the data bus of item 02", said)
    assert hint and int(hint[1]) == first["scen2_srv_02"]["internal_data_bus"], said

    os.kill(int(hint[1]), 9)

    def again() -> bool:
        programs = one.programs().get("scen2_srv_02", {})
        return set(programs) == SERVICE and programs["internal_data_bus"] != int(hint[1])

    wait_for(again, "item 02 again, as the hint says", one.programs)
    one.good("bin/muster", "close", "02", "-i", "inventory/local")
    one.good("bin/muster", "open", "02", "--console", "console_1", "-i", "inventory/local")
    moved = one.programs()
    assert set(moved["scen2_hci_02"]) == WINDOWS
    again = one.good("bin/demo")
    assert one.programs() == moved, again
    assert "was not opened on console_3" in again and "console_1 already shows item 02" in again
    assert "Try next" in again

    stopped = one.good("bin/demo", "stop")
    assert "No process, no port and no file of the demo is left" in stopped
    assert one.programs() == {} and one.listeners() == []
    assert [pid for pid in ours(str(one.folder)) if _lives_on(pid)] == []
    assert one.files() == before
    assert "nothing to stop" in one.good("bin/demo", "stop")
    assert other.programs() == beside, "the demo beside it was disturbed"
    other.good("bin/demo", "stop")
    assert other.listeners() == []


def _lives_on(pid: int) -> bool:
    """A connection that Ansible keeps, or a process that is just ending, is gone in a moment."""
    until = time.monotonic() + 80
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < until:
        time.sleep(0.05)
    return os.path.exists("/proc/%d" % pid)


def test_a_deploy_that_fails_says_why_and_where_all_of_it_stands(checkouts: list[Checkout]) -> None:
    one, _unused = checkouts
    site = one.folder / "inventory/local/group_vars/all/site.yml"
    good = site.read_text()
    site.write_text(good.replace("start_sequence: 5", "start_sequnce: 5"))
    try:
        done = one.run("bin/demo")
    finally:
        site.write_text(good)
    assert done.returncode == 1
    assert "start_sequnce" in done.stdout and ".cache/demo.log" in done.stdout
    assert one.programs() == {}


def test_a_path_that_is_too_long_names_the_way_out(checkouts: list[Checkout]) -> None:
    done = checkouts[0].run("bin/demo", MUSTER_LOCAL_DIR="/tmp/" + "x" * 90)
    assert done.returncode == 2
    assert "too long" in done.stdout and "MUSTER_LOCAL_DIR=" in done.stdout


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("git", "git is missing: install it (on Debian: apt install git)."),
        ("make", "make is missing: install it (on Debian: apt install make)."),
        ("setpriv", "setpriv is missing: it belongs to util-linux (on Debian: apt install util-linux)."),
        ("flock", "flock is missing: it belongs to util-linux (on Debian: apt install util-linux)."),
        ("python", "PYTHON=./python3 is not Python 3.11 or newer with the venv module: name another interpreter."),
    ],
)
def test_setup_says_what_is_missing_and_how_to_get_it(
    missing: str, sentence: str, original: Path, tmp_path: Path
) -> None:
    """With a PATH that has everything else."""
    names = {"sh", "dirname", "uname", "git", "make", "setpriv", "flock", "mkdir", "cat", "cksum", "grep", "rm", "env"}
    for name in names - {missing}:
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(tmp_path)}
    if missing == "python":  # named, or one of the machine's own might do
        environment["PYTHON"] = "./python3"
    done = subprocess.run(
        ["/bin/sh", str(original / "bin" / "setup")], env=environment, text=True, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("setup: " + sentence), done.stderr
    assert not (original / ".venv").exists()
