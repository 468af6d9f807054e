# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the script that ansible-test would download to put pip into its virtual environments.

The host of that script cannot be reached from everywhere. This one takes the same arguments and installs from the
package index, with the pip of PIPS_PYTHON, which `sanity.sh` sets: ensurepip would take four times as long, for each of
nine environments.
"""

import subprocess
import sys

PIPS_PYTHON = ""

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
subprocess.run([PIPS_PYTHON, "-m", "pip", "--python", sys.executable, "install", "--quiet", *arguments], check=True)
