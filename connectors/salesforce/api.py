"""The SDK on the hub's door: one call, the fields of a stream, and what Salesforce's answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError

from hub.connector import Door, HttpResponse, Settings, call_label
from hub.errors import HubError, NeedsReview, NotFound, OutcomeUnknown, RecordRejected, RetryLater
from hub.kit.statuses import Kind, error_of, kind_of
from hub.model import Json

T = TypeVar("T")

OBJECTS = {
    "users": "User",
    "accounts": "Account",
    "contacts": "Contact",
    "leads": "Lead",
    "opportunities": "Opportunity",
    "campaigns": "Campaign",
    "campaign_members": "CampaignMember",
    "tasks": "Task",
}
WRITTEN = frozenset({"accounts", "contacts", "leads", "opportunities", "tasks"})
MERGEABLE = frozenset({"accounts", "contacts", "leads"})  # REST API guide: merge of accounts, contacts, leads, cases
LONG_QUERY = 12_000  # URI and headers together may have 16,384 bytes (Limits Quick Reference)
STATUSES = {300: Kind.CONFLICT, 406: Kind.TROUBLE}  # several records have this external id; seen to pass (tap #184)


@dataclass(slots=True)
class SalesforceApi:
    """What `connect` hands out."""

    door: Door
    sf: Salesforce
    settings: Settings
    marker: str
    me: str | None = None  # 18-character id of the connection's own user; None: not asked yet
    fields: dict[str, list[str]] = field(default_factory=dict)  # stream -> fields that can be read
    dropped: dict[str, list[str]] = field(default_factory=dict)  # stream -> wanted, but not to be seen
    types: dict[str, dict[str, str]] = field(default_factory=dict)  # stream -> field -> type, once asked for


def connect(door: Door, settings: Settings) -> SalesforceApi:
    """The SDK on the door's session; the door signs in, so the session id here is only a placeholder."""
    sf = Salesforce(
        instance_url="https://" + door.base_url.partition("://")[2],
        session_id="door",
        session=door.session(),
        version=str(settings.values.get("api_version") or "68.0"),
        object_pairs_hook=None,
    )
    sf.headers.pop("X-PrettyPrint", None)  # forced by simple-salesforce: asks for indented JSON
    return SalesforceApi(door=door, sf=sf, settings=settings, marker=str(settings.values.get("marker") or "Hub_Id__c"))


class Refused(RecordRejected):
    """A call that Salesforce refused as a whole; `code` is its errorCode."""


def call(api: SalesforceApi, method: str, path: str, operation: str, *, writes: bool = False, **more: Any) -> Json:
    """One call below /services/data/vNN/ through the SDK, decoded. Raises hub errors only."""
    answer = send(api, method, path, operation, writes=writes, **more)
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        message = f"{operation}: the answer is no JSON (a login or maintenance page?)"
        if writes:
            raise OutcomeUnknown(message, where=api.door.account) from None
        raise RetryLater(message, code="NET-NOT-JSON", where=api.door.account) from None


def send(api: SalesforceApi, method: str, path: str, operation: str, *, writes: bool = False, **more: Any) -> Any:
    """The answer itself: `content` and `headers`. Raises hub errors only."""
    url = path if path.startswith("https://") else api.sf.base_url + path
    try:
        return api.sf._call_salesforce(method, url, headers=call_label(operation, writes=writes), **more)
    except SalesforceError as error:
        raise _translated(error, operation, writes=writes, where=api.door.account) from None


def _translated(error: SalesforceError, operation: str, *, writes: bool, where: str) -> HubError:
    first = first_error(error.content)
    code = str(first.get("errorCode", ""))
    message = f"{operation} answered {error.status} {code}".strip()
    kind = kind_of(error.status, STATUSES)
    if kind in (Kind.REJECTED, Kind.CONFLICT):
        return Refused(message, code=code or "REC-REJECTED", field=first_field(first), where=where)
    return error_of(kind, message, writes=writes, where=where)


def first_error(body: Json) -> dict[str, Json]:
    """Errors come as a list; the first says enough."""
    return body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else {}


def first_field(error: Mapping[str, Json]) -> str:
    return str((error.get("fields") or [""])[0])


def select(api: SalesforceApi, stream: str, tail: str, *, deleted: bool) -> Json:
    """One page of a query over the stream's fields; `tail` is all that follows FROM, its literals escaped."""

    def read(names: list[str]) -> Json:
        return _query(api, f"SELECT {','.join(names)} FROM {OBJECTS[stream]} {tail}", deleted=deleted)  # noqa: S608

    return with_visible_fields(api, stream, read)


def count(api: SalesforceApi, stream: str, condition: str) -> int:
    """How many rows there are, deleted ones included; `condition` follows WHERE, its literals escaped."""
    soql = f"SELECT COUNT() FROM {OBJECTS[stream]} WHERE {condition}"  # noqa: S608
    return int(_query(api, soql, deleted=True)["totalSize"])


def _query(api: SalesforceApi, soql: str, *, deleted: bool) -> Json:
    """A query; a text too long for a URL travels in the body of a Composite call."""
    path = f"{'queryAll' if deleted else 'query'}/?q={quote(soql, safe='')}"
    if len(path) < LONG_QUERY:
        return call(api, "GET", path, "query")
    request = {"method": "GET", "url": path_of(api, path), "referenceId": "q"}
    answer = call(api, "POST", "composite", "query", json={"allOrNone": False, "compositeRequest": [request]})
    part = answer["compositeResponse"][0]
    if part["httpStatusCode"] == 200:
        return part["body"]
    error = SalesforceError("composite", part["httpStatusCode"], "query", part["body"])
    raise _translated(error, "query", writes=False, where=api.door.account)


def path_of(api: SalesforceApi, path: str) -> str:
    return f"/services/data/v{api.sf.sf_version}/{path}"


WHAT = "WhatId"  # of a task: a record of any object
WHATS = {"what.account": "accounts", "what.opportunity": "opportunities"}  # the same, by the object that it is


def fields_of(api: SalesforceApi, stream: str) -> list[str]:
    """What to read of a stream: what its mapping wants, and what the hub needs to follow a record."""
    if stream not in api.fields:
        asked = (str(name) for name in api.settings.streams.get(stream, {}).get("fields") or ())
        wanted = [WHAT if name in WHATS else name for name in asked]
        if not wanted:
            wanted = [each["name"] for each in describe(api, stream) if each["type"] not in ("address", "location")]
        needed = ["Id", "SystemModstamp", "LastModifiedById"]
        needed += [] if stream == "users" else ["IsDeleted"]
        needed += [api.marker] if stream in WRITTEN else []
        needed += ["MasterRecordId"] if stream in MERGEABLE else []
        needed += ["IsConverted", "ConvertedContactId"] if stream == "leads" else []
        api.fields[stream] = list(dict.fromkeys([*needed, *wanted]))
    return api.fields[stream]


def describe(api: SalesforceApi, stream: str) -> list[dict[str, Json]]:
    return list(call(api, "GET", f"sobjects/{OBJECTS[stream]}/describe", "describe")["fields"])


def with_visible_fields(api: SalesforceApi, stream: str, read: Callable[[list[str]], T]) -> T:
    """Read; when a field cannot be seen (no such column, or no permission), leave it out and read again.

    A field left out is absent from the record, which is not the same as blank: no claim comes of it.
    """
    try:
        return read(fields_of(api, stream))
    except Refused as error:
        if error.code != "INVALID_FIELD":
            raise
        visible = {each["name"] for each in describe(api, stream)}
        kept = [name for name in fields_of(api, stream) if "." in name or name in visible]
        if kept == api.fields[stream]:
            raise
        api.dropped[stream] = [name for name in api.fields[stream] if name not in kept]
        api.fields[stream] = kept
    return read(fields_of(api, stream))


_CODES = {
    "REQUEST_LIMIT_EXCEEDED": Kind.QUOTA,  # a 403, without Retry-After (Limits Quick Reference)
    "INVALID_SESSION_ID": Kind.SIGN_IN,
    "InvalidSessionId": Kind.SIGN_IN,  # Bulk API, with status 400 (tap-salesforce #222)
    "UNABLE_TO_LOCK_ROW": Kind.BUSY,
    "QUERY_TIMEOUT": Kind.TROUBLE,
    "SERVER_UNAVAILABLE": Kind.TROUBLE,
    "REQUEST_RUNNING_TOO_LONG": Kind.TROUBLE,
}
_USAGE = re.compile(r"\bapi-usage=(\d+)/(\d+)")


def classify(answer: HttpResponse) -> str | None:
    """Error codes that say more than their status."""
    if answer.status < 400:
        return None
    try:
        first = orjson.loads(answer.body)[0]
        code, message = first["errorCode"], str(first.get("message", ""))
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    if code == "REQUEST_LIMIT_EXCEEDED" and message.startswith("Concurrent"):
        return Kind.THROTTLED
    return _CODES.get(code)


def usage(answer: HttpResponse) -> dict[str, tuple[int, int]]:
    """Calls used in the last 24 hours by everybody, as each answer says."""
    found = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
    return {"daily": (int(found[1]), int(found[2]))} if found else {}


def whoami(api: SalesforceApi) -> tuple[str, str]:
    """(organisation id, user id) of the connection, 15 or 18 characters; empty where nobody tells.

    The sign-in's answer names both in its identity URL (…/id/<organisation>/<user>); a fixed token is asked about.
    """
    parts = api.door.signed_in_as().get("id", "").split("/")
    if len(parts) > 2:
        return parts[-2], parts[-1]
    try:
        found = call(api, "GET", api.sf.oauth2_url + "userinfo", "userinfo")
    except (NotFound, NeedsReview):  # the token's scope leaves the identity service out
        return "", ""
    return str(found.get("organization_id") or ""), str(found.get("user_id") or "")
