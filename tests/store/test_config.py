"""Mappings as published, settings, secrets, people, the audit log; and views for people with SQL tools."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from hub.errors import ConfigFault, NotFound
from hub.model import EntityRow
from hub.store import Store
from hub.store.rows import UserRow, ViewColumn, ViewSpec


def publish(store: Store, name: str, digest: str, kind: str = "mapping", content: str = "text") -> int:
    with store.transaction() as tx:
        return tx.publish_mapping(kind, name, digest, content, "kim", 5.0)


def test_a_changed_file_gets_the_next_version_and_an_unchanged_one_keeps_its_own(store: Store) -> None:
    assert publish(store, "crm", "d1", content="a: ä\n") == 1
    assert publish(store, "crm", "d1") == 1
    assert publish(store, "crm", "d2", content="b") == 2
    assert publish(store, "shop", "d1") == 1
    assert publish(store, "crm", "d1", content="a: ä\n") == 3  # back to what was once: a change like any other
    with store.reading() as tx:
        assert tx.mapping_version("crm") == 3
        assert tx.mapping_version("none") == 0
        assert tx.mapping_content("crm", 1) == "a: ä\n"
        assert tx.mapping_content("crm", 2) == "b"
        with pytest.raises(NotFound):
            tx.mapping_content("crm", 4)
        assert [
            (row.name, row.version, row.digest, row.kind, row.by, row.at) for row in tx.mapping_versions("crm")
        ] == [
            ("crm", 3, "d1", "mapping", "kim", 5.0),
            ("crm", 2, "d2", "mapping", "kim", 5.0),
            ("crm", 1, "d1", "mapping", "kim", 5.0),
        ]
        assert [(row.name, row.version) for row in tx.mapping_versions()] == [
            ("crm", 3), ("crm", 2), ("crm", 1), ("shop", 1),
        ]  # fmt: skip


def test_two_kinds_may_share_a_name(store: Store) -> None:
    assert publish(store, "crm", "d1", "mapping") == 1
    assert publish(store, "crm", "d1", "connection") == 2
    assert publish(store, "crm", "d1", "mapping") == 1
    with store.reading() as tx:
        assert tx.mapping_version("crm", "mapping") == 1
        assert tx.mapping_version("crm", "connection") == 2


def test_settings_are_what_they_were_last_set_to(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.setting("a") is None
        tx.set_setting("a", {"b": [1, None, "ü"]})
        tx.set_setting("c", False)
        tx.set_setting("c", 0)
        assert tx.settings() == {"a": {"b": [1, None, "ü"]}, "c": 0}
        assert tx.settings("c") == {"c": 0}
        assert tx.settings("%") == {}


def test_a_store_has_one_name_for_ever(store: Store, store_url: str) -> None:
    with store.transaction() as tx:
        name = tx.instance_id()
        assert re.fullmatch(r"[0-9a-f]{12}", name)
        assert tx.instance_id() == name
    again = Store(store_url)
    with again.reading() as tx:
        assert tx.instance_id() == name
    again.close()


def test_whoever_needs_a_known_name_sets_it_first(store: Store) -> None:
    with store.transaction() as tx:
        tx.set_setting("instance_id", "sim")
        assert tx.instance_id() == "sim"


def test_secrets_are_kept_byte_for_byte(store: Store) -> None:
    with store.transaction() as tx:
        tx.set_secret("b", bytes(range(256)))
        tx.set_secret("a", b"old")
        tx.set_secret("a", b"new")
        assert tx.secret("b") == bytes(range(256))
        assert tx.secrets() == {"a": b"new", "b": bytes(range(256))}
        assert tx.drop_secret("a")
        assert not tx.drop_secret("a")
        with pytest.raises(NotFound) as missing:
            tx.secret("a")
    assert missing.value.where == "secret:a"


def test_people_are_added_and_changed(store: Store) -> None:
    kim = UserRow(name="kim", role="viewer", password_hash="x", active=True, created_at=1.0)
    left = UserRow(name="kim", role="admin", password_hash="y", active=False, created_at=1.0)
    with store.transaction() as tx:
        tx.set_user(kim)
        assert tx.users() == {"kim": kim}
        tx.set_user(left)
        assert tx.users() == {"kim": left}
    assert "password" not in repr(kim)


def test_what_people_did_is_told_newest_first(store: Store) -> None:
    with store.transaction() as tx:
        tx.audit("kim", "ruling", "contact:1 phone", None, {"value": 1}, 5.0)
        tx.audit("lee", "release", "hold:2", {"state": "open"}, None, 6.0)
        (newest,) = tx.audit_log(limit=1)
        assert (newest.actor, newest.action, newest.target, newest.before, newest.after, newest.at) == (
            "lee", "release", "hold:2", {"state": "open"}, None, 6.0,
        )  # fmt: skip
        assert [row.actor for row in tx.audit_log()] == ["lee", "kim"]


# Views

CONTACT = ViewSpec(
    entity_type="contact",
    columns=[
        ViewColumn(name="email", path=["email"]),
        ViewColumn(name="city", path=["address", "city"]),
        ViewColumn(name="visits", path=["visits"], type="integer"),
        ViewColumn(name="score", path=["score"], type="decimal"),
        ViewColumn(name="vip", path=["vip"], type="boolean"),
        ViewColumn(name="born", path=["born"], type="date"),
        ViewColumn(name="seen", path=["seen"], type="instant"),
        ViewColumn(name="tags", path=["tags"], type="json"),
        ViewColumn(name="consent_email", path=["consent.email", "state"]),
    ],
)
ORDER = ViewSpec(entity_type="order", columns=[ViewColumn(name="group", path=["number"])])


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_a_view_shows_living_entities_with_typed_columns(store: Store, store_url: str) -> None:
    values = {
        "email": "ann@example.org", "address": {"city": "Köln", "zip": "5"}, "visits": 12, "score": "2.50", "vip": True,
        "born": "1990-12-10", "seen": "2026-11-02T08:10:00Z", "tags": ["a", "ü"],
        "consent.email": {"state": "opted_out"},
    }  # fmt: skip
    with store.transaction() as tx:
        tx.insert_entities(
            [
                EntityRow(id=1, type="contact", version=4, values=values, created_at=86400.0),
                EntityRow(id=2, type="contact", values={"email": None}),
                EntityRow(id=3, type="contact", state="alias", alias_of=1, values=values),
                EntityRow(id=4, type="order", values={"number": "o-1"}),
            ]
        )
    assert store.create_views([CONTACT, ORDER]) == ["contact", "order"]
    columns = "entity_id, entity_version, email, city, visits + 1, score * 2, vip, born, tags, consent_email"
    rows = query(store_url, f'SELECT {columns} FROM "contact" ORDER BY entity_id')
    assert [row[:5] for row in rows] == [(1, 4, "ann@example.org", "Köln", 13), (2, -1, None, None, None)]
    assert float(rows[0][5]) == 5.0
    assert bool(rows[0][6]) is True
    assert str(rows[0][7]) == "1990-12-10"
    assert rows[0][9] == "opted_out"
    assert rows[0][8] in ('["a","ü"]', ["a", "ü"])
    assert query(store_url, 'SELECT "group" FROM "order"') == [("o-1",)]
    (made_at,) = query(store_url, "SELECT CAST(created_at AS TEXT) FROM contact WHERE entity_id = 1")[0]
    assert made_at.startswith("1970-01-02 00:00:00")


def test_moments_are_moments_on_postgres(store: Store, store_url: str) -> None:
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has no type for a moment")
    with store.transaction() as tx:
        tx.insert_entities([EntityRow(id=1, type="contact", values={"seen": "2026-11-02T08:10:00Z"})])
    store.create_views([CONTACT])
    assert query(store_url, "SELECT extract(epoch FROM seen)::bigint FROM contact") == [(1_793_607_000,)]


def test_making_views_again_replaces_them_and_drops_what_is_no_longer_declared(store: Store, store_url: str) -> None:
    store.create_views([CONTACT, ORDER])
    store.create_views([ViewSpec(entity_type="contact", columns=[ViewColumn(name="phone", path=["phone"])])])
    assert query(store_url, "SELECT phone FROM contact") == []
    store.create_views([])
    listed = (
        "SELECT name FROM sqlite_master WHERE type = 'view'"
        if store_url.startswith("sqlite")
        else "SELECT viewname FROM pg_views WHERE schemaname = 'public'"
    )
    assert query(store_url, listed) == []


@pytest.mark.parametrize(
    "name, column, path",
    [
        ("link", "email", "email"),
        ("alembic_version", "email", "email"),
        ('x" AS SELECT 1; --', "email", "email"),
        ("contact", "em'ail", "email"),
        ("contact", "email", 'em"ail'),
        ("contact", "email", "em,ail"),
        ("contact", "entity_id", "email"),
        ("contact", "x" * 64, "email"),
        ("", "email", "email"),
    ],
)
def test_names_that_cannot_stand_in_sql_are_refused(store: Store, name: str, column: str, path: str) -> None:
    with pytest.raises(ConfigFault) as refused:
        store.create_views([ViewSpec(entity_type=name, columns=[ViewColumn(name=column, path=[path])]), ORDER])
    assert [fault.code for fault in refused.value.faults] == ["STORE-VIEW"]


def test_columns_have_one_name_each(store: Store) -> None:
    twice = [ViewColumn(name="a", path=["a"]), ViewColumn(name="a", path=["b"])]
    with pytest.raises(ConfigFault, match="twice"):
        store.create_views([ViewSpec(entity_type="contact", columns=twice)])
