"""Mindbody (Public API v6), on the hub's door: clients both ways; classes, visits, appointments and sales of one site.

Docs: developers.mindbodyonline.com, Public API v6, Webhooks API, release notes.

Clients are read by their day of change, from a day before the last read. Appointments and visits cannot be asked for by
change: the days around now are read each time, and each class of those days costs a call, so give these streams a slow
schedule (`every: 1h`). Sales are read by when they were made, the last week again, since returns show there.

A client has two ids: the number never changes and is ours; the other can be changed at the site, and is what bookings
and sales name, so it is looked up, 20 at a time. Times come without zone, in that of the site (`timezone`), and are
given in UTC beside them; a sale has no currency (`currency`). The API key stands in `token`; staff credentials beside
it (`username`, `password`) are exchanged for a token that lasts about an hour.

Mindbody refuses a second client of the same names and address, which settles a create whose answer was lost. Calls
beyond the free ones cost money: lower the limit `daily` to what the site may spend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
from hub.kit.paging import batches, behind_anchor, rest_at
from hub.kit.pushing import send_in_turn
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.kit.signing import require_signature, secrets_of
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 200  # rows asked for; the cap is said to be 200 or 100, so pages go on by what came
AGAIN = 10  # rows of the last page that the next one begins with
IN_CLASS = 5  # visits that one call brings, at a guess: those of one class
IDS = 20  # most clientIDs of a call
DAY_S = 86_400.0
BACK_S, AHEAD_S = 7 * DAY_S, 60 * DAY_S  # of appointments
CLASSES_BACK_S, CLASSES_AHEAD_S = 2 * DAY_S, 7 * DAY_S
FIRST_S = 730 * DAY_S  # how far the first read of appointments and sales goes back
PUSH_API = "https://push-api.mindbodyonline.com/api/v1"
EVENTS = ("client.created", "client.updated", "client.deactivated", "clientProfileMerger.created", "clientSale.created",
          "appointmentBooking.created", "appointmentBooking.updated", "appointmentBooking.cancelled")  # fmt: skip
ROWS = {  # stream -> path, key of the rows, path of an id
    "clients": ("/client/clients", "Clients", "UniqueId"),
    "classes": ("/class/classes", "Classes", "Id"),
    "visits": ("/class/classvisits", "Visits", "Id"),
    "appointments": ("/appointment/staffappointments", "Appointments", "Id"),
    "sales": ("/sale/sales", "Sales", "Id"),
}


@dataclass(slots=True)
class MindbodyApi:
    """What `connect` hands out."""

    door: Door
    site: str
    zone: ZoneInfo
    currency: str
    _staff: Mapping[str, str] = field(repr=False)
    _token: str = field(default="", repr=False)
    _unique: dict[str, int | None] = field(default_factory=dict)  # changeable id of a client -> the number

    def call(self, method: str, path: str, *, operation: str, expect: Sequence[int] = (), **more: Json) -> HttpResponse:
        """One call for the site, signed in as staff if there are credentials; a refused token is renewed once."""
        for last in (False, True):
            headers = {"SiteId": self.site, **self._signature(renew=last)}
            told = () if last or not self._staff else (401,)
            answer = self.door.request(
                method, path, operation=operation, headers=headers, expect=(*expect, *told), **more
            )
            if answer.status != 401 or last:
                break
        return answer

    def _signature(self, *, renew: bool) -> dict[str, str]:
        if not self._staff:
            return {}
        if renew or not self._token:
            headers, body = (
                {"SiteId": self.site},
                {"Username": self._staff["username"], "Password": self._staff["password"]},
            )
            answer = self.door.request("POST", "/usertoken/issue", operation="token", json=body, headers=headers)
            self._token = str(answer.json()["AccessToken"])
        return {"Authorization": f"Bearer {self._token}"}

    def numbers(self, ids: Sequence[Json]) -> dict[str, int | None]:
        """Changeable ids of clients -> their numbers; None: there is no such client."""
        wanted = [each for each in dict.fromkeys(str(one) for one in ids if one) if each not in self._unique]
        for part in batches(wanted, IDS):
            params = {"clientIDs": list(part), "includeInactive": "true", "limit": PAGE}
            rows = self.call("GET", "/client/clients", operation="clients", params=params).json()["Clients"]
            found = {str(row.get("Id")): int(row["UniqueId"]) for row in rows if row.get("UniqueId")}
            self._unique |= {each: found.get(each) for each in part}
        return {str(each): self._unique.get(str(each)) for each in ids}


def connect(door: Door, settings: Settings) -> MindbodyApi:
    """Raises ConfigFault for a site that is no number, or an unknown zone."""
    site, name = str(settings.values.get("site") or ""), str(settings.values.get("timezone") or "UTC")
    faults = []
    if not site.lstrip("-").isdecimal():
        faults.append(
            Fault(code="CFG-SITE", where=door.account, message="settings.site is no number", fix="such as 123456")
        )
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.append(
            Fault(code="CFG-ZONE", where=door.account, message=f"{name} is no time zone", fix="such as Europe/Berlin")
        )
    if faults:
        raise ConfigFault(faults)
    auth = settings.auth
    staff = {name: auth[name] for name in ("username", "password")} if auth.get("password") else {}
    return MindbodyApi(door, site, zone, str(settings.values.get("currency") or ""), staff)


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: MindbodyApi, stream: str, cursor: Json) -> Page:
    """One page of one list; visits have a list for each class of the days around now.

    Cursor at rest: {"since": epoch s of the last read less its overlap}. Under way also {"started", "offset", "anchor":
    id of the last row of the page before, and for visits "todo": classes not finished}.
    """
    at: dict[str, Json] = {"since": None, "offset": 0, **(cursor or {})}
    at.setdefault("started", api.door.vendor_now())
    if stream == "visits" and "todo" not in at:
        at["todo"] = [str(row["Id"]) for row in _classes(api, at["started"]) if row.get("Id")]
    if stream == "visits" and not at["todo"]:
        return _rest(stream, at, (), [])
    path, name, id_key = ROWS[stream]
    params = {**_asked(api, stream, at), "limit": PAGE, "offset": at["offset"]}
    found = api.call("GET", path, operation=stream, params=params).json()
    if stream == "visits":
        found = _of_class(found, at["todo"][0], where=f"{api.door.account}/{stream}")
    rows = found.get(name) or []
    paging = found.get("PaginationResponse") or {}
    total, came = int(paging.get("TotalResults") or len(rows)), int(paging.get("PageSize") or len(rows))
    full = bool(rows) and at["offset"] + came < total
    ids = [str(row.get(id_key)) if isinstance(row, dict) else "" for row in rows]
    begin = behind_anchor(ids, at.get("anchor"), full=full, where=f"{api.door.account}/{stream}")
    if begin is None:  # rows vanished from pages that were read: from the start again
        again = {name: value for name, value in at.items() if name != "anchor"} | {"offset": 0}
        return Page(records=(), next_cursor=again, complete=False, read_at=at["started"])
    fresh = rows[begin:]
    if stream in ("appointments", "sales"):
        api.numbers([row.get("ClientId") for row in fresh if isinstance(row, dict)])
    records, faults = read_rows(fresh, partial(_record, api, stream), id_key=id_key)
    if full:
        step = max(1, came - AGAIN) if came > AGAIN else came
        going_on = {**at, "offset": at["offset"] + step, "anchor": ids[-1]}
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=at["started"])
    return _rest(stream, at, records, faults)


def _of_class(found: Mapping[str, Json], number: str, *, where: str) -> Mapping[str, Json]:
    """The visits of the class that was asked for. Raises NeedsReview if they are another's: one answer for all."""
    told = found.get("Class") or {}
    if str(told.get("Id")) != number:
        raise NeedsReview("it answers for another class", code="PAGE-LOOP", where=where, fix="ask the vendor")
    return {"PaginationResponse": found.get("PaginationResponse"), "Visits": told.get("Visits")}


def _rest(
    stream: str, at: Mapping[str, Json], records: Sequence[SourceRecord], faults: Sequence[Mapping[str, str]]
) -> Page:
    """The end of a list: of the read, or of one class's visits."""
    left = at.get("todo", [])[1:]
    rest: dict[str, Json] = {"since": rest_at(at["started"], DAY_S)}
    following = {"since": at["since"], "started": at["started"], "todo": left} if left else rest
    return Page(records=records, next_cursor=following, complete=not left, faults=faults, read_at=at["started"])


def _asked(api: MindbodyApi, stream: str, at: Mapping[str, Json]) -> dict[str, Json]:
    """The window of a read. Without dates most lists mean today, and nothing else."""
    since, started = at["since"], at["started"]
    if stream == "clients":
        changed = {} if since is None else {"lastModifiedDate": _local(api, since)[:10]}
        return {"includeInactive": "true", **changed}
    if stream == "visits":
        return {"classID": at["todo"][0]}
    if stream == "classes":
        return _around(api, started)
    if stream == "sales":
        begin = started - FIRST_S if since is None else since - BACK_S
        return {"startSaleDateTime": _local(api, begin), "endSaleDateTime": _local(api, started + DAY_S)}
    begin = started - (FIRST_S if since is None else BACK_S)
    return {"startDate": _local(api, begin)[:10], "endDate": _local(api, started + AHEAD_S)[:10]}


def _around(api: MindbodyApi, now: float) -> dict[str, Json]:
    begin, end = now - CLASSES_BACK_S, now + CLASSES_AHEAD_S
    return {"startDateTime": _local(api, begin), "endDateTime": _local(api, end)}


def _classes(api: MindbodyApi, now: float) -> Iterator[dict[str, Json]]:
    offset = 0
    while True:
        params = {**_around(api, now), "limit": PAGE, "offset": offset}
        found = api.call("GET", "/class/classes", operation="classes", params=params).json()
        rows = found["Classes"]
        yield from rows
        offset += len(rows)
        if not rows or offset >= int(found["PaginationResponse"]["TotalResults"]):
            return


def _local(api: MindbodyApi, at: float) -> str:
    return datetime.fromtimestamp(int(at), api.zone).strftime("%Y-%m-%dT%H:%M:%S")


def _utc(api: MindbodyApi, text: Json) -> str | None:
    """A time of the site as UTC; one that has a zone keeps it."""
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return to_iso((moment if moment.tzinfo else moment.replace(tzinfo=api.zone)).timestamp(), digits=0)


def _record(api: MindbodyApi, stream: str, row: dict[str, Json]) -> SourceRecord:
    """A row as it came, with its times in UTC, its client's number and its sum beside."""
    external_id = str(row[ROWS[stream][2]])
    if not external_id.lstrip("-").isdecimal():
        raise ValueError("no id")
    data = dict(row)
    for name in ("StartDateTime", "EndDateTime", "SaleDateTime", "CreationDate"):
        if name in row:
            data[f"{name}Utc"] = _utc(api, row[name])
    stamp = None
    if stream == "clients":
        stamp = parse_time(str(_utc(api, row["LastModifiedDateTime"])))
        data["BirthDay"] = str(row["BirthDate"])[:10] if row.get("BirthDate") else None
    elif stream in ("appointments", "sales"):
        data["ClientNumber"] = api.numbers([row.get("ClientId")]).get(str(row.get("ClientId")))
    if stream == "sales":
        items = row.get("PurchasedItems") or ()
        data["Total"] = str(sum((Decimal(str(each["TotalAmount"])) for each in items), Decimal(0)))
        data["Returned"] = "true" if items and all(each.get("Returned") for each in items) else "false"
        data["Currency"] = api.currency
    return SourceRecord(external_id=external_id, data=data, stamp=stamp)


def fetch(api: MindbodyApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Clients by their number, 20 at a time, sales one by one; the rest is looked for in the days that a read shows.

    A client that is not there was merged or deleted. Of the others nothing is concluded: they may lie outside the days.
    """
    wanted = [each for each in dict.fromkeys(ids) if each.lstrip("-").isdecimal() and each.isascii()]
    if stream == "clients":
        found = {each.external_id: each for each in _clients(api, wanted)}
        return [found.get(each) or SourceRecord(external_id=each, data={}, op="delete") for each in wanted]
    if stream == "sales":
        rows = [
            row
            for each in wanted
            for row in api.call("GET", "/sale/sales", operation="fetch", params={"saleId": each}).json()["Sales"]
        ]
        return read_rows(rows, partial(_record, api, stream), id_key="Id")[0] if rows else []
    cursor: Json = None
    found = {}
    while set(wanted) - found.keys():
        page = pull(api, stream, cursor)
        found |= {each.external_id: each for each in page.records if each.external_id in wanted}
        cursor = page.next_cursor
        if page.complete:
            break
    return list(found.values())


def _clients(api: MindbodyApi, numbers: Sequence[str]) -> Iterator[SourceRecord]:
    for part in batches(numbers, IDS):
        params = {"uniqueIds": list(part), "includeInactive": "true", "limit": PAGE}
        rows = api.call("GET", "/client/clients", operation="fetch", params=params).json()["Clients"]
        yield from read_rows(rows, partial(_record, api, "clients"), id_key="UniqueId")[0]


def find(api: MindbodyApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """By number; clients also by e-mail address, through the search."""
    if name == ROWS[stream][2]:
        return fetch(api, stream, [value])
    if (stream, name) != ("clients", "Email"):
        where = f"{api.door.account}/{stream}"
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="MINDBODY-LOOKUP", where=where)
    params = {"searchText": value, "includeInactive": "true", "limit": PAGE}
    rows = api.call("GET", "/client/clients", operation="fetch", params=params).json()["Clients"]
    records, _ = read_rows(rows, partial(_record, api, stream), id_key="UniqueId")
    return [each for each in records if str(each.data.get("Email")).lower() == value.lower()]


# --- writing -----------------------------------------------------------------------------------------------------


def push(api: MindbodyApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Clients, one call each; for updates one more, which asks for the ids that they go by at this moment."""
    numbers = [change.external_id or "" for change in changes if change.op == "update"]
    known = {each.external_id: str(each.data["Id"]) for each in _clients(api, numbers)} if numbers else {}
    refused, sends = [], []
    for index, change in enumerate(changes):
        if change.op == "update" and change.external_id not in known:
            refused.append(PushResult(index=index, outcome="not_found", external_id=change.external_id))
        elif change.op not in ("create", "update"):
            refused.append(PushResult(index=index, outcome="rejected", code="REC-OP", message=f"no {change.op} here"))
        else:
            sends.append(([index], partial(_send, api, index, change, known)))
    return sorted(refused + send_in_turn(sends, api.door.now), key=lambda result: result.index)


def _send(api: MindbodyApi, index: int, change: ChangeSet, known: Mapping[str, str]) -> list[PushResult]:
    body = {name: "" if value is None else value for name, value in change.body.items()}
    if change.op == "create":
        path, sent = "/client/addclient", {name: value for name, value in body.items() if value != ""}
    else:
        path = "/client/updateclient"
        sent = {"Client": {**body, "Id": known[change.external_id or ""]}, "CrossRegionalUpdate": False, "Test": False}
    answer = api.call("POST", path, operation=change.op, json=sent, writes=True, expect=(400,)).json()
    if error := answer.get("Error"):
        return [_refusal(api, index, change, str(error.get("Code")), str(error.get("Message")))]
    held = _record(api, "clients", answer["Client"])
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def _refusal(api: MindbodyApi, index: int, change: ChangeSet, code: str, message: str) -> PushResult:
    """Somebody of these names and this address is there: it is told who."""
    mail = str(change.body.get("Email") or "")
    if change.op == "create" and code == "InvalidClientCreation" and mail:
        names = ("FirstName", "LastName")
        there = [
            each
            for each in find(api, "clients", "Email", mail)
            if all(str(each.data.get(name)).casefold() == str(change.body.get(name)).casefold() for name in names)
        ]
        if there:
            return PushResult(index=index, outcome="duplicate", existing_id=there[0].external_id, held=there[0])
    return PushResult(index=index, outcome="rejected", code=code, message=message)


# --- the account -------------------------------------------------------------------------------------------------


def check(api: MindbodyApi) -> dict[str, Json]:
    """The site's name, and whether everything can be read that needs a member of staff."""
    sites = api.call("GET", "/site/sites", operation="check").json()["Sites"]
    name = next((str(each["Name"]) for each in sites if str(each["Id"]) == api.site), api.site)
    warnings = [] if api._staff else ["no staff credentials: what needs them is refused"]
    if not api.currency:
        warnings.append("settings.currency is not set: sales have no sum")
    return {"account": api.site, "name": name, "warnings": warnings}


_FIELDS: Mapping[str, Sequence[tuple[str, str]]] = {
    "clients": (
        ("UniqueId", "text"), ("Id", "text"), ("FirstName", "text"), ("MiddleName", "text"), ("LastName", "text"),
        ("Email", "email"), ("MobilePhone", "phone"), ("HomePhone", "phone"), ("WorkPhone", "phone"),
        ("AddressLine1", "text"), ("AddressLine2", "text"), ("City", "text"), ("State", "text"),
        ("PostalCode", "text"), ("Country", "text"), ("BirthDay", "date"), ("BirthDate", "date"), ("Gender", "text"),
        ("Active", "boolean"), ("Status", "text"), ("IsProspect", "boolean"), ("ReferredBy", "text"),
        ("SendPromotionalEmails", "boolean"), ("SendPromotionalTexts", "boolean"),
        ("LastModifiedDateTime", "instant"), ("CreationDateUtc", "instant"),
    ),
    "classes": (
        ("Id", "text"), ("ClassDescription.Name", "text"), ("StartDateTimeUtc", "instant"),
        ("EndDateTimeUtc", "instant"), ("IsCanceled", "boolean"),
    ),
    "visits": (
        ("Id", "text"), ("ClassId", "ref"), ("ClientUniqueId", "ref"), ("Name", "text"), ("ServiceName", "text"),
        ("StartDateTimeUtc", "instant"), ("SignedIn", "boolean"), ("LateCancelled", "boolean"), ("Missed", "boolean"),
        ("WebSignup", "boolean"), ("LastModifiedDateTime", "instant"),
    ),
    "appointments": (
        ("Id", "text"), ("Status", "enum"), ("ClientId", "text"), ("ClientNumber", "ref"), ("StaffId", "text"),
        ("SessionTypeId", "text"), ("StartDateTimeUtc", "instant"), ("EndDateTimeUtc", "instant"), ("Notes", "text"),
    ),
    "sales": (
        ("Id", "text"), ("ClientId", "text"), ("ClientNumber", "ref"), ("SaleDateTimeUtc", "instant"),
        ("Total", "decimal"), ("Currency", "text"), ("Returned", "enum"), ("LocationId", "text"),
    ),
}  # fmt: skip
_REFERS = {"ClientNumber": "clients", "ClientUniqueId": "clients", "ClassId": "classes"}
_READ_ONLY = ("UniqueId", "Id", "BirthDay", "LastModifiedDateTime", "CreationDateUtc", "Status", "SendPromotionalTexts")


def discover(api: MindbodyApi, stream: str) -> list[Field]:
    """The documented fields; of clients also which the site requires."""
    required: set[str] = set()
    if stream == "clients":
        answer = api.call("GET", "/client/requiredclientfields", operation="discover").json()
        required = {"FirstName", "LastName", *(str(each) for each in answer.get("RequiredClientFields") or ())}
    return [
        Field(
            name=name, label=name, type=kind, writable=stream == "clients" and name not in _READ_ONLY,
            required=name in required, unique=name in ("UniqueId", "Id"), ref_to=_REFERS.get(name, ""),
        )
        for name, kind in _FIELDS[stream]
    ]  # fmt: skip


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "mindbody webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``X-Mindbody-Signature: sha256=<base64>`` over the body. The key looks like base64, and is used as text."""
    scheme, _, given = request.headers.get("x-mindbody-signature", "").partition("=")
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_signature([given] if scheme == "sha256" else [], request.body, secrets, where=WHERE, encoding="base64")


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which records to read; those of other sites of the same developer are left alone.

    Raises RecordRejected if the body is none of Mindbody's.
    """
    try:
        told = orjson.loads(request.body)
        kind, key, data = str(told["eventId"]), str(told["messageId"]), told["eventData"]
        if str(data["siteId"]) != str(settings.values.get("site")):
            return ()
        found = [(stream, str(number)) for stream, number in _told(kind, data)]
        if not all(number.lstrip("-").isdecimal() for _, number in found):
            raise ValueError("no id")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    return [
        WebhookEvent(key=f"{key}/{place}", stream=stream, external_id=number)
        for place, (stream, number) in enumerate(found)
    ]


def _told(kind: str, data: Mapping[str, Json]) -> list[tuple[str, Json]]:
    if kind == "clientProfileMerger.created":
        return [("clients", data["keptClientUniqueId"]), ("clients", data["removedClientUniqueId"])]
    if kind.startswith("client."):
        return [("clients", data["clientUniqueId"])]
    if kind == "clientSale.created":
        return [("sales", data["saleId"])]
    return [("appointments", data["appointmentId"])] if kind.startswith("appointmentBooking.") else []


def subscribe(api: MindbodyApi, url: str) -> dict[str, Json]:
    """A new subscription in the place of an older one to this address: its key is shown only now. Then it is on."""
    path = f"{PUSH_API}/subscriptions"
    known = api.door.request("GET", path, operation="subscribe").json()
    for each in known.get("items") or known.get("subscriptions") or ():
        if each.get("webhookUrl") == url:
            old = f"{path}/{each['subscriptionId']}"
            api.door.request("DELETE", old, operation="subscribe", writes=True)
    body = {"eventIds": list(EVENTS), "eventSchemaVersion": 1, "referenceId": api.door.account, "webhookUrl": url}
    made = api.door.request("POST", path, operation="subscribe", json=body, writes=True).json()
    switch = f"{path}/{made['subscriptionId']}"
    api.door.request("PATCH", switch, operation="subscribe", json={"status": "Active"}, writes=True)
    return {"url": url, "subscription": made["subscriptionId"], "secret": made["messageSignatureKey"]}


def _stream(name: str, least: Mapping[str, int] = MappingProxyType({}), **more: Json) -> Stream:
    writes = frozenset({"create", "update"}) if name == "clients" else frozenset[str]()
    return Stream(
        name=name,
        id_path=ROWS[name][2],
        modified_path="LastModifiedDateTime" if name == "clients" else None,
        cursor="offset",
        lookback_s=DAY_S,
        sorted=False,
        deletes="absent",
        writes=writes,
        max_batch=IDS if writes else 1,
        stamp_tick_s=1.0,
        page_size=PAGE,
        minimum={"read": 100, "write": 1, "fetch": IDS if writes else 1, **least},
        **more,
    )


CONNECTOR = Connector(
    name="mindbody",
    title="Mindbody",
    base_url="https://api.mindbodyonline.com/public/v6",
    hosts=("api.mindbodyonline.com", "push-api.mindbodyonline.com"),
    auth=(Auth(kind="token", header="Api-Key", scheme=""),),
    # Free calls a day by older documents; a newer one says 5,000 a billing cycle. Each further call costs money
    limits=(RateLimit(name="daily", calls=1000, per_s=DAY_S, shared=True),),
    streams=(
        _stream("clients"),
        _stream("classes"),
        _stream("visits", {"read": IN_CLASS}, acts=True, parents=("clients", "classes")),
        _stream("appointments", acts=True, parents=("clients",)),
        _stream("sales", acts=True, parents=("clients",)),
    ),
    settings=(
        Setting(name="site", text="Number of the site", required=True),
        Setting(name="timezone", text="Zone of the site's times", default="UTC"),
        Setting(name="currency", text="Currency of the site's sales"),
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
    docs="https://developers.mindbodyonline.com/",
)
