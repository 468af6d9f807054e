# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when the certificates count that the controller shows or trusts: those of probes, and of the ledger in etcd."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..base.files import Stamp, file_stamp
from ..core.controller.ledgers import where
from ..judge.watch_list import Watch

LARGEST = 1024 * 1024  # bytes of a file; a bundle of authorities is a quarter of that


class Certificates:
    """What the files say; each is read again when it changes."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp | None, float | None]] = {}
        self._watch: Watch | None = None  # that `_of_probes` are of: there may be thousands of probes
        self._of_probes: set[str] = set()

    def of_site(self, watch: Watch, state_dir: str) -> list[dict[str, Any]]:
        """Those that this site uses; see `look`.

        :raises LedgerError: when it cannot be said where the ledger is.
        """
        if watch is not self._watch:
            self._watch, self._of_probes = watch, of_probes(watch)
        return self.look(self._of_probes | of_ledger(state_dir))

    def look(self, paths: Iterable[str]) -> list[dict[str, Any]]:
        """{name, until (s since 1970)} of each file that can be read; the first to end, of several in a file."""
        found = []
        known: dict[str, tuple[Stamp | None, float | None]] = {}
        for path in sorted(set(paths)):
            stamp = file_stamp(Path(path))
            entry = self._known.get(path)
            known[path] = entry = entry if entry is not None and entry[0] == stamp else (stamp, ends(path))
            if entry[1] is not None:
                found.append({"name": "certificate %s" % path, "until": entry[1]})
        self._known = known
        return found


def of_probes(watch: Watch) -> set[str]:
    """The files with certificates of all probes."""
    watched = [entry.target for entry in watch.instances.values()]
    watched += [entry.link for entry in watch.instances.values()]
    watched += [entry.target for entry in watch.services.values()]
    tls = [leaf.how.tls for target in watched if target is not None for leaf in target.leaves()]
    return {path for entry in tls if entry is not None for path in (entry.ca, entry.certificate) if path}


def of_ledger(state_dir: str) -> set[str]:
    """Those of a ledger in etcd. :raises LedgerError: when it cannot be said where the ledger is."""
    place = where(state_dir)
    return {str(place[name]) for name in ("ca", "cert") if place.get(name)}


def ends(path: str) -> float | None:
    """When the first certificate in a file ends, s since 1970; None when it holds none that can be read."""
    from cryptography import x509  # ansible-core needs it, too; only sites with certificates pay for it

    try:
        with open(path, "rb") as handle:
            read = x509.load_pem_x509_certificates(handle.read(LARGEST))
    except (OSError, ValueError):
        return None  # the probe or the ledger that needs it says so
    return min((one.not_valid_after_utc.timestamp() for one in read), default=None)
