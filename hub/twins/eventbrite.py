"""Eventbrite (API v3): events, orders and attendees of one organization, and its webhooks.

People order by ``user_create("orders", {"event_id", "email", "first_name", "last_name", "tickets": [profile, ...]})``,
which makes the attendees too; `act_check_in`, `act_check_out`, `act_refund` and `act_cancel` are the rest. Changes may
show late in lists (the fault `index_lag_s`; the vendor speaks of five minutes). A page's token ends after ten minutes.
Options of `make` beside the kit's: `organizations` (["101"]).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.shapes import seconds, seconds_of

Json = Any

API = "https://www.eventbriteapi.com/v3"
CALLS, PER_S = 2000, 3600.0  # per token
PAGE = 50
TOKEN_LIFE_S = 600.0
PARAMETERS = {
    "events": {"status", "time_filter", "order_by", "page_size"},
    "attendees": {"status", "changed_since"},
    "orders": {"status", "changed_since", "only_emails", "exclude_emails"},
    "discounts": {"scope", "event_id", "code", "code_filter", "type", "page_size"},
}
SCOPES = ("event", "multi_events", "user")
BLANK_DISCOUNT = ("code", "percent_off", "amount_off", "event_id", "start_date", "end_date", "ticket_class_ids")
EXPANSIONS = {
    "events": {"venue", "organizer", "ticket_classes"},
    "attendees": {"order", "event", "answers", "survey", "promotional_code", "contact_list_preferences"},
    "orders": {"attendees", "event", "answers", "survey_responses", "contact_list_preferences"},
    "discounts": set(),
}


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        body = {"error": error, "error_description": description, "status_code": status}
        self.response = Response.json(body, status)


class TwinEventbrite(Twin):
    """One account."""

    name = "eventbrite"
    streams: ClassVar[Sequence[str]] = ("events", "orders", "attendees", "discounts")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"organizations": ["101"], **options})
        self._begin_state()

    def _begin_state(self) -> None:
        self._window = Window(int(CALLS * float(self.settings["limit_scale"])), PER_S)
        self.webhooks: dict[str, Fields] = {}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def new_id(self, stream: str) -> str | None:
        first = {"events": 7001, "orders": 8001, "attendees": 9001, "discounts": 5001}[stream]
        return None if self.records.last_id(stream) else str(first)

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = [part for part in request.path.removeprefix("/v3").strip("/").split("/") if not part.isdecimal()]
        return f"{request.method.lower()} {parts[-1]}", request.method not in ("GET", "HEAD")

    def unauthorised(self, request: Request) -> Response:
        return _Refused(401, "NO_AUTH", "The OAuth token you provided was invalid.").response

    def limit(self, request: Request) -> Response | None:
        return self.refuse_for(request, None) if self._window.take(self.now()) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _Refused(429, "HIT_RATE_LIMIT", "You have exceeded your rate limit.").response
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _Refused(500, "INTERNAL_ERROR", "An unhandled error occurred.").response

    def route(self, request: Request) -> Response:
        try:
            if not request.path.endswith("/"):
                raise _Refused(404, "NOT_FOUND", "The path you requested does not exist.")
            return self._answer_to(request, request.path.removeprefix("/v3").strip("/").split("/"))
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "GET", ["users", "me"]:
                return Response.json({"id": "1", "name": "Twin", "emails": [{"email": "owner@example.com"}]})
            case "GET", ["users", "me", "organizations"]:
                found = [{"id": each, "name": f"Twin {each}"} for each in self.settings["organizations"]]
                return Response.json({"pagination": _pagination(len(found)), "organizations": found})
            case "GET", ["organizations", organization, ("events" | "attendees" | "orders" | "discounts") as stream]:
                self._own(organization)
                return self._listed(request, stream)
            case "POST", ["organizations", organization, "discounts"]:
                self._own(organization)
                return self._make_discount(request)
            case method, ["organizations", organization, "webhooks"]:
                self._own(organization)
                return self._hooks(method, request)
            case "DELETE", ["webhooks", hook] if hook in self.webhooks:
                self.hooks.remove(hook)
                return Response.json({"success": bool(self.webhooks.pop(hook))})
            case "GET", ["events", event]:
                return Response.json(self._show(self._record("events", event), set()), rows=1)
            case "GET", ["discounts", discount]:
                return Response.json(self._show(self._record("discounts", discount), set()), rows=1)
            case "GET", ["orders", order]:
                return Response.json(self._show(self._record("orders", order), _expansions(request, "orders")), rows=1)
            case "GET", ["events", event, "attendees", attendee]:
                seat = self._record("attendees", attendee)
                if seat.fields["event_id"] != event:
                    raise _Refused(404, "NOT_FOUND", "The attendee you requested does not exist.")
                return Response.json(self._show(seat, _expansions(request, "attendees")), rows=1)
        raise _Refused(404, "NOT_FOUND", "The path you requested does not exist.")

    def _own(self, organization: str) -> None:
        if organization not in self.settings["organizations"]:
            raise _Refused(403, "NOT_AUTHORIZED", "You do not have access to the resource you requested.")

    def _record(self, stream: str, number: str) -> Record:
        record = self.records.find(stream, number)
        seen = self.see(record, index=True) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, "NOT_FOUND", f"The {stream[:-1]} you requested does not exist.")
        return seen

    def _listed(self, request: Request, stream: str) -> Response:
        if unknown := set(request.query) - PARAMETERS[stream] - {"continuation", "expand"}:
            raise _Refused(400, "ARGUMENTS_ERROR", f"There are errors with your arguments: {min(unknown)}")
        scope = request.first("scope")
        odd = {"event": "event_id" not in request.query, "multi_events": "event_id" in request.query}
        if stream == "discounts" and (scope not in SCOPES or odd.get(scope)):
            raise _Refused(400, "ARGUMENTS_ERROR", "There are errors with your arguments: scope")
        expand = _expansions(request, stream)
        since = _moment(request)
        rows = [seen for record in self.records.all(stream) if (seen := self.see(record, index=True))]
        rows = [row for row in rows if not row.deleted and row.modified >= since and _in_scope(row, request)]
        filters = sorted((name, values) for name, values in request.query.items() if name != "continuation")
        mark = hashlib.sha256(repr((request.path, filters)).encode()).hexdigest()[:12]
        begin, number = self._from(request.first("continuation"), mark, rows)
        chosen = rows[begin : begin + PAGE]
        more = begin + PAGE < len(rows)
        pagination = _pagination(len(rows), number)
        if more:
            told = f"{mark}/{chosen[-1].id}/{number + 1}/{self.now() + TOKEN_LIFE_S}"
            pagination["continuation"] = base64.urlsafe_b64encode(told.encode()).decode()
            pagination["has_more_items"] = True
        body = {"pagination": pagination, stream: [self._show(row, expand) for row in chosen]}
        return Response.json(body, rows=len(chosen))

    def _from(self, token: str, mark: str, rows: list[Record]) -> tuple[int, int]:
        """Where the page of a token begins, and its number."""
        if not token:
            return 0, 1
        try:
            known, last, number, ends = base64.urlsafe_b64decode(token).decode().split("/")
        except ValueError:
            known, last, number, ends = "", "", "1", "0"
        if known != mark or float(ends) < self.now():
            raise _Refused(400, "BAD_CONTINUATION_TOKEN", "The continuation token is invalid.")
        begin = next((place for place, row in enumerate(rows) if int(row.id) > int(last)), len(rows))
        return begin, int(number)

    # --- shapes ------------------------------------------------------------------------------------------------

    def _show(self, row: Record, expand: set[str]) -> Fields:
        times = {"created": seconds(row.created), "changed": seconds(row.modified)}
        if row.stream == "discounts":  # they tell no times of their own
            times = {}
        shown: Fields = {"id": row.id, "resource_uri": f"{API}/{row.stream}/{row.id}/", **row.fields, **times}
        if row.stream == "attendees" and "answers" not in expand:
            del shown["answers"]
        if "event" in expand:
            event = self.records.find("events", str(row.fields["event_id"]))
            shown["event"] = self._show(event, set()) if event is not None else None
        return shown

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _hooks(self, method: str, request: Request) -> Response:
        if method == "GET":
            found = list(self.webhooks.values())
            return Response.json({"pagination": _pagination(len(found)), "webhooks": found})
        try:
            given = request.json()
        except BadJson:
            given = {}
        url, actions = str(given.get("endpoint_url", "")), str(given.get("actions", ""))
        if method != "POST" or not url.startswith(("http://", "https://")) or not actions:
            raise _Refused(400, "ARGUMENTS_ERROR", "There are errors with your arguments: endpoint_url, actions")
        number = str(len(self.webhooks) + 1)
        hook = {"id": number, "endpoint_url": url, "actions": actions.split(","), "event_id": None, "user_id": "1"}
        self.webhooks[number] = hook
        self.hooks.add(Target(url=url, secret="", topics=tuple(actions.split(",")), id=number))
        return Response.json(hook)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        if record.stream == "discounts":
            return []
        address, action = f"{API}/{record.stream}/{record.id}/", ""
        if record.stream == "orders":
            refunded = change.changed.get("status", (None, None))[1] == "refunded"
            action = {"create": "order.placed"}.get(change.kind, "order.refunded" if refunded else "order.updated")
        elif record.stream == "events":
            action = "event.created" if change.kind == "create" else "event.updated"
        else:
            address = f"{API}/events/{record.fields['event_id']}/attendees/{record.id}/"
            action = "attendee.updated"
            if change.kind == "update" and "checked_in" in change.changed:
                action = f"attendee.checked_{'in' if change.changed['checked_in'][1] else 'out'}"
        return [HookEvent(topic=action, payload=address, at=change.at, stream=record.stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        config = {"action": events[0].topic, "endpoint_url": target.url, "user_id": "1", "webhook_id": target.id}
        body = orjson.dumps({"api_url": events[0].payload, "config": config})
        return body, {"Content-Type": "application/json", "X-Eventbrite-Event": events[0].topic}

    def hook_accepted(self, status: int, body: bytes) -> bool:
        """410 takes the webhook away."""
        return 200 <= status < 300

    def _make_discount(self, request: Request) -> Response:
        """A coded discount, of an amount or a share and not of both."""
        body = request.json()
        given = body.get("discount") if isinstance(body, dict) else None
        if not isinstance(given, dict):
            raise _wrong("discount - MISSING")
        if not given.get("code") or given.get("type") != "coded":
            raise _wrong("discount.code - MISSING")
        if (given.get("amount_off") is None) == (given.get("percent_off") is None):
            raise _wrong("discount.amount_off - INVALID")
        if self.faults.row_fault() == "reject":
            raise _wrong("discount.code - INVALID")
        if given.get("event_id"):
            self._record("events", str(given["event_id"]))
        made = self.records.create("discounts", self.completed("discounts", given), by="api")
        return Response.json(self._show(made, set()), rows=1)

    def act_redeem(self, code: str) -> None:
        """Somebody buys a ticket with a code. Raises ValueError: it cannot be used (any more)."""
        found = [row for row in self.records.all("discounts") if row.fields["code"] == code and not row.deleted]
        if not found or 0 < (found[0].fields["quantity_available"] or 0) <= found[0].fields["quantity_sold"]:
            raise ValueError("the code cannot be used")
        sold = {"quantity_sold": found[0].fields["quantity_sold"] + 1}
        self.records.update("discounts", found[0].id, sold, by="user:1")

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "events":
            known = {
                "status": "live",
                "currency": "USD",
                "organization_id": "101",
                "online_event": False,
                "capacity": 100,
            }
            return {**known, **fields}
        if stream == "discounts":
            numbers = {"quantity_sold": 0, "quantity_available": 0}
            return {**dict.fromkeys(BLANK_DISCOUNT), "type": "coded", **numbers, **fields}
        costs = {"gross": _money(fields.pop("price", 2550), fields.pop("currency", "USD"))}
        if stream == "orders":
            return {"status": "placed", "costs": costs, "promo_code": None, **fields}
        known = {
            "status": "Attending", "checked_in": False, "cancelled": False, "refunded": False, "quantity": 1,
            "ticket_class_name": "General", "ticket_class_id": "1", "answers": [], "costs": costs, "affiliate": None,
            "barcodes": [{"barcode": "1", "status": "unused"}], "promotional_code": None, "profile": {},
        }  # fmt: skip
        return {**known, **fields}

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        with self.lock:
            given = dict(fields)
            tickets: Iterable[Fields] = given.pop("tickets", None) or ()
            made = super().user_create(stream, given, by)
            for profile in tickets:
                seat = {"event_id": given["event_id"], "order_id": made, "profile": profile}
                super().user_create("attendees", seat, by)
            return made

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def act_check_in(self, attendee: str) -> None:
        self.records.update("attendees", attendee, {"checked_in": True, "status": "Checked In"}, by="user:1")

    def act_check_out(self, attendee: str) -> None:
        self.records.update("attendees", attendee, {"checked_in": False, "status": "Attending"}, by="user:1")

    def act_refund(self, order: str) -> None:
        self._end(order, "refunded", {"refunded": True})

    def act_cancel(self, order: str) -> None:
        self._end(order, "cancelled", {})

    def _end(self, order: str, status: str, more: Fields) -> None:
        self.records.update("orders", order, {"status": status}, by="user:1")
        for each in self.records.all("attendees"):
            if each.fields.get("order_id") == order:
                gone = {"status": "Not Attending", "cancelled": True, **more}
                self.records.update("attendees", each.id, gone, by="user:1")


def _in_scope(row: Record, request: Request) -> bool:
    """Of discounts: "user" has all of the organization, "multi_events" those of no single event."""
    event = row.fields.get("event_id")
    match request.first("scope"):
        case "multi_events":
            return event is None
        case "event":
            return event == request.first("event_id")
    return True


def _wrong(what: str) -> _Refused:
    return _Refused(400, "ARGUMENTS_ERROR", f"There are errors with your arguments: {what}")


def _pagination(count: int, number: int = 1) -> Fields:
    pages = max(1, -(-count // PAGE))
    return {
        "object_count": count,
        "page_number": number,
        "page_size": PAGE,
        "page_count": pages,
        "has_more_items": False,
    }


def _expansions(request: Request, stream: str) -> set[str]:
    wanted = set(filter(None, request.first("expand").split(",")))
    if unknown := wanted - EXPANSIONS[stream]:
        raise _Refused(400, "ARGUMENTS_ERROR", f"There are errors with your arguments: expand - {min(unknown)}")
    return wanted


def _moment(request: Request) -> float:
    """`changed_since`: on or after."""
    text = request.first("changed_since")
    try:
        return seconds_of(text) if text else float("-inf")
    except ValueError:
        raise _Refused(
            400, "ARGUMENTS_ERROR", "There are errors with your arguments: changed_since - INVALID"
        ) from None


def _money(minor: int, currency: str) -> Fields:
    major = f"{minor / 100:.2f}"
    return {"currency": currency, "value": minor, "major_value": major, "display": f"{major} {currency}"}


DISCOUNTS: Sequence[tuple[str, Fields]] = (
    ("EARLY20", {"percent_off": "20.00", "quantity_available": 100, "quantity_sold": 14, "event_id": "7003"}),
    ("FRIEND5", {"amount_off": "5.00"}),
    ("BACKSTAGE", {"type": "access"}),
)
EVENTS = (("Open day", -60), ("Conference", -20), ("Workshop", 30))


def sketch(pen: Sketch) -> None:
    """A quarter of the people bought tickets, some for a colleague as well; half of those who could come came."""
    rng = pen.rng
    for place, (name, days) in enumerate(EVENTS):
        begins = pen.now + days * 86_400
        times = {
            "start": {"timezone": "Europe/Berlin", "utc": seconds(begins)},
            "end": {"utc": seconds(begins + 28_800)},
        }
        fields = {"name": {"text": name, "html": name}, "status": "completed" if days < 0 else "live", **times,
                  "url": f"https://www.eventbrite.com/e/{7001 + place}", "currency": "EUR"}  # fmt: skip
        pen.add("events", str(7001 + place), pen.now - 200 * 86_400, fields)
    for place, (code, discount) in enumerate(DISCOUNTS):
        pen.add("discounts", str(5001 + place), pen.now - 100 * 86_400, {"code": code, **discount})
    seat = 9000
    for number, (person, view) in enumerate(pen.chosen(0.25)):
        place = rng.randrange(len(EVENTS))
        event, at = str(7001 + place), pen.now - float(rng.randrange(70, 190) * 86_400)
        names = {"first_name": view.first_name.strip(), "last_name": view.last_name.strip()}
        names["name"] = f"{names['first_name']} {names['last_name']}"
        mail = {"email": view.email.strip()}
        order = {"event_id": event, **names, **mail, "price": 4900, "currency": "EUR", "status": rng.choices(
            ("placed", "refunded"), (92, 8))[0]}  # fmt: skip
        order_id = str(8001 + number)
        pen.add("orders", order_id, at, order, person=person)
        address = view.address
        home = {"address_1": address.street, "city": address.city, "region": address.state or "-",
                "postal_code": address.postal_code, "country": address.country} if address else None  # fmt: skip
        profile = {
            **names, **mail, "prefix": person.salutation, "suffix": person.suffix, "job_title": view.job_title,
            "company": view.company_name, "birth_date": person.birthday, "cell_phone": person.mobile,
            "work_phone": person.phone, "addresses": {"home": home},
        }  # fmt: skip
        came = EVENTS[place][1] < 0 and rng.random() < 0.5
        status = "Checked In" if came else "Attending"
        seat += 1
        row = {"event_id": event, "order_id": order_id, "profile": profile, "price": 4900, "currency": "EUR",
               "checked_in": came, "status": status}  # fmt: skip
        pen.add("attendees", str(seat), at, row, person=person, external_id=f"{event}:{seat}")
        if rng.random() < 0.1:
            seat += 1
            requested = {"first_name": "Info Requested", "last_name": "Info Requested", "email": "Info Requested"}
            pen.add("attendees", str(seat), at, {**row, "profile": requested})


def make(**options: Json) -> TwinEventbrite:
    return TwinEventbrite(**options)


TWIN = make
