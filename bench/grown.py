"""A store that has grown: many contacts, each as a real page of two systems was taken in, with what years leave behind.

A few hundred people are read by the engine itself; all others are copies of their rows with other addresses and ids,
put in a thousand at a time. So every document in it has the shape that the engine writes, and a store of 350,000
contacts is there in minutes instead of hours. What people did to it (history, conflicts, runs, quarantine, rewards …)
stands in the proportions of `SHARES`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.load import HERE, SETTINGS, STREAM, TOKEN
from bench.people import draw, moment
from hub.app.board import refresh
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.due import Sheet
from hub.app.ingest import ingest_page
from hub.app.plan_document import document_of
from hub.app.plan_pages import parts_of
from hub.app.planned import PlannedWrite
from hub.app.proposals import APPLIED, WAITING, new_row
from hub.app.transact import commit
from hub.core.triggers import FiringState
from hub.model import (
    ConflictRow,
    EntityRow,
    EventRow,
    Firing,
    Grant,
    HistoryRow,
    Intent,
    LinkRow,
    QuarantineRow,
    SourceRecord,
)
from hub.store import Tx
from hub.store.rows import PlanRow

SEED = 400  # records of both systems that the engine reads
AT_ONCE = 1000
PLUM = ("client_id", "client_secret", "refresh_token")
DAY_S = 86_400.0
SYSTEMS = {"first": "salesforce", "second": "hubspot"}
NOWHERE = "http://127.0.0.1:9"  # discard (RFC 863): a page that asks a system fails here at once

# Rows per contact.
SHARES: Mapping[str, float] = {
    "history": 0.6, "decided": 0.03, "first_contact": 0.05, "open": 0.001, "quarantine": 0.004, "events": 0.4,
    "grants": 0.02, "firings": 0.02, "intents": 0.2, "runs": 0.06, "pairs": 0.002, "held": 0.01, "behind": 0.02,
    "audit": 0.03,
}  # fmt: skip

ORDERS = """\
  order:
    text: A purchase.
    fields:
      total: {type: money, text: What was paid.}
      contact: {type: ref, to: contact, text: Who bought.}
      paid_at: {type: instant, text: When it was paid.}
    events: {paid: {when: "paid_at is not None", at: paid_at}}
"""
REWARDS = """\
language: 1
budgets:
  thanks: {amount: 2000 EUR, per: month}
rules:
  big_order:
    text: A gift card for an order over 500.
    on: order.paid
    when: "order.total >= 500"
    who: contact
    give: {connection: plum, product: "5671", amount: 25 EUR, deliver: provider}
    once_per: event
    budget: thanks
    active_from: 2026-01-01T00:00:00Z
"""
TRIGGERS = """\
language: 1
rules:
  big_order:
    text: The team hears of an order over 500.
    on: order.paid
    when: "order.total >= 500"
    who: contact
    do: {notice: {team: Somebody has ordered for more than 500.}}
    active_from: 2026-01-01T00:00:00Z
"""
KPIS = """\
language: 1
kpis:
  new_people:
    {text: People who became known., unit: number, direction: up, of: contact, at: known, formula: {kind: count}}
  orders:
    text: What was ordered, by the system that told it.
    unit: number
    direction: up
    of: order
    at: event.paid
    formula: {kind: count}
"""
GOALS = """\
language: 1
goals:
  more: {kpi: new_people, baseline: 1, target: 9000000, since: 2026-01-01, deadline: 2027-12-31, owner: kim@example.com}
"""
SEGMENTS = """\
language: 1
segments:
  buyers: {when: "job_title == 'Buyer'", text: They buy for others.}
"""


def write_grown_project(folder: Path) -> None:
    """Two systems of contacts, a provider of rewards, none of which is there."""
    mappings = folder / "mappings"
    mappings.mkdir(parents=True, exist_ok=True)
    own = HERE / "project"
    (mappings / "canonical.yaml").write_text((own / "canonical.yaml").read_text("utf-8") + ORDERS, "utf-8")
    own_rules = {"rewards": REWARDS, "triggers": TRIGGERS, "kpis": KPIS, "goals": GOALS, "derived": SEGMENTS}
    for name, text in own_rules.items():
        (mappings / f"{name}.yaml").write_text(text, "utf-8")
    (mappings / "plum.yaml").write_text("connector: plum\nlanguage: 1\nstreams: {}\n", "utf-8")
    lines = ["hub: {name: grown, currency: EUR, country: DE, timezone: Europe/Berlin}", "connections:"]
    for name, connector in SYSTEMS.items():
        (mappings / f"{name}.yaml").write_text((own / f"{connector}.yaml").read_text("utf-8"), "utf-8")
        lines += [
            f"  {name}:", f"    connector: {connector}", f"    mapping: {name}.yaml", "    mode: propose",
            "    local: true", f'    base_url: "{NOWHERE}"', "    auth: {kind: token, token: env:BENCH_TOKEN}",
            f"    {SETTINGS[connector]}",
        ]  # fmt: skip
    lines += [
        "  plum:", "    connector: plum", "    local: true", f'    base_url: "{NOWHERE}"',
        f"    auth: {{kind: refresh_token, {', '.join(f'{name}: env:BENCH_TOKEN' for name in PLUM)}}}",
    ]  # fmt: skip
    (folder / "hub.yaml").write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def grown(folder: Path, url: str, contacts: int) -> Iterator[Hub]:
    """A hub over a store with so many contacts."""
    write_grown_project(folder)
    hub = open_hub(folder, environ=TOKEN, url=url, publish=True, by="bench")
    try:
        grow(hub, contacts)
        yield hub
    finally:
        hub.store.close()


def grow(hub: Hub, contacts: int, seed: int = 1) -> None:
    """Fill an empty store."""
    rng = random.Random(seed)
    now = hub.clock.now()
    pattern = _pattern(hub, min(SEED, contacts))
    made = len(pattern.people)
    while made < contacts:
        part = pattern.people[: min(len(pattern.people), contacts - made)]
        with hub.store.transaction() as tx:
            _copy(tx, pattern, part, made)
        made += len(part)
    for part in _parts(hub, contacts):
        with hub.store.transaction() as tx:
            _lived(tx, rng, part, now)
    _worked(hub, rng, contacts, now)
    refresh(hub, owner="bench")
    if hub.store.many_writers:
        hub.store.tidy()  # what PostgreSQL does by itself within minutes: it counts rows, and frees what was updated


# The pattern


class Pattern:
    """The people that the engine read, and their records."""

    def __init__(self, people: Sequence[EntityRow], links: Mapping[int, Sequence[LinkRow]]) -> None:
        self.people, self.links = people, links


def _pattern(hub: Hub, records: int) -> Pattern:
    for (name, connection), rows in zip(_systems(hub), draw(records), strict=True):
        page = [SourceRecord(external_id=row.id, data=row.data, stamp=row.stamp) for row in rows]
        ingest_page(hub, connection, STREAM, page, read_at=hub.clock.now(), first_load=True)
        assert connection.name == name  # noqa: S101
    with hub.store.reading() as tx:
        people = tx.entities_page("contact", limit=records)
        links: dict[int, list[LinkRow]] = {}
        for link in tx.links_of([row.id for row in people]):
            links.setdefault(link.entity_id, []).append(link)
    return Pattern(people, links)


def _systems(hub: Hub) -> list[tuple[str, Any]]:
    return [(name, hub.connections[name]) for name in SYSTEMS]


def _copy(tx: Tx, pattern: Pattern, people: Sequence[EntityRow], made: int) -> None:
    """The same people once more, with other addresses, numbers and ids."""
    links = [link for row in people for link in pattern.links[row.id]]
    entity_ids = dict(zip([row.id for row in people], tx.reserve_ids("entity", len(people)), strict=True))
    link_ids = dict(zip([link.id for link in links], tx.reserve_ids("link", len(links)), strict=True))
    version = tx.next_version()
    fresh = [
        replace(
            row, id=entity_ids[row.id], version=version, values=_renamed(row.values, made + place),
            fields=_moved(row.fields, link_ids, "m"),
        )
        for place, row in enumerate(people)
    ]  # fmt: skip
    tx.insert_entities(fresh)
    tx.set_keys([(row.id, row.type, {("email", row.values["email"].lower())}) for row in fresh])
    tx.insert_links(
        [
            replace(
                link, id=link_ids[link.id], entity_id=entity_ids[link.entity_id],
                external_id=f"{link.external_id}-{link_ids[link.id]}", shadow=_moved(link.shadow, link_ids, "own"),
            )
            for link in links
        ]
    )  # fmt: skip


def _renamed(values: Mapping[str, Any], number: int) -> dict[str, Any]:
    name, _, domain = values["email"].partition("@")
    return {**values, "email": f"{name}.{number}@{domain}"}


def _moved(document: Mapping[str, Any], links: Mapping[int, int], default: str) -> dict[str, Any]:
    """A packed document (hub.core.shadow) with the claims of other links."""
    found = {**document, default: _claims(document[default], links)}
    if "x" in document:
        found["x"] = {name: [its[0], _claims(its[1], links), *its[2:]] for name, its in document["x"].items()}
    return found


def _claims(packed: Any, links: Mapping[int, int]) -> Any:
    if isinstance(packed, dict):
        return {part: [links[claim[0]], *claim[1:]] for part, claim in packed.items()}
    return [links[packed[0]], *packed[1:]] if packed else packed


# What became of them


def _parts(hub: Hub, contacts: int) -> Iterator[list[EntityRow]]:
    after_id, seen = 0, 0
    while seen < contacts:
        with hub.store.reading() as tx:
            rows = tx.entities_page("contact", after_id=after_id, limit=AT_ONCE)
        if not rows:
            return
        after_id, seen = rows[-1].id, seen + len(rows)
        yield rows


def _lived(tx: Tx, rng: random.Random, people: Sequence[EntityRow], now: float) -> None:
    """History, conflicts, events, grants, writes and trouble of a page of people."""
    links = {link.entity_id: link for link in tx.links_of([row.id for row in people], raw=False)}
    version = tx.next_version()

    def some(share: str) -> list[EntityRow]:
        return [row for row in people if rng.random() < SHARES[share]]

    def ago() -> float:
        return now - rng.random() * 200 * DAY_S

    tx.add_history([_change(row, links[row.id], version, ago()) for row in some("history")])
    conflicts = [_conflict(row, links[row.id], "closed", "concurrent", ago(), version) for row in some("decided")]
    conflicts += [
        _conflict(row, links[row.id], "closed", "first_contact", ago(), version) for row in some("first_contact")
    ]
    conflicts += [
        _conflict(row, links[row.id], "open", rng.choice(("concurrent", "refused")), ago(), version)
        for row in some("open")
    ]
    tx.add_conflicts(conflicts)
    tx.add_quarantine([_refused(rng, row, links[row.id], ago()) for row in some("quarantine")])
    tx.insert_events([_event(rng, row, ago()) for row in some("events")])
    for grant in [_grant(rng, row, id_, ago()) for row in some("grants") for id_ in tx.reserve_ids("grant", 1)]:
        tx.add_grant(grant)
        tx.add_grant_entry(grant.id, "reserved", grant.amount, grant.created_at)
    for row in some("firings"):
        tx.add_firing(_firing(rng, row, tx.reserve_ids("firing", 1)[0], ago()))
    wrote = some("intents")
    ids = tx.reserve_ids("intent", len(wrote)) if wrote else ()
    tx.insert_intents(
        [_intent(rng, row, links[row.id], id_, ago(), version) for id_, row in zip(ids, wrote, strict=True)]
    )
    tx.update_links([replace(links[row.id], behind_since=ago()) for row in some("behind")])
    pairs = some("pairs") or people[-1:]
    tx.add_reviews([_pair(rng, row, other, ago()) for row, other in zip(pairs, people, strict=False) if row != other])


def _change(row: EntityRow, link: LinkRow, version: int, at: float) -> HistoryRow:
    change = {
        "old": "Buyer", "new": row.values.get("job_title"), "link": link.id, "connection": link.connection,
        "rule": "newest", "window": [at - 300, at],
    }  # fmt: skip
    return HistoryRow(
        entity_id=row.id, version=version, at=at, changes={"job_title": change}, run_id=1, mapping_version=1,
        actor="sync",
    )  # fmt: skip


def _conflict(row: EntityRow, link: LinkRow, state: str, kind: str, at: float, version: int) -> ConflictRow:
    said = [
        {
            "link": link.id, "connection": name, "value": value, "after": at - 300, "before": at, "base": 1,
            "taken": version, "part": "", "won": name == "first",
        }
        for name, value in (("first", row.values.get("job_title")), ("second", "Head of Buying"))
    ]  # fmt: skip
    return ConflictRow(
        entity_id=row.id, field="job_title", kind=kind, candidates=said, digest=f"{state}-{kind}-{row.id}",
        winner=row.values.get("job_title"), winner_link=link.id, decided_by="" if state == "open" else "rule:newest",
        state=state, at=at, version=version, run_id=1,
    )  # fmt: skip


def _refused(rng: random.Random, row: EntityRow, link: LinkRow, at: float) -> QuarantineRow:
    code = rng.choice(("MAP-VALUE", "MAP-REQUIRED", "MAP-PARENT-NONE", "PUSH-REJECTED"))
    return QuarantineRow(
        connection=link.connection, stream=STREAM, external_id=str(link.external_id), field="phone", direction="in",
        code=code, message="the value cannot be read", fix="correct it there", value="12 34 x", at=at, run_id=1,
        entity_id=row.id, link_id=link.id,
    )  # fmt: skip


def _event(rng: random.Random, row: EntityRow, at: float) -> EventRow:
    return EventRow(
        key=f"order:{row.id}:order.paid", name="order.paid", entity_id=row.id, subject_id=row.id, at=at,
        source="first", silent=False,
        values={"total": {"minor": rng.randrange(500, 90_000), "currency": "EUR"}, "contact": row.id},
    )  # fmt: skip


def _grant(rng: random.Random, row: EntityRow, id_: int, at: float) -> Grant:
    state = rng.choices(("issued", "waiting_approval", "refused", "needs_person"), (0.9, 0.05, 0.04, 0.01))[0]
    return Grant(
        id=id_, key=f"bench-{id_}", rule="big_order", subject_id=row.id, event_id=None, connection="plum",
        product="5671", amount="25", currency="EUR", budget=f"thanks@{moment(at)[:7]}", reference=f"bench-{id_}",
        state=state, recipient={"email": row.values["email"]}, not_before=at, created_at=at,
    )  # fmt: skip


def _firing(rng: random.Random, row: EntityRow, id_: int, at: float) -> Firing:
    state = rng.choices((FiringState.DONE, FiringState.REFUSED, FiringState.HELD), (0.9, 0.09, 0.01))[0]
    return Firing(
        id=id_, key=f"bench-{id_}", rule="big_order", rule_version=1, action="notice", subject_id=row.id,
        entity_id=row.id, cause=f"order:{row.id}:order.paid", topic="", state=state, reason="", at=at, created_at=at,
        not_before=at, done_at=at if state == FiringState.DONE else None,
    )  # fmt: skip


def _intent(rng: random.Random, row: EntityRow, link: LinkRow, id_: int, at: float, version: int) -> Intent:
    return Intent(
        id=id_, connection=link.connection, stream=STREAM, link_id=link.id, entity_id=row.id, op="update",
        values={"job_title": row.values.get("job_title")}, body={"Title": row.values.get("job_title")},
        version=version, external_id=link.external_id, pre_stamp=at, reference=f"b{id_}", idempotency_key=f"b{id_}",
        created_at=at, first_sent=at, state="done", before={"job_title": "Buyer"}, run_id=rng.randrange(1, 400),
        landed_at=at + 1,
    )  # fmt: skip


def _pair(rng: random.Random, row: EntityRow, other: EntityRow, at: float) -> Any:
    one, two = sorted((row.id, other.id))
    return {
        "kind": "review", "key": f"{one}-{two}", "entity_id": one, "other_id": two, "score": rng.random(), "at": at,
        "by": "weak key", "evidence": {"key": "phone"},
    }  # fmt: skip


# What the hub did


def _worked(hub: Hub, rng: random.Random, contacts: int, now: float) -> None:
    """Runs and slots of months, people's acts, budgets, holds, plans."""
    with hub.store.transaction() as tx:
        for back in range(max(500, int(contacts * SHARES["runs"])), 0, -1):
            name, at = rng.choice(list(SYSTEMS)), now - back * 300.0
            run_id = tx.start_run(name, "sync", at)
            counts = {"rows": 40, "unchanged": 38, "changed": 2, "updated": 2, "calls": 3}
            tx.finish_run(run_id, at + 4, rng.choices(("success", "partial", "failed"), (0.95, 0.04, 0.01))[0], counts)
            tx.add_run_stream(run_id, STREAM, "in", counts)
            tx.add_slot(name, at, "ran")
        for number in range(int(contacts * SHARES["audit"])):
            tx.audit("support", "conflict resolved", f"conflict {number}", None, "Buyer", now - number * 60.0)
        for month in range(1, 13):
            tx.reserve("thanks", f"2026-{month:02}", 50_000, 200_000)
        _hold(tx, contacts, now)
    for name in SYSTEMS:
        _plans(hub, name, contacts, now)


def _hold(tx: Tx, contacts: int, now: float) -> None:
    held = max(5, int(contacts * SHARES["held"]))
    hold = tx.join_hold(
        guard="one_value", connection="second", stream=STREAM, field="job_title", count=held, of=contacts, at=now,
        run_id=1, message="one value would take over the field",
    )  # fmt: skip
    tx.add_hold_items(hold, [(link.id, "job_title") for link in tx.links_page("second", STREAM, limit=held, raw=False)])


def _plans(hub: Hub, name: str, contacts: int, now: float) -> None:
    """One that waits, for a tenth of all; and those of the days before, which were small."""
    connection = hub.connections[name]
    with hub.store.reading() as tx:
        links = tx.links_page(name, STREAM, limit=max(20, contacts // 10), raw=False)
        versions = {row.id: row.version for row in tx.entities([link.entity_id for link in links]).values()}
    writes = [_planned(link, versions[link.entity_id]) for link in links]
    for back, some, state in [*((day, writes[day * 20 :][:50], APPLIED) for day in range(1, 40)), (0, writes, WAITING)]:
        sheet = Sheet(
            connection=connection, mapping=connection.mappings[STREAM], stream=connection.streams[STREAM], writes=some
        )
        document = document_of(hub, [connection], [sheet])
        row = replace(
            commit(hub, partial(_row, hub, document, state, name)), made_at=now - back * DAY_S, parts=parts_of(document)
        )
        commit(hub, partial(_kept, row))


def _row(hub: Hub, document: Any, state: str, name: str, tx: Tx) -> PlanRow:
    return new_row(hub, tx, document, state=state, connection=name, by="sync")


def _kept(row: PlanRow, tx: Tx) -> int:
    return tx.add_plan(row)


def _planned(link: LinkRow, version: int) -> PlannedWrite:
    """Two fields of a record, as a change of policy would bring them about."""
    return PlannedWrite(
        connection=link.connection, stream=STREAM, op="update", entity_type="contact", entity_id=link.entity_id,
        external_id=link.external_id, version=version, stamp=link.stamp,
        values={"job_title": "Buyer", "phone": "+493012345"}, before={"job_title": "Clerk", "phone": None},
        body={"jobtitle": "Buyer", "phone": "+493012345"}, why={"job_title": "newest, from first"},
    )  # fmt: skip
