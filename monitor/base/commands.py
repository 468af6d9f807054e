# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the site that the monitor runs on the controller: a document in, a status and the end of the output out.

A command is a process of its own with a deadline, in a session of its own: nothing of it outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

OUTPUT_BYTES = 2000  # of a command's output that are kept, its end
# Variables of the monitor's environment that a command gets; others may hold secrets.
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Ended(NamedTuple):
    """How a command ended."""

    why: str  # a phrase when it failed; "" when it ended with 0
    said: str  # the end of its output


async def run(
    command: Sequence[str],
    document: Mapping[str, Any],
    timeout: float,
    folder: Path,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command until it ends, at most until its deadline.

    :param document: on its standard input, as JSON.
    :param timeout: in seconds.
    :param variables: of its environment, beside those that are passed on.
    :raises OSError: when it cannot be started.
    """
    output = _Output(asyncio.get_running_loop())
    try:
        with _document(document) as stdin, output.writer() as stdout:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=stdin,
                stdout=stdout,
                stderr=stdout,
                cwd=folder,
                env={**environment(os.environ), **(variables or {})},
                start_new_session=True,
            )
    except OSError:
        output.close()
        raise
    late = ""
    try:
        async with asyncio.timeout(timeout):
            await process.wait()
    except TimeoutError:
        late = "it was killed after %g s, its deadline" % timeout
    finally:  # also when the monitor ends; and what the command left behind in its session
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        said = output.close()
    return Ended(late or ("it ended with %d" % process.returncode if process.returncode else ""), said)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command, taken from the monitor's."""
    return {name: value for name, value in own.items() if name in PASSED_ON or name.startswith("LC_")}


@contextlib.contextmanager
def _document(document: Mapping[str, Any]) -> Iterator[int]:
    """A descriptor to read it from; a file in memory, so that no writer is needed."""
    handle = os.memfd_create("muster-command")
    try:
        os.write(handle, json.dumps(document).encode() + b"\n")
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


class _Output:
    """Keeps the end of what a command prints, however much that is, and also when its children keep the pipe open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._text = b""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        loop.add_reader(self._reader, self._take)

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def close(self) -> str:
        self._loop.remove_reader(self._reader)
        self._take()
        os.close(self._reader)
        return self._text.decode("utf-8", "replace").strip()

    def _take(self) -> None:
        try:
            part = os.read(self._reader, 65536)
        except BlockingIOError:
            return
        if not part:
            self._loop.remove_reader(self._reader)
        self._text = (self._text + part)[-OUTPUT_BYTES:]
