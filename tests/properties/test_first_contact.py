"""Taking a record in at once and taking it in field by field leave the same bytes in every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from hub.app.context import Connection, Hub
from hub.app.ingest import ingest_page
from hub.connector import Connector, Settings, Stream
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.guards import DEFAULTS, Bound
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.model import Json, SourceRecord
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import parse_yaml
from hub.store import Store
from hub.store.tables import METADATA

STREAM = "people"
CANONICAL = """
language: 1
sources: [b, a, c]
defaults: {survivorship: newest, blank: {in: ignore, out: keep}}
entities:
  contact:
    text: A person.
    keys: [{on: [code], strength: strong}, {on: [phone, last_name], strength: weak}]
    fields:
      code: {type: text, text: Number.}
      name: {type: group, parts: {first_name: text, middle_name: text, last_name: text}, text: The name.}
      phone: {type: phone, survivorship: {source: [c, a]}, text: Telephone.}
      post: {type: text, text: Post.}
      met: {type: text, survivorship: first, text: Where met.}
      note: {type: text, survivorship: manual, text: A note.}
      size: {type: integer, survivorship: max, text: Size.}
      tags: {type: set, of: text, survivorship: union, text: Tags.}
      vip: {type: boolean, survivorship: majority, text: Important.}
      consent: {type: consent, channels: [email], text: Whether we may write.}
"""
FIELDS = """
      code: {remote: code}
      first_name: {remote: first}
      last_name: {remote: last}
      phone: {remote: phone, transforms: [{phone: {region: DE}}]}
      post: {remote: post}
      met: {remote: met}
      note: {remote: note}
      size: {remote: size}
      tags: {remote: tags}
      vip: {remote: vip}
"""
MORE = {  # what each system maps beside that
    "a": "      middle_name: {remote: middle}\n      consent.email: {remote: optout, wire: opt_out_flag}\n",
    "b": "      consent.email: {remote: consent, wire: marketing_state, direction: in}\n",
    "c": '      grade: {direction: out, remote: grade, cases: [{when: "size >= 2", set: big}, {otherwise: small}]}\n',
}
MAPPING = """
connector: {connector}
language: 1
streams:
  people:
    entity: contact
    create: {create}
    fields:
"""


@cache
def _store() -> Store:
    return Store("sqlite://")


@cache
def _canonical() -> Canonical:
    sheet = Sheet(parse_yaml(CANONICAL, "canonical.yaml"))
    found = read_canonical(sheet)
    assert not sheet.faults, sheet.faults
    return found


def _connector(name: str) -> Connector:
    stream = Stream(name=STREAM, writes=frozenset({"create", "update"}))
    return Connector(
        name=name, title=name, base_url="", hosts=(), auth=(), limits=(), streams=(stream,), connect=lambda *_: None,
        check=lambda _: {}, discover=lambda *_: (), pull=lambda *_: pytest.fail("never read"),
        push=lambda *_: pytest.fail("never written"),
    )  # fmt: skip


@cache
def _mapping(connector: str) -> StreamMapping:
    head = MAPPING.format(connector=connector, create="always" if connector != "b" else "never")
    sheet = Sheet(parse_yaml(head + FIELDS + MORE[connector], f"{connector}.yaml"))
    found = read_mapping(sheet, _canonical(), HubFacts()).streams[STREAM]
    assert not sheet.faults, sheet.faults
    return found


def _hub(first_contact_over: int) -> Hub:
    canonical = _canonical()
    hub = Hub(
        store=_store(), canonical=canonical, connections={}, clock=VirtualClock(), instance="t",
        guards={**DEFAULTS, "first_contact": Bound(over=first_contact_over, share=0.0)},
    )  # fmt: skip
    for name in MORE:
        connector = _connector(name)
        hub.connections[name] = Connection(
            name=name, connector=connector, api=None, settings=Settings(values={}, auth={}), mode="live",
            mappings={STREAM: _mapping(name)}, streams={STREAM: connector.streams[0]},
        )  # fmt: skip
    return hub


Pages = Sequence[tuple[str, Sequence[tuple[str, int, Mapping[str, Json]]]]]


def stored(pages: Pages, first_contact_over: int) -> dict[str, list[Any]]:
    """Every row of every table after these pages: (connection, [(external id, stamp, data)])."""
    hub = _hub(first_contact_over)
    with hub.store.transaction() as tx:
        for table in reversed(METADATA.sorted_tables):
            tx._cursor.execute(f'DELETE FROM "{table.name}"')
        for name in hub.connections:
            tx.set_cursor(name, STREAM, {"at": 0, "first_done": True})
    for place, (name, rows) in enumerate(pages):
        records = [SourceRecord(external_id=each, data=data, stamp=float(stamp)) for each, stamp, data in rows]
        at = hub.clock.now() + place
        ingest_page(
            hub, hub.connections[name], STREAM, records, read_at=at, vendor_read_at=at if place % 2 else None,
            cursor={"at": place, "first_done": True},
        )  # fmt: skip
    with hub.store.reading() as tx:
        return {
            table.name: tx._cursor.execute(f'SELECT * FROM "{table.name}"').fetchall()
            for table in METADATA.sorted_tables
        }


words = st.sampled_from(["", "x", "y", "Ä"])
data = st.fixed_dictionaries(
    {"code": st.sampled_from(["1", "1", "2", "3", ""])},
    optional={
        "first": words, "middle": words, "last": words, "post": words, "met": words, "note": words,
        "phone": st.sampled_from(["", "030 200001", "+4930200002"]), "size": st.sampled_from([None, 0, 1, 2]),
        "tags": st.lists(st.sampled_from(["p", "q", "r"]), max_size=3), "vip": st.sampled_from([None, False, True]),
        "optout": st.booleans(),
        "consent": st.fixed_dictionaries(
            {"marketingState": st.sampled_from(["SUBSCRIBED", "UNSUBSCRIBED", "PENDING"])},
            optional={"marketingUpdatedAt": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"])},
        ),
    },
)  # fmt: skip
rows = st.tuples(st.sampled_from(["r1", "r2", "r3", "r4"]), st.integers(1, 3), data)
pages_of_one = st.tuples(st.sampled_from("abc"), st.lists(rows, min_size=1, max_size=4))


@settings(max_examples=200, deadline=None)
@given(st.lists(pages_of_one, min_size=1, max_size=4), st.sampled_from([0, 1, 50]))
def test_a_record_taken_in_at_once_leaves_what_field_by_field_leaves(pages: Pages, first_contact_over: int) -> None:
    at_once = stored(pages, first_contact_over)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.app.ingest.first_held", lambda *_: None)  # no record has the shape
        field_by_field = stored(pages, first_contact_over)
    for table, found in field_by_field.items():
        assert at_once[table] == found, table


def test_most_records_have_the_shape_that_is_taken_in_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.app import scene

    monkeypatch.setattr(scene, "decide_field", lambda field, *_, **__: pytest.fail(f"{field.name} was decided"))
    person = {"code": "1", "first": "Ada", "middle": "", "last": "B", "tags": ["p"], "size": 3, "optout": False}
    found = stored([("a", [("r1", 1, person)])], 50)
    assert len(found["entity"]) == len(found["link"]) - 1 == 1  # and one that c is to be given
