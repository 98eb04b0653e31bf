"""Lantern, a guest list for studios that does not exist: guests, read whole, names and notes written.

Docs: Lantern handbook, "Guests", "Being too fast". It signs in by name and password, knows no webhooks, tells no
deletes, and answers 200 to everything, also where it refuses.
"""

from collections.abc import Sequence
from functools import partial

from hub.connector import Auth, Connector, Door, Field, HttpResponse, Page, RateLimit, Stream
from hub.errors import RecordRejected
from hub.kit.paging import require_progress
from hub.kit.pushing import send_each
from hub.kit.reading import parse_epoch_ms, read_rows
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 40  # "Guests": a page, by number of the guest
KINDS = {
    "TOO_FAST": Kind.THROTTLED,
    "UNKNOWN_USER": Kind.SIGN_IN,
    "NO_GUEST": Kind.NOT_FOUND,
    "BAD_VALUE": Kind.REJECTED,
    "BROKEN": Kind.TROUBLE,
}


def _said(answer: HttpResponse) -> dict[str, Json]:
    body = answer.json() if answer.body.startswith(b"{") else {}
    return body if isinstance(body, dict) else {}


def classify(answer: HttpResponse) -> str | None:
    """`{"ok": false, "code": …}`, whatever the status."""
    said = _said(answer)
    return KINDS.get(str(said.get("code"))) if said.get("ok") is False else None


def wait_s(answer: HttpResponse) -> float | None:
    wait = _said(answer).get("waitMs")
    return None if wait is None else float(wait) / 1000.0


def check(api: Door) -> dict[str, Json]:
    studio = api.request("GET", "/studio", operation="check").json()
    return {"account": studio["no"], "name": studio["title"], "warnings": []}


def discover(api: Door, stream: str) -> list[Field]:
    return [
        Field(name="no", label="Number", type="text", writable=False, unique=True),
        Field(name="address", label="Address", type="email", writable=False),
        Field(name="given", label="Given name", type="text"),
        Field(name="family", label="Family name", type="text"),
        Field(name="mobile", label="Mobile", type="phone"),
    ]


def pull(api: Door, stream: str, cursor: Json) -> Page:
    """Everything, each time, by number; what a whole listing lacks is gone. Cursor: {"after"}; at rest {}."""
    after = (cursor or {}).get("after", "")
    rows = api.request("GET", "/guests", operation="list", params={"after": after, "size": PAGE}).json()["guests"]
    records, faults = read_rows(rows, _record, id_key="no")
    whole = (cursor or {}).get("whole", True) and not faults
    if len(rows) < PAGE:
        return Page(records=records, faults=faults, next_cursor={}, complete=True, listing_complete=whole)
    last = require_progress(after, rows[-1].get("no"), where=f"{api.account}/{stream}")
    return Page(records=records, faults=faults, next_cursor={"after": last, "whole": whole}, complete=False)


def _record(row: dict[str, Json]) -> SourceRecord:
    return SourceRecord(external_id=str(row["no"]), data=row, stamp=parse_epoch_ms(row["changedMs"]))


def fetch(api: Door, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    rows = api.request("GET", "/guests", operation="fetch", params={"only": ",".join(ids), "size": len(ids)}).json()
    found = {record.external_id: record for record in map(_record, rows["guests"])}
    return [found.get(each) or SourceRecord(external_id=each, data={}, op="delete") for each in dict.fromkeys(ids)]


def push(api: Door, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    return send_each(changes, partial(_send, api), api.now)


def _send(api: Door, index: int, change: ChangeSet) -> list[PushResult]:
    if change.op != "update":
        raise RecordRejected(f"Lantern has no {change.op}", code="REC-OP", where=api.account)
    body = {"no": change.external_id, "set": dict(change.body)}
    answer = api.request("POST", "/guests/save", operation="save", json=body, writes=True)
    held = _record(answer.json()["guest"])
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


CONNECTOR = Connector(
    name="lantern",
    title="Lantern",
    base_url="https://lantern.example",
    hosts=("lantern.example",),
    auth=(Auth(kind="basic"),),
    limits=(RateLimit(name="minute", calls=120, per_s=60.0),),  # "Being too fast"
    streams=(
        Stream(
            name="guests",
            id_path="no",
            modified_path="changedMs",
            cursor="snapshot",
            sorted=False,
            deletes="listing",
            writes=frozenset({"update"}),
            max_batch=10,
            page_size=PAGE,
            minimum={"read": PAGE, "write": 1, "fetch": 40},
        ),
    ),
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    push=push,
    classify=classify,
    wait_s=wait_s,
)
