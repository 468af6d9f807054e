# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What diff mode shows of files: each difference once, with the names of all files that have the same one.

Files of many items come from one template. Two of them have the same difference when it is equal once the values that
each item has of its own (id, slot, ports, variables) are taken away.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

MOST = 200  # differences that are shown, and files that are compared line by line: more of them help no reader
NAMED = 5  # files that share one, by name
SAME = "%s (the same in %d more: %s)"


class Differences:
    """Collects the differences of one folder."""

    def __init__(self, label: str = "", owners: Optional[Mapping[str, Any]] = None) -> None:
        """:param label: written before names.
        :param owners: instance -> {"application": its application, "own": [[value, name of the value], ...]}.
        """
        self._label, self._owners = label, owners or {}
        self._masks: Dict[str, Callable[[str], str]] = {}
        self._shown: List[Dict[str, str]] = []
        self._names: List[List[str]] = []  # of the files that share each of them
        self._whole: Dict[Tuple[str, str], int] = {}  # (what kind of file, digest of both texts) -> which one
        self._lines: Dict[Tuple[str, str], int] = {}  # the same with only the lines that differ

    def add(self, name: str, before: Optional[bytes], after: Optional[bytes]) -> None:
        """Take in a file; None where there is none."""
        texts = (before or b"").decode("utf-8", "replace"), (after or b"").decode("utf-8", "replace")
        instance = name.partition("/")[0] if "/" in name else name.rpartition(".")[0]
        owner = self._owners.get(instance)
        if owner is None:
            self._new(name, before, after, texts, "")
            return
        sort = "%s%s" % (owner["application"], name[len(instance) :])
        mask = self._masks.get(instance)
        if mask is None:
            mask = self._masks[instance] = _mask(owner["own"])
        masked = mask(texts[0]), mask(texts[1])
        whole = sort, _digest("%r %r" % (before is None, after is None), *masked)
        known = self._whole.get(whole)
        if known is None and len(self._shown) < MOST:
            # A value of its own may stand there by chance, so the lines as they are count as well.
            there = "%r %r" % (before is None, after is None)
            keys = [(sort, _digest(there, *_changed(*pair))) for pair in (masked, texts)]
            keys += [(sort, _digest(there, "", *cores)) for cores in (_cores(*texts),) if cores]
            known = next((self._lines[key] for key in keys if key in self._lines), len(self._shown))
            self._whole[whole] = known
            for key in keys:
                self._lines.setdefault(key, known)
            if known == len(self._shown):
                self._new(name, before, after, texts, "%s-%s" % (_digest(sort)[:8], keys[0][1]))
                return
        if known is not None:
            self._names[known].append(name)

    def shown(self) -> List[Dict[str, str]]:
        """Each as ``{"before", "after", "before_header", "after_header"}``, and ``kind``, which is the same on every
        host that has this difference."""
        result = []
        for entry, others in zip(self._shown, self._names):
            if others:
                names = ", ".join(others[:NAMED]) + (", ..." if len(others) > NAMED else "")
                header = "after_header" if entry["after_header"] != "/dev/null" else "before_header"
                entry = dict(entry, **{header: SAME % (entry[header], len(others), names)})
            result.append(entry)
        return result

    def _new(
        self, name: str, before: Optional[bytes], after: Optional[bytes], texts: Tuple[str, str], kind: str
    ) -> None:
        if len(self._shown) >= MOST:
            return
        entry = {
            "before": texts[0],
            "after": texts[1],
            "before_header": self._label + name if before is not None else "/dev/null",
            "after_header": self._label + name if after is not None else "/dev/null",
        }
        self._shown.append(dict(entry, kind=kind) if kind else entry)
        self._names.append([])


def _mask(own: List[List[str]]) -> Callable[[str], str]:
    """A function that takes values away, each where it stands as a whole word; of equal ones the first counts."""
    import re

    names: Dict[str, str] = {}
    for value, name in own:
        names.setdefault(value, "<%s>" % name)
    if not names:
        return lambda text: text
    words = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    pattern = re.compile("(?<![A-Za-z0-9])(?:%s)(?![A-Za-z0-9])" % words)
    return lambda text: pattern.sub(lambda found: names[found.group()], text)


def _changed(before: str, after: str) -> List[str]:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _cores(before: str, after: str) -> List[str]:
    """What differs within the lines, and the rest of each without its numbers, where as many lines came as went."""
    import re

    lines = _changed(before, after)
    old, new = ([line[1:] for line in lines if line[:1] == sign] for sign in "-+")
    found = []
    for one, other in zip(old, new):
        start = _alike(one, other)
        end = _alike(one[start:][::-1], other[start:][::-1])
        rest = re.sub("[0-9]+", "#", one[:start] + " " + one[len(one) - end :])
        found += [rest, one[start : len(one) - end], other[start : len(other) - end]]
    return found if len(old) == len(new) else []


def _alike(one: str, other: str) -> int:
    """How many characters they begin with alike."""
    return next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def _digest(*texts: str) -> str:
    import hashlib

    made = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "replace")
        made.update(b"%d:" % len(data))
        made.update(data)
    return made.hexdigest()[:16]
