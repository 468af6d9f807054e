# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of a host's folder: root runs nothing from a folder that others may change.

Where the service manager is supervisor, the folder may belong to an account without rights, which then runs everything
of muster there. That account may write the agent, programs and configuration in it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

_FOLDERS = ("", "bin", "lib", "etc", "etc/available", "etc/current", "etc/generations", "etc/placed", "etc/services",
            "run")  # programs and settings
_OTHERS_WRITE = 0o022  # may write: group, everybody
REFUSED = "others than root may write to "
# Options of Python with which names and texts are bytes of UTF-8 on a host, whatever the locale of its account.
UTF8 = ("-X", "utf8")

# For `python -c`, before anything of the folder is loaded: PLACES are the folders that count.
GUARD = """\
import os,sys
for place in PLACES if os.geteuid()==0 else ():
 if os.path.exists(place):
  facts=os.stat(place)
  if facts.st_uid or facts.st_mode&0o022:sys.exit(%r+place)
""" % REFUSED


def launcher(root: str, library: str, package: str) -> str:
    """A program for ``python -c`` that runs an installed agent. As root it checks first that only root may write to the
    agent and the folders above it; else it ends with `REFUSED` and the path.

    :param library: the folder of the agent, below ``lib/``.
    :param package: name of the package in it.
    """
    places = (root, root + "/lib", library, "%s/%s" % (library, package))
    return "PLACES=%r\n%ssys.path.insert(0,%r)\nfrom %s.agent import main\nmain()" % (places, GUARD, library, package)


def others(root: str) -> str:
    """Why root must not work in the folder of a host, in one sentence; "" when it may, and for any other user."""
    if os.geteuid() != 0:
        return ""
    for below in _FOLDERS:
        path = os.path.join(root, below) if below else root
        try:
            facts = os.stat(path)
        except FileNotFoundError:
            continue
        if facts.st_uid:
            name = _name(facts.st_uid)
            return ("%s belongs to %s, who could have root run anything from there: deploy as %s (-e ansible_user=%s, "
                    "without become), or give it to root (chown -R root:root %s)" % (path, name, name, name, root))
        if facts.st_mode & _OTHERS_WRITE:
            return "%s%s, who could have root run anything from there: chmod go-w %s" % (REFUSED, path, path)
    return ""


def as_owner(root: str, work: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """Call a function; root calls it as the owner of the folder, in a child process.

    :param work: its answer must be JSON.
    :return: its answer, or ``{"error": sentence}``.
    :raises OSError: when no process can be forked.
    """
    try:
        facts = os.stat(root)
    except FileNotFoundError:
        return work()
    if os.geteuid() != 0 or facts.st_uid == 0:
        return work()
    import json

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            os.setgroups([])
            os.setgid(facts.st_gid)
            os.setuid(facts.st_uid)
            try:
                answer = work()
            except OSError as error:
                answer = {"error": "%s: %s" % (error.filename or root, error.strerror or error)}
            with os.fdopen(writing, "w") as handle:
                json.dump(answer, handle)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as handle:
        text = handle.read()
    os.waitpid(pid, 0)
    if not text:
        return {"error": "the account %s, which owns %s, could not do it" % (_name(facts.st_uid), root)}
    answered: Dict[str, Any] = json.loads(text)
    return answered


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return "user %d" % user
