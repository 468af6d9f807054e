# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder from which runs are started, with settings of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.runs import ansible_cfg, playbooks
from tests.integration.monitor import standin_collection as standin


@pytest.fixture(name="place")
def place_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which runs are started; nothing of this machine or of the checkout has a part."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(ansible_cfg, "SYSTEM", tmp_path / "etc" / "ansible.cfg")
    monkeypatch.setattr(playbooks, "ROOT", standin.make(tmp_path / "collections"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.chdir(folder)
    yield folder


def settings(folder: Path, text: str) -> None:
    (folder / "ansible.cfg").write_text(text)
