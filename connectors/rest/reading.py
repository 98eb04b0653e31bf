"""Lists page by page, records by id, look-ups: whatever the connection's settings describe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import orjson

from connectors.rest.spec import Spec, spec_of
from hub.connector import Door, Field, HttpResponse, Page, Settings
from hub.errors import ConfigFault, Fault, NeedsReview, NotFound
from hub.kit.paging import require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import ANY_NAME, Json, SourceRecord

_NEXT = re.compile(r"<([^<>]+)>((?:\s*;[^,<>]*)*)")
_MOST_DEPTH = 4
MISSING = object()


@dataclass(frozen=True, slots=True)
class RestApi:
    """What `connect` hands out."""

    door: Door
    specs: Mapping[str, Spec]
    probe: str  # path that tells whether the sign-in works
    query: str  # parameter that carries the key; never kept in a cursor
    called: str


def connect(door: Door, settings: Settings) -> RestApi:
    """Raises ConfigFault: no stream is described."""
    faults: list[Fault] = []
    specs = {name: spec_of(name, given, faults) for name, given in settings.streams.items()}
    if not specs:
        fix = "add `streams: {contacts: {path: /contacts}}`"
        faults.append(Fault(code="REST-NO-STREAM", where="streams", message="nothing is described", fix=fix))
    if faults:
        raise ConfigFault(faults)
    values = settings.values
    told = {name: str(values.get(name) or "") for name in ("check", "query", "called")}
    return RestApi(door, specs, told["check"], told["query"], told["called"])


def check(api: RestApi) -> dict[str, Json]:
    """One call: the path that was named for it, or the beginning of the first list."""
    if api.probe:
        api.door.request("GET", api.probe, operation="check")
    else:
        _rows(api, spec := next(iter(api.specs.values())), _get(api, spec, "check", _asked(spec, {"since": None})))
    return {"account": "", "name": api.called or urlsplit(api.door.base_url).netloc, "warnings": []}


# --- shapes ------------------------------------------------------------------------------------------------------


def at(value: Json, path: str) -> Json:
    """What stands at a path such as `data.items`; MISSING if nothing does; the value itself for ""."""
    for step in path.split(".") if path else ():
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def record_of(spec: Spec, row: Json) -> SourceRecord:
    """Raises TypeError, ValueError: no usable id or time."""
    if not isinstance(row, dict):
        raise TypeError("no object")
    external_id = at(row, spec.id)
    if isinstance(external_id, bool) or not isinstance(external_id, str | int) or not str(external_id).strip():
        raise ValueError("no id")
    said = at(row, spec.modified) if spec.modified else None
    stamp = None if said in (None, MISSING, "") else _time(said, spec.modified_as)
    marker = at(row, spec.marker) if spec.marker else None
    gone = _is_deleted(spec, row)
    return SourceRecord(
        external_id=str(external_id), data={} if gone else row, stamp=stamp, op="delete" if gone else "upsert",
        marker=marker if isinstance(marker, str) and marker else None,
    )  # fmt: skip


def _is_deleted(spec: Spec, row: Json) -> bool:
    if not spec.deleted:
        return False
    said = at(row, spec.deleted)
    if said is MISSING:
        return False
    return said in spec.deleted_is if spec.deleted_is else said not in (None, False, 0, "", "0", "false")


def _time(said: Json, written: str) -> float:
    if written == "epoch_s":
        return float(said)
    if written == "epoch_ms":
        return float(said) / 1000.0
    if written == "date":
        return datetime.strptime(str(said), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    return parse_time(said)


def _said(moment: float, written: str) -> str:
    """A moment as the interface wants it, rounded down."""
    if written == "epoch_s":
        return str(int(moment))
    if written == "epoch_ms":
        return str(int(moment * 1000))
    text = to_iso(moment, digits=3 if written == "iso" else 0)
    return text[:10] if written == "date" else text


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: RestApi, stream: str, cursor: Json) -> Page:
    """One page. Cursor at rest: {"since": epoch s or None}. Under way also {"from": start of this read, "seen": digest
    of the page before, "full": rows of the first page, "whole"}, and how to go on: {"page"}, {"offset"},
    {"token"} or {"url"}.
    """
    spec = api.specs[stream]
    state = dict(cursor or {"since": None})
    answer = _get(api, spec, "list", _asked(spec, state), state.get("url", ""))
    rows = _rows(api, spec, answer)
    records, faults = read_rows(rows, partial(record_of, spec), id_key=spec.id)
    started = state.get("from") or answer.at
    seen = hashlib.sha256(orjson.dumps(rows)).hexdigest()
    whole = state.get("whole", True) and not faults
    going_on = _next(api, spec, state, answer, len(rows))
    if going_on is None:
        rest = {"since": rest_at(started, spec.lookback_s) if spec.since else None}
        return Page(
            records=records, faults=faults, next_cursor=rest, complete=True, read_at=started,
            listing_complete=spec.complete and whole,
        )  # fmt: skip
    if rows:
        require_progress(state.get("seen"), seen, where=f"{api.door.account}/{stream}")
    step = {
        "since": state["since"],
        "from": started,
        "seen": seen,
        "full": state.get("full", len(rows)),
        "whole": whole,
    }
    return Page(records=records, faults=faults, next_cursor={**step, **going_on}, complete=False, read_at=started)


def _asked(spec: Spec, state: Mapping[str, Json]) -> dict[str, Json]:
    """Query of a page; of one that was linked to, the link says all."""
    pages = spec.pages
    asked = dict(spec.params)
    if pages.size_param:
        asked[pages.size_param] = pages.size
    if spec.since and state["since"] is not None:
        asked[spec.since] = _said(state["since"], spec.since_as)
    if pages.kind == "number":
        asked[pages.param] = state.get("page", pages.first)
    elif pages.kind == "offset":
        asked[pages.param] = state.get("offset", 0)
    elif pages.kind == "cursor" and state.get("token"):
        asked[pages.param] = state["token"]
    return asked


def _get(api: RestApi, spec: Spec, operation: str, asked: Mapping[str, Json], url: str = "") -> HttpResponse:
    if url:
        return api.door.request("GET", url, operation=operation)
    return api.door.request("GET", spec.path, operation=operation, params=asked)


def _rows(api: RestApi, spec: Spec, answer: HttpResponse) -> list[Json]:
    """The list of an answer. Raises NeedsReview where there is none: never "0 records"."""
    found = at(answer.json(), spec.records)
    if not isinstance(found, list):
        raise NeedsReview(
            f"there is no list at {spec.records or 'the top'} of the answer", code="REST-NO-LIST",
            where=f"{api.door.account}/{spec.name}", fix="correct `records:` of the stream",
        )  # fmt: skip
    return found


def _next(
    api: RestApi, spec: Spec, state: Mapping[str, Json], answer: HttpResponse, rows: int
) -> dict[str, Json] | None:
    """How to go on; None at the end.

    By number and offset the end is an answer that says so (`more`), else a page with fewer rows than the first one:
    not one with fewer than were asked for, since servers may give less at once than they are asked for.
    """
    pages = spec.pages
    if pages.kind == "none":
        return None
    if pages.kind in ("number", "offset"):
        more = at(answer.json(), pages.more) if pages.more else MISSING
        ended = not more if more is not MISSING else rows < state.get("full", 1)
        if ended or not rows:
            return None
        if pages.kind == "number":
            return {"page": state.get("page", pages.first) + 1}
        return {"offset": state.get("offset", 0) + rows}
    if pages.kind == "cursor":
        token = at(answer.json(), pages.next)
        return {"token": token} if token not in (None, MISSING, "", False) else None
    link = _linked(answer) if pages.kind == "link" else at(answer.json(), pages.next)
    return {"url": _address(api, spec, state, link)} if isinstance(link, str) and link else None


def _linked(answer: HttpResponse) -> str:
    """The address of rel="next" (RFC 8288); "" if there is none."""
    for address, about in _NEXT.findall(answer.headers.get("link", "")):
        if re.search(r'rel\s*=\s*"?(?:[^";]*\s)?next(?:\s[^";]*)?"?\s*(?:;|$)', about, re.IGNORECASE):
            return str(address)
    return ""


def _address(api: RestApi, spec: Spec, state: Mapping[str, Json], link: str) -> str:
    """Absolute, and without the key: cursors are stored. The door refuses other hosts."""
    found = urljoin(state.get("url") or f"{api.door.base_url}{spec.path}", link)
    if not api.query:
        return found
    parts = urlsplit(found)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != api.query]
    return parts._replace(query=urlencode(kept)).geturl()


# --- by id -------------------------------------------------------------------------------------------------------


def path_of(path: str, external_id: str) -> str:
    """The path of one record."""
    return path.replace("{id}", quote(external_id, safe=""))


def fetch(api: RestApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, one call each; what is not there was deleted. Nothing of a stream that has no path for it."""
    spec = api.specs[stream]
    return [_one(api, spec, external_id) for external_id in dict.fromkeys(ids) if external_id] if spec.fetch else []


def _one(api: RestApi, spec: Spec, external_id: str) -> SourceRecord:
    try:
        answer = api.door.request("GET", path_of(spec.fetch, external_id), operation="fetch")
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")
    found = answered(spec, answer)
    if found is None or found.external_id != external_id:
        raise NeedsReview(
            f"the answer is not the record {external_id}", code="REST-NO-RECORD",
            where=f"{api.door.account}/{spec.name}", fix="correct `fetch:` and `record:` of the stream",
        )  # fmt: skip
    return found


def answered(spec: Spec, answer: HttpResponse) -> SourceRecord | None:
    """The record of an answer about one; None if it holds none."""
    try:
        return record_of(spec, at(orjson.loads(answer.body), spec.record))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return None


def find(api: RestApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Records with this value in a field that the list can be narrowed by; what else it gives is left out."""
    spec = api.specs[stream]
    if name == spec.id and spec.fetch:
        return [record for record in fetch(api, stream, [value]) if record.op == "upsert"]
    if name not in spec.find:
        raise NeedsReview(
            f"{stream} cannot be looked up by {name}", code="REST-LOOKUP", where=api.door.account,
            fix=f"say find: {{{name}: <query parameter>}} at the stream, if the interface can",
        )  # fmt: skip
    asked = {**_asked(spec, {"since": None}), spec.find[name]: value}
    rows = _rows(api, spec, _get(api, spec, "search", asked))
    found, _ = read_rows(rows, partial(record_of, spec), id_key=spec.id)
    same = [record for record in found if str(at(record.data, name)).casefold() == value.casefold()]
    return [record for record in same if record.op == "upsert"]


# --- fields ------------------------------------------------------------------------------------------------------


def discover(api: RestApi, stream: str) -> list[Field]:
    """No interface of this kind describes itself: fields as the first page shows them, and whatever else may come."""
    spec = api.specs[stream]
    found: dict[str, str] = {}
    for row in _rows(api, spec, _get(api, spec, "list", _asked(spec, {"since": None}))):
        for name, kind in _kinds(row, "", 0):
            found[name] = kind if found.get(name) in (None, "text", kind) else "text"
    own = {spec.id, spec.modified, spec.deleted}
    told = [
        Field(name=name, label=name, type=kind, writable=bool(spec.writes) and name not in own)
        for name, kind in found.items()
    ]
    return [
        *told,
        Field(name=ANY_NAME, label="Whatever the interface sends", type="object", writable=bool(spec.writes)),
    ]


def _kinds(value: Json, path: str, depth: int) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and depth < _MOST_DEPTH:
        return [
            each
            for name, inner in value.items()
            for each in _kinds(inner, f"{path}.{name}" if path else name, depth + 1)
        ]
    kinds = {bool: "boolean", int: "integer", float: "decimal", list: "set"}
    kind = "ref" if path.lower().endswith("id") and isinstance(value, str | int) else kinds.get(type(value), "text")
    return [(path, kind)] if path else []
