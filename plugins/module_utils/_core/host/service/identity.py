# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are those of a host's instances: what its service manager started, and what descends from that.

Sources, from the strongest: the service manager's answer, its children or control groups, the records of starts
(`host.machine.starts`), descent. The variables of a process only tell more about a member. A process that merely shows
the labels of an instance is a `stranger`: it is reported, and changes nothing else.
"""

from __future__ import annotations

import os

from ..machine import accounts, instance_files, procs, starts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

    from ..machine.procs import Process, Stat
    from .manager import Manager

_MAX_NAME = 255


class Look:
    """One look at the processes of a host."""

    def __init__(self, manager: Manager, manager_pid: Optional[int] = None) -> None:
        """:param manager_pid: None: find it."""
        self.manager = manager
        self.host: Mapping[str, Any] = manager.host
        labelled = {process.pid: process for process in procs.sweep(self.host["site_id"], self.host["host"])}
        self._labelled: Dict[int, Process] = labelled
        self.pid: int = manager.find(labelled.values()) if manager_pid is None else manager_pid
        self.starts = {start.instance: start for start in starts.read_all(manager.root)}
        self._members: Dict[int, Process] = {}
        self.nameless: List[Process] = []  # the service manager, and what it has forked and not executed yet
        self.unknown: List[int] = []  # its descendants of which nothing says to which instance they belong
        self._recorded = {pid: (start, program, started) for start in self.starts.values()
                          for program, (pid, started) in start.programs.items()}
        self._children()
        self._of_records()
        self._of_keys()

    @property
    def processes(self) -> List[Process]:
        """The service manager's own, and every member of an instance or host service."""
        return self.nameless + list(self._members.values())

    def of(self, instance: str) -> List[Process]:
        """The processes of an instance."""
        return [process for process in self._members.values() if process.instance == instance]

    @property
    def strangers(self) -> List[str]:
        """Sentences about processes that show the labels of an instance and descend from nothing of it."""
        found: Set[str] = set()
        for pid, process in self._labelled.items():
            if pid not in self._members and process.instance and procs.alive(pid):
                found.add("processes of the user %s say that they are %s: muster did not start them" % (
                    _user_name(procs.user(pid)), process.instance[:80]))
        for pid in self.unknown:
            found.add("%s: the service manager has it as a descendant, of which program is unknown" % (
                procs.command_name(pid)[:80] or "a process"))
        return sorted(found)

    def remember(self) -> None:
        """Add to the records of starts the descendants that nothing else would tell of once their parents ended.

        An instance that an act works on is left out, and errors are ignored: the next look does it.
        """
        for start in self.starts.values():
            hidden = {(process.pid, found.started) for process in self.of(start.instance)
                      if process.pid not in self._labelled and not process.main
                      for found in [procs.stat(process.pid)] if found is not None and not found.gone}
            if hidden <= start.others:
                continue
            lock = instance_files.Lock(self.manager.root, start.instance)
            try:
                if lock.take():
                    now = starts.read(self.manager.root, start.instance)
                    if (now.epoch, now.key) == (start.epoch, start.key):
                        now.others = hidden
                        now.write(self.manager.root)
            except OSError:
                continue
            finally:
                lock.release()

    def _children(self) -> None:
        """What the service manager has started: each is known by its record, or the service manager is asked."""
        unsure: List[Tuple[int, Stat, str, str]] = []
        for pid, instance, program in self.manager.roots(self.pid, self.starts):
            found = procs.stat(pid)
            if found is None or found.gone:
                continue
            labels = self._labelled.get(pid)
            record = self._recorded.get(pid)
            if record is not None and record[2] == found.started:
                self._add(pid, record[0].instance, record[1], main=True, epoch=record[0].epoch)
            elif instance and labels is not None and labels.environment.get("MUSTER_PID"):
                shown = labels.environment["MUSTER_PID"] == str(pid)
                self._add(pid, instance, program, main=shown and found.parent == 1)
            elif instance and found.parent != 1:
                self._add(pid, instance, program)
            elif labels is not None and labels.service:
                self._add(pid, labels.instance, labels.program, main=found.group == pid)
            elif labels is not None and not labels.instance:
                continue  # between fork and exec
            else:
                name = labels.instance if labels is not None and _is_name(labels.instance) else ""
                unsure.append((pid, found, instance or name, program or (labels.program if labels and name else "")))
        for process in self._labelled.values():
            if not process.instance and self.pid and (process.pid == self.pid or self._forked(process.pid)):
                self.nameless.append(process)
        if unsure:
            self._ask(unsure)
        for pid in list(self._members):
            self._descend(pid)

    def _forked(self, pid: int) -> bool:
        found = procs.stat(pid)
        return found is not None and self.pid > 0 and found.parent == self.pid

    def _ask(self, unsure: Sequence[Tuple[int, Stat, str, str]]) -> None:
        silent = False
        try:
            mains = self.manager.mains([(instance, program) for _pid, _found, instance, program in unsure if program],
                                       any(not instance for _pid, _found, instance, _program in unsure))
        except OSError:
            mains, silent = {}, True
        for pid, found, instance, program in unsure:
            if pid in mains:
                self._add(pid, *mains[pid], main=True)
                continue
            if not instance:
                instance, program = self._origin(pid, found)
            if instance:
                self._add(pid, instance, program, main=silent and found.group == pid and bool(program))
            else:
                self.unknown.append(pid)

    def _origin(self, pid: int, found: Stat) -> Tuple[str, str]:
        """(instance, program) that an orphan came from; empty when nothing tells."""
        for start in self.starts.values():
            if (pid, found.started) in start.others:
                return start.instance, ""
        for first in (found.group, found.session):
            record = self._recorded.get(first)
            if record is not None and found.started >= record[2] and not _used_again(first, record[2]):
                return record[0].instance, record[1]
        try:
            folder = os.readlink("/proc/%d/cwd" % pid)
        except OSError:
            folder = ""
        above = os.path.realpath(self.manager.root) + "/var/"
        name = folder[len(above) :].partition("/")[0] if folder.startswith(above) else ""
        if name in self.starts or name in instance_files.claims(self.manager.root):
            return name, ""
        before = {start.instance for start in self.starts.values()
                  if any(started <= found.started for _pid, started in start.programs.values())}
        return (before.pop(), "") if len(before) == 1 else ("", "")  # no other can have started it

    def _of_records(self) -> None:
        """What was started by a service manager that has ended, or left it."""
        lost: Dict[int, Tuple[starts.Start, str, int]] = {}
        for start in self.starts.values():
            for program, (pid, started) in [*start.programs.items(), *(("", other) for other in start.others)]:
                if pid in self._members:
                    continue
                if procs.alive(pid, started):
                    main = bool(program) and self._forked(pid)
                    self._add(pid, start.instance, program, main=main, epoch=start.epoch)
                    self._descend(pid)
                elif not _used_again(pid, started):
                    lost[pid] = (start, program, started)
        if not lost or self.pid:
            return  # the service manager is the parent of orphans
        for pid, found in procs.every().items():
            origin = lost.get(found.group) or lost.get(found.session)
            if origin and pid not in self._members and found.started >= origin[2] and not found.gone:
                self._add(pid, origin[0].instance, origin[1])

    def _of_keys(self) -> None:
        """What shows the key of a start: only a descendant can have it. Also before there were records: labels."""
        ours: Set[int] = set()
        claimed: Optional[Set[str]] = None
        for pid, process in self._labelled.items():
            if pid in self._members or not process.instance:
                continue
            ours = ours or _users(self.host)
            if procs.user(pid) not in ours:
                continue
            start = self.starts.get(process.instance)
            if start is not None and start.key:
                descends = process.environment.get(starts.KEY) == start.key
            else:
                claimed = set(instance_files.claims(self.manager.root)) if claimed is None else claimed
                descends = process.instance in claimed
            if descends:
                self._add(pid, process.instance, process.program)
                self._descend(pid)

    def _add(self, pid: int, instance: str, program: str, main: bool = False, epoch: int = -1) -> None:
        """:param epoch: -1: that of the labels, of the start, or of the claim, the first that is known."""
        labels = self._labelled.get(pid)
        process = procs.Process(pid, dict(labels.environment) if labels is not None else {})
        shown = labels.epoch if labels is not None and labels.instance == instance else -1
        if labels is None or labels.instance != instance:
            process.environment.update(MUSTER_INSTANCE=instance, MUSTER_PROGRAM=program,
                                       MUSTER_HOST=self.host["host"])
            if instance != "%s_%s" % (program, self.host["host"]):
                process.environment["MUSTER_ITEM"] = "?"
        process.instance = instance
        process.program = program or (labels.program if labels is not None else "")
        process.main = main
        process.epoch = epoch if epoch >= 0 else shown
        if process.epoch < 0 and instance in self.starts:
            process.epoch = self.starts[instance].epoch
        elif process.epoch < 0 and labels is None:
            process.epoch = instance_files.read_claim(self.manager.root, instance) or 0
        self._members[pid] = process

    def _descend(self, pid: int) -> None:
        above = self._members[pid]
        for child in procs.children(pid):
            if child not in self._members:
                labels = self._labelled.get(child)
                named = labels is not None and labels.instance == above.instance and bool(labels.program)
                self._add(child, above.instance, labels.program if labels is not None and named else above.program,
                          epoch=above.epoch)  # what it shows may be its own idea
                self._descend(child)


def _used_again(pid: int, started: int) -> bool:
    """Whether a pid is that of a later process by now: then no process of its former group is left."""
    found = procs.stat(pid)
    return found is not None and found.started != started


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and "/" not in text and not text.startswith(".")


def _users(host: Mapping[str, Any]) -> Set[int]:
    """Ids of the users that programs of a host may run as."""
    import pwd

    found = {0, os.geteuid(), *accounts.ids(host)}
    if os.path.exists(host["root"]):
        found.add(os.stat(host["root"]).st_uid)
    for name in (host.get("user"), (host.get("display") or {}).get("user")):
        try:
            if name:
                found.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return found


def _user_name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
