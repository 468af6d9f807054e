# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site that is another user's, and a ledger that stays where it is: refused in a sentence, with the code of that."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from monitor.cli import lost, main, places
from monitor.cli.places import Places, UsageError
from monitor.core.client import commands

ROOT = Path(__file__).resolve().parents[3]


def test_a_state_folder_of_another_user_is_refused_and_no_missing_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(places.os, "access", lambda path, mode: path != tmp_path)  # root may use every folder
    assert main.main(["--state-dir", str(tmp_path), "status"]) == commands.REFUSED
    assert capsys.readouterr().err == (
        "muster: %s may not be used by this user: the owner of the site may\n" % tmp_path
    )


def test_the_power_switch_of_another_users_hosts_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    switch = runpy.run_path(str(ROOT / "bin" / "machine"), run_name="machine")

    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", forbidden)
    monkeypatch.setattr(sys, "argv", ["machine", "--dir", str(tmp_path), "thaw", "server_1"])
    assert switch["main"]() == commands.REFUSED
    assert capsys.readouterr().err == "%s/hosts/server_1/etc/host.json may not be used by this user: %s\n" % (
        tmp_path, "the owner of the site may")  # fmt: skip


def test_a_ledger_that_cannot_be_moved_is_refused_and_a_wrong_place_is_a_wrong_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Places((), tmp_path)
    with pytest.raises(UsageError, match="must be the word folder"):
        lost.move(main._parsed(["ledger", "move", "--to", str(tmp_path)]), here)

    def refuse(*_given: object) -> str:
        raise lost.LedgerError("the monitor runs: stop it first")

    monkeypatch.setattr(lost.moving, "move", refuse)
    assert lost.move(main._parsed(["ledger", "move", "--to", "folder"]), here) == commands.REFUSED
    assert capsys.readouterr().err == "muster: the monitor runs: stop it first\n"
