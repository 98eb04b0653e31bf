"""An invented shop's REST interface: contacts that are written, orders that are read; pages and sign-in as one likes.

Lists are `{"data": […], …}`, oldest change first; `updated_since` takes changes from there on; `external_ref` and
`email` narrow. Deleted contacts stay in lists with `status: trashed`, and answer 404. Bodies and answers about one
contact stand under `contact`. `external_ref` may be given once. Texts are trimmed on save. A key that was used before
is one create.

Options of `make` beside the kit's: `paging` ("number"; also offset, cursor, next, link), `auth` ("bearer"; also basic,
header, query, client_credentials, none), `most` (50: rows of a page, whatever is asked for), `bare` (False: a create is
answered by its address only).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from hub.twins.company_sketch import Sketch
from hub.twins.kit import BadJson, Fields, Record, RecordNotFound, Request, Response, Twin, Window, id_order
from hub.twins.shapes import seconds, seconds_of

Json = Any
STREAMS = {
    "contacts": {
        "path": "/contacts", "records": "data", "record": "contact", "modified": "updated_at", "since": "updated_since",
        "page": {"kind": "number", "param": "page", "size_param": "per_page", "size": 50, "more": "more"},
        "deleted": {"path": "status", "is": "trashed"}, "fetch": "/contacts/{id}", "marker": "external_ref",
        "find": {"external_ref": "external_ref", "email": "email"},
        "create": {"path": "/contacts", "under": "contact"}, "update": {"path": "/contacts/{id}", "under": "contact"},
        "delete": "/contacts/{id}",
    },
    "orders": {
        "path": "/orders", "records": "data", "record": "order", "modified": "updated_at", "since": "updated_since",
        "page": {"kind": "number", "param": "page", "size_param": "per_page", "size": 50}, "fetch": "/orders/{id}",
    },
}  # fmt: skip
CONNECTION = {
    "settings": {"url": "https://api.shop.example", "check": "/me", "token_url": "/oauth/token"},
    "streams": STREAMS,
    "auth": {"kind": "token", "token": "twin-token"},
}
TOKEN_PATH = "/oauth/token"
PER_SECOND = 20
ONE = {"contacts": "contact", "orders": "order"}
WRITABLE = {"email", "name", "phone", "address", "external_ref", "note"}
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PATH = re.compile(r"/(contacts|orders)(?:/([^/]+))?")


class Refused(Exception):
    """Ends a call with the interface's own words."""

    def __init__(self, status: int, message: str, field: str = "") -> None:
        super().__init__(message)
        self.response = Response.json({"error": {"message": message, **({"field": field} if field else {})}}, status)


class TwinRest(Twin):
    """One shop."""

    name = "rest"
    streams: ClassVar[Sequence[str]] = ("contacts", "orders")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"paging": "number", "auth": "bearer", "most": 50, "bare": False, **options})
        scale = self.settings["limit_scale"]
        self._window = Window(int(PER_SECOND * scale), 1.0) if scale else None
        self._keys: dict[str, str] = {}

    # --- who may, and how fast -----------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        found = _PATH.fullmatch(request.path)
        name = found[1] if found else request.path.strip("/")
        return f"{request.method} {name}", request.method != "GET" and request.path != TOKEN_PATH

    def is_metered(self, request: Request) -> bool:
        return request.path != TOKEN_PATH

    def authorise(self, request: Request) -> Response | None:
        kind, token, given = self.settings["auth"], self.settings["token"], request.headers
        if request.path == TOKEN_PATH or kind == "none":
            return None
        basic = "Basic " + base64.b64encode(f"twin-user:{token}".encode()).decode()
        issued = request.bearer() not in self.tokens.fixed and self.tokens.is_valid(request.bearer(), self.now())
        ok = {
            "basic": given.get("authorization") == basic,
            "header": given.get("x-api-key") == token and "authorization" not in given,
            "query": request.first("api_key") == token and "authorization" not in given,
            "client_credentials": issued,
            "bearer": request.bearer() == token or issued,
        }
        return None if ok[kind] else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Response.json({"error": {"message": "who are you?"}}, 401)

    def limit(self, request: Request) -> Response | None:
        wait = self._window.take(self.now()) if self._window is not None else None
        return self.refuse_for(request, wait) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        headers = {} if retry_after_s is None else {"Retry-After": str(int(retry_after_s) + 1)}
        return Response.json({"error": {"message": "slow down"}}, 429, headers)

    # --- calls ---------------------------------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path == "/me":
            return Response.json({"shop": "Twin"})
        found = _PATH.fullmatch(request.path)
        try:
            if found is None:
                raise Refused(404, "no such path")
            stream, record_id = found[1], found[2]
            if request.method == "GET":
                return (
                    self._list(request, stream)
                    if record_id is None
                    else self._one(stream, self._get(stream, record_id))
                )
            if stream == "orders":
                raise Refused(405, "orders are not written here")
            return self._write(request, record_id)
        except BadJson:
            return Refused(400, "that is no JSON").response
        except Refused as refusal:
            return refusal.response

    def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in request.form().items()}
        wanted = {"grant_type": "client_credentials", "client_id": self.settings["client_id"],
                  "client_secret": self.settings["client_secret"]}  # fmt: skip
        if form.pop("scope", "shop") != "shop":
            return Response.json({"error": "invalid_scope"}, 400)
        if form != wanted:
            return Response.json({"error": "invalid_client"}, 401)
        return Response.json({"access_token": self.tokens.issue(self.now(), 600), "expires_in": 600})

    def _get(self, stream: str, record_id: str) -> Record:
        try:
            record = self.records.get(stream, record_id)
        except RecordNotFound:
            raise Refused(404, "not found") from None
        if record.deleted:
            raise Refused(404, "not found")
        return record

    def _one(self, stream: str, record: Record, status: int = 200) -> Response:
        return Response.json({ONE[stream]: _shown(record)}, status, rows=1)

    def _list(self, request: Request, stream: str) -> Response:
        rows = sorted(
            (seen for each in self.records.all(stream) if (seen := self.see(each)) is not None),
            key=lambda each: (each.modified, id_order(each.id)),
        )
        since = request.first("updated_since")
        try:
            rows = [each for each in rows if not since or each.modified >= seconds_of(since)]
        except ValueError:
            raise Refused(422, "updated_since is no time", "updated_since") from None
        for name in ("external_ref", "email"):
            if request.first(name):
                rows = [each for each in rows if each.fields.get(name) == request.first(name) and not each.deleted]
        return self._page(request, [_shown(each) for each in rows])

    def _page(self, request: Request, rows: list[Fields]) -> Response:
        size = min(int(request.first("per_page", "50")), int(self.settings["most"]))
        kind = self.settings["paging"]
        if kind == "number":
            start = (int(request.first("page", "1")) - 1) * size
        elif kind == "offset":
            start = int(request.first("offset", "0"))
        else:
            start = int(base64.b64decode(request.first("cursor")).decode() or "0") if request.first("cursor") else 0
        more = start + size < len(rows)
        body: dict[str, Json] = {"data": rows[start : start + size], "more": more}
        headers = {}
        if more and kind in ("cursor", "next", "link"):
            token = base64.b64encode(str(start + size).encode()).decode()
            asked = {name: values[0] for name, values in request.query.items()} | {"cursor": token}
            if kind == "cursor":
                body["meta"] = {"next_cursor": token}
            elif kind == "next":
                body["links"] = {"next": f"{request.path}?{urlencode(asked)}"}
            else:
                headers["Link"] = f'<{request.path}?{urlencode(asked)}>; rel="next", <{request.path}>; rel="first"'
        elif kind == "cursor":
            body["meta"] = {"next_cursor": None}
        return Response.json(body, headers=headers, rows=len(body["data"]))

    def _write(self, request: Request, record_id: str | None) -> Response:
        if record_id is not None and request.method == "DELETE":
            self.records.delete("contacts", self._get("contacts", record_id).id)
            return Response(status=204)
        if (record_id is None) != (request.method == "POST") or request.method not in ("POST", "PATCH"):
            raise Refused(405, "not so")
        body = request.json()
        fields = body.get("contact") if isinstance(body, dict) else None
        if not isinstance(fields, dict) or set(body) != {"contact"}:
            raise Refused(422, "a contact is expected under contact", "contact")
        self._check(fields, record_id)
        if record_id is not None:
            kept = self._get("contacts", record_id)
            merged = {**kept.fields, **_merged(kept.fields, fields)}
            return self._one("contacts", self.records.update("contacts", record_id, self.normalise("contacts", merged)))
        key = request.headers.get("idempotency-key", "")
        if key in self._keys:
            return self._one("contacts", self._get("contacts", self._keys[key]))
        made = self.records.create("contacts", self.completed("contacts", self.normalise("contacts", fields)), by="api")
        if key:
            self._keys[key] = made.id
        if self.settings["bare"]:
            return Response(status=201, headers={"Location": f"/contacts/{made.id}"})
        return self._one("contacts", made, 201)

    def _check(self, fields: Fields, record_id: str | None) -> None:
        for name in fields:
            if name not in WRITABLE:
                raise Refused(422, f"{name} is not known", name)
        if not isinstance(fields.get("email", "" if record_id else None), str) or (
            fields.get("email") and not _MAIL.fullmatch(fields["email"].strip())
        ):
            raise Refused(422, "email is missing or none", "email")
        reference = fields.get("external_ref")
        others = [each for each in self.records.all("contacts") if each.id != record_id and not each.deleted]
        if reference and any(each.fields.get("external_ref") == reference for each in others):
            raise Refused(409, "external_ref is taken", "external_ref")

    # --- shapes --------------------------------------------------------------------------------------------------

    def normalise(self, stream: str, fields: Fields) -> Fields:
        return {name: _trimmed(value) for name, value in fields.items()}

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "orders":
            return fields
        blank: Fields = {"email": "", "name": {}, "phone": None, "address": {}, "external_ref": None, "note": None}
        return {**blank, **fields}

    def stamp(self, at: float) -> float:
        return float(int(at))


def _trimmed(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _trimmed(inner) for name, inner in value.items()}
    return value.strip() if isinstance(value, str) else value


def _merged(old: Fields, new: Fields) -> Fields:
    """Objects are merged, everything else is replaced."""
    return {
        name: {**(old.get(name) or {}), **value} if isinstance(value, dict) else value for name, value in new.items()
    }


def _shown(record: Record) -> Fields:
    status = "trashed" if record.deleted else "active"
    return {**record.fields, "id": record.id, "status": status, "updated_at": seconds(record.modified)}


def sketch(pen: Sketch) -> None:
    """One in five people bought in the shop."""
    rng = pen.rng
    for number, (person, view) in enumerate(pen.chosen(0.2)):
        contact = str(1000 + number)
        fields: Fields = {
            "email": view.email.strip(), "name": {"first": view.first_name, "last": view.last_name},
            "phone": person.mobile, "address": {"city": "Berlin", "country": view.country},
            "note": f"customer {number}",
        }  # fmt: skip
        pen.add("contacts", contact, view.created, fields, person=person)
        for step in range(rng.randint(1, 3)):
            order: Fields = {
                "number": f"R{number}-{step}", "contact_id": contact, "total": f"{rng.randint(5, 200)}.00",
                "currency": "EUR", "placed_at": seconds(view.created),
            }  # fmt: skip
            pen.add("orders", f"{contact}{step}", view.created, order)


# What people do here, where the rows do not tell (hub connector certify)
PEOPLE: dict[str, Json] = {"orders": {"merge": {"no": "orders are not merged"}}}


def make(**options: Json) -> TwinRest:
    return TwinRest(**options)


TWIN = make
