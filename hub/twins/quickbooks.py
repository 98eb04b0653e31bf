"""QuickBooks Online: customers, invoices and payments of one company, by queries, change log and batch.

Every change raises a record's SyncToken, and an update without the current one is refused (5010). Customers are never
deleted, only inactive; deleted transactions stand in the change log alone. Times carry the company's zone. One
`requestid` with one item id is one effect. A broken record makes every query that meets it fail with 500 (4002).

Options of `make` beside the kit's: `realm`, `refresh_token` ("twin-refresh"), `token_life_s` (3600), `currency` (EUR).
People: `user_delete` sets a customer inactive and deletes a transaction; ``act_break(stream, record_id)`` breaks a
record, ``act_mend`` mends it.

Not played: items, estimates, sales receipts, vendors, reports, attachments, custom fields by GraphQL.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson

from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.quickbooks_company import sketch as sketch
from hub.twins.quickbooks_query import BadQuery, Query, matches, order_of, parse_query
from hub.twins.quickbooks_shapes import CUSTOMER, blank_row, display_name, refuse_value

Json = Any

ENTITIES = {"Customer": "customers", "Invoice": "invoices", "Payment": "payments"}
NAMES = {stream: entity for entity, stream in ENTITIES.items()}
TOKEN_PATH = "/oauth2/v1/tokens/bearer"
ZONE = timezone(timedelta(hours=-8))
PER_MINUTE, PER_SECOND, BATCHES_PER_MINUTE = 500, 10, 40
BATCH, ROWS_DEFAULT, ROWS_MAX, LOG_MOST = 30, 100, 1000, 1000
LOG_DAYS, DAY_S = 30, 86_400.0
KEY_LENGTH = 50
REALM = "9130000000000001"


class Refused(Exception):
    """Ends a call, or an item of a batch, with a fault."""

    def __init__(
        self, status: int, code: str, message: str, *, element: str = "", kind: str = "ValidationFault"
    ) -> None:
        super().__init__(message)
        self.status = status
        error = {"Message": message, "Detail": message, "code": code, **({"element": element} if element else {})}
        self.fault = {"Error": [error], "type": kind}

    def response(self, now: float) -> Response:
        return Response.json({"Fault": self.fault, "time": moment(now)}, self.status)


class TwinQuickBooks(Twin):
    """One company."""

    name = "quickbooks"
    streams: ClassVar[Sequence[str]] = ("customers", "invoices", "payments")
    hook_batch = 30
    hook_attempts = 8

    def __init__(self, **options: Json) -> None:
        defaults = {"realm": REALM, "refresh_token": "twin-refresh", "token_life_s": 3600, "currency": "EUR"}
        super().__init__(**{**defaults, **options})
        self.tokens.add_refresh(self.settings["refresh_token"])
        self.records.add_index("customers", "name", lambda fields: [fields["DisplayName"]])
        self._begin_state()

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self._windows = (Window(int(PER_MINUTE * scale), 60.0), Window(int(PER_SECOND * scale), 1.0))
        self._batches = Window(int(BATCHES_PER_MINUTE * scale), 60.0)
        self.done: dict[str, Fields] = {}  # request and item id -> its first result
        self.broken: set[tuple[str, str]] = set()

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        path = self._path(request)
        noun = path.strip("/").split("/")[0] or "company"
        return noun, request.method == "POST" and noun not in ("query", "oauth2")

    def _path(self, request: Request) -> str:
        """Below the company, whose part of the path may be left out on this machine."""
        prefix = f"/v3/company/{self.settings['realm']}"
        return request.path.removeprefix(prefix) if request.path.startswith(prefix) else request.path

    def authorise(self, request: Request) -> Response | None:
        return None if request.path == TOKEN_PATH else super().authorise(request)

    def unauthorised(self, request: Request) -> Response:
        error = {"message": "message=AuthenticationFailed; errorCode=003200; statusCode=401", "code": "3200",
                 "detail": "Token expired"}  # fmt: skip
        return Response.json({"fault": {"error": [error], "type": "AUTHENTICATION"}}, 401)

    def is_metered(self, request: Request) -> bool:
        return request.path != TOKEN_PATH

    def limit(self, request: Request) -> Response | None:
        if not self.is_metered(request):
            return None
        windows = [*self._windows, *([self._batches] if self._path(request) == "/batch" else [])]
        over = [window.take(self.now()) > 0 for window in windows]
        return self.throttled(request, None) if any(over) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """No Retry-After is documented; clients are told to keep to one that comes."""
        error = {"message": "message=ThrottleExceeded; errorCode=003001; statusCode=429", "code": "3001",
                 "detail": "The request limit was reached. Try again later"}  # fmt: skip
        headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        return Response.json({"fault": {"error": [error], "type": "SERVICE"}}, 429, headers)

    def failed(self, request: Request) -> Response:
        fault = Refused(500, "10000", "An application error has occurred", kind="SystemFault")
        return fault.response(self.now())

    def finish(self, request: Request, response: Response) -> Response:
        response.headers.setdefault("intuit_tid", f"1-{len(self.log.calls):08x}")
        return response

    def route(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if "application/json" not in request.headers.get("accept", ""):
            return Response(headers={"Content-Type": "application/xml"}, body=b"<IntuitResponse/>")
        try:
            return self._answer_to(request)
        except Refused as refusal:
            return refusal.response(self.now())
        except BadJson:
            return Refused(400, "2010", "Request has invalid or unsupported property").response(self.now())

    def _token(self, request: Request) -> Response:
        """Rotating: the old refresh token is dead once a new one was given."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        pair = f"{self.settings['client_id']}:{self.settings['client_secret']}".encode()
        if request.headers.get("authorization") != f"Basic {base64.b64encode(pair).decode()}":
            return Response.json({"error": "invalid_client"}, 401)
        good = form.get("grant_type") == "refresh_token"
        if not good or not self.tokens.take_refresh(form.get("refresh_token", ""), rotate=True):
            return Response.json({"error": "invalid_grant"}, 400)
        return Response.json({
            "access_token": self.tokens.issue(self.now(), self.settings["token_life_s"]), "token_type": "bearer",
            "refresh_token": self.tokens.issue_refresh(), "expires_in": self.settings["token_life_s"],
            "x_refresh_token_expires_in": 8_726_400,
        })  # fmt: skip

    def _answer_to(self, request: Request) -> Response:
        parts = self._path(request).strip("/").split("/")
        match request.method, parts:
            case (("GET" | "POST"), ["query"]):
                text = request.body.decode("utf-8", "replace") if request.method == "POST" else request.first("query")
                return Response.json({"QueryResponse": self._query(text), "time": moment(self.now())})
            case "GET", ["cdc"]:
                return self._changes(request)
            case "POST", ["batch"]:
                return self._batch(request)
            case "GET", [entity, number] if entity.capitalize() in ENTITIES:
                row = self._found(ENTITIES[entity.capitalize()], number)
                return Response.json({entity.capitalize(): self._show(row), "time": moment(self.now())}, rows=1)
            case "POST", ["customer"]:
                operation = "update" if _object(request.json()).get("Id") else "create"
                row_shown = self._write(operation, request.json())
                return Response.json({"Customer": row_shown, "time": moment(self.now())}, rows=1)
        raise Refused(404, "500", "Unsupported Operation", kind="SystemFault")

    # --- reading -----------------------------------------------------------------------------------------------

    def _live(self, stream: str) -> list[Record]:
        """All customers, inactive ones too; transactions that were not deleted."""
        seen = [row for record in self.records.all(stream) if (row := self.see(record))]
        return [row for row in seen if stream == "customers" or not row.deleted]

    def _found(self, stream: str, number: str) -> Record:
        row = next((row for row in self._live(stream) if row.id == number), None)
        if row is None:
            raise Refused(400, "610", "Object Not Found")
        return row

    def _show(self, row: Record) -> Fields:
        times = {"CreateTime": moment(row.created), "LastUpdatedTime": moment(row.modified)}
        more = {"Active": not row.deleted} if row.stream == "customers" else {}
        head = {"Id": row.id, "SyncToken": str(row.version - 1), "MetaData": times, "domain": "QBO", "sparse": False}
        return {**row.fields, **more, **head}

    def _query(self, text: str) -> Fields:
        try:
            query = parse_query(text)
        except BadQuery as fault:
            raise Refused(400, "4000", f"Error parsing query: {fault}") from None
        if query.entity == "Preferences":
            return {"Preferences": [{"CurrencyPrefs": {"HomeCurrency": {"value": self.settings["currency"]}}}]}
        if query.entity == "CompanyInfo":
            return {"CompanyInfo": [{"Id": self.settings["realm"], "CompanyName": "Twin Books", "Country": "DE"}]}
        if query.entity not in ENTITIES:
            raise Refused(400, "4001", f"Invalid query: {query.entity} is not supported")
        rows = self._matching(ENTITIES[query.entity], query)
        if query.counts:
            return {"totalCount": len(rows)}
        size = min(query.most or ROWS_DEFAULT, ROWS_MAX)
        chosen = rows[query.start - 1 : query.start - 1 + size]
        if any((row.stream, row.id) in self.broken for row in chosen):
            raise Refused(500, "4002", "QueryProcessingError", kind="SystemFault")
        shown = [self._show(row) for row in chosen]
        return {query.entity: shown, "startPosition": query.start, "maxResults": len(shown)} if shown else {}

    def _matching(self, stream: str, query: Query) -> list[Record]:
        names_active = any(name == "Active" for name, _, _ in query.conditions)
        found = []
        for row in self._live(stream):
            shown = self._show(row)
            if stream == "customers" and not names_active and row.deleted:
                continue
            if all(matches(shown, condition) for condition in query.conditions):
                found.append((order_of(shown, query.order), row))
        found.sort(key=lambda pair: (pair[0], len(pair[1].id), pair[1].id), reverse=query.descending)
        return [row for _, row in found]

    def _changes(self, request: Request) -> Response:
        entities = request.first("entities").split(",")
        try:
            since = datetime.fromisoformat(request.first("changedSince")).timestamp()
        except ValueError:
            raise Refused(400, "4001", "changedSince is not a date") from None
        if since < self.now() - LOG_DAYS * DAY_S:
            raise Refused(400, "6000", "changedSince is more than 30 days ago")
        parts, left = [], LOG_MOST
        for entity in entities:
            if entity not in ENTITIES:
                raise Refused(400, "4001", f"{entity} is not supported")
            stream = ENTITIES[entity]
            seen = [row for record in self.records.since(stream, since) if (row := self.see(record))][:left]
            if any((row.stream, row.id) in self.broken for row in seen):
                raise Refused(500, "4002", "QueryProcessingError", kind="SystemFault")
            rows = [self._gone(row) if row.deleted and stream != "customers" else self._show(row) for row in seen]
            left -= len(rows)
            parts.append({entity: rows, "startPosition": 1, "maxResults": len(rows)} if rows else {})
        return Response.json({"CDCResponse": [{"QueryResponse": parts}], "time": moment(self.now())})

    def _gone(self, row: Record) -> Fields:
        times = {"LastUpdatedTime": moment(row.modified)}
        return {"domain": "QBO", "status": "Deleted", "Id": row.id, "MetaData": times}

    # --- writing -----------------------------------------------------------------------------------------------

    def _batch(self, request: Request) -> Response:
        items = _object(request.json()).get("BatchItemRequest")
        if not isinstance(items, list) or not 0 < len(items) <= BATCH or not all(isinstance(i, dict) for i in items):
            raise Refused(400, "6000", f"A batch has 1 to {BATCH} items")
        prefix = request.first("requestid")
        answers = [self._item(prefix, item) for item in items]
        self.faults.rng.shuffle(answers)  # their order is not promised
        return Response.json({"BatchItemResponse": answers, "time": moment(self.now())}, rows=len(items))

    def _item(self, prefix: str, item: Fields) -> Fields:
        number, key = str(item.get("bId")), f"{prefix}{item.get('bId')}"
        if prefix and key in self.done:
            return self.done[key]
        try:
            if prefix and len(key) > KEY_LENGTH:
                raise Refused(400, "6000", "requestid and bId are too long together")
            answer = self._batch_answer(item)
        except Refused as refusal:
            return {"bId": number, "Fault": refusal.fault}
        self.done[key] = {"bId": number, **answer}
        return self.done[key]

    def _batch_answer(self, item: Fields) -> Fields:
        if "Query" in item:
            return {"QueryResponse": self._query(str(item["Query"]))}
        operation, body = item.get("operation"), item.get("Customer")
        if operation not in ("create", "update") or not isinstance(body, dict):
            raise Refused(400, "500", "Unsupported Operation")
        match self.faults.row_fault():
            case "reject":
                raise Refused(400, "6000", "A business validation error has occurred")
            case "partial_batch":
                raise Refused(429, "3001", "ThrottleExceeded", kind="SERVICE")
        return {"Customer": self._write(operation, body)}

    def _write(self, operation: str, given: Json) -> Fields:
        body = _object(given)
        for name, value in body.items():
            if words := refuse_value(name, value):
                code = "2020" if "required" in words else "2010" if "property" in words else "2050"
                raise Refused(400, code, words, element=name)
        own = {name: value for name, value in body.items() if name in CUSTOMER and name not in ("Id", "SyncToken")}
        if operation == "create":
            return self._show(self.records.create("customers", self._named({**blank_row("customers"), **own}, None)))
        held = self.records.find("customers", str(body.get("Id")))
        if held is None:
            raise Refused(400, "610", "Object Not Found")
        if "SyncToken" not in body:
            raise Refused(400, "2020", "Required param missing, need to supply the required value for the API",
                          element="SyncToken")  # fmt: skip
        if str(body["SyncToken"]) != str(held.version - 1):
            raise Refused(400, "5010", "Stale Object Error")
        base = held.fields if body.get("sparse") is True else blank_row("customers")
        fields = self._named({**base, **own}, held.id)
        row = self.records.update("customers", held.id, fields)
        if "Active" in body and bool(body["Active"]) is row.deleted:
            row = (
                self.records.restore("customers", held.id)
                if body["Active"]
                else self.records.delete("customers", held.id)
            )
        return self._show(row)

    def _named(self, fields: Fields, number: str | None) -> Fields:
        """The name shown is made of the others if none is given; it is unique, inactive customers included."""
        fields["DisplayName"] = (fields.get("DisplayName") or display_name(fields)).strip()
        if not fields["DisplayName"]:
            raise Refused(400, "6000", "At least one of the parts of a name, or DisplayName, is required")
        others = self.records.lookup("customers", "name", fields["DisplayName"], deleted=True)
        if any(other.id != number for other in others):
            raise Refused(400, "6240", "Duplicate Name Exists Error", element="DisplayName")
        fields["FullyQualifiedName"] = fields["DisplayName"]
        return {name: value for name, value in fields.items() if value not in (None, "", {})}

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        row = {**blank_row(stream), **fields}
        if stream == "customers":
            row["DisplayName"] = str(row.get("DisplayName") or display_name(row))
        return {name: value for name, value in row.items() if value not in (None, "", {})}

    def act_break(self, stream: str, record_id: str) -> None:
        self.broken.add((stream, record_id))

    def act_mend(self, stream: str, record_id: str) -> None:
        self.broken.discard((stream, record_id))

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        if stream != "customers":
            raise ValueError("only customers can be merged")
        return super().user_merge(stream, winner, loser, by)

    # --- webhooks ----------------------------------------------------------------------------------------------

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """CloudEvents; a merged customer is told of by itself."""
        whats = {"create": "created", "delete": "deleted", "merge": "merged"}
        what = whats.get(change.kind, "updated")
        if record.stream == "customers" and what == "deleted":
            what = "updated"
        entity = NAMES[record.stream].lower()
        digest = hashlib.sha256(f"{entity}/{record.id}/{record.version}/{what}".encode()).hexdigest()
        payload = {
            "specversion": "1.0", "id": digest[:32], "source": "intuit.twin", "type": f"qbo.{entity}.{what}.v1",
            "datacontenttype": "application/json", "time": iso(change.at), "intuitentityid": record.id,
            "intuitaccountid": self.settings["realm"], "data": {},
        }  # fmt: skip
        topic = str(payload["type"])
        return [HookEvent(topic=topic, payload=payload, at=change.at, stream=record.stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body = orjson.dumps([event.payload for event in events])
        headers = {"Content-Type": "application/json", "intuit-signature": signature(body, target.secret)}
        return body, headers

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """As Twin.load; the name shown gets a number where another customer has it already."""
        given = list(rows)
        if stream == "customers":
            taken: set[str] = set()
            for row in given:
                fields = row["fields"] = dict(row["fields"])
                name = str(fields.get("DisplayName") or display_name(fields))
                fields["DisplayName"] = name if name not in taken else f"{name} ({row['id']})"
                taken.add(fields["DisplayName"])
        return super().load(stream, given)


def signature(body: bytes, secret: str) -> str:
    """base64 HMAC-SHA256 of the raw body (vendor docs, "Webhooks")."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _object(value: Json) -> Fields:
    if not isinstance(value, dict):
        raise Refused(400, "2010", "Request has invalid or unsupported property")
    return value


def moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).astimezone(ZONE).isoformat()


def iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_APP = {"client_id": "twin-client", "client_secret": "twin-secret"}
CONNECTION: dict[str, Json] = {
    "auth": {"kind": "refresh_token", **_APP, "refresh_token": "twin-refresh"},
    "settings": {"realm": REALM},
}

# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {"customers": {"unique": ["DisplayName"]}}


def make(**options: Json) -> TwinQuickBooks:
    return TwinQuickBooks(**options)


TWIN = make
