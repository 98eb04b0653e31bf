"""A trigger's task for the owner, from the change in one CRM to one task in each, behind their own wire."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.app import listings, review
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.model import EntityRow, LinkState
from hub.runtime.registry import SHIPPED
from hub.twins import hubspot, salesforce
from hub.twins.company import fill, generate
from hub.twins.server import serve
from tests.web.company import ENVIRONMENT, HUB

RULE = """\
language: 1
rules:
  promoted:
    text: Whoever has a new title is called by their sales rep.
    changed: {field: contact.job_title}
    do: {task: {subject: Congratulate, description: A new title., priority: high, due: 2d}}
    cool_down: 30d
    active_from: 2020-01-01T00:00:00Z
"""
OWNER = {"salesforce": "OwnerId", "hubspot": "hubspot_owner_id"}
SUBJECT = {"salesforce": "Subject", "hubspot": "hs_task_subject"}
CREATES = {"salesforce": "POST /services/data/v68.0/composite", "hubspot": "POST /crm/v3/objects/tasks/batch/create"}


class Office:
    """Two CRMs of one company, and a hub that has read them."""

    def __init__(self, folder: Path) -> None:
        self.twins: dict[str, Any] = {
            "salesforce": salesforce.make(limit_scale=0.0), "hubspot": hubspot.make(limit_scale=0.0),
        }  # fmt: skip
        fill(generate(3, 25, now=time.time()), self.twins)
        self.served = {name: serve(twin) for name, twin in self.twins.items()}
        shutil.copytree(SHIPPED, folder / "mappings", ignore=shutil.ignore_patterns("*.py", "hub.yaml", "__pycache__"))
        (folder / "mappings" / "triggers.yaml").write_text(RULE, "utf-8")
        urls = {name: each.base_url for name, each in self.served.items()}
        (folder / "hub.yaml").write_text(HUB.format(**urls), "utf-8")
        self.hub: Hub = open_hub(folder, environ=ENVIRONMENT, publish=True)
        sync_now(self.hub)
        for hold in listings.holds(self.hub):
            review.release_hold(self.hub, int(hold["hold"]), by="eve")
        self.rest()

    def rest(self) -> None:
        """Until nothing more is written."""
        for _ in range(12):
            before = self.writes()
            sync_now(self.hub)
            with self.hub.store.reading() as tx:
                quiet = not tx.open_intents(limit=1) and not any(tx.count_behind().values())
            if quiet and self.writes() == before:
                return
            time.sleep(0.2)
        raise AssertionError("it does not come to rest")

    def writes(self) -> int:
        return sum(int(twin.counts()["writes"]) for twin in self.twins.values())

    def somebody(self) -> tuple[EntityRow, dict[str, str]]:
        """A contact with a record in both, whose owner has one in both, too."""
        with self.hub.store.reading() as tx:
            for row in tx.entities_page("contact"):
                live = [link for link in tx.links_of([row.id]) if link.state == LinkState.LIVE]
                ids = {link.connection: link.external_id or "" for link in live if link.stream == "contacts"}
                owner = row.values.get("owner")
                if owner and set(ids) == {link.connection for link in tx.links_of([owner])} == set(self.twins):
                    return row, ids
        raise AssertionError("nobody has an owner")

    def ids_of(self, entity_id: int) -> dict[str, str]:
        with self.hub.store.reading() as tx:
            return {link.connection: link.external_id or "" for link in tx.links_of([entity_id])}

    def tasks(self, system: str) -> list[dict[str, Any]]:
        found = [each["fields"] for each in self.twins[system].snapshot("tasks").values() if not each["deleted"]]
        return [each for each in found if each[SUBJECT[system]] == "Congratulate"]

    def stop(self) -> None:
        self.hub.store.close()
        for each in self.served.values():
            each.stop()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.stop()


def test_a_change_in_one_crm_makes_one_task_for_the_owner_in_each_though_answers_are_lost(office: Office) -> None:
    person, ids = office.somebody()
    for system, call in CREATES.items():
        office.twins[system].set_faults(script=[{"match": call, "fault": "timeout_after", "times": 1}])
    office.twins["salesforce"].user_edit("contacts", ids["salesforce"], {"Title": "Head of Everything"})
    office.rest()
    owners = office.ids_of(person.values["owner"])
    for system in office.twins:
        (task,) = office.tasks(system)
        assert task[OWNER[system]] == owners[system], system
    assert office.tasks("salesforce")[0]["WhoId"] == ids["salesforce"]
    with office.hub.store.reading() as tx:
        (firing,) = tx.firings()
        (made,) = [row for row in tx.entities_page("task") if row.values.get("source") == "trigger promoted"]
    assert (firing.state, firing.result) == ("done", f"entity {made.id}")
    before = office.writes()
    sync_now(office.hub)
    assert office.writes() == before
    assert [len(office.tasks(system)) for system in office.twins] == [1, 1]
