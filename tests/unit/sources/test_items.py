# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items from the records of a source."""

from __future__ import annotations

import json

import pytest

from plugins.plugin_utils import _item_source, _items

TABLE = """\
id,slot,address,state
cam-north,1,192.0.2.51,in service
cam-south,2,192.0.2.52,test

cam-old,3,192.0.2.53,retired
"""
WANTED = _items.Wanted("id", "slot", {"sensor_address": "address"}, {"state": ["in service", "test"]})
NETBOX = {
    "count": 2,
    "next": None,
    "results": [
        {"id": 7, "name": "cam-1", "status": {"value": "active"}, "custom_fields": {"slot": 4}},
        {"id": 8, "name": "cam-2", "status": {"value": "planned"}, "custom_fields": {"slot": None}},
    ],
}


def of(text: str, shape: _items.Shape, wanted: _items.Wanted) -> tuple[list, list[str]]:
    return _items.items(_items.records(text, shape), wanted)


def test_a_table_gives_the_items_that_fit() -> None:
    assert of(TABLE, _items.Shape("csv"), WANTED) == ([
        {"id": "cam-north", "slot": 1, "sensor_address": "192.0.2.51"},
        {"id": "cam-south", "slot": 2, "sensor_address": "192.0.2.52"},
    ], [])  # fmt: skip


def test_an_answer_of_netbox_is_read_by_fields_with_dots() -> None:
    wanted = _items.Wanted("name", "custom_fields.slot", {"netbox_id": "id"}, {"status.value": "active"})
    assert of(json.dumps(NETBOX), _items.Shape("netbox"), wanted) == (
        [{"id": "cam-1", "slot": 4, "netbox_id": 7}], [],
    )  # fmt: skip


def test_a_document_holds_its_list_anywhere() -> None:
    document = {"data": {"sensors": [{"id": 1}, {"id": "02"}]}}
    shape = _items.Shape("json", "data.sensors")
    assert of(json.dumps(document), shape, _items.Wanted("id")) == ([{"id": "1"}, {"id": "02"}], [])


def test_everything_wrong_in_a_table_is_said_at_once() -> None:
    text = "id,slot\na,1\na,2\nb,x\n,3\nc,1\n{{ d }},5\n"
    items, problems = of(text, _items.Shape("csv"), _items.Wanted("id", "slot"))
    assert items == []
    assert [_items.plain(problem) for problem in problems] == [
        "line 3: item a is that of line 2, too",
        'line 4: slot is "x", must be a whole number from 0 to 9999',
        "line 5: id is missing, must be the id of the item",
        "line 6: slot 1 is that of line 2, too",
        "line 7: id holds a Jinja expression, which a source may not",
    ]


def test_a_field_that_no_record_has_is_named_with_the_nearest() -> None:
    wanted = _items.Wanted("id", "slott", {"a": "adress"}, {"stat": "x"})
    assert of(TABLE, _items.Shape("csv"), wanted)[1] == [
        "slot: there is no field slott; did you mean slot? (allowed: address, id, slot, state)",
        "fields: there is no field adress; did you mean address? (allowed: address, id, slot, state)",
        "where: there is no field stat; did you mean state? (allowed: address, id, slot, state)",
    ]


@pytest.mark.parametrize(("text", "shape", "sentence"), [
    ("", _items.Shape("csv"), "its first line must hold the names of the columns"),
    ("id,id\n", _items.Shape("csv"), "it has two columns id"),
    ("id,slot\na\n", _items.Shape("csv"), "line 2 has 1 columns, the first one 2"),
    ("<html>", _items.Shape("json"), "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
    ('{"error": "no"}', _items.Shape("netbox"), "there is no list at results (there is: error)"),
    ('["a"]', _items.Shape("json"), 'record 1 is "a", must be a mapping'),
])  # fmt: skip
def test_a_text_of_another_shape_is_refused(text: str, shape: _items.Shape, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        _items.records(text, shape)
    assert str(caught.value) == sentence


def test_a_source_without_a_fitting_record_is_an_error() -> None:
    assert of("id,slot,state,address\n", _items.Shape("csv"), WANTED) == ([], ["it holds no record"])
    assert of("id,slot,state,address\na,1,off,x\n", _items.Shape("csv"), WANTED)[1] == ["none of its 1 records fits"]


def test_problems_hold_nothing_that_ansible_evaluates() -> None:
    assert _items.plain("a {{ b }} {% c %} {# d") == "a { { b }} { % c %} { # d"


def test_an_address_is_shown_without_secrets() -> None:
    assert _item_source.shown("https://eve:secret@cmdb.example.org:8443/a?token=x#y") == "https://cmdb.example.org:8443/a"
    assert "secret" not in repr(_item_source.Asking("https://x", {"Authorization": "Bearer secret"}))
