# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root runs nothing from a host's folder that another account may write to: agents, programs, units."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host import agent, prepare
from monitor.core.host.machine import ownership
from monitor.core.host.service.systemd import commands
from tests.integration.host.host_in_a_folder import SUPERVISORD, Host, bundle
from tests.integration.local_site import BIN, ROOT

OTHER = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="about what root does")


class Folder:
    """The folder of a host, with an agent and a program that tell who ran them."""

    def __init__(self, where: Path) -> None:
        self.host = Host(folder=str(where))
        self.root = Path(self.host.root)
        self.mark = where / "mark"
        self.library = self.root / "lib" / bundle()["hash"]
        for name in prepare.FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o750)
        self.plant(self.library / "muster_host" / "agent.py")
        self.plant(self.root / "bin" / "muster-boot")

    def plant(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "def main():\n import os\n open(%r, 'w').write(str(os.geteuid()))\nif __name__ == '__main__': main()\n"
        path.write_text(text % str(self.mark))

    def give(self, user: int) -> None:
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)

    def run(self, text: str, *user: str) -> str:
        done = subprocess.run([*user, "/usr/bin/python3", "-I", "-S", "-c", text], capture_output=True, text=True)
        return done.stderr

    def ran(self) -> str:
        return self.mark.read_text() if self.mark.exists() else ""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other accounts can reach."""
    with tempfile.TemporaryDirectory() as where:
        Path(where).chmod(0o755)
        yield Path(where)


@pytest.fixture
def folder(place: Path) -> Folder:
    return Folder(place)


def spoil(folder: Folder, how: str) -> None:
    if how == "whole":
        folder.give(OTHER)
    elif how == "lib":
        os.chown(folder.root / "lib", OTHER, OTHER)
    elif how == "agent":
        os.chown(folder.library / "muster_host", OTHER, OTHER)
    else:
        folder.root.chmod(0o777)


@pytest.mark.parametrize("how", ["whole", "lib", "agent", "mode"])
def test_the_fast_way_leaves_an_agent_alone_that_others_may_have_written(folder: Folder, how: str) -> None:
    text = ownership.launcher(str(folder.root), str(folder.library), "muster_host")
    assert folder.run(text) == "" and folder.ran() == "0"
    folder.mark.unlink()
    spoil(folder, how)
    assert ownership.REFUSED in folder.run(text)
    assert not folder.ran()


def test_its_owner_runs_it(folder: Folder, place: Path) -> None:
    folder.give(OTHER)
    place.chmod(0o777)
    text = ownership.launcher(str(folder.root), str(folder.library), "muster_host")
    user = ("setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups")
    assert folder.run(text, *user) == "" and folder.ran() == str(OTHER)


def test_without_an_agent_the_fast_way_says_so(folder: Folder) -> None:
    shutil.rmtree(folder.library)
    text = ownership.launcher(str(folder.root), str(folder.library), "muster_host")
    assert "No module named 'muster_host" in folder.run(text)


@pytest.mark.parametrize("how", ["whole", "lib", "mode"])
@pytest.mark.parametrize("verb", ["prepare", "act"])
def test_nothing_is_prepared_or_started_there(folder: Folder, verb: str, how: str) -> None:
    spoil(folder, how)
    request = {"verb": verb, "host": folder.host.facts, "supervisord": SUPERVISORD, "instances": [], "check": False}
    said = agent.handle(request)["error"]
    assert "who could have root run anything from there" in said
    assert ("deploy as nobody (-e ansible_user=nobody" in said) == (how != "mode")
    assert not (folder.root / "etc" / "host.json").exists()


def test_looking_installs_no_agent_where_a_link_may_lead_elsewhere(folder: Folder, place: Path) -> None:
    (folder.root / "etc" / "host.json").write_text("{}")
    shutil.rmtree(folder.root / "lib")
    victim = place / "victim"
    (victim / "old").mkdir(parents=True)
    os.utime(victim / "old", (0, 0))
    (folder.root / "lib").symlink_to(victim)
    folder.give(OTHER)
    agent.handle({"verb": "observe", "host": folder.host.facts, "load": False, "agent": bundle()})
    assert [path.name for path in victim.iterdir()] == ["old"]


def test_removing_is_done_as_the_owner_and_reaches_nothing_of_others(folder: Folder, place: Path) -> None:
    victim = place / "victim"
    (victim / "services").mkdir(parents=True)
    shutil.copytree(folder.root / "etc", victim, dirs_exist_ok=True)
    (victim / "services" / "kept").write_text("x")
    (victim / "host.json").write_text(json.dumps({**folder.host.facts}))
    (victim / "placed" / "kept").write_text("x")
    for path in (victim, *victim.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder.root / "etc")
    (folder.root / "etc").symlink_to(victim)
    folder.give(OTHER)
    assert "Permission denied" in agent.handle({"verb": "remove", "host": folder.host.facts})["error"]
    assert (victim / "services" / "kept").exists()
    assert (victim / "placed" / "kept").exists() and (victim / "host.json").exists()


def test_removing_an_ordinary_folder_of_an_account_leaves_nothing(folder: Folder) -> None:
    (folder.root / "etc" / "host.json").write_text(json.dumps(folder.host.facts))
    folder.give(OTHER)
    told = agent.handle({"verb": "remove", "host": folder.host.facts, "check": True})
    assert told["did"] and folder.root.exists()
    shutil.rmtree(folder.library)
    (folder.root / "bin" / "muster-boot").unlink()
    assert agent.handle({"verb": "remove", "host": folder.host.facts})["did"] == told["did"]
    assert not folder.root.exists()


def test_removing_needs_nothing_that_only_root_may_read(folder: Folder, tmp_path: Path) -> None:
    """Ansible's own way: the agent is in an archive below a folder of root's."""
    (folder.root / "etc" / "host.json").write_text(json.dumps(folder.host.facts))
    shutil.rmtree(folder.library)
    (folder.root / "bin" / "muster-boot").unlink()
    folder.give(OTHER)
    tmp_path.chmod(0o700)
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as archive:
        files = bundle()["files"]
        packages = {os.path.join(os.path.dirname(name), "__init__.py"): "" for name in files}
        for name, text in {**packages, **files}.items():
            archive.writestr("muster_host/" + name, text)
    program = (
        "import json, sys; sys.path.insert(0, %r); from muster_host import agent\n"
        "print(json.dumps(agent.handle(json.load(sys.stdin))))" % str(tmp_path / "payload.zip")
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-c", program],
        input=json.dumps({"verb": "remove", "host": folder.host.facts}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "error" not in json.loads(done.stdout or "{\"error\": 0}"), (done.stdout, done.stderr)
    assert not folder.root.exists()


@pytest.mark.parametrize("how", ["none", "whole", "lib"])
def test_roots_unit_runs_nothing_from_a_folder_that_was_given_away(folder: Folder, how: str) -> None:
    spoil(folder, how) if how != "none" else None
    python, _unused, text = commands.guarded(sys.executable, str(folder.root)).partition(" -I -S -c ")
    words = ast.literal_eval(text.replace("%%", "%").replace("$$", "$"))  # as systemd takes quotes away
    done = subprocess.run([python, "-I", "-S", "-c", words, "start"], capture_output=True, text=True)
    assert folder.ran() == ("0" if how == "none" else "")
    assert (ownership.REFUSED in done.stderr) == (how != "none")


def test_a_run_as_root_takes_the_module_instead(folder: Folder, place: Path) -> None:
    """The whole way, through Ansible."""
    text = "from ansible_collections.control_room.muster.plugins.plugin_utils import _host_call as call\n"
    version = subprocess.run(
        [sys.executable, "-c", text + "print(call.agent_bundle()['hash'])"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")}, check=True,
    ).stdout.strip()  # fmt: skip
    folder.plant(folder.root / "lib" / version / "muster_host" / "agent.py")
    folder.give(OTHER)
    done = subprocess.run(
        [BIN / "ansible", "server_1", "-i", ROOT / "inventory/local", "-m", "control_room.muster.observe",
         "-e", json.dumps({"muster_root": str(folder.root), "muster_state_dir": str(place / "state")})],
        cwd=ROOT, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "MUSTER_LOCAL_DIR": str(place)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"answer": "seen"' in done.stdout, done.stdout
    assert not folder.ran()
