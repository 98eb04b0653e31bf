"""Messages by the Standard Webhooks scheme: which record to read, and the hooks that send them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from connectors.bigcommerce.api import PAGE, BigCommerceApi, rows_of
from connectors.bigcommerce.api import ask as ask_for
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected, SignatureError
from hub.kit.signing import require_age, require_signature, secrets_of
from hub.model import Json

WHERE = "bigcommerce webhook"
TOLERANCE_S = 300.0  # Standard Webhooks: five minutes either way
SCOPES = (
    *(f"store/customer/{what}" for what in ("created", "updated", "deleted")),
    *(f"store/customer/address/{what}" for what in ("created", "updated", "deleted")),
    *(f"store/order/{what}" for what in ("created", "updated", "archived")),
    *(f"store/cart/{what}" for what in ("abandoned", "deleted", "converted")),
)
GONE = frozenset({"store/customer/deleted", "store/cart/deleted"})


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``webhook-signature: v1,<base64> …`` over "id.timestamp.body"; the key is the API account's client secret."""
    number, when = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    if not number or not when.isascii() or not when.isdigit() or len(when) > 12:
        raise SignatureError("the signature has no id or time", where=WHERE)
    parts = [part.partition(",") for part in request.headers.get("webhook-signature", "").split(" ")]
    given = [value for version, _, value in parts if version == "v1"]
    message = f"{number}.{when}.".encode("utf-8", "surrogatepass") + request.body
    require_signature(given, message, secrets_of(settings.webhooks, where=WHERE), where=WHERE, encoding="base64")
    require_age(float(when), request.received_at, tolerance_s=TOLERANCE_S, where=WHERE)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which record to read: messages hold ids only. Raises RecordRejected for none, or one of another store."""
    try:
        event = orjson.loads(request.body)
        scope, data, at = str(event["scope"]), event["data"], float(event["created_at"])
        producer, key = str(event["producer"]), request.headers.get("webhook-id") or str(event["hash"])
        address = data.get("address") or {}
        number = address["customer_id"] if "/address/" in scope else data["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    store = settings.values.get("store_hash")
    if store and producer != f"stores/{store}":
        raise RecordRejected("the event is of another store", code="HOOK-ACCOUNT", where=WHERE)
    if scope not in SCOPES:
        return ()
    stream = f"{scope.split('/')[1]}s"
    kind = "deleted" if scope in GONE else "changed"
    return (WebhookEvent(key=key, stream=stream, external_id=str(number), at=at, kind=kind),)


def subscribe(api: BigCommerceApi, url: str) -> dict[str, Json]:
    """One hook per scope; those that are there and active are left alone."""
    there = rows_of(ask_for(api, "/v3/hooks", "subscriptions", limit=PAGE))
    held = {str(row.get("scope")) for row in there if row.get("destination") == url and row.get("is_active")}
    made = []
    for scope in SCOPES:
        if scope not in held:
            body = {"scope": scope, "destination": url, "is_active": True}
            headers = {"Accept": "application/json"}
            api.door.request("POST", "/v3/hooks", operation="subscribe", json=body, writes=True, headers=headers)
            made.append(scope)
    return {"url": url, "made": made}
