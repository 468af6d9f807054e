# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks before it can be prepared: packages, and the user that programs run as. Changes nothing.

Asked in the call that prepares the host, so that a deploy with nothing to install needs no task for it.
"""

from __future__ import annotations

import grp
import pwd
import re
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Sequence, Set

_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_WORD = re.compile(r"^(ID|ID_LIKE)=[\"']?([^\"'\n]*)[\"']?\s*$", re.MULTILINE)
# Family, as Ansible calls it -> its words in os-release, and what prints which of some packages are installed.
_FAMILIES = {
    "Debian": ({"debian", "ubuntu"}, ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n"]),
    "RedHat": ({"rhel", "fedora", "centos"}, ["rpm", "--query", "--queryformat", "installed %{NAME}\\n"]),
}
_WITHIN = 60.0  # s for the list of packages
_INSTALLED = "installed "


class Unknown(Exception):
    """The text is a sentence: what cannot be told about this system."""


def lacking(wanted: Mapping[str, Any]) -> Dict[str, Any]:
    """What is missing on this host.

    :param wanted: ``packages``: family -> names; ``user``: {name, comment, home, shell}. Both optional.
    :return: empty when nothing is missing; else ``{"family", "packages": [names], "user": whether it has to be made or
        put right}``. A user whose comment is another one was made by somebody else, and stays as it is.
    :raises Unknown: when packages are wanted and their names are not known for this system.
    """
    missing: Dict[str, Any] = {"family": "", "packages": [], "user": False}
    if wanted.get("packages"):
        family = missing["family"] = family_of(_release())
        known = wanted["packages"].get(family)
        if known is None:
            raise Unknown(
                "the packages of this system (%s) are not known, only those of %s: install Python 3.8 or newer with "
                "psutil, setpriv and, where it is used, supervisor, and leave muster_install out"
                % (family or "of an unknown family", " and ".join(sorted(wanted["packages"]))))
        there = _installed(_FAMILIES[family][1], known)
        missing["packages"] = [name for name in known if name not in there]
    if wanted.get("user"):
        missing["user"] = not _user_is_right(wanted["user"])
    return missing if missing["packages"] or missing["user"] else {}


def family_of(release: str) -> str:
    """The family of a system, from the text of its os-release; empty when it is none of those that are known."""
    words = {word for _unused, value in _WORD.findall(release) for word in value.lower().split()}
    return next((family for family, (names, _unused) in sorted(_FAMILIES.items()) if names & words), "")


def _release() -> str:
    for path in _RELEASE:
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                return handle.read()
        except OSError:
            continue
    return ""


def _installed(query: Sequence[str], names: List[str]) -> Set[str]:
    try:
        done = subprocess.run([*query, *names], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=_WITHIN, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unknown("%s cannot tell which packages are installed: %s" % (query[0], error)) from error
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return {line[len(_INSTALLED):].strip() for line in lines if line.startswith(_INSTALLED)}


def _user_is_right(user: Mapping[str, str]) -> bool:
    try:
        entry = pwd.getpwnam(user["name"])
    except KeyError:
        return False
    if entry.pw_gecos != user["comment"]:
        return True
    try:
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        return False
    return (entry.pw_dir, entry.pw_shell, group) == (user["home"], user["shell"], user["name"])
