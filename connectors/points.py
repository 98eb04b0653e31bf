"""Points in the hub's own ledger: a reward that is ordered from nobody.

    points: {connector: points, mode: live}

A rule gives them as it gives anything else: `give: {connection: points, product: points, amount: 100 points}`. The
ledger of rewards is the account: what a person was granted is what he has, under all names that were merged into his,
less what he used (`hub rewards points`, `hub rewards use`). So nothing can be lost here: an order is its own number.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.connector import Auth, Connector, Field, Idempotency, Page, Settings, Stream
from hub.model import ChangeSet, Json, PushResult, SourceRecord

UNIT = "points"


def connect(door: None, settings: Settings) -> None:
    """Nobody is spoken to."""


def check(api: None) -> dict[str, Json]:
    return {"account": "", "name": "the hub's own ledger", "warnings": []}


def discover(api: None, stream: str) -> list[Field]:
    """Fields of either stream."""
    names = ("id", "name") if stream == "goods" else ("productId", "denomination", "tag", "reference")
    return [Field(name=name, label=name, type="text", writable=stream != "goods") for name in names]


def pull(api: None, stream: str, cursor: Json) -> Page:
    """The one thing that can be given; what was given is in the ledger of rewards, and nowhere else."""
    row = {"id": UNIT, "name": "Points"}
    records = [SourceRecord(external_id=UNIT, data=row)] if stream == "goods" else []
    return Page(records=records, next_cursor={}, complete=True)


def push(api: None, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Points are there with the word; asked twice, they are the same."""
    return [_answer(index, change) for index, change in enumerate(changes)]


def _answer(index: int, change: ChangeSet) -> PushResult:
    if change.op == "delete":
        return PushResult(index=index, outcome="applied", external_id=change.external_id)
    wrong = change.op != "create" or not change.reference or change.values.get("currency") != UNIT
    if wrong:
        message = "points are given as an amount of points: amount: 100 points"
        return PushResult(index=index, outcome="rejected", code="POINTS-UNIT", message=message)
    return PushResult(index=index, outcome="applied", external_id=change.reference)


CONNECTOR = Connector(
    name="points",
    title="Points (the hub's own)",
    base_url="",
    hosts=(),
    auth=(Auth(kind="none"),),
    limits=(),
    streams=(
        Stream(name="goods", cursor="snapshot", sorted=False, gives="goods"),
        Stream(
            name="points",
            cursor="none",
            sorted=False,
            acts=True,
            gives="order",
            writes=frozenset({"create", "delete"}),
            max_batch=100,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="reference",
            answers_with_record=False,
        ),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    push=push,
    inside=True,
)
