# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real controller: the monitor as a unit of systemd with a user of its own, and accounts on hosts that may do little.

On a lab of booted hosts (tests/lab), because units need a systemd.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.local_site import BIN, Played, wait_for
from tests.integration.roles.installed_controller import (  # noqa: F401 - a fixture
    ADMIN,
    BY_SUPERVISOR,
    BY_SYSTEMD,
    CONSOLE,
    HOSTS,
    ITEMS,
    PERSON,
    SERVICES,
    STRANGER,
    WITH_PEOPLE,
    RealController,
    site_fixture,
)
from tests.lab import bare, inventory
from tests.lab.names import CONTROLLER, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def monitor_of(site: RealController) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((site.state / "run" / "monitor.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def watched(site: RealController) -> bool:
    seen = monitor_of(site)
    hosts = seen.get("hosts") or {}
    return seen.get("standby") == "parked" and {name: entry["line"] for name, entry in hosts.items()} == dict.fromkeys(
        HOSTS, "fine"
    )


def at_rest(site: RealController) -> bool:
    """Every host watched, the next run parked, and every item up with all that it has."""
    claims = site.claims()
    return watched(site) and all(
        claims.get(name, {}).get("phase") == "running" and site.programs(name).keys() >= SERVICES for name in ITEMS
    )


def story(site: RealController) -> str:
    return "%s\n%s" % ({name: (claim["phase"], claim["reason"]) for name, claim in site.claims().items()},
                       site.monitor_log())  # fmt: skip


@pytest.mark.core
def test_the_unit_is_ready_watched_and_says_what_it_does(site: RealController) -> None:
    wait_for(lambda: watched(site), "every host watched by muster's own account", site.monitor_log, 90)
    assert site.unit("ActiveState") == "active"
    assert site.unit("Type") == "notify"
    assert site.unit("User") == "muster"
    assert site.unit("StatusText")
    wait_for(lambda: site.unit("WatchdogTimestampMonotonic") not in ("", "0"), "a sign of life", site.monitor_log)


def test_a_second_run_changes_nothing_and_check_mode_tells_so(site: RealController) -> None:
    told = site.admin("controller", "--check", "--diff")
    assert told.changed == 0, told.output
    again = site.admin("controller")
    assert again.changed == 0, again.output


def test_a_collection_that_is_not_on_the_controller_is_reported_before_anything_is_done(site: RealController) -> None:
    nowhere = {"monitor_collection_archive": "", "monitor_collection": "/home/you/checkout"}
    refused = site.as_admin("controller", "--limit", CONTROLLER, "-e", json.dumps(nowhere))
    assert refused.rc != 0 and refused.changed == 0, refused.output
    assert "/home/you/checkout is not on the controller controller: run this there" in refused.output


@pytest.mark.core
def test_a_bus_crash_is_handled_as_that_user_through_the_door(site: RealController) -> None:
    wait_for(lambda: at_rest(site), "everything at rest", lambda: story(site), 90)
    # Which of the two servers got which item depends on their load.
    name, before = next((name, claim) for name, claim in site.claims().items() if claim["host"] in BY_SYSTEMD)
    os.kill(site.program(name, "config_manager"), signal.SIGKILL)
    wait_for(lambda: '"program ended"' in site.monitor_log(), "what systemd told, through the door", site.monitor_log)
    os.kill(site.bus(name), signal.SIGKILL)

    def again() -> bool:
        claim = site.claims()[name]
        return bool(claim["epoch"] > before["epoch"] and claim["phase"] == "running")

    wait_for(again, name + " started again", site.monitor_log, 90)
    (host,) = site.hosts_of(name)
    assert "muster-agent-%s" % host in site.on(host, "journalctl", "-t", "sudo", "-o", "cat", "--no-pager")


@pytest.mark.core
def test_the_account_may_do_nothing_else(site: RealController) -> None:
    def on_server(*words: str, given: str = "") -> Played:
        ssh = shlex.join(["ssh", "-o", "BatchMode=yes", site.lab.names.address("server_1"), *words])
        return site.as_muster("sh", "-c", "printf %%s %s | %s" % (shlex.quote(given), ssh))

    # sshd runs nothing else than the door for this key, and the account cannot change that.
    door = "sudo -n -- /usr/bin/python3 -I -S /usr/local/libexec/muster-agent-server_1"
    for words in ("true", "sh", "sudo -n id", door + " other", door + "; id", door + " listen; id",
                  "sudo -n -- /usr/bin/python3 -I -S /usr/local/libexec/../bin/muster", "/bin/sh -c 'id'",
                  ""):  # fmt: skip
        refused = on_server(*([words] if words else []))
        assert (refused.rc, "this key is for the agent of muster only" in refused.output) == (126, True), words
    assert site.on("server_1", "stat", "-c", "%U %a", "/etc/ssh/muster_keys/muster").split() == ["root", "644"]
    assert "No such file" in site.on("server_1", "cat", "/var/lib/muster/.ssh/authorized_keys")
    library = next(p.name for p in (site.root("server_1") / "lib").iterdir() if len(p.name) == 16)

    def ask(request: dict[str, object], version: str = library) -> str:
        return on_server(door, given="%s\n%s\n" % (version, json.dumps(request))).output

    host = {"root": inventory.MUSTER_ROOT}
    assert "may not prepare" in ask({"verb": "prepare", "host": host})
    assert "may not remove" in ask({"verb": "remove", "host": host})
    assert "not the folder of this host" in ask({"verb": "act", "host": {"root": "/etc"}})
    assert "only an administrator" in ask({"verb": "act", "host": host, "config": {"files": {}}})
    assert "no version" in ask({"verb": "observe", "host": host}, "../../../../tmp/x")
    for entry in (
        {"instance": "../../../etc/cron.d/x"},
        {"instance": ".."},
        {"instance": "scen2_srv_01", "environment": {"LD_PRELOAD": "x"}},
        {"instance": "scen2_srv_01", "environment": {"MUSTER_PEERS": "a\nLD_PRELOAD=x"}},
        {"instance": "scen2_srv_01", "programs": [{"name": "a/b"}]},
        {"instance": "scen2_srv_01", "epoch": 10**40},
    ):
        assert "no request to the agent" in ask({"verb": "act", "host": host, "instances": [entry]}), entry
    assert "another version" in ask({"verb": "observe", "host": host}, "0" * 16)
    # Nothing but the API's socket can be forwarded, and there is no terminal.
    key = site.on("server_1", "cat", "/etc/ssh/muster_keys/muster")
    assert key.startswith('from="%s",restrict,' % site.lab.names.address(CONTROLLER))
    refused = site.as_muster("ssh", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22",
                             site.lab.names.address("server_1"), "true")  # fmt: skip
    assert refused.rc != 0


@pytest.mark.core
def test_a_host_run_by_supervisor_needs_no_root_at_all(site: RealController) -> None:
    account = site.on(BY_SUPERVISOR, "id", "-u", "muster").strip()
    users = {}
    for pid in site.pids(BY_SUPERVISOR):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if inventory.MUSTER_ROOT.encode() in words:
            users[words] = os.stat(f"/proc/{pid}").st_uid
    assert users and {str(user) for user in users.values()} == {account}, users
    assert site.on(BY_SUPERVISOR, "sh", "-c", "ls /etc/sudoers.d | grep muster; ls -d /usr/local/libexec").endswith(
        "No such file or directory\n"
    )
    asked = site.as_muster("ssh", "-o", "BatchMode=yes", site.lab.names.address(BY_SUPERVISOR), "sudo -n id")
    assert asked.rc != 0 and "uid=0" not in asked.output


def known_there(site: RealController) -> None:
    for host in WITH_PEOPLE:
        wait_for(lambda: site.person(host, "muster", "status").rc == 0, "a way from " + host, site.monitor_log, 90)  # noqa: B023


@pytest.mark.core
def test_people_of_a_console_open_there_and_close_from_anywhere_without_root(site: RealController) -> None:
    """Req 21 and 27, as it is installed."""
    wait_for(lambda: at_rest(site), "everything at rest", lambda: story(site), 90)
    known_there(site)
    assert site.person(CONSOLE, "muster", "whoami").output == "%s on %s\n" % (PERSON, CONSOLE)
    opened = site.person(CONSOLE, "muster", "open", "02", "--reason", "shift begins")
    assert opened.rc == 0, opened.output
    assert site.hosts_of("scen2_hci_02") == {CONSOLE}
    assert "%s@%s" % (PERSON, CONSOLE) in site.person(CONSOLE, "muster", "events", "--instance", "scen2_hci_02").output
    assert "shift begins" in site.person(BY_SUPERVISOR, "muster", "why", "scen2_hci_02").output
    refused = site.person(BY_SUPERVISOR, "muster", "open", "02")
    assert refused.output == "on which console? This request comes from server_2, which is no console\n"
    assert refused.rc == 2
    closed = site.person(BY_SUPERVISOR, "muster", "close", "02")
    assert closed.rc == 0, closed.output
    assert site.processes("scen2_hci_02") == []
    unknown = site.person(CONSOLE, "muster", "stop", "scen2_srv_1")
    assert (unknown.rc, unknown.output) == (
        3, "there is no instance or item scen2_srv_1 in this site; did you mean scen2_srv_01?\n")  # fmt: skip


@pytest.mark.core
def test_a_user_outside_the_group_is_refused(site: RealController) -> None:
    known_there(site)
    for host in WITH_PEOPLE:
        refused = site.person(host, "muster", "open", "01", user=STRANGER)
        assert refused.rc == 5
        assert refused.output.startswith("muster: only members of the group operators may use muster on " + host)
        socket = "import socket; socket.socket(socket.AF_UNIX).connect('/var/lib/muster_api/%s/api.sock')" % host
        assert "PermissionError" in site.person(host, "python3", "-c", socket, user=STRANGER).output
        assert site.person(host, "python3", "-c", socket).output == ""
    # What passes connections on there has no more rights than the account, and the folder of muster is not opened.
    assert site.on(CONSOLE, "stat", "-c", "%U:%G %a", "/var/lib/muster_api/console_1/api.sock").split() == [
        "muster:operators", "660"]  # fmt: skip
    assert "Permission denied" in site.person(CONSOLE, "ls", inventory.MUSTER_ROOT).output


def test_the_page_in_a_browser_on_a_console_belongs_to_that_console_only(site: RealController) -> None:
    known_there(site)
    get = ("import urllib.request as r\ntry: print(r.urlopen('http://127.0.0.1:8770%s').read().decode())\n"
           "except r.HTTPError as error: print(error.code, error.read().decode())")  # fmt: skip
    command = site.lab.machines[CONSOLE].inside("muster", "page", user=PERSON)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shown:
        try:
            assert shown.stdout is not None
            assert shown.stdout.readline().startswith("http://127.0.0.1:8770/ is the page of this console")
            told = json.loads(site.person(CONSOLE, "python3", "-c", get % "/api/v1/whoami").output)
            assert (told["who"], told["host"], told["console"]) == (PERSON, CONSOLE, CONSOLE)
            assert "<!doctype html>" in site.person(CONSOLE, "python3", "-c", get % "/").output.lower()
            stranger = site.person(CONSOLE, "python3", "-c", get % "/api/v1/whoami", user=STRANGER)
            assert stranger.output.startswith("403 this is the page of another user")
            listening = [line.split()[1] for line in site.on(CONSOLE, "cat", "/proc/net/tcp").splitlines()
                         if line.split()[3] == "0A"]  # fmt: skip
            assert [place for place in listening if place.endswith(":2242")] == ["0100007F:2242"]  # loopback, port 8770
        finally:
            site.on(CONSOLE, "pkill", "-f", "muster page")


def test_a_host_is_announced_by_the_administrator_and_seen_by_everybody(site: RealController) -> None:
    words = {"announce_host": "server_9", "announce_kind": "server", "announce_address": "192.0.2.99"}
    try:
        site.admin("announce", "-e", json.dumps(words))
        listed = [str(BIN / "ansible-inventory"), "-i", inventory.INVENTORY, "--host", "server_9"]
        for user, home in ((ADMIN, "/home/" + ADMIN), ("muster", "/var/lib/muster")):
            told = site._as(user, home, *listed)
            assert '"announced_address": "192.0.2.99"' in told.output, told.output
        assert site.admin("announce", "-e", json.dumps(words)).changed == 0
        refused = site._as(PERSON, "/home/" + PERSON, "touch", "/etc/muster/announced/server_8.yml")
        assert "Permission denied" in refused.output
    finally:
        site.on(CONTROLLER, "rm", "-rf", "/etc/muster")


def test_a_monitor_that_hangs_is_started_again(site: RealController) -> None:
    wait_for(lambda: at_rest(site), "everything at rest", lambda: story(site), 90)
    before = int(site.unit("MainPID"))
    site.on(CONTROLLER, "kill", "-STOP", str(before))
    wait_for(lambda: int(site.unit("MainPID")) not in (0, before) and site.unit("ActiveState") == "active",
             "another monitor", site.monitor_log, 90)  # fmt: skip
    wait_for(lambda: watched(site), "every host watched again", site.monitor_log, 90)
    assert int(site.unit("NRestarts")) >= 1


def test_everything_reboots_with_its_controller_and_the_unit_takes_up_the_work(site: RealController) -> None:
    """Req 11: nothing but the machines' own systemd starts anything."""
    wait_for(lambda: at_rest(site), "everything at rest", lambda: story(site), 90)
    before = {name: site.claims()[name]["epoch"] for name in ITEMS}
    site.lab.power_cut(*site.lab.names.hosts)
    site.lab.boot(*site.lab.names.hosts)

    def again() -> bool:
        claims = {name: site.claims()[name] for name in before}
        return all(claims[n]["epoch"] > before[n] and claims[n]["phase"] == "running" for n in before)

    wait_for(again, "both items again", site.monitor_log, 120)
    wait_for(lambda: watched(site), "every host watched again", site.monitor_log, 90)
    assert [len(site.hosts_of(name)) for name in before] == [1, 1]
    assert site.unit("NRestarts") == "0"


def test_it_is_confined(site: RealController) -> None:
    said = site.on(CONTROLLER, "systemd-analyze", "security", "--no-pager", "muster-monitor")
    exposure = float(said.rpartition("level for muster-monitor.service:")[2].split()[0])
    assert exposure < 3.0, said
    assert oct((site.state).stat().st_mode & 0o777) == "0o700"
    secret = site.on(CONTROLLER, "stat", "-c", "%a %U", "/var/lib/muster/.ssh/id_ed25519").split()
    assert secret == ["600", "muster"]


def test_absent_leaves_key_and_state_only(site: RealController) -> None:
    site.admin("controller", "-e", "monitor_state=absent")
    assert site.unit("LoadState") == "not-found"
    assert site.on(CONTROLLER, "ls", "/var/lib/muster/venv").count("No such file") == 1
    assert site.on(CONTROLLER, "ls", "/var/lib/muster/.ssh/id_ed25519").strip().endswith("id_ed25519")
    assert (site.state / "ledger.db").exists()
    assert site.admin("controller", "-e", "monitor_state=absent").changed == 0


def test_uninstalling_leaves_nothing_of_ours_anywhere(site: RealController) -> None:
    hosts = (CONTROLLER, *HOSTS)

    def left() -> dict[str, list[str]]:
        now = {host: bare.traces(site.lab, host) for host in hosts}
        return {host: sorted(name for name in now[host].keys() | site.before[host].keys()
                             if now[host].get(name) != site.before[host].get(name))
                for host in hosts}  # fmt: skip

    refused = site.as_admin("uninstall")
    assert refused.rc != 0 and "muster_confirm=true" in refused.output
    there = left()
    assert all(there.values())
    told = site.admin("uninstall", "--check", "-e", "muster_confirm=true")
    assert left() == there
    done = site.admin("uninstall", "-e", "muster_confirm=true")
    assert left() == {host: [] for host in hosts}
    assert told.changed == done.changed
    assert site.admin("uninstall", "-e", "muster_confirm=true").changed == 0
