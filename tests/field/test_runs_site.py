# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same on a whole site: a monitor and an operator with settings and surroundings that others have had.

Sources: those of `test_runs`; ansible/ansible#14309, #13942 (csh as login shell); #18665, openshift/openshift-ansible
#4478 (templated interpreter); #75107 (account of who deploys); #7251, #86397 (paramiko).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from monitor.core.host import install
from monitor.core.host.machine import ownership
from tests.integration.api_client import Client
from tests.integration.local_site import SiteLab, wait_for

ITEM = "scen2_srv_01"
SECRET = "S3CRET-of-item-01"
KNOWN_WITHIN = 30.0  # s

_SETTINGS = """
[defaults]
ask_vault_pass = True
vault_identity_list = prod@.vault_prod
strategy = free
any_errors_fatal = True
forks = 1
task_timeout = 1
callbacks_enabled = ansible.posix.profile_tasks
[privilege_escalation]
become_ask_pass = True
[tags]
skip = all
[connection]
pipelining = True
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    """A deployed site whose monitor has settings of its own, and no locale that Ansible takes."""
    lab = SiteLab(71, consoles=["console_1"])
    try:
        folder = lab.folder / "settings"
        folder.mkdir()
        (folder / "ansible.cfg").write_text(_SETTINGS)
        (folder / ".vault_prod").write_text("word\n")
        vaulted(lab)
        lab.set(monitor_environment={
            "MUSTER_LOCAL_NET": lab.net, "MUSTER_LOCAL_DIR": str(lab.folder / "m"), "LC_ALL": "xx_YY.UTF-8",
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "PATH": ".:/usr/bin:/bin",
        })  # fmt: skip
        lab.good("deploy")
        lab.start_monitor()
        lab.watch.start()
        yield lab
        lab.watch.stop()
        assert not lab.watch.violations, "%s\n%s" % (lab.watch.violations, lab.monitor_log())
    finally:
        lab.end()


def vaulted(lab: SiteLab) -> None:
    """Give an item a variable that is encrypted in the inventory; it gets into a program's environment."""
    password = lab.folder / "password"
    password.write_text("word\n")
    lab.environment["ANSIBLE_VAULT_IDENTITY_LIST"] = "prod@%s" % password
    made = lab.run(["ansible-vault", "encrypt_string", "--encrypt-vault-id", "prod", SECRET, "--name", "site_token"])
    assert made.rc == 0, made.output
    lines = made.output.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("site_token:"))
    text = "\n".join([lines[first], *(line for line in lines[first + 1 :] if line.startswith(" "))])
    (lab.inventory / "group_vars" / "all" / "vaulted.yml").write_text(text + "\n")
    applications = yaml.safe_load((lab.inventory / "group_vars/all/site.yml").read_text())["muster_applications"]
    programs = applications["scen2_srv"]["programs"]
    programs["config_manager"]["environment"] = {
        **programs["config_manager"].get("environment", {}), "TOKEN": "{{ item.token | default('') }}",
    }  # fmt: skip
    items = [{"id": "01", "token": "{{ site_token }}"}, "02", "03"]
    lab.set(muster_items=items, muster_applications=applications)


def restarted(lab: SiteLab) -> None:
    """Kill the bus of an item that runs, when a run is ready; soon it runs again, with another bus."""
    parked(lab)
    bus, epoch = lab.bus(ITEM), lab.claims()[ITEM]["epoch"]
    os.kill(bus, signal.SIGKILL)

    def again() -> bool:
        claim = lab.claims()[ITEM]
        return claim["phase"] == "running" and claim["epoch"] > epoch and lab.bus(ITEM) != bus

    wait_for(again, "it runs again", lab.monitor_log)


def parked(lab: SiteLab) -> None:
    """A run is ready, and nothing is at work."""

    def ready() -> bool:
        told = json.loads((lab.state / "run" / "monitor.json").read_text())
        return told["standby"] == "parked" and not told["intents"] and lab.claims()[ITEM]["phase"] == "running"

    wait_for(ready, "a run is ready", lab.monitor_log)


def end_parked(lab: SiteLab) -> None:
    """The run that waits is gone, and the next one has to be made."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"runner_child.py" in command and b"%s/artifacts/standby-" % str(lab.state).encode() in command:
                    os.kill(int(entry.name), signal.SIGTERM)


def test_a_bus_is_restarted_whatever_settings_and_locale_the_monitor_has(lab: SiteLab) -> None:
    restarted(lab)
    status = lab.muster("status")
    assert status.rc == 0, status.output
    assert "asks for a vault password (ask_vault_pass): nobody can type it for the monitor" in status.output
    assert "asks for a password for become" in status.output
    assert '"event": "settings"' in lab.monitor_log() or '"event":"settings"' in lab.monitor_log()


@pytest.mark.parametrize("locale", ["C", "xx_YY.UTF-8"])
def test_an_operator_without_a_usable_locale_starts_and_stops(locale: str, lab: SiteLab) -> None:
    for arguments in (("stop", ITEM), ("start", ITEM), ("status", "--fresh")):
        done = lab.muster(*arguments, LC_ALL=locale)
        assert done.rc == 0, done.output


@pytest.mark.long
def test_a_run_of_a_person_with_the_strategy_free_makes_one_plan(lab: SiteLab) -> None:
    done = lab.play("reconcile")
    done = lab.run(
        ["ansible-playbook", "-i", str(lab.inventory), "control_room.muster.reconcile"],
        ANSIBLE_STRATEGY="free", ANSIBLE_ANY_ERRORS_FATAL="True",
    )  # fmt: skip
    assert done.rc == 0, done.output
    assert done.output.count("TASK [Plan, and commit the plan]") == 1
    assert done.output.count("nothing to do") == 1


def test_one_host_that_fails_does_not_end_the_run_for_the_others(lab: SiteLab) -> None:
    marker = lab.root("console_1") / "etc" / "host.json"
    good = marker.read_text()
    marker.write_text("x")
    try:
        done = lab.run(
            ["ansible-playbook", "-i", str(lab.inventory), "control_room.muster.restart",
             "-e", json.dumps({"muster_instances": [ITEM]})],
            ANSIBLE_ANY_ERRORS_FATAL="True",
        )  # fmt: skip
        assert "Commit the outcome" in done.output, done.output
        restarted(lab)
    finally:
        marker.write_text(good)


def test_a_monitor_that_gets_no_run_says_so_everywhere_and_when_it_is_over(lab: SiteLab) -> None:
    assert lab.muster("reset", ITEM).rc == 0  # crashes in a row wait for another run
    parked(lab)
    password = lab.folder / "settings" / ".vault_prod"
    password.unlink()
    restarted(lab)  # by the run that was parked before; there is no other one
    began = time.monotonic()
    end_parked(lab)
    wait_for(lambda: lab.status()["monitor"].get("no_runs"), "it is known", lab.monitor_log, KNOWN_WITHIN)
    assert time.monotonic() - began < KNOWN_WITHIN
    status = lab.muster("status")
    assert status.rc == 1
    words = [line for line in status.output.splitlines() if line.startswith("monitor: cannot run playbooks since ")]
    assert ["ERROR! The vault password file %s was not found" % password in line for line in words] == [True], status
    assert lab.muster("status", "--json").rc == 1
    door = Client(lab.state / "run" / "api.sock")
    health = door.ask("GET", "/healthz")
    assert (health.status, "cannot run playbooks: ERROR!" in health.json["why"]) == (503, True)
    assert b"\nmuster_runs_impossible 1.0\n" in door.ask("GET", "/metrics").body
    began = time.monotonic()
    refused = lab.muster("restart", ITEM)
    assert (refused.rc, "cannot run playbooks: ERROR!" in refused.output) == (1, True)
    assert time.monotonic() - began < 15
    password.write_text("word\n")
    wait_for(lambda: lab.muster("status").rc == 0, "it is over", lab.monitor_log, 90)
    assert door.ask("GET", "/healthz").status == 200
    restarted(lab)


def test_decrypted_values_stay_where_they_are_needed_and_nowhere_else(lab: SiteLab) -> None:
    """Not in trail, ledger, watch list, artefacts of runs, logs, nor in what is remembered between runs."""
    lab.good("reconcile")
    restarted(lab)
    assert lab.muster("status", "--fresh").rc == 0
    found = {}
    for folder, _unused, names in os.walk(lab.folder):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, "rb") as handle:
                if SECRET.encode() in handle.read():
                    found[os.path.relpath(path, lab.folder)] = stat.S_IMODE(os.stat(path).st_mode)
    site_json = os.path.relpath(lab.state / "site.json", lab.folder)
    assert found.pop(site_json) == 0o600
    rest = {name: oct(mode) for name, mode in found.items() if mode & 0o007 or "/etc/" not in name}
    assert found and rest == {}, rest
    assert all(("/server_" in name) and ITEM in name for name in found), found


@pytest.mark.long
def test_an_inventory_with_sorted_keys_is_the_same_site(lab: SiteLab) -> None:
    """As AWX has it: what `ansible-inventory --list` prints."""
    listed = lab.run(["ansible-inventory", "-i", str(lab.inventory), "--list"])
    assert listed.rc == 0, listed.output
    (lab.folder / "awx.json").write_text(listed.output[listed.output.index("{") : listed.output.rindex("}") + 1])
    script = lab.folder / "awx"
    script.write_text("#!/bin/sh\ncat %s\n" % (lab.folder / "awx.json"))
    script.chmod(0o755)
    before = {name: claim["epoch"] for name, claim in lab.claims().items()}
    for inventory in (str(script), str(lab.inventory)):
        done = lab.run(["ansible-playbook", "-i", inventory, "control_room.muster.deploy"])
        assert (done.rc, done.changed) == (0, 0), done.output
        assert "nothing to do: everything is as wanted" in done.output
    assert {name: claim["epoch"] for name, claim in lab.claims().items()} == before


# -- login shells, interpreters, accounts: every host is reached by ssh, as far as Ansible can tell

_SSH = """#!/bin/sh
# What sshd does with a command: it hands it to the login shell.
for last; do :; done
case $last in -V|-O) exit 0 ;; esac
ulimit -S -v unlimited  # the other machine knows nothing of the bounds of this one's ssh
case $last in %s)
  if [ ! -e %s ]; then exec 0<&-; sleep 0.3; echo "No module named 'muster_host'" >&2; exit 1; fi ;;
esac
exec %s -c "$last"
"""
SHELLS = ("tcsh", "csh", "fish", "zsh", "dash", "bash")


@pytest.fixture(scope="module")
def ssh(request: pytest.FixtureRequest) -> Iterator[SiteLab]:
    lab = SiteLab(72)
    try:
        lab.folder.joinpath("python").write_text('#!/bin/sh\necho "$*" >>%s/asked\nexec python3 "$@"\n' % lab.folder)
        lab.folder.joinpath("python").chmod(0o755)
        group = lab.inventory / "group_vars" / "muster_hosts.yml"
        group.write_text(yaml.safe_dump({
            "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "my_python": str(lab.folder / "python"),
            "ansible_python_interpreter": "{{ my_python }}",
        }))  # fmt: skip
        there = [shell for shell in SHELLS if shutil.which(shell)]
        for number, host in enumerate(("server_1", "server_2", "server_3", "console_1", "console_2", "console_3")):
            program = lab.folder / ("ssh-" + host)
            root, shell = str(lab.root(host)), shutil.which(there[number % len(there)])
            # On one of them, Python says that no agent is there, and reads no more; ssh ends somewhat later.
            start = ownership.launcher(root, "%s/lib/%016d" % (root, 0), install.PACKAGE)
            hasty = '*"read(%d)"*' % len(start) if host == "console_3" else "-"
            program.write_text(_SSH % (hasty, root + "/lib", shell))
            program.chmod(0o755)
            lab.set_host(host, ansible_ssh_executable=str(program))
        lab.good("deploy", "-e", "ansible_user=alice", "-e", "ansible_ssh_private_key_file=/home/alice/.ssh/id")
        yield lab
    finally:
        lab.end()


@pytest.mark.skipif(shutil.which("tcsh") is None, reason="there is no tcsh here (package tcsh)")
def test_a_site_runs_whose_accounts_have_another_login_shell(ssh: SiteLab) -> None:
    started = {process.instance for process in ssh.processes()}
    assert ITEM in started
    ssh.good("restart", instances=[ITEM])
    again = ssh.play("reconcile")
    assert (again.rc, "nothing to do" in again.output) == (0, True), again.output


def test_the_agent_runs_under_the_interpreter_that_a_variable_names(ssh: SiteLab) -> None:
    asked = (ssh.folder / "asked").read_text().splitlines()
    assert sum(line.startswith("-I -S -X utf8 -c ") and line.endswith(str(ssh.root("server_1"))) for line in asked) >= 2


def test_the_account_of_who_deploys_is_not_the_monitors(ssh: SiteLab) -> None:
    hosts = json.loads((ssh.state / "site.json").read_text())["site"]["hosts"]
    assert {(host["ssh"]["user"], host["ssh"]["key"]) for host in hosts} == {("", "")}
    assert {host["ssh"]["host"] for host in hosts} == {"127.0.0.1"}
    assert {host["ssh"]["python"] for host in hosts} == {str(ssh.folder / "python")}


def test_a_host_behind_a_connection_without_input_is_refused_with_a_sentence(ssh: SiteLab) -> None:
    checked = ssh.run(
        ["ansible-playbook", "-i", str(ssh.inventory), "control_room.muster.preflight", "--limit", "server_1",
         "-e", "ansible_connection=paramiko_ssh"],
    )  # fmt: skip
    assert checked.rc != 0
    assert "which cannot hand over what the agent has to do: say ansible_connection: ssh" in checked.output
    ssh.set_host("server_1", ansible_connection="paramiko_ssh")
    found = ssh.muster("check")
    assert (found.rc, "host server_1 is reached by paramiko_ssh" in found.output) == (2, True), found.output
