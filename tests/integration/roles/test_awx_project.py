# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as a project of AWX: cloned, synchronised and run as AWX does, with nothing set up in it before."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from monitor.core.model import request
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


def job(project: Path, folder: Path, playbook: str, inventory: str) -> subprocess.CompletedProcess[str]:
    """A job as AWX runs it: ansible-runner with a folder of its own, the inventory as a program that prints JSON."""
    for part in ("env", "inventory"):
        (folder / part).mkdir(parents=True)
    (folder / "project").symlink_to(project)
    listed = json.loads(run(project, "ansible-inventory", "-i", inventory, "--list"))
    (folder / "inventory.json").write_text(json.dumps(listed, sort_keys=True))
    hosts = folder / "inventory" / "hosts"
    hosts.write_text(f"#!/bin/sh\nexec cat {folder}/inventory.json\n")
    hosts.chmod(0o700)
    paths = f"{folder}/requirements_collections:{project}/collections:/usr/share/ansible/collections"
    settings = {
        "envvars": {"AWX_PRIVATE_DATA_DIR": str(folder), "ANSIBLE_COLLECTIONS_PATH": paths, "JOB_ID": "7",
                    "MUSTER_LOCAL_DIR": "/tmp/muster-of-a-job"},
        "extravars": {"muster_who": "eve", "muster_from": "AWX"},
        "settings": {"idle_timeout": 60},
    }
    for name, content in settings.items():
        (folder / "env" / name).write_text(json.dumps(content))
    (folder / "env" / "cmdline").write_text("-u muster")
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    command = ["ansible-runner", "run", str(folder), "-p", f"playbooks/{playbook}.yml"]
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.long
def test_a_job_of_awx_checks_the_site_and_keeps_no_state_in_its_container(project: Path, tmp_path: Path) -> None:
    checked = job(project, tmp_path / "check", "check", "inventory/example")
    assert checked.returncode == 0 and "failed=0" in checked.stdout, checked.stdout
    refused = job(project, tmp_path / "deploy", "deploy", "inventory/local")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "its ledger would lie in the container of the job" in said, refused.stdout
    assert not Path("/tmp/muster-of-a-job").exists()


MODULE = """#!/usr/bin/python
import json, sys
given = json.load(open(sys.argv[1]))
with open({said!r}, "a") as said:
    said.write(json.dumps([{name!r}, {{k: v for k, v in given.items() if not k.startswith("_")}}]) + "\\n")
print(json.dumps({{"changed": True}}))
# WANT_JSON
"""


def test_the_configuration_of_awx_makes_a_template_with_its_survey_for_each_playbook(
    project: Path, tmp_path: Path
) -> None:
    """With modules of the collection awx.awx that only write down what they are given."""
    said = tmp_path / "said"
    modules = tmp_path / "ansible_collections" / "awx" / "awx" / "plugins" / "modules"
    modules.mkdir(parents=True)
    for name in ("organization", "execution_environment", "project", "inventory", "inventory_source", "job_template",
                 "schedule"):  # fmt: skip
        (modules / f"{name}.py").write_text(MODULE.format(said=str(said), name=name))
    run(project, "env", f"ANSIBLE_COLLECTIONS_PATH={tmp_path}", "ansible-playbook", "examples/awx/configure.yml")
    calls = [json.loads(line) for line in said.read_text().splitlines()]
    templates = {given["name"]: given for name, given in calls if name == "job_template"}
    assert len(templates) == 15
    for given in templates.values():
        assert (project / given["playbook"]).is_file()
        assert given["extra_vars"]["muster_who"] == "{{ awx_user_name }}"
    surveys = [given.get("survey_spec", {"spec": []})["spec"] for given in templates.values()]
    asked = {question["variable"] for survey in surveys for question in survey}
    assert asked <= set(request.VARIABLES) and {"muster_instances", "muster_console", "muster_host"} <= asked
    [drift] = [given for name, given in calls if name == "schedule"]
    assert drift["unified_job_template"] in templates and drift["job_type"] == "check"
    of_open = templates["muster open"]["survey_spec"]["spec"]
    assert [question["variable"] for question in of_open] == ["muster_instances", "muster_console"]


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
    ours = [path for folder in ("playbooks", "examples") for path in (project / folder).glob("*.yml")]
    ours.append(project / "examples/awx/configure.yml")
    ours += (project / "extensions/eda/rulebooks").glob("*.yml")  # a rulebook names hosts, as a playbook does
    assert offered == {str(path.relative_to(project)) for path in ours}


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
