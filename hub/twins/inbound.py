"""Somebody who posts leads: an automation platform, or a tool with a webhook of its own. It answers nothing itself.

A lead is sent by ``user_create("sent", {...})``, as it is, to every address of `set_webhook`; `act_send_all` sends all
there are once more, as a replay of an automation does. Options of `make` beside the kit's: `form` (False): as a form.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import Change, Fields, HookEvent, Record, Request, Response, Target, Twin
from hub.twins.shapes import seconds

Json = Any


class TwinInbound(Twin):
    """One sender."""

    name = "inbound"
    streams: ClassVar[Sequence[str]] = ("sent",)
    hook_attempts = 3  # platforms repeat a failed step only if told to

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"form": False, **options})
        self._made = 0

    def new_id(self, stream: str) -> str:
        self._made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.settings['seed']}/{self._made}"))

    def route(self, request: Request) -> Response:
        return Response.json({"error": "there is nothing to read here"}, 404)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        return [self.event_of(record)] if change.kind == "create" else []

    def event_of(self, record: Record) -> HookEvent:
        fields: Fields = record.fields
        return HookEvent(topic="lead", payload=fields, at=record.created, stream="sent", record_id=record.id)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        if self.settings["form"]:
            body = urlencode(events[0].payload, doseq=True).encode()
            return body, {"Content-Type": "application/x-www-form-urlencoded"}
        return orjson.dumps(events[0].payload), {"Content-Type": "application/json"}

    def act_send_all(self) -> int:
        """Everything once more; gives how many that were."""
        rows = self.records.all("sent")
        self.hooks.emit([self.event_of(row) for row in rows])
        return len(rows)


def sketch(pen: Sketch) -> None:
    """One in seven people took something, and said who they are."""
    rng = pen.rng
    for number, (person, view) in enumerate(pen.chosen(0.14)):
        lead = f"L{number + 1:05}"
        fields: Fields = {
            "id": lead,
            "form": rng.choice(("Pricing checklist", "Size quiz")),
            "email": view.email.strip(),
            "first_name": view.first_name,
            "last_name": view.last_name,
            "phone": person.mobile,
            "company": view.company_name,
            "country": view.country,
            "consent": rng.random() < 0.4 and not person.opted_out,
            "utm_campaign": "spring",
            "page_url": "https://www.example.com/checklist",
            "submitted_at": seconds(view.created),
        }
        pen.add("sent", lead, view.created, fields, person=person, read_as="leads")


def make(**options: Json) -> TwinInbound:
    return TwinInbound(**options)


TWIN = make
