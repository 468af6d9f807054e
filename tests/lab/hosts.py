# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as a whole: `with lab() as l:` in tests, `make lab` for people."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab import reaper
from tests.lab.disks import ROOT, Disks, Keys
from tests.lab.machine import Machine
from tests.lab.names import DESK, LabError, Names, missing
from tests.lab.switch import Switch, command

BOOT_WITHIN = 180.0  # s until a host's sshd must answer
SIZE = "4g"  # most that all hosts together may write
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
_NEW_NET = 0x40000000
_numbers = itertools.count(1)  # of this process's labs


class Lab:
    """Hosts that are booted, and what can be done to them."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.switch = Switch(names)
        self.disks = Disks(names)
        self.machines = {host: Machine(names, host) for host in names.hosts}
        self.keys = Keys(names.folder / "keys/id_ed25519", "", names.folder / "keys/known_hosts")
        self._lock: int | None = None

    # -- all of it

    def up(self, owned: bool = False) -> None:
        """Boot every host; what was left of a lab of this name is removed first.

        :param owned: the lab ends with this process.
        :raises LabError: when it cannot be made here, or somebody else uses this name.
        """
        why = missing()
        if why:
            raise LabError(why)
        self.claim()
        for left in (*reaper.orphans(), self.names.lab):
            reaper.remove(left)
        folder = self.names.folder
        folder.mkdir()
        command("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "muster-lab", str(folder))
        command("mount", "--make-private", str(folder))
        if owned:
            reaper.own(self.names)
        self.switch.up()
        self.keys = self.disks.prepare()
        for host in self.names.hosts:
            self.disks.host(host)
        # What the controller runs is not compiled there again each time: it has the checkout read-only.
        subprocess.run([sys.executable, "-m", "compileall", "-q", "monitor"], cwd=ROOT, check=False)
        for host in self.names.hosts:
            self.machines[host].boot(self._binds(host))
        self.wait(*self.names.hosts)

    def down(self) -> None:
        reaper.remove(self.names.lab)
        for machine in self.machines.values():
            with contextlib.suppress(LabError):
                machine.wait_off()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def wait(self, *hosts: str) -> None:
        """Until these hosts' sshd answers. :raises LabError: with the host's last words, when one does not."""
        deadline = time.monotonic() + BOOT_WITHIN
        for host in hosts:
            while not self.banner(host):
                if time.monotonic() > deadline or not self._starting(host):
                    raise LabError(f"{host} did not come up; its console said: {self.console(host)[-600:]}")
                time.sleep(0.02)

    # -- one host

    def boot(self, *hosts: str) -> None:
        """Power on again, all of them at once, with the disks as they were."""
        for host in hosts:
            if not self.machines[host].on:
                self.switch.plug(host)
                self.machines[host].boot(self._binds(host))
        self.wait(*hosts)

    def power_cut(self, *hosts: str) -> None:
        """No word is sent any more, not even that the connections end."""
        for host in hosts:
            # The kernel would tell the peers of killed processes; a machine without power cannot.
            self.switch.pull(host)
        for host in hosts:
            self.machines[host].kill()
            self.switch.unplug(host)

    def reboot(self, host: str) -> None:
        """Reboot as a person would: end everything first, then start again."""
        self.run(host, "systemctl", "halt", "--no-block", check=False)
        self.machines[host].wait_off()
        self.boot(host)

    def freeze(self, host: str) -> None:
        self.machines[host].freeze()

    def thaw(self, host: str) -> None:
        self.machines[host].freeze(False)

    def fill_disk(self, host: str, leave: int = 0) -> None:
        """The disk of /opt is full, but for so many bytes."""
        free = shutil.disk_usage(self.opt(host)).free
        with open(self.opt(host) / ".filled-by-lab", "wb") as handle:
            os.posix_fallocate(handle.fileno(), 0, max(1, free - leave))

    def free_disk(self, host: str) -> None:
        (self.opt(host) / ".filled-by-lab").unlink(missing_ok=True)

    def set_clock(self, host: str, seconds: float) -> None:
        """The host's clock is off by so much, for whatever is run there over ssh from now on; 0 puts it right."""
        # All hosts share one kernel and so one clock; what programs ask is answered wrongly instead.
        if not os.path.exists(FAKETIME):
            raise LabError("a clock is set wrongly by libfaketime, which is not installed (apt install libfaketime)")
        line = f"SetEnv LD_PRELOAD={FAKETIME} FAKETIME={seconds:+g} FAKETIME_DONT_FAKE_MONOTONIC=1" if seconds else ""
        self.run(host, "sh", "-c", f"echo '{line}' >/etc/ssh/clock.conf && systemctl kill --signal=HUP ssh")
        self.wait(host)

    def run(self, host: str, *words: str, check: bool = True, user: str = "", timeout: float = 60.0,
            environment: dict[str, str] | None = None) -> str:  # fmt: skip
        """Output of a command at the host's own console, past the network. :raises LabError: when it fails."""
        done = subprocess.run(
            self.machines[host].inside(*words, user=user, environment=environment), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise LabError(f"{host}: {' '.join(words)} ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
        return done.stdout

    def console(self, host: str) -> str:
        """The host's console output since its boot."""
        path = self.names.of(host) / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def opt(self, host: str) -> Path:
        """The host's /opt, from out here."""
        return self.names.of(host) / "opt"

    def upper(self, host: str) -> Path:
        """The host's root file system, from out here (without /opt)."""
        return self.names.of(host) / "root"

    # -- the network

    def at_desk(self, *words: str) -> list[str]:
        """A command of this machine, run on the lab's network but on none of its hosts."""
        return ["ip", "netns", "exec", self.names.namespace(DESK), *words]

    def ssh(self, host: str, *words: str, user: str = "root") -> list[str]:
        """The ssh command from the desk to a host."""
        return self.at_desk(
            "ssh", "-F", "none", "-i", str(self.keys.private), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self.keys.known_hosts}", "-o", "ConnectTimeout=5",
            f"{user}@{self.names.address(host)}", *words,
        )  # fmt: skip

    def banner(self, host: str, timeout: float = 0.5) -> bool:
        """Whether the host's sshd answers, asked over the network."""
        try:
            with self.connect(host, 22, timeout) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def connect(self, host: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A connection from the desk. :raises OSError:"""
        made: list[Any] = []

        def attempt() -> None:
            try:
                with open(f"/run/netns/{self.names.namespace(DESK)}", "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NEW_NET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_connection((self.names.address(host), port), timeout))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=attempt)  # its namespace ends with it
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]  # type: ignore[no-any-return]

    def state(self) -> dict[str, str]:
        """host -> what a person would say of it."""
        cables = self.switch.cables()
        return {host: "off" if not machine.on else "up" if cables[host] == "up" else "up, its cable is pulled"
                for host, machine in self.machines.items()}  # fmt: skip

    def _binds(self, host: str) -> list[str]:
        """A controller has the checkout, its .venv and the Python that was made of; other hosts have neither."""
        if host not in self.names.controllers:
            return []
        shown = [ROOT]
        for folder in (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()):
            if folder not in (Path("/usr"), Path("/usr/local")) and ROOT not in folder.parents:
                shown.append(folder)
        return [f"--bind-ro={folder}" for folder in dict.fromkeys(shown)]

    def _starting(self, host: str) -> bool:
        process = self.machines[host]._process
        return self.machines[host].on or (process is not None and process.poll() is None)

    def claim(self) -> None:
        """The name is this process's, until it ends. :raises LabError: when another one is at work with it."""
        self._lock = os.open(self.names.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise LabError(f"a test uses the lab {self.names.lab}: give yours another name (LAB=...)") from None


@contextlib.contextmanager
def lab(name: str = "", **settings: Any) -> Iterator[Lab]:
    """A booted lab for a test; nothing of it is left, also when the test is killed.

    :param name: default: one of this process, so that tests can run beside each other.
    """
    made = Lab(Names(name or f"t{os.getpid()}x{next(_numbers)}", **settings))
    try:
        made.up(owned=True)
        yield made
    finally:
        made.down()
        made.names.lock.unlink(missing_ok=True)
