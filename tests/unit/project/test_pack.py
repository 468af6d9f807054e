# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's archive says nothing of the machine that packed it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.release.pack import repack


def archive(path: Path, modified: float) -> bytes:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("docs")
        folder.type, folder.mtime = tarfile.DIRTYPE, modified
        tar.addfile(folder)
        for name, text in (("docs/a.md", b"text"), ("bin/muster", b"#!/bin/sh\n")):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(text), modified, 0o755 if name[0] == "b" else 0o644
            tar.addfile(member, io.BytesIO(text))
    repack(path)
    return path.read_bytes()


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = archive(tmp_path / "a.tar.gz", 1.5)
    assert first == archive(tmp_path / "b.tar.gz", 1_700_000_000.25)
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(m.name, m.isdir(), oct(m.mode)) for m in tar] == [
            ("docs", True, "0o644"), ("docs/a.md", False, "0o644"), ("bin/muster", False, "0o755"),
        ]  # fmt: skip
        content = tar.extractfile("docs/a.md")
        assert content is not None and content.read() == b"text"
