# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates a site uses, and when they end."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from monitor.core.controller.ledger import LedgerError
from monitor.judge import target
from monitor.judge.watch_list import Watch, WatchedService
from monitor.tell.certificates import Certificates, ends, of_ledger, of_probes

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
DAY = 86400.0


def written(path: Path, *days: int) -> str:
    """A file with certificates that end so many days after NOW."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    text = b""
    for until in days:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(1 + abs(until)).not_valid_before(NOW - datetime.timedelta(days=100))
        made = made.not_valid_after(NOW + datetime.timedelta(days=until))
        text += made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(text)
    return str(path)


def test_the_first_to_end_counts_and_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    one, bundle = written(tmp_path / "one.pem", 3), written(tmp_path / "ca.pem", 400, 5, 90)
    found = Certificates()
    at = NOW.timestamp()
    told = {entry["name"]: entry["until"] - at for entry in found.look([one, bundle, one])}
    assert told == {"certificate " + bundle: 5 * DAY, "certificate " + one: 3 * DAY}
    os.utime(written(tmp_path / "one.pem", 300), (1, 1))
    assert found.look([one])[0]["until"] == at + 300 * DAY
    assert ends(written(tmp_path / "old.pem", -10)) == at - 10 * DAY, "also one that is over"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00" * 50, b"-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_left_to_who_needs_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pem"
    path.write_bytes(content)
    assert Certificates().look([str(path), str(tmp_path / "none.pem"), str(tmp_path)]) == []


def test_those_of_probes_and_of_the_ledger_are_found(tmp_path: Path) -> None:
    inner = {"type": "nats", "tls": {"ca": "/a/ca.pem", "certificate": "/a/me.pem", "key": "/a/me.key"}}
    asked = {"probe": {"type": "all", "probes": [{"type": "tcp"}, inner]}, "port": 1}
    parsed = target.parse(asked, "127.0.0.1", lambda: target.Whose("s", "h", "i", 0, "p"))
    assert parsed is not None
    watch = Watch(services={("bus", "h"): WatchedService("bus", "h", "the bus", parsed)})
    assert of_probes(watch) == {"/a/ca.pem", "/a/me.pem"}
    assert of_ledger(str(tmp_path)) == set()
    place = {"etcd": ["https://e:1"], "site": "s", "ca": "/e/ca", "cert": "/e/c"}
    (tmp_path / "ledger.json").write_text(json.dumps(place))
    assert of_ledger(str(tmp_path)) == {"/e/ca", "/e/c"}
    (tmp_path / "ledger.json").write_text("{")
    with pytest.raises(LedgerError):
        Certificates().of_site(watch, str(tmp_path))
