"""Writing what a system lacks: computed when sent, with a durable intent before and proof after.

The story of one page: the links that are behind are read once more and taken in like a pull; what they still lack is
computed from today's entities; intents are stored and committed; only then the call leaves, with exactly those
bodies. Each row's answer closes its intent (done, certainly not done) or leaves it open (unknown), to be settled by
the next read. Two workers cannot write one link: an open intent is its lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.app.context import Connection, Hub
from hub.app.freezing import freeze_cycles
from hub.app.ingest import again, ingest_page
from hub.app.page import RECORD
from hub.app.pull import Progress, fetch_now, nothing
from hub.app.removals import OUTGOING
from hub.app.resend import call_off, resolve_open_creates, settle_forgotten
from hub.app.scene import Scene
from hub.connector import Idempotency, Stream
from hub.core.guards import allowance
from hub.core.mapping import PARENT_WAITS, StreamMapping, to_external
from hub.core.plan import CASE, REMOVALS
from hub.core.planted import PLANTED
from hub.errors import OutcomeUnknown, RetryLater, SignInExpired
from hub.model import (
    CellFault,
    ChangeSet,
    HoldRow,
    Intent,
    Json,
    LinkRow,
    LinkState,
    PushResult,
    QuarantineRow,
    SourceRecord,
)
from hub.store import Tx

REQUEST_LIFE_S = 120.0  # the longest that a request, once started, may still land, where the door does not say
START_WITHIN_S = 30.0  # a call that could not start by then is not started: the waits below count on it
PAGE_LIMIT = 1000
BACKOFF_S = 5.0
DONE = {"create": "created", **dict.fromkeys(REMOVALS, "removed")}  # operation -> count


@dataclass(slots=True, kw_only=True)
class Batch:
    """One page of writes on its way."""

    hub: Hub
    connection: Connection
    mapping: StreamMapping
    stream: Stream
    run_id: int | None
    choose: Choose | None = None  # what to write to links that were read again; None: whatever they lack
    resent: bool = False  # an answer to a repeated create may show what others wrote since
    intents: list[Intent] = field(default_factory=list)
    changes: list[ChangeSet] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    answers: dict[int, PushResult] = field(default_factory=dict)  # intent id -> what the system said


Choose = Callable[[Batch, Scene, Sequence[int]], list[QuarantineRow]]


def push_stream(
    hub: Hub, connection: Connection, mapping: StreamMapping, *, run_id: int | None, progress: Progress = nothing,
    total: Counter[str] | None = None,
) -> Counter[str]:  # fmt: skip
    """Bring one stream up to date, page by page, until nothing that may leave now is left.

    Args:
        total: counts to add to, so that they are known also when it raises; new ones unless given.

    Raises:
        SignInExpired, RetryLater: the connection as a whole must wait; everything settled so far is kept.
    """
    total = Counter() if total is None else total
    if not connection.writes or connection.asks or not may_write(mapping):
        return total
    hold_back(hub, connection, mapping, run_id=run_id)
    stream, after_id = connection.stream_of(mapping), 0
    resolve_open_creates(hub, connection, mapping, run_id=run_id)
    settle_forgotten(hub, connection, mapping, run_id=run_id)
    while True:
        with hub.store.reading() as tx:
            links = tx.behind_links(
                connection.name, mapping.name, now=hub.clock.now(), limit=min(stream.max_batch, PAGE_LIMIT),
                after_id=after_id,
            )  # fmt: skip
        if not links:
            return total
        after_id = max(link.id for link in links)
        batch = Batch(hub=hub, connection=connection, mapping=mapping, stream=stream, run_id=run_id)
        try:
            push_page(batch, links)
        finally:
            total.update(batch.counts)
        progress(mapping.name, total["created"] + total["updated"])


def may_write(mapping: StreamMapping) -> bool:
    """True if anything may ever be written through this mapping."""
    return bool(mapping.out_fields) or mapping.create != "never" or mapping.deletes_out != "never"


def push_page(batch: Batch, links: Sequence[LinkRow]) -> None:
    """Read again, plan, store intents, send, settle."""
    hub, connection = batch.hub, batch.connection
    live = [link.external_id for link in links if link.state == LinkState.LIVE and link.external_id]
    if "no_preread" not in PLANTED:
        fetch_now(hub, connection, batch.mapping.source, live, run_id=batch.run_id)
    for attempt in again(hub):
        with attempt:
            batch.intents, batch.changes, batch.counts = [], [], Counter()
            _freeze(batch, [link.id for link in links])
    if batch.changes:
        send(batch)


# Planning


def _freeze(batch: Batch, link_ids: Sequence[int]) -> None:
    """One transaction: what is due now, from today's entities, as intents."""
    with batch.hub.store.transaction() as tx:
        scene = Scene(hub=batch.hub, tx=tx, now=batch.hub.clock.now(), run_id=batch.run_id)
        links = tx.links_by_ids(link_ids)
        scene.load({link.entity_id for link in links.values()})
        ripe = [each for each in link_ids if each in links and (links[each].retry_at or 0.0) <= scene.now]
        choose = batch.choose or plan_links
        tx.add_quarantine(choose(batch, scene, ripe))  # the others: the reading just now put them off
        if "no_intent" not in PLANTED:
            tx.insert_intents(batch.intents)
        scene.save()


def plan_links(
    batch: Batch, scene: Scene, link_ids: Sequence[int], only: Mapping[int, frozenset[str]] | None = None
) -> list[QuarantineRow]:
    """Fill the batch with what these links of a loaded scene lack; gives what cannot be sent, and why.

    Args:
        only: link -> the fields that may be written to it; None: all.
    """
    busy, blocked = scene.tx.intents_for(link_ids), scene.tx.blocked_fields(link_ids)
    held = scene.tx.held_items(link_ids)  # what a person has yet to decide about is not written over
    planned, listed = [], scene.is_listed(batch.connection, batch.mapping)
    for link_id in link_ids:
        link = scene.links.get(link_id)
        if link is None or link.behind_since is None or (link.state == LinkState.WANTED and not listed):
            continue
        if link_id in busy:
            link.retry_at = (busy[link_id].last_possible or scene.now) + batch.stream.lag_s + BACKOFF_S
            scene.dirty(link)
            continue
        if link.leaving is not None:
            _add_removal(batch, scene, link, blocked.get(link_id, {}))
            continue
        waiting = {name for name, _ in held.get(link_id, ())}
        names = _lacking(batch, scene, link, blocked.get(link_id, {}))
        allowed = names if only is None else only.get(link_id, frozenset())
        free = names if RECORD not in waiting else ()
        planned.append((link, tuple(name for name in free if name not in waiting and name in allowed)))
    planned = freeze_cycles(scene, planned)
    parents = _parents(batch, scene, [link for link, _ in planned])
    return [row for link, names in planned for row in _plan_link(batch, scene, link, names, parents)]


def _lacking(batch: Batch, scene: Scene, link: LinkRow, blocked: dict[str, Json]) -> tuple[str, ...]:
    """Canonical fields to write, without those that this system refused in just this value."""
    root = scene.root_of[link.entity_id]
    values = scene.values(root)
    if not batch.mapping.in_scope(values):
        return ()
    if link.state == LinkState.WANTED:
        if "" in blocked and blocked[""] == scene.entities[root].version:
            return ()
        names = tuple(n for n in batch.mapping.out_fields if values.get(n) not in (None, [], ""))
    elif link.state == LinkState.LIVE:
        names = tuple(batch.mapping.out_fields) if "write_all" in PLANTED else scene.due(link).fields
    else:
        return ()
    if "" in blocked and blocked[""] == scene.entities[root].version:
        return ()
    return tuple(n for n in names if n not in blocked or blocked[n] != values.get(n))


def _parents(batch: Batch, scene: Scene, links: Sequence[LinkRow]) -> dict[tuple[str, int], str]:
    """(stream, entity id) -> external id at this connection, for every reference that may be written."""
    asked = set()
    for link in links:
        values = scene.values(scene.root_of[link.entity_id])
        for name, streams in batch.mapping.named.items():
            if values.get(name) is not None:
                asked |= {(batch.connection.name, stream, values[name]) for stream in streams}
    found = scene.tx.external_ids(asked) if asked else {}
    return {(stream, entity_id): external_id for (_, stream, entity_id), external_id in found.items()}


def _plan_link(
    batch: Batch, scene: Scene, link: LinkRow, names: tuple[str, ...], parents: dict[tuple[str, int], str]
) -> list[QuarantineRow]:
    """Turn what one link lacks into an intent, or note that nothing can be sent."""
    root = scene.root_of[link.entity_id]
    values, creating = scene.values(root), link.state == LinkState.WANTED
    uses = {use for case in batch.mapping.cases if CASE + case.name in names for use in case.uses}
    out = to_external(batch.mapping, values, changed={*names, *uses}, external_ids=parents, creating=creating)
    rows = [
        _refusal(batch, scene.now, link, name, fault, values.get(name))
        for name, fault in out.skipped.items()
        if fault.code != PARENT_WAITS and (name in names or creating)
    ]
    waits = any(fault.code == PARENT_WAITS for fault in out.skipped.values())
    scene.dirty(link)
    if not out.body or out.blocked or (creating and not names):
        link.behind_since = link.behind_since if waits else None
        link.retry_at = scene.now + BACKOFF_S if waits else None
        return rows
    link.retry_at = None
    computed = {CASE + c.name: c.compute(values) for c in batch.mapping.cases if creating or CASE + c.name in names}
    add_intent(batch, scene, link, "create" if creating else "update", {**out.sent, **computed}, out.body)
    return rows


def _add_removal(batch: Batch, scene: Scene, link: LinkRow, blocked: Mapping[str, Json]) -> None:
    """The record was deleted elsewhere, and is to be archived or deleted here, unless that was refused already."""
    refused = blocked.get("") == scene.entities[scene.root_of[link.entity_id]].version
    if link.state != LinkState.LIVE or link.external_id is None or refused:
        return
    scene.dirty(link)
    add_intent(batch, scene, link, link.leaving or "archive", {}, {})


def add_intent(
    batch: Batch, scene: Scene, link: LinkRow, op: str, values: dict[str, Json], body: dict[str, Json]
) -> None:
    """Freeze one write: what is to be held over there afterwards, and what was held before."""
    cells, reference = scene.cells(link.id), link.marker or scene.hub.marker(scene.root_of[link.entity_id])
    intent = Intent(
        id=scene.new_id("intent"), connection=link.connection, stream=link.stream, link_id=link.id,
        entity_id=link.entity_id, op=op, values=values, body=body, version=scene.version,
        external_id=link.external_id, pre_stamp=link.stamp, reference=reference,
        idempotency_key=f"{reference}-{link.id}-{scene.version}", created_at=scene.now, first_sent=scene.now,
        last_possible=scene.now + START_WITHIN_S + batch.connection.longest_write_s, run_id=batch.run_id,
        before={name: cells[name].held for name in (cells if op in REMOVALS else values) if name in cells},
    )  # fmt: skip
    batch.intents.append(intent)
    batch.changes.append(change_of(intent, link.stamp))


def change_of(intent: Intent, stamp: float | None) -> ChangeSet:
    """The change set that an intent froze; sent again, it is the same."""
    return ChangeSet(
        link_id=intent.link_id, entity_id=intent.entity_id, op=intent.op, external_id=intent.external_id,
        values=intent.values, before=intent.before, stamp=None if "no_precondition" in PLANTED else stamp,
        body=intent.body, reference="" if "no_reference" in PLANTED else intent.reference,
        idempotency_key=intent.idempotency_key,
    )  # fmt: skip


def _refusal(batch: Batch, now: float, link: LinkRow, name: str, fault: CellFault, value: Json) -> QuarantineRow:
    return QuarantineRow(
        connection=batch.connection.name, stream=batch.mapping.name,
        external_id=link.external_id or f"{batch.mapping.entity}:{link.entity_id}",
        field=name, direction="out", code=fault.code, message=fault.message, fix=fault.fix, value=value, at=now,
        run_id=batch.run_id, entity_id=link.entity_id, link_id=link.id,
    )  # fmt: skip


# Sending


def send(batch: Batch) -> None:
    """One connector call for the whole page, then what became of each row."""
    hub, push = batch.hub, batch.connection.connector.push
    if push is None:
        return
    if hub.clock.now() > batch.intents[0].created_at + START_WITHIN_S and "late_start" not in PLANTED:
        return  # too late to start: the intents are settled as not landed once their time is over
    sent_at = hub.clock.now()
    try:
        results = push(batch.connection.api, batch.mapping.source, batch.changes)
    except OutcomeUnknown as error:
        _postpone(batch, range(len(batch.changes)), error)
        return
    except (RetryLater, SignInExpired):
        settle_answers(batch, [PushResult(index=i, outcome="throttled") for i in range(len(batch.changes))], sent_at)
        raise
    settle_answers(batch, results, sent_at)
    if any(result.outcome == "auth_expired" for result in results):
        raise SignInExpired("credentials refused in the middle of a page", where=batch.connection.name)
    throttled = [result for result in results if result.outcome == "throttled"]
    if throttled:
        waits = [result.retry_after_s for result in throttled if result.retry_after_s]
        raise RetryLater("throttled", after_s=max(waits, default=None), where=batch.connection.name)


def _postpone(batch: Batch, indexes: range | Sequence[int], error: Exception | None = None) -> None:
    """Unknown: the intents stay open and block their links until a read settles them."""
    for attempt in again(batch.hub):
        with attempt, batch.hub.store.transaction() as tx:
            links = tx.links_by_ids([batch.intents[i].link_id for i in indexes])
            for i in indexes:
                link = links[batch.intents[i].link_id]
                link.attempts += 1
                link.retry_at = batch.hub.clock.now() + BACKOFF_S
            tx.update_links(list(links.values()))
    batch.counts["unknown"] += len(indexes)


def settle_answers(batch: Batch, results: Sequence[PushResult], sent_at: float) -> None:
    """Close what the answers prove; read back what they do not show."""
    if "answers_in_order" in PLANTED:
        results = [replace(result, index=place) for place, result in enumerate(results)]
    told = {result.index: _doubted(result) if batch.resent else result for result in results}
    if "unknown_is_failed" in PLANTED:
        told = {i: replace(r, outcome="throttled") if r.outcome == "unknown" else r for i, r in told.items()}
    batch.answers |= {batch.intents[i].id: result for i, result in told.items()}
    missing = [i for i in range(len(batch.changes)) if i not in told]  # a row without answer is unknown, never assumed
    unknown = missing + [i for i, result in told.items() if result.outcome == "unknown"]
    if unknown:
        _postpone(batch, unknown)
    applied = {i: r for i, r in told.items() if r.outcome == "applied"}
    for attempt in again(batch.hub):
        with attempt, batch.hub.store.transaction() as tx:
            counts = _acknowledge(batch, tx, told)
    batch.counts += counts
    _read_back(batch, applied, sent_at)
    _look_at_duplicates(batch, {i: r for i, r in told.items() if r.outcome == "duplicate"})
    gone = [
        SourceRecord(external_id=batch.changes[i].external_id or "", data={}, op="delete")
        for i, result in told.items()
        if result.outcome == "not_found" and batch.changes[i].external_id and "no_404" not in PLANTED
    ]
    if gone:
        ingest_page(
            batch.hub, batch.connection, batch.mapping.source, gone, read_at=batch.hub.clock.now(), run_id=batch.run_id
        )


def _doubted(result: PushResult) -> PushResult:
    """What a repeated create's answer proves: that this attempt did not happen says nothing of the first one."""
    return replace(result, outcome="unknown") if result.outcome in ("throttled", "auth_expired") else result


def _acknowledge(batch: Batch, tx: Tx, told: Mapping[int, PushResult]) -> Counter[str]:
    """One transaction: mark what was acknowledged, close what certainly did not happen, quarantine what was refused."""
    counts: Counter[str] = Counter()
    now = batch.hub.clock.now()
    links = tx.links_by_ids([batch.intents[i].link_id for i in told], raw=False)
    open_now = tx.intents_for(links)
    rows, closed, changed = [], [], []
    known = _known_records(batch, tx, told)
    for i, result in told.items():
        intent, link = batch.intents[i], links[batch.intents[i].link_id]
        current = open_now.get(link.id)
        if result.outcome == "unknown" or ("no_intent" not in PLANTED and (current is None or current.id != intent.id)):
            counts["already_settled"] += result.outcome == "applied"
            continue  # a pull was faster: it settled the write by what the record holds
        other = known.get(result.external_id or "")
        if intent.op == "create" and other is not None and other.id != link.id:
            intent.state = "not_done"  # nothing was made: our reference is on a record that another link has
            call_off(tx, intent)
        elif result.outcome == "applied" or (result.outcome == "not_found" and intent.op in REMOVALS):
            counts[DONE.get(intent.op, "updated")] += 1
            intent.state = "acked"
            if link.state == LinkState.WANTED and result.external_id:
                link.external_id = intent.external_id = result.external_id
                link.state = LinkState.LIVE
                changed.append(link)
        else:
            intent.state = "not_done"
            counts["failed" if result.outcome == "rejected" else result.outcome] += 1
            link.attempts += result.outcome != "throttled"  # nothing is wrong with the record: its connection waits
            if result.outcome == "rejected":
                rows.append(_rejection(batch, tx, now, link, intent, result))
            elif link.attempts > 1:
                link.retry_at = now + BACKOFF_S * min(2**link.attempts, 64)
            changed.append(link)
        closed.append(intent)
    tx.update_intents(closed)
    tx.add_quarantine(rows)
    tx.update_links(changed)
    return counts


def _known_records(batch: Batch, tx: Tx, told: Mapping[int, PushResult]) -> Mapping[str, LinkRow]:
    """External id -> link, of records that a create was answered with and that have a link already."""
    if not batch.resent and batch.stream.idempotency is not Idempotency.UNIQUE_REFERENCE:
        return {}
    named = [result.external_id for result in told.values() if result.outcome == "applied" and result.external_id]
    return tx.links_by_keys(batch.connection.name, batch.mapping.name, named, raw=False)


def _rejection(batch: Batch, tx: Tx, now: float, link: LinkRow, intent: Intent, result: PushResult) -> QuarantineRow:
    """The refused field (or record) waits for its value to change or for a person; the rest is planned again."""
    name = _canonical_of(batch.mapping, result.field)
    if name not in intent.values:
        name = ""
    root = tx.roots([link.entity_id])[link.entity_id]
    value = intent.values[name] if name else tx.entities([root])[root].version
    return _refusal(
        batch, now, link, name,
        CellFault(code=result.code or "PUSH-REJECTED", field=name, message=result.message or "the system refuses it",
                  fix="correct the value, or the mapping, then `hub quarantine retry`"),
        value,
    )  # fmt: skip


def _canonical_of(mapping: StreamMapping, remote: str) -> str:
    """The canonical field behind a remote one, if the mapping writes it."""
    tail = remote.rsplit(".", 1)[-1]
    for rule in mapping.rules:
        if remote and (rule.remote_out == remote or rule.remote_out.rsplit(".", 1)[-1] == tail):
            return rule.field
    return ""


def _read_back(batch: Batch, applied: dict[int, PushResult], sent_at: float) -> None:
    """Take in what the vendor now holds: from the answer, else by reading it back in one batch."""
    held = [r.held for r in applied.values() if r.held is not None]
    sure = batch.stream.answers_with_record and not batch.resent
    answers = frozenset(
        batch.intents[i].id for i, r in applied.items() if r.held is not None and (sure or r.held.by_hub)
    )
    if held and "no_readback" not in PLANTED:
        ingest_page(
            batch.hub,
            batch.connection,
            batch.mapping.source,
            held,
            read_at=sent_at,
            run_id=batch.run_id,
            answers=answers,
            by_id=True,
        )
    unread = [r.external_id or batch.changes[i].external_id or "" for i, r in applied.items() if r.held is None]
    if unread and "no_readback" not in PLANTED:
        fetch_now(batch.hub, batch.connection, batch.mapping.source, unread, run_id=batch.run_id)


def _look_at_duplicates(batch: Batch, duplicates: dict[int, PushResult]) -> None:
    """ "Already exists" is not yet ours: read that record; it is adopted by our id, linked by key, or reviewed."""
    existing = [r.existing_id for r in duplicates.values() if r.existing_id]
    if not duplicates:
        return
    fetch_now(batch.hub, batch.connection, batch.mapping.source, existing, run_id=batch.run_id)
    for attempt in again(batch.hub):
        with attempt, batch.hub.store.transaction() as tx:
            scene = Scene(hub=batch.hub, tx=tx, now=batch.hub.clock.now(), run_id=batch.run_id)
            scene.load({batch.intents[i].entity_id for i in duplicates})
            rows = []
            for i, result in duplicates.items():
                link = scene.links[batch.intents[i].link_id]
                if link.state == LinkState.WANTED:
                    rows.append(_exists(batch, scene, link, result))
                elif batch.intents[i].op == "update":  # a value that must be unique there, and is somebody else's
                    rows.append(_rejection(batch, tx, scene.now, link, batch.intents[i], result))
            tx.add_quarantine(rows)


def _exists(batch: Batch, scene: Scene, link: LinkRow, result: PushResult) -> QuarantineRow:
    fault = CellFault(
        code=result.code or "PUSH-EXISTS",
        field="",
        message=f"the system already has a record with this key ({result.existing_id or 'unknown id'})",
        fix="correct the key at one of the systems, then `hub quarantine retry`",
    )
    version = scene.entities[scene.root_of[link.entity_id]].version
    return _refusal(batch, scene.now, link, "", fault, version)


# Guards


def hold_back(hub: Hub, connection: Connection, mapping: StreamMapping, *, run_id: int | None) -> None:
    """Keep back creates and removals beyond their guards' bounds."""
    with hub.store.reading() as tx:
        if not (tx.wanted_unheld(connection.name, mapping.name) or tx.leaving_unheld(connection.name, mapping.name)):
            return
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            live = tx.count_links(connection.name, mapping.name).get("live", 0)
            for guard, field_name, words, waiting in (
                ("creates", "", "created", tx.wanted_unheld(connection.name, mapping.name)),
                ("deletes", OUTGOING, "archived or deleted", tx.leaving_unheld(connection.name, mapping.name)),
            ):
                excess = _excess(tx, hub, connection, mapping, guard, field_name, waiting, live)
                if excess:
                    hold_id = tx.join_hold(
                        guard=guard, connection=connection.name, stream=mapping.name, field=field_name,
                        count=len(excess), of=live, at=hub.clock.now(), run_id=run_id,
                        message=f"{len(excess)} records of {mapping.name} would be {words} at {connection.name}",
                    )  # fmt: skip
                    tx.hold_links(hold_id, excess)


def _excess(
    tx: Tx, hub: Hub, connection: Connection, mapping: StreamMapping, guard: str, field_name: str,
    waiting: Sequence[int], live: int,
) -> Sequence[int]:  # fmt: skip
    """Links beyond what may pass; what a person released is a ceiling, used up as it is used."""
    holds = [
        hold
        for hold in tx.holds_of(connection.name, mapping.name, guard)
        if hold.field == field_name and hold.state in ("open", "released")
    ]
    is_open = any(hold.state == "open" for hold in holds)
    free = 0 if is_open else allowance(hub.guards[guard], live)
    ceiling = sum(hold.ceiling for hold in holds if hold.state == "released")
    _use_ceiling(tx, holds, max(0, min(len(waiting), free + ceiling) - free))
    return waiting[free + ceiling :]


def _use_ceiling(tx: Tx, holds: Sequence[HoldRow], used: int) -> None:
    for hold in holds:
        if hold.state == "released" and used > 0 and hold.ceiling > 0:
            taken = min(used, hold.ceiling)
            tx.update_hold(hold.id, ceiling=hold.ceiling - taken)
            used -= taken
