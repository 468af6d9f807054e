# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that every relative link in the Markdown pages of a folder leads somewhere, headings included.

usage: python links.py FOLDER
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")


def anchors(page: Path) -> set[str]:
    """The names under which the page's headings can be linked to."""
    names: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = sum(1 for known in names if known == name or known.startswith(name + "-"))
        names.add(f"{name}-{count}" if name in names else name)
    return names


def broken(page: Path) -> list[str]:
    """What is wrong with the page's links, a sentence each."""
    found = []
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if target.startswith(ELSEWHERE):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists():
            found.append(f"the link to {target} leads nowhere")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            found.append(f"the link to {target} names no heading of {path.name}")
    return found


def main(folder: Path) -> int:
    """0 when every link is good."""
    pages = sorted(page for page in folder.rglob("*.md") if not any(part.startswith(".") for part in page.parts[1:]))
    sentences = [f"{page.relative_to(folder)}: {why}" for page in pages for why in broken(page)]
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    print(f"{len(pages)} pages looked at")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
