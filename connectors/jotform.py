"""Jotform, on the hub's door: the submissions of one, several or all forms. Nothing is written but webhooks.

Docs: Jotform API documentation, "User/Submissions", "Form/Webhooks"; official Python client for paths and filters.

A read asks twice: for what was submitted since the last read, and for what was edited since then (a submission has no
time of change until somebody edits it). Jotform's times have no zone, and which one is meant is a matter of belief: the
setting `timezone` says it, a read goes a day back, and times never decide which of two reads is newer. Lists are read
by position: each page begins some rows before the end of the last one, and if that is not where it was, because rows
vanished in between, the read begins again. Webhooks are not signed: their address is a secret, and the submission that
they name is read.

Answers are listed in one form: by the name of their question (`{answer: email4}`) or its kind (`{answer_type: email}`,
`control_scale`, `control_rating`), names and addresses part by part (`{answer_type: first_name}`). What came is kept
beside them under `questions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
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
from hub.kit.paging import behind_anchor, rest_at
from hub.kit.reading import read_rows, to_iso
from hub.kit.statuses import Kind, kind_of
from hub.model import Json, SourceRecord

PAGE = 1000  # most rows of a page that working clients ask for; the official maximum is nowhere said
AGAIN = 20  # rows of the last page that the next one begins with
OVERLAP_S = 86_400.0  # more than any mistake about the zone of its times
ZONE = "America/New_York"  # where clients agree most often; nothing official
DAILY = 1000  # calls a day on the smallest plan; `limit-left` of each answer says what is left
_ID = re.compile(r"\d{1,30}")
_CODE = re.compile(rb'"responseCode":\s*"?(\d{3})')
_LEFT = re.compile(rb'"limit-left":\s*"?(\d{1,12})')


@dataclass(slots=True)
class JotformApi:
    """What `connect` hands out."""

    door: Door
    forms: tuple[str, ...]  # as configured; empty: all
    zone: ZoneInfo


def connect(door: Door, settings: Settings) -> JotformApi:
    """Raises ConfigFault for ids of forms that are none, and for an unknown zone."""
    given = settings.values.get("forms") or []
    forms = [given] if isinstance(given, str) else list(given)
    faults = [
        Fault(code="CFG-FORM", where=door.account, message=f"{form} is no id of a form", fix="the digits of its URL")
        for form in forms
        if not isinstance(form, str) or not _ID.fullmatch(form)
    ]
    name = str(settings.values.get("timezone") or ZONE)
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.append(
            Fault(code="CFG-ZONE", where=door.account, message=f"{name} is no time zone", fix="such as Europe/Berlin")
        )
    if faults:
        raise ConfigFault(faults)
    return JotformApi(door=door, forms=tuple(forms), zone=zone)


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: JotformApi, stream: str, cursor: Json) -> Page:
    """One page of what was submitted, then of what was edited.

    Cursor at rest: {"since": epoch s of the last read less a day}. Under way also {"started", "pass": created or
    updated, "offset": of the next page, "anchor": id of the last row of the page before}.
    """
    at: dict[str, Json] = {"since": None, **(cursor or {})}
    step, offset = at.get("pass", "created"), at.get("offset", 0)
    since = at["since"]
    params: dict[str, Json] = {"limit": PAGE, "offset": offset, "orderby": f"{step}_at"}
    if since is not None:
        params["filter"] = orjson.dumps({f"{step}_at:gt": _local(api, since)}).decode()
    answer = api.door.request("GET", _list_path(api), operation="submissions", params=params)
    started = at.get("started", answer.at)
    rows = answer.json()["content"]
    ids, full = [str(row.get("id")) if isinstance(row, dict) else "" for row in rows], len(rows) >= PAGE
    begin = behind_anchor(ids, at.get("anchor"), full=full, where=f"{api.door.account}/{stream}")
    if begin is None:  # rows vanished from pages that were read: from the start again
        again = {"since": since, "started": started, "pass": step, "offset": 0}
        return Page(records=(), next_cursor=again, complete=False, read_at=started)
    wanted = [row for row in rows[begin:] if not isinstance(row, dict) or _is_wanted(api, row, step, since)]
    records, faults = read_rows(wanted, lambda row: _record(api, row), id_key="id")
    if full:
        going_on = {"since": since, "started": started, "pass": step, "offset": offset + len(rows) - AGAIN,
                    "anchor": ids[-1]}  # fmt: skip
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=started)
    if step == "created" and since is not None:
        going_on = {"since": since, "started": started, "pass": "updated", "offset": 0}
        return Page(records=records, next_cursor=going_on, complete=False, faults=faults, read_at=started)
    rest = {"since": rest_at(started, OVERLAP_S)}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)


def _list_path(api: JotformApi) -> str:
    """All forms are one list. Of several chosen ones, too: a long filter of ids was seen to switch off the other."""
    return f"/form/{api.forms[0]}/submissions" if len(api.forms) == 1 else "/user/submissions"


def _is_wanted(api: JotformApi, row: Mapping[str, Json], step: str, since: float | None) -> bool:
    """Filters again on our side: Jotform was seen to ignore them. What is new was read as such."""
    if api.forms and str(row.get("form_id")) not in api.forms:
        return False
    if since is None:
        return True
    bound = _local(api, since)  # texts of one form compare as times do
    is_new = str(row.get("created_at")) > bound
    return is_new if step == "created" else not is_new and str(row.get("updated_at") or "") > bound


def _local(api: JotformApi, at: float) -> str:
    return datetime.fromtimestamp(int(at), api.zone).strftime("%Y-%m-%d %H:%M:%S")


def _moment(api: JotformApi, text: str) -> str:
    """A time without zone, as UTC."""
    return to_iso(datetime.fromisoformat(text).replace(tzinfo=api.zone).timestamp(), digits=0)


def _record(api: JotformApi, row: dict[str, Json]) -> SourceRecord:
    """A submission as it came, its time with a zone, and its answers in the form that mappings know."""
    external_id = str(row["id"])
    if not _ID.fullmatch(external_id):
        raise ValueError("no id of a submission")
    if row.get("status") == "DELETED":
        return SourceRecord(external_id=external_id, data={}, op="delete")
    questions = row.get("answers")
    given = questions if isinstance(questions, Mapping) else {}  # an empty one is sent as a list
    answers = [answer for qid, each in given.items() for answer in _answers(qid, each)]
    data = {**row, "submitted_at": _moment(api, row["created_at"]), "questions": questions, "answers": answers}
    return SourceRecord(external_id=external_id, data=data)


_PARTS = {  # of compound answers: key over there -> type of the part
    "control_fullname": {
        "prefix": "salutation", "first": "first_name", "middle": "middle_name", "last": "last_name", "suffix": "suffix",
    },
    "control_address": {
        "addr_line1": "street", "addr_line2": "street2", "city": "city", "state": "state", "postal": "postal_code",
        "country": "country",
    },
}  # fmt: skip


def _answers(qid: str, question: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """An answer, or its parts; nothing where nothing was answered."""
    value, kind = question.get("answer"), str(question.get("type"))
    name = str(question.get("name") or qid)
    if value in (None, "", [], {}):
        return
    if kind in _PARTS and isinstance(value, Mapping):
        for part, as_type in _PARTS[kind].items():
            if value.get(part):
                field = {"id": f"{qid}.{part}", "ref": f"{name}.{part}", "type": kind}
                yield {"field": field, "type": as_type, as_type: value[part]}
        return
    as_type, given = _SHAPES.get(kind, _as_text)(value, question)
    yield {"field": {"id": qid, "ref": name, "type": kind}, "type": as_type, as_type: given}


Shape = Callable[[Json, Mapping[str, Json]], tuple[str, Json]]


def _as_text(value: Json, question: Mapping[str, Json]) -> tuple[str, Json]:
    if isinstance(value, str):
        return "text", value
    return "text", question.get("prettyFormat") or orjson.dumps(value).decode()


def _as_phone(value: Json, question: Mapping[str, Json]) -> tuple[str, Json]:
    if not isinstance(value, Mapping):
        return "phone_number", value
    parts = (value.get("country"), value.get("area"), value.get("phone"))
    return "phone_number", value.get("full") or " ".join(str(each) for each in parts if each)


def _as_date(value: Json, question: Mapping[str, Json]) -> tuple[str, Json]:
    if isinstance(value, Mapping) and all(str(value.get(part, "")).isdecimal() for part in ("year", "month", "day")):
        return "date", f"{int(value['year']):04d}-{int(value['month']):02d}-{int(value['day']):02d}"
    return _as_text(value, question)


def _as_choice(value: Json, question: Mapping[str, Json]) -> tuple[str, Json]:
    return "choice", {"label": value} if isinstance(value, str) else value


def _as_choices(value: Json, question: Mapping[str, Json]) -> tuple[str, Json]:
    labels = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return "choices", {"labels": labels}


_SHAPES: Mapping[str, Shape] = {
    "control_email": lambda value, question: ("email", value),
    "control_phone": _as_phone,
    "control_datetime": _as_date,
    "control_dropdown": _as_choice,
    "control_radio": _as_choice,
    "control_checkbox": _as_choices,
    **dict.fromkeys(
        ("control_rating", "control_scale", "control_number", "control_spinner"), lambda value, _: ("number", value)
    ),
}


def fetch(api: JotformApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Submissions by id, one call each. One that is not found is deleted."""
    found = []
    for external_id in dict.fromkeys(each for each in ids if _ID.fullmatch(each)):
        answer = api.door.request("GET", f"/submission/{external_id}", operation="fetch", expect=(404,))
        if answer.status == 404:
            found.append(SourceRecord(external_id=external_id, data={}, op="delete"))
        elif not api.forms or str(answer.json()["content"]["form_id"]) in api.forms:
            found.append(_record(api, answer.json()["content"]))
    return found


def find(api: JotformApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Submissions by id only."""
    if name != "id":
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="JOTFORM-LOOKUP", where=api.door.account)
    return fetch(api, stream, [value])


# --- the account -------------------------------------------------------------------------------------------------


def forms_of(api: JotformApi) -> list[str]:
    """The forms, as configured, or all that the account has and did not delete."""
    if api.forms:
        return list(api.forms)
    found: list[str] = []
    while True:
        params = {"limit": PAGE, "offset": len(found), "orderby": "created_at"}
        rows = api.door.request("GET", "/user/forms", operation="forms", params=params).json()["content"]
        found += [str(row["id"]) for row in rows if row.get("status") != "DELETED"]
        if len(rows) < PAGE:
            return found


def check(api: JotformApi) -> dict[str, Json]:
    """Whose account it is, and which of the configured forms are not there."""
    who = api.door.request("GET", "/user", operation="check").json()["content"]
    warnings = []
    for form in api.forms:
        if api.door.request("GET", f"/form/{form}", operation="check", expect=(401, 404)).status != 200:
            warnings.append(f"there is no form {form}")
    return {"account": str(who["username"]), "name": str(who.get("name") or who["username"]), "warnings": warnings}


_FIXED = (
    Field(name="form_id", label="Form", type="text", writable=False),
    Field(name="submitted_at", label="Submitted at", type="instant", writable=False),
    Field(name="status", label="Status", type="text", writable=False),
    Field(name="ip", label="IP address", type="text", writable=False),
    Field(name="notes", label="Notes", type="text", writable=False),
    *(Field(name=f"answer:{kind}", label=kind, type=kind if kind == "email" else "text", writable=False)
      for kind in ("email", "phone_number", "salutation", "first_name", "middle_name", "last_name", "suffix", "street",
                   "city", "state", "postal_code", "country")),
    Field(name="answer:control_scale", label="Answer on a scale", type="integer", writable=False),
    Field(name="answer:control_rating", label="Stars", type="decimal", writable=False),
)  # fmt: skip
_TYPES = {"control_email": "email", "control_phone": "phone", "control_checkbox": "set", "control_datetime": "date"}
_NO_QUESTIONS = ("control_head", "control_button", "control_text", "control_image", "control_pagebreak")


def discover(api: JotformApi, stream: str) -> list[Field]:
    """Answers by the name of their question, of all forms together."""
    found: dict[str, Field] = {}
    for form in forms_of(api):
        questions = api.door.request("GET", f"/form/{form}/questions", operation="discover").json()["content"]
        for each in questions.values() if isinstance(questions, Mapping) else ():
            if each["type"] in _NO_QUESTIONS:
                continue
            name = f"answer:{each.get('name') or each['qid']}"
            label, kind = str(each.get("text") or name), _TYPES.get(each["type"], "text")
            found.setdefault(name, Field(name=name, label=label, type=kind, writable=False, custom=True))
    return [*_FIXED, *found.values()]


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "jotform webhook"


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which submission to read; the body is a form with parts, and nothing else in it is believed.

    Raises RecordRejected if the body is none of Jotform's.
    """
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode("utf-8", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    parts = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        if name in ("formID", "submissionID"):
            parts[str(name)] = bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace").strip()
    form, submission = parts.get("formID", ""), parts.get("submissionID", "")
    if not _ID.fullmatch(form) or not _ID.fullmatch(submission):
        raise RecordRejected("the body names no submission", code="HOOK-BODY", where=WHERE)
    forms = settings.values.get("forms") or ()
    if forms and form not in ([forms] if isinstance(forms, str) else forms):
        return ()
    return (WebhookEvent(key=submission, stream="submissions", external_id=submission),)  # sent once, when it is new


def subscribe(api: JotformApi, url: str) -> dict[str, Json]:
    """One webhook per form, unless it has it."""
    forms = forms_of(api)
    for form in forms:
        path = f"/form/{form}/webhooks"
        known = api.door.request("GET", path, operation="subscribe").json()["content"]
        if url not in (known.values() if isinstance(known, Mapping) else known or ()):
            api.door.request("POST", path, operation="subscribe", form={"webhookURL": url}, writes=True)
    return {"url": url, "forms": forms}


def classify(answer: HttpResponse) -> str | None:
    """`responseCode` of the body, where it says something else than the status."""
    found = _CODE.search(answer.body[:300]) or _CODE.search(answer.body[-300:])
    code = int(found[1]) if found else answer.status
    return None if code == answer.status else kind_of(code, STATUSES)


def usage(answer: HttpResponse) -> Mapping[str, tuple[int, int]]:
    """`limit-left`: calls left today. How many there were is the plan's, at least 1,000."""
    found = _LEFT.search(answer.body[-300:]) or _LEFT.search(answer.body[:300])
    if found is None:
        return {}
    of = max(DAILY, int(found[1]))
    return {"daily": (of - int(found[1]), of)}


STATUSES: Mapping[int, str] = {429: Kind.QUOTA}  # the day's calls are used up; there is no other limit

CONNECTOR = Connector(
    name="jotform",
    title="Jotform",
    base_url="https://api.jotform.com",
    hosts=("api.jotform.com", "eu-api.jotform.com", "hipaa-api.jotform.com", ".jotform.com"),  # others set base_url
    auth=(Auth(kind="token", header="APIKEY", scheme=""),),
    # by plan, Starter 1,000 to Gold 100,000; figures of a third-party catalogue of limits
    limits=(RateLimit(name="daily", calls=DAILY, per_s=86_400.0, shared=True),),
    streams=(
        Stream(
            name="submissions",
            cursor="offset",
            lookback_s=OVERLAP_S,
            sorted=False,
            deletes="absent",
            stamp_tick_s=1.0,
            page_size=PAGE,
            acts=True,
            minimum={"read": PAGE, "fetch": 1},
        ),
    ),
    settings=(
        Setting(name="forms", text="Ids of the forms to read; without it all of the account"),
        Setting(name="timezone", text="Zone of the times that Jotform gives without one", default=ZONE),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    parse=parse,
    subscribe=subscribe,
    statuses=STATUSES,
    classify=classify,
    usage=usage,
    docs="https://api.jotform.com/docs/",
)
