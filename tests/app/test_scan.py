"""A scan puts likely pairs before a person: each once, none that was decided, and it joins nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mappings
from hub.app.context import Hub
from hub.app.identity import later, list_pairs, merge, never, show_pair, unmerge
from hub.app.scan import scan
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.shadow import pack_fields
from hub.errors import NotFound
from hub.model import EntityRow, FieldState, Json
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import load_yaml
from hub.store import Store


def person(first: str, last: str, email: str, phone: str | None = None) -> dict[str, Json]:
    name = {"salutation": None, "first_name": first, "middle_name": None, "last_name": last, "suffix": None}
    return {"name": name, "email": email, "phone": phone}


PEOPLE = [
    person("Ann", "Lee", "ann.lee@example.org", "+49301112222"),
    person("Anne", "Lee", "ann.lee@other.example", "+49301112222"),
    person("Bob", "Ray", "bob@example.org"),
    *(person(f"First{n}", f"Last{n}", f"someone{n}@else.example") for n in range(60)),
]


def stored(id_: int, values: dict[str, Json]) -> EntityRow:
    fields = pack_fields({name: FieldState(value=value, version=1) for name, value in values.items()})
    return EntityRow(id=id_, type="contact", values=values, fields=fields, created_at=1.0)


@pytest.fixture
def hub(migrated_url: str) -> Iterator[Hub]:
    """The shipped entity types over a store with these people."""
    canonical = read_canonical(Sheet(load_yaml(Path(mappings.__file__).parent / "canonical.yaml")), derived=FUNCTIONS)
    store = Store(migrated_url)
    with store.transaction() as tx:
        ids = tx.reserve_ids("entity", len(PEOPLE))
        tx.insert_entities([stored(n, values) for n, values in zip(ids, PEOPLE, strict=True)])
    yield Hub(store=store, canonical=canonical, connections={}, clock=VirtualClock(), instance="scan")
    store.close()


def test_a_pair_is_found_once_and_shown_with_its_reasons(hub: Hub) -> None:
    told = {row["type"]: row for row in scan(hub, by="kim")}
    assert (told["contact"]["compared"], told["contact"]["found"], told["contact"]["new"]) == (63, 1, 1)
    assert set(told) == {"contact", "company", "owner"}, "a deal or an order has nothing that would name it"
    (row,) = list_pairs(hub)
    assert (row["first"], row["first_is"]) == ("contact:1", "ann.lee@example.org, Ann Lee")
    assert row["score"] > 0.9
    assert row["because"].startswith("phone the same, ")
    shown = {each["field"]: each for each in show_pair(hub, row["pair"])["fields"]}
    assert (shown["first_name"]["first"], shown["first_name"]["second"], shown["first_name"]["level"]) == (
        "Ann", "Anne", "much alike",
    )  # fmt: skip
    assert shown["phone"]["weight"] > 5 > shown["first_name"]["weight"] > 0
    with hub.store.reading() as tx:
        assert all(each.alias_of is None for each in tx.entities_page("contact")), "nothing is ever merged by itself"


def test_scanning_again_adds_nothing_and_keeps_what_was_decided(hub: Hub) -> None:
    scan(hub, by="kim")
    before = list_pairs(hub)
    assert scan(hub, kinds=["contact"], by="kim")[0] | {"type": ""} == {
        "type": "", "compared": 63, "found": 1, "new": 0, "known": 1, "apart": 0,
    }  # fmt: skip
    assert list_pairs(hub) == before
    later(hub, before[0]["pair"], by="kim")
    scan(hub, kinds=["contact"], by="kim")
    assert list_pairs(hub) == []


def test_a_pair_that_is_kept_apart_or_one_already_is_not_asked_about(hub: Hub) -> None:
    never(hub, "contact:1", "contact:2", by="kim")
    assert scan(hub, kinds=["contact"], by="kim")[0]["apart"] == 1
    assert list_pairs(hub) == []
    merge(hub, "contact:1", "contact:2", by="kim")
    assert scan(hub, kinds=["contact"], by="kim")[0]["found"] == 0
    unmerge(hub, "contact:1", by="kim")
    assert scan(hub, kinds=["contact"], by="kim")[0]["apart"] == 1, "a split keeps them apart"


def test_below_the_bar_nothing_is_asked(hub: Hub) -> None:
    with hub.store.transaction() as tx:
        tx.insert_entities([stored(tx.reserve_ids("entity", 1)[0], person("Bob", "Ray", "bray@third.example"))])
    assert scan(hub, kinds=["contact"], above=0.01, by="kim")[0]["found"] == 2
    assert scan(hub, kinds=["contact"], above=0.95, by="kim")[0]["found"] == 1
    with pytest.raises(NotFound, match="cannot be compared"):
        scan(hub, kinds=["order"], by="kim")
