"""Bulk operations: a first load as a file of JSON lines, read piece by piece.

The file's address carries its own proof and lies at another host, so it is asked for without the token, and it is kept
in no cursor: a new process asks for it again. A piece is so many bytes, less the line that they cut; lines of a nested
connection stand behind their parent (`groupObjects`), so a piece ends before its last parent, whose rest may follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.shopify.api import MUTATION_COST, NESTED, ROOTS, ShopifyApi, ask
from hub.connector import HttpResponse
from hub.errors import RetryLater
from hub.model import Json

PIECE = 2 * 1024 * 1024  # bytes: some 4,000 customers, which is what the hub commits at once
POLLS = 20  # of an operation in one go; the budget `polls` keeps them apart
AGAIN_S = 30.0
RECENT = 10  # operations looked through for one that a dead process began
RUNNING = ("CREATED", "RUNNING")
GONE = (400, 403, 404, 410)  # of an address that has ended (seven days), or was never good
PAST_THE_END = 416


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a file."""

    nodes: Sequence[dict[str, Json]]
    end: int  # bytes of the file up to here
    is_last: bool


def start(api: ShopifyApi, stream: str) -> str | None:
    """Begin an operation over all of a stream; its id. None where the shop runs as many as it may: then pages do.

    Where it refuses and one for the same query runs, that is ours: a process began it, and died before it could say so.
    """
    text = _query(api, stream)
    document = f"""mutation Bulk($query: String!) {{
      bulkOperationRunQuery(query: $query, groupObjects: {"true" if stream in NESTED else "false"}) {{
        bulkOperation {{ id status }} userErrors {{ field message code }}
      }} }}"""
    answer = ask(api, document, {"query": text}, operation="bulk", cost=MUTATION_COST, writes=True)
    told = answer.data.get("bulkOperationRunQuery") or {}
    made = told.get("bulkOperation")
    return str(made["id"]) if made and not told.get("userErrors") else _running(api, text)


def _query(api: ShopifyApi, stream: str) -> str:
    return f"{{ {ROOTS.get(stream, stream)} {{ edges {{ node {{ {api.selections[stream].bulk} }} }} }} }}"


def _running(api: ShopifyApi, text: str) -> str | None:
    query = f"""query Bulks {{ bulkOperations(first: {RECENT}, reverse: true) {{ nodes {{ id status query }} }} }}"""
    nodes = ask(api, query, {}, operation="bulk", cost=2 + RECENT).data["bulkOperations"]["nodes"]
    return next((str(each["id"]) for each in nodes if each["status"] in RUNNING and each["query"] == text), None)


def is_ready(api: ShopifyApi, operation: str) -> bool:
    """Wait for an operation a while. False: it failed, was cancelled, ended unfinished, or is not known any more.

    Raises RetryLater SHOPIFY-BULK while it is under way.
    """
    if operation in api.files:
        return True
    text = "query Bulk($id: ID!) { bulkOperation(id: $id) { status errorCode url fileSize } }"
    for _ in range(POLLS):
        told: Mapping[str, Json] | None = ask(api, text, {"id": operation}, operation="poll", cost=1).data[
            "bulkOperation"
        ]
        if told is None or told["status"] not in (*RUNNING, "COMPLETED"):
            return False
        if told["status"] == "COMPLETED":
            api.files[operation] = (str(told["url"] or ""), int(told["fileSize"] or 0))
            return True
    message = "the bulk operation is still under way"
    raise RetryLater(message, after_s=AGAIN_S, code="SHOPIFY-BULK", where=api.door.account)


def rows_from(api: ShopifyApi, stream: str, operation: str, start_at: int) -> Rows | None:
    """The piece of an operation's file that begins at this byte; None if the file is gone, or not in order.

    Raises RetryLater if it holds what is no JSON, or is shorter than it was said to be.
    """
    address, size = api.files[operation]
    if start_at >= size:  # nothing matched, or all was read
        return Rows((), start_at, True)
    wanted = PIECE
    while True:
        last = min(start_at + wanted, size) - 1
        answer = api.door.request(
            "GET", address, operation="file", headers={"Range": f"bytes={start_at}-{last}"},
            expect=(*GONE, PAST_THE_END), signed=False,
        )  # fmt: skip
        if answer.status in GONE:
            del api.files[operation]
            return None
        data = answer.body[start_at : last + 1] if answer.status == 200 else answer.body
        if answer.status == PAST_THE_END or len(data) != last + 1 - start_at:
            message = "the file is not as long as it was said to be"
            raise RetryLater(message, code="NET-CUT", where=f"{api.door.account}/{stream}")
        found = _whole(stream, answer, data, is_last=last + 1 == size)
        if found is None:
            return None
        nodes, used = found
        if used:
            return Rows(nodes, start_at + used, start_at + used == size)
        wanted *= 2  # one object alone is larger


def _whole(
    stream: str, answer: HttpResponse, data: bytes, *, is_last: bool
) -> tuple[list[dict[str, Json]], int] | None:
    """The objects that are whole in these bytes, and how many bytes they take; None if a line lies off its parent."""
    nodes: list[dict[str, Json]] = []
    before_last = used = 0  # bytes up to the last parent, and up to the last line
    for line in _lines(data, is_last=is_last):
        row = HttpResponse(status=answer.status, headers={}, body=line, at=answer.at).json()
        parent = row.pop("__parentId", None)
        if parent is None:
            before_last = used
            nodes.append(row)
        elif nodes and nodes[-1].get("id") == parent:
            nodes[-1].setdefault(NESTED[stream][0], []).append(row)
        else:
            return None
        used += len(line)
    if is_last or stream not in NESTED or not nodes:
        return nodes, used
    return nodes[:-1], before_last


def _lines(data: bytes, *, is_last: bool) -> Iterator[bytes]:
    """Lines with their ends; one that is cut off at the end of the bytes is left out, unless the file ends there."""
    lines = data.splitlines(keepends=True)
    if lines and not is_last and not lines[-1].endswith(b"\n"):
        lines.pop()
    yield from lines
