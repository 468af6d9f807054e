# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that programs of a host run as, where that is not the account that deploys.

systemd becomes a unit's user itself. Where a supervisord of root runs the programs, setpriv becomes the program's user,
after muster-exec has read the claim: so no program can read what is only for muster. Every user gets the group of
`muster_user` besides its own: that group may read the host's folder.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

ROOT = ("", "root")


def token(user: str, group: str) -> str:
    """What stands in rendered texts in front of a command that runs as a user of the host.

    :param user: "": `muster_user` of the host. :param group: "": the user's own.
    """
    return "@@as:%s:%s@@ " % (user, group)


def tokens(host: Mapping[str, Any]) -> Dict[str, str]:
    """Each `token`, and what it stands for on this host: nothing, where programs run as who deploys.

    :param host: the facts of a request; ``runs_as`` are its pairs (user, group).
    """
    return {token(user, group): _become(host, user, group) for user, group in host.get("runs_as") or ()}


def _become(host: Mapping[str, Any], user: str, group: str) -> str:
    name = user or host.get("user") or ""
    if name in ROOT and not group:
        return ""
    import grp
    import pwd
    import shlex

    try:
        entry = pwd.getpwnam(name or "root")
        own = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        groups = sorted({*os.getgrouplist(entry.pw_name, own), folder_group(host), own})
    except KeyError:  # `prepare` reports it
        return "setpriv --reuid=%s -- " % name
    words = ["setpriv", "--reuid=%d" % entry.pw_uid, "--regid=%d" % own,
             "--groups=%s" % ",".join(str(one) for one in groups), "--pdeathsig=KILL", "--",
             "env", "HOME=%s" % entry.pw_dir, "LOGNAME=%s" % entry.pw_name, "USER=%s" % entry.pw_name]  # fmt: skip
    return " ".join(shlex.quote(word) for word in words).replace("%", "%%") + " "


def folder_group(host: Mapping[str, Any]) -> int:
    """The group that may read the host's folder. :raises KeyError: when `muster_user` does not exist."""
    import pwd

    return pwd.getpwnam(host.get("user") or "root").pw_gid


def missing(host: Mapping[str, Any]) -> str:
    """A user or group that programs of this host run as and that does not exist, as a phrase; "" when none is."""
    import grp
    import pwd

    for user, group in host.get("runs_as") or ():
        own = user or host.get("user") or "root"
        for what, name, look in (("user", own, pwd.getpwnam), ("group", group, grp.getgrnam)):
            try:
                if name:
                    look(name)
            except KeyError:
                return "the %s %s" % (what, name)
    return ""


def ids(host: Mapping[str, Any]) -> Set[int]:
    """User ids of these accounts, as far as they exist."""
    found = {_user(name) for name in (host.get("user"), *(user for user, _group in host.get("runs_as") or ()))}
    return {entry[0] for entry in found if entry is not None}


def _user(name: Optional[str]) -> Optional[Tuple[int, int]]:
    import pwd

    try:
        entry = pwd.getpwnam(name or "root")
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def let_write(host: Mapping[str, Any], name: str) -> None:
    """Let the programs' group write to the folder of an instance or host service.

    :param name: of the instance or host service.
    """
    path = "%s/var/%s" % (host["root"], name)
    if host.get("user", "root") not in ROOT and not os.stat(path).st_mode & 0o020:
        os.chmod(path, 0o2770)


def give_folder(host: Mapping[str, Any], check: bool) -> List[str]:
    """Let the group of `muster_user` read the host's folder, and own every file that is written there later.

    :return: what was done, as sentences.
    """
    root, name = host["root"], host.get("user") or "root"
    found = _user(name)
    if found is None or not os.path.isdir(root):
        return []
    group, status = found[1], os.stat(root)
    if status.st_gid == group and (not group or status.st_mode & 0o2000):
        return []
    if not check:
        for where, _unused, files in os.walk(root, topdown=False):
            for one in files:
                os.chown(os.path.join(where, one), -1, group, follow_symlinks=False)
            os.chown(where, -1, group)
            os.chmod(where, 0o2750)
    return ["gave %s to the group of the user %s" % (root, name)]
