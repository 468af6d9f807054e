# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a changed configuration does to an instance that runs, and the digest that tells what changed.

The digest of an instance is that of its own part (commands and units, and every file that does as they do), then one
part for each other word: ``3f2a...@77be...+reload:91c0...``. After the @ is the shape, see `model.shape`.
"""

from __future__ import annotations

import hashlib
from typing import Dict, Iterable, List, Mapping

from .shape import with_shape
from .site import Application, ConfigFile

# The words of `on_change`.
RESTART = "restart"
RELOAD = "reload"  # its programs take it while they run: a signal or a command
WHEN_CLOSED = "when_closed"  # at its next start
BY_HAND = "by_hand"  # at its next start, which a person orders
NOTHING = "nothing"  # its programs see for themselves
ON_CHANGE = (RESTART, RELOAD, WHEN_CLOSED, BY_HAND, NOTHING)

_STRONGEST = (RESTART, WHEN_CLOSED, BY_HAND, RELOAD, NOTHING)  # what also does what the later ones do
_LENGTH = 16  # hexadecimal digits


def of_units(application: Application) -> str:
    """What a change of its commands, environments and units does: no program can take these while it runs."""
    written = application.on_change
    if written and written != RELOAD:
        return written
    return WHEN_CLOSED if application.on_request else RESTART


def of_file(application: Application, file: ConfigFile) -> str:
    """What a change of one of its files does."""
    return file.on_change or application.on_change or of_units(application)


def reloaded(application: Application) -> List[str]:
    """The programs that can take a new configuration while they run."""
    return [program.name for program in application.programs if program.reload]


def digest(parts: Iterable[str]) -> str:
    """The digest of texts, in their order."""
    made = hashlib.sha256()
    for part in parts:
        data = part.encode()
        made.update(b"%d:" % len(data))
        made.update(data)
    return made.hexdigest()[:_LENGTH]


def digest_of(application: Application, parts: Mapping[str, Iterable[str]]) -> str:
    """The digest of an instance.

    :param parts: word of `on_change` -> the texts of what does that; "" stands for the units.
    """
    own = of_units(application)
    texts = list(parts.get("", ())) + list(parts.get(own, ()))
    others = ["%s:%s" % (word, digest(parts[word])) for word in sorted(parts) if word not in ("", own)]
    return "+".join([with_shape(digest(texts), application), *others])


def effect(application: Application, running: str, wanted: str) -> str:
    """What has to be done about an instance that runs with one configuration and should have another: a word of
    `on_change`; the strongest of what changed, since an instance never has half of a configuration."""
    before, after = _parts(running), _parts(wanted)
    changed = {part for part in {*before, *after} if before.get(part) != after.get(part)}
    words = {of_units(application) if part == "" else part for part in changed}
    return next((word for word in _STRONGEST if word in words), NOTHING)


def _parts(text: str) -> Dict[str, str]:
    own, *others = text.split("+")
    return {"": own, **{word: value for word, _unused, value in (other.partition(":") for other in others)}}
