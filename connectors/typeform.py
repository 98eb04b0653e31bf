"""Typeform, on the hub's door: the responses of one, several or all forms. Nothing is written but webhooks.

Docs: Responses API, Webhooks API, "Webhooks: secure your webhooks".

A read goes through the forms one after the other, each oldest first: since the last read less an hour, because
responses of the last half hour may be missing from the API; webhooks tell of those at once. A response's token is
unique only within its form, so its id is "<form>:<token>", and the form's id is added to it.

What cannot be found by token may only be late: it is never taken for deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from hub.connector import (
    Auth,
    Connector,
    Door,
    Field,
    Page,
    RateLimit,
    Setting,
    Settings,
    Stream,
    WebhookEvent,
    WebhookRequest,
)
from hub.errors import ConfigFault, Fault, NeedsReview, NotFound, RecordRejected
from hub.kit.paging import batches, require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.kit.signing import require_signature, secrets_of
from hub.kit.statuses import Kind
from hub.model import Json, SourceRecord

PAGE = 1000  # most responses of a page (vendor docs, Responses API: page_size)
FORMS_PAGE = 200  # most forms of a page (vendor docs, Create API)
OVERLAP_S = 3600.0  # responses of about the last 30 minutes may be missing (vendor docs, Responses API)
TOKENS_AT_ONCE = 100  # of included_response_ids: a URL stays below 4,000 characters
TAG = "hub"  # our name among the webhooks of a form
_FORM = re.compile(r"[A-Za-z0-9]{1,40}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(slots=True)
class TypeformApi:
    """What `connect` hands out."""

    door: Door
    forms: tuple[str, ...]  # as configured; empty: all
    secret: str  # that we ask Typeform to sign with; "" if none is set
    local: bool


def connect(door: Door, settings: Settings) -> TypeformApi:
    """Raises ConfigFault for ids of forms that are none."""
    given = settings.values.get("forms") or []
    forms = [given] if isinstance(given, str) else list(given)
    wrong = [str(form) for form in forms if not isinstance(form, str) or not _FORM.fullmatch(form)]
    if wrong:
        fix = "the id stands in the form's URL, for example u6nXL7"
        raise ConfigFault(
            [Fault(code="CFG-FORM", where=door.account, message=f"{wrong[0]} is no id of a form", fix=fix)]
        )
    return TypeformApi(door=door, forms=tuple(forms), secret=settings.webhooks.get("secret", ""), local=settings.local)


def forms_of(api: TypeformApi) -> list[str]:
    """The forms to read, as configured, or all that the account has."""
    if api.forms:
        return list(api.forms)
    found: list[str] = []
    page = 1
    while True:
        params = {"page": page, "page_size": FORMS_PAGE}
        answer = api.door.request("GET", "/forms", operation="forms", params=params).json()
        found += [form["id"] for form in answer["items"]]
        if page >= answer["page_count"] or not answer["items"]:
            return found
        page += 1


# --- reading -----------------------------------------------------------------------------------------------------


def pull(api: TypeformApi, stream: str, cursor: Json) -> Page:
    """One page of one form.

    Cursor at rest: {"forms": {form: epoch s where its next read starts}}. Under way also {"todo": forms not finished,
    the first of them being read, "after": token of the last response or None, "from": start of that form's read}.
    """
    at = cursor or {"forms": {}}
    todo = at["todo"] if "todo" in at else forms_of(api)
    if not todo:
        return Page(records=(), next_cursor={"forms": at["forms"]}, complete=True, read_at=api.door.vendor_now())
    form, after = todo[0], at.get("after")
    answer = api.door.request(
        "GET",
        f"/forms/{form}/responses",
        operation="responses",
        params=_window(at["forms"].get(form), after),
        expect=(404,),
    )
    started = at.get("from") or answer.at
    if answer.status == 404:  # deleted since it was listed
        return _next_form({**at, "todo": todo}, (), [], None, started)
    found = answer.json()
    records, faults = read_rows(found["items"], lambda row: _record(form, row), id_key="token")
    where = f"{api.door.account}/{stream}/{form}"
    require_ascending([record.stamp or 0.0 for record in records], where=where)
    if found["page_count"] <= 1 or not found["items"]:
        return _next_form({**at, "todo": todo}, records, faults, rest_at(started, OVERLAP_S), started)
    last = require_progress(after, found["items"][-1]["token"], where=where)
    following = {"forms": at["forms"], "todo": todo, "after": last, "from": started}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _window(since: float | None, after: str | None) -> dict[str, Json]:
    """The first page names the order, which the API refuses beside a token; those after it go on from one.

    Mixing the ascending order with `before` loses data (airbyte PR 40176).
    """
    if after is not None:
        return {"page_size": PAGE, "after": after}
    return {
        "page_size": PAGE,
        "sort": "submitted_at,asc",
        "since": None if since is None else to_iso(since, digits=0).removesuffix("Z"),
    }


def _next_form(
    at: Mapping[str, Json],
    records: Sequence[SourceRecord],
    faults: Sequence[Mapping[str, str]],
    rest: float | None,
    started: float,
) -> Page:
    """The last page of a form: its next start is kept, and the next form's turn comes."""
    form, *left = at["todo"]
    forms = {**at["forms"], form: rest} if rest is not None else dict(at["forms"])
    following: dict[str, Json] = {"forms": forms, "todo": left} if left else {"forms": forms}
    return Page(records=records, next_cursor=following, complete=not left, faults=faults, read_at=started)


def _record(form: str, row: dict[str, Json]) -> SourceRecord:
    """A response as it came, and its form."""
    stamp = parse_time(row["submitted_at"])
    return SourceRecord(external_id=f"{form}:{row['token']}", data={**row, "form_id": form}, stamp=stamp)


def fetch(api: TypeformApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Responses by id, up to 100 of a form in one call. One that is not there may only be late: it is left out."""
    by_form: dict[str, list[str]] = {}
    for external_id in dict.fromkeys(ids):
        form, _, token = external_id.partition(":")
        if _FORM.fullmatch(form) and _TOKEN.fullmatch(token):
            by_form.setdefault(form, []).append(token)
    found: list[SourceRecord] = []
    for form, tokens in by_form.items():
        for part in batches(tokens, TOKENS_AT_ONCE):
            found += _by_token(api, form, part)
    return found


def _by_token(api: TypeformApi, form: str, tokens: Sequence[str]) -> list[SourceRecord]:
    params = {"included_response_ids": ",".join(tokens), "page_size": PAGE}
    path = f"/forms/{form}/responses"
    answer = api.door.request("GET", path, operation="fetch", params=params, expect=(404,))
    if answer.status == 404:
        return []
    asked = set(tokens)  # an unknown filter would be ignored, and bring the whole form
    return [_record(form, row) for row in answer.json()["items"] if row["token"] in asked]


def find(api: TypeformApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Responses by id only."""
    if name != "id":
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="TYPEFORM-LOOKUP", where=api.door.account)
    return fetch(api, stream, [value])


# --- the account -------------------------------------------------------------------------------------------------


def check(api: TypeformApi) -> dict[str, Json]:
    """How many forms there are, and which of the configured ones are not."""
    answer = api.door.request("GET", "/forms", operation="check", params={"page": 1, "page_size": 1}).json()
    warnings = []
    for form in api.forms:
        try:
            api.door.request("GET", f"/forms/{form}", operation="check")
        except NotFound:
            warnings.append(f"there is no form {form}")
    if not api.secret:
        warnings.append("webhooks.secret is not set: responses come only by polling, half an hour late")
    # No call of the documented scopes names the account; a token belongs to one
    count = answer["total_items"]
    return {"account": "", "name": f"{count} form{'' if count == 1 else 's'}", "warnings": warnings}


_FIXED = (
    Field(name="form_id", label="Form", type="text", writable=False),
    Field(name="token", label="Token", type="ref", writable=False),  # of the response, and of who gave it
    Field(name="response_type", label="Kind of response", type="enum", writable=False),
    Field(name="submitted_at", label="Submitted at", type="instant", writable=False),
    Field(name="landed_at", label="Opened at", type="instant", writable=False),
    Field(name="calculated.score", label="Score", type="decimal", writable=False),
    Field(name="metadata.referer", label="Page", type="url", writable=False),
    Field(name="metadata.platform", label="Platform", type="text", writable=False),
)
# Field types of the Create API; the others answer with text
_TYPES = {
    "email": "email",
    "phone_number": "phone",
    "website": "url",
    "file_upload": "url",
    "number": "decimal",
    "opinion_scale": "decimal",
    "rating": "decimal",
    "nps": "decimal",
    "yes_no": "boolean",
    "legal": "boolean",
    "date": "date",
    "payment": "object",
}


def discover(api: TypeformApi, stream: str) -> list[Field]:
    """Answers by the `ref` of their question, hidden fields and variables, of all forms together."""
    found: dict[str, Field] = {}
    for form in forms_of(api):
        try:
            definition = api.door.request("GET", f"/forms/{form}", operation="discover").json()
        except NotFound:
            continue
        for question in _questions(definition.get("fields") or ()):
            field = _answer_field(question)
            found.setdefault(field.name, field)
        for name in definition.get("hidden") or ():
            found.setdefault(f"hidden.{name}", Field(name=f"hidden.{name}", label=name, type="text", writable=False))
    return [*_FIXED, *found.values()]


def _questions(fields: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    """Every question that can be answered: groups and contact blocks hold others."""
    for question in fields:
        inner = (question.get("properties") or {}).get("fields")
        if inner:
            yield from _questions(inner)
        elif question["type"] != "statement":
            yield question


def _answer_field(question: Mapping[str, Json]) -> Field:
    properties = question.get("properties") or {}
    choices = [str(choice["label"]) for choice in properties.get("choices") or () if choice.get("label")]
    several = bool(properties.get("allow_multiple_selection"))
    kind = ("set" if several else "enum") if choices else _TYPES.get(question["type"], "text")
    name = question.get("ref") or question["id"]
    return Field(
        name=f"answer:{name}",  # as a mapping names it
        label=str(question.get("title") or name),
        type=kind,
        writable=False,
        required=bool((question.get("validations") or {}).get("required")),
        options=choices,
        custom=True,
    )


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "typeform webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``Typeform-Signature: sha256=<base64>`` over the raw body. No time is signed: repeats are known by their key."""
    scheme, _, given = request.headers.get("typeform-signature", "").partition("=")
    signatures = [given] if scheme == "sha256" else []
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_signature(signatures, request.body, secrets, where=WHERE, encoding="base64")


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which response to read. Raises RecordRejected if the body is none of Typeform's."""
    try:
        event = orjson.loads(request.body)
        kind, key = event["event_type"], str(event["event_id"])
        response = event["form_response"]
        form, token = str(response["form_id"]), str(response["token"])
        submitted = response.get("submitted_at")
        at = parse_time(submitted) if submitted else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    forms = settings.values.get("forms") or ()
    wanted = not forms or form in ([forms] if isinstance(forms, str) else forms)
    if kind != "form_response" or not wanted:  # partial ones are not in the listing either
        return ()
    return (WebhookEvent(key=key, stream="responses", external_id=f"{form}:{token}", at=at),)


def subscribe(api: TypeformApi, url: str) -> dict[str, Json]:
    """One webhook per form, under our tag: doing it again changes nothing. Without a secret nothing would be signed."""
    if not api.secret:
        fix = "set webhooks.secret of the connection to a long random text"
        raise ConfigFault(
            [Fault(code="CFG-SECRET", where=api.door.account, message="no webhook secret is set", fix=fix)]
        )
    body = {
        "url": url,
        "enabled": True,  # the vendor's own client leaves it off
        "secret": api.secret,
        "verify_ssl": not api.local,
        "event_types": {"form_response": True, "form_response_partial": False},
    }
    forms = forms_of(api)
    for form in forms:
        path = f"/forms/{form}/webhooks/{TAG}"
        api.door.request("PUT", path, operation="subscribe", json=body, writes=True)
    return {"url": url, "forms": forms, "tag": TAG}


CONNECTOR = Connector(
    name="typeform",
    title="Typeform",
    base_url="https://api.typeform.com",
    hosts=("api.typeform.com", "api.eu.typeform.com", "api.typeform.eu"),  # accounts in Europe set base_url
    auth=(
        Auth(kind="token"),
        Auth(kind="refresh_token", token_url="/oauth/token", rotates=True),
    ),
    # vendor docs, "Rate limits": 2 a second for the Create and Responses APIs; webhooks are not counted
    limits=(
        RateLimit(
            name="account",
            calls=2,
            per_s=1.0,
            operations=("forms", "responses", "fetch", "check", "discover"),
            shared=True,
        ),
    ),
    streams=(
        Stream(
            name="responses",
            modified_path="submitted_at",
            cursor="token",
            lookback_s=OVERLAP_S,
            consistency="lagging",
            lag_s=1800.0,
            deletes="absent",
            stamp_tick_s=1.0,
            page_size=PAGE,
            acts=True,
            minimum={"read": PAGE, "fetch": TOKENS_AT_ONCE},
        ),
    ),
    settings=(Setting(name="forms", text="Ids of the forms to read; without it all of the account"),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    verify=verify,
    parse=parse,
    subscribe=subscribe,
    # A refused token is documented as 403, and a missing scope is one too (tap-typeform #12): refresh once, then ask.
    # 499: a large page took too long
    statuses={403: Kind.SIGN_IN, 499: Kind.TROUBLE},
    docs="https://www.typeform.com/developers/",
)
