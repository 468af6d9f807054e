# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether runs can be made, as far as the last ones tell, and why not, in Ansible's own words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

LATE = 25.0  # s without a run that is ready or at work
IN_A_ROW = 3  # runs that end before they are ready, without an error of Ansible
LONGEST = 300  # characters of its words
_STEP = re.compile(r"^(?=TASK \[|PLAY )", re.M)
_ERROR = re.compile(r"^\s*(?:\[ERROR\]|ERROR)[:!]*\s*(\S.*)$")
_FATAL = re.compile(r"^fatal: \[(?P<host>[^\]]*)\]: [A-Z!]+ => .*?\"msg\": \"(?P<why>(?:[^\"\\]|\\.)*)\"")


@dataclass(slots=True)
class Trouble:
    """What is known of the attempts since the last run that was ready."""

    failures: int = 0  # in a row, of runs that were to be ready ahead
    unproven: int = 0  # of these, since a run did its work
    began: float | None = None  # s, monotonic: when the first of these attempts began
    since: float = 0.0  # the same, in seconds since 1970
    why: str = ""  # "" while it may still go well
    hopeful: bool = False  # a request is tried all the same: an attempt goes on, or a run did its work not long ago
    proven: bool = False  # the last run that had something to do, did it

    def begins(self, now: float, wall: float) -> None:
        """An attempt begins."""
        if self.began is None:
            self.began, self.since = now, wall

    def fine(self) -> None:
        """A run is ready."""
        self.failures, self.unproven, self.began, self.why, self.hopeful, self.proven = 0, 0, None, "", False, True

    def worked(self) -> None:
        """A run did its work that had not been made ready ahead: runs can be made, those ahead perhaps not."""
        self.unproven, self.began, self.why, self.hopeful, self.proven = 0, None, "", False, True

    def impossible(self, why: str) -> None:
        """No attempt can even begin."""
        self.failures += 1
        self.why, self.hopeful, self.proven = printable(why), False, False

    def ended(self, why: str, output: str, at_work: bool = False) -> None:
        """A run ended before it was ready, or `at_work` without doing anything.

        :param output: all that it said.
        """
        self.failures += 1
        self.unproven += 1
        error = of_ansible(output)
        if error or at_work:
            self.proven = False
        if error or self.unproven >= IN_A_ROW:
            self.why = error or in_its_words(why, output)
            self.hopeful = self.proven

    def is_late(self, now: float) -> bool:
        """Whether no run was ready for so long that it has to be told."""
        return not self.why and self.began is not None and now - self.began > LATE

    def late(self, output: str) -> None:
        """The last attempt goes on, and says this."""
        self.why = printable("no run was ready within %.0f s: %s" % (LATE, _last(output) or "it has said nothing yet"))
        self.hopeful = True


def of_ansible(output: str) -> str:
    """The error that a run ended with, in Ansible's words; empty when there is none.

    It is the first one of the last task that has any: hosts that failed before were left out, and the run went on.
    """
    return next(filter(None, map(_error, reversed(_STEP.split(output)))), "")


def in_its_words(why: str, output: str) -> str:
    """How a run ended that left no error of Ansible, with the last that it said."""
    return printable(": ".join(filter(None, [why, _last(output)])))


def _error(step: str) -> str:
    """The first error of one task."""
    lines = step.splitlines()
    for line in lines:
        found = _ERROR.match(line)
        if found:
            return printable("ERROR! " + found[1])
    for line in lines:
        found = _FATAL.match(line)
        if found:
            return printable("%s: %s" % (found["host"], found["why"]))
    return ""


def printable(text: str) -> str:
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _last(output: str) -> str:
    """The last line that is no part of Ansible's recap, which says nothing of why."""
    said = output.partition("PLAY RECAP")[0].strip() or output
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
