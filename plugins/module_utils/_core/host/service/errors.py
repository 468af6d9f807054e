# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a service manager."""

from __future__ import annotations


class ManagerError(Exception):
    """The service manager cannot be started or prepared; the text is a sentence."""


class ConfigurationRefused(Exception):
    """The service manager does not accept a configuration that was placed; the text is its reason."""


def without_setpriv(path: str) -> str:
    """Check that setpriv can start programs, by running it once.

    :param path: value of PATH in which it is looked up.
    :return: why no program can be started on this machine, in one sentence; "" when programs can be started.
    """
    import shutil
    import subprocess

    found = shutil.which("setpriv", path=path)
    if found is None:
        return "the program setpriv is missing (package util-linux), programs cannot be started without it"
    done = subprocess.run([found, "--pdeathsig", "KILL", "true"], env={"PATH": path}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode == 0:
        return ""
    words = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
    return ("%s does not work with --pdeathsig (%s), programs cannot be started without it: util-linux 2.33 or newer "
            "has it, as in Debian 10 or RHEL 9" % (found, words or "it ended with %d" % done.returncode))
