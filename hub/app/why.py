"""Every value explains itself: who says what, since when, by which rule it stands, and what became of it.

A read, nothing more: everything shown here is what the decision itself was made of (hub.core.merge), so the
explanation cannot differ from the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.core.canonical import CanonicalField, EntityType
from hub.core.plan import fields_due
from hub.core.shadow import is_empty, unpack_fields, unpack_shadow
from hub.core.values import key_value, same
from hub.errors import NotFound
from hub.model import NO_VERSION, Cell, Claim, EntityRow, FieldState, HistoryRow, Json, LinkRow, RulingRow
from hub.store import Tx

HISTORY = 20  # newest changes of a field that are shown


@dataclass(slots=True, kw_only=True)
class _Case:
    """One entity with everything that speaks of it."""

    hub: Hub
    row: EntityRow
    entity: EntityType
    members: list[int]  # itself and its aliases
    links: list[LinkRow]
    states: Mapping[str, FieldState]
    cells: Mapping[int, Mapping[str, Cell]]  # link id -> field -> cell
    rulings: Mapping[str, RulingRow]
    history: list[HistoryRow]


def why(hub: Hub, target: str, field: str | None = None) -> Dict:
    """Explain one field of an entity, or list all of them with who won.

    Args:
        target: "contact:42", or "contact:" and a key of it (an e-mail address, a phone).
        field: a canonical field, or a part of a group; None for all.

    Returns:
        With a field: value, rule (with file:line), candidates, history, conflicts. Without: one row per field.

    Raises:
        NotFound: no such entity or field.
    """
    with hub.store.reading() as tx:
        case = _load(hub, tx, find_entity(hub, tx, target))
        if field is None:
            return _overview(case)
        declared = case.entity.field_of(field)
        if declared is None:
            known = ", ".join(case.entity.fields)
            raise NotFound(f"{case.entity.name} has no field {field}", where=target, fix=f"known are: {known}")
        return {**_explained(case, declared), "conflicts": _conflicts(tx, case, declared.name)}


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
    keys = {(key.name, value) for key in entity.keys if (value := _key_of(entity, key.on, rest)) is not None}
    ids = sorted({each for group in tx.find_by_keys(kind, keys).values() for each in group}) if keys else []
    roots = sorted(set(tx.roots(ids).values())) if ids else []
    if not roots:
        raise NotFound(f"there is no {target}", where=target, fix="name it by its number, or by a whole key")
    if len(roots) > 1:
        many = ", ".join(f"{kind}:{each}" for each in roots)
        raise NotFound(f"{target} names several", where=target, fix=f"name one of: {many}")
    return roots[0]


def _key_of(entity: EntityType, on: Iterable[str], text: str) -> str | None:
    """What a person typed, as a key of one field; keys over several fields cannot be typed."""
    paths = tuple(on)
    declared = entity.field_of(paths[0]) if len(paths) == 1 else None
    if declared is None:
        return None
    kind = declared.parts.get(paths[0], "text") if declared.kind == "group" else declared.type
    return key_value(kind, text)


def _load(hub: Hub, tx: Tx, root: int) -> _Case:
    row = tx.entities([root])[root]
    members = tx.alias_closure([root])[root]
    rulings: dict[str, RulingRow] = {}
    for found in tx.rulings(members).values():
        for name, ruling in found.items():
            if name not in rulings or ruling.version > rulings[name].version:
                rulings[name] = ruling
    links = tx.links_of(members, raw=False)
    return _Case(
        hub=hub, row=row, entity=hub.canonical.entities[row.type], members=members, links=links,
        states=unpack_fields(row.fields, row.values), cells={link.id: unpack_shadow(link.shadow) for link in links},
        rulings=rulings, history=tx.history(members),
    )  # fmt: skip


# All fields


def _overview(case: _Case) -> Dict:
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


def _head(case: _Case) -> Dict:
    return {
        "entity": f"{case.row.type}:{case.row.id}",
        "aliases": [f"{case.row.type}:{each}" for each in case.members if each != case.row.id],
    }


def _winners(case: _Case, state: FieldState) -> list[str]:
    """Connections whose claims make the value."""
    names = {link.id: link.connection for link in case.links}
    return sorted({names.get(claim.link, "a system that is gone") for claim in state.memory.values()})


# One field


def _explained(case: _Case, declared: CanonicalField) -> Dict:
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
        "decided_by": _decided_by(declared, ruling),
        "rule": declared.survivorship.rule,
        "rule_at": declared.survivorship.where,
        "order": list(declared.survivorship.source),
        "ties": list(case.hub.canonical.sources),
        "from": _winners(case, state) if ruling is None else [],
        "ruling": _ruling(ruling) if ruling else None,
        "run": last.run_id if last else None,
        "person": last.actor if last and last.actor != "sync" else None,
        "candidates": [_candidate(case, declared, state, link) for link in case.links if _speaks(case, declared, link)],
        "memory": [_claim(case, part, claim, won=True) for part, claim in sorted(state.memory.items())],
        "history": [_change(row, declared.name) for row in changes[-HISTORY:]],
    }


def _decided_by(declared: CanonicalField, ruling: RulingRow | None) -> str:
    if ruling is not None:
        return f"ruling:{ruling.id}"
    if declared.derived:
        return f"derived:{declared.derived}"
    return f"rule:{declared.survivorship.rule}"


def _speaks(case: _Case, declared: CanonicalField, link: LinkRow) -> bool:
    mapping = case.hub.mapping_of(link.connection, link.stream)
    return declared.name in case.cells[link.id] or (mapping is not None and declared.name in mapping.fields)


def _candidate(case: _Case, declared: CanonicalField, state: FieldState, link: LinkRow) -> Dict:
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
        "mapping_version": connection.mapping_version if connection else link.mapping_version,
    }


def _standing(case: _Case, declared: CanonicalField, state: FieldState, link: LinkRow, cell: Cell) -> str:
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


def _claim(case: _Case, part: str, claim: Claim, *, won: bool) -> Dict:
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


def _conflicts(tx: Tx, case: _Case, field: str) -> list[Dict]:
    found = [row for each in case.members for row in tx.conflicts(entity_id=each, field=field)]
    return [
        {
            "conflict": row.id, "kind": row.kind, "state": row.state, "winner": row.winner,
            "decided_by": row.decided_by, "at": iso(row.at), "note": row.note,
        }
        for row in found
    ]  # fmt: skip
