"""Webhooks: an event names the object to read."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import stripe

from connectors.stripe.api import GONE, PAGE, STREAM_OF, TOLERANCE_S, StripeApi, call
from connectors.stripe.reading import object_id
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.kit.signing import require_dated_signature, secrets_of, signature_parts
from hub.model import Json

WHERE = "stripe webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``Stripe-Signature: t=…,v1=…[,v1=…]``: any v1 for any secret (two while one is rolled), and the age both ways."""
    stamp, given = signature_parts(request.headers.get("stripe-signature", ""))
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_dated_signature(stamp, given, request, secrets, tolerance_s=TOLERANCE_S, where=WHERE)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which object to read. Raises RecordRejected if the body is no event, or another account's."""
    try:
        event = orjson.loads(request.body)
        kind, key, subject = str(event["type"]), str(event["id"]), object_id(event)
        account = event.get("account")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    wanted = settings.values.get("stripe_account")
    if account and wanted and account != wanted:
        raise RecordRejected("the event is of another account", code="HOOK-ACCOUNT", where=WHERE)
    if kind not in STREAM_OF or not subject:
        return ()
    gone = "deleted" if kind in GONE else "changed"
    return (WebhookEvent(key=key, stream=STREAM_OF[kind], external_id=subject, kind=gone),)


def subscribe(api: StripeApi, url: str) -> dict[str, Json]:
    """An endpoint for all that the streams read. Its secret is told only when it is made: keep it."""
    there = call(api, "get", "/v1/webhook_endpoints", "subscriptions", {"limit": PAGE})["data"]
    for endpoint in there:
        if endpoint["url"] == url and endpoint["status"] == "enabled":
            return {"url": url, "id": endpoint["id"], "made": False}
    wanted = {"url": url, "enabled_events": sorted(STREAM_OF), "api_version": stripe.api_version}
    made = call(api, "post", "/v1/webhook_endpoints", "subscribe", wanted, writes=True)
    return {"url": url, "id": made["id"], "made": True, "secret": made["secret"]}
