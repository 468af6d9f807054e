# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a source of items: a file, or the pages that a server gives."""

from __future__ import annotations

import urllib.error
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.urls import open_url

from ..module_utils._core.model.text import printable
from . import _items

LARGEST = 16 * 1024 * 1024  # bytes of a text
MOST_PAGES = 1000


class Unreadable(Exception):
    """A source that cannot be read: its name, and a sentence."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__("%s: %s" % (source, why))
        self.source = source


@dataclass(frozen=True)
class Asking:
    """How a server is asked."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_path: str | None = None
    timeout: int = 10
    pages: bool = False


def shown(url: str) -> str:
    """The address without what may be secret in it: account, query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read(path: str) -> str:
    """:raises Unreadable: with a sentence."""
    try:
        with open(path, "rb") as handle:
            return _text(path, handle.read(LARGEST + 1))
    except OSError as error:
        raise Unreadable(path, "it cannot be read: %s" % error.strerror) from error


def texts(source: str, asking: Asking) -> list[str]:
    """The text of each page.

    :raises Unreadable: with a sentence; also where a page leads to another server, which must not get the token.
    """
    home = urllib.parse.urlsplit(asking.url)
    if home.scheme not in ("http", "https") or not home.netloc:
        raise Unreadable(source, "url must begin with http:// or https://")
    url, found = asking.url, []
    while url:
        if len(found) == MOST_PAGES:
            raise Unreadable(source, "it has more than %d pages" % MOST_PAGES)
        found.append(_page(source, url, asking))
        if not asking.pages:
            break
        try:
            url = urllib.parse.urljoin(url, _items.next_page(found[-1])) if _items.next_page(found[-1]) else ""
        except ValueError as error:
            raise Unreadable(source, str(error)) from error
        other = urllib.parse.urlsplit(url)
        if url and (other.scheme, other.netloc) != (home.scheme, home.netloc):
            raise Unreadable(source, "its next page is on another server, %s" % shown(url))
    return found


def _page(source: str, url: str, asking: Asking) -> str:
    try:
        answer = open_url(
            url, headers={"Accept": "application/json, text/csv", **asking.headers}, ca_path=asking.ca_path,
            timeout=asking.timeout, follow_redirects="none",
        )  # fmt: skip
        return _text(source, answer.read(LARGEST + 1))
    except urllib.error.HTTPError as error:
        raise Unreadable(source, "the server answers %s %s" % (error.code, printable(str(error.reason), 60))) from error
    except Unreadable:
        raise
    except Exception as error:  # the library has a dozen kinds, and another one in each version
        why = printable(" ".join(str(getattr(error, "reason", error)).split()), 200)
        raise Unreadable(source, "the server cannot be asked: %s" % why) from error


def _text(source: str, data: bytes) -> str:
    if len(data) > LARGEST:
        raise Unreadable(source, "it has more than %d bytes" % LARGEST)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(source, "it is no UTF-8") from error
