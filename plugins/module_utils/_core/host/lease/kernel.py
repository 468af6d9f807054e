# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel does at a moment of its clock that counts suspended time: end this process, or wake it.

`Deadline` is a POSIX timer whose signal is SIGKILL: it also ends a process that stands still or loops. It needs no
rights. A fork does not inherit it, and it does not outlast an exec; so it belongs in the process whose death takes
along what it started.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import time

_BOOTTIME = time.CLOCK_BOOTTIME
_ABSOLUTE = 1  # TIMER_ABSTIME, TFD_TIMER_ABSTIME
_ABOVE = 32
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class _Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int),
                ("rest", ctypes.c_char * 48)]


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Setting(ctypes.Structure):
    _fields_ = [("interval", _Time), ("value", _Time)]


def now() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(_BOOTTIME)


class Deadline:
    """The kernel kills this process when it comes, unless it is set to a later one before."""

    def __init__(self) -> None:
        """:raises OSError: when the system has no such timers."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "timer_create"):  # before glibc 2.34 it is in a library of its own
            self._libc = ctypes.CDLL("librt.so.1", use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _Event(None, signal.SIGKILL, 0, b"")
        if self._libc.timer_create(_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer)):
            raise OSError(ctypes.get_errno(), "timer_create")

    def set(self, at: float) -> None:
        """
        :param at: seconds since boot; one that has passed ends the process now. 0: never.
        :raises OSError: when it cannot be set; the former one stands.
        """
        setting = _setting(at)
        if self._libc.timer_settime(self._timer, _ABSOLUTE, ctypes.byref(setting), None):
            raise OSError(ctypes.get_errno(), "timer_settime")


class Alarm:
    """A descriptor that becomes readable at a moment."""

    def __init__(self) -> None:
        """:raises OSError: when the system has no such descriptors."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        made = self._libc.timerfd_create(_BOOTTIME, _NONBLOCK_CLOEXEC)
        if made < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.descriptor = above(made)
        os.close(made)

    def set(self, at: float) -> None:
        """:param at: seconds since boot, above 0; one that has passed means now."""
        setting = _setting(at)
        if self._libc.timerfd_settime(self.descriptor, _ABSOLUTE, ctypes.byref(setting), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def take(self) -> bool:
        """Whether it has rung since it was set."""
        try:
            return bool(os.read(self.descriptor, 8))
        except BlockingIOError:
            return False


def above(descriptor: int) -> int:
    """A second descriptor of the same file that a reload of supervisord leaves open: it closes low numbers."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)


def _setting(at: float) -> _Setting:
    whole = int(at)
    return _Setting(_Time(0, 0), _Time(whole, min(999999999, int((at - whole) * 1e9))))
