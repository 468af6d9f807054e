# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of an instance on a host: the one that it runs with, and earlier ones for the way back.

``etc/available`` has the newest of every instance. What an instance starts with is copied from there to
``etc/generations/<instance>/<digest>/`` and stays as it is: ``files/`` and the service manager's files. The link
``etc/current/<instance>`` shows its ``files/``; it changes when the instance starts, or takes changed files, and at no
other time. So whatever a deploy writes, an instance never has half of a configuration.
"""

from __future__ import annotations

import os

from . import files as machine_files
from . import json_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Mapping, Tuple

KEPT = 3  # configurations of an instance, the one that it runs with among them
SUFFIXES = (".ini", ".run")  # of the file for the service manager
UNITS = ".units"  # of the one that all instances of an application share, on systemd
RUN_MARK = "#@ "  # begins ``<instance>.run``; the name of the application follows
_INDEX = ".index.json"
_MAKING = ".making"


def available(root: str) -> Dict[str, str]:
    """Instance -> digest of what ``etc/available`` has of it; {} when that is not known."""
    found = json_files.read("%s/etc/generations/%s" % (root, _INDEX))
    return {str(name): str(digest) for name, digest in found.items()}


def replaced(root: str, digests: Mapping[str, str]) -> None:
    """Keep what ``etc/available`` is about to lose, and note what it is about to have.

    :param digests: instance -> digest of its new configuration.
    :raises OSError: when that cannot be written.
    """
    import json

    before = available(root)
    if before == digests:
        return
    for instance, digest in before.items():
        if digests.get(instance) not in (None, digest) and not os.path.isdir(_folder(root, instance, digest)):
            _copy(root, instance, digest)
            _prune(root, instance)
    for instance in _instances(root):
        if instance not in digests and not os.path.exists("%s/run/claims/%s" % (root, instance)):
            _forget(root, instance)
    os.makedirs(root + "/etc/generations", mode=machine_files.FOLDER_MODE, exist_ok=True)
    data = json.dumps(dict(digests), separators=(",", ":"), sort_keys=True).encode("utf-8")
    machine_files.write_file("%s/etc/generations/%s" % (root, _INDEX), data)


def chosen(root: str, instance: str, digest: str) -> str:
    """The digest of the configuration that an instance gets: the wanted one, or the newest where that is not here."""
    newest = available(root).get(instance, digest)
    return digest if newest == digest or os.path.isdir(_folder(root, instance, digest)) else newest


def file(root: str, instance: str, digest: str, suffix: str) -> str:
    """The path of the service manager's file in a configuration, which is made from ``etc/available`` where it is new.

    :param digest: see `chosen`; "": that of ``etc/available``, whatever it is.
    :raises FileNotFoundError: when this host has no configuration of the instance.
    :raises OSError: when it cannot be written.
    """
    source = "%s/etc/available/%s%s" % (root, instance, suffix)
    if _newest(root, instance, digest) and not os.path.exists(source):
        raise FileNotFoundError(2, "No such file or directory", source)
    _make(root, instance, digest)
    return "%s/%s%s" % (_folder(root, instance, digest), instance, suffix)


def units(root: str, instance: str, digest: str) -> str:
    """The path of the units of a configuration, after `file`; need not exist in one that an earlier version kept."""
    return "%s/%s%s" % (_folder(root, instance, digest), instance, UNITS)


def use(root: str, instance: str, digest: str) -> str:
    """Show an instance this configuration.

    :param digest: see `chosen`.
    :return: what the link showed before; "" when there was none.
    :raises OSError: when it cannot be written.
    """
    _make(root, instance, digest)
    link, target = _link(root, instance), "../generations/%s/%s/files" % (instance, digest or "_")
    try:
        before = os.readlink(link)
    except OSError:
        before = ""
    if before != target:
        _point(link, target)
        _prune(root, instance)
    return before


def put_back(root: str, instance: str, before: str) -> None:
    """Undo `use`."""
    if before:
        _point(_link(root, instance), before)


def _newest(root: str, instance: str, digest: str) -> bool:
    return available(root).get(instance, digest) == digest


def _make(root: str, instance: str, digest: str) -> None:
    """Make a configuration of what is available, unless it is an earlier one, or has just that already."""
    if _newest(root, instance, digest) and not _same(root, instance, digest):
        _copy(root, instance, digest)


def _point(link: str, target: str) -> None:
    os.makedirs(os.path.dirname(link), mode=machine_files.FOLDER_MODE, exist_ok=True)
    new = "%s.%d%s" % (link, os.getpid(), machine_files.TEMPORARY)
    machine_files.remove(new)
    os.symlink(target, new)
    os.rename(new, link)


def _texts(root: str, instance: str) -> Iterator[Tuple[str, str]]:
    """(path below a configuration's folder, source) of each file in ``etc/available``."""
    top = root + "/etc/available/"
    for suffix in SUFFIXES:
        if os.path.exists(top + instance + suffix):
            yield instance + suffix, top + instance + suffix
    shared = _units_of(top, instance)
    if shared:
        yield instance + UNITS, shared
    for folder, _folders, names in os.walk(top + instance):
        for name in names:
            path = os.path.join(folder, name)
            if not name.endswith(machine_files.TEMPORARY) and os.path.isfile(path) and not os.path.islink(path):
                yield "files/" + os.path.relpath(path, top + instance), path


def _units_of(top: str, instance: str) -> str:
    """The path of the units of an instance's application in a folder; empty where there are none."""
    words = (machine_files.read(top + instance + ".run") or b"").split(b"\n", 1)[0].decode("utf-8", "replace").split()
    path = "%s%s%s" % (top, words[1], UNITS) if len(words) > 1 and words[0] == RUN_MARK.strip() else ""
    return path if path and os.path.isfile(path) else ""


def _same(root: str, instance: str, digest: str) -> bool:
    folder = _folder(root, instance, digest)
    return os.path.isdir(folder + "/files") and all(
        machine_files.read(os.path.join(folder, name)) == machine_files.read(source)
        for name, source in _texts(root, instance)
    )


def _copy(root: str, instance: str, digest: str) -> None:
    """Make a configuration of what ``etc/available`` has of the instance."""
    folder = _folder(root, instance, digest)
    making = folder + _MAKING
    _drop(making)
    try:
        for made in (os.path.dirname(folder), making, making + "/files"):  # each of them with that mode
            os.makedirs(made, mode=machine_files.FOLDER_MODE, exist_ok=True)
        for name, source in _texts(root, instance):
            data, path = machine_files.read(source), os.path.join(making, name)
            if name == instance + UNITS:
                os.link(source, path)  # a deploy puts another file there, so all instances share this one
            elif data is not None:
                os.makedirs(os.path.dirname(path), mode=machine_files.FOLDER_MODE, exist_ok=True)
                machine_files.write_file(path, data, os.stat(source).st_mode & 0o7777)
        _drop(folder)
        os.rename(making, folder)
    except OSError:
        _drop(making)
        raise


def _prune(root: str, instance: str) -> None:
    """Keep the newest ones, and what the instance has."""
    top = "%s/etc/generations/%s" % (root, instance)
    try:
        now = os.readlink(_link(root, instance)).split("/")[-2]
    except (OSError, IndexError):
        now = ""
    try:
        found = [(os.stat(os.path.join(top, name)).st_mtime_ns, name) for name in os.listdir(top)]
    except OSError:
        return
    others = sorted((age, name) for age, name in found if name != now)
    for _age, name in others[: max(0, len(others) - (KEPT - 1))]:
        _drop(os.path.join(top, name))


def _forget(root: str, instance: str) -> None:
    machine_files.remove(_link(root, instance))
    _drop("%s/etc/generations/%s" % (root, instance))


def _drop(folder: str) -> None:
    """Remove a folder, which need not be there."""
    if os.path.lexists(folder):
        import shutil  # seldom: a start must not pay for it

        shutil.rmtree(folder, ignore_errors=True)


def _instances(root: str) -> Iterator[str]:
    try:
        yield from [name for name in os.listdir(root + "/etc/generations") if not name.startswith(".")]
    except OSError:
        return


def _folder(root: str, instance: str, digest: str) -> str:
    return "%s/etc/generations/%s/%s" % (root, instance, digest or "_")


def _link(root: str, instance: str) -> str:
    return "%s/etc/current/%s" % (root, instance)
