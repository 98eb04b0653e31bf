"""One call through the SDK, the streams' places in the API, and what Stripe's errors mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import stripe

from hub.connector import Door, HttpResponse, Settings, call_label
from hub.errors import HubError, NeedsReview, NotFound, OutcomeUnknown, RecordRejected, RetryLater
from hub.kit.statuses import Kind
from hub.model import Json

PAGE = 100  # rows of a list (vendor docs, "Pagination")
OVERLAP_S = 600.0  # events have whole seconds and can show up late (tap-stripe #45 looks back five minutes)
EVENT_DAYS = 29  # the log reaches back 30 days (vendor docs, "List all events"); a day is left
DAY_S = 86_400.0
KEY_LIFE_S = 86_400.0  # vendor docs, "Idempotent requests": at least 24 hours
REMEMBERED = 1000  # events of the overlap that the cursor names as done
TOLERANCE_S = 300.0  # vendor docs, "Webhooks": signatures older than five minutes
SEARCH_LAG_S = 3600.0  # vendor docs, "Search": up to an hour behind in outages
MARKER = "metadata.hub_id"  # unless the settings name another key
AT_ONCE = 100  # changes of one push; one call each, at 25 calls a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Kindred:
    """A stream's place in the API."""

    path: str
    events: tuple[str, ...]  # at most 20 names (vendor docs, "List all events": types)
    listing: Mapping[str, str] = field(default_factory=dict)  # further parameters of its list
    expand: str = ""  # an object that is asked for along with each


KINDS: Mapping[str, Kindred] = {
    "customers": Kindred(
        path="/v1/customers", events=tuple(f"customer.{what}" for what in ("created", "updated", "deleted"))
    ),
    "subscriptions": Kindred(
        path="/v1/subscriptions",
        events=tuple(
            f"customer.subscription.{what}"
            for what in (
                "created", "updated", "deleted", "paused", "resumed", "pending_update_applied",
                "pending_update_expired", "trial_will_end",
            )
        ),
        listing={"status": "all"},  # without it cancelled ones are left out (tap-stripe #113)
    ),
    "invoices": Kindred(
        path="/v1/invoices",
        events=tuple(
            f"invoice.{what}"
            for what in (
                "created", "updated", "deleted", "finalized", "sent", "paid", "payment_failed", "payment_succeeded",
                "voided", "marked_uncollectible", "overdue",
            )
        ),
    ),
    "charges": Kindred(
        path="/v1/charges",
        events=(
            *(
                f"charge.{what}"
                for what in ("succeeded", "failed", "pending", "captured", "updated", "refunded", "expired")
            ),
            *(f"charge.dispute.{what}" for what in ("created", "updated", "closed", "funds_withdrawn")),
            *(f"refund.{what}" for what in ("created", "updated", "failed")),
        ),
    ),
    "coupons": Kindred(
        path="/v1/coupons", events=tuple(f"coupon.{what}" for what in ("created", "updated", "deleted"))
    ),
    "promotion_codes": Kindred(
        path="/v1/promotion_codes",
        events=tuple(f"promotion_code.{what}" for what in ("created", "updated")),
        expand="promotion.coupon",
    ),
}  # fmt: skip
STREAM_OF = {name: stream for stream, kind in KINDS.items() for name in kind.events}
GONE = frozenset(
    {"customer.deleted", "invoice.deleted", "coupon.deleted"}
)  # a deleted subscription is a cancelled one and stays
ID = re.compile(r"[A-Za-z0-9_-]{1,255}")  # anything else in a path would reach other resources


@dataclass(slots=True)
class StripeApi:
    """What `connect` hands out."""

    door: Door
    sdk: stripe.StripeClient
    marker: str  # key of the metadata that carries the hub's id
    coupons: dict[str, tuple[int, str]] = field(default_factory=dict)  # coupon -> amount off in minor units, currency
    seen: dict[str, tuple[float, set[str]]] = field(default_factory=dict)  # stream -> start of a read, ids read in it


def connect(door: Door, settings: Settings) -> StripeApi:
    """The SDK on the door's session; the door signs in, so the key here is only a placeholder."""
    client = stripe.RequestsClient(session=door.session())
    sdk = stripe.StripeClient(
        "sk_door",
        base_addresses={"api": door.base_url},
        http_client=client,
        max_network_retries=0,  # the door repeats reads, and nobody repeats writes
        stripe_account=str(settings.values["stripe_account"]) if settings.values.get("stripe_account") else None,
    )
    return StripeApi(door=door, sdk=sdk, marker=str(settings.values.get("marker") or "hub_id"))


# --- one call ----------------------------------------------------------------------------------------------------


def call(
    api: StripeApi,
    method: str,
    path: str,
    operation: str,
    params: Mapping[str, Any] | None = None,
    *,
    key: str = "",
    writes: bool = False,
) -> Json:
    """One call through the SDK, its body decoded. Raises hub errors only."""
    options: dict[str, Any] = {"headers": call_label(operation, writes=writes)}
    if key:
        options["idempotency_key"] = key
    try:
        answer = api.sdk.raw_request(method, path, **(params or {}), **options)
    except stripe.StripeError as error:
        raise _translated(error, operation, writes=writes, where=api.door.account) from None
    return orjson.loads(answer.body)


def _translated(error: stripe.StripeError, operation: str, *, writes: bool, where: str) -> HubError:
    """The SDK's error as ours. Its texts quote values, so only code and parameter are passed on."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HubError):
            return cause
        cause = cause.__cause__ or cause.__context__
    told = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    fields = told if isinstance(told, dict) else {}  # not every class of the SDK passes code and parameter on
    status, code, name = error.http_status or 0, str(fields.get("code") or ""), str(fields.get("param") or "")
    message = f"{operation} answered {status} {code}".strip()
    if status == 404:
        return NotFound(message, code=code or "NET-404", where=where)
    if status == 403:
        fix = "give the restricted key this permission"
        return NeedsReview(message, code=code or "NET-FORBIDDEN", where=where, fix=fix)
    if status == 400 and fields.get("type") == "idempotency_error":
        # The key was used with another body: something of ours may have landed under it
        return RecordRejected(message, code="idempotency_error", where=where)
    if 400 <= status < 500 and status != 409:
        return RecordRejected(message, code=code or "REC-REJECTED", field=name, where=where)
    if writes:  # 409: the first call with this key is still running; else no answer, or none that is JSON
        return OutcomeUnknown(message, code=code, where=where)
    return RetryLater(message, code=code or "NET-NOT-JSON", where=where)


def classify(response: HttpResponse) -> str | None:
    """A locked object is not a connection that calls too fast, though both are 429."""
    return Kind.BUSY if response.status == 429 and b'"lock_timeout"' in response.body else None
