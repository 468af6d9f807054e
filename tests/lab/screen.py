# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of a console: a person is logged in there, with an X server that no other user may use."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.integration.local_site import wait_for
from tests.lab.hosts import Lab
from tests.lab.layer import USER, USER_ID

SIZE = (860, 620)
NEEDED = {
    "Xvfb": "xvfb", "xauth": "xauth", "openbox": "openbox", "xwininfo": "x11-utils", "xdotool": "xdotool",
    "import": "imagemagick",
}  # fmt: skip
RUNTIME = f"/run/user/{USER_ID}"  # made by logind
AUTHORITY = RUNTIME + "/xauthority"
# What a site says of such a console.
DISPLAY = {"display": ":0", "xauthority": AUTHORITY, "runtime_dir": RUNTIME, "user": USER}
# As a display manager does it: PAM opens a session of logind, and everything of it is ended when that is.
_UNIT = f"""[Unit]
Description=a person at this console
[Service]
User={USER}
PAMName=login
Environment=XDG_SESSION_TYPE=x11 XDG_SESSION_CLASS=user HOME=/home/{USER} XAUTHORITY={AUTHORITY}
ExecStart=/bin/sh -c 'umask 077; touch $XAUTHORITY; xauth -q add :0 . $(mcookie); \
(until [ -S /tmp/.X11-unix/X0 ]; do sleep 0.05; done; DISPLAY=:0 exec openbox) & \
exec Xvfb :0 -screen 0 {SIZE[0]}x{SIZE[1]}x24 -nolisten tcp -auth $XAUTHORITY'
"""
_TITLED = re.compile(r'(0x[0-9a-f]+) "(item [^"]+)"')


def missing() -> str:
    """ "" when consoles of a lab can have a screen, else the sentence that says why not."""
    absent = {command: package for command, package in NEEDED.items() if shutil.which(command) is None}
    if subprocess.run(["/usr/bin/python3", "-c", "import tkinter"], capture_output=True, check=False).returncode:
        absent["tkinter"] = "python3-tk"
    if absent:
        return f"windows need {', '.join(absent)} (Debian: apt install {' '.join(sorted(set(absent.values())))})"
    return ""


class Screen:
    """The screen and keyboard of a person at a console."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab, self._host = lab, host
        units = lab.upper(host) / "etc/systemd/system"
        units.mkdir(parents=True, exist_ok=True)
        (units / "person.service").write_text(_UNIT)
        # The lab does without logind, because its hosts boot sooner then.
        lab.run(host, "rm", "-f", "/etc/systemd/system/systemd-logind.service")
        lab.run(host, "systemctl", "daemon-reload")

    def log_in(self) -> None:
        self._lab.run(self._host, "systemctl", "start", "person")
        wait_for(lambda: '"Openbox"' in self._ask("xwininfo", "-root", "-tree", check=False), "a screen")

    def log_out(self) -> None:
        self._lab.run(self._host, "loginctl", "terminate-user", USER)
        wait_for(lambda: self.session() == {}, "the end of the session")

    def session(self) -> dict[str, str]:
        """logind's answer about the person's session; empty when there is none."""
        said = self._lab.run(self._host, "loginctl", "show-user", USER, check=False)
        facts = dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)
        return facts if facts.get("State") == "active" else {}

    def windows(self) -> dict[str, str]:
        """title -> the X server's number, of what the item's programs show."""
        shown = self._ask("xwininfo", "-root", "-tree", check=False)
        return {title: number for number, title in _TITLED.findall(shown)}

    def picture(self, window: str) -> bytes:
        """A picture of a window, as bytes to compare."""
        name = f"{RUNTIME}/window.rgb"
        self._ask("import", "-window", window, "-depth", "8", name)
        return (Path(f"/proc/{self._lab.machines[self._host].init}/root") / name.lstrip("/")).read_bytes()

    def enter(self, window: str, row: int, text: str) -> None:
        """Type into a field of the window with the settings, and press the key."""
        x, y = 180, 55 + 31 * row
        self._ask("xdotool", "windowactivate", "--sync", window, "mousemove", "--window", window, str(x), str(y),
                  "click", "1", "key", "ctrl+slash", "type", "--delay", "5", text)  # fmt: skip
        self._ask("xdotool", "key", "Return")

    def use(self, window: str, step: int) -> None:
        """What a person does with a window, one after the other: moves it, changes its size, clicks, hides it."""
        at = str(20 + 37 * step % 300)
        self._ask(*(
            ("xdotool", "windowmove", window, at, at),
            ("xdotool", "windowsize", window, str(260 + 11 * step % 200), str(160 + 7 * step % 120)),
            ("xdotool", "windowactivate", window, "mousemove", "--window", window, "40", "40", "click", "1"),
            ("xdotool", "key", "Escape"),
            ("xdotool", "windowminimize", window),
            ("xdotool", "windowmap", window),
        )[step % 6], check=False)  # fmt: skip

    def shot(self, target: Path) -> None:
        """The whole screen, as a PNG file out here."""
        name = f"{RUNTIME}/screen.png"
        self._ask("import", "-window", "root", "-strip", name)
        shutil.copyfile(Path(f"/proc/{self._lab.machines[self._host].init}/root") / name.lstrip("/"), target)

    def _ask(self, *words: str, check: bool = True) -> str:
        environment = {"DISPLAY": ":0", "XAUTHORITY": AUTHORITY, "HOME": f"/home/{USER}"}
        return self._lab.run(self._host, *words, user=USER, environment=environment, check=check)
