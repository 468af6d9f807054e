# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of a standby run: the published site, read at the moment of the alert, and the intents that arrive."""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller.places import SITE_FILE
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _inventory


def published_site(task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """``{"document", "site_id"}`` as published on the controller; read once in a run."""
    known: dict[str, Any] | None = _compiled.kept("published")
    return known or read_published(state_folder(task_vars))


def read_published(state_dir: str) -> dict[str, Any]:
    """The same, read now, and kept for the rest of the run."""
    try:
        with open(os.path.join(state_dir, SITE_FILE), encoding="utf-8") as handle:
            document = json.load(handle)
    except FileNotFoundError:
        raise AnsibleActionFail("%s has no site.json: deploy first" % state_dir) from None
    found = {"document": document["site"], "site_id": document["site_id"]}
    _compiled.keep("published", found)
    return found


def state_folder(task_vars: Mapping[str, Any]) -> str:
    """``muster_state_dir`` of the controller."""
    controller = _inventory.controller_name(task_vars)
    return str(task_vars["hostvars"][controller]["muster_state_dir"])


def parks(fifo: str) -> bool:
    """Whether orders come one after the other: a run that was not parked takes its only one from a file."""
    try:
        return stat.S_ISFIFO(os.stat(fifo).st_mode)
    except OSError:
        return False


def orders(fifo: str, say_ready: str) -> Iterator[dict[str, Any]]:
    """Park: the orders that the monitor writes, one line of JSON each, until it closes its end, or is gone, or this
    run is over.

    Opened without blocking, so that a monitor that died before it opened its end cannot hold this process for ever.
    """
    parent = os.getppid()
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    data = b""
    try:
        with open(say_ready, "w", encoding="utf-8") as handle:
            handle.write("%d\n" % os.getpid())
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while os.getppid() == parent and os.path.exists(fifo):
            for _unused, event in poll.poll(2000):
                # a hang-up comes only after a writer came and left
                part = os.read(descriptor, 65536) if event & select.POLLIN else b""
                if not part:
                    return
                *lines, data = (data + part).split(b"\n")
                for line in lines:
                    yield json.loads(line)
    finally:
        os.close(descriptor)


def wait_for_order(fifo: str, say_ready: str, look: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Park until the monitor writes ``{"intents": [...]}`` or ``{"request": {...}}``; empty when none comes any more.

    :param look: called for each ``{"look": {...}}`` that comes before; must return at once.
    """
    with contextlib.closing(orders(fifo, say_ready)) as said:
        for order in said:
            if "look" not in order:
                return order
            look(order)
    return {}
