"""Lantern as its handbook has it: everything is answered with 200, and deletes leave no trace."""

import base64

from hub.twins.kit import Fields, Json, Record, Request, Response, Twin, Window

CONNECTION = {"auth": {"kind": "basic", "username": "lantern", "password": "twin-password"}}
PEOPLE = {"guests": {"edit": "family"}}
SETTABLE = ("given", "family", "mobile")
LONGEST = 60


def refused(code: str, **more: Json) -> Response:
    return Response.json({"ok": False, "code": code, **more})


def show(row: Record) -> Fields:
    return {"no": row.id, "changedMs": int(row.modified * 1000), **row.fields}


class TwinLantern(Twin):
    name = "lantern"
    streams = ("guests",)

    def __init__(self, **options: Json) -> None:
        super().__init__(**options)
        self.window = Window(int(120 * self.settings["limit_scale"]), 60.0)

    def new_id(self, stream: str) -> str:
        return f"G{int((self.records.last_id(stream) or 'G0')[1:]) + 1:07}"

    def authorise(self, request: Request) -> Response | None:
        wanted = base64.b64encode(b"lantern:twin-password").decode()
        return None if request.headers.get("authorization") == f"Basic {wanted}" else refused("UNKNOWN_USER")

    def unauthorised(self, request: Request) -> Response:
        return refused("UNKNOWN_USER")

    def limit(self, request: Request) -> Response | None:
        wait = self.window.take(self.now())
        return refused("TOO_FAST", waitMs=int(wait * 1000) + 1) if wait else None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        return refused("TOO_FAST", **({} if retry_after_s is None else {"waitMs": int(retry_after_s * 1000)}))

    def failed(self, request: Request) -> Response:
        return refused("BROKEN")

    def route(self, request: Request) -> Response:
        if request.path == "/studio":
            return Response.json({"no": "S1", "title": "Studio of the twins"})
        if request.path == "/guests":
            return self.listed(request)
        return self.saved(request.json())

    def listed(self, request: Request) -> Response:
        after, only = request.first("after"), [each for each in request.first("only").split(",") if each]
        seen = [self.see(row) for row in self.records.all("guests")]
        rows = [row for row in seen if row is not None and not row.deleted and row.id > after]
        rows = [row for row in rows if not only or row.id in only][: int(request.first("size", "40"))]
        return Response.json({"ok": True, "guests": [show(row) for row in rows]}, rows=len(rows))

    def saved(self, given: Json) -> Response:
        row = self.records.find("guests", str(given.get("no")))
        if row is None or row.deleted:
            return refused("NO_GUEST")
        values = given["set"]
        if set(values) - set(SETTABLE) or any(
            len(str(each)) > LONGEST or "\0" in str(each) for each in values.values()
        ):
            return refused("BAD_VALUE")
        return Response.json({"ok": True, "guest": show(self.records.update("guests", row.id, values))})


def sketch(pen: Json) -> None:
    """A third of the company are guests."""
    for number, (person, view) in enumerate(pen.once(0.34), 1):
        fields = {
            "address": view.email.strip(),
            "given": view.first_name,
            "family": view.last_name,
            "mobile": person.mobile,
        }
        pen.put("guests", f"G{number:07}", (view.created, view.modified), fields, person=person)


def make(**options: Json) -> TwinLantern:
    return TwinLantern(**options)
