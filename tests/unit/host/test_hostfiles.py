# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that muster owns: only changed files are written, atomically; files of others are left alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.machine import files as machine_files
from monitor.core.host.machine.differences import Differences


def files(**texts: str) -> dict[str, dict[str, str]]:
    return {name.replace("__", "/"): {"text": text, "mode": "0640"} for name, text in texts.items()}


def put(folder: Path, wanted: dict[str, dict[str, str]], **options: Any) -> machine_files.Change:
    return machine_files.write_folder(str(folder), wanted, machine_files.config_digest(wanted), **options)


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    put(tmp_path, files(a="1", b="1", sub__c="1"))
    before = os.stat(tmp_path / "a").st_ino
    change = put(tmp_path, files(a="1", b="2"))
    assert (change.written, change.removed) == (["b"], ["sub/c"])
    assert os.stat(tmp_path / "a").st_ino == before
    assert not (tmp_path / "sub").exists()


def test_a_changed_mode_is_a_change(tmp_path: Path) -> None:
    put(tmp_path, files(a="1"))
    change = put(tmp_path, {"a": {"text": "1", "mode": "0750"}})
    assert change.written == ["a"]
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o750


def test_a_foreign_file_where_one_of_ours_must_be_is_kept_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    change = put(tmp_path, files(a="ours"))
    assert change.kept == ["a.kept"] and change.foreign == ["a.kept"]
    assert (tmp_path / "a.kept").read_text() == "mine"
    (tmp_path / "a").write_text("mine again")
    assert put(tmp_path, files(a="ours")).kept == ["a.kept2"]


def test_a_file_that_already_says_the_same_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    change = put(tmp_path, files(a="same"))
    assert change.kept == []
    assert machine_files.examine(str(tmp_path)) == (machine_files.config_digest(files(a="same")), [], [])


def test_a_changed_file_that_is_swept_is_kept_too(tmp_path: Path) -> None:
    put(tmp_path, files(a="1"))
    (tmp_path / "a").write_text("edited by hand")
    change = put(tmp_path, {})
    assert change.removed == ["a"] and change.kept == ["a.kept"]
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["a.kept"]


def test_a_link_in_place_of_a_file_is_replaced_and_what_it_points_to_is_not_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("keep")
    folder = tmp_path / "folder"
    put(folder, files(a="1"))
    (folder / "a").unlink()
    (folder / "a").symlink_to(outside)
    put(folder, files(a="2"))
    assert outside.read_text() == "keep" and not (folder / "a").is_symlink()


def test_tokens_are_filled_in_and_the_digest_is_that_of_the_rendered_text(tmp_path: Path) -> None:
    wanted = files(a="@@root@@ and @@host@@")
    replace = machine_files.tokens({"root": "/r", "address": "127.0.0.1", "host": "h", "site_id": "s"})
    machine_files.write_folder(str(tmp_path), wanted, machine_files.config_digest(wanted), replace)
    assert (tmp_path / "a").read_text() == "/r and h"
    assert machine_files.examine(str(tmp_path))[0] == machine_files.config_digest(wanted)


def test_an_interrupted_write_is_finished_by_the_next_and_not_taken_for_a_foreign_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, files(a="1", b="1"))
    rename = os.rename

    class Killed(BaseException):
        pass

    def die_at_b(source: str, target: str) -> None:
        if target.endswith("/b"):
            raise Killed
        rename(source, target)

    monkeypatch.setattr(os, "rename", die_at_b)
    with pytest.raises(Killed):
        put(tmp_path, files(a="2", b="2"))
    monkeypatch.undo()
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("2", "1")
    assert machine_files.examine(str(tmp_path))[0] == ""
    change = put(tmp_path, files(a="3", b="2"))
    assert change.kept == [] and change.foreign == []
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("3", "2")
    assert machine_files.examine(str(tmp_path))[0] == machine_files.config_digest(files(a="3", b="2"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".manifest.json", "a", "b"]


def test_a_file_system_that_refuses_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, files(a="1", b="1"))
    write = os.write
    calls = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(machine_files.FolderError, match="No space left on device; what was there before is intact"):
        put(tmp_path, files(a="2", b="2", sub__c="2"))
    monkeypatch.undo()
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("1", "1")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [".manifest.json", "a", "b"]
    assert machine_files.examine(str(tmp_path))[0] == machine_files.config_digest(files(a="1", b="1"))


def test_a_lost_or_damaged_manifest_is_rebuilt_without_touching_equal_files(tmp_path: Path) -> None:
    put(tmp_path, files(a="1", b="1"))
    (tmp_path / ".manifest.json").write_text("{half")
    change = put(tmp_path, files(a="1", b="1"))
    assert change.kept == []
    assert machine_files.examine(str(tmp_path))[0] == machine_files.config_digest(files(a="1", b="1"))


def test_check_mode_writes_nothing_and_a_diff_shows_both_texts(tmp_path: Path) -> None:
    put(tmp_path, files(a="1\n"))
    change = put(tmp_path, files(a="2\n", b="new\n"), check=True, diff=Differences())
    assert change.written == ["a", "b"]
    assert [(d["before"], d["after"]) for d in change.diff] == [("1\n", "2\n"), ("", "new\n")]
    assert (tmp_path / "a").read_text() == "1\n" and not (tmp_path / "b").exists()


def test_the_digest_depends_on_names_modes_and_texts() -> None:
    digests = {machine_files.config_digest(f) for f in (
        {}, files(a="1"), files(b="1"), files(a="2"), {"a": {"text": "1", "mode": "0600"}}, files(a="", b="1"))}
    assert len(digests) == 6
    assert machine_files.config_digest(files(a="1", b="2")) == machine_files.config_digest(files(b="2", a="1"))


def test_two_writers_at_once_take_turns(tmp_path: Path) -> None:
    sets = [{"f%d" % n: {"text": "%s %d" % (who, n), "mode": "0640"} for n in range(300)} for who in ("one", "two")]
    errors: list[BaseException] = []

    def write(wanted: dict[str, dict[str, str]]) -> None:
        try:
            for _ in range(5):
                put(tmp_path, wanted)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(wanted,)) for wanted in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    digest, drift, foreign = machine_files.examine(str(tmp_path))
    assert digest in {machine_files.config_digest(wanted) for wanted in sets} and not drift and not foreign
    assert {p.read_text().split()[0] for p in tmp_path.glob("f*")} in ({"one"}, {"two"})
