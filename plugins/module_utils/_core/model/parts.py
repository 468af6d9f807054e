# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a site: programs, files, ports, hooks, settings, what follows a spent budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Tuple, Union

LASTING, ONCE = KINDS = ("lasting", "once")  # what a program is: it runs on, or does its work and ends
BY_PORT = ("tcp", "http")
READY_TYPES = ("notify", *BY_PORT)


@dataclass(frozen=True)
class Program:
    """One process definition of an application; Supvisors' names and meanings."""

    name: str
    command: Tuple[str, ...]  # arguments as a list; may hold Jinja, rendered per item
    environment: Mapping[str, str] = field(default_factory=dict)
    start_sequence: int = 0  # rank within the application; 0: not started with it
    stop_sequence: int = 0  # greatest first; defaults to start_sequence
    wait_exit: bool = False  # a gate: the next rank begins when it has exited with 0
    required: bool = False  # its failure is major, not minor
    expected_loading: int = 0  # percent of a host's capacity, 0..100
    expected_memory: int = 0  # MiB
    resources: Mapping[str, int] = field(default_factory=dict)  # of its node, or of the site
    starting_failure_strategy: str = ""  # empty: the application's
    running_failure_strategy: str = "continue"
    start_timeout: float = 10.0  # s; for a gate: until its exit
    stop_timeout: float = 5.0  # s from SIGTERM to SIGKILL
    on_timeout: str = "fail"  # a gate: "fail" | "defer"
    reload: Union[str, Tuple[str, ...]] = ()  # a signal or a command: it takes its configuration while it runs
    waits_for: str = ""  # a gate: the host service whose probe lets a deferred start continue
    stop_signal: str = "TERM"
    directory: str = ""  # where it starts; empty: a folder of its instance
    umask: str = ""  # empty: the service manager's
    nice: int = 0
    log: Mapping[str, Any] = field(default_factory=dict)  # size (MB), keep, stderr, syslog; on Supervisor hosts
    kind: str = LASTING
    exit_codes: Tuple[int, ...] = ()  # see `ends`
    ready: Mapping[str, Any] = field(default_factory=dict)  # type, port, path: when the next rank may begin
    window: float = 0.0  # s that its window may be silent; 0: it is not asked
    user: str = ""  # who it runs as, on systemd; empty: the host's user
    group: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)  # on systemd, see `model.confinement`
    sandbox: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_gate(self) -> bool:
        return self.wait_exit

    @property
    def ends(self) -> Tuple[int, ...]:
        """The exit codes with which it may end by itself, or with which a gate lets the next rank begin."""
        return self.exit_codes or ((0,) if self.kind == ONCE or self.wait_exit else ())


@dataclass(frozen=True)
class ConfigFile:
    """A file rendered per item (or per host service) from a Jinja template."""

    name: str  # below etc/current/<instance>/
    template: str  # looked up beside the inventory, the playbook, then in the collection
    mode: str = "0640"
    on_change: str = ""  # see `model.change`; empty: the application's


@dataclass(frozen=True)
class Ports:
    """TCP ports of an instance: ``base + slot * stride + offset``."""

    base: int
    stride: int
    offsets: Mapping[str, int]

    def of(self, slot: int) -> Dict[str, int]:
        """Name of a port -> its number."""
        return {name: self.base + slot * self.stride + offset for name, offset in self.offsets.items()}


VERDICTS, ALARMS = ABOUT = ("verdicts", "alarms")  # what a hook is about
ALARM_EVENTS = ("raised", "cleared", "acknowledged", "shelved", "over")
NOTIFY = "muster-notify"  # the monitor's own program, as the first argument of a hook's command


@dataclass(frozen=True)
class Hook:
    """A command that the monitor runs when the verdict of an item, or an alarm, has changed. Times in seconds."""

    command: Tuple[str, ...]  # arguments as a list; the first one is an absolute path
    on: Tuple[str, ...] = ("all",)  # the verdicts it wants to hear of
    debounce: float = 5.0  # how long a verdict must last before the command runs
    timeout: float = 30.0  # how long the command may take
    about: str = VERDICTS
    priority: Tuple[str, ...] = ()  # of alarms: only those; empty: all


@dataclass(frozen=True)
class AfterBudget:
    """What becomes of a service whose failure budget is spent."""

    retry: float  # s between two more tries


@dataclass(frozen=True)
class Settings:
    """Site-wide numbers. Times in seconds."""

    start_timeout: float = 60.0  # one instance's whole staged start
    run_timeout: float = 120.0  # an actor's deadline; past it another run takes over
    stable_after: float = 10.0
    failure_budget: int = 5
    failure_window: float = 600.0
    observe_interval: float = 60.0
    reconcile_interval: float = 900.0  # of these looks, one by a playbook
    host_interval: float = 1.0  # between two questions to a host's service manager
    host_down_after: float = 2.0  # of silence, on two independent signals
    artifacts: int = 50  # ansible-runner artefacts kept
    artifacts_size: int = 200  # MiB that they may take together
    trail_days: int = 365
    past_days: int = 400
    api: bool = True  # whether the monitor answers requests
    api_address: str = "127.0.0.1"  # loopback; where it listens besides its Unix sockets
    api_port: int = 0  # 0: Unix sockets only
    ask_wait: float = 60.0  # how long a console that is asked for a window has time to answer
    ask_silence: str = "keep"  # "keep" | "give": what it means when it does not
    exclusion: str = "none"  # "none" | "witnesses": whether hosts need leases to run instances
    lease: float = 3.0  # how long an answer of the witnesses counts
    lease_margin: float = 0.5  # before its end, in which instances are stopped in order
    clock_error: float = 0.001  # by which fraction the rate of a clock may be wrong
    lease_port: int = 26990  # UDP, of every host
    power_fence: Tuple[str, ...] = ()  # run on the controller, it proves that a host is off
    power_fence_timeout: float = 20.0
    backup_folder: str = ""  # where the monitor copies the ledger to; "": nowhere
    backup_interval: float = 600.0
    backup_keep: int = 3


@dataclass(frozen=True)
class Need:
    """So many of these programs must run."""

    any: int
    of: Tuple[str, ...]
