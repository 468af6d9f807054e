# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps about one instance: claim, last epoch, lock, placed configuration."""

from __future__ import annotations

import fcntl
import json
import os

from . import accounts, files, generations, json_files, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple


def claim_path(root: str, instance: str) -> str:
    """The file of a claim: a line with the epoch, then ``NAME=value`` lines. muster-exec starts nothing without it."""
    return "%s/run/claims/%s" % (root, instance)


def grant_path(root: str, instance: str) -> str:
    """The file of what this host may do about an instance by itself, see `host.alone.grants`."""
    return "%s/run/alone/%s.json" % (root, instance)


def read_claim(root: str, instance: str) -> Optional[int]:
    """The epoch of the claim; None when there is none. A damaged one counts as none, as for muster-exec."""
    try:
        with open(claim_path(root, instance), encoding="utf-8") as handle:
            text = handle.readline().strip()
    except (OSError, UnicodeDecodeError):
        return None
    epoch = procs.number(text)
    return epoch if epoch >= 0 else None


def write_claim(
    root: str, instance: str, epoch: int, environment: Mapping[str, str], nothing_runs: bool = False
) -> None:
    """Allow programs of an instance to start under this epoch. Idempotent.

    :param environment: variables that muster-exec gives to its programs.
    :param nothing_runs: of the instance: then there may be no claim for a moment, see `files.write_over_nothing`.
    :raises ValueError: for a variable that a line cannot hold.
    :raises OSError: when it cannot be written.
    """
    lines = [str(epoch)]
    for name, value in environment.items():
        if "\n" in value or "=" in name or not name:
            raise ValueError("the variable %r of %s cannot be written into a claim" % (name, instance))
        lines.append("%s=%s" % (name, value))
    data = "".join(line + "\n" for line in lines).encode("utf-8")
    path = claim_path(root, instance)
    if files.read(path) != data:
        (files.write_over_nothing if nothing_runs else files.write_file)(path, data)


def remove_claim(root: str, instance: str) -> bool:
    """Forbid programs of an instance to start. :return: whether there was a claim."""
    return files.remove(claim_path(root, instance))


def claims(root: str) -> List[str]:
    """Sorted names of the instances with a claim file."""
    try:
        return sorted(name for name in os.listdir(root + "/run/claims") if not name.endswith(files.TEMPORARY))
    except OSError:
        return []


def read_seen(root: str, instance: str) -> Dict[str, Any]:
    """What this host remembers of an instance; {} when it never had it.

    :return: ``{"epoch": the highest that was seen, "digest": of the configuration it was started with, "deferred":
        [program], "failed": {program: why}}``; with ``ended`` where muster's listener noted that its bus ended.
    """
    seen = json_files.read("%s/run/seen/%s.json" % (root, instance))
    return seen if isinstance(seen.get("epoch"), int) else {}


def write_seen(root: str, instance: str, seen: Mapping[str, Any]) -> None:
    """Replace what `read_seen` returns.

    :raises OSError: when it cannot be written.
    """
    if read_seen(root, instance) != seen:
        data = json.dumps(seen, separators=(",", ":")).encode("utf-8")
        files.write_file("%s/run/seen/%s.json" % (root, instance), data)


def at_work(root: str, instance: str) -> bool:
    """Whether an agent holds the lock of an instance."""
    try:
        descriptor = os.open(_lock_path(root, instance), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_path(root: str, instance: str) -> str:
    return "%s/run/locks/%s" % (root, instance)


class Lock:
    """Lets only one agent work on an instance. The kernel frees it when the agent ends."""

    def __init__(self, root: str, instance: str) -> None:
        self._path = _lock_path(root, instance)
        self._descriptor = -1

    def take(self) -> bool:
        """Try to take it, without waiting. :return: False while another agent holds it."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.pwrite(self._descriptor, b"%-11d\n" % os.getpid(), 0)  # to truncate it first takes ext4 milliseconds
        return True

    def holder(self) -> str:
        """The process that holds it, as a phrase."""
        try:
            pid = os.pread(self._descriptor, 32, 0).decode().strip()
        except OSError:
            pid = ""
        return "process %s" % pid if pid else "another process"

    def release(self) -> None:
        """Free it. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Placing:
    """Copies configurations to where supervisord reads them. A context: one agent at a time, until they are loaded."""

    def __init__(self, root: str, host: Optional[Mapping[str, Any]] = None) -> None:
        """:param host: the facts of a request, where programs may run as other users."""
        self._root = root
        self._facts = host or {}
        self._descriptor = -1
        self._before: Dict[str, Optional[bytes]] = {}  # instance -> what was placed

    def __enter__(self) -> Placing:
        self._descriptor = files.lock(self._root + "/run/locks/.placing")  # held for milliseconds
        return self

    def __exit__(self, *_unused: object) -> None:
        os.close(self._descriptor)

    @property
    def must_load(self) -> bool:
        """Whether supervisord has not read something that is placed, be it by an agent that was killed."""
        return bool(self._before) or os.path.exists(self._mark)

    def place(self, instance: str, digest: str = "") -> None:
        """Place the configuration of an instance.

        :param digest: see `host.machine.generations.file`.
        :raises FileNotFoundError: when there is none.
        :raises OSError: when it cannot be written.
        """
        self._folders(instance)
        with open(generations.file(self._root, instance, digest, ".ini"), "rb") as handle:
            data = handle.read()
        path = _placed(self._root, instance)
        before = files.read(path)
        if before != data:
            with open(self._mark, "wb"):
                pass
            files.write_file(path, data)
            self._before.setdefault(instance, before)

    def _folders(self, instance: str) -> None:
        for folder in ("%s/log/%s" % (self._root, instance), "%s/var/%s" % (self._root, instance)):
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=files.FOLDER_MODE)
        if self._facts.get("runs_as"):
            accounts.let_write(self._facts, instance)

    def undo(self) -> List[str]:
        """Put back what was placed before. :return: the instances whose configuration had changed."""
        changed = sorted(self._before)
        for instance, before in self._before.items():
            if before is None:
                unplace(self._root, instance)
            else:
                files.write_file(_placed(self._root, instance), before)
        self._before = {}
        return changed

    def loaded(self) -> None:
        """Note that supervisord has read all of it."""
        self._before = {}
        files.remove(self._mark)

    @property
    def _mark(self) -> str:
        return self._root + "/etc/placed/.loading"


def is_placed(root: str, instance: str) -> bool:
    """Whether supervisord has, or will read, configuration of an instance."""
    return os.path.exists(_placed(root, instance))


def unplace(root: str, instance: str) -> None:
    """Remove the placed configuration of an instance. Idempotent."""
    files.remove(_placed(root, instance))


def leave_out(root: str) -> Tuple[List[str], List[str]]:
    """Take away what supervisord may be unable to read, before it starts: all that is placed, which each start of an
    instance places again, and the host services whose files are no text, as after a power cut.

    :return: (files that were placed, files of host services), by name.
    """
    placed = _names(root, "etc/placed")
    for name in placed:
        files.remove("%s/etc/placed/%s" % (root, name))
    damaged = [name for name in _names(root, "etc/services") if not _is_text("%s/etc/services/%s" % (root, name))]
    for name in damaged:
        os.replace("%s/etc/services/%s" % (root, name), "%s/etc/services/%s.damaged" % (root, name))
    return placed, damaged


def _names(root: str, folder: str) -> List[str]:
    try:
        return sorted(name for name in os.listdir("%s/%s" % (root, folder)) if name.endswith(".ini"))
    except OSError:
        return []


def _is_text(path: str) -> bool:
    data = files.read(path) or b""
    try:
        data.decode("utf-8")
    except ValueError:
        return False
    return b"\0" not in data


def _placed(root: str, instance: str) -> str:
    return "%s/etc/placed/%s.ini" % (root, instance)
