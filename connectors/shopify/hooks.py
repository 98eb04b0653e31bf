"""Webhooks: bodies of REST shape, of which only the id is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from connectors.shopify.api import KINDS, ShopifyApi, ask
from connectors.shopify.reading import gid
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected, SignatureError
from hub.kit.reading import parse_time
from hub.kit.signing import require_signature, secrets_of
from hub.model import Json

WHERE = "shopify webhook"
# Topics asked for, as the API names them. Consent has a topic of its own beside customers/update.
TOPICS = (
    "CUSTOMERS_CREATE", "CUSTOMERS_UPDATE", "CUSTOMERS_DELETE", "CUSTOMERS_MERGE",
    "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE", "CUSTOMERS_MARKETING_CONSENT_UPDATE",
    "ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_PAID", "ORDERS_CANCELLED", "REFUNDS_CREATE",
    "CHECKOUTS_CREATE", "CHECKOUTS_UPDATE", "CHECKOUTS_DELETE", "PRODUCTS_CREATE", "PRODUCTS_UPDATE", "PRODUCTS_DELETE",
)  # fmt: skip


def verify(settings: Settings, request: WebhookRequest) -> None:
    """Signature over the raw body, and the shop it is for. No time is signed: repeats are known by their key.

    Up to an hour after a rotation the old secret still signs (vendor docs, "Webhooks"): both are accepted while set.
    """
    given = request.headers.get("x-shopify-hmac-sha256", "")
    require_signature([given], request.body, secrets_of(settings.webhooks, where=WHERE), where=WHERE, encoding="base64")
    shop, sender = settings.values.get("shop"), request.headers.get("x-shopify-shop-domain", "")
    if shop and not settings.local and sender.lower() != f"{shop}.myshopify.com".lower():
        raise SignatureError("the message is from another shop", where=WHERE, fix="is the webhook's URL the right one?")


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which record to read. Raises RecordRejected if the body is none of Shopify's."""
    topic = request.headers.get("x-shopify-topic", "")
    key = request.headers.get("x-shopify-webhook-id") or request.headers.get("x-shopify-event-id", "")
    try:
        body = orjson.loads(request.body)
        events = list(_events(topic, key, body))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=f"{WHERE} {topic}") from None
    return [event for event in events if event.external_id and event.key]


def _events(topic: str, key: str, body: Mapping[str, Json]) -> Sequence[WebhookEvent]:
    subject, _, action = topic.partition("/")
    if topic == "customers/merge":
        lost, kept = body["admin_graphql_api_customer_deleted_id"], body["admin_graphql_api_customer_kept_id"]
        return [
            WebhookEvent(key=f"{key}:lost", stream="customers", external_id=gid("Customer", lost), kind="merged"),
            WebhookEvent(key=f"{key}:kept", stream="customers", external_id=gid("Customer", kept)),
        ]
    if subject == "refunds":
        return [WebhookEvent(key=key, stream="orders", external_id=gid("Order", body["order_id"]))]
    if subject == "customers_email_marketing_consent":
        return [WebhookEvent(key=key, stream="customers", external_id=gid("Customer", body["customer_id"]))]
    if subject == "customers_marketing_consent":
        return [WebhookEvent(key=key, stream="customers", external_id=gid("Customer", body["id"]))]
    if subject not in KINDS or subject == "discounts":
        return []
    external_id = gid(KINDS[subject], body.get("admin_graphql_api_id") or body["id"])
    if action == "delete":
        return [WebhookEvent(key=key, stream=subject, external_id=external_id, kind="deleted")]
    changed = body.get("updated_at")
    return [WebhookEvent(key=key, stream=subject, external_id=external_id, at=parse_time(changed) if changed else None)]


def subscribe(api: ShopifyApi, url: str) -> dict[str, Json]:
    """Ask for every topic that is not yet sent to this URL. Shopify drops subscriptions that fail for long.

    Messages are signed with the app's client secret, which the connection's `webhooks.secret` must hold.
    """
    text = "query Hooks { webhookSubscriptions(first: 250) { nodes { id topic uri } } }"
    nodes = ask(api, text, {}, operation="subscriptions", cost=252).data["webhookSubscriptions"]["nodes"]
    there = {node["topic"] for node in nodes if node["uri"] == url}
    missing = [topic for topic in TOPICS if topic not in there]
    made: list[str] = []
    refused: dict[str, str] = {}
    if missing:
        lines = [
            f"t{number}: webhookSubscriptionCreate(topic: {topic}, webhookSubscription: $w) "
            "{ webhookSubscription { id } userErrors { field message } }"
            for number, topic in enumerate(missing)
        ]
        text = f"mutation Hook($w: WebhookSubscriptionInput!) {{ {' '.join(lines)} }}"
        answer = ask(api, text, {"w": {"uri": url}}, operation="subscribe", cost=10 * len(missing), writes=True)
        for number, topic in enumerate(missing):
            told = answer.data.get(f"t{number}") or {"userErrors": [{"message": "no answer"}]}
            if told["userErrors"]:
                refused[topic] = str(told["userErrors"][0]["message"])
            else:
                made.append(topic)
    return {"url": url, "made": made, "there": sorted(there), "refused": refused}
