"""Salesforce in parts: ranges of the modification time that several workers read side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.salesforce import CONNECTOR
from tests.connectors.doors import Desk
from tests.connectors.test_salesforce import counted, load, open_org


@pytest.fixture
def org() -> Iterator[Desk]:
    with open_org() as made:
        yield made


def test_a_first_load_in_parts_reads_every_row_once(org: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.salesforce.reading.SPLIT_FROM", 100)
    ids = load(org, 120)
    assert CONNECTOR.split is not None
    starts = CONNECTOR.split(org.api, "contacts", 4)
    assert len(starts) == 4
    read: list[str] = []
    for start in starts:
        page = CONNECTOR.pull(org.api, "contacts", start)
        assert page.complete
        read += [record.external_id for record in page.records]
    assert sorted(read) == sorted(ids)
    assert not page.next_cursor.get("until"), "reading would end where the load ended"


def test_few_rows_are_not_worth_the_counting(org: Desk) -> None:
    load(org, 10)
    assert CONNECTOR.split is not None
    assert CONNECTOR.split(org.api, "contacts", 8) == []
    assert counted(org)["query"] == 2
