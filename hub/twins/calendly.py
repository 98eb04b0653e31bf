"""Calendly (API v2): event types, scheduled events with their invitees, and webhook subscriptions of one organization.

Options of `make` beside the kit's: `role` (owner, user: a plain member sees his own events only), `plan` (paid; free:
no webhooks). People book by ``user_create("invitees", {"email", "name", "start_time", "event_type"...})`` or, into
an event that is there, with `event`; `act_cancel`, `act_move`, `act_no_show` and `act_come` are the rest of the story.
Erasing somebody (`user_delete`) leaves no trace, as the vendor's data deletion does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.shapes import micros, seconds_of

Json = Any

API = "https://api.calendly.com"  # ids are URIs on this host, wherever the twin listens
ORGANIZATION, USER = f"{API}/organizations/ORG1", f"{API}/users/USER1"
CALLS, PER_S = {"paid": 500, "free": 50}, 60.0  # per user ("Rate limits")
COUNT_DEFAULT, COUNT_MAX = 20, 100
EVENTS = {
    "invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted",
    "routing_form_submission.created",
}  # fmt: skip
TITLES = {
    400: "Invalid Argument", 401: "Unauthenticated", 403: "Permission Denied", 404: "Resource Not Found",
    409: "Already Exists", 500: "Internal Server Error",
}  # fmt: skip
LISTED = {
    "scheduled_events": {"organization", "user", "invitee_email", "status", "sort", "min_start_time", "max_start_time"},
    "invitees": {"status", "sort", "email"},
    "event_types": {"organization", "user", "active", "sort"},
    "webhook_subscriptions": {"organization", "user", "scope", "sort"},
}
CONNECTION: dict[str, Json] = {}


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, message: str, *details: tuple[str, str]) -> None:
        super().__init__(message)
        body: Fields = {"title": TITLES[status], "message": message}
        if details:
            body["details"] = [{"parameter": name, "message": text} for name, text in details]
        self.response = Response.json(body, status)


def _wrong(parameter: str, text: str) -> _Refused:
    return _Refused(400, "The supplied parameters are invalid.", (parameter, text))


class TwinCalendly(Twin):
    """One organization."""

    name = "calendly"
    streams: ClassVar[Sequence[str]] = ("event_types", "scheduled_events", "invitees")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"role": "owner", "plan": "paid", **options})
        self.records.add_index("invitees", "event", lambda fields: [str(fields["event"])])
        self._begin_state()

    def _begin_state(self) -> None:
        calls = CALLS[self.settings["plan"]] * float(self.settings["limit_scale"])
        self._window = Window(int(calls), PER_S)
        self._made = 0
        self.subscriptions: dict[str, Fields] = {}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return round(at, 6)

    def new_id(self, stream: str) -> str:
        self._made += 1
        return hashlib.sha256(f"{self.settings['seed']}/{stream}/{self._made}".encode()).hexdigest()[:16].upper()

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.strip("/").split("/")
        noun = parts[2] if len(parts) > 2 else parts[0]
        return f"{request.method.lower()} {noun}", request.method not in ("GET", "HEAD")

    def unauthorised(self, request: Request) -> Response:
        return _Refused(401, "The access token is invalid").response

    def limit(self, request: Request) -> Response | None:
        return self.refuse_for(request, None) if self._window.take(self.now()) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """The wait stands in X-RateLimit-Reset; there is no Retry-After."""
        left = PER_S if retry_after_s is None else retry_after_s
        self.throttled_until = max(self.throttled_until, self.now() + left)
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(max(1, round(left)))}
        return Response.json({"title": "Too Many Requests", "message": "Rate limit exceeded"}, 429, headers)

    def failed(self, request: Request) -> Response:
        return _Refused(500, "The server encountered an unexpected condition.").response

    def finish(self, request: Request, response: Response) -> Response:
        shown = {"X-RateLimit-Limit": self._window.calls, "X-RateLimit-Reset": int(PER_S)}
        shown["X-RateLimit-Remaining"] = self._window.remaining(self.now())
        response.headers = {**{name: str(value) for name, value in shown.items()}, **response.headers}
        return response

    def route(self, request: Request) -> Response:
        try:
            return self._answer_to(request)
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["users", "me" | "USER1"]:
                return Response.json({"resource": self._me()})
            case "GET", ["event_types"]:
                self._require_owner(request)
                return self._listed(request, "event_types", self._seen("event_types"))
            case "GET", ["scheduled_events"]:
                return self._events(request)
            case "GET", ["scheduled_events", event]:
                return Response.json({"resource": self._show_event(self._record("scheduled_events", event))}, rows=1)
            case "POST", ["scheduled_events", event, "cancellation"]:
                return self._cancel_event(self._record("scheduled_events", event), self._body(request))
            case "GET", ["scheduled_events", event, "invitees"]:
                return self._invitees(request, self._record("scheduled_events", event))
            case "GET", ["scheduled_events", event, "invitees", invitee]:
                found = self._record("invitees", invitee)
                if found.fields["event"] != event:
                    raise _Refused(404, "The server could not find the requested resource.")
                return Response.json({"resource": show_invitee(found)}, rows=1)
            case "POST", ["invitee_no_shows"]:
                return self._mark(self._body(request))
            case "DELETE", ["invitee_no_shows", mark]:
                return self._unmark(mark)
            case method, ["webhook_subscriptions", *rest]:
                return self._subscription(method, rest, request)
        raise _Refused(404, "The server could not find the requested resource.")

    def _body(self, request: Request) -> Fields:
        try:
            found = request.json()
        except BadJson:
            found = None
        if not isinstance(found, dict):
            raise _wrong("body", "must be an object")
        return found

    def _me(self) -> Fields:
        return {
            "uri": USER,
            "name": "Twin Owner",
            "slug": "twin-owner",
            "email": "owner@example.com",
            "timezone": "Europe/Berlin",
            "scheduling_url": "https://calendly.com/twin-owner",
            "current_organization": ORGANIZATION,
            "created_at": "2024-01-02T03:04:05.092125Z",
            "updated_at": "2024-01-02T03:04:05.092125Z",
        }

    def _record(self, stream: str, record_id: str) -> Record:
        record = self.records.find(stream, record_id)
        seen = self.see(record) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, "The server could not find the requested resource.")
        return seen

    def _seen(self, stream: str) -> list[Record]:
        return [seen for record in self.records.all(stream) if (seen := self.see(record)) and not seen.deleted]

    # --- lists -------------------------------------------------------------------------------------------------

    def _require_owner(self, request: Request) -> None:
        organization, user = request.first("organization"), request.first("user")
        if not organization and not user:
            raise _wrong("organization", "organization or user must be given")
        if organization not in ("", ORGANIZATION) or user not in ("", USER):
            raise _Refused(403, "You do not have permission to access this resource.")
        if organization and not user and self.settings["role"] != "owner":
            raise _Refused(403, "You do not have permission")

    def _events(self, request: Request) -> Response:
        self._require_owner(request)
        status, mail = _status(request), request.first("invitee_email").lower()
        least, most = _moment(request, "min_start_time"), _moment(request, "max_start_time")
        rows = []
        for row in self._seen("scheduled_events"):
            start = seconds_of(row.fields["start_time"])
            people = self.records.lookup("invitees", "event", row.id)
            if (
                (not status or row.fields["status"] == status)
                and (least is None or start >= least)
                and (most is None or start <= most)
                and (not mail or any(str(each.fields["email"]).lower() == mail for each in people))
            ):
                rows.append(row)
        rows.sort(key=lambda row: (row.fields["start_time"], row.id), reverse=_descends(request, "start_time"))
        return self._listed(request, "scheduled_events", rows)

    def _invitees(self, request: Request, event: Record) -> Response:
        status, mail = _status(request), request.first("email").lower()
        rows = [
            seen
            for record in self.records.lookup("invitees", "event", event.id)
            if (seen := self.see(record)) is not None
            and (not status or seen.fields["status"] == status)
            and (not mail or str(seen.fields["email"]).lower() == mail)
        ]
        rows.sort(key=lambda row: (row.created, row.id), reverse=_descends(request, "created_at"))
        return self._listed(request, "invitees", rows)

    def _listed(self, request: Request, kind: str, rows: list[Record]) -> Response:
        """A page. Its token is good with the very filters that it was given out for."""
        if unknown := set(request.query) - LISTED[kind] - {"count", "page_token"}:
            raise _wrong(min(unknown), "is not permitted")
        text = request.first("count", str(COUNT_DEFAULT))
        if not text.isdecimal() or not 1 <= int(text) <= COUNT_MAX:
            raise _wrong("count", f"must be between 1 and {COUNT_MAX}")
        count, token = int(text), request.first("page_token")
        filters = sorted((name, values) for name, values in request.query.items() if name != "page_token")
        mark = hashlib.sha256(repr((request.path, filters)).encode()).hexdigest()[:12]
        begin = _begin(token, mark, [row.id for row in rows])
        chosen = rows[begin : begin + count]
        more = begin + count < len(rows)
        given = _token(mark, chosen[-1].id) if more else None
        show = {"invitees": show_invitee, "scheduled_events": self._show_event}.get(kind, show_type)
        query = request.target.partition("?")[2]
        kept = "&".join(part for part in query.split("&") if part and not part.startswith("page_token="))
        pagination = {
            "count": len(chosen),
            "next_page": f"{API}{request.path}?{kept}&page_token={given}" if given else None,
            "previous_page": None,
            "next_page_token": given,
            "previous_page_token": None,
        }
        return Response.json({"collection": [show(row) for row in chosen], "pagination": pagination}, rows=len(chosen))

    def _show_event(self, row: Record) -> Fields:
        people = self.records.lookup("invitees", "event", row.id)
        active = sum(each.fields["status"] == "active" for each in people)
        shown = {
            "uri": f"{API}/scheduled_events/{row.id}",
            **row.fields,
            "invitees_counter": {"total": len(people), "active": active, "limit": row.fields["limit"]},
            "created_at": micros(row.created),
            "updated_at": micros(row.modified),
        }
        del shown["limit"]
        return shown

    # --- writes ------------------------------------------------------------------------------------------------

    def _cancel_event(self, event: Record, body: Fields) -> Response:
        if event.fields["status"] == "canceled":
            raise _Refused(403, "Event is already canceled")
        note = self._note(str(body.get("reason") or ""), "host")
        self.records.update("scheduled_events", event.id, {"status": "canceled", "cancellation": note}, by="api")
        for each in self.records.lookup("invitees", "event", event.id):
            self.records.update("invitees", each.id, {"status": "canceled", "cancellation": note}, by="api")
        return Response.json({"resource": note}, 201)

    def _note(self, reason: str, who: str) -> Fields:
        return {"canceled_by": "Twin Owner", "reason": reason, "canceler_type": who, "created_at": micros(self.now())}

    def _mark(self, body: Fields) -> Response:
        invitee = self._record("invitees", str(body.get("invitee", "")).rpartition("/")[2])
        if seconds_of(self.records.get("scheduled_events", invitee.fields["event"]).fields["start_time"]) > self.now():
            raise _Refused(403, "The event has not begun")
        return Response.json({"resource": self.act_no_show(invitee.id)}, 201)

    def _unmark(self, mark: str) -> Response:
        for record in self.records.all("invitees"):
            if (record.fields.get("no_show") or {}).get("uri", "").endswith(f"/{mark}"):
                self.act_come(record.id)
                return Response(status=204)
        raise _Refused(404, "The server could not find the requested resource.")

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _subscription(self, method: str, rest: list[str], request: Request) -> Response:
        if self.settings["plan"] == "free":
            raise _Refused(403, "Please upgrade your Calendly account to Standard")
        if method == "POST" and not rest:
            return self._subscribe(self._body(request))
        if method == "GET" and not rest:
            if request.first("organization") != ORGANIZATION or request.first("scope") not in ("organization", "user"):
                raise _wrong("scope", "organization and scope must be given")
            found = [each for each in self.subscriptions.values() if each["scope"] == request.first("scope")]
            pagination = {"count": len(found), "next_page": None, "next_page_token": None}
            return Response.json({"collection": [_show_hook(each) for each in found], "pagination": pagination})
        if len(rest) != 1 or rest[0] not in self.subscriptions:
            raise _Refused(404, "The server could not find the requested resource.")
        if method == "DELETE":
            self.hooks.remove(rest[0])
            del self.subscriptions[rest[0]]
            return Response(status=204)
        return Response.json({"resource": _show_hook(self.subscriptions[rest[0]])})

    def _subscribe(self, body: Fields) -> Response:
        url, events, scope = body.get("url"), body.get("events"), body.get("scope")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise _wrong("url", "must be a valid URI")
        if not isinstance(events, list) or not events or not set(map(str, events)) <= EVENTS:
            raise _wrong("events", "must be a list of known events")
        if body.get("organization") != ORGANIZATION:
            raise _wrong("organization", "must be given")
        if scope not in ("organization", "user") or (scope == "user" and body.get("user") != USER):
            raise _wrong("scope", "must be organization or user, with user")
        if any((each["callback_url"], each["scope"]) == (url, scope) for each in self.subscriptions.values()):
            raise _Refused(409, "Hook with this url already exists")
        hook_id, now = self.new_id("webhook_subscriptions"), micros(self.now())
        hook = {
            "uri": f"{API}/webhook_subscriptions/{hook_id}", "callback_url": url, "state": "active",
            "retry_started_at": None, "events": events, "scope": scope, "organization": ORGANIZATION,
            "user": body.get("user"), "creator": USER, "created_at": now, "updated_at": now,
        }  # fmt: skip
        self.subscriptions[hook_id] = hook
        secret = str(body.get("signing_key") or "")
        self.hooks.add(Target(url=url, secret=secret, topics=tuple(map(str, events)), id=hook_id))
        return Response.json({"resource": _show_hook(hook)}, 201)

    def act_disable_webhooks(self) -> None:
        """What a day of failures does: they stay there, disabled, and nothing is sent any more."""
        for hook_id, hook in self.subscriptions.items():
            hook.update(state="disabled", retry_started_at=micros(self.now() - 86_400))
            self.hooks.remove(hook_id)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        if record.stream != "invitees":
            return []
        topic, payload = "", {}
        if change.kind == "create":
            topic, payload = "invitee.created", self._told(record)
        elif change.changed.get("status", (None, None))[1] == "canceled":
            topic, payload = "invitee.canceled", self._told(record)
        elif "no_show" in change.changed:
            old, new = change.changed["no_show"]
            mark = new or old
            topic = f"invitee_no_show.{'created' if new else 'deleted'}"
            payload = {**mark, "invitee": show_invitee(record)["uri"]}
        if not topic:
            return []
        body = {"event": topic, "created_at": micros(change.at), "created_by": USER, "payload": payload}
        return [HookEvent(topic=topic, payload=body, at=change.at, stream="invitees", record_id=record.id)]

    def _told(self, record: Record) -> Fields:
        event = self.records.get("scheduled_events", record.fields["event"])
        return {**show_invitee(record), "scheduled_event": self._show_event(event)}

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        body = orjson.dumps(events[0].payload)
        headers = {"Content-Type": "application/json", "User-Agent": "Calendly"}
        if target.secret:
            headers["Calendly-Webhook-Signature"] = signature(body, target.secret, int(self.now()))
        return body, headers

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "event_types":
            known = {"name": "Call", "slug": "call", "duration": 30, "kind": "solo", "active": True}
            return {**known, "custom_questions": [], **fields}
        if stream == "scheduled_events":
            member = {"user": USER, "user_email": "owner@example.com", "user_name": "Twin Owner"}
            return {
                "name": "Call", "status": "active", "event_type": f"{API}/event_types/TYPE1", "location": None,
                "event_memberships": [member], "event_guests": [], "calendar_event": None, "limit": 1,
                "meeting_notes_plain": None, **fields,
            }  # fmt: skip
        blank = dict.fromkeys(
            ("first_name", "last_name", "text_reminder_number", "old_invitee", "new_invitee", "payment", "no_show",
             "reconfirmation", "routing_form_submission", "cancellation")
        )  # fmt: skip
        tracking = dict.fromkeys(
            ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
        )
        given = {"status": "active", "timezone": "Europe/Berlin", "questions_and_answers": [], "rescheduled": False}
        return {**blank, **given, **fields, "tracking": {**tracking, **(fields.get("tracking") or {})}}

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Book: with `event` into an event that is there, else into one of its own at `start_time` (in a day)."""
        if stream != "invitees":
            return super().user_create(stream, fields, by)
        with self.lock:
            given = dict(fields)
            start = given.pop("start_time", None) or micros(self.now() + 86_400)
            kind = given.pop("event_type", "Call")
            if "event" not in given:
                ends = micros(seconds_of(start) + 1800)
                event = {"name": kind, "start_time": start, "end_time": ends}
                given["event"] = super().user_create("scheduled_events", event, by)
            return super().user_create("invitees", given, by)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        """Erased: without a trace, and without a webhook. Raises ValueError for what cannot be erased."""
        if stream != "invitees":
            raise ValueError("only invitees are erased")
        with self.lock:
            self.records.purge(stream, record_id)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def act_cancel(self, invitee: str, reason: str = "", rescheduled: bool = False, new: str | None = None) -> None:
        """The invitee calls it off; the event goes on if others are left, and then does not change."""
        record = self.records.get("invitees", invitee)
        gone = {"status": "canceled", "cancellation": self._note(reason, "invitee"), "rescheduled": rescheduled}
        self.records.update("invitees", invitee, {**gone, "new_invitee": new}, by="user:1")
        event = record.fields["event"]
        left = [each for each in self.records.lookup("invitees", "event", event) if each.fields["status"] == "active"]
        if not left:
            self.records.update("scheduled_events", event, {"status": "canceled"}, by="user:1")

    def act_move(self, invitee: str, start_time: str) -> str:
        """To another time: a new booking, and the old one called off for it."""
        record = self.records.get("invitees", invitee)
        kept = ("email", "name", "first_name", "last_name", "timezone", "questions_and_answers", "tracking")
        old = show_invitee(record)["uri"]
        told = {name: record.fields[name] for name in kept}
        made = self.user_create("invitees", {**told, "old_invitee": old, "start_time": start_time})
        self.act_cancel(invitee, rescheduled=True, new=show_invitee(self.records.get("invitees", made))["uri"])
        return made

    def act_no_show(self, invitee: str) -> Fields:
        mark = {"uri": f"{API}/invitee_no_shows/{self.new_id('no_shows')}", "created_at": micros(self.now())}
        self.records.update("invitees", invitee, {"no_show": mark}, by="user:1")
        return {**mark, "invitee": show_invitee(self.records.get("invitees", invitee))["uri"]}

    def act_come(self, invitee: str) -> None:
        self.records.update("invitees", invitee, {"no_show": None}, by="user:1")


def show_invitee(row: Record) -> Fields:
    event = f"{API}/scheduled_events/{row.fields['event']}"
    return {
        **row.fields,
        "uri": f"{event}/invitees/{row.id}",
        "event": event,
        "cancel_url": f"https://calendly.com/cancellations/{row.id}",
        "reschedule_url": f"https://calendly.com/reschedulings/{row.id}",
        "created_at": micros(row.created),
        "updated_at": micros(row.modified),
    }


def show_type(row: Record) -> Fields:
    stamps = {"created_at": micros(row.created), "updated_at": micros(row.modified)}
    return {"uri": f"{API}/event_types/{row.id}", **row.fields, **stamps}


def _show_hook(hook: Fields) -> Fields:
    return dict(hook)


def _status(request: Request) -> str:
    status = request.first("status")
    if status not in ("", "active", "canceled"):
        raise _wrong("status", "must be active or canceled")
    return status


def _descends(request: Request, field: str) -> bool:
    sort = request.first("sort", f"{field}:asc")
    if sort not in (f"{field}:asc", f"{field}:desc"):
        raise _wrong("sort", f"must be {field}:asc or {field}:desc")
    return sort.endswith("desc")


def _moment(request: Request, name: str) -> float | None:
    text = request.first(name)
    try:
        return seconds_of(text) if text else None
    except ValueError:
        raise _wrong(name, "must be a time in UTC") from None


def _token(mark: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{mark}/{last}".encode()).decode().rstrip("=")


def _begin(token: str, mark: str, ids: list[str]) -> int:
    """Where the page of a token begins: behind the last row of the one before, wherever that stands now."""
    if not token:
        return 0
    try:
        known, _, last = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("/")
    except ValueError:
        known, last = "", ""
    if known != mark:
        raise _wrong("page_token", "is invalid")
    return ids.index(last) + 1 if last in ids else len(ids)


def signature(body: bytes, secret: str, at: int) -> str:
    """``t=<seconds>,v1=<hex>`` over ``<t>.<body>`` (vendor docs, "Webhook signatures")."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


QUESTION = "Company?"
TYPES = ("Intro call", "Demo", "Support call")


def sketch(pen: Sketch) -> None:
    """Two in five people booked once or several times; some called it off or did not come."""
    rng = pen.rng
    since = pen.now - 700 * 86_400
    for place, name in enumerate(TYPES):
        question = {"name": QUESTION, "type": "string", "position": 0, "enabled": True, "required": False}
        pen.add("event_types", f"TYPE{place + 1}", since, {"name": name, "custom_questions": [question]})
    for person, view in pen.chosen(0.4):
        for number in range(rng.randrange(1, 5)):
            booked = float(int(rng.uniform(view.created, pen.now - 2 * 86_400)))
            begins, token = booked + rng.randrange(1, 20) * 86_400, f"{person.id}{number}".upper()
            event, invitee = f"EV{token}", f"IN{token}"
            kind = rng.choice(TYPES)
            times = {"start_time": micros(begins), "end_time": micros(begins + 1800)}
            cancelled = rng.random() < 0.15
            note = {"canceled_by": person.first_name, "reason": "", "canceler_type": "invitee"}
            fields: Fields = {
                "event": event,
                "email": view.email.strip(),
                "name": f"{view.first_name.strip()} {view.last_name.strip()}",
                "text_reminder_number": person.mobile if rng.random() < 0.4 else None,
                "tracking": {"utm_campaign": rng.choice(("spring", "autumn")), "utm_source": "mail"},
                "status": "canceled" if cancelled else "active",
                "cancellation": {**note, "created_at": micros(booked + 3600)} if cancelled else None,
            }
            if view.company_name:
                answer = {"question": QUESTION, "answer": view.company_name, "position": 0}
                fields["questions_and_answers"] = [answer]
            if not cancelled and begins < pen.now and rng.random() < 0.2:
                mark = f"{API}/invitee_no_shows/NS{token}"
                fields["no_show"] = {"uri": mark, "created_at": micros(begins + 3600)}
            pen.add("scheduled_events", event, booked, {"name": kind, **times})
            uri = f"{API}/scheduled_events/{event}/invitees/{invitee}"
            pen.add("invitees", invitee, booked, fields, person=person, external_id=uri)


# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {
    "invitees": {
        "edit": {"action": "cancel", "arguments": {"invitee": "$id", "reason": "no time"}},
        "add": {"event": None, "cancellation": None, "status": "active"},
        "restore": {"no": "who was erased does not come back"},
        "aside": ["scheduled_event"],  # it counts its invitees
    }
}


def make(**options: Json) -> TwinCalendly:
    return TwinCalendly(**options)


TWIN = make
