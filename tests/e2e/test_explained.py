"""The demo's company, synced and worked on: every value is explained by its evidence, and replays as it stands."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app import listings, review
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.explaining import explain_all
from hub.app.replaying import replay
from hub.app.syncing import sync_now
from hub.core.shadow import unpack_fields
from hub.model import LinkState
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project
from hub.verify.story import Day

PEOPLE = 120
EDITS = 12


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The demo's hub after its first syncs and a day at the company."""
    place = tmp_path_factory.mktemp("demo") / "project"
    with vendors(1, PEOPLE) as (twins, _):
        write_project(place, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:9")
        hub = open_hub(place, environ=ENVIRONMENT, publish=True)
        try:
            sync_now(hub)
            for hold in listings.holds(hub):
                review.release_hold(hub, int(hold["hold"]), by="test")
            sync_now(hub)
            time.sleep(1.5)  # stamps of whole seconds
            people = Day(hub, twins)._find_people()
            for number, person in zip(range(EDITS), people, strict=False):
                twins["hubspot"].user_edit("contacts", person.ids["hubspot"], {"phone": f"+49 30 9000 {number:03}"})
                if number % 3 == 0:
                    phone = f"+49 30 8000 {number:03}"
                    twins["salesforce"].user_edit("contacts", person.ids["salesforce"], {"Phone": phone})
                twins["hubspot"].user_edit("contacts", person.ids["hubspot"], {"jobtitle": f"Title {number}"})
            for _ in range(3):
                sync_now(hub)
                time.sleep(1.0)
            yield hub
        finally:
            hub.store.close()


def test_every_field_of_every_entity_is_recomputed_from_stored_evidence(company: Hub) -> None:
    found = explain_all(company)
    assert found["differs"] == []
    assert found["entities"] > PEOPLE
    assert found["fields"] > 10 * PEOPLE


def test_a_value_without_its_evidence_is_found(company: Hub) -> None:
    with company.store.reading() as tx:
        row = next(each for each in tx.entities_page("contact") if each.values.get("job_title"))
    stored = row.values["job_title"]
    with company.store.transaction() as tx:
        row.values["job_title"] = "nobody said so"
        tx.update_entities([row])
    try:
        found = explain_all(company)["differs"]
    finally:
        with company.store.transaction() as tx:
            row.values["job_title"] = stored
            tx.update_entities([row])
    assert [(each["entity"], each["field"], each["stored"], each["recomputed"]) for each in found] == [
        (f"contact:{row.id}", "job_title", "nobody said so", stored)
    ]


def test_the_files_in_force_replay_to_what_is_stored(company: Hub) -> None:
    folder = company.projects.folder / "mappings"
    found = replay(company, [folder / "canonical.yaml", folder / "hubspot.yaml", folder / "salesforce.yaml"])
    assert found["different"] == []
    assert found["fields"] > 10 * PEOPLE
    recent = replay(company, [folder / "canonical.yaml"], since="90d")
    assert (recent["different"], recent["entities"]) == ([], found["entities"]), "all of it is younger than that"


def test_another_order_of_sources_replays_to_exactly_the_phones_that_hubspot_last_said(
    company: Hub, tmp_path: Path
) -> None:
    text = (company.projects.folder / "mappings" / "canonical.yaml").read_text("utf-8")
    other, changed = re.subn(
        r"(phone:\n        type: phone\n.*\n        survivorship: \{source: )\[salesforce, hubspot\]",
        r"\1[hubspot, salesforce]", text,
    )  # fmt: skip
    assert changed == 1
    path = tmp_path / "candidate.yaml"
    path.write_text(other, "utf-8")
    found = replay(company, [path])["different"]
    assert {(row["entity"], row["field"]): row["replayed"] for row in found} == expected_phones(company)
    assert len(found) >= EDITS
    assert {row["field"] for row in found} == {"phone"}


def expected_phones(hub: Hub) -> dict[tuple[str, str], str]:
    """By hand, from the tables: the newest phone that HubSpot itself ever stated, where another one stands."""
    said: dict[int, tuple[int, str]] = {}
    with hub.store.reading() as tx:
        rows = {row.id: row for row in tx.entities_page("contact", limit=10_000)}
        for conflict in tx.conflicts(state=None, field="phone", limit=10_000):
            for each in conflict.candidates:
                if each["connection"] == "hubspot" and each["value"]:
                    said[conflict.entity_id] = max(
                        said.get(conflict.entity_id, (0, "")), (each["taken"], each["value"])
                    )
        for link in tx.links_of(rows, raw=False):
            document = link.shadow
            own = document.get("x", {}).get("phone", [None, document.get("own")])[1]
            held = (document.get("held") or {}).get("phone")
            if link.connection == "hubspot" and link.state == LinkState.LIVE and held and own:
                said[link.entity_id] = max(said.get(link.entity_id, (0, "")), (own[-1], held))
        for entity_id, row in rows.items():
            memory = unpack_fields(row.fields, row.values)["phone"].memory if "phone" in row.values else {}
            for claim in memory.values():
                home = tx.links_by_ids([claim.link])[claim.link]
                if home.connection == "hubspot":
                    said[entity_id] = max(said.get(entity_id, (0, "")), (claim.taken, claim.value))
    return {
        (f"contact:{entity_id}", "phone"): value
        for entity_id, (_, value) in said.items()
        if rows[entity_id].values.get("phone") != value
    }
