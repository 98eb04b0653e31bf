"""Cursors, deliveries, hints, tombstones."""

from __future__ import annotations

from hub.store import Store

Place = tuple[str, str, str]
ADA: Place = ("crm", "contacts", "r1")
BEN: Place = ("crm", "contacts", "r2")


def test_a_cursor_is_where_it_was_left(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.cursor("crm", "contacts") is None
        tx.set_cursor("crm", "contacts", {"after": "2026-01-01", "ids": [1, None]})
        tx.set_cursor("crm", "leads", "token")
        tx.set_cursor("shop", "contacts", 3)
    with store.transaction() as tx:
        tx.set_cursor("crm", "leads", None)
        assert tx.cursor("crm", "contacts") == {"after": "2026-01-01", "ids": [1, None]}
        assert tx.cursor("crm", "leads") is None
        assert tx.cursor("shop", "contacts") == 3


def test_a_delivery_is_taken_once(store: Store) -> None:
    body = b'\x00\xff{"a": 1}'
    with store.transaction() as tx:
        assert tx.known_deliveries("shop", ["evt_1"]) == set()
        tx.add_deliveries("shop", [("evt_1", body), ("evt_2", b"two"), ("evt_1", b"again")], 5.0)
        tx.add_deliveries("crm", [("evt_1", b"another connection")], 6.0)
        tx.add_deliveries("crm", [], 6.0)
    with store.transaction() as tx:
        tx.add_deliveries("shop", [("evt_1", b"again")], 7.0)
        assert tx.known_deliveries("shop", ["evt_1", "evt_2", "evt_3"]) == {"evt_1", "evt_2"}
        assert tx.known_deliveries("shop", []) == set()
        assert (tx.delivery("shop", "evt_1"), tx.delivery("shop", "evt_3")) == (body, None)
        assert tx.deliveries("shop", ["evt_2", "evt_3"]) == {"evt_2": b"two"}


def test_old_deliveries_are_forgotten(store: Store) -> None:
    with store.transaction() as tx:
        for at in (1.0, 2.0, 3.0):
            tx.add_deliveries("shop", [(f"evt_{at}", b"")], at)
        assert tx.prune_deliveries(2.5) == 2
        assert tx.delivery("shop", "evt_3.0") == b""
        assert tx.known_deliveries("shop", ["evt_1.0", "evt_3.0"]) == {"evt_3.0"}


# Hints


def due(store: Store, now: float = 100.0, **more: object) -> list[tuple[str, float | None, int, float, str]]:
    with store.reading() as tx:
        hints = tx.due_hints("crm", now, more.pop("limit", 10), **more)  # type: ignore[arg-type]
    return [(each.external_id, each.not_before_stamp, each.attempts, each.due_at, each.reason) for each in hints]


def test_hints_come_when_they_are_due_the_longest_due_first(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints(
            [(*ADA, 1.5, 20.0, "webhook"), (*BEN, None, 10.0, "parent"), ("crm", "leads", "r9", None, 30.0, "x")]
        )
        tx.add_hints([("shop", "orders", "o1", None, 0.0, "another connection")])
    assert due(store) == [
        ("r2", None, 0, 10.0, "parent"), ("r1", 1.5, 0, 20.0, "webhook"), ("r9", None, 0, 30.0, "x"),
    ]  # fmt: skip
    assert due(store, 19.9) == [("r2", None, 0, 10.0, "parent")]
    assert due(store, limit=1) == [("r2", None, 0, 10.0, "parent")]
    assert due(store, stream="leads") == [("r9", None, 0, 30.0, "x")]


def test_a_record_has_one_hint_with_the_latest_stamp_and_the_soonest_date(store: Store) -> None:
    for stamp, due_at, reason in (
        (5.0, 20.0, "first"),
        (None, 30.0, "second"),
        (4.0, 10.0, "third"),
        (6.0, 15.0, "last"),
    ):
        with store.transaction() as tx:
            tx.add_hints([(*ADA, stamp, due_at, reason)])
    assert due(store) == [("r1", 6.0, 0, 10.0, "last")]


def test_a_stamp_takes_the_place_of_none(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([(*ADA, None, 1.0, "first"), (*ADA, 3.0, 1.0, "second")])
    assert due(store) == [("r1", 3.0, 0, 1.0, "second")]


def test_a_done_hint_is_gone(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([(*ADA, 1.0, 1.0, "a"), (*BEN, 1.0, 1.0, "b")])
        (ada, _) = tx.due_hints("crm", 9.0, 10)
        assert tx.done_hints([ada.id]) == 1
        assert tx.done_hints([ada.id]) == 0
        assert tx.done_hints([]) == 0
    assert [each[0] for each in due(store)] == ["r2"]


def test_a_hint_renewed_while_its_record_was_being_read_stays(store: Store) -> None:
    """Worker A takes the hint and reads the record; a webhook tells of a later change; A is done with the old one."""
    with store.transaction() as tx:
        tx.add_hints([(*ADA, 5.0, 1.0, "first")])
        (taken,) = tx.due_hints("crm", 9.0, 10)
    with store.transaction() as tx:
        tx.add_hints([(*ADA, 8.0, 2.0, "second")])
    with store.transaction() as tx:
        assert tx.done_hints([taken.id]) == 0
        assert tx.postpone_hints([taken.id], 50.0) == 0
    assert due(store) == [("r1", 8.0, 0, 1.0, "second")]


def test_a_postponed_hint_counts_its_attempts_until_it_is_renewed(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([(*ADA, 5.0, 1.0, "first")])
        (hint,) = tx.due_hints("crm", 9.0, 10)
        tx.postpone_hints([hint.id], 30.0)
        tx.postpone_hints([hint.id], 40.0)
    assert due(store, 39.0) == []
    assert due(store) == [("r1", 5.0, 2, 40.0, "first")]
    with store.transaction() as tx:
        tx.add_hints([(*ADA, None, 35.0, "again")])
    assert due(store) == [("r1", 5.0, 0, 35.0, "again")]


def test_a_page_of_hints_may_hold_five_thousand(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([("crm", "contacts", f"r{n}", None, 1.0, "sweep") for n in range(5000)])
        hints = tx.due_hints("crm", 2.0, 9000)
        assert len(hints) == 5000
        assert tx.done_hints([hint.id for hint in hints]) == 5000


# Tombstones


def test_a_tombstone_tells_who_died_and_by_which_keys(store: Store) -> None:
    ada = {
        "connection": "crm", "stream": "contacts", "external_id": "r1", "link_id": 4, "entity_id": 5,
        "evidence": "delete seen", "at": 2.0, "keys": ["h1", "h2"], "stamp": 1.5,
    }  # fmt: skip
    ben = {**ada, "external_id": "r2", "link_id": None, "entity_id": None, "keys": ["h2"], "at": 1.0}
    with store.transaction() as tx:
        tx.add_tombstones([ada, ben])  # type: ignore[list-item]
    with store.reading() as tx:
        assert tx.tombstones("crm", "contacts", ["r1", "r3"]) == {"r1": ada}
        assert tx.tombstones("crm", "leads", ["r1"]) == {}
        assert tx.tombstones_by_keys(["h1", "h2", "h3"]) == {"h1": [ada], "h2": [ben, ada]}


def test_the_latest_proof_of_a_death_is_kept(store: Store) -> None:
    with store.transaction() as tx:
        for at, evidence in ((1.0, "absent"), (2.0, "event")):
            tx.add_tombstones(
                [{"connection": "crm", "stream": "contacts", "external_id": "r1", "evidence": evidence, "at": at}]
            )
        assert tx.tombstones("crm", "contacts", ["r1"])["r1"]["evidence"] == "event"


def test_a_hint_that_rests_is_due_when_what_it_waits_for_is_told(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_hints([(connection, "deals", f"d{number}", None, 1e6, f"waits for people p{number}")
                      for connection in ("a", "b") for number in (1, 2)])  # fmt: skip
        assert tx.due_hints("a", 5.0, 10) == []
        assert (tx.wake_hints("a", [], 5.0), tx.wake_hints("a", ["waits for people p1"], 5.0)) == (0, 1)
        assert [hint.external_id for hint in tx.due_hints("a", 5.0, 10)] == ["d1"]
        assert tx.due_hints("b", 5.0, 10) == []
