# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of `ansible.cfg` that runs get."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from monitor.runs import playbooks

POLL = {"defaults": {"internal_poll_interval": "0.01"}}


def test_a_copy_has_the_other_settings_and_absolute_paths(tmp_path: Path) -> None:
    source, target = tmp_path / "ansible.cfg", tmp_path / "run.cfg"
    source.write_text("[defaults]\nroles_path = roles:/opt/roles\nforks = 7\n")
    playbooks.write_config(source, target, POLL)
    copy = configparser.RawConfigParser()
    copy.read(target)
    assert dict(copy["defaults"]) == {
        "roles_path": "%s/roles:/opt/roles" % tmp_path, "forks": "7", "internal_poll_interval": "0.01",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"forks = 7\n", b"[defaults]\nnonsense\n", b"[defaults]\nforks = \xff\n"])
def test_one_that_cannot_be_read_is_a_sentence_that_names_it(content: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "ansible.cfg", tmp_path / "run.cfg"
    source.write_bytes(content)
    with pytest.raises(playbooks.NoAnsible, match="%s cannot be read: " % source) as found:
        playbooks.write_config(source, target, POLL)
    assert "\n" not in str(found.value)
    assert not target.exists()
