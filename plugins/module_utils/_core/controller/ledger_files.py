# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's surroundings: its folder and owner, backups, a damaged file's copy, who holds the lock, boot time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import sqlite3
import stat
import time
from typing import List, Optional, Type

from .places import BACKUP_FOLDER

BACKUPS = 3
UNFINISHED = 3600.0  # s after which an unfinished copy counts as abandoned


def make_folder(folder: str, error: Type[Exception]) -> None:
    """Make the state folder, for its owner only.

    :raises error: when it cannot be made or belongs to another user."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as reason:
        raise error("the state folder %s cannot be made: %s" % (folder, reason.strerror)) from reason
    check_owner(folder, error)
    if stat.S_IMODE(os.stat(folder).st_mode) != 0o700:
        os.chmod(folder, 0o700)


def check_owner(folder: str, error: Type[Exception]) -> None:
    """Only the owner of the state folder may run what changes things. A missing folder is accepted.

    :raises error: when it belongs to another user."""
    try:
        found = os.stat(folder)
    except FileNotFoundError:
        return
    except OSError as reason:
        raise error("the state folder %s cannot be read: %s" % (folder, reason.strerror)) from reason
    if found.st_uid != os.geteuid():
        raise error(
            "the state folder %s belongs to %s and you are %s: run this as %s"
            % (folder, user_name(found.st_uid), user_name(os.geteuid()), user_name(found.st_uid))
        )


def user_name(uid: int) -> str:
    """The name of a user, or ``user 1000`` for one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "user %d" % uid


def sync_folder(folder: str) -> None:
    """Make renames and links in this folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unchanging(path: str) -> str:
    """SQLite's address of a file that nobody writes to: nothing is locked or made beside it."""
    from urllib.parse import quote  # takes milliseconds, and only copies need it

    return "file:%s?immutable=1" % quote(os.path.abspath(path))


def own_backups(path: str) -> str:
    """The folder of a ledger's backups, beside it; made when it is not there."""
    folder = os.path.join(os.path.dirname(path), BACKUP_FOLDER)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def backup(database: sqlite3.Connection, folder: str, revision: int, keep: int = BACKUPS) -> str:
    """Copy an open ledger into a folder; see `Ledger.backup`."""
    target = os.path.join(folder, "ledger-%010d.db" % revision)
    if os.path.exists(target):
        return target
    fresh = "%s.new-%d" % (target, os.getpid())
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")  # a copy that fails is thrown away
            copy.execute("PRAGMA synchronous = OFF")
            database.backup(copy)
        handle = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(fresh, target)
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(fresh + end)
    for old in copies(folder)[:-keep] + _left_behind(folder):
        with contextlib.suppress(OSError):
            os.unlink(old)
    return target


def _left_behind(folder: str) -> List[str]:
    """Copies that were never finished: their process was killed, or the power went."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if ".db.new-" in entry.name and entry.stat().st_mtime < time.time() - UNFINISHED:
                found.append(entry.path)
    return found


def backups(path: str) -> List[str]:
    """The backups of a ledger beside it, oldest first."""
    return copies(os.path.join(os.path.dirname(path), BACKUP_FOLDER))


def copies(folder: str) -> List[str]:
    """The backups in a folder, oldest first."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith("ledger-") and name.endswith(".db"))
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names]


def keep_damaged(path: str, why: str) -> str:
    """Copy a damaged ledger aside (once per content); returns the sentence that names copy and newest backup."""
    try:
        with open(path, "rb") as handle:
            mark = hashlib.sha256(handle.read()).hexdigest()[:8]
        aside = "%s.damaged-%s" % (path, mark)
        if not os.path.exists(aside):
            shutil.copy2(path, aside)
            if os.path.exists(path + "-wal"):
                shutil.copy2(path + "-wal", aside + "-wal")
        kept = "it was left as it is and copied to %s" % aside
    except OSError as error:
        kept = "it was left as it is and could not be copied: %s" % error.strerror
    found = backups(path)
    if found:
        steps = "stop the monitor, muster ledger restore, muster deploy"
        kept += "; to go on from the last backup (%s): %s" % (found[-1], steps)
    else:
        kept += "; there is no backup yet"
    return "the ledger %s is damaged (%s): %s" % (path, why, kept)


def lock_holder(path: str) -> str:
    """`` by process 41 (...)`` for the process with a write lock on the ledger, or "" when the system does not say.

    Asked of /proc/locks: opening and closing the file here would drop this process' own locks on it.
    """
    inodes = {_inode(path), _inode(path + "-shm")} - {None}
    try:
        with open("/proc/locks", encoding="ascii") as handle:
            lines = handle.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if len(words) < 6 or words[1] not in ("POSIX", "OFDLCK") or words[3] != "WRITE":
            continue
        if words[5] in inodes and words[4] != str(os.getpid()) and int(words[4]) > 0:
            return " by process %s%s" % (words[4], _command(words[4]))
    return ""


def _inode(path: str) -> Optional[str]:
    """As /proc/locks writes it."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return "%02x:%02x:%d" % (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)


def _command(pid: str) -> str:
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as handle:
            words = handle.read().decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        return ""
    return " (%s)" % (words if len(words) <= 80 else words[:77] + "...") if words else ""


def disk_state(path: str) -> str:
    """``; 0 kB are free there`` when that may be the reason."""
    try:
        found = os.statvfs(os.path.dirname(path))
    except OSError:
        return ""
    free = found.f_bavail * found.f_frsize // 1024
    return "; %d kB are free on that disk" % free if free < 4096 else ""
