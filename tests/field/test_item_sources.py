# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and documents of items as other programs write them: read as meant, or refused with a sentence.

Sources: microsoft/playwright PR#39420 (a byte order mark from Windows); dotnet/extensions#2381,
release-engineering/kobo PR#28 (of a key that is written twice, one value is lost without a word).
"""

from __future__ import annotations

import pytest

from plugins.plugin_utils import _items


@pytest.mark.parametrize(("kind", "text"), [
    ("csv", "\ufeffid,slot\r\n01,1\r\n02,2\r\n"),
    ("json", '\ufeff[{"id": "01", "slot": 1},\r\n {"id": "02", "slot": 2}]\r\n'),
])  # fmt: skip
def test_a_file_from_windows_is_read(kind: str, text: str) -> None:
    records = _items.records(text, _items.Shape(kind))
    items, problems = _items.items(records, _items.Wanted("id", "slot", {}, {}))
    assert items == [{"id": "01", "slot": 1}, {"id": "02", "slot": 2}] and problems == []


@pytest.mark.parametrize(("kind", "text", "words"), [
    ("json", '[{"id": "01", "id": "02"}]', "one mapping has the key id twice"),
    ("json", '[{"id": "01", "x": {"b": 1, "a": 1, "a": 2, "b": 1}}]', "one mapping has the key a, b twice"),
    ("csv", "id,id\n01,02\n", "it has two columns id"),
    ("json", '[{"id": 01}]', "it is no JSON"),
    ("json", "[" * 100_000, "it is no JSON"),
    ("json", "9" * 5000, "no list as the whole document|Exceeds the limit"),
    ("csv", 'id\n"01\n', "line 2 is no line of a table"),
])  # fmt: skip
def test_what_would_lose_a_value_is_refused(kind: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _items.records(text, _items.Shape(kind))
