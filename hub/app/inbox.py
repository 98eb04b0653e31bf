"""The support desk: conflicts that wait for a person, one of them with all that helps to decide, and all alike.

Decisions themselves are `hub.app.review`'s; what is here finds, explains and repeats them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.notes import notes_of
from hub.app.review import chosen_value, resolve_conflict
from hub.app.titles import card, cards
from hub.core.canonical import CanonicalField, EntityType
from hub.core.shadow import unpack_shadow
from hub.core.values import is_blank, same
from hub.errors import HubError, NotFound
from hub.model import ConflictKind, ConflictRow, Json
from hub.store import Tx

PAGE = 50
ALIKE_MOST = 200  # conflicts that one click decides
PERSON = "person"  # in the place of a rule
AGES = {"hour": 3_600.0, "day": 86_400.0, "week": 7 * 86_400.0}

WHY = {
    ConflictKind.CONCURRENT: "Both were changed at about the same time, and neither had seen the other.",
    ConflictKind.REFUSED: "A later change came from a system that does not decide this field.",
    ConflictKind.FIRST_CONTACT: "The systems differed when they were first connected; no clock tells who is newer.",
    ConflictKind.SUPERSEDED: "The change was overtaken in the same moment.",
    ConflictKind.EDIT_DELETE: "It was deleted in one system and lives on in another; shall it go or stay?",
    ConflictKind.OSCILLATION: "Two systems keep overwriting each other; the field stands still until somebody looks.",
}
REASONS = {  # the same in few words, for a list
    ConflictKind.CONCURRENT: "changed in two systems at once",
    ConflictKind.REFUSED: "changed where it is not decided",
    ConflictKind.FIRST_CONTACT: "differed when first connected",
    ConflictKind.EDIT_DELETE: "deleted here, alive there",
    ConflictKind.OSCILLATION: "two systems overwrite each other",
}
# A conflict about a whole record: the delete is its first candidate (hub.app.removals).
WHOLE_RECORD = CanonicalField(
    name="", type="enum", values=("delete", "keep"), text="Delete: it goes everywhere, as far as the mappings allow."
)
RULES = {
    "source": "the order of systems decides",
    "newest": "the newest change wins",
    "first": "what was known first stays",
    "max": "the furthest stage wins",
    "min": "the lowest wins",
    "longest": "the longest text wins",
    "union": "all are kept",
    "majority": "what most systems say wins",
    "consent": "the latest evidence wins; in doubt nobody is written to",
    "manual": "a person decides; until then the oldest value stands",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which conflicts are wanted; None for any."""

    field: str | None = None
    kind: str | None = None
    type: str | None = None
    connection: str | None = None
    older: str | None = None  # of AGES: only what came up longer ago
    policy: str | None = None  # of RULES, the rule of the field; PERSON: what a person decided

    def on(self, hub: Hub, *, waits: bool) -> dict[str, Json]:
        """As the store is asked."""
        said: dict[str, Json] = {
            "field": self.field, "kind": self.kind, "type": self.type, "connection": self.connection,
            "before": hub.clock.now() - AGES[self.older] if self.older in AGES else None,
        }  # fmt: skip
        if waits and self.policy in (
            *RULES,
            PERSON,
        ):  # nothing has decided it yet: the rule of its field is what it waits for
            said["cells"] = [
                f"{kind}.{name}"
                for kind, entity in hub.canonical.entities.items()
                for name, declared in entity.fields.items()
                if _rule_of(declared) == self.policy
            ]
        elif self.policy in (*RULES, PERSON):
            said["decided_by"] = "ruling:" if self.policy == PERSON else f"rule:{self.policy}"
        return said


def _rule_of(declared: CanonicalField) -> str:
    return "consent" if declared.kind == "consent" else declared.survivorship.rule


def conflict_page(
    hub: Hub, wanted: Wanted | None = None, *, waits: bool = True, edge: int | None = None, limit: int = PAGE
) -> Dict:
    """One page of conflicts, and where the next one begins.

    Args:
        waits: those that wait, oldest first; else those decided, newest first.
        edge: of the page before (its `next`).
    """
    narrowed = (wanted or Wanted()).on(hub, waits=waits)
    with hub.store.reading() as tx:
        rows = tx.inbox(
            waits=waits, edge=edge if edge is not None else (0 if waits else 2**62), limit=limit + 1, **narrowed
        )
        named = cards(tx, {row.entity_id for row in rows})
        counts = tx.count_waiting_conflicts()
    shown = rows[:limit]
    return {
        "rows": [_line(row, named.get(row.entity_id)) for row in shown],
        "next": shown[-1].id if len(rows) > limit else None,
        "waiting": sum(counts.values()),
        "fields": _counted(counts, 1),
        "types": _counted(counts, 0),
        "kinds": _counted(counts, 2),
    }


def _counted(counts: Mapping[tuple[str, str, str], int], place: int) -> dict[str, int]:
    found: Counter[str] = Counter()
    for key, number in counts.items():
        found[key[place]] += number
    return dict(found.most_common())


def _line(row: ConflictRow, named: Dict | None) -> Dict:
    return {
        "conflict": row.id, "card": named or _nobody(row), "field": row.field, "kind": row.kind, "state": row.state,
        "at": iso(row.at), "decided_by": row.decided_by, "winner": row.winner, "digest": row.digest,
        "candidates": [_said(each) for each in row.candidates],
    }  # fmt: skip


def _nobody(row: ConflictRow) -> Dict:
    return {
        "entity": f"entity:{row.entity_id}", "type": "", "id": row.entity_id, "title": f"entity {row.entity_id}",
        "beside": "",
    }  # fmt: skip


def _said(candidate: Mapping[str, Json]) -> Dict:
    return {
        "connection": candidate.get("connection") or "", "value": candidate["value"],
        "part": candidate.get("part") or "", "won": bool(candidate.get("won")), "after": iso(candidate["after"]),
        "before": iso(candidate["before"]),
    }  # fmt: skip


# One conflict


def conflict_case(hub: Hub, conflict_id: int, wanted: Wanted | None = None) -> Dict:
    """One conflict with all that helps to decide: who said what when, why it waits, who holds what now, what is alike.

    `wanted` is the way of looking at the inbox from which somebody came: the next one is of the same.

    Raises NotFound.
    """
    with hub.store.reading() as tx:
        row = tx.conflict(conflict_id)
        root = tx.roots([row.entity_id]).get(row.entity_id, row.entity_id)
        entity = tx.entities([root]).get(root)
        if entity is None:
            raise NotFound(f"the record of conflict {conflict_id} is gone", where=f"conflict {conflict_id}")
        declared = _declared(hub.canonical.entities[entity.type], row.field)
        if declared is None:
            raise NotFound(f"{entity.type} has no field {row.field} any more", where=f"conflict {conflict_id}")
        found = {
            **_line(row, cards(tx, [root]).get(root)),
            "standing": entity.values.get(row.field),
            "values": _beside(hub.canonical.entities[entity.type], entity.values),
            "held": _held(hub, tx, root, row.field),
            "notes": notes_of(tx, f"conflict:{conflict_id}"),
            "note": row.note,
            "run": row.run_id,
            "following": _following(tx, row, (wanted or Wanted()).on(hub, waits=True)),
        }
        ruling = tx.rulings([root]).get(root, {}).get(row.field)
    found["choices"] = [
        {**said, "number": number + 1, "candidate": number, "whole": _whole(row, number, declared, found["standing"])}
        for number, said in enumerate(found["candidates"])
    ]
    for each in found["choices"]:
        each["stands"] = same(declared, each["whole"], found["standing"]) if row.field else each["won"]
    overruled = [each for each in found["choices"] if each["won"] and not each["stands"]]
    later = ruling if row.decided_by.startswith("rule:") and ruling is not None and ruling.at > row.at else None
    found["overruled"] = {"by": later.by, "at": iso(later.at)} if overruled and later is not None else None
    ruled = row.decided_by.startswith("ruling") or later is not None
    found["before"] = overruled[0] if overruled and ruled else None  # to take it back
    spoke = Counter(each["connection"] for each in found["candidates"] if each["connection"])
    found["speakers"] = [each for each in found["choices"] if spoke[each["connection"]] == 1]
    return {**found, **_policy(declared, row)}


def _beside(entity: EntityType, values: Mapping[str, Json]) -> Dict:
    """What else is known, to tell who this is; references left out, since a number tells nobody anything."""
    return {
        name: value
        for name, value in values.items()
        if not is_blank(value) and (declared := entity.fields.get(name)) is not None and declared.kind != "ref"
    }


def _declared(entity: EntityType, field: str) -> CanonicalField | None:
    return entity.fields.get(field) if field else WHOLE_RECORD


def _whole(row: ConflictRow, number: int, declared: CanonicalField, standing: Json) -> Json:
    """What the field would hold if this one wins."""
    return chosen_value(row.candidates[number], declared, standing)


def _policy(declared: CanonicalField, row: ConflictRow) -> Dict:
    rule = declared.survivorship
    return {
        "text": declared.text, "field_type": declared.type, "options": list(declared.values),
        "parts": dict(declared.parts), "rule": rule.rule, "rule_text": RULES.get(rule.rule, rule.rule),
        "rule_at": rule.where, "order": list(rule.source), "why": WHY.get(ConflictKind(row.kind), row.kind),
    }  # fmt: skip


def _held(hub: Hub, tx: Tx, root: int, field: str) -> list[Dict]:
    """What every linked record holds in this field now."""
    members = tx.alias_closure([root])[root]
    found = []
    for link in tx.links_of(members, raw=False):
        mapping = hub.mapping_of(link.connection, link.stream)
        cells = unpack_shadow(link.shadow)
        if field in cells or (mapping is not None and field in mapping.fields):
            found.append(
                {
                    "connection": link.connection, "stream": link.stream, "external_id": link.external_id,
                    "state": str(link.state), "held": cells[field].held if field in cells else None,
                    "read_at": iso(link.read_at),
                }
            )  # fmt: skip
    return found


def _following(tx: Tx, row: ConflictRow, narrowed: Mapping[str, Json]) -> int | None:
    """The next conflict that waits, so that nobody has to go back to the list."""
    for edge in (row.id or 0, 0):
        for each in tx.inbox(waits=True, edge=edge, limit=2, **narrowed):
            if each.id != row.id:
                return each.id
    return None


# All alike


def alike(hub: Hub, conflict_id: int, candidate: int) -> Dict:
    """Waiting conflicts of the same field in which the same system spoke, this one too: what each would become.

    Args:
        candidate: of this conflict, counted from 0; the same system's word is taken in the others.

    Raises NotFound.
    """
    with hub.store.reading() as tx:
        row = tx.conflict(conflict_id)
        if not 0 <= candidate < len(row.candidates):
            raise NotFound(f"there is no candidate {candidate}", where=f"conflict {conflict_id}")
        system = str(row.candidates[candidate].get("connection") or "")
        entity = tx.entities([row.entity_id])[row.entity_id]
        declared = _declared(hub.canonical.entities[entity.type], row.field) or WHOLE_RECORD
        found = tx.inbox(waits=True, edge=0, limit=ALIKE_MOST + 1, field=row.field, type=entity.type, connection=system)
        rows = [each for each in found if sum(_from(said, system) for said in each.candidates) == 1][:ALIKE_MOST]
        roots = tx.roots({each.entity_id for each in rows})
        entities = tx.entities(set(roots.values()))
    more = len(found) > ALIKE_MOST
    shown = []
    for each in rows:
        whose = entities[roots[each.entity_id]]
        standing = whose.values.get(row.field)
        number = next(n for n, said in enumerate(each.candidates) if _from(said, system))
        new = chosen_value(each.candidates[number], declared, standing)
        shown.append(
            {
                "conflict": each.id, "card": card(whose), "candidate": number,
                "digest": each.digest, "old": standing, "new": new, "changes": not same(declared, standing, new),
            }
        )  # fmt: skip
    return {"field": row.field, "connection": system, "type": entity.type, "rows": shown, "more": more}


def _from(candidate: Mapping[str, Json], system: str) -> bool:
    return candidate.get("connection") == system


def resolve_alike(
    hub: Hub, conflict_id: int, candidate: int, shown: Sequence[tuple[int, str]], *, by: str, note: str = ""
) -> Dict:
    """Decide those that were shown, and only them, each as it was when it was shown.

    Args:
        shown: (conflict, digest) of the rows that `alike` gave.

    Returns:
        {"done": how many, "refused": [{conflict, message}] that changed meanwhile}
    """
    wanted = dict(shown)
    rows = [each for each in alike(hub, conflict_id, candidate)["rows"] if each["conflict"] in wanted]
    done, refused = 0, []
    for each in rows:
        try:
            resolve_conflict(
                hub, each["conflict"], candidate=each["candidate"], by=by, note=note, digest=wanted[each["conflict"]]
            )
            done += 1
        except HubError as error:
            refused.append({"conflict": each["conflict"], "message": error.message})
    return {"done": done, "refused": refused, "gone": len(wanted) - len(rows)}
