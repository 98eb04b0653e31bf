"""The company: its check, its fields, and the messages about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from connectors.quickbooks.api import ENTITIES, QuickBooksApi, call, select
from connectors.quickbooks.reading import ID
from hub.connector import Field, Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.kit.reading import parse_time
from hub.kit.signing import require_signature, secrets_of
from hub.model import Json

STREAM_OF = {entity.lower(): stream for stream, entity in ENTITIES.items()}


def check(api: QuickBooksApi) -> dict[str, Json]:
    """Which company it is."""
    answer = call(api, "POST", "/query", "check", text="select * from CompanyInfo").json()
    rows = (answer.get("QueryResponse") or {}).get("CompanyInfo") or [{}]
    return {"account": str(rows[0].get("Id") or ""), "name": str(rows[0].get("CompanyName") or ""), "warnings": []}


def _field(name: str, kind: str = "text", *, writable: bool = False, **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_ADDRESS = ("Line1", "Line2", "Line3", "City", "CountrySubDivisionCode", "PostalCode", "Country")
_TIMES = tuple(_field(f"MetaData.{name}", "instant") for name in ("CreateTime", "LastUpdatedTime"))
# Lengths: the lowest that any source names
_FIELDS: Mapping[str, Sequence[Field]] = {
    "customers": (
        _field("Id"),
        _field("DisplayName", writable=True, unique=True, max_length=100),
        *(_field(name, writable=True, max_length=most) for name, most in (
            ("Title", 16), ("GivenName", 25), ("MiddleName", 25), ("FamilyName", 25), ("Suffix", 16),
            ("CompanyName", 100), ("Notes", 2000))),
        _field("PrimaryEmailAddr.Address", "email", writable=True, max_length=100),
        *(_field(f"{name}.FreeFormNumber", "phone", writable=True, max_length=30)
          for name in ("PrimaryPhone", "AlternatePhone", "Mobile", "Fax")),
        _field("WebAddr.URI", "url", writable=True),
        *(_field(f"{place}.{name}", writable=True) for place in ("BillAddr", "ShipAddr") for name in _ADDRESS),
        _field("CurrencyRef.value"),
        _field("Balance", "money"),
        _field("Active", "boolean"),
        *_TIMES,
    ),
    "invoices": (
        _field("Id"),
        _field("DocNumber"),
        _field("CustomerRef.value", "ref", ref_to="customers"),
        _field("Status", "enum", options=("open", "paid", "void"), restricted=True),
        *(_field(name, "money") for name in ("TotalAmt", "Balance", "PaidAmt")),
        _field("Currency"),
        *(_field(name, "date") for name in ("TxnDate", "DueDate")),
        _field("BillEmail.Address", "email"),
        _field("PrivateNote"),
        *_TIMES,
    ),
    "payments": (
        _field("Id"),
        _field("CustomerRef.value", "ref", ref_to="customers"),
        *(_field(name, "money") for name in ("TotalAmt", "UnappliedAmt")),
        _field("Currency"),
        _field("TxnDate", "date"),
        _field("PaymentRefNum"),
        *_TIMES,
    ),
}  # fmt: skip


def discover(api: QuickBooksApi, stream: str) -> list[Field]:
    """Documented fields, and the custom ones of sales forms as the newest hundred records show them."""
    if stream == "customers":
        return list(_FIELDS[stream])
    text = select(stream, order="MetaData.LastUpdatedTime DESC", most=100)
    answer = call(api, "POST", "/query", "discover", text=text).json()
    rows = (answer.get("QueryResponse") or {}).get(ENTITIES[stream]) or []
    labels: dict[int, str] = {}
    for row in rows:
        for place, custom in enumerate(row.get("CustomField") or ()):
            labels.setdefault(place, str(custom.get("Name") or place))
    found = [
        Field(name=f"CustomField.{place}.StringValue", label=label, type="text", writable=False, custom=True)
        for place, label in labels.items()
    ]
    return [*_FIELDS[stream], *found]


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "quickbooks webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``intuit-signature``: base64 over the raw body with the verifier token. Repeats are known by their id."""
    given = [request.headers.get("intuit-signature", "")]
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_signature(given, request.body, secrets, where=WHERE, encoding="base64")


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which records of this company to read; one message may be about several companies. Both formats are read."""
    try:
        body = orjson.loads(request.body)
        rows = [_of_cloud_event(each) for each in body] if isinstance(body, list) else _of_notifications(body)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    realm = str(settings.values.get("realm") or "")
    return [
        WebhookEvent(key=key, stream=STREAM_OF[entity], external_id=external_id, at=at, kind=kind)
        for company, key, entity, external_id, at, kind in rows
        if company == realm and entity in STREAM_OF and ID.fullmatch(external_id)
    ]


Row = tuple[str, str, str, str, float | None, str]  # company, key, entity, id, time, kind


def _kind(operation: str, entity: str) -> str:
    """A merged customer is inactive afterwards, which its read shows; only transactions are deleted."""
    return "deleted" if operation in ("deleted", "delete") and entity != "customer" else "changed"


def _of_cloud_event(event: Mapping[str, Json]) -> Row:
    _, entity, operation, *_ = str(event["type"]).lower().split(".")
    at = parse_time(event["time"]) if event.get("time") else None
    return (
        str(event["intuitaccountid"]),
        str(event["id"]),
        entity,
        str(event["intuitentityid"]),
        at,
        _kind(operation, entity),
    )


def _of_notifications(body: Mapping[str, Json]) -> list[Row]:
    """The format before CloudEvents."""
    rows: list[Row] = []
    for notice in body["eventNotifications"]:
        for each in notice["dataChangeEvent"]["entities"]:
            entity, external_id, operation = str(each["name"]).lower(), str(each["id"]), str(each["operation"]).lower()
            at = parse_time(each["lastUpdated"]) if each.get("lastUpdated") else None
            key = f"{entity}:{external_id}:{operation}:{each.get('lastUpdated')}"
            rows.append((str(notice["realmId"]), key, entity, external_id, at, _kind(operation, entity)))
    return rows
