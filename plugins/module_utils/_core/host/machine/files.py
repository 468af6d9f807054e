# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of files that we write, on a host: only what changed, whole or not at all, nobody's own files touched.

What we wrote stands in the folder's ``.manifest.json``: ``{"digest", "files": {name: entry}}``, an entry being
``{"sha", "size", "mtime", "mode"}``. A file that is not in it, or no longer as it says, was written by somebody: the
first stays, the second is kept beside the new text as ``<name>.kept`` (both are foreign then, and reported).
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

    Files = Mapping[str, Mapping[str, str]]  # name below the folder -> {"text", "mode"}

MANIFEST = ".manifest.json"
_NEW = ".muster-new"
_JOURNAL = MANIFEST + ".next"
_DIFF_LIMIT = 200  # texts in one diff: beyond, only names help a reader
FOLDER_MODE = 0o750


class FolderError(Exception):
    """The folder cannot be written; the text is a sentence. What was there before is intact."""


class Change:
    """What writing a folder did, or in check mode would do."""

    __slots__ = ("diff", "digest", "foreign", "kept", "removed", "written")

    def __init__(self) -> None:
        self.written: List[str] = []
        self.removed: List[str] = []
        self.foreign: List[str] = []
        self.kept: List[str] = []  # copies of what somebody had changed
        self.diff: List[Dict[str, str]] = []
        self.digest = ""

    @property
    def changed(self) -> bool:
        return bool(self.written or self.removed)


def config_digest(files: Files) -> str:
    """The digest of a set of files as rendered, tokens and all: equal for all hosts that get the same."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(files):
        entry = files[name]
        data = entry["text"].encode("utf-8")
        digest.update(("%s\0%s\0%d\0" % (name, entry["mode"], len(data))).encode("utf-8"))
        digest.update(data)
    return digest.hexdigest()[:16]


def tokens(host: Mapping[str, Any]) -> Dict[str, str]:
    """What stands for this host in texts that were rendered once for all of them."""
    user, group = host.get("user") or "root", "0"
    if user != "root":
        import pwd

        try:
            group = str(pwd.getpwnam(user).pw_gid)
        except KeyError:
            group = user  # prepare has told that there is no such user
    return {"@@root@@": host["root"], "@@address@@": host["address"], "@@host@@": host["host"],
            "@@site_id@@": host["site_id"], "@@user@@": user,
            "@@hci_user@@": (host.get("display") or {}).get("user") or user, "@@group@@": group}


def read_manifest(folder: str) -> Dict[str, Any]:
    """What we wrote there; empty when nothing, or when it cannot be read."""
    import json

    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as handle:
            manifest: Dict[str, Any] = json.load(handle)
            return manifest if isinstance(manifest.get("files"), dict) else {}
    except (OSError, ValueError):
        return {}


def examine(folder: str) -> Tuple[str, List[str], List[str]]:
    """Compare a folder with what we wrote, by size, time and mode.

    :return: digest of what we wrote ("" when it is no longer that, or never was), names changed by somebody, names
        that are not ours.
    """
    manifest = read_manifest(folder)
    known = manifest.get("files", {})
    found = dict(_scan(folder))
    drift = [name for name, entry in known.items() if not _as_written(folder, found.get(name), entry, name)]
    foreign = sorted(name for name in found if name not in known)
    return ("" if drift else str(manifest.get("digest", ""))), sorted(drift), foreign


def write_folder(
    folder: str,
    files: Files,
    digest: str,
    replace: Optional[Mapping[str, str]] = None,
    check: bool = False,
    diff: bool = False,
    label: str = "",
) -> Change:
    """Make the folder hold exactly these files of ours.

    :param files: name below the folder -> ``{"text", "mode"}``.
    :param digest: kept in the manifest, told by `examine` as long as nobody touches the files.
    :param replace: token -> text, put into every file.
    :param label: what stands before a name in messages and diffs.
    :raises FolderError: when the disk is full or the folder not writable; nothing was changed then.
    """
    if check:
        return _write_folder(folder, files, digest, replace or {}, True, diff, label)
    try:
        os.makedirs(folder, mode=FOLDER_MODE, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FolderError(sentence(folder, error)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs may deploy at once
        return _write_folder(folder, files, digest, replace or {}, False, diff, label)
    finally:
        os.close(lock)


def sentence(path: str, error: OSError) -> str:
    """An error of the file system as a sentence."""
    return "cannot write %s: %s; what was there before is intact" % (error.filename or path, error.strerror or error)


def write_file(path: str, data: bytes, mode: int = 0o640) -> None:
    """Replace a file whole or not at all.

    :raises OSError: as `open`, `write` and `rename` do.
    """
    new = "%s.%d%s" % (path, os.getpid(), _NEW)
    try:
        _write_new(new, data, mode)
        os.rename(new, path)
    except OSError:
        _unlink(new)
        raise


def _write_folder(
    folder: str, files: Files, digest: str, replace: Mapping[str, str], check: bool, diff: bool, label: str
) -> Change:
    change = Change()
    change.digest = digest
    manifest = read_manifest(folder)
    known: Dict[str, Any] = manifest.get("files", {})
    journal = _read_journal(folder)
    found = dict(_scan(folder))
    entries: Dict[str, Dict[str, Any]] = {}
    fresh: Dict[str, Tuple[bytes, int]] = {}
    for name, wanted in files.items():
        text = wanted["text"]
        for token, value in replace.items():
            if token in text:
                text = text.replace(token, value)
        data = text.encode("utf-8")
        mode = int(wanted["mode"], 8)
        sha = _sha(data)
        entry, status = known.get(name), found.get(name)
        if entry and entry["sha"] == sha and _as_written(folder, status, entry, name) and entry["mode"] == mode:
            entries[name] = entry
            continue
        ours = (entry or {}).get("sha"), (journal.get(name) or {}).get("sha")
        before = None if status is None else _content(folder, name)
        if before is not None and _sha(before) not in (*ours, sha) and before.strip():
            change.kept.append(name)
        fresh[name] = (data, mode)
        entries[name] = {"sha": sha, "size": len(data), "mtime": 0, "mode": mode}
        change.written.append(name)
        if diff and len(change.diff) < _DIFF_LIMIT:
            change.diff.append(_diff(label + name, before, data))
    _plan_removals(folder, files, {**known, **journal}, found, change, diff, label)
    change.foreign = sorted(name for name in found if name not in known and name not in journal and name not in files)
    if not check and (change.changed or manifest.get("digest") != digest):
        try:
            _apply(folder, fresh, entries, digest, change)
        except OSError as error:
            raise FolderError(sentence(folder, error)) from None
        change.foreign = sorted(change.foreign + change.kept)
    return change


def _plan_removals(
    folder: str, files: Files, known: Mapping[str, Any], found: Mapping[str, os.stat_result], change: Change,
    diff: bool, label: str,
) -> None:
    for name in sorted(known):
        if name in files or name not in found:
            continue
        before = _content(folder, name)
        change.removed.append(name)
        if before.strip() and _sha(before) != known[name]["sha"]:
            change.kept.append(name)
        if diff and len(change.diff) < _DIFF_LIMIT:
            change.diff.append(_diff(label + name, before, None))


def _apply(
    folder: str, fresh: Mapping[str, Tuple[bytes, int]], entries: Dict[str, Dict[str, Any]], digest: str,
    change: Change,
) -> None:
    """All new texts beside the old ones first, then what they will be known as, then every rename."""
    import json

    made: List[str] = []
    try:
        parents = {os.path.dirname(name) for name in fresh}
        for parent in sorted(parents):
            if parent:
                os.makedirs(os.path.join(folder, parent), mode=FOLDER_MODE, exist_ok=True)
        for name, (data, mode) in fresh.items():
            path = os.path.join(folder, name) + _NEW
            made.append(path)
            entries[name]["mtime"] = _write_new(path, data, mode)
        content = json.dumps({"digest": digest, "files": entries}, separators=(",", ":")).encode("utf-8")
        journal = os.path.join(folder, _JOURNAL)
        made.append(journal + _NEW)
        _write_new(journal + _NEW, content, 0o640)
        os.rename(journal + _NEW, journal)
    except OSError:
        for path in made:
            _unlink(path)
        raise
    change.kept = [_keep(folder, name) for name in change.kept]
    for name in fresh:
        path = os.path.join(folder, name)
        os.rename(path + _NEW, path)
    for name in change.removed:
        _unlink(os.path.join(folder, name))
    for parent in sorted({os.path.dirname(name) for name in change.removed}, reverse=True):
        if parent:
            _rmdir(os.path.join(folder, parent))
    os.rename(journal, os.path.join(folder, MANIFEST))


def _keep(folder: str, name: str) -> str:
    """Keep what somebody wrote, beside ours."""
    copy = name + ".kept"
    number = 1
    while os.path.lexists(os.path.join(folder, copy)):
        number += 1
        copy = "%s.kept%d" % (name, number)
    os.link(os.path.join(folder, name), os.path.join(folder, copy))
    return copy


def _write_new(path: str, data: bytes, mode: int) -> int:
    """:return: its modification time, ns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _scan(folder: str, below: str = "") -> Iterator[Tuple[str, os.stat_result]]:
    """Every file below the folder but our bookkeeping and leftovers of an interrupted write."""
    try:
        entries = list(os.scandir(os.path.join(folder, below) if below else folder))
    except OSError:
        return
    for entry in entries:
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _scan(folder, name + "/")
        elif name not in (MANIFEST, _JOURNAL) and not name.endswith(_NEW):
            try:
                yield name, entry.stat(follow_symlinks=False)
            except OSError:
                continue


def _as_written(folder: str, status: Optional[os.stat_result], entry: Mapping[str, Any], name: str) -> bool:
    if status is None or status.st_size != entry["size"] or status.st_mode & 0o7777 != entry["mode"]:
        return False
    if status.st_mtime_ns == entry["mtime"]:
        return True
    return bool(_sha(_content(folder, name)) == entry["sha"])


def _read_journal(folder: str) -> Dict[str, Any]:
    """What an interrupted write was about to be known as."""
    import json

    try:
        with open(os.path.join(folder, _JOURNAL), encoding="utf-8") as handle:
            entries: Dict[str, Any] = json.load(handle)["files"]
            return entries
    except (OSError, ValueError, KeyError):
        return {}


def _content(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name), "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()[:32]


def _diff(name: str, before: Optional[bytes], after: Optional[bytes]) -> Dict[str, str]:
    return {
        "before": (before or b"").decode("utf-8", "replace"),
        "after": (after or b"").decode("utf-8", "replace"),
        "before_header": name if before is not None else "/dev/null",
        "after_header": name if after is not None else "/dev/null",
    }


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # somebody's own files are in it
