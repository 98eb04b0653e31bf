"""500 defects in the hub's picture of a HubSpot: exactly those 500 are found, and the repair leaves none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.reconcile import reconcile
from hub.app.syncing import sync_now
from hub.core.guards import Bound
from hub.core.shadow import pack_shadow, unpack_shadow
from hub.model import Cell, LinkRow
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project

PEOPLE = 1000
STALE, MOVED = 200, 150  # a link that names another record makes two defects: one is missing, one a ghost


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """HubSpot's contacts, read once."""
    place = tmp_path_factory.mktemp("defects") / "project"
    with vendors(3, PEOPLE) as (twins, _):
        write_project(place, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:9")
        opened = open_hub(place, environ=ENVIRONMENT, publish=True)
        opened.guards = {**opened.guards, "deletes": Bound(over=1000, share=1.0)}
        sync_now(opened, ["hubspot"])
        try:
            yield opened
        finally:
            opened.store.close()


def contacts(hub: Hub) -> list[LinkRow]:
    with hub.store.reading() as tx:
        links = tx.links_page("hubspot", "contacts", limit=10_000)
    return [link for link in links if link.state == "live"]


def seed(hub: Hub) -> dict[tuple[str, str], str]:
    """(kind, id) -> what was done to it."""
    links = contacts(hub)
    chosen = links[:: max(1, len(links) // (STALE + MOVED))][: STALE + MOVED]
    assert len(chosen) == STALE + MOVED
    done: dict[tuple[str, str], str] = {}
    for number, link in enumerate(chosen):
        cells = dict(unpack_shadow(link.shadow))
        link.hash = "other"
        if number < STALE:
            old = cells["email"]
            cells["email"] = Cell(held=f"nobody{number}@example.org", agreed=old.agreed, own=old.own)
            link.shadow = pack_shadow(cells)
            done["stale", str(link.external_id)] = "email"
        else:
            done["missing", str(link.external_id)] = ""
            link.external_id = f"99900{number:06}"
            done["ghost", link.external_id] = ""
    with hub.store.transaction() as tx:
        tx.update_links(chosen)
    return done


def test_exactly_the_seeded_defects_are_found_with_few_calls_and_mended(hub: Hub) -> None:
    clean = compare(hub)
    assert clean["finds"] == []
    assert clean["streams"][0]["calls"] == pages(clean), "not one call more than a listing takes"
    done = seed(hub)
    assert len(done) == STALE + 2 * MOVED == 500
    report = compare(hub)
    assert {(row["kind"], row["external_id"]) for row in report["finds"]} == set(done)
    assert {row["external_id"]: row["fields"] for row in report["finds"] if row["kind"] == "stale"} == {
        external_id: ["email"] for kind, external_id in done if kind == "stale"
    }
    assert report["streams"][0]["calls"] <= pages(report) + 3 * 5, "the listing, and 500 finds by their ids"
    report = compare(hub, repair=True)
    assert all(each["repaired"] for each in report["finds"])
    assert len(report["finds"]) == 500
    assert compare(hub)["finds"] == []


def pages(report: dict[str, Any]) -> int:
    return -(-int(report["streams"][0]["records"]) // 100)


def compare(hub: Hub, **more: Any) -> dict[str, Any]:
    return reconcile(hub, "hubspot", stream="contacts", **more)
