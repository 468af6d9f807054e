# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisord process of a host: its configuration file, whether it runs, starting it."""

from __future__ import annotations

import json
import os
import time

from ...machine import files, procs
from ..errors import ManagerError
from . import orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional

START_TIMEOUT = 20.0  # s until a started supervisord must answer
_SOCKET_PATH_LIMIT = 107
_OPEN_FILES = 65536
_LOCK = "/run/locks/.supervisord"
LISTENER = "muster-supervisor/muster_listener.py"  # below bin/: our part in supervisord's own process
# A supervisord that runs reads its configuration again at every reload, and takes none that names what it cannot
# import. So the one with the listener has a file of its own, which only those read that were started with it.
PLAIN, WITH_LISTENER = "etc/supervisord.conf", "etc/supervisord-listener.conf"

# What a program inherits from whoever runs the deploy; the rest (ansible's, ssh's) would differ from run to run.
_KEPT = ("DISPLAY", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
         "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")

_KEPT_FILE = "run/environment.json"  # what a start at boot begins with: the same as after a deploy

_CONFIGURATION = """\
; written by muster: every deploy writes it again
[supervisord]
nodaemon=true
silent=true
logfile={root}/log/supervisord.log
logfile_maxbytes=1MB
logfile_backups=3
loglevel=info
pidfile={root}/run/supervisord.pid
directory={root}/var
umask=027
; every start closes that many descriptors one by one; none of ours is inherited anyway
minfds=16
minprocs=16

[unix_http_server]
file={root}/run/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

{listener}[supervisorctl]
serverurl=unix://{root}/run/supervisor.sock

[include]
files={root}/etc/placed/*.ini {root}/etc/services/*.ini
"""
_LISTENER_SECTION = """\
[rpcinterface:muster]
supervisor.rpcinterface_factory=muster_listener:make

"""


def configuration(root: str, listener: bool = False) -> str:
    """The content of `PLAIN`, or of `WITH_LISTENER`."""
    return _CONFIGURATION.format(root=root, listener=_LISTENER_SECTION if listener else "")


def find(processes: Iterable[procs.Process], root: str) -> int:
    """The pid of this host's supervisord among a sweep; 0 when it does not run."""
    candidates = {process.pid for process in processes if not process.instance}
    try:
        pid = int(procs.read_file(root + "/run/supervisord.pid"))
    except (OSError, ValueError):
        pid = 0
    if pid in candidates and procs.alive(pid):
        return pid
    for pid in sorted(candidates):
        if b"supervisord" in _arguments(pid) and procs.alive(pid):
            found = procs.stat(pid)
            if found is not None and found.parent not in candidates:
                return pid
    return 0


def environment(host: Mapping[str, Any], extra: Mapping[str, str]) -> Dict[str, str]:
    """What supervisord, and so every program, starts with."""
    result = {name: os.environ[name] for name in _KEPT if name in os.environ}
    result["PATH"] = environment_path()
    result.update(extra)
    result.update(
        MUSTER_SITE=host["site_id"], MUSTER_HOST=host["host"], MUSTER_ADDRESS=host["address"], MUSTER_ROOT=host["root"],
    )
    result.pop("MUSTER_INSTANCE", None)
    return result


def read_kept(root: str) -> Dict[str, str]:
    """What the last start found in its own environment, and passed on; empty when there was none."""
    try:
        found = json.loads(procs.read_file("%s/%s" % (root, _KEPT_FILE)).decode("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _keep(root: str) -> None:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if kept != read_kept(root):
        files.write_file("%s/%s" % (root, _KEPT_FILE), json.dumps(kept, sort_keys=True).encode("utf-8"))


def settled(processes: Iterable[procs.Process], root: str) -> int:
    """As `find`, but one that another run is just starting is waited for: it takes orders then."""
    pid = find(processes, root)
    if pid:
        os.close(files.lock(root + _LOCK, shared=True))
    return pid


def alone(root: str) -> int:
    """A descriptor to close: while it is open, no other run starts the service manager or its services."""
    return files.lock(root + _LOCK)


def environment_path() -> str:
    """Where programs are found: that of who deploys, so that a Python of one's own is found, too."""
    return os.environ.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(
    host: Mapping[str, Any], command: List[str], extra: Mapping[str, str], warnings: Optional[List[str]] = None
) -> int:
    """Start supervisord and wait until it answers.

    :param command: argument list that runs supervisord, without its own options.
    :param warnings: gets a sentence when it runs, but without our listener.
    :return: its pid.
    :raises ManagerError: with its last words.
    """
    root = host["root"]
    path = orders.socket_path(root)
    if len(os.fsencode(path)) > _SOCKET_PATH_LIMIT:
        raise ManagerError("the path %s is longer than the %d bytes a socket can have: choose a shorter muster_root"
                           % (path, _SOCKET_PATH_LIMIT))
    lock = alone(root)  # two runs may find it missing at once
    try:
        pid = find(procs.sweep(host["site_id"], host["host"]), root)
        if pid:
            return pid
        if os.path.exists(path):
            os.unlink(path)  # nobody listens there; supervisord would wait before it dares to
        if not all(os.path.exists("%s/%s" % (root, name)) for name in (WITH_LISTENER, "bin/" + LISTENER)):
            return _start(host, command, extra, path, PLAIN)
        try:
            return _start(host, command, extra, path, WITH_LISTENER)
        except ManagerError as error:
            pid = _start(host, command, extra, path, PLAIN)  # raises the same when it was not the listener
            if warnings is not None:
                warnings.append("the service manager of %s runs without muster's listener, so only the monitor stops "
                                "what lost its bus: %s" % (host["host"], error))
            return pid
    finally:
        os.close(lock)


def _start(
    host: Mapping[str, Any], command: List[str], extra: Mapping[str, str], path: str, configured: str
) -> int:
    import resource
    import subprocess

    root = host["root"]
    log = root + "/log/supervisord.out"
    variables = environment(host, extra)
    if configured == WITH_LISTENER:  # which takes it out again, before any program starts
        known = variables.get("PYTHONPATH")
        folder = os.path.dirname("%s/bin/%s" % (root, LISTENER))
        variables["PYTHONPATH"] = folder + (os.pathsep + known if known else "")
    variables["MUSTER_OPEN_FILES"] = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with open(log, "wb") as output:
        try:
            process = subprocess.Popen(
                [*command, "-n", "-c", "%s/%s" % (root, configured)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True, start_new_session=True,
                cwd="/", env=variables, preexec_fn=_open_many,
            )
        except OSError as error:
            raise ManagerError("supervisord cannot be started with %r: %s" % (" ".join(command), error)) from None
    manager = orders.SupervisordOrders(root, timeout=2.0)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            raise ManagerError("supervisord ended with %d: %s" % (code, orders.last_words(log, 0) or "no word"))
        if os.path.exists(path) and manager.answers():
            manager.client.close()
            _keep(root)
            process.returncode = 0  # it outlives us on purpose
            return process.pid
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise ManagerError("supervisord did not answer within %.0f s, see %s" % (START_TIMEOUT, log))


def _open_many() -> None:
    """supervisord holds three descriptors per program; muster-exec gives programs the limit that was."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _arguments(pid: int) -> bytes:
    try:
        return procs.read_file("/proc/%d/cmdline" % pid)
    except OSError:
        return b""
