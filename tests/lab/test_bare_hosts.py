# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing to nothing on hosts that lack the packages: what check mode says, a deploy does, and removal undoes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.integration.local_site import SERVICE_PROGRAMS, Played
from tests.lab import bare
from tests.lab.hosts import lab as booted
from tests.lab.names import Names, missing
from tests.lab.site import LabSite

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(bool(Names().debian), reason="the archive of the hosts has packages of this machine's Debian"),
]
BY_SYSTEMD, BY_SUPERVISOR, CONSOLE = "server_1", "server_2", "console_1"
HOSTS = (BY_SYSTEMD, BY_SUPERVISOR, CONSOLE)


@pytest.fixture(scope="module")
def site() -> Iterator[LabSite]:
    """Hosts reached by a user who becomes root, as in docs/installation.md; nothing is deployed yet."""
    why = bare.fetch()
    if why:
        pytest.skip(why)
    with booted(servers=(BY_SYSTEMD, BY_SUPERVISOR), consoles=(CONSOLE,)) as lab:
        made = LabSite(lab, "systemd", "operator", muster_items=["01"])
        path = made.inventory / "group_vars/muster_hosts.yml"
        reached = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**reached, "ansible_become": True, "muster_install": True}))
        made.set_host(BY_SUPERVISOR, muster_service_manager="supervisor")
        for host in HOSTS:
            (lab.opt(host) / "muster").rmdir()  # that a deploy without root needs
        bare.strip(lab, *HOSTS)
        yield made


def changes(played: Played) -> dict[str, list[str]]:
    """host -> tasks of the role `host` that changed it, or would."""
    found: dict[str, list[str]] = {host: [] for host in HOSTS}
    task = ""
    for line in played.output.splitlines():
        if line.startswith("TASK ["):
            task = line[6:].partition("]")[0].rpartition(" : ")[2]
        if line.startswith("changed: [") and "control_room.muster.host" in played.output:
            host = line.partition("[")[2].partition("]")[0]
            if host in found:
                found[host].append(_SAME.get(task, task))
    return found


_SAME = {"Tell which packages would be installed": "Install what muster needs"}
_PREPARED = ["Install what muster needs", "Make the group of the programs", "Make the user of the programs",
             "Prepare the host"]  # fmt: skip


def everything(site: LabSite) -> dict[str, dict[str, str]]:
    return {host: bare.traces(site.lab, host) for host in HOSTS}


def test_from_nothing_to_nothing(site: LabSite) -> None:
    before = everything(site)
    assert [bare.installed(site.lab, host) for host in HOSTS] == [set(), set(), set()]

    # Check mode tells what would come, and changes nothing: there is not even a user yet.
    told = site.play("deploy", "--check", "--diff")
    assert told.rc == 0, told.output
    would = changes(told)
    by_hand = ["Install what muster needs", "Prepare the host"]  # supervisord runs programs as who deploys
    assert would == {BY_SYSTEMD: _PREPARED, CONSOLE: _PREPARED, BY_SUPERVISOR: by_hand}
    assert "python3-psutil" in told.output
    assert differences(before, everything(site)) == {}
    assert bare.installed(site.lab, CONSOLE) == set()

    # The deploy does just that, from an archive that these hosts never looked into, and starts the item.
    done = site.good("deploy")
    did = changes(done)
    assert {host: [task for task in tasks if task in _PREPARED] for host, tasks in did.items()} == would
    assert bare.installed(site.lab, BY_SYSTEMD) == {"python3-psutil"}
    assert bare.installed(site.lab, BY_SUPERVISOR) == {"python3-psutil", "supervisor"}
    assert set(site.programs("scen2_srv_01")) == SERVICE_PROGRAMS
    assert everything(site) != before

    # Again: nothing, and check mode knows.
    told = site.play("deploy", "--check", "--diff")
    assert (told.rc, told.changed) == (0, 0), told.output
    assert site.good("deploy").changed == 0

    # A person changed one of muster's files: check mode reports that host, and deploy repairs the file.
    path = site.root(BY_SYSTEMD) / "bin/scen2/data_processing"
    text = path.read_text()
    path.write_text(text + "# by hand\n")
    told = site.play("deploy", "--check", "--diff")
    assert changes(told) == {BY_SYSTEMD: ["Prepare the host"], BY_SUPERVISOR: [], CONSOLE: []}
    assert "-# by hand" in told.output
    assert path.read_text() != text
    assert changes(site.good("deploy"))[BY_SYSTEMD][0] == "Prepare the host"
    assert path.read_text() == text
    kept = path.with_name(path.name + ".kept")
    assert "# by hand" in kept.read_text()
    kept.unlink()  # else it would stay: it is not ours

    # Removal leaves no file, no account, no unit and no process of muster. Packages stay.
    running = everything(site)
    told = site.play("remove", "--check", "-e", "muster_confirm=true")
    assert told.rc == 0 and told.changed > 0, told.output
    assert differences(running, everything(site)) == {}
    site.good("remove", confirm=True)
    left = {host: differing(before[host], after) for host, after in everything(site).items()}
    assert left == {host: [] for host in HOSTS}
    assert site.good("remove", confirm=True).changed == 0
    assert bare.installed(site.lab, CONSOLE) == {"python3-psutil"}


def differences(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """host -> what differs, with both sides."""
    return {
        host: ["%s: %s, then %s" % (name, before[host].get(name), after[host].get(name)) for name in names]
        for host in HOSTS if (names := differing(before[host], after[host]))
    }  # fmt: skip


def differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
