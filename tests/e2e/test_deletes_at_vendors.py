"""A delete in one vendor's system, archived or deleted in others through their own interfaces."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app import listings, review
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.model import LinkState
from hub.twins.client import TwinClient
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project

RULES = {  # mapping -> stream: what deletes do
    "salesforce.yaml": {"contacts": "{in: delete, out: delete}"},
    "hubspot.yaml": {"contacts": "{in: archive, out: archive}"},
    "stripe.yaml": {"customers": "{in: detach, out: delete}"},
}


def allow_deletes(folder: Path) -> None:
    """Write `deletes:` into the project's mappings."""
    for name, streams in RULES.items():
        path = folder / "mappings" / name
        text = re.sub(r"(?m)^    deletes: .*\n", "", path.read_text("utf-8"))
        for stream, rule in streams.items():
            text, done = re.subn(rf"(?m)^(  {stream}:\n)", rf"\1    deletes: {rule}\n", text, count=1)
            assert done == 1, name
        path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, dict[str, TwinClient]]]:
    place = tmp_path_factory.mktemp("deletes") / "project"
    with vendors(2, 80) as (twins, _):
        write_project(place, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:9")
        allow_deletes(place)
        hub = open_hub(place, environ=ENVIRONMENT, publish=True)
        try:
            sync_now(hub)
            for hold in listings.holds(hub):
                review.release_hold(hub, int(hold["hold"]), by="test")
            for _ in range(3):
                sync_now(hub)
            yield hub, twins
        finally:
            hub.store.close()


def people(hub: Hub, *systems: str) -> list[dict[str, str]]:
    """Contacts with a live record in each of these systems: connection -> external id."""
    found = []
    with hub.store.reading() as tx:
        rows = tx.entities_page("contact", limit=10_000)
        links = tx.links_of([row.id for row in rows], raw=False)
    for row in rows:
        ids = {
            link.connection: link.external_id or ""
            for link in links
            if link.entity_id == row.id and link.state == LinkState.LIVE and link.stream in ("contacts", "customers")
        }
        if set(systems) <= ids.keys():
            found.append(ids)
    return found


def deleted(twin: TwinClient, stream: str, external_id: str) -> bool:
    record = twin.snapshot(stream).get(external_id)
    return record is None or bool(record["deleted"])


def hook(hub: Hub, external_id: str) -> None:
    """What HubSpot's webhook leaves behind; its list of archived records is read only now and then."""
    with hub.store.transaction() as tx:
        tx.add_hints([("hubspot", "contacts", external_id, None, hub.clock.now(), "webhook")])


def settle(hub: Hub) -> None:
    for _ in range(3):
        time.sleep(1.2)
        sync_now(hub)


def test_deletes_travel_as_far_as_the_mappings_allow(company: tuple[Hub, dict[str, TwinClient]]) -> None:
    hub, twins = company
    three = next(each for each in people(hub, "salesforce", "hubspot", "stripe"))
    two = next(each for each in people(hub, "salesforce", "hubspot") if "stripe" not in each)
    stays = next(each for each in people(hub, "salesforce", "stripe") if each != three)
    twins["salesforce"].user_delete("contacts", three["salesforce"])
    twins["hubspot"].user_delete("contacts", two["hubspot"])
    hook(hub, two["hubspot"])
    twins["stripe"].user_delete("customers", stays["stripe"])
    settle(hub)
    assert deleted(twins["hubspot"], "contacts", three["hubspot"]), "archived: HubSpot's delete can be taken back"
    assert deleted(twins["stripe"], "customers", three["stripe"])
    assert not deleted(twins["salesforce"], "contacts", two["salesforce"]), "an archive is asked, it can only delete"
    with hub.store.reading() as tx:
        cannot = tx.quarantine(code="PUSH-CANNOT")
    assert [(row.connection, row.external_id) for row in cannot] == [("salesforce", two["salesforce"])]
    assert not deleted(twins["salesforce"], "contacts", stays["salesforce"]), "Stripe asks for nothing"
    writes = sum(int(twin.counts()["writes"]) for twin in twins.values())
    settle(hub)
    assert sum(int(twin.counts()["writes"]) for twin in twins.values()) == writes, "nothing is made again"


def test_a_record_restored_at_the_vendor_is_linked_again(company: tuple[Hub, dict[str, TwinClient]]) -> None:
    hub, twins = company
    person = next(each for each in people(hub, "salesforce", "hubspot") if "stripe" not in each)
    twins["hubspot"].user_delete("contacts", person["hubspot"])
    hook(hub, person["hubspot"])
    settle(hub)
    assert state(hub, person["hubspot"]) == LinkState.GONE
    twins["hubspot"].user_restore("contacts", person["hubspot"])
    hook(hub, person["hubspot"])
    settle(hub)
    assert state(hub, person["hubspot"]) == LinkState.LIVE


def state(hub: Hub, external_id: str) -> str:
    with hub.store.reading() as tx:
        return tx.links_by_keys("hubspot", "contacts", [external_id])[external_id].state
