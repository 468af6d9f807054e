# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that a rule of sudo runs as another user: they get the site of this installation, nothing of the caller's.

An inventory, an `ansible.cfg` and a search path are programs, and a state folder names an inventory. A rule for
`muster` is meant to allow its verbs and no program of the caller.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from .places import UsageError

_KEPT = ("TERM", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "NO_COLOR", "COLUMNS", "LINES", "SUDO_USER", "SUDO_UID",
         "MUSTER_HOST", "MUSTER_PERSON")  # fmt: skip
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "su")
_OPTIONS = {"inventory": "-i", "state_dir": "--state-dir"}


def for_another(environ: Mapping[str, str], user: int) -> bool:
    """Whether the rules apply: not in a shell that sudo started, whose user may do everything as that user anyway.

    :param user: the user id that we run as.
    """
    shell = os.path.basename(environ.get("SUDO_COMMAND", "")) in _SHELLS
    return environ.get("SUDO_UID", str(user)) != str(user) and not shell


def refuse(options: argparse.Namespace) -> None:
    """:raises UsageError: for options that would run code of the caller, and for commands of an administrator."""
    given = [word for name, word in _OPTIONS.items() if getattr(options, name, None)]
    if given:
        raise UsageError(
            "by sudo it is about the site of this installation: leave out %s, or run it as an administrator"
            % " and ".join(given)
        )
    if options.verb == "exec" or getattr(options, "arg", None) or getattr(options, "env", None):
        raise UsageError("by sudo nothing runs but what the site describes: an administrator may have more run")
    if options.verb in ("deploy", "demo"):
        raise UsageError("by sudo nothing is deployed: an administrator does that, with ansible-playbook")


def confined(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """The environment that is kept: variables that only say how, where and for whom to write.

    :param home: of the user that we run as.
    """
    kept = {name: environ[name] for name in _KEPT if name in environ and "/" not in environ[name]}
    return {**kept, "PATH": _PATH, "HOME": home}


def enter(options: argparse.Namespace) -> None:
    """Leave the caller's environment and folder, which may hold an `ansible.cfg` and a state folder of theirs.

    :raises UsageError: as `refuse`.
    """
    import pwd

    refuse(options)
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = "/"
    environment = confined(os.environ, home)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/")
