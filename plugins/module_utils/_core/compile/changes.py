# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what an application says about its changes can be done."""

from __future__ import annotations

from typing import Tuple

from ..model import change
from ..model.site import Application, ConfigFile
from .errors import Keys, Problems


def check(application: Application, keys: Keys, problems: Problems) -> None:
    """What is to be reloaded needs programs that can, and the other way round."""
    able = change.reloaded(application)
    files = [file.name for file in application.files if change.of_file(application, file) == change.RELOAD]
    if files and not able:
        own = application.on_change != change.RELOAD
        place = keys + (("files", files[0], "on_change") if own else ("on_change",))
        problems.add(place, "no program of %s can take a changed %s while it runs" % (application.name, files[0]),
                     change.RELOAD, "give a program reload: a signal or a command")
    elif application.on_change == change.RELOAD and not files:
        problems.add(keys + ("on_change",), "reload is about files, and no file of %s is reloaded" % application.name,
                     change.RELOAD, "its commands and units take effect at a start only")
    for program in application.programs:
        place = keys + ("programs", program.name, "reload")
        if program.reload and (program.is_gate or not program.start_sequence):
            why = "is a gate" if program.is_gate else "is not started with the application"
            problems.add(place, "%s %s, so nothing of it runs that could reload" % (program.name, why), program.reload)
        elif program.reload and not files:
            problems.add(place, "nothing of %s is reloaded when it changes" % application.name, program.reload,
                         "write on_change: reload, for the application or for a file")


def check_service(files: Tuple[ConfigFile, ...], keys: Keys, problems: Problems) -> None:
    """A host service starts again when anything of it changes."""
    for file in files:
        if file.on_change:
            problems.add(keys + (file.name, "on_change"), "on_change is about applications: a host service restarts"
                         " when a file of it changes", file.on_change)
