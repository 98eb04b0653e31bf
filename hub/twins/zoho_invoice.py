"""Zoho Invoice: contacts, invoices and payments of one organisation.

Lists are reduced: addresses, persons and lines stand in single records. Only invoices can be asked for by time;
contacts can be sorted by it. Bodies come as the form field JSONString. An answer's code says whether it worked, and
the token endpoint refuses with 200. Ids are long digits; times carry the organisation's offset without a colon.

Options of `make` beside the kit's: `organization` ("700001"), `refresh_token` ("twin-refresh"), `token_life_s` (3600),
`per_day` (1000), `currency` ("EUR").

Not played: items, estimates, credit notes, recurring invoices, writes of invoices and payments.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson

from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.zoho_invoice_company import sketch as sketch

Json = Any

TOKEN_PATH = "/oauth/v2/token"
PREFIX = "/invoice/v3"
PER_MINUTE, TOKENS_PER_10_MINUTES = 100, 10
PER_PAGE = 200
ZONE = timezone(timedelta(hours=1))
FIRST_ID = 460_000_000_026_049
ID_PATHS = {"contacts": "contact_id", "invoices": "invoice_id", "customerpayments": "payment_id"}
ONE = {"contacts": "contact", "invoices": "invoice", "customerpayments": "payment"}
DETAIL = {"contacts": ("billing_address", "shipping_address", "contact_persons", "notes"), "invoices": ("line_items",),
          "customerpayments": ("invoices",)}  # fmt: skip
PERSON = ("salutation", "first_name", "last_name", "email", "phone", "mobile", "designation", "department")
MIRRORED = ("first_name", "last_name", "email", "phone", "mobile")
ADDRESS = ("attention", "address", "street2", "city", "state", "state_code", "zip", "country", "phone", "fax")
SCALARS = {"contact_name": 200, "company_name": 200, "website": 200, "language_code": 10, "notes": 5000,
           "contact_type": 20, "customer_sub_type": 20, "payment_terms_label": 100}  # fmt: skip
INVOICE: Fields = {
    "invoice_number": "", "status": "sent", "customer_id": "", "date": "2026-01-01", "total": 0.0, "balance": 0.0,
    "due_date": "2026-01-15", "currency_code": "EUR", "line_items": [],
}  # fmt: skip
PAYMENT: Fields = {"customer_id": "", "amount": 0.0, "date": "2026-01-01", "payment_mode": "cash", "invoices": []}
CUSTOM = ("cf_hub_id", "cf_birthday")
UNIQUE = ("cf_hub_id",)
SORTS = {
    "contacts": {"contact_name", "first_name", "last_name", "email", "created_time", "last_modified_time"},
    "invoices": {"customer_name", "invoice_number", "date", "due_date", "total", "balance", "created_time"},
    "customerpayments": {"date", "payment_number", "amount", "created_time"},
}
FILTERS = {
    "contacts": ("contact_name", "email", "company_name"),
    "invoices": ("invoice_number", "customer_id", "status"),
    "customerpayments": ("customer_id", "reference_number"),
}
SAVED = "Contact information has been saved."
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Refused(Exception):
    """Ends a call with the vendor's code and words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.response = Response.json({"code": code, "message": message}, status)


class TwinZohoInvoice(Twin):
    """One organisation."""

    name = "zoho_invoice"
    streams: ClassVar[Sequence[str]] = ("contacts", "invoices", "customerpayments")

    def __init__(self, **options: Json) -> None:
        usual = {"refresh_token": "twin-refresh", "token_life_s": 3600, "per_day": 1000, "currency": "EUR"}
        super().__init__(**{"organization": ORGANIZATION, **usual, **options})
        self.tokens.add_refresh(self.settings["refresh_token"])
        self.records.add_index("contacts", "name", lambda fields: [fields["contact_name"].lower()])
        self.records.add_index("contacts", "unique", lambda fields: [fields["_custom"].get("cf_hub_id") or ""])
        self._begin_state()

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self._minute = Window(int(PER_MINUTE * scale), 60.0)
        self._day = Window(int(self.settings["per_day"] * scale), 86_400.0)
        self._tokens_made = Window(TOKENS_PER_10_MINUTES, 600.0)
        self._made = FIRST_ID

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def new_id(self, stream: str) -> str:
        self._made += 1
        return str(self._made)

    # --- one call ----------------------------------------------------------------------------------------------

    def _path(self, request: Request) -> list[str]:
        return request.path.removeprefix(PREFIX).strip("/").split("/")

    def describe(self, request: Request) -> tuple[str, bool]:
        noun = self._path(request)[0]
        return f"{request.method.lower()} {noun}", request.method != "GET" and request.path != TOKEN_PATH

    def authorise(self, request: Request) -> Response | None:
        if request.path == TOKEN_PATH:
            return None
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind == "Zoho-oauthtoken" and self.tokens.is_valid(token, self.now()):
            return None
        return self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Refused(401, 14, "Invalid value passed for authtoken.").response

    def is_metered(self, request: Request) -> bool:
        return request.path != TOKEN_PATH

    def limit(self, request: Request) -> Response | None:
        if not self.is_metered(request):
            return None
        over = [window.take(self.now()) > 0 for window in (self._minute, self._day)]
        return self.throttled(request, None) if any(over) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        response = Refused(429, 44, "You have exceeded the maximum number of requests per minute.").response
        if retry_after_s is not None:
            response.headers["Retry-After"] = f"{retry_after_s:g}"
        return response

    def failed(self, request: Request) -> Response:
        return Refused(500, 1000, "Internal Error").response

    def route(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            return self._token(request)
        try:
            return self._answer_to(request)
        except Refused as refusal:
            return refusal.response
        except BadJson:
            return Refused(400, 4, "Invalid JSON").response

    def _token(self, request: Request) -> Response:
        """Errors come with 200; the refresh token stays what it is."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        settings = self.settings
        if (form.get("client_id"), form.get("client_secret")) != (settings["client_id"], settings["client_secret"]):
            return Response.json({"error": "invalid_client"})
        good = form.get("grant_type") == "refresh_token"
        if not good or not self.tokens.take_refresh(form.get("refresh_token", ""), rotate=False):
            return Response.json({"error": "invalid_code"})
        if self._tokens_made.take(self.now()):
            return Response.json({"error": "Access Denied"})
        token = self.tokens.issue(self.now(), settings["token_life_s"])
        about = {"api_domain": "https://www.zohoapis.eu", "token_type": "Bearer"}
        return Response.json({"access_token": token, "expires_in": settings["token_life_s"], **about})

    def _answer_to(self, request: Request) -> Response:
        parts = self._path(request)
        if (request.method, parts) == ("GET", ["organizations"]):
            row = {"organization_id": self.settings["organization"], "name": "Twin GmbH", "is_default_org": True}
            row |= {"currency_code": self.settings["currency"], "time_zone": "Europe/Berlin", "price_precision": 2}
            return Response.json({"code": 0, "message": "success", "organizations": [row]})
        given = request.headers.get("x-com-zoho-invoice-organizationid") or request.first("organization_id")
        if given != self.settings["organization"]:
            raise Refused(400, 6041, "This user is not associated with the CompanyID/CompanyName")
        match request.method, parts:
            case "GET", [stream] if stream in ID_PATHS:
                return self._list(stream, request)
            case "GET", [stream, number] if stream in ID_PATHS:
                return self._told(stream, self._found(stream, number), "success")
            case "POST", ["contacts"]:
                return self._told("contacts", self._create(self._body(request)), "The contact has been added.", 201)
            case "PUT", ["contacts"]:
                return self._upsert(request)
            case "PUT", ["contacts", number]:
                self._found("contacts", number)
                return self._told("contacts", self._update(number, self._body(request)), SAVED)
            case "POST", ["contacts", number, ("active" | "inactive") as state]:
                self._found("contacts", number)
                self.records.update("contacts", number, {"status": state})
                return Response.json({"code": 0, "message": "The status has been changed."})
            case "DELETE", ["contacts", number]:
                if any(row.fields["customer_id"] == number for row in self._live("invoices")):
                    raise Refused(400, 3000, "The contact has transactions and cannot be deleted.")
                self.records.delete("contacts", self._found("contacts", number).id)
                return Response.json({"code": 0, "message": "The contact has been deleted."})
        raise Refused(404, 5, "Invalid URL Passed")

    def _body(self, request: Request) -> Fields:
        """The form field JSONString."""
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise Refused(415, 1038, "The content type is not supported")
        text = request.form().get("JSONString", [""])[0]
        try:
            given = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise BadJson("JSONString") from None
        if not isinstance(given, dict):
            raise Refused(400, 4, "Invalid value passed for JSONString")
        return given

    # --- reading -----------------------------------------------------------------------------------------------

    def _live(self, stream: str) -> list[Record]:
        return [seen for record in self.records.all(stream) if (seen := self.see(record)) and not seen.deleted]

    def _found(self, stream: str, number: str) -> Record:
        record = self.records.find(stream, number)
        seen = self.see(record) if record else None
        if seen is None or seen.deleted:
            raise Refused(404, 1002, "The record does not exist.")
        return seen

    def _show(self, row: Record, *, whole: bool) -> Fields:
        shown = {name: value for name, value in row.fields.items() if not name.startswith("_")}
        if not whole:
            shown = {name: value for name, value in shown.items() if name not in DETAIL[row.stream]}
        times = {"created_time": moment(row.created), "last_modified_time": moment(row.modified)}
        more: Fields = {}
        if row.stream == "contacts":
            more["custom_field_hash"] = dict(row.fields["_custom"])
            if whole:
                more["custom_fields"] = [
                    {"api_name": key, "label": key, "value": value} for key, value in row.fields["_custom"].items()
                ]
        return {ID_PATHS[row.stream]: row.id, **shown, **more, **times}

    def _told(self, stream: str, row: Record, message: str, status: int = 200) -> Response:
        return Response.json({"code": 0, "message": message, ONE[stream]: self._show(row, whole=True)}, status, rows=1)

    def _list(self, stream: str, request: Request) -> Response:
        rows = [row for row in self._live(stream) if self._fits(stream, row, request)]
        column, order = request.first("sort_column"), request.first("sort_order", "A")
        if column and column not in SORTS[stream]:
            raise Refused(400, 2, "Invalid value passed for sort_column")
        if column:
            rows.sort(key=lambda row: (_sort_key(row, column), int(row.id)), reverse=order == "D")
        size, page = min(_whole(request, "per_page", PER_PAGE), PER_PAGE), _whole(request, "page", 1)
        chosen = rows[(page - 1) * size : page * size]
        context = {"page": page, "per_page": size, "has_more_page": page * size < len(rows),
                   "sort_column": column or "created_time", "sort_order": order}  # fmt: skip
        body = {"code": 0, "message": "success", stream: [self._show(row, whole=False) for row in chosen]}
        return Response.json({**body, "page_context": context}, rows=len(chosen))

    def _fits(self, stream: str, row: Record, request: Request) -> bool:
        """Filters that the list has; others are ignored."""
        for name in FILTERS[stream]:
            wanted = request.first(name)
            if wanted and str(row.fields.get(name) or "").lower() != wanted.lower():
                return False
        if stream == "contacts" and request.first("filter_by", "Status.Active") == "Status.Active":
            return bool(row.fields["status"] == "active")
        since = request.first("last_modified_time")
        if stream == "invoices" and since:
            try:
                return row.modified > datetime.strptime(since, "%Y-%m-%dT%H:%M:%S%z").timestamp() - 1
            except ValueError:
                raise Refused(400, 4, "Invalid value passed for last_modified_time") from None
        return True

    # --- writing -----------------------------------------------------------------------------------------------

    def _create(self, given: Fields) -> Record:
        return self.records.create("contacts", self._merged(blank_contact(), given, None), id=self.new_id("contacts"))

    def _update(self, number: str, given: Fields) -> Record:
        if "contact_name" not in given:
            raise Refused(400, 4, "Invalid value passed for contact_name")
        held = self.records.get("contacts", number).fields
        return self.records.update("contacts", number, self._merged(held, given, number))

    def _upsert(self, request: Request) -> Response:
        headers = request.headers
        key, value = headers.get("x-unique-identifier-key", ""), headers.get("x-unique-identifier-value", "")
        if key not in UNIQUE or not value:
            raise Refused(400, 4, "Invalid value passed for X-Unique-Identifier-Key")
        found = self.records.lookup("contacts", "unique", value)
        body = self._body(request)
        if found:
            return self._told("contacts", self._update(found[0].id, body), SAVED)
        if headers.get("x-upsert") != "true":
            raise Refused(404, 1002, "The record does not exist.")
        return self._told("contacts", self._create(body), "The contact has been added.", 201)

    def _merged(self, held: Fields, given: Fields, number: str | None) -> Fields:
        """Scalars that are not sent stay; lists are replaced. The five mirrors cannot be written themselves."""
        fields = {**held, "_custom": dict(held["_custom"])}
        for name, value in given.items():
            if name in SCALARS:
                fields[name] = _text(name, value, SCALARS[name])
            elif name in ("billing_address", "shipping_address"):
                if not isinstance(value, dict):
                    raise Refused(400, 4, f"Invalid value passed for {name}")
                fields[name] = {key: _text(key, value.get(key) or "", 500) for key in ADDRESS}
            elif name == "contact_persons":
                fields[name] = self._persons(value)
            elif name == "custom_fields":
                fields["_custom"] |= _custom(value)
        if not fields["contact_name"]:
            raise Refused(400, 3013, "Please enter a valid contact name")
        self._refuse_double(fields, number)
        persons: list[Fields] = fields["contact_persons"]
        primary: Fields = next((person for person in persons if person["is_primary_contact"]), {})
        return fields | {name: primary.get(name, "") for name in MIRRORED}

    def _persons(self, given: Json) -> list[Fields]:
        if not isinstance(given, list) or not all(isinstance(person, dict) for person in given):
            raise Refused(400, 4, "Invalid value passed for contact_persons")
        persons = []
        for person in given:
            row = {name: _text(name, person.get(name) or "", 100) for name in PERSON}
            if row["email"] and not _MAIL.fullmatch(row["email"]):
                raise Refused(400, 4, "Invalid value passed for email")
            number = str(person.get("contact_person_id") or self.new_id("persons"))
            is_primary = bool(person.get("is_primary_contact"))
            persons.append({"contact_person_id": number, **row, "is_primary_contact": is_primary})
        if persons and not any(person["is_primary_contact"] for person in persons):
            persons[0]["is_primary_contact"] = True
        return persons

    def _refuse_double(self, fields: Fields, number: str | None) -> None:
        named = self.records.lookup("contacts", "name", fields["contact_name"].lower())
        if any(other.id != number for other in named):
            raise Refused(400, 3062, "The contact already exists. Please specify a different name.")
        mark = fields["_custom"].get("cf_hub_id")
        if mark and any(other.id != number for other in self.records.lookup("contacts", "unique", mark)):
            raise Refused(400, 120128, "The value of a unique field exists already.")

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "invoices":
            return {**INVOICE, **fields}
        if stream == "customerpayments":
            return {**PAYMENT, **fields}
        row = {**blank_contact(), **fields}
        if not row["contact_persons"] and any(row.get(name) for name in (*MIRRORED, "salutation", "designation")):
            person = {name: row.get(name) or "" for name in PERSON}
            number = self.new_id("persons")
            row["contact_persons"] = [{"contact_person_id": number, **person, "is_primary_contact": True}]
        return {name: value for name, value in row.items() if name not in ("salutation", "designation", "department")}

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """A workflow with the default payload; what is deleted is not told."""
        if change.kind == "delete":
            return []
        one = ONE[record.stream]
        payload = {one: {ID_PATHS[record.stream]: record.id, "last_modified_time": moment(change.at)}}
        return [HookEvent(topic=one, payload=payload, at=change.at, stream=record.stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body = orjson.dumps(events[0].payload)
        headers = {"Content-Type": "application/json"}
        if target.secret:
            headers["X-Zoho-Webhook-Signature"] = signature(body, target.url, target.secret)
        return body, headers


def signature(body: bytes, url: str, secret: str) -> str:
    """The scheme of Zoho Billing: pairs of the query by key, then the raw body ("Securing webhooks")."""
    pairs = "".join(f"{key}{value}" for key, value in sorted(parse_qsl(urlsplit(url).query, keep_blank_values=True)))
    return hmac.new(secret.encode(), pairs.encode() + body, hashlib.sha256).hexdigest()


def blank_contact() -> Fields:
    return {
        "contact_name": "", "company_name": "", "contact_type": "customer", "customer_sub_type": "individual",
        "status": "active", **dict.fromkeys(MIRRORED, ""), "website": "", "language_code": "", "currency_code": "EUR",
        "outstanding_receivable_amount": 0.0, "notes": "", "billing_address": {}, "shipping_address": {},
        "contact_persons": [], "_custom": {},
    }  # fmt: skip


def _text(name: str, value: Json, most: int) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Refused(400, 4, f"Invalid value passed for {name}")
    if len(value) > most:
        raise Refused(400, 15, f"Please ensure that the {name} has less than {most} characters.")
    return value.strip()


def _custom(given: Json) -> Fields:
    rows: list[Json] = given if isinstance(given, list) else [None]
    if any(not isinstance(row, dict) or row.get("api_name") not in CUSTOM for row in rows):
        raise Refused(400, 4, "Invalid value passed for custom_fields")
    return {str(row["api_name"]): str(row.get("value") or "") for row in rows}


def _sort_key(row: Record, column: str) -> Any:
    if column == "last_modified_time":
        return row.modified
    return row.created if column == "created_time" else str(row.fields.get(column) or "").lower()


def _whole(request: Request, name: str, default: int) -> int:
    text = request.first(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 9 or int(text) < 1:
        raise Refused(400, 2, f"Invalid value passed for {name}")
    return int(text)


def moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S%z")


ORGANIZATION = "700001"
_APP = {"client_id": "twin-client", "client_secret": "twin-secret"}
CONNECTION: dict[str, Json] = {
    "auth": {"kind": "refresh_token", **_APP, "refresh_token": "twin-refresh"},
    "settings": {"dc": "eu", "organization": ORGANIZATION},
}

# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {"contacts": {"unique": ["contact_name"]}}


def make(**options: Json) -> TwinZohoInvoice:
    return TwinZohoInvoice(**options)


TWIN = make
