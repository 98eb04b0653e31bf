"""Mappings for programs: drafts, their checks, what they would change, publishing, versions. A part of hub.web.api."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path as InPath
from pydantic import BaseModel, Field

from hub.app import drafts, fields
from hub.web.api import ROUTER, Admin, Answered, Body, File, Hubs, Reader, closed

Version = Annotated[int, InPath(ge=1, lt=2**31)]
LONGEST = 4 * drafts.LONGEST  # what is longer still is not even looked at


class Draft(BaseModel):
    """A file as it is being written."""

    model_config = closed({"text": "language: 1\nstreams:\n  contacts: …\n"})
    text: str = Field(max_length=LONGEST, description="The whole file, YAML.")


class FieldRule(BaseModel):
    """One field of a stream, there and here."""

    model_config = closed(
        {"stream": "contacts", "name": "job_title", "remote": "Title", "transforms": ["trim"]},
        {"stream": "contacts", "name": "shoe_size", "remote": "Shoe_Size__c", "type": "integer", "direction": "in"},
    )
    stream: str = Field(min_length=1, max_length=80)
    name: str = Field(min_length=1, max_length=80, description="Of ours; with `type`, a custom field of that name.")
    remote: str = Field(min_length=1, max_length=300, description="Where it stands in the system's record.")
    direction: Literal["both", "in", "out"] = "both"
    transforms: list[Annotated[str, Field(min_length=1, max_length=80)]] = Field(default=[], max_length=20)
    type: str = Field(default="", max_length=80, description="Of a custom field; nothing: the field is declared.")


@ROUTER.get("/mappings")
def get_mappings(service: Hubs, _: Reader) -> list[Body]:
    """Every file of mappings/: who uses it, its version, whether somebody edits it, what is wrong with it."""
    return drafts.files(service.hub)


@ROUTER.get("/mappings/{file}")
def get_mapping(service: Hubs, _: Reader, file: File) -> Body:
    """One file: its streams as two columns, its text, faults, versions, and its draft if there is one."""
    return drafts.mapping_case(service.hub, file)


@ROUTER.get("/mappings/{file}/versions/{version}")
def get_version(service: Hubs, _: Reader, file: File, version: Version) -> Body:
    """A published version, and how the file differs from it."""
    return drafts.version_text(service.hub, file, version)


@ROUTER.get("/mappings/{file}/fields")
def get_fields(service: Hubs, _: Admin, file: File) -> Body:
    """The fields of the systems behind a mapping, as they were described last; which of ours each is likely to be."""
    return fields.fields_of(service.hub, file)


@ROUTER.post("/mappings/{file}/fields")
def look_at_fields(service: Hubs, person: Admin, file: File) -> Body:
    """Ask the systems behind a mapping for their fields."""
    return {"fields": fields.look(service.hub, file, by=person.name)}


@ROUTER.get("/mappings/{file}/draft")
def get_draft(service: Hubs, _: Admin, file: File) -> Body:
    """The draft, or the file as it is: text, checks, and of a mapping what some stored records would become."""
    found = drafts.draft_case(service.hub, file)
    return {"file": file, "draft": found["it"]["draft"], **{key: found[key] for key in ("text", "faults", "previews")}}


@ROUTER.post("/mappings/{file}/draft")
def keep_draft(service: Hubs, person: Admin, file: File, it: Draft) -> Body:
    """Keep a text as the draft, in the place of what was there; nothing runs with it before it is published."""
    drafts.save_draft(service.hub, file, it.text, by=person.name)
    return {"file": file, **drafts.tried_text(service.hub, file, it.text)}


@ROUTER.post("/mappings/{file}/draft/fields")
def map_field(service: Hubs, person: Admin, file: File, it: FieldRule) -> Body:
    """Put one rule into the draft, begun from the file if there is none; everything else stays as it is written."""
    drafts.map_field(
        service.hub, file, it.stream, it.name, it.remote, by=person.name, direction=it.direction,
        transforms=",".join(it.transforms), type=it.type,
    )  # fmt: skip
    return get_draft(service, person, file)


@ROUTER.delete("/mappings/{file}/draft")
def drop_draft(service: Hubs, person: Admin, file: File) -> Body:
    """Drop the draft, if there is one; the file is as it was."""
    drafts.drop_draft(service.hub, file, by=person.name)
    return {"dropped": True}


@ROUTER.post("/mappings/{file}/preview")
def try_text(service: Hubs, _: Admin, file: File, it: Draft) -> Body:
    """Checks and a preview of a text; nothing is kept."""
    return drafts.tried_text(service.hub, file, it.text)


@ROUTER.get("/mappings/{file}/change")
def get_change(service: Hubs, _: Admin, file: File) -> Body:
    """What the draft would change: counts by stream and field over the whole store, and some of the values."""
    found = drafts.change_case(service.hub, file)
    return {"file": file, "faults": found["faults"], "change": found["found"]}


@ROUTER.post("/mappings/{file}/publish")
def publish(service: Hubs, person: Admin, file: File, it: Answered) -> Body:
    """Publish the draft; the hub takes it in at once. Gives file -> version."""
    return {"sure": it.sure, "versions": drafts.publish(service, file, by=person.name)}


@ROUTER.post("/mappings/{file}/versions/{version}/restore")
def roll_back(service: Hubs, person: Admin, file: File, version: Version, it: Answered) -> Body:
    """Publish an older version again, as a new one."""
    return {"sure": it.sure, "versions": drafts.roll_back(service, file, version, by=person.name)}
