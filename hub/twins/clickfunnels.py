"""ClickFunnels 2.0 (API v2): one workspace with its contacts, orders, opt-ins, courses, enrolments and appointments.

Lists are bare arrays of 20; what comes next stands in headers. A call without a User-Agent of its own fails. Addresses
lose their blanks and capitals when saved. `user_create` adds what people do; `act_suspend` ends an enrolment,
`act_complete_course` is its happy end. Opt-ins and orders are made on a page of a funnel.
Options of `make` beside the kit's: `workspace` ("32"), `calls_per_s` (5; the vendor names no figure).
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import BadJson, Bucket, Change, Fields, HookEvent, Record, Request, Response, Target, Twin
from hub.twins.shapes import millis

Json = Any

PAGE = 20  # fixed ("Pagination")
WORKSPACE = "32"
CONNECTION = {"settings": {"workspace": WORKSPACE}}
LISTS = {  # list below a workspace -> stream
    "contacts": "contacts",
    "orders": "orders",
    "form_submissions": "form_submissions",
    "courses": "courses",
    "appointments/scheduled_events": "appointments",
    "webhooks/outgoing/events": "events",
    "webhooks/outgoing/endpoints": "endpoints",
}
SINGLES = {
    "contacts": "contacts",
    "orders": "orders",
    "form_submissions": "form_submissions",
    "courses": "courses",
    "courses/enrollments": "enrollments",
    "appointments/scheduled_events": "appointments",
    "webhooks/outgoing/events": "events",
    "webhooks/outgoing/endpoints": "endpoints",
}
FILTERS = {
    "contacts": {"email_address", "id"},
    "orders": {"id", "contact_id", "order_type"},
    "form_submissions": {"id", "page_id", "contact_id"},
    "enrollments": {"id", "contact_id"},
}
WRITABLE = {
    "email_address", "first_name", "last_name", "phone_number", "time_zone", "fb_url", "twitter_url", "instagram_url",
    "linkedin_url", "website_url", "tag_ids", "custom_attributes",
}  # fmt: skip
TOPICS = {
    "contacts": "contact", "orders": "order", "enrollments": "courses/enrollment", "courses": "course",
    "appointments": "appointments/scheduled_event", "form_submissions": "form_submission",
}  # fmt: skip
SUBJECTS = {
    "contacts": "Contact", "orders": "Order", "enrollments": "Courses::Enrollment", "courses": "Course",
    "appointments": "Appointments::ScheduledEvent", "form_submissions": "FormSubmission",
}  # fmt: skip
PLACE: dict[str, Any] = {  # in which people opt in and buy
    "page": {"id": 7, "public_id": "tYFOXi", "name": "Opt-in"},
    "funnel": {"id": 3, "public_id": "EHamfn", "name": "Spring"},
}  # fmt: skip
DONE = {*range(200, 208), 226}  # what counts as taken ("Webhooks")


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, error: str | dict[str, Json]) -> None:
        super().__init__(str(error))
        self.response = Response.json({"errors" if isinstance(error, dict) else "error": error}, status)


class TwinClickfunnels(Twin):
    """One workspace."""

    name = "clickfunnels"
    streams: ClassVar[Sequence[str]] = (
        "contacts", "orders", "form_submissions", "courses", "enrollments", "appointments"
    )  # fmt: skip
    hook_attempts = 9  # at once, then after 1 s to 24 h, compressed

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"workspace": WORKSPACE, "calls_per_s": 5.0, **options})
        self.records.add_index("contacts", "email", lambda fields: [str(fields.get("email_address") or "").lower()])
        self._begin_state()

    def _begin_state(self) -> None:
        rate = float(self.settings["calls_per_s"]) * float(self.settings["limit_scale"])
        self._bucket = Bucket(rate, rate)

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return int(at * 1000 + 1e-4) / 1000

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = [part for part in request.path.removeprefix("/api/v2").strip("/").split("/") if not part.isdecimal()]
        return f"{request.method.lower()} {'/'.join(parts)}", request.method not in ("GET", "HEAD")

    def unauthorised(self, request: Request) -> Response:
        return _Refused(401, "API key missing or invalid").response

    def limit(self, request: Request) -> Response | None:
        wait = self._bucket.take(self.now())
        return self.refuse_for(request, max(1.0, wait)) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _Refused(429, "Rate limit exceeded").response
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _Refused(500, "Internal Server Error").response

    def route(self, request: Request) -> Response:
        try:
            agent = request.headers.get("user-agent", "")
            if not agent or agent.startswith("python-requests"):
                raise _Refused(403, "User-Agent is missing")
            return self._answer_to(request, request.path.removeprefix("/api/v2").strip("/").split("/"))
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "GET", ["workspaces", workspace]:
                self._own(workspace)
                about = {"id": int(workspace), "public_id": "wSpAcE", "team_id": 1, "name": "Twin", "subdomain": "twin"}
                return Response.json(about, rows=1)
            case "POST", ["workspaces", workspace, "contacts"]:
                self._own(workspace)
                return Response.json(self._show(self._add_contact(self._contact_of(request))), 201, rows=1)
            case "POST", ["workspaces", workspace, "contacts", "upsert"]:
                self._own(workspace)
                return self._upsert(self._contact_of(request))
            case "POST", ["workspaces", workspace, "webhooks", "outgoing", "endpoints"]:
                self._own(workspace)
                return self._add_endpoint(request)
            case "GET", ["courses", course, "enrollments"] if course.isdecimal():
                self._record("courses", course)
                rows = [row for row in self._seen("enrollments") if str(row.fields["course_id"]) == course]
                return self._listed(request, "enrollments", rows)
            case "GET", ["workspaces", workspace, *rest] if "/".join(rest) in LISTS:
                self._own(workspace)
                stream = LISTS["/".join(rest)]
                return self._listed(request, stream, self._seen(stream))
            case method, [*noun, number] if "/".join(noun) in SINGLES:
                return self._single(method, SINGLES["/".join(noun)], number, request)
        raise _Refused(404, "Not found: Path missing")

    def _own(self, workspace: str) -> None:
        if workspace != self.settings["workspace"]:
            raise _Refused(404, "Not found: Record missing")

    def _single(self, method: str, stream: str, number: str, request: Request) -> Response:
        record = self._record(stream, number)
        if method == "GET":
            return Response.json(self._show(record), rows=1)
        if method == "PUT" and stream == "contacts":
            changed = self.records.update("contacts", record.id, self._cleaned(self._contact_of(request)), by="api")
            return Response.json(self._show(changed), rows=1)
        if method == "DELETE" and stream in ("contacts", "endpoints"):
            self.records.delete(stream, record.id, by="api")
            self.hooks.remove(record.id)
            return Response(status=204)
        raise _Refused(404, "Not found: Path missing")

    def _record(self, stream: str, number: str) -> Record:
        record = self.records.find(stream, number)
        if record is None:
            record = next((each for each in self.records.all(stream) if _public(each) == number), None)
        seen = self.see(record) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, "Not found: Record missing")
        return seen

    def _seen(self, stream: str) -> list[Record]:
        """Contacts without an address are anonymous, and are not listed."""
        rows = [seen for record in self.records.all(stream) if (seen := self.see(record)) and not seen.deleted]
        return [row for row in rows if stream != "contacts" or row.fields.get("email_address")]

    def _listed(self, request: Request, stream: str, rows: list[Record]) -> Response:
        by, order = request.first("sort_property", "id"), request.first("sort_order", "asc")
        if by not in ("id", "updated_at") or order not in ("asc", "desc"):
            raise _Refused(400, "Invalid sort")
        for name, values in request.query.items():
            if name.startswith("filter["):
                rows = _filtered(rows, stream, name[7:-1], values[0].split(","))
        rows.sort(key=lambda row: (row.modified if by == "updated_at" else 0.0, int(row.id)), reverse=order == "desc")
        after, begin = request.first("after"), 0
        if after:
            places = [place for place, row in enumerate(rows) if after in (row.id, _public(row))]
            if not places:
                raise _Refused(404, "Not found: Record missing")
            begin = places[0] + 1
        chosen = rows[begin : begin + PAGE]
        answer = Response.json([self._show(row) for row in chosen], rows=len(chosen))
        if begin + PAGE < len(rows):
            last = chosen[-1].id
            answer.headers["Pagination-Next"] = last
            answer.headers["Link"] = f'<{self.base_url}{request.path}?after={last}>; rel="next"'
        return answer

    # --- contacts ----------------------------------------------------------------------------------------------

    def _contact_of(self, request: Request) -> Fields:
        try:
            given = request.json()
        except BadJson:
            given = None
        contact = given.get("contact") if isinstance(given, dict) else None
        if not isinstance(contact, dict):
            raise _Refused(400, "param is missing or the value is empty: contact")
        if unknown := set(contact) - WRITABLE:
            raise _Refused(422, {name: ["is not permitted"] for name in sorted(unknown)})
        attributes = contact.get("custom_attributes") or {}
        if not isinstance(attributes, dict) or not all(isinstance(each, str | None) for each in attributes.values()):
            raise _Refused(422, {"custom_attributes": ["must be texts"]})
        return contact

    def _cleaned(self, contact: Fields) -> Fields:
        return self.normalise("contacts", contact)

    def normalise(self, stream: str, fields: Fields) -> Fields:
        mail = fields.get("email_address")
        if stream == "contacts" and isinstance(mail, str):
            return {**fields, "email_address": mail.strip().lower() or None}
        return fields

    def _add_contact(self, contact: Fields) -> Record:
        kept = self._cleaned(contact)
        if kept.get("email_address") and self._by_mail(kept["email_address"]):
            raise _Refused(422, {"email_address": ["has already been taken"]})
        return self.records.create("contacts", self.completed("contacts", kept), by="api")

    def _by_mail(self, mail: str) -> list[Record]:
        return self.records.lookup("contacts", "email", mail.lower())

    def _upsert(self, contact: Fields) -> Response:
        """By address. Empty values change nothing."""
        kept = self._cleaned(contact)
        if not kept.get("email_address"):
            raise _Refused(422, {"email_address": ["can't be blank"]})
        found = self._by_mail(kept["email_address"])
        if not found:
            return Response.json(self._show(self._add_contact(contact)), 201, rows=1)
        held = found[0].fields
        told = {name: value for name, value in kept.items() if value not in (None, "", [])}
        if "custom_attributes" in told:
            told["custom_attributes"] = {**(held.get("custom_attributes") or {}), **told["custom_attributes"]}
        return Response.json(self._show(self.records.update("contacts", found[0].id, told, by="api")), rows=1)

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream != "contacts":
            return fields
        blank = dict.fromkeys(
            ("anonymous", "email_address", "first_name", "last_name", "phone_number", "time_zone", "unsubscribed_at",
             "last_notification_email_sent_at", "fb_url", "twitter_url", "instagram_url", "linkedin_url",
             "website_url")
        )  # fmt: skip
        visits = {"first_visit": None, "last_visit": None, "last_visit_with_utm": None}
        return {**blank, "tags": [], "custom_attributes": {}, "visits": visits, **fields}

    def _show(self, row: Record) -> Fields:
        times = {"created_at": millis(row.created), "updated_at": millis(row.modified)}
        if row.stream == "endpoints":
            told = {name: value for name, value in row.fields.items() if name != "webhook_secret"}
            return {"id": int(row.id), "public_id": _public(row), **told, **times}
        own = {"id": int(row.id), "public_id": _public(row), "workspace_id": int(self.settings["workspace"])}
        if row.stream in ("courses", "enrollments"):
            del own["workspace_id"]
        kept = {name: value for name, value in row.fields.items() if name != "tag_ids"}
        return {**own, **kept, **times}

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _add_endpoint(self, request: Request) -> Response:
        try:
            given = request.json().get("webhooks_outgoing_endpoint") or {}
        except (BadJson, AttributeError):
            given = {}
        if not str(given.get("url", "")).startswith(("http://", "https://")) or not given.get("name"):
            raise _Refused(422, {"url": ["can't be blank"]})
        if not given.get("event_type_ids"):
            raise _Refused(422, {"event_type_ids": ["can't be blank"]})
        made = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.settings['seed']}{given['url']}{self.records.count('endpoints')}")
        secret = made.hex
        row = self.records.create("endpoints", {**given, "webhook_secret": secret}, by="api")
        topics = tuple(given["event_type_ids"])
        self.hooks.add(Target(url=given["url"], secret=secret, topics=topics, id=row.id))
        return Response.json({**self._show(row), "webhook_secret": secret}, 201, rows=1)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """Each is kept in the event log as well."""
        if record.stream not in TOPICS:
            return []
        verb = {"create": "created", "update": "updated", "delete": "deleted"}.get(change.kind)
        names = [f"{TOPICS[record.stream]}.{verb}"] if verb else []
        if record.stream == "contacts" and change.kind == "create" and record.fields.get("email_address"):
            names.append("contact.identified")
        if record.stream == "contacts" and change.changed.get("unsubscribed_at", (None, None))[1]:
            names.append("contact.unsubscribed")
        if record.stream == "enrollments" and change.changed.get("suspended", (None, None))[1]:
            names.append("courses/enrollment.suspended")
        if record.stream == "enrollments" and change.changed.get("completed_at", (None, None))[1]:
            names.append("courses/enrollment.course_completed")
        if record.stream == "orders" and change.kind == "create" and record.fields.get("billing_status") == "paid":
            names.append("order.completed")
        return [self._event(name, record, change) for name in names]

    def _event(self, name: str, record: Record, change: Change) -> HookEvent:
        number = self.records.count("events") + 1
        event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.settings['seed']}/{number}"))
        data = self._show(record)
        subject = {"subject_id": int(record.id), "subject_type": SUBJECTS[record.stream]}
        place = PLACE if record.stream in ("form_submissions", "orders") else dict.fromkeys(PLACE)
        kept = {"uuid": event_id, "event_type_id": name, **subject, "data": data, "api_version": 2, **place}
        self.records.create("events", kept, by="system")
        payload = {
            "event_id": event_id, "event_type": name, "api_version": 2,
            "workspace_id": int(self.settings["workspace"]), **subject, "created_at": millis(change.at), "page": None,
            "funnel": None, "page_id": None, "funnel_id": None, "data": data,
        }  # fmt: skip
        return HookEvent(topic=name, payload=payload, at=change.at, stream=record.stream, record_id=record.id)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body, at = orjson.dumps(events[0].payload), str(int(self.now()))
        headers = {
            "Content-Type": "application/json",
            "X-Webhook-ClickFunnels-Timestamp": at,
            "X-Webhook-ClickFunnels-Signature": signature(body, target.secret, at),
        }
        return body, headers

    def hook_accepted(self, status: int, body: bytes) -> bool:
        return status in DONE

    # --- people ------------------------------------------------------------------------------------------------

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def act_suspend(self, enrollment: str, reason: str = "") -> None:
        told = {"suspended": True, "suspension_reason": reason}
        self.records.update("enrollments", enrollment, told, by="user:1")

    def act_complete_course(self, enrollment: str) -> None:
        self.records.update("enrollments", enrollment, {"completed_at": millis(self.now())}, by="user:1")


def _public(row: Record) -> str:
    return hashlib.sha256(f"{row.stream}/{row.id}".encode()).hexdigest()[:6]


def _filtered(rows: list[Record], stream: str, name: str, wanted: list[str]) -> list[Record]:
    if name not in FILTERS.get(stream, set()):
        raise _Refused(400, f"Invalid filter: {name}")
    asked = {each.lower() for each in wanted}
    return [row for row in rows if str(row.id if name == "id" else row.fields.get(name) or "").lower() in asked]


def signature(body: bytes, secret: str, at: str) -> str:
    """Hex over ``<timestamp>.<body>`` (vendor docs, "Verifying webhook signatures")."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


COURSES = ("Baking", "Bookkeeping")


def sketch(pen: Sketch) -> None:
    """A third of the people came through a funnel: opt-ins, orders, courses, calls."""
    rng = pen.rng
    since = pen.now - 700 * 86_400
    for place, title in enumerate(COURSES):
        pen.add("courses", str(place + 1), since, {"title": title, "description": "", "published_at": millis(since)})
    taken: set[str] = set()
    counts = dict.fromkeys(("orders", "form_submissions", "enrollments", "appointments", "events"), 0)

    def act(stream: str, at: float, fields: Fields, first: int) -> None:
        counts[stream] += 1
        pen.add(stream, str(first + counts[stream]), float(int(at)), fields)

    for number, (person, view) in enumerate(pen.chosen(0.33)):
        mail = view.email.strip().lower()
        if mail in taken:
            continue
        taken.add(mail)
        contact, later = 500 + number, view.created + 3600
        visit = {"id": number + 1, "utm_source": rng.choice(("mail", "search")), "utm_campaign": "spring"}
        fields: Fields = {
            "email_address": mail,
            "first_name": view.first_name.strip(),
            "last_name": view.last_name.strip(),
            "phone_number": person.mobile if rng.random() < 0.5 else None,
            "visits": {"first_visit": visit, "last_visit": None, "last_visit_with_utm": None},
            "unsubscribed_at": millis(view.created + 60) if person.opted_out and rng.random() < 0.5 else None,
        }
        pen.add("contacts", str(contact), view.created, fields, modified=view.modified, person=person)
        act("form_submissions", view.created, {"page_id": 7, "contact_id": contact, "data": {"email": mail}}, 9000)
        told = {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, mail)), "event_type_id": "form_submission.created",
            "subject_id": 9000 + counts["form_submissions"], "subject_type": "FormSubmission",
            "data": {"contact_id": contact}, "api_version": 1, **PLACE,
        }  # fmt: skip
        act("events", view.created, told, 0)
        if rng.random() < 0.5:
            status = rng.choices(("paid", "refunded", "unpaid", "voided"), (80, 8, 8, 4))[0]
            order = {
                "order_number": str(1000 + number), "contact_id": contact, "live_mode": True,
                "total_amount": rng.choice(("97.00", "297.00", "19.90")), "currency": "EUR",
                "order_type": "one-time-order", "billing_status": status, "service_status": "completed",
                "funnel_name": "Spring", "activated_at": millis(later),
                "canceled_at": millis(later) if status == "voided" else None,
            }  # fmt: skip
            act("orders", later, order, 8000)
        if rng.random() < 0.3:
            enrolled = {"contact_id": contact, "course_id": rng.choice((1, 2)), "suspended": rng.random() < 0.1}
            act("enrollments", later, {**enrolled, "suspension_reason": None}, 7000)
        if rng.random() < 0.3:
            begins = later + 86_400
            person_there = {"id": contact, "email_address": mail, "first_name": view.first_name.strip()}
            call = {
                "event_type": {"name": "Call"}, "status": rng.choice(("scheduled", "completed", "canceled")),
                "start_on": millis(begins), "end_on": millis(begins + 1800), "max_invitees": 1, "order_id": None,
                "primary_contact": person_there, "tzid": "Berlin", "comments": None,
            }  # fmt: skip
            act("appointments", later, call, 6000)


def make(**options: Json) -> TwinClickfunnels:
    return TwinClickfunnels(**options)


TWIN = make
