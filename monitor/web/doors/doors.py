# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API listens: which doors a site has, and their sockets.

Loopback and Unix sockets only. A host on this machine has a door of its own, so that who asks through it is known to be
there; one over SSH gets it by a forwarded socket.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
from pathlib import Path

from ...core.model import api
from ...core.model.site import HERE, Host, Site
from ...files import SOCKET_PATH_BYTES
from .caller import Door

SOCKET = "run/api.sock"  # below the state folder, and below the folder of each host
BACKLOG = 128


class NotOpened(Exception):
    """A door could not be opened; the text is one sentence."""


def wanted(site: Site | None, site_id: str, state_dir: Path) -> tuple[list[Door], list[str]]:
    """The doors of a site, and sentences about doors that are refused.

    :param site: as published; without one there is only the controller's own socket.
    """
    if site is None:
        return [Door("unix", "controller", str(state_dir / SOCKET))], []
    found = [Door("unix", site.controller, str(state_dir / SOCKET))]
    refused: list[str] = []
    # Its line forwards a socket of its own to each host over ssh: what comes through is asked there.
    far = [host.name for host in site.hosts if host.ssh]
    places = {name: str(state_dir / "run" / "doors" / (name + ".sock")) for name in far}
    found += [Door("unix", name, place, far=True) for name, place in places.items()]
    here = [host for host in site.hosts if lives_here(host, site_id)]
    found += [Door("unix", host.name, os.path.join(host.root, SOCKET)) for host in here]
    port, address = site.settings.api_port, site.settings.api_address
    if port:
        if api.is_loopback(address):
            found.append(Door("tcp", site.controller, address, port))
        else:
            refused.append("the API does not listen on %s, which is not loopback: %s" % (address, api.WIDER))
        for host in here:
            if api.is_loopback(host.address) and host.address != address:
                found.append(Door("tcp", host.name, host.address, port))
    return list(dict.fromkeys(found)), refused


def lives_here(host: Host, site_id: str) -> bool:
    """Whether a host's folder is on this machine: its own marker says so, not the path alone."""
    if host.ssh or (host.connection and host.reach != HERE):
        return False
    try:
        marker = json.loads(Path(host.root, "etc", "host.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("host") == host.name and marker.get("site_id") == site_id


def listen(door: Door) -> socket.socket:
    """:raises NotOpened:"""
    try:
        return _unix(door) if door.kind == "unix" else _tcp(door)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise NotOpened("the API does not listen at %s: something else does already" % door) from error
        raise NotOpened("the API does not listen at %s: %s" % (door, error.strerror or error)) from error


def _tcp(door: Door) -> socket.socket:
    if not api.is_loopback(door.place):
        raise NotOpened("the API does not listen at %s, which is not loopback: %s" % (door, api.WIDER))
    made = socket.socket(socket.AF_INET6 if ":" in door.place else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((door.place, door.port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _unix(door: Door) -> socket.socket:
    path = door.place
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise NotOpened("the API has no socket %s: the path is longer than %d bytes" % (path, SOCKET_PATH_BYTES))
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        if not stat.S_ISSOCK(found.st_mode):
            raise NotOpened("the API has no socket %s: there is a file that is none" % path)
        if _answers(path):
            raise OSError(errno.EADDRINUSE, "in use")
        os.unlink(path)  # left by a monitor that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(made.fileno(), 0o600)  # the mode it gets when it is bound: there is no moment with a wider one
        made.setblocking(False)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        made.bind(path)
        folder = os.stat(os.path.dirname(path))
        if os.geteuid() == 0 and folder.st_uid != 0:
            os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def remove(door: Door, made: socket.socket) -> None:
    """Close a door; its socket file goes, unless another process put its own there meanwhile."""
    made.close()
    if door.kind == "unix" and not _answers(door.place):
        with contextlib.suppress(OSError):
            os.unlink(door.place)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.ETIMEDOUT)
        return True
