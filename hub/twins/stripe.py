"""Stripe: API v1 of one account in a sandbox.

Behaviour: form-encoded requests, newest-first lists, an event log of 30 days as the only change feed, idempotency keys,
metadata that merges, signed webhooks. Parameters are in stripe_params, objects in stripe_objects, money in
stripe_billing, events in stripe_events, lists in stripe_lists, keys in stripe_keys.

People act by ``user_action``: start_subscription, renew_subscription, cancel_subscription, create_invoice, pay_invoice,
void_invoice, charge, refund, redeem, roll_webhook_secret.

Not played: v2, checkout sessions, quotes, credit notes, disputes, invoice items, schedules, proration, tax.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
import re
import uuid
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from hub.twins.kit import Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.stripe_billing import Billing
from hub.twins.stripe_calls import INVOICE_VERBS, Calls, price_fields
from hub.twins.stripe_endpoints import Endpoints
from hub.twins.stripe_events import Events, message
from hub.twins.stripe_keys import Keys
from hub.twins.stripe_objects import RESOURCES, show
from hub.twins.stripe_params import Refused, checked_parts, missing, require

Json = Any

VERSION = "2026-10-28.endive"
LIVE_PER_S, SANDBOX_PER_S, SEARCH_PER_S = 100, 25, 20  # vendor docs, "Rate limits"
_ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Place = tuple[int, int, str]  # created, number of the object, id


class TwinStripe(Twin):
    """One account. The event log of a stream grows from the first change after loading."""

    name = "stripe"
    streams: ClassVar[Sequence[str]] = tuple(RESOURCES)

    def __init__(self, **options: Json) -> None:
        """Settings beside the kit's: api_version (of events), account_id, restricted ({key: {resource: "read" |
        "write"}}), per_s (calls per second before `limit_scale`)."""
        defaults = {"api_version": VERSION, "account_id": "acct_twin", "restricted": {}, "per_s": SANDBOX_PER_S}
        super().__init__(**{**defaults, **options})
        self.tokens.fixed |= {"sk_test_twin", *self.settings["restricted"]}
        self.records.add_index("customers", "email", lambda fields: [fields["email"]] if fields["email"] else [])
        self.records.add_index("promotion_codes", "code", lambda fields: [str(fields["code"]).lower()])
        self.records.add_index("invoices", "customer", lambda fields: [str(fields["customer"])])
        self.records.add_index("subscriptions", "customer", lambda fields: [str(fields["customer"])])
        self._begin_state()

    def _begin_state(self) -> None:
        self.billing = Billing(self)
        self.events = Events(self)
        self.keys = Keys()
        self.endpoints = Endpoints(self)
        self.api = Calls(self)
        self.order: dict[str, list[Place]] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._made = 0
        self._told: dict[int, list[HookEvent]] = {}  # events of the changes under way
        self._call: tuple[str, str | None] | None = None
        self._windows: dict[str, Window] = {}
        self._reason = "global-rate"

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    # --- objects -----------------------------------------------------------------------------------------------

    def make_id(self, prefix: str) -> str:
        self._made += 1
        number = int.from_bytes(hashlib.sha256(f"{self.settings['seed']}/{prefix}/{self._made}".encode()).digest()[:12])
        letters = ""
        while len(letters) < 14:
            number, rest = divmod(number, len(_ID_LETTERS))
            letters += _ID_LETTERS[rest]
        return prefix + letters

    def stamp(self, at: float) -> float:
        return float(int(at))

    def add(
        self,
        stream: str,
        fields: Fields,
        by: str,
        *,
        record_id: str | None = None,
        created: float | None = None,
        modified: float | None = None,
    ) -> Record:
        """A new object with its defaults; with `created` it is history that gives no event."""
        resource = RESOURCES[stream]
        whole = {**copy.deepcopy(resource.defaults), **fields}
        if stream == "products":
            whole["updated"] = int(self.now() if created is None else modified or created)
        made = self.records.create(
            stream, whole, by=by, id=record_id or self.make_id(resource.prefix), created=created, modified=modified
        )
        place = self._places[stream, made.id] = (int(made.created), len(self._places), made.id)
        insort(self.order.setdefault(stream, []), place)
        return made

    def newest_first(self, stream: str, after: str | None = None, *, index: bool = False) -> Iterator[Record]:
        """What a list may hold now, behind the object `after`. Raises Refused if there was never such an object."""
        order = self.order.get(stream, [])
        end = len(order)
        if after is not None:
            place = self._places.get((stream, after))
            if place is None:
                raise missing(RESOURCES[stream].kind, after, "starting_after", 400)
            end = bisect_left(order, place)
        for position in range(end - 1, -1, -1):
            seen = self.see(self.records.get(stream, order[position][2]), index=index)
            if seen is not None and not seen.deleted:
                yield seen

    def place_of(self, stream: str, record_id: str) -> Place:
        """Sorts objects by age."""
        return self._places[stream, record_id]

    def normalise(self, stream: str, fields: Fields) -> Fields:
        """Values as an update keeps them. Raises ValueError for what it would refuse."""
        table = {**(RESOURCES[stream].create or {}), **(RESOURCES[stream].update or {})}
        return dict(self._by_people(lambda: checked_parts(_spelled(fields), table)))

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.strip("/").split("/")[1:] or [""]
        kind = parts[-1] if parts[-1] in (*INVOICE_VERBS, "search") else ""
        verb = {"GET": "list" if len(parts) == 1 else "get", "DELETE": "delete"}.get(
            request.method, "create" if len(parts) == 1 else "update"
        )
        return f"{parts[0]}.{kind or verb}", request.method != "GET"

    def authorise(self, request: Request) -> Response | None:
        self._call = None
        key = request.bearer() or _basic_user(request)
        if not self.tokens.is_valid(key, self.now()):
            return self.unauthorised(request)
        allowed = self.settings["restricted"].get(key)
        if allowed is None:
            return None
        resource = request.path.strip("/").split("/")[1:2]
        level = allowed.get(resource[0] if resource else "", "none")
        if level == "write" or (level == "read" and request.method == "GET"):
            return None
        return _refusal(Refused(403, f"The provided key '{_masked(key)}' does not have the required permissions"))

    def unauthorised(self, request: Request) -> Response:
        key = request.bearer() or _basic_user(request)
        words = f"Invalid API Key provided: {_masked(key)}" if key else "You did not provide an API key."
        return _refusal(Refused(401, words))

    def limit(self, request: Request) -> Response | None:
        scale, per_s = float(self.settings["limit_scale"]), float(self.settings["per_s"])
        if not scale:
            return None
        operation = self.describe(request)[0]
        share = SEARCH_PER_S / SANDBOX_PER_S if operation.endswith(".search") else 1.0
        for reason, name, calls in (("global-rate", "", per_s), ("endpoint-rate", operation, per_s * share)):
            window = self._windows.setdefault(name, Window(max(1, round(calls * scale)), 1.0))
            if window.take(self.now()):
                self._reason = reason
                return self.refuse_for(request, None)
        return None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """Never a Retry-After, nor any header that tells what is left."""
        reason, self._reason = self._reason, "global-rate"
        return _refusal(
            Refused(429, "Request rate limit exceeded.", "rate_limit"), {"Stripe-Rate-Limited-Reason": reason}
        )

    def failed(self, request: Request) -> Response:
        words = "An unknown error occurred"
        return _refusal(Refused(500, words, kind="api_error"))

    def finish(self, request: Request, response: Response) -> Response:
        response.headers["Request-Id"] = self._call[0] if self._call else self.make_id("req_")
        response.headers["Stripe-Version"] = request.headers.get("stripe-version") or self.settings["api_version"]
        if request.method == "POST" and (key := request.headers.get("idempotency-key")):
            response.headers["Idempotency-Key"] = key
        return response

    def route(self, request: Request) -> Response:
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        self._call = (self.make_id("req_"), key)
        if request.fault == "lock_timeout":
            words = "This object cannot be accessed right now because another API request is using it."
            reason = {"Stripe-Rate-Limited-Reason": "resource-specific"}
            return _refusal(Refused(429, words, "lock_timeout"), reason)
        try:
            if key is None:
                return self.api.serve(request)
            return self.keys.answer(key, request, self.now()) or self._first(key, request)
        except Refused as refusal:
            return _refusal(refusal)

    def _first(self, key: str, request: Request) -> Response:
        """Serve the first call under a key, and keep its answer as it will leave."""
        try:
            response = self.failed(request) if request.fault == "error_stored" else self.api.serve(request)
        except Refused as refusal:
            if not refusal.began:
                raise
            response = _refusal(refusal)
        leaving = self.failed(request) if request.fault == "error_after" else response
        self.keys.keep(key, request, leaving, self.now(), self._call[0] if self._call else "")
        return response

    def caller_of(self, by: str) -> Fields:
        """`request` of an event: the API call behind it, or a page of the dashboard, which uses keys of its own."""
        if by.startswith("user") or self._call is None:
            return {"id": self.make_id("req_"), "idempotency_key": str(uuid.uuid5(uuid.NAMESPACE_OID, str(self._made)))}
        return {"id": self._call[0], "idempotency_key": self._call[1]}

    # --- webhooks ----------------------------------------------------------------------------------------------

    def act_redeem(self, code: str, by: str = "user:1") -> None:
        """A customer uses a promotion code. Raises ValueError: there is none that is active."""

        def act() -> None:
            known = self.records.lookup("promotion_codes", "code", code.lower())
            found = [row for row in known if row.fields["active"]]
            if not found:
                raise Refused(400, f"This promotion code is not active: {code}", None, "promotion_code")
            uses, most = found[0].fields["times_redeemed"] + 1, found[0].fields["max_redemptions"]
            told = {"times_redeemed": uses, "active": most is None or uses < most}
            self.records.update("promotion_codes", found[0].id, told, by=by, touch=False)
            coupon = self.records.get("coupons", found[0].fields["promotion"]["coupon"])
            counted = {"times_redeemed": coupon.fields["times_redeemed"] + 1}
            self.records.update("coupons", coupon.id, counted, by=by, touch=False)

        self._by_people(act)

    def act_roll_webhook_secret(self, endpoint: str) -> str:
        """A new secret; messages are signed with both until it is rolled again. Returns the new one."""
        return self.endpoints.roll_secret(endpoint)

    def _changed(self, record: Record, change: Change) -> None:
        """Every change is logged as an event, whether anybody listens or not."""
        self._told[id(change)] = self.events.record(record, change)
        super()._changed(record, change)
        self._told.pop(id(change), None)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        return self._told.get(id(change), [])

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        return message(target, events, self.now())

    # --- people ------------------------------------------------------------------------------------------------

    def _by_people(self, act: Callable[[], Json]) -> Json:
        """Raises ValueError with the vendor's words for what it refuses."""
        with self.lock:
            self._call = None
            try:
                return act()
            except Refused as refusal:
                raise ValueError(refusal.message) from None

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Add a customer, product, price, coupon or promotion code; the rest begins with an action."""
        resource = RESOURCES[stream]
        if resource.create is None:
            raise ValueError(f"{stream} begin with an action: start_subscription, create_invoice, charge, refund")

        def act() -> str:
            checked = checked_parts(_spelled(fields), resource.create or {})
            require(checked, *resource.required)
            made, record_id = self.api.new_fields(stream, checked)
            return self.add(stream, made, by, record_id=record_id).id

        return str(self._by_people(act))

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        def act() -> None:
            record = self.api.live(stream, record_id)
            checked = checked_parts(_spelled(fields), RESOURCES[stream].update or {})
            if stream == "subscriptions":
                self.billing.change_subscription(record, checked, by)
            else:
                self.records.update(stream, record_id, self.api.changes(stream, record, checked), by=by, touch=False)

        self._by_people(act)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        if not RESOURCES[stream].deletable:
            raise ValueError(f"{stream} cannot be deleted")
        self._by_people(lambda: self.api.remove(self.api.live(stream, record_id), by))

    def user_restore(self, stream: str, record_id: str, by: str = "user:1") -> None:
        raise ValueError("what is deleted stays deleted")

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("objects cannot be merged")

    def act_start_subscription(
        self,
        customer: str,
        price: str | None = None,
        amount: int = 1000,
        currency: str = "eur",
        interval: str = "month",
        trial_days: int = 0,
        by: str = "user:1",
    ) -> str:
        """Subscribe a customer to `price`, or to a new one of `amount` per `interval`; the first period is paid."""

        def act() -> str:
            items = [{"price": price or self._new_price(amount, currency, interval, by), "quantity": 1}]
            given = {"customer": customer, "items": items, "trial_period_days": trial_days}
            return self.billing.start_subscription(given, by).id

        return str(self._by_people(act))

    def _new_price(self, amount: int, currency: str, interval: str, by: str) -> str:
        product = self.add("products", {"name": f"Plan {amount} {currency} / {interval}"}, by)
        recurring = {"interval": interval, "interval_count": 1}
        fields = {"product": product.id, "currency": currency, "unit_amount": amount, "recurring": recurring}
        return self.add("prices", {**fields, **price_fields(fields)}, by).id

    def act_renew_subscription(self, subscription: str, by: str = "user:1") -> None:
        self._by_people(lambda: self.billing.renew_subscription(subscription, by))

    def act_cancel_subscription(self, subscription: str, by: str = "user:1") -> None:
        self._by_people(lambda: self.billing.cancel_subscription(subscription, by))

    def act_create_invoice(
        self, customer: str, amount: int, currency: str = "eur", description: str | None = None, by: str = "user:1"
    ) -> str:
        """An open invoice over `amount` minor units. Returns its id."""
        return str(self._by_people(lambda: self.billing.create_invoice(customer, amount, currency, description, by).id))

    def act_pay_invoice(self, invoice: str, by: str = "user:1") -> None:
        self._by_people(lambda: self.billing.pay_invoice(invoice, by))

    def act_void_invoice(self, invoice: str, by: str = "user:1") -> None:
        self._by_people(lambda: self.billing.void_invoice(invoice, by))

    def act_charge(
        self,
        customer: str | None,
        amount: int,
        currency: str = "eur",
        description: str | None = None,
        by: str = "user:1",
    ) -> str:
        """Charge `amount` minor units. Returns the charge's id."""
        return str(self._by_people(lambda: self.billing.charge(customer, amount, currency, description, by).id))

    def act_refund(self, charge: str, amount: int | None = None, reason: str | None = None, by: str = "user:1") -> str:
        """Give back `amount`, or all. Returns the refund's id."""
        return str(self._by_people(lambda: self.billing.refund(charge, amount, reason, None, by).id))

    # --- loading -----------------------------------------------------------------------------------------------

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """As Twin.load. Fields are kept as they are: history knows values that the API would refuse today."""
        known = {*RESOURCES[stream].defaults, "invoice_prefix"}
        number = 0
        with self.lock:
            for row in rows:
                fields = {name: value for name, value in row["fields"].items() if name not in _COMPUTED}
                if unknown := set(fields) - known:
                    raise ValueError(f"a {RESOURCES[stream].kind} has no field {', '.join(sorted(unknown))}")
                created = row.get("created", self.now())
                modified = row.get("modified", created)
                record = self.add(stream, fields, "load", record_id=row.get("id"), created=created, modified=modified)
                record.deleted = bool(row.get("deleted", False))
                number += 1
        return number

    def snapshot(self, stream: str) -> dict[str, dict[str, Json]]:
        """Fields as the API shows them."""
        rows = super().snapshot(stream)
        for record in self.records.all(stream):
            rows[record.id]["fields"] = show(stream, record)
        return rows


_COMPUTED = {"id", "object", "created", "livemode", "deleted"}


def _spelled(value: Json) -> Json:
    """Null as a form says it: blank."""
    if isinstance(value, dict):
        return {name: _spelled(part) for name, part in value.items()}
    return "" if value is None else value


def _refusal(refusal: Refused, headers: dict[str, str] | None = None) -> Response:
    return Response.json(refusal.body(), refusal.status, headers)


def _basic_user(request: Request) -> str:
    kind, _, code = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(code).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _masked(key: str) -> str:
    return re.sub(r"(?<=.{8}).+(?=.{4})", "*****", key)


# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {
    "customers": {"edit": "description"},
    "subscriptions": {"edit": "description"},
    "invoices": {"edit": "description"},
    "charges": {"edit": "description", "add": {"action": "charge", "arguments": {"customer": None, "amount": 1250}}},
}


def make(**options: Json) -> TwinStripe:
    return TwinStripe(**options)


TWIN = make
