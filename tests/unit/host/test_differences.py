# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diff mode shows a difference that many items share once, and never takes two differences for one."""

from __future__ import annotations

from typing import Any

from monitor.core.host.machine.differences import MOST, Differences


def owner(number: int, **own: str) -> dict[str, Any]:
    values = {"id": "%02d" % number, "slot": str(number), "port": str(20000 + 4 * number), **own}
    return {"application": "srv", "own": [[value, name] for name, value in values.items()]}


OWNERS = {"srv_%02d" % number: owner(number) for number in range(1, 13)}


def collected(names: list[str], before: str, after: str, file: str = "/limits.conf") -> list[dict[str, str]]:
    """Texts with `{id}` and `{port}` of each instance."""
    found = Differences("etc/", OWNERS)
    for name in names:
        number = int(name[-2:])
        own = {"id": "%02d" % number, "port": 20000 + 4 * number}
        found.add(name + file, before.format(**own).encode(), after.format(**own).encode())
    return found.shown()


def test_the_same_change_of_all_items_is_shown_once_and_says_of_how_many() -> None:
    (one,) = collected(list(OWNERS), "item {id} port {port}\nlimit 5\n", "item {id} port {port}\nlimit 6\n")
    assert one["before_header"] == "etc/srv_01/limits.conf"
    assert one["after_header"].startswith(
        "etc/srv_01/limits.conf (the same in 11 more: srv_02/limits.conf, srv_03/limits.conf"
    )
    assert (one["before"], one["after"]) == ("item 01 port 20004\nlimit 5\n", "item 01 port 20004\nlimit 6\n")


def test_it_is_the_same_change_although_the_rest_of_the_file_is_another() -> None:
    found = Differences("", OWNERS)
    for number, name in enumerate(OWNERS):
        found.add(name + ".ini", b"azimuth %d.7\nlimit 5\n" % (3 * number), b"azimuth %d.7\nlimit 6\n" % (3 * number))
    assert len(found.shown()) == 1


def test_a_value_of_its_own_may_stand_in_the_changed_line_by_chance() -> None:
    found = Differences("", OWNERS)
    for number, name in enumerate(OWNERS, 1):
        found.add(name + ".ini", b'slot="%d",window="3",word="one"\n' % number,
                  b'slot="%d",window="3",word="two"\n' % number)  # fmt: skip
    assert len(found.shown()) == 1


def test_the_same_change_of_another_line_is_another_difference() -> None:
    found = Differences("", OWNERS)
    found.add("srv_01/a.conf", b"limit 5\ntime 5\n", b"limit 7\ntime 5\n")
    found.add("srv_02/a.conf", b"limit 5\ntime 5\n", b"limit 5\ntime 7\n")
    assert len(found.shown()) == 2


def test_another_value_is_another_difference() -> None:
    found = Differences("", OWNERS)
    for name, limit in (("srv_01", b"7\n"), ("srv_02", b"8\n"), ("srv_03", b"7\n")):
        found.add(name + "/limits.conf", b"limit 5\n", b"limit " + limit)
    assert [entry["after"] for entry in found.shown()] == ["limit 7\n", "limit 8\n"]


def test_another_file_or_application_a_new_file_and_a_removed_one_are_others() -> None:
    owners = {**OWNERS, "hci_01": dict(owner(1), application="hci")}
    found = Differences("", owners)
    for name in ("srv_01/a.conf", "srv_01/b.conf", "hci_01/a.conf"):
        found.add(name, b"1\n", b"2\n")
    found.add("srv_02/a.conf", None, b"2\n")
    found.add("srv_03/a.conf", b"1\n", None)
    found.add("srv_04/a.conf", b"", b"2\n")
    assert len(found.shown()) == 6


def test_hosts_have_the_same_name_for_the_same_difference() -> None:
    kinds = []
    for host in ("/srv/one", "/srv/two"):
        found = Differences(host + "/", {"srv_01": owner(1, root=host)})
        found.add("srv_01.ini", b"root %s\n1\n" % host.encode(), b"root %s/new\n2\n" % host.encode())
        kinds.append(found.shown()[0]["kind"])
    assert kinds[0] == kinds[1]


def test_a_file_of_nobody_is_shown_by_itself_and_there_is_a_bound() -> None:
    found = Differences("", OWNERS)
    for number in range(MOST + 50):
        found.add("other_%d.ini" % number, b"1\n", b"2\n")
    assert len(found.shown()) == MOST and "kind" not in found.shown()[0]
