# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's pure modules under a plain package name: one copy serves plugins, hosts and monitor."""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_core")]
