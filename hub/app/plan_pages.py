"""A stored plan page by page: what is in it by system, operation and field, and the writes that a filter leaves.

A plan may hold some hundred thousand writes. So it is stored twice: whole, to be carried out, and in parts of some
hundred writes, each with a head that counts what is in it. A page reads the heads and the parts that it shows.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.planned import unpacked
from hub.app.titles import cards
from hub.core.plan import CASE, REMOVALS
from hub.errors import NotFound
from hub.model import Json
from hub.store import Tx
from hub.store.rows import PlanPartRow, PlanRow

PART = 200  # writes in a part
PAGE = 50  # writes on a page
READ_MOST = 12  # parts that one page reads; a rarer filter shows fewer rows, and goes on with the next page
FIELDS = 16  # fields that are counted by name on a page
ROWS_KEPT = 100  # of what is no write: refused, left as it is
REMOVE = "remove"  # stands for archive and delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """Which writes are wanted; None for any."""

    connection: str | None = None
    op: str | None = None  # create, update, remove
    field: str | None = None
    held: bool = False  # only what a guard would keep back

    def __bool__(self) -> bool:
        return bool(self.connection or self.op or self.field or self.held)

    def takes(self, write: Mapping[str, Json]) -> bool:
        group = _group(write)
        return self.fits(group) and (self.field is None or self.field in names_of(write))

    def fits(self, group: tuple[str, str, str]) -> bool:
        """(connection, op, guard): False if none of such writes is wanted."""
        connection, op, guard = group
        return self.connection in (None, connection) and self.op in (None, op) and (not self.held or bool(guard))


def names_of(write: Mapping[str, Json]) -> list[str]:
    """The fields that a write changes, as people know them."""
    return [name.removeprefix(CASE) for name in (*write["values"], *write.get("later", ()))]


def _group(write: Mapping[str, Json]) -> tuple[str, str, str]:
    op = REMOVE if write["op"] in REMOVALS else write["op"]
    return write["connection"], op, write.get("guard", "")


# Stored


def parts_of(document: Dict) -> list[PlanPartRow]:
    """The plan's document in parts; the first is everything but the writes."""
    rest = {name: value for name, value in document.items() if name not in ("writes", "changes")}
    for name in ("refused", "left"):
        rows = rest.get(name, [])
        rest |= {name: rows[:ROWS_KEPT], f"{name}_count": len(rows)}
    found = [PlanPartRow(part=0, head=[], content=_packed(rest))]
    writes = document["writes"]
    for place in range(0, len(writes), PART):
        some = writes[place : place + PART]
        found.append(PlanPartRow(part=1 + place // PART, head=_head(some), content=_packed(some)))
    return found


def _head(writes: Sequence[Mapping[str, Json]]) -> Json:
    """[[connection, op, guard, how many, {field: how many}]]"""
    totals: Counter[tuple[str, str, str]] = Counter()
    fields: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for write in writes:
        group = _group(write)
        totals[group] += 1
        fields[group].update(names_of(write))
    return [[*group, count, dict(fields[group])] for group, count in totals.items()]


def _packed(document: Json) -> bytes:
    return zlib.compress(orjson.dumps(document), 6)


# Shown


def plan_page(
    hub: Hub, plan_id: int, narrowed: Narrowed | None = None, *, after: int = 0, limit: int = PAGE
) -> Dict:  # fmt: skip
    """One page of a plan's writes.

    Args:
        after: place of the last write of the page before, from 1 (its `next`).

    Returns:
        {"plan": the row of the list, "rest": the document without its writes, "rows": writes with their "place" and the
        record's "card", "next", "matching": how many writes the filter leaves, "total": of all, "systems": counts
        by connection, "fields": [(connection, field, records)] of the commonest, "held": how many a guard would keep
        back, "named": entity that a value refers to -> what people call it}

    Raises NotFound.
    """
    wanted = narrowed or Narrowed()
    with hub.store.reading() as tx:
        row = tx.plan_head(plan_id)
        parts = _Parts(tx, row)
        rows, following = _shown(parts, wanted, after, limit)
        for each in rows:
            each["changes"] = _changes(hub, each)
        meant = [change for each in rows for change in each["changes"] if change["ref"]]
        ids = {change[side] for change in meant for side in ("old", "new") if isinstance(change[side], int)}
        named = cards(tx, {_number(each["entity"]) for each in rows} | ids)
        rest = parts.rest()
    for each in rows:
        each["guard"] = each.get("guard", "")
        each["card"] = named.get(_number(each["entity"]))
    return {
        "row": row, "rest": rest, "rows": rows, "next": following, **_counted(parts.heads, wanted),
        "named": {id_: named[id_]["title"] for id_ in ids if id_ in named},
    }  # fmt: skip


class _Parts:
    """The parts of one plan; of one that was stored before there were any, made anew."""

    def __init__(self, tx: Tx, row: PlanRow) -> None:
        self._tx, self._plan = tx, row.id
        self._old: dict[int, PlanPartRow] = {}
        self.heads: Mapping[int, Json] = tx.plan_part_heads(row.id)
        if not self.heads:
            self._old = {each.part: each for each in parts_of(unpacked(tx.plan(row.id).content))}
            self.heads = {number: each.head for number, each in self._old.items()}

    def writes(self, number: int) -> list[Dict]:
        found: list[Dict] = self._read(number)
        return found

    def rest(self) -> Dict:
        found: Dict = self._read(0)
        return found

    def _read(self, number: int) -> Json:
        part = self._old.get(number) or self._tx.plan_part(self._plan, number)
        if part is None:
            raise NotFound(f"part {number} of plan {self._plan} is gone", where=f"plan {self._plan}")
        return orjson.loads(zlib.decompress(part.content))


def _shown(parts: _Parts, wanted: Narrowed, after: int, limit: int) -> tuple[list[Dict], int | None]:
    """Writes that are wanted after a place, and the place after which to go on."""
    found: list[Dict] = []
    read = 0
    for number in sorted(parts.heads):
        last = number * PART  # place of the last write in it
        if number == 0 or last <= after or not _counts(parts.heads[number], wanted):
            continue
        if read == READ_MOST:
            return found, last - PART
        read += 1
        for place, write in enumerate(parts.writes(number), last - PART + 1):
            if place > after and wanted.takes(write):
                if len(found) == limit:
                    return found, found[-1]["place"]
                found.append({**write, "place": place})
    return found, None


def _counts(head: Json, wanted: Narrowed) -> int:
    """How many writes of a part are wanted."""
    return sum(
        count if wanted.field is None else fields.get(wanted.field, 0)
        for connection, op, guard, count, fields in head
        if wanted.fits((connection, op, guard))
    )


def _counted(heads: Mapping[int, Json], wanted: Narrowed) -> Dict:
    systems: dict[str, Counter[str]] = defaultdict(Counter)
    fields: Counter[tuple[str, str]] = Counter()
    for connection, op, guard, count, by_field in (row for head in heads.values() for row in head):
        systems[connection][op] += count
        systems[connection]["held"] += count if guard else 0
        for name, records in by_field.items():
            fields[connection, name] += records
    return {
        "total": sum(n["create"] + n["update"] + n[REMOVE] for n in systems.values()),
        "held": sum(n["held"] for n in systems.values()),
        "matching": sum(_counts(head, wanted) for head in heads.values()),
        "systems": {name: dict(counts) for name, counts in systems.items()},
        "fields": [[*place, count] for place, count in fields.most_common(FIELDS)],
    }


def _changes(hub: Hub, write: Mapping[str, Json]) -> list[Dict]:
    """Field -> old and new, and whether both are entities; a removal has none."""
    kind = hub.canonical.entities.get(str(write["entity"]).partition(":")[0])
    refs = {field.name for field in kind.fields.values() if field.type == "ref"} if kind is not None else set()
    return [
        {
            "field": name.removeprefix(CASE), "old": write["before"].get(name), "new": value,
            "why": write["why"].get(name, ""), "ref": name in refs,
        }
        for name, value in {**write["values"], **write.get("later", {})}.items()
    ]  # fmt: skip


def _number(entity: str) -> int:
    return int(entity.partition(":")[2])
