"""Freshsales: owners, accounts, contacts and deals of one Suite account, read through views and written one or many.

There is no plain list. Views "All …" leave out what is in the bin, "Recycle Bin" holds it. Lookup and filtered search
answer from an index (set the fault `index_lag_s`). A bulk job is carried out some calls or seconds after it was taken.

Options of `make` beside the kit's: `plan_per_hour` (1000), `job_polls` (1: how often a job says it is under way),
`data_as_text` (True: what a job says at its end is JSON in a text), `bin_visible` (True).
People make webhooks by a workflow: `set_webhook(url, "")`.

Not played: tasks, notes, activities, lists, leads, territories, custom modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from hub.twins.freshsales_company import sketch as sketch
from hub.twins.freshsales_schema import (
    CUSTOM,
    FIELDS,
    INCLUDES,
    ONE,
    SELECTORS,
    VIEWS,
    blank_row,
    refuse_value,
    show_field,
)
from hub.twins.kit import BadJson, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window

Json = Any

PER_PAGE, MOST_PER_PAGE = 25, 100
BULK_ROWS = 100
PER_MINUTE = 400
JOBS_AT_ONCE = 5
_ROOT = "/api/"


class Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = list(messages)
        self.response = Response.json({"errors": {"code": status, "message": list(messages)}}, status)


class TwinFreshsales(Twin):
    """One account."""

    name = "freshsales"
    streams: ClassVar[Sequence[str]] = ("owners", "sales_accounts", "contacts", "deals")

    def __init__(self, **options: Json) -> None:
        defaults = {"plan_per_hour": 1000, "job_polls": 1, "data_as_text": True, "bin_visible": True}
        super().__init__(**{**defaults, **options})
        self.records.add_index("contacts", "email", lambda fields: [e["value"].lower() for e in fields["emails"]])
        for stream, names in (("contacts", ("mobile_number", "external_id")), ("sales_accounts", ("name",))):
            for name in names:
                self.records.add_index(stream, name, _keyed(name))
        self._begin_state()

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self.hour = Window(int(self.settings["plan_per_hour"] * scale), 3600.0)
        self.minute = Window(int(PER_MINUTE * scale), 60.0)
        self.jobs: dict[str, Fields] = {}
        self._made = 70_012_345_000

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def new_id(self, stream: str) -> str:
        self._made += 1
        return str(self._made)

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.removeprefix(_ROOT).split("/")
        is_search = parts[0] in ("filtered_search", "lookup")
        noun = parts[-1] if parts[-1] in ("bulk_upsert", "filters", "fields", "upsert") else parts[0]
        return f"{request.method.lower()} {noun}", request.method != "GET" and not is_search

    def authorise(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "")
        token = given.removeprefix("Token token=")
        if given.startswith("Token token=") and self.tokens.is_valid(token, self.now()):
            return None
        return self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Response.json({"login": "failed", "message": "incorrect username or password"}, 401)

    def limit(self, request: Request) -> Response | None:
        """The application's own 429 names no Retry-After; that of the edge does (fault `throttle`)."""
        now = self.now()
        if self.minute.take(now) or self.hour.take(now):
            return self.throttled(request, None)
        return None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        return Response.json({"message": "You have exceeded the limit of requests per hour"}, 429, headers)

    def failed(self, request: Request) -> Response:
        return Response.json({"errors": {"code": 500, "message": "Something went wrong"}}, 500)

    def finish(self, request: Request, response: Response) -> Response:
        if self.hour.calls:
            response.headers.setdefault("x-ratelimit-limit", str(self.hour.calls))
            response.headers.setdefault("x-ratelimit-remaining", str(self.hour.remaining(self.now())))
        return response

    def route(self, request: Request) -> Response:
        self._run_jobs()
        try:
            return self._answer_to(request)
        except Refused as refusal:
            return refusal.response
        except BadJson:
            return Refused(400, "The request body is not valid JSON").response

    def _answer_to(self, request: Request) -> Response:
        if not request.path.startswith(_ROOT):
            raise Refused(404, "Not found")
        match request.method, request.path.removeprefix(_ROOT).split("/"):
            case "GET", ["selector", name]:
                return self._selector(name)
            case "GET", ["settings", stream, "fields"] if stream in FIELDS:
                shown = [show_field(stream, name, number) for number, name in enumerate(self._names(stream), 1)]
                return Response.json({"fields": shown})
            case "GET", [stream, "filters"] if stream in VIEWS:
                return self._filters(stream)
            case "GET", [stream, "view", view] if stream in VIEWS:
                return self._view(stream, view, request)
            case "POST", ["filtered_search", one] if one in ONE.values():
                return self._filtered(next(stream for stream, each in ONE.items() if each == one), request)
            case "GET", ["lookup"]:
                return self._lookup(request)
            case "GET", ["job_statuses", job]:
                return self._job(job)
            case "POST", [stream, "bulk_upsert"] if stream in VIEWS:
                return self._bulk(stream, request)
            case "POST", [stream, "upsert"] if stream in VIEWS:
                return self._upsert(stream, request)
            case "POST", [stream] if stream in VIEWS:
                return self._one(stream, self._create(stream, self._wrapped(stream, request)), request, status=201)
            case method, [stream, record_id] if stream in VIEWS:
                return self._by_id(method, stream, record_id, request)
        raise Refused(404, "Not found")

    def _names(self, stream: str) -> list[str]:
        return [*FIELDS[stream], *CUSTOM[stream]]

    # --- reading -----------------------------------------------------------------------------------------------

    def _selector(self, name: str) -> Response:
        if name == "owners":
            owners = [seen for record in self.records.all("owners") if (seen := self.see(record)) and not seen.deleted]
            return Response.json({"users": [{"id": int(o.id), **o.fields} for o in owners]}, rows=len(owners))
        if name not in SELECTORS:
            raise Refused(404, "Not found")
        return Response.json({name: SELECTORS[name]})

    def _filters(self, stream: str) -> Response:
        shown = [
            {"id": number, "name": name, "model_class_name": ONE[stream], "is_default": True}
            for number, name in VIEWS[stream].items()
            if name != "Recycle Bin" or self.settings["bin_visible"]
        ]
        return Response.json({"filters": shown})

    def _view(self, stream: str, view: str, request: Request) -> Response:
        name = VIEWS[stream].get(int(view)) if view.isdigit() else None
        if name is None or (name == "Recycle Bin" and not self.settings["bin_visible"]):
            raise Refused(404, "View not found")
        rows = [seen for record in self.records.all(stream) if (seen := self.see(record)) and _in_view(name, seen)]
        return self._page(stream, rows, request)

    def _page(self, stream: str, rows: list[Record], request: Request) -> Response:
        size = _whole(request, "per_page", PER_PAGE, MOST_PER_PAGE)
        page = _whole(request, "page", 1, 1_000_000)
        if request.first("sort") == "updated_at":
            rows.sort(key=lambda row: (row.modified, int(row.id)), reverse=request.first("sort_type", "desc") == "desc")
        chosen = rows[(page - 1) * size : page * size]
        wanted = set(filter(None, request.first("include").split(",")))
        body = {stream: [self._show(row, wanted) for row in chosen], **self._beside(stream, chosen, wanted)}
        body["meta"] = {"total_pages": -(-len(rows) // size), "total": len(rows)}
        return Response.json(body, rows=len(chosen))

    def _show(self, row: Record, wanted: set[str]) -> Fields:
        """A bare row, and what `include` asks for."""
        shown = {name: value for name, value in row.fields.items() if not name.startswith("_")}
        shown |= {"id": int(row.id), "is_deleted": row.deleted}
        shown |= {"created_at": moment(row.created), "updated_at": moment(row.modified)}
        for name, hidden in INCLUDES[row.stream].items():
            if name not in wanted:
                shown = {key: value for key, value in shown.items() if key not in hidden}
        shown["links"] = {"notes": f"/crm/sales/{row.stream}/{row.id}/notes"}
        return shown

    def _beside(self, stream: str, rows: Sequence[Record], wanted: set[str]) -> Fields:
        """Sideloaded arrays, in no fixed order to the rows."""
        found: Fields = {}
        if "owner" in wanted:
            ids = {str(row.fields.get("owner_id")) for row in rows}
            owners = [record for record in self.records.all("owners") if record.id in ids]
            found["users"] = [{"id": int(o.id), **o.fields} for o in owners]
        return found

    def _filtered(self, stream: str, request: Request) -> Response:
        """All rules together; rows of deals are thin."""
        rules = _object(request.json()).get("filter_rule")
        if not isinstance(rules, list) or not rules:
            raise Refused(400, "filter_rule is missing")
        tests = [self._rule(stream, rule) for rule in rules]
        seen = [row for record in self.records.all(stream) if (row := self.see(record, index=True))]
        rows = [row for row in seen if not row.deleted and all(test(row) for test in tests)]
        return self._page(stream, rows, request)

    def _rule(self, stream: str, rule: Json) -> Callable[[Record], bool]:
        attribute, operator = str(_object(rule).get("attribute")), rule.get("operator")
        value = rule.get("value")
        if attribute in ("updated_at", "created_at") and operator in ("is_after", "is_before"):
            try:
                at = datetime.fromisoformat(str(value)).timestamp()
            except ValueError:
                raise Refused(400, "Invalid date") from None
            sign = 1 if operator == "is_after" else -1
            return lambda row: sign * ((row.modified if attribute == "updated_at" else row.created) - at) > 0
        if attribute == "contact_email.email":
            return lambda row: any(e["value"].lower() == str(value).lower() for e in row.fields["emails"])
        if attribute not in self._names(stream) or operator not in ("is_equal_to", "is_in", "contains"):
            raise Refused(400, f"Invalid filter: {attribute}")
        wanted = value if isinstance(value, list) else [value]
        return lambda row: _value(row, attribute) in wanted

    def _lookup(self, request: Request) -> Response:
        name, text = request.first("f"), request.first("q")
        entities = [stream for stream, one in ONE.items() if one in request.first("entities").split(",")]
        if not text or name not in ("email", "mobile_number", "phone", "name", "external_id") or not entities:
            raise Refused(400, "Missing or invalid parameters")
        body = {}
        for stream in entities:
            try:
                found = self.records.lookup(stream, name, text.lower() if name == "email" else text)
            except KeyError:  # nothing of this stream is filed under that name
                found = []
            rows = [seen for record in found if (seen := self.see(record, index=True)) and not seen.deleted]
            body[stream] = {stream: [self._show(row, set()) for row in rows]}
        return Response.json(body)

    def _by_id(self, method: str, stream: str, record_id: str, request: Request) -> Response:
        record = self.records.find(stream, record_id)
        seen = self.see(record) if record else None
        if seen is None:
            raise Refused(404, "Not found")
        if method == "GET":
            return self._one(stream, seen, request)
        if method == "PUT" and not seen.deleted:
            return self._one(stream, self._update(stream, record_id, self._wrapped(stream, request)), request)
        if method == "DELETE" and not seen.deleted:
            self.records.delete(stream, record_id)
            return Response.json(True)
        raise Refused(404, "Not found")

    def _one(self, stream: str, record: Record, request: Request, status: int = 200) -> Response:
        wanted = set(filter(None, request.first("include").split(",")))
        body = {ONE[stream]: self._show(record, wanted), **self._beside(stream, [record], wanted)}
        return Response.json(body, status, rows=1)

    # --- writing -----------------------------------------------------------------------------------------------

    def _wrapped(self, stream: str, request: Request) -> Fields:
        given = _object(request.json()).get(ONE[stream])
        if not isinstance(given, dict):
            raise Refused(400, f"{ONE[stream]} is missing")
        return given

    def _create(self, stream: str, given: Fields) -> Record:
        fields = self._merged(stream, blank_row(stream), given, None)
        if not fields.get("owner_id"):
            fields["owner_id"] = self._api_user()
        return self.records.create(stream, fields, id=self.new_id(stream))

    def _update(self, stream: str, record_id: str, given: Fields) -> Record:
        record = self.records.get(stream, record_id)
        return self.records.update(stream, record_id, self._merged(stream, record.fields, given, record_id))

    def _api_user(self) -> int | None:
        owners = self.records.all("owners")
        return int(owners[0].id) if owners else None

    def _merged(self, stream: str, held: Fields, given: Fields, record_id: str | None) -> Fields:
        """What the row becomes. Names that the vendor does not know, and its mirrors, are ignored."""
        fields = {**held, "custom_field": dict(held["custom_field"])}
        for name, value in given.items():
            if name == "custom_field" and isinstance(value, dict):
                for key, inner in value.items():
                    if key in CUSTOM[stream]:
                        fields["custom_field"][key] = self._checked(CUSTOM[stream][key], key, inner)
            elif name == "emails" and stream == "contacts":
                fields["emails"] = _merge_emails(held["emails"], value, self)
            elif name == "sales_accounts" and stream == "contacts":
                fields |= self._with_accounts(value)
            elif name == "contacts_added_list" and stream == "deals":
                fields["contacts"] = [{"id": int(each)} for each in self._rows_of("contacts", value)]
            elif name in FIELDS[stream] and name not in ("email", "sales_accounts", "contacts"):
                fields[name] = self._checked(FIELDS[stream][name], name, value)
        self._require(stream, fields, record_id)
        return self._derived(stream, fields)

    def _checked(self, kind: str, name: str, value: Json) -> Json:
        owners = {int(each.id) for each in self.records.all("owners")} if kind == "owner" else set()
        message = refuse_value(kind, name, value, owners)
        if message:
            raise Refused(400, message)
        if kind == "account" and value is not None:
            self._rows_of("sales_accounts", [value])
        if kind == "decimal" and value is not None:
            return str(value)
        return value.strip() if isinstance(value, str) else value

    def _rows_of(self, stream: str, ids: Json) -> list[str]:
        if not isinstance(ids, list):
            raise Refused(400, "A list of ids is expected")
        for each in ids:
            record = self.records.find(stream, str(each)) if isinstance(each, int) else None
            if record is None or record.deleted:
                raise Refused(400, f"{ONE[stream]} is invalid")
        return [str(each) for each in ids]

    def _with_accounts(self, given: Json) -> Fields:
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise Refused(400, "sales_accounts is invalid")
        self._rows_of("sales_accounts", [each.get("id") for each in given])
        first = next((each["id"] for each in given if each.get("is_primary")), None)
        shown = [
            {
                "id": each["id"],
                "name": self.records.get("sales_accounts", str(each["id"])).fields["name"],
                "is_primary": each["id"] == first,
            }
            for each in given
        ]
        return {"sales_accounts": shown, "sales_account_id": first}

    def _require(self, stream: str, fields: Fields, record_id: str | None) -> None:
        if stream != "contacts":
            if not fields.get("name"):
                raise Refused(400, "Name can't be blank")
            return
        if not any(fields.get(name) for name in ("first_name", "last_name", "emails", "mobile_number", "work_number")):
            raise Refused(400, "Please fill at least one of: name, email, mobile, phone")
        for entry in fields["emails"]:
            if any(other.id != record_id for other in self.records.lookup("contacts", "email", entry["value"].lower())):
                raise Refused(400, "Email is not unique")
        mobile = fields.get("mobile_number")
        if mobile and any(each.id != record_id for each in self.records.lookup("contacts", "mobile_number", mobile)):
            raise Refused(400, "MobileNumber is not unique")

    def _derived(self, stream: str, fields: Fields) -> Fields:
        if stream == "contacts":
            fields["email"] = next((entry["value"] for entry in fields["emails"] if entry["is_primary"]), None)
            fields["display_name"] = f"{fields.get('first_name') or ''} {fields.get('last_name') or ''}".strip()
        return fields

    def _upsert(self, stream: str, request: Request) -> Response:
        body = _object(request.json())
        key = body.get("unique_identifier")
        if not isinstance(key, dict) or len(key) != 1:
            raise Refused(400, "unique_identifier is missing")
        return self._one(stream, self._put(stream, dict(key), self._wrapped(stream, request)), request)

    def _put(self, stream: str, key: Fields, given: Fields) -> Record:
        """Update by a key, or create. An update without owner gives the record to the API user (observed)."""
        name, value = next(iter(key.items()))
        index = {"emails": "email", "external_id": "external_id", "name": "name", "mobile_number": "mobile_number"}
        if name == "id":
            record = self.records.find(stream, str(value))
            if record is None or record.deleted:
                raise Refused(404, "Record not found")
            found = [record]
        elif name in index:
            found = self.records.lookup(stream, index[name], str(value).lower() if name == "emails" else str(value))
        else:
            raise Refused(400, "unique_identifier is invalid")
        if found:
            return self._update(stream, found[0].id, {"owner_id": self._api_user(), **given})
        more = {"emails": [{"value": value, "is_primary": True}]} if name == "emails" else {name: value}
        return self._create(stream, {**more, **given})

    # --- jobs --------------------------------------------------------------------------------------------------

    def _bulk(self, stream: str, request: Request) -> Response:
        rows = _object(request.json()).get(stream)
        if not isinstance(rows, list) or not 0 < len(rows) <= BULK_ROWS:
            raise Refused(400, f"{stream} should hold 1 to {BULK_ROWS} records")
        if any(not isinstance(row, dict) or not isinstance(row.get("data"), dict) or len(row) != 2 for row in rows):
            raise Refused(400, "Each record needs an identifier and data")
        if sum(job["status"] != "SUCCESS" for job in self.jobs.values()) >= JOBS_AT_ONCE:
            return Response.json({"message": "Too many jobs in progress"}, 405)
        number = self.new_id("jobs")
        self.jobs[number] = {"stream": stream, "rows": rows, "status": "IN_PROGRESS", "polls": 0, "at": self.now()}
        url = f"{self.base_url}/api/job_statuses/{number}"
        return Response.json({"message": "Your request is being processed", "job_status_url": url}, rows=len(rows))

    def _run_jobs(self) -> None:
        """Jobs are carried out once another call comes, before it."""
        for job in self.jobs.values():
            if "report" not in job:
                job["report"] = [report for row in job["rows"] if (report := self._run_row(job["stream"], row))]

    def _run_row(self, stream: str, row: Fields) -> Fields | None:
        """The row's entry in the failure report, or None."""
        key = {name: value for name, value in row.items() if name != "data"}
        try:
            if self.faults.row_fault():
                raise Refused(400, "Record could not be saved")
            self._put(stream, key, row["data"])
        except Refused as refusal:
            return {**key, "error_message": refusal.messages}
        return None

    def _job(self, number: str) -> Response:
        job = self.jobs.get(number)
        if job is None:
            raise Refused(404, "Not found")
        job["polls"] += 1
        if job["polls"] > self.settings["job_polls"]:
            job["status"] = "SUCCESS"
        failed = len(job["report"])
        data: Json = {
            "record_status": {"succeeded": len(job["rows"]) - failed, "failed": failed},
            "detailed_failure_report": job["report"],
        }
        if self.settings["data_as_text"]:
            data = orjson.dumps(data).decode()
        body = {
            "status": job["status"],
            "job_type_name": f"{job['stream']}_bulk_upsert",
            "created_at": moment(job["at"]),
        }
        return Response.json(body | ({"data": data} if job["status"] == "SUCCESS" else {}))

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "owners":
            return {"display_name": "", "email": "", "is_active": True, **fields}
        row = {**blank_row(stream), **fields}
        if stream == "contacts" and fields.get("email") and not fields.get("emails"):
            entry = {
                "id": int(self.new_id("emails")),
                "value": fields["email"].strip(),
                "is_primary": True,
                "label": None,
            }
            row["emails"] = [entry]
        if stream == "contacts" and fields.get("sales_accounts"):
            row |= self._with_accounts(fields["sales_accounts"])
        return self._derived(stream, row)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """A workflow with the action "Trigger webhook", in the template that the hub asks an admin to write."""
        if record.stream not in ONE:
            return []
        payload = {
            "record_type": ONE[record.stream],
            "id": int(record.id),
            "updated_at": moment(change.at),
            "event": "created" if change.kind == "create" else "updated",
        }
        topic = f"{ONE[record.stream]}.{payload['event']}"
        return [HookEvent(topic=topic, payload=payload, at=change.at, stream=record.stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        return orjson.dumps(events[0].payload), {"Content-Type": "application/json"}


def _keyed(name: str) -> Callable[[Fields], list[str]]:
    return lambda fields: [fields[name]] if fields.get(name) else []


def _object(value: Json) -> Fields:
    if not isinstance(value, dict):
        raise Refused(400, "An object is expected")
    return value


def _value(row: Record, name: str) -> Json:
    return row.fields["custom_field"].get(name) if name.startswith("cf_") else row.fields.get(name)


def _in_view(name: str, row: Record) -> bool:
    if name == "Recycle Bin":
        return row.deleted
    if row.stream != "deals":
        return not row.deleted
    stage = next((s["name"] for s in SELECTORS["deal_stages"] if s["id"] == row.fields["deal_stage_id"]), "")
    wanted = {"Won Deals": stage == "Won", "Lost Deals": stage == "Lost"}
    return not row.deleted and wanted.get(name, stage not in ("Won", "Lost"))


_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _merge_emails(held: list[Fields], given: Json, twin: TwinFreshsales) -> list[Fields]:
    """Entries with an id are changed or taken away, others are added; one is the primary."""
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Refused(400, "emails is invalid")
    kept = {entry["id"]: dict(entry) for entry in held}
    for entry in given:
        if entry.get("_destroy"):
            kept.pop(entry.get("id"), None)
            continue
        value = entry.get("value")
        if not isinstance(value, str) or not _MAIL.fullmatch(value.strip()) or len(value) > 254:
            raise Refused(400, "Email is invalid")
        number = entry.get("id") if entry.get("id") in kept else int(twin.new_id("emails"))
        if entry.get("is_primary"):
            kept = {key: {**other, "is_primary": False} for key, other in kept.items()}
        kept[number] = {
            "id": number,
            "value": value.strip(),
            "is_primary": bool(entry.get("is_primary")),
            "label": None,
        }
    found = list(kept.values())
    if found and not any(entry["is_primary"] for entry in found):
        found[0]["is_primary"] = True
    return found


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.first(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise Refused(400, f"{name} is invalid")
    return min(int(text), most)


def moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


CONNECTION: dict[str, Json] = {
    "auth": {"kind": "token", "token": "twin-token"},
    "settings": {"domain": "twin"},
}

# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {"contacts": {"unique": ["mobile_number"]}}


def make(**options: Json) -> TwinFreshsales:
    return TwinFreshsales(**options)


TWIN = make
