# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published state: ``site.json`` and ``watch.json``, each replaced whole, under one lock, only by something newer."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..model import site
from ..report import watch_list
from .places import PUBLISH_LOCK, SITE_FILE, WATCH_FILE

SCHEMA = 1
_PATIENCE = 10.0  # s to wait for another publisher


class PublishError(Exception):
    """The published state could not be written; the old files stand. The text is the sentence for a person."""


def site_mark(site_document: Mapping[str, Any], digests: Mapping[str, str]) -> str:
    """A digest of a site and its rendered configurations; the ledger's ``meta.site_mark`` names the valid one.

    Of several controllers each may have a state folder of another name.
    """
    if site_document.get("controllers"):
        site_document = dict(site_document, state_dir="")
    text = json.dumps([site_document, digests], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def publish(
    state_dir: str,
    site_document: Mapping[str, Any],
    state: Mapping[str, Any],
    revision: int,
    digests: Optional[Mapping[str, str]] = None,
    config_digests: Optional[Mapping[str, str]] = None,
    durable: bool = True,
) -> bool:
    """Write site and watch list of this revision, unless the same or newer ones stand there. Returns whether it wrote.

    :param state: the ledger's state at `revision`. When its ``meta.site_mark`` names another site than the one given
        (another run deployed meanwhile), the site published already is used.
    :param durable: whether the watch list must outlast a power cut; not while a run is under way that will write it
        again, and is waited for.
    :raises PublishError: nothing is half-written.
    """
    try:
        with locked(state_dir):
            standing = read_published(state_dir, WATCH_FILE)
            site_id = state["meta"]["site_id"]
            ours = bool(standing) and standing.get("site_id") == site_id
            if ours and standing.get("revision", -1) > revision:
                return False
            envelope = _envelope(site_id, site_document, digests, config_digests)
            before = read_published(state_dir, SITE_FILE)
            mark = state["meta"].get("site_mark")
            if mark and mark != envelope["mark"] and before and before.get("mark") == mark:
                envelope = before
            watch = watch_list.watch_document(site.site_from_json(envelope["site"]), state, revision)
            wrote = False
            if envelope != before:
                _replace(state_dir, SITE_FILE, envelope)
                wrote = True
            if watch != standing:
                _replace(state_dir, WATCH_FILE, watch, sync=durable)
                wrote = True
            return wrote
    except OSError as error:
        raise PublishError(
            "revision %d is in the ledger but could not be published in %s (%s): the next run or reconcile does it"
            % (revision, state_dir, error.strerror or error)
        ) from error


def warnings(
    state_dir: str,
    site_and_digests: Tuple[Mapping[str, Any], Mapping[str, str], Mapping[str, str]],
    state: Mapping[str, Any],
    revision: int,
    durable: bool,
) -> List[str]:
    """Publish; what goes wrong is a warning, for the commit stands and the next run publishes it."""
    document, digests, config_digests = site_and_digests
    try:
        publish(state_dir, document, state, revision, digests, config_digests, durable)
    except PublishError as error:
        return [str(error)]
    return []


def read_published(state_dir: str, name: str) -> Dict[str, Any]:
    """A published document; empty when there is none or it cannot be read as one."""
    try:
        with open(os.path.join(state_dir, name), encoding="utf-8") as handle:
            document = json.load(handle)
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_document(state_dir: str, name: str, document: Mapping[str, Any]) -> None:
    """Replace an auxiliary file of the state folder atomically; it need not outlast a power cut.

    :raises OSError: the old file stands."""
    _replace(state_dir, name, document, sync=False)


def envelope(
    site_document: Mapping[str, Any], state: Mapping[str, Any], digests: Mapping[str, str],
    config_digests: Mapping[str, str],
) -> Dict[str, Any]:  # fmt: skip
    """What ``site.json`` holds."""
    return _envelope(state["meta"]["site_id"], site_document, digests, config_digests)


def _envelope(
    site_id: str,
    site_document: Mapping[str, Any],
    digests: Optional[Mapping[str, str]],
    config_digests: Optional[Mapping[str, str]],
) -> Dict[str, Any]:
    return {
        "schema": SCHEMA,
        "site_id": site_id,
        "mark": site_mark(site_document, digests or {}),
        "site": dict(site_document),
        "digests": dict(digests or {}),
        "config_digests": dict(config_digests or {}),
    }


def _replace(state_dir: str, name: str, document: Mapping[str, Any], sync: bool = True) -> None:
    handle, fresh = tempfile.mkstemp(prefix=".%s." % name, dir=state_dir)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(document, separators=(",", ":")))
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.replace(fresh, os.path.join(state_dir, name))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


@contextlib.contextmanager
def locked(state_dir: str) -> Iterator[None]:
    """One publisher at a time; a dead one's lock is gone with it.

    :raises OSError: when another one keeps the lock for long.
    """
    handle = os.open(os.path.join(state_dir, PUBLISH_LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(errno.EBUSY, "another process keeps publish.lock") from None
                time.sleep(0.005)
        yield
    finally:
        os.close(handle)
