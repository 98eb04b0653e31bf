"""What a person decides: conflicts, holds, quarantine. Each decision is a transaction over a scene, like any change.

A ruling is a person's claim; a release lets through exactly what a guard kept back, a drop has it put back where it
came from; a retry does again what failed. Nothing here sets a value: evidence is added or a barrier taken away, and
the entity is decided anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from hub.app.context import Connection, Hub
from hub.app.freezing import release
from hub.app.gone_back import GUARD as GONE_BACK
from hub.app.ingest import finish, ingest_page
from hub.app.page import RECORD, stored_record
from hub.app.removals import OUTGOING, decide_record
from hub.app.runs import connection_of
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.app.voices import connector_name
from hub.core.canonical import CanonicalField
from hub.core.changes import Window, observe_cell
from hub.core.mapping import StreamMapping, to_canonical
from hub.core.plan import erases
from hub.core.planted import PLANTED
from hub.core.values import normalise, same
from hub.errors import Drifted, HubError, NeedsReview, NotFound
from hub.model import (
    LONG_AGO,
    WHOLE,
    Cell,
    ConflictKind,
    ConflictRow,
    HoldRow,
    Json,
    LinkRow,
    MappedRecord,
    QuarantineRow,
    RulingRow,
    SourceRecord,
)
from hub.store import Tx

PAGE = 200
UNKNOWN_CREATE = "PUSH-UNKNOWN"  # row of a create of which the system cannot tell whether it happened (app.resend)


class _Unset:
    """No value was given; None is one (a ruling may blank a field)."""


UNSET = _Unset()


# Conflicts


def resolve_conflict(
    hub: Hub,
    conflict_id: int,
    *,
    value: Json | _Unset = UNSET,
    candidate: int | None = None,
    by: str,
    note: str = "",
    digest: str | None = None,
) -> RulingRow:
    """Decide a conflict: a ruling that no machine overrides; the systems are corrected by the next push.

    Args:
        value: the value that shall stand; or
        candidate: index into the conflict's candidates, counted from 0.
        by: who decides.
        digest: of the conflict as the person saw it.

    Raises:
        NotFound: no such conflict or candidate.
        Drifted: the conflict, or the value it left standing, is another by now.
        MappingFault: the value has no place in the field's type.
    """

    def decide(tx: Tx) -> RulingRow:
        conflict = tx.conflict(conflict_id)
        scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by)
        scene.load([conflict.entity_id])
        root = scene.root_of[conflict.entity_id]
        if conflict.kind == ConflictKind.EDIT_DELETE:
            return _decide_record(scene, conflict, value, candidate, by=by, note=note, digest=digest)
        declared = scene.entity_type(root).fields[conflict.field]
        standing = scene.values(root).get(conflict.field)
        last = scene.rulings[root].get(conflict.field)
        own = last is not None and last.by == by and last.at > conflict.at and same(declared, standing, last.value)
        _refuse_drift(conflict, declared, standing, digest, own=own)
        _refuse_old_question(tx, conflict, root)
        ruling = RulingRow(
            id=tx.reserve_ids("ruling", 1)[0], entity_id=root, field=conflict.field,
            value=_chosen(conflict, declared, standing, value, candidate), version=scene.version, by=by, at=scene.now,
            note=note,
        )  # fmt: skip
        tx.add_ruling(ruling)
        tx.close_conflict(conflict_id, f"ruling:{ruling.id}", ruling.value, None, note)
        scene.rulings[root][conflict.field] = ruling
        scene.touch(root, conflict.field)
        finish(scene)
        tx.audit(by, "conflict resolved", f"conflict {conflict_id}", standing, ruling.value, scene.now)
        return ruling

    return commit(hub, decide)


def release_conflict(hub: Hub, conflict_id: int, *, by: str, note: str = "") -> ConflictRow:
    """Let a field that stands still move again by its rule, without a ruling: its automations were mended.

    Raises:
        NotFound: no such conflict. Drifted: its field does not stand still.
    """

    def let_go(tx: Tx) -> ConflictRow:
        conflict = tx.conflict(conflict_id)
        scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by)
        scene.load([conflict.entity_id])
        release(scene, conflict)
        tx.close_conflict(conflict_id, f"person:{by}", conflict.winner, conflict.winner_link, note or conflict.note)
        finish(scene)
        tx.audit(by, "conflict released", f"conflict {conflict_id}", conflict.field, None, scene.now)
        return tx.conflict(conflict_id)

    return commit(hub, let_go)


def _decide_record(
    scene: Scene, conflict: ConflictRow, value: Json | _Unset, candidate: int | None, *, by: str, note: str,
    digest: str | None,
) -> RulingRow:  # fmt: skip
    """A deleted record is kept or deleted; no ruling stands for it, since the next delete is another question."""
    if (digest is not None and digest != conflict.digest) or conflict.state == "closed":
        where, fix = f"conflict {conflict.id}", "look at it again, then decide"
        raise Drifted("this conflict has changed since it was shown, or is decided", where=where, fix=fix)
    chosen = None if isinstance(value, _Unset) else value
    choice = decide_record(scene, conflict, candidate=candidate, value=chosen, by=by, note=note)
    finish(scene)
    scene.tx.audit(by, "conflict resolved", f"conflict {conflict.id}", conflict.kind, choice, scene.now)
    return RulingRow(
        id=0, entity_id=conflict.entity_id, field="", value=choice, version=scene.version, by=by, at=scene.now
    )  # fmt: skip


def _refuse_drift(
    conflict: ConflictRow, declared: CanonicalField, standing: Json, digest: str | None, *, own: bool
) -> None:
    """What is no longer as the person saw it is not decided; what stands by their own last word may be taken back."""
    where = f"conflict {conflict.id}"
    if digest is not None and digest != conflict.digest and "no_digest" not in PLANTED:
        raise Drifted("this conflict has changed since it was shown", where=where, fix="look at it again, then decide")
    if conflict.state == "closed" and not own and not same(declared, standing, conflict.winner):
        raise Drifted(
            "it was decided before, and the value has moved on since", where=where, fix="hub why shows what stands now"
        )


def _refuse_old_question(tx: Tx, conflict: ConflictRow, root: int) -> None:
    """A decided conflict is not decided anew over one that is open: the person would decide what nobody showed."""
    asked = tx.conflicts(state="open", entity_id=root, field=conflict.field, limit=1)
    if conflict.state == "closed" and asked and "no_digest" not in PLANTED:
        raise Drifted(
            f"{conflict.field} is in question again since", where=f"conflict {conflict.id}",
            fix=f"hub conflicts show {asked[0].id}",
        )  # fmt: skip


def _chosen(
    conflict: ConflictRow, declared: CanonicalField, standing: Json, value: Json | _Unset, candidate: int | None
) -> Json:
    """The value a person chose, in its normal form."""
    if candidate is not None:
        if not 0 <= candidate < len(conflict.candidates):
            raise NotFound(f"there is no candidate {candidate}", where=f"conflict {conflict.id}", fix="counted from 0")
        return chosen_value(conflict.candidates[candidate], declared, standing)
    if isinstance(value, _Unset):
        raise NeedsReview("neither a value nor a candidate was chosen", where=f"conflict {conflict.id}")
    return normalise(declared, value)


def chosen_value(candidate: Mapping[str, Json], declared: CanonicalField, standing: Json) -> Json:
    """The whole value if this candidate wins: an element joins or leaves the set, parts replace those of the group."""
    if declared.kind == "set" and candidate["part"] == WHOLE:  # what nobody could attribute is kept as it was read
        return sorted(candidate["value"] or ())
    if declared.kind == "set":
        others = set(standing or []) - {candidate["part"]}
        return sorted(others | {candidate["part"]}) if candidate["value"] else sorted(others)
    if declared.kind == "group" and candidate["value"] is not None:
        return {**dict.fromkeys(declared.parts), **(standing or {}), **candidate["value"]}
    return candidate["value"]


# Holds


def release_hold(hub: Hub, hold_id: int, *, by: str) -> Counter[str]:
    """Let through what a guard kept back: that much and no more.

    Raises:
        NotFound: no such hold. Drifted: somebody decided it already.
    """
    return _decide_hold(hub, hold_id, by=by, release=True)


def drop_hold(hub: Hub, hold_id: int, *, by: str) -> Counter[str]:
    """Refuse what a guard kept back: held values are put back at their system, held creates and removals never made."""
    return _decide_hold(hub, hold_id, by=by, release=False)


def _decide_hold(hub: Hub, hold_id: int, *, by: str, release: bool) -> Counter[str]:
    with hub.store.reading() as tx:
        hold = tx.hold(hold_id)
    if hold.state != "open":
        raise Drifted(f"this hold was {hold.state} already", where=f"hold {hold_id}")
    counts: Counter[str] = Counter()
    writes = hold.guard == "creates" or hold.field == OUTGOING  # whole records that were to be created, or removed
    if hold.guard == "deletes" and release and not writes:
        _release_deletes(hub, hold, counts)
    elif hold.guard == GONE_BACK:
        _decide_records(hub, hold, counts, release=release)
    elif not writes:
        _decide_cells(hub, hold, counts, release=release)

    def close(tx: Tx) -> int:
        freed = tx.clear_hold(hold_id) if writes and release else 0
        if hold.field == OUTGOING and not release:
            tx.cancel_leaving(hold_id)
        tx.update_hold(hold_id, state="released" if release else "dropped", ceiling=freed)
        action = "hold released" if release else "hold dropped"
        tx.audit(by, action, f"hold {hold_id}", "open", hold.guard, hub.clock.now())
        return freed

    counts["removals" if hold.field == OUTGOING else "creates"] += commit(hub, close)
    return counts


def _decide_records(hub: Hub, hold: HoldRow, counts: Counter[str], *, release: bool) -> None:
    """Read what went back once more, page by page: taken in as edits, or as what is to be put right."""
    connection = connection_of(hub, hold.connection)
    connection.require()
    mapping, fetch = connection.mappings[hold.stream], connection.connector.fetch
    decision, names = ("released", ()) if release else ("dropped", tuple(mapping.entity_type.fields))
    while True:
        with hub.store.reading() as tx:
            items = tx.hold_items(hold.id, limit=PAGE)
            links = tx.links_by_ids([link for link, _ in items], raw=False)
        if not items:
            return
        read_at, ids = hub.clock.now(), [link.external_id for link in links.values() if link.external_id]
        records = fetch(connection.api, mapping.source, ids) if fetch is not None else ()
        cells = frozenset((link_id, name) for link_id in links for name in (RECORD, *names))
        counts += ingest_page(
            hub, connection, mapping.source, records, read_at=read_at, run_id=hold.run_id, by_id=True,
            release={decision: cells},
        )  # fmt: skip
        commit(hub, partial(_forget_items, hold_id=hold.id, items=items))


def _decide_cells(hub: Hub, hold: HoldRow, counts: Counter[str], *, release: bool) -> None:
    """Page by page, so that a stop in between loses nothing: cells that are done leave the hold with their page."""

    def page(tx: Tx) -> tuple[int, int]:
        items = tx.hold_items(hold.id, limit=PAGE)
        scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), run_id=hold.run_id)
        links = tx.links_by_ids([link for link, _ in items], raw=False)
        scene.load({link.entity_id for link in links.values()})
        decided = 0 if hold.guard == "deletes" else _take_cells(scene, items, release=release)
        finish(scene)
        tx.drop_hold_items(hold.id, items)
        return decided, len(items)

    left = 1
    while left:
        decided, left = commit(hub, page)
        counts["cells"] += decided


def _take_cells(scene: Scene, items: Sequence[tuple[int, str]], *, release: bool) -> int:
    decided, stored = 0, scene.tx.links_by_ids([link_id for link_id, _ in items])  # a scene holds no raw records
    for link_id, name in items:
        link = scene.links.get(link_id)
        mapping = scene.hub.mapping_of(link.connection, link.stream) if link is not None else None
        if link is None or mapping is None or stored[link_id].raw is None:
            continue  # nothing is left of the record: there is nothing to let through
        shown = _shown(scene.tx, stored[link_id], mapping)
        if name in shown:
            _take_cell(scene, link, mapping, name, shown[name], release=release)
            decided += 1
    return decided


def _shown(tx: Tx, link: LinkRow, mapping: StreamMapping) -> dict[str, Json]:
    """What the last accepted record says, with references resolved; those to unknown records are left out."""
    mapped = to_canonical(mapping, stored_record(link))
    shown = dict(mapped.values)
    shown.update(_references(tx, link, mapped))
    return shown


def _references(tx: Tx, link: LinkRow, mapped: MappedRecord) -> dict[str, Json]:
    named = {ref for ref in mapped.references.values() if ref is not None}
    known = tx.entity_ids(link.connection, named) if named else {}
    return {
        name: None if ref is None else known[ref]
        for name, ref in mapped.references.items()
        if ref is None or ref in known
    }


def _take_cell(scene: Scene, link: LinkRow, mapping: StreamMapping, name: str, value: Json, *, release: bool) -> None:
    """Take one held value in, or have it put back.

    When the edit was made is known only roughly (later reads were held, too): after the last claim of this link, and
    before its newest read. A window too wide makes claims concurrent; one too narrow would beat them in silence.
    """
    root, cells = scene.root_of[link.entity_id], dict(scene.cells(link.id))
    declared, old = scene.entity_type(root).fields[name], cells.get(name)
    if not release:
        cells[name] = Cell(held=value)
        scene.set_cells(link.id, cells)
        if old is not None and old.own:
            scene.depart(root, name, old.own, is_set=declared.kind == "set")
        scene.touch(root, name)
        return
    after = max((claim.before for claim in old.own.values()), default=LONG_AGO) if old else LONG_AGO
    before = link.read_at if link.read_at is not None else scene.now
    cells[name], edited = observe_cell(
        declared, old, value, link=link.id, window=Window(after=min(after, before), before=before),
        version=scene.version,
        erases=erases(mapping, name, link.connection, connector_name(scene.hub, link.connection)),
    )  # fmt: skip
    scene.set_cells(link.id, cells)
    (scene.touch if edited else scene.recheck)(root, name)


def _release_deletes(hub: Hub, hold: HoldRow, counts: Counter[str]) -> None:
    """Ask the system once more; what is still gone there is taken as gone."""
    connection = connection_of(hub, hold.connection)
    mapping = connection.mappings[hold.stream]
    while True:
        with hub.store.reading() as tx:
            items = tx.hold_items(hold.id, limit=PAGE)
            links = tx.links_by_ids([link for link, _ in items], raw=False)
        if not items:
            return
        counts.update(_take_deletes(hub, connection, mapping, hold, list(links.values())))
        commit(hub, partial(_forget_items, hold_id=hold.id, items=items))


def _forget_items(tx: Tx, hold_id: int, items: Sequence[tuple[int, str]]) -> None:
    tx.drop_hold_items(hold_id, items)


def _take_deletes(
    hub: Hub, connection: Connection, mapping: StreamMapping, hold: HoldRow, links: Sequence[LinkRow]
) -> Counter[str]:
    read_at, ids = hub.clock.now(), [link.external_id for link in links if link.external_id]
    if connection.connector.fetch is not None:
        connection.require()
        records = list(connection.connector.fetch(connection.api, mapping.source, ids))
    else:  # it cannot be asked: what was not seen since the hold is gone
        records = [
            SourceRecord(external_id=link.external_id or "", data={}, op="delete")
            for link in links
            if (link.read_at or 0.0) <= hold.at
        ]
    released = frozenset((link.id, "") for link in links)
    return ingest_page(
        hub, connection, mapping.source, records, read_at=read_at, run_id=hold.run_id, release={"released": released}
    )  # fmt: skip


# Quarantine


def retry_quarantine(hub: Hub, row_id: int, *, by: str) -> QuarantineRow:
    """Do again what failed; gives the row as it is afterwards: mended, or still open with its newest reason.

    Inward: the record is read again and taken in. Outward: the barrier goes, and the next push tries again.

    Raises:
        NotFound: no such row. Drifted: it is not open any more. HubError: the system cannot be read now.
    """
    with hub.store.reading() as tx:
        row = tx.quarantine_row(row_id)
    if row.state != "open":
        raise Drifted(f"this row was {row.state} already", where=f"quarantine {row_id}")
    connection = connection_of(hub, row.connection)
    if row.direction == "in":
        _read_again(hub, connection, row)
    else:
        _write_again(hub, row)
    with hub.store.transaction() as tx:
        tx.audit(by, "quarantine retried", f"quarantine {row_id}", row.code, row.field, hub.clock.now())
        return tx.quarantine_row(row_id)


def _read_again(hub: Hub, connection: Connection, row: QuarantineRow) -> None:
    """Take the record in as if it had changed: fetched if the system can be asked for it, else as last stored."""
    mapping = connection.mappings.get(row.stream)
    if mapping is None:
        raise NotFound(f"no mapping reads {row.stream} any more", where=row.connection, fix="map the stream again")

    def forget(tx: Tx) -> LinkRow | None:
        link = tx.links_by_keys(row.connection, row.stream, [row.external_id]).get(row.external_id)
        if link is not None:
            link.hash = None  # the same record is news once more
            tx.update_links([link])
        return link

    link = commit(hub, forget)
    connection.barred.discard((row.stream, row.external_id))
    read_at = hub.clock.now()
    if connection.connector.fetch is not None and mapping.read_id is None:
        connection.require()
        records: Sequence[SourceRecord] = connection.connector.fetch(connection.api, mapping.source, [row.external_id])
    elif link is not None and link.raw is not None:
        records, read_at = [stored_record(link)], link.read_at or read_at
    else:
        data = row.value if isinstance(row.value, dict) else {}
        records = [SourceRecord(external_id=row.external_id, data=data)] if data else []
    ingest_page(hub, connection, mapping.source, records, read_at=read_at)


def _write_again(hub: Hub, row: QuarantineRow) -> None:
    def unbar(tx: Tx) -> None:
        tx.close_quarantine([row.id or 0])
        links = tx.links_by_ids([row.link_id]) if row.link_id is not None else {}
        for link in links.values():
            link.behind_since, link.retry_at, link.attempts = hub.clock.now(), None, 0
        tx.update_links(list(links.values()))
        if row.code == UNKNOWN_CREATE:  # a person looked: the record is not there
            intents = list(tx.intents_for(links).values())
            for intent in intents:
                intent.state = "not_done"
            tx.update_intents(intents)

    commit(hub, unbar)


def retry_all(hub: Hub, rows: Sequence[int] | None, *, by: str) -> list[dict[str, Json]]:
    """Retry these rows, or every open one; a row that fails again says why, and the others go on."""
    if rows is None or not rows:
        with hub.store.reading() as tx:
            rows = [row.id or 0 for row in tx.quarantine(limit=100_000)]
    found: list[dict[str, Json]] = []
    for row_id in rows:
        try:
            row = retry_quarantine(hub, row_id, by=by)
        except HubError as error:
            found.append(
                {"row": row_id, "state": "open", "code": error.code, "message": error.message, "fix": error.fix}
            )
            continue
        found.append({"row": row_id, "state": row.state, "code": row.code, "message": row.message, "fix": row.fix})
    return found
