# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make the host agent: what prepare installs below ``lib/<hash>/muster_host/``."""

from __future__ import annotations

NAMES = (
    "_act.py",
    "_agent.py",
    "_agent_install.py",
    "_boot.py",
    "_dbus.py",
    "_hostfiles.py",
    "_hostload.py",
    "_instancefiles.py",
    "_instancework.py",
    "_launch.py",
    "_listen.py",
    "_manager_supervisor.py",
    "_manager_systemd.py",
    "_managers.py",
    "_observe.py",
    "_ownership.py",
    "_ports.py",
    "_prepare.py",
    "_procs.py",
    "_remove.py",
    "_sequencer.py",
    "_staging.py",
    "_supervisor.py",
    "_supervisor_prepare.py",
    "_supervisord.py",
    "_systemd.py",
    "_systemd_events.py",
    "_systemd_files.py",
    "_systemd_prepare.py",
    "_xmlrpc.py",
)
