"""Reading: the full list, what changed since, what was archived, records by id, records by a unique property."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from connectors.hubspot.api import ASSOCIATIONS, MODIFIED, HubspotApi, call, names_of
from connectors.hubspot.lists import pull_lists, pull_members
from hub.connector import Page
from hub.errors import RecordRejected
from hub.kit.paging import batches, even_cuts, require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows
from hub.model import Json, SourceRecord

LIST_PAGE = 100  # list and every batch call (CRM API guide)
SEARCH_PAGE = 200  # search (CRM search guide)
ASSOCIATED = 1000  # ids of one associations read (associations guide)
SEARCH_CHARS = 3000  # body of a search (CRM search guide)
URL_CHARS = 14_000  # of property names in a list call; longer URLs fail with 414 (airbyte splits at 15,000)
LOOKBACK_S = 300.0  # new and changed records show up in search "after a few moments" (CRM search guide)
SPLIT_FROM = 100_000  # rows: less than twenty counts and two looks cost little beside the 500 searches for them
COUNTS = 20
ARCHIVED_EVERY_S = 3600.0  # how often archived records are listed, unless the setting says otherwise
MERGED, OBJECT_ID = "hs_merged_object_ids", "hs_object_id"
OWN = "USER_DEFINED"  # category of association types that an account names itself


# records


def record_of(api: HubspotApi, row: dict[str, Json]) -> SourceRecord:
    """A row as it came, archived ones as deletes. Raises KeyError, TypeError or ValueError if it cannot be read."""
    row.pop("objectWriteTraceId", None)  # of our own write
    external_id, properties = str(row["id"]), row.get("properties") or {}
    if row.get("archived"):
        at = row.get("archivedAt") or row["updatedAt"]
        return SourceRecord(external_id=external_id, data={}, stamp=parse_time(at), op="delete")
    marker = properties.get(api.marker) or None
    return SourceRecord(external_id=external_id, data=row, stamp=parse_time(row["updatedAt"]), marker=marker)


def records_of(api: HubspotApi, rows: Sequence[dict[str, Json]]) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Records, the ids that were merged into them, and faults of rows that cannot be read."""
    records, faults = read_rows(rows, lambda row: record_of(api, row), id_key="id")
    return records + [loser for record in records for loser in _losers(record)], faults


def _losers(record: SourceRecord) -> Iterator[SourceRecord]:
    """Merged-away ids are told by their survivor only; it names them for ever (CRM API guide, merge)."""
    text = (record.data.get("properties") or {}).get(MERGED)
    for loser in (text or "").split(";"):
        if loser.strip() and loser.strip() != record.external_id:
            yield SourceRecord(
                external_id=loser.strip(),
                data={},
                stamp=record.stamp,
                op="merged_into",
                merged_into=record.external_id,
            )


# pages


def pull(api: HubspotApi, stream: str, cursor: Json) -> Page:
    """One page. Cursors, by "mode":

    list: {"after", "from"}, the full read, by id. search: {"since" (ms), "seen" (ids of that millisecond already
    read; null: all of them), "from", "swept"}. ties: one millisecond with too many records to name, by id.
    archived: {"after", "from"}, what was deleted. part: {"after" (id), "until" (id or null), "from"}, a part of
    a first load, by id. Search is where the cursor rests.
    """
    if stream in _WHOLE:
        return _WHOLE[stream](api, cursor)
    at = cursor or {"mode": "list", "after": None, "from": None}
    if at["mode"] in ("list", "archived"):
        return _listed(api, stream, at)
    if at["mode"] == "part":
        return _part(api, stream, at)
    return _changed(api, stream, at)


def _listed(api: HubspotApi, stream: str, at: Mapping[str, Json]) -> Page:
    archived = at["mode"] == "archived"
    names = [MODIFIED[stream]] if archived else names_of(api, stream)
    more: dict[str, Json] = {"limit": LIST_PAGE, "archived": archived}
    more |= {"after": at["after"]} if at["after"] else {}
    targets = [] if archived else _targets(api, stream)
    inline = [target for target in targets if not _labels(api, stream, target)]
    more |= {"associations": inline} if inline else {}
    answer = _list_page(api, stream, names, more)
    started = at["from"] or api.door.vendor_now()
    for row in answer["results"]:
        if inline:
            row["associations"] = {target: _tidied(row, stream, target) for target in inline}
    _associate(api, stream, answer["results"], [target for target in targets if target not in inline])
    records, faults = records_of(api, answer["results"])
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    if after is None:
        whole = not archived and not faults
        rest = _rest(started, swept=started)
        return Page(
            records=records, next_cursor=rest, complete=True, listing_complete=whole, faults=faults, read_at=started
        )
    require_progress(at["after"], after, where=f"{api.door.account}/{stream}")
    following = {"mode": at["mode"], "after": after, "from": started}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _list_page(api: HubspotApi, stream: str, names: Sequence[str], more: Mapping[str, Json]) -> dict[str, Json]:
    """One page of the list; with more properties than a URL holds, the same page several times, put together."""
    answer: dict[str, Json] = {}
    for part in _url_parts(names):
        got = call(api, api.objects.basic.get_page, stream, properties=part, operation="list", **more)
        if not answer:
            answer = got
            continue
        rest = {row["id"]: row["properties"] for row in got["results"]}
        for row in answer["results"]:
            row["properties"].update(rest.get(row["id"], {}))
    return answer


def _url_parts(names: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        size += len("&properties=") + len(name)
        if size > URL_CHARS:
            yield part
            part, size = [], len("&properties=") + len(name)
        part.append(name)
    yield part


def _rest(started: float, *, swept: float) -> dict[str, Json]:
    since = int(rest_at(started, LOOKBACK_S) * 1000)
    return {"mode": "search", "since": since, "seen": [], "from": None, "swept": swept}


def _changed(api: HubspotApi, stream: str, at: Mapping[str, Json]) -> Page:
    """What changed since: one search, or as many as one look at their associations can serve."""
    rows: list[dict[str, Json]] = []
    going, ended = dict(at), False
    while not ended and len(rows) < (ASSOCIATED - SEARCH_PAGE + 1 if _targets(api, stream) else 1):
        step = _tied if going["mode"] == "ties" else _later
        found, going, ended = step(api, stream, going)
        rows += found
    where = f"{api.door.account}/{stream}"
    records, faults = _with_associations(api, stream, rows)
    require_ascending([record.stamp or 0.0 for record in records if record.op != "merged_into"], where=where)
    if ended:
        return _at_end(api, records, faults, going["from"], at)
    require_progress(dict(at), going, where=where)
    return Page(records=records, next_cursor=going, complete=False, faults=faults, read_at=going["from"])


Step = tuple[list[dict[str, Json]], dict[str, Json], bool]  # rows, cursor behind them, nothing more


def _later(api: HubspotApi, stream: str, at: Mapping[str, Json]) -> Step:
    """Ascending by time, never by offset: a record changed meanwhile moves to the end and would shift the rest."""
    name = MODIFIED[stream]
    groups = [[_filter(name, "GT" if at["seen"] is None else "GTE", at["since"])]]
    if at["seen"]:
        others: dict[str, Json] = {"propertyName": OBJECT_ID, "operator": "NOT_IN", "values": at["seen"]}
        groups = [[_filter(name, "GT", at["since"])], [_filter(name, "EQ", at["since"]), others]]
    answer = _search(api, stream, groups, name)
    if answer is None:  # too many of one millisecond to be named
        return [], {**at, "mode": "ties", "after": "0"}, False
    rows, going = answer["results"], {**at, "from": at["from"] or api.door.vendor_now()}
    usable = [row for row in rows if row.get("updatedAt") and row.get("id")]  # others become faults
    timed = [(round(parse_time(row["updatedAt"]) * 1000), str(row["id"])) for row in usable]
    since = timed[-1][0] if timed else at["since"]
    seen = [external_id for stamp, external_id in timed if stamp == since]
    if since == at["since"]:
        seen = list(dict.fromkeys([*(at["seen"] or ()), *seen]))
    return rows, {**going, "since": since, "seen": seen}, answer["total"] <= len(rows)


def _tied(api: HubspotApi, stream: str, at: Mapping[str, Json]) -> Step:
    """All records of one millisecond, by id: a bulk edit can give one stamp to more than search will page through."""
    groups = [[_filter(MODIFIED[stream], "EQ", at["since"]), _filter(OBJECT_ID, "GT", at["after"])]]
    rows, last, ended = _by_id(api, stream, groups, at["after"])
    going = {**at, "from": at["from"] or api.door.vendor_now()}
    if ended:
        del going["after"]
        return rows, {**going, "mode": "search", "seen": None}, False
    return rows, {**going, "after": last}, False


def _at_end(
    api: HubspotApi,
    records: Sequence[SourceRecord],
    faults: Sequence[Mapping[str, str]],
    started: float,
    at: Mapping[str, Json],
) -> Page:
    """Nothing more has changed; now and then the archived ones are listed as well."""
    every = float(api.settings.values.get("archived_every_s", ARCHIVED_EVERY_S))
    if started - at["swept"] >= every:
        sweep = {"mode": "archived", "after": None, "from": started}
        return Page(records=records, next_cursor=sweep, complete=False, faults=faults, read_at=started)
    rest = _rest(started, swept=at["swept"])
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)


# parts of a first load


def split(api: HubspotApi, stream: str, parts: int) -> list[Json]:
    """Ranges of ids with about as many records each; none where there are few.

    The list cannot be entered in its middle: its `after` is the vendor's own, and nothing says that an id will do. So
    parts are searched for, sorted by id and beyond any cap. Search may be some moments behind: what it does not show
    yet changed within the look-back of the first incremental read, which begins where the parts were made.
    """
    least = int(api.settings.values.get("split_from", SPLIT_FROM))
    if stream in _WHOLE or not least:
        return []
    first = _look(api, stream, (), "ASCENDING")
    if first["total"] < least:
        return []
    last, started = _look(api, stream, (), "DESCENDING"), api.door.vendor_now()
    low, high = (int(each["results"][0]["id"]) for each in (first, last))

    def count(at_least: int, below: int) -> int:
        found = _look(api, stream, (_filter(OBJECT_ID, "GTE", at_least), _filter(OBJECT_ID, "LT", below)), "ASCENDING")
        return int(found["total"])

    cuts = even_cuts(
        low, high + 1, first["total"], parts=parts, counts=COUNTS, halfway=lambda one, other: (one + other) // 2,
        count=count,
    )  # fmt: skip
    starts, ends = ["0", *(str(each - 1) for each in cuts)], [*map(str, cuts), None]
    return [
        {"mode": "part", "after": start, "until": end, "from": started} for start, end in zip(starts, ends, strict=True)
    ]


def _look(api: HubspotApi, stream: str, filters: Sequence[dict[str, str]], direction: str) -> dict[str, Json]:
    """How many there are, and the first of them."""
    body: dict[str, Json] = {
        "filterGroups": [{"filters": list(filters)}] if filters else [],
        "sorts": [{"propertyName": OBJECT_ID, "direction": direction}],
        "properties": [OBJECT_ID],
        "limit": 1,
    }
    answer: dict[str, Json] = call(api, api.objects.search.do_search, stream, body, operation="search")
    return answer


def _part(api: HubspotApi, stream: str, at: Mapping[str, Json]) -> Page:
    """As many searches up the ids as one look at their associations can serve."""
    rows: list[dict[str, Json]] = []
    going, ended = dict(at), False
    while not ended and len(rows) < (ASSOCIATED - SEARCH_PAGE + 1 if _targets(api, stream) else 1):
        filters = [_filter(OBJECT_ID, "GT", going["after"])]
        filters += [_filter(OBJECT_ID, "LT", at["until"])] if at["until"] else []
        found, last, ended = _by_id(api, stream, [filters], going["after"])
        rows += found
        going["after"] = last
    records, faults = _with_associations(api, stream, rows)
    where = f"{api.door.account}/{stream}"
    require_ascending([float(each["id"]) for each in rows if each.get("id")], where=where)
    if ended:
        rest = _rest(at["from"], swept=at["from"])
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=at["from"])
    require_progress(dict(at), going, where=where)
    return Page(records=records, next_cursor=going, complete=False, faults=faults, read_at=at["from"])


def _by_id(
    api: HubspotApi, stream: str, groups: Sequence[Sequence[dict[str, Json]]], after: str
) -> tuple[list[dict[str, Json]], str, bool]:
    """A search's rows sorted by id, the last id, and whether that is all."""
    answer = _search(api, stream, groups, OBJECT_ID)
    if answer is None:
        raise RecordRejected("the search is too long", code="HS-SEARCH", where=f"{api.door.account}/{stream}")
    rows = answer["results"]
    last = next((str(row["id"]) for row in reversed(rows) if row.get("id")), after)
    return rows, last, answer["total"] <= len(rows)


def _filter(name: str, operator: str, value: Json) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _search(
    api: HubspotApi, stream: str, groups: Sequence[Sequence[dict[str, Json]]], sort: str
) -> dict[str, Json] | None:
    """One page of a search, whole records; None if the request would be longer than HubSpot takes."""
    names = names_of(api, stream)
    body: dict[str, Json] = {
        "filterGroups": [{"filters": list(filters)} for filters in groups],
        "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
        "properties": names,
        "limit": SEARCH_PAGE,
    }
    thin = len(json.dumps(body)) > SEARCH_CHARS
    if thin:
        body["properties"] = [MODIFIED[stream]]
        if len(json.dumps(body)) > SEARCH_CHARS:
            return None
    answer: dict[str, Json] = call(api, api.objects.search.do_search, stream, body, operation="search")
    if thin and answer["results"]:
        answer["results"] = _whole(api, stream, answer["results"])
    return answer


def _whole(api: HubspotApi, stream: str, rows: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """The same records with all their properties; the search's stamp stays, since it is what the page is sorted by."""
    found = {row["id"]: row for row in _read(api, stream, [str(row["id"]) for row in rows])}
    return [{**found[row["id"]], "updatedAt": row["updatedAt"]} if row["id"] in found else row for row in rows]


# associations


def _targets(api: HubspotApi, stream: str) -> list[str]:
    """Streams whose associations the mapping reads."""
    known = {each.target for each in ASSOCIATIONS.values() if each.source == stream}
    return [name for name in api.settings.streams.get(stream, {}).get("associations") or () if name in known]


def _labels(api: HubspotApi, source: str, target: str) -> list[str]:
    """Labels that the mapping asks for: it names such an association "deal_to_contact:Decision maker"."""
    asked = [str(each).partition(":") for each in api.settings.streams.get(source, {}).get("associations") or ()]
    return [label for name, _, label in asked if label and name == name_of(source, target)]


def name_of(source: str, target: str) -> str:
    """The association's name as mappings and list answers write it."""
    return next(name for name, each in ASSOCIATIONS.items() if (each.source, each.target) == (source, target))


def _tidied(row: Mapping[str, Json], source: str, target: str) -> dict[str, Json]:
    """Associated ids of a list row, the primary first, each once: a primary one is listed twice, under two types."""
    name = name_of(source, target)
    listed = ((row.get("associations") or {}).get(target) or {}).get("results") or ()
    ordered = sorted(listed, key=lambda each: each.get("type") != name)
    return _results(name, [str(each["id"]) for each in ordered])


def _results(name: str, ids: Iterable[str]) -> dict[str, Json]:
    return {"results": [{"id": each, "type": name} for each in dict.fromkeys(ids)]}


def _with_associations(
    api: HubspotApi, stream: str, rows: Sequence[dict[str, Json]]
) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Records with their associations, which search and batch read leave out: one more call per 1,000 and kind."""
    _associate(api, stream, rows, _targets(api, stream))
    return records_of(api, rows)


def _associate(api: HubspotApi, stream: str, rows: Sequence[dict[str, Json]], targets: Sequence[str]) -> None:
    """Put the associations of these kinds into the rows; each label that is asked for is a type of its own."""
    known = [row for row in rows if row.get("id")]
    for target in targets:
        name, labels = name_of(stream, target), _labels(api, stream, target)
        for part in batches(known, ASSOCIATED):
            found = associated(api, stream, target, [str(row["id"]) for row in part])
            for row in part:
                held = found.get(str(row["id"]), {})
                told = _results(name, held)
                for label in labels:
                    told["results"] += [{"id": each, "type": f"{name}:{label}"} for each in held if label in held[each]]
                row.setdefault("associations", {})[target] = told


def associated(api: HubspotApi, source: str, target: str, ids: Sequence[str]) -> dict[str, dict[str, frozenset[str]]]:
    """Id -> ids of `target`, the primary one first, each with its labels; up to 1,000 ids."""
    body = {"inputs": [{"id": each} for each in ids]}
    answer = call(api, api.associations.get_page, source, target, body, operation="associations")
    primary = ASSOCIATIONS[name_of(source, target)]
    found: dict[str, dict[str, frozenset[str]]] = {}
    for row in answer.get("results", ()):
        ordered = sorted(row["to"], key=lambda each: not _is_primary(each, primary.type_id))
        found[str(row["from"]["id"])] = {str(each["toObjectId"]): _labels_in(each) for each in ordered}
    return found


def _labels_in(each: Mapping[str, Json]) -> frozenset[str]:
    kinds = each.get("associationTypes") or ()
    return frozenset(str(kind["label"]) for kind in kinds if kind.get("category") == OWN and kind.get("label"))


def _is_primary(each: Mapping[str, Json], type_id: int) -> bool:
    return any(kind.get("typeId") == type_id for kind in each.get("associationTypes") or ())


# by id, by unique property


def fetch(api: HubspotApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Records by id, 100 a call, a strong read; archived ones as deletes; what is nowhere is left out."""
    wanted = list(dict.fromkeys(ids))
    if stream in _WHOLE:
        return _fetch_whole(api, stream, set(wanted))
    rows = [row for part in batches(wanted, LIST_PAGE) for row in _read(api, stream, part)]
    found, _ = _with_associations(api, stream, rows)
    missing = sorted(set(wanted) - {record.external_id for record in found})
    for part in batches(missing, LIST_PAGE):
        found += records_of(api, _read(api, stream, part, archived=True))[0]
    return found


def _read(
    api: HubspotApi, stream: str, values: Sequence[str], *, by: str = "", archived: bool = False
) -> list[dict[str, Json]]:
    """Rows of batch/read; what is not there is left out (the answer is then a 207 with errors)."""
    body: dict[str, Json] = {"inputs": [{"id": value} for value in values], "properties": names_of(api, stream)}
    body["propertiesWithHistory"] = []
    body |= {"idProperty": by} if by else {}
    answer = call(api, api.objects.batch.read, stream, body, archived=archived, operation="read")
    return list({str(row["id"]): row for row in answer.get("results", ())}.values())  # merged ids bring their survivor


def ids_by(api: HubspotApi, stream: str, name: str, values: Sequence[str]) -> dict[str, str]:
    """Value of a unique property -> id of the record that has it; a strong read, up to 100 values."""
    found = {}
    for row in _read(api, stream, values, by=name):
        value = (row.get("properties") or {}).get(name)
        if value:
            found[str(value).lower()] = str(row["id"])
    return found


def find(api: HubspotApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Records by a unique property: a strong read. By any other, through search, which lags."""
    if not name.isidentifier():
        raise RecordRejected("no property name", code="REC-FIELD", field=name, where=api.door.account)
    if name == api.marker or (stream, name) == ("contacts", "email"):
        return _with_associations(api, stream, _read(api, stream, [value], by=name))[0]
    answer = _search(api, stream, [[_filter(name, "EQ", value)]], OBJECT_ID)
    return _with_associations(api, stream, answer["results"])[0] if answer else []


# what is read whole


def _fetch_whole(api: HubspotApi, stream: str, wanted: set[str]) -> list[SourceRecord]:
    """Of a listing, page by page, until all were found."""
    found: list[SourceRecord] = []
    cursor: Json = None
    while len(found) < len(wanted):
        page = _WHOLE[stream](api, cursor)
        found += [record for record in page.records if record.external_id in wanted]
        if page.complete:
            break
        cursor = page.next_cursor
    return found


def _owners(api: HubspotApi, cursor: Json) -> Page:
    """The owners, all of them each time: 100 a call. Cursor: {"after"}."""
    after = (cursor or {}).get("after")
    more = {"after": after} if after else {}
    answer = call(api, api.owners.get_page, limit=LIST_PAGE, operation="owners", **more)
    records, faults = read_rows(answer["results"], _owner, id_key="id")
    following = ((answer.get("paging") or {}).get("next") or {}).get("after")
    if following is None:
        return Page(
            records=records, next_cursor={"after": None}, complete=True, listing_complete=not faults, faults=faults
        )
    require_progress(after, following, where=f"{api.door.account}/owners")
    return Page(records=records, next_cursor={"after": following}, complete=False, faults=faults)


def _owner(row: dict[str, Json]) -> SourceRecord:
    return SourceRecord(external_id=str(row["id"]), data=row, stamp=parse_time(row["updatedAt"]))


_WHOLE: dict[str, Callable[[HubspotApi, Json], Page]] = {
    "owners": _owners,
    "lists": pull_lists,
    "list_members": pull_members,
}
