"""Eventbrite (API v3), on the hub's door: events, their attendees, orders and discounts of one organization.

Docs: Eventbrite platform API reference (API Blueprint), "Pagination", "Expansions", "Webhooks", "Errors".

Attendees and orders are read by `changed_since`, over all events at once, from ten minutes before the last read: a
change may take five minutes to show. Events have no such filter, and are listed whole. Tokens of pages end after a
while; then the list begins again where the read began. An attendee's id stands with his event's ("7001:9001"), as he
can be read by both only. A buyer and the people who come need not be the same; each order and each attendee speaks for
himself. Discounts tell no time of change either; what the complete list lacks is gone. Nothing is written but
discounts, given as rewards: a code off the tickets of one event, looked for by its letters before it is made again.

Webhooks are thin and unsigned: they name an address. Only one of the vendor's own that leads to a known kind of record
is taken, and even then only as a reason to read that record. They carry no id of their own, so one that comes again
is read again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
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
from hub.errors import ConfigFault, Fault, NeedsReview, PreconditionFailed, RecordRejected
from hub.kit.paging import require_progress, rest_at
from hub.kit.pushing import send_each
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 50  # rows of a page; page_size is honoured on some lists only ("Pagination")
OVERLAP_S = 600.0  # twice what a change may take to show ("Eventual consistency": five minutes)
WALKS = 3  # how often a read may begin again because the token of its page had ended
WHOLE = ("events", "discounts")  # lists without changed_since: each read brings all
EXPAND = {"attendees": "event,answers"}
ACTIONS = ("attendee.updated", "attendee.checked_in", "attendee.checked_out", "order.placed", "order.updated",
           "order.refunded", "event.published", "event.updated", "event.unpublished")  # fmt: skip
_ID = re.compile(r"\d{1,30}")
_ADDRESS = re.compile(
    r"https://www\.eventbriteapi\.com/v3/(?:events/(?P<event>\d{1,30})(?:/attendees/(?P<attendee>\d{1,30}))?"
    r"|orders/(?P<order>\d{1,30}))/?"
)


@dataclass(slots=True)
class EventbriteApi:
    """What `connect` hands out. The organization is asked for once, unless it is set."""

    door: Door
    _organization: str
    currencies: dict[str, str] = field(default_factory=dict)  # event -> currency of its tickets

    def organization(self) -> str:
        """Raises NeedsReview if there are several and none is set."""
        if not self._organization:
            answer = self.door.request("GET", "/users/me/organizations/", operation="organizations").json()
            found = [str(each["id"]) for each in answer["organizations"]]
            if len(found) != 1:
                fix = f"set settings.organization to one of: {', '.join(found)}"
                raise NeedsReview("which organization?", code="EVENTBRITE-ORG", where=self.door.account, fix=fix)
            self._organization = found[0]
        return self._organization


def connect(door: Door, settings: Settings) -> EventbriteApi:
    """Raises ConfigFault for an id of an organization that is none."""
    organization = str(settings.values.get("organization") or "")
    if organization and not _ID.fullmatch(organization):
        fix = "the digits that the organization's settings show"
        fault = Fault(code="CFG-ORGANIZATION", where=door.account, message=f"{organization} is no id", fix=fix)
        raise ConfigFault([fault])
    return EventbriteApi(door, organization)


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: EventbriteApi, stream: str, cursor: Json) -> Page:
    """One page.

    Cursor at rest: {"since": epoch s of the last read less its overlap; null for events}. Under way also {"started",
    "token": of the next page, "walks": how often the list was begun}.
    """
    at: dict[str, Json] = {"since": None, "walks": 1, "whole": True, **(cursor or {})}
    params: dict[str, Json] = {"expand": EXPAND.get(stream), "continuation": at.get("token")}
    if stream == "events":
        params["order_by"] = "created_asc"
    elif stream == "discounts":
        params["scope"] = "user"  # all of the organization, those of single events too ("List Discounts")
    elif at["since"] is not None:
        params["changed_since"] = to_iso(at["since"], digits=0)
    where = f"{api.door.account}/{stream}"
    try:
        path = f"/organizations/{api.organization()}/{stream}/"
        answer = api.door.request("GET", path, operation=stream, params=params)
    except PreconditionFailed:
        return _once_more(at, where)
    found = answer.json()
    started = at.get("started") or answer.at
    records, faults = read_rows(found[stream], lambda row: _record(stream, row), id_key="id")
    pagination, whole = found["pagination"], at["whole"] and not faults
    if pagination.get("has_more_items"):
        token = require_progress(at.get("token"), pagination["continuation"], where=where)
        going_on = {"since": at["since"], "walks": at["walks"], "started": started, "token": token, "whole": whole}
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=started)
    rest = {"since": None if stream in WHOLE else rest_at(started, OVERLAP_S)}
    listed = whole and stream == "discounts"
    return Page(
        records=records, next_cursor=rest, complete=True, listing_complete=listed, faults=faults, read_at=started
    )


def _once_more(at: Mapping[str, Json], where: str) -> Page:
    """The token of the page has ended: the list begins again, from where the read began."""
    if "token" not in at or at["walks"] >= WALKS:
        fix = "the cursor is kept; run the stream more often, or ask the vendor"
        raise NeedsReview("the list cannot be read to its end", code="EVENTBRITE-TOKEN", where=where, fix=fix)
    again = {"since": at["since"], "walks": at["walks"] + 1, "started": at["started"], "whole": False}
    return Page(records=(), next_cursor=again, complete=False, read_at=at["started"])


def _record(stream: str, row: dict[str, Json]) -> SourceRecord:
    external_id = str(row["id"])
    if stream == "discounts":
        off = _off(row)
        told = {"productId": row.get("event_id"), "quantity": row.get("quantity_available") or None}
        worth = {"denomination": off["value"]} if off["kind"] == "amount" else {}
        return SourceRecord(external_id=external_id, data={**row, "off": off, **told, **worth})
    if stream == "attendees":
        external_id = f"{row['event_id']}:{external_id}"
    answers = [_answer(each) for each in row.get("answers") or () if isinstance(each, Mapping)]
    data = {**row, "questions": row.get("answers"), "answers": answers} if stream == "attendees" else row
    return SourceRecord(external_id=external_id, data=data, stamp=parse_time(row["changed"]))


def _off(row: Mapping[str, Json]) -> dict[str, Json]:
    """What a code takes off: one of two fields is filled, or neither (it only opens hidden tickets)."""
    for kind in ("percent", "amount"):
        if row.get(f"{kind}_off") is not None:
            return {"kind": kind, "value": str(row[f"{kind}_off"])}
    return {"kind": "other", "value": None}


def _answer(given: Mapping[str, Json]) -> dict[str, Json]:
    """In the form that mappings know: by the question's wording, or its id."""
    field = {"ref": given.get("question"), "id": str(given.get("question_id")), "type": given.get("type")}
    return {"field": field, "type": "text", "text": given.get("answer")}


def _path_of(stream: str, external_id: str) -> str | None:
    parts = external_id.split(":")
    if not all(_ID.fullmatch(part) for part in parts) or len(parts) != (2 if stream == "attendees" else 1):
        return None
    return f"/events/{parts[0]}/attendees/{parts[1]}/" if stream == "attendees" else f"/{stream}/{parts[0]}/"


def fetch(api: EventbriteApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Records by id, one call each. What is not found is deleted: an id was heard of from the vendor."""
    found = []
    for external_id in dict.fromkeys(ids):
        path = _path_of(stream, external_id)
        if path is None:
            continue
        params = {"expand": EXPAND.get(stream)}
        answer = api.door.request("GET", path, operation="fetch", params=params, expect=(404,))
        gone = SourceRecord(external_id=external_id, data={}, op="delete")
        found.append(gone if answer.status == 404 else _record(stream, answer.json()))
    return found


def find(api: EventbriteApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Records by id; discounts by their code, exactly ("List Discounts")."""
    if stream == "discounts" and name == "code":
        params = {"scope": "user", "code": value}
        path = f"/organizations/{api.organization()}/discounts/"
        rows = api.door.request("GET", path, operation="search", params=params).json()["discounts"]
        return [_record(stream, row) for row in rows if row.get("code") == value]
    if name != "id":
        where = f"{api.door.account}/{stream}"
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="EVENTBRITE-LOOKUP", where=where)
    return fetch(api, stream, [value])


# --- giving ------------------------------------------------------------------------------------------------------


def push(api: EventbriteApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Make discounts, one call each."""
    return send_each(changes, partial(_give, api, stream), api.door.now)


def _give(api: EventbriteApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    """A code off the tickets of the event that the product names, good for one ticket."""
    event, code = str(change.body.get("productId") or ""), str(change.body.get("code") or "")
    if stream != "discounts" or change.op != "create" or not code:
        raise RecordRejected(f"{stream}: no {change.op}", code="EVENTBRITE-OP")
    if not _ID.fullmatch(event):
        fix = "`product:` is the id of the event"
        raise RecordRejected("a discount is of one event", code="EVENTBRITE-EVENT", field="productId", fix=fix)
    currency = _currency(api, event)
    if currency != change.body.get("currencyCode"):
        raise RecordRejected(f"tickets of the event are in {currency}", code="EVENTBRITE-CURRENCY")
    discount = {
        "type": "coded", "code": code, "amount_off": f"{Decimal(str(change.body['denomination'])):.2f}",
        "event_id": event, "quantity_available": int(change.body.get("quantity") or 1),
    }  # fmt: skip
    path = f"/organizations/{api.organization()}/discounts/"
    row = api.door.request("POST", path, operation="create", json={"discount": discount}, writes=True).json()
    held = _record(stream, row)
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def _currency(api: EventbriteApi, event: str) -> str:
    """Of an event; asked for once."""
    if event not in api.currencies:
        answer = api.door.request("GET", f"/events/{event}/", operation="fetch", expect=(404,))
        if answer.status == 404:
            raise RecordRejected("there is no such event", code="EVENTBRITE-EVENT", field="productId")
        api.currencies[event] = str(answer.json().get("currency") or "")
    return api.currencies[event]


# --- the account -------------------------------------------------------------------------------------------------


def check(api: EventbriteApi) -> dict[str, Json]:
    """Whose token it is, and the organization."""
    me = api.door.request("GET", "/users/me/", operation="check").json()
    return {"account": api.organization(), "name": str(me.get("name") or me["id"]), "warnings": []}


_FIELDS: Mapping[str, Sequence[tuple[str, str]]] = {
    "events": (
        ("id", "text"), ("name.text", "text"), ("status", "enum"), ("start.utc", "instant"), ("end.utc", "instant"),
        ("url", "url"), ("currency", "text"), ("online_event", "boolean"), ("capacity", "integer"),
        ("created", "instant"), ("changed", "instant"),
    ),
    "attendees": (
        ("id", "text"), ("event_id", "ref"), ("order_id", "ref"), ("status", "enum"), ("checked_in", "boolean"),
        ("cancelled", "boolean"), ("refunded", "boolean"), ("quantity", "integer"), ("ticket_class_name", "text"),
        ("costs.gross.value", "integer"), ("costs.gross.currency", "text"), ("profile.email", "email"),
        ("profile.name", "text"), ("profile.first_name", "text"), ("profile.last_name", "text"),
        ("profile.prefix", "text"), ("profile.suffix", "text"), ("profile.job_title", "text"),
        ("profile.company", "text"), ("profile.birth_date", "date"), ("profile.cell_phone", "phone"),
        ("profile.work_phone", "phone"), ("profile.addresses.home.address_1", "text"),
        ("profile.addresses.home.city", "text"), ("profile.addresses.home.region", "text"),
        ("profile.addresses.home.postal_code", "text"), ("profile.addresses.home.country", "text"),
        ("event.name.text", "text"), ("event.start.utc", "instant"), ("affiliate", "text"),
        ("promotional_code.code", "text"), ("created", "instant"), ("changed", "instant"),
    ),
    "orders": (
        ("id", "text"), ("event_id", "ref"), ("email", "email"), ("name", "text"), ("first_name", "text"),
        ("last_name", "text"), ("status", "enum"), ("costs.gross.value", "integer"), ("costs.gross.currency", "text"),
        ("promo_code", "text"), ("created", "instant"), ("changed", "instant"),
    ),
    "discounts": (
        ("id", "text"), ("event_id", "ref"), ("type", "enum"), ("code", "text"), ("percent_off", "decimal"),
        ("amount_off", "decimal"), ("off.kind", "enum"), ("off.value", "decimal"), ("quantity_available", "integer"),
        ("quantity_sold", "integer"), ("start_date", "text"), ("end_date", "text"),
    ),
}  # fmt: skip
_REFERS = {"event_id": "events", "order_id": "orders"}


def discover(api: EventbriteApi, stream: str) -> list[Field]:
    """The documented fields. Questions of an event are named by their wording: `{answer: "Company"}`."""
    return [
        Field(name=name, label=name, type=kind, writable=False, ref_to=_REFERS.get(name, ""))
        for name, kind in _FIELDS[stream]
    ]


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "eventbrite webhook"


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which record to read. Raises RecordRejected for a body that is none of Eventbrite's.

    A test call names "{api-endpoint-to-fetch-object-details}" in the place of a record, and is only acknowledged.
    """
    try:
        told = orjson.loads(request.body)
        address, action = str(told["api_url"]), str(told["config"]["action"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    if "{" in address:
        return ()
    named = _ADDRESS.fullmatch(address)
    if named is None:  # a forged address would be asked with our token
        raise RecordRejected("it names no record of the vendor's", code="HOOK-ADDRESS", where=WHERE)
    event, attendee, order = named["event"], named["attendee"], named["order"]
    stream = "orders" if order else "attendees" if attendee else "events"
    external_id = order or (f"{event}:{attendee}" if attendee else event)
    return (WebhookEvent(key=f"{action}:{address}:{int(request.received_at)}", stream=stream, external_id=external_id),)


def subscribe(api: EventbriteApi, url: str) -> dict[str, Json]:
    """One webhook for all events of the organization, unless it has it."""
    path = f"/organizations/{api.organization()}/webhooks/"
    known = api.door.request("GET", path, operation="subscribe").json()["webhooks"]
    there = next((each for each in known if each.get("endpoint_url") == url), None)
    if there is None:
        body = {"endpoint_url": url, "actions": ",".join(ACTIONS)}
        there = api.door.request("POST", path, operation="subscribe", json=body, writes=True).json()
    return {"url": url, "webhook": str(there["id"]), "actions": list(ACTIONS)}


def classify(answer: HttpResponse) -> str | None:
    """Errors that the status alone does not tell ("Errors")."""
    if answer.status != 400:
        return None
    name = re.search(rb'"error":\s*"(\w+)"', answer.body)
    return {b"BAD_CONTINUATION_TOKEN": Kind.STALE, b"INVALID_AUTH_HEADER": Kind.SIGN_IN}.get(name[1]) if name else None


def _stream(name: str, *, acts: bool = False, parents: Sequence[str] = ()) -> Stream:
    codes = name == "discounts"
    return Stream(
        name=name,
        modified_path=None if codes else "changed",
        cursor="snapshot" if codes else "token",
        lookback_s=0.0 if name in WHOLE else OVERLAP_S,
        sorted=False,
        consistency="lagging",
        lag_s=300.0,
        fetch_lag_s=300.0,
        deletes="listing" if codes else "absent",
        stamp_tick_s=1.0,
        page_size=PAGE,
        parents=parents,
        acts=acts,
        gives="code" if codes else "",
        writes=frozenset({"create"}) if codes else frozenset(),
        # whether a code is taken once is written nowhere, so a lost answer is looked for
        idempotency=Idempotency.SEARCHABLE_REFERENCE if codes else Idempotency.NONE,
        marker="code" if codes else None,
        minimum={"read": PAGE, "fetch": 1, **({"write": 1} if codes else {})},
    )


CONNECTOR = Connector(
    name="eventbrite",
    title="Eventbrite",
    base_url="https://www.eventbriteapi.com/v3",
    hosts=("www.eventbriteapi.com",),
    auth=(Auth(kind="token"),),
    # 2,000 calls an hour for a token, whoever uses it ("Errors": HIT_RATE_LIMIT)
    limits=(RateLimit(name="hourly", calls=2000, per_s=3600.0, shared=True),),
    streams=(
        _stream("events"),
        _stream("orders", acts=True, parents=("events",)),
        _stream("attendees", acts=True, parents=("events",)),
        _stream("discounts", parents=("events",)),
    ),
    settings=(Setting(name="organization", text="Id of the organization, if the token sees several"),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    parse=parse,
    subscribe=subscribe,
    classify=classify,
    docs="https://www.eventbrite.com/platform/api",
)
