"""One record, whole: every value with where it is from, every system that holds it, and what became of it.

Reads, nothing more; why a single value stands is `hub.app.why`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.app.context import Hub
from hub.app.deep_links import deep_link
from hub.app.listings import Dict, iso
from hub.app.notes import notes_of
from hub.app.pairs import MERGE
from hub.app.timeline import NEWEST, documents, told_once
from hub.app.titles import card, cards
from hub.app.why import find_entity
from hub.core.canonical import CanonicalField, EntityType
from hub.core.shadow import unpack_fields, unpack_shadow
from hub.core.values import is_blank, same
from hub.errors import NotFound
from hub.model import EntityRow, FieldState, HistoryRow, LinkRow
from hub.store import Tx

HISTORY = 60  # newest lines of the time line


def record(hub: Hub, target: str) -> Dict:
    """Everything about an entity. Raises NotFound."""
    with hub.store.reading() as tx:
        root = find_entity(hub, tx, target)
        row = tx.entities([root])[root]
        entity = hub.canonical.entities[row.type]
        members = tx.alias_closure([root])[root]
        links = tx.links_of(members, raw=False)
        history = tx.history(members, limit=HISTORY)
        conflicts = [each for member in members for each in tx.conflicts(entity_id=member, limit=100)]
        rulings = {name: ruling for each in tx.rulings(members).values() for name, ruling in each.items()}
        events = documents(hub.canonical, tx, told_once(tx, tx.timeline(members, HISTORY, NEWEST)))
        grants = [grant for member in members for grant in tx.grants(subject_id=member, limit=50)]
        named = _named(tx, entity, row)
        found = {
            **card(row),
            "state": row.state,
            "aliases": [f"{row.type}:{each}" for each in members if each != root],
            "created_at": iso(row.created_at),
            "version": row.version,
            "fields": _fields(entity, row, links, set(rulings)),
            "links": [_link(hub, link) for link in links],
            "named": named,
            "conflicts": [
                {"conflict": each.id, "field": each.field, "kind": each.kind, "state": each.state, "at": iso(each.at)}
                for each in conflicts
                if each.state == "open" or each.kind != "first_contact"
            ],
            "notes": notes_of(tx, f"{row.type}:{root}"),
            "merges": _merges(tx, row.type, root, members),
            "grants": [
                {
                    "grant": grant.id, "rule": grant.rule, "state": grant.state, "amount": grant.amount,
                    "currency": grant.currency, "at": iso(grant.created_at),
                }
                for grant in grants
            ],
        }  # fmt: skip
    lines = [line for each in history for line in _changes(each)] + [
        {**each, "what": "event", "name": each["event"], "of": each["what"], "connection": each["source"]}
        for each in events
    ]
    found["timeline"] = sorted(lines, key=lambda line: line["at"] or "", reverse=True)[: 2 * HISTORY]
    return found


def _merges(tx: Tx, kind: str, root: int, members: Sequence[int]) -> list[Dict]:
    """Merges of it that stand, the newest first: that one can be taken back."""
    rows = [row for row in tx.identities_of(members, kind=MERGE) if row["state"] == "accepted"]
    return [
        {"merge": row["id"], "alias": f"{kind}:{row['other_id']}", "by": row["by"], "at": iso(row["at"])}
        for row in sorted(rows, key=lambda row: -row["version"])
        if row["entity_id"] == root
    ]


def _named(tx: Tx, entity: EntityType, row: EntityRow) -> dict[str, Dict]:
    """Reference field -> card of the entity that it names."""
    wanted = {
        name: value
        for name, value in row.values.items()
        if isinstance(value, int) and (declared := entity.fields.get(name)) is not None and declared.kind == "ref"
    }
    known = cards(tx, set(wanted.values()))
    return {name: known[value] for name, value in wanted.items() if value in known}


def _fields(entity: EntityType, row: EntityRow, links: Sequence[LinkRow], ruled: set[str]) -> list[Dict]:
    """Every declared field that holds something, or that a linked record holds, with a word on each system."""
    states = unpack_fields(row.fields, row.values)
    cells = {link.id: unpack_shadow(link.shadow) for link in links}
    names = {link.id: link.connection for link in links}
    found = []
    for name, declared in entity.fields.items():
        value = row.values.get(name)
        held = [
            {"connection": link.connection, "stream": link.stream, "external_id": link.external_id, "held": cell.held,
             "agrees": same(declared, cell.held, value)}
            for link in links
            if (cell := cells[link.id].get(name)) is not None and not is_blank(cell.held)
        ]  # fmt: skip
        if not is_blank(value) or held:
            found.append(
                {
                    "field": name, "value": value, "text": declared.text, "type": declared.type,
                    "rule": declared.survivorship.rule, "from": _source(name, declared, states, names, ruled),
                    "held": held, "differs": any(not each["agrees"] for each in held),
                }
            )  # fmt: skip
    return found


def _source(
    name: str, declared: CanonicalField, states: Mapping[str, FieldState], names: Mapping[int, str], ruled: set[str]
) -> list[str]:
    """Connections whose claims make the value; "ruling" for a person's word, "computed" for what no system says."""
    if name in ruled:
        return ["ruling"]
    if declared.derived:
        return ["computed"]
    state = states.get(name)
    return sorted({names.get(claim.link, "former system") for claim in state.memory.values()}) if state else []


def _link(hub: Hub, link: LinkRow) -> Dict:
    known = hub.connections.get(link.connection)
    return {
        "connection": link.connection, "stream": link.stream, "external_id": link.external_id,
        "state": str(link.state), "read_at": iso(link.read_at), "behind_since": iso(link.behind_since),
        "held_back": link.hold_id, "title": known.connector.title if known else link.connection,
        "page": deep_link(known, link.stream, link.external_id) if known else "",
    }  # fmt: skip


def _changes(row: HistoryRow) -> list[Dict]:
    return [
        {
            "at": iso(row.at), "what": "change", "name": field, "old": change.get("old"), "new": change.get("new"),
            "connection": change.get("connection") or "", "actor": row.actor, "rule": change.get("rule") or "",
            "run": row.run_id,
        }
        for field, change in row.changes.items()
    ]  # fmt: skip


# Lists


def browse(hub: Hub, type_: str, *, after_id: int = 0, limit: int = 50) -> Dict:
    """Live entities of one type by number. Raises NotFound for a type that is not declared."""
    if type_ not in hub.canonical.entities:
        known = ", ".join(hub.canonical.entities)
        raise NotFound(f"there is no entity type {type_}", where=type_, fix=f"types are: {known}")
    with hub.store.reading() as tx:
        rows = tx.entities_page(type_, after_id=after_id, limit=limit + 1)
    shown = rows[:limit]
    return {
        "type": type_, "text": hub.canonical.entities[type_].text,
        "rows": [card(row) for row in shown if row.state == "live"],
        "next": shown[-1].id if len(rows) > limit else None,
    }  # fmt: skip
