# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as an installer leaves them: without the packages that muster needs, which come from an archive beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.disks import ROOT
from tests.lab.hosts import Lab

PACKAGES = ("python3-psutil", "supervisor")
DOWNLOADS = ROOT / ".cache" / "debs"
# Below these, and what is written there belongs to the machine or to packages.
_OTHERS = ("/var/log/", "/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/lib/systemd/", "/var/lib/sudo/",
           "/var/lib/private", "/var/lib/PackageKit/", "/etc/rc", "/root/.ansible", "/home/operator", "/tmp/",
           "/var/tmp/", "/run/", "/dev/", "/proc/", "/sys/",
           "/etc/apt/", "/opt/debs/", "/usr/lib/python3", "/usr/share/", "/etc/ssh/", "/var/lib/dbus/")  # fmt: skip


def fetch() -> str:
    """The packages, from this machine's own archive. :return: "" or the sentence that says why not."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    if all(any(DOWNLOADS.glob(name + "_*.deb")) for name in PACKAGES):
        return ""
    if not shutil.which("apt-get"):
        return "packages of a Debian are needed, and there is no apt-get here"
    done = subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=DOWNLOADS, text=True, timeout=120, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    return "" if done.returncode == 0 else f"{', '.join(PACKAGES)} cannot be had: {done.stdout.strip()[-200:]}"


def strip(lab: Lab, *hosts: str) -> None:
    """Take the packages away, and leave an archive that has them and was never looked into."""
    index = ""
    for package in sorted(DOWNLOADS.glob("*.deb")):
        facts = subprocess.run(["dpkg-deb", "-f", package], text=True, stdout=subprocess.PIPE, check=True).stdout
        index += f"{facts.strip()}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\n\n"
    for host in hosts:
        archive = lab.opt(host) / "debs"
        archive.mkdir()
        for package in DOWNLOADS.glob("*.deb"):
            shutil.copy2(package, archive)
        (archive / "Packages").write_text(index)
        lab.run(host, "sh", "-ec", """
dpkg --purge supervisor python3-psutil >/dev/null
rm -rf /etc/apt/sources.list.d /var/lib/apt/lists
mkdir -p /var/lib/apt/lists/partial
echo 'deb [trusted=yes] file:/opt/debs ./' >/etc/apt/sources.list
""")  # fmt: skip


def installed(lab: Lab, host: str) -> set[str]:
    """Those of the packages that the host has."""
    said = lab.run(host, "dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES, check=False)
    return {words[0] for line in said.splitlines() if (words := line.split())[1:] == ["installed"]}


def traces(lab: Lab, host: str) -> dict[str, str]:
    """path -> what it is, of everything that was written on a host since it was made; accounts and units, too.

    Files of packages and of the machine itself are left out.
    """
    found = {}
    packaged = set(lab.run(host, "dpkg", "-L", *PACKAGES, check=False).splitlines())
    for top, prefix in ((lab.upper(host), ""), (lab.opt(host), "/opt")):
        for where, folders, files in os.walk(top):
            for name in (*folders, *files):
                path = Path(where) / name
                seen = prefix + "/" + str(path.relative_to(top))
                # The link enables the package's unit; folders of this machine are there because something in them is.
                shared = name in folders and Path(seen).is_dir()
                of_others = seen in packaged or name == "supervisor.service" or shared
                if not of_others and not (seen + "/").startswith(_OTHERS):
                    facts = path.lstat()
                    found[seen] = path.read_text(errors="replace") if seen in _READ else str(facts.st_mode)
    for unit in lab.run(host, "systemctl", "list-units", "--all", "--plain", "--no-legend", "muster*").splitlines():
        found["unit " + unit.split()[0]] = unit
    for process in lab.run(host, "ps", "-eo", "user:32,args").splitlines():
        if "muster" in process:
            found["process " + process] = ""
    return found


_READ = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid")
