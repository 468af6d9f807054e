# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Ansible and the collection are, in a checkout or installed, and how its playbooks are called."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLLECTION = "control_room.muster"
ROOT = Path(__file__).resolve().parents[2]  # of the collection


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
