"""A person is forgotten (law L22): no byte of theirs is left in any table, the ledger still adds up, nobody is back."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from hub.app.erasing import allow_again, erase, preview_erase
from hub.app.identity import merge
from hub.app.notes import add_note
from hub.app.page import unpacked
from hub.app.personal import export
from hub.app.planned import unpacked as plan_of
from hub.app.proposals import approve_plan, plans_now
from hub.app.review import resolve_conflict
from hub.errors import HubError, NeedsReview, NotFound
from hub.model import QuarantineRow
from hub.store.tables_people import METADATA
from tests.app_world import World
from tests.reward_world import worlds
from tests.store.test_links import intent

# In every field another word, so that whatever is left tells where it came from.
ANN = {
    "code": "TOKEN-code", "email": "token-mail@example.org", "name": "TOKEN-name", "note": "TOKEN-note",
    "phone": "+49TOKEN-phone", "tags": ["TOKEN-tag"],
}  # fmt: skip


def everything(url: str) -> bytes:
    """All that the database holds, unpacked, as a search would see it."""
    engine, found = create_engine(url, poolclass=NullPool), []
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            for row in connection.execute(text(f'SELECT * FROM "{table.name}"')):
                found += [readable(value) for value in row]
    engine.dispose()
    return b"\n".join(found)


def readable(value: Any) -> bytes:
    if not isinstance(value, bytes | memoryview):
        return str(value).encode()
    raw = bytes(value)
    for unpack in (lambda: str(unpacked(raw)).encode(), lambda: zlib.decompress(raw)):
        try:
            return unpack()
        except (HubError, zlib.error, ValueError, IndexError, EOFError):
            continue
    return raw


@pytest.fixture
def lived(make: Callable[..., World], database_url: str) -> World:
    """Ann, after whatever can happen to a person: conflict, ruling, notes, a merge, a plan, a webhook, trouble."""
    world = make(name="manual", modes={"B": "propose"})
    world.person("A", **ANN)
    world.person("B", **{**ANN, "name": "TOKEN-other-name"})
    world.person("A", code="P2", email="bob@example.org", name="Bob")
    world.person("A", code="TOKEN-twin", email="bob2@example.org", name="TOKEN-twin-name")
    world.sync()
    (conflict,) = world.conflicts()
    add_note(world.hub, f"conflict:{conflict.id}", "TOKEN-note on the conflict", by="sue")
    resolve_conflict(world.hub, conflict.id or 0, value="TOKEN-ruled", by="sue", note="TOKEN-why")
    merge(world.hub, "contact:TOKEN-code", "contact:TOKEN-twin", by="sue", note="TOKEN-because")
    add_note(world.hub, ann(world), "TOKEN-note on the record", by="sue")
    with world.store.transaction() as tx:
        told = [("d1", b'{"person": "token-mail@example.org"}'), ("d2", b'{"person": "bob@example.org"}')]
        tx.add_deliveries("A", told, world.clock.now())
        tx.add_quarantine([unfit("token-mail@EXAMPLE.org"), unfit("bob@example.org")])
    external_id = next(each for each, link in world.links("A").items() if f"contact:{link.entity_id}" == ann(world))
    world.edit("A", external_id, phone="+49TOKEN-new-phone")
    world.sync()
    return world


def unfit(email: str) -> QuarantineRow:
    """A message of a website that could not be taken in: it hangs on no record."""
    return QuarantineRow(
        connection="site", stream="events", external_id="m1", field="", direction="in", code="TRK-MESSAGE",
        message="odd", fix="mend what sends it",
        value={"type": "trak", "traits": {"email": email, "note": f"said by {email}"}},
        at=1.0, run_id=None,
    )  # fmt: skip


def ann(world: World) -> str:
    with world.store.reading() as tx:
        ((_, (first, *_)),) = tx.find_by_keys("contact", [("code", "token-code")]).items()
        return f"contact:{tx.roots([first])[first]}"


def test_before_there_are_traces_everywhere(lived: World, database_url: str) -> None:
    """Else the other tests would prove nothing."""
    found = everything(database_url)
    for token in ("code", "name", "note", "phone", "tag", "other-name", "twin-name", "ruled", "why", "because"):
        assert f"TOKEN-{token}".encode() in found, token
    assert found.lower().count(b"token-mail") > 5


def test_no_byte_of_an_erased_person_is_left(lived: World, database_url: str) -> None:
    report = erase(lived.hub, ann(lived), by="sue")
    lived.store.tidy()
    file = make_url(database_url).database
    if database_url.startswith("sqlite") and file:
        assert b"TOKEN-" not in Path(file).read_bytes()  # what was freed is overwritten, too
    left = everything(database_url).lower()
    place = left.find(b"token")
    assert place == -1, left[max(0, place - 200) : place + 200]
    assert {(each["connection"], each["stream"]) for each in report["records"]} == {("A", "people"), ("B", "people")}
    assert b"bob@example.org" in left  # others are as they were
    with lived.store.reading() as tx:
        assert [row.value["traits"]["email"] for row in tx.quarantine(code="TRK-MESSAGE")] == ["bob@example.org"]


def test_an_erased_person_does_not_come_back_by_any_reading(lived: World, database_url: str) -> None:
    erase(lived.hub, ann(lived), by="sue")
    with lived.store.transaction() as tx:
        for name in "AB":
            tx.set_cursor(name, "people", None)  # every record comes once more
    at_a = next(each for each in lived.vendors["A"].records if "TOKEN-code" in str(lived.held_at("A", each)))
    lived.edit("A", at_a, note="TOKEN-again")
    runs = lived.sync()
    assert runs["A"].counts["erased"] >= 1
    lived.person("B", **{**ANN, "name": "TOKEN-third"})  # another record, of the same key
    lived.settle()
    assert b"token" not in everything(database_url).lower()
    assert [each.values for each in lived.entities() if each.state == "live" and each.values.get("name") != "Bob"] == []


def test_somebody_who_wants_to_be_known_again_is_taken_in(lived: World) -> None:
    erase(lived.hub, ann(lived), by="sue")
    with pytest.raises(NotFound):
        allow_again(lived.hub, "contact:nobody-like-that", by="sue")
    assert allow_again(lived.hub, "contact:TOKEN-code", by="sue") >= 3
    with lived.store.transaction() as tx:
        tx.set_cursor("A", "people", None)
    lived.sync()
    assert "TOKEN-code" in {each.values.get("code") for each in lived.entities() if each.state == "live"}


def test_the_audit_log_says_who_erased_whom_and_keeps_what_others_did_without_their_values(lived: World) -> None:
    name = ann(lived)
    erase(lived.hub, name, by="sue")
    with lived.store.reading() as tx:
        rows = tx.audit_page(100)
    assert (rows[0].actor, rows[0].action, rows[0].target) == ("sue", "erased", name)
    ruled = next(row for row in rows if row.action == "conflict resolved")
    assert (ruled.actor, ruled.before, ruled.after) == ("sue", None, None)


def test_a_plan_that_waits_loses_their_writes_and_can_still_be_let_go(lived: World) -> None:
    name = ann(lived)
    (waiting,) = plans_now(lived.hub)["waiting"]
    with lived.store.reading() as tx:
        before = plan_of(tx.plan(waiting["plan"]).content)
    assert {name} < {write["entity"] for write in before["writes"]}
    erase(lived.hub, name, by="sue")
    with lived.store.reading() as tx:
        after = plan_of(tx.plan(waiting["plan"]).content)
    assert [write for write in before["writes"] if write["entity"] != name] == after["writes"]
    approve_plan(lived.hub, waiting["plan"], by="sue")
    lived.sync("B")
    assert any(lived.held_at("B", each)["name"] == "Bob" for each in lived.vendors["B"].records)


def test_what_is_under_way_is_waited_for(lived: World) -> None:
    name = ann(lived)
    with lived.store.transaction() as tx:
        link = next(each for each in tx.links_page("A", "people") if f"contact:{each.entity_id}" == name)
        tx.insert_intents([intent(tx.reserve_ids("intent", 1)[0], link.id, entity_id=link.entity_id)])
    assert preview_erase(lived.hub, ann(lived))["in_the_way"]
    with pytest.raises(NeedsReview, match="under way") as caught:
        erase(lived.hub, ann(lived), by="sue")
    assert caught.value.code == "ERASE-BUSY"
    assert ann(lived)


def test_an_export_holds_everything_and_is_on_record(lived: World) -> None:
    name = ann(lived)
    found = export(lived.hub, name, by="sue")
    said = str(found)
    for token in ("code", "name", "note", "phone", "tag", "other-name", "twin-name", "ruled", "why"):
        assert f"TOKEN-{token}" in said, token
    assert found["webhooks"] == [{"connection": "A", "body": '{"person": "token-mail@example.org"}'}]
    assert len(found["entities"]) == 2  # what was merged into it, too
    assert "Bob" not in said
    with lived.store.reading() as tx:
        (row,) = tx.audit_page(1)
    assert (row.actor, row.action, row.target) == ("sue", "exported", name)


# The ledger


def test_the_ledger_keeps_its_facts_and_loses_the_person(migrated_url: str) -> None:
    with worlds(migrated_url) as make:
        w = make()
        w.customer("TOKEN-ann", phone="+491TOKEN")
        w.customer("bob")
        w.order("TOKEN-o1", "TOKEN-ann")
        w.issue()
        w.order("TOKEN-o2", "TOKEN-ann", "700")
        w.order("o3", "bob")
        assert w.grant_states() == ["issued", "reserved", "reserved"]
        with pytest.raises(NeedsReview, match="no person"):
            erase(w.hub, f"order:{w.entity('order').id}", by="sue")
        report = erase(w.hub, "contact:token-ann@example.com", by="sue")
        assert (report["entities"], report["rewards"]) == (3, 2)  # she and her two orders
        assert w.grant_states() == ["issued", "reversed", "reserved"]
        assert w.money() == (2500, 2500)  # what was not sent is free again, what was is spent
        first, second, _ = w.grants()
        assert [(g.recipient, g.detail) for g in (first, second)] == [({}, ""), ({}, "")]
        assert (first.amount, first.order_id is not None) == ("25", True)
        with w.store.reading() as tx:
            paid = [event.values for event in tx.events(subject_ids=[first.subject_id], name="order.paid")]
        assert paid == [{"paid_at": "2026-12-05T11:00:00Z"}] * 2
        left = everything(migrated_url)
        assert b"TOKEN" not in left
        assert b"token-ann" not in left
        w.customer("TOKEN-ann")
        w.order("TOKEN-o1", "TOKEN-ann", refunded_at="2026-12-06T11:00:00Z")
        assert b"TOKEN" not in everything(migrated_url)
        assert w.grant_states() == ["issued", "reversed", "reserved"]
