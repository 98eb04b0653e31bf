"""Xoxoday Plum: catalogue, orders and wallet of one rewards account.

One path for all data calls, with and without the vendor's /chef before it. The order book, ``snapshot("orders")``,
says what was really bought: a `poNumber` stands in it at most once.

Options of `make` beside the kit's: `refresh_token` ("twin-refresh"), `token_life_s`, `balance` (10,000), `currency`
(EUR), `place_per_minute` (20), `limit_status` (429; the vendor may use 200), `details_by_po` (False: an order is found
by its id alone), `errors_as_200` (False). Without a loaded catalogue the account sells CATALOGUE of plum_goods.
People act by ``user_action``: deliver_order, cancel_order, top_up, enable_webhook.

Not played: reward links, points, merchandise, the payment report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import orjson

from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.plum_goods import (
    BLANK_ORDER,
    BLANK_PRODUCT,
    CATALOGUE,
    allows,
    charged,
    country_name,
    local_text,
    make_vouchers,
    number,
    rate_of,
    show_history,
    show_order,
    show_product,
)

Json = Any

TOKEN_LIFE_S = 1_296_000  # 15 days (vendor docs, "Authentication")
REFRESH_LIFE_S = 2_592_000
MAX_QUANTITY = 10
PO_LENGTH = 100
PENALTY_S = 60
DAY_S = 86_400.0
VOUCHERS_PER_DAY = 500  # two help pages of the vendor
DELIVERED, PENDING, CANCELED = "delivered", "pending", "canceled"
FIRST_ORDER = "880001"
_MINUTE = {"getOrderDetails": 200, "getOrderHistory": 200, "getVouchers": 50, "getFilters": 50, "getBalance": 10}
_OPERATION = re.compile(r"plumProAPI\.(mutation|query)\.(\w+)")
_CONTACT = re.compile(r"\+\d{1,3}-\d{4,15}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class _Refused(Exception):
    """A business error: {code, errorId, errorInfo, error}."""

    def __init__(self, code: int, error_id: str, info: str, error: str) -> None:
        super().__init__(info)
        self.body = {"code": code, "errorId": error_id, "errorInfo": info, "error": error}
        self.code = code


def _invalid(reason: str) -> _Refused:
    return _Refused(400, "PLE10001", "Validation error in place order", reason)


class TwinPlum(Twin):
    """One client's account."""

    name = "plum"
    streams: ClassVar[Sequence[str]] = ("catalogue", "orders", "balance")
    hook_attempts = 3  # then the callback URL is switched off (vendor docs, "Webhooks")

    def __init__(self, **options: Json) -> None:
        defaults: dict[str, Json] = {
            "refresh_token": "twin-refresh",
            "token_life_s": TOKEN_LIFE_S,
            "balance": 10_000,
            "currency": "EUR",
            "place_per_minute": 20,
            "limit_status": 429,
            "details_by_po": False,
            "errors_as_200": False,
        }
        super().__init__(**{**defaults, **options})
        self.tokens.add_refresh(self.settings["refresh_token"])
        self.records.add_index("orders", "po", lambda fields: [fields["poNumber"]] if fields["poNumber"] else [])
        self._operations: dict[str, Callable[[Fields], Json]] = {
            "getVouchers": self._vouchers,
            "getFilters": self._filters,
            "getBalance": self._balance,
            "placeOrder": self._place,
            "getOrderDetails": self._details,
            "getOrderHistory": self._history,
        }
        self._begin_state()

    def _begin_state(self) -> None:
        self._windows: dict[str, Window] = {}
        self._blocked: dict[str, float] = {}
        self._hook_number = 771_233
        self._log_read = 0
        self._switched_off: list[Target] = []
        now = self.now()
        for product, fields in CATALOGUE.items():
            self.records.create("catalogue", {**BLANK_PRODUCT, **fields}, by="default", id=product, created=now)
        wallet = {"amount": float(self.settings["balance"]), "currency": self.settings["currency"]}
        self.records.create("balance", wallet, by="default", id=self.settings["currency"], created=now)

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def new_id(self, stream: str) -> str | None:
        return FIRST_ORDER if stream == "orders" and not self.records.count("orders") else None

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        path = _path(request)
        if path.startswith("/v1/oauth/token"):
            return "token", request.method == "POST"
        operation = self._operation(request)
        return operation or "unknown", operation == "placeOrder"

    def _operation(self, request: Request) -> str | None:
        """The operation named in the body; None if there is none that we know."""
        try:
            payload = request.json()
        except BadJson:
            return None
        if not isinstance(payload, dict) or payload.get("tag") != "plumProAPI":
            return None
        match = _OPERATION.fullmatch(str(payload.get("query")))
        if match is None or (match[1] == "query") is not (match[2] == "getBalance"):
            return None
        return match[2] if match[2] in self._operations else None

    def authorise(self, request: Request) -> Response | None:
        if _path(request) == "/v1/oauth/token/user":
            return None
        if not request.bearer():
            info, error = "Plum Pro APIs: Invalid authorization header", "invalid authorization header!"
            return self._error(_Refused(401, "PIPE10013", info, error))
        return super().authorise(request)

    def unauthorised(self, request: Request) -> Response:
        return Response.json({"error": "invalid_token", "error_description": "invalid/expired token"}, 401)

    def limit(self, request: Request) -> Response | None:
        """By operation; whoever is over it stays out for the whole penalty."""
        scale, operation, now = float(self.settings["limit_scale"]), self._operation(request), self.now()
        if not scale or operation is None:
            return None
        wait = self._blocked.get(operation, 0.0) - now
        if wait <= 0:
            calls = self.settings["place_per_minute"] if operation == "placeOrder" else _MINUTE[operation]
            wait = PENALTY_S if self._is_over(operation, calls * scale, 60.0) else 0.0
        if wait <= 0 and operation == "getVouchers":
            wait = PENALTY_S if self._is_over("day", VOUCHERS_PER_DAY * scale, DAY_S) else 0.0
        if wait <= 0:
            return None
        self._blocked[operation] = max(self._blocked.get(operation, 0.0), now + wait)
        return self.refuse_for(request, math.ceil(wait))

    def _is_over(self, name: str, calls: float, per_s: float) -> bool:
        window = self._windows.setdefault(name, Window(max(1, round(calls)), per_s))
        return window.take(self.now()) > 0

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """The wait stands in the body. The token path says less."""
        message: Fields = {"message": "auth.request_limit_exceeded"}
        if _path(request).startswith("/v1/oauth/token"):
            return Response.json(message, 429)
        if retry_after_s is not None:
            message["penaltySeconds"] = math.ceil(retry_after_s)
            self.throttled_until = max(self.throttled_until, self.now() + retry_after_s)
        return Response.json({"errors": [message]}, self.settings["limit_status"])

    def failed(self, request: Request) -> Response:
        return self._error(_Refused(500, "", "Internal server error", "Internal server error"))

    def _error(self, refusal: _Refused) -> Response:
        return Response.json(refusal.body, 200 if self.settings["errors_as_200"] else refusal.code)

    def route(self, request: Request) -> Response:
        match request.method, _path(request):
            case "POST", "/v1/oauth/api":
                return self._data_call(request)
            case "POST", "/v1/oauth/token/user":
                return self._refresh(request)
            case "GET", "/v1/oauth/token":
                return Response.json(self._token_answer(request.bearer()))
        return self._error(_Refused(404, "", "Not found", "Not found"))

    def _data_call(self, request: Request) -> Response:
        operation = self._operation(request)
        if operation is None:
            return self._error(_Refused(400, "PLE10001", "Invalid request", "Unknown query or tag"))
        self._deliver_due()
        data = (request.json().get("variables") or {}).get("data")
        try:
            result = self._operations[operation](data if isinstance(data, dict) else {})
        except _Refused as refusal:
            return self._error(refusal)
        rows = len(result) if isinstance(result, list) else 1
        return Response.json({"data": {operation: {"status": 1, "data": result}}}, rows=rows)

    # --- tokens ------------------------------------------------------------------------------------------------

    def _refresh(self, request: Request) -> Response:
        """A new pair; the refresh token that was used is dead from now on."""
        try:
            given = request.json()
        except BadJson:
            given = {}
        settings = self.settings
        known = (settings["client_id"], settings["client_secret"])
        if given.get("grant_type") != "refresh_token" or (given.get("client_id"), given.get("client_secret")) != known:
            return Response.json({"error": "invalid_client", "error_description": "client not known"}, 400)
        if not self.tokens.take_refresh(str(given.get("refresh_token")), rotate=True):
            return Response.json({"error": "invalid_grant", "error_description": "invalid refresh token"}, 400)
        token = self.tokens.issue(self.now(), settings["token_life_s"])
        return Response.json({**self._token_answer(token), "refresh_token": self.tokens.issue_refresh()})

    def _token_answer(self, token: str) -> Fields:
        now = self.now()
        end = self.tokens.ended_at(token) or now + self.settings["token_life_s"]
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(end - now),
            "access_token_expiry": str(int(end * 1000)),
            "refresh_token_expiry": str(int((now + REFRESH_LIFE_S) * 1000)),
        }

    # --- catalogue ---------------------------------------------------------------------------------------------

    def _vouchers(self, data: Fields) -> list[Fields]:
        chosen, shunned = _ids(data.get("includeProducts")), _ids(data.get("excludeProducts"))
        tests = [_product_test(f) for f in data.get("filters") or [] if isinstance(f, dict)]
        rows = [
            row
            for row in self._on_sale()
            if (not chosen or row.id in chosen) and row.id not in shunned and all(test(row) for test in tests)
        ]
        order = data.get("sort") or {}
        if order.get("field"):
            rows.sort(key=lambda row: str(row.fields.get(order["field"], "")), reverse=order.get("order") == "DESC")
        page = _page(rows, data, is_shifted=self.faults.hits(self.faults.page_drift_rate))
        if not page:
            raise _Refused(404, "PLE10030", "Failed to find vouchers.", "No Vouchers Found")
        wallet, with_rate = self._wallet().fields["currency"], data.get("exchangeRate") == 1
        return [show_product(row, wallet, with_rate=with_rate) for row in page]

    def _on_sale(self) -> list[Record]:
        rows = (self.see(record) for record in self.records.all("catalogue"))
        return [row for row in rows if row is not None and not row.deleted]

    def _filters(self, data: Fields) -> list[Fields]:
        """Groups and their values; countries are named in lower case, as the filters want them."""
        rows = self._on_sale()
        groups = {
            "country": sorted({country_name(row.fields["countryCode"]).lower() for row in rows}),
            "currencyCode": sorted({row.fields["currencyCode"] for row in rows}),
            "voucher_category": sorted({part for row in rows for part in row.fields["categories"].split(",")}),
            "deliveryType": ["delayed", "realtime"],
        }
        wanted = str(data.get("filterGroupCode") or "")
        return [
            {
                "filterGroupName": code,
                "filterGroupDescription": code,
                "filterGroupCode": code,
                "filters": [{"filterValue": value, "filterValueCode": value} for value in values],
            }
            for code, values in groups.items()
            if wanted in ("", code)
        ]

    # --- wallet and orders -------------------------------------------------------------------------------------

    def _wallet(self) -> Record:
        return self.records.all("balance")[-1]

    def _balance(self, data: Fields) -> Fields:
        fields = self._wallet().fields
        amount = number(Decimal(str(fields["amount"])))
        return {"points": amount, "value": amount, "currency": fields["currency"]}

    def _place(self, data: Fields) -> Fields:
        """Check everything, then take the money and write the order, in one step."""
        quantity, denomination = _checked(data)
        product = self._product(data, denomination)
        po_number = str(data.get("poNumber") or "")
        if len(po_number) > PO_LENGTH:
            raise _invalid("poNumber is too long")
        if po_number and self.records.lookup("orders", "po", po_number):
            # The vendor's status and code for this are in no official page; 422 is a derived specification's.
            raise _Refused(422, "PLE1XXXX", "Failed to process order", "poNumber already exists")
        if product.fields["kyc"]:
            raise _Refused(403, "PLE10015", "Failed to process order", "Brand requires additional KYC")
        stock = product.fields["stock"]
        if self.faults.row_fault() is not None or (stock is not None and stock < quantity):
            raise _Refused(
                422, "PLE10012", "Failed to process order", "Order Process Failed due to Unavailability of Vouchers"
            )
        wallet = self._wallet()
        total = denomination * quantity
        cost = charged(product.fields, total, wallet.fields["currency"])
        left = Decimal(str(wallet.fields["amount"])) - cost
        if left < 0:
            raise _Refused(422, "PLE1XXXX", "Failed to process order", "Insufficient balance")
        self.records.update("balance", wallet.id, {"amount": float(left)}, by="api")
        if stock is not None:
            self.records.update("catalogue", product.id, {"stock": stock - quantity}, by="api")
        return self._booked(data, product, quantity, denomination, total, cost)

    def _product(self, data: Fields, denomination: Decimal) -> Record:
        product = self.records.find("catalogue", str(data["productId"]))
        if product is None or product.deleted or not allows(product.fields, denomination):
            info, error = "Invalid denomination for the product", "ProductId and Denomination Combination Not Found"
            raise _Refused(404, "PLE10018", info, error)
        return product

    def _booked(
        self, data: Fields, product: Record, quantity: int, denomination: Decimal, total: Decimal, cost: Decimal
    ) -> Fields:
        now, wallet = self.now(), self._wallet().fields["currency"]
        is_delayed = product.fields["deliveryType"] == "delayed"
        order_id = self.new_id("orders") or str(int(self.records.last_id("orders") or 0) + 1)
        order: Fields = {
            **BLANK_ORDER,
            "poNumber": data.get("poNumber") or None,
            "productId": product.id,
            "productName": product.fields["name"],
            "quantity": quantity,
            "denomination": number(denomination),
            "email": data.get("email"),
            "contact": data.get("contact"),
            "tag": data.get("tag") or "",
            "orderDate": local_text(now),
            "orderTotal": number(total),
            "discountPercent": product.fields["discount"],
            "amountCharged": number(cost),
            "currencyCode": product.fields["currencyCode"],
            "currencyValue": float(rate_of(product.fields["currencyCode"], wallet)),
            "deliveryStatus": PENDING if is_delayed else DELIVERED,
            "due": now + float(product.fields["tatInDays"]) * DAY_S if is_delayed else None,
        }
        if not is_delayed:
            order["vouchers"] = make_vouchers(order_id, order, product.fields, now)
        self.records.create("orders", order, by="api", id=order_id)
        return show_order(order_id, order)

    def _details(self, data: Fields) -> Fields:
        """By id, always fresh; by `poNumber` only where the account's option says so."""
        record = self.records.find("orders", str(data.get("orderId") or ""))
        po_number = str(data.get("poNumber") or "")
        if record is None and po_number and self.settings["details_by_po"]:
            record = next(iter(self.records.lookup("orders", "po", po_number)), None)
        if record is None or (po_number and record.fields["poNumber"] != po_number):
            raise _Refused(404, "PLE10027", "Failed to find order", "Order Not Found")
        return show_order(record.id, record.fields)

    def _history(self, data: Fields) -> list[Fields]:
        """Newest first, by days in GMT+5:30; rows may lag (fault `index_lag_s`)."""
        start, end = str(data.get("startDate") or ""), str(data.get("endDate") or "")
        if not all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in (start, end)):
            raise _Refused(400, "PLE10032", "Validation error in order history", "Bad request")
        rows = []
        for record in reversed(self.records.all("orders")):
            seen = self.see(record, index=True)
            if seen is not None and start <= seen.fields["orderDate"][:10] <= end:
                if data.get("tag") in (None, "", seen.fields["tag"]):
                    rows.append(seen)
        page = _page(rows, data, is_shifted=self.faults.hits(self.faults.page_drift_rate))
        if not page:
            raise _Refused(404, "PLE10027", "Failed to find order history", "Order History Not Found")
        return [show_history(row) for row in page]

    def _deliver_due(self) -> None:
        for record in self.records.all("orders"):
            due = record.fields["due"]
            if record.fields["deliveryStatus"] == PENDING and due is not None and due <= self.now():
                self.act_deliver_order(record.id, by="system")

    # --- people ------------------------------------------------------------------------------------------------

    def act_deliver_order(self, order: str, by: str = "user:1") -> None:
        """The supplier hands over the codes of a delayed order."""
        record = self._pending(order)
        product = self.records.find("catalogue", record.fields["productId"])
        goods = product.fields if product is not None else BLANK_PRODUCT
        vouchers = make_vouchers(order, record.fields, goods, self.now())
        self.records.update("orders", order, {"deliveryStatus": DELIVERED, "vouchers": vouchers}, by=by)

    def act_cancel_order(self, order: str, by: str = "user:1") -> None:
        """A delayed order comes to nothing; the money goes back."""
        record = self._pending(order)
        self.act_top_up(record.fields["amountCharged"], by="system")
        self.records.update("orders", order, {"deliveryStatus": CANCELED, "orderStatus": CANCELED}, by=by)

    def _pending(self, order: str) -> Record:
        record = self.records.get("orders", order)
        if record.fields["deliveryStatus"] != PENDING:
            raise ValueError(f"order {order} is {record.fields['deliveryStatus']}")
        return record

    def act_top_up(self, amount: float, by: str = "user:1") -> float:
        """Put money into the wallet. Returns what is in it now."""
        wallet = self._wallet()
        total = Decimal(str(wallet.fields["amount"])) + Decimal(str(amount))
        return float(self.records.update("balance", wallet.id, {"amount": float(total)}, by=by).fields["amount"])

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        if stream != "catalogue":
            raise ValueError("orders are placed through the API, the wallet is there from the start")
        return super().user_create(stream, _known(fields), by)

    def completed(self, stream: str, fields: Fields) -> Fields:
        blank = {"catalogue": BLANK_PRODUCT, "orders": BLANK_ORDER}.get(stream, {})
        return {**blank, **(_known(fields) if stream == "catalogue" else fields)}

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """As Twin.load; what is loaded stands in the place of what every new account has."""
        with self.lock:
            for record in self.records.all(stream):
                if record.by == "default":
                    self.records.purge(stream, record.id)
        return super().load(stream, rows)

    # --- webhooks ----------------------------------------------------------------------------------------------

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        self._switch_off_failed()
        if not self.hooks.targets or record.stream != "orders":
            return []
        status = record.fields["deliveryStatus"]
        if status == PENDING or not (change.kind == "create" or "deliveryStatus" in change.changed):
            return []
        self._hook_number += 1
        known = {name: record.fields[name] for name in ("poNumber", "orderDate") if record.fields[name] is not None}
        payload = {
            "id": self._hook_number,
            "data": {"orderId": int(record.id), **known, "deliveryStatus": status},
            "createdAt": local_text(self.now()),
        }
        return [HookEvent(topic=status, payload=payload, at=change.at, stream="orders", record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        """Unsigned; only the URL holds a secret."""
        return orjson.dumps(events[0].payload), {"Content-Type": "application/json"}

    def set_webhook(self, url: str, secret: str = "", **options: Json) -> str:
        """The one callback URL; another takes its place."""
        self.hooks.targets.clear()
        self._log_read = len(self.hooks.log)
        return super().set_webhook(url, secret, **options)

    def act_enable_webhook(self) -> int:
        """Switch the callback URL on again. Returns how many were off."""
        self._switch_off_failed()
        for target in self._switched_off:
            self.hooks.add(target)
        number_off = len(self._switched_off)
        self._switched_off = []
        return number_off

    def _switch_off_failed(self) -> None:
        """The third try of a message has failed: the URL is off until a person switches it on."""
        fresh = self.hooks.log[self._log_read :]
        self._log_read += len(fresh)
        failed = {d.url for d in fresh if not d.accepted and d.attempt + 1 == self.hook_attempts}
        for target in list(self.hooks.targets.values()):
            if target.url in failed:
                self.hooks.remove(target.id)
                self._switched_off.append(target)


# --- reading a request -------------------------------------------------------------------------------------------


def _path(request: Request) -> str:
    return request.path.removeprefix("/chef")


def _checked(data: Fields) -> tuple[int, Decimal]:
    """Quantity and denomination of a request to place an order. Raises _Refused."""
    try:
        quantity, denomination = int(data["quantity"]), Decimal(str(data["denomination"]))
        str(data["productId"])
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise _invalid("productId, quantity and denomination are required") from None
    if quantity > MAX_QUANTITY:
        words = f"Clients are not allowed to place more than {MAX_QUANTITY} Qty"
        raise _Refused(409, "PLE10041", words, "Quantity limit exceeded")
    if quantity < 1 or denomination <= 0:
        raise _invalid("quantity and denomination must be positive")
    if data.get("contact") and not _CONTACT.fullmatch(str(data["contact"])):
        raise _invalid("contact must look like +1-8155550100")
    if not _EMAIL.fullmatch(str(data.get("email") or "")):
        raise _invalid("email is invalid")
    return quantity, denomination


def _page(rows: list[Record], data: Fields, *, is_shifted: bool) -> list[Record]:
    """A page by number; shifted, its rows have moved down by one since the page before was read."""
    try:
        limit, page = int(data.get("limit") or 10), int(data.get("page") or 1)
    except (TypeError, ValueError):
        raise _invalid("limit and page must be numbers") from None
    start = (page - 1) * limit - (1 if is_shifted and page > 1 else 0)
    return rows[start : start + limit] if limit > 0 and page > 0 else []


def _ids(text: Json) -> set[str]:
    return {part.strip() for part in str(text or "").split(",") if part.strip()}


def _product_test(entry: Fields) -> Callable[[Record], bool]:
    """One filter: {key, value}; a key that is not known chooses nothing."""
    key, value = str(entry.get("key")), str(entry.get("value")).lower()
    match key:
        case "country":
            return lambda row: country_name(row.fields["countryCode"]).lower() == value
        case "voucher_category":
            return lambda row: value in row.fields["categories"].lower().split(",")
        case "productName":
            return lambda row: value in row.fields["name"].lower()
        case "currencyCode" | "deliveryType":
            return lambda row: str(row.fields[key]).lower() == value
        case "minPrice" | "maxPrice":
            return lambda row: _in_price(row.fields, key, Decimal(value))
    return lambda row: False


def _in_price(product: Fields, key: str, bound: Decimal) -> bool:
    texts = [part for part in str(product["valueDenominations"]).split(",") if part.strip()]
    values = [Decimal(str(part)) for part in texts or (product["minValue"], product["maxValue"])]
    return max(values) >= bound if key == "minPrice" else min(values) <= bound


def _known(fields: Fields) -> Fields:
    if unknown := set(fields) - set(BLANK_PRODUCT):
        raise ValueError(f"a product has no field {', '.join(sorted(unknown))}")
    return fields


def _bought(order: str, status: str) -> dict[str, Json]:
    """An order that somebody placed at the vendor's own pages."""
    fields = {
        **BLANK_ORDER, "poNumber": f"desk-{order}", "denomination": 25, "email": "desk@example.com",
        "orderDate": "2026-11-01 13:30:00", "orderTotal": 25, "amountCharged": 25, "deliveryStatus": status,
    }  # fmt: skip
    at = 1_793_520_000.0 + int(order) % 10  # the day before the company's history ends
    return {"id": order, "fields": fields, "created": at, "modified": at}


# For certifications: what people work on. Nobody places an order by hand, or takes one out of the book.
ROWS = {"orders": [_bought("880001", DELIVERED), _bought("880002", PENDING)]}
PEOPLE: dict[str, Json] = {
    "orders": {
        "edit": {"action": "deliver_order", "arguments": {"order": "$id"}},
        "add": {"no": "orders are placed through the API"},
        "remove": {"no": "an order stays in the book"},
        "restore": {"no": "an order stays in the book"},
        "unique": ["poNumber"],
    },
}


def make(**options: Json) -> TwinPlum:
    return TwinPlum(**options)


TWIN = make
