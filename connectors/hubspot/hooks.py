"""Webhooks of an app: signature v3 over the URL as configured, then which records to read.

Older signatures have no time in them and are not accepted. Events repeat and overtake each other; none carries the
record, so each is only a reason to read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import orjson

from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import SignatureError
from hub.kit.signing import require_age, require_signature, secrets_of
from hub.model import Json

TOLERANCE_S = 300.0  # request validation guide: 300,000 ms
MOST_EVENTS = 100  # in one delivery (webhooks guide)
_STREAMS = {"contact": "contacts", "company": "companies", "deal": "deals", "ticket": "tickets"}
_TYPE_IDS = {"0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets", "0-27": "tasks"}
_KINDS = {"deletion": "deleted", "privacyDeletion": "deleted", "merge": "merged"}
_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)  # request validation guide, v3


def verify(settings: Settings, request: WebhookRequest) -> None:
    """Raises SignatureError unless the call was signed by our app within the last five minutes."""
    where = "hubspot webhook"
    secrets = secrets_of(settings.webhooks, where=where)
    stamp = request.headers.get("x-hubspot-request-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,16}", stamp):
        raise SignatureError("the time of signing is missing", where=where)
    require_age(int(stamp) / 1000.0, request.received_at, tolerance_s=TOLERANCE_S, where=where)
    url = _DECODED.sub(lambda match: chr(int(match[1], 16)), request.url)
    message = f"{request.method}{url}".encode() + request.body + stamp.encode()
    given = [request.headers.get("x-hubspot-signature-v3", "")]
    require_signature(given, message, secrets, where=where, encoding="base64")


def parse(settings: Settings, request: WebhookRequest) -> list[WebhookEvent]:
    """The records that a delivery speaks of. Raises SignatureError if it is another account's."""
    try:
        rows = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise SignatureError("the delivery is no JSON", where="hubspot webhook") from None
    if not isinstance(rows, list) or len(rows) > MOST_EVENTS or not all(isinstance(row, dict) for row in rows):
        raise SignatureError("the delivery is no list of up to 100 events", where="hubspot webhook")
    account = str(settings.values.get("portal_id") or "")
    events: list[WebhookEvent] = []
    for row in rows:
        if account and str(row.get("portalId")) != account:
            raise SignatureError("the delivery is for another account", where="hubspot webhook")
        events += _events(row)
    return events


def _events(row: Mapping[str, Json]) -> Iterator[WebhookEvent]:
    thing, _, what = str(row.get("subscriptionType") or "").partition(".")
    stream = _STREAMS.get(thing) or _TYPE_IDS.get(str(row.get("objectTypeId") or ""))
    if stream is None:
        return
    kind = _KINDS.get(what, "changed")
    at = row["occurredAt"] / 1000.0 if isinstance(row.get("occurredAt"), int) else None
    ids = {str(row.get("objectId") or ""): kind}
    if what == "merge":
        merged = row.get("mergedObjectIds")
        losers = [*(merged if isinstance(merged, list) else ()), row.get("primaryObjectId")]  # which may retire, too
        ids |= {str(loser): "merged" for loser in losers if loser}
        ids |= {str(row.get("newObjectId") or row.get("primaryObjectId") or ""): "changed"}
    if what == "associationChange":
        ids, at = {str(row.get("fromObjectId") or ""): "changed"}, None  # moves no record's time
    head = ":".join(str(row.get(name)) for name in ("portalId", "subscriptionType", "eventId", "occurredAt"))
    for external_id, each in ids.items():
        if external_id.isdecimal():
            yield WebhookEvent(key=f"{head}:{external_id}", stream=stream, external_id=external_id, at=at, kind=each)
