# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps about one instance: claim, last seen epoch, lock, placed configuration."""

from __future__ import annotations

import fcntl
import json
import os

from . import _hostfiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional

_DIRTY = ".loading"  # in etc/placed while supervisord has not read what was placed


def claim_path(root: str, instance: str) -> str:
    return "%s/run/claims/%s" % (root, instance)


def read_claim(root: str, instance: str) -> Optional[int]:
    """The epoch of the claim; None without one (a damaged one counts as none: muster-exec refuses it too)."""
    try:
        with open(claim_path(root, instance), encoding="utf-8") as handle:
            text = handle.readline().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def write_claim(root: str, instance: str, epoch: int, environment: Mapping[str, str]) -> None:
    """:raises ValueError: for a variable that a line cannot hold.
    :raises OSError: when it cannot be written."""
    lines = [str(epoch)]
    for name, value in environment.items():
        if "\n" in value or "=" in name or not name:
            raise ValueError("the variable %r of %s cannot be written into a claim" % (name, instance))
        lines.append("%s=%s" % (name, value))
    data = "".join(line + "\n" for line in lines).encode("utf-8")
    path = claim_path(root, instance)
    try:
        with open(path, "rb") as handle:
            if handle.read() == data:
                return
    except OSError:
        pass
    _hostfiles.write_file(path, data)


def remove_claim(root: str, instance: str) -> bool:
    """:return: whether there was one."""
    try:
        os.unlink(claim_path(root, instance))
    except FileNotFoundError:
        return False
    return True


def claims(root: str) -> List[str]:
    """Instances with a claim file."""
    try:
        return sorted(name for name in os.listdir(root + "/run/claims") if not name.endswith(".muster-new"))
    except OSError:
        return []


def read_seen(root: str, instance: str) -> Dict[str, Any]:
    """``{"epoch", "digest", "deferred": [...], "failed": {...}}``; empty when it never was here."""
    try:
        with open("%s/run/seen/%s.json" % (root, instance), encoding="utf-8") as handle:
            seen: Dict[str, Any] = json.load(handle)
            return seen if isinstance(seen.get("epoch"), int) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def write_seen(root: str, instance: str, seen: Mapping[str, Any]) -> None:
    if read_seen(root, instance) != seen:
        data = json.dumps(seen, separators=(",", ":")).encode("utf-8")
        _hostfiles.write_file("%s/run/seen/%s.json" % (root, instance), data)


class Lock:
    """Only one agent works on an instance; freed by the kernel when its agent ends."""

    def __init__(self, root: str, instance: str) -> None:
        self._path = "%s/run/locks/%s" % (root, instance)
        self._descriptor = -1

    def take(self) -> bool:
        """False while another agent holds it."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)
        return True

    def holder(self) -> str:
        """Who holds it, for a sentence."""
        try:
            pid = os.pread(self._descriptor, 32, 0).decode().strip()
        except OSError:
            pid = ""
        return "process %s" % pid if pid else "another process"

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def place(root: str, instance: str, programs: Iterable[str]) -> bool:
    """Copy an instance's configuration to where supervisord reads it, and make its folders.

    :return: whether supervisord must read it again.
    :raises OSError: when it cannot be written; FileNotFoundError when there is no configuration of that instance.
    """
    for folder in ("%s/log/%s" % (root, instance), "%s/var/%s" % (root, instance)):
        if not os.path.isdir(folder):
            os.makedirs(folder, mode=_hostfiles.FOLDER_MODE)
    with open("%s/etc/available/%s.ini" % (root, instance), "rb") as handle:
        data = handle.read()
    path = _placed(root, instance)
    try:
        with open(path, "rb") as handle:
            if handle.read() == data:
                return False
    except FileNotFoundError:
        pass
    mark_dirty(root)
    _hostfiles.write_file(path, data)
    return True


def would_place(root: str, instance: str) -> bool:
    """Whether `place` would change what supervisord reads."""
    try:
        with open("%s/etc/available/%s.ini" % (root, instance), "rb") as handle:
            data = handle.read()
        with open(_placed(root, instance), "rb") as handle:
            return handle.read() != data
    except OSError:
        return True


def is_placed(root: str, instance: str) -> bool:
    return os.path.exists(_placed(root, instance))


def unplace(root: str, instance: str) -> None:
    try:
        os.unlink(_placed(root, instance))
    except FileNotFoundError:
        pass


def dirty(root: str) -> bool:
    """Something was placed that supervisord may not have read: its agent was killed in between."""
    return os.path.exists("%s/etc/placed/%s" % (root, _DIRTY))


def mark_dirty(root: str) -> None:
    with open("%s/etc/placed/%s" % (root, _DIRTY), "wb"):
        pass


def mark_clean(root: str) -> None:
    try:
        os.unlink("%s/etc/placed/%s" % (root, _DIRTY))
    except FileNotFoundError:
        pass


def _placed(root: str, instance: str) -> str:
    return "%s/etc/placed/%s.ini" % (root, instance)
