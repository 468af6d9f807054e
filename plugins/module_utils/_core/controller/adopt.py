# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of the ledger in any folder, and a ledger made of one: by `restore` as it is, by `adopt` with more.

A ledger that is there and sound is never replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from typing import Any, Dict, List, Mapping, Tuple

from ..model import site as site_model
from ..plan import adoption
from . import ledger_files, ledgers, packed, publish
from .ledger import Ledger, LedgerDamaged, LedgerError
from .places import BACKUP_FOLDER, LEDGER_FILE, MONITOR_LOCK, SITE_FILE, WATCH_FILE

ABOVE = 1000  # revisions left out: what followed the lost ledger takes only newer ones

Json = Dict[str, Any]


class NotAdopted(LedgerError):
    """No ledger was made; the text says why, and what to do."""


def export(state_dir: str, folder: str, keep: int = ledger_files.BACKUPS) -> str:
    """Copy the ledger into a folder of its own below `folder`; the newest `keep` stay there.

    :return: the path of the copy.
    :raises LedgerError: when the ledger or the folder cannot be used.
    """
    with ledgers.open_ledger(state_dir) as ledger:
        ledger.check()
        if not folder:
            return ledger.backup(keep=keep)
        below = os.path.join(folder, str(ledger.read()[0]["meta"]["site_id"]))
        try:
            os.makedirs(below, mode=0o700, exist_ok=True)
        except OSError as error:
            raise LedgerError("no folder can be made in %s: %s" % (folder, error.strerror or error)) from error
        return ledger.backup(below, keep)


def adopt(site: site_model.Site, request: Mapping[str, Any], check: bool) -> Json:
    """Make the ledger of a living site, or tell what it would hold.

    :param request: ``observations`` with their ``evidence``, which has copies that hosts keep; ``backup``: a file, or a
        folder that counts beside those copies, else the backups of the state folder; ``down``: hosts that a person has
        seen switched off; ``exact``: the backup as it is; ``agreed``: the fingerprint of what the person
        was shown, or "" to be shown it; ``who``.
    :return: ``{"lines", "fingerprint", "adopted"}``.
    :raises NotAdopted: with every reason.
    """
    path = os.path.join(site.state_dir, LEDGER_FILE)
    elsewhere = ledgers.where(site.state_dir)
    if elsewhere:
        raise NotAdopted("the ledger is in %s, not in this folder: nothing is lost with it" % ledgers.phrase(elsewhere))
    agreed = "" if check else str(request.get("agreed") or "")
    with contextlib.ExitStack() as later:
        later.enter_context(without_monitor(site.state_dir, bool(agreed)))
        _nothing_to_lose(path)
        observations = request.get("observations") or {}
        made = tempfile.TemporaryDirectory(prefix="muster-adopt-")
        later.callback(made.cleanup)
        backups, broken = _found(str(request.get("backup") or ""), site)
        if not os.path.isfile(str(request.get("backup") or "")):  # a person who names one wants that one
            _from_hosts(observations, site, made.name, backups, broken)
        who, now = str(request.get("who") or ledger_files.user_name(os.geteuid())), time.time()
        exact = bool(request.get("exact"))
        believed = adoption.belief(
            site, backups, observations, request.get("down") or [], who, now, exact
        )
        if believed.refusals:
            raise NotAdopted("\n".join(believed.refusals))
        mark = hashlib.sha256(("%s %s" % (exact, believed.gist())).encode()).hexdigest()[:16]
        lines = ["would believe:"] + ["  " + line for line in broken + list(believed.believed)]
        lines += ["cannot know:"] + ["  " + line for line in believed.unknown]
        if agreed and agreed != mark:
            raise NotAdopted("what the hosts show has changed since it was shown: look at it again")
        if not agreed:
            return {"lines": lines, "fingerprint": mark, "adopted": False}
        _make(site, path, believed, who, now)
    return {"lines": lines, "fingerprint": mark, "adopted": True}


@contextlib.contextmanager
def without_monitor(state_dir: str, make: bool) -> Any:
    """Keep the monitor of this state folder from starting meanwhile.

    :param make: the state folder, when it is not there.
    :raises NotAdopted: when it runs.
    """
    lock = os.path.join(state_dir, MONITOR_LOCK)
    if not make and not os.path.exists(lock):
        yield
        return
    ledger_files.make_folder(state_dir, NotAdopted)
    os.makedirs(os.path.dirname(lock), mode=0o700, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotAdopted("the monitor of %s runs: stop it first" % state_dir) from None
        yield
    finally:
        os.close(handle)


def _nothing_to_lose(path: str) -> None:
    """:raises NotAdopted: when there is a ledger that works."""
    with Ledger(path) as ledger:
        if not ledger.exists():
            return
        try:
            ledger.check()
            state, revision = ledger.read()
        except LedgerDamaged:
            return  # it was copied aside
    if state["claims"] or state["wanted"] or ledger.has_planned():
        raise NotAdopted("there is a ledger at %s (revision %d), and it is sound: nothing is lost, so nothing is put "
                         "in its place. To go back to a backup all the same, move it away first" % (path, revision))


def _found(source: str, site: site_model.Site) -> Tuple[List[adoption.Backup], List[str]]:
    """The backups that can be read, and a line for each that cannot.

    :raises NotAdopted: when a source was named and there is no backup in it.
    """
    if source and not os.path.exists(source):
        raise NotAdopted("there is no backup at %s" % source)
    folder = source or os.path.join(site.state_dir, BACKUP_FOLDER)
    paths = [source] if os.path.isfile(source) else _below(folder)
    if source and not paths:
        raise NotAdopted("there is no backup (ledger-*.db) in %s" % source)
    backups, broken = [], []
    for path in paths:
        try:
            with Ledger(path, copy=True) as copy:
                copy.check()
                state, revision = copy.read()
            if state["meta"].get("site") != site.name:
                broken.append("%s is of the site %s and does not count" % (path, state["meta"].get("site")))
                continue
            backups.append(adoption.Backup(path, state, revision, os.stat(path).st_mtime))
        except (LedgerError, OSError) as error:
            broken.append("%s does not count: %s" % (path, error))
    return backups, broken


def _from_hosts(
    observations: Mapping[str, Any], site: site_model.Site, folder: str, backups: List[adoption.Backup],
    broken: List[str],
) -> None:  # fmt: skip
    """Add the copies that hosts keep, as files of a folder of this run.

    :param broken: gets a line for each that cannot be read.
    """
    for name, document in sorted(observations.items()):
        copy = (document.get("evidence") or {}).get("copy")
        if not copy:
            continue
        place, path = "the copy that %s keeps" % name, os.path.join(folder, "ledger-%s.db" % name)
        try:
            packed.unpack(copy, path)
            with Ledger(path, copy=True) as known:
                state, revision = known.read()
            if state["meta"].get("site") != site.name:
                broken.append("%s is of the site %s and does not count" % (place, state["meta"].get("site")))
                continue
            backups.append(adoption.Backup(path, state, revision, float(copy.get("at") or 0.0), place))
        except (LedgerError, OSError, ValueError) as error:
            broken.append("%s does not count: %s" % (place, error))


def _below(folder: str) -> List[str]:
    found = ledger_files.copies(folder)
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder)):
            found += ledger_files.copies(os.path.join(folder, name))
    return found


def _make(site: site_model.Site, path: str, believed: adoption.Belief, who: str, now: float) -> None:
    """The ledger, whole or not at all: it is made beside its place, and then linked there."""
    fresh = "%s.adopted-%s" % (path, os.urandom(4).hex())
    try:
        with Ledger(fresh) as ledger:
            if believed.backup is None:
                ledger.create(site.name, believed.site_id)
            else:
                _copy(believed.backup.path, fresh)
            state, revision = ledger.read()
            published = publish.read_published(site.state_dir, WATCH_FILE)
            shown = int(published.get("revision") or 0) if published.get("site_id") == believed.site_id else 0
            entry = {
                "at": now, "who": who, "from": site.controller, "result": "revision %d was the last known" % revision,
                "what": "the site was adopted" if believed.changes else "the ledger was restored",
                "why": "from %s" % believed.backup.where if believed.backup else "from what the hosts show",
            }  # fmt: skip
            changes = dict(believed.changes)
            mark = state["meta"].get("site_mark")
            if mark and publish.read_published(site.state_dir, SITE_FILE).get("mark") != mark:
                changes["meta"] = {"site_mark": None}  # what was deployed last is not known here
            ledger.commit(revision, changes, [entry], above=max(revision, shown) + ABOVE)
        put_in_place(fresh, path)
    except FileExistsError:
        raise NotAdopted("another run made a ledger at %s meanwhile: it was left as it is" % path) from None
    except OSError as error:
        raise NotAdopted("the ledger could not be made at %s: %s" % (path, error.strerror or error)) from error
    finally:
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(fresh + end)


def _copy(source: str, target: str) -> None:
    made = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(made, "wb") as copy, open(source, "rb") as reading:
        shutil.copyfileobj(reading, copy)


def put_in_place(fresh: str, path: str) -> None:
    """What is not a working ledger any more makes room; it stays beside it."""
    if os.path.lexists(path):
        os.rename(path, "%s.before-%s" % (path, os.urandom(4).hex()))
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + end)
    os.link(fresh, path)
    ledger_files.sync_folder(os.path.dirname(path))
