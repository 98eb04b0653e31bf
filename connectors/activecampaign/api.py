"""One call, the names behind ids, and what ActiveCampaign's answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.connector import Door, HttpResponse, Settings
from hub.errors import NeedsReview, RecordRejected, SignInExpired
from hub.kit.statuses import Kind
from hub.model import Json

PAGE = 100  # vendor docs, "Pagination": larger limits silently give 100
AT_ONCE = 100  # changes of one push: at five calls a second they leave within its time
IMPORT_FROM = 10  # vendor docs, "Bulk import": suggested for ten contacts or more, at most 250
IMPORT_MOST = 250
OVERLAP_S = 300.0  # whether "after" includes its moment is not told
MULTIPLE = frozenset({"listbox", "checkbox"})  # fields of several values: "||Red||Blue||"
NOTHING = ("", "0000-00-00", "0000-00-00 00:00:00")
INCLUDE = "fieldValues,contactLists,contactTags,contactTags.tag,accountContacts"
EVENTS = "events"  # of people on the site, as the account's event tracking takes them
ONE = {"accounts": "account", "contacts": "contact", "deals": "deal"}


@dataclass(slots=True)
class ActiveCampaignApi:
    """What `connect` hands out."""

    door: Door
    list_id: str  # of the list that stands for consent; "" without
    marker: str  # personalisation tag of the field for the hub's id
    tracking: tuple[str, str]  # the account's number and key for events; both "" where they are not pushed
    names: dict[str, dict[str, dict[str, Json]]] = field(default_factory=dict)  # collection -> id -> row
    known: dict[str, dict[str, Json]] = field(default_factory=dict)  # contact -> its record as last read by id


def connect(door: Door, settings: Settings) -> ActiveCampaignApi:
    values = settings.values
    return ActiveCampaignApi(
        door=door,
        list_id=str(values.get("list") or ""),
        marker=str(values.get("marker") or "HUB_ID"),
        tracking=(str(values.get("actid") or ""), str(settings.auth.get("event_key") or "")),
    )


def call(
    api: ActiveCampaignApi,
    method: str,
    path: str,
    operation: str,
    *,
    params: Mapping[str, Json] | None = None,
    json: Json = None,
    writes: bool = False,
    expect: tuple[int, ...] = (),
) -> HttpResponse:
    """One call below /api/3. A 403 is a refused key, a missing right, or nothing at all (tap-activecampaign #52).

    Raises SignInExpired if the key is refused, NeedsReview if a second try is forbidden as well.
    """

    def ask() -> HttpResponse:
        return api.door.request(
            method, f"/api/3/{path}", operation=operation, params=params, json=json, writes=writes, expect=expect
        )

    try:
        return ask()
    except NeedsReview as error:
        if error.code != "NET-FORBIDDEN":
            raise
    me = api.door.request("GET", "/api/3/users/me", operation="check", expect=(403,))
    if me.status == 403:
        raise SignInExpired("the API key is refused", where=api.door.account, fix="copy the key of a user that exists")
    return ask()


def read(api: ActiveCampaignApi, path: str, operation: str, **params: Json) -> dict[str, Json]:
    """The answer to a GET; an empty body is an empty answer (tap-activecampaign #36)."""
    answer = call(api, "GET", path, operation, params=params)
    found = answer.json() if answer.body.strip() else {}
    return found if isinstance(found, dict) else {}


def table(api: ActiveCampaignApi, name: str, *, anew: bool = False) -> dict[str, dict[str, Json]]:
    """A whole small collection (fields, dealStages, tags …): id -> row, read once."""
    if anew or name not in api.names:
        rows: dict[str, dict[str, Json]] = {}
        options: dict[str, dict[str, Json]] = {}
        offset = 0
        while True:
            body = read(api, name, "names", limit=PAGE, offset=offset)
            page = body.get(name) or []
            rows |= {str(row["id"]): row for row in page if "id" in row}
            options |= {str(row["id"]): row for row in body.get("fieldOptions") or () if "id" in row}
            offset += PAGE
            if len(page) < PAGE:
                break
        api.names[name] = rows
        if name == "fields":
            api.names["fieldOptions"] = options  # sent along with the fields
    return api.names[name]


def id_by(api: ActiveCampaignApi, name: str, key: str, word: str) -> str | None:
    """The id of the row whose `key` is that word; one that is not there is looked for again once."""
    for anew in (False, True):
        found = next((number for number, row in table(api, name, anew=anew).items() if str(row.get(key)) == word), None)
        if found is not None:
            return found
    return None


def field_id(api: ActiveCampaignApi, tag: str) -> str:
    found = id_by(api, "fields", "perstag", tag)
    if found is None:
        message = f"there is no contact field {tag}"
        raise RecordRejected(message, field=f"fields.{tag}", code="ACTIVECAMPAIGN-FIELD")
    return found


def clean(value: Json) -> Json:
    """Dates that are none are null."""
    return None if value in NOTHING else value


def classify(response: HttpResponse) -> str | None:
    """Imports that come too fast answer 400 (vendor docs, "Bulk import")."""
    return Kind.THROTTLED if response.status == 400 and b"Rate limit exceeded" in response.body else None
