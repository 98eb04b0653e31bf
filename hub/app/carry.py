"""Carrying out planned writes: exactly these and no others, each held once more against what is there now.

The story of one page: the records are read again, as before every write; what the plan's maker would write to them now
is frozen into intents; an intent that is not to the letter the planned write is dropped, and its record is reported as
drifted. So a plan is a ceiling: nothing goes that was not in it, and of what was in it only what still holds.

Invariant: a write of a plan is made at most once (law L9). The intents of the runs that carried the plan out tell
which were made; carrying it out again goes on with the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from hub.app.context import Connection, Hub
from hub.app.page import RECORD
from hub.app.planned import Plan, PlannedWrite, planned_write
from hub.app.pull import SNAPSHOT, fetch_now
from hub.app.push import PAGE_LIMIT, Batch, change_of, plan_links, push_page
from hub.app.resend import resolve_open_creates
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.core.mapping import StreamMapping
from hub.core.plan import REMOVALS
from hub.core.values import same
from hub.errors import HubError
from hub.model import Intent, Json, LinkRow, LinkState, PushResult, QuarantineRow
from hub.store import Tx

MADE = ("acked", "done", "unexplained")  # states of an intent whose write landed

# Why a planned write is not made: code -> what is said of it.
DRIFT: Mapping[str, str] = {
    "PLAN-MODE": "the connection may not be written to in its present mode",
    "PLAN-MAPPING": "the mapping is another than the one that the plan was made with",
    "PLAN-GONE": "there is no such record any more, or the hub may not write to it",
    "PLAN-EXISTS": "the record is there already, or is no longer wanted there",
    "PLAN-MERGED": "the entity has been merged with another since",
    "PLAN-HOLD": "a guard keeps it back until a person decides: hub holds list",
    "PLAN-ENTITY": "the entity has changed since the plan was made",
    "PLAN-STAMP": "the record has changed at the system since the plan was made",
    "PLAN-BEFORE": "the system holds something else than the plan says it does",
    "PLAN-VALUES": "what would be written now is not what was planned",
    "PLAN-NOT-DUE": "it is no longer due, or the system refused it: hub quarantine list",
    "PLAN-STALE": "the record changed between reading and writing; nothing was written to it",
}
WAITS: Mapping[str, str] = {
    "PLAN-BUSY": "an earlier write to this record is not settled yet",
    "PLAN-LATER": "the system could not take it just now, or did not say whether it did",
}

Row = dict[str, Json]


@dataclass(slots=True, kw_only=True)
class Carried:
    """What became of the writes of a plan."""

    written: Counter[str] = field(default_factory=Counter)  # op -> how many, by this run
    already: int = 0  # made before
    pending: list[Row] = field(default_factory=list)  # may still be made, by carrying the plan out again
    refused: list[Row] = field(default_factory=list)  # will not be made: drifted, or refused by the system
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # stream -> counts of the run

    def refuse(self, write: PlannedWrite, code: str, reason: str = "") -> None:
        self.refused.append(row_of(write, code, reason or DRIFT[code]))

    def wait(self, write: PlannedWrite, code: str) -> None:
        self.pending.append(row_of(write, code, WAITS[code]))

    def join(self, other: Carried) -> None:
        """Another plan was carried out, too."""
        self.written += other.written
        self.already += other.already
        self.pending += other.pending
        self.refused += other.refused
        for stream, counts in other.counts.items():
            self.counts[stream] += counts

    def document(self) -> Row:
        """As the store and `--json` show it."""
        return {
            "written": self.written.total(), "by_op": dict(self.written), "already": self.already,
            "pending": self.pending, "refused": self.refused,
        }  # fmt: skip


def row_of(write: PlannedWrite, code: str, reason: str) -> Row:
    return {
        "connection": write.connection, "stream": write.stream, "op": write.op, "entity": write.entity,
        "external_id": write.external_id, "code": code, "reason": reason,
    }  # fmt: skip


class Maker(Protocol):
    """What a plan is made from: what is due now, or what runs wrote."""

    def wants(self, scene: Scene, connection: Connection, mapping: StreamMapping, root: int) -> bool:
        """Make the link of a create that has none yet; False if there should be no record."""
        ...

    def make(self, batch: Batch, scene: Scene, writes: Mapping[int, PlannedWrite]) -> list[QuarantineRow]:
        """Fill the batch with what these links should be written now, of the planned fields."""
        ...


class DueMaker:
    """Plans of what is due (`hub plan`, mode propose)."""

    def wants(self, scene: Scene, connection: Connection, mapping: StreamMapping, root: int) -> bool:
        return scene.missing_in(root, connection) is mapping and scene.want(root, connection)

    def make(self, batch: Batch, scene: Scene, writes: Mapping[int, PlannedWrite]) -> list[QuarantineRow]:
        only = {link_id: frozenset(write.values) | frozenset(write.later) for link_id, write in writes.items()}
        return plan_links(batch, scene, list(writes), only=only)


def carry_out(
    hub: Hub,
    connection: Connection,
    plan: Plan,
    maker: Maker,
    *,
    run_id: int,
    carried: Carried,
    progress: Callable[[str, int], None],
) -> None:
    """Make the writes of a plan to one connection, parents first and removed last; `carried` tells what became of each.

    Raises:
        SignInExpired, RetryLater: the connection must wait; what was not reached is pending.
    """
    runs = [*plan.carried_by, run_id]
    mappings = [mapping for source in connection.in_order() for mapping in connection.mappings_from(source)]
    for removing in (False, True):
        for mapping in reversed(mappings) if removing else mappings:
            found = plan.at(connection.name, mapping.name)
            writes = [write for write in found if (write.op in REMOVALS) is removing]
            if writes and _may(connection, plan, writes, carried):
                task = _Task(
                    hub=hub, connection=connection, mapping=mapping, maker=maker, run_id=run_id, carried=carried
                )
                _carry_stream(task, writes, runs, progress)


def _may(connection: Connection, plan: Plan, writes: Sequence[PlannedWrite], carried: Carried) -> bool:
    """Mode and mapping are as they must be; else every write is refused for that reason."""
    code = ""
    if not connection.writes:
        code = "PLAN-MODE"
    elif connection.mapping_version != plan.mapping_versions.get(connection.name):
        code = "PLAN-MAPPING"
    for write in writes if code else ():
        carried.refuse(write, code)
    return not code


@dataclass(slots=True, kw_only=True)
class _Task:
    """One stream of a plan that is being carried out."""

    hub: Hub
    connection: Connection
    mapping: StreamMapping
    maker: Maker
    run_id: int
    carried: Carried


def _carry_stream(
    task: _Task, writes: Sequence[PlannedWrite], runs: Sequence[int], progress: Callable[[str, int], None]
) -> None:
    hub, connection, mapping = task.hub, task.connection, task.mapping
    resolve_open_creates(hub, connection, mapping, run_id=task.run_id)
    before = _intents(task, runs)
    unsettled = [each.external_id for each in before.values() if each.state == "open" and each.external_id]
    if unsettled:
        fetch_now(hub, connection, mapping.source, unsettled, run_id=task.run_id)
        before = _intents(task, runs)
    todo = [write for write in writes if not _was_made(task, write, before.get(_place(write)))]
    size, done = min(connection.stream_of(mapping).max_batch, PAGE_LIMIT), len(writes) - len(todo)
    for start in range(0, len(todo), size):
        page = todo[start : start + size]
        try:
            _carry_page(task, page)
        except HubError:  # the connection must wait: what was not reached may be made later
            for write in todo[start + size :]:
                task.carried.wait(write, "PLAN-LATER")
            raise
        done += len(page)
        progress(mapping.name, done)


def _place(write: PlannedWrite | Intent) -> tuple[str, str | int]:
    """What tells a write from the others of its stream; a create has no external id before it is made."""
    return (write.op, write.entity_id) if write.op == "create" else (write.op, write.external_id or "")


def _intents(task: _Task, runs: Sequence[int]) -> dict[tuple[str, str | int], Intent]:
    """The newest intent per write that these runs made of the plan in this stream."""
    with task.hub.store.reading() as tx:
        found = [each for run_id in runs for each in tx.intents_of_run(run_id)]
    return {
        _place(each): each
        for each in found
        if (each.connection, each.stream) == (task.connection.name, task.mapping.name)
    }


def _was_made(task: _Task, write: PlannedWrite, intent: Intent | None) -> bool:
    if intent is not None and intent.state in MADE:
        task.carried.already += 1
        return True
    if intent is not None and intent.state == "open":
        task.carried.wait(write, "PLAN-BUSY")
        return True
    return False


# A page


def _carry_page(task: _Task, writes: Sequence[PlannedWrite]) -> None:
    """Read again, compare, freeze what is still the same, send; every write ends in one of the lists."""
    found = commit(task.hub, lambda tx: _links_of(task, tx, writes))
    reached = {id(write) for write in found.values()}
    for write in writes:
        if id(write) not in reached:
            task.carried.refuse(write, "PLAN-EXISTS" if write.op == "create" else "PLAN-GONE")
    if not found:
        return
    with task.hub.store.reading() as tx:
        links = list(tx.links_by_ids(found).values())
    choice = _Choice(task=task, writes=found)
    batch = Batch(
        hub=task.hub, connection=task.connection, mapping=task.mapping,
        stream=task.connection.stream_of(task.mapping), run_id=task.run_id, choose=choice.choose,
    )  # fmt: skip
    try:
        push_page(batch, links)
    finally:
        task.carried.counts[task.mapping.name] += batch.counts
        _note(task, batch, choice)


def _links_of(task: _Task, tx: Tx, writes: Sequence[PlannedWrite]) -> dict[int, PlannedWrite]:
    """Link id -> its write. A create gets its link here, if the record is still wanted."""
    name, stream = task.connection.name, task.mapping.name
    ids = [write.external_id for write in writes if write.external_id]
    known = tx.links_by_keys(name, stream, ids, raw=False)
    found = {known[write.external_id].id: write for write in writes if write.external_id in known}
    creates = [write for write in writes if write.op == "create"]
    scene = Scene(hub=task.hub, tx=tx, now=task.hub.clock.now(), run_id=task.run_id)
    scene.load({write.entity_id for write in creates})
    for write in creates:
        root = scene.root_of.get(write.entity_id)
        if root is None:
            continue
        link = _wanted(scene, root, name, stream)
        if link is None and task.maker.wants(scene, task.connection, task.mapping, root):
            link = _wanted(scene, root, name, stream)
        if link is not None:
            found[link.id] = write
    scene.save()
    return found


def _wanted(scene: Scene, root: int, connection: str, stream: str) -> LinkRow | None:
    for link in scene.links_at[root]:
        if (link.connection, link.stream, link.state) == (connection, stream, LinkState.WANTED):
            return link
    return None


@dataclass(slots=True, kw_only=True)
class _Choice:
    """What of a page may still be written, told within the transaction that freezes it."""

    task: _Task
    writes: Mapping[int, PlannedWrite]  # link id -> write
    drifted: dict[int, str] = field(default_factory=dict)  # link id -> code of DRIFT
    settled: set[int] = field(default_factory=set)  # links that hold it all already
    seen: set[int] = field(default_factory=set)  # links that were judged; the reading put the others off

    def choose(self, batch: Batch, scene: Scene, link_ids: Sequence[int]) -> list[QuarantineRow]:
        self.drifted, self.settled, self.seen = {}, set(), set(link_ids)
        marks = {each: (scene.links[each].behind_since, scene.links[each].retry_at) for each in link_ids}
        held = scene.tx.held_items(link_ids)
        for link_id in link_ids:
            link, write = scene.links[link_id], self.writes[link_id]
            names = {name for name, _ in held.get(link_id, ())}
            code = _drift(scene, link, write, snapshot=batch.stream.cursor == SNAPSHOT, held=names)
            if code:
                self.drifted[link_id] = code
        good = {each: self.writes[each] for each in link_ids if each not in self.drifted}
        rows = self.task.maker.make(batch, scene, good)
        self._keep_planned(batch, scene)
        kept = {intent.link_id for intent in batch.intents}
        for link_id in link_ids:
            if link_id not in kept:  # nothing leaves for it: it lacks what it lacked
                link = scene.links[link_id]
                link.behind_since, link.retry_at = marks[link_id]
                scene.dirty(link)
        busy = scene.tx.intents_for([each for each in good if each not in kept])
        for link_id in good.keys() - kept - busy.keys() - self.drifted.keys():
            if _holds_all(scene, scene.links[link_id], good[link_id]):
                self.settled.add(link_id)
            else:
                self.drifted[link_id] = "PLAN-NOT-DUE"
        return rows

    def _keep_planned(self, batch: Batch, scene: Scene) -> None:
        """Drop every intent that is not to the letter what was planned."""
        kept = []
        for intent in batch.intents:
            link, write = scene.links[intent.link_id], self.writes[intent.link_id]
            code = _differs(write, planned_write(scene, link, intent, why={}))
            if code:
                self.drifted[link.id] = code
            else:
                kept.append(intent)
        batch.intents = kept
        batch.changes = [change_of(intent, scene.links[intent.link_id].stamp) for intent in kept]


def _drift(scene: Scene, link: LinkRow, write: PlannedWrite, *, snapshot: bool, held: set[str]) -> str:
    """Code of what is no longer as it was when the write was planned; "" if nothing is."""
    root = scene.root_of[link.entity_id]
    creates = write.op == "create"
    if link.state != (LinkState.WANTED if creates else LinkState.LIVE):
        return "PLAN-EXISTS" if creates else "PLAN-GONE"
    if root != write.entity_id:
        return "PLAN-MERGED"
    if link.hold_id is not None or held & {*write.values, *write.later, "", RECORD}:
        return "PLAN-HOLD"
    if scene.entities[root].version != write.version:
        return "PLAN-ENTITY"
    if not snapshot and link.stamp != write.stamp:  # the stamp of a file is no record's
        return "PLAN-STAMP"
    return ""


def _differs(planned: PlannedWrite, now: PlannedWrite) -> str:
    """Code of how a write that would be made now differs from the planned one; "" if it is that very write.

    References that waited for their record are the only thing that may have joined it, as planned.
    """
    joined = {name: value for name, value in now.values.items() if name not in planned.values}
    values = {name: value for name, value in now.values.items() if name in planned.values}
    if _canonical(now.before) != _canonical(planned.before):
        return "PLAN-BEFORE"
    if now.op != planned.op or _canonical(values) != _canonical(planned.values):
        return "PLAN-VALUES"
    if any(name not in planned.later or planned.later[name] != value for name, value in joined.items()):
        return "PLAN-VALUES"
    if not joined and _canonical(now.body) != _canonical(planned.body):
        return "PLAN-VALUES"
    return ""


def _canonical(value: Mapping[str, Json]) -> bytes:
    return orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS)


def _holds_all(scene: Scene, link: LinkRow, write: PlannedWrite) -> bool:
    fields, cells = scene.entity_type(scene.root_of[link.entity_id]).fields, scene.cells(link.id)
    return bool(write.values) and all(
        name in cells and (same(fields[name], cells[name].held, value) if name in fields else cells[name].held == value)
        for name, value in write.values.items()
    )


def _note(task: _Task, batch: Batch, choice: _Choice) -> None:
    """Every write of the page into one of the lists."""
    sent = {intent.link_id: intent for intent in batch.intents}
    for link_id, write in choice.writes.items():
        if link_id in choice.drifted:
            task.carried.refuse(write, choice.drifted[link_id])
        elif link_id in choice.settled:
            task.carried.already += 1
        elif link_id not in sent:
            task.carried.wait(write, "PLAN-BUSY" if link_id in choice.seen else "PLAN-LATER")
        else:
            _note_answer(task, write, batch.answers.get(sent[link_id].id))


def _note_answer(task: _Task, write: PlannedWrite, answer: PushResult | None) -> None:
    outcome = answer.outcome if answer is not None else "unknown"
    if outcome == "applied" or (outcome == "not_found" and write.op in REMOVALS):
        task.carried.written[write.op] += 1
    elif answer is not None and outcome in ("rejected", "duplicate"):
        task.carried.refuse(write, answer.code or "PUSH-REJECTED", answer.message or "the system refuses it")
    elif outcome in ("stale", "not_found"):
        task.carried.refuse(write, "PLAN-STALE" if outcome == "stale" else "PLAN-GONE")
    else:
        task.carried.wait(write, "PLAN-LATER")
