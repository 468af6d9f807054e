# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the playbooks inherits from its caller: locale, search path, settings, questions.

Sources: ansible/ansible#77658, #84408 (locale); ansible/ansible-navigator#61, #599, ansible/ansible-runner#47, #397
(questions that nobody sees); ansible/ansible#42388, #75383 (settings of a folder that everybody may write to);
ansible/ansible#52566, #21638, kubernetes-sigs/kubespray PR#1883 (relative names); ansible/ansible#15876, #72747,
#22340, ansible/ansible-lint#1026, redhat-cop/agnosticd PR#5517 (strategy, any_errors_fatal).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.runs import environment, playbooks
from monitor.runs.runs import Outcome, Runs
from tests.field.surroundings import place_fixture, settings  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 60.0  # s
VAULTED = ("secret", "the vaulted word")  # password, content

_PLAY = """
- hosts: localhost
  gather_facts: false
  strategy: ansible.builtin.linear
  any_errors_fatal: false
  tasks:
    - name: Wait longer than a timeout of a second
      ansible.builtin.command: sleep 1.3
    - name: Say
      ansible.builtin.debug: {msg: "done by {{ lookup('env', 'LC_ALL') }} as wanted"}
"""
_TELLS = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug: {msg: "said: {{ word | default('') }}"}
"""
_EVIL = """
import os
from ansible.plugins.callback import CallbackBase
open(os.path.join(os.path.dirname(__file__), "taken"), "w").close()
class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "evil"
"""


def play(made: environment.Made, text: str = _PLAY) -> subprocess.CompletedProcess[str]:
    """`ansible-playbook` without a terminal, so that a question cannot be answered."""
    path = made.folder / "play.yml"
    path.write_text(text)
    return subprocess.run([playbooks.ansible_playbook(), str(path)], env=made.env, cwd=made.folder, text=True,
                          start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=WITHIN, check=False)  # fmt: skip


def run_of_monitor(state: Path, inventory: str = "here,") -> tuple[Outcome, str]:
    """The result of a run as the monitor makes it, and its output. Each is the first of a monitor of its own: the names
    of runs tell these apart by their process and second."""

    async def scenario() -> tuple[Outcome, str]:
        runs = Runs(Path(tempfile.mkdtemp(dir=state)), [inventory])
        job = runs.begin("reconcile", {"muster_why": "a test"}, WITHIN)
        return await job.done, runs.last_words(job, 100)

    state.mkdir(exist_ok=True)
    return asyncio.run(scenario())


# -- locale


@pytest.mark.parametrize(
    "inherited",
    [
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "xx_YY.UTF-8"},
        {"LANG": "C.UTF-8", "LC_PAPER": "de_NOWHERE.UTF-8"},
        {"LC_CTYPE": "UTF-8"},  # as macOS sends it over ssh
        {"LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_ansible_starts_whatever_the_locale_of_the_caller_is(inherited: dict[str, str], place: Path) -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    made = environment.for_person({**plain, **inherited}, place)
    words = [str(Path(playbooks.ansible_playbook()).with_name("ansible-playbook")), "--version"]
    done = subprocess.run(words, env=made.env, text=True, capture_output=True, timeout=WITHIN, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_locale_that_works_stays_as_it_is(place: Path) -> None:
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "LC_TIME": "C.UTF-8"}
    made = environment.for_person(environ, place)
    assert (made.env["LC_ALL"], made.env["LC_TIME"]) == ("C.UTF-8", "C.UTF-8")


def test_a_run_of_the_monitor_works_although_the_monitor_has_the_locale_c(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    outcome, said = run_of_monitor(place / "state")
    assert outcome.why == "", said


# -- search path


@pytest.mark.parametrize("inherited", ["", ".:bin:/usr/bin", "/nowhere", "::"])
def test_programs_of_the_machine_are_found_and_nothing_of_the_folder_one_is_in(inherited: str, place: Path) -> None:
    made = environment.for_monitor({"PATH": inherited, "HOME": str(place)}, place)
    folders = made.env["PATH"].split(":")
    assert folders[0] == str(Path(playbooks.ansible_playbook()).parent)
    assert {"/usr/sbin", "/usr/bin", "/bin"} < set(folders)
    assert all(folder.startswith("/") for folder in folders)


# -- questions


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[defaults]\nask_vault_pass = True\n", "asks for a vault password (ask_vault_pass)"),
        ("[privilege_escalation]\nbecome_ask_pass = yes\n", "asks for a password for become (become_ask_pass)"),
        ("[defaults]\nask_pass = 1\n", "asks for a password for ssh (ask_pass)"),
        ("[defaults]\nvault_identity_list = prod@prompt\n", "(vault_identity_list: prod@prompt)"),
        ("[defaults]\nvault_identity_list = a@.word, b@prompt_ask_vault_pass\n", "(vault_identity_list: b@prompt_"),
    ],
)
def test_a_run_that_needs_a_person_is_reported(text: str, told: str, place: Path) -> None:
    settings(place, text)
    (place / ".word").write_text("word\n")
    made = environment.for_monitor(os.environ, place)
    assert [told in note and "nobody can type it for the monitor" in note for note in made.notes] == [True]


def test_a_run_of_the_monitor_asks_nothing(place: Path) -> None:
    settings(place, "[defaults]\nask_vault_pass = True\nask_pass = True\nvault_identity_list = prod@prompt\n"
                    "[privilege_escalation]\nbecome_ask_pass = True\n")  # fmt: skip
    made = environment.for_monitor(os.environ, place)
    assert len(made.notes) == 4
    done = play(made)
    assert (done.returncode, "done by" in done.stdout) == (0, True), done.stdout


def test_a_prompt_that_the_environment_enables_is_reported_too(place: Path) -> None:
    made = environment.for_monitor({**os.environ, "ANSIBLE_BECOME_ASK_PASS": "True"}, place)
    assert ["ANSIBLE_BECOME_ASK_PASS asks for" in note for note in made.notes] == [True]
    assert made.env["ANSIBLE_BECOME_ASK_PASS"] == "False"


def test_a_person_at_a_terminal_is_asked_as_ever(place: Path) -> None:
    settings(place, "[defaults]\nask_vault_pass = True\n")
    made = environment.for_person(os.environ, place)
    assert ("ANSIBLE_ASK_VAULT_PASS" in made.env, made.notes) == (False, ())


# -- settings of others


@pytest.mark.parametrize("everybody", ["folder", "sticky folder", "file"])
def test_settings_that_everybody_may_write_are_left_out_and_that_is_said(everybody: str, place: Path) -> None:
    settings(place, "[defaults]\nlog_path = %s/taken\n" % place)
    writable = place / "ansible.cfg" if everybody == "file" else place
    writable.chmod({"file": 0o666, "folder": 0o777, "sticky folder": 0o1777}[everybody])
    for made in (environment.for_person(os.environ, place), environment.for_monitor(os.environ, place)):
        assert made.notes == ("%s/ansible.cfg is left out: everybody may write to %s" % (place, writable),)
        assert made.env.get("ANSIBLE_CONFIG") != str(place / "ansible.cfg")


def test_a_file_that_is_named_counts_in_such_a_folder_as_it_does_for_ansible(place: Path) -> None:
    settings(place, "[defaults]\nforks = 30\n")
    place.chmod(0o777)
    environ = {**os.environ, "ANSIBLE_CONFIG": str(place / "ansible.cfg")}
    made = environment.for_monitor(environ, place)
    assert (made.env["ANSIBLE_CONFIG"], made.env["ANSIBLE_FORKS"], made.notes) == (environ["ANSIBLE_CONFIG"], "30", ())


# -- names in settings


def vaulted(folder: Path, label: str) -> None:
    """An inventory with a word that the password in `.vault_prod` opens."""
    (folder / ".vault_prod").write_text(VAULTED[0] + "\n")
    tool = Path(playbooks.ansible_playbook()).with_name("ansible-vault")
    words = [str(tool), "encrypt_string", "--vault-id", "%s@%s/.vault_prod" % (label, folder), VAULTED[1]]
    env = environment.for_person({**os.environ, "ANSIBLE_CONFIG": ""}, folder).env
    told = subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout.replace("\n", "\n      ")
    (folder / "hosts.yml").write_text("all:\n  hosts: {here: {}}\n  vars:\n    word: " + told)
    (playbooks.ROOT / "playbooks" / "reconcile.yml").write_text(_TELLS)


@pytest.mark.parametrize(
    "text",
    [
        "vault_identity_list = other@below/../.vault_prod, prod@.vault_prod",
        "vault_password_file = .vault_prod",
    ],
)
def test_relative_names_in_settings_mean_their_folder(text: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "below").mkdir()
    vaulted(place, "prod")
    settings(place, "[defaults]\n%s\n" % text)
    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir()
    for folder, environ in ((place, ""), (elsewhere, str(place / "ansible.cfg"))):
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ANSIBLE_CONFIG", environ)
        outcome, said = run_of_monitor(place / "state", str(place / "hosts.yml"))
        assert (outcome.why, "said: " + VAULTED[1] in said) == ("", True), said


def test_relative_names_in_the_environment_mean_the_folder_of_the_monitor(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaulted(place, "prod")
    other = place.parent / "other"
    other.mkdir()
    settings(other, "[defaults]\nforks = 25\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(other / "ansible.cfg"))
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "x@.vault_prod,prod@.vault_prod")
    outcome, said = run_of_monitor(place / "state", str(place / "hosts.yml"))
    assert (outcome.why, "said: " + VAULTED[1] in said) == ("", True), said


def test_arguments_of_ssh_with_a_relative_name_mean_the_folder_of_the_settings(place: Path) -> None:
    (place / "ssh.conf").write_text("Host gone\n  HostName 127.0.0.1\n  Port 1\n  ProxyCommand echo by-the-file >&2\n")
    (playbooks.ROOT / "playbooks" / "reconcile.yml").write_text(_TELLS.replace("debug: {msg", "ping: {data").replace(
        "connection: local", "connection: ssh"))  # fmt: skip
    settings(place, "[ssh_connection]\nssh_args = -F ./ssh.conf\n")
    outcome, said = run_of_monitor(place / "state", "gone,")
    assert (outcome.code, "by-the-file" in said) == (4, True), said


# -- settings that change how plays go


_HOSTILE = """
[defaults]
task_timeout = 1
enable_task_debugger = True
no_log = True
strategy = free
any_errors_fatal = True
callbacks_enabled = evil, not.there.at_all
callback_plugins = plugins
[tags]
run = mine
skip = all
"""


def test_settings_that_would_change_the_plays_do_not_count(place: Path) -> None:
    (place / "plugins").mkdir()
    (place / "plugins" / "evil.py").write_text(_EVIL)
    settings(place, _HOSTILE)
    for made in (environment.for_person(os.environ, place), environment.for_monitor(os.environ, place)):
        done = play(made)
        assert (done.returncode, "done by" in done.stdout) == (0, True), done.stdout
    assert not (place / "plugins" / "taken").exists()


@pytest.mark.parametrize(("text", "forks"), [("forks = 1", "20"), ("forks = 50", "50"), ("forks = many", "20")])
def test_few_forks_do_not_make_hosts_wait_for_each_other(text: str, forks: str, place: Path) -> None:
    settings(place, "[defaults]\n%s\n" % text)
    assert environment.for_monitor(os.environ, place).env["ANSIBLE_FORKS"] == forks


# -- plays


PLAYS = [
    pytest.param(play, id="%s-%s" % (path.stem, play.get("name")))
    for path in sorted((ROOT / "playbooks").rglob("*.yml"))
    for play in yaml.safe_load(path.read_text())
    if "hosts" in play
]


@pytest.mark.parametrize("play", PLAYS)
def test_every_play_says_itself_how_it_goes(play: dict[str, Any]) -> None:
    assert play["strategy"] == "ansible.builtin.linear"
    assert play["any_errors_fatal"] is False
    assert play["gather_facts"] is False


def test_all_playbooks_were_looked_at() -> None:
    assert len(PLAYS) >= 14


@pytest.mark.parametrize("playbook", ["reconcile", "deploy", "status", "remove"])
def test_a_limit_that_leaves_no_host_is_an_error_and_no_green_run_that_did_nothing(
    playbook: str, tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all: {children: {muster_hosts: {hosts: {server_1: }}, muster_controller: {hosts: {controller: }}}}\n"
    )
    command = ["ansible-playbook", "-i", str(inventory), "control_room.muster.%s" % playbook, "--limit", "controller"]
    made = environment.for_person(os.environ, tmp_path)
    done = subprocess.run(command, env=made.env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0, done.stdout
    assert "--limit leaves no host of muster_hosts, so nothing would be done" in done.stderr
