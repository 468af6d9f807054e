# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks before it can be prepared."""

from __future__ import annotations

import grp
import pwd
import shutil

import pytest

from monitor.core.host import system

ROOT = pwd.getpwuid(0)
AS_IT_IS = {"name": ROOT.pw_name, "comment": ROOT.pw_gecos, "home": ROOT.pw_dir, "shell": ROOT.pw_shell}


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_ID="12"\nID=debian\n', "Debian"),
        ("ID=ubuntu\nID_LIKE=debian\n", "Debian"),
        ("ID=raspbian\nID_LIKE=debian\n", "Debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "RedHat"),
        ('ID="rhel"\nID_LIKE="fedora"\n', "RedHat"),
        ("ID=arch\n", ""),
        ("# ID=debian\nVARIANT_ID=debian\n", ""),
        ("", ""),
    ],
)
def test_the_family_comes_from_os_release(release: str, family: str) -> None:
    assert system.family_of(release) == family


def test_packages_of_a_system_that_is_not_known_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system, "_RELEASE", ())
    with pytest.raises(system.Unknown, match="only those of Debian and RedHat: install Python"):
        system.lacking({"packages": {"Debian": ["a"], "RedHat": ["b"]}})


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian")
def test_only_packages_that_are_not_installed_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"packages": {"Debian": ["dpkg", "muster-no-such-package"], "RedHat": []}}
    assert system.lacking(wanted) == {"family": "Debian", "packages": ["muster-no-such-package"], "user": False}
    assert system.lacking({"packages": {"Debian": ["dpkg"], "RedHat": []}}) == {}


def test_a_query_that_cannot_be_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "family_of", lambda _release: "RedHat")
    monkeypatch.setattr(system, "_FAMILIES", {"RedHat": ({"rhel"}, ["muster-no-such-rpm"])})
    with pytest.raises(system.Unknown, match="muster-no-such-rpm cannot tell which packages are installed"):
        system.lacking({"packages": {"RedHat": ["python3"]}})


def test_a_user_that_is_not_there_is_missing() -> None:
    assert system.lacking({"user": dict(AS_IT_IS, name="muster-no-such-user")})["user"]


def test_a_user_of_somebody_else_stays_as_it_is() -> None:
    assert system.lacking({"user": dict(AS_IT_IS, comment="programs that muster runs", shell="/other")}) == {}


@pytest.mark.skipif(grp.getgrgid(ROOT.pw_gid).gr_name != ROOT.pw_name, reason="root is in another group")
@pytest.mark.parametrize("differs", ["", "home", "shell"])
def test_a_user_of_ours_that_differs_is_put_right(differs: str) -> None:
    assert bool(system.lacking({"user": dict(AS_IT_IS, **({differs: "/other"} if differs else {}))})) == bool(differs)


def test_a_host_that_lacks_nothing_that_was_asked_for_lacks_nothing() -> None:
    assert system.lacking({}) == {}
    assert system.lacking({"packages": {}, "user": {}}) == {}
