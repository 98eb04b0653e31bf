"""Contacts with all that hangs on them, deals and accounts page by page, records by id, look-ups."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from connectors.activecampaign.api import (
    EVENTS,
    INCLUDE,
    MULTIPLE,
    ONE,
    OVERLAP_S,
    PAGE,
    ActiveCampaignApi,
    call,
    clean,
    id_by,
    read,
    table,
)
from hub.connector import Page
from hub.errors import NeedsReview
from hub.kit.paging import batches, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

EMAIL_EVENTS = "emailEvents"  # told by webhooks alone: filters on the lists of activities are ignored silently
UNREAD = (EMAIL_EVENTS, EVENTS)
ID = re.compile(r"[0-9]{1,19}")
REMEMBERED = 2000  # contacts read by id, whose associations the next write needs
MARKER_DAYS = 2.0  # a create is looked for among the contacts of so many days
COMPLETED = "2"  # status of an entry; 1: under way (v1 docs, "contact_automation_list"; of v3 unconfirmed)
WON, LOST = "Won", "Lost"  # words for the states of a deal, beside the stages of its pipeline


# --- shapes ------------------------------------------------------------------------------------------------------


def _stamp(row: Mapping[str, Json], name: str) -> float | None:
    value = clean(row.get(name))
    return parse_time(value) if value else None


def contact_of(api: ActiveCampaignApi, beside: Mapping[str, Json], row: dict[str, Json]) -> SourceRecord:
    """A contact and what the page holds of it: custom fields by tag, tags, the list's membership, the account.

    Args:
        beside: the page's other arrays, each by contact.
        row: the contact.
    """
    external_id = _id(row)
    if str(row.get("deleted")) == "1":
        return SourceRecord(external_id=external_id, data={}, op="delete")
    # A field without a value has no row: it is blank, not unknown
    tags = (str(each.get("perstag") or number) for number, each in table(api, "fields").items())
    fields: dict[str, Json] = dict.fromkeys(tags)
    for value in beside["fieldValues"].get(external_id, ()):
        definition = table(api, "fields").get(str(value["field"]), {})
        fields[str(definition.get("perstag") or value["field"])] = _field_value(definition, value.get("value"))
    membership = next(
        (each for each in beside["contactLists"].get(external_id, ()) if str(each["list"]) == api.list_id), None
    )
    account: Mapping[str, Json] = next(iter(beside["accountContacts"].get(external_id, ())), {})
    data = {
        **row,
        "fields": fields,
        "tags": sorted(beside["tags"].get(external_id, ())),
        "subscription": _subscription(membership),
        "account_id": account.get("account"),
        "job_title": account.get("jobTitle"),
    }
    marker = fields.get(api.marker)
    return SourceRecord(external_id=external_id, data=data, stamp=_stamp(row, "udate"), marker=marker or None)


def _id(row: Mapping[str, Json]) -> str:
    text = str(row["id"])
    if not ID.fullmatch(text):
        raise ValueError("no id")
    return text


def _field_value(definition: Mapping[str, Json], value: Json) -> Json:
    if definition.get("type") in MULTIPLE and isinstance(value, str):
        return [each for each in value.split("||") if each]
    return clean(value)


def _subscription(membership: Mapping[str, Json] | None) -> Json:
    """1 subscribed, 2 unsubscribed; unconfirmed and bounced say nothing."""
    if membership is None:
        return None
    status = str(membership.get("status"))
    if status == "1":
        return {"state": "SUBSCRIBED", "updatedAt": clean(membership.get("sdate"))}
    return {"state": "UNSUBSCRIBED", "updatedAt": clean(membership.get("udate"))} if status == "2" else {"state": None}


def _beside(api: ActiveCampaignApi, body: Mapping[str, Json]) -> dict[str, dict[str, list[Json]]]:
    """Sideloaded arrays by contact."""
    found: dict[str, dict[str, list[Json]]] = {}
    for name in ("fieldValues", "contactLists", "accountContacts", "contactTags"):
        by_contact = found.setdefault(name, {})
        for each in body.get(name) or ():
            by_contact.setdefault(str(each.get("contact")), []).append(each)
    words = {str(tag.get("id")): str(tag.get("tag")) for tag in body.get("tags") or ()}
    found["tags"] = {
        contact: [words[str(each["tag"])] for each in rows if str(each["tag"]) in words]
        for contact, rows in found["contactTags"].items()
    }
    return found


def deal_of(api: ActiveCampaignApi, row: dict[str, Json]) -> SourceRecord:
    """A deal with its stage by name; won and lost are states beside it. "0" refers to nothing."""
    stage_row = table(api, "dealStages").get(str(row.get("stage"))) or {}
    words: dict[str, Json] = {"1": WON, "2": LOST}
    word = words.get(str(row.get("status")), stage_row.get("title"))
    data = {**row, "stage_name": word}
    data |= {name: None for name in ("contact", "account", "owner") if str(row.get(name)) in ("0", "")}
    return SourceRecord(external_id=_id(row), data=data, stamp=_stamp(row, "mdate"))


def account_of(row: dict[str, Json]) -> SourceRecord:
    stamp = _stamp(row, "updatedTimestamp") or _stamp(row, "createdTimestamp")
    return SourceRecord(external_id=_id(row), data=row, stamp=stamp)


def entry_of(api: ActiveCampaignApi, row: dict[str, Json]) -> SourceRecord:
    """A contact's way through an automation: its name, when he entered it, and when he came to its end."""
    external_id, number = _id(row), str(row.get("automation") or row.get("seriesid") or "")
    if number not in table(api, "automations"):
        table(api, "automations", anew=True)  # made since they were listed
    ended = clean(row.get("remdate")) or clean(row.get("lastdate"))
    data = {
        **row,
        "automation_name": (table(api, "automations").get(number) or {}).get("name"),
        "entered_at": clean(row.get("adddate")),
        "completed_at": ended if str(row.get("status")) == COMPLETED else None,
    }
    return SourceRecord(external_id=external_id, data=data)


def plain(row: dict[str, Json]) -> SourceRecord:
    return SourceRecord(external_id=_id(row), data=row)


def shape(api: ActiveCampaignApi, stream: str) -> Callable[[dict[str, Json]], SourceRecord]:
    if stream == "deals":
        return partial(deal_of, api)
    if stream == "contactAutomations":
        return partial(entry_of, api)
    return account_of if stream == "accounts" else plain


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: ActiveCampaignApi, stream: str, cursor: Json) -> Page:
    """One page.

    Cursor at rest: {"since": epoch s}. Under way also {"from": start of this read}, and for contacts {"id": the last
    one}, for the others {"offset", "total"}.
    """
    if stream in UNREAD:
        return Page(records=(), next_cursor={}, complete=True)
    at = cursor or {"since": None}
    return _contacts(api, at) if stream == "contacts" else _by_offset(api, stream, at)


def _after(at: Mapping[str, Json]) -> dict[str, Json]:
    since = at["since"]
    return {} if since is None else {"filters[updated_after]": to_iso(since, digits=0).replace("Z", "+00:00")}


def _contacts(api: ActiveCampaignApi, at: Mapping[str, Json]) -> Page:
    """By id, inside a window that does not move: no order by time is offered."""
    params: dict[str, Json] = {**_after(at), "orders[id]": "ASC", "limit": PAGE, "include": INCLUDE}
    if at.get("id"):
        params["id_greater"] = at["id"]
    answer = call(api, "GET", "contacts", "contacts", params=params)
    body = answer.json() if answer.body.strip() else {}
    rows, started = body.get("contacts") or [], at.get("from") or answer.at
    records, faults = read_rows(rows, partial(contact_of, api, _beside(api, body)), id_key="id")
    if len(rows) < PAGE:
        rest = {"since": rest_at(started, OVERLAP_S)}
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)
    ids = [str(row["id"]) for row in rows if "id" in row]
    last = require_progress(at.get("id"), ids[-1] if ids else at.get("id"), where=f"{api.door.account}/contacts")
    if at.get("id") and int(last) <= int(at["id"]):
        require_progress(last, last, where=f"{api.door.account}/contacts")  # going back is no progress either
    following = {"since": at["since"], "from": started, "id": last}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _by_offset(api: ActiveCampaignApi, stream: str, at: Mapping[str, Json]) -> Page:
    """By position: rows that vanish under way move the rest forward, so as many are read again."""
    offset = at.get("offset", 0)
    window = _after(at) if stream == "deals" else {}
    answer = call(api, "GET", stream, stream, params={**window, "limit": PAGE, "offset": offset})
    body = answer.json() if answer.body.strip() else {}
    rows, started = body.get(stream) or [], at.get("from") or answer.at
    records, faults = read_rows(rows, shape(api, stream), id_key="id")
    total = int((body.get("meta") or {}).get("total") or offset + len(rows))
    lost = max(0, int(at.get("total", total)) - total)
    going_on = {"since": at["since"], "from": started, "total": total}
    where = f"{api.door.account}/{stream}"
    if lost and offset:
        step = {"offset": max(0, offset - lost), "steady": False}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    steady = at.get("steady", True) and total == at.get("total", total) and not faults
    if rows and offset + len(rows) < total:
        first = rows[0].get("id")
        require_progress(at.get("first"), first, where=where)
        step = {"offset": offset + len(rows), "steady": steady, "first": first}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    return Page(
        records=records,
        next_cursor={"since": rest_at(started, OVERLAP_S)},
        complete=True,
        listing_complete=stream != "deals" and steady,
        faults=faults,
        read_at=started,
    )


# --- by id -------------------------------------------------------------------------------------------------------


def fetch(api: ActiveCampaignApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Contacts a hundred at once, others one call each. What is missing is asked for alone: only a 404 is a delete.

    Of what became of e-mails webhooks alone tell, and of events nobody: nothing is said of them here.
    """
    if stream in UNREAD:
        return []
    asked = [external_id for external_id in dict.fromkeys(ids) if ID.fullmatch(external_id)]
    if stream not in ONE:  # lists without a read by id
        rows = table(api, stream, anew=True) if asked else {}
        missing = [SourceRecord(external_id=each, data={}, op="delete") for each in asked if each not in rows]
        return [*(shape(api, stream)(rows[each]) for each in asked if each in rows), *missing]
    if stream != "contacts":
        return [each for external_id in asked if (each := _single(api, stream, external_id)) is not None]
    records: list[SourceRecord] = []
    for part in batches(asked, PAGE):
        body = read(api, "contacts", "fetch", **{"ids[]": list(part), "limit": PAGE, "include": INCLUDE})
        found, _ = read_rows(body.get("contacts") or (), partial(contact_of, api, _beside(api, body)), id_key="id")
        there = {record.external_id: record for record in found if record.external_id in part}
        _remember(api, body, there)
        records += there.values()
        records += [gone for each in part if each not in there and (gone := _single(api, "contacts", each)) is not None]
    return records


def _remember(api: ActiveCampaignApi, body: Mapping[str, Json], found: Mapping[str, SourceRecord]) -> None:
    """What a write of these contacts needs: the ids of their associations and tags."""
    if len(api.known) > REMEMBERED:
        api.known.clear()
    accounts = {str(each.get("contact")): each.get("id") for each in body.get("accountContacts") or ()}
    words = {str(tag.get("id")): str(tag.get("tag")) for tag in body.get("tags") or ()}
    tags: dict[str, dict[str, Json]] = {}
    for each in body.get("contactTags") or ():
        tags.setdefault(str(each.get("contact")), {})[words.get(str(each.get("tag")), "")] = each.get("id")
    for external_id, record in found.items():
        api.known[external_id] = {
            "email": record.data.get("email"),
            "association": accounts.get(external_id),
            "tags": tags.get(external_id, {}),
        }


def _single(api: ActiveCampaignApi, stream: str, external_id: str) -> SourceRecord | None:
    """One record; a contact that a list left out and that is there after all is only late: None."""
    answer = call(api, "GET", f"{stream}/{external_id}", "fetch", expect=(404,))
    if answer.status == 404:
        return SourceRecord(external_id=external_id, data={}, op="delete")
    return None if stream == "contacts" else shape(api, stream)(answer.json()[ONE[stream]])


def find(api: ActiveCampaignApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Contacts by exact e-mail address, or by the hub's id among those of the last two days.

    No filter by a custom field is documented, and an unknown filter would be ignored. A create that is older is found
    by its e-mail address, which no two contacts share.
    """
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op != "delete"]
    if stream == "contacts" and name == "email":
        return [record for record in _matching(api, email=value) if _same(record.data.get("email"), value)]
    if stream == "contacts" and name == f"fields.{api.marker}":
        if id_by(api, "fields", "perstag", api.marker) is None:
            return []
        since = to_iso(api.door.vendor_now() - MARKER_DAYS * 86_400.0, digits=0).replace("Z", "+00:00")
        return [record for record in _matching(api, **{"filters[created_after]": since}) if record.marker == value]
    raise NeedsReview(f"{stream} cannot be looked up by {name}", code="ACTIVECAMPAIGN-LOOKUP", where=api.door.account)


def _same(left: Json, right: str) -> bool:
    return str(left or "").lower() == right.strip().lower()


def _matching(api: ActiveCampaignApi, **params: Json) -> list[SourceRecord]:
    """All contacts that a filter lets through."""
    found: list[SourceRecord] = []
    after = ""
    while True:
        place = {"id_greater": after} if after else {}
        asked = {**params, **place, "orders[id]": "ASC", "limit": PAGE, "include": INCLUDE}
        body = read(api, "contacts", "search", **asked)
        rows = body.get("contacts") or []
        found += read_rows(rows, partial(contact_of, api, _beside(api, body)), id_key="id")[0]
        if len(rows) < PAGE:
            return found
        after = require_progress(after, str(rows[-1]["id"]), where=f"{api.door.account}/contacts")
