# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of muster, private to this collection.

Each folder is a room; `tests/unit/project/test_rooms.py` has the arrows between them.
"""
