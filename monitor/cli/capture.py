# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster capture` writes the input of a plan to a file; `muster plan --from` plans over such a file."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ..core.client.commands import FAILED, OK
from ..core.client.person import me
from ..core.decide.draft import PlanError
from ..core.report import scenario
from .places import Places, UsageError
from .verbs import as_json

HEAD = """\
# A scenario of muster: everything that one plan depends on. Decide it again with: muster plan --from FILE
# In it: the names of hosts, items, applications and people, and what they gave as reasons.
# Not in it: commands, environment, files, addresses, accounts, and the variables of items.
"""
WIDE = 120
Json = dict[str, Any]


def write(name: str | None, places: Places) -> int:
    """Capture the site of this controller into a new file that only its owner may read.

    :raises UsageError: when the state folder is not on this machine, or the file exists already.
    """
    here = Places(places.inventory, places.need_state())
    request = {"kind": "reconcile", "who": me()}
    given: Json = here.question({"verb": "capture", "request": request})["given"]
    now = float(given["now"])
    given["utc_offset"] = time.localtime(now).tm_gmtoff
    site = given["site"]["name"]
    path = Path(name or "muster-%s-%s.yml" % (site, time.strftime("%Y%m%d-%H%M%S", time.localtime(now))))
    title = "the site %s, captured at %s" % (site, time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now)))
    text = HEAD + dump(title, given, scenario.answer(given))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError("%s is there already: name a new file" % path) from None
    except OSError as error:
        raise UsageError("%s cannot be written: %s" % (path, error.strerror)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    silent = [host for host in given["site"]["hosts"] if host["name"] not in given["seen"]]
    print(
        "wrote %s (mode 0600): revision %d of the ledger, %d claims, and what %d hosts said last"
        % (path, given["revision"], len(given["ledger"].get("claims", {})), len(given["seen"]))
    )
    if silent:
        print("of %d hosts nothing is known: muster status --fresh looks at every host" % len(silent))
    print("names and reasons are in it, but no commands, environment, files, addresses or variables of items")
    print("decide it again with: muster plan --from %s" % path)
    return OK


def plan(name: str, json: bool) -> int:
    """Print the plan over a file, in the time zone in which it was captured.

    :raises UsageError: when the file is no captured scenario.
    """
    given = read(Path(name))
    os.environ["TZ"] = zone(given)
    time.tzset()
    try:
        if json:
            as_json(scenario.decide(given))
            return OK
        lines = scenario.answer(given)
    except PlanError as error:
        raise UsageError(str(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError("%s cannot be read: %s %s" % (name, type(error).__name__, error)) from error
    for line in lines:
        print(line)
    return FAILED if lines[0].startswith("no plan") else OK


def read(path: Path) -> Json:
    """The `given` of a captured file.

    :raises UsageError: when the file is no captured scenario.
    """
    import yaml

    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UsageError("%s cannot be read: %s" % (path, error.strerror)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError("%s is not valid YAML: %s" % (path, " ".join(str(error).split()))) from None
    given = document.get("given") if isinstance(document, dict) else None
    if not isinstance(given, dict) or "site" not in given:
        raise UsageError("%s is not a captured scenario: it has no given.site" % path)
    return given


def zone(given: Json) -> str:
    """The time zone of a scenario as a value of TZ, which counts offsets westwards."""
    offset = int(given.get("utc_offset") or 0)
    sign, minutes = ("-" if offset >= 0 else "+"), abs(offset) // 60
    return "<site>%s%02d:%02d" % (sign, minutes // 60, minutes % 60)


def dump(title: str, given: Json, then: list[str]) -> str:
    """The text of a scenario file; `then` are the lines of its plan."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(
        {"title": title, "given": given}, Dumper=Dumper, sort_keys=False, width=WIDE, allow_unicode=True,
        default_flow_style=None,
    )  # fmt: skip
    return "---\n%sthen: |\n%s" % (text, "".join("  %s\n" % line for line in then))
