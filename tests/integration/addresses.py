# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loopback addresses of this test process: test processes that run beside each other never share one."""

from __future__ import annotations

import os

# Sites take 127.100 to 127.199 (local_site.py), the installed collection 127.61.
NET = "127.%d" % (70 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 30)
