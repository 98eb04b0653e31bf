"""Links, and the intents that have left through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hub.errors import RetryLater
from hub.model import Intent, LinkRow, LinkState
from hub.store import Store
from hub.store.links import LinkHead

Add = Callable[..., list[int]]


def full(id_: int, entity_id: int) -> LinkRow:
    return LinkRow(
        id=id_, connection="crm", stream="contacts", external_id="003xx", entity_id=entity_id, state="live",
        stamp=1_760_000_000.5, read_at=1_760_000_001.25, hash="abc", shadow={"email": ["a", 7]}, raw=b"\x00\xff\\x41",
        behind_since=5.0, retry_at=6.0, attempts=2, marker="hub-1", hold_id=4, mapping_version=3,
    )  # fmt: skip


def test_a_link_comes_back_as_it_was_put(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        wanted = LinkRow(id=2, connection="crm", stream="contacts", external_id=None, entity_id=entity, state="wanted")
        tx.insert_links([full(1, entity), wanted])
    with store.reading() as tx:
        assert tx.links_by_ids([1, 2, 99]) == {1: full(1, entity), 2: wanted}
        assert tx.links_by_keys("crm", "contacts", ["003xx", "other"]) == {"003xx": full(1, entity)}
        assert tx.links_by_keys("crm", "leads", ["003xx"]) == {}
        assert tx.links_by_keys("shop", "contacts", ["003xx"]) == {}
        assert tx.links_of([entity]) == [full(1, entity), wanted]
        assert tx.links_by_markers("crm", "contacts", ["hub-1", "hub-2"]) == {"hub-1": full(1, entity)}
        assert tx.links_page("crm", "contacts") == [full(1, entity), wanted]
        assert tx.links_page("crm", "contacts", after_id=1) == [wanted]
        assert tx.links_by_name("crm", "contacts") == [full(1, entity)]
        assert tx.links_nameless("crm", "contacts") == [wanted]
        assert tx.links_nameless("crm", "contacts", after_id=2) == tx.links_nameless("crm", "leads") == []
        assert [each.external_id for each in tx.heads_page("crm", "contacts")] == ["003xx"]
        assert tx.heads_page("crm", "contacts", after="003xx") == []
        assert tx.links_unseen("crm", "contacts", 9e12, ["live"], after="003xx") == []
        assert tx.links_by_name("crm", "contacts", after="003xx") == tx.links_by_name("crm", "leads") == []


def test_the_raw_record_may_be_left_out(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        tx.insert_links([full(1, entity)])
        light = replace(full(1, entity), raw=None)
        assert tx.links_by_ids([1], raw=False) == {1: light}
        assert tx.links_by_keys("crm", "contacts", ["003xx"], raw=False) == {"003xx": light}
        assert tx.links_of([entity], raw=False) == [light]


def test_a_head_tells_whether_a_record_is_news(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        tx.insert_links([full(1, entity)])
        assert tx.link_heads("crm", "contacts", ["003xx", "other"]) == {
            "003xx": LinkHead("003xx", 1, entity, "live", 1_760_000_000.5, 1_760_000_001.25, "abc")
        }


def test_an_update_writes_every_column_and_keeps_a_raw_record_that_it_was_not_given(
    store: Store, add_entities: Add
) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        tx.insert_links([full(1, one), replace(full(2, one), external_id="other")])
        changed = LinkRow(
            id=1, connection="crm", stream="contacts", external_id="new", entity_id=two, state=LinkState.GONE
        )
        tx.update_links([changed])
    with store.reading() as tx:
        links = tx.links_by_ids([1, 2])
        assert links[1] == replace(changed, raw=b"\x00\xff\\x41", state="gone")
        assert links[2] == replace(full(2, one), external_id="other")


def test_an_update_replaces_a_raw_record_that_it_was_given(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        (link,) = add_links(tx, 1, raw=b"old")
        row = tx.links_by_ids([link])[link]
        row.raw = bytes(range(256))
        tx.update_links([row])
        assert tx.links_by_ids([link])[link].raw == bytes(range(256))


def test_a_record_is_linked_once(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        add_links(tx, 1)
        row = tx.links_by_keys("crm", "contacts", ["r1"])["r1"]
    with pytest.raises(RetryLater) as refused, store.transaction() as tx:
        tx.insert_links([replace(row, id=2)])
    assert refused.value.code == "STORE-BUSY"  # another page was first: this one runs again and finds the link


def test_any_number_of_creates_may_wait_for_their_ids(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (entity,) = add_entities(tx, 1)
        rows = [
            LinkRow(id=n, connection="crm", stream="contacts", external_id=None, entity_id=entity, state="wanted")
            for n in (1, 2, 3)
        ]
        tx.insert_links(rows)
        assert tx.links_of([entity]) == rows


def test_touching_moves_the_read_time_forward_only(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_links(tx, 3, shadow={"kept": 1}, raw=b"kept")
        assert tx.touch_links([one, two], 10.0) == 2
        assert tx.touch_links([one], 9.0) == 1
        assert tx.touch_links([], 11.0) == 0
        links = tx.links_by_ids([one, two, three])
    assert [links[each].read_at for each in (one, two, three)] == [10.0, 10.0, None]
    assert (links[one].shadow, links[one].raw) == ({"kept": 1}, b"kept")


def test_of_two_records_with_one_marker_the_newest_counts(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        _, newer = add_links(tx, 2, marker="hub-7")
        assert tx.links_by_markers("crm", "contacts", ["hub-7"])["hub-7"].id == newer


# References


def test_references_go_out_as_the_live_record_of_the_whole_closure(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        links = tx.links_by_ids(add_links(tx, 4))
        links[2].state = "gone"
        links[3].connection = "ignored"
        tx.update_links(list(links.values()))
        rows = tx.entities([1, 2, 3, 4])
        rows[2].alias_of = rows[3].alias_of = 1  # r2 is gone, r3 lives, both now belong to entity 1
        links[1].state = "merged_into"
        tx.update_links([links[1]])
        tx.update_entities(list(rows.values()))
        asked = [("crm", "contacts", each) for each in (1, 2, 3, 4, 99)] + [("crm", "leads", 4)]
        assert tx.external_ids(asked) == {
            ("crm", "contacts", 1): "r3",
            ("crm", "contacts", 2): "r3",
            ("crm", "contacts", 3): "r3",
            ("crm", "contacts", 4): "r4",
        }
        assert tx.external_ids([]) == {}


def test_of_several_live_records_the_oldest_link_is_written(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        add_links(tx, 2)
        rows = tx.entities([1, 2])
        rows[2].alias_of = 1
        tx.update_entities([rows[2]])
        assert tx.external_ids([("crm", "contacts", 2)]) == {("crm", "contacts", 2): "r1"}


def test_references_come_in_as_the_entity_of_the_link_also_after_a_merge(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        add_links(tx, 2)
        add_links(tx, 1, "shop")
        rows = tx.entities([2])
        rows[2].alias_of = 1
        tx.update_entities([rows[2]])
        asked = [("contacts", "r1"), ("contacts", "r2"), ("contacts", "r3"), ("leads", "r1")]
        assert tx.entity_ids("crm", asked) == {("contacts", "r1"): 1, ("contacts", "r2"): 2}
        assert tx.entity_ids("crm", []) == {}


# Behind


@pytest.fixture
def behind(store: Store, add_links: Add) -> list[int]:
    """Eight links; what is special about each stands in the test below."""
    with store.transaction() as tx:
        ids = add_links(tx, 8, behind_since=50.0)
        links = tx.links_by_ids(ids)
        links[2].behind_since = None
        links[3].retry_at = 100.0
        links[4].hold_id = 9
        links[5].state = "out_of_scope"
        links[6].state, links[6].external_id, links[6].behind_since = "wanted", None, 20.0
        links[7].behind_since = 30.0
        tx.update_links(list(links.values()))
        add_links(tx, 1, "crm", "leads", behind_since=1.0)
    return ids


@pytest.mark.usefixtures("behind")
def test_links_that_are_behind_and_may_be_written_come_in_the_order_of_ids(store: Store) -> None:
    def ids(**more: object) -> list[int]:
        with store.reading() as tx:
            return [link.id for link in tx.behind_links("crm", "contacts", **{"now": 99.9, "limit": 10, **more})]  # type: ignore[arg-type]

    assert ids() == [1, 6, 7, 8]
    assert ids(now=100.0) == [1, 3, 6, 7, 8]
    assert ids(limit=2) == [1, 6]
    assert ids(after_id=6) == [7, 8]
    assert ids(oldest_first=True) == [6, 7, 1, 8]
    assert ids(states=["wanted"]) == [6]
    assert ids(states=["out_of_scope"]) == [5]


@pytest.mark.usefixtures("behind")
def test_links_are_counted(store: Store) -> None:
    with store.reading() as tx:
        assert tx.count_behind() == {("crm", "contacts"): 7, ("crm", "leads"): 1}
        assert tx.count_behind("shop") == {}
        assert tx.count_links("crm", "contacts") == {"live": 6, "out_of_scope": 1, "wanted": 1}
        assert tx.count_links("crm", "leads") == {"live": 1}
        assert tx.count_links("shop", "contacts") == {}


def test_creates_are_held_back_and_let_go(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        ids = add_links(tx, 4, state="wanted", behind_since=1.0)
        add_links(tx, 1, behind_since=1.0)
        assert tx.wanted_unheld("crm", "contacts") == ids
        assert tx.hold_links(77, ids[1:3]) == 2
        assert tx.wanted_unheld("crm", "contacts") == [ids[0], ids[3]]
        assert [link.id for link in tx.links_with_hold(77)] == ids[1:3]
        assert [link.id for link in tx.links_with_hold(77, after_id=ids[1])] == ids[2:3]
        assert tx.clear_hold(77) == 2
        assert tx.wanted_unheld("crm", "contacts") == ids


# Intents


def intent(id_: int, link_id: int, **changes: object) -> Intent:
    base = Intent(
        id=id_, connection="crm", stream="contacts", link_id=link_id, entity_id=link_id, op="update",
        values={"phone": "+49"}, body={"Phone": "+49"}, version=8, external_id="r1", pre_stamp=1.5, reference="hub-1",
        idempotency_key="k", created_at=2.0, first_sent=3.0, last_possible=4.0, state="open", before={"phone": None},
        run_id=6,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_an_intent_comes_back_as_it_was_frozen(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        one, two = add_links(tx, 2)
        tx.insert_intents([intent(1, one), intent(2, two, state="acked", external_id=None)])
    with store.reading() as tx:
        assert tx.intents_for([one, two, 99]) == {
            one: intent(1, one),
            two: intent(2, two, state="acked", external_id=None),
        }
        assert tx.intents_for([]) == {}
        assert tx.intents([1, 9]) == {1: intent(1, one)}


def test_a_link_has_one_open_intent(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        (link,) = add_links(tx, 1)
        tx.insert_intents([intent(1, link)])
    for state in ("open", "acked"):
        with pytest.raises(RetryLater) as refused, store.transaction() as tx:
            tx.insert_intents([intent(2, link, state=state)])
        assert refused.value.code == "STORE-BUSY"
    with store.transaction() as tx:
        tx.update_intents([intent(1, link, state="done")])
        tx.insert_intents([intent(3, link)])
        assert tx.intents_for([link]) == {link: intent(3, link)}


def test_an_answer_changes_what_it_may(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        (link,) = add_links(tx, 1)
        tx.insert_intents([intent(1, link)])
        answered = intent(1, link, state="acked", external_id="new", first_sent=9.0, last_possible=10.0, pre_stamp=None)
        tx.update_intents([replace(answered, connection="ignored", idempotency_key="ignored", op="ignored")])
        assert tx.intents_for([link]) == {link: answered}


def test_open_intents_are_listed_by_place(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        ids = add_links(tx, 4)
        rows = [
            intent(1, ids[0], connection="shop"),
            intent(2, ids[1], stream="leads"),
            intent(3, ids[2], state="acked"),
            intent(4, ids[3], state="done"),
        ]
        tx.insert_intents(rows)
        assert [each.id for each in tx.open_intents()] == [1, 2, 3]
        assert [each.id for each in tx.open_intents("crm")] == [2, 3]
        assert [each.id for each in tx.open_intents("crm", "contacts")] == [3]
        assert [each.id for each in tx.open_intents(limit=1)] == [1]
        assert [each.id for each in tx.open_intents(after_id=1, limit=1)] == [2]


def test_all_writes_of_a_run_and_of_an_entity_are_found_whatever_became_of_them(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        one, two = add_links(tx, 2)
        tx.insert_intents([intent(1, one, state="done"), intent(2, one, state="not_done", run_id=7), intent(3, two)])
        assert [each.id for each in tx.intents_of_run(6)] == [1, 3]
        assert [each.id for each in tx.intents_of_run(7)] == [2]
        assert [each.id for each in tx.intents_of_entities([one])] == [1, 2]


def test_a_page_of_links_may_hold_five_thousand(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        ids = add_links(tx, 5000, marker="m")
    names = [f"r{each}" for each in ids]
    with store.transaction() as tx:
        links = tx.links_by_keys("crm", "contacts", names)
        assert sorted(link.id for link in links.values()) == ids
        for link in links.values():
            link.shadow = {"seen": 1}
        tx.update_links(list(links.values()))
        assert tx.touch_links(ids, 9.0) == 5000
        tx.insert_intents([intent(each, each) for each in ids])
        assert len(tx.intents_for(ids)) == 5000
        assert len(tx.link_heads("crm", "contacts", names)) == 5000
        assert len(tx.links_of(link.entity_id for link in links.values())) == 5000
        assert len(tx.external_ids([("crm", "contacts", each) for each in ids])) == 5000
        assert len(tx.entity_ids("crm", [("contacts", name) for name in names])) == 5000
    with store.reading() as tx:
        assert {(link.read_at, link.shadow["seen"]) for link in tx.links_by_ids(ids).values()} == {(9.0, 1)}
