"""Website and app events: what sites send by the Segment HTTP tracking API, with any Segment library.

Docs: Segment, "HTTP API source", "Spec: common, identify, track, page, screen, group, alias".

A library is given the hub's address and the connection's write key (`hub connections hooks` shows both) and sends as it
always does: `/v1/identify`, `track`, `page`, `screen`, `group`, `alias`, `batch`, or the one-letter paths of the
browser. `identify` (and whoever is described in `context.traits`) becomes a contact, `group` a company, `track`,
`page` and `screen` what somebody did. `alias` says that two ids are one person.

A person is known by `userId`; without one, by the e-mail address among the traits. Calls that carry neither are kept as
anonymous, with their `anonymousId`. What somebody does before the hub knows who the `userId` is waits, and finds its
person when an `identify` brings the address.

A message counts once, by its `messageId`. It happened at its `timestamp`, corrected by the sender's clock where
`originalTimestamp` and `sentAt` tell it, and never in the future. An older `identify` that comes late changes nothing.
What came stays as it came; only `at`, `person`, `action`, `amount`, `first_name` and `last_name` are added.

A write key can be read in any page, so it identifies and proves nothing: whoever has it can send anything. No order is
made of `Order Completed`, and a reward should not hang on website events alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from hub.connector import Connector, Field, Page, Settings, Stream, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.kit.reading import parse_time, to_iso
from hub.model import ANY_NAME, Json, SourceRecord

VISITORS, GROUPS, EVENTS = "visitors", "groups", "events"
KINDS = ("identify", "track", "page", "screen", "group", "alias")
DONE = {"page": "Page Viewed", "screen": "Screen Viewed"}  # what these calls say that somebody did
LETTERS = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
MOST_EVENT_BYTES = 32 * 1024  # "HTTP API source", limits: 32 KB an event, 500 KB a batch
MOST_BATCH_BYTES = 500 * 1024
MOST_ITEMS = 2500  # of a batch
LONGEST_ID = 200  # characters; a longer one is known by its digest
WHERE = "tracking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: what all its messages share."""

    received_at: float
    sent_at: float | None  # the sender's clock when it sent
    context: Mapping[str, Json]
    integrations: Mapping[str, Json]


class _Unfit(ValueError):
    """A message that cannot be one; the text says why."""


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """The records of a call, each message by itself: one that is unfit is a fault and stops no other.

    Raises RecordRejected (TRK-BODY, TRK-SIZE) for a body that is no call at all; nothing of it is kept.
    """
    kind = request.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    body = _body(request.body)
    call = Call(
        received_at=request.received_at, sent_at=_time(body.get("sentAt")), context=_object(body.get("context")),
        integrations=_object(body.get("integrations")),
    )  # fmt: skip
    items = body.get("batch")
    if items is None:
        named = LETTERS.get(kind, kind)
        items = [{**body, "type": named} if named in KINDS else body]
        if len(request.body) > MOST_EVENT_BYTES:
            fix = f"send at most {MOST_EVENT_BYTES} bytes in a message"
            raise RecordRejected("the message is too large", code="TRK-SIZE", where=WHERE, fix=fix)
        call = Call(received_at=call.received_at, sent_at=call.sent_at, context={}, integrations={})
    elif not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise RecordRejected(
            "`batch` is no list, or too long a one", code="TRK-BODY", where=WHERE,
            fix=f"send at most {MOST_ITEMS} messages in a call",
        )  # fmt: skip
    return [event for item in items for event in _events(item, call)]


def _body(raw: bytes) -> dict[str, Json]:
    if len(raw) > MOST_BATCH_BYTES:
        fix = f"send at most {MOST_BATCH_BYTES} bytes in a call"
        raise RecordRejected("the call is too large", code="TRK-SIZE", where=WHERE, fix=fix)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise RecordRejected("the body is no JSON", code="TRK-BODY", where=WHERE) from None
    if not isinstance(body, dict):
        raise RecordRejected("the body is no JSON object", code="TRK-BODY", where=WHERE)
    return body


# --- one message -------------------------------------------------------------------------------------------------


def _events(item: Json, call: Call) -> list[WebhookEvent]:
    try:
        message = _message(item, call)
        return list(_told(message, _key_of(message, call)))
    except _Unfit as reason:
        return [_fault(item, str(reason))]


def _message(item: Json, call: Call) -> dict[str, Json]:
    """The message with what the call says for all. Raises _Unfit."""
    if not isinstance(item, dict):
        raise _Unfit("a message is no JSON object")
    if len(orjson.dumps(item)) > MOST_EVENT_BYTES:
        raise _Unfit(f"a message is larger than {MOST_EVENT_BYTES} bytes")
    kind = item.get("type")
    if kind not in KINDS:
        raise _Unfit(f"`type` is none of {', '.join(KINDS)}")
    found = {name: value for name, value in item.items() if name not in ("writeKey", "type")}
    found |= {"type": kind, "context": {**call.context, **_object(item.get("context"))}}
    if call.integrations:
        found["integrations"] = {**call.integrations, **_object(item.get("integrations"))}
    for name in ("userId", "anonymousId", "previousId", "groupId"):
        if name in found:
            found[name] = _id(found[name])
    if not found.get("userId") and not found.get("anonymousId"):
        raise _Unfit("neither `userId` nor `anonymousId` is there")
    for name, of in (("event", "track"), ("groupId", "group"), ("previousId", "alias")):
        if kind == of and not (isinstance(found.get(name), str) and found[name].strip()):
            raise _Unfit(f"`{name}` is missing")
    return found | {"at": to_iso(_moment(found, call))}


def _moment(message: Mapping[str, Json], call: Call) -> float:
    """When it happened: by our clock where the sender's own can be corrected ("Spec: common", timestamps)."""
    sent = _time(message.get("sentAt")) or call.sent_at
    original = _time(message.get("originalTimestamp"))
    if sent is not None and original is not None:
        return min(call.received_at - (sent - original), call.received_at)
    said = _time(message.get("timestamp")) or original
    return call.received_at if said is None else min(said, call.received_at)


def _key_of(message: Mapping[str, Json], call: Call) -> str:
    """What makes a message one: its own id; else its content, with the moment that it tells or that it came at."""
    own = message.get("messageId")
    if isinstance(own, str | int) and not isinstance(own, bool) and str(own).strip():
        return _plain(str(own).strip())
    told = {name: value for name, value in message.items() if name not in ("sentAt", "at")}
    timed = "timestamp" in message or "originalTimestamp" in message
    return f"body:{_digest([told, None if timed else call.received_at])}"


def _told(message: dict[str, Json], key: str) -> Iterator[WebhookEvent]:
    """What a message says of a person, of a company, and of what was done."""
    kind, at = message["type"], parse_time(message["at"])
    person = message.get("userId") or _by_address(message, kind)
    if kind == "alias":
        if not message.get("userId"):
            raise _Unfit("`userId` is missing")
        merged = SourceRecord(
            external_id=message["previousId"], data={}, stamp=at, op="merged_into", merged_into=message["userId"]
        )
        yield _event(VISITORS, f"{key}/alias", merged)
        return
    traits = _traits(message, kind)
    if person and (kind in ("identify", "group") or traits):
        data = {**message, "person": person, "traits": traits, **_names(traits)}
        yield _event(VISITORS, f"{key}/who", SourceRecord(external_id=person, data=data, stamp=at))
    if kind == "group":
        yield _event(GROUPS, f"{key}/group", SourceRecord(external_id=message["groupId"], data=message, stamp=at))
    if kind in ("track", "page", "screen"):
        data = {**message, **({"person": person} if person else {}), **_amount(message)}
        data["action"] = DONE.get(kind) or message["event"]
        yield _event(EVENTS, key, SourceRecord(external_id=key, data=data))


def _event(stream: str, key: str, record: SourceRecord) -> WebhookEvent:
    return WebhookEvent(key=key, stream=stream, external_id=record.external_id, record=record)


def _traits(message: Mapping[str, Json], kind: str) -> Mapping[str, Json]:
    """What is said of the person: of a group call, `traits` are the company's."""
    known = _object(_object(message.get("context")).get("traits"))
    return {**known, **_object(message.get("traits"))} if kind == "identify" else known


def _by_address(message: Mapping[str, Json], kind: str) -> str:
    address = _traits(message, kind).get("email")
    return _plain(f"email:{address.strip().casefold()}") if isinstance(address, str) and "@" in address else ""


def _names(traits: Mapping[str, Json]) -> dict[str, str]:
    """First and last name, as given; one `name` is parted before its last word."""
    given = {
        part: next((traits[each] for each in names if isinstance(traits.get(each), str)), "")
        for part, names in (("first_name", ("firstName", "first_name")), ("last_name", ("lastName", "last_name")))
    }
    whole = traits.get("name")
    if not any(given.values()) and isinstance(whole, str):
        first, _, last = whole.strip().rpartition(" ")
        given = {"first_name": first or last, "last_name": last if first else ""}
    return {part: name.strip() for part, name in given.items() if name.strip()}


def _amount(message: Mapping[str, Json]) -> dict[str, str]:
    """`revenue`, else `value`, else `total`, as a decimal text; only beside a currency, since none is guessed."""
    said = _object(message.get("properties"))
    if not isinstance(said.get("currency"), str):
        return {}
    numbers = (said.get(name) for name in ("revenue", "value", "total"))
    number = next((each for each in numbers if isinstance(each, int | float) and not isinstance(each, bool)), None)
    return {} if number is None else {"amount": f"{Decimal(repr(number)):f}"}


def _fault(item: Json, why: str) -> WebhookEvent:
    """A message that is kept in quarantine, once, however often it is sent."""
    key = f"unfit:{_digest(item)}"
    fault = {"code": "TRK-MESSAGE", "message": why, "fix": "mend what sends it", "value": item}
    return WebhookEvent(key=key, stream=EVENTS, external_id=key, fault=fault)


# --- odds and ends -----------------------------------------------------------------------------------------------


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _time(value: Json) -> float | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _id(value: Json) -> str:
    """Ids are texts, also those that look like numbers; anything else is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return _plain(str(value).strip())


def _plain(text: str) -> str:
    plain = len(text) <= LONGEST_ID and text.isprintable()
    return text if plain or not text else f"id:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _digest(value: Json) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


# --- the rest of a connector -------------------------------------------------------------------------------------


def connect(door: None, settings: Settings) -> Settings:
    return settings


def check(api: Settings) -> dict[str, Json]:
    """There is nobody to ask."""
    return {"account": "", "name": "any Segment library", "warnings": []}


_FIELDS: Mapping[str, Sequence[tuple[str, str]]] = {
    VISITORS: (
        ("person", "text"), ("at", "instant"), ("anonymousId", "text"), ("groupId", "ref"), ("first_name", "text"),
        ("last_name", "text"), ("traits.email", "email"), ("traits.phone", "phone"), ("traits.birthday", "date"),
        ("traits.title", "text"), ("traits.company.name", "text"), ("traits.website", "url"),
        ("traits.address.street", "text"), ("traits.address.city", "text"), ("traits.address.state", "text"),
        ("traits.address.postalCode", "text"), ("traits.address.country", "text"), ("context.locale", "text"),
        ("context.campaign.source", "text"),
    ),
    GROUPS: (
        ("groupId", "text"), ("at", "instant"), ("traits.name", "text"), ("traits.website", "url"),
        ("traits.industry", "text"), ("traits.employees", "integer"), ("traits.phone", "phone"),
        ("traits.description", "text"),
    ),
    EVENTS: (
        ("action", "text"), ("name", "text"), ("at", "instant"), ("person", "ref"), ("anonymousId", "text"),
        ("amount", "decimal"), ("properties.currency", "text"), ("properties.name", "text"),
        ("properties.product_id", "text"), ("properties.coupon", "text"), ("properties.url", "url"),
        ("context.page.url", "url"), ("context.page.title", "text"), ("context.campaign.name", "text"),
        ("context.campaign.source", "text"),
    ),
}  # fmt: skip


def discover(api: Settings, stream: str) -> list[Field]:
    """The reserved names of the specification; senders add their own."""
    told = [Field(name=name, label=name, type=kind, writable=False) for name, kind in _FIELDS[stream]]
    return [*told, Field(name=ANY_NAME, label="Whatever the sender names", type="object", writable=False)]


def pull(api: Settings, stream: str, cursor: Json) -> Page:
    """Nothing can be read: whatever there is was sent."""
    return Page(records=(), next_cursor={}, complete=True)


def _stream(name: str, **more: Json) -> Stream:
    """Stamps have no grain: messages are taken in one by one, in the order in which they came."""
    return Stream(name=name, cursor="events", sorted=False, deletes="absent", stamp_tick_s=0.0, **more)


CONNECTOR = Connector(
    name="website",
    title="Website events (Segment libraries)",
    base_url="",
    hosts=(),
    auth=(),
    limits=(),
    streams=(
        _stream(VISITORS, id_path="person", modified_path="at", acts=True),
        _stream(GROUPS, id_path="groupId", modified_path="at"),
        _stream(EVENTS, acts=True),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    parse=parse,
    tracking=True,
    docs="https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/",
)
