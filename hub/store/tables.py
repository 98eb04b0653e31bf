"""Every table, declared once; what each column means is told in hub/model.py beside the type that carries it.

Two things differ from what a casual reader expects. JSON documents are TEXT on both databases: they come back byte for
byte as they were put, numbers included, which a binary JSON column does not promise, and they cost nothing to store;
the views of hub.store.views open them up for people. And rows are read and written as tuples by the statements of this
room, never as objects of these classes: the classes are the one place that says what exists.

Invariant: "all migrations = these tables" (tests/store/test_migrations.py), on both databases.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

BIG = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by themselves only in an INTEGER key

# Compared byte by byte: fast, the same as on SQLite, and no index goes wrong when the system's languages are upgraded.
WORDS = Text().with_variant(Text(collation="C"), "postgresql")

# Ids that the engine needs before it inserts; `Tx.reserve_ids` hands them out.
ID_KINDS = (
    "entity", "link", "intent", "hint", "conflict", "ruling", "quarantine", "hold", "identity", "run", "event", "grant",
    "firing", "plan",
)  # fmt: skip
VERSION = "version"  # the number that orders transactions

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _column(type_: Any, *parts: Any, key: bool = False, null: bool = False, auto: bool = False) -> Any:
    return Field(
        default=None,
        sa_column=Column(type_, *parts, primary_key=key, nullable=null, autoincrement=auto),
    )


def _number(to: str = "", **options: bool) -> Any:
    return _column(BIG, *([ForeignKey(to)] if to else []), **options)


def _words(**options: bool) -> Any:
    return _column(WORDS, **options)


def _time(**options: bool) -> Any:
    """Epoch seconds, UTC."""
    return _column(Float(53), **options)


def _document(**options: bool) -> Any:
    """JSON, as text."""
    return _column(Text(), **options)


def _bytes(**options: bool) -> Any:
    return _column(LargeBinary(), **options)


def _flag() -> Any:
    return _column(Boolean())


def _some(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the few rows that matter, so that the many cost nothing."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class Base(SQLModel):
    """Gives the tables a registry of their own."""

    metadata: ClassVar[MetaData] = METADATA


# Truth


class Entity(Base, table=True):
    __tablename__ = "entity"
    __table_args__ = (
        Index("ix_entity_type", "type", "id"),
        _some("ix_entity_alias", "alias_of", where="alias_of IS NOT NULL"),
        _some("ix_entity_other", "type", "state", where="state <> 'live'"),
    )
    id: int = _number(key=True)
    type: str = _words()
    version: int = _number()
    state: str = _words()
    alias_of: int | None = _number("entity.id", null=True)
    values: str = _document()
    fields: str = _document()
    created_at: float = _time()


class EntityKey(Base, table=True):
    __tablename__ = "entity_key"
    __table_args__ = (Index("ix_entity_key_entity", "entity_id"), {"sqlite_with_rowid": False})
    key_value: str = _words(key=True)  # first, for it tells most apart
    key_name: str = _words(key=True)
    type: str = _words(key=True)
    entity_id: int = _number("entity.id", key=True)


class Link(Base, table=True):
    __tablename__ = "link"
    __table_args__ = (
        UniqueConstraint("connection", "stream", "external_id", name="uq_link_record"),
        Index("ix_link_entity", "entity_id"),
        _some("ix_link_behind", "connection", "stream", "id", where="behind_since IS NOT NULL"),
        _some("ix_link_other", "connection", "stream", "state", where="state <> 'live'"),
        _some("ix_link_marker", "connection", "stream", "marker", where="marker IS NOT NULL"),
        _some("ix_link_hold", "hold_id", where="hold_id IS NOT NULL"),
        _some("ix_link_leaving", "connection", "stream", "id", where="leaving IS NOT NULL"),
    )
    id: int = _number(key=True)
    connection: str = _words()
    stream: str = _words()
    external_id: str | None = _words(null=True)
    entity_id: int = _number("entity.id")
    state: str = _words()
    stamp: float | None = _time(null=True)
    read_at: float | None = _time(null=True)
    hash: str | None = _words(null=True)
    behind_since: float | None = _time(null=True)
    retry_at: float | None = _time(null=True)
    attempts: int = _number()
    marker: str | None = _words(null=True)
    hold_id: int | None = _number(null=True)
    mapping_version: int = _number()
    shadow: str = _document()
    raw: bytes | None = _bytes(null=True)
    leaving: str | None = _words(null=True)


class History(Base, table=True):
    __tablename__ = "history"
    __table_args__ = (Index("ix_history_entity", "entity_id", "id"),)
    id: int = _number(key=True, auto=True)
    entity_id: int = _number()
    version: int = _number()
    at: float = _time()
    changes: str = _document()
    run_id: int | None = _number(null=True)
    mapping_version: int = _number()
    actor: str = _words()


class Intent(Base, table=True):
    __tablename__ = "intent"
    __table_args__ = (
        _some("uq_intent_open", "link_id", where="state IN ('open', 'acked')", unique=True),
        _some("ix_intent_open", "connection", "stream", "id", where="state IN ('open', 'acked')"),
        Index("ix_intent_run", "run_id"),
        Index("ix_intent_entity", "entity_id"),
    )
    id: int = _number(key=True)
    connection: str = _words()
    stream: str = _words()
    link_id: int = _number("link.id")
    entity_id: int = _number()
    op: str = _words()
    values: str = _document()
    body: str = _document()
    version: int = _number()
    external_id: str | None = _words(null=True)
    pre_stamp: float | None = _time(null=True)
    reference: str = _words()
    idempotency_key: str = _words()
    created_at: float = _time()
    first_sent: float | None = _time(null=True)
    last_possible: float | None = _time(null=True)
    state: str = _words()
    before: str = _document()
    run_id: int | None = _number(null=True)
    landed_at: float | None = _time(null=True)


# Reading the world


class Cursor(Base, table=True):
    __tablename__ = "cursor"
    connection: str = _words(key=True)
    stream: str = _words(key=True)
    value: str = _document()


class Delivery(Base, table=True):
    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_at", "at"),)
    connection: str = _words(key=True)
    key: str = _words(key=True)
    body: bytes = _bytes()
    at: float = _time()


class Hint(Base, table=True):
    __tablename__ = "hint"
    __table_args__ = (
        UniqueConstraint("connection", "stream", "external_id", name="uq_hint_record"),
        Index("ix_hint_due", "connection", "due_at"),
        Index("ix_hint_reason", "connection", "reason"),
    )
    id: int = _number(key=True)
    connection: str = _words()
    stream: str = _words()
    external_id: str = _words()
    not_before_stamp: float | None = _time(null=True)
    attempts: int = _number()
    due_at: float = _time()
    reason: str = _words()


class Tombstone(Base, table=True):
    __tablename__ = "tombstone"
    connection: str = _words(key=True)
    stream: str = _words(key=True)
    external_id: str = _words(key=True)
    link_id: int | None = _number(null=True)
    entity_id: int | None = _number(null=True)
    evidence: str = _words()
    at: float = _time()
    keys: str = _document()
    stamp: float | None = _time(null=True)


class TombstoneKey(Base, table=True):
    __tablename__ = "tombstone_key"
    hash: str = _words(key=True)
    connection: str = _words(key=True)
    stream: str = _words(key=True)
    external_id: str = _words(key=True)


# Reviews


class Conflict(Base, table=True):
    __tablename__ = "conflict"
    __table_args__ = (
        Index("ix_conflict_entity", "entity_id", "field"),
        Index("ix_conflict_kind", "kind", "state", "id"),
        _some("ix_conflict_waits", "id", where="state = 'open'"),
        _some("uq_conflict_open", "entity_id", "field", where="state = 'open'", unique=True),
    )
    id: int = _number(key=True)
    entity_id: int = _number("entity.id")
    field: str = _words()
    kind: str = _words()
    candidates: str = _document()
    digest: str = _words()
    winner: str = _document()
    winner_link: int | None = _number(null=True)
    decided_by: str = _words()
    state: str = _words()
    at: float = _time()
    version: int = _number()
    run_id: int | None = _number(null=True)
    note: str = _words()


class Ruling(Base, table=True):
    __tablename__ = "ruling"
    __table_args__ = (Index("ix_ruling_entity", "entity_id"),)
    id: int = _number(key=True)
    entity_id: int = _number("entity.id")
    field: str = _words()
    value: str = _document()
    version: int = _number()
    by: str = _words()
    at: float = _time()
    note: str = _words()


class Identity(Base, table=True):
    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("kind", "key", name="uq_identity_key"),
        Index("ix_identity_entity", "entity_id"),
        _some("ix_identity_other", "other_id", where="other_id IS NOT NULL"),
        Index("ix_identity_kind", "kind", "state", "id"),
    )
    id: int = _number(key=True)
    kind: str = _words()
    state: str = _words()
    key: str | None = _words(null=True)
    entity_id: int | None = _number("entity.id", null=True)
    other_id: int | None = _number("entity.id", null=True)
    score: float | None = _time(null=True)
    evidence: str = _document()
    before: str = _document()
    by: str = _words()
    at: float = _time()
    version: int = _number()
    run_id: int | None = _number(null=True)
    note: str = _words()


class IdentityRecord(Base, table=True):
    """Records that a ruling names before they have an entity."""

    __tablename__ = "identity_record"
    __table_args__ = ({"sqlite_with_rowid": False},)
    connection: str = _words(key=True)
    stream: str = _words(key=True)
    external_id: str = _words(key=True)
    identity_id: int = _number("identity.id", key=True)


class Quarantine(Base, table=True):
    __tablename__ = "quarantine"
    __table_args__ = (
        _some(
            "uq_quarantine_record", "connection", "stream", "external_id", "field", "direction",
            where="state = 'open' AND external_id <> ''", unique=True,
        ),
        _some(
            "uq_quarantine_link", "link_id", "field", "direction",
            where="state = 'open' AND external_id = ''", unique=True,
        ),
        _some("ix_quarantine_link", "link_id", where="state = 'open'"),
        _some("ix_quarantine_code", "code", "id", where="state = 'open'"),
    )  # fmt: skip
    id: int = _number(key=True)
    connection: str = _words()
    stream: str = _words()
    external_id: str = _words()
    field: str = _words()
    direction: str = _words()
    code: str = _words()
    message: str = _words()
    fix: str = _words()
    value: str = _document()
    at: float = _time()
    run_id: int | None = _number(null=True)
    entity_id: int | None = _number(null=True)
    link_id: int | None = _number(null=True)
    state: str = _words()


class Hold(Base, table=True):
    __tablename__ = "hold"
    __table_args__ = (
        _some("uq_hold_open", "connection", "guard", "stream", "field", where="state = 'open'", unique=True),
    )
    id: int = _number(key=True)
    guard: str = _words()
    connection: str = _words()
    stream: str = _words()
    field: str = _words()
    count: int = _number()
    of: int = _number()
    state: str = _words()
    message: str = _words()
    at: float = _time()
    run_id: int | None = _number(null=True)
    ceiling: int = _number()


class HoldItem(Base, table=True):
    __tablename__ = "hold_item"
    hold_id: int = _number("hold.id", key=True)
    link_id: int = _number("link.id", key=True)
    field: str = _words(key=True)
    __table_args__ = (Index("ix_hold_item_link", "link_id"),)


# What ran


class Run(Base, table=True):
    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_connection", "connection", "id"),
        _some("ix_run_running", "id", where="status = 'running'"),
    )
    id: int = _number(key=True)
    connection: str = _words()
    kind: str = _words()
    started_at: float = _time()
    ended_at: float | None = _time(null=True)
    status: str = _words()
    counts: str = _document()
    error: str = _words()
    lease: str = _words()  # the lease it runs under; with another epoch, or none, its process is dead
    epoch: int = _number()


class Plan(Base, table=True):
    __tablename__ = "plan"
    __table_args__ = (
        Index("ix_plan_digest", "digest", "id"),
        Index("ix_plan_connection", "connection", "id"),
        _some("uq_plan_waiting", "connection", where="state = 'waiting'", unique=True),
    )
    id: int = _number(key=True)
    digest: str = _words()
    kind: str = _words()
    state: str = _words()
    connection: str = _words()
    made_at: float = _time()
    made_by: str = _words()
    decided_at: float | None = _time(null=True)
    decided_by: str = _words()
    note: str = _words()
    summary: str = _document()
    runs: str = _document()
    outcome: str = _document()
    content: bytes = _bytes()


class RunStream(Base, table=True):
    __tablename__ = "run_stream"
    run_id: int = _number("run.id", key=True)
    stream: str = _words(key=True)
    direction: str = _words(key=True)
    counts: str = _document()


class Slot(Base, table=True):
    __tablename__ = "slot"
    connection: str = _words(key=True)
    due_at: float = _time(key=True)
    outcome: str = _words()
    why: str = _words()


class Lease(Base, table=True):
    __tablename__ = "lease"
    name: str = _words(key=True)
    owner: str = _words()
    epoch: int = _number()
    expires_at: float = _time()


class RateUse(Base, table=True):
    """What of a budget was used in one part of its time; parts are numbered since the epoch."""

    __tablename__ = "rate_use"
    connection: str = _words(key=True)
    name: str = _words(key=True)
    part: int = _number(key=True)
    used: int = _number()


class Counter(Base, table=True):
    """Ids and versions on SQLite; PostgreSQL has sequences for them."""

    __tablename__ = "counter"
    __table_args__ = ({"sqlite_with_rowid": False},)
    name: str = _words(key=True)
    value: int = _number()


# Rewards


class Grant(Base, table=True):
    __tablename__ = "grant"
    __table_args__ = (
        UniqueConstraint("key", name="uq_grant_key"),
        UniqueConstraint("connection", "reference", name="uq_grant_reference"),
        Index("ix_grant_subject", "subject_id", "rule"),
        Index("ix_grant_state", "state", "id"),
        Index("ix_grant_order", "connection", "order_id"),
    )
    id: int = _number(key=True)
    key: str = _words()
    rule: str = _words()
    subject_id: int = _number("entity.id")
    event_id: int | None = _number(null=True)
    connection: str = _words()
    product: str = _words()
    amount: str = _words()
    currency: str = _words()
    budget: str = _words()
    reference: str = _words()
    state: str = _words()
    recipient: str = _document()
    not_before: float = _time()
    first_sent: float | None = _time(null=True)
    last_possible: float | None = _time(null=True)
    order_id: str | None = _words(null=True)
    attempts: int = _number()
    epoch: int = _number()
    created_at: float = _time()
    detail: str = _words()
    deliver: str | None = _words(null=True)
    parent_id: int | None = _number(null=True)


class GrantEntry(Base, table=True):
    __tablename__ = "grant_entry"
    __table_args__ = (Index("ix_grant_entry_grant", "grant_id", "id"),)
    id: int = _number(key=True, auto=True)
    grant_id: int = _number("grant.id")
    kind: str = _words()
    amount: str = _words()
    at: float = _time()
    detail: str = _words()


class Budget(Base, table=True):
    __tablename__ = "budget"
    __table_args__ = (
        CheckConstraint("reserved_minor >= 0 AND spent_minor >= 0", name="not_negative"),
        CheckConstraint("reserved_minor + spent_minor <= cap_minor", name="within_cap"),
    )
    name: str = _words(key=True)
    period: str = _words(key=True)
    cap_minor: int = _number()
    reserved_minor: int = _number()
    spent_minor: int = _number()


# Configuration and people


class MappingVersion(Base, table=True):
    __tablename__ = "mapping_version"
    name: str = _words(key=True)
    version: int = _number(key=True)
    kind: str = _words()
    digest: str = _words()
    content: str = _words()
    by: str = _words()
    at: float = _time()


class Audit(Base, table=True):
    __tablename__ = "audit"
    id: int = _number(key=True, auto=True)
    actor: str = _words()
    action: str = _words()
    target: str = _words()
    before: str = _document()
    after: str = _document()
    at: float = _time()


class User(Base, table=True):
    __tablename__ = "user"
    name: str = _words(key=True)
    role: str = _words()
    password_hash: str = _words()
    active: bool = _flag()
    created_at: float = _time()


class Secret(Base, table=True):
    __tablename__ = "secret"
    name: str = _words(key=True)
    ciphertext: bytes = _bytes()


class Setting(Base, table=True):
    __tablename__ = "setting"
    name: str = _words(key=True)
    value: str = _document()
