"""Records for programs: found, shown, explained, joined and parted, given out and forgotten. A part of hub.web.api."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from hub.app import erasing, identity, past, personal, records, search, why
from hub.app.listings import count_entities
from hub.app.notes import add_note
from hub.errors import NeedsReview
from hub.web.api import ROUTER, After, Answered, Body, Decider, Hubs, Keeper, Name, Reader, Text, closed

Moment = Annotated[str, Query(min_length=1, max_length=40, description="A day or a moment, ISO 8601.")]
Target = Annotated[str, Query(min_length=1, max_length=200, description="contact:43, contact:ann@example.org")]


class Typed(BaseModel):
    """Said by naming what shall go."""

    model_config = closed({"entity": "contact:42"})
    entity: str = Field(max_length=80, description="The record's own name once more, such as contact:42.")


class Other(BaseModel):
    """The other of two."""

    model_config = closed({"other": "contact:43"}, {"other": "contact:ann@example.org"})
    other: str = Field(min_length=1, max_length=200, description="contact:43, contact:ann@example.org")


@ROUTER.get("/types")
def get_types(service: Hubs, _: Reader) -> list[Body]:
    """Kinds of records, with how many there are of each."""
    with service.hub.store.reading() as tx:
        counts = count_entities(service.hub, tx)
    types = service.hub.canonical.entities.values()
    return [{"type": each.name, "text": each.text, "records": counts.get(each.name, 0)} for each in types]


@ROUTER.get("/types/{type}")
def get_type(service: Hubs, _: Reader, type: Name, after: After = None) -> Body:
    """Records of one kind, by number."""
    return records.browse(service.hub, type, after_id=after or 0)


@ROUTER.get("/records")
def find_records(
    service: Hubs, _: Reader, q: Annotated[str, Query(min_length=2, max_length=100)], before: After = None
) -> Body:  # fmt: skip
    """Records by key, or by any text in their values."""
    return search.records_like(service.hub, q, before_id=before)


@ROUTER.get("/records/{record}")
def get_record(service: Hubs, _: Reader, record: Name) -> Body:
    """One record, such as contact:42."""
    return records.record(service.hub, record)


@ROUTER.get("/records/{record}/why/{field}")
def get_why(service: Hubs, _: Reader, record: Name, field: Name) -> Body:
    """Why a value stands."""
    return why.why(service.hub, record, field)


@ROUTER.get("/records/{record}/as-of")
def get_past(service: Hubs, _: Reader, record: Name, at: Moment) -> Body:
    """One record as it stood at a moment."""
    return past.show(service.hub, record, as_of=past.parse_moment(at))


@ROUTER.post("/records/{record}/notes")
def note_record(service: Hubs, person: Decider, record: Name, it: Text) -> Body:
    """Write a note beside a record."""
    target = records.record(service.hub, record)["entity"]
    add_note(service.hub, target, it.text, by=person.name)
    return {"kept": True, "entity": target}


@ROUTER.get("/records/{record}/merge")
def get_merge(service: Hubs, _: Decider, record: Name, other: Target) -> Body:
    """What would become of two records if they were one; nothing is changed."""
    return identity.preview_merge(service.hub, record, other)


@ROUTER.post("/records/{record}/merge")
def merge(service: Hubs, person: Decider, record: Name, it: Other) -> Body:
    """Make two records one; `unmerge` takes it back."""
    found = identity.merge(service.hub, record, it.other, by=person.name)
    service.poke()
    return found


@ROUTER.get("/records/{record}/unmerge")
def get_unmerge(service: Hubs, _: Decider, record: Name) -> Body:
    """What both would be if the newest merge of a record were taken back; nothing is changed."""
    return identity.preview_unmerge(service.hub, record)


@ROUTER.post("/records/{record}/unmerge")
def unmerge(service: Hubs, person: Decider, record: Name, it: Answered) -> Body:
    """Take the newest merge of a record back."""
    found = identity.unmerge(service.hub, record, by=person.name)
    service.poke()
    return {**found, "sure": it.sure}


@ROUTER.post("/records/{record}/export")
def export(service: Hubs, person: Keeper, record: Name) -> Body:
    """Everything that the hub holds about a person."""
    return personal.export(service.hub, record, by=person.name)


@ROUTER.get("/records/{record}/erase")
def get_erase(service: Hubs, _: Keeper, record: Name) -> Body:
    """What erasing a person would take away, where they would still be, and what stands in the way."""
    return erasing.preview_erase(service.hub, record)


@ROUTER.post("/records/{record}/erase")
def erase(service: Hubs, person: Keeper, record: Name, it: Typed) -> Body:
    """Forget a person for good; gives the records that are still at your systems."""
    wanted = erasing.preview_erase(service.hub, record)["entity"]
    if it.entity != wanted:
        raise NeedsReview("what was named is something else", where=record, fix=f"name it: {wanted}")
    return erasing.erase(service.hub, record, by=person.name)
