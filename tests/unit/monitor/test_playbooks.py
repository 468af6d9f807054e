# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `ansible.cfg` that runs get, and what is made of the environment around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.runs import ansible_cfg, environment, playbooks


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine or of the checkout has a part."""
    monkeypatch.setattr(ansible_cfg, "SYSTEM", tmp_path / "etc" / "ansible.cfg")
    monkeypatch.setattr(playbooks, "ROOT", tmp_path / "collection")


def written(path: Path, text: str = "[defaults]\nforks = 7\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_first_file_in_ansibles_order_is_taken_and_the_collections_own_is_the_last(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    order = [
        written(tmp_path / "named.cfg"), written(here / "ansible.cfg"), written(home / ".ansible.cfg"),
        written(tmp_path / "etc" / "ansible.cfg"), written(tmp_path / "collection" / "ansible.cfg"),
    ]  # fmt: skip
    environ = {"HOME": str(home), "ANSIBLE_CONFIG": str(order[0])}
    for path in order:
        found = ansible_cfg.find(environ, here)
        assert (found.path, found.settings["defaults", "forks"]) == (path, "7")
        path.unlink()
    assert ansible_cfg.find({"HOME": str(home)}, here).path is None


def test_a_named_folder_stands_for_the_file_in_it_and_a_relative_name_for_one_here(tmp_path: Path) -> None:
    path = written(tmp_path / "site" / "ansible.cfg")
    for name in (str(tmp_path / "site"), "site", "site/ansible.cfg", "$PLACE/ansible.cfg"):
        os.environ["PLACE"] = str(tmp_path / "site")
        assert ansible_cfg.find({"ANSIBLE_CONFIG": name}, tmp_path).path == path


def test_a_file_that_sets_nothing_does_not_hide_the_collections_own(tmp_path: Path) -> None:
    written(tmp_path / "etc" / "ansible.cfg", "# all in comments\n[defaults]\n;forks = 7\n")
    own = written(tmp_path / "collection" / "ansible.cfg")
    assert ansible_cfg.find({"HOME": str(tmp_path)}, tmp_path).path == own


def test_a_named_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    own = written(tmp_path / "collection" / "ansible.cfg")
    found = ansible_cfg.find({"HOME": str(tmp_path), "ANSIBLE_CONFIG": "/nowhere/ansible.cfg"}, tmp_path)
    assert (found.path, found.left_out) == (own, ("there is no /nowhere/ansible.cfg, which ANSIBLE_CONFIG names",))


@pytest.mark.parametrize("content", [b"forks = 7\n", b"[defaults]\nnonsense\n", b"[defaults]\nforks = \xff\n"])
def test_one_that_cannot_be_read_is_a_sentence_that_names_it(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "ansible.cfg"
    source.write_bytes(content)
    with pytest.raises(playbooks.NoAnsible, match="%s cannot be read: " % source) as found:
        ansible_cfg.find({"HOME": str(tmp_path)}, tmp_path)
    assert "\n" not in str(found.value)


def test_a_setting_of_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    written(tmp_path / "ansible.cfg", "[defaults]\nask_vault_pass = True\n")
    config = ansible_cfg.find({}, tmp_path)
    assert ["vault_password_file" in text for text in ansible_cfg.questions(config, {})] == [True]
    assert ansible_cfg.questions(config, {"ANSIBLE_ASK_VAULT_PASS": "no"}) == []


def test_the_folders_of_collections_that_the_settings_name_come_behind_the_one_that_is_running(tmp_path: Path) -> None:
    folder = tmp_path / "collection" / "collections" / "ansible_collections"
    folder.mkdir(parents=True)
    written(tmp_path / "ansible.cfg", "[defaults]\ncollections_path = more:/opt/c:{{CWD}}/x\n")
    own = str(folder.parent)
    path = environment.for_person({"HOME": str(tmp_path)}, tmp_path).env["ANSIBLE_COLLECTIONS_PATH"]
    assert path.split(":") == [own, "%s/more" % tmp_path, "/opt/c", "%s/x" % tmp_path]
    environ = {"HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": "/a:b"}
    path = environment.for_person(environ, tmp_path).env["ANSIBLE_COLLECTIONS_PATH"]
    assert path.split(":") == [own, "/a", "%s/b" % tmp_path]
