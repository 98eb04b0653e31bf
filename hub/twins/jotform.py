"""Jotform: forms with their questions, submissions and webhooks of one account.

Options of `make` beside the kit's: `zone` ("America/New_York"), the zone in which times are written without saying so.
People fill in a form by ``user_create("submissions", {"form_id", "answers"})``, where `answers` maps a question's name
(or id) to the answer as the vendor keeps it; `user_edit` changes answers, and `user_delete` takes a submission away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import orjson

from hub.twins.company_sketch import Sketch
from hub.twins.kit import Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window

Json = Any

DAILY, DAY_S = 1000, 86_400.0  # calls a day on the smallest plan
LIMIT_DEFAULT, LIMIT_MAX = 20, 1000
ORDERS = {"id", "username", "form_id", "IP", "created_at", "status", "new", "flag", "updated_at"}
OPERATORS = {"gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "ne": lambda a, b: a != b}
BOUNDARY = "------------------------hubtwinboundary"


class _Refused(Exception):
    """Ends a call with the vendor's error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class TwinJotform(Twin):
    """One account."""

    name = "jotform"
    streams: ClassVar[Sequence[str]] = ("forms", "submissions")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"zone": "America/New_York", **options})
        self._begin_state()

    def _begin_state(self) -> None:
        self._window = Window(int(DAILY * float(self.settings["limit_scale"])), DAY_S)
        self._made = 0
        self.webhooks: dict[str, list[str]] = {}  # form -> addresses, in order

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._begin_state()

    def stamp(self, at: float) -> float:
        return float(int(at))

    def new_id(self, stream: str) -> str:
        self._made += 1
        return str((23 * 10**13 if stream == "forms" else 591 * 10**16) + self._made)

    # --- one call ----------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        parts = request.path.strip("/").removeprefix("v1/").split("/")
        return f"{request.method.lower()} {parts[-1] if len(parts) != 2 else parts[0]}", request.method != "GET"

    def authorise(self, request: Request) -> Response | None:
        given = request.headers.get("apikey") or request.first("apiKey") or request.first("apikey")
        return None if self.tokens.is_valid(given, self.now()) else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return self._wrapped("", 401, f"You're not authorized to use ({request.path})")

    def limit(self, request: Request) -> Response | None:
        return self.refuse_for(request, None) if self._window.take(self.now()) else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = self._wrapped("", 429, "API-Limit exceeded")
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return self._wrapped("", 500, "Something went wrong")

    def route(self, request: Request) -> Response:
        try:
            return self._answer_to(request)
        except _Refused as refusal:
            return self._wrapped("", refusal.status, refusal.message)

    def _wrapped(self, content: Json, status: int = 200, message: str = "success", **more: Json) -> Response:
        left = self._window.remaining(self.now())
        body = {"responseCode": status, "message": message, "content": content, **more, "limit-left": left}
        rows = len(content) if isinstance(content, list) else 1
        return Response.json({**body, "duration": "12ms", "info": None}, status, rows=rows)

    def _answer_to(self, request: Request) -> Response:
        match request.method, request.path.strip("/").removeprefix("v1/").split("/"):
            case "GET", ["user"]:
                return self._wrapped({"username": "twin", "name": "Twin", "email": "owner@example.com"})
            case "GET", ["user", "forms"]:
                return self._listed(request, [self._show_form(row) for row in self._seen("forms")])
            case "GET", ["user", "submissions"]:
                return self._submissions(request, None)
            case "GET", ["form", form]:
                return self._wrapped(self._show_form(self._form(form)))
            case "GET", ["form", form, "questions"]:
                return self._wrapped(self._form(form).fields["questions"])
            case "GET", ["form", form, "submissions"]:
                return self._submissions(request, self._form(form).id)
            case "GET", ["submission", submission]:
                return self._wrapped(self._show(self._submission(submission)))
            case "DELETE", ["submission", submission]:
                self.records.delete("submissions", self._submission(submission).id, by="api")
                return self._wrapped(f"Submission #{submission} deleted.")
            case method, ["form", form, "webhooks", *rest]:
                return self._hooks(method, self._form(form).id, rest, request)
        raise _Refused(404, f"Requested URL ({request.path}) is not available!")

    def _seen(self, stream: str) -> list[Record]:
        return [seen for record in self.records.all(stream) if (seen := self.see(record)) and not seen.deleted]

    def _form(self, form: str) -> Record:
        record = self.records.find("forms", form)
        if record is None or record.deleted:
            raise _Refused(401, f"You're not authorized to use (/form/{form})")
        return record

    def _submission(self, submission: str) -> Record:
        record = self.records.find("submissions", submission)
        seen = self.see(record) if record is not None else None
        if seen is None or seen.deleted:
            raise _Refused(404, f"There is no submission {submission}")
        return seen

    def _submissions(self, request: Request, form: str | None) -> Response:
        rows = [self._show(row) for row in self._seen("submissions") if form in (None, row.fields["form_id"])]
        return self._listed(request, rows)

    def _listed(self, request: Request, rows: list[Fields]) -> Response:
        """Filtered, ordered (newest first) and cut. What is null passes no comparison."""
        offset, limit = _whole(request, "offset", 0, 10**9), _whole(request, "limit", LIMIT_DEFAULT, LIMIT_MAX)
        order = request.first("orderby", "id")
        if order not in ORDERS:
            raise _Refused(400, f"orderby {order} is not known")
        rows = [row for row in rows if _passes(row, request.first("filter"))]
        rows.sort(key=lambda row: (str(row.get(order) or ""), row["id"]), reverse=True)
        found = rows[offset : offset + max(1, limit)]
        return self._wrapped(found, resultSet={"offset": offset, "limit": limit, "count": len(found)})

    # --- shapes ------------------------------------------------------------------------------------------------

    def _time(self, at: float) -> str:
        return datetime.fromtimestamp(int(at), ZoneInfo(self.settings["zone"])).strftime("%Y-%m-%d %H:%M:%S")

    def _show_form(self, row: Record) -> Fields:
        times = {"created_at": self._time(row.created), "updated_at": self._time(row.modified)}
        count = sum(each.fields["form_id"] == row.id for each in self._seen("submissions"))
        return {
            "id": row.id, "username": "twin", "title": row.fields["title"], "height": "539", "status": "ENABLED",
            **times, "last_submission": None, "new": "0", "count": str(count), "type": "LEGACY", "favorite": "0",
            "archived": "0", "url": f"https://form.example.com/{row.id}",
        }  # fmt: skip

    def _show(self, row: Record) -> Fields:
        return {
            "id": row.id,
            "form_id": row.fields["form_id"],
            "ip": "203.0.113.7",
            "created_at": self._time(row.created),
            "updated_at": self._time(row.modified) if row.modified != row.created else None,
            "status": row.fields["status"],
            "new": "1",
            "flag": "0",
            "notes": row.fields["notes"],
            "answers": self._show_answers(row),
        }

    def _show_answers(self, row: Record) -> Json:
        """All questions by id; `answer` is missing where nothing was answered."""
        form = self.records.find("forms", row.fields["form_id"])
        shown: Fields = {}
        for qid, question in (form.fields["questions"] if form else {}).items():
            given = row.fields["answers"].get(question["name"], row.fields["answers"].get(qid))
            entry = {name: question[name] for name in ("name", "order", "text", "type")}
            if given not in (None, ""):
                entry["answer"] = given
                if isinstance(given, dict):
                    entry["prettyFormat"] = " ".join(str(each) for each in given.values() if each)
            shown[qid] = entry
        return shown or []

    # --- webhooks ----------------------------------------------------------------------------------------------

    def _hooks(self, method: str, form: str, rest: list[str], request: Request) -> Response:
        known = self.webhooks.setdefault(form, [])
        if method == "POST" and not rest:
            url = next(iter(request.form().get("webhookURL", [""])))
            if not url.startswith(("http://", "https://")):
                raise _Refused(400, "webhookURL is not valid")
            if url not in known:
                known.append(url)
                self.hooks.add(Target(url=url, secret="", topics=(form,)))
        elif method == "DELETE" and len(rest) == 1:
            if not rest[0].isdecimal() or int(rest[0]) >= len(known):
                raise _Refused(404, "There is no such webhook")
            url = known.pop(int(rest[0]))  # those behind it move up
            for target in list(self.hooks.targets.values()):
                if (target.url, target.topics) == (url, (form,)):
                    self.hooks.remove(target.id)
        elif method != "GET" or rest:
            raise _Refused(404, f"Requested URL ({request.path}) is not available!")
        return self._wrapped({str(place): url for place, url in enumerate(known)})

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """New submissions only; edits are not told."""
        if record.stream != "submissions" or change.kind != "create":
            return []
        form, answers = record.fields["form_id"], self._show_answers(record)
        given = {qid: each for qid, each in answers.items() if "answer" in each} if isinstance(answers, dict) else {}
        raw = {f"q{qid}_{each['name']}": each["answer"] for qid, each in given.items()}
        pretty = ", ".join(f"{each['text']}:{each.get('prettyFormat', each['answer'])}" for each in given.values())
        payload = {
            "action": "", "webhookURL": "", "username": "twin", "formID": form, "type": "WEB", "customParams": "",
            "formTitle": self.records.get("forms", form).fields["title"], "submissionID": record.id,
            "ip": "203.0.113.7", "pretty": pretty,
            "rawRequest": orjson.dumps({"slug": f"submit/{form}", **raw, "event_id": f"1_{record.id}"}).decode(),
        }  # fmt: skip
        return [HookEvent(topic=form, payload=payload, at=change.at, stream="submissions", record_id=record.id)]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        lines = []
        for name, value in {**events[0].payload, "webhookURL": target.url}.items():
            lines += [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"', "", str(value)]
        body = "\r\n".join([*lines, f"--{BOUNDARY}--", ""]).encode("utf-8", "surrogatepass")
        return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    # --- people ------------------------------------------------------------------------------------------------

    def completed(self, stream: str, fields: Fields) -> Fields:
        if stream == "submissions":
            return {"status": "ACTIVE", "notes": "", **fields}
        questions = {}
        for place, (qid, question) in enumerate((fields.get("questions") or {}).items()):
            known = {"qid": str(qid), "order": str(place + 1), "text": question["name"], "type": "control_textbox"}
            questions[str(qid)] = {**known, **question}
        return {"title": "Form", **fields, "questions": questions}

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """Raises ValueError for a submission to no form."""
        if stream == "submissions" and self.records.find("forms", str(fields.get("form_id"))) is None:
            raise ValueError(f"no form {fields.get('form_id')}")
        return super().user_create(stream, fields, by)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        raise ValueError("nothing can be merged")


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.first(name) or str(default)
    if not text.isdecimal():
        raise _Refused(400, f"{name} should be a number")
    return min(int(text), most)


def _passes(row: Fields, text: str) -> bool:
    if not text:
        return True
    try:
        wanted = orjson.loads(text)
        conditions = list(wanted.items())
    except (orjson.JSONDecodeError, AttributeError):
        raise _Refused(400, "filter should be a JSON object") from None
    for key, value in conditions:
        name, _, operator = key.partition(":")
        if name == "formIDs":
            if row.get("form_id") not in value:
                return False
            continue
        held = row.get(name)
        if operator and operator not in OPERATORS:
            raise _Refused(400, f"filter operator {operator} is not known")
        if held is None or not (OPERATORS[operator](str(held), str(value)) if operator else str(held) == str(value)):
            return False
    return True


FORM = "230000000000001"
QUESTIONS = {
    "3": {"name": "name", "text": "Your name", "type": "control_fullname"},
    "4": {"name": "email4", "text": "E-mail", "type": "control_email"},
    "5": {"name": "phone5", "text": "Phone", "type": "control_phone"},
    "6": {"name": "company", "text": "Company", "type": "control_textbox"},
    "7": {"name": "likely", "text": "Would you recommend us?", "type": "control_scale"},
    "8": {"name": "stars", "text": "How was it?", "type": "control_rating"},
    "9": {"name": "address", "text": "Address", "type": "control_address"},
    "10": {"name": "newsletter", "text": "May we write to you?", "type": "control_radio"},
}


def sketch(pen: Sketch) -> None:
    """One in five people answered the survey."""
    rng = pen.rng
    pen.add("forms", FORM, pen.now - 700 * 86_400, {"title": "How are we doing?", "questions": QUESTIONS})
    for number, (person, view) in enumerate(pen.chosen(0.2)):
        address = view.address
        answers: Fields = {
            "name": {"prefix": person.salutation, "first": view.first_name, "middle": "J.",
                     "last": view.last_name, "suffix": person.suffix or ""},
            "email4": view.email.strip(),
            "phone5": {"full": person.mobile} if person.mobile and rng.random() < 0.4 else None,
            "company": view.company_name,
            "likely": str(rng.randrange(0, 11)),
            "stars": str(rng.randrange(1, 6)),
            "newsletter": "Yes" if rng.random() < 0.5 and not person.opted_out else "No",
        }  # fmt: skip
        if address:
            answers["address"] = {
                "addr_line1": address.street, "addr_line2": "", "city": address.city, "state": address.state or "-",
                "postal": address.postal_code, "country": address.country,
            }  # fmt: skip
        fields = {"form_id": FORM, "answers": answers}
        pen.add("submissions", str(59 * 10**17 + 10**9 + number), view.created, fields, person=person)


def make(**options: Json) -> TwinJotform:
    return TwinJotform(**options)


TWIN = make
