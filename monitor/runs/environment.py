# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment in which Ansible runs for muster: made from what is there, so that a run works for every caller.

What an `ansible.cfg` or the environment says about hosts, keys, become, vaults and inventories counts. What would
change how the collection's plays go does not: tags, timeouts of tasks, callbacks, a debugger, few forks.
"""

from __future__ import annotations

import ctypes
import locale
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import ansible_cfg, playbooks
from .ansible_cfg import Config
from .playbooks import NoAnsible

FORKS = 20  # at least
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_GB.UTF-8")
_CATEGORIES = ("LC_CTYPE", "LC_COLLATE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LC_ADDRESS",
               "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_NAME", "LC_PAPER", "LC_TELEPHONE")  # fmt: skip
_LC_ALL_MASK = 0x1FBF  # of glibc: each of them
# Of the caller's Python, or of a shell that asks by a window.
_NOT_TAKEN = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONOPTIMIZE",
              "PYTHONINSPECT", "SSH_ASKPASS", "SUDO_ASKPASS", "ANSIBLE_CALLBACK_WHITELIST")  # fmt: skip
_SAME_PLAYS = {
    "ANSIBLE_CALLBACKS_ENABLED": playbooks.COLLECTION + ".pace",
    "ANSIBLE_CALLBACK_PLUGINS": os.devnull,
    "ANSIBLE_ENABLE_TASK_DEBUGGER": "False",
    "ANSIBLE_NO_LOG": "False",  # answers would be hidden from the person who asked
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_RUN_TAGS": "all",
    "ANSIBLE_SKIP_TAGS": "",
    "ANSIBLE_TASK_TIMEOUT": "0",
}
# Names of variables whose relative paths mean the folder of the caller.
_PATHS = re.compile(r"^ANSIBLE_.*(_PATHS?|_PLUGINS|_FILE|_DIR|_TMP|_HOME|_IDENTITY_LIST|LIBRARY|MODULE_UTILS)$")
_DEFAULT_COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"


@dataclass(frozen=True, slots=True)
class Made:
    env: dict[str, str]
    folder: Path  # where relative names in the settings are looked for
    notes: tuple[str, ...]  # what in them does not count here, one sentence each


def for_person(environ: Mapping[str, str], cwd: Path) -> Made:
    """For a command that a person waits for, in the folder where they are.

    :raises NoAnsible: when no run can work with it.
    """
    config = ansible_cfg.find(environ, cwd)
    return Made(_base(environ, cwd, config), cwd, config.left_out)


def for_monitor(environ: Mapping[str, str], cwd: Path) -> Made:
    """For a run that nobody can answer: it asks for nothing.

    Relative names in an `ansible.cfg` mean its folder, those in the environment the folder of the monitor.

    :raises NoAnsible: when no run can work with it.
    """
    config = ansible_cfg.find(environ, cwd)
    env = _base(environ, cwd, config)
    folder = config.path.parent if config.path is not None else cwd
    if not os.access(folder, os.R_OK | os.X_OK):
        folder = cwd
    if folder != cwd:
        env.update({name: _absolute(value, cwd) for name, value in env.items() if _PATHS.match(name)})
    for _setting, _section, variable, _what, _instead in ansible_cfg.QUESTIONS:
        env[variable] = "False"
    identities = ansible_cfg.vault_identities(config, env)
    if any(ansible_cfg.asks(identity) for identity in identities):
        left = [identity for identity in identities if not ansible_cfg.asks(identity)]
        # An empty list means a file without a name: one that opens nothing stands for it.
        env["ANSIBLE_VAULT_IDENTITY_LIST"] = ",".join(left or ["none@%s" % Path(__file__).resolve()])
    env["SSH_ASKPASS_REQUIRE"] = "never"
    env["ANSIBLE_NOCOLOR"] = "1"
    if not config.value(environ, "ANSIBLE_HOST_KEY_CHECKING", "defaults", "host_key_checking"):
        env["ANSIBLE_HOST_KEY_CHECKING"] = "True"  # ansible-runner would switch it off
    # A parked run takes 2 % of a core with 0.005 s, several with Ansible's 0.001.
    env["MUSTER_POLL_INTERVAL"] = "0.01"
    return Made(env, folder, (*config.left_out, *ansible_cfg.questions(config, environ)))


def utf8_locale(environ: Mapping[str, str]) -> dict[str, str]:
    """What to set so that Ansible, which takes no other encoding, starts: nothing where the locale is one of UTF-8.

    :raises NoAnsible: when this machine has no such locale.
    """
    named = {category: _effective(environ, category) for category in _CATEGORIES}
    if all(_encoding(name) for name in set(named.values())) and _is_utf8(_encoding(named["LC_CTYPE"])):
        return {}
    for name in LOCALES:
        if _is_utf8(_encoding(name)):
            return {"LC_ALL": name}
    for name in _installed():
        if _is_utf8(_encoding(name)):
            return {"LC_ALL": name}
    raise NoAnsible("this machine has no locale of UTF-8, without which Ansible does not start: install C.UTF-8")


def _base(environ: Mapping[str, str], cwd: Path, config: Config) -> dict[str, str]:
    env = {name: value for name, value in environ.items() if name not in _NOT_TAKEN}
    for name in [name for name in env if name.startswith("MUSTER_INSTANCE")]:
        del env[name]  # only supervised processes carry it
    env.update(_SAME_PLAYS)
    env["ANSIBLE_FORKS"] = str(max(FORKS, _number(config.value(environ, "ANSIBLE_FORKS", "defaults", "forks"))))
    if config.path is not None:
        env["ANSIBLE_CONFIG"] = str(config.path)
    else:
        env.pop("ANSIBLE_CONFIG", None)
    folder = playbooks.collections_folder()
    if folder is not None:
        env.pop("ANSIBLE_COLLECTIONS_PATHS", None)
        env["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join([str(folder), *_collections(environ, cwd, config)])
    env["PATH"] = _search_path(env.get("PATH", ""))
    needed = utf8_locale(env)
    if needed:
        for name in [name for name in env if name.startswith("LC_") or name == "LANGUAGE"]:
            del env[name]
        env.update(needed)
    return env


def _collections(environ: Mapping[str, str], cwd: Path, config: Config) -> list[str]:
    """The folders of collections that the settings name, or Ansible's own."""
    for variable in ("ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS"):
        if environ.get(variable):
            return [_resolved(part, cwd, cwd) for part in environ[variable].split(":") if part]
    for key in ("collections_path", "collections_paths"):
        value = config.settings.get(("defaults", key), "")
        if value and config.path is not None:
            return [_resolved(part.strip(), config.path.parent, cwd) for part in value.split(":") if part.strip()]
    return _DEFAULT_COLLECTIONS.split(":")


def _resolved(name: str, folder: Path, cwd: Path) -> str:
    """A path as Ansible resolves it, beside the file that names it."""
    name = os.path.expandvars(os.path.expanduser(name.replace("{{CWD}}", str(cwd))))
    return name if "{{" in name else os.path.normpath(folder / name)


def _search_path(inherited: str) -> str:
    """Ansible's folder first; what is relative would mean another one in each folder, and is left out."""
    parts = [str(Path(playbooks.ansible_playbook()).parent)]
    parts += [part for part in inherited.split(os.pathsep) if part.startswith("/")]
    return os.pathsep.join(dict.fromkeys([*parts, *PATH]))


def _absolute(value: str, folder: Path) -> str:
    """A list of paths, or of ``label@path``, in which what is relative and is there becomes absolute."""
    separator = "," if "," in value else ":"
    return separator.join(_one_absolute(part, folder) for part in value.split(separator))


def _one_absolute(part: str, folder: Path) -> str:
    label, at, name = part.rpartition("@")
    if name.startswith(("/", "~", "$", "{{")) or not name.strip() or not (folder / name.strip()).exists():
        return part
    return "%s%s%s" % (label, at, folder / name.strip())


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,6}\s*", text) else 0


def _effective(environ: Mapping[str, str], category: str) -> str:
    return environ.get("LC_ALL") or environ.get(category) or environ.get("LANG") or "C"


def _is_utf8(encoding: str) -> bool:
    return encoding.lower() in ("utf-8", "utf8")


def _encoding(name: str) -> str:
    """The encoding of a locale; empty when this machine does not have it. Nothing of this process changes."""
    if "/" in name:
        return ""
    libc = ctypes.CDLL(None)
    libc.newlocale.restype = ctypes.c_void_p
    libc.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    libc.nl_langinfo_l.restype = ctypes.c_char_p
    libc.nl_langinfo_l.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.freelocale.argtypes = (ctypes.c_void_p,)
    found = libc.newlocale(_LC_ALL_MASK, name.encode(), None)
    if not found:
        return ""
    try:
        return str((libc.nl_langinfo_l(locale.CODESET, found) or b"").decode("ascii", "replace"))
    finally:
        libc.freelocale(found)


def _installed() -> Iterable[str]:
    try:
        done = subprocess.run(
            ["locale", "-a"], capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split()
