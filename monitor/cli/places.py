# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a command finds inventory and state: as given, else from the environment, else as remembered."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.controller.places import WHERE_FILE
from .remembered import PLACES, remember

if TYPE_CHECKING:
    from ..core.client.api import Remote

ROOT = Path(__file__).resolve().parents[2]  # of the collection
INSTALLED = Path("/etc/muster")  # of the machine: `state` in it leads to the state folder


class UsageError(Exception):
    """The command cannot be carried out as given; the text is one sentence."""


class Places(NamedTuple):
    """Where the site is: `state_dir` is None when the controller is another machine, or not known yet; `remote` is None
    when no monitor answers."""

    inventory: tuple[str, ...]
    state_dir: Path | None
    remote: Remote | None = None

    def question(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of a monitor, else of this site's state folder, to a read-only request of `controller.calls`.

        :raises UsageError: with the reason why there is no answer.
        """
        if self.remote is not None:
            from ..core.client.api import Busy, Refused
            from ..core.client.commands import UNKNOWN, UnknownName, code

            try:
                return self.remote.answer(request)
            except Busy:
                raise
            except Refused as error:
                raise (UnknownName if code(error) == UNKNOWN else UsageError)(str(error)) from None
        from ..core.client.commands import UnknownName
        from ..core.controller import calls

        answer: dict[str, Any] = calls.handle({**request, "state_dir": str(self.need_state())})
        if answer.get("error"):
            raise (UnknownName if answer.get("unknown") else UsageError)(answer["error"])
        return answer

    def need_inventory(self) -> list[str]:
        if not self.inventory:
            raise UsageError("no inventory given: use -i PATH, or set MUSTER_INVENTORY")
        return list(self.inventory)

    def need_state(self) -> Path:
        """The state folder; the inventory is asked when nothing else named it."""
        if self.state_dir is not None:
            return self.state_dir
        found = ask_state_dir(self.need_inventory())
        if not (found / "site.json").is_file():
            raise UsageError("%s has no site.json on this machine: deploy first, or run this on the controller" % found)
        remember(found, list(self.inventory))
        return found

    def here(self) -> dict[str, str]:
        """What tells a playbook on which of several controllers it runs; {} where there is one."""
        if self.state_dir is None:
            return {}
        name = read_json(self.state_dir / WHERE_FILE).get("controller")
        return {"muster_here": str(name)} if name else {}

    def site(self) -> dict[str, Any]:
        """The published site's document; empty when it is not on this machine."""
        if self.state_dir is None:
            return {}
        document = read_json(self.state_dir / "site.json")
        site = document.get("site", {})
        return site if isinstance(site, dict) else {}


def find(given: list[str], state_dir: str, environ: Mapping[str, str]) -> Places:
    """:raises UsageError: when what was given does not exist.

    :raises PermissionError: when the state folder that was given is another user's.
    """
    inventory = given or [part for part in [environ.get("MUSTER_INVENTORY", "")] if part]
    for source in inventory:
        if "," not in source and not os.path.exists(source):
            raise UsageError("there is no inventory %s" % source)
    inventory = [str(Path(source).resolve()) if os.path.exists(source) else source for source in inventory]
    named = state_dir or environ.get("MUSTER_STATE_DIR", "")
    if named:
        folder = Path(named).resolve()
        if not folder.is_dir():
            raise UsageError("there is no state folder %s" % folder)
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return Places(tuple(inventory or _remembered(folder)), folder)
    for folder in _usual(environ):
        known = _remembered(folder)
        if known and (not inventory or known == inventory):
            return Places(tuple(known), folder)
    return Places(tuple(inventory), None)


def ask_state_dir(inventory: list[str]) -> Path:
    """`muster_state_dir` of the controller, from the inventory (takes half a second).

    :raises UsageError: when the inventory does not set it, or the controller is not this machine.
    """
    import subprocess

    from ..runs import playbooks
    from .by_playbook import surroundings

    env = surroundings()
    env.update(
        ANSIBLE_STDOUT_CALLBACK=playbooks.COLLECTION + ".lines",
        ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
        ANSIBLE_FORCE_COLOR="0",
        MUSTER_RESULT_KEYS="msg",
    )
    answer = subprocess.run(
        [
            playbooks.beside("ansible"),
            *playbooks.inventory_arguments(inventory),
            "muster_controller",
            "-m",
            "ansible.builtin.debug",
            "-a",
            "msg={{ [ansible_connection | default('ssh'), muster_state_dir] }}",
        ],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for line in answer.stdout.splitlines():
        if not line.startswith("MUSTER:"):
            continue
        event = json.loads(line[len("MUSTER:") :])
        said = event.get("result", {}).get("msg")
        if event.get("event") == "ok" and isinstance(said, list):
            if said[0] != "local":
                raise UsageError("the controller is another machine (%s): run this command there" % event["host"])
            return Path(said[1])
    words = (answer.stderr or answer.stdout).strip().splitlines()
    raise UsageError("the inventory does not tell muster_state_dir of the controller: %s" % " ".join(words[:3]))


def read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _remembered(state_dir: Path) -> list[str]:
    sources = read_json(state_dir / "run" / PLACES).get("inventory", [])
    return [str(source) for source in sources] if isinstance(sources, list) else []


def _usual(environ: Mapping[str, str]) -> list[Path]:
    """State folders: the one of the environment, `.muster` here, above, and in the checkout, then the machine's."""
    folders = [Path(environ["MUSTER_LOCAL_DIR"])] if environ.get("MUSTER_LOCAL_DIR") else []
    here = Path.cwd()
    folders += [parent / ".muster" for parent in (here, *here.parents, ROOT)]
    folders.append(INSTALLED)
    return [folder / "state" for folder in dict.fromkeys(folders) if (folder / "state").is_dir()]
