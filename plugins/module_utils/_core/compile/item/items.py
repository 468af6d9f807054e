# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``muster_items``: ids, slots and variables. What holds for one item only is read by `terms`."""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from ...model import text
from ...model.item import Item
from ..errors import Keys, show
from ..reader import Reader, Values
from . import names
from .keys import HIGHEST_SLOT, ITEM, TERMS

_LONGEST_NUMBER = 1024  # bits of a whole number in an item's variables; Python refuses to write very long ones
_TOKEN = re.compile("@@(root|address|host|site_id|user|hci_user|group)@@")  # a host writes its own in their place
_HIDDEN = frozenset(dir({}))  # item.keys in a template is the method of the mapping, never the variable


class ItemReader:
    """Reads the items, and keeps what each says for itself until the applications are known."""

    def __init__(self, reader: Reader, read: FrozenSet[str]) -> None:
        """:param read: the variables of items that commands, environments and templates read."""
        self.reader = reader
        self.problems = reader.problems
        self.written: Dict[str, Tuple[Keys, Values]] = {}  # item id -> where it is, and its terms
        self._read = read

    def items(self, entries: Iterable[Any]) -> Tuple[Item, ...]:
        """Every item that is right."""
        items: List[Item] = []
        ids: Dict[str, int] = {}
        slots: Dict[int, str] = {}
        for position, entry in enumerate(entries):
            keys: Keys = ("muster_items", position)
            item = self._item(entry, keys)
            if item is None:
                continue
            if item.id in ids:
                self.problems.add(keys, "item %s is already written at muster_items[%d]"
                                  % (show(item.id), ids[item.id]), entry)
                continue
            ids[item.id] = position
            if item.slot in slots:
                self.problems.add(keys, "items %s and %s are both on slot %d: their ports would be the same"
                                  % (show(slots[item.slot]), show(item.id), item.slot), entry,
                                  "give one of them another slot")
                continue
            slots[item.slot] = item.id
            items.append(item)
        return tuple(items)

    def _item(self, entry: Any, keys: Keys) -> Optional[Item]:
        variables: Dict[str, Any] = {}
        values = Values()
        if isinstance(entry, Mapping):
            variables = {str(name): value for name, value in entry.items() if name not in ("id", "slot")}
            values = self.reader.table(ITEM, entry, keys, "an item", extra=variables)
            if not values.sound("id", "slot"):
                return None
            item_id, slot = values.pop("id"), values.pop("slot", None)
        else:
            good, item_id = self.reader.value(ITEM.field("id"), entry, keys)
            if not good:
                return None
            slot = None
        for name in variables:
            if not name.isidentifier() or name in _HIDDEN:
                self.problems.add(keys + (name,), "%s cannot be read as item.%s in templates" % (show(name), name),
                                  variables[name], "choose another name, of letters, digits and _")
            elif name not in TERMS and name not in self._read:
                names.refuse(name, keys + (name,), self.problems)
            self._texts(item_id, name, variables[name], keys + (name,))
        if slot is None:
            slot = int(item_id) if item_id.isdigit() else -1
            if not 0 <= slot <= HIGHEST_SLOT:
                self.problems.add(keys, "item %s needs a slot: its id is no number from 0 to %d"
                                  % (show(item_id), HIGHEST_SLOT), entry,
                                  'write {id: "%s", slot: <a number no other item has>}' % item_id)
                return None
        if values:
            self.written[item_id] = keys, values
        return Item(item_id, slot, variables)

    def _texts(self, item_id: str, name: str, value: Any, keys: Keys) -> None:
        """Refuse texts with control characters. The value is not shown: it may be a secret."""
        if isinstance(value, Mapping):
            for key, entry in value.items():
                self._texts(item_id, name, str(key), keys)
                self._texts(item_id, name, entry, keys + (str(key),))
        elif isinstance(value, (list, tuple)):
            for position, entry in enumerate(value):
                self._texts(item_id, name, entry, keys + (position,))
        elif isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
            self.problems.add(keys, "item %s: %s is a number of too many digits" % (show(item_id), name), None,
                              "put it in quotes")
        elif isinstance(value, str):
            bad = text.unreadable(value, lines=True)
            if bad:
                self.problems.add(keys, "item %s: %s holds the control character %s" % (show(item_id), name, bad), None,
                                  "a text may hold tabs and ends of lines, no other control character")
            token = _TOKEN.search(value)
            if token:
                self.problems.add(keys, "item %s: %s holds %s, which hosts replace" % (show(item_id), name,
                                  token.group()), None, "write {{ root }} and the like in the command or template")
