"""Whatever text comes, both databases give it back byte for byte, or refuse it with the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hub.errors import RecordRejected
from hub.model import EntityRow, HistoryRow, LinkRow, QuarantineRow
from hub.store import Store, Tx

Add = Callable[..., list[int]]

HOSTILE = [
    "",
    " ",
    "\t\r\n",
    "'; DROP TABLE link; --",
    'quo"te',
    "back\\slash \\u0000 \\' \\\\",  # a backslash, u and zeros: not a NUL
    "%s %(name)s :name ? $1 {}",
    "".join(chr(n) for n in range(1, 32)) + "\x7f\x80\x9f",
    "\ufeffbyte order mark",
    "right to left: שלום \u202e reversed",
    "Zoë Zoe\u0308",  # two spellings of one name stay two
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧 \U0010ffff \uffff \ufffe",
    "NULL",
    "null",
    "0x41",
    "\\x41",
    "1e5",
    "00123",
    "line\u2028separator\u2029",
    "ß İ ı ſ K",
]

NUMBERS: list[Any] = [
    0,
    -1,
    2**63 - 1,
    -(2**63),
    0.1,
    1e16,
    1e22,
    5e-324,
    1.7976931348623157e308,
    1.0,
    -0.0,
    True,
    False,
]

BROKEN = ["nul\0", "\0", "half \ud800", "\udfff"]


def document() -> dict[str, Any]:
    return {
        "z first": HOSTILE, "a second": {text: text for text in HOSTILE}, "numbers": NUMBERS,
        "none": None, "nested": [[[]], {}],
    }  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal to the byte: order of keys, kind of number and sign of zero included."""
    return json.dumps(one, ensure_ascii=True) == json.dumps(other, ensure_ascii=True)


def test_documents_come_back_byte_for_byte(store: Store) -> None:
    with store.transaction() as tx:
        tx.insert_entities([EntityRow(id=1, type="contact", values=document(), fields=document())])
        tx.insert_links(
            [LinkRow(id=1, connection="crm", stream="contacts", external_id="r1", entity_id=1, shadow=document())]
        )
        tx.add_history(
            [HistoryRow(entity_id=1, version=1, at=1.0, changes=document(), run_id=None, mapping_version=1, actor="x")]
        )
        tx.set_cursor("crm", "contacts", document())
        tx.set_setting("any", document())
    with store.transaction() as tx:
        entity = tx.entities([1])[1]
        link = tx.links_by_ids([1])[1]
        for found in (
            entity.values, entity.fields, link.shadow, tx.history([1])[0].changes, tx.cursor("crm", "contacts"),
            tx.setting("any"),
        ):  # fmt: skip
            assert same(found, document())
        tx.update_entities([entity])
        tx.update_links([link])
    with store.reading() as tx:
        assert same(tx.entities([1])[1].values, document())
        assert same(tx.links_by_ids([1])[1].shadow, document())


def test_times_come_back_bit_for_bit(store: Store, add_entities: Add) -> None:
    stamp, read_at = 1_793_607_000.123456, 0.1 + 0.2
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        row = LinkRow(id=1, connection="c", stream="s", external_id="r", entity_id=entity, stamp=stamp, read_at=read_at)
        tx.insert_links([row])
        assert tx.links_by_ids([1]) == {1: row}
        row.stamp, row.read_at = read_at, stamp
        tx.update_links([row])
        assert tx.links_by_ids([1]) == {1: row}
        tx.touch_links([1], stamp + 1e-6)
        assert tx.links_by_ids([1])[1].read_at == stamp + 1e-6


def test_records_are_found_by_ids_of_any_text(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        tx.insert_links(
            [
                LinkRow(id=n, connection="crm", stream="contacts", external_id=text, entity_id=entity, marker=text)
                for n, text in enumerate(HOSTILE, 1)
            ]
        )
    expected = {text: n for n, text in enumerate(HOSTILE, 1)}
    with store.transaction() as tx:
        found = tx.links_by_keys("crm", "contacts", HOSTILE)
        assert {text: link.id for text, link in found.items()} == expected
        tx.update_links(list(found.values()))
        assert {text: each.id for text, each in tx.link_heads("crm", "contacts", HOSTILE).items()} == expected
        assert {text: each.id for text, each in tx.links_by_markers("crm", "contacts", HOSTILE).items()} == expected
        assert tx.entity_ids("crm", [("contacts", text) for text in HOSTILE]) == {
            ("contacts", text): entity for text in HOSTILE
        }


def test_entities_are_found_by_keys_of_any_text(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        ids = add_entities(tx, len(HOSTILE))
        tx.set_keys([(each, "contact", {("name", text)}) for each, text in zip(ids, HOSTILE, strict=True)])
        found = tx.find_by_keys("contact", [("name", text) for text in HOSTILE])
        assert found == {("name", text): [each] for each, text in zip(ids, HOSTILE, strict=True)}
        tx.set_keys([(each, "contact", set()) for each in ids])
        assert tx.find_by_keys("contact", [("name", text) for text in HOSTILE]) == {}


def test_hints_quarantine_and_notes_keep_any_text(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([("crm", "contacts", text, None, float(n), text) for n, text in enumerate(HOSTILE)])
        assert [(hint.external_id, hint.reason) for hint in tx.due_hints("crm", 99.0, 99)] == [(t, t) for t in HOSTILE]
        named = [text for text in HOSTILE if text]
        tx.add_quarantine([fault(text) for text in named])
        rows = tx.quarantine()
        assert [(row.external_id, row.message, row.value) for row in rows] == [(t, t, [t]) for t in named]
        assert tx.mend_quarantine("crm", "contacts", "in", {text: [text] for text in named}) == len(named)
        tx.audit("kim", "x", "y", HOSTILE, None, 1.0)
        assert tx.audit_log()[0].before == HOSTILE


def fault(text: str, **changes: Any) -> QuarantineRow:
    columns: dict[str, Any] = {
        "connection": "crm", "stream": "contacts", "external_id": text, "field": text, "direction": "in", "code": "X",
        "message": text, "fix": text, "value": [text], "at": 1.0, "run_id": None,
    }  # fmt: skip
    return QuarantineRow(**{**columns, **changes})


# What no database can hold


def _link(text: str | None) -> LinkRow:
    return LinkRow(id=1, connection="crm", stream="contacts", external_id=text, entity_id=1)


WRITES: dict[str, Callable[[Tx, str], object]] = {
    "external id": lambda tx, text: tx.insert_links([_link(text)]),
    "marker": lambda tx, text: tx.insert_links([LinkRow(**{**_columns(), "marker": text})]),
    "shadow": lambda tx, text: tx.insert_links([LinkRow(**{**_columns(), "shadow": {"a": [text]}})]),
    "shadow key": lambda tx, text: tx.insert_links([LinkRow(**{**_columns(), "shadow": {text: 1}})]),
    "values": lambda tx, text: tx.insert_entities([EntityRow(id=2, type="contact", values={"a": {"b": text}})]),
    "identity key": lambda tx, text: tx.set_keys([(1, "contact", {("name", text)})]),
    "key looked for": lambda tx, text: tx.find_by_keys("contact", [("name", text)]),
    "record looked for": lambda tx, text: tx.links_by_keys("crm", "contacts", [text]),
    "cursor": lambda tx, text: tx.set_cursor("crm", "contacts", {"token": text}),
    "hint": lambda tx, text: tx.add_hints([("crm", "contacts", text, None, 1.0, "x")]),
    "delivery": lambda tx, text: tx.add_deliveries("crm", [(text, b"")], 1.0),
    "setting": lambda tx, text: tx.set_setting(text, 1),
    "run": lambda tx, text: tx.finish_run(1, 1.0, "failed", {}, text),
}


def _columns() -> dict[str, Any]:
    return {"id": 1, "connection": "crm", "stream": "contacts", "external_id": "r1", "entity_id": 1}


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
@pytest.mark.parametrize("place", WRITES)
def test_broken_text_is_refused_with_the_same_code(store: Store, add_entities: Add, place: str, text: str) -> None:
    with store.transaction() as tx:
        add_entities(tx, 1)
    with pytest.raises(RecordRejected) as refused, store.transaction() as tx:
        WRITES[place](tx, text)
    assert refused.value.code == "STORE-TEXT"
    with store.reading() as tx:
        assert len(tx.entities_page()) == 1


def test_the_quarantine_takes_what_nobody_else_does(store: Store) -> None:
    endless = "x" * 10_000
    with store.transaction() as tx:
        tx.add_quarantine([fault(text, value={"raw": [text, 2**70]}) for text in (*BROKEN, endless)])
        rows = tx.quarantine()
        shown = ["nul\ufffd", "\ufffd", "half ?", "?"]
        assert [row.external_id for row in rows[:4]] == shown
        assert rows[0].value == {"raw": ["nul\ufffd", "1180591620717411303424"]}
        assert rows[4].external_id.startswith("x" * 100)
        assert len(rows[4].external_id) < 200
        assert rows[4].message == endless
        cells = {text: [text] for text in (*BROKEN, endless)}
        assert tx.mend_quarantine("crm", "contacts", "in", cells) == 5


def test_an_id_that_cannot_be_indexed_is_refused_with_the_same_code(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 1)
        tx.insert_links([_link("ü" * 512)])
    with pytest.raises(RecordRejected) as refused, store.transaction() as tx:
        tx.insert_links([_link("ü" * 513)])
    assert refused.value.code == "STORE-LONG"


def test_a_number_beyond_64_bits_is_refused_with_the_same_code(store: Store) -> None:
    with pytest.raises(RecordRejected) as refused, store.transaction() as tx:
        tx.set_setting("a", {"n": 2**64})
    assert refused.value.code == "STORE-NUMBER"


def test_a_document_that_is_no_json_is_a_bug(store: Store) -> None:
    with pytest.raises(TypeError), store.transaction() as tx:
        tx.set_setting("a", {"n": object()})
