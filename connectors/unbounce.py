"""Unbounce (API 0.4), on the hub's door: the leads of one, several or all landing pages. Read only.

Docs: developer.unbounce.com, API reference; documentation.unbounce.com, "Using a webhook".

Leads are listed per page only, by when they were made; they are never edited. A read asks each page for what came since
five minutes before the last read, up to the moment at which it began, so that positions in the list stand still. Every
page costs a call, with or without leads: name the pages that matter in `pages`.

A webhook is entered by hand at each page, is not signed, and names no lead. It says at which page, in which minute and
from which address a form was sent: that lead is then looked for in the page's list, and read from there. Fields are
read in both spellings that the vendor has used (`form_data`, `formData`). Plans without API: connector `inbound`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs

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
from hub.model import Json, SourceRecord

PAGE = 1000  # most rows of a page (API reference: limit)
OVERLAP_S = 300.0  # how far a read goes back; whether `from` includes its moment is not documented
WINDOW_S = 120.0  # around the minute that a webhook names
ACCEPT = {"Accept": "application/vnd.unbounce.api.v0.4+json"}  # the version stands here
_ID = re.compile(r"[0-9a-fA-F-]{8,40}")
_TOLD = re.compile(r"([0-9a-fA-F-]{8,40})@(\d{9,11})#([0-9a-f]{16}|)")  # page, minute, digest of the address
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(slots=True)
class UnbounceApi:
    """What `connect` hands out."""

    door: Door
    pages: tuple[str, ...]  # as configured; empty: all

    def get(
        self, path: str, *, operation: str, params: Mapping[str, Json] | None = None, expect: Sequence[int] = ()
    ) -> HttpResponse:
        return self.door.request("GET", path, operation=operation, params=params, headers=ACCEPT, expect=expect)


def connect(door: Door, settings: Settings) -> UnbounceApi:
    """Raises ConfigFault for ids of pages that are none."""
    given = settings.values.get("pages") or []
    pages = [given] if isinstance(given, str) else list(given)
    wrong = [str(page) for page in pages if not isinstance(page, str) or not _ID.fullmatch(page)]
    if wrong:
        fix = "the id in the page's address in the builder, such as 11111111-2222-4333-8444-555555555555"
        raise ConfigFault([Fault(code="CFG-PAGE", where=door.account, message=f"{wrong[0]} is no page", fix=fix)])
    return UnbounceApi(door=door, pages=tuple(pages))


def pages_of(api: UnbounceApi) -> Iterator[dict[str, Json]]:
    """All pages of the account, unpublished ones too: they keep their leads."""
    offset = 0
    while True:
        found = api.get("/pages", operation="pages", params={"limit": PAGE, "offset": offset}).json()["pages"]
        yield from (row for row in found if row.get("id"))
        if len(found) < PAGE:
            return
        offset += len(found)


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: UnbounceApi, stream: str, cursor: Json) -> Page:
    """One page of one landing page's leads.

    Cursor at rest: {"pages": {page: epoch s where its next read begins}}. Under way also {"todo": pages not finished,
    the first being read, "offset", "last": id of the last lead, "started": epoch s}.
    """
    at: dict[str, Json] = {"pages": {}, "offset": 0, **(cursor or {})}
    started = at.get("started") or api.door.vendor_now()
    todo = at["todo"] if "todo" in at else list(api.pages) or [str(page["id"]) for page in pages_of(api)]
    if not todo:
        return Page(records=(), next_cursor={"pages": at["pages"]}, complete=True, read_at=started)
    page, *left = todo
    params = {**_between(at["pages"].get(page), started), "offset": at["offset"]}
    answer = api.get(f"/pages/{page}/leads", operation="leads", params=params, expect=(404,))
    rows = [] if answer.status == 404 else answer.json()["leads"]  # 404: deleted since it was listed
    records, faults = read_rows(rows, _record, id_key="id")
    if len(rows) >= PAGE:
        where = f"{api.door.account}/{stream}/{page}"
        last = require_progress(at.get("last"), rows[-1].get("id"), where=where)
        going_on = {"pages": at["pages"], "todo": todo, "offset": at["offset"] + len(rows), "last": last,
                    "started": started}  # fmt: skip
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=started)
    since = {**at["pages"], page: rest_at(started, OVERLAP_S)}
    following: dict[str, Json] = {"pages": since, "todo": left, "started": started} if left else {"pages": since}
    return Page(records=records, next_cursor=following, complete=not left, faults=faults, read_at=started)


def _between(since: float | None, until: float) -> dict[str, Json]:
    begin = None if since is None else to_iso(since)
    return {"sort_order": "asc", "limit": PAGE, "from": begin, "to": to_iso(until + 1)}


def _record(row: dict[str, Json]) -> SourceRecord:
    """A lead in one spelling; the visitor's own field names stay as they are."""
    data = {_CAMEL.sub(r"_\1", name).lower(): value for name, value in row.items()}
    external_id = str(data["id"])
    if not _ID.fullmatch(external_id):
        raise ValueError("no id of a lead")
    return SourceRecord(external_id=external_id, data=data, stamp=parse_time(data["created_at"]))


def fetch(api: UnbounceApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Leads by id, one call each, and those that a webhook told of, found in their page's list.

    What a webhook named is answered as merged into its lead; while the list does not have that, it is left out.
    """
    found: list[SourceRecord] = []
    for external_id in dict.fromkeys(ids):
        told = _TOLD.fullmatch(external_id)
        if told is not None:
            found += _leads_told(api, external_id, told[1], float(told[2]), told[3])
        elif _ID.fullmatch(external_id):
            answer = api.get(f"/leads/{external_id}", operation="fetch", expect=(404,))
            gone = SourceRecord(external_id=external_id, data={}, op="delete")
            found.append(gone if answer.status == 404 else _record(answer.json()))
    return list({record.external_id: record for record in found}.values())


def _leads_told(api: UnbounceApi, told: str, page: str, minute: float, mail: str) -> list[SourceRecord]:
    if api.pages and page not in api.pages:
        return [SourceRecord(external_id=told, data={}, op="delete")]
    params = _between(minute - WINDOW_S, minute + WINDOW_S)
    answer = api.get(f"/pages/{page}/leads", operation="fetch", params=params, expect=(404,))
    rows = [] if answer.status == 404 else answer.json()["leads"]
    records, _ = read_rows(rows, _record, id_key="id")
    leads = [each for each in records if not mail or mail in _digests(each.data.get("form_data"))]
    if not leads:
        return []
    return [*leads, SourceRecord(external_id=told, data={}, op="merged_into", merged_into=leads[-1].external_id)]


def _digests(form: Json) -> set[str]:
    values = form.values() if isinstance(form, Mapping) else ()
    return {_digest(value) for value in values if isinstance(value, str) and "@" in value}


def _digest(mail: str) -> str:
    return hashlib.sha256(mail.strip().lower().encode("utf-8", "replace")).hexdigest()[:16]


def find(api: UnbounceApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Leads by id only."""
    if name != "id":
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="UNBOUNCE-LOOKUP", where=api.door.account)
    return fetch(api, stream, [value])


# --- the account -------------------------------------------------------------------------------------------------


def check(api: UnbounceApi) -> dict[str, Json]:
    """How many pages there are, and which of the configured ones are not."""
    there = {str(page["id"]) for page in pages_of(api)}
    warnings = [f"there is no page {page}" for page in api.pages if page not in there]
    if not api.pages and len(there) > 50:
        warnings.append(f"each read takes {len(there)} calls, one a page: name those that matter in `pages`")
    return {"account": "", "name": f"{len(there)} page{'' if len(there) == 1 else 's'}", "warnings": warnings}


_FIXED = (
    Field(name="id", label="Lead", type="text", writable=False),
    Field(name="page_id", label="Page", type="text", writable=False),
    Field(name="variant_id", label="Variant", type="text", writable=False),
    Field(name="created_at", label="Sent at", type="instant", writable=False),
    Field(name="submitter_ip", label="IP address", type="text", writable=False),
    Field(name="extra_data.utm_campaign", label="utm_campaign", type="text", writable=False),
)
_KNOWN = ("email", "first_name", "last_name", "phone_number", "company", "job_title", "country")  # usual names


def discover(api: UnbounceApi, stream: str) -> list[Field]:
    """The fields of all forms, and the names that the builder proposes."""
    found = {name: Field(name=name, label=name, type=_kind(name), writable=False)
             for name in (f"form_data.{each}" for each in _KNOWN)}  # fmt: skip
    for page in list(api.pages) or [str(each["id"]) for each in pages_of(api)]:
        answer = api.get(f"/pages/{page}/form_fields", operation="discover", expect=(404,))
        for each in [] if answer.status == 404 else answer.json().get("form_fields") or answer.json().get("formFields"):
            name = f"form_data.{each['id']}"
            label = str(each.get("name") or each["id"])
            found[name] = Field(name=name, label=label, type=_kind(name), writable=False, custom=True)
    return [*_FIXED, *found.values()]


def _kind(name: str) -> str:
    return "email" if name.endswith(".email") else "phone" if name.endswith(".phone_number") else "text"


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "unbounce webhook"


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Where to look for the lead. Raises RecordRejected if the body is none of Unbounce's."""
    try:
        form = parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=200)
        page = _first(form, "page_id", "pageId")
        data = orjson.loads(_first(form, "data.json", "data_json"))
        told = {name: value[0] if isinstance(value, list) and value else value for name, value in data.items()}
        moment = f"{told['date_submitted']} {told['time_submitted']}"
        minute = int(datetime.strptime(moment, "%Y-%m-%d %I:%M %p UTC").replace(tzinfo=UTC).timestamp())
        if not _ID.fullmatch(page):
            raise ValueError("no id of a page")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    pages = settings.values.get("pages") or ()
    if pages and page not in ([pages] if isinstance(pages, str) else pages):
        return ()
    mail = next((value for value in told.values() if isinstance(value, str) and "@" in value), "")
    key = f"{page}@{minute}#{_digest(mail) if mail else ''}"
    return (
        WebhookEvent(key=f"{key}/{hashlib.sha256(request.body).hexdigest()[:16]}", stream="leads", external_id=key),
    )


def _first(form: Mapping[str, list[str]], *names: str) -> str:
    return form[next((name for name in names if name in form), names[0])][0]


CONNECTOR = Connector(
    name="unbounce",
    title="Unbounce",
    base_url="https://api.unbounce.com",
    hosts=("api.unbounce.com",),
    auth=(Auth(kind="token", scheme="Basic", token_is_user=True),),
    # A limit exists; 500 a minute is quoted at times, nothing official
    limits=(RateLimit(name="minute", calls=500, per_s=60.0, shared=True),),
    streams=(
        Stream(
            name="leads",
            modified_path="created_at",
            cursor="offset",
            lookback_s=OVERLAP_S,
            sorted=False,
            deletes="absent",
            page_size=PAGE,
            acts=True,
            minimum={"read": PAGE, "fetch": 1},
        ),
    ),
    settings=(Setting(name="pages", text="Ids of the pages to read; without it all of the account"),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    parse=parse,
    docs="https://developer.unbounce.com/api_reference/",
)
