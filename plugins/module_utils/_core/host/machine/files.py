# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on a host: the only place that replaces files there. Single files, and folders that muster manages.

A file is replaced atomically: written under a temporary name, then renamed. Of a managed folder only files that changed
are replaced; files that muster did not write are left alone. What muster wrote is listed in ``.manifest.json`` of the
folder: ``{"digest", "files": {name: entry}}``, an entry being ``{"sha", "size", "mtime", "mode"}``. A file that is not
listed is foreign: it stays and is reported. A listed file that no longer matches its entry was changed outside muster:
it is kept as ``<name>.kept``, foreign from then on, and replaced.
"""

from __future__ import annotations

import fcntl
import os

from . import accounts, json_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

    from .differences import Differences

    Files = Mapping[str, Mapping[str, str]]  # name below the folder -> {"text", "mode"}

MANIFEST = ".manifest.json"
TEMPORARY = ".muster-new"  # end of the name of a file that is not complete yet
_JOURNAL = MANIFEST + ".next"
FOLDER_MODE = 0o750


class FolderError(Exception):
    """A folder cannot be written, and was not changed; the text is a sentence."""


class Change:
    """What writing a folder did, or in check mode would do. Names are relative to the folder."""

    __slots__ = ("diff", "digest", "foreign", "kept", "removed", "written")

    def __init__(self) -> None:
        self.written: List[str] = []
        self.removed: List[str] = []
        self.foreign: List[str] = []
        self.kept: List[str] = []  # copies of files that were changed outside muster
        self.diff: List[Dict[str, str]] = []
        self.digest = ""

    @property
    def changed(self) -> bool:
        return bool(self.written or self.removed)


def config_digest(files: Files) -> str:
    """The digest of a set of files, 16 hexadecimal digits.

    It is made before tokens are replaced, so hosts with the same configuration have the same digest.
    """
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(files):
        entry = files[name]
        data = entry["text"].encode("utf-8")
        digest.update(("%s\0%s\0%d\0" % (name, entry["mode"], len(data))).encode("utf-8"))
        digest.update(data)
    return digest.hexdigest()[:16]


def tokens(host: Mapping[str, Any]) -> Dict[str, str]:
    """The tokens in rendered texts, and what replaces them on this host.

    Texts are rendered once for all hosts.

    :param host: the facts of a request.
    """
    user, group = host.get("user") or "root", "0"
    if user != "root":
        import pwd

        try:
            group = str(pwd.getpwnam(user).pw_gid)
        except KeyError:
            group = user  # `prepare` reports that there is no such user
    return {**accounts.tokens(host), "@@root@@": host["root"], "@@address@@": host["address"], "@@host@@": host["host"],
            "@@site_id@@": host["site_id"], "@@user@@": user,
            "@@hci_user@@": (host.get("display") or {}).get("user") or user, "@@group@@": group}


def read_manifest(folder: str) -> Dict[str, Any]:
    """The manifest of a folder, see above; {} when there is none, or it cannot be read."""
    manifest = json_files.read(os.path.join(folder, MANIFEST))
    return manifest if isinstance(manifest.get("files"), dict) else {}


def examine(folder: str) -> Tuple[str, List[str], List[str]]:
    """Compare a folder with its manifest: by size and mode, and by content where the time differs.

    :return: (digest of what muster wrote, "" when files differ from it or it wrote none; sorted names of files that
        were changed or removed outside muster; sorted names of foreign files).
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
    diff: Optional[Differences] = None,
) -> Change:
    """Make a folder hold exactly these files, besides foreign ones. Idempotent. Runs at the same time wait here.

    :param files: name below the folder -> ``{"text", "mode"}``, the mode in octal digits.
    :param digest: kept in the manifest; `examine` returns it while the files are unchanged.
    :param replace: token -> text that replaces it in every file, see `tokens`.
    :param check: change nothing.
    :param diff: gets what changes, for `Change.diff`.
    :raises FolderError: when the disk is full or the folder not writable; nothing was changed then.
    """
    if check:
        return _write_folder(folder, files, digest, replace or {}, True, diff)
    try:
        os.makedirs(folder, mode=FOLDER_MODE, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FolderError(sentence(folder, error)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # two runs may deploy at once
        return _write_folder(folder, files, digest, replace or {}, False, diff)
    finally:
        os.close(descriptor)


def sentence(path: str, error: OSError) -> str:
    """An error of the file system as a sentence.

    :param path: named where the error itself names none.
    """
    return "cannot write %s: %s; what was there before is intact" % (error.filename or path, error.strerror or error)


def write_file(path: str, data: bytes, mode: int = 0o640) -> None:
    """Write a file atomically: readers see the old content or the new one.

    :raises OSError: as `open`, `write` and `rename` do; the old file is intact then.
    """
    new = "%s.%d%s" % (path, os.getpid(), TEMPORARY)
    try:
        _write_new(new, data, mode)
        os.rename(new, path)
    except OSError:
        remove(new)
        raise


def write_over_nothing(path: str, data: bytes) -> None:
    """As `write_file`, but for a moment there is no file: ext4 writes a file that replaces another one to the disk
    first, which takes 5 to 10 ms.

    :raises OSError: as `write_file`; the old file may be gone then.
    """
    remove(path)
    write_file(path, data)


def read(path: str) -> Optional[bytes]:
    """The content of a file; None when there is no such file.

    :raises OSError: as `open` and `read` do, for any other reason.
    """
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None


def remove(path: str) -> bool:
    """Remove a file. :return: whether there was one.

    :raises OSError: as `unlink` does, for any other reason.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def lock(path: str, shared: bool = False) -> int:
    """Wait until this process holds a lock; the file is made where it is missing.

    :return: a descriptor; closing it frees the lock, as does the end of the process.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    return descriptor


def _write_folder(
    folder: str, files: Files, digest: str, replace: Mapping[str, str], check: bool, diff: Optional[Differences]
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
        if diff is not None:
            diff.add(name, before, data)
    _plan_removals(folder, files, {**known, **journal}, found, change, diff)
    change.diff = diff.shown() if diff is not None else []
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
    diff: Optional[Differences],
) -> None:
    for name in sorted(known):
        if name in files or name not in found:
            continue
        before = _content(folder, name)
        change.removed.append(name)
        if before.strip() and _sha(before) != known[name]["sha"]:
            change.kept.append(name)
        if diff is not None:
            diff.add(name, before, None)


def _apply(
    folder: str, fresh: Mapping[str, Tuple[bytes, int]], entries: Dict[str, Dict[str, Any]], digest: str,
    change: Change,
) -> None:
    """Write all new files under temporary names, then the journal, then rename all: an interruption loses nothing."""
    import json

    made: List[str] = []
    try:
        parents = {os.path.dirname(name) for name in fresh}
        for parent in sorted(parents):
            if parent:
                os.makedirs(os.path.join(folder, parent), mode=FOLDER_MODE, exist_ok=True)
        for name, (data, mode) in fresh.items():
            path = os.path.join(folder, name) + TEMPORARY
            made.append(path)
            entries[name]["mtime"] = _write_new(path, data, mode)
        content = json.dumps({"digest": digest, "files": entries}, separators=(",", ":")).encode("utf-8")
        journal = os.path.join(folder, _JOURNAL)
        made.append(journal + TEMPORARY)
        _write_new(journal + TEMPORARY, content, 0o640)
        os.rename(journal + TEMPORARY, journal)
    except OSError:
        for path in made:
            remove(path)
        raise
    change.kept = [_keep(folder, name) for name in change.kept]
    for name in fresh:
        path = os.path.join(folder, name)
        os.rename(path + TEMPORARY, path)
    for name in change.removed:
        remove(os.path.join(folder, name))
    for parent in sorted({os.path.dirname(name) for name in change.removed}, reverse=True):
        if parent:
            _rmdir(os.path.join(folder, parent))
    os.rename(journal, os.path.join(folder, MANIFEST))


def _keep(folder: str, name: str) -> str:
    """Keep a file that was changed outside muster. :return: the name of the copy."""
    copy = name + ".kept"
    number = 1
    while os.path.lexists(os.path.join(folder, copy)):
        number += 1
        copy = "%s.kept%d" % (name, number)
    os.link(os.path.join(folder, name), os.path.join(folder, copy))
    return copy


def _write_new(path: str, data: bytes, mode: int) -> int:
    """:return: modification time of the file, ns."""
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
    """Every file below the folder but the manifest, the journal and files that are not complete."""
    try:
        entries = list(os.scandir(os.path.join(folder, below) if below else folder))
    except OSError:
        return
    for entry in entries:
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _scan(folder, name + "/")
        elif name not in (MANIFEST, _JOURNAL) and not name.endswith(TEMPORARY):
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
    """The entries that an interrupted write was about to put into the manifest."""
    entries = json_files.read(os.path.join(folder, _JOURNAL)).get("files")
    return entries if isinstance(entries, dict) else {}


def _content(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name), "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()[:32]


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # foreign files are in it
