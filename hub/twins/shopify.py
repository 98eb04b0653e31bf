"""Shopify: GraphQL Admin API 2026-10 of one shop.

Behaviour: cost points in a leaky bucket, throttling inside HTTP 200, userErrors, a search index that lags behind,
whole-day customer searches, metafields with a unique "hub.id", signed webhooks of REST shape. The GraphQL machine is
in shopify_graph, queries in shopify_reads and shopify_listing, mutations in shopify_writes, discount codes in
shopify_discounts, products and checkouts in shopify_goods, bulk operations in shopify_bulk.

Not played: variants of products, discounts other than basic codes, bulk mutations, the REST API.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

from hub.twins import shopify_bulk, shopify_discounts, shopify_goods, shopify_reads, shopify_writes
from hub.twins.hooks import HookEvent, Target
from hub.twins.kit import BadJson, Bucket, Change, Fields, Record, Request, Response, Twin
from hub.twins.shopify_bulk import FOLDER, Bulk
from hub.twins.shopify_graph import RATE_LIMIT_PAGE, Document, Graph, Prepared, Refused
from hub.twins.shopify_hooks import Messages, sign_callback
from hub.twins.shopify_listing import Visit
from hub.twins.shopify_orders import clean_edit, customer_number, make_order, paid, refund
from hub.twins.shopify_shapes import OWNERS, Shop, plain_customer, plain_order
from hub.twins.shopify_values import BLANK_CUSTOMER, clean_customer, gid, input_from_shown, saved, utc_text

Json = Any

# Points restored per second by plan; the bucket holds twenty times as much (vendor docs, "Rate limits").
PLANS = {"standard": 100.0, "advanced": 200.0, "plus": 1000.0, "enterprise": 2000.0}
BUCKET_S = 20.0
SCOPES = "read_customers write_customers read_orders read_all_orders read_products read_discounts write_discounts"
SUPPORTED = ("2026-01", "2026-04", "2026-07", "2026-10")  # an older version is answered by the first of them
ONLINE_S, OFFLINE_S, REFRESH_S = 86_399, 3_600, 7_776_000  # lives of tokens (vendor docs, "Authentication")
FIRST_NUMBER = {
    "customers": "7100000000001", "orders": "5100000000001", "discounts": "1100000000001", "products": "8100000000001",
    "checkouts": "3100000000001",
}  # fmt: skip
_PATH = re.compile(r"/admin/api/(\d{4}-\d{2}|unstable)/graphql\.json")
_TOKEN_PATH = "/admin/oauth/access_token"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A GraphQL request, read."""

    document: Document
    variables: dict[str, Json]


class TwinShopify(Twin):
    """One shop with one installed app."""

    name = "shopify"
    streams: ClassVar[Sequence[str]] = ("customers", "orders", "checkouts", "products", "discounts")
    hook_attempts = 9  # 8 retries over 4 hours, then an API subscription is removed (vendor docs, "Webhooks")

    def __init__(self, **options: Json) -> None:
        """Settings beside the kit's: shop_domain, shop_id, country, currency, timezone, plan (see PLANS), scopes
        (space-separated), refresh_token, refresh_rotates."""
        defaults: dict[str, Json] = {
            "shop_domain": "twin-shop.myshopify.com",
            "shop_id": 548380009,
            "shop_created": 1_600_000_000.0,
            "country": "DE",
            "currency": "EUR",
            "timezone": "Europe/Berlin",
            "plan": "standard",
            "scopes": SCOPES,
            "refresh_token": "twin-refresh",
            "bulk_s": 0.0,
            "bulk_at_once": 5,
        }
        super().__init__(**{**defaults, **options})
        self._begin_state()
        for stream in self.streams:
            self.records.add_index(stream, "custom", _custom_keys)
        self.records.add_index("customers", "email", lambda fields: _present(fields["email"]))
        self.records.add_index("customers", "phone", lambda fields: _present(fields["phone"]))
        self.records.add_index("discounts", "code", lambda fields: _present(fields["code"].lower()))
        for stream in ("orders", "checkouts"):
            self.records.add_index(stream, "customer", lambda fields: _present(fields["customer"]))

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self.restore_rate = PLANS[self.settings["plan"]] * (scale or 1.0)
        self.bucket = Bucket(self.restore_rate * BUCKET_S, self.restore_rate)
        self._numbers = 900_000_000_000
        self.messages = Messages(self)
        self.bulk = Bulk(twin=self, graph=_graph)
        self._codes: set[str] = set()
        self._refresh = [str(self.settings["refresh_token"])]  # the newest is last; the one before it is good till then
        self.definitions: list[Fields] = []
        self.define_metafield(
            {
                "namespace": "hub",
                "key": "id",
                "name": "Hub id",
                "ownerType": "CUSTOMER",
                "type": "id",
                "capabilities": {"uniqueValues": {"enabled": True}},
            }
        )

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    # --- what the resolvers ask --------------------------------------------------------------------------------

    @property
    def scopes(self) -> set[str]:
        return set(str(self.settings["scopes"]).replace(",", " ").split())

    @property
    def shop(self) -> Shop:
        settings = self.settings
        return Shop(currency=settings["currency"], timezone=settings["timezone"], country=settings["country"])

    def now_text(self) -> str:
        return utc_text(self.now())

    def next_number(self) -> str:
        """A number for what is no record of its own: addresses, lines, metafields."""
        self._numbers += 1
        return str(self._numbers)

    def new_id(self, stream: str) -> str | None:
        return None if self.records.count(stream) else FIRST_NUMBER[stream]

    def stamp(self, at: float) -> float:
        return float(int(at))  # updatedAt shows whole seconds

    def normalise(self, stream: str, fields: Fields) -> Fields:
        """See `saved`."""
        return saved(fields, self.shop.country)

    def define_metafield(self, given: Fields) -> Fields:
        unique = given["type"] == "id" or bool(
            ((given.get("capabilities") or {}).get("uniqueValues") or {}).get("enabled", False)
        )
        definition = {
            "id": gid("MetafieldDefinition", self.next_number()),
            "namespace": given.get("namespace") or "$app",
            "key": given["key"],
            "name": given["name"],
            "description": given.get("description"),
            "ownerType": given["ownerType"],
            "type": {"name": given["type"], "category": given["type"].partition("_")[0].upper()},
            "validations": [{**v, "type": "single_line_text_field"} for v in given.get("validations") or []],
            "capabilities": {"uniqueValues": {"eligible": True, "enabled": unique}},
        }
        self.definitions.append(definition)
        return definition

    def _definition(self, stream: str, name: str) -> Fields | None:
        owner = OWNERS[stream]
        return next(
            (d for d in self.definitions if d["ownerType"] == owner and f"{d['namespace']}.{d['key']}" == name), None
        )

    def metafield_type(self, stream: str, name: str) -> str | None:
        definition = self._definition(stream, name)
        return None if definition is None else definition["type"]["name"]

    def is_unique(self, stream: str, name: str) -> bool:
        definition = self._definition(stream, name)
        return definition is not None and bool(definition["capabilities"]["uniqueValues"]["enabled"])

    def is_custom_id(self, stream: str, name: str) -> bool:
        return self.metafield_type(stream, name) == "id" and self.is_unique(stream, name)

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        if request.path == _TOKEN_PATH:
            return "token", True
        asked = self._read(request)
        if asked is None or not asked.document.roots:
            return "graphql", False
        return asked.document.roots[0], asked.document.is_mutation

    def _read(self, request: Request) -> _Asked | None:
        """The GraphQL request in this call; None if there is none."""
        if request.method != "POST" or not _PATH.fullmatch(request.path):
            return None
        try:
            payload = request.json()
            text, variables = payload["query"], payload.get("variables") or {}
            name = payload.get("operationName")
        except (BadJson, KeyError, TypeError, AttributeError):
            return None
        return _Asked(document=_graph().document(str(text), name), variables=variables)

    def authorise(self, request: Request) -> Response | None:
        if request.path == _TOKEN_PATH or request.path.startswith(FOLDER):
            return None
        token = request.headers.get("x-shopify-access-token", "")
        return None if self.tokens.is_valid(token, self.now()) else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        headers = {"WWW-Authenticate": 'Basic Realm="Shopify API Authentication"'}
        return Response.json({"errors": message}, 401, headers)

    def failed(self, request: Request) -> Response:
        return Response.json({"errors": "Internal Server Error"}, 500)

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """HTTP 200 and no data; the wait follows from the cost figures, which some plans leave out."""
        asked = self._read(request)
        cost = self._cost_of(asked) if asked else 10
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": RATE_LIMIT_PAGE}}
        figures: Fields = {"requestedQueryCost": cost, "actualQueryCost": None}
        if retry_after_s is not None:
            figures["throttleStatus"] = self._status(max(0.0, cost - retry_after_s * self.restore_rate))
            self.throttled_until = max(self.throttled_until, self.now() + retry_after_s)
        return Response.json({"errors": [error], "extensions": {"cost": figures}})

    def _cost_of(self, asked: _Asked) -> int:
        prepared = _graph().prepare(asked.document, asked.variables)
        return prepared.cost if isinstance(prepared, Prepared) else 1

    def _status(self, available: float) -> Fields:
        return {
            "maximumAvailable": self.bucket.size,
            "currentlyAvailable": int(available),
            "restoreRate": self.restore_rate,
        }

    def finish(self, request: Request, response: Response) -> Response:
        response.headers["X-Request-ID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{id(self)}/{self._calls}"))
        if match := _PATH.fullmatch(request.path):
            version = match[1] if match[1] in SUPPORTED else SUPPORTED[0]
            response.headers["X-Shopify-API-Version"] = version
        return response

    def route(self, request: Request) -> Response:
        if request.path == _TOKEN_PATH and request.method == "POST":
            return self._token(request)
        if request.path.startswith(FOLDER) and request.method == "GET":
            return self.bulk.download(request)
        if not _PATH.fullmatch(request.path) or request.method != "POST":
            return Response.json({"errors": "Not Found"}, 404)
        asked = self._read(request)
        if asked is None:
            return Response.json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        prepared = _graph().prepare(asked.document, asked.variables)
        if isinstance(prepared, Refused):
            return Response.json({"errors": prepared.errors})
        return self._run(request, prepared)

    def _run(self, request: Request, prepared: Prepared) -> Response:
        limited = bool(self.settings["limit_scale"])
        if limited and (wait := self.bucket.take(self.now(), prepared.cost)):
            return self.refuse_for(request, wait)
        visit = Visit(self)
        answer, cost = _graph().run(prepared, visit)
        if limited:
            self.bucket.take(self.now(), min(0, cost - prepared.cost))  # what was asked for too much flows back
        extensions: Fields = {
            "cost": {
                "requestedQueryCost": prepared.cost,
                "actualQueryCost": cost,
                "throttleStatus": self._status(self.bucket.available(self.now())),
            }
        }
        if visit.search_notes:
            extensions["search"] = visit.search_notes
        return Response.json({**answer, "extensions": extensions}, rows=_rows(answer.get("data")))

    # --- tokens ------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        given = _parameters(request)
        settings = self.settings
        if (given.get("client_id"), given.get("client_secret")) != (settings["client_id"], settings["client_secret"]):
            description = "Client authentication failed"
            return Response.json({"error": "invalid_client", "error_description": description}, 400)
        kind = given.get("grant_type", "authorization_code")
        if kind == "client_credentials":
            token = self.tokens.issue(self.now(), ONLINE_S)
            return Response.json({"access_token": token, "scope": self._scope_text(), "expires_in": ONLINE_S})
        if kind == "refresh_token" and given.get("refresh_token") in self._refresh:
            self._refresh = [str(given["refresh_token"])]  # using a refresh token ends the one before it
            return self._offline_pair()
        if kind == "authorization_code" and given.get("code") in self._codes:
            self._codes.discard(str(given["code"]))
            self._refresh = []
            return self._offline_pair()
        return Response.json({"error": "invalid_request", "error_description": "The grant is not valid"}, 400)

    def _offline_pair(self) -> Response:
        """A new access token ends the one before it: one expiring token per app and shop."""
        self.tokens.expire_all(self.now())
        self._refresh.append(self.tokens.issue_refresh())
        return Response.json(
            {
                "access_token": self.tokens.issue(self.now(), OFFLINE_S),
                "scope": self._scope_text(),
                "expires_in": OFFLINE_S,
                "refresh_token": self._refresh[-1],
                "refresh_token_expires_in": REFRESH_S,
            }
        )

    def _scope_text(self) -> str:
        return ",".join(sorted(self.scopes))

    def act_consent(self, redirect_uri: str, state: str) -> str:
        """The owner agrees to the app. Returns the URL that the browser is sent to."""
        code = hashlib.sha256(f"{self.settings['seed']}/{len(self._codes)}/{self.now()}".encode()).hexdigest()[:32]
        self._codes.add(code)
        query = {
            "code": code,
            "shop": str(self.settings["shop_domain"]),
            "state": state,
            "timestamp": str(int(self.now())),
        }
        return f"{redirect_uri}?{urlencode({**query, 'hmac': sign_callback(query, self.settings['client_secret'])})}"

    # --- people ------------------------------------------------------------------------------------------------

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Raises ValueError with the vendor's words if the values cannot be saved."""
        with self.lock:
            if stream == "orders":
                return self._add_order(dict(fields), by).id
            if stream in _KEPT:
                made = _KEPT[stream](self, stream, dict(fields))
                return self.records.create(stream, made, by=by, id=self.new_id(stream)).id
            return self._save(None, dict(fields), by).id

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        with self.lock:
            record = self.records.get(stream, record_id)
            if stream == "customers":
                self._save(record, dict(fields), by)
                return
            if stream in _KEPT:
                given = dict(fields) if stream == "discounts" else shopify_goods.cleaned(self, stream, dict(fields))
                self.records.update(stream, record_id, given, by=by)
                return
            given = dict(fields)
            status = given.pop("displayFinancialStatus", None)
            if given:
                self.records.update("orders", record_id, clean_edit(given, self.shop.country), by=by)
            if status == "PAID":
                self.act_pay_order(order=record_id, by=by)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        with self.lock:
            if stream == "customers" and self.records.lookup("orders", "customer", record_id):
                raise ValueError("a customer with orders cannot be deleted")
            self.records.delete(stream, record_id, by=by)

    def user_restore(self, stream: str, record_id: str, by: str = "user:1") -> None:
        raise ValueError("the shop has no recycle bin")

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        if stream != "customers":
            raise ValueError("only customers can be merged")
        with self.lock:
            return shopify_writes.merge_customers(self, winner, loser, by=by).id

    def act_redeem(self, code: str, by: str = "user:1") -> None:
        """A customer uses a discount code."""
        with self.lock:
            shopify_discounts.redeem(self, code, by)

    def act_fail_bulk(self, status: str = "FAILED", error: str | None = "INTERNAL_SERVER_ERROR") -> None:
        """All bulk operations so far end badly: FAILED, CANCELED or EXPIRED."""
        self.bulk.fail(status, error)

    def act_pay_order(self, order: str, by: str = "user:1") -> str:
        """Pay what is open. Returns the payment's number."""
        return self._change_order(order, paid(self._order(order), at=self.now_text(), next_number=self.next_number), by)

    def act_refund_order(
        self, order: str, amount: str | None = None, note: str | None = None, by: str = "user:1"
    ) -> str:
        """Give money back, all of it if no amount is named. Returns the repayment's number."""
        at = self.now_text()
        changes = refund(self._order(order), amount=amount, note=note, at=at, next_number=self.next_number)
        return self._change_order(order, changes, by)

    def act_cancel_order(self, order: str, reason: str = "CUSTOMER", by: str = "user:1") -> None:
        self.records.update("orders", order, {"cancelledAt": self.now_text(), "cancelReason": reason}, by=by)

    def _order(self, record_id: str) -> Fields:
        return self.records.get("orders", record_id).fields

    def _change_order(self, record_id: str, changes: Fields, by: str) -> str:
        record = self.records.update("orders", record_id, changes, by=by)
        self._touch_customer(record)
        return str(record.fields["transactions"][-1]["id"])

    def _touch_customer(self, order: Record) -> None:
        """Counts and sums of the customer change, so its updatedAt moves without a field of its own changing."""
        customer = order.fields["customer"]
        if customer and self.records.find("customers", customer):
            self.records.update("customers", customer, {}, by="system")

    def _add_order(self, given: Fields, by: str) -> Record:
        customer = customer_number(given.get("customer"))
        if customer is not None:
            owner = self.records.get("customers", customer).fields
            given = {"email": owner["email"], "phone": owner["phone"], **given}
        record = self.records.create("orders", self._made_order(given), by=by, id=self.new_id("orders"))
        self._touch_customer(record)
        return record

    def _made_order(self, given: Fields, at: str | None = None) -> Fields:
        shop = self.shop
        return make_order(
            given,
            number=1001 + self.records.count("orders"),
            currency=shop.currency,
            country=shop.country,
            at=at or self.now_text(),
            next_number=self.next_number,
        )

    def _save(self, target: Record | None, fields: Fields, by: str) -> Record:
        given = self._input(fields, target.fields if target is not None else BLANK_CUSTOMER)
        record, refusals = shopify_writes.save_customer(Visit(self), target, given, by)
        if record is None:
            raise ValueError("; ".join(refusal.message for refusal in refusals))
        return record

    def _input(self, fields: Fields, kept: Fields) -> Fields:
        given = input_from_shown(fields)
        if "defaultAddress" in given:
            address, others = given.pop("defaultAddress"), kept["addresses"]
            first = [{**(others[0] if others else {}), **address}] if address else []
            given["addresses"] = [*first, *others[1:]]
        if isinstance(given.get("metafields"), dict):
            given["metafields"] = [
                {
                    "namespace": name.rpartition(".")[0],
                    "key": name.rpartition(".")[2],
                    "value": str(value),
                    "type": kind,
                }
                for name, value in given["metafields"].items()
                for kind in [self.metafield_type("customers", name) or "single_line_text_field"]
            ]
        return given

    # --- loading and looking in --------------------------------------------------------------------------------

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """As Twin.load. A phone that the shop could not hold (implausible, or another customer's) is left out."""
        if stream in _KEPT:
            with self.lock:
                rows = list(rows)
                for row in rows:
                    self._load_one(stream, row, _KEPT[stream](self, stream, row["fields"]))
            return len(rows)
        rows = list(rows) if stream == "customers" else [self._order_row(row) for row in rows]
        if stream == "orders":
            with self.lock:
                for row in rows:
                    self._load_one("orders", row, self._made_order(row["fields"], utc_text(row["created"])))
            return len(rows)
        with self.lock:
            for row in rows:
                self._load_one("customers", row, self._loaded_customer(dict(row["fields"]), row))
        return len(rows)

    def _order_row(self, row: dict[str, Json]) -> dict[str, Json]:
        created = row.get("created", self.now())
        return {**row, "created": created, "fields": {"processedAt": utc_text(created), **row["fields"]}}

    def _loaded_customer(self, fields: Fields, row: dict[str, Json]) -> Fields:
        given = self._input(fields, BLANK_CUSTOMER)
        out, refusals = clean_customer(given, BLANK_CUSTOMER, self.shop.country)
        if wrong := [r for r in refusals if "phone" not in r.field]:
            raise ValueError(f"customer {row.get('id')}: {wrong[0].message}")
        if out.get("email") and self.records.lookup("customers", "email", out["email"]):
            raise ValueError(f"customer {row.get('id')}: Email has already been taken")
        if out.get("phone") and self.records.lookup("customers", "phone", out["phone"]):
            out["phone"] = None
        at = utc_text(row.get("created", self.now()))
        if consent := given.get("emailMarketingConsent"):
            level, since = consent.get("marketingOptInLevel"), consent.get("consentUpdatedAt")
            out["emailMarketing"] = {"state": consent["marketingState"], "level": level, "at": since or at}
        out["addresses"] = [{**address, "id": self.next_number()} for address in out.get("addresses", [])]
        out["metafields"] = {
            f"{m['namespace']}.{m['key']}": {
                "id": self.next_number(),
                "type": m["type"],
                "value": m["value"],
                "createdAt": at,
                "updatedAt": at,
            }
            for m in given.get("metafields") or []
        }
        return {**BLANK_CUSTOMER, **out}

    def _load_one(self, stream: str, row: dict[str, Json], kept: Fields) -> None:
        created = row.get("created", self.now())
        record = self.records.create(
            stream,
            kept,
            by="load",
            id=row.get("id") or self.new_id(stream),
            created=created,
            modified=row.get("modified", created),
        )
        record.deleted = bool(row.get("deleted", False))

    def snapshot(self, stream: str) -> dict[str, dict[str, Json]]:
        """Fields as GraphQL shows them (see plain_customer, plain_order)."""
        rows = super().snapshot(stream)
        for record in self.records.all(stream):
            if stream == "customers":
                orders = self.records.lookup("orders", "customer", record.id)
                rows[record.id]["fields"] = plain_customer(record, orders, self.shop)
            elif stream == "orders":
                rows[record.id]["fields"] = plain_order(record)
            elif stream in ("products", "checkouts"):
                rows[record.id]["fields"] = shopify_goods.plain(self, stream, record)
        return rows

    # --- webhooks ----------------------------------------------------------------------------------------------

    def subscriptions(self) -> list[Fields]:
        """The subscriptions made through the API that are still there."""
        return self.messages.subscriptions()

    def subscribe(self, topic: str, given: Fields) -> Fields:
        return self.messages.subscribe(topic, given)

    def unsubscribe(self, global_id: str) -> bool:
        return self.hooks.remove(global_id.rpartition("/")[2])

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        return self.messages.about(record, change)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        return self.messages.request(target, events[0])


@cache
def _graph() -> Graph:
    """The schema is the same for every shop and dear to build."""
    parts = (shopify_reads, shopify_writes, shopify_discounts, shopify_goods, shopify_bulk)
    return Graph({place: resolve for part in parts for place, resolve in part.RESOLVERS.items()})


_KEPT = {  # of what people and loaders say of a new row: as it is kept
    "discounts": shopify_discounts.completed,
    "products": shopify_goods.completed,
    "checkouts": shopify_goods.completed,
}


def _custom_keys(fields: Fields) -> list[str]:
    return [f"{name}={kept['value']}" for name, kept in fields["metafields"].items()]


def _present(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def _rows(data: Json) -> int:
    """Rows of an answer, for the log: of connections their nodes, of the rest one each."""
    rows = 0
    for value in (data or {}).values():
        listed = value.get("nodes", value.get("edges")) if isinstance(value, dict) else value
        rows += len(listed) if isinstance(listed, list) else 0 if value is None else 1
    return rows


def _parameters(request: Request) -> dict[str, str]:
    """Form, JSON or query parameters."""
    if "json" in request.headers.get("content-type", ""):
        try:
            return {str(k): str(v) for k, v in request.json().items()}
        except (BadJson, AttributeError):
            return {}
    return {name: values[0] for name, values in {**request.query, **parse_qs(request.body.decode())}.items()}


def make(**options: Json) -> TwinShopify:
    return TwinShopify(**options)


TWIN = make
