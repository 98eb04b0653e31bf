"""Inbound webhooks: leads that somebody posts to the hub, from systems that nothing can be read from.

Docs: none of a vendor's; profiles for Beacon (beacon.by), ConvertFlow, Unbounce (plans without API) and ClickFunnels
Classic. Beacon and ConvertFlow publish no API; their leads come by their own webhook, or by Zapier or Make.

A delivery is the record: JSON (an object, or a list of them) or a form. It is stored before it is answered, under a key
of its own, and then taken in like a page; the same delivery again changes nothing. What came stays as it came; only
`submitted_at` is added, the moment that the sender names or else that of the arrival. Of a form, single values stand
for lists of one, and a field such as `data.json` is read into `data`.

A profile says where a record's id and moment stand. Where no id is sent, the record is known by the fields that the
profile names and the minute; without those, by its bytes. Any of it can be set at the connection:

    beacon: {connector: inbound, mapping: beacon.yaml, settings: {profile: beacon}}
    quiz: {connector: inbound, mapping: quiz.yaml, settings: {id: lead.id, key: [lead.email, quiz], at: lead.time}}

Nothing is signed, so the address is the secret. History comes by a CSV export, through the connector `csv`
(mappings `beacon_csv.yaml`, `convertflow_csv.yaml`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

import orjson

from hub.connector import Connector, Field, Page, Setting, Settings, Stream, WebhookEvent, WebhookRequest
from hub.errors import ConfigFault, Fault, RecordRejected
from hub.kit.reading import parse_time, to_iso
from hub.model import ANY_NAME, Json, SourceRecord

STREAM = "leads"
MOST_RECORDS = 1000  # of one delivery
LONGEST_ID = 200  # characters; a longer one is known by its digest
WHERE = "inbound webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where things stand in the records of one kind of sender. Paths as in mappings: `contact.email`."""

    id: str = ""  # the sender's own id; "": none
    key: tuple[str, ...] = ()  # what tells records apart where no id is sent
    at: str = ""  # the moment, ISO 8601 with zone
    text: str = ""


PROFILES: Mapping[str, Profile] = {
    "generic": Profile(id="id", key=("email", "form"), at="submitted_at", text="any sender"),
    "beacon": Profile(
        id="external_id", key=("email", "lead_magnet"), at="captured_at", text="lead magnets of beacon.by"
    ),
    "convertflow": Profile(
        id="id", key=("contact.email", "campaign.id"), at="occurred_at", text="pop-ups and quizzes of ConvertFlow"
    ),
    "unbounce": Profile(
        key=("page_id", "data.email", "data.date_submitted", "data.time_submitted"), text="landing pages of Unbounce"
    ),
    "clickfunnels_classic": Profile(
        key=("event", "id", "status", "contact.email", "products.0.id"), at="updated_at", text="ClickFunnels Classic"
    ),
}


def profile_of(settings: Settings) -> Profile:
    """The profile of a connection, with what its settings say otherwise. Raises ConfigFault."""
    name = str(settings.values.get("profile") or "generic")
    if name not in PROFILES:
        fix = f"one of: {', '.join(PROFILES)}"
        raise ConfigFault([Fault(code="CFG-PROFILE", where="settings.profile", message=f"no profile {name}", fix=fix)])
    found = PROFILES[name]
    key = settings.values.get("key")
    columns = (key,) if isinstance(key, str) else tuple(str(each) for each in key or found.key)
    return replace(
        found,
        id=str(settings.values.get("id") or found.id),
        key=columns,
        at=str(settings.values.get("at") or found.at),
    )


# --- what is delivered -------------------------------------------------------------------------------------------


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """The records of a delivery. Raises RecordRejected for a body that holds none."""
    profile, rows = profile_of(settings), _rows(request)
    return [_event(profile, row, request) for row in rows]


def _rows(request: WebhookRequest) -> list[dict[str, Json]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            found = _form(parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=1000))
        else:
            found = orjson.loads(request.body)
    except ValueError as error:
        message = f"the body is neither JSON nor a form ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    rows = found if isinstance(found, list) else [found]
    if not rows or len(rows) > MOST_RECORDS or not all(isinstance(row, dict) and row for row in rows):
        fix = f"send a JSON object, or a list of at most {MOST_RECORDS}"
        raise RecordRejected("the body holds no records", code="HOOK-BODY", where=WHERE, fix=fix)
    return rows


def _form(fields: Mapping[str, list[str]]) -> dict[str, Json]:
    """A form as an object."""
    found: dict[str, Json] = {}
    for name, values in fields.items():
        value = _single(values)
        bare = name.removesuffix(".json").removesuffix("_json")
        if bare != name and isinstance(value, str):
            decoded = orjson.loads(value)
            value = {key: _single(each) for key, each in decoded.items()} if isinstance(decoded, dict) else decoded
        found[bare] = value
    return found


def _single(value: Json) -> Json:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _event(profile: Profile, row: dict[str, Json], request: WebhookRequest) -> WebhookEvent:
    """The record, known by its id and kept under that and its content: a corrected one is another delivery."""
    moment = _moment(profile, row)
    content = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()
    external_id = _id_of(profile, row, moment) or f"body:{content[:32]}"
    at = request.received_at if moment is None else moment
    record = SourceRecord(external_id=external_id, data={**row, "submitted_at": to_iso(at, digits=0)})
    return WebhookEvent(key=f"{external_id}#{content[:16]}", stream=STREAM, external_id=external_id, record=record)


def _moment(profile: Profile, row: Mapping[str, Json]) -> float | None:
    """What the sender says; None where nothing usable is said."""
    said = _at(row, profile.at)
    try:
        return parse_time(said) if isinstance(said, str) else None
    except (ValueError, OverflowError):
        return None


def _id_of(profile: Profile, row: Mapping[str, Json], moment: float | None) -> str:
    """The sender's own id, or a digest of what tells its records apart; "" if there is neither."""
    own = _at(row, profile.id)
    if isinstance(own, str | int) and not isinstance(own, bool) and str(own).strip():
        text = str(own).strip()
        plain = len(text) <= LONGEST_ID and text.isprintable() and "#" not in text
        return text if plain else f"id:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    told = [_at(row, path) for path in profile.key]
    if not any(value not in (None, "") for value in told):
        return ""
    words = [value.strip().casefold() if isinstance(value, str) else value for value in told]
    minute = None if moment is None else int(moment // 60)
    return f"key:{hashlib.sha256(orjson.dumps([words, minute])).hexdigest()[:32]}"


def _at(row: Mapping[str, Json], path: str) -> Json:
    value: Json = row
    for step in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value if path else None


# --- the rest of a connector -------------------------------------------------------------------------------------


def connect(door: None, settings: Settings) -> Profile:
    """Raises ConfigFault for a profile that is none."""
    return profile_of(settings)


def check(api: Profile) -> dict[str, Json]:
    """There is nobody to ask."""
    return {"account": "", "name": api.text, "warnings": []}


def discover(api: Profile, stream: str) -> list[Field]:
    """What senders call their fields is theirs to say; these are the ones that the profile knows of."""
    paths = dict.fromkeys(path for path in (api.id, *api.key, api.at) if path)
    told = [Field(name=path, label=path, type="text", writable=False, custom=True) for path in paths]
    moment = Field(name="submitted_at", label="Sent at", type="instant", writable=False)
    return [*told, moment, Field(name=ANY_NAME, label="Whatever the sender names", type="object", writable=False)]


def pull(api: Profile, stream: str, cursor: Json) -> Page:
    """Nothing can be read: whatever there is was sent."""
    return Page(records=(), next_cursor={}, complete=True)


CONNECTOR = Connector(
    name="inbound",
    title="Inbound webhooks (Beacon, ConvertFlow …)",
    base_url="",
    hosts=(),
    auth=(),
    limits=(),
    streams=(Stream(name=STREAM, cursor="events", sorted=False, deletes="absent", acts=True),),
    settings=(
        Setting(name="profile", text=f"Who sends: {', '.join(PROFILES)}", default="generic"),
        Setting(name="id", text="Path of the sender's id of a record"),
        Setting(name="key", text="Paths that tell records apart where no id is sent"),
        Setting(name="at", text="Path of the moment, ISO 8601 with zone"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    parse=parse,
)
