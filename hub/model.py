"""Every frozen type the rooms share. Read this file first; it explains the rest.

The way of one record: a `SourceRecord` arrives, the mapping turns it into a `MappedRecord`, what differs from the
link's *held* values becomes `Claim`s, the set of claims of an entity decides its values, and what a system still
lacks becomes a `ChangeSet`, which leaves as an `Intent` and is settled by proof.

Times here are epoch seconds (float, UTC); a canonical *value* that is a time is ISO 8601 text. Canonical values are
plain JSON, in one normal form per type, so that equal values are equal JSON:

    text, email, phone (E.164), host, url, country (ISO 3166 alpha-2), enum     str
    boolean                                                                    bool
    integer                                                                    int
    decimal                                                                    str, plain notation ("12.5")
    money                                                                      {"minor": 1250, "currency": "EUR"}
    date                                                                       "2026-11-02"
    instant                                                                    "2026-11-02T08:10:00Z" (fraction if any)
    set                                                                        sorted list of element values
    group                                                                      {part: value or None}
    consent                                                                    {"state": ..., "at": ..., "source": ...}
    ref                                                                        entity id (int)

Invariant: nothing in this module reads the world or decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Json = Any  # decoded JSON; the only use of Any outside adapters to other people's code

LONG_AGO = -1.0  # before every instant: the open end of a first contact's window
NO_VERSION = -1  # before every version: the base of an author who was shown nothing; "agreed: none"
WHOLE = ""  # the one part of a value that is no set
ANY_NAME = "*"  # in a live schema: whatever a sender names may come; nobody can be asked what that is


class LinkState(StrEnum):
    """What is known of a link's record over there."""

    WANTED = "wanted"  # a create is due; no external id yet
    LIVE = "live"
    GONE = "gone"  # deleted, on positive evidence
    MERGED_INTO = "merged_into"  # retired id, kept as an alias for ever
    DUPLICATE = "duplicate"  # a second record of one entity in one stream: heard, not written
    NOT_VISIBLE = "not_visible"  # unreadable, without evidence of a delete
    OUT_OF_SCOPE = "out_of_scope"  # still heard, never written
    FOREIGN_ACCOUNT = "foreign_account"  # belongs to another account or sandbox
    DETACHED = "detached"  # left its mapping's scope, which cuts such links: neither heard nor written


class ConflictKind(StrEnum):
    """Why claims could not simply agree."""

    CONCURRENT = "concurrent"  # windows overlap, nobody had seen the other
    REFUSED = "refused"  # a later claim that a rule or a ruling does not let through
    FIRST_CONTACT = "first_contact"  # no clock can order them; closed by rule
    SUPERSEDED = "superseded"  # overtaken in the very transaction that brought it
    EDIT_DELETE = "edit_delete"  # edited here, deleted there; or a person is to say what a delete means
    OSCILLATION = "oscillation"  # two systems keep overwriting each other


class Claim(NamedTuple):
    """A link says: this value, put there within (after, before], by an author who had been shown `base`."""

    link: int  # link id
    value: Json  # canonical; for an element of a set True (added) or False (removed)
    after: float  # newest instant at which the old value was still there
    before: float  # the read that showed the new one, or the vendor's own field time
    base: int  # `agreed` of the cell when the edit was seen
    taken: int  # version of the transaction that took it in


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Per link and field: what the system was last seen to hold, and what we know about it."""

    held: Json = None  # canonical terms; None: blank
    agreed: int = NO_VERSION  # version at which the value we last proved to be there left the entity
    own: Mapping[str, Claim] = field(default_factory=dict)  # part -> claim; parts: WHOLE, or elements of a set


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldState:
    """Per entity and field: the value, its version, and the winning claims that outlive their systems."""

    value: Json = None
    version: int = NO_VERSION  # of the transaction that last changed the value
    memory: Mapping[str, Claim] = field(default_factory=dict)  # part -> winning claim
    ruling: int | None = None  # id of the ruling that stands, if any
    frozen: int | None = None  # version since which it stands still: two systems keep overwriting each other
    withdrawn: bool = False  # blank since a split: another's value leaves every system, also where blanks are kept


@dataclass(slots=True, kw_only=True)  # never changed; to freeze it would double what making one costs
class SourceRecord:
    """One record as the system sent it."""

    external_id: str
    data: Mapping[str, Json]  # the vendor's shape, decoded; empty for op "delete"
    stamp: float | None = None  # the vendor's modification time, epoch seconds UTC; None: the stream has none
    op: str = "upsert"  # upsert, delete, archive, merged_into, restore
    merged_into: str | None = None  # surviving external id, for op merged_into
    marker: str | None = None  # the hub's id that this record carries
    by_hub: bool | None = None  # last writer is the hub's own user; None: the vendor does not tell
    etag: str | None = None  # precondition token, where the vendor has one besides the stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFault:
    """One value that could not be mapped, checked or written."""

    code: str  # stable, e.g. MAP-014
    field: str  # canonical field or remote path; "" for the whole record
    message: str  # what was wrong, without the personal value where that is not needed
    fix: str  # what to do
    value: Json = None  # kept for the person who mends it


class Reference(NamedTuple):
    """A value that names another record of the same connection; resolved to an entity through its link."""

    stream: str
    external_id: str


@dataclass(slots=True, kw_only=True)  # never changed, like SourceRecord
class MappedRecord:
    """A source record in canonical terms. A field that is missing was not there; None means blank."""

    source: SourceRecord
    values: Mapping[str, Json]  # canonical field (groups assembled: the parts that the mapping names) -> value
    references: Mapping[str, Reference | None] = field(default_factory=dict)  # canonical field -> record it names
    faults: Sequence[CellFault] = ()
    acted_at: float | None = None  # streams of acts: the moment it speaks at (claims_at)


@dataclass(slots=True, kw_only=True)
class LinkRow:
    """A link as stored. `shadow` is the compact document that core.shadow reads and writes."""

    id: int
    connection: str
    stream: str
    external_id: str | None  # None while wanted
    entity_id: int  # its own entity, also after a merge; ask for the root
    state: str = LinkState.LIVE
    stamp: float | None = None  # newest accepted modification stamp
    read_at: float | None = None  # newest accepted read, by the hub's clock
    hash: str | None = None  # of the last accepted source record
    shadow: dict[str, Json] = field(default_factory=dict)
    raw: bytes | None = None  # last accepted source record: canonical JSON, compressed where that is worth it
    behind_since: float | None = None  # a write may be due since then
    retry_at: float | None = None  # not before this; None: at once
    attempts: int = 0  # failed pushes in a row
    marker: str | None = None  # the hub id that was put on the record, if the hub created it
    hold_id: int | None = None  # a guard keeps its create, or its removal, back
    mapping_version: int = 0  # of the mapping through which its record was last read
    leaving: str | None = None  # "archive" or "delete": due there, since the record was deleted elsewhere


@dataclass(slots=True, kw_only=True)
class EntityRow:
    """An entity as stored. `fields` is the compact document that core.shadow reads and writes."""

    id: int
    type: str
    version: int = NO_VERSION  # newest version of any field
    state: str = "live"  # live, alias, deleted, erased
    alias_of: int | None = None
    values: dict[str, Json] = field(default_factory=dict)
    fields: dict[str, Json] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One entity in one commit."""

    entity_id: int
    version: int
    at: float
    changes: Mapping[str, Json]  # field -> {"old":, "new":, "link":, "rule":, "window": [after, before]}
    run_id: int | None
    mapping_version: int
    actor: str  # "sync", or the person


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictRow:
    """Claims that could not simply agree, whoever settled it."""

    entity_id: int
    field: str
    kind: str  # ConflictKind
    candidates: Sequence[
        Mapping[str, Json]
    ]  # claims as documents: link, connection, value, after, before, base, taken, part
    digest: str  # of the candidates and the winner; the same conflict is stored once
    winner: Json  # the value that stands
    winner_link: int | None  # None: a ruling, or the value that stood before
    decided_by: str  # "rule:source", "ruling:7", "" while open
    state: str = "closed"  # open, closed
    at: float = 0.0
    version: int = NO_VERSION
    run_id: int | None = None
    id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingRow:
    """A person's claim on one field; no machine overrides it."""

    id: int
    entity_id: int
    field: str
    value: Json
    version: int
    by: str
    at: float
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Intent:
    """A write that has left or is about to. Frozen when stored; closed only by proof."""

    id: int
    connection: str
    stream: str
    link_id: int
    entity_id: int
    op: str  # create, update, archive, delete
    values: dict[str, Json]  # canonical field -> value as frozen
    body: dict[str, Json]  # remote field -> value as sent
    version: int  # the store's version when the values were frozen
    external_id: str | None
    pre_stamp: float | None  # the record's stamp when read before
    reference: str  # the hub's id put on a created record, and the client reference
    idempotency_key: str
    created_at: float
    first_sent: float | None = None
    last_possible: float | None = None  # latest instant at which the last attempt can still land
    state: str = "open"  # open (not sent yet, or unknown), acked; closed: done, not_done, unexplained, superseded, gone
    before: dict[str, Json] = field(default_factory=dict)  # before-image: canonical field -> held
    run_id: int | None = None
    landed_at: float | None = None  # hub's clock when the read began that proved it; what it shows besides is not news


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What one system still lacks for one entity, computed when sent."""

    link_id: int
    entity_id: int
    op: str  # create, update, archive, delete
    external_id: str | None
    values: Mapping[str, Json]  # canonical field -> wanted value
    before: Mapping[str, Json]  # canonical field -> held
    stamp: float | None = None  # precondition: the record as of this stamp
    etag: str | None = None
    body: Mapping[str, Json] = field(default_factory=dict)  # remote field -> value
    reference: str = ""  # the hub's id for a create
    idempotency_key: str = ""
    faults: Sequence[CellFault] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What became of one change set. One per change, matched by `index`."""

    index: int  # position in the list of changes
    outcome: str  # applied, rejected, stale, duplicate, not_found, throttled, auth_expired, unknown
    external_id: str | None = None
    held: SourceRecord | None = None  # the record as the vendor now holds it; None: must be read back
    code: str = ""  # the vendor's or our code, for rejected
    field: str = ""  # remote field at fault, if known
    message: str = ""
    retry_after_s: float | None = None
    existing_id: str | None = None  # for duplicate: the record that is already there


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something a customer did: a stored fact, one per event type and entity (and value, where `each` is declared)."""

    key: str  # unique: event name, entity id (and the value of its `each` field)
    name: str  # "order.paid"
    entity_id: int  # whose condition turned true; stays what it is through merges
    subject_id: int | None  # the contact (or owner) it belongs to, as that entity names it now, before all merges
    at: float  # when it happened, by the vendor's clock where it tells
    source: str  # connection that brought it
    silent: bool  # first load: known, never acted upon
    values: Mapping[str, Json] = field(default_factory=dict)
    id: int | None = None
    version: int | None = None  # of the transaction that noticed it; None: noticed by a hub that did not keep it
    noticed_at: float | None = None
    withdrawn_at: float | None = None  # its condition holds no more: since then it did not happen; None: it stands


@dataclass(slots=True, kw_only=True)
class Grant:
    """One reward owed to one subject under one rule."""

    id: int
    key: str  # hash of the canonical tuple (rule, subject root, period or event, instance)
    rule: str
    subject_id: int  # entity: contact or owner
    event_id: int | None
    connection: str
    product: str
    amount: str  # decimal text
    currency: str
    budget: str  # with its period: "thanks@2026-11"
    reference: str  # the provider's unique reference (poNumber)
    state: str  # of hub.core.rewards.GrantState
    recipient: dict[str, Json]
    not_before: float
    first_sent: float | None = None
    last_possible: float | None = None
    order_id: str | None = None
    attempts: int = 0
    epoch: int = 0
    created_at: float = 0.0
    detail: str = ""
    deliver: str | None = None  # screen: a website shows it; "connection/template": a message; None: the provider tells
    parent_id: int | None = None  # the grant that this one is the message about


@dataclass(slots=True, kw_only=True)
class Firing:
    """One cause that a rule of triggers.yaml answered, and what became of it."""

    id: int
    key: str  # hash of (hub, rule, cause): once each
    rule: str
    rule_version: int  # of triggers.yaml; 0: not published
    action: str  # of hub.core.triggers.ACTIONS
    subject_id: int | None  # entity that it is done for
    entity_id: int  # that the cause happened to
    cause: str  # key of the event, or of the change
    topic: str  # what was the same, of a repeated event
    state: str  # of hub.core.triggers.FiringState
    reason: str
    at: float  # when the cause happened
    created_at: float
    not_before: float
    attempts: int = 0
    done_at: float | None = None
    result: str = ""  # what came of it: "grant 7", "task 12", "HTTP 200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """This record changed, read it; done only when a read new enough was accepted."""

    id: int
    connection: str
    stream: str
    external_id: str
    not_before_stamp: float | None
    attempts: int
    due_at: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """A record or field that could not be mapped, validated or written."""

    connection: str
    stream: str
    external_id: str
    field: str
    direction: str  # in, out
    code: str
    message: str
    fix: str
    value: Json
    at: float
    run_id: int | None
    entity_id: int | None = None
    link_id: int | None = None
    id: int | None = None
    state: str = "open"  # open, mended, dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """Changes withheld by a guard until a person releases or drops them."""

    id: int
    guard: str  # deletes, blanks, one_value, consent_flips, owner_changes, creates, first_contact, rolled_back, rewards
    connection: str
    stream: str
    field: str
    count: int
    of: int
    state: str  # open, released, dropped
    message: str
    at: float
    run_id: int | None
    ceiling: int = 0  # a release lets this many through


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One execution of pull and/or push for a connection."""

    id: int
    connection: str
    kind: str  # sync, webhook, backfill, plan
    started_at: float
    ended_at: float | None = None
    status: str = "running"  # running, success, partial, failed, paused, interrupted
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
