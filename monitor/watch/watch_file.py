# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list on disk. File events announce a new one; the loop also looks now and then, in case one is lost."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..base.files import Stamp, stamp_of
from ..core.controller import run_process
from ..core.controller.places import SITE_FILE, WATCH_FILE
from ..judge.watch_list import Watch, WatchError, parse


class WatchList:
    """The last valid content of ``watch.json``. An invalid or half-written file is reported once, and ignored."""

    def __init__(self, state_dir: Path, complain: Callable[[str], None]) -> None:
        self._path = state_dir / WATCH_FILE
        self._complain = complain
        self._stamp: Stamp | None = None
        self._complaint = ""
        self.lost = False  # removed or damaged: a run has to publish it again
        self.watch = Watch()
        self.looked = False  # it is known whether there is one

    def refresh(self) -> bool:
        """Read the file if it has changed. :return: whether `watch` is a new one."""
        try:
            stamp = stamp_of(os.stat(self._path))
        except FileNotFoundError:
            self.lost = self.looked = True
            known = self.watch.revision
            gone = "the watch list is gone (%s); going on with revision %d until it is published again"
            never = "there is no watch list yet (%s): deploy first"
            self._report(gone % (self._path, known) if known >= 0 else never % self._path)
            return False
        except OSError as error:
            self._report("the watch list cannot be looked at: %s" % error)
            return False
        if stamp == self._stamp:
            self.lost = False
            return self._runs_died()
        try:
            fresh = parse(json.loads(self._path.read_bytes()))
        except (OSError, ValueError) as error:
            kept = "going on with revision %d" % self.watch.revision if self.watch.revision >= 0 else "waiting for it"
            what = error if isinstance(error, WatchError) else "the watch list is damaged or half-written (%s)" % error
            self.lost = not isinstance(error, (OSError, WatchError))
            self._report("%s; %s" % (what, kept))
            return False
        self.lost = False
        self._stamp = stamp
        self._complaint = ""
        same_site = fresh.site_id == self.watch.site_id
        if same_site and fresh.revision < self.watch.revision:
            self._report("the watch list went back from revision %d to %d" % (self.watch.revision, fresh.revision))
        self.watch = fresh
        self.looked = True
        self._runs_died()
        return True

    def _runs_died(self) -> bool:
        """Note in `watch` which of the runs at work are gone. :return: whether that changed."""
        gone = frozenset(process for process in self.watch.acting if run_process.is_gone(process))
        carrier = self.watch.rollout_carrier
        carried = bool(carrier) and not run_process.is_gone(carrier)
        if (gone, carried) == (self.watch.gone, self.watch.rollout_carried):
            return False
        self.watch = replace(self.watch, gone=gone, rollout_carried=carried)
        return True

    def _report(self, sentence: str) -> None:
        if sentence != self._complaint:
            self._complaint = sentence
            self._complain(sentence)


class FileEvents:
    """Calls `changed()` in the loop's thread soon after watch list or site were replaced.

    :raises OSError: where the system gives no file events.
    """

    def __init__(self, state_dir: Path, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        from watchdog.events import (
            FileClosedEvent,
            FileCreatedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                name = os.path.basename(os.fsdecode(event.dest_path or event.src_path))
                if name in (WATCH_FILE, SITE_FILE):
                    loop.call_soon_threadsafe(changed)

        self._observer: Any = Observer(timeout=60)
        kinds = [FileMovedEvent, FileClosedEvent, FileCreatedEvent]
        self._observer.schedule(Handler(), str(state_dir), recursive=False, event_filter=kinds)
        self._observer.daemon = True
        self._observer.start()

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(timeout=2)
