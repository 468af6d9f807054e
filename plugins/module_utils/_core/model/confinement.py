# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits and sandboxing of programs: the keys of a site as directives of systemd. Only what is listed can be said."""

from __future__ import annotations

from typing import Any, List, Mapping

LIMITS = {
    "memory_max": "MemoryMax",
    "memory_high": "MemoryHigh",
    "cpu_quota": "CPUQuota",
    "cpu_weight": "CPUWeight",
    "io_weight": "IOWeight",
    "tasks_max": "TasksMax",
    "open_files": "LimitNOFILE",
    "nice": "Nice",
}
OF_PROCESSES = ("open_files", "nice")  # of one process; a group of them has no such limit
SANDBOX = {
    "protect_system": "ProtectSystem",
    "protect_home": "ProtectHome",
    "private_tmp": "PrivateTmp",
    "private_devices": "PrivateDevices",
    "no_new_privileges": "NoNewPrivileges",
    "protect_kernel_tunables": "ProtectKernelTunables",
    "protect_kernel_modules": "ProtectKernelModules",
    "protect_control_groups": "ProtectControlGroups",
    "protect_clock": "ProtectClock",
    "protect_hostname": "ProtectHostname",
    "restrict_suid_sgid": "RestrictSUIDSGID",
    "restrict_realtime": "RestrictRealtime",
    "restrict_namespaces": "RestrictNamespaces",
    "lock_personality": "LockPersonality",
    "memory_deny_write_execute": "MemoryDenyWriteExecute",
    "restrict_address_families": "RestrictAddressFamilies",
    "read_only_paths": "ReadOnlyPaths",
    "read_write_paths": "ReadWritePaths",
    "inaccessible_paths": "InaccessiblePaths",
}
_OURS = "ReadWritePaths=@@root@@/var"  # what programs write to stays writable


def directives(limits: Mapping[str, Any], sandbox: Mapping[str, Any]) -> List[str]:
    """Lines of a ``[Service]`` section."""
    lines = ["%s=%s" % (LIMITS[name], _limit(name, value)) for name, value in sorted(limits.items())]
    lines += ["%s=%s" % (SANDBOX[name], _text(value)) for name, value in sorted(sandbox.items())]
    if sandbox.get("protect_system") == "strict":
        lines.append(_OURS)
    return lines


def slice_directives(limits: Mapping[str, Any]) -> List[str]:
    """Lines of a ``[Slice]`` section: limits that hold for all processes of an instance together."""
    return ["%s=%s" % (LIMITS[name], _limit(name, value)) for name, value in sorted(limits.items())]


def _limit(name: str, value: Any) -> str:
    return "%s%%" % value if name == "cpu_quota" else str(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, (list, tuple)) else str(value)
