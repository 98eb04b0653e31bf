"""What a person decides about who is who: looks at pairs, merges, splits, keeps apart, rules before records arrive.

The console and the command line call these. Every decision is a transaction and a line in the audit log; merging and
splitting themselves are in hub.app.merging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.matching import LIVING
from hub.app.merging import Ends, merge_roots, newest_merge, unmerge_row
from hub.app.pairs import ALWAYS, CROWDED, MERGE, NEVER, PARTED, REVIEW, WEAK_KEY, kept_apart, pair
from hub.app.titles import cards
from hub.app.transact import commit
from hub.app.why import find_entity
from hub.core.canonical import EntityType
from hub.core.likeness import features_of, tells_one
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.errors import Drifted, NeedsReview, NotFound
from hub.model import EntityRow, Json, LinkRow
from hub.store import Tx
from hub.store.identities import Record
from hub.store.rows import IdentityRow

MANY = 500
LABELS = ("email", "name", "domain", "number", "phone")  # fields that tell a person which entity is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One of two that a person names: an entity, or a record that may not be there yet."""

    text: str
    entity_id: int | None  # root; None: the record has no entity yet
    record: Record | None = None


def find_end(hub: Hub, tx: Tx, text: str) -> End:
    """What a person means by contact:42, contact:ann@example.org or CONNECTION/STREAM/ID. Raises NotFound."""
    if "/" not in text or text.partition(":")[0] in hub.canonical.entities:
        return End(text=text, entity_id=find_entity(hub, tx, text))
    connection, _, rest = text.partition("/")
    stream, _, external_id = rest.partition("/")
    if connection not in hub.connections or stream not in hub.connections[connection].mappings or not external_id:
        raise NotFound(f"{text} names no record", where=text, fix="write CONNECTION/STREAM/ID, as hub why shows them")
    link = tx.links_by_keys(connection, stream, [external_id], raw=False).get(external_id)
    root = tx.roots([link.entity_id])[link.entity_id] if link is not None else None
    return End(text=text, entity_id=root, record=(connection, stream, external_id))


# Looking


def list_pairs(hub: Hub, *, state: str = "open", limit: int = MANY) -> list[Dict]:
    """Pairs that wait for a person, the likeliest first; also those put off (later) or decided (accepted, refused)."""
    with hub.store.reading() as tx:
        rows = tx.identities_ranked(REVIEW, state, limit=limit)
        names = _labels(hub, tx, [each for row in rows for each in (row["entity_id"], row["other_id"])])
        roots = tx.roots(names)
    return [
        {
            "pair": row["id"], "score": row["score"], "first": names[one][0], "first_is": names[one][1],
            "second": names[other][0], "second_is": names[other][1], "because": because(row), "state": row["state"],
            "at": iso(row["at"]), "own": _tells_one(hub, row, names[one][0].partition(":")[0]),
        }
        for row in rows
        if (one := row["entity_id"]) in names and (other := row["other_id"]) in names
        and (state != "open" or roots[one] != roots[other])
    ]  # fmt: skip


def _tells_one(hub: Hub, row: IdentityRow, kind: str) -> bool:
    """Whether a scan found that the two share more than names; a weak key alone (one telephone) a family has, too."""
    told = (row.get("evidence") or {}).get("fields") or ()
    return tells_one(features_of(hub.canonical.entities[kind]), {each["field"]: each["level"] for each in told})


def list_merges(hub: Hub, *, limit: int = MANY) -> list[Dict]:
    """Merges that stand, the newest first: what can be split again."""
    with hub.store.reading() as tx:
        rows = sorted(tx.identities(kind=MERGE, state="accepted", limit=100_000), key=lambda row: -row["version"])[
            :limit
        ]
        names = _labels(hub, tx, [each for row in rows for each in (row["entity_id"], row["other_id"])])
    return [
        {
            "merge": row["id"], "survivor": names[one][0], "survivor_is": names[one][1], "alias": names[other][0],
            "alias_is": names[other][1], "by": row["by"], "note": row["note"], "at": iso(row["at"]),
        }
        for row in rows
        if (one := row["entity_id"]) in names and (other := row["other_id"]) in names
    ]  # fmt: skip


def list_rulings(hub: Hub) -> list[Dict]:
    """Pairs that a person ruled about: never one, or always one once their records arrive."""
    with hub.store.reading() as tx:
        rows = [row for kind in (NEVER, ALWAYS) for row in tx.identities(kind=kind, state="open", limit=100_000)]
        names = _labels(hub, tx, [each for row in rows for each in (row["entity_id"], row["other_id"])])
    found = []
    for row in rows:
        told = (row.get("evidence") or {}).get("named") or ["", ""]
        ends = [
            names[each][0] if each in names else told[n] for n, each in enumerate((row["entity_id"], row["other_id"]))
        ]
        found.append(
            {
                "ruling": row["id"], "kind": row["kind"], "first": ends[0], "second": ends[1], "by": row["by"],
                "note": row["note"], "at": iso(row["at"]),
            }
        )  # fmt: skip
    return found


def list_parted(hub: Hub) -> list[Dict]:
    """Records that came back at a system after a merge there: perhaps their people should be split, too."""
    with hub.store.reading() as tx:
        rows = tx.identities(kind=PARTED, state="open", limit=100_000)
        names = _labels(hub, tx, [row["entity_id"] for row in rows])
        roots = tx.roots(names)
    return [
        {
            "record": row["key"], "entity": names[one][0], "entity_is": names[one][1],
            "one_with": f"{names[one][0].partition(':')[0]}:{roots[one]}", "at": iso(row["at"]),
        }
        for row in rows
        if (one := row["entity_id"]) in names and roots[one] != one
    ]  # fmt: skip


def list_crowded(hub: Hub) -> list[Dict]:
    """Keys that too many share (a switchboard, info@): they are no evidence, and join nobody."""
    with hub.store.reading() as tx:
        rows = tx.identities(kind=CROWDED, state="open", limit=100_000)
    return [
        {
            "key": row["evidence"]["key"], "value": row["evidence"]["value"].replace("\x1f", ", "),
            "entities": [f"{(row['key'] or '').partition(':')[0]}:{each}" for each in row["evidence"]["entities"]],
            "at": iso(row["at"]),
        }
        for row in rows
    ]  # fmt: skip


def because(row: IdentityRow) -> str:
    """Why a pair is in the queue, in a few words."""
    evidence: Mapping[str, Json] = row.get("evidence") or {}
    if "fields" in evidence:  # also of a pair that a weak key brought: a scan has looked closer since
        strong = sorted((each for each in evidence["fields"] if each["weight"] > 0), key=lambda each: -each["weight"])
        return ", ".join(f"{each['field']} {each['level']}" for each in strong)
    if row["by"] == WEAK_KEY:
        return f"weak key {evidence.get('key', '')}"
    return f"merged at {row['by']}"


def show_pair(hub: Hub, pair_id: int) -> Dict:
    """One pair side by side: score, each field with both values and what it says, records, and what a merge would do;
    `named` are the entities that its fields refer to.

    Raises:
        NotFound: no such pair.
    """
    with hub.store.reading() as tx:
        row = _pair(tx, pair_id)
        ends = [tx.roots([each])[each] for each in (row["entity_id"] or 0, row["other_id"] or 0)]
        names = _labels(hub, tx, ends)
        rows = tx.entities(ends)
        entity = hub.canonical.entities[rows[ends[0]].type]
        links = {each: tx.links_of(tx.alias_closure([each])[each], raw=False) for each in ends}
        told = {each["field"]: each for each in (row.get("evidence") or {}).get("fields", ())}
        fields = _side_by_side(entity, rows[ends[0]], rows[ends[1]], told)
        named = _named(tx, fields)
    return {
        "pair": row["id"], "state": row["state"], "score": row["score"],
        "weight": (row.get("evidence") or {}).get("weight"), "because": because(row), "at": iso(row["at"]),
        "first": names[ends[0]][0], "first_is": names[ends[0]][1], "second": names[ends[1]][0],
        "second_is": names[ends[1]][1], "one_already": ends[0] == ends[1], "note": row["note"],
        "fields": fields, "named": named,
        "records": [
            {
                "of": names[each][0], "connection": link.connection, "stream": link.stream,
                "external_id": link.external_id, "state": str(link.state),
            }
            for each in dict.fromkeys(ends)
            for link in links[each]
        ],
    }  # fmt: skip


def _pair(tx: Tx, pair_id: int) -> IdentityRow:
    row = tx.identity(pair_id)
    if row["kind"] != REVIEW:
        raise NotFound(f"{pair_id} is no pair to review but a {row['kind']}", where=f"pair {pair_id}")
    return row


def _side_by_side(entity: EntityType, one: EntityRow, other: EntityRow, told: Mapping[str, Json]) -> list[Dict]:
    found = []
    for field in entity.fields.values():
        for path in field.parts or (field.name,):
            left, right = (_at(row.values.get(field.name), path, field.name) for row in (one, other))
            if is_empty(left) and is_empty(right):
                continue
            said = told.get(path) or told.get(field.name)
            alike = left == right if path != field.name else same(field, left, right)
            agreement = "same" if alike else "one only" if is_empty(left) or is_empty(right) else "differs"
            found.append(
                {
                    "field": path, "first": left, "second": right, "agreement": agreement, "ref": field.type == "ref",
                    "level": said["level"] if said else "", "weight": said["weight"] if said else None,
                }
            )  # fmt: skip
    return found


def _named(tx: Tx, fields: Sequence[Dict]) -> dict[int, str]:
    """Entity that a field of the pair refers to -> what people call it."""
    told = [each[side] for each in fields if each["ref"] for side in ("first", "second")]
    return {id_: found["title"] for id_, found in cards(tx, {each for each in told if isinstance(each, int)}).items()}


def _at(value: Json, path: str, name: str) -> Json:
    return value if path == name else (value or {}).get(path)


def _labels(hub: Hub, tx: Tx, ids: Iterable[int | None]) -> dict[int, tuple[str, str]]:
    """Entity -> contact:42, and who that is in a few words."""
    found = {}
    for each, row in tx.entities({each for each in ids if each is not None}).items():
        parts: list[str] = []
        for name in LABELS:
            value = row.values.get(name)
            if isinstance(value, dict):
                value = " ".join(str(part) for part in value.values() if part)
            parts += [value] if isinstance(value, str) and value and len(parts) < 2 else []
        found[each] = (f"{row.type}:{each}", ", ".join(parts))
    return found


# Merging


class _Enough(Exception):
    """Everything is known that a preview needs; nothing of it is kept."""


def preview_merge(hub: Hub, first: str, second: str) -> Dict:
    """What a merge would do: each differing field with its joint value, each system, and what cannot be undone there.

    The merge is carried out and rolled back, so it shows what would really happen.

    Raises:
        NotFound, Drifted, NeedsReview: as `merge`.
    """

    def look(tx: Tx) -> Dict:
        ends = _ends(hub, tx, first, second)
        links = tx.links_of(
            [m for group in tx.alias_closure([ends.survivor, ends.alias]).values() for m in group], raw=False
        )
        rows, names = tx.entities([ends.survivor, ends.alias]), _labels(hub, tx, [ends.survivor, ends.alias])
        never = bool(kept_apart(tx, [ends.survivor, ends.alias]))
        merge_roots(hub, tx, ends, by="preview")
        joint = tx.entities([ends.survivor])[ends.survivor]
        return {
            "survivor": names[ends.survivor][0], "survivor_is": names[ends.survivor][1],
            "alias": names[ends.alias][0], "alias_is": names[ends.alias][1], "kept_apart": never,
            "fields": _joint_fields(rows[ends.survivor], rows[ends.alias], joint), "systems": _systems(hub, links),
        }  # fmt: skip

    return _rolled_back(hub, look)


def preview_unmerge(hub: Hub, target: str) -> Dict:
    """What taking a merge back would do: each field of the one beside what both would have, and who gets which record.

    It is carried out and rolled back, as in `preview_merge`.

    Returns:
        {"first", "first_is", "second", "second_is", "fields": [{field, joint, first, second}],
         "systems": [{connection, stream, external_id, goes_to}]}

    Raises:
        NotFound, Drifted: as `unmerge`.
    """

    def look(tx: Tx) -> Dict:
        row = _merge_of(hub, tx, target)
        joint = tx.entities([row["entity_id"] or 0])[row["entity_id"] or 0]
        ends = unmerge_row(hub, tx, row, by="preview")
        both = [ends.survivor, ends.alias]
        rows, names = tx.entities(both), _labels(hub, tx, both)
        return {
            "first": names[ends.survivor][0], "first_is": names[ends.survivor][1], "second": names[ends.alias][0],
            "second_is": names[ends.alias][1],
            "fields": _joint_fields(rows[ends.survivor], rows[ends.alias], joint),
            "systems": [
                {"connection": link.connection, "stream": link.stream, "external_id": link.external_id,
                 "goes_to": names[link.entity_id][0]}
                for link in tx.links_of(both, raw=False)
                if link.state in LIVING and link.external_id
            ],
        }  # fmt: skip

    return _rolled_back(hub, look)


def _rolled_back(hub: Hub, look: Callable[[Tx], Dict]) -> Dict:
    """What a transaction tells, and nothing of what it did."""
    told: Dict = {}

    def work(tx: Tx) -> None:
        told.update(look(tx))
        raise _Enough

    try:
        commit(hub, work)
    except _Enough:
        pass
    return told


def _joint_fields(one: EntityRow, other: EntityRow, joint: EntityRow) -> list[Dict]:
    return [
        {"field": name, "first": one.values.get(name), "second": other.values.get(name), "joint": value}
        for name, value in joint.values.items()
        if one.values.get(name) != value or (other.values.get(name) != value and not is_empty(value))
    ]


def _systems(hub: Hub, links: Sequence[LinkRow]) -> list[Dict]:
    """Per system and stream what becomes of its records, and whether a split can put that back."""
    found: dict[tuple[str, str], list[str]] = {}
    for link in links:
        if link.state in LIVING and link.external_id:
            found.setdefault((link.connection, link.stream), []).append(link.external_id)
    rows = []
    for (connection, stream), ids in sorted(found.items()):
        known = hub.connections.get(connection)
        acts = known is not None and stream in known.mappings and known.stream_of(known.mappings[stream]).acts
        if acts or len(ids) == 1:
            becomes, undo = "gets the joint values where it differs", "a split writes the old values back"
        else:
            becomes = f"{len(ids)} records stay; one is kept up to date, the others are heard and not written"
            warning = known.connector.merging if known is not None else ""
            undo = f"a split puts all back; {warning}" if warning else "a split puts all back"
        rows.append({"connection": connection, "stream": stream, "records": ids, "becomes": becomes, "undo": undo})
    return rows


def merge(hub: Hub, first: str, second: str, *, by: str, note: str = "") -> Dict:
    """Make two entities one. The first survives; the second stays as its alias, and can be split off again.

    Raises:
        NotFound: one of them does not exist. Drifted: they are one already. NeedsReview: they cannot be, or not now.
    """

    def work(tx: Tx) -> IdentityRow:
        return merge_roots(hub, tx, _ends(hub, tx, first, second), by=by, note=note)

    return _told(hub, commit(hub, work))


def merge_pair(hub: Hub, pair_id: int, *, by: str, note: str = "") -> Dict:
    """Make the two of a pair one; the older survives."""
    first, second = pair_ends(hub, pair_id)
    return merge(hub, first, second, by=by, note=note)


def pair_ends(hub: Hub, pair_id: int) -> tuple[str, str]:
    """The two of a pair, as `contact:42`, the older first. Raises NotFound."""
    with hub.store.reading() as tx:
        row = _pair(tx, pair_id)
        names = _labels(hub, tx, [row["entity_id"], row["other_id"]])
    return names[row["entity_id"] or 0][0], names[row["other_id"] or 0][0]


def _ends(hub: Hub, tx: Tx, first: str, second: str) -> Ends:
    found = [find_end(hub, tx, text) for text in (first, second)]
    for end in found:
        if end.entity_id is None:
            raise NotFound(
                f"{end.text} was not read yet", where=end.text, fix="hub identity always joins it on arrival"
            )
    return Ends(survivor=found[0].entity_id or 0, alias=found[1].entity_id or 0)


def _told(hub: Hub, row: IdentityRow) -> Dict:
    with hub.store.reading() as tx:
        names = _labels(hub, tx, [row["entity_id"], row["other_id"]])
    survivor, alias = names[row["entity_id"] or 0], names[row["other_id"] or 0]
    return {"merge": row["id"], "survivor": survivor[0], "survivor_is": survivor[1], "alias": alias[0]}


def unmerge(hub: Hub, target: str, *, by: str, note: str = "", apart: bool = True) -> Dict:
    """Take a merge back: of this number, or the newest of this entity.

    Args:
        apart: no machine joins the two again.

    Raises:
        NotFound: no such merge. Drifted: it was taken back, or a newer one must go first.
    """

    ends = commit(hub, lambda tx: unmerge_row(hub, tx, _merge_of(hub, tx, target), by=by, note=note, apart=apart))
    with hub.store.reading() as tx:
        names = _labels(hub, tx, [ends.survivor, ends.alias])
    one, other = names[ends.survivor], names[ends.alias]
    return {"first": one[0], "first_is": one[1], "second": other[0], "second_is": other[1], "kept_apart": apart}


def _merge_of(hub: Hub, tx: Tx, target: str) -> IdentityRow:
    """The merge of this number, or the newest of this entity. Raises NotFound."""
    row = tx.identity(int(target)) if target.isdigit() else newest_merge(tx, find_end(hub, tx, target).entity_id or 0)
    if row is None or row["kind"] != MERGE:
        raise NotFound(f"{target} is no merge, and was never merged", where=target, fix="hub identity review --merges")
    return row


# Ruling


def never(hub: Hub, first: str, second: str, *, by: str, note: str = "") -> Dict:
    """These two are never one, whatever keys say; records that have not arrived yet may be named.

    Raises:
        NotFound: no such entity. Drifted: they are one already: split them.
    """
    return commit(hub, lambda tx: _rule(hub, tx, NEVER, first, second, by, note))


def always(hub: Hub, first: str, second: str, *, by: str, note: str = "") -> Dict:
    """These two are one, whatever keys say: merged now, or, for a record that is not there yet, when it arrives."""
    return commit(hub, lambda tx: _rule(hub, tx, ALWAYS, first, second, by, note))


def _rule(hub: Hub, tx: Tx, kind: str, first: str, second: str, by: str, note: str) -> Dict:
    ends = [find_end(hub, tx, text) for text in (first, second)]
    roots = [end.entity_id for end in ends]
    result: Dict = {"kind": kind, "first": first, "second": second, "waits": None in roots}
    now = hub.clock.now()
    if None in roots:
        ids = _wait_for_records(tx, kind, ends, by, note, now)
        result["ruling"] = ids
    elif kind == ALWAYS:
        row = merge_roots(hub, tx, Ends(survivor=roots[0] or 0, alias=roots[1] or 0), by=by, note=note)
        return {**result, "merge": row["id"]}
    elif roots[0] == roots[1]:
        raise Drifted("they are one already", code="IDN-SAME", where=first, fix=f"hub identity split {first}")
    else:
        _put_never(tx, roots[0] or 0, roots[1] or 0, by, note, now)
    tx.audit(by, f"ruled {kind}", first, None, {"second": second, "note": note}, now)
    return result


def _put_never(tx: Tx, one: int, other: int, by: str, note: str, at: float) -> None:
    """The ruling, and the end of what was asked about the two under any of their names."""
    tx.add_pair_rulings([pair(NEVER, one, other, by=by, at=at, note=note)])
    home = {m: root for root, group in tx.alias_closure([one, other]).items() for m in group}
    for row in tx.identities_of(home, kind=REVIEW):
        ends = {home.get(row["entity_id"] or 0), home.get(row["other_id"] or 0)}
        if ends == {one, other} and row["state"] in ("open", "later"):
            tx.decide_identity(row["id"], "refused", note or f"never, says {by}")


def _wait_for_records(tx: Tx, kind: str, ends: Sequence[End], by: str, note: str, at: float) -> int:
    """Kept under the records' own addresses, so that their arrival finds it."""
    records = []
    for end in ends:
        record = end.record or _record_of(tx, end)
        if record is None:
            raise NeedsReview(
                f"{end.text} has no record in any system that the other could be held against", code="IDN-RECORD",
                where=end.text, fix="name one of its records: CONNECTION/STREAM/ID",
            )  # fmt: skip
        records.append(record)
    key = ">".join(sorted("/".join(each) for each in records))
    row: IdentityRow = {
        "kind": kind, "key": key, "by": by, "at": at, "note": note,
        "evidence": {"records": [list(each) for each in records], "named": [end.text for end in ends]},
    }  # fmt: skip
    tx.add_pair_rulings([row])
    id_ = tx.identities_by_keys(kind, [key])[key]["id"]
    tx.add_pair_records(id_, records)
    return id_


def _record_of(tx: Tx, end: End) -> Record | None:
    members = tx.alias_closure([end.entity_id])[end.entity_id] if end.entity_id is not None else []
    links = [link for link in tx.links_of(members, raw=False) if link.external_id is not None]
    return (links[0].connection, links[0].stream, links[0].external_id or "") if links else None


def lift(hub: Hub, ruling_id: int, *, by: str, note: str = "") -> Dict:
    """Take a ruling (never, always) back: from now on machines may ask and join again.

    Raises:
        NotFound: no such ruling. Drifted: it is not in force.
    """

    def work(tx: Tx) -> Dict:
        row = tx.identity(ruling_id)
        if row["kind"] not in (NEVER, ALWAYS):
            raise NotFound(f"{ruling_id} is no ruling but a {row['kind']}", where=f"ruling {ruling_id}")
        if row["state"] != "open":
            raise Drifted("this ruling is not in force", code="IDN-UNDONE", where=f"ruling {ruling_id}")
        tx.decide_identity(ruling_id, "undone", note)
        tx.audit(by, "ruling lifted", f"ruling {ruling_id}", row["kind"], note, hub.clock.now())
        return {"ruling": ruling_id, "kind": row["kind"], "state": "undone"}

    return commit(hub, work)


def later(hub: Hub, pair_id: int, *, by: str, note: str = "") -> Dict:
    """Put a pair off: it leaves the queue and is listed under `later`.

    Raises:
        NotFound: no such pair. Drifted: it was decided already.
    """

    def work(tx: Tx) -> Dict:
        row = _pair(tx, pair_id)
        if row["state"] not in ("open", "later"):
            raise Drifted(f"this pair was {row['state']} already", code="IDN-UNDONE", where=f"pair {pair_id}")
        tx.decide_identity(pair_id, "later", note)
        tx.audit(by, "put off", f"pair {pair_id}", row["state"], note, hub.clock.now())
        return {"pair": pair_id, "state": "later"}

    return commit(hub, work)
