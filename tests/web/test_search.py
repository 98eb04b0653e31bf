"""One box that finds everything: what it takes a text for, and how little it looks at for it."""

from __future__ import annotations

import re
from unittest.mock import ANY

import pytest

from hub.app.search import search
from hub.model import QuarantineRow
from tests.web.console import Console


@pytest.mark.parametrize(
    "text, found",
    [("ann@", 1), ("ANN@EXAMPLE.ORG", 1), ("+4930", 1), ("Bob", 1), ("bo", 1), ("zzzz", 0), ("x", 0),
     ("%%", 0), ("__", 0)],
)  # fmt: skip
def test_records_are_found_by_key_and_by_text(synced: Console, text: str, found: int) -> None:
    assert len(search(synced.hub, text)["rows"]) == found


def test_a_search_looks_at_a_bounded_number_of_records_and_says_where_to_go_on(
    synced: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.search.SPAN", 1)
    seen, before = [], None
    for _ in range(20):
        page = search(synced.hub, "Bo", before_id=before) if before else search(synced.hub, "Bo")
        seen += [row["title"] for row in page["rows"]]
        before = page["next"]
        if before is None:
            break
    assert seen == ["Bob"]


def test_a_record_that_is_named_is_opened(synced: Console) -> None:
    assert synced.as_("viewer").get(f"/search?q={synced.contact()}").to == f"/records/{synced.contact()}"


def test_one_box_finds_conflicts_runs_connections_fields_and_codes(console: Console) -> None:
    hub, conflict = console.hub, console.conflict()
    assert search(hub, "ann@example.org")["conflicts"] == [
        {"conflict": conflict, "field": "name", "state": "open", "at": ANY, "title": "Ann"}
    ]
    assert [each["conflict"] for each in search(hub, "Name")["conflicts"]] == [conflict]
    assert search(hub, "nam")["fields"] == [{"type": "contact", "field": "name", "waiting": 1}]
    assert [each["conflict"] for each in search(hub, f"conflict {conflict}")["conflicts"]] == [conflict]
    assert search(hub, f"conflict {conflict}")["runs"] == []
    assert [each["run"] for each in search(hub, "run 1")["runs"]] == [1]
    assert search(hub, "run 999")["runs"] == []
    assert {each["connection"] for each in search(hub, "LEFT")["runs"]} == {"left"}
    assert search(hub, "right")["connections"] == [{"connection": "right", "title": "CSV files"}]
    assert [each["code"] for each in search(hub, "net-429")["codes"]] == ["NET-429"]
    with console.hub.store.transaction() as tx:
        tx.add_quarantine([quarantined("MAP-017", "1"), quarantined("MAP-017", "2")])
    (code,) = search(hub, "MAP-01")["codes"]
    assert (code["code"], code["count"]) == ("MAP-017", 2)


def quarantined(code: str, external_id: str) -> QuarantineRow:
    return QuarantineRow(
        connection="left", stream="people", external_id=external_id, field="", direction="in", code=code, message="m",
        fix="f", value=None, at=0.0, run_id=None,
    )  # fmt: skip


def test_a_record_is_found_by_the_id_that_a_system_knows_it_by(synced: Console) -> None:
    with synced.hub.store.reading() as tx:
        (link, *_) = tx.links_by_name("right", "people")
    assert link.external_id == "8"
    assert [row["title"] for row in search(synced.hub, "8")["rows"]] == ["Cy"]
    assert search(synced.hub, str(link.entity_id))["rows"][0]["title"] == "Cy", "and by the hub's own number"


def test_what_is_found_stands_in_groups_on_the_page_and_in_the_box(synced: Console) -> None:
    viewer = synced.as_("viewer")
    for page in (viewer.get("/search?q=left").text, viewer.get("/search?q=left", **{"hx-request": "true"}).text):
        assert 'href="/connections/left"' in page
        assert re.search(r'href="/runs/\d+"', page)
    assert f'href="/conflicts/{synced.conflict()}"' in viewer.get("/search?q=ann%40example.org").text
    assert 'href="/conflicts?field=name&amp;type=contact"' in viewer.get("/search?q=name").text
    assert 'href="/codes/NET-429"' in viewer.get("/search?q=net-429").text
