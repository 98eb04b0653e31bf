"""Xoxoday Plum, on the hub's door: the catalogue of vouchers, and orders of them.

Docs: Plum Pro API (one URL, an operation per call), help pages "Rate limits", "Webhooks".

Orders are placed by the reward ledger. The hub's reference is the order's poNumber, which Plum takes once: a repeat is
refused. Which refusal means that is written nowhere, and a repeat can as well be refused for another reason (stock,
balance), so every refused order is looked up by its number before it counts as refused.

Voucher codes are money. They are taken out of every answer before anything else looks at it: no record, message or
log of the hub holds one; Plum itself delivers them to the recipient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import orjson

from hub.connector import (
    Auth,
    Connector,
    Door,
    Field,
    HttpResponse,
    Idempotency,
    Page,
    RateLimit,
    Setting,
    Settings,
    Stream,
    WebhookEvent,
    WebhookRequest,
)
from hub.errors import HubError, NeedsReview, OutcomeUnknown, RecordRejected, RetryLater, SignInExpired
from hub.kit.paging import rest_at
from hub.kit.pushing import made_before, send_each
from hub.kit.reading import read_rows
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PATH = "/v1/oauth/api"
PAGE = 100  # rows of a page in the vendor's examples
DAY_S = 86_400.0
PENDING_DAYS = 7  # how long an order's delivery is followed: the history knows no "changed since", only order dates
SEARCH_DAYS = 40  # how far back an order is looked for by its number where the details do not find it
ZONE = timezone(timedelta(hours=5, minutes=30))  # times without zone; the vendor works in GMT+5:30 (unconfirmed)
EXPECTED = (400, 403, 404, 405, 406, 409, 415, 422)  # business errors: {code, errorId, errorInfo, error}
NOTHING = frozenset({"PLE10030", "PLE10027"})  # no vouchers, no order history: an empty page (help pages, error codes)
SECRET_KEYS = frozenset({"voucherCode", "pin"})


@dataclass(slots=True)
class PlumApi:
    """What `connect` hands out."""

    door: Door
    filters: tuple[Mapping[str, str], ...]  # of the catalogue


def connect(door: Door, settings: Settings) -> PlumApi:
    country, currency = settings.values.get("country"), settings.values.get("currency")
    filters = [{"key": "country", "value": str(country)}] if country else []
    filters += [{"key": "currencyCode", "value": str(currency)}] if currency else []
    return PlumApi(door=door, filters=tuple(filters))


# --- one call ----------------------------------------------------------------------------------------------------


class Refused(RecordRejected):
    """Plum refuses the call with a code of its own; nothing was done."""


def call(api: PlumApi, operation: str, data: Mapping[str, Json], *, writes: bool = False) -> Json:
    """One operation; what stands under its name, without codes of vouchers. Raises Refused and other hub errors."""
    kind = "query" if operation == "getBalance" else "mutation"
    body = {"query": f"plumProAPI.{kind}.{operation}", "tag": "plumProAPI", "variables": {"data": data}}
    where = f"{api.door.account}/{operation}"
    response = api.door.request("POST", PATH, operation=operation, json=body, writes=writes, expect=EXPECTED)
    if classify(response) == Kind.SIGN_IN:  # among the business errors, so the door left it to us
        raise SignInExpired("the token is refused", where=where, fix="sign in again at the Plum dashboard")
    try:
        answer = orjson.loads(response.body)
        told = (answer.get("data") or {}).get(operation) or {}
        done = response.status == 200 and str(told.get("status")) == "1"
    except (orjson.JSONDecodeError, AttributeError):
        if writes and response.status == 200:
            raise OutcomeUnknown("the answer to an order cannot be read", where=where) from None
        raise RetryLater("the answer cannot be read (a maintenance page?)", code="NET-NOT-JSON", where=where) from None
    if done:
        return without_codes(told.get("data"))
    raise _refusal(answer, response.status, where)


def _refusal(answer: Mapping[str, Json], status: int, where: str) -> HubError:
    """Codes and the vendor's own words for them; nothing of what was sent."""
    code = str(answer.get("errorId") or answer.get("error_message_id") or f"PLUM-{status}")
    return Refused(str(answer.get("errorInfo") or "the call was refused"), code=code, where=where)


def without_codes(value: Json) -> Json:
    """The same without codes and pins, at any depth."""
    if isinstance(value, dict):
        return {name: without_codes(inner) for name, inner in value.items() if name not in SECRET_KEYS}
    if isinstance(value, list):
        return [without_codes(inner) for inner in value]
    return value


def classify(response: HttpResponse) -> str | None:
    """Throttling and dead tokens may come with any status, also 200 (fact sheet, "Rate limits and errors")."""
    head = response.body[:400]
    if b"request_limit_exceeded" in head:
        return Kind.THROTTLED
    if b"auth.token_error" in head or b'"invalid_token"' in head or b"PIPE10013" in head:
        return Kind.SIGN_IN
    if response.status == 401 and b"PLE10019" in head:  # no international orders for this client
        return Kind.FORBIDDEN
    return None


def wait_s(response: HttpResponse) -> float | None:
    """Seconds that a throttled answer names."""
    found = re.search(rb'"penaltySeconds":\s*"?(\d+)', response.body[:400])
    return float(found[1]) if found else None


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: PlumApi, stream: str, cursor: Json) -> Page:
    """One page of the catalogue, which is always read whole, or of the orders since the last read.

    Cursor: {"page": next page or 1, "from": start of this read or None}, for orders also {"since": epoch s or None}.
    """
    at = {"page": 1, "from": None, "since": None, **(cursor or {})}
    started = at["from"] or api.door.vendor_now()
    rows = _vouchers(api, at["page"]) if stream == "catalogue" else _history(api, at["since"], started, at["page"])
    read = _product if stream == "catalogue" else _order
    records, faults = read_rows(rows, read, id_key="productId" if stream == "catalogue" else "orderId")
    if len(rows) >= PAGE:
        following = {**at, "page": at["page"] + 1, "from": started}
        return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)
    rest = {"since": rest_at(started, PENDING_DAYS * DAY_S)} if stream == "orders" else {"page": 1}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)


def _vouchers(api: PlumApi, page: int) -> list[dict[str, Json]]:
    data = {
        "limit": PAGE,
        "page": page,
        "includeProducts": "",
        "excludeProducts": "",
        "sort": {"field": "name", "order": "ASC"},
        "filters": list(api.filters),
    }
    return _rows(api, "getVouchers", data)


def _history(api: PlumApi, since: float | None, until: float, page: int) -> list[dict[str, Json]]:
    """Orders by their date, a day more on both sides: whose midnight is meant is written nowhere."""
    first = _day(since) - timedelta(days=1) if since is not None else date(2015, 1, 1)  # older than the API
    last = _day(until) + timedelta(days=1)
    data = {"startDate": first.isoformat(), "endDate": last.isoformat(), "limit": PAGE, "page": page}
    return _rows(api, "getOrderHistory", data)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _rows(api: PlumApi, operation: str, data: Mapping[str, Json]) -> list[dict[str, Json]]:
    """A page; the refusal that stands for an empty one is one."""
    try:
        found = call(api, operation, data)
    except Refused as refusal:
        if refusal.code in NOTHING:
            return []
        raise
    return list(found or ())


def _product(row: dict[str, Json]) -> SourceRecord:
    stamp = row.get("lastUpdateDate")
    at = datetime.fromisoformat(stamp).replace(tzinfo=ZONE).timestamp() if stamp else None
    return SourceRecord(external_id=str(row["productId"]), data=row, stamp=at)


def _order(row: dict[str, Json]) -> SourceRecord:
    """An order in either shape, with the keys of `_common`. The hub's reference is its marker."""
    data = {**row, **_common(row)}
    return SourceRecord(external_id=str(row["orderId"]), data=data, marker=str(row.get("poNumber") or "") or None)


def _common(row: Mapping[str, Json]) -> dict[str, Json]:
    """What the ledger compares, under the names of `placeOrder`: each shape of an order has it in another place."""
    details = (row.get("voucherDetails") or row.get("vouchers") or [{}])[0]
    product = (row.get("products") or [{}])[0]
    quantity = row.get("quantity") or product.get("quantity")
    known = {
        "productId": details.get("productId"),
        "productName": details.get("productName") or product.get("productName"),
        "denomination": details.get("denomination") or details.get("amount") or product.get("price"),
        "quantity": quantity,
        "currencyCode": row.get("currencyCode") or details.get("currencyCode") or details.get("currency"),
        "deliveryStatus": str(row.get("deliveryStatus") or "").lower() or None,  # history: with a capital
    }
    texts = {name: str(value) for name, value in known.items() if value not in (None, "")}
    if "denomination" in texts:
        texts["denomination"] = plain_amount(texts["denomination"])
    return texts


def plain_amount(text: str) -> str:
    """A number in one spelling ("25.00" and 25 are "25"); anything else as it is."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return f"{number.normalize():f}" if number.is_finite() else text


def fetch(api: PlumApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Orders by id, one call each; products, up to 100 a call. What is not found is left out."""
    wanted = [external_id for external_id in dict.fromkeys(ids) if external_id.isdigit()]
    if stream == "orders":
        return [record for external_id in wanted for record in _details(api, {"orderId": int(external_id)})]
    found: list[SourceRecord] = []
    for start in range(0, len(wanted), PAGE):
        part = wanted[start : start + PAGE]
        data = {"limit": PAGE, "page": 1, "includeProducts": ",".join(part), "excludeProducts": "", "filters": []}
        records, _ = read_rows(_rows(api, "getVouchers", data), _product, id_key="productId")
        found += [record for record in records if record.external_id in part]
    return found


def _details(api: PlumApi, by: Mapping[str, Json]) -> list[SourceRecord]:
    """An order by its id or its number. Raises what is no answer to the question."""
    data = {"orderId": by.get("orderId", ""), "poNumber": by.get("poNumber", ""), "sendMailToReceiver": 0}
    try:
        found = call(api, "getOrderDetails", data)
    except Refused:
        return []
    if not isinstance(found, dict) or not found.get("orderId"):
        return []
    if by.get("poNumber") and str(found.get("poNumber") or by["poNumber"]) != by["poNumber"]:
        return []
    return [_order({**by, **found})]


def find(api: PlumApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Orders by the hub's reference (poNumber), in full: the details name the product, the history the recipient.

    Whether the details can be asked for by the number alone is unconfirmed; the history can, by looking through it.
    """
    if stream == "orders" and name == "poNumber":
        return _by_number(api, value)
    if name == "id" or (stream == "orders" and name == "orderId"):
        return fetch(api, stream, [value])
    raise NeedsReview(f"{stream} cannot be looked up by {name}", code="PLUM-LOOKUP", where=api.door.account)


def _by_number(api: PlumApi, number: str) -> list[SourceRecord]:
    listed = next(_listed(api, number), None)
    details = _details(api, {"orderId": listed["orderId"]} if listed else {"poNumber": number})
    if listed is None:
        return details
    return [_order({**listed, **(details[0].data if details else {}), "poNumber": number})]


def _listed(api: PlumApi, number: str) -> Iterator[dict[str, Json]]:
    """The order's row of the history: today's pages first, then those of the last weeks."""
    now = api.door.vendor_now()
    for since in (now, now - SEARCH_DAYS * DAY_S):
        page = 1
        while True:
            rows = _history(api, since, now, page)
            yield from (row for row in rows if str(row.get("poNumber") or "") == number)
            if len(rows) < PAGE:
                break
            page += 1


# --- placing orders ----------------------------------------------------------------------------------------------

SENT = frozenset(
    ("productId", "quantity", "denomination", "email", "contact", "tag", "notifyReceiverEmail", "notifyAdminEmail")
)
MOST_NUMBER = 100  # characters of a poNumber (help pages)


def push(api: PlumApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Place orders, one call each."""
    return send_each(changes, partial(_place, api, stream), api.door.now)


def _place(api: PlumApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    """One order. What Plum refuses is looked for first: it may be there from an earlier attempt."""
    _require_order(stream, change)
    data = {"quantity": 1, "notifyReceiverEmail": 1, "notifyAdminEmail": 0, **change.body, "poNumber": change.reference}
    try:
        placed = call(api, "placeOrder", data, writes=True)
    except Refused as refusal:
        look = partial(_by_number, api, change.reference)
        there = made_before(look, index, refusal.code, where=f"{api.door.account}/placeOrder")
        if not there:
            raise
        return there
    if not isinstance(placed, dict) or not placed.get("orderId"):
        raise OutcomeUnknown("the answer names no order", where=f"{api.door.account}/placeOrder")
    held = _order({"poNumber": change.reference, **placed})
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def _require_order(stream: str, change: ChangeSet) -> None:
    """Raises RecordRejected for what is no order that Plum could take."""
    if stream != "orders" or change.op != "create":
        raise RecordRejected(f"{stream}: no {change.op}", code="PLUM-OP")
    if not change.reference or len(change.reference) > MOST_NUMBER:
        raise RecordRejected("an order needs a number of at most 100 characters", code="PLUM-NO-REFERENCE")
    unknown = sorted(set(change.body) - SENT)
    if unknown:
        raise RecordRejected("an order has no such field", code="PLUM-FIELD", field=unknown[0])
    for name in ("productId", "denomination"):
        if change.body.get(name) in (None, ""):
            raise RecordRejected("an order needs product and denomination", code="PLUM-FIELD", field=name)


# --- the account -------------------------------------------------------------------------------------------------


def check(api: PlumApi) -> dict[str, Json]:
    """The prepaid balance. No call names the account; its token belongs to one."""
    balance = call(api, "getBalance", {}) or {}
    value, currency = str(balance.get("value", "")), str(balance.get("currency", ""))
    warnings = [] if value and Decimal(value) > 0 else ["the balance is empty: no order can be placed"]
    return {
        "account": "",
        "name": f"balance {value} {currency}".strip(),
        "warnings": warnings,
        "balance": {"value": value, "currency": currency},
    }


def _field(name: str, kind: str = "text", **more: Any) -> Field:
    return Field(name=name, label=name, type=kind, **{"writable": False, **more})


_FIELDS: Mapping[str, Sequence[Field]] = {
    "catalogue": (
        _field("productId"),
        _field("name"),
        _field("description"),
        _field("categories"),
        _field("currencyCode"),
        _field("countryCode"),
        _field("countryName"),
        _field("valueType", "enum", options=("fixed_denomination", "open_value"), restricted=True),
        _field("valueDenominations"),
        _field("minValue", "decimal"),
        _field("maxValue", "decimal"),
        _field("deliveryType", "enum", options=("realtime", "delayed"), restricted=True),
        _field("tatInDays", "integer"),
        _field("fee", "decimal"),
        _field("discount", "decimal"),
        _field("orderQuantityLimit", "integer"),
        _field("imageUrl", "url"),
        _field("lastUpdateDate"),
    ),
    "orders": (
        _field("orderId"),
        _field("poNumber", unique=True, max_length=MOST_NUMBER),
        _field("productId", required=True, writable=True),
        _field("productName"),
        _field("denomination", "decimal", required=True, writable=True),
        _field("quantity", "integer", writable=True),
        _field("email", "email", writable=True),
        _field("contact", "phone", writable=True),
        _field("tag", writable=True),
        _field("notifyReceiverEmail", "integer", writable=True, readable=False),
        _field("currencyCode"),
        _field("amountCharged", "decimal"),
        _field("orderTotal", "decimal"),
        _field("orderStatus"),
        _field("deliveryStatus", "enum", options=("pending", "delivered", "canceled")),
        _field("orderDate"),
    ),
}


def discover(api: PlumApi, stream: str) -> list[Field]:
    """As documented: no call describes fields."""
    return list(_FIELDS[stream])


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "plum webhook"
MOST_BODY = 10_000  # bytes; the documented ones have two hundred


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which order to read. Raises RecordRejected if the body is none of Plum's.

    Nothing is signed (so there is no `verify`): that a call comes to the connection's secret path is all there is.
    What it says is believed only once the order was read.
    """
    if len(request.body) > MOST_BODY:
        raise RecordRejected("longer than anything the provider sends", code="HOOK-BODY", where=WHERE)
    try:
        body = orjson.loads(request.body)
        key, order = str(body["id"]), str(body["data"]["orderId"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    if not order.isdigit():
        raise RecordRejected("no id of an order", code="HOOK-BODY", where=WHERE)
    return (WebhookEvent(key=f"{key}:{order}", stream="orders", external_id=order),)


CONNECTOR = Connector(
    name="plum",
    title="Xoxoday Plum",
    base_url="https://accounts.xoxoday.com/chef",
    hosts=("accounts.xoxoday.com", "stagingstores.xoxoday.com", "stagingaccount.xoxoday.com"),
    auth=(
        Auth(kind="refresh_token", token_url="/v1/oauth/token/user", token_body="json", rotates=True),
        Auth(kind="token"),
    ),
    # help pages, "Rate limits"; two editions disagree about placeOrder (20 or 100 a minute)
    limits=(
        RateLimit(name="getVouchers", calls=50, per_s=60, operations=("getVouchers",)),
        RateLimit(name="getVouchers daily", calls=500, per_s=86_400, operations=("getVouchers",)),
        RateLimit(name="getOrderDetails", calls=200, per_s=60, operations=("getOrderDetails",)),
        RateLimit(name="getOrderHistory", calls=200, per_s=60, operations=("getOrderHistory",)),
        RateLimit(name="placeOrder", calls=20, per_s=60, operations=("placeOrder",)),
        RateLimit(name="getBalance", calls=10, per_s=60, operations=("getBalance",)),
    ),
    streams=(
        Stream(
            name="catalogue",
            id_path="productId",
            modified_path="lastUpdateDate",
            cursor="snapshot",
            sorted=False,
            stamp_tick_s=1.0,
            page_size=PAGE,
            gives="goods",
            minimum={"read": PAGE, "fetch": PAGE},
        ),
        Stream(
            name="orders",
            id_path="orderId",
            cursor="offset",
            sorted=False,
            consistency="lagging",
            lag_s=60.0,
            completeness="thin",
            writes=frozenset({"create"}),
            max_batch=10,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="poNumber",
            page_size=PAGE,
            acts=True,
            gives="order",
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
    ),
    settings=(
        Setting(name="country", text="Only vouchers of this country, as Plum names it (usa, germany)"),
        Setting(name="currency", text="Only vouchers in this currency (ISO 4217)"),
        Setting(name="low_balance", text="A prepaid balance below which people are told"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    parse=parse,
    classify=classify,
    wait_s=wait_s,
    docs="https://xoxoday.gitbook.io/plum",
)
