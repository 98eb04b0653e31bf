"""Row types that only the store and its callers share; those that the core knows too are in hub/model.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, Required, TypedDict

from hub.model import Json


class TombstoneRow(TypedDict, total=False):
    """Proof that a record was deleted."""

    connection: Required[str]
    stream: Required[str]
    external_id: Required[str]
    link_id: int | None
    entity_id: int | None
    evidence: Required[str]
    at: Required[float]
    keys: Sequence[str]  # keyed hashes of what identified it; the values themselves are gone
    stamp: float | None  # the vendor's time of the delete, if it told


class IdentityRow(TypedDict):
    """Something known or asked about which entities are one.

    Kinds: review (a pair that a person shall look at), never and always (a person's ruling on a pair), merge, unmerge,
    crowded (a key that too many share: it is no evidence), parted (a record that came back after a merge).
    """

    kind: str
    at: float
    by: str  # what or who says so
    id: NotRequired[int]
    state: NotRequired[str]  # open (of a merge: due), later, accepted, refused, undone; "open" unless given
    key: NotRequired[str | None]  # unique within its kind: the same pair, the same crowded key
    entity_id: NotRequired[int | None]  # the survivor of a merge; the smaller of a pair; None: records without entity
    other_id: NotRequired[int | None]  # the alias of a merge; the greater of a pair
    score: NotRequired[float | None]  # probability that they are one, 0-1
    evidence: NotRequired[Json]
    before: NotRequired[Json]  # before-images that an unmerge needs
    version: NotRequired[int]
    run_id: NotRequired[int | None]
    note: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStreamRow:
    """What one run did to one stream in one direction."""

    run_id: int
    stream: str
    direction: str  # in, out
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """One scheduled moment of a connection, and what became of it."""

    connection: str
    due_at: float
    outcome: str  # ran, skipped, missed
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """Who may do something that only one may do."""

    name: str
    owner: str
    epoch: int  # rises with every new holder; an older one is fenced off by it
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantEntry:
    """One line of a grant's ledger; never changed, never removed."""

    id: int
    grant_id: int
    kind: str  # reserved, sent, issued, rejected, reversed, adjusted …
    amount: str  # decimal text
    at: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTally:
    """So many grants of one rule that are in one state and of one amount."""

    rule: str
    state: str
    currency: str
    amount: str  # decimal text, of each
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """What one budget may still give in one period, in minor units."""

    budget: str
    period: str
    cap_minor: int
    reserved_minor: int
    spent_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointUseRow:
    """Points of one person that were used."""

    id: int
    key: str
    subject_id: int
    points: int
    text: str  # what for
    by: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingVersionRow:
    """One published version of a mapping or of another configuration file."""

    name: str
    version: int
    kind: str  # mapping, canonical, rewards, hub …
    digest: str
    by: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One thing that a person (or a command) did."""

    id: int
    actor: str
    action: str
    target: str
    before: Json
    after: Json
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """One person who may sign in."""

    name: str
    role: str  # admin, support, viewer, approver
    password_hash: str = field(repr=False)
    active: bool
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One browser that signed in."""

    id: str  # digest of what its cookie holds
    user: str
    created_at: float
    seen_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTokenRow:
    """What a program signs in with."""

    id: str  # digest of the token
    name: str  # what people call it
    user: str  # in whose name it acts
    scopes: Sequence[str]
    created_at: float
    expires_at: float
    used_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """A file of the project as somebody is writing it."""

    name: str
    content: str
    base: str  # digest of the text that it was begun from
    by: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRow:
    """What somebody wrote beside something."""

    id: int
    target: str  # "conflict:7", "quarantine:3", "contact:42"
    by: str
    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewColumn:
    """One column of a typed view."""

    name: str
    path: Sequence[str]  # where it stands in the entity's values: ("address", "city")
    type: str = "text"  # text, integer, decimal, boolean, date, instant, json


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """One typed view: an entity type as people with SQL tools see it."""

    entity_type: str
    columns: Sequence[ViewColumn]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPartRow:
    """Some hundred writes of a plan."""

    part: int  # from 1; 0 is everything but the writes
    head: Json  # what is in it, counted
    content: bytes  # compressed


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedViewRow:
    """A way of looking at a list that somebody gave a name."""

    page: str
    user: str
    name: str
    query: str  # as it stands in the address
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan that waits for approval, or was decided; its writes are read with it only when one plan is asked for."""

    id: int
    digest: str  # of its document
    kind: str  # sync, undo
    state: str  # waiting, approved, applied, rejected, superseded
    connection: str  # "" if it writes to several
    made_at: float
    made_by: str
    decided_at: float | None = None
    decided_by: str = ""
    note: str = ""
    summary: Json = None  # per connection: creates, updates …
    runs: Sequence[int] = ()  # that carried it out
    outcome: Json = None  # what became of its writes
    content: bytes = b""  # the document, compressed; empty in lists
    parts: Sequence[PlanPartRow] = ()  # the same for pages; only when it is put in
