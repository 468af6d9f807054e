# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks for something: the account, and the name of the person beside one that several people share."""

from __future__ import annotations

import os

PERSON = "MUSTER_PERSON"  # in the environment
LONGEST_NAME = 60  # characters


def before_sudo() -> str:
    """Who became this user by sudo; empty when nobody did."""
    uid = os.environ.get("SUDO_UID", "")
    return os.environ.get("SUDO_USER", "") if uid and uid != str(os.geteuid()) else ""


def beside(account: str, name: str) -> str:
    """``ops (Eve)``; the account alone without a name.

    The name is what that person says, so it stands beside what is known for certain, never instead of it.
    """
    shown = "".join(sign for sign in name if sign.isprintable() and sign not in "()").strip()[:LONGEST_NAME]
    return "%s (%s)" % (account, shown) if shown else account


def said() -> str:
    """The name that the person at this command line gave."""
    return os.environ.get(PERSON, "").encode("utf-8", "replace").decode()[:LONGEST_NAME]


def me() -> str:
    """The account at this command line, with that name."""
    import getpass

    return beside(before_sudo() or getpass.getuser(), said())
