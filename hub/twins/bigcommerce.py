"""BigCommerce: customers with addresses and attributes, orders, coupons, carts and hooks of one store.

v3 wraps rows in `data` and pages customers by a cursor; v2 answers bare arrays, 204 for none, RFC 2822 times and money
as texts. A call over the window's quota answers 429 with the wait in milliseconds. Unknown filters are ignored.

Options of `make` beside the kit's: `store_hash` ("twin"), `quota` (150 in 30 s), `partly_stored` (False: whether the
good rows of a refused create are kept).

Not played: products, promotions, transactions, refunds, metafields, subscribers, channels.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson

from hub.twins.bigcommerce_company import sketch as sketch
from hub.twins.bigcommerce_shapes import (
    ADDRESS,
    ATTRIBUTES,
    CUSTOMER,
    NEEDED,
    STATUSES,
    blank_cart,
    blank_coupon,
    blank_customer,
    blank_order,
    wrong,
)
from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window, id_order

Json = Any

WINDOW_S = 30.0
MOST_ROWS, BATCH = 250, 10
DOCS = "https://developer.bigcommerce.com/api-docs/getting-started/api-status-codes"
SCOPES = re.compile(
    r"store/(customer|order|cart)/(address/)?(created|updated|deleted|archived|statusUpdated|abandoned|converted)"
)


class Refused(Exception):
    """Ends a call with the vendor's error: an object for v3, an array for v2."""

    def __init__(self, status: int, title: str, errors: Fields | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.errors = status, title, errors

    def response(self, version: str) -> Response:
        if version == "v2":
            return Response.json([{"status": self.status, "message": self.title}], self.status)
        body: Fields = {"status": self.status, "title": self.title, "type": DOCS}
        return Response.json({**body, "errors": self.errors} if self.errors is not None else body, self.status)


class TwinBigCommerce(Twin):
    """One store."""

    name = "bigcommerce"
    streams: ClassVar[Sequence[str]] = ("customers", "orders", "coupons", "carts")
    hook_attempts = 12  # over about two days, then the hook is switched off (vendor docs, "Webhooks"), compressed

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"store_hash": "twin", "quota": 150, "partly_stored": False, **options})
        self.records.add_index("customers", "email", lambda fields: [fields["email"].lower()])
        self._begin_state()

    def _begin_state(self) -> None:
        self.window = Window(int(self.settings["quota"] * float(self.settings["limit_scale"])), WINDOW_S)
        self.made: dict[str, int] = {}
        self.hook_rows: dict[int, Fields] = {}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def _number(self, kind: str) -> int:
        self.made[kind] = self.made.get(kind, 0) + 1
        return self.made[kind]

    def new_id(self, stream: str) -> str | None:
        if stream != "carts":
            return None
        digest = hashlib.sha256(f"{self.settings['seed']}/cart/{self._number('carts')}".encode()).digest()
        return str(UUID(bytes=digest[:16], version=4))

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = [part for part in self._parts(request) if not part.isdigit()]
        return f"{request.method.lower()} {'/'.join(parts)}", request.method != "GET"

    def _parts(self, request: Request) -> list[str]:
        parts = request.path.strip("/").split("/")
        return parts[2:] if parts[:1] == ["stores"] else parts

    def authorise(self, request: Request) -> Response | None:
        if self.tokens.is_valid(request.headers.get("x-auth-token", ""), self.now()):
            return None
        return self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Refused(401, "X-Auth-Client and X-Auth-Token headers are required").response("v3")

    def limit(self, request: Request) -> Response | None:
        wait = self.window.take(self.now())
        return self.refuse_for(request, wait) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        response = Refused(429, "Too many requests").response("v3")
        if retry_after_s is not None:  # no Retry-After by that name
            response.headers["X-Rate-Limit-Time-Reset-Ms"] = str(int(retry_after_s * 1000) + 1)
            self.throttled_until = max(self.throttled_until, self.now() + retry_after_s)
        return response

    def failed(self, request: Request) -> Response:
        return Refused(500, "Internal Server Error").response("v3")

    def finish(self, request: Request, response: Response) -> Response:
        if self.window.calls:
            figures = {"Requests-Left": self.window.remaining(self.now()), "Requests-Quota": self.window.calls,
                       "Time-Window-Ms": int(WINDOW_S * 1000), "Time-Reset-Ms": int(WINDOW_S * 1000)}  # fmt: skip
            for name, value in figures.items():
                response.headers.setdefault(f"X-Rate-Limit-{name}", str(value))
        return response

    def route(self, request: Request) -> Response:
        version = (self._parts(request) or [""])[0]
        try:
            return self._answer_to(request)
        except Refused as refusal:
            return refusal.response(version)
        except BadJson:
            return Refused(400, "The request body is not valid JSON").response(version)

    def _answer_to(self, request: Request) -> Response:
        match request.method, self._parts(request):
            case "GET", ["v2", "store"]:
                store = {"name": "Twin Store", "plan_name": "Plus", "currency": "EUR"}
                return Response.json({"id": self.settings["store_hash"], **store})
            case "GET", ["v2", "orders"]:
                return self._orders(request)
            case "GET", ["v2", "coupons"]:
                return self._coupons(request)
            case "POST", ["v2", "coupons"]:
                return self._make_coupon(request)
            case "PUT", ["v2", "coupons", number]:
                given = _object(request)
                changes = {name: value for name, value in given.items() if name in ("name", "enabled")}
                kept = self.records.update("coupons", self._seen("coupons", number).id, changes, by="api")
                return Response.json(self._show(kept), rows=1)
            case "GET", ["v2", ("orders" | "coupons") as stream, number]:
                return Response.json(self._show(self._seen(stream, number)), rows=1)
            case method, ["v3", "customers", *rest]:
                return self._customer_call(method, "/".join(rest), request)
            case "GET", ["v3", "carts", number]:
                return Response.json({"data": self._show(self._seen("carts", number)), "meta": {}}, rows=1)
            case method, ["v3", "hooks", *rest]:
                return self._hook_call(method, rest, request)
        raise Refused(404, "The requested resource was not found.")

    def _customer_call(self, method: str, rest: str, request: Request) -> Response:
        calls: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", ""): self._customers,
            ("POST", ""): self._make_customers,
            ("PUT", ""): self._put_customers,
            ("DELETE", ""): self._delete_customers,
            ("GET", "attributes"): lambda request: self._paged([dict(row) for row in ATTRIBUTES], request),
            ("PUT", "attribute-values"): self._put_values,
            ("PUT", "addresses"): self._write_addresses,
            ("POST", "addresses"): self._write_addresses,
        }
        if (method, rest) not in calls:
            raise Refused(404, "The requested resource was not found.")
        return calls[method, rest](request)

    def _delete_customers(self, request: Request) -> Response:
        """Without `id:in` nothing happens, and that is 204 as well."""
        for number in _list(request, "id:in"):
            if (found := self.records.find("customers", number)) and not found.deleted:
                self.records.delete("customers", number)
        return Response(status=204)

    # --- reading -----------------------------------------------------------------------------------------------

    def _seen(self, stream: str, number: str) -> Record:
        record = self.records.find(stream, number)
        seen = self.see(record) if record else None
        if seen is None or (seen.deleted and stream != "orders"):
            raise Refused(404, "The requested resource was not found.")
        return seen

    def _live(self, stream: str) -> list[Record]:
        return [seen for record in self.records.all(stream) if (seen := self.see(record)) and not seen.deleted]

    def _show(self, row: Record, include: Sequence[str] = ()) -> Fields:
        shown = {key: value for key, value in row.fields.items() if not key.startswith("_")}
        if row.stream == "customers":
            shown |= {"date_created": iso(row.created), "date_modified": iso(row.modified)}
            shown |= {"address_count": len(row.fields["_addresses"]), "attribute_count": len(row.fields["_values"])}
            if "addresses" in include:
                shown["addresses"] = [dict(address, customer_id=int(row.id)) for address in row.fields["_addresses"]]
            if "attributes" in include:
                shown["attributes"] = [
                    {"attribute_id": int(key), "attribute_value": value, "customer_id": int(row.id)}
                    for key, value in row.fields["_values"].items()
                ]
        elif row.stream == "orders":
            shown |= {"date_created": rfc(row.created), "date_modified": rfc(row.modified), "is_deleted": row.deleted}
            shown["status"] = STATUSES[shown["status_id"]]
        elif row.stream == "carts":
            shown |= {"created_time": iso(row.created), "updated_time": iso(row.modified)}
        else:
            shown["date_created"] = rfc(row.created)
        return {"id": row.id if row.stream == "carts" else int(row.id), **shown}

    def _paged(self, rows: list[Fields], request: Request, more: Fields | None = None) -> Response:
        limit, page = _whole(request, "limit", 50, MOST_ROWS), _whole(request, "page", 1, 1_000_000)
        chosen = rows if more else rows[(page - 1) * limit : page * limit]
        pages = {"total": len(rows), "count": len(chosen), "per_page": limit, "current_page": page,
                 "total_pages": -(-len(rows) // limit), "links": {}}  # fmt: skip
        return Response.json({"data": chosen, "meta": {"pagination": pages, **(more or {})}}, rows=len(chosen))

    def _customers(self, request: Request) -> Response:
        """In order of id after a cursor; with a cursor the page number does not count."""
        low, high = _bound(request, "date_modified:min"), _bound(request, "date_modified:max")
        since, ids, emails = _bound(request, "date_created:min"), _list(request, "id:in"), _list(request, "email:in")
        wanted = {email.lower() for email in emails}
        rows = [
            row for row in self._live("customers")
            if (low is None or row.modified >= low) and (high is None or row.modified <= high)
            and (since is None or row.created >= since)
            and (not ids or row.id in ids) and (not wanted or row.fields["email"].lower() in wanted)
        ]  # fmt: skip
        rows.sort(key=lambda row: id_order(row.id))
        after, limit = request.first("after"), _whole(request, "limit", 50, MOST_ROWS)
        page = _whole(request, "page", 1, 1_000_000)
        if after:
            last = _from_cursor(after)
            rows = [row for row in rows if id_order(row.id) > id_order(last)]
        chosen = rows[:limit] if after else rows[(page - 1) * limit : page * limit]
        include = request.first("include").split(",")
        ends = {"start_cursor": _to_cursor(chosen[0].id), "end_cursor": _to_cursor(chosen[-1].id)} if chosen else {}
        cursor = {"count": len(chosen), "per_page": limit, **ends, "links": {}}
        return self._paged([self._show(row, include) for row in chosen], request, {"cursor_pagination": cursor})

    def _orders(self, request: Request) -> Response:
        low, high = _bound(request, "min_date_modified"), _bound(request, "max_date_modified")
        archived = request.first("is_deleted") == "true"
        seen = [row for record in self.records.all("orders") if (row := self.see(record))]
        rows = [row for row in seen if row.deleted == archived]
        rows = [row for row in rows if (low is None or row.modified >= low) and (high is None or row.modified <= high)]
        key, _, direction = request.first("sort", "id").partition(":")
        orders: dict[str, Callable[[Record], Any]] = {
            "id": lambda row: id_order(row.id), "date_modified": lambda row: (row.modified, *id_order(row.id)),
            "date_created": lambda row: (row.created, *id_order(row.id)),
        }  # fmt: skip
        if key not in orders:
            raise Refused(400, "The field 'sort' is invalid.")
        rows.sort(key=orders[key], reverse=direction == "desc")
        return self._bare(rows, request)

    def _coupons(self, request: Request) -> Response:
        least, code = _whole(request, "min_id", 0, 10**12), request.first("code")
        rows = [row for row in self._live("coupons") if int(row.id) >= least and code in ("", row.fields["code"])]
        return self._bare(rows, request)

    def _make_coupon(self, request: Request) -> Response:
        """One coupon; its code and its name are taken once in a store."""
        given = _object(request)
        lacking = [name for name in ("name", "code", "type", "amount", "applies_to") if not given.get(name)]
        if lacking:
            raise Refused(400, f"The field '{lacking[0]}' is required.")
        if self.faults.row_fault() == "reject":
            raise Refused(400, "The field 'amount' is invalid.")
        for row in self.records.all("coupons"):
            for name in ("code", "name"):
                if not row.deleted and row.fields[name].lower() == str(given[name]).lower():
                    raise Refused(409, f"The {name} '{given[name]}' is already in use by another coupon.")
        try:
            amount = f"{float(given['amount']):.4f}"
        except (TypeError, ValueError):
            raise Refused(400, "The field 'amount' is invalid.") from None
        made = self.records.create("coupons", {**blank_coupon(), **given, "amount": amount}, by="api")
        return Response.json(self._show(made), 201, rows=1)

    def act_redeem(self, code: str) -> None:
        """A customer uses a coupon. Raises ValueError: it cannot be used (any more)."""
        found = [row for row in self._live("coupons") if row.fields["code"] == code and row.fields["enabled"]]
        if not found or 0 < found[0].fields["max_uses"] <= found[0].fields["num_uses"]:
            raise ValueError("the coupon cannot be used")
        self.records.update("coupons", found[0].id, {"num_uses": found[0].fields["num_uses"] + 1}, by="user:1")

    def _bare(self, rows: list[Record], request: Request) -> Response:
        limit, page = _whole(request, "limit", 50, MOST_ROWS), _whole(request, "page", 1, 1_000_000)
        chosen = rows[(page - 1) * limit : page * limit]
        return Response.json([self._show(row) for row in chosen], rows=len(chosen)) if chosen else Response(status=204)

    # --- writing -----------------------------------------------------------------------------------------------

    def _rows(self, request: Request, what: str) -> list[Fields]:
        rows = request.json()
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise Refused(422, f"{what} failed.", {"": "an array of objects is expected"})
        if len(rows) > BATCH:
            raise Refused(413, f"The batch is too large: at most {BATCH}.")
        return rows

    def _make_customers(self, request: Request) -> Response:
        rows = self._rows(request, "Create customers")
        made: list[Fields] = []
        seen: set[str] = set()
        for row in rows:
            try:
                made.append(self._checked(row, None))
                email = made[-1]["email"].lower()
                if email in seen:
                    raise Refused(422, "", {"email": "in use"})
                seen.add(email)
                if self.faults.row_fault():
                    raise Refused(422, "", {"row": "refused"})
            except Refused:
                made = made[: len(made) if self.settings["partly_stored"] else 0]
                for fields in made:
                    self.records.create("customers", fields)
                errors = {".customer_create": "Error creating customers"}
                raise Refused(422, "Create customers failed.", errors) from None
        records = [self.records.create("customers", fields) for fields in made]
        return self._paged([self._show(record) for record in records], request)

    def _put_customers(self, request: Request) -> Response:
        rows = self._rows(request, "Update customers")
        changes = []
        for row in rows:
            number = str(row.get("id"))
            if isinstance(row.get("id"), bool) or self.records.find("customers", number) is None or self._gone(number):
                raise Refused(404, "One or more customers do not exist.", {"id": "not found"})
            if self.faults.row_fault():
                raise Refused(422, "Update customers failed.", {".customer_update": "Error updating customers"})
            changes.append((number, self._checked(row, self.records.get("customers", number))))
        records = [self.records.update("customers", number, fields) for number, fields in changes]
        return self._paged([self._show(record) for record in records], request)

    def _gone(self, number: str) -> bool:
        return self.records.get("customers", number).deleted

    def _checked(self, given: Fields, held: Record | None) -> Fields:
        """The customer as it will be stored; sub-resources are taken along only when it is made."""
        fields = dict(held.fields) if held else blank_customer()
        for key, value in given.items():
            words = wrong(CUSTOMER, key, value)
            if words:
                raise Refused(422, "Customer is invalid.", {key: words})
            if key in CUSTOMER:
                fields[key] = value.strip() if isinstance(value, str) else value
        for key in ("email", "first_name", "last_name"):
            if not fields[key]:
                raise Refused(422, "Customer is invalid.", {key: "is required"})
        others = self.records.lookup("customers", "email", fields["email"].lower())
        if any(held is None or other.id != held.id for other in others):
            raise Refused(422, "Customer is invalid.", {"email": f"{fields['email']} already in use"})
        if held is None:
            fields["_addresses"] = [self._new_address(row) for row in given.get("addresses") or ()]
            fields["_values"] = {self._attribute(row.get("attribute_id")): str(row.get("attribute_value"))
                                 for row in given.get("attributes") or ()}  # fmt: skip
        return fields

    def _attribute(self, number: Json) -> str:
        if not any(row["id"] == number for row in ATTRIBUTES):
            raise Refused(422, "Attribute is invalid.", {"attribute_id": "does not exist"})
        return str(number)

    def _put_values(self, request: Request) -> Response:
        rows = self._rows(request, "Upsert attribute values")
        for row in rows:
            number = str(row.get("customer_id"))
            text = row.get("value")
            if self.records.find("customers", number) is None or not isinstance(text, str) or len(text) > 255:
                raise Refused(422, "Upsert attribute values failed.", {"value": "is invalid"})
            self._attribute(row.get("attribute_id"))
        for row in rows:
            number = str(row["customer_id"])
            values = {**self.records.get("customers", number).fields["_values"], str(row["attribute_id"]): row["value"]}
            self.records.update("customers", number, {"_values": values}, touch=False)
        return self._paged([dict(row) for row in rows], request)

    def _new_address(self, given: Fields) -> Fields:
        row = {key: given.get(key, "") for key in ADDRESS}
        for key, value in row.items():
            if words := wrong(ADDRESS, key, value):
                raise Refused(422, "Address is invalid.", {key: words})
        if lacking := [key for key in NEEDED if not row[key]]:
            raise Refused(422, "Address is invalid.", {lacking[0]: "is required"})
        return {"id": self._number("addresses"), **row, "address_type": "residential"}

    def _write_addresses(self, request: Request) -> Response:
        """An identical address is not made again: it is missing in the answer."""
        made, method = [], request.method
        for row in self._rows(request, "Write addresses"):
            record = self._owner_of(row, method)
            held = record.fields["_addresses"]
            if method == "PUT":
                changed = {key: value for key, value in row.items() if key in ADDRESS}
                for key, value in changed.items():
                    if words := wrong(ADDRESS, key, value):
                        raise Refused(422, "Address is invalid.", {key: words})
                address = next(each for each in held if each["id"] == row["id"]) | changed
                held = [address if each["id"] == row["id"] else each for each in held]
            else:
                address = self._new_address(row)
                if any(all(each[key] == address[key] for key in ADDRESS) for each in held):
                    continue
                held = [*held, address]
            made.append({**address, "customer_id": int(record.id)})
            self.records.update("customers", record.id, {"_addresses": held}, touch=False)
        return self._paged(made, request)

    def _owner_of(self, row: Fields, method: str) -> Record:
        for record in self._live("customers"):
            if method == "POST" and record.id == str(row.get("customer_id")):
                return self.records.get("customers", record.id)
            if method == "PUT" and any(each["id"] == row.get("id") for each in record.fields["_addresses"]):
                return self.records.get("customers", record.id)
        raise Refused(422, "Address is invalid.", {"customer_id" if method == "POST" else "id": "does not exist"})

    # --- hooks -------------------------------------------------------------------------------------------------

    def _hook_call(self, method: str, rest: list[str], request: Request) -> Response:
        if method == "GET" and not rest:
            return self._paged(list(self.hook_rows.values()), request)
        if method == "POST" and not rest:
            return self._make_hook(request.json())
        number = int(rest[0]) if len(rest) == 1 and rest[0].isdigit() else 0
        if number not in self.hook_rows or method not in ("GET", "DELETE"):
            raise Refused(404, "The hook was not found.")
        row = self.hook_rows[number]
        if method == "DELETE":
            del self.hook_rows[number]
            self.hooks.remove(str(number))
        return Response.json({"data": row, "meta": {}})

    def _make_hook(self, given: Json) -> Response:
        scope, url = (given.get("scope"), given.get("destination")) if isinstance(given, dict) else (None, None)
        if not isinstance(scope, str) or not SCOPES.fullmatch(scope):
            raise Refused(422, "The scope is not valid.", {"scope": "is invalid"})
        if not isinstance(url, str) or not url.startswith("https://"):
            raise Refused(422, "The destination is not valid.", {"destination": "must be https"})
        number = self._number("hooks")
        row = {"id": number, "client_id": "c1", "store_hash": self.settings["store_hash"], "scope": scope,
               "destination": url, "is_active": given.get("is_active", True), "headers": given.get("headers") or {},
               "created_at": int(self.now()), "updated_at": int(self.now())}  # fmt: skip
        self.hook_rows[number] = row
        secret = str(self.settings["client_secret"])
        self.hooks.add(Target(url=url, secret=secret, topics=(scope,), id=str(number)))
        return Response.json({"data": row, "meta": {}})

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """Light messages. Neither a changed address nor an attribute moves the customer itself."""
        kind = {"customers": "customer", "orders": "order", "carts": "cart"}.get(record.stream)
        whats = {"create": "created", "update": "updated", "delete": "deleted"}
        what = whats.get(change.kind, "updated")
        if kind is None:
            return []
        if kind == "order" and what == "deleted":
            what = "archived"
        if kind == "cart" and record.fields.get("_abandoned"):
            what = "abandoned"
        if kind == "customer" and set(change.changed) and set(change.changed) <= {"_addresses", "_values"}:
            return []
        number: Json = record.id if kind == "cart" else int(record.id)
        scope = f"store/{kind}/{what}"
        payload: Fields = {"scope": scope, "store_id": "1000", "data": {"type": kind, "id": number}}
        payload |= {"hash": hashlib.sha1(orjson.dumps([payload, change.at])).hexdigest(), "created_at": int(change.at)}
        payload["producer"] = f"stores/{self.settings['store_hash']}"
        return [HookEvent(topic=scope, payload=payload, at=change.at, stream=record.stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body = orjson.dumps(events[0].payload)
        number, when = f"msg_{events[0].payload['hash'][:20]}", int(self.now())
        headers = {"webhook-id": number, "webhook-timestamp": str(when), "Content-Type": "application/json"}
        headers["webhook-signature"] = "v1," + signature(body, number, when, target.secret)
        return body, headers

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        blanks = {"customers": blank_customer, "orders": blank_order, "coupons": blank_coupon, "carts": blank_cart}
        row = {**blanks[stream](), **fields}
        if stream == "customers":
            given = fields.get("addresses") or []
            blank = dict.fromkeys(ADDRESS, "")
            row["_addresses"] = [{"id": self._number("addresses"), **blank, **each} for each in given]
            row.pop("addresses", None)
        return row

    def act_abandon(self, cart: str) -> None:
        """An hour goes by and nobody pays."""
        self.records.update("carts", cart, {"_abandoned": True}, by="system")


def signature(body: bytes, number: str, when: int, secret: str) -> str:
    """Standard Webhooks; the key is the client secret as it is (vendor docs, "Webhook signatures")."""
    message = f"{number}.{when}.".encode() + body
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def _object(request: Request) -> Fields:
    given = request.json()
    if not isinstance(given, dict):
        raise Refused(400, "An object is expected.")
    return given


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.first(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 13:
        raise Refused(422, f"The field '{name}' is invalid.", {name: "is invalid"})
    return min(max(int(text), 0 if default == 0 else 1), most)


def _list(request: Request, name: str) -> list[str]:
    return [each for each in request.first(name).split(",") if each]


def _bound(request: Request, name: str) -> float | None:
    """ISO 8601 or RFC 2822; without a zone it is UTC."""
    text = request.first(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
    except ValueError:
        raise Refused(422, f"The field '{name}' is invalid.", {name: "is invalid"}) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _to_cursor(number: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"id": number})).decode()


def _from_cursor(text: str) -> str:
    try:
        return str(orjson.loads(base64.urlsafe_b64decode(text))["id"])
    except (ValueError, KeyError, TypeError):
        raise Refused(422, "The cursor is invalid.", {"after": "is invalid"}) from None


def iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))


CONNECTION: dict[str, Json] = {
    "auth": {"kind": "token", "token": "twin-token"},
    "settings": {"store_hash": "twin"},
}


def make(**options: Json) -> TwinBigCommerce:
    return TwinBigCommerce(**options)


TWIN = make


PEOPLE: dict[str, Json] = {"coupons": {"add": {"num_uses": 0}, "unique": ["name", "code"]}}
