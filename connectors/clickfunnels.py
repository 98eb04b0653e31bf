"""ClickFunnels 2.0 (API v2), on the hub's door: contacts both ways; orders, opt-ins, courses, appointments, events.

Docs: developers.myclickfunnels.com, API reference (OpenAPI file), "Pagination", "Filtering", "Webhooks", "Verifying
webhook signatures".

A page holds 20 records, always. There is no "changed since": a first read goes up by id; later ones come down from the
newest change until they are five minutes behind the last read. Opt-ins are never edited, so theirs goes on behind the
last id, less one page. Courses and appointments cannot be sorted by change, and are read whole.

The log of webhook events (`events`) goes on behind its last id, too. What people did in funnels and courses is taken of
it; what else stands there tells of records that are read anyway. A webhook does not name its entry, so acts come with
the next read, and the records that they touch at once.

A contact is created by upsert, which matches by e-mail address, so that the same create again is one contact; before
it, the addresses of a batch are looked up at once, so that nobody who is there already is written over unseen. Updates
go to the contact's id. Tags are left alone: writing them replaces all. ClickFunnels Classic has no API that lasts; its
webhooks are taken by the connector `inbound`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from hub.connector import (
    Auth,
    Connector,
    Door,
    Field,
    HttpResponse,
    Idempotency,
    Page,
    RateLimit,
    Setting,
    Settings,
    Stream,
    WebhookEvent,
    WebhookRequest,
)
from hub.errors import ConfigFault, Fault, NeedsReview, RecordRejected
from hub.kit.paging import batches, require_ascending, require_progress, rest_at
from hub.kit.pushing import send_in_turn
from hub.kit.reading import parse_time, read_rows
from hub.kit.signing import require_dated_signature, secrets_of
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 20  # records of a page, fixed ("Pagination")
OVERLAP_S = 300.0  # how far a read goes back behind the last one
TOLERANCE_S = 600.0  # age of a signature ("Verifying webhook signatures")
MARKER = "hub_id"  # custom attribute that carries the hub's id
ACCOUNTS = "https://accounts.myclickfunnels.com/api/v2"
AGENT = {"User-Agent": "integration-hub"}  # calls without a name of their own fail ("Getting started")
TITLE = "hub"  # of our webhook endpoint


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record."""

    listed: str  # path of the list; {ws} and {course} are filled in
    single: str  # path before an id
    reads: str  # changed: by time of change, new: by id, whole
    event: str  # how its webhook events begin


KINDS = {
    "contacts": Kind("/workspaces/{ws}/contacts", "/contacts", "changed", "contact."),
    "orders": Kind("/workspaces/{ws}/orders", "/orders", "changed", "order."),
    "form_submissions": Kind("/workspaces/{ws}/form_submissions", "/form_submissions", "new", "form_submission."),
    "courses": Kind("/workspaces/{ws}/courses", "/courses", "whole", "course."),
    "enrollments": Kind(
        "/courses/{course}/enrollments", "/courses/enrollments", "changed", "courses/enrollment."
    ),
    "appointments": Kind(
        "/workspaces/{ws}/appointments/scheduled_events", "/appointments/scheduled_events", "whole",
        "appointments/scheduled_event.",
    ),
    "events": Kind(
        "/workspaces/{ws}/webhooks/outgoing/events", "/webhooks/outgoing/events", "new", "webhooks/outgoing/event.",
    ),
}  # fmt: skip


@dataclass(slots=True)
class ClickFunnelsApi:
    """What `connect` hands out."""

    door: Door
    workspace: str  # the number, not the public id: lists below it need that

    def get(
        self, path: str, *, operation: str, params: Mapping[str, Json] | None = None, expect: Sequence[int] = ()
    ) -> HttpResponse:
        return self.door.request("GET", path, operation=operation, params=params, headers=AGENT, expect=expect)


def connect(door: Door, settings: Settings) -> ClickFunnelsApi:
    """Raises ConfigFault for a workspace that is no number."""
    workspace = str(settings.values.get("workspace") or "")
    if not workspace.isdecimal() or not workspace.isascii():
        fix = "the number of the workspace, which `GET /teams/{id}/workspaces` lists; not the short public id"
        raise ConfigFault(
            [Fault(code="CFG-WORKSPACE", where=door.account, message="settings.workspace is no number", fix=fix)]
        )
    return ClickFunnelsApi(door=door, workspace=workspace)


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: ClickFunnelsApi, stream: str, cursor: Json) -> Page:
    """One page of one list; enrolments have a list for each course.

    Cursor at rest: {"since": {path of a list: epoch s of its last read less the overlap, or for opt-ins an id}}.
    Under way also {"todo": lists not finished, the first being read, "after": last id of the page before, "rest": of
    the first list, "started": epoch s}.
    """
    at: dict[str, Json] = {"since": {}, **(cursor or {})}
    todo = at["todo"] if "todo" in at else _lists(api, stream)
    if not todo:
        return Page(records=(), next_cursor={"since": at["since"]}, complete=True, read_at=api.door.vendor_now())
    at["todo"], path = todo, todo[0]
    since, reads = at["since"].get(path), KINDS[stream].reads
    down = reads == "changed" and since is not None
    after = at.get("after") or (since if reads == "new" else None)
    order = {"sort_property": "updated_at", "sort_order": "desc"} if down else {}
    answer = api.get(path, operation="list", params={"after": after, **order}, expect=(404,))
    started = at.get("started") or answer.at
    if answer.status == 404:  # a course that was deleted since it was listed
        return _next_list({**at, "started": started}, (), [], since)
    rows = [row for row in answer.json() if stream != "events" or _is_act(row)]
    records, faults = read_rows(rows, partial(_record, stream), id_key="id")
    where = f"{api.door.account}{path}"
    if down:
        require_ascending([-(record.stamp or 0.0) for record in records], where=where)
        fresh = [record for record in records if (record.stamp or 0.0) >= since]
        reached, records = len(fresh) < len(records), fresh
    following = answer.headers.get("pagination-next")
    if not following or (down and reached):
        rest = (at.get("after") or since) if reads == "new" else rest_at(started, OVERLAP_S)
        return _next_list({**at, "started": started}, records, faults, rest)
    require_progress(at.get("after"), following, where=where)
    going_on = {"since": at["since"], "todo": todo, "after": following, "started": started}
    return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=started)


def _lists(api: ClickFunnelsApi, stream: str) -> list[str]:
    path = KINDS[stream].listed.format(ws=api.workspace, course="{course}")
    if "{course}" not in path:
        return [path]
    courses = _rows(api, _lists(api, "courses")[0], operation="courses")
    return [path.format(course=row["id"]) for row in courses if "id" in row]


def _rows(api: ClickFunnelsApi, path: str, *, operation: str) -> Iterator[dict[str, Json]]:
    after: str | None = None
    while True:
        answer = api.get(path, operation=operation, params={"after": after})
        yield from answer.json()
        following = answer.headers.get("pagination-next")
        if not following:
            return
        after = require_progress(after, following, where=f"{api.door.account}{path}")


def _next_list(
    at: Mapping[str, Json], records: Sequence[SourceRecord], faults: Sequence[Mapping[str, str]], rest: Json
) -> Page:
    """The last page of a list: its next beginning is kept, and the next list's turn comes."""
    path, *left = at["todo"]
    since = {**at["since"], path: rest} if rest is not None else dict(at["since"])
    following: dict[str, Json] = {"since": since, "todo": left, "started": at["started"]} if left else {"since": since}
    return Page(records=records, next_cursor=following, complete=not left, faults=faults, read_at=at["started"])


def _is_act(row: Json) -> bool:
    """Something that somebody did in a funnel or a course. An entry that is none is told as a fault."""
    if not isinstance(row, dict) or "id" not in row:
        return True
    return bool(row.get("page") or row.get("funnel")) or str(row.get("event_type_id") or "").startswith("courses/")


def _act(row: dict[str, Json]) -> dict[str, Json]:
    """An entry of the log, and whose it is."""
    data = row.get("data") or {}
    whose = row.get("subject_id") if row.get("subject_type") == "Contact" else data.get("contact_id")
    return {**row, "contact_id": whose}


def _record(stream: str, row: dict[str, Json]) -> SourceRecord:
    row = _act(row) if stream == "events" else row
    external_id = str(row["id"])
    if not external_id.isdecimal():
        raise ValueError("no id")
    changed = row.get("updated_at") or row.get("created_at")
    if KINDS[stream].reads == "changed" and not changed:
        raise ValueError("no time of change")
    marker = (row.get("custom_attributes") or {}).get(MARKER) if stream == "contacts" else None
    stamp = parse_time(changed) if changed else None
    return SourceRecord(external_id=external_id, data=row, stamp=stamp, marker=marker or None)


def fetch(api: ClickFunnelsApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Records by id. Contacts, orders and opt-ins 20 at a time; what such a list lacks is asked for alone."""
    wanted = [each for each in dict.fromkeys(ids) if each.isdecimal() and each.isascii()]
    found: dict[str, SourceRecord] = {}
    if stream in ("contacts", "orders", "form_submissions"):
        path = _lists(api, stream)[0]
        for part in batches(wanted, PAGE):
            if len(part) > 1:
                rows = api.get(path, operation="fetch", params={"filter[id]": ",".join(part)}).json()
                found |= {str(row["id"]): _record(stream, row) for row in rows if str(row["id"]) in part}
    for external_id in wanted:
        if external_id not in found:
            answer = api.get(f"{KINDS[stream].single}/{external_id}", operation="fetch", expect=(404,))
            gone = SourceRecord(external_id=external_id, data={}, op="delete")
            found[external_id] = gone if answer.status == 404 else _record(stream, answer.json())
    return [found[external_id] for external_id in wanted]


def find(api: ClickFunnelsApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """By id, contacts also by e-mail address."""
    if name == "id":
        return fetch(api, stream, [value])
    if (stream, name) != ("contacts", "email_address"):
        where = f"{api.door.account}/{stream}"
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="CLICKFUNNELS-LOOKUP", where=where)
    return list(_by_mail(api, [value]).values())


def _by_mail(api: ClickFunnelsApi, addresses: Sequence[str]) -> dict[str, SourceRecord]:
    """Contacts by lower-case address; a comma cannot be told from the one between two addresses."""
    asked = [each for each in addresses if "," not in each]
    if not asked:
        return {}
    path, params = _lists(api, "contacts")[0], {"filter[email_address]": ",".join(asked)}
    rows = api.get(path, operation="fetch", params=params).json()
    return {str(row.get("email_address")).lower(): _record("contacts", row) for row in rows}


# --- writing -----------------------------------------------------------------------------------------------------


def push(api: ClickFunnelsApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Contacts, one call each; for creates one more, which looks all of their addresses up."""
    creates = [index for index, change in enumerate(changes) if change.op == "create"]
    refused, sends = [], []
    for index, change in enumerate(changes):
        if change.op == "create" and not _mail_of(change):
            message = "a contact is matched by its address"
            refused.append(
                PushResult(index=index, outcome="rejected", code="REC-KEY", field="email_address", message=message)
            )
        elif change.op == "update" and not (change.external_id or "").isdecimal():
            refused.append(PushResult(index=index, outcome="rejected", code="REC-ID", message="no id"))
        elif change.op not in ("create", "update"):
            refused.append(PushResult(index=index, outcome="rejected", code="REC-OP", message=f"no {change.op} here"))
        else:
            sends.append(index)
    known: dict[str, SourceRecord] = {}
    asked: list[bool] = []

    def send(index: int) -> list[PushResult]:
        change = changes[index]
        if change.op == "update":
            return [_update(api, index, change)]
        if not asked:
            for part in batches([_mail_of(changes[each]) for each in creates if _mail_of(changes[each])], PAGE):
                known.update(_by_mail(api, part))
            asked.append(True)
        return [_create(api, index, change, known.get(_mail_of(change).lower()))]

    return sorted(
        refused + send_in_turn([([index], partial(send, index)) for index in sends], api.door.now),
        key=lambda result: result.index,
    )


def _mail_of(change: ChangeSet) -> str:
    return str(change.body.get("email_address") or "")


def _create(api: ClickFunnelsApi, index: int, change: ChangeSet, there: SourceRecord | None) -> PushResult:
    if there is not None and there.marker != change.reference:
        return PushResult(index=index, outcome="duplicate", existing_id=there.external_id, held=there)
    attributes = {**(change.body.get("custom_attributes") or {}), MARKER: change.reference}
    body = {"contact": {**_filled(change.body), "custom_attributes": attributes}}
    path = f"{_lists(api, 'contacts')[0]}/upsert"
    answer = api.door.request("POST", path, operation="upsert", json=body, headers=AGENT, writes=True)
    held = _record("contacts", answer.json())
    return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)


def _filled(body: Mapping[str, Json]) -> dict[str, Json]:
    """Blanks change nothing in an upsert, and a new contact has none to clear."""
    return {name: value for name, value in body.items() if value not in (None, "")}


def _update(api: ClickFunnelsApi, index: int, change: ChangeSet) -> PushResult:
    path = f"/contacts/{change.external_id}"
    body = {"contact": dict(change.body)}  # here null clears
    answer = api.door.request("PUT", path, operation="update", json=body, headers=AGENT, writes=True)
    held = _record("contacts", answer.json())
    return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)


# --- the account -------------------------------------------------------------------------------------------------


def check(api: ClickFunnelsApi) -> dict[str, Json]:
    """The workspace's name."""
    found = api.get(f"{ACCOUNTS}/workspaces/{api.workspace}", operation="check").json()
    return {"account": str(found["id"]), "name": str(found.get("name") or found["id"]), "warnings": []}


_WRITABLE = ("email_address", "first_name", "last_name", "phone_number", "time_zone", "fb_url", "twitter_url",
             "instagram_url", "linkedin_url", "website_url")  # fmt: skip
_FIELDS: Mapping[str, Sequence[tuple[str, str]]] = {
    "contacts": (
        ("id", "text"), ("email_address", "email"), ("first_name", "text"), ("last_name", "text"),
        ("phone_number", "phone"), ("time_zone", "text"), ("fb_url", "url"), ("twitter_url", "url"),
        ("instagram_url", "url"), ("linkedin_url", "url"), ("website_url", "url"), ("unsubscribed_at", "instant"),
        ("created_at", "instant"), ("updated_at", "instant"), ("visits.first_visit.utm_campaign", "text"),
        ("visits.first_visit.utm_source", "text"),
    ),
    "orders": (
        ("id", "text"), ("order_number", "text"), ("contact_id", "ref"), ("total_amount", "decimal"),
        ("currency", "text"), ("order_type", "text"), ("billing_status", "enum"), ("service_status", "text"),
        ("live_mode", "boolean"), ("funnel_name", "text"), ("activated_at", "instant"), ("canceled_at", "instant"),
        ("created_at", "instant"), ("updated_at", "instant"),
    ),
    "form_submissions": (
        ("id", "text"), ("contact_id", "ref"), ("page_id", "text"), ("data", "object"), ("created_at", "instant"),
    ),
    "courses": (("id", "text"), ("title", "text"), ("description", "text"), ("published_at", "instant")),
    "enrollments": (
        ("id", "text"), ("contact_id", "ref"), ("course_id", "ref"), ("suspended", "boolean"),
        ("created_at", "instant"), ("updated_at", "instant"),
    ),
    "appointments": (
        ("id", "text"), ("event_type.name", "text"), ("start_on", "instant"), ("end_on", "instant"),
        ("status", "enum"), ("primary_contact.id", "ref"), ("primary_contact.email_address", "email"),
        ("created_at", "instant"), ("updated_at", "instant"),
    ),
    "events": (
        ("id", "text"), ("event_type_id", "text"), ("subject_type", "text"), ("subject_id", "text"),
        ("contact_id", "ref"), ("page.name", "text"), ("funnel.name", "text"), ("created_at", "instant"),
    ),
}  # fmt: skip
_REFERS = {"contact_id": "contacts", "primary_contact.id": "contacts", "course_id": "courses"}


def discover(api: ClickFunnelsApi, stream: str) -> list[Field]:
    """The documented fields; custom attributes of contacts are named by whoever uses them first."""
    found = [
        Field(
            name=name, label=name, type=kind, writable=stream == "contacts" and name in _WRITABLE,
            unique=name == "id", ref_to=_REFERS.get(name, ""),
        )
        for name, kind in _FIELDS[stream]
    ]  # fmt: skip
    if stream == "contacts":
        found.append(Field(name="custom_attributes", label="Custom attributes", type="object", custom=True))
    return found


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "clickfunnels webhook"
EVENTS = (
    "contact.identified", "contact.updated", "contact.deleted", "contact.unsubscribed", "order.created",
    "order.updated", "order.completed", "order.deleted", "courses/enrollment.created", "courses/enrollment.updated",
    "courses/enrollment.suspended", "courses/enrollment.deleted",
)  # fmt: skip
_OF_ORDERS = ("order.", "one-time-order.", "one_time_order.", "subscription.")  # the order is their subject


def verify(settings: Settings, request: WebhookRequest) -> None:
    """Hex HMAC over ``<timestamp>.<body>``, at most ten minutes old. Signing the body alone is a common mistake."""
    signature = request.headers.get("x-webhook-clickfunnels-signature", "")
    stamp = request.headers.get("x-webhook-clickfunnels-timestamp", "")
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_dated_signature(stamp, [signature], request, secrets, tolerance_s=TOLERANCE_S, where=WHERE)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which record to read. Raises RecordRejected if the body is none of ClickFunnels'."""
    try:
        told = orjson.loads(request.body)
        if str(told["workspace_id"]) != str(settings.values.get("workspace")):
            return ()  # another workspace of the same team
        stream, external_id = _told(str(told["event_type"]), told)
        if not stream:
            return ()
        changed = (told.get("data") or {}).get("updated_at") if str(told.get("subject_id")) == external_id else None
        at = parse_time(changed) if changed else None
        return (WebhookEvent(key=str(told["event_id"]), stream=stream, external_id=external_id, at=at),)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None


def _told(kind: str, told: Mapping[str, Json]) -> tuple[str, str]:
    """Stream and id of the record that an event is about; "" for events about none of ours."""
    data = told.get("data") or {}
    if kind.startswith(("contact/applied_tag.", "contacts/applied_tag.")):
        stream, number = "contacts", data.get("contact_id")
    elif kind.startswith("orders/transaction."):
        stream, number = "orders", data.get("order_id")
    elif kind.startswith(_OF_ORDERS):
        stream, number = "orders", told.get("subject_id")
    else:
        name = kind.replace("form/submission.", "form_submission.")
        stream = next((each for each, about in KINDS.items() if name.startswith(about.event)), "")
        number = told.get("subject_id")
    if stream and not str(number).isdecimal():
        raise ValueError("no id")
    return stream, str(number)


def subscribe(api: ClickFunnelsApi, url: str) -> dict[str, Json]:
    """A new endpoint, in the place of one with the same address: its secret is shown only when it is made."""
    path = f"/workspaces/{api.workspace}/webhooks/outgoing/endpoints"
    for row in list(_rows(api, path, operation="subscribe")):
        if row.get("url") == url:
            old = f"/webhooks/outgoing/endpoints/{row['id']}"
            api.door.request("DELETE", old, operation="subscribe", headers=AGENT, writes=True)
    body = {"webhooks_outgoing_endpoint": {"url": url, "name": TITLE, "event_type_ids": list(EVENTS)}}
    answer = api.door.request("POST", path, operation="subscribe", json=body, headers=AGENT, writes=True).json()
    return {"url": url, "endpoint": str(answer["id"]), "events": list(EVENTS), "secret": answer["webhook_secret"]}


def _stream(name: str, *, acts: bool = False, parents: Sequence[str] = ()) -> Stream:
    reads = KINDS[name].reads
    writes = frozenset({"create", "update"}) if name == "contacts" else frozenset[str]()
    return Stream(
        name=name,
        modified_path="updated_at" if reads == "changed" else None,
        cursor="offset" if reads == "whole" else "keyset",
        lookback_s=OVERLAP_S if reads == "changed" else 0.0,
        sorted=False,
        deletes="absent",
        writes=writes,
        max_batch=PAGE if writes else 1,
        idempotency=Idempotency.UNIQUE_REFERENCE if writes else Idempotency.NONE,  # an upsert by address
        marker=f"custom_attributes.{MARKER}" if writes else None,
        page_size=PAGE,
        parents=parents,
        acts=acts,
        minimum={"read": PAGE, "write": 1, "fetch": PAGE},
    )


CONNECTOR = Connector(
    name="clickfunnels",
    title="ClickFunnels",
    base_url="https://{subdomain}.myclickfunnels.com/api/v2",
    hosts=(".myclickfunnels.com",),
    auth=(Auth(kind="token"),),
    # No figure is published, only that there is one, by address or by user: this is our own restraint
    limits=(RateLimit(name="restraint", calls=5, per_s=1.0, shared=True),),
    streams=(
        _stream("contacts"),
        _stream("orders", acts=True, parents=("contacts",)),
        _stream("form_submissions", acts=True, parents=("contacts",)),
        _stream("courses"),
        _stream("enrollments", acts=True, parents=("contacts", "courses")),
        _stream("appointments", acts=True, parents=("contacts",)),
        _stream("events", acts=True, parents=("contacts",)),
    ),
    settings=(
        Setting(name="subdomain", text="The workspace's host name before .myclickfunnels.com"),
        Setting(name="workspace", text="Number of the workspace", required=True),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    verify=verify,
    parse=parse,
    subscribe=subscribe,
    docs="https://developers.myclickfunnels.com/reference",
)
