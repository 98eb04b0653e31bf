"""Lists (the vendor's pages call them segments) and who stands on them: read whole, since nothing tells of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.hubspot.api import HubspotApi, dated
from hub.connector import Page
from hub.errors import NotFound
from hub.kit.paging import require_progress
from hub.kit.reading import parse_time, read_rows
from hub.model import Json, SourceRecord

LISTS_PAGE, LISTS_CAP = 500, 10_000  # of a search for lists (lists guide)
MEMBERS_PAGE = 250  # memberships of a list (lists guide)
PEOPLE = "0-1"  # object type of contacts


def pull_lists(api: HubspotApi, cursor: Json) -> Page:
    """The lists of contacts. Cursor: {"offset"}."""
    offset = (cursor or {}).get("offset") or 0
    answer = _call(api, "POST", "/crm/v3/lists/search", "lists", json={"count": LISTS_PAGE, "offset": offset})
    rows = [row for row in answer["lists"] if row.get("objectTypeId") == PEOPLE]
    records, faults = read_rows(rows, _list, id_key="listId")
    following = int(answer.get("offset") or 0)
    if not answer.get("hasMore") or following + LISTS_PAGE > LISTS_CAP:
        whole = not answer.get("hasMore") and not faults
        rest = {"offset": None}
        return Page(records=records, next_cursor=rest, complete=True, listing_complete=whole, faults=faults)
    require_progress(offset, following, where=f"{api.door.account}/lists")
    return Page(records=records, next_cursor={"offset": following}, complete=False, faults=faults)


def pull_members(api: HubspotApi, cursor: Json) -> Page:
    """Who stands on the lists that the setting names, list by list. Cursor: {"list": its place, "after"}."""
    wanted = wanted_lists(api)
    place, after = (cursor or {}).get("list") or 0, (cursor or {}).get("after")
    if place >= len(wanted):
        return Page(records=[], next_cursor=_REST, complete=True, listing_complete=True)
    list_id = wanted[place]
    params = {"limit": MEMBERS_PAGE, **({"after": after} if after else {})}
    try:
        answer = _call(api, "GET", f"/crm/v3/lists/{list_id}/memberships", "members", params=params)
    except NotFound:  # the list was deleted, and nobody stands on it
        answer = {"results": []}
    records, faults = read_rows(answer["results"], lambda row: _member(list_id, row), id_key="recordId")
    following = ((answer.get("paging") or {}).get("next") or {}).get("after")
    if following is not None:
        require_progress(after, following, where=f"{api.door.account}/list_members")
        return Page(records=records, next_cursor={"list": place, "after": following}, complete=False, faults=faults)
    if place + 1 < len(wanted):
        return Page(records=records, next_cursor={"list": place + 1, "after": None}, complete=False, faults=faults)
    return Page(records=records, next_cursor=_REST, complete=True, listing_complete=not faults, faults=faults)


_REST = {"list": 0, "after": None}


def wanted_lists(api: HubspotApi) -> list[str]:
    """Ids of the lists whose members are read."""
    named = api.settings.values.get("lists") or ()
    each: Iterable[Json] = named if isinstance(named, list | tuple) else str(named).split(",")
    return list(dict.fromkeys(str(one).strip() for one in each if str(one).strip().isdecimal()))


def _list(row: dict[str, Json]) -> SourceRecord:
    return SourceRecord(external_id=str(row["listId"]), data=row, stamp=parse_time(row["updatedAt"]))


def _member(list_id: str, row: Mapping[str, Json]) -> SourceRecord:
    """A membership has no id at the vendor: it is named by its list and its contact."""
    contact, at = str(row["recordId"]), row.get("membershipTimestamp")
    external_id = f"{list_id}:{contact}"
    data = {**row, "id": external_id, "list": list_id, "contact": contact, "at": at}
    return SourceRecord(external_id=external_id, data=data, stamp=parse_time(at) if at else None)


def _call(api: HubspotApi, method: str, path: str, operation: str, **more: Json) -> Json:
    return api.door.request(method, dated(path, api.version), operation=operation, **more).json()
