# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that serves the API: `python -m monitor.web.process FD`, started by `monitor.api_task`.

It is apart from the supervising process so that nothing that callers do costs that one time, memory or descriptors: all
that passes between the two is small messages over the pair of sockets whose end is FD. It ends with the monitor.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

from ..base import descriptors
from ..base.channel import Channel, Closed
from .far import FarJournal, FarMonitor
from .server import Web

PR_SET_PDEATHSIG = 1
ALIVE_SECONDS = 5.0  # between signs of life


def main() -> int:
    end = socket.socket(fileno=int(sys.argv[1]))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[2]):
        return 3
    descriptors.raise_limit()
    asyncio.run(_serve(end))
    return 0


async def _serve(end: socket.socket) -> None:
    channel = await Channel.over(end)
    with contextlib.suppress(Closed):
        hello = await channel.receive()
        monitor, journal = FarMonitor(channel, Path(hello["state_dir"])), FarJournal(channel)
        listening = asyncio.create_task(_listen(channel, monitor))
        web = Web(monitor, journal)
        try:
            await web.begin()
            alive = asyncio.create_task(_live(channel))
            await listening
            alive.cancel()
        except Exception as error:
            channel.send({"over": "%s: %s" % (type(error).__name__, error)})
        finally:
            listening.cancel()
            await web.end()
    channel.close()


async def _listen(channel: Channel, monitor: FarMonitor) -> None:
    """Take in what the monitor sends, until it says that it is the end or is gone."""
    with contextlib.suppress(Closed):
        while True:
            message = await channel.receive()
            if "end" in message:
                return
            await monitor.take(message)


async def _live(channel: Channel) -> None:
    while True:
        channel.send({"alive": True})
        await asyncio.sleep(ALIVE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
