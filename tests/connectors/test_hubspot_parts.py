"""HubSpot in parts: ranges of ids that several workers search for side by side, past the cap and behind the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from connectors.hubspot import CONNECTOR
from hub.model import Json
from tests.connectors.doors import NOW, Desk
from tests.connectors.test_hubspot import company, counted, create, load, open_portal, push


@pytest.fixture
def portal() -> Iterator[Desk]:
    """An account whose first loads of a hundred records and more are shared."""
    with open_portal({"split_from": 100}) as made:
        yield made


def parts_of(portal: Desk, most: int, stream: str = "contacts") -> Sequence[Json]:
    assert CONNECTOR.split is not None
    return CONNECTOR.split(portal.api, stream, most)


def test_a_first_load_in_parts_reads_every_record_once_and_evenly(portal: Desk) -> None:
    ids = load(portal, 1_000)
    starts = parts_of(portal, 4)
    read = [[record.external_id for record in portal.pull_all("contacts", start)[0]] for start in starts]
    assert sorted(each for part in read for each in part) == sorted(ids)
    assert [len(part) for part in read] == [250, 250, 250, 250]


def test_crowded_ids_are_shared_evenly_too(portal: Desk) -> None:
    """Ids of what was imported lie far from those that people made, by the thousand millions."""
    rows = [{"id": str(number), "fields": {"email": f"a{number}@example.org"}} for number in range(500, 560)]
    rows += [{"id": str(90_000_000_000 + n), "fields": {"email": f"b{n}@example.org"}} for n in range(60)]
    portal.twin.load("contacts", rows)
    read = [len(portal.pull_all("contacts", start)[0]) for start in parts_of(portal, 2)]
    assert read == [60, 60]


def test_parts_are_searched_for_two_hundred_a_call_with_their_associations(portal: Desk) -> None:
    load(portal, 900)
    acme = company(portal, "Acme")
    push(portal, *(create(number, associations={"contact_to_company": acme}) for number in range(4)))
    starts = parts_of(portal, 2)
    before = counted(portal)["search"]
    last, _, _ = portal.pull_all("contacts", starts[1])
    assert counted(portal)["search"] - before == 3  # 452 records
    assert "list" not in counted(portal)
    listed, _, _ = portal.pull_all("contacts")
    known = {record.external_id: record for record in listed}
    assert all(record == known[record.external_id] for record in last)
    assert sum(bool(record.data["associations"]["companies"]["results"]) for record in last) == 4


def test_few_records_are_not_worth_the_counting(portal: Desk) -> None:
    load(portal, 99)
    assert parts_of(portal, 8) == []
    assert counted(portal) == {"search": 1}
    assert parts_of(portal, 8, "owners") == []
    assert parts_of(portal, 8, "lists") == []


def test_what_the_index_shows_late_and_what_moves_meanwhile_comes_with_the_next_read(portal: Desk) -> None:
    ids = load(portal, 200)
    portal.twin.set_faults(index_lag_s=200.0)
    hidden = portal.twin.user_create("contacts", {"email": "hidden@example.org"})
    starts = parts_of(portal, 2)
    read, _, _ = portal.pull_all("contacts", starts[0])
    portal.advance(2_000.0)  # the other worker is late
    portal.twin.user_edit("contacts", ids[0], {"firstname": "Meanwhile"})  # of the part that is done
    portal.advance(2_000.0)
    more, cursor, _ = portal.pull_all("contacts", starts[1])
    assert cursor["since"] == int((NOW - 300.0) * 1000)  # not where the last part ended
    portal.advance(300.0)
    later, _, _ = portal.pull_all("contacts", cursor)
    known = {record.external_id: record.data["properties"]["firstname"] for record in [*read, *more, *later]}
    assert known[ids[0]] == "Meanwhile"
    assert hidden in known


def test_a_part_goes_on_in_another_process(portal: Desk) -> None:
    load(portal, 900)
    (start, _) = parts_of(portal, 2)
    portal.api.settings.streams["contacts"]["associations"].clear()
    whole, _, pages = portal.pull_all("contacts", start)
    assert len(pages) == 3
    again: list[Any] = []
    for page in [None, *pages[:-1]]:
        portal.start_again()
        again += CONNECTOR.pull(portal.api, "contacts", page.next_cursor if page else start).records
    assert again == whole
