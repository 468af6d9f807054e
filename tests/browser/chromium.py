# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the browser tests: Chromium, a page that notes errors and requests, and a way to come from a console."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.core.model.api import is_loopback
from tests.integration.local_site import SiteLab
from tests.integration.probes.cut_wire import Wire

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

PORT = 8770  # of inventory/local
PATIENCE = 180_000  # ms
WIDE, HIGH = 1280, 800
ADDRESSES = {"controller": 1, "server_1": 11, "console_1": 21, "console_2": 22, "console_3": 23}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    return os.environ.get("MUSTER_CHROMIUM") or shutil.which("chromium") or ""


def missing() -> str:
    """Why no browser can be started; empty when it can."""
    if not chromium():
        return "chromium is not installed (Debian: apt-get install chromium), so the page is not looked at"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (make develop), so the page is not looked at"
    return ""


class Screen:
    """A Chromium without a window."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context

    @classmethod
    @contextlib.contextmanager
    def on(cls, profile: Path) -> Iterator[Screen]:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                str(profile),
                executable_path=chromium(),
                headless=True,
                args=FLAGS,
                viewport={"width": WIDE, "height": HIGH},
                color_scheme="light",
            )
            context.set_default_timeout(PATIENCE)
            try:
                yield cls(context)
            finally:
                context.close()


class Look:
    """The page of a site, opened at a host's address, or from the address `source`."""

    def __init__(
        self, screen: Screen, site: SiteLab, host: str, shots: Path | None, source: str = "", view: str = "",
        ahead: int = 0,
    ) -> None:  # fmt: skip
        """:param ahead: s by which the clock of this screen is ahead of the machine's."""
        self.site = site
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.quiet = False  # while the monitor is away, that it cannot be reached is no error
        self._shots = shots
        # Chromium cannot choose the address it comes from.
        self._wire = Wire((address(site, "controller"), PORT), "127.0.0.1", address(site, source)) if source else None
        place = self._wire.place if self._wire else (address(site, host), PORT)
        self.page: Page = screen.context.new_page()
        self.page.on("console", lambda said: self._said(said.type, said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        if ahead:
            self.page.add_init_script("const real = Date.now; Date.now = () => real() + %d" % (1000 * ahead))
        self.page.goto("http://%s:%d/%s" % (*place, view))
        self.page.locator("body:not(.loading)").wait_for()

    def close(self) -> None:
        self.page.close()
        if self._wire:
            self._wire.close()

    def _said(self, kind: str, text: str) -> None:
        away = self.quiet and text.startswith("Failed to load resource")
        if kind in ("error", "warning") and not away:
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        if not is_loopback(urlsplit(url).hostname or ""):
            self.strangers.append(url)

    def row(self, item: str) -> Any:
        return self.page.locator('#matrix [data-item="%s"]' % item)

    def until(self, condition: str, argument: Any = None) -> None:
        """Wait until this JavaScript function of `argument` is true."""
        self.page.wait_for_function(condition, arg=argument, timeout=PATIENCE)

    def until_verdict(self, item: str, verdict: str) -> None:
        self.row(item).locator(".word", has_text=exactly(verdict)).wait_for()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def fits(self) -> bool:
        """Whether nothing is beyond the right edge."""
        found: bool = self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return found

    def shot(self, name: str) -> None:
        if self._shots:
            self._shots.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(self._shots / (name + ".png")))


def exactly(text: str) -> Any:
    import re

    return re.compile("^%s$" % re.escape(text))


def address(site: SiteLab, host: str) -> str:
    return "%s.%d" % (site.net, ADDRESSES[host])


def trail(site: SiteLab) -> list[dict[str, Any]]:
    """The newest entries, through the API."""
    url = "http://%s:%d/api/v1/events?limit=60" % (address(site, "controller"), PORT)
    with urllib.request.urlopen(url, timeout=20) as answer:
        entries: list[dict[str, Any]] = json.load(answer)["events"]
        return entries


@contextlib.contextmanager
def strangers(site: SiteLab, port: int) -> Iterator[None]:
    """Foreign programs on this port of all servers, so that no instance can start there."""
    with contextlib.ExitStack() as stack:
        for number in (11, 12, 13):
            taken = stack.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("%s.%d" % (site.net, number), port))
            taken.listen()
        yield
