# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that systemd and muster-exec read, made from the two rendered files of an instance.

``etc/available/<application>.units`` holds the unit templates of an application, each after a line
``#@ <name of the unit>``; they go to `UNITS`, which does not outlive a reboot, so that nothing of an instance starts by
itself. What has another configuration than the newest gets units of its own there, see `own_units`.
``etc/available/<instance>.run`` begins with ``#@ <application> <item>``, then has per program a line
``#@ <program>``, the variables of its environment (``NAME=value``) and its arguments (``>argument``), one a line;
muster-exec reads the part of its program below ``etc/placed/<instance>/``. A host service has both files below
``etc/services``; its unit goes to `PERSISTENT_UNITS`, because it starts with the host.
"""

from __future__ import annotations

import os

from ...lease.allowed import SETTINGS_FILE
from ...machine import accounts, files, generations, instance_files
from . import orders, own_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

UNITS = "/run/systemd/system"
PERSISTENT_UNITS = "/etc/systemd/system"
MARK = "#@ "
OWNER = "# muster: "  # begins the first line of a muster unit, which names its host
REPLY = ".guard-"  # begins the name of a FIFO in which the guard answers a program, see `guard`
_NAMES = ".names"
_WANTS = "multi-user.target.wants"
_LEASE = "60-lease.conf"
_DROP_IN = "%s%s-.slice.d/" + _LEASE
_CHANGED = "/run/locks/.systemd-reload"


class NotOurs(OSError):
    """A unit of that name belongs to another host or person; `strerror` is a sentence."""


def owner(host: Mapping[str, Any]) -> str:
    """The first line of every unit of this host."""
    return "%s%s %s" % (OWNER, host["site_id"], host["root"])


def sections(text: str) -> Iterator[Tuple[str, str]]:
    """The parts of a rendered file: (text after the mark, lines of the part)."""
    name, lines = "", []  # type: str, List[str]
    for line in text.split("\n"):  # not splitlines: that splits at more characters, which arguments may hold
        if line.startswith(MARK):
            if name:
                yield name, "\n".join(lines).strip("\n") + "\n"
            name, lines = line[len(MARK) :].strip(), []
        elif name:
            lines.append(line)
    if name:
        yield name, "\n".join(lines).strip("\n") + "\n"


def read_names(root: str, instance: str) -> Optional[Tuple[str, str]]:
    """(application, item) of a placed instance; None when it is not placed."""
    words = _names(root, instance)
    return (words[0], words[1]) if len(words) > 1 else None


def _names(root: str, instance: str) -> List[str]:
    """[application, item, digest] of a placed instance; the digest is missing where an earlier version placed it."""
    data = files.read("%s/etc/placed/%s/%s" % (root, instance, _NAMES))
    return (data or b"").decode("utf-8", "replace").split()


def bus_of(root: str, instance: str) -> str:
    """The program of a placed instance that is its bus; empty when none is marked so."""
    folder = "%s/etc/placed/%s" % (root, instance)
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return ""
    for name in names:
        data = _read_quietly(os.path.join(folder, name)) or b""
        if data.startswith(b"MUSTER_BUS=") or b"\nMUSTER_BUS=" in data:
            return name
    return ""


def write_unit(folder: str, name: str, text: str, mine: str) -> Optional[bool]:
    """Write a unit, or a drop-in.

    :param name: of the unit, or ``<unit>.d/<name>`` of a drop-in.
    :param mine: see `owner`.
    :return: None when nothing changed; else whether systemd must reload to know the new text.
    :raises NotOurs: when another host or person wrote a unit of that name.
    """
    path = os.path.join(folder, name)
    data = ("%s\n%s" % (mine, text)).encode("utf-8")
    before = files.read(path)
    if before == data:
        return None
    if before is not None and before.split(b"\n", 1)[0] != mine.encode("utf-8"):
        raise NotOurs(17, "the unit %s of this machine does not belong to this host: %s" % (
            name, before.split(b"\n", 1)[0].decode("utf-8", "replace")))
    if "/" in name:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    files.write_file(path, data, 0o644)
    return before is not None or "/" in name


def names_of(folder: str, mine: str) -> List[str]:
    """Names of the units in a folder that belong to this host; drop-ins as ``<unit>.d/<name>``.

    :param mine: see `owner`.
    """
    found = []
    first = mine.encode("utf-8") + b"\n"
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        if not entry.name.startswith("muster-") or entry.is_symlink():
            continue
        names = [entry.name]
        if entry.is_dir():
            names = ["%s/%s" % (entry.name, below) for below in sorted(os.listdir(entry.path))]
        found += [name for name in names if (_read_quietly(os.path.join(folder, name)) or b"").startswith(first)]
    return found


def remove_units(folder: str, names: List[str]) -> None:
    """Remove units and drop-ins, as `names_of` returns them. Idempotent."""
    for name in names:
        files.remove(os.path.join(folder, name))
        if "/" in name:
            try:
                os.rmdir(os.path.join(folder, os.path.dirname(name)))
            except OSError:
                continue  # foreign drop-ins are in it


class UnitPlacing(instance_files.Placing):
    """As the base class, for units and the files of muster-exec. systemd must read only changed units again."""

    def __init__(self, host: Mapping[str, Any]) -> None:
        super().__init__(host["root"])
        self._mine = owner(host)
        self._host = host

    @property
    def must_load(self) -> bool:
        return True  # the target of each instance must be started; see also `must_reload`

    @property
    def must_reload(self) -> bool:
        """Whether units were changed that systemd may have read before."""
        return os.path.exists(self._mark)

    def place(self, instance: str, digest: str = "") -> None:
        """As the base class.

        :raises ValueError: when the rendered file is damaged.
        """
        self._folders(instance)
        accounts.let_write(self._host, instance)
        with open(generations.file(self._root, instance, digest, ".run"), encoding="utf-8") as handle:
            parts = list(sections(handle.read()))
        words = parts[0][0].split() if parts else []
        if len(words) != 2:
            raise OSError(22, "%s.run is damaged: deploy again" % instance)
        self._units(instance, digest, words[0], words[1])
        folder = "%s/etc/placed/%s" % (self._root, instance)
        os.makedirs(folder, mode=files.FOLDER_MODE, exist_ok=True)
        wanted: Dict[str, str] = dict(parts[1:])
        for name in os.listdir(folder):
            if name not in wanted and name != _NAMES and not name.startswith(REPLY):
                files.remove(os.path.join(folder, name))
        for name, text in [*wanted.items(), (_NAMES, " ".join([*words, digest]).strip() + "\n")]:
            path = os.path.join(folder, name)
            data = text.encode("utf-8")
            if files.read(path) != data:
                files.write_file(path, data)
        self._bind(instance, words[0])

    def _bind(self, instance: str, application: str) -> None:
        """Where a lease is needed, let what systemd starts of the application end with the guard."""
        name = _DROP_IN % (orders.PREFIX, orders.escape(application))
        if os.path.exists(os.path.join(self._root, SETTINGS_FILE)):
            make_replies(self._root, instance)
            guard = guard_name(self._host)
            written = write_unit(UNITS, name, "[Unit]\nBindsTo=%s\nAfter=%s\n" % (guard, guard), self._mine)
        else:
            written = unbind(name, self._mine)
        if written:
            self._changed()

    def _changed(self) -> None:
        with open(self._mark, "wb"):
            pass

    def _units(self, instance: str, digest: str, application: str, item: str) -> None:
        """The shared units of the newest configuration, and own ones of what has another one."""
        with open("%s/etc/available/%s.units" % (self._root, application), encoding="utf-8") as handle:
            shared = dict(sections(handle.read()))
        left = [name for name in shared_of(application, self._mine) if name not in shared]
        written = [write_unit(UNITS, name, unit, self._mine) for name, unit in shared.items()]
        remove_units(UNITS, left)
        if left or any(written):
            self._changed()
            for other in placed(self._root):  # systemd reads all units again
                words = _names(self._root, other)
                if other != instance and len(words) == 3 and words[0] == application:
                    self._own(other, words[2], application, words[1], shared)
        self._own(instance, digest, application, item, shared)

    def _own(self, instance: str, digest: str, application: str, item: str, shared: Mapping[str, str]) -> None:
        wanted = own_units.wanted(
            dict(sections(own_units.kept_text(self._root, instance, digest))), shared, item)
        gone = [name for name in own_of(application, item, self._mine) if name not in wanted]
        remove_units(UNITS, gone)
        for name, text in wanted.items():
            if write_unit(UNITS, name, text, self._mine) is not None:
                gone.append(name)
        if gone:  # also when they are new: systemd may have read the template for this instance
            self._changed()

    def undo(self) -> List[str]:
        """Nothing to do: systemd does not refuse units as a whole."""
        return []

    def loaded(self) -> None:
        """Note that systemd has read all of it."""
        files.remove(self._mark)

    @property
    def _mark(self) -> str:
        return self._root + _CHANGED


def guard_name(host: Mapping[str, Any]) -> str:
    """The unit of the guard; no host service can have such a name."""
    return "%slease:%s.service" % (orders.PREFIX, orders.escape(host["host"]))


def link(unit: str) -> None:
    """Start a unit with the machine. Idempotent."""
    folder = "%s/%s" % (PERSISTENT_UNITS, _WANTS)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    path = "%s/%s" % (folder, unit)
    if not os.path.islink(path):
        os.symlink("../" + unit, path)


def remove_persistent(names: List[str]) -> None:
    """Remove units that start with the machine. Idempotent."""
    remove_units(PERSISTENT_UNITS, names)
    for unit in names:
        path = "%s/%s/%s" % (PERSISTENT_UNITS, _WANTS, unit)
        if os.path.islink(path):
            os.unlink(path)


def bound(mine: str) -> List[str]:
    """The drop-ins that bind what belongs to this host to its guard. :param mine: see `owner`."""
    return [name for name in names_of(UNITS, mine) if name.endswith("/" + _LEASE)]


def unbind(name: str, mine: str) -> bool:
    """Remove such a drop-in. :return: whether there was one."""
    found = (_read_quietly(os.path.join(UNITS, name)) or b"").startswith(mine.encode("utf-8") + b"\n")
    if found:
        remove_units(UNITS, [name])
    return found


def make_replies(root: str, instance: str) -> None:
    """Let each program of a placed instance be answered by the guard. Idempotent.

    :raises OSError: when that cannot be made.
    """
    folder = "%s/etc/placed/%s" % (root, instance)
    for name in os.listdir(folder):
        path = os.path.join(folder, REPLY + name)
        if not name.startswith(".") and not os.path.exists(path):
            os.mkfifo(path, 0o640)


def is_placed(root: str, instance: str) -> bool:
    return os.path.exists("%s/etc/placed/%s/%s" % (root, instance, _NAMES))


def services(root: str) -> List[str]:
    """Names of the host services."""
    try:
        return [name[: -len(".units")] for name in os.listdir(root + "/etc/services") if name.endswith(".units")]
    except OSError:
        return []


def placed(root: str) -> List[str]:
    """Names of the placed instances."""
    try:
        return os.listdir(root + "/etc/placed")
    except OSError:
        return []


def own_of(application: str, item: str, mine: str) -> List[str]:
    """The units and drop-ins that one instance has for itself. :param mine: see `owner`."""
    return _chosen(lambda name: own_units.is_of_item(name, application, item), mine)


def shared_of(application: str, mine: str) -> List[str]:
    """The template units of an application, and the drop-ins of all its slices. :param mine: see `owner`."""
    return [name for name in _chosen(lambda name: own_units.is_of_all(name, application), mine)
            if not name.endswith("/" + _LEASE)]


def _chosen(choose: Callable[[str], bool], mine: str) -> List[str]:
    try:
        names = os.listdir(UNITS)
    except OSError:
        return []
    first, found = mine.encode("utf-8") + b"\n", []
    for name in sorted(names):
        if name.startswith(orders.PREFIX) and choose(name):
            path = os.path.join(UNITS, name)
            found += ["%s/%s" % (name, below) for below in os.listdir(path)] if os.path.isdir(path) else [name]
    return [name for name in found if (_read_quietly(os.path.join(UNITS, name)) or b"").startswith(first)]


def unplace(host: Mapping[str, Any], instance: str) -> None:
    """Remove what was placed of an instance. Idempotent."""
    import shutil

    root, names = host["root"], read_names(host["root"], instance)
    own = own_of(*names, owner(host)) if names else []
    if own:
        remove_units(UNITS, own)
        with open(root + _CHANGED, "wb"):
            pass
    shutil.rmtree("%s/etc/placed/%s" % (root, instance), ignore_errors=True)


class ServicesLock:
    """A context in which no other agent works on the host services."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._descriptor = -1

    def __enter__(self) -> ServicesLock:
        self._descriptor = files.lock(self._root + "/run/locks/.services")
        return self

    def __exit__(self, *_unused: object) -> None:
        os.close(self._descriptor)


def _read_quietly(path: str) -> Optional[bytes]:
    try:
        return files.read(path)
    except OSError:
        return None
