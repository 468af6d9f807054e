# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an instance's start: ``run/starts/<instance>.json``, which only the account of the host may write.

It says which processes the service manager started, so that they are known whatever their environment shows, and after
the service manager has ended. Each rank of a start adds a line to it; it is removed after the confirmed stop.
"""

from __future__ import annotations

import errno
import json
import os

from . import files
from .json_files import DAMAGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

_FOLDER = "/run/starts"
_SUFFIX = ".json"
KEY = "MUSTER_START"  # a variable of every program: what only descendants of a recorded start can show


class Start:
    """One start of an instance."""

    __slots__ = ("ends", "epoch", "instance", "key", "others", "programs")

    def __init__(self, instance: str, epoch: int, key: str = "") -> None:
        self.instance = instance
        self.epoch = epoch
        self.key = key
        self.programs: Dict[str, Tuple[int, int]] = {}  # name -> (pid, start in clock ticks since boot)
        self.ends: Dict[str, List[int]] = {}  # program -> the exit codes with which it may end by itself
        self.others: Set[Tuple[int, int]] = set()  # descendants that cannot be found by anything else

    def has(self, pid: int, started: int) -> bool:
        return (pid, started) in self.programs.values()

    def add(
        self, root: str, programs: Mapping[str, Tuple[int, int]], ends: Optional[Mapping[str, List[int]]] = None
    ) -> None:
        """Keep which processes were started, before anything waits for them.

        :param programs: name -> (pid, start in clock ticks since boot); a start of 0: it has ended already.
        :param ends: program -> the exit codes with which it may end by itself.
        :raises OSError: when it cannot be written.
        """
        new = {name: what for name, what in programs.items() if what[1] and self.programs.get(name) != what}
        other = {name: list(codes) for name, codes in (ends or {}).items() if self.ends.get(name) != list(codes)}
        if new or other:
            self.programs.update(new)
            self.ends.update(other)
            self._append(root, {"programs": new, **({"ends": other} if other else {})})

    def _append(self, root: str, document: Mapping[str, Any]) -> None:
        """One line more, in one step; to replace the file would take ext4 5 to 10 ms, in each rank of a start."""
        data = b"\n" + json.dumps(document, separators=(",", ":")).encode("utf-8")
        try:
            descriptor = os.open(_path(root, self.instance), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self.write(root)
            return
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), _path(root, self.instance))
        finally:
            os.close(descriptor)

    def write(self, root: str) -> None:
        """:raises OSError: when it cannot be written."""
        document = {"epoch": self.epoch, "key": self.key, "programs": self.programs, "others": sorted(self.others),
                    "ends": self.ends}
        path = _path(root, self.instance)
        data = json.dumps(document, separators=(",", ":")).encode("utf-8")
        try:
            files.write_file(path, data)
        except FileNotFoundError:  # prepared by an older version
            os.makedirs(os.path.dirname(path), mode=files.FOLDER_MODE, exist_ok=True)
            files.write_file(path, data)


def begin(root: str, instance: str, epoch: int, fresh: bool) -> Start:
    """Begin the record of a start, or go on with that of the same epoch.

    :param fresh: whether all its programs are started.
    :raises OSError: when it cannot be written.
    """
    before = read(root, instance)
    if fresh or before.epoch != epoch or not before.key:
        before = Start(instance, epoch, os.urandom(12).hex())
        remove(root, instance)  # nothing of it runs any more, see `files.write_over_nothing`
        before.write(root)
    return before


def read(root: str, instance: str) -> Start:
    """The record of an instance; one with epoch -1 when there is none. A damaged one counts as none."""
    none = Start(instance, -1)
    try:
        data = files.read(_path(root, instance))
        if data is None:
            return none
        first, *added = data.decode("utf-8").split("\n")
        document = json.loads(first)
        found = Start(instance, int(document["epoch"]), str(document["key"]))
        for part in (document, *map(_added, added)):
            for name, (pid, started) in part["programs"].items():
                found.programs[str(name)] = (int(pid), int(started))
            for name, codes in part.get("ends", {}).items():
                found.ends[str(name)] = [int(code) for code in codes]
        found.others = {(int(pid), int(started)) for pid, started in document["others"]}
        return found
    except (OSError, *DAMAGED, KeyError, TypeError, AttributeError, OverflowError):
        return none


def _added(line: str) -> Mapping[str, Any]:
    """What a later line adds; nothing where it was cut short, on a full disk."""
    try:
        part: Mapping[str, Any] = json.loads(line)
    except DAMAGED:
        return {"programs": {}}
    return part


def read_all(root: str) -> List[Start]:
    """All records of a host."""
    try:
        names = sorted(os.listdir(root + _FOLDER))
    except OSError:
        return []
    found = [read(root, name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX)]
    return [start for start in found if start.epoch >= 0]


def remove(root: str, instance: str) -> None:
    """Forget a start whose processes have all ended. Idempotent."""
    files.remove(_path(root, instance))


def _path(root: str, instance: str) -> str:
    return "%s%s/%s%s" % (root, _FOLDER, instance, _SUFFIX)
