# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as a project of AWX: cloned, synchronised and run as AWX does, with nothing set up in it before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.local_site import BIN
from tests.integration.roles.own_checkout import clone


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a clone: all that git tracks or would track, links included."""
    return clone(tmp_path_factory.mktemp("project"))


def run(project: Path, *command: str) -> str:
    """As in an execution environment: in the project's folder, with an environment of its own."""
    environment = {"PATH": "%s:/usr/bin:/bin" % BIN, "HOME": str(project.parent), "LANG": "C.UTF-8"}
    done = subprocess.run(
        list(command), cwd=project, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_clone_is_synchronised_and_its_playbooks_find_the_collection(project: Path) -> None:
    run(project, "ansible-galaxy", "collection", "install", "--offline", "-r", "collections/requirements.yml", "-p",
        str(project.parent / "requirements_collections"))  # fmt: skip
    output = run(project, "ansible-playbook", "-i", "inventory/example", "playbooks/check.yml")
    assert "failed=0" in output and "ok=1" in output


def test_awx_finds_every_playbook_and_no_other_file(project: Path) -> None:
    """AWX offers what looks like a playbook to it: YAML with `hosts` or `import_playbook`, links not followed."""
    offered = set()
    for where, _folders, files in os.walk(project):
        below = Path(where).relative_to(project)
        if {"roles", "tests", "inventory", "changelogs"} & set(below.parts[:1]) or ".git" in below.parts:
            continue
        for name in files:
            if name.endswith((".yml", ".yaml")) and not name.startswith("."):
                content = yaml.safe_load((Path(where) / name).read_text())
                if isinstance(content, list) and any(
                    isinstance(play, dict) and {"hosts", "ansible.builtin.import_playbook"} & set(play)
                    for play in content
                ):
                    offered.add(str(below / name))
    assert offered == {str(p.relative_to(project)) for p in (project / "playbooks").glob("*.yml")}


def test_every_playbook_of_the_project_is_sound(project: Path) -> None:
    names = sorted(str(p.relative_to(project)) for p in (project / "playbooks").glob("[a-z]*.yml"))
    run(project, "ansible-playbook", "--syntax-check", "-i", "inventory/example", *names)


def test_the_execution_environment_has_what_the_controller_half_needs(project: Path) -> None:
    """Its packages are those of the collection, and its Ansible is one that the collection takes."""
    definition = yaml.safe_load((project / "execution-environment.yml").read_text())
    assert definition["version"] == 3
    for kind in ("python", "system"):
        assert (project / definition["dependencies"][kind]).is_file()
    asked = definition["dependencies"]["ansible_core"]["package_pip"]
    pinned = (project / "requirements/runtime.in").read_text()
    assert asked.replace("ansible-core", "ansible-core ") in pinned
