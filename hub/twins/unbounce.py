"""Unbounce (API 0.4): landing pages and their leads, and webhooks that are entered by hand.

Options of `make` beside the kit's: `camel` (False): answers in camelCase, as some have seen them.
A visitor sends a form by ``user_create("leads", {"page_id", "form_data", "extra_data", "variant_id"})``. Leads are not
edited. A webhook is set up by `set_webhook(url, "")`, for all pages or those among its `topics`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.shapes import millis, seconds_of

Json = Any

CALLS, PER_S = 500, 60.0  # quoted at times; nothing official
LIMIT_DEFAULT, LIMIT_MAX = 50, 1000
VERSION = "application/vnd.unbounce.api.v0.4+json"


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = Response.json({"status": status, "error": message}, status)


class TwinUnbounce(Twin):
    """One account."""

    name = "unbounce"
    streams: ClassVar[Sequence[str]] = ("pages", "leads")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"camel": False, **options})
        self.records.add_index("leads", "page", lambda fields: [str(fields["page_id"])])
        self._begin_state()

    def _begin_state(self) -> None:
        self._window = Window(int(CALLS * float(self.settings["limit_scale"])), PER_S)
        self._made = 0

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return int(at * 1000 + 1e-4) / 1000

    def new_id(self, stream: str) -> str:
        self._made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.settings['seed']}/{stream}/{self._made}"))

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.strip("/").split("/")
        return f"{request.method.lower()} {parts[2] if len(parts) > 2 else parts[0]}", request.method != "GET"

    def authorise(self, request: Request) -> Response | None:
        """The key is the user name of Basic, the password is empty; or a bearer token of an app."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        token = given
        if kind.lower() == "basic":
            try:
                token, _, password = base64.b64decode(given, validate=True).decode().partition(":")
            except ValueError:
                return self.unauthorised(request)
            token = token if not password else ""
        return None if self.tokens.is_valid(token, self.now()) else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return _Refused(401, "Unauthorized").response

    def limit(self, request: Request) -> Response | None:
        return self.refuse_for(request, None) if self._window.take(self.now()) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _Refused(429, "Too Many Requests").response
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _Refused(500, "Internal Server Error").response

    def route(self, request: Request) -> Response:
        try:
            if "vnd.unbounce.api" in request.headers.get("accept", "") and VERSION not in request.headers["accept"]:
                raise _Refused(400, "Unknown version")
            return self._answer_to(request)
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["pages"]:
                return self._listed(request, "pages", self._seen("pages"))
            case "GET", ["pages", page]:
                return Response.json(self._show(self._record("pages", page)), rows=1)
            case "GET", ["pages", page, "form_fields"]:
                fields = self._record("pages", page).fields["form_fields"]
                return Response.json({"metadata": {"count": len(fields)}, "form_fields": fields})
            case "GET", ["pages", page, "leads"]:
                self._record("pages", page)
                rows = [row for row in self._seen("leads") if row.fields["page_id"] == page]
                return self._listed(request, "leads", rows)
            case "GET", ["pages", _, "leads", lead] | ["leads", lead]:
                return Response.json(self._show(self._record("leads", lead)), rows=1)
        raise _Refused(404, "Not Found")

    def _seen(self, stream: str) -> list[Record]:
        rows = [seen for record in self.records.all(stream) if (seen := self.see(record, index=True))]
        return [row for row in rows if not row.deleted]

    def _record(self, stream: str, number: str) -> Record:
        record = self.records.find(stream, number)
        seen = self.see(record, index=True) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, "Not Found")
        return seen

    def _listed(self, request: Request, stream: str, rows: list[Record]) -> Response:
        offset, limit = _whole(request, "offset", 0), _whole(request, "limit", LIMIT_DEFAULT)
        order = request.first("sort_order", "asc")
        if order not in ("asc", "desc") or not 1 <= limit <= LIMIT_MAX:
            raise _Refused(400, "Bad Request")
        least, most = _moment(request, "from", float("-inf")), _moment(request, "to", float("inf"))
        rows = [row for row in rows if least <= row.created <= most]
        rows.sort(key=lambda row: (row.created, row.id), reverse=order == "desc")
        metadata = {"count": len(rows), "location": f"{self.base_url}{request.path}"}
        if request.first("count") == "true":
            return Response.json({"metadata": metadata})
        chosen = rows[offset : offset + limit]
        return Response.json({"metadata": metadata, stream: [self._show(row) for row in chosen]}, rows=len(chosen))

    def _show(self, row: Record) -> Fields:
        shown = {"id": row.id, "created_at": millis(row.created), **row.fields, "metadata": {"related": {}}}
        shown.pop("form_fields", None)
        if not self.settings["camel"]:
            return shown
        return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): value for name, value in shown.items()}

    # --- webhooks ----------------------------------------------------------------------------------------------

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        if record.stream != "leads" or change.kind != "create":
            return []
        moment = datetime.fromtimestamp(record.created, UTC)
        data = {name: [value] for name, value in record.fields["form_data"].items()}
        data |= {
            "ip_address": [record.fields["submitter_ip"]], "time_submitted": [moment.strftime("%I:%M %p UTC")],
            "date_submitted": [moment.strftime("%Y-%m-%d")], "page_uuid": [record.fields["page_id"]],
            "variant": [record.fields["variant_id"]],
        }  # fmt: skip
        page = self.records.get("pages", record.fields["page_id"])
        payload = {
            "page_id": page.id, "page_name": page.fields["name"], "page_url": page.fields["url"],
            "variant": record.fields["variant_id"], "data.json": orjson.dumps(data).decode(), "data.xml": "<f/>",
        }  # fmt: skip
        return [HookEvent(topic=page.id, payload=payload, at=change.at, stream="leads", record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        return urlencode(events[0].payload).encode(), {"Content-Type": "application/x-www-form-urlencoded"}

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "pages":
            known = {"name": "Page", "url": "https://pages.example.com/", "state": "published", "sub_account_id": 1}
            return {**known, "variants_count": 0, "form_fields": [], **fields}
        known = {"variant_id": "a", "submitter_ip": "203.0.113.7", "form_data": {}, "extra_data": {}}
        return {**known, **fields}

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Raises ValueError for a form on no page."""
        if stream == "leads" and self.records.find("pages", str(fields.get("page_id"))) is None:
            raise ValueError(f"no page {fields.get('page_id')}")
        return super().user_create(stream, fields, by)

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        if stream == "leads":
            raise ValueError("a lead cannot be edited")
        super().user_edit(stream, record_id, fields, by)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")


def _whole(request: Request, name: str, default: int) -> int:
    text = request.first(name) or str(default)
    if not text.isdecimal():
        raise _Refused(400, "Bad Request")
    return int(text)


def _moment(request: Request, name: str, default: float) -> float:
    text = request.first(name)
    try:
        return seconds_of(text) if text else default
    except ValueError:
        raise _Refused(400, "Bad Request") from None


PAGES = ("11111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-666666666666")
FIELDS = ("email", "first_name", "last_name", "phone_number", "company", "job_title", "country")


def sketch(pen: Sketch) -> None:
    """One in six people left their address on a landing page."""
    rng = pen.rng
    fields = [{"id": name, "name": name.replace("_", " ").capitalize(), "type": "text"} for name in FIELDS]
    for page in PAGES:
        row = {"name": f"Page {page[-1]}", "url": f"https://pages.example.com/{page[-1]}", "form_fields": fields}
        pen.add("pages", page, pen.now - 800 * 86_400, row)
    for person, view in pen.chosen(0.16):
        form = {
            "email": view.email.strip(), "first_name": view.first_name, "last_name": view.last_name,
            "phone_number": view.phone or "", "company": view.company_name or "", "job_title": view.job_title or "",
            "country": view.country or "",
        }  # fmt: skip
        lead = str(uuid.UUID(hashlib.sha256(person.id.encode()).hexdigest()[:32]))
        told = {"page_id": rng.choice(PAGES), "form_data": form, "extra_data": {"utm_campaign": "spring"}}
        pen.add("leads", lead, view.created, told, person=person)


# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {"leads": {"restore": {"no": "a deleted lead does not come back"}}}


def make(**options: Json) -> TwinUnbounce:
    return TwinUnbounce(**options)


TWIN = make
