"""ActiveCampaign: contacts with custom fields, lists, tags and accounts, deals, imports, webhooks of one account.

Ids and flags are texts; times carry the account's own zone. Limits of a page above 100 silently give 100, unknown
filters are ignored, a bad key is 403, and an import answers later.

People act by ``user_action``: open_mail, click_link, bounce, leave_list (with a contact's id), complete_automation.

Options of `make` beside the kit's: `import_polls` (1: how often an import says it is under way), `account_id`.

Not played: campaigns, forms, notes, tasks, e-commerce, custom objects, the older APIs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from hub.twins.activecampaign_company import sketch as sketch
from hub.twins.activecampaign_shapes import (
    AUTOMATIONS,
    DEFINED,
    LISTS,
    OPTIONS,
    PIPELINES,
    READ_ONLY,
    REQUIRED,
    SINGULAR,
    STAGES,
    ZONE,
    blank_row,
    moment,
    refuse_value,
)
from hub.twins.kit import BadJson, Bucket, Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window

Json = Any

CALLS_PER_S = 5
IMPORTS_PER_MINUTE, SINGLE_IMPORTS_PER_MINUTE = 100, 20
IMPORT_ROWS, IMPORT_BYTES = 250, 399_999
PER_PAGE, MOST_PER_PAGE = 20, 100
FIXED = {
    "dealStages": STAGES, "dealGroups": PIPELINES, "lists": LISTS, "fields": DEFINED, "automations": AUTOMATIONS,
}  # fmt: skip
HOOK_EVENTS = {
    "subscribe", "unsubscribe", "update", "contact_tag_added", "contact_tag_removed", "account_add", "account_update",
    "account_contact_add", "account_contact_update", "list_add", "bounce", "deal_add", "deal_update", "sent", "open",
    "click", "reply", "forward", "share",
}  # fmt: skip
ACTID, EVENT_KEY, EVENT_NAME = "1001", "twin-event-key", 32
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Refused(Exception):
    """Ends a call with one of the vendor's shapes of error."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.response = Response.json(body, status)


def invalid(title: str, code: str, pointer: str) -> Refused:
    source = {"pointer": f"/data/attributes/{pointer}"}
    return Refused(422, {"errors": [{"title": title, "detail": "", "code": code, "source": source}]})


def missing(what: str, number: str) -> Refused:
    return Refused(404, {"message": f"No Result found for {what} with id {number}"})


class TwinActiveCampaign(Twin):
    """One account."""

    name = "activecampaign"
    streams: ClassVar[Sequence[str]] = (
        "users", "accounts", "contacts", "deals", "contactAutomations", "contactLists", "tags", "contactTags",
        "accountContacts", "events",
    )  # fmt: skip
    hook_attempts = 1  # never sent again (vendor docs, "Webhooks")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"import_polls": 1, "actid": ACTID, "event_key": EVENT_KEY, **options})
        self.records.add_index("contacts", "email", lambda fields: [fields["email"].lower()])
        for stream in ("contactLists", "contactTags", "accountContacts"):
            self.records.add_index(stream, "contact", lambda fields: [str(fields["contact"])])
        self._begin_state()

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self._bucket = Bucket(CALLS_PER_S * scale, CALLS_PER_S * scale)
        self._imports = Window(int(IMPORTS_PER_MINUTE * scale), 60.0)
        self._singles = Window(int(SINGLE_IMPORTS_PER_MINUTE * scale), 60.0)
        self.batches: dict[str, Fields] = {}
        self.webhooks: dict[str, Fields] = {}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.removeprefix("/api/3/").split("/")
        noun = "/".join(part for part in parts if not part.isdigit())
        return f"{request.method.lower()} {noun}", request.method != "GET"

    def authorise(self, request: Request) -> Response | None:
        if request.path == "/event":  # another host: its key stands in the form
            return None
        if self.tokens.is_valid(request.headers.get("api-token", ""), self.now()):
            return None
        return self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Response.json({"message": "Forbidden"}, 403)

    def limit(self, request: Request) -> Response | None:
        wait = self._bucket.take(self.now())
        return self.refuse_for(request, max(1.0, float(int(wait + 1)))) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        return Response.json({"message": "You have exceeded the rate limit"}, 429, headers)

    def failed(self, request: Request) -> Response:
        return Response(status=503, headers={"Content-Type": "text/plain"}, body=b"Service Unavailable")

    def finish(self, request: Request, response: Response) -> Response:
        response.headers.setdefault("RateLimit-Limit", str(CALLS_PER_S))
        return response

    def route(self, request: Request) -> Response:
        try:
            return self._answer_to(request)
        except Refused as refusal:
            return refusal.response
        except BadJson:
            return Response.json({"message": "The request body is not valid JSON"}, 400)

    def _answer_to(self, request: Request) -> Response:
        if (request.method, request.path) == ("POST", "/event"):
            return self._track({name: values[0] for name, values in request.form().items()})
        if not request.path.startswith("/api/3/"):
            raise Refused(404, {"message": "Not Found"})
        match request.method, request.path.removeprefix("/api/3/").split("/"):
            case "GET", ["users", "me"]:
                owner = next(iter(self.records.all("users")), None)
                return Response.json({"user": self._row(owner) if owner else {"id": "1", "email": "owner@example.com"}})
            case "POST", ["import", "bulk_import"]:
                return self._import(request)
            case "GET", ["import", "info"]:
                return self._import_info(request.first("batchId"))
            case "GET", ["contacts"]:
                return self._contacts(request)
            case "POST", ["contact", "sync"]:
                return self._sync(self._wrapped("contacts", request))
            case "GET", ["webhooks"]:
                return self._page("webhooks", list(self.webhooks.values()), request)
            case "POST", ["webhooks"]:
                return self._add_webhook(request)
            case "GET", [name] if name in FIXED or name in self.streams:
                return self._collection(name, request)
            case "POST", [name] if name in SINGULAR:
                return self._made(name, self._create(name, self._wrapped(name, request)), status=201)
            case method, [name, number] if name in self.streams or name == "webhooks":
                return self._by_id(method, name, number, request)
        raise Refused(404, {"errors": [{"status": 404, "title": "Not Found", "detail": "The route does not exist"}]})

    def _track(self, form: dict[str, str]) -> Response:
        """Event tracking (vendor's OpenAPI document "trackcmp"): every call that is taken is another event."""
        try:
            address = str(orjson.loads(form.get("visit", "")).get("email") or "")
        except (orjson.JSONDecodeError, AttributeError):
            address = ""
        known = form.get("actid") == self.settings["actid"] and form.get("key") == self.settings["event_key"]
        if not known or not form.get("event") or len(form["event"]) > EVENT_NAME or not _MAIL.fullmatch(address):
            return Response.json({"success": 0, "message": "The event was not recorded"})
        told = {"event": form["event"], "eventdata": form.get("eventdata", ""), "email": address}
        self.records.create("events", told, by="api")
        return Response.json({"success": 1, "message": "Event spawned"})

    def _wrapped(self, name: str, request: Request) -> Fields:
        given = request.json()
        inner = given.get(SINGULAR[name]) if isinstance(given, dict) else None
        if not isinstance(inner, dict):
            raise Refused(400, {"message": f"{SINGULAR[name]} was not provided"})
        return inner

    # --- reading -----------------------------------------------------------------------------------------------

    def _live(self, name: str) -> list[Record]:
        return [seen for record in self.records.all(name) if (seen := self.see(record)) and not seen.deleted]

    def _row(self, record: Record) -> Fields:
        row = {name: value for name, value in record.fields.items() if not name.startswith("_")}
        made, changed = moment(record.created), moment(record.modified)
        times = {"accounts": ("createdTimestamp", "updatedTimestamp"), "deals": ("cdate", "mdate")}
        created, modified = times.get(record.stream, ("cdate", "udate"))
        if record.stream in ("contactLists", "users", "contactAutomations"):
            return {"id": record.id, **row}
        return {"id": record.id, **row, created: made, modified: changed}

    def _collection(self, name: str, request: Request) -> Response:
        if name in FIXED:
            more = {"fieldOptions": OPTIONS, "fieldRels": []} if name == "fields" else {}
            return self._page(name, [dict(row) for row in FIXED[name]], request, more)
        records = self._live(name)
        if name == "deals":
            records = [record for record in records if self._in_window(record, request)]
        return self._page(name, [self._row(record) for record in records], request)

    def _page(self, name: str, rows: list[Fields], request: Request, more: Fields | None = None) -> Response:
        limit, offset = _whole(request, "limit", PER_PAGE), _whole(request, "offset", 0)
        chosen = rows[offset : offset + min(limit or PER_PAGE, MOST_PER_PAGE)]
        meta = {"total": str(len(rows)), "page_input": {"offset": offset, "limit": limit}}
        return Response.json({**(more or {}), name: chosen, "meta": meta}, rows=len(chosen))

    def _in_window(self, record: Record, request: Request) -> bool:
        """ "after" is inclusive and "before" is not, as documented for deals."""
        for name, at in (("updated", record.modified), ("created", record.created)):
            for word, fits in (("after", lambda a, b: a >= b), ("before", lambda a, b: a < b)):
                given = request.first(f"filters[{name}_{word}]")
                if given:
                    try:
                        bound = datetime.fromisoformat(given)
                    except ValueError:
                        raise Refused(400, {"message": f"Invalid date: {name}_{word}"}) from None
                    if not fits(at, (bound if bound.tzinfo else bound.replace(tzinfo=ZONE)).timestamp()):
                        return False
        return True

    def _contacts(self, request: Request) -> Response:
        """By offset, or after an id; what a filter does not know it ignores."""
        rows = [record for record in self._live("contacts") if self._in_window(record, request)]
        ids, address = set(request.query.get("ids[]", ())), request.first("email").lower()
        if ids:
            rows = [row for row in rows if row.id in ids]
        if address:
            rows = [row for row in rows if row.fields["email"].lower() == address]
        if request.first("id_greater").isdigit():
            rows = [row for row in rows if int(row.id) > int(request.first("id_greater"))]
        if request.first("orders[id]").upper() == "DESC":
            rows.reverse()
        limit, offset = _whole(request, "limit", PER_PAGE), _whole(request, "offset", 0)
        chosen = rows[offset : offset + min(limit or PER_PAGE, MOST_PER_PAGE)]
        beside = self._sideloads(chosen, set(request.first("include").split(",")))
        meta = {"total": str(len(rows)), "page_input": {"offset": offset, "limit": limit}}
        return Response.json({**beside, "contacts": [self._row(row) for row in chosen], "meta": meta}, rows=len(chosen))

    def _sideloads(self, rows: Sequence[Record], wanted: set[str]) -> Fields:
        found: Fields = {}
        if "fieldValues" in wanted:
            found["fieldValues"] = [value for row in rows for value in self._values(row)]
        for name in ("contactLists", "contactTags", "accountContacts"):
            if name in wanted:
                held = [each for row in rows for each in self.records.lookup(name, "contact", row.id)]
                found[name] = [self._row(each) for each in held]
        if "contactTags.tag" in wanted:
            used = {str(each["tag"]) for each in found.get("contactTags", ())}
            found["tags"] = [self._row(tag) for tag in self._live("tags") if tag.id in used]
        return found

    def _values(self, row: Record) -> list[Fields]:
        return [
            {"id": f"{row.id}{int(field):03d}", "contact": row.id, "field": field, "value": value,
             "cdate": moment(row.created), "udate": moment(row.modified), "owner": row.id}
            for field, value in row.fields["_values"].items()
        ]  # fmt: skip

    def _made(self, name: str, record: Record, status: int = 200) -> Response:
        body: Fields = {SINGULAR[name]: self._row(record)}
        if name == "contacts":
            body = {"fieldValues": self._values(record), **body}
        return Response.json(body, status, rows=1)

    def _by_id(self, method: str, name: str, number: str, request: Request) -> Response:
        if name == "webhooks":
            return self._one_webhook(method, number)
        record = self.records.find(name, number)
        seen = self.see(record) if record else None
        if seen is None or seen.deleted:
            raise missing("Subscriber" if name == "contacts" else SINGULAR.get(name, name).capitalize(), number)
        if method == "GET":
            return self._made(name, seen)
        if method == "PUT" and name in SINGULAR:
            return self._made(name, self._update(name, number, self._wrapped(name, request)))
        if method == "DELETE" and name in SINGULAR:
            self.records.delete(name, number)
            return Response.json({})
        raise Refused(405, {"message": "Method Not Allowed"})

    # --- writing -----------------------------------------------------------------------------------------------

    def _checked(self, name: str, given: Fields, held: Fields | None) -> Fields:
        """What the row becomes; names that are not the vendor's, and read-only ones, are ignored."""
        fields = {**(held or blank_row(name))}
        for key, value in given.items():
            if key in fields and key not in READ_ONLY.get(name, ()) and not key.startswith("_"):
                title = refuse_value(name, key, value)
                if title:
                    raise invalid(title, "field_invalid", key)
                fields[key] = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for key in REQUIRED.get(name, ()):
            if fields.get(key) in (None, ""):
                raise invalid(f"{key} is required", "field_missing", key)
        if name == "contacts":
            fields["_values"] = self._merged_values(fields.get("_values") or {}, given.get("fieldValues"))
        return fields

    def _merged_values(self, held: Fields, given: Json) -> Fields:
        if given is None:
            return held
        known = {row["id"] for row in DEFINED}
        rows: list[Json] = given if isinstance(given, list) else [None]
        if any(not isinstance(each, dict) or str(each.get("field")) not in known for each in rows):
            raise invalid("The custom field does not exist", "field_invalid", "fieldValues")
        return held | {str(each["field"]): "" if each.get("value") is None else str(each["value"]) for each in rows}

    def _create(self, name: str, given: Fields, by: str = "api") -> Record:
        fields = self._checked(name, given, None)
        self._refuse_double(name, fields, None)
        self._refuse_orphan(name, fields)
        made = self.records.create(name, fields, by=by)
        return made

    def _update(self, name: str, number: str, given: Fields) -> Record:
        fields = self._checked(name, given, self.records.get(name, number).fields)
        self._refuse_double(name, fields, number)
        self._refuse_orphan(name, fields)
        return self.records.update(name, number, fields)

    def _refuse_double(self, name: str, fields: Fields, number: str | None) -> None:
        others: list[Record] = []
        if name == "contacts":
            fields["email"] = fields["email"].strip().lower()
            if not _MAIL.fullmatch(fields["email"]):
                raise invalid("Email address is not valid", "email_invalid", "email")
            others, title = (
                self.records.lookup("contacts", "email", fields["email"]),
                "Email address already exists in the system",
            )
        elif name == "accounts":
            others = [row for row in self._live("accounts") if row.fields["name"] == fields["name"]]
            title = "Account name already exists in the system"
        elif name == "accountContacts":
            others = self.records.lookup("accountContacts", "contact", str(fields["contact"]))
            title = "The contact is already associated with an account"
        if any(other.id != number for other in others):
            raise invalid(title, "duplicate", {"contacts": "email", "accounts": "name"}.get(name, "contact"))
        if name == "contactLists":
            for other in self.records.lookup("contactLists", "contact", str(fields["contact"])):
                if other.fields["list"] == fields["list"]:
                    self.records.purge("contactLists", other.id)
            fields["sdate" if fields["status"] == "1" else "udate"] = moment(self.now())

    def _refuse_orphan(self, name: str, fields: Fields) -> None:
        """What it refers to must be there."""
        targets = {"contact": "contacts", "account": "accounts", "owner": "users", "tag": "tags"}
        for key, stream in targets.items():
            value = fields.get(key)
            if name == "tags" or value in (None, "", "0"):
                continue
            record = self.records.find(stream, str(value))
            if record is None or record.deleted:
                raise invalid(f"The related {key} does not exist.", "related_missing", key)
        if name == "contactLists" and str(fields.get("list")) not in {row["id"] for row in LISTS}:
            raise invalid("The related list does not exist.", "related_missing", "list")
        if name == "deals":
            if not fields.get("contact") and not fields.get("account"):
                raise invalid("A contact or an account is required", "field_missing", "contact")
            if str(fields["stage"]) not in {row["id"] for row in STAGES}:
                raise invalid("The stage does not exist", "field_invalid", "stage")

    def _sync(self, given: Fields) -> Response:
        found = self.records.lookup("contacts", "email", str(given.get("email", "")).strip().lower())
        if found:
            return self._made("contacts", self._update("contacts", found[0].id, given))
        return self._made("contacts", self._create("contacts", given), status=201)

    # --- imports -----------------------------------------------------------------------------------------------

    def _import(self, request: Request) -> Response:
        given = request.json()
        rows = given.get("contacts") if isinstance(given, dict) else None
        if not isinstance(rows, list) or not 0 < len(rows) <= IMPORT_ROWS or len(request.body) > IMPORT_BYTES:
            reasons = [f"Up to {IMPORT_ROWS} contacts may be imported per request"]
            raise Refused(400, {"success": 0, "message": "Invalid request", "failureReasons": reasons})
        window, most = (
            (self._singles, SINGLE_IMPORTS_PER_MINUTE) if len(rows) == 1 else (self._imports, IMPORTS_PER_MINUTE)
        )
        if window.take(self.now()):
            reasons = [f"Up to {most} imports may be requested per minute"]
            raise Refused(400, {"success": 0, "message": "Rate limit exceeded.", "failureReasons": reasons})
        bad = [
            {"contact": place, "failureReason": "email is missing"}
            for place, row in enumerate(rows)
            if not isinstance(row, dict) or not row.get("email")
        ]
        if bad:
            raise Refused(400, {"success": 0, "message": "Invalid contacts", "failureReasons": bad})
        number = f"{len(self.batches) + 1:08d}-0000-4000-8000-000000000000"
        self.batches[number] = {"success": [], "failure": [], "polls": 0}
        for row in rows:
            self._import_row(self.batches[number], row)
        return Response.json({"Success": 1, "queued_contacts": len(rows), "batchId": number}, rows=len(rows))

    def _import_row(self, batch: Fields, row: Fields) -> None:
        names = {"email": "email", "first_name": "firstName", "last_name": "lastName", "phone": "phone"}
        given: Fields = {names[key]: value for key, value in row.items() if key in names}
        values = row.get("fields") or []
        try:
            if self.faults.row_fault():
                raise invalid("refused", "field_invalid", "email")
            given["fieldValues"] = [{"field": each.get("id"), "value": each.get("value")} for each in values]
            found = self.records.lookup("contacts", "email", str(row["email"]).strip().lower())
            record = self._update("contacts", found[0].id, given) if found else self._create("contacts", given)
        except (Refused, AttributeError):
            batch["failure"].append(row["email"])
        else:
            batch["success"].append(record.id)

    def _import_info(self, number: str) -> Response:
        batch = self.batches.get(number)
        if batch is None:
            raise Refused(404, {"message": "No batch found"})
        batch["polls"] += 1
        if batch["polls"] <= self.settings["import_polls"]:
            return Response.json({"status": "active", "success": [], "failure": []})
        return Response.json({"status": "completed", "success": batch["success"], "failure": batch["failure"]})

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _add_webhook(self, request: Request) -> Response:
        given = self._wrapped("webhooks", request)
        url, events, sources = given.get("url"), given.get("events"), given.get("sources")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise invalid("The URL must be https", "field_invalid", "url")
        if not isinstance(events, list) or not set(map(str, events)) <= HOOK_EVENTS or not events:
            raise invalid("An event does not exist", "field_invalid", "events")
        if not isinstance(sources, list) or not set(map(str, sources)) <= {"public", "admin", "api", "system"}:
            raise invalid("A source does not exist", "field_invalid", "sources")
        number = str(len(self.webhooks) + 1)
        row = {"id": number, "name": given.get("name"), "url": url, "events": events, "sources": sources, "state": "1"}
        self.webhooks[number] = row
        topics = tuple(f"{source}:{event}" for event in events for source in sources)
        self.hooks.add(Target(url=url, secret="", topics=topics, id=number))
        return Response.json({"webhook": row}, 201)

    def _one_webhook(self, method: str, number: str) -> Response:
        if number not in self.webhooks or method not in ("GET", "DELETE"):
            raise missing("Webhook", number)
        if method == "DELETE":
            self.hooks.remove(number)
            del self.webhooks[number]
            return Response.json({})
        return Response.json({"webhook": self.webhooks[number]})

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """One event each; deletes are not told, nor is what an import brought."""
        stream, created = record.stream, change.kind == "create"
        kinds: dict[str, Callable[[], str]] = {
            "contacts": lambda: "update",
            "contactLists": lambda: "subscribe" if record.fields["status"] == "1" else "unsubscribe",
            "contactTags": lambda: "contact_tag_added" if created else "contact_tag_removed",
            "accounts": lambda: "account_add" if created else "account_update",
            "deals": lambda: "deal_add" if created else "deal_update",
            "accountContacts": lambda: "account_contact_add" if created else "account_contact_update",
        }
        if stream not in kinds or (change.kind in ("delete", "merge", "restore") and stream != "contactTags"):
            return []
        kind = kinds[stream]()
        source = "api" if change.by == "api" else "system" if change.by == "system" else "admin"
        contact = record.id if stream == "contacts" else str(record.fields.get("contact") or "")
        payload: Fields = {"type": kind, "date_time": moment(change.at), "initiated_from": source, "list": "0"}
        if contact:
            held = self.records.find("contacts", contact)
            payload |= {"contact[id]": contact, "contact[email]": held.fields["email"] if held else ""}
        if stream in ("deals", "accounts"):
            payload[f"{SINGULAR[stream]}[id]"] = record.id
        return [HookEvent(topic=f"{source}:{kind}", payload=payload, at=change.at, stream=stream, record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return urlencode(events[0].payload).encode(), headers

    # --- people ------------------------------------------------------------------------------------------------

    def act_open_mail(self, contact: str) -> None:
        """Somebody opens the campaign; nothing of it can be read afterwards."""
        self._mail_act("open", contact)

    def act_click_link(self, contact: str, url: str = "https://acme.example/new") -> None:
        self._mail_act("click", contact, {"link[id]": "7", "link[url]": url})

    def act_bounce(self, contact: str) -> None:
        """The campaign comes back."""
        self._mail_act("bounce", contact)

    def _mail_act(self, kind: str, contact: str, more: Fields | None = None) -> None:
        held, at = self.records.get("contacts", contact), self.now()
        payload = {
            "type": kind, "date_time": moment(at), "initiated_from": "public", "initiated_by": "public", "list": "0",
            "contact[id]": contact, "contact[email]": held.fields["email"], "campaign[id]": "5",
            "campaign[name]": "May", "campaign[message][subject]": "News in May", **(more or {}),
        }  # fmt: skip
        event = HookEvent(topic=f"public:{kind}", payload=payload, at=at, stream="contacts", record_id=contact)
        self.hooks.emit([event])

    def act_leave_list(self, contact: str) -> None:
        """By the link in a campaign."""
        row = next(each for each in self.records.lookup("contactLists", "contact", contact) if not each.deleted)
        left = {"status": "2", "udate": moment(self.now())}
        self.records.update("contactLists", row.id, left, by="public")

    def act_complete_automation(self, entry: str) -> None:
        at = moment(self.now())
        self.records.update("contactAutomations", entry, {"status": "2", "remdate": at, "lastdate": at}, by="system")

    def completed(self, stream: str, fields: Fields) -> Fields:
        row = {**blank_row(stream), **fields}
        if stream == "contacts":
            row["email"] = row["email"].strip().lower()
            row["_values"] = {str(key): value for key, value in (fields.get("_values") or {}).items()}
        return row


def _whole(request: Request, name: str, default: int) -> int:
    text = request.first(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


CONNECTION: dict[str, Json] = {
    "auth": {"kind": "token", "token": "twin-token", "event_key": EVENT_KEY},
    "settings": {"account": "twin", "list": "1", "actid": ACTID},
}


def make(**options: Json) -> TwinActiveCampaign:
    return TwinActiveCampaign(**options)


TWIN = make
