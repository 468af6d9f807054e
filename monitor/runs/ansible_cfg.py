# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which `ansible.cfg` a run gets, and what in it needs a person.

The file itself is handed to Ansible, which resolves what is in it; nothing here copies or rewrites it.
"""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import playbooks
from .playbooks import NoAnsible

SYSTEM = Path("/etc/ansible/ansible.cfg")
PROMPTS = ("prompt", "prompt_ask_vault_pass")  # sources of vault passwords that ask a person
# (setting, its section, its variable, what is asked for, what to do instead)
QUESTIONS = (
    ("ask_pass", "defaults", "ANSIBLE_ASK_PASS", "a password for ssh", "give the account a key"),
    ("become_ask_pass", "privilege_escalation", "ANSIBLE_BECOME_ASK_PASS", "a password for become",
     "allow sudo without one (NOPASSWD), or set muster_agent_sudo"),
    ("ask_vault_pass", "defaults", "ANSIBLE_ASK_VAULT_PASS", "a vault password", "name a vault_password_file"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """A file that was found, and its settings as written: {(section, key): value}."""

    path: Path | None = None
    settings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()  # files that do not count, one sentence each

    def value(self, environ: Mapping[str, str], variable: str, section: str, *keys: str) -> str:
        """A setting as Ansible takes it: the environment wins."""
        if variable in environ:
            return environ[variable]
        return next((self.settings[section, key] for key in keys if (section, key) in self.settings), "")


def find(environ: Mapping[str, str], cwd: Path) -> Config:
    """The `ansible.cfg` that Ansible would take here, or the collection's own where there is none that sets anything.

    As Ansible does, the one of a folder that everybody may write to is left out, unless ANSIBLE_CONFIG names it; a file
    that everybody may write to is left out in any case.

    :raises NoAnsible: when it cannot be understood.
    """
    left_out: list[str] = []
    for path, named in _candidates(environ, cwd):
        if not path.exists():
            if named:
                left_out.append("there is no %s, which ANSIBLE_CONFIG names" % path)
            continue
        if not os.access(path, os.R_OK):
            left_out.append("%s cannot be read by this account" % path)
            continue
        place = path if _everybody_writes(path) else path.parent
        if _everybody_writes(place) and (place == path or not named):
            left_out.append("%s is left out: everybody may write to %s" % (path, place))
            continue
        settings = _read(path)
        if settings or named:
            return Config(path, settings, tuple(left_out))
    return Config(None, {}, tuple(left_out))


def questions(config: Config, environ: Mapping[str, str]) -> list[str]:
    """What a person would be asked for at the start of a run: one sentence each, with what to do."""
    found = []
    for setting, section, variable, what, instead in QUESTIONS:
        if config.value(environ, variable, section, setting).strip().lower() in ("true", "yes", "on", "1", "y", "t"):
            found.append("%s asks for %s (%s): nobody can type it for the monitor: %s"
                         % (_source(config, environ, variable), what, setting, instead))  # fmt: skip
    asking = [identity for identity in vault_identities(config, environ) if asks(identity)]
    if asking:
        variable = "ANSIBLE_VAULT_IDENTITY_LIST"
        found.append("%s asks for a vault password (vault_identity_list: %s): nobody can type it for the monitor: "
                     "name files" % (_source(config, environ, variable), ", ".join(asking)))  # fmt: skip
    return found


def vault_identities(config: Config, environ: Mapping[str, str]) -> list[str]:
    """``label@source`` each."""
    text = config.value(environ, "ANSIBLE_VAULT_IDENTITY_LIST", "defaults", "vault_identity_list")
    return [part.strip() for part in text.split(",") if part.strip()]


def asks(identity: str) -> bool:
    return identity.rpartition("@")[2] in PROMPTS


def _source(config: Config, environ: Mapping[str, str], variable: str) -> str:
    return variable if variable in environ else str(config.path)


def _candidates(environ: Mapping[str, str], cwd: Path) -> Iterator[tuple[Path, bool]]:
    """(file, whether it was named): in Ansible's order, the collection's own last."""
    if environ.get("ANSIBLE_CONFIG"):
        path = cwd / Path(os.path.expandvars(environ["ANSIBLE_CONFIG"])).expanduser()
        yield (path / "ansible.cfg" if path.is_dir() else path), True
    yield cwd / "ansible.cfg", False
    yield Path(environ.get("HOME") or "~").expanduser() / ".ansible.cfg", False
    yield SYSTEM, False
    yield playbooks.ROOT / "ansible.cfg", False


def _everybody_writes(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWOTH)


def _read(path: Path) -> dict[tuple[str, str], str]:
    config = configparser.RawConfigParser(inline_comment_prefixes=(";",))  # as Ansible reads it
    try:
        config.read_string(path.read_text(encoding="utf-8"), str(path))
    except (OSError, configparser.Error, UnicodeError) as error:
        raise NoAnsible("%s cannot be read: %s" % (path, " ".join(str(error).split()))) from None
    return {(section, key): value for section in config.sections() for key, value in config.items(section)}
