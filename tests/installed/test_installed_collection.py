# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed elsewhere, and run from there without the checkout's settings.

`make matrix` runs it with other versions: MUSTER_TEST_BIN names the folder of their programs, and
MUSTER_TEST_HOST_PYTHON the Python of the hosts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.leftovers import own
from tests.release import pack

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TRIED = Path(os.environ.get("MUSTER_TEST_BIN") or BIN)
HOST_PYTHON = os.environ.get("MUSTER_TEST_HOST_PYTHON", "")
# A network of its own for each deployment: 127.0.0.0/8 is all this machine's.
NETS = {"installed": "127.61.1", "checkout": "127.61.2"}
# What an ansible-core says of a collection that does not suit it.
UNFIT = re.compile(r"does not support Ansible|DEPRECATION|unexpected exception", re.IGNORECASE)
NEEDED = (
    "README.md", "LICENSES/GPL-3.0-or-later.txt", "meta/runtime.yml", "meta/execution-environment.yml",
    "playbooks/deploy.yml", "plugins/module_utils/_core/model/site.py",
    "monitor/__main__.py", "bin/muster", "bin/muster-exec",
    "bin/scen2/internal_data_bus", "inventory/local/hosts.yml", "bin/demo", "requirements/runtime.txt",
)
UNWANTED = (".", "build", "collections/ansible_collections", "tests", "Makefile", "bin/setup")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short folder of its own (the path of a Unix socket is limited)."""
    folder = Path(tempfile.mkdtemp(prefix="mi-", dir="/tmp"))
    own(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def archive(place: Path) -> Path:
    """The built collection, made from what git knows and nothing else."""
    return pack.pack(place)


@pytest.fixture(scope="module")
def installed(archive: Path, place: Path) -> Path:
    """The folder of the installed collection."""
    target = place / "collections"
    run("ansible-galaxy", "collection", "install", "--offline", "-p", str(target), str(archive), cwd=place, place=place)
    return target / "ansible_collections" / "control_room" / "muster"


@pytest.fixture
def site(request: pytest.FixtureRequest, place: Path) -> Iterator[str]:
    """The name of a deployment; what is left of it is killed and removed."""
    name = request.param
    yield name
    deadline = time.monotonic() + 60
    while (left := processes_of(place / name)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(place / name, ignore_errors=True)


def run(*command: str, cwd: Path, place: Path, name: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command with nothing of the user's or the checkout's own settings."""
    environment = {
        "PATH": f"{TRIED}:/usr/bin:/bin", "HOME": str(place / "home"), "LC_ALL": "C.UTF-8", "USER": "tester",
        "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1",
    }
    (place / "home").mkdir(exist_ok=True)
    if name:
        environment |= {"MUSTER_LOCAL_NET": NETS[name], "MUSTER_LOCAL_DIR": str(place / name)}
    if name == "installed":
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(place / "collections")
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=300, check=False,
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done


def examples(play: Callable[[str, dict[str, object]], str], muster_command: list[str], place: Path) -> None:
    """Each playbook of examples/ on a site that works."""
    assert "3 items are operational" in play("assert_status.yml", {})
    play("wait_operational.yml", {"muster_command": muster_command, "awaited_items": ["02"]})
    play("backup.yml", {"backup_folder": str(place / "backup")})
    [copy] = (place / "backup").glob("scenario_2-*.db")
    with contextlib.closing(sqlite3.connect(copy)) as ledger:
        assert ledger.execute("select count(*) from sqlite_master").fetchone()[0] > 0
    copy.unlink()
    said = play("rolling_reboot.yml", {"muster_command": muster_command, "reboot_it": False})
    assert {host: number for host, number in changed(said).items() if number} == {f"server_{n}": 2 for n in (1, 2, 3)}


def hosts_of_another_python(place: Path) -> list[str]:
    """Arguments for a further inventory, when the hosts have a Python of their own."""
    if not HOST_PYTHON:
        return []
    more = place / "python.json"
    hosts = {"vars": {"ansible_python_interpreter": HOST_PYTHON}}
    more.write_text(json.dumps({"all": {"children": {"muster_hosts": hosts}}}), encoding="utf-8")
    return ["-i", str(more)]


def processes_of(folder: Path) -> dict[int, dict[str, str]]:
    """Live processes whose environment or arguments name the folder: pid -> environment."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            environ = Path("/proc", entry, "environ").read_bytes()
            arguments = Path("/proc", entry, "cmdline").read_bytes()
            state = Path("/proc", entry, "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and f"{folder}/".encode() in environ + arguments:
            pairs = (pair.partition("=") for pair in environ.decode(errors="replace").split("\0"))
            found[int(entry)] = {key: value for key, _, value in pairs}
    return found


def instances_of(folder: Path) -> set[str]:
    """The instances with a live process."""
    names = {environment.get("MUSTER_INSTANCE", "") for environment in processes_of(folder).values()}
    return {name for name in names if name.startswith("scen2_")}


def plays(environment: dict[str, str], instance: str, program: str) -> bool:
    """Whether a process is this program of this instance, exec'ed."""
    return (environment.get("MUSTER_INSTANCE"), environment.get("MUSTER_PROGRAM")) == (instance, program) and (
        "MUSTER_EPOCH" in environment)


def until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    """Waits for a condition; what cannot be read yet counts as not yet true."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            if condition():
                return
        time.sleep(0.05)
    assert condition(), f"not so after {timeout:g} s"


def changed(output: str) -> dict[str, int]:
    """Host -> how many tasks of a playbook changed something there, from its recap."""
    recap = output.rsplit("PLAY RECAP", 1)[1].splitlines()[1:]
    return {line.split()[0]: int(line.split("changed=")[1].split()[0]) for line in recap if "changed=" in line}


def test_the_archive_holds_the_product_and_nothing_else(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        names = packed.getnames()
    assert [name for name in NEEDED if name not in names] == []
    assert [name for name in names if name.startswith(UNWANTED) or "__pycache__" in name] == []


@pytest.mark.parametrize("site", ["installed", pytest.param("checkout", marks=pytest.mark.long)], indirect=True)
def test_a_site_is_deployed_used_and_removed_by_full_names(
    site: str, place: Path, request: pytest.FixtureRequest
) -> None:
    home = place / site
    if site == "installed":
        collection = request.getfixturevalue("installed")
        cwd = place / "empty"
        cwd.mkdir()
    else:
        collection = cwd = ROOT
    inventory = ["-i", str(collection / "inventory" / "local"), *hosts_of_another_python(place)]

    def play(verb: str, *more: str) -> str:
        said = run("ansible-playbook", *inventory, f"control_room.muster.{verb}", *more, cwd=cwd, place=place,
                   name=site).stdout
        assert [line for line in said.splitlines() if UNFIT.search(line)] == []
        return said

    def muster(*words: str) -> str:
        return run(str(collection / "bin" / "muster"), *inventory, *words, cwd=cwd, place=place, name=site).stdout

    def play_file(file: str, more: dict[str, object]) -> str:
        return run("ansible-playbook", *inventory, str(collection / "examples" / file), "-e", json.dumps(more), cwd=cwd,
                   place=place, name=site).stdout

    first = play("deploy")
    assert sum(changed(first).values()) > 0
    assert instances_of(home) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}
    again = [play("deploy"), play("reconcile"), play("reconcile"), play("deploy", "--check", "--diff"), play("status")]
    assert [sum(changed(said).values()) for said in again] == [0] * 5

    muster("open", "02", "--console", "console_3")
    assert "scen2_hci_02" in instances_of(home)
    items = {entry["item"]: entry for entry in json.loads(muster("status", "--json"))["items"]}
    assert {name: entry["verdict"] for name, entry in items.items()} == dict.fromkeys(("01", "02", "03"), "operational")

    play("monitor")
    until(lambda: json.loads((home / "state/run/monitor.json").read_text(encoding="utf-8"))["standby"] == "parked")
    old = processes_of(home)
    bus = next(pid for pid, environment in old.items() if plays(environment, "scen2_srv_02", "internal_data_bus"))
    os.kill(bus, signal.SIGKILL)
    until(lambda: any(plays(environment, "scen2_srv_02", "common_bus_interface")
                      for pid, environment in processes_of(home).items() if pid not in old))

    until(lambda: json.loads(muster("status", "--json"))["counts"] == {"operational": 3}, timeout=60)
    examples(play_file, muster_command=[str(collection / "bin" / "muster"), *inventory], place=place)

    play("remove", "-e", '{"muster_confirm": true}')
    until(lambda: processes_of(home) == {})
    left = [path for path in home.rglob("*") if path.is_file() and path.is_relative_to(home / "hosts")]
    assert left == []
