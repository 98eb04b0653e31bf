"""The SDK on the hub's door: one call, the properties of a stream, and what HubSpot's answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from hubspot import HubSpot

from hub.connector import Door, HttpResponse, Settings, call_label
from hub.errors import HubError, OutcomeUnknown, RecordRejected, RetryLater
from hub.kit.statuses import Kind, error_of, kind_of
from hub.model import Json

MODIFIED = {  # the property that moves with every change; contacts have a name of their own (CRM search guide)
    "contacts": "lastmodifieddate",
    "companies": "hs_lastmodifieddate",
    "deals": "hs_lastmodifieddate",
    "tickets": "hs_lastmodifieddate",
    "tasks": "hs_lastmodifieddate",
}
STATUSES = {477: Kind.QUOTA}  # the account moves to another region; Retry-After up to 24 h (usage guidelines)
LOCKED_S = 2.0  # 423: a lock on records under heavy writing lasts two seconds (usage guidelines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A relation between two streams that mappings can name."""

    source: str
    target: str
    type_id: int  # written; the primary one where there is one (associations guide, type ids)
    has_primary: bool


ASSOCIATIONS = {
    "contact_to_company": Association(source="contacts", target="companies", type_id=1, has_primary=True),
    "deal_to_company": Association(source="deals", target="companies", type_id=5, has_primary=True),
    "deal_to_contact": Association(source="deals", target="contacts", type_id=3, has_primary=False),
    "ticket_to_contact": Association(source="tickets", target="contacts", type_id=16, has_primary=False),
    "ticket_to_company": Association(source="tickets", target="companies", type_id=26, has_primary=True),
    "ticket_to_deal": Association(source="tickets", target="deals", type_id=28, has_primary=False),
    "task_to_contact": Association(source="tasks", target="contacts", type_id=204, has_primary=False),
    "task_to_company": Association(source="tasks", target="companies", type_id=192, has_primary=False),
    "task_to_deal": Association(source="tasks", target="deals", type_id=216, has_primary=False),
}


@dataclass(slots=True)
class HubspotApi:
    """What `connect` hands out."""

    door: Door
    settings: Settings
    marker: str
    objects: Any  # crm.objects: basic_api, batch_api, search_api, for every kind of object
    owners: Any
    properties: Any
    associations: Any  # crm.associations.v4 batch_api
    refusals: tuple[type[Exception], ...]  # the SDK's ApiException, one class per package
    version: str  # v3, or a date such as 2026-09
    names: dict[str, list[str]] = field(default_factory=dict)  # stream -> properties to read
    labels: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)  # from, to -> label -> its type id


OLD = "v3"  # the SDK's own paths, v3 and v4; the vendor ends them in 2027 (versioning guide)
_PATH = re.compile(r"/crm/v[34]/(\w+)(?=[/?]|$)")


@dataclass(frozen=True, slots=True)
class _Dated:
    """The door's pool with a version by date in its paths: the SDK knows none, and bodies are the same."""

    pool: Any
    version: str

    def request(self, method: str, url: str, **more: Any) -> Any:
        return self.pool.request(method, dated(url, self.version), **more)


def dated(url: str, version: str) -> str:
    """ "/crm/v3/objects/contacts" as "/crm/objects/2026-09/contacts" (migration guide)."""
    return url if version == OLD else _PATH.sub(rf"/crm/\1/{version}", url, count=1)


@dataclass(frozen=True, slots=True)
class _Objects:
    basic: Any
    batch: Any
    search: Any


def connect(door: Door, settings: Settings) -> HubspotApi:
    """Sub-clients whose transport is the door: it signs in, so the token here is only a placeholder."""
    from hubspot.crm.associations.v4.exceptions import ApiException as AssociationsRefusal
    from hubspot.crm.objects.exceptions import ApiException as ObjectsRefusal
    from hubspot.crm.owners.exceptions import ApiException as OwnersRefusal
    from hubspot.crm.properties.exceptions import ApiException as PropertiesRefusal

    version = str(settings.values.get("version") or OLD)
    pool = door.pool() if version == OLD else _Dated(door.pool(), version)

    def make(package: Any, api_name: str, _config: Mapping[str, Any]) -> Any:
        configuration = package.Configuration(host=door.base_url)
        configuration.access_token = "door"
        client = package.ApiClient(configuration=configuration)
        client.rest_client.pool_manager = pool
        return getattr(package, api_name)(api_client=client)

    crm = HubSpot(access_token="door", api_factory=make).crm
    return HubspotApi(
        door=door,
        settings=settings,
        marker=str(settings.values.get("marker") or "hub_id"),
        objects=_Objects(crm.objects.basic_api, crm.objects.batch_api, crm.objects.search_api),
        owners=crm.owners.owners_api,
        properties=crm.properties.core_api,
        associations=crm.associations.v4.batch_api,
        version=version,
        refusals=(AssociationsRefusal, ObjectsRefusal, OwnersRefusal, PropertiesRefusal),
    )


class Refused(RecordRejected):
    """A call that HubSpot refused as a whole, with the status and the decoded answer."""

    def __init__(self, message: str, *, status: int, answer: dict[str, Json], field: str, code: str, where: str):
        super().__init__(message, field=field, code=code, where=where)
        self.status = status
        self.answer = answer


def call(
    api: HubspotApi, send: Callable[..., Any], *args: Any, operation: str, writes: bool = False, **more: Any
) -> Json:
    """One call of the SDK, undecoded (`_preload_content=False` saves its models). Raises hub errors only."""
    try:
        answer = send(*args, _preload_content=False, _headers=call_label(operation, writes=writes), **more)
    except api.refusals as error:
        raise refusal(error, operation, writes=writes, where=api.door.account) from None
    if not answer.data:
        return {}
    try:
        return orjson.loads(answer.data)
    except orjson.JSONDecodeError:
        message = f"{operation}: the answer is no JSON (a login or maintenance page?)"
        if writes:
            raise OutcomeUnknown(message, where=api.door.account) from None
        raise RetryLater(message, code="NET-NOT-JSON", where=api.door.account) from None


def refusal(error: Any, operation: str, *, writes: bool, where: str) -> HubError:
    """The SDK's ApiException as an error of the hub."""
    answer = _decoded(error.body)
    category = str(answer.get("category") or "")
    message = f"{operation} answered {error.status} {category}".strip()
    kind = kind_of(error.status, STATUSES)
    if kind not in (Kind.REJECTED, Kind.CONFLICT):
        return error_of(kind, message, writes=writes, where=where)
    code, name, words = first_error(answer)
    return Refused(words or message, status=error.status, answer=answer, field=name, code=code or category, where=where)


def _decoded(body: Any) -> dict[str, Json]:
    try:
        found = orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def first_error(answer: Mapping[str, Json]) -> tuple[str, str, str]:
    """(code, property, words) of an answer or of an entry of its `errors`; empty where it does not say."""
    inner = (answer.get("errors") or [{}])[0]
    context = inner.get("context") or answer.get("context") or {}
    name = (context.get("propertyName") or [""])[0]
    words = str(inner.get("message") or answer.get("message") or "")
    return str(inner.get("code") or answer.get("category") or ""), str(name), words


def existing_id(text: str) -> str | None:
    """The id in "Contact already exists. Existing ID: 501", or in "… on 9014. 9014 already has that value."."""
    match = re.search(r"Existing ID: (\d+)|\b(\d+) already has that value", text)
    return match[1] or match[2] if match else None


def names_of(api: HubspotApi, stream: str) -> list[str]:
    """Properties to read: what the mapping wants, else all; and what the hub needs to follow a record."""
    if stream not in api.names:
        wanted = [str(name) for name in api.settings.streams.get(stream, {}).get("fields") or ()]
        if not wanted:
            wanted = [each["name"] for each in describe(api, stream) if not each.get("hidden")]
        needed = [MODIFIED[stream], api.marker, "hs_merged_object_ids"]
        api.names[stream] = list(dict.fromkeys([*needed, *(name for name in wanted if name.isidentifier())]))
    return api.names[stream]


def describe(api: HubspotApi, stream: str) -> list[dict[str, Json]]:
    """The properties of a stream as the account defines them."""
    return list(call(api, api.properties.get_all, stream, operation="properties")["results"])


def classify(answer: HttpResponse) -> str | None:
    """A daily limit is a pause, a short one a wait; both are 429."""
    if answer.status == 429 and _decoded(answer.body).get("policyName") == "DAILY":
        return Kind.QUOTA
    return None


def wait_s(answer: HttpResponse) -> float | None:
    """The wait that a status stands for."""
    return LOCKED_S if answer.status == 423 else None


def usage(answer: HttpResponse) -> dict[str, tuple[int, int]]:
    """Calls used, as the answer's headers say; search answers have none, OAuth apps no daily ones."""
    found = {}
    for name, size, left in (
        ("burst", "x-hubspot-ratelimit-max", "x-hubspot-ratelimit-remaining"),
        ("daily", "x-hubspot-ratelimit-daily", "x-hubspot-ratelimit-daily-remaining"),
    ):
        if size in answer.headers and left in answer.headers:
            of = int(answer.headers[size])
            found[name] = (of - int(answer.headers[left]), of)
    return found
