"""Everything that the hub holds about one person, as one document: what the law lets them ask for.

A person is an entity with all that was merged into it, and the acts that name them: records that the hub only reads
(orders, forms, registrations) and that refer to the person. Records that are worked on together with others (a deal)
mention the person; they are listed, and are not the person's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.notes import notes_of
from hub.app.page import stored_record
from hub.app.push import may_write
from hub.app.transact import commit
from hub.app.why import find_entity
from hub.core.shadow import unpack_shadow
from hub.errors import ConfigFault, Fault
from hub.model import EntityRow, Grant, Intent, LinkRow
from hub.store import Tx

FORMAT = 1
MANY = 1_000_000
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One person, as the store knows them."""

    root: int
    kind: str  # entity type
    members: Sequence[int]  # root first, then all that was merged into it
    acts: Sequence[int] = ()  # entities of acts that name the person
    mentions: Sequence[str] = ()  # other entities that name the person: "deal:7"
    links: Sequence[LinkRow] = field(default=(), repr=False)  # of members and acts, with what they hold

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.root}"

    @property
    def entities(self) -> list[int]:
        return [*self.members, *self.acts]


def subject_of(hub: Hub, tx: Tx, target: str) -> Subject:
    """Who is meant, with all that is theirs. Looks through every entity type that can name them. Raises NotFound."""
    root = find_entity(hub, tx, target)
    members = tx.alias_closure([root])[root]
    kind = tx.entities([root])[root].type
    written = {
        mapping.entity
        for connection in hub.connections.values()
        for mapping in connection.mappings.values()
        if may_write(mapping)
    }
    acts: list[int] = []
    mentions: list[str] = []
    for type_, name in _referring(hub, kind):
        found = sorted({each for member in members for each in tx.entities_naming(type_, name, member)})
        if type_ in written:
            mentions += [f"{type_}:{each}" for each in found]
        else:
            acts += found
    acts = [each for each in dict.fromkeys(acts) if each not in members]
    return Subject(
        root=root, kind=kind, members=members, acts=acts, mentions=sorted(set(mentions)),
        links=tx.links_of([*members, *acts]),
    )  # fmt: skip


def _referring(hub: Hub, kind: str) -> list[tuple[str, str]]:
    """(entity type, field) of references to this kind."""
    return [
        (entity.name, declared.name)
        for entity in hub.canonical.entities.values()
        for declared in entity.fields.values()
        if declared.kind == "ref" and declared.to == kind
    ]


def export(hub: Hub, target: str, *, by: str) -> Dict:
    """The document; that it was made is in the audit log. Raises NotFound."""
    with hub.store.reading() as tx:
        subject = subject_of(hub, tx, target)
        rows = tx.entities(subject.entities)
        found: Dict = {
            "export": FORMAT, "hub": hub.instance, "made_at": iso(hub.clock.now()), "entity": subject.name,
            "mentioned_in": list(subject.mentions),
            "entities": [_entity(tx, rows[each], subject.links) for each in subject.entities if each in rows],
            "rewards": [_grant(tx, each) for each in _grants(tx, subject.members)],
            "pairs": [
                {name: row.get(name) for name in ("kind", "state", "entity_id", "other_id", "evidence", "before", "by")}
                for row in tx.identities_of(subject.members)
            ],
            "writes": [_write(each) for each in tx.intents_of_entities(subject.entities)],
            "plans": _plans(tx, subject),
            "webhooks": [
                {"connection": name, "body": body.decode("utf-8", "replace")}
                for name, _, body in deliveries_of(tx, words_of(tx, subject))
            ],
        }  # fmt: skip
    commit(hub, lambda tx: tx.audit(by, "exported", subject.name, None, None, hub.clock.now()))
    return found


def _entity(tx: Tx, row: EntityRow, links: Sequence[LinkRow]) -> Dict:
    name = f"{row.type}:{row.id}"
    return {
        "entity": name, "state": row.state, "created_at": iso(row.created_at), "values": row.values,
        "records": [_record(link) for link in links if link.entity_id == row.id],
        "history": [
            {"at": iso(each.at), "by": each.actor, "run": each.run_id, "changes": each.changes}
            for each in tx.history([row.id])
        ],
        "conflicts": [
            {
                "at": iso(each.at), "field": each.field, "kind": each.kind, "candidates": list(each.candidates),
                "winner": each.winner, "decided_by": each.decided_by, "note": each.note,
                "notes": notes_of(tx, f"conflict:{each.id}"),
            }
            for each in tx.conflicts_of([row.id])
        ],
        "rulings": [
            {"at": iso(each.at), "field": each.field, "value": each.value, "by": each.by, "note": each.note}
            for by_field in tx.rulings([row.id]).values()
            for each in by_field.values()
        ],
        "events": [
            {"at": iso(each.at), "name": each.name, "from": each.source, "values": each.values}
            for each in tx.events(entity_ids=[row.id])
        ],
        "notes": notes_of(tx, name),
        "keys": [[key, value] for _, _, key, value in tx.keys_of_entities([row.id])],
    }  # fmt: skip


def _record(link: LinkRow) -> Dict:
    return {
        "connection": link.connection, "stream": link.stream, "external_id": link.external_id,
        "state": str(link.state), "read_at": iso(link.read_at),
        "held": {name: cell.held for name, cell in unpack_shadow(link.shadow).items()},
        "as_sent": stored_record(link).data,
    }  # fmt: skip


def _grants(tx: Tx, members: Iterable[int]) -> list[Grant]:
    return [grant for member in members for grant in tx.grants(subject_id=member, limit=MANY)]


def _grant(tx: Tx, grant: Grant) -> Dict:
    return {
        "grant": grant.id, "rule": grant.rule, "state": str(grant.state), "amount": grant.amount,
        "currency": grant.currency, "product": grant.product, "recipient": grant.recipient, "order": grant.order_id,
        "at": iso(grant.created_at), "detail": grant.detail,
        "lines": [{"at": iso(each.at), "kind": each.kind, "amount": each.amount} for each in tx.entries(grant.id)],
    }  # fmt: skip


def _write(intent: Intent) -> Dict:
    return {
        name: getattr(intent, name)
        for name in ("connection", "stream", "op", "external_id", "values", "before", "state", "created_at")
    }  # fmt: skip


def write_file(found: Dict, path: Path) -> None:
    """Keep an export; only its owner may read the file. Raises ConfigFault EXPORT-WRITE."""
    try:
        path.touch(mode=0o600)
        path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str) + b"\n")
    except OSError as error:
        fix = "name a file in a folder that may be written"
        message = f"the export cannot be kept: {error.strerror}"
        raise ConfigFault([Fault(code="EXPORT-WRITE", where=str(path), message=message, fix=fix)]) from None


# Where a person may stand without a row of their own


def plans_naming(tx: Tx, names: Iterable[str]) -> list[tuple[int, Dict]]:
    """Plans, whatever became of them, with writes to these entities: (number, document)."""
    wanted = set(names)
    spelt = [orjson.dumps(each) for each in wanted]
    found, before = [], 2**62
    while rows := tx.latest_plans(limit=PAGE, before_id=before):
        before = rows[-1].id
        for row in rows:
            content = zlib.decompress(tx.plan(row.id).content)
            if not any(each in content for each in spelt):  # most plans: no need to decode them
                continue
            document = orjson.loads(content)
            if any(write["entity"] in wanted for write in document["writes"]):
                found.append((row.id, document))
    return found


def entity_names(tx: Tx, subject: Subject) -> list[str]:
    """As plans, notes and the audit log call them."""
    return [f"{row.type}:{row.id}" for row in tx.entities(subject.entities).values()]


def _plans(tx: Tx, subject: Subject) -> list[Dict]:
    names = set(entity_names(tx, subject))
    return [
        {"plan": number, "writes": [write for write in document["writes"] if write["entity"] in names]}
        for number, document in plans_naming(tx, names)
    ]


def words_of(tx: Tx, subject: Subject) -> set[bytes]:
    """What a webhook would name the person by: their keys, and the ids of their records; too short ones left out."""
    said = {value for _, _, name, value in tx.keys_of_entities(subject.members) if len(value) > 5}
    said |= {link.external_id for link in subject.links if link.external_id and len(link.external_id) > 5}
    return {each.encode() for each in said}


def unfit_of(tx: Tx, words: set[bytes]) -> list[int]:
    """Quarantined messages that became no record, and name one of these: they hang on nothing that is erased."""
    found: list[int] = []
    after_id = 0
    while words and (rows := tx.quarantine(state=None, limit=PAGE, after_id=after_id)):
        after_id = rows[-1].id or 0
        for row in (each for each in rows if each.entity_id is None and each.link_id is None):
            said = orjson.dumps([row.external_id, row.message, row.value], default=str)
            if any(word in said or word in said.lower() for word in words):
                found.append(row.id or 0)
    return found


def deliveries_of(tx: Tx, words: set[bytes]) -> list[tuple[str, str, bytes]]:
    """Stored webhooks that name one of these: (connection, key, body)."""
    found: list[tuple[str, str, bytes]] = []
    after = ("", "")
    while words and (rows := tx.deliveries_page(after)):
        after = rows[-1][:2]
        lowered = [(name, key, body, body.lower()) for name, key, body in rows]
        found += [(name, key, body) for name, key, body, low in lowered if any(w in body or w in low for w in words)]
    return found
