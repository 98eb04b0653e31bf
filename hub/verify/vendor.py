"""A system for the simulator: in memory, with everything vendors do to a sync.

Replica and index lag, rows that become visible late, stamps of one second, clocks that are wrong, values cut,
trimmed and re-cased on save, answers lost before and after a write took effect or long before it does, partial
batches, preconditions or none, references or none. People edit it behind the hub's back.

Every write is checked on the spot: an open intent with the same body must exist (law L15).

The hub must never know more than its interface tells: everything that only an oracle may look at (all versions of a
record, the edits of people, which of them our writes fell upon) stands in the records and lists of this class.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.connector import Auth, Connector, Idempotency, Page, Stream
from hub.core.planted import PLANTED
from hub.errors import OutcomeUnknown, QuotaUsedUp, RetryLater
from hub.model import ChangeSet, Json, PushResult, SourceRecord

STREAM = "people"
TEXTS = ("email", "name", "note", "phone")
FIELDS = (*TEXTS, "tags")  # that go by their own name and stand alone
ADDRESS = ("street", "city")  # one value: nobody lives in one street of two towns
CONSENT = "consent.email"
MAX_LATE_S = 20.0  # longest "transaction" after which a stamped row becomes visible
UNSEEN = -1
QUOTA_S = 600.0  # of calls: used up, it comes back with the next of these
LATE_WRITE_S = 100.0  # a write whose answer is lost may still land so much later; below Connection.longest_write_s


def keep(name: str, value: Json) -> Json:
    return value


def trim_and_lower(name: str, value: Json) -> Json:
    if not isinstance(value, str):
        return value
    return value.strip().lower() if name == "phone" else value.strip()


def cut(name: str, value: Json) -> Json:
    return value[:12] if name == "note" and isinstance(value, str) else value


NORMALISERS: Sequence[Callable[[str, Json], Json]] = (keep, trim_and_lower, cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What kind of system this is; drawn per seed."""

    normalise: Callable[[str, Json], Json] = keep
    precondition: bool = False
    tick_s: float = 0.001
    skew_s: float = 0.0
    search_lag_s: float = 0.0
    replica_lag_s: float = 0.0
    late_rows: bool = False
    answers_with_record: bool = True
    tells_writer: bool = True
    hooks: bool = True
    idempotency: Idempotency = Idempotency.UNIQUE_REFERENCE
    page_size: int = 3
    fault_rate: float = 0.0
    max_batch: int = 4
    consent: str = "box"  # how it keeps consent: box (ticked: opted out) or state (with its moment)
    overlap: bool = True  # a read starts a look-back before its cursor; without, the list must never lag
    quota: int = 0  # calls per QUOTA_S; 0: as many as one likes
    loses_hooks: bool = True


@dataclass(slots=True)
class Version:
    """One state of a record."""

    visible_at: float
    stamp: float
    by: str  # "user" or "hub"
    fields: dict[str, Json] | None  # None: deleted
    merged_into: str | None = None  # the record that took its place
    shown: int = UNSEEN  # how deep the deepest worker ran that was shown it; forgotten in a crash


@dataclass(slots=True)
class Edit:
    """What a person did, for the oracle."""

    at: float
    external_id: str
    field: str
    value: Json  # as this system keeps it


@dataclass(slots=True)
class SimVendor:
    """One simulated system; `seam(point)` is called around every call and may crash or let others run."""

    name: str
    traits: Traits
    clock: Callable[[], float]
    rng: random.Random
    seam: Callable[[str], None]
    check_intent: Callable[[str, ChangeSet], None]
    depth: Callable[[], int]  # of the worker that runs: 0, or more if it runs inside another's call
    records: dict[str, list[Version]] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)  # external id -> hub's id
    marked: dict[str, str] = field(default_factory=dict)  # hub's id -> the newest record that carries it
    pages: dict[str, list[list[tuple[str, float]]]] = field(default_factory=lambda: defaultdict(list))
    # ^ cursor -> (id, stamp) of the records that a page showed which it came with; several pages may end alike
    hooks: list[tuple[float, str, float]] = field(default_factory=list)  # (due, id, stamp)
    edits: list[Edit] = field(default_factory=list)
    exposed: set[tuple[str, str, str]] = field(default_factory=set)  # (id, field, value) overwritten unseen
    late: list[tuple[float, Callable[[], object]]] = field(
        default_factory=list
    )  # writes that land after their answer was lost
    belated: set[str] = field(default_factory=set)  # made by a create that landed when its first record was deleted
    faulty: bool = True
    down: bool = False  # nobody gets through
    writes: int = 0
    calls: int = 0
    refused: int = 0  # calls beyond the quota
    serial: int = 0
    used: tuple[int, int] = (0, 0)  # (quota window, calls in it)
    moment: float | None = None
    told: Callable[[str], None] = lambda line: None  # of what the hub wrote, for the story

    # State

    @property
    def guards(self) -> bool:
        """Its precondition tells any two edits apart; one of whole seconds does not (reliability.md, T22)."""
        return self.traits.precondition and self.traits.tick_s < 1.0

    def here(self) -> float:
        """The true time at which something happens."""
        return self.clock() if self.moment is None else self.moment

    def now(self) -> float:
        return self.here() + self.traits.skew_s

    def _append(
        self,
        external_id: str,
        by: str,
        fields: dict[str, Json] | None,
        late: float = 0.0,
        merged_into: str | None = None,
    ) -> float:
        history = self.records.setdefault(external_id, [])
        stamp = int(self.now() / self.traits.tick_s) * self.traits.tick_s
        stamp = max(stamp, history[-1].stamp if history else 0.0)
        history.append(Version(self.here() + late, stamp, by, fields, merged_into))
        if self.traits.hooks:
            luck = self.rng.random() if self.traits.loses_hooks else 0.5
            for _ in range(0 if luck < 0.15 else 2 if luck > 0.85 else 1):  # lost, repeated, or once
                self.hooks.append((self.clock() + self.rng.choice((0, 1, 5, 60, 900)), external_id, stamp))
        return stamp

    def current(self, external_id: str) -> Version:
        return self.records[external_id][-1]

    def forget_readers(self) -> None:
        """The process died: what it was shown may never have reached the store."""
        for version in (each for history in self.records.values() for each in history):
            version.shown = UNSEEN

    def alive(self) -> list[str]:
        return [each for each in sorted(self.records) if self.current(each).fields is not None]

    def land_late(self) -> None:
        """Writes whose time has come take effect now."""
        due = sorted((each for each in self.late if each[0] <= self.clock()), key=lambda each: each[0])
        self.late = [each for each in self.late if each[0] > self.clock()]
        for moment, act in due:
            self.moment = moment  # it landed then, though nobody looked
            act()
        self.moment = None

    # People

    def user_create(self, fields: Mapping[str, Json]) -> str:
        self.serial += 1
        external_id = f"{self.name}{self.serial}"
        self._append(external_id, "user", {n: self.traits.normalise(n, v) for n, v in fields.items()})
        return external_id

    def user_edit(self, external_id: str, name: str, value: Json) -> bool:
        """Somebody changes one field of a record; False if that leaves it as it is."""
        return self.user_change(external_id, {name: value}, name=name)

    def user_change(self, external_id: str, changes: Mapping[str, Json], *, name: str) -> bool:
        """Somebody changes remote fields of a record; `name` is the canonical field that they make up.

        Returns:
            False if that leaves the record as it is, or there is none.
        """
        self.land_late()
        now = self.current(external_id)
        if now.fields is None:
            return False
        kept = {field: self.traits.normalise(field, value) for field, value in changes.items()}
        if all(now.fields.get(field) == value for field, value in kept.items()):
            return False
        late = self.rng.choice((0.0, 0.0, 3.0, MAX_LATE_S)) if self.traits.late_rows and self.faulty else 0.0
        self._append(external_id, "user", {**now.fields, **kept}, late)
        self.edits.append(Edit(self.clock(), external_id, name, held_value(kept, name)))
        return True

    def user_delete(self, external_id: str) -> None:
        self.land_late()
        if self.current(external_id).fields is not None:
            self._append(external_id, "user", None)

    def user_merge(self, survivor: str, loser: str, *, anew: bool = False) -> str:
        """Two records become one with the survivor's values, perhaps under a new id; the others are merged away."""
        self.land_late()
        left = self.user_create(self.current(survivor).fields or {}) if anew else survivor
        for each in (loser, survivor) if anew else (loser,):
            if self.current(each).fields is not None:
                self._append(each, "user", None, merged_into=left)
        return left

    def user_restore(self, external_id: str) -> None:
        """A record that was deleted or merged away comes back as it was last."""
        self.land_late()
        last = next((each for each in reversed(self.records[external_id]) if each.fields is not None), None)
        if self.current(external_id).fields is None and last is not None:
            self._append(external_id, "user", last.fields)

    # The interface, as a connector

    def connector(self) -> Connector:
        traits = self.traits
        lag_s = self._lag()
        stream = Stream(
            name=STREAM,
            lookback_s=self._look_back(),
            lag_s=lag_s,
            fetch_lag_s=lag_s,
            writes=frozenset({"create", "update", "delete"}),
            max_batch=traits.max_batch,
            stamp_tick_s=traits.tick_s,
            precondition="version" if traits.precondition else "none",
            idempotency=traits.idempotency,
            key_life_s=3600.0,
            marker="hub_id",
            answers_with_record=traits.answers_with_record,
            deletes="tombstone",
        )
        return Connector(
            name=self.name, title=self.name, base_url="", hosts=(), auth=(Auth(kind="none"),), limits=(),
            streams=(stream,), connect=lambda door, settings: self, check=lambda api: {"account": self.name},
            discover=lambda api, name: (), pull=lambda api, name, cursor: self.pull(cursor),
            fetch=lambda api, name, ids: self.fetch(ids), find=lambda api, name, path, value: self.find(value),
            push=lambda api, name, changes: self.push(changes),
        )  # fmt: skip

    def _lag(self) -> float:
        return self.traits.replica_lag_s + (MAX_LATE_S if self.traits.late_rows else 0.0)

    def _look_back(self) -> float:
        """How far a read goes back behind its cursor."""
        if not self.traits.overlap or "no_overlap" in PLANTED:
            return 0.0
        return self.traits.search_lag_s + MAX_LATE_S + self.traits.tick_s + 5.0

    def _call(self) -> None:
        self.seam("call:before")
        self.calls += 1
        self.land_late()
        if self.down:
            raise RetryLater("down", after_s=60.0)
        if not self.faulty:
            return
        window = int(self.clock() / QUOTA_S)
        self.used = (window, self.used[1] + 1 if self.used[0] == window else 1)
        if self.traits.quota and self.used[1] > self.traits.quota:
            self.refused += 1
            raise QuotaUsedUp("the quota is used up", after_s=(window + 1) * QUOTA_S - self.clock())
        if self.rng.random() < self.traits.fault_rate:
            raise RetryLater("throttled or down", after_s=1.0)

    def _visible(self, external_id: str, lag: float) -> Version | None:
        history = [each for each in self.records[external_id] if each.visible_at <= self.clock() - lag]
        return history[-1] if history else None

    def _record(self, external_id: str, version: Version) -> SourceRecord:
        data = {} if version.fields is None else {**version.fields, "id": external_id}
        version.shown = max(version.shown, self.depth())
        gone = "delete" if version.merged_into is None else "merged_into"
        return SourceRecord(
            external_id=external_id, data=data, stamp=version.stamp, op=gone if version.fields is None else "upsert",
            merged_into=version.merged_into, marker=self.markers.get(external_id),
            by_hub=version.by == "hub" if self.traits.tells_writer else None,
        )  # fmt: skip

    def pull(self, cursor: Json) -> Page:
        """Ascending by (stamp, id) from the cursor; a fresh pull starts a look-back earlier."""
        self._call()
        lag = self.traits.search_lag_s if self.faulty else 0.0
        start = tuple(cursor["page"]) if cursor and "page" in cursor else (self._start(cursor), "")
        rows = [
            (version.stamp, external_id, version)
            for external_id in self.records
            if (version := self._visible(external_id, lag)) is not None and self._is_after(version, external_id, start)
        ]
        rows.sort(key=lambda row: row[:2])
        page, rest = rows[: self.traits.page_size], rows[self.traits.page_size :]
        top = max([each[0] for each in page] + [(cursor or {}).get("top", 0.0)])
        done = not rest
        following = {"top": top} if done else {"top": top, "page": [page[-1][0], page[-1][1]]}
        result = Page(
            records=[self._record(external_id, version) for _, external_id, version in page], next_cursor=following,
            complete=done, read_at=self.now(),
        )  # fmt: skip
        self.pages[repr(following)].append([(external_id, version.stamp) for _, external_id, version in page])
        self.seam("call:after")
        return result

    def _is_after(self, version: Version, external_id: str, start: tuple[float, str]) -> bool:
        if "strict_cursor" in PLANTED:  # rows that share the stamp of a page's last row are skipped
            return version.stamp > start[0]
        return (version.stamp, external_id) > start

    def _start(self, cursor: Json) -> float:
        return cursor["top"] - self._look_back() if cursor else 0.0

    def fetch(self, ids: Sequence[str]) -> list[SourceRecord]:
        self._call()
        found = []
        for external_id in ids:
            lag = self.rng.choice((0.0, 0.0, 0.0, self.traits.replica_lag_s)) if self.faulty else 0.0
            version = self._visible(external_id, lag) if external_id in self.records else None
            if version is not None:
                found.append(self._record(external_id, version))
        self.seam("call:after")
        return found

    def find(self, marker: str) -> list[SourceRecord]:
        self._call()
        lag = self.traits.search_lag_s if self.faulty else 0.0
        found = []
        for external_id, mark in self.markers.items():
            version = self._visible(external_id, lag)
            if mark == marker and version is not None:
                found.append(self._record(external_id, version))
        self.seam("call:after")
        return found

    def push(self, changes: Sequence[ChangeSet]) -> list[PushResult]:
        shown = [self._was_shown(change) for change in changes]
        self._call()
        for change in changes:
            self.check_intent(self.name, change)
        results = [self._write(index, change, shown[index]) for index, change in enumerate(changes)]
        self.seam("call:after")
        if self.faulty and self.rng.random() < self.traits.fault_rate:
            raise OutcomeUnknown("the answer was lost")
        self.rng.shuffle(results)
        return results

    def _was_shown(self, change: ChangeSet) -> Version | None:
        """The record as it is, if a worker was shown it and took it in before this was sent.

        A worker in whose call this one runs may have been shown it, too, but has it still in hand.
        """
        now = self.records[change.external_id][-1] if change.external_id in self.records else None
        return now if now is not None and now.shown >= self.depth() else None

    def _write(self, index: int, change: ChangeSet, shown: Version | None) -> PushResult:
        luck = self.rng.random() if self.faulty else 1.0
        if luck < self.traits.fault_rate / 2:
            return PushResult(index=index, outcome="unknown")  # never happens
        if luck < self.traits.fault_rate:
            due = self.clock() + self.rng.choice((0.0, 2.0, 30.0, LATE_WRITE_S))
            self.late.append((due, lambda: self._apply(index, change, shown)))
            return PushResult(index=index, outcome="unknown")  # happens, now or later
        return self._apply(index, change, shown)

    def _apply(self, index: int, change: ChangeSet, shown: Version | None) -> PushResult:
        if change.op == "create":
            return self._create(index, change)
        assert change.external_id is not None
        now = self.current(change.external_id)
        if now.fields is None:
            return PushResult(index=index, outcome="not_found")
        if self.traits.precondition and change.stamp is not None and now.stamp != change.stamp:
            return PushResult(index=index, outcome="stale")
        if change.op == "delete":
            self._append(change.external_id, "hub", None)
            self.writes += 1
            return self._answer(index, change.external_id)
        fields = dict(now.fields)
        for name, value in change.body.items():
            if now is not shown and spoken(now.fields, name) != before(change, name):  # no excuse for what was shown
                self.exposed.add((change.external_id, name, str(now.fields.get(name))))
            fields[name] = self.traits.normalise(name, [] if value is None and name == "tags" else value)
        self._append(change.external_id, "hub", fields)
        self.told(f"{self.name} hub writes {change.external_id}: {dict(change.body)!r}")
        self.writes += 1
        return self._answer(index, change.external_id)

    def _create(self, index: int, change: ChangeSet) -> PushResult:
        known = self.marked.get(change.reference)
        exists = known is not None and self.current(known).fields is not None
        if known is not None and exists and self.traits.idempotency is not Idempotency.SEARCHABLE_REFERENCE:
            return self._answer(index, known)
        self.serial += 1
        external_id = f"{self.name}{self.serial}"
        if known is not None and not exists and self.moment is not None:
            self.belated.add(external_id)
        fields = {n: self.traits.normalise(n, v) for n, v in {**blank_record(self.traits), **change.body}.items()}
        self.markers[external_id] = change.reference
        self.marked[change.reference] = external_id
        self._append(external_id, "hub", fields)
        self.told(f"{self.name} hub creates {external_id} ({fields['code']})")
        self.writes += 1
        return self._answer(index, external_id)

    def _answer(self, index: int, external_id: str) -> PushResult:
        held = self._record(external_id, self.current(external_id)) if self.traits.answers_with_record else None
        return PushResult(index=index, outcome="applied", external_id=external_id, held=held)


def blank_record(traits: Traits) -> dict[str, Json]:
    """A record in which nothing is filled in."""
    consent = {"optout": False} if traits.consent == "box" else {"marketing": {"marketingState": "NOT_SUBSCRIBED"}}
    return {**dict.fromkeys((*TEXTS, *ADDRESS, "code")), "tags": [], **consent}


def held_value(fields: Mapping[str, Json], name: str) -> Json:
    """What these fields of a record come to as one canonical value: of an address, or of the first of them."""
    if name == "address":
        return {part: fields[part] for part in ADDRESS}
    return next(iter(fields.values()))


def spoken(fields: Mapping[str, Json], remote: str) -> Json:
    """A remote field as it is compared: of a consent object only what it says."""
    if remote == "marketing":
        return {"SUBSCRIBED": "opted_in", "UNSUBSCRIBED": "opted_out"}.get(fields[remote]["marketingState"])
    return fields.get(remote)


def before(change: ChangeSet, remote: str) -> Json:
    """What the hub believes the record to hold in a remote field, from the change set's before-image."""
    if remote in ADDRESS:
        return (change.before.get("address") or {}).get(remote)
    consent = change.before.get(CONSENT)
    if remote == "optout":
        return consent is not None and consent["state"] == "opted_out"
    if remote == "marketing":
        return consent and consent["state"]
    return change.before.get(remote)
