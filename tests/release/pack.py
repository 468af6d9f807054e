# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs the collection's archive from what git knows: python -m tests.release.pack FOLDER

A packed page links to pages that are not packed, and Galaxy shows only the README. So the links that would lead nowhere
there are made absolute, from the repository and the version that galaxy.yml names.
"""

from __future__ import annotations

import fnmatch
import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tests.sanity.links import ELSEWHERE, LINK

ROOT = Path(__file__).resolve().parents[2]
MODIFIED = 1_735_689_600  # of every member, s since 1970: 2025-01-01
GALAXY = Path(sys.executable).with_name("ansible-galaxy")


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether a build leaves out a path, below the root and with slashes: by itself, or with a folder around it."""
    parts = PurePosixPath(path).parts
    below = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatch.fnmatch(folder, pattern) for folder in below for pattern in patterns)


def absolute(text: str, page: str, base: str, leads: Callable[[str], bool]) -> str:
    """The text of a page with absolute links.

    :param page: its path below the root.
    :param base: what comes before such a path in a URL.
    :param leads: whether a path below the root can be linked to as it is.
    """

    def link(match: Any) -> str:
        target = match.group(1)
        name, mark, anchor = target.partition("#")
        if target.startswith(ELSEWHERE) or not name:
            return str(match.group(0))
        path = os.path.normpath(PurePosixPath(page).parent / name)
        return str(match.group(0)) if leads(path) else match.group(0).replace(target, f"{base}/{path}{mark}{anchor}")

    return LINK.sub(link, text)


def rewrite(tree: Path) -> None:
    """Make the links of all packed pages good."""
    about = yaml.safe_load((tree / "galaxy.yml").read_text(encoding="utf-8"))
    base = f"{about['repository']}/blob/{about['version']}"
    patterns = about["build_ignore"]
    for page in tree.rglob("*.md"):
        name = page.relative_to(tree).as_posix()
        if ignored(name, patterns):
            continue
        alone = name == about["readme"]

        def leads(path: str, alone: bool = alone) -> bool:
            return not alone and not ignored(path, patterns)

        text = page.read_text(encoding="utf-8")
        page.write_text(absolute(text, name, base, leads), encoding="utf-8")


def pack(folder: Path) -> Path:
    """The archive, made in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="muster-pack-") as place:
        export = [str(ROOT / "tests/sanity/export.sh"), place]
        tree = Path(subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
        rewrite(tree)
        build = [str(GALAXY), "collection", "build", "--force", "--output-path", str(folder.resolve()), str(tree)]
        subprocess.run(build, cwd=place, check=True, stdout=subprocess.DEVNULL)
        about = yaml.safe_load((tree / "galaxy.yml").read_text(encoding="utf-8"))
    archive = folder / "{namespace}-{name}-{version}.tar.gz".format(**about)
    repack(archive)
    return archive


def repack(archive: Path) -> None:
    """Write it again with headers that say nothing of this machine: the same content gives the same bytes.

    ansible-galaxy notes for each member when it was copied, to the microsecond: 30 kB for nobody.
    """
    again = archive.with_suffix(".again")
    with (
        tarfile.open(archive) as old,
        again.open("wb") as out,
        gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for member in old:
            member.pax_headers, member.mtime = {}, MODIFIED
            new.addfile(member, old.extractfile(member))
    again.replace(archive)


if __name__ == "__main__":
    print(pack(Path(sys.argv[1])))
