"""Every value explains itself: who says what, since when, by which rule it stands, and what became of it.

A read, nothing more: everything shown here is what the decision itself was made of, and the value is decided once
more from it by the very functions that decided it (hub.core.explain). Should the two ever differ, it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.app.cases import Case, load_cases
from hub.app.context import Hub
from hub.app.derived import explain_computed
from hub.app.explaining import is_nothing, recomputed_sums
from hub.app.listings import Dict, iso
from hub.core.canonical import CanonicalField, EntityType
from hub.core.computed import COMPUTED
from hub.core.merge import is_frozen
from hub.core.plan import fields_due
from hub.core.shadow import is_empty
from hub.core.values import key_value, same
from hub.errors import NotFound
from hub.model import NO_VERSION, Cell, Claim, FieldState, HistoryRow, Json, LinkRow, RulingRow
from hub.store import Tx

MACHINES = ("sync", "mapping")  # actors in history that are no people
HISTORY = 20  # newest changes of a field that are shown


def why(hub: Hub, target: str, field: str | None = None) -> Dict:
    """Explain one field of an entity, or list all of them with who won.

    Args:
        target: "contact:42", or "contact:" and a key of it (an e-mail address, a phone); perhaps with ".field" after.
        field: a canonical field, or a part of a group; None for all.

    Returns:
        With a field: value, rule (with file:line), candidates, history, conflicts. Without: one row per field.

    Raises:
        NotFound: no such entity or field.
    """
    with hub.store.reading() as tx:
        if field is None:
            target, field = split_field(hub, tx, target)
        case = _load(hub, tx, find_entity(hub, tx, target))
        if field is None:
            return _overview(case)
        declared = case.entity.field_of(field)
        if declared is None:
            known = ", ".join(case.entity.fields)
            raise NotFound(f"{case.entity.name} has no field {field}", where=target, fix=f"known are: {known}")
        return {**_explained(tx, case, declared), "conflicts": _conflicts(tx, case, declared.name)}


def split_field(hub: Hub, tx: Tx, target: str) -> tuple[str, str | None]:
    """ "contact:42.phone" -> ("contact:42", "phone"). Keys have dots, too: what names an entity whole is left whole."""
    kind, _, rest = target.partition(":")
    entity = hub.canonical.entities.get(kind)
    for place in [index for index, letter in enumerate(rest) if letter == "."] if entity else ():
        name, field = f"{kind}:{rest[:place]}", rest[place + 1 :]
        if rest[:place].isdigit():
            return name, field
        if entity and entity.field_of(field) is not None and not _exists(hub, tx, target) and _exists(hub, tx, name):
            return name, field
    return target, None


def _exists(hub: Hub, tx: Tx, target: str) -> bool:
    try:
        find_entity(hub, tx, target)
    except NotFound:
        return False
    return True


def find_entity(hub: Hub, tx: Tx, target: str) -> int:
    """The root entity that a person means. Raises NotFound."""
    kind, _, rest = target.partition(":")
    entity = hub.canonical.entities.get(kind)
    if entity is None or not rest:
        known = ", ".join(hub.canonical.entities)
        raise NotFound(f"{target} names no entity", where=target, fix=f"write contact:42; types are: {known}")
    if rest.isdigit() and len(rest) < 19:
        found = tx.entities([int(rest)])
        if int(rest) in found and found[int(rest)].type == kind:
            return tx.roots([int(rest)])[int(rest)]
    keys = set(find_key(entity, rest))
    ids = sorted({each for group in tx.find_by_keys(kind, keys).values() for each in group}) if keys else []
    roots = sorted(set(tx.roots(ids).values())) if ids else []
    if not roots:
        raise NotFound(f"there is no {target}", where=target, fix="name it by its number, or by a whole key")
    if len(roots) > 1:
        many = ", ".join(f"{kind}:{each}" for each in roots)
        raise NotFound(f"{target} names several", where=target, fix=f"name one of: {many}")
    return roots[0]


def find_key(entity: EntityType, text: str) -> list[tuple[str, str]]:
    """What a person typed, as each key that it can be: (key name, value)."""
    return [(key.name, value) for key in entity.keys if (value := _key_of(entity, key.on, text)) is not None]


def _key_of(entity: EntityType, on: Iterable[str], text: str) -> str | None:
    """What a person typed, as a key of one field; keys over several fields cannot be typed."""
    paths = tuple(on)
    declared = entity.field_of(paths[0]) if len(paths) == 1 else None
    if declared is None:
        return None
    kind = declared.parts.get(paths[0], "text") if declared.kind == "group" else declared.type
    return key_value(kind, text)


def _load(hub: Hub, tx: Tx, root: int) -> Case:
    (case,) = load_cases(hub, tx, [root])
    case.history = tx.history(case.members)
    return case


# All fields


def _overview(case: Case) -> Dict:
    return {
        **_head(case),
        "fields": [
            {
                "field": name, "value": state.value, "rule": case.entity.fields[name].survivorship.rule,
                "from": ", ".join(_winners(case, state)) or ("ruling" if name in case.rulings else ""),
                "version": state.version,
            }
            for name, state in case.states.items()
            if name in case.entity.fields and not is_empty(state.value)
        ],
        "records": [
            {"connection": link.connection, "stream": link.stream, "external_id": link.external_id, "state": link.state}
            for link in case.links
        ],
    }  # fmt: skip


def _head(case: Case) -> Dict:
    return {
        "entity": case.name,
        "aliases": [f"{case.row.type}:{each}" for each in case.members if each != case.row.id],
    }


def _winners(case: Case, state: FieldState) -> list[str]:
    """Connections whose claims make the value."""
    names = {link.id: link.connection for link in case.links}
    return sorted({names.get(claim.link, "a system that is gone") for claim in state.memory.values()})


# One field


def _explained(tx: Tx, case: Case, declared: CanonicalField) -> Dict:
    state = case.states.get(declared.name, FieldState())
    ruling = case.rulings.get(declared.name)
    changes = [row for row in case.history if declared.name in row.changes]
    last = changes[-1] if changes else None
    return {
        **_head(case),
        "field": declared.name,
        "text": declared.text,
        "value": state.value,
        "version": state.version if state.version != NO_VERSION else None,
        "decided_by": "frozen" if is_frozen(state, ruling) else _decided_by(declared, ruling),
        "recomputed": _recomputed(tx, case, declared),
        "rule": declared.survivorship.rule,
        "rule_at": declared.survivorship.where,
        "order": list(declared.survivorship.source),
        "ties": list(case.hub.canonical.sources),
        "from": _winners(case, state) if ruling is None else [],
        "ruling": _ruling(ruling) if ruling else None,
        "run": last.run_id if last else None,
        "person": last.actor if last and last.actor not in MACHINES else None,
        "candidates": [_candidate(case, declared, state, link) for link in case.links if _speaks(case, declared, link)],
        "memory": [_claim(case, part, claim, won=True) for part, claim in sorted(state.memory.items())],
        "history": [_change(row, declared.name) for row in changes[-HISTORY:]],
    }


def _recomputed(tx: Tx, case: Case, declared: CanonicalField) -> Dict:
    """The value once more, from the evidence that is stored; `same` false means that it has no reason on record."""
    if declared.derived == COMPUTED:
        stored = case.states.get(declared.name, FieldState()).value
        told = explain_computed(case.hub, tx, case.row.id, declared.name)
        equal = told["value"] == stored or (is_empty(told["value"]) and is_empty(stored))
        return {**told, "from": [], "same": equal}
    if declared.derived:
        stored = case.states.get(declared.name, FieldState()).value
        value = recomputed_sums(case.hub, [case.row.id]).get((case.row.id, declared.name))
        return {"value": value, "from": [], "same": value == stored or (is_nothing(value) and is_nothing(stored))}
    found = case.recomputed(declared.name)
    names = {link.id: link.connection for link in case.links}
    winners = sorted({names.get(claim.link, "a system that is gone") for claim in found.winners.values()})
    return {"value": found.value, "from": winners, "same": found.same}


def _decided_by(declared: CanonicalField, ruling: RulingRow | None) -> str:
    if ruling is not None:
        return f"ruling:{ruling.id}"
    if declared.derived:
        return f"derived:{declared.derived}"
    return f"rule:{declared.survivorship.rule}"


def _speaks(case: Case, declared: CanonicalField, link: LinkRow) -> bool:
    mapping = case.hub.mapping_of(link.connection, link.stream)
    return declared.name in case.cells[link.id] or (mapping is not None and declared.name in mapping.fields)


def _candidate(case: Case, declared: CanonicalField, state: FieldState, link: LinkRow) -> Dict:
    """What one record holds, and how that stands to the value."""
    cell = case.cells[link.id].get(declared.name, Cell())
    mapping = case.hub.mapping_of(link.connection, link.stream)
    connection = case.hub.connections.get(link.connection)
    rules = mapping.fields.get(declared.name, ()) if mapping is not None else ()
    return {
        "connection": link.connection,
        "stream": link.stream,
        "external_id": link.external_id,
        "link": link.id,
        "state": str(link.state),
        "held": cell.held,
        "agreed": cell.agreed if cell.agreed != NO_VERSION else None,
        "standing": _standing(case, declared, state, link, cell),
        "read_at": iso(link.read_at),
        "claims": [_claim(case, part, claim, won=claim in state.memory.values()) for part, claim in cell.own.items()],
        "mapped_at": [rule.where for rule in rules],
        "mapping_version": link.mapping_version or (connection.mapping_version if connection else 0),
    }


def _standing(case: Case, declared: CanonicalField, state: FieldState, link: LinkRow, cell: Cell) -> str:
    """One word on what a record's value is to the entity's: wins, agrees, due, waits, differs, empty."""
    if any(claim in state.memory.values() for claim in cell.own.values()) and declared.name not in case.rulings:
        return "wins"
    if is_empty(cell.held) and is_empty(state.value):
        return "empty"
    if same(declared, cell.held, state.value):
        return "agrees"
    mapping = case.hub.mapping_of(link.connection, link.stream)
    if mapping is None:
        return "differs"
    due = fields_due(
        case.entity, mapping, case.states, case.cells[link.id], case.rulings, names=[declared.name]
    )  # fmt: skip
    if declared.name in due.waiting:
        return "waits"
    return "due" if declared.name in due.fields else "differs"


def _claim(case: Case, part: str, claim: Claim, *, won: bool) -> Dict:
    home = next((link for link in case.links if link.id == claim.link), None)
    return {
        "connection": home.connection if home else None, "part": part, "value": claim.value, "wins": won,
        "after": iso(claim.after), "before": iso(claim.before),
        "base": claim.base if claim.base != NO_VERSION else None, "taken": claim.taken,
    }  # fmt: skip


def _ruling(ruling: RulingRow) -> Dict:
    return {
        "ruling": ruling.id, "value": ruling.value, "by": ruling.by, "at": iso(ruling.at), "note": ruling.note
    }  # fmt: skip


def _change(row: HistoryRow, field: str) -> Dict:
    change: Mapping[str, Json] = row.changes[field]
    window = change.get("window") or [None, None]
    return {
        "at": iso(row.at), "old": change.get("old"), "new": change.get("new"), "rule": change.get("rule"),
        "connection": change.get("connection"), "after": iso(window[0]), "before": iso(window[1]), "run": row.run_id,
        "actor": row.actor, "version": row.version, "mapping_version": row.mapping_version,
    }  # fmt: skip


def _conflicts(tx: Tx, case: Case, field: str) -> list[Dict]:
    found = [row for each in case.members for row in tx.conflicts(entity_id=each, field=field)]
    return [
        {
            "conflict": row.id, "kind": row.kind, "state": row.state, "winner": row.winner,
            "decided_by": row.decided_by, "at": iso(row.at), "note": row.note,
        }
        for row in found
    ]  # fmt: skip
