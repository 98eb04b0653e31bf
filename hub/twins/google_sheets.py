"""Google Sheets (API v4): one spreadsheet with its tabs, values, developer metadata, and the token endpoint of Google.

Options of `make` beside the kit's: `spreadsheet` ("SHEET1"), `refresh_token` ("twin-refresh"), `token_life_s` (3600),
`service_key` (public PEM of a service account; assertions are verified by it) and `account` (its address).
People work in the tab "People" by `user_create`, `user_edit` (by the cell in the first column below the header) and
`user_delete`; `act_add_tab`, `act_rename_tab`, `act_sort`, `act_insert_row`, `act_insert_column` and `act_put` do what
people do to tables. Rows have no numbers of their own: metadata stays with its row wherever that goes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import BadJson, Fields, Request, Response, Twin, Window

Json = Any

PER_MINUTE = 60  # reads, and writes, of one user ("Usage limits")
COLUMNS = (
    "Email",
    "First name",
    "Last name",
    "Phone",
    "Company",
    "Country",
    "Birthday",
    "Interests",
    "Stage",
    "Hub Id",
)
CONNECTION = {
    "settings": {"spreadsheet": "SHEET1"},
    "streams": {"people": {"tab": "People", "key": ["Email"], "write": "in_place", "marker": "Hub Id"}},
}
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}  # fmt: skip
_RANGE = re.compile(r"(?:'((?:[^']|'')+)'|([^'!]+?))(?:!([A-Z]{1,3})(\d+)(?::([A-Z]{1,3})(\d*))?)?")
_READS = (":search", ":batchGetByDataFilter")


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        error = {"code": status, "message": message, "status": STATUSES[status]}
        self.response = Response.json({"error": error}, status)


class Tab:
    """One tab: its rows in order; each knows itself by a number that is never shown."""

    def __init__(self, number: int, title: str) -> None:
        self.number, self.title = number, title
        self.rows: list[list[Json]] = []
        self.ids: list[int] = []
        self._made = 0

    def insert(self, at: int, cells: Sequence[Json]) -> int:
        self._made += 1
        self.rows.insert(at, list(cells))
        self.ids.insert(at, self._made)
        return self._made

    def header(self) -> int:
        """The first row that has the first column's name."""
        return next((place for place, row in enumerate(self.rows) if COLUMNS[0] in row), 0)


class TwinGoogleSheets(Twin):
    """One spreadsheet, shared with whoever has a good token."""

    name = "google_sheets"
    streams: ClassVar[Sequence[str]] = ("people",)

    def __init__(self, **options: Json) -> None:
        known = {"spreadsheet": "SHEET1", "refresh_token": "twin-refresh", "token_life_s": 3600, "service_key": "",
                 "account": "hub@project.iam.gserviceaccount.com"}  # fmt: skip
        super().__init__(**{**known, **options})
        self.tokens.add_refresh(self.settings["refresh_token"])
        self._begin_state()

    def _begin_state(self) -> None:
        calls = int(PER_MINUTE * float(self.settings["limit_scale"]))
        self._reads, self._writes = Window(calls, 60.0), Window(calls, 60.0)
        self.tabs: list[Tab] = []
        self.marks: dict[int, Fields] = {}  # metadata id -> key, value, tab, row
        self.act_add_tab("People")
        self._tab("People").insert(0, COLUMNS)

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        writes = request.method != "GET" and not request.path.endswith(_READS) and request.path != "/token"
        return f"{request.method.lower()} {request.path.rpartition(':')[2].rpartition('/')[2]}", writes

    def authorise(self, request: Request) -> Response | None:
        return None if request.path == "/token" else super().authorise(request)

    def unauthorised(self, request: Request) -> Response:
        return _Refused(401, "Request had invalid authentication credentials.").response

    def is_metered(self, request: Request) -> bool:
        return request.path != "/token"

    def limit(self, request: Request) -> Response | None:
        if request.path == "/token":
            return None
        window = self._writes if self.describe(request)[1] else self._reads
        return self.refuse_for(request, None) if window.take(self.now()) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _Refused(429, "Quota exceeded for quota metric 'Read requests'.").response
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _Refused(500, "Internal error encountered.").response

    def route(self, request: Request) -> Response:
        try:
            if request.path == "/token":
                return self._token(request)
            return self._answer_to(request)
        except _Refused as refusal:
            return refusal.response

    def _answer_to(self, request: Request) -> Response:
        start = f"/v4/spreadsheets/{self.settings['spreadsheet']}"
        if not re.fullmatch(re.escape(start) + r"(?:[:/].*)?", request.path):
            raise _Refused(404, "Requested entity was not found.")
        rest = request.path.removeprefix(start)
        if request.method == "GET" and rest == "":
            sheets = [{"properties": {"sheetId": tab.number, "title": tab.title}} for tab in self.tabs]
            return Response.json(
                {"properties": {"title": "Twin", "timeZone": "Europe/Berlin", "locale": "en_GB"}, "sheets": sheets}
            )
        if request.method == "GET" and rest.startswith("/values/"):
            return self._get(request, rest.removeprefix("/values/"))
        body = self._body(request)
        if request.method == "PUT" and rest.startswith("/values/"):
            return self._put(request, rest.removeprefix("/values/"), body)
        if request.method == "POST" and rest.startswith("/values/") and rest.endswith(":append"):
            return self._append(request, rest.removeprefix("/values/").removesuffix(":append"), body)
        actions = {
            "/developerMetadata:search": self._search, "/values:batchGetByDataFilter": self._get_by_mark,
            "/values:batchUpdateByDataFilter": self._put_by_mark, ":batchUpdate": self._change,
        }  # fmt: skip
        if request.method == "POST" and rest in actions:
            return actions[rest](body)
        raise _Refused(404, "Requested entity was not found.")

    def _body(self, request: Request) -> Fields:
        try:
            found = request.json()
        except BadJson:
            found = None
        if not isinstance(found, dict):
            raise _Refused(400, "Invalid JSON payload received.")
        return found

    # --- tokens ------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in request.form().items()}
        settings = self.settings
        if given.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            good = self._is_good(given.get("assertion", ""))
        else:
            client = (given.get("client_id"), given.get("client_secret"))
            good = client == (settings["client_id"], settings["client_secret"])
            good = good and self.tokens.take_refresh(given.get("refresh_token", ""), rotate=False)
        if not good:
            return Response.json({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        life = settings["token_life_s"]
        return Response.json(
            {"access_token": self.tokens.issue(self.now(), life), "expires_in": life, "token_type": "Bearer"}
        )

    def _is_good(self, assertion: str) -> bool:
        """Signed by the account's key, for this endpoint and the sheets' scope, and of this hour."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        try:
            head, claims, signature = assertion.split(".")
            key = serialization.load_pem_public_key(self.settings["service_key"].encode())
            message = f"{head}.{claims}".encode()
            if not isinstance(key, rsa.RSAPublicKey):
                return False
            key.verify(_decoded(signature), message, padding.PKCS1v15(), hashes.SHA256())
            told = orjson.loads(_decoded(claims))
        except (ValueError, InvalidSignature):
            return False
        wanted = ("https://oauth2.googleapis.com/token", self.settings["account"])
        fits = (told.get("aud"), told.get("iss")) == wanted and "/auth/spreadsheets" in str(told.get("scope"))
        return fits and told["iat"] - 60 <= self.now() <= told["exp"] and told["exp"] - told["iat"] <= 3600

    # --- values ------------------------------------------------------------------------------------------------

    def _tab(self, title: str) -> Tab:
        for tab in self.tabs:
            if tab.title == title:
                return tab
        raise _Refused(400, f"Unable to parse range: {title}")

    def _range(self, text: str) -> tuple[Tab, int, int, int, int]:
        """Tab, first row and column, and those behind the last, from 0."""
        found = _RANGE.fullmatch(text)
        if found is None:
            raise _Refused(400, f"Unable to parse range: {text}")
        quoted, bare, left, top, right, bottom = found.groups()
        tab = self._tab((quoted or "").replace("''", "'") or bare)
        if not left:
            return tab, 0, 0, len(tab.rows), 1000
        first_row, first_column = int(top) - 1, _column(left)
        last_row = int(bottom) if bottom else len(tab.rows) if right else first_row + 1
        return tab, first_row, first_column, last_row, _column(right or left) + 1

    def _get(self, request: Request, text: str) -> Response:
        tab, top, left, bottom, right = self._range(text)
        plain = request.first("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE"
        values = _trimmed([[_shown(cell, plain=plain) for cell in row[left:right]] for row in tab.rows[top:bottom]])
        answer = {"range": text, "majorDimension": "ROWS", **({"values": values} if values else {})}
        return Response.json(answer, rows=len(values))

    def _put(self, request: Request, text: str, body: Fields) -> Response:
        tab, top, left, _, _ = self._range(text)
        values = _values(body)
        for place, cells in enumerate(values):
            while len(tab.rows) <= top + place:
                tab.insert(len(tab.rows), [])
            _write(tab.rows[top + place], left, cells, raw=_is_raw(request.first("valueInputOption")))
        return Response.json({"updatedRange": text, "updatedRows": len(values)}, rows=len(values))

    def _append(self, request: Request, text: str, body: Fields) -> Response:
        """Below the table that the range is part of: up to the first empty row."""
        tab, top, left, _, _ = self._range(text)
        raw = _is_raw(request.first("valueInputOption"))
        end = top
        while end < len(tab.rows) and any(cell not in (None, "") for cell in tab.rows[end]):
            end += 1
        values = _values(body)
        for place, cells in enumerate(values):
            row: list[Json] = []
            _write(row, left, cells, raw=raw)
            if request.first("insertDataOption") == "INSERT_ROWS" or end + place >= len(tab.rows):
                tab.insert(end + place, row)
            else:
                _write(tab.rows[end + place], left, cells, raw=raw)
        told = {"updatedRange": f"'{tab.title}'!A{end + 1}", "updatedRows": len(values)}
        return Response.json({"tableRange": text, "updates": told}, rows=len(values))

    # --- metadata ----------------------------------------------------------------------------------------------

    def _show_mark(self, number: int) -> Fields | None:
        """None if its row is gone."""
        mark = self.marks[number]
        tab = next((each for each in self.tabs if each.number == mark["tab"]), None)
        if tab is None or mark["row"] not in tab.ids:
            return None
        at = tab.ids.index(mark["row"])
        place = {"sheetId": tab.number, "dimension": "ROWS", "startIndex": at, "endIndex": at + 1}
        if not tab.number:
            del place["sheetId"]  # zeros are left out
        if not at:
            del place["startIndex"]
        return {
            "metadataId": number, "metadataKey": mark["key"], "metadataValue": mark["value"],
            "location": {"locationType": "ROW", "dimensionRange": place}, "visibility": "DOCUMENT",
        }  # fmt: skip

    def _matches(self, lookup: Fields) -> list[int]:
        return [
            number
            for number, mark in self.marks.items()
            if lookup.get("metadataId") in (None, number)
            and lookup.get("metadataKey") in (None, mark["key"])
            and lookup.get("metadataValue") in (None, mark["value"])
            and self._show_mark(number) is not None
        ]

    def _filters(self, body: Fields, name: str = "dataFilters") -> list[Fields]:
        given = [each.get("developerMetadataLookup") for each in body.get(name) or () if isinstance(each, dict)]
        found = [each for each in given if isinstance(each, dict) and each]
        if not found or len(found) < len(given):
            raise _Refused(400, f"{name}: at least one filter is required")
        return found

    def _search(self, body: Fields) -> Response:
        numbers = [number for each in self._filters(body) for number in self._matches(each)]
        found = [{"developerMetadata": self._show_mark(number)} for number in numbers]
        return Response.json({"matchedDeveloperMetadata": found} if found else {}, rows=len(found))

    def _get_by_mark(self, body: Fields) -> Response:
        plain = body.get("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE"
        found = []
        for lookup in self._filters(body):
            for number in self._matches(lookup):
                tab, at = self._place(number)
                values = _trimmed([[_shown(cell, plain=plain) for cell in tab.rows[at]]])
                shown: Fields = {"range": f"'{tab.title}'!A{at + 1}", "majorDimension": "ROWS"}
                shown |= {"values": values} if values else {}
                found.append({"valueRange": shown, "dataFilters": [{"developerMetadataLookup": lookup}]})
        return Response.json({"spreadsheetId": self.settings["spreadsheet"], "valueRanges": found}, rows=len(found))

    def _place(self, number: int) -> tuple[Tab, int]:
        mark = self.marks[number]
        tab = next(each for each in self.tabs if each.number == mark["tab"])
        return tab, tab.ids.index(mark["row"])

    def _put_by_mark(self, body: Fields) -> Response:
        """All or nothing."""
        raw, data = _is_raw(str(body.get("valueInputOption", ""))), body.get("data") or []
        wanted = []
        for each in data:
            numbers = self._matches(self._filters({"dataFilters": [each.get("dataFilter")]})[0])
            if not numbers:
                raise _Refused(400, "No data matches the filter")
            wanted += [(number, _values(each)) for number in numbers]
        for number, values in wanted:
            tab, at = self._place(number)
            _write(tab.rows[at], 0, values[0], raw=raw)
        return Response.json({"totalUpdatedRows": len(wanted)}, rows=len(wanted))

    def _change(self, body: Fields) -> Response:
        """Metadata only; made and taken away, all or nothing."""
        replies: list[Fields] = []
        requests = body.get("requests") or []
        if not requests:
            raise _Refused(400, "Must specify at least one request.")
        for each in requests:
            if "createDeveloperMetadata" in each:
                replies.append({"createDeveloperMetadata": {"developerMetadata": self._add_mark(each)}})
            elif "deleteDeveloperMetadata" in each:
                given = {"dataFilters": [each["deleteDeveloperMetadata"].get("dataFilter")]}
                for number in self._matches(self._filters(given)[0]):
                    del self.marks[number]
                replies.append({"deleteDeveloperMetadata": {}})
            else:
                raise _Refused(400, f"Invalid requests[{len(replies)}]: no request set.")
        return Response.json({"spreadsheetId": self.settings["spreadsheet"], "replies": replies}, rows=len(replies))

    def _add_mark(self, request: Fields) -> Fields:
        given = request["createDeveloperMetadata"].get("developerMetadata") or {}
        place = (given.get("location") or {}).get("dimensionRange") or {}
        tab = next((each for each in self.tabs if each.number == place.get("sheetId", 0)), None)
        at = place.get("startIndex", 0)
        if tab is None or place.get("dimension") != "ROWS" or at >= len(tab.rows) or not given.get("visibility"):
            raise _Refused(400, "Invalid requests[0].createDeveloperMetadata: No such row.")
        number = max(self.marks, default=0) + 1
        value = str(given.get("metadataValue", ""))
        self.marks[number] = {"key": given.get("metadataKey"), "value": value, "tab": tab.number, "row": tab.ids[at]}
        return {"metadataId": number, **given}

    # --- people ------------------------------------------------------------------------------------------------

    def _find(self, key: str) -> tuple[Tab, int]:
        tab = self._people()
        for at, row in enumerate(tab.rows):
            if at > tab.header() and row and str(row[0]) == key:
                return tab, at
        raise ValueError(f"no row {key}")

    def _people(self) -> Tab:
        return self.tabs[0]

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        with self.lock:
            tab = self._people()
            header = tab.rows[tab.header()]
            key = str(fields.get(header[0]) or f"row{len(tab.rows)}@example.org")
            tab.insert(len(tab.rows), [{**fields, header[0]: key}.get(name, "") for name in header])
            return key

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        with self.lock:
            tab, at = self._find(record_id)
            header = tab.rows[tab.header()]
            for name, value in fields.items():
                _write(tab.rows[at], header.index(name), [value], raw=True)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        with self.lock:
            tab, at = self._find(record_id)
            del tab.rows[at], tab.ids[at]

    def user_restore(self, stream: str, record_id: str, by: str = "user:1") -> None:
        raise ValueError("a deleted row does not come back")

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")

    def act_add_tab(self, title: str) -> int:
        self.tabs.append(Tab(len(self.tabs) * 111, title))
        return self.tabs[-1].number

    def act_rename_tab(self, title: str, new: str) -> None:
        self._tab(title).title = new

    def act_sort(self, column: str, down: bool = False) -> None:
        tab = self._people()
        head = tab.header() + 1
        place = tab.rows[head - 1].index(column)
        rows = sorted(
            zip(tab.rows[head:], tab.ids[head:], strict=True),
            key=lambda each: str(each[0][place] if place < len(each[0]) else ""),
            reverse=down,
        )
        tab.rows[head:], tab.ids[head:] = [row for row, _ in rows], [number for _, number in rows]

    def act_insert_row(self, at: int, cells: Sequence[Json] = ()) -> None:
        self._people().insert(at, cells)

    def act_insert_column(self, at: int, name: str) -> None:
        tab = self._people()
        for place, row in enumerate(tab.rows):
            row.extend([""] * (at - len(row)))
            row.insert(at, name if place == tab.header() else "")

    def act_put(self, tab: str, rows: Sequence[Sequence[Json]]) -> None:
        """Everything in a tab anew."""
        found = self._tab(tab)
        found.rows, found.ids = [], []
        for row in rows:
            found.insert(len(found.rows), row)

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        number = 0
        for row in rows:
            self.user_create(stream, row["fields"])
            number += 1
        return number

    def snapshot(self, stream: str) -> dict[str, dict[str, Json]]:
        """Rows by the cell in the first column."""
        tab = self._people()
        header = tab.rows[tab.header()]
        found = {}
        for row in tab.rows[tab.header() + 1 :]:
            if any(cell not in (None, "") for cell in row):
                fields = dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False))
                found[str(row[0])] = {"fields": fields, "deleted": False, "merged_into": None}
        return found


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _is_raw(option: str) -> bool:
    if option not in ("RAW", "USER_ENTERED"):
        raise _Refused(400, "'valueInputOption' is required but not specified")
    return option == "RAW"


def _values(body: Fields) -> list[list[Json]]:
    values = body.get("values")
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise _Refused(400, "Invalid values")
    for cell in (cell for row in values for cell in row):
        if not isinstance(cell, str | int | float | None):
            raise _Refused(400, f"Invalid values[0][0]: {type(cell).__name__}_value")
    return values


def _write(row: list[Json], left: int, cells: Sequence[Json], *, raw: bool) -> None:
    """Null leaves a cell as it is; an empty text empties it."""
    row.extend([""] * (left + len(cells) - len(row)))
    for place, cell in enumerate(cells, left):
        if cell is not None:
            row[place] = cell if raw else _entered(cell)


def _entered(cell: Json) -> Json:
    """What the keyboard would make of it."""
    if isinstance(cell, str) and cell.startswith("="):
        return {"formula": cell}
    if isinstance(cell, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", cell):
        return float(cell) if "." in cell else int(cell)
    return cell


def _shown(cell: Json, *, plain: bool) -> Json:
    if isinstance(cell, dict):
        return cell.get("value", "#NAME?")
    if not plain:
        return cell
    return "TRUE" if cell is True else "FALSE" if cell is False else str(cell)


def _trimmed(rows: list[list[Json]]) -> list[list[Json]]:
    """Empty cells at the end of rows, and empty rows at the end, are left out."""
    found = []
    for row in rows:
        end = max((place + 1 for place, cell in enumerate(row) if cell not in (None, "")), default=0)
        found.append(row[:end])
    while found and not found[-1]:
        found.pop()
    return found


def sketch(pen: Sketch) -> None:
    """Somebody keeps a list of a third of the people."""
    taken: set[str] = set()
    for person, view in pen.chosen(0.3):
        mail = view.email.strip()
        if mail.lower() in taken:
            continue
        taken.add(mail.lower())
        fields: Fields = {
            "Email": mail,
            "First name": view.first_name.strip(),
            "Last name": view.last_name.strip(),
            "Phone": person.mobile or "",
            "Company": view.company_name or "",
            "Country": person.address.country,
            "Birthday": person.birthday or "",
            "Interests": "; ".join(person.interests),
            "Stage": person.lifecycle,
        }
        pen.add("people", mail, view.created, fields, person=person)


def make(**options: Json) -> TwinGoogleSheets:
    return TwinGoogleSheets(**options)


TWIN = make
