"""What the shop tells its subscribers, and how a message is signed.

Messages carry REST-shaped bodies. Nothing but the body is signed, so a repeat is known only by its webhook id, which
stays the same over retries and differs between subscriptions.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from hub.twins.hooks import HookEvent, Target
from hub.twins.records import Change, Fields, Record
from hub.twins.shopify_goods import rest_checkout, rest_product
from hub.twins.shopify_shapes import (
    financial_status,
    rest_customer,
    rest_deleted_customer,
    rest_email_consent,
    rest_merge,
    rest_order,
    rest_refund,
    rest_sms_consent,
)
from hub.twins.shopify_values import gid

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any

API_VERSION = "2026-10"  # of the app's webhooks
TOPICS = {
    "APP_UNINSTALLED": "app/uninstalled",
    "CHECKOUTS_CREATE": "checkouts/create",
    "CHECKOUTS_DELETE": "checkouts/delete",
    "CHECKOUTS_UPDATE": "checkouts/update",
    "CUSTOMERS_CREATE": "customers/create",
    "CUSTOMERS_DELETE": "customers/delete",
    "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE": "customers_email_marketing_consent/update",
    "CUSTOMERS_MARKETING_CONSENT_UPDATE": "customers_marketing_consent/update",
    "CUSTOMERS_MERGE": "customers/merge",
    "CUSTOMERS_UPDATE": "customers/update",
    "ORDERS_CANCELLED": "orders/cancelled",
    "ORDERS_CREATE": "orders/create",
    "ORDERS_DELETE": "orders/delete",
    "ORDERS_PAID": "orders/paid",
    "ORDERS_UPDATED": "orders/updated",
    "PRODUCTS_CREATE": "products/create",
    "PRODUCTS_DELETE": "products/delete",
    "PRODUCTS_UPDATE": "products/update",
    "REFUNDS_CREATE": "refunds/create",
}


class Messages:
    """The webhooks of one shop."""

    def __init__(self, twin: TwinShopify) -> None:
        self._twin = twin
        self._made = 0  # events so far
        self._log_read = 0  # attempts that were looked at for subscriptions to remove

    # --- subscriptions made through the API --------------------------------------------------------------------

    def subscribe(self, topic: str, given: Fields) -> Fields:
        """Signed with the app's secret, like all of its subscriptions."""
        twin = self._twin
        options = {
            "topic": topic,
            "created": twin.now_text(),
            **{name: given.get(name) for name in ("includeFields", "metafieldNamespaces", "filter")},
        }
        secret, number = twin.settings["client_secret"], twin.next_number()
        target = Target(url=given["uri"], secret=secret, topics=(TOPICS[topic],), options=options, id=number)
        return _show(twin.hooks.add(target))

    def subscriptions(self) -> list[Fields]:
        self._remove_failed()
        return [_show(target) for target in self._twin.hooks.targets.values() if "topic" in target.options]

    def _remove_failed(self) -> None:
        """The vendor removes an API subscription when the last retry of a message has failed."""
        hooks, last = self._twin.hooks, self._twin.hook_attempts
        fresh = hooks.log[self._log_read :]
        self._log_read += len(fresh)
        failed = {(d.url, d.topics[0]) for d in fresh if not d.accepted and d.attempt + 1 == last}
        for target in list(hooks.targets.values()):
            if "topic" in target.options and (target.url, target.topics[0]) in failed:
                hooks.remove(target.id)

    # --- what there is to tell ---------------------------------------------------------------------------------

    def about(self, record: Record, change: Change) -> list[HookEvent]:
        self._remove_failed()
        tell = {"customers": self._of_customer, "orders": self._of_order}.get(record.stream, self._of_goods)
        told = [] if record.stream == "discounts" else tell(record, change)
        return [self._event(topic, body, record, change) for topic, body in told]

    def _event(self, topic: str, body: Fields, record: Record, change: Change) -> HookEvent:
        self._made += 1
        event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"shopify/{self._twin.settings['seed']}/{self._made}"))
        payload = {"event_id": event_id, "body": body}
        return HookEvent(topic=topic, payload=payload, at=change.at, stream=record.stream, record_id=record.id)

    def _of_customer(self, record: Record, change: Change) -> list[tuple[str, Fields]]:
        if change.kind == "delete":
            return [("customers/delete", rest_deleted_customer(record))]
        if change.kind == "merge":
            return [("customers/merge", rest_merge(record.merged_into or "", record.id))]
        body = rest_customer(record, self._twin.shop)
        if change.kind == "create":
            return [("customers/create", body)]
        told = [("customers/update", body)]
        if "emailMarketing" in change.changed:
            told.append(("customers_email_marketing_consent/update", rest_email_consent(record)))
        if "smsMarketing" in change.changed:
            told.append(("customers_marketing_consent/update", rest_sms_consent(record)))
        return told

    def _of_order(self, record: Record, change: Change) -> list[tuple[str, Fields]]:
        if change.kind == "delete":
            return [("orders/delete", {"id": int(record.id)})]
        owner = record.fields["customer"]
        body = rest_order(record, self._twin.records.find("customers", owner) if owner else None, self._twin.shop)
        told = [("orders/create", body)] if change.kind == "create" else []
        old, new = change.changed.get("refunds", (None, []))
        told += [("refunds/create", rest_refund(record, entry)) for entry in new[len(old or []) :]]
        if "transactions" in change.changed and financial_status(record.fields) == "PAID":
            told.append(("orders/paid", body))
        if "cancelledAt" in change.changed and record.fields["cancelledAt"]:
            told.append(("orders/cancelled", body))
        return told if change.kind == "create" else [*told, ("orders/updated", body)]

    def _of_goods(self, record: Record, change: Change) -> list[tuple[str, Fields]]:
        if change.kind == "delete":
            return [(f"{record.stream}/delete", {"id": int(record.id)})]
        twin = self._twin
        body = rest_product(record, twin.shop) if record.stream == "products" else rest_checkout(twin, record)
        return [(f"{record.stream}/{'create' if change.kind == 'create' else 'update'}", body)]

    # --- one message -------------------------------------------------------------------------------------------

    def request(self, target: Target, event: HookEvent) -> tuple[bytes, dict[str, str]]:
        names = target.options.get("includeFields")
        body: Fields = event.payload["body"]
        content = orjson.dumps({name: value for name, value in body.items() if name in names} if names else body)
        message_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{target.id}/{event.payload['event_id']}")
        triggered = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        return content, {
            "Content-Type": "application/json",
            "X-Shopify-Topic": event.topic,
            "X-Shopify-Hmac-SHA256": sign_hook(content, target.secret),
            "X-Shopify-Shop-Domain": str(self._twin.settings["shop_domain"]),
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": str(message_id),
            "X-Shopify-Event-Id": event.payload["event_id"],
            "X-Shopify-Triggered-At": triggered,
        }


def sign_hook(body: bytes, secret: str) -> str:
    """base64(HMAC-SHA256(app secret, raw body)); no time is signed (vendor docs, "Webhooks")."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def sign_callback(query: dict[str, str], secret: str) -> str:
    """hex(HMAC-SHA256(app secret, "k=v&k=v")) over the sorted parameters without `hmac` (vendor docs, OAuth)."""
    message = "&".join(f"{name}={value}" for name, value in sorted(query.items()) if name != "hmac")
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def _show(target: Target) -> Fields:
    options: dict[str, Json] = target.options
    return {
        "id": gid("WebhookSubscription", target.id),
        "topic": options["topic"],
        "uri": target.url,
        "format": "JSON",
        "includeFields": options["includeFields"] or [],
        "metafieldNamespaces": options["metafieldNamespaces"] or [],
        "filter": options["filter"],
        "createdAt": options["created"],
        "updatedAt": options["created"],
    }
