# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What probes show of themselves: passwords, tokens and certificates, from files of the controller.

A secret is read when a connection is made and kept no longer; it is in no message, no argument and no log.
"""

from __future__ import annotations

import os
import ssl
import stat

from ...core.model.probe import Probe, Tls

_FILE_BYTES = 65536
_contexts: dict[tuple[Tls, tuple[float, ...]], ssl.SSLContext] = {}
_MOST_CONTEXTS = 64


class SecretError(Exception):
    """A file cannot be used; the text is one sentence, without anything of what the file holds."""


def account(how: Probe) -> tuple[str, str, str, str]:
    """(user, password, token, caution): the credentials of the probe, and a sentence when a file is readable by all.

    :raises SecretError: when a file is missing, empty or not to be read.
    """
    caution = ""
    password = token = ""
    if how.password_file:
        password, caution = _first_line(how.password_file)
    if how.token_file:
        token, caution = _first_line(how.token_file)
    return how.user, password, token, caution


def context(tls: Tls) -> tuple[ssl.SSLContext, str]:
    """A context made of these files as they are now, shared by all probes that name them, and a caution as above.

    :raises SecretError: when a file is missing or holds something else.
    """
    files = [name for name in (tls.ca, tls.certificate, tls.key) if name]
    facts = [_facts(name) for name in files]
    mark = (tls, tuple(fact.st_mtime for fact in facts))
    caution = _open_to_all(tls.key, facts[-1]) if tls.key else ""
    known = _contexts.get(mark)
    if known is not None:
        return known, caution
    try:
        made = ssl.create_default_context(cafile=tls.ca or None)
    except (OSError, ssl.SSLError):
        raise SecretError("%s holds no certificates of authorities" % tls.ca) from None
    made.check_hostname = tls.verify_name
    if tls.certificate:
        try:
            made.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError):
            raise SecretError(
                "%s and %s are no certificate and its key (without a password of its own)" % (tls.certificate, tls.key)
            ) from None
    if len(_contexts) >= _MOST_CONTEXTS:
        _contexts.clear()
    _contexts[mark] = made
    return made, caution


def _no_password() -> str:
    raise ValueError  # instead of asking the terminal


def _first_line(path: str) -> tuple[str, str]:
    facts = _facts(path)
    try:
        with open(path, "rb") as handle:
            data = handle.read(_FILE_BYTES)
    except OSError as error:
        raise SecretError("%s cannot be read: %s" % (path, error.strerror)) from None
    try:
        line = data.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError("%s does not begin with a line of text" % path) from None
    if not line:
        raise SecretError("the first line of %s is empty" % path)
    return line, _open_to_all(path, facts)


def _facts(path: str) -> os.stat_result:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise SecretError("%s cannot be read: %s" % (path, error.strerror)) from None
    if not stat.S_ISREG(facts.st_mode):
        raise SecretError("%s is not a file" % path)
    return facts


def _open_to_all(path: str, facts: os.stat_result) -> str:
    return "everybody can read %s: chmod o= %s" % (path, path) if facts.st_mode & stat.S_IROTH else ""
