# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Ansible is, and the environment for the collection's playbooks; in a checkout and where it is installed."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLLECTION = "control_room.muster"
ROOT = Path(__file__).resolve().parents[2]  # of the collection
# Settings of ansible.cfg whose relative paths mean "beside the file".
_PATHS = ("_path", "_paths", "_plugins", "_file", "_dir", "_tmp", "inventory", "library", "module_utils", "home")


class NoAnsible(Exception):
    """Ansible or the collection cannot be found; the text is one sentence."""


def playbook(verb: str) -> str:
    return "%s.%s" % (COLLECTION, verb)


def ansible_playbook() -> str:
    """:raises NoAnsible: when there is none."""
    return beside("ansible-playbook")


def beside(name: str) -> str:
    """A command of Ansible: of this Python, else of the checkout's `.venv`, else of the search path.

    :raises NoAnsible: when there is none.
    """
    for folder in (Path(sys.executable).parent, ROOT / ".venv" / "bin"):
        if (folder / name).is_file():
            return str(folder / name)
    found = shutil.which(name)
    if not found:
        raise NoAnsible("there is no %s beside %s: run `make setup` in the checkout" % (name, sys.executable))
    return found


def collections_folder() -> Path | None:
    """The folder of collections in which Ansible finds this copy of the collection; None when there is none."""
    if ROOT.parent.name == COLLECTION.split(".", 1)[0] and ROOT.parents[1].name == "ansible_collections":
        return ROOT.parents[2]
    link = ROOT / "collections"
    return link if (link / "ansible_collections").is_dir() else None


def config_file(environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The `ansible.cfg` that Ansible would take here, or the collection's own when there is none."""
    if environ.get("ANSIBLE_CONFIG"):
        path = Path(environ["ANSIBLE_CONFIG"]).expanduser()
        return path / "ansible.cfg" if path.is_dir() else path
    for path in (cwd / "ansible.cfg", ROOT / "ansible.cfg"):
        if path.is_file():
            return path
    return None


def environment(environ: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """The environment for `ansible-playbook`: what is there, plus where this collection and its settings are."""
    env = dict(environ)
    for name in [name for name in env if name.startswith("MUSTER_INSTANCE")]:
        del env[name]  # only supervised processes carry it
    folder = collections_folder()
    if folder is not None:
        env["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join(
            [str(folder), *[p for p in env.get("ANSIBLE_COLLECTIONS_PATH", "~/.ansible/collections").split(":") if p]]
        )
    config = config_file(environ, cwd)
    if config is not None:
        env["ANSIBLE_CONFIG"] = str(config)
    env["PATH"] = os.pathsep.join([str(Path(ansible_playbook()).parent), env.get("PATH", os.defpath)])
    return env


def write_config(source: Path | None, target: Path, settings: Mapping[str, Mapping[str, str]]) -> None:
    """Write a copy of an `ansible.cfg` with other settings: {section: {key: value}}. Relative paths become absolute.

    For settings that have no environment variable.

    :raises NoAnsible: when the source cannot be understood. :raises OSError: when the copy cannot be written.
    """
    config = configparser.RawConfigParser(strict=False)
    if source is not None and source.is_file():
        try:
            config.read(source, encoding="utf-8")
        except (configparser.Error, UnicodeError) as error:
            raise NoAnsible("%s cannot be read: %s" % (source, " ".join(str(error).split()))) from None
        for section in config.sections():
            for key, value in config.items(section):
                if key.endswith(_PATHS):
                    config.set(section, key, _absolute(value, source.parent))
    for section, entries in settings.items():
        if not config.has_section(section):
            config.add_section(section)
        for key, value in entries.items():
            config.set(section, key, value)
    temporary = target.with_name(target.name + ".new")
    with temporary.open("w", encoding="utf-8") as handle:
        config.write(handle)
    os.replace(temporary, target)


def _absolute(value: str, folder: Path) -> str:
    parts = []
    for part in value.split(":"):
        plain = part.strip()
        relative = plain and not plain.startswith(("/", "~", "{{", "$"))
        parts.append(str((folder / plain).resolve()) if relative else plain)
    return ":".join(parts)


def as_text(value: Any) -> Any:
    """Variables of a run, marked so that Ansible does not take a text (a reason that a person typed) as a template."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value} if "{" in value else value
    if isinstance(value, Mapping):
        return {name: as_text(entry) for name, entry in value.items()}
    return [as_text(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def inventory_arguments(inventory: Sequence[str]) -> list[str]:
    arguments = []
    for source in inventory:
        arguments += ["-i", source]
    return arguments
