# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses phrases that make a sentence hard to read, in everything that people read: ``python -m tests.sanity.words``.

Plain technical English: subject, verb, object; say who does what; the contract before the consequence.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".md", ".py", ".js", ".html", ".yml", ".yaml", ".j2", ".sh", ""}  # no suffix: programs
NOT_OURS = (
    "LICENSES/",
    "requirements/",
    "tests/sanity/get_pip.py",
    "tests/sanity/words.py",
    "tests/unit/test_words.py",
)

BETTER = {
    "is told": "is reported; or name who does it: the monitor logs, the status shows",
    "are told": "are reported; or name who does it",
    "anew": "again, new",
    "of ours": "of muster, muster's",
    "past the tool": "outside muster",
    "befall": "happen to",
    "befalls": "happens to",
    "in earnest": "for real",
    "to be had": "available",
    "whoever": "the person who, the process that; or name it",
    "nobody asks": "nothing asks, idle; or name who does not ask",
    "takes its way": "flows",
}

# Folders that still have such phrases; with a slash at the end, all folders below as well. This list only shrinks: an
# entry that is clean must be taken out.
TO_DO: tuple[str, ...] = (
    "bin/muster-supervisor/",
    "bin/scen2/",
    "monitor/cli",
    "monitor/web/",
    "playbooks/",
    "plugins/action/",
    "plugins/inventory/",
    "plugins/module_utils/_core/host/",
    "plugins/modules/",
    "roles/host/",
    "roles/monitor/",
    "roles/programs/",
    "roles/schedule/",
    "tests/benchmarks/",
    "tests/integration/",
    "tests/lab/",
    "tests/scenarios/",
    "tests/unit/",
)

# Not names in backquotes. Between words: blanks, or the end of a line with the signs of comments and texts around it.
_GAP = r"(?:[ \t]+|[ \t]*[\"']?[ \t]*\\?\n[ \t]*(?:#|//|\*|>|\"|')?[ \t]*)"
_PHRASES = [
    (phrase, re.compile(r"(?<!`)\b%s\b" % _GAP.join(map(re.escape, phrase.split())), re.IGNORECASE))
    for phrase in BETTER
]


def files() -> list[str]:
    """What git tracks, and what it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(
        name
        for name in set(names)
        if name and Path(name).suffix in SUFFIXES and not name.startswith(NOT_OURS) and (ROOT / name).is_file()
        and not (ROOT / name).is_symlink()
    )  # fmt: skip


def found(text: str) -> Iterator[tuple[int, str]]:
    """(line, phrase) of each."""
    for phrase, pattern in _PHRASES:
        yield from ((text.count("\n", 0, match.start()) + 1, phrase) for match in pattern.finditer(text))


def within(name: str, folders: Iterable[str]) -> str:
    """The first of these folders that holds the file, else nothing."""
    here = name.rpartition("/")[0]
    for folder in folders:
        if here == folder or (folder.endswith("/") and name.startswith(folder)):
            return folder
    return ""


def problems(texts: dict[str, str], to_do: tuple[str, ...] = TO_DO) -> list[str]:
    """A sentence for each phrase outside of what is still to do, and for each entry there that is done."""
    sentences = [
        '%s:%d: "%s"; better: %s' % (name, line, phrase, BETTER[phrase])
        for name, text in texts.items()
        for line, phrase in sorted(found(text))
        if not within(name, to_do)
    ]
    clean = "tests/sanity/words.py: %s is clean: take it out of TO_DO (--shrink does it)"
    return sentences + [clean % folder for folder in done(texts, to_do)]


def done(texts: dict[str, str], to_do: tuple[str, ...]) -> list[str]:
    """The entries without any phrase."""
    left = {within(name, to_do) for name, text in texts.items() if any(found(text))}
    return [folder for folder in to_do if folder not in left]


def shrink() -> None:
    here = Path(__file__)
    lines = here.read_text(encoding="utf-8").splitlines(keepends=True)
    clean = {'    "%s",\n' % folder for folder in done(read(), TO_DO)}
    here.write_text("".join(line for line in lines if line not in clean), encoding="utf-8")


def read() -> dict[str, str]:
    return {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in files()}


def count() -> str:
    """Phrases per folder, those that are still to do and others."""
    numbers = Counter[str]()
    for name, text in read().items():
        numbers[name.rpartition("/")[0] or name] += sum(1 for _ in found(text))
    return "\n".join("%5d %s" % (number, folder) for folder, number in sorted(numbers.items()) if number)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sanity.words", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--count", action="store_true", help="how many phrases each folder has; refuse nothing")
    parser.add_argument("--shrink", action="store_true", help="take what is clean out of TO_DO")
    options = parser.parse_args(arguments)
    if options.count:
        print(count())
        return 0
    if options.shrink:
        shrink()
        return 0
    sentences = problems(read())
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
