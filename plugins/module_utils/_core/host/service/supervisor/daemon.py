# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisord process of a host: its configuration file, whether it runs, starting it."""

from __future__ import annotations

import json
import os
import time

from ...lease import allowed
from ...machine import files, instance_files, json_files, procs
from ..errors import ManagerError
from . import orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional

START_SECONDS = 20.0  # until a started supervisord must answer
_MAX_OPEN_FILES = 65536
_CHILD_SUBREAPER = 36  # of prctl(2); stays over an exec
_LOCK = "/run/locks/.supervisord"
LISTENER = "muster-supervisor/muster_listener.py"  # below bin/: muster's part in supervisord's own process
GUARD = "muster-supervisor/muster_guard.py"  # the same, where a lease is needed
# A running supervisord reads its configuration again at every reload, and refuses one that names a module which it
# cannot import. So there is a file with the listener, which only a supervisord reads that was started with it.
PLAIN, WITH_LISTENER = "etc/supervisord.conf", "etc/supervisord-listener.conf"

# Has supervisord read its files as they are written, whatever the locale; the listener removes both again.
UTF8 = {"PYTHONUTF8": "1", "MUSTER_UTF8": "1"}

# What programs inherit from the environment of the deploy; the rest (ansible's, ssh's) would differ from run to run.
_KEPT = ("DISPLAY", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
         "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")

_KEPT_FILE = "run/environment.json"  # the environment for a start at boot: the same as after a deploy

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


class Ended(ManagerError):
    """It ended before it answered, as it does when it cannot take its configuration."""


def configuration(root: str, listener: bool = False) -> str:
    """The content of `WITH_LISTENER`, or of `PLAIN`."""
    return _CONFIGURATION.format(root=root, listener=_LISTENER_SECTION if listener else "")


def find(processes: Iterable[procs.Process], root: str) -> int:
    """The pid of a host's supervisord; 0 when it does not run.

    :param processes: of the host, from a sweep.
    """
    candidates = {process.pid for process in processes if not process.instance and _may_be_ours(process.pid, root)}
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


def _may_be_ours(pid: int, root: str) -> bool:
    """Whether it runs as an account that may start a service manager of this host: anybody can copy its variables."""
    try:
        return procs.user(pid) in (0, os.geteuid(), os.stat(root).st_uid)
    except OSError:
        return False


def environment(host: Mapping[str, Any], extra: Mapping[str, str]) -> Dict[str, str]:
    """The environment of supervisord, which every program inherits.

    :param extra: the site's own variables.
    """
    result = {name: os.environ[name] for name in _KEPT if name in os.environ}
    result["PATH"] = environment_path()
    result.update(extra)
    result.update(
        MUSTER_SITE=host["site_id"], MUSTER_HOST=host["host"], MUSTER_ADDRESS=host["address"], MUSTER_ROOT=host["root"],
    )
    result.pop("MUSTER_INSTANCE", None)
    return result


def read_kept(root: str) -> Dict[str, str]:
    """Variables that the last start took from its own environment; {} when there was none."""
    found = json_files.read("%s/%s" % (root, _KEPT_FILE))
    return {str(name): str(value) for name, value in found.items()}


def _keep(root: str) -> None:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if kept != read_kept(root):
        files.write_file("%s/%s" % (root, _KEPT_FILE), json.dumps(kept, sort_keys=True).encode("utf-8"))


def settled(processes: Iterable[procs.Process], root: str) -> int:
    """As `find`; when another run is just starting it, wait until it takes orders."""
    pid = find(processes, root)
    if pid:
        os.close(files.lock(root + _LOCK, shared=True))
    return pid


def alone(root: str) -> int:
    """Keep other runs from starting the service manager or its services. :return: a descriptor to close afterwards."""
    return files.lock(root + _LOCK)


def environment_path() -> str:
    """PATH for all programs: that of the deploy, so that a Python in a virtual environment is found as well."""
    return os.environ.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(
    host: Mapping[str, Any], command: List[str], extra: Mapping[str, str], warnings: Optional[List[str]] = None
) -> int:
    """Start supervisord and wait until it answers. Does nothing where it runs already.

    :param command: argument list that runs supervisord, without its own options.
    :param extra: see `environment`.
    :param warnings: gets a sentence when it runs, but without muster's listener.
    :return: its pid.
    :raises ManagerError: with its last line of output.
    """
    root = host["root"]
    path = orders.socket_path(root)
    if len(os.fsencode(path)) > orders.MAX_SOCKET_BYTES:
        raise ManagerError("the path %s is longer than the %d bytes that supervisord can use for a socket: choose a "
                           "shorter muster_root" % (path, orders.MAX_SOCKET_BYTES))
    lock = alone(root)  # two runs may find it missing at once
    try:
        pid = find(procs.sweep(host["site_id"], host["host"]), root)
        if pid:
            return pid
        if os.path.exists(path):
            os.unlink(path)  # no process listens there; supervisord would first wait for an answer
        allowed.forbid(root)
        told: List[str] = [] if warnings is None else warnings
        try:
            return _start_with_listener(host, command, extra, path, told)
        except Ended as error:
            placed, damaged = instance_files.leave_out(root)  # nothing runs here, so nothing needs what is placed
            if not placed and not damaged:
                raise
            pid = _start_with_listener(host, command, extra, path, told)
            told.append("the service manager of %s starts without what was placed, which each start places again: %s"
                        % (host["host"], error))
            if damaged:
                told.append("%s runs without host services whose files are damaged (%s): deploy again"
                            % (host["host"], ", ".join(damaged)))
            return pid
    finally:
        os.close(lock)


def _start_with_listener(
    host: Mapping[str, Any], command: List[str], extra: Mapping[str, str], path: str, warnings: List[str]
) -> int:
    root = host["root"]
    if not all(os.path.exists("%s/%s" % (root, name)) for name in (WITH_LISTENER, "bin/" + LISTENER)):
        return _start(host, command, extra, path, PLAIN)
    try:
        return _start(host, command, extra, path, WITH_LISTENER)
    except ManagerError as error:
        pid = _start(host, command, extra, path, PLAIN)  # raises the same when it was not the listener
        warnings.append("the service manager of %s runs without muster's listener, so only the monitor stops "
                        "what lost its bus: %s" % (host["host"], error))
        return pid


def _start(
    host: Mapping[str, Any], command: List[str], extra: Mapping[str, str], path: str, configured: str
) -> int:
    import resource
    import subprocess

    root = host["root"]
    log = root + "/log/supervisord.out"
    variables = environment(host, extra)
    if configured == WITH_LISTENER:  # the listener removes it again, before any program starts
        known = variables.get("PYTHONPATH")
        folder = os.path.dirname("%s/bin/%s" % (root, LISTENER))
        variables["PYTHONPATH"] = folder + (os.pathsep + known if known else "")
        if "PYTHONUTF8" not in variables:
            variables.update(UTF8)
    variables["MUSTER_OPEN_FILES"] = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with open(log, "wb") as output:
        try:
            process = subprocess.Popen(
                [*command, "-n", "-c", "%s/%s" % (root, configured)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True, start_new_session=True,
                cwd="/", env=variables, preexec_fn=_begin,
            )
        except OSError as error:
            raise ManagerError("supervisord cannot be started with %r: %s" % (" ".join(command), error)) from None
    manager = orders.SupervisordOrders(root, timeout=2.0)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            words = orders.last_words(log, 0, b"Error: ") or orders.last_words(log, 0) or "no output"
            raise Ended("supervisord ended with %d: %s" % (code, words))
        if os.path.exists(path) and manager.answers():
            manager.client.close()
            _keep(root)
            process.returncode = 0  # it goes on when the agent ends; subprocess must not warn of that
            return process.pid
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise ManagerError("supervisord did not answer within %.0f s, see %s" % (START_SECONDS, log))


def _begin() -> None:
    """Before supervisord is executed: descendants whose parents end become its children, however they detach.

    The limit of open files is raised: supervisord holds three per program. muster-exec sets it back for programs.
    """
    import ctypes
    import resource

    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _arguments(pid: int) -> bytes:
    try:
        return procs.read_file("/proc/%d/cmdline" % pid)
    except OSError:
        return b""
