# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is wrong with a host: one sentence per problem, with what to do about it. Pure.

`PROBE` is the program that runs on the host. It works with any version of Python, so that it can report an old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MARK = "MUSTER:"
OLDEST_PYTHON = (3, 8)
OLDEST_CONTROLLER = (3, 11)  # of the monitor
CLOCK_OFF = 2.0  # s that a host's clock may differ from the control node's
FREE = 64  # MiB below which a disk counts as full
_MIB = 1024 * 1024
FIRST_PERSON = 1000  # logind spares the accounts below it
EXECUTABLE = ("bin_t", "usr_t")  # labels of SELinux from which systemd may start programs

# Takes its arguments as JSON in the first line of its own text.
PROBE = """
import json, os, subprocess, sys, time
facts = {"time": time.time(), "python": list(sys.version_info[:3]), "user": "", "missing": []}
place = ROOT
while not os.path.isdir(place) and place not in ("", "/"):
    place = os.path.dirname(place)
facts["place"] = place
facts["writable"] = os.access(place, os.W_OK | os.X_OK)
try:
    found = os.statvfs(place)
    facts["free"] = found.f_bavail * found.f_frsize
    facts["inodes"] = found.f_favail if found.f_files else -1
    facts["noexec"] = bool(found.f_flag & 8)  # ST_NOEXEC of Linux
except OSError:
    pass
try:
    import pwd
    facts["user"] = pwd.getpwuid(os.geteuid()).pw_name
except Exception:
    facts["user"] = str(os.geteuid())
path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
for name in PROGRAMS:
    if not any(os.access(os.path.join(folder, name), os.X_OK) for folder in path.split(os.pathsep)):
        facts["missing"].append(name)
facts["uid"] = os.geteuid()
facts["lingers"] = os.path.exists("/var/lib/systemd/linger/" + facts["user"])
try:
    with open("/sys/fs/selinux/enforce") as handle:
        if handle.read().strip() == "1":
            facts["selinux"] = os.getxattr(place, "security.selinux").decode().strip("\\0").split(":")[2]
except Exception:
    pass
try:
    asked = ["busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1",
             "org.freedesktop.login1.Manager", "KillUserProcesses", "RemoveIPC"]
    said = subprocess.run(asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5)
    facts["logind"] = [line.split()[-1:] == [b"true"] for line in said.stdout.splitlines()]
except Exception:
    pass
if "setpriv" in PROGRAMS and "setpriv" not in facts["missing"]:
    words = ["setpriv", "--pdeathsig", "KILL", "true"]
    with open(os.devnull, "r+") as nothing:
        ended = subprocess.call(words, env={"PATH": path}, stdin=nothing, stdout=nothing, stderr=nothing)
    facts["pdeathsig"] = ended == 0
for module in MODULES:
    try:
        __import__(module)
    except Exception:
        facts.setdefault("modules", []).append(module)
try:
    import psutil
except Exception:
    facts["missing"].append("psutil")
sys.stdout.write("\\n" + MARK + json.dumps(facts) + "\\n")
"""

# What ssh and Ansible say, and what it means; the first that fits counts.
_UNREACHABLE: tuple[tuple[str, str], ...] = (
    (r"identification has changed",
     "its host key is another one than known_hosts has: if it was reinstalled, remove the old key "
     "(ssh-keygen -R {address}), else another machine is in between"),
    (r"host key verification failed|no \S+ host key is known",
     "its host key is not known here: add it to known_hosts (ssh-keyscan {address}), once it was compared"),
    (r"could not resolve hostname|name or service not known",
     "its name {address} is not known here: name an address as ansible_host"),
    (r"no route to host|network is unreachable|host is down",
     "there is no route to {address}: it is off, its cable is pulled, or the address is wrong"),
    (r"connection refused",
     "{address} refuses connections at port {port}: sshd does not run there, or has another port"),
    (r"permission denied|too many authentication failures",
     "it refuses the key of {user}: put the public key into ~{user}/.ssh/authorized_keys there, or name another one as "
     "ansible_ssh_private_key_file"),
    (r"banner exchange|timeout, server|not responding|data could not be sent|did not answer within",
     "it takes connections and does not answer: it is frozen, out of memory or overloaded"),
    (r"timed out|timeout",
     "{address} does not answer in time: it is off, or a firewall drops what is sent to port {port}"),
    (r"connection (closed|reset)", "it closes connections at once: sshd refuses this address or has too many sessions"),
    (r"no such identity|identity file .* not accessible|load key",
     "the key that ansible_ssh_private_key_file names cannot be read"),
)  # fmt: skip
_BECOME: tuple[tuple[str, str], ...] = (
    (r"sudo: (command )?not found|sudo: no such file",
     "there is no sudo: install it, or let ansible_user be one that needs none"),
    (r"password is required|missing sudo password|incorrect sudo password|a terminal is required",
     "sudo asks {user} for a password: allow it without one (NOPASSWD), or give --ask-become-pass"),
    (r"not in the sudoers file|not allowed to (run|execute)", "{user} may not use sudo"),
)  # fmt: skip


def unreachable(words: str, reached: Mapping[str, str]) -> str:
    """Why the connection failed.

    :param words: the message of ssh or Ansible.
    :param reached: ``{"address", "port", "user"}``.
    """
    return _first(_BECOME + _UNREACHABLE, words, reached) or "it cannot be reached: %s" % _short(words)


def refused(code: int, words: str, python: str, reached: Mapping[str, str]) -> str:
    """Why the probe did not run, although the host was reached."""
    found = _first(_BECOME, words, reached)
    if found:
        return found
    if code == 127 or re.search(r"not found|no such file", words, re.IGNORECASE):
        return "there is no Python at %s: install it, or name another one as ansible_python_interpreter" % python
    if re.search(r"no space left", words, re.IGNORECASE):
        return "its disk is full"
    return "%s ended with %d there: %s" % (python, code, _short(words))


def findings(
    facts: Mapping[str, Any], host: Mapping[str, Any], offset: float, doubt: float, by_door: bool = False
) -> list[str]:
    """The probe's findings: problems that a deploy would fail on, or that would do harm later.

    :param facts: the answer of `PROBE`.
    :param host: the site's host: ``root``, ``min_free_disk``.
    :param offset: s that its clock is ahead of the control node's.
    :param doubt: s that this may be wrong, because the answer took its time.
    :param by_door: the account reaches the agent through its door, and writes nothing itself.
    """
    found = []
    version = tuple(facts.get("python") or ())
    if version and version[:2] < OLDEST_PYTHON:
        found.append(
            "its Python is %s, and muster needs %s or newer"
            % (_dotted(version), _dotted(OLDEST_PYTHON))
        )
    if abs(offset) - doubt > CLOCK_OFF:
        found.append(
            "its clock is %s by %.0f s: let both set it by NTP (timedatectl)"
            % ("ahead" if offset > 0 else "behind", abs(offset))
        )
    if facts.get("pdeathsig") is False:
        found.append("its setpriv knows no --pdeathsig: muster needs util-linux 2.33 or newer (RHEL 9)")
    place = facts.get("place") or "/"
    if not by_door and not facts.get("writable", True):
        found.append(
            "%s may not write to %s, where %s is to be: give it to them, or use become"
            % (facts.get("user") or "the user", place, host.get("root"))
        )
    if _in_sessions(facts, host) and facts["logind"][0]:
        found.append(
            "logind ends all processes of %s when their last session ends (KillUserProcesses=yes), supervisord and what"
            " it runs included: name them in KillExcludeUsers= of logind.conf, or let systemd run the host"
            % facts.get("user")
        )
    if facts.get("noexec"):
        found.append(
            "no program can be started from %s, which is mounted noexec: mount it without that, or choose another "
            "muster_root" % place
        )
    free = facts.get("free")
    floor = max(FREE, int(host.get("min_free_disk") or 0))
    if free is not None and free < floor * _MIB:
        found.append("the disk of %s is full: %d MiB are free there, and it needs %d" % (place, free // _MIB, floor))
    elif facts.get("inodes") == 0:
        found.append("the disk of %s has no room for another file (inodes)" % place)
    return found


def hints(facts: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """Hints: missing programs that the roles install or a site can do without, and what stops only some programs."""
    packages = {"psutil": "Python's psutil (its load is not measured)", "setpriv": "setpriv (package util-linux)"}
    said = ["%s is missing" % packages.get(name, name) for name in facts.get("missing") or ()]
    if _in_sessions(facts, host) and facts["logind"][1] and not facts.get("lingers"):
        said.append(
            "logind removes shared memory and semaphores of %s when their last session ends (RemoveIPC=yes): where"
            " programs use them, loginctl enable-linger %s" % (facts.get("user"), facts.get("user"))
        )
    label = facts.get("selinux")
    if label and label not in EXECUTABLE and host.get("service_manager") == "systemd":
        root = host.get("root")
        said.append(
            "SELinux is enforcing, and %s is labelled %s, from which systemd starts nothing: semanage fcontext -a -t"
            " bin_t '%s(/.*)?', then deploy, then restorecon -R %s" % (facts.get("place"), label, root, root)
        )
    return said


def _in_sessions(facts: Mapping[str, Any], host: Mapping[str, Any]) -> bool:
    """Whether what runs there belongs to a login session of a person's account, which logind cleans up."""
    by_session = host.get("service_manager") == "supervisor" and int(facts.get("uid") or 0) >= FIRST_PERSON
    return by_session and len(facts.get("logind") or ()) == 2


def controller(facts: Mapping[str, Any], python: str) -> list[str]:
    """The probe's findings on the controller: problems that keep the monitor's Python environment from being made.

    :param python: the Python that it would be made with.
    """
    version = tuple(facts.get("python") or ())
    if version[:2] < OLDEST_CONTROLLER:
        return ["the monitor needs Python %s or newer, and %s of the controller is %s: install one, and name it as "
                "monitor_python" % (_dotted(OLDEST_CONTROLLER), python, _dotted(version))]
    if facts.get("modules"):
        return ["%s of the controller cannot make an environment for the monitor (%s is missing): install its package, "
                "python3-venv on Debian" % (python, ", ".join(facts["modules"]))]
    return []


def door(answer: Mapping[str, Any], words: str, reached: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(findings, hints) from the answer of the agent's door to a request to look.

    :param answer: of the agent; empty when there was none.
    :param words: the output when there was no answer.
    """
    user = reached.get("user") or "the user"
    error = str(answer.get("error") or "")
    if not answer:
        return ["the agent's door does not open for %s (%s): an administrator runs the playbook controller, or says "
                "-e ansible_user=YOU -e ansible_become=true" % (user, _short(words))], []
    if "another version" in error:
        return [], ["no agent of this version is there: an administrator deploys"]
    return (["the agent's door says: %s" % error] if error else []), []


def probe(root: str, programs: list[str], modules: tuple[str, ...] = ()) -> str:
    """The text of the program to run there."""
    names = [str(name) for name in programs]
    return "ROOT = %r\nPROGRAMS = %r\nMODULES = %r\nMARK = %r\n%s" % (str(root), names, modules, MARK, PROBE)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _first(table: tuple[tuple[str, str], ...], words: str, reached: Mapping[str, str]) -> str:
    known: dict[str, str] = {"address": "it", "port": "22", "user": "the user"}
    known.update({key: value for key, value in reached.items() if value})
    for pattern, sentence in table:
        if re.search(pattern, words, re.IGNORECASE):
            return sentence.format(**known)
    return ""


def _short(words: str) -> str:
    text = " ".join(words.split())
    return (text if len(text) <= 200 else text[:197] + "...") or "no word"
