"""The resources of the Salesforce twin's REST API: which path does what, and the JSON it answers with.

One call may hold many (composite, collections). Whatever a row's failure is, the call goes on; only `allOrNone` undoes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from hub.twins.kit import Fields, Record, Request, Response, Rollback, Twin, Window
from hub.twins.salesforce_objects import STREAMS
from hub.twins.salesforce_rows import Rows, SeveralMatch
from hub.twins.salesforce_schema import FieldFault, render_stamp, to_18
from hub.twins.salesforce_soql import SoqlFault, parse

Json = Any

# All from vendor docs: "Query", "sObject Collections", "Composite", "Get Deleted", "Get Updated".
PAGE_ROWS, LEAST_PAGE_ROWS = 2000, 200
CURSOR_LIFE_S = 2 * 86_400.0
CURSORS_PER_USER = 10
COLLECTION_ROWS, COLLECTION_CHUNKS, RETRIEVE_ROWS = 200, 10, 2000
COMPOSITE_PARTS, COMPOSITE_QUERIES = 25, 5
DELETED_DAYS_S, UPDATED_DAYS_S = 15 * 86_400.0, 30 * 86_400.0
UPSERT_ANSWERS_SINCE = 46.0  # older versions answer an updating upsert with 204

_STATUS = {
    "NOT_FOUND": 404,
    "ENTITY_IS_DELETED": 404,
    "INSUFFICIENT_ACCESS_OR_READONLY": 403,
    "PRECONDITION_FAILED": 412,
}
_ROUTES = [
    (re.compile(pattern), methods)
    for pattern, methods in (
        (r"limits", {"GET": "limits"}),
        (r"sobjects", {"GET": "describe_global"}),
        (r"query", {"GET": "query"}),
        (r"queryAll", {"GET": "query_all"}),
        (r"(?:query|queryAll)/([^/]+)", {"GET": "query_more"}),
        (r"composite", {"POST": "composite"}),
        (r"composite/sobjects", {"POST": "create_rows", "PATCH": "update_rows", "DELETE": "delete_rows"}),
        (r"composite/sobjects/([^/]+)", {"GET": "retrieve", "POST": "retrieve"}),
        (r"composite/sobjects/([^/]+)/([^/]+)", {"PATCH": "upsert_rows"}),
        (r"sobjects/([^/]+)", {"GET": "about", "POST": "create"}),
        (r"sobjects/([^/]+)/describe", {"GET": "describe"}),
        (r"sobjects/([^/]+)/deleted", {"GET": "deleted"}),
        (r"sobjects/([^/]+)/updated", {"GET": "updated"}),
        (r"sobjects/([^/]+)/([^/]+)", {"GET": "read", "PATCH": "update", "DELETE": "delete"}),
        (r"sobjects/([^/]+)/([^/]+)/(.+)", {"GET": "read_by_key", "PATCH": "upsert", "DELETE": "delete_by_key"}),
    )
]
_WRITES = {"create_rows", "update_rows", "delete_rows", "upsert_rows", "create", "update", "upsert", "delete"}
_WRITES.add("delete_by_key")
_QUERIES = {"query", "query_all", "query_more", "create_rows", "update_rows", "delete_rows", "upsert_rows", "retrieve"}


def refusal(status: int, code: str, message: str, fields: Iterable[str] | None = None) -> Response:
    error: dict[str, Json] = {"message": message, "errorCode": code}
    if fields is not None:
        error["fields"] = list(fields)
    return Response.json([error], status)


@dataclass(kw_only=True)
class _Cursor:
    """An open query: the rows it found, read again when their page is fetched."""

    name: str
    ids: list[str]
    fields: list[str]
    deleted: bool
    page_rows: int
    opened: float


@dataclass(frozen=True, kw_only=True)
class _Call:
    request: Request
    version: str
    parts: tuple[str, ...]  # what the path's pattern caught


class Calls:
    """All resources of one twin. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, rows: Rows, calls_today: Window) -> None:
        self._twin, self._rows, self._calls_today = twin, rows, calls_today
        self.cursors: dict[str, _Cursor] = {}
        self.deletions_known_since: dict[str, float] = {}
        self.schema_changed = 1_760_000_000.0
        self._opened = 0

    def forget(self) -> None:
        self.cursors.clear()
        self.deletions_known_since.clear()

    def describe(self, request: Request, resource: str) -> tuple[str, bool]:
        """Operation and whether it writes; a composite call writes if one of its parts does."""
        operation, _ = _match(request.method, resource)
        if operation != "composite":
            return operation or f"{request.method} {resource}", operation in _WRITES
        parts = _parts_of(request)
        return operation, any(_match(part["method"], _resource(part["url"]))[0] in _WRITES for part in parts)

    def route(self, request: Request, version: str, resource: str) -> Response:
        """Answer one resource call; what cannot be done is answered in the vendor's form."""
        operation, caught = _match(request.method, resource)
        if operation is None:
            known = any(pattern.fullmatch(resource) for pattern, _ in _ROUTES)
            if known:
                return refusal(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")
            return refusal(404, "NOT_FOUND", "The requested resource does not exist")
        call = _Call(request=request, version=version, parts=tuple(unquote(part) for part in caught))
        handler: Callable[[_Call], Response] = getattr(self, f"_do_{operation}")
        try:
            return handler(call)
        except SeveralMatch as several:
            base = f"/services/data/v{version}/sobjects/{self._object(call.parts[0])}/"
            return Response.json([base + record_id for record_id in several.ids], 300)
        except FieldFault as fault:
            return refusal(_STATUS.get(fault.code, 400), fault.code, fault.message, fault.fields)
        except SoqlFault as fault:
            return refusal(400, fault.code, fault.message)
        except BadBody as fault:
            return refusal(400, "JSON_PARSER_ERROR", str(fault))

    # --- discovery and limits ----------------------------------------------------------------------------------

    def _do_limits(self, call: _Call) -> Response:
        left = self._calls_today.remaining(self._twin.now())
        return Response.json({"DailyApiRequests": {"Max": self._calls_today.calls, "Remaining": left}})

    def _do_describe_global(self, call: _Call) -> Response:
        names = self._rows.schema.objects
        found = [self._rows.schema.summary(name) | {"urls": self._urls(call.version, name)} for name in names]
        return Response.json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found})

    def _do_about(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        about = self._rows.schema.summary(name) | {"urls": self._urls(call.version, name)}
        return Response.json({"objectDescribe": about, "recentItems": []})

    def _do_describe(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        since = _http_time(call.request, "if-modified-since")
        headers = {"Last-Modified": formatdate(self.schema_changed, usegmt=True)}
        if since is not None and int(self.schema_changed) <= since:
            return Response(status=304, headers=headers)
        found = self._rows.schema.describe(name) | {"urls": self._urls(call.version, name)}
        return Response.json(found, headers=headers)

    # --- queries -----------------------------------------------------------------------------------------------

    def _do_query(self, call: _Call) -> Response:
        return self._query(call, deleted=False)

    def _do_query_all(self, call: _Call) -> Response:
        return self._query(call, deleted=True)

    def _query(self, call: _Call, *, deleted: bool) -> Response:
        query = parse(call.request.first("q"))
        name = self._rows.schema.object_name(query.source)
        if name is None:
            raise SoqlFault("INVALID_TYPE", f"sObject type '{query.source}' is not supported.")
        found = self._rows.run(query, name, deleted=deleted)
        if query.counts:
            return Response.json({"totalSize": len(found), "done": True, "records": []})
        cursor = _Cursor(
            name=name,
            ids=[record.id for record in found],
            fields=self._rows.field_names(name, query.fields, query.limit),
            deleted=deleted,
            page_rows=_page_rows(call.request),
            opened=self._twin.now(),
        )
        return self._page(call.version, cursor, found[: cursor.page_rows], 0, "")

    def _do_query_more(self, call: _Call) -> Response:
        key, _, offset = call.parts[0].rpartition("-")
        cursor = self.cursors.get(key)
        if cursor is None or cursor.opened + CURSOR_LIFE_S < self._twin.now() or not offset.isdecimal():
            raise FieldFault("INVALID_QUERY_LOCATOR", "invalid query locator")
        start = int(offset)
        ids = cursor.ids[start : start + cursor.page_rows]
        rows = [self._rows.find(cursor.name, record_id, deleted=cursor.deleted) for record_id in ids]
        return self._page(call.version, cursor, [row for row in rows if row], start, key)

    def _page(self, version: str, cursor: _Cursor, rows: list[Record], start: int, key: str) -> Response:
        render = self._rows.renderer(cursor.name, cursor.fields, version)
        end = start + cursor.page_rows
        done = end >= len(cursor.ids)
        answer: dict[str, Json] = {"totalSize": len(cursor.ids), "done": done}
        if not done:
            key = key or self._open(cursor)
            answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{key}-{end}"
        answer["records"] = [render(row) for row in rows]
        return Response.json(answer, rows=len(rows))

    def _open(self, cursor: _Cursor) -> str:
        """Remember a query; the oldest one ends when a user has too many open."""
        self._opened += 1
        key = to_18(f"01gxx{self._opened:0>10}")
        self.cursors[key] = cursor
        while len(self.cursors) > CURSORS_PER_USER:
            del self.cursors[next(iter(self.cursors))]
        return key

    def _do_retrieve(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        ids: Json
        fields: Json
        if call.request.method == "GET":
            ids = call.request.first("ids").split(",")
            fields = call.request.first("fields").split(",")
        else:
            body = _body(call.request)
            ids, fields = body.get("ids"), body.get("fields")
            if not all(isinstance(part, list) and all(isinstance(e, str) for e in part) for part in (ids, fields)):
                raise BadBody("ids and fields must be lists of texts")
        if not ids or not fields:
            raise FieldFault("INVALID_BATCH_REQUEST", "ids and fields are required")
        if len(ids) > RETRIEVE_ROWS:
            raise FieldFault("EXCEEDED_ID_LIMIT", f"The maximum number of ids is {RETRIEVE_ROWS}")
        render = self._rows.renderer(name, [field.strip() for field in fields], call.version)
        found = [self._rows.find(name, record_id.strip()) for record_id in ids]
        return Response.json([render(row) if row else None for row in found], rows=len(found))

    def _do_deleted(self, call: _Call) -> Response:
        name, start, end = self._window(call, DELETED_DAYS_S)
        now = self._twin.now()
        found = [
            {"id": record.id, "deletedDate": render_stamp(record.modified)}
            for record in self._twin.records.since(STREAMS[name], start, end)
            if record.deleted and record.visible_at <= now
        ]
        earliest = max(now - DELETED_DAYS_S, self.deletions_known_since.get(name, 0.0))
        answer = {"deletedRecords": found, "earliestDateAvailable": render_stamp(float(int(earliest)))}
        return Response.json(answer | {"latestDateCovered": self._covered(name, end)}, rows=len(found))

    def _do_updated(self, call: _Call) -> Response:
        name, start, end = self._window(call, UPDATED_DAYS_S)
        now = self._twin.now()
        rows = self._twin.records.since(STREAMS[name], start, end)
        ids = [record.id for record in rows if not record.deleted and record.visible_at <= now]
        return Response.json({"ids": ids, "latestDateCovered": self._covered(name, end)}, rows=len(ids))

    def _window(self, call: _Call, reach_s: float) -> tuple[str, float, float]:
        name = self._object(call.parts[0])
        start, end = (_parse_time(call.request.first(key)) for key in ("start", "end"))
        if start >= end:
            raise FieldFault("INVALID_REPLICATION_DATE", "startDate before endDate or no interval")
        if start < self._twin.now() - reach_s - 60:
            raise FieldFault("INVALID_REPLICATION_DATE", "startDate cannot be more than the allowed days ago")
        return name, start, end

    def _covered(self, name: str, end: float) -> str:
        """Up to here everything has been told: not beyond the oldest write that is still uncommitted."""
        now = self._twin.now()
        unseen = [r.modified for r in self._twin.records.all(STREAMS[name]) if r.visible_at > now]
        return render_stamp(float(int(min([end, now, *unseen]))))

    # --- one row -----------------------------------------------------------------------------------------------

    def _do_read(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        return self._row(call, name, self._rows.find(name, call.parts[1]))

    def _do_read_by_key(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        matches = self._rows.by_key(name, call.parts[1], call.parts[2])
        if len(matches) > 1:
            raise SeveralMatch([match.id for match in matches])
        return self._row(call, name, self._rows.find(name, matches[0].id) if matches else None)

    def _row(self, call: _Call, name: str, record: Record | None) -> Response:
        if record is None:
            raise FieldFault("NOT_FOUND", "The requested resource does not exist")
        headers = {"Last-Modified": formatdate(record.modified, usegmt=True)}
        if name == "Account":
            headers["ETag"] = _etag(record)
        self._check_preconditions(call.request, name, record)
        since = _http_time(call.request, "if-modified-since")
        if since is not None and record.modified <= since:
            return Response(status=304, headers=headers)
        fields = call.request.first("fields")
        wanted = fields.split(",") if fields else list(self._rows.schema.objects[name])
        return Response.json(self._rows.renderer(name, wanted, call.version)(record), headers=headers, rows=1)

    def _do_create(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        record_id = self._rows.create(name, _body(call.request))
        headers = {"Location": f"/services/data/v{call.version}/sobjects/{name}/{record_id}"}
        return Response.json({"id": record_id, "success": True, "errors": []}, 201, headers, rows=1)

    def _do_update(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        self._check_preconditions(call.request, name, self._rows.stored(name, call.parts[1]))
        self._rows.update(name, call.parts[1], _without_key(_body(call.request), "Id"))
        return Response(status=204, rows=1)

    def _do_upsert(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        _, key, value = call.parts
        body = _without_key(_body(call.request), key)
        for record in self._rows.by_key(name, key, value):
            self._check_preconditions(call.request, name, record)
        record_id, created = self._rows.upsert(name, key, value, body)
        if not created and float(call.version) < UPSERT_ANSWERS_SINCE:
            return Response(status=204, rows=1)
        answer = {"id": record_id, "success": True, "errors": [], "created": created}
        return Response.json(answer, 201 if created else 200, rows=1)

    def _do_delete(self, call: _Call) -> Response:
        self._rows.delete(self._object(call.parts[0]), call.parts[1])
        return Response(status=204, rows=1)

    def _do_delete_by_key(self, call: _Call) -> Response:
        name = self._object(call.parts[0])
        matches = self._rows.by_key(name, call.parts[1], call.parts[2])
        if len(matches) != 1:
            raise FieldFault("NOT_FOUND", "The requested resource does not exist")
        self._rows.delete(name, matches[0].id)
        return Response(status=204, rows=1)

    def _check_preconditions(self, request: Request, name: str, record: Record) -> None:
        """If-Unmodified-Since for every object, If-Match for accounts only (vendor docs, "Conditional Requests")."""
        until = _http_time(request, "if-unmodified-since")
        changed = until is not None and record.modified > until
        tag = request.headers.get("if-match")
        if changed or (name == "Account" and tag and tag not in ("*", _etag(record))):
            raise FieldFault("PRECONDITION_FAILED", "The record was changed")

    # --- collections -------------------------------------------------------------------------------------------

    def _do_create_rows(self, call: _Call) -> Response:
        def write(record: Fields) -> Fields:
            return {"id": self._rows.create(self._type_of(record), record)}

        return self._collection(call, write, "")

    def _do_update_rows(self, call: _Call) -> Response:
        def write(record: Fields) -> Fields:
            record_id = record.get("id") or record.get("Id")
            if not record_id:
                raise FieldFault("MISSING_ARGUMENT", "Id not specified in an update call")
            body = {key: value for key, value in record.items() if key.lower() != "id"}
            return {"id": self._rows.update(self._type_of(record), str(record_id), body)}

        return self._collection(call, write, "")

    def _do_upsert_rows(self, call: _Call) -> Response:
        name, key = self._object(call.parts[0]), call.parts[1]
        seen: set[str] = set()

        def write(record: Fields) -> Fields:
            value = next((str(v) for k, v in record.items() if k.lower() == key.lower() and v is not None), None)
            if value is None:
                raise FieldFault("MISSING_ARGUMENT", f"{key} not specified", (key,))
            if value.casefold() in seen:
                raise FieldFault("DUPLICATE_EXTERNAL_ID", f"Duplicate external id specified: {value}", (key,))
            seen.add(value.casefold())
            try:
                record_id, created = self._rows.upsert(name, key, value, record)
            except SeveralMatch as several:
                raise FieldFault("DUPLICATE_EXTERNAL_ID", f"{key}: more than one record: {several}") from None
            return {"id": record_id, "created": created}

        return self._collection(call, write, name)

    def _do_delete_rows(self, call: _Call) -> Response:
        ids = [record_id for record_id in call.request.first("ids").split(",") if record_id]
        all_or_none = call.request.first("allOrNone").lower() == "true"

        def write(record: Fields) -> Fields:
            names = [name for name in STREAMS if self._twin.records.find(STREAMS[name], to_18(record["id"]))]
            if not names:
                raise FieldFault("NOT_FOUND", "The requested resource does not exist")
            return {"id": self._rows.delete(names[0], record["id"])}

        return self._write_all([{"id": record_id} for record_id in ids], write, all_or_none)

    def _collection(self, call: _Call, write: Callable[[Fields], Fields], name: str) -> Response:
        body = _body(call.request)
        records = body.get("records")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise BadBody("records must be a list of objects")
        types = [self._type_of(record, name) for record in records]
        chunks = sum(1 for at, kind in enumerate(types) if at == 0 or kind != types[at - 1])
        if chunks > COLLECTION_CHUNKS:
            raise FieldFault(
                "LIMIT_EXCEEDED", f"Cannot have more than {COLLECTION_CHUNKS} chunks in a single operation."
            )
        return self._write_all(records, write, bool(body.get("allOrNone")))

    def _write_all(self, records: list[Fields], write: Callable[[Fields], Fields], all_or_none: bool) -> Response:
        """Rows in the order of the request; with `all_or_none` one failure undoes them all."""
        if len(records) > COLLECTION_ROWS:
            raise FieldFault(
                "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {COLLECTION_ROWS} records"
            )
        results: list[Fields] = []
        failed = False
        with self._twin.records.transaction():
            for record in records:
                try:
                    done = write(record)
                    extra = {"created": done["created"]} if "created" in done else {}
                    results.append({"id": done["id"], "success": True, "errors": [], **extra})
                except FieldFault as fault:
                    failed = True
                    results.append({"success": False, "errors": [_row_error(fault.code, fault.message, fault.fields)]})
            if failed and all_or_none:
                raise Rollback
        if failed and all_or_none:
            undone = _row_error("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back", ())
            results = [{"success": False, "errors": [undone]} if row["success"] else row for row in results]
        return Response.json(results, rows=len(results))

    def _type_of(self, record: Fields, name: str = "") -> str:
        kind = (record.get("attributes") or {}).get("type") or name
        if not kind:
            raise BadBody("attributes.type is required in each record")
        return self._object(str(kind), status="INVALID_TYPE")

    # --- composite ---------------------------------------------------------------------------------------------

    def _do_composite(self, call: _Call) -> Response:
        """Up to 25 calls in one; a part may use an earlier one's answer as @{referenceId.path}."""
        parts = _parts_of(call.request)
        if not parts or len(parts) > COMPOSITE_PARTS:
            raise FieldFault("LIMIT_EXCEEDED", f"The request must have 1 to {COMPOSITE_PARTS} subrequests")
        heavy = [part for part in parts if _match(part["method"], _resource(part["url"]))[0] in _QUERIES]
        if len(heavy) > COMPOSITE_QUERIES:
            message = f"Limit of {COMPOSITE_QUERIES} query and collection subrequests per composite request exceeded"
            raise FieldFault("LIMIT_EXCEEDED", message)
        all_or_none = bool(_body(call.request).get("allOrNone"))
        answers: list[dict[str, Json]] = []
        with self._twin.records.transaction():
            for part in parts:
                answers.append(self._part(part, {a["referenceId"]: a for a in answers}))
            failed = [answer for answer in answers if answer["httpStatusCode"] >= 400]
            if failed and all_or_none:
                raise Rollback
        if failed and all_or_none:
            text = "The transaction was rolled back since another operation in the same transaction failed."
            body = [{"errorCode": "PROCESSING_HALTED", "message": text}]
            for answer in answers:
                if answer["httpStatusCode"] < 400:
                    answer.update(body=body, httpHeaders={}, httpStatusCode=400)
        return Response.json({"compositeResponse": answers}, rows=len(answers))

    def _part(self, part: Fields, before: dict[str, Fields]) -> dict[str, Json]:
        try:
            url, body = _filled(part["url"], before), _filled(part.get("body"), before)
        except LookupError as missing:
            text = f"Invalid reference specified. No value for {missing} found."
            answer = refusal(400, "PROCESSING_HALTED", text)
        else:
            path, _, query = url.partition("?")
            request = Request(
                method=part["method"].upper(),
                path=path,
                query=parse_qs(query, keep_blank_values=True),
                headers={key.lower(): value for key, value in (part.get("httpHeaders") or {}).items()},
                body=orjson.dumps(body) if body is not None else b"",
            )
            version = re.match(r"/services/data/v(\d+\.\d)/", path)
            answer = self.route(request, version.group(1) if version else "", _resource(path))
        kept = {key: value for key, value in answer.headers.items() if key != "Content-Type"}
        return {
            "body": answer.data(),
            "httpHeaders": kept,
            "httpStatusCode": answer.status,
            "referenceId": part["referenceId"],
        }

    # --- small -------------------------------------------------------------------------------------------------

    def _object(self, name: str, status: str = "NOT_FOUND") -> str:
        found = self._rows.schema.object_name(name)
        if found is None:
            raise FieldFault(status, f"The requested resource does not exist: {name}")
        return found

    def _urls(self, version: str, name: str) -> dict[str, str]:
        base = f"/services/data/v{version}/sobjects/{name}"
        return {"sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}"}


class BadBody(ValueError):
    """The body is JSON of a wrong shape, or none."""


def _match(method: str, resource: str) -> tuple[str | None, tuple[str, ...]]:
    for pattern, methods in _ROUTES:
        match = pattern.fullmatch(resource)
        if match and method.upper() in methods:
            return methods[method.upper()], match.groups()
    return None, ()


def _resource(url: str) -> str:
    path = url.partition("?")[0]
    return re.sub(r"^/services/data/v\d+\.\d/", "", path).rstrip("/")


def _body(request: Request) -> Fields:
    try:
        body = request.json()
    except ValueError as fault:
        raise BadBody(str(fault)) from None
    if not isinstance(body, dict):
        raise BadBody("the body must be an object")
    return body


def _parts_of(request: Request) -> list[Fields]:
    """The subrequests of a composite call; [] if they are not of the right shape."""
    try:
        parts = _body(request).get("compositeRequest")
    except BadBody:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return []
    good = all(isinstance(part.get(key), str) for part in parts for key in ("method", "url", "referenceId"))
    return parts if good else []


def _filled(value: Json, before: dict[str, Fields]) -> Json:
    """Replace @{ref.path} by what that subrequest answered. Raises LookupError."""
    if isinstance(value, dict):
        return {key: _filled(item, before) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, before) for item in value]
    if not isinstance(value, str) or "@{" not in value:
        return value
    return re.sub(r"@\{([^}]+)\}", lambda match: _referenced(match.group(1), before), value)


def _referenced(path: str, before: dict[str, Fields]) -> str:
    ref, *steps = re.findall(r"\w+", path)
    found: Json = before[ref]["body"]
    for step in steps:
        found = found[int(step)] if isinstance(found, list) else found[step]
    return str(found)


def _without_key(body: Fields, key: str) -> Fields:
    """The key of the path must not be in the body too (vendor docs, "Upsert a Record")."""
    if any(name.lower() == key.lower() for name in body):
        raise FieldFault("INVALID_FIELD", f"The {key} field should not be specified in the sobject data.", (key,))
    return body


def _row_error(code: str, message: str, fields: Iterable[str]) -> dict[str, Json]:
    return {"statusCode": code, "message": message, "fields": list(fields)}


def _etag(record: Record) -> str:
    return '"' + hashlib.sha256(f"{record.id}/{record.version}".encode()).hexdigest()[:20] + '"'


def _http_time(request: Request, header: str) -> float | None:
    text = request.headers.get(header)
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise FieldFault("INVALID_HEADER", f"{header}: not a HTTP date: {text}") from None


def _parse_time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError:
        raise FieldFault("INVALID_REPLICATION_DATE", f"not a date: {text}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _page_rows(request: Request) -> int:
    match = re.search(r"batchsize\s*=\s*(\d+)", request.headers.get("sforce-query-options", "").lower())
    return min(PAGE_ROWS, max(LEAST_PAGE_ROWS, int(match.group(1)))) if match else PAGE_ROWS
