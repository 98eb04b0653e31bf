"""The organisation: its check, its fields, and the messages of its workflows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

import orjson

from connectors.zoho_invoice.api import ZohoApi, call, organization_of
from connectors.zoho_invoice.reading import ID, ID_PATHS, ONE
from hub.connector import Field, Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected, SignatureError
from hub.kit.reading import parse_time
from hub.kit.signing import require_age, require_signature, secrets_of
from hub.model import Json


def check(api: ZohoApi) -> dict[str, Json]:
    """Whether the organisation is one that the sign-in may use."""
    row = organization_of(api)
    warnings = [] if row else [f"there is no organisation {api.organization} for this sign-in"]
    return {"account": str(row.get("organization_id") or ""), "name": str(row.get("name") or ""), "warnings": warnings}


def _field(name: str, kind: str = "text", *, writable: bool = False, **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_STATES = ("draft", "sent", "viewed", "overdue", "paid", "partially_paid", "unpaid", "void")
_TIMES = tuple(_field(name, "instant") for name in ("created_time", "last_modified_time"))
_FIELDS: Mapping[str, Sequence[Field]] = {
    "contacts": (
        _field("contact_id"),
        _field("contact_name", writable=True, required=True, unique=True, max_length=200),
        _field("company_name", writable=True, max_length=200),
        _field("email", "email", writable=True),
        *(_field(name, writable=True, max_length=100) for name in ("salutation", "first_name", "last_name")),
        *(_field(name, "phone", writable=True, max_length=50) for name in ("phone", "mobile")),
        _field("designation", writable=True, max_length=50),
        _field("website", "url", writable=True),
        _field("language_code", writable=True),
        _field("notes", writable=True),
        *(_field(f"{place}.{name}", writable=True) for place in ("billing_address", "shipping_address")
          for name in ("attention", "address", "street2", "city", "state", "zip", "country")),
        _field("currency_code"),
        _field("status"),
        _field("outstanding_receivable_amount", "money"),
        *_TIMES,
    ),
    "invoices": (
        _field("invoice_id"),
        *(_field(name) for name in ("invoice_number", "reference_number")),
        _field("customer_id", "ref", ref_to="contacts"),
        _field("status", "enum", options=_STATES, restricted=True),
        *(_field(name, "money") for name in ("total", "balance", "paid")),
        _field("currency_code"),
        *(_field(name, "date") for name in ("date", "due_date")),
        *_TIMES,
    ),
    "customerpayments": (
        _field("payment_id"),
        _field("payment_number"),
        _field("customer_id", "ref", ref_to="contacts"),
        *(_field(name, "money") for name in ("amount", "unused_amount")),
        _field("currency_code"),
        _field("date", "date"),
        *(_field(name) for name in ("payment_mode", "reference_number", "description")),
        *_TIMES,
    ),
}  # fmt: skip


def discover(api: ZohoApi, stream: str) -> list[Field]:
    """Documented fields, and the custom ones of the newest records: no call lists their definitions."""
    rows = call(api, "GET", f"/{stream}", "discover", params={"per_page": 200}).json().get(stream) or []
    keys = {key for row in rows for key in row.get("custom_field_hash") or {}}
    named = sorted(key for key in keys if not key.endswith("_unformatted"))  # twins of numbers and dates
    custom = [_field(f"custom_field_hash.{key}", writable=stream == "contacts", custom=True) for key in named]
    return [*_FIELDS[stream], *custom]


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "zoho_invoice webhook"
TOLERANCE_S = 300.0


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``X-Zoho-Webhook-Signature``, by the scheme of Zoho Billing, or by that of Zoho Payments if it begins with t=.

    Billing: hex over all query and form pairs, sorted by key and put together without anything between, then the raw
    body unless it is a form; no time. Payments: ``t=<ms>,v=<hex>`` over "t.body". Which one Invoice uses is not told.
    """
    header = request.headers.get("x-zoho-webhook-signature", "")
    secrets = secrets_of(settings.webhooks, where=WHERE)
    if header.startswith("t="):
        parts = dict(part.partition("=")[::2] for part in header.split(","))
        when = parts.get("t", "")
        if not when.isascii() or not when.isdigit() or len(when) > 15:
            raise SignatureError("the signature has no time", where=WHERE)
        message = when.encode() + b"." + request.body
        require_signature([parts.get("v", "")], message, secrets, where=WHERE)
        require_age(int(when) / 1000.0, request.received_at, tolerance_s=TOLERANCE_S, where=WHERE)
        return
    require_signature([header], _signed_text(request), secrets, where=WHERE)


def _signed_text(request: WebhookRequest) -> bytes:
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    if is_form:
        pairs += parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    joined = "".join(f"{key}{value}" for key, value in sorted(pairs))
    return joined.encode() + (b"" if is_form else request.body)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which records a message names: JSON, or a form with JSONString. Values are never taken from it."""
    try:
        text = request.body
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            text = dict(parse_qsl(text.decode("utf-8")))["JSONString"].encode()
        body = orjson.loads(text)
        found = list(_named(body))
        digest = hashlib.sha256(request.body).hexdigest()[:32]
        return [
            WebhookEvent(key=f"{stream}:{external_id}:{digest}", stream=stream, external_id=external_id, at=at)
            for stream, external_id, at in found
            if ID.fullmatch(external_id)
        ]
    except (UnicodeDecodeError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None


def _named(body: Mapping[str, Json]) -> Iterator[tuple[str, str, float | None]]:
    """(stream, id, time) of the records at the top, or one level below (`data`, `contact`, `invoice` …)."""
    places = [body, *(value for value in body.values() if isinstance(value, dict))]
    for place in places:
        for stream, name in ID_PATHS.items():
            inner = place if name in place and ONE[stream] not in place else None
            if inner is not None:
                changed = inner.get("last_modified_time")
                yield stream, str(inner[name]), parse_time(changed) if changed else None
                break
