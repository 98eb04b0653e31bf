"""Typeform: forms, responses and webhooks per form, of one account.

Responses come from people only; the API lists and deletes them. Fresh ones may be missing from the list (set the fault
`index_lag_s`; the vendor speaks of 30 minutes) while their webhook has long arrived.

Options of `make` beside the kit's: `refresh_token` ("twin-refresh"), `token_life_s` (604,800).
A person fills in a form by ``user_create("responses", {"form_id", "answers", "hidden", ...})``, where `answers` is the
vendor's list or a map of field ref to value.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson

from hub.twins.kit import BadJson, Bucket, Change, Fields, HookEvent, Record, Request, Response, Target, Twin
from hub.twins.typeform_shapes import (
    METADATA,
    age_of,
    answer_of,
    complete_form,
    epoch,
    hook_response,
    list_form,
    millis,
    seconds,
    show_form,
    show_response,
    show_webhook,
)

Json = Any

CALLS_PER_S = 2  # per account for forms and responses; webhooks are not counted (vendor docs, "Rate limits")
FORMS_DEFAULT, FORMS_MAX = 10, 200
ROWS_DEFAULT, ROWS_MAX = 25, 1000
DELETE_MAX = 1000
SCOPES = "forms:read responses:read responses:write webhooks:read webhooks:write offline"
GONE = (404, 410)  # the webhook is switched off at once, without another try
_TOKEN_PATH = "/oauth/token"
_FILTERS = {
    "page_size", "since", "until", "after", "before", "sort", "response_type", "completed", "included_response_ids",
    "excluded_response_ids", "query", "fields", "answered_fields",
}  # fmt: skip


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, code: str, description: str, details: list[Fields] | None = None) -> None:
        super().__init__(description)
        body: Fields = {"code": code, "description": description}
        self.response = Response.json({**body, "details": details} if details else body, status)


def _wrong(field: str, place: str, description: str) -> _Refused:
    detail = {"code": "WRONG_TYPE", "description": description, "field": f"/{field}", "in": place}
    return _Refused(400, "VALIDATION_ERROR", "The payload is invalid.", [detail])


class TwinTypeform(Twin):
    """One account with its forms."""

    name = "typeform"
    streams: ClassVar[Sequence[str]] = ("forms", "responses")
    hook_attempts = 6  # back-off after 5, 10, 20, 60 and 120 minutes (vendor docs, "Webhooks"), compressed

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"refresh_token": "twin-refresh", "token_life_s": 604_800, **options})
        self.tokens.add_refresh(self.settings["refresh_token"])
        self.records.add_index("responses", "form", lambda fields: [str(fields["form_id"])])
        self._begin_state()

    def _begin_state(self) -> None:
        scale = float(self.settings["limit_scale"])
        self._bucket = Bucket(CALLS_PER_S * scale, CALLS_PER_S * scale)
        self._made = 0
        self.webhooks: dict[tuple[str, str], Fields] = {}  # (form, tag) -> webhook
        self._sending: Target | None = None

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def new_id(self, stream: str) -> str:
        self._made += 1
        digest = hashlib.sha256(f"{self.settings['seed']}/{stream}/{self._made}".encode()).hexdigest()
        return digest[:8] if stream == "forms" else digest[:26]

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.strip("/").split("/")
        if request.path == _TOKEN_PATH:
            return "token", True
        noun = parts[2] if len(parts) > 2 else "forms" if len(parts) == 1 else "form"
        return f"{request.method.lower()} {noun}", request.method not in ("GET", "HEAD")

    def authorise(self, request: Request) -> Response | None:
        return None if request.path == _TOKEN_PATH else super().authorise(request)

    def unauthorised(self, request: Request) -> Response:
        """403, as documented, for a token that is not good."""
        return _Refused(403, "AUTHENTICATION_ERROR", "Invalid authentication credentials").response

    def limit(self, request: Request) -> Response | None:
        if "/webhooks" in request.path or request.path == _TOKEN_PATH:
            return None
        wait = self._bucket.take(self.now())
        return self.refuse_for(request, 1.0) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        response = _Refused(429, "TOO_MANY_REQUESTS", "Too many requests").response
        if retry_after_s is not None:
            response.headers["Retry-After"] = f"{retry_after_s:g}"
        return response

    def failed(self, request: Request) -> Response:
        return _Refused(500, "INTERNAL_SERVER_ERROR", "Something went wrong").response

    def route(self, request: Request) -> Response:
        try:
            return self._answer_to(request)
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["oauth", "token"]:
                return self._token(request)
            case "GET", ["me"]:
                return Response.json({"alias": "Twin", "email": "owner@example.com", "language": "en"})
            case "GET", ["forms"]:
                return self._forms(request)
            case "GET", ["forms", form]:
                return Response.json(show_form(self._form(form), self.base_url), rows=1)
            case "GET", ["forms", form, "responses"]:
                return self._responses(self._form(form), request)
            case "DELETE", ["forms", form, "responses"]:
                return self._delete_responses(self._form(form), request)
            case "GET", ["forms", form, "webhooks"]:
                items = [show_webhook(hook) for (owner, _), hook in self.webhooks.items() if owner == form]
                return Response.json({"items": items})
            case method, ["forms", form, "webhooks", tag]:
                return self._webhook(method, self._form(form).id, tag, request)
        raise _Refused(404, "NOT_FOUND", "The requested resource does not exist")

    def _token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        settings = self.settings
        if (given.get("client_id"), given.get("client_secret")) != (settings["client_id"], settings["client_secret"]):
            return Response.json({"error": "invalid_client", "error_description": "Client not known"}, 400)
        refresh = given.get("refresh_token", "")
        if given.get("grant_type") != "refresh_token" or not self.tokens.take_refresh(refresh, rotate=True):
            return Response.json({"error": "invalid_grant", "error_description": "The token is not valid"}, 400)
        return Response.json(
            {
                "access_token": self.tokens.issue(self.now(), settings["token_life_s"]),
                "expires_in": settings["token_life_s"],
                "refresh_token": self.tokens.issue_refresh(),
                "token_type": "bearer",
                "scope": SCOPES,
            }
        )

    # --- forms -------------------------------------------------------------------------------------------------

    def _form(self, form: str) -> Record:
        record = self.records.find("forms", form)
        seen = self.see(record) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, "FORM_NOT_FOUND", f"Non existing form with uid {form}")
        return seen

    def _forms(self, request: Request) -> Response:
        size = _whole(request, "page_size", FORMS_DEFAULT, FORMS_MAX)
        page = _whole(request, "page", 1, 1_000_000)
        sought, by_change = request.first("search").lower(), request.first("sort_by") == "last_updated_at"
        rows = [seen for record in self.records.all("forms") if (seen := self.see(record)) and not seen.deleted]
        rows = [row for row in rows if sought in str(row.fields.get("title", "")).lower()]
        rows.sort(
            key=lambda row: row.modified if by_change else row.created, reverse=request.first("order_by") != "asc"
        )
        chosen = rows[(page - 1) * size : page * size]
        items = [list_form(row, self.base_url) for row in chosen]
        pages = -(-len(rows) // size)
        return Response.json({"total_items": len(rows), "page_count": pages, "items": items}, rows=len(items))

    # --- responses ---------------------------------------------------------------------------------------------

    def _responses(self, form: Record, request: Request) -> Response:
        """A page; totals count what is left under the filters, so both shrink while a reader walks."""
        if unknown := set(request.query) - _FILTERS:
            raise _wrong(min(unknown), "query", "unknown parameter")
        size = _whole(request, "page_size", ROWS_DEFAULT, ROWS_MAX)
        after, before, sort = (request.first(name) for name in ("after", "before", "sort"))
        if (after or before) and sort:
            raise _wrong("sort", "query", "cannot be combined with after or before")
        if sort not in ("", "submitted_at,asc", "submitted_at,desc"):
            raise _wrong("sort", "query", "should be submitted_at,asc or submitted_at,desc")
        wanted = _filter(request)
        rows = sorted((row for row in self._listed(form.id) if wanted(row)), key=age_of)
        if after:
            rows = [row for row in rows if age_of(row) > self._cursor(form.id, after)]
        if before:
            rows = [row for row in rows if age_of(row) < self._cursor(form.id, before)]
        oldest_first = bool(after) or sort == "submitted_at,asc"
        ordered = rows if oldest_first else rows[::-1]
        items = [show_response(row) for row in ordered[:size]]
        pages = -(-len(rows) // size)
        return Response.json({"total_items": len(rows), "page_count": pages, "items": items}, rows=len(items))

    def _listed(self, form: str) -> Iterator[Record]:
        for record in self.records.lookup("responses", "form", form):
            seen = self.see(record, index=True)
            if seen is not None and not seen.deleted:
                yield seen

    def _cursor(self, form: str, token: str) -> tuple[float, str]:
        record = self.records.find("responses", token)
        if record is None or record.fields["form_id"] != form:
            raise _wrong("after", "query", "unknown response token")
        return age_of(record)

    def _delete_responses(self, form: Record, request: Request) -> Response:
        tokens = [token for token in request.first("included_tokens").split(",") if token]
        if not tokens or len(tokens) > DELETE_MAX:
            raise _wrong("included_tokens", "query", f"should hold 1 to {DELETE_MAX} tokens")
        for token in tokens:
            record = self.records.find("responses", token)
            if record is not None and record.fields["form_id"] == form.id and not record.deleted:
                self.records.delete("responses", token, by="api")
        return Response(status=200)

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _webhook(self, method: str, form: str, tag: str, request: Request) -> Response:
        hook = self.webhooks.get((form, tag))
        if method == "PUT":
            return Response.json(show_webhook(self._put_webhook(form, tag, request)))
        if hook is None or method not in ("GET", "DELETE"):
            raise _Refused(404, "NOT_FOUND", "Webhook does not exist")
        if method == "GET":
            return Response.json(show_webhook(hook))
        del self.webhooks[form, tag]
        self.hooks.remove(hook["id"])
        return Response(status=204)

    def _put_webhook(self, form: str, tag: str, request: Request) -> Fields:
        """Create or replace; the id and the day of creation stay. Off unless `enabled` is sent."""
        try:
            given = request.json()
        except BadJson:
            raise _wrong("", "body", "should be an object") from None
        url = given.get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise _wrong("url", "body", "should be string")
        if not isinstance(given.get("enabled", False), bool):
            raise _wrong("enabled", "body", "should be boolean")
        old, now = self.webhooks.get((form, tag)), millis(self.now())
        hook = {
            "id": old["id"] if old else self.new_id("webhooks"),
            "form_id": form,
            "tag": tag,
            "url": url,
            "enabled": given.get("enabled", False),
            "verify_ssl": given.get("verify_ssl", True),
            "secret": given.get("secret"),
            "event_types": given.get("event_types") or {"form_response": True},
            "created_at": old["created_at"] if old else now,
            "updated_at": now,
        }
        self.webhooks[form, tag] = hook
        self._listen(hook)
        return hook

    def _listen(self, hook: Fields) -> None:
        self.hooks.remove(hook["id"])
        kinds = [kind for kind, wanted in hook["event_types"].items() if wanted]
        if hook["enabled"] and kinds:
            topics = tuple(f"{kind}:{hook['form_id']}" for kind in kinds)
            options = {"tag": hook["tag"], "form": hook["form_id"]}
            target = Target(url=hook["url"], secret=hook["secret"] or "", topics=topics, options=options, id=hook["id"])
            self.hooks.add(target)

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """A submission is told once; what becomes of it later is not."""
        kind = {"completed": "form_response", "partial": "form_response_partial"}.get(
            record.fields.get("response_type", "")
        )
        if record.stream != "responses" or change.kind != "create" or kind is None:
            return []
        form = self.records.get("forms", record.fields["form_id"])
        payload = {
            "event_id": "01" + hashlib.sha256(f"event/{record.id}".encode()).hexdigest()[:24].upper(),
            "event_type": kind,
            "form_response": hook_response(record, form),
        }
        topic = f"{kind}:{form.id}"
        return [HookEvent(topic=topic, payload=payload, at=change.at, stream="responses", record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        self._sending = target
        body = orjson.dumps(events[0].payload)
        headers = {"Content-Type": "application/json", "User-Agent": "Typeform Webhooks"}
        if target.secret:
            headers["Typeform-Signature"] = signature(body, target.secret)
        return body, headers

    def hook_accepted(self, status: int, body: bytes) -> bool:
        """404 and 410 end it: no other try, and the webhook is off. One message is sent at a time, so we know whose."""
        if status in GONE and self._sending is not None:
            self._switch_off(self._sending)
            return True
        return 200 <= status < 300

    def _switch_off(self, target: Target) -> None:
        self.hooks.remove(target.id)
        hook = self.webhooks.get((target.options.get("form", ""), target.options.get("tag", "")))
        if hook is not None:
            hook.update(enabled=False, updated_at=millis(self.now()))

    # --- people ------------------------------------------------------------------------------------------------

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Build a form, or fill one in. Raises ValueError for an answer to no question."""
        with self.lock:
            if stream == "forms":
                kept = complete_form(fields)
                return self.records.create("forms", kept, by=by, id=fields.get("id") or self.new_id("forms")).id
            token = str(fields.get("token") or self.new_id("responses"))
            return self.records.create("responses", self._filled(fields, token, self.now()), by=by, id=token).id

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        if stream == "responses":
            raise ValueError("a response cannot be edited")
        with self.lock:
            self.records.update("forms", record_id, dict(fields), by=by)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def _filled(self, given: Fields, token: str, now: float) -> Fields:
        form = self.records.find("forms", str(given.get("form_id")))
        if form is None:
            raise ValueError(f"no form {given.get('form_id')}")
        answers = given.get("answers") or []
        if isinstance(answers, dict):
            answers = [answer_of(form, ref, value) for ref, value in answers.items() if value is not None]
        kind = given.get("response_type", "completed")
        return {
            "landing_id": token,
            "token": token,
            "response_id": token,
            "form_id": form.id,
            "response_type": kind,
            "landed_at": given.get("landed_at") or seconds(now - 60),
            "submitted_at": given.get("submitted_at") or (seconds(now) if kind == "completed" else None),
            "metadata": given.get("metadata") or METADATA,
            "hidden": {name: str(value) for name, value in (given.get("hidden") or {}).items()},
            "calculated": given.get("calculated") or {"score": 0},
            "variables": given.get("variables") or [],
            "tags": given.get("tags") or [],
            "thankyou_screen_ref": given.get("thankyou_screen_ref"),
            "answers": answers,
        }

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """As Twin.load; a response's stamps are its own `submitted_at`, or else the row's `created`."""
        number = 0
        with self.lock:
            for row in rows:
                fields, created = dict(row["fields"]), row.get("created", self.now())
                if stream == "forms":
                    kept, record_id = complete_form(fields), row.get("id") or self.new_id("forms")
                else:
                    record_id = str(row.get("id") or fields.get("token") or self.new_id("responses"))
                    kept = self._filled(fields, record_id, created)
                modified = row.get("modified", created)
                record = self.records.create(stream, kept, by="load", id=record_id, created=created, modified=modified)
                record.deleted = bool(row.get("deleted", False))
                number += 1
        return number


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.first(name) or str(default)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise _wrong(name, "query", f"should be an integer from 1 to {most}")
    return int(text)


def _filter(request: Request) -> Callable[[Record], bool]:
    """What the query parameters ask of a row; times are inclusive."""
    kinds = set(request.first("response_type", "completed").split(","))
    if request.first("completed") == "false":
        kinds = {"started", "partial"}
    only = set(filter(None, request.first("included_response_ids").split(",")))
    never = set(filter(None, request.first("excluded_response_ids").split(",")))
    answered = set(filter(None, request.first("answered_fields").split(",")))
    text = request.first("query").lower()
    try:
        since = epoch(request.first("since")) if request.first("since") else float("-inf")
        until = epoch(request.first("until")) if request.first("until") else float("inf")
    except ValueError:
        raise _wrong("since", "query", "should be a date-time or Unix seconds") from None

    def wanted(row: Record) -> bool:
        fields = row.fields
        return (
            fields["response_type"] in kinds
            and since <= age_of(row)[0] <= until
            and (not only or row.id in only)
            and row.id not in never
            and answered <= {answer["field"]["id"] for answer in fields["answers"]}
            and (not text or text in orjson.dumps([fields["answers"], fields["hidden"]]).decode().lower())
        )

    return wanted


def signature(body: bytes, secret: str) -> str:
    """``sha256=`` and the base64 HMAC of the raw body; no time is signed (vendor docs, "Secure your webhooks")."""
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {
    "responses": {
        "add": {"submitted_at": None, "landed_at": None},
        "restore": {"no": "a deleted response does not come back"},
    }
}


def make(**options: Json) -> TwinTypeform:
    return TwinTypeform(**options)


TWIN = make
