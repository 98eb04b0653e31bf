"""Calendly (API v2), on the hub's door: who booked which time, called it off, moved it or did not come. Read only.

Docs: Calendly developer pages, "API reference", "Rate limits", "Webhook signatures", "Webhook errors".

A record is an invitee with the event that was booked beside it (`scheduled_event`, as webhooks have it), since several
people may book one event, and each may cancel alone. Its answers are listed by question: `{answer: "Company?"}`.

There is no "changed since". A first read goes through all events. Later ones go through those that begin from a week
ago on, however far ahead, and ask for the people of an event only if it changed since the last read. Once a day all of
that window's people are read, whatever the events say: an event need not change when one of several people cancels, or
when somebody is marked as not having come. Webhooks tell of cancellations at once.

Moving a booking is two records: the old one cancelled with `rescheduled`, and a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from hub.connector import (
    Auth,
    Connector,
    Door,
    Field,
    HttpResponse,
    Page,
    RateLimit,
    Setting,
    Settings,
    Stream,
    WebhookEvent,
    WebhookRequest,
)
from hub.errors import ConfigFault, Fault, NeedsReview, RecordRejected
from hub.kit.paging import require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.kit.signing import require_dated_signature, secrets_of, signature_parts
from hub.model import Json, SourceRecord

PAGE = 100  # most entries of a list (API reference: count)
BEHIND_S = 7 * 86_400.0  # how long after its beginning an event is still looked at
OVERLAP_S = 300.0  # how far a read goes back behind the last one
ALL_EVERY_S = 86_400.0  # how often all people of the window are read
TOLERANCE_S = 180.0  # age of a signature ("Webhook signatures": three minutes)
EVENTS = ("invitee.created", "invitee.canceled")  # API reference, webhook subscriptions; others may not be offered
SCOPES = ("organization", "user")
_INVITEE = re.compile(r"https://api\.calendly\.com/scheduled_events/([\w-]{1,80})/invitees/([\w-]{1,80})")
_EVENT = re.compile(r"https://api\.calendly\.com/scheduled_events/([\w-]{1,80})")


@dataclass(slots=True)
class CalendlyApi:
    """What `connect` hands out. Who we are is asked for once."""

    door: Door
    scope: str  # organization: all its events, for owners and admins; user: one's own
    key: str  # that Calendly is asked to sign with; "" if none is set
    _me: dict[str, Json] = field(default_factory=dict)

    def me(self) -> Mapping[str, Json]:
        if not self._me:
            answer = self.door.request("GET", "/users/me", operation="me").json()
            self._me.update(answer["resource"])
        return self._me

    def whose(self) -> dict[str, Json]:
        """The parameter that says whose events are meant."""
        if self.scope == "user":
            return {"user": self.me()["uri"]}
        return {"organization": self.me()["current_organization"]}


def connect(door: Door, settings: Settings) -> CalendlyApi:
    """Raises ConfigFault for a scope that is none."""
    scope = settings.values.get("scope") or SCOPES[0]
    if scope not in SCOPES:
        fault = Fault(code="CFG-SCOPE", where=door.account, message=f"{scope} is no scope", fix=f"one of: {SCOPES}")
        raise ConfigFault([fault])
    return CalendlyApi(door=door, scope=scope, key=settings.webhooks.get("secret", ""))


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: CalendlyApi, stream: str, cursor: Json) -> Page:
    """The people of one page of events.

    Cursor at rest: {"since": epoch s of the last read less its overlap, "all_at": when all people were last read}.
    Under way also {"next": path of the next page, "started": epoch s, "all": whether all people are read}.
    """
    at: dict[str, Json] = {"since": None, "all_at": None, **(cursor or {})}
    if "next" in at:
        answer = api.door.request("GET", at["next"], operation="events")
    else:
        answer = api.door.request("GET", "/scheduled_events", operation="events", params=_window(api, at))
        at["started"] = answer.at
        at["all"] = at["all_at"] is None or answer.at - at["all_at"] >= ALL_EVERY_S
    found = answer.json()
    events, faults = read_rows(found["collection"], _event, id_key="uri")
    records: list[SourceRecord] = []
    for event in events:
        if at["all"] or (event.stamp or 0.0) >= at["since"]:
            people, unread = _invitees(api, event)
            records += people
            faults += unread
    following = (found.get("pagination") or {}).get("next_page")
    if following:
        path = require_progress(at.get("next"), _path_of(following), where=f"{api.door.account}/{stream}")
        going_on = {**at, "next": path}
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=at["started"])
    rest = {"since": rest_at(at["started"], OVERLAP_S), "all_at": at["started"] if at["all"] else at["all_at"]}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=at["started"])


def _window(api: CalendlyApi, at: Mapping[str, Json]) -> dict[str, Json]:
    begin = None if at["since"] is None else to_iso(api.door.vendor_now() - BEHIND_S, digits=6)
    return {**api.whose(), "count": PAGE, "sort": "start_time:asc", "min_start_time": begin}


def _path_of(url: str) -> str:
    """A further page is followed as it was given; parameters put together anew were refused (ruby client, issue 24)."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def _event(row: dict[str, Json]) -> SourceRecord:
    uri = row["uri"]
    if not _EVENT.fullmatch(uri):
        raise ValueError("no URI of an event")
    return SourceRecord(external_id=uri, data=row, stamp=parse_time(row["updated_at"]))


def _invitees(api: CalendlyApi, event: SourceRecord) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Everybody of an event, those who cancelled too."""
    records, faults = [], []
    path = f"{urlsplit(event.external_id).path}/invitees?count={PAGE}&sort=created_at%3Aasc"
    while True:
        found = api.door.request("GET", path, operation="invitees").json()
        some, unread = read_rows(found["collection"], lambda row: _record(row, event), id_key="uri")
        records += some
        faults += unread
        following = (found.get("pagination") or {}).get("next_page")
        if not following:
            return records, faults
        path = require_progress(path, _path_of(following), where=f"{api.door.account}/{event.external_id}")


def _record(row: dict[str, Json], event: SourceRecord) -> SourceRecord:
    """An invitee as it came, its event, and its answers in the form that mappings know."""
    if not _INVITEE.fullmatch(row["uri"]):
        raise ValueError("no URI of an invitee")
    answers = [
        {"field": {"ref": each.get("question"), "id": str(each.get("position")), "type": "text"}, "type": "text",
         "text": each.get("answer")}
        for each in row.get("questions_and_answers") or ()
    ]  # fmt: skip
    data = {**row, "scheduled_event": event.data, "answers": answers}
    stamp = max(parse_time(row["updated_at"]), event.stamp or 0.0)
    return SourceRecord(external_id=row["uri"], data=data, stamp=stamp)


def fetch(api: CalendlyApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Invitees by their URI: two calls each, one for each event. Erased ones come as deleted."""
    events: dict[str, SourceRecord] = {}
    found: list[SourceRecord] = []
    for uri in dict.fromkeys(ids):
        parts = _INVITEE.fullmatch(uri)
        if parts is None:
            continue
        answer = api.door.request("GET", urlsplit(uri).path, operation="fetch", expect=(404,))
        if answer.status == 404:
            found.append(SourceRecord(external_id=uri, data={}, op="delete"))
            continue
        if parts[1] not in events:
            event = api.door.request("GET", f"/scheduled_events/{parts[1]}", operation="fetch").json()
            events[parts[1]] = _event(event["resource"])
        found.append(_record(answer.json()["resource"], events[parts[1]]))
    return found


def find(api: CalendlyApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Invitees by URI only."""
    if name != "uri":
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="CALENDLY-LOOKUP", where=api.door.account)
    return fetch(api, stream, [value])


# --- the account -------------------------------------------------------------------------------------------------


def check(api: CalendlyApi) -> dict[str, Json]:
    """Whose account it is; whether its webhooks still come: after a day of failures Calendly stops them for good."""
    me = api.me()
    warnings = [] if api.key else ["webhooks.secret is not set: changes come only by polling"]
    answer = api.door.request("GET", "/webhook_subscriptions", operation="hooks", params=_hooks(api), expect=(403,))
    if answer.status == 403:
        warnings.append("this account may not have webhooks (they need a paid plan and the scope webhooks:read)")
    else:
        disabled = [hook for hook in answer.json()["collection"] if hook.get("state") == "disabled"]
        warnings += [f"the webhook to {urlsplit(each['callback_url']).hostname} was disabled" for each in disabled]
    return {"account": me["current_organization"], "name": me["name"], "warnings": warnings}


def _hooks(api: CalendlyApi) -> dict[str, Json]:
    me = api.me()
    mine = {"user": me["uri"]} if api.scope == "user" else {}
    return {"organization": me["current_organization"], "scope": api.scope, "count": PAGE, **mine}


_FIELDS = (
    ("uri", "Invitee", "text"), ("email", "E-mail", "email"), ("name", "Name", "text"),
    ("first_name", "First name", "text"), ("last_name", "Last name", "text"), ("status", "Status", "enum"),
    ("timezone", "Time zone", "text"), ("created_at", "Booked at", "instant"),
    ("updated_at", "Changed at", "instant"), ("text_reminder_number", "Number for reminders", "phone"),
    ("rescheduled", "Moved", "boolean"), ("old_invitee", "Booking before", "text"),
    ("new_invitee", "Booking after", "text"), ("cancellation.created_at", "Cancelled at", "instant"),
    ("cancellation.reason", "Reason", "text"), ("no_show.created_at", "Marked as not come at", "instant"),
    ("payment.amount", "Paid", "decimal"), ("payment.currency", "Currency", "text"),
    ("tracking.utm_campaign", "utm_campaign", "text"), ("tracking.utm_source", "utm_source", "text"),
    ("tracking.utm_medium", "utm_medium", "text"), ("tracking.utm_content", "utm_content", "text"),
    ("tracking.utm_term", "utm_term", "text"), ("scheduled_event.name", "Event", "text"),
    ("scheduled_event.start_time", "Begins", "instant"), ("scheduled_event.end_time", "Ends", "instant"),
    ("scheduled_event.status", "Status of the event", "enum"),
    ("scheduled_event.event_memberships.0.user_email", "Host's e-mail", "email"),
    ("scheduled_event.location.join_url", "Link to the call", "url"),
    ("scheduled_event.location.location", "Place", "text"),
)  # fmt: skip
_OPTIONS = {"status": ("active", "canceled"), "scheduled_event.status": ("active", "canceled")}


def discover(api: CalendlyApi, stream: str) -> list[Field]:
    """The documented fields, and the questions of all event types."""
    fixed = [
        Field(name=name, label=label, type=kind, writable=False, options=_OPTIONS.get(name, ()))
        for name, label, kind in _FIELDS
    ]
    asked: dict[str, Field] = {}
    answer = api.door.request("GET", "/event_types", operation="discover", params={**api.whose(), "count": PAGE})
    while True:
        found = answer.json()
        for question in (each for kind in found["collection"] for each in kind.get("custom_questions") or ()):
            name = f"answer:{question['name']}"
            asked.setdefault(name, Field(name=name, label=question["name"], type="text", writable=False, custom=True))
        following = (found.get("pagination") or {}).get("next_page")
        if not following:
            return [*fixed, *asked.values()]
        answer = api.door.request("GET", _path_of(following), operation="discover")


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "calendly webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``Calendly-Webhook-Signature: t=<seconds>,v1=<hex>`` over ``<t>.<body>``, at most three minutes old."""
    stamp, given = signature_parts(request.headers.get("calendly-webhook-signature", ""))
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_dated_signature(stamp, given, request, secrets, tolerance_s=TOLERANCE_S, where=WHERE)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which invitee to read. Raises RecordRejected if the body is none of Calendly's."""
    try:
        told = orjson.loads(request.body)
        kind, payload = str(told["event"]), told["payload"]
        if not kind.startswith(("invitee.", "invitee_no_show.")):
            return ()
        uri = payload["uri"] if kind.startswith("invitee.") else payload["invitee"]
        if not _INVITEE.fullmatch(uri):
            raise ValueError("no URI of an invitee")
        key = f"{kind}:{payload['uri']}:{told['created_at']}"  # no event id is sent
        at = parse_time(payload["updated_at"]) if payload.get("updated_at") and uri == payload["uri"] else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    return (WebhookEvent(key=key, stream="invitees", external_id=uri, at=at),)


def subscribe(api: CalendlyApi, url: str) -> dict[str, Json]:
    """One subscription, signed with our key. There is no update: an older one to the same address is replaced."""
    if not api.key:
        fix = "set webhooks.secret of the connection to a long random text"
        raise ConfigFault([Fault(code="CFG-SECRET", where=api.door.account, message="no webhook secret", fix=fix)])
    known = api.door.request("GET", "/webhook_subscriptions", operation="hooks", params=_hooks(api)).json()
    for hook in known["collection"]:
        if hook["callback_url"] == url:
            api.door.request("DELETE", urlsplit(hook["uri"]).path, operation="subscribe", writes=True)
    whose = {name: value for name, value in _hooks(api).items() if name != "count"}
    body = {"url": url, "events": list(EVENTS), "signing_key": api.key, **whose}
    made = api.door.request("POST", "/webhook_subscriptions", operation="subscribe", json=body, writes=True).json()
    return {"url": url, "subscription": made["resource"]["uri"], "events": list(EVENTS)}


def wait_s(answer: HttpResponse) -> float | None:
    """What a 429 says in X-RateLimit-Reset; no Retry-After is sent ("Rate limits")."""
    left = answer.headers.get("x-ratelimit-reset", "")
    return float(left) if answer.status == 429 and left.isdecimal() else None


CONNECTOR = Connector(
    name="calendly",
    title="Calendly",
    base_url="https://api.calendly.com",
    hosts=("api.calendly.com",),
    auth=(Auth(kind="token"),),
    # "Rate limits": 500 a minute per user on paid plans, 50 on Free
    limits=(RateLimit(name="user", calls=500, per_s=60.0, shared=True),),
    streams=(
        Stream(
            name="invitees",
            id_path="uri",
            modified_path="updated_at",
            cursor="token",
            lookback_s=OVERLAP_S,
            sorted=False,
            deletes="absent",
            stamp_tick_s=1e-6,
            page_size=PAGE,
            acts=True,
            minimum={"read": 1, "fetch": 1},
        ),
    ),
    settings=(Setting(name="scope", text="organization (for owners and admins) or user", default="organization"),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    verify=verify,
    parse=parse,
    subscribe=subscribe,
    wait_s=wait_s,
    docs="https://developer.calendly.com/api-docs",
)
