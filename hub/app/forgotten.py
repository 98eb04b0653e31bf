"""Records of people who were erased are recognised when they are read, and left out (law L22, and L7 for them)."""

from __future__ import annotations

from collections.abc import Mapping

from hub.app.gone import keyed
from hub.app.page import PageContext
from hub.core.mapping import keys_of
from hub.model import MappedRecord, SourceRecord

RECORD = "record"  # kind of a hash: a record at a system; else an entity type, with the name of a key
STRONG = "strong"

News = list[tuple[str, SourceRecord]]


def record_hash(instance: str, connection: str, stream: str, external_id: str) -> str:
    """How a record of an erased person is recognised: by this hub, and by nobody else."""
    return keyed(instance, RECORD, f"{connection}/{stream}", external_id)


def without_erased(page: PageContext, news: News, mapped: Mapping[int, MappedRecord]) -> News:
    """The records without those of erased people; one that a second system shows is recognised by itself from now on.

    Where nobody was ever erased this costs one look, and a page without new records none.
    """
    tx, fresh = page.scene.tx, [each for each in news if each[0] not in page.heads]
    if not fresh or not tx.any_erased():
        return news
    names = {external_id: _hashes(page, external_id, mapped.get(id(record))) for external_id, record in fresh}
    known = tx.erased(each for hashes in names.values() for each in hashes)
    gone = {external_id for external_id, hashes in names.items() if any(each in known for each in hashes)}
    for external_id in gone:
        first, *keys = names[external_id]
        if first not in known:
            whose = next(known[each] for each in keys if each in known)
            tx.remember_erased(whose, [first], at=page.scene.now, by=page.connection.name)
    page.counts["erased"] += len(gone)
    return [each for each in news if each[0] not in gone]


def _hashes(page: PageContext, external_id: str, mapped: MappedRecord | None) -> list[str]:
    """The record's own, then those of its strong keys."""
    instance, entity = page.hub.instance, page.mapping.entity_type
    own = record_hash(instance, page.connection.name, page.mapping.name, external_id)
    if mapped is None:
        return [own]
    keys = keys_of(entity, mapped.values)
    return [own, *(keyed(instance, entity.name, name, value) for name, value, strength in keys if strength == STRONG)]
