# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of the collection as a stream of events, read from the `lines` callback."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.client.api import Late
from ..runs import environment, playbooks

MARK = "MUSTER:"
GRACE = 10.0  # s for Ansible to end after an interrupt
PREFIXES = ("Task failed: ", "Action failed: ", "Module failed: ")


class TimedOut(Late):
    """The playbook took too long; the text is one sentence."""


@dataclass(slots=True)
class Event:
    # task | ok | failed | unreachable | ignored | nobody (a play has no host) | said | wait (a second of silence) | end
    kind: str
    name: str = ""  # of the task; of the host of a result
    action: str = ""  # short name of muster's own, else as written
    result: dict[str, Any] = field(default_factory=dict)
    text: str = ""  # said: a line in words; failed: why; end: what went to standard error
    code: int = 0  # end: Ansible's return code


def play(
    verb: str, inventory: Sequence[str], extravars: Mapping[str, Any], *, timeout: float, check: bool = False
) -> Iterator[Event]:
    """Run a playbook; its last event is `end`.

    :raises TimedOut: when the playbook did not end in time; it was stopped.
    :raises NoAnsible: when Ansible is not installed.
    """
    env = surroundings()
    env.update(ANSIBLE_STDOUT_CALLBACK=playbooks.COLLECTION + ".lines", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOLOR="1")
    command = [playbooks.ansible_playbook(), *playbooks.inventory_arguments(inventory)]
    if check:
        command += ["--check", "--diff"]
    deadline = time.monotonic() + timeout
    # Variables in a file that only its owner may read: everybody may read the arguments of a process.
    with tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile("w", suffix=".json") as given:
        json.dump(playbooks.as_text(extravars), given)
        given.flush()
        command += ["-e", "@" + given.name, playbooks.playbook(verb)]
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, close_fds=True
        )
        try:
            for line in _lines(process, deadline, verb, timeout):
                yield Event("wait") if line is None else _event(line)
            code = process.wait(timeout=max(GRACE, deadline - time.monotonic()))
        finally:
            _end(process)
        errors.seek(0)
        yield Event("end", text=errors.read().decode("utf-8", "replace"), code=code)


def surroundings() -> dict[str, str]:
    """The environment of Ansible. Settings that are ignored are reported on standard error.

    :raises NoAnsible: when no run can work with it.
    """
    made = environment.for_person(os.environ, Path.cwd())
    for note in made.notes:
        print("muster: %s" % note, file=sys.stderr)
    return made.env


def failure(message: Any) -> str:
    """Ansible's message without its own prefixes."""
    text = str(message or "no reason given")
    again = True
    while again:
        again = False
        for prefix in PREFIXES:
            if text.startswith(prefix):
                text, again = text[len(prefix) :], True
    return text


def _lines(process: subprocess.Popen[bytes], deadline: float, verb: str, timeout: float) -> Iterator[str | None]:
    """Lines as they come; None after a second without one."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut("%s did not end within %g s and was stopped: reconcile finishes it" % (verb, timeout))
            if not selector.select(min(left, 1.0)):
                if process.poll() is not None:
                    return  # it is over, although something it left behind holds its output open
                yield None
                continue
            data = os.read(descriptor, 1 << 16)
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
            if not data:
                if buffer:
                    yield buffer.decode("utf-8", "replace")
                return


def _event(line: str) -> Event:
    if line.startswith(MARK):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            content = json.loads(line[len(MARK) :])
            kind, result = content["event"], content.get("result", {})
            action = str(content.get("action", "")).removeprefix(playbooks.COLLECTION + ".")
            if kind == "task":
                return Event("task", content["name"], action)
            text = failure(result.get("msg")) if kind in ("failed", "unreachable", "ignored") else ""
            return Event(kind, content["host"], action, result, text)
    return Event("said", text=line.rstrip())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt Ansible if it still runs, so that it can take its workers along."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
