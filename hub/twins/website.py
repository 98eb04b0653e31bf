"""A website with a tracking library in it: it sends what visitors do, each message with an id, in batches.

A message is sent by ``user_create("sent", {...})``, to every address of `set_webhook`, whose secret is the write key;
`act_send_all` sends all there are once more, as a library does that never heard an answer. Options of `make` beside
the kit's: `packed` (False): batches are gzipped.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import Any

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.inbound import TwinInbound
from hub.twins.kit import Fields, HookEvent, Record, Target
from hub.twins.shapes import seconds

Json = Any
PRODUCTS = (("P1", "Tea", 20.0), ("P2", "Tea pot", 65.5), ("P3", "Cup", 9.9))


class TwinWebsite(TwinInbound):
    """One site."""

    name = "website"
    hook_batch = 100  # as the Python library
    hook_attempts = 10

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"packed": False, **options})

    def event_of(self, record: Record) -> HookEvent:
        payload = {"messageId": record.id, **record.fields}
        return HookEvent(topic="message", payload=payload, at=record.created, stream="sent", record_id=record.id)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body = orjson.dumps({"batch": [each.payload for each in events], "sentAt": seconds(self.now())})
        headers = {"Content-Type": "application/json"}
        if target.secret:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{target.secret}:".encode()).decode()
        if self.settings["packed"]:
            return gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        return body, headers


def sketch(pen: Sketch) -> None:
    """One in nine people signed in on the site, looked at something, and told where they work."""
    rng = pen.rng
    for number, (person, view) in enumerate(pen.chosen(0.11)):
        user, at, home = f"U{number + 1:05}", seconds(view.created), view.address
        product, title, price = rng.choice(PRODUCTS)
        page = {"url": f"https://www.example.com/{product.lower()}", "title": title}
        context: Fields = {"locale": "de-DE", "campaign": {"name": "spring", "source": "mail"}, "page": page}
        who: Fields = {"userId": user, "anonymousId": f"a-{user}", "timestamp": at, "context": context}
        traits: Fields = {
            "email": view.email.strip(), "firstName": view.first_name, "lastName": view.last_name,
            "phone": person.mobile, "title": view.job_title, "company": {"name": view.company_name},
            **({"birthday": view.birthday} if view.birthday else {}),
            "address": {"street": home.street, "city": home.city, "state": home.state,
                        "postalCode": home.postal_code, "country": view.country} if home else {},
        }  # fmt: skip
        firm = {"name": view.company_name, "website": f"https://firm{number}.example.com", "industry": "Tea",
                "employees": 12, "phone": "+49301234567", "description": "Teas"}  # fmt: skip
        bought = {"name": title, "product_id": product, "revenue": price, "currency": "EUR", "coupon": "WELCOME"}
        messages: list[Fields] = [
            {**who, "type": "identify", "traits": traits},
            {**who, "type": "group", "groupId": f"G{number + 1:05}", "traits": firm,
             "context": {**context, "traits": traits}},
            {**who, "type": "page", "name": title, "properties": page},
            {**who, "type": "track", "event": "Coupon Applied", "properties": bought},
        ]  # fmt: skip
        for step, message in enumerate(messages):
            pen.add(
                "sent", f"{user}-{step}", view.created, message, person=person, external_id=user, read_as="visitors"
            )


def make(**options: Json) -> TwinWebsite:
    return TwinWebsite(**options)


TWIN = make
