"""A system without a vendor's SDK: plain pages through the hub's door. What is left is the hub's own work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import orjson

from bench.people import START
from hub.connector import Auth, Connector, Door, Page, Settings, Stream, WebhookEvent, WebhookRequest
from hub.kit.reading import parse_time
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Api:
    """What `connect` hands out."""

    door: Door


def make(name: str, system: str, read: Callable[[dict[str, Json]], tuple[str, str]]) -> Connector:
    """The connector of one system.

    Args:
        name: as the registry knows it.
        system: as the source knows it.
        read: a record -> its id, and its last change as text.
    """

    def records(body: Json) -> list[SourceRecord]:
        found = []
        for data in body["records"]:
            external_id, changed = read(data)
            found.append(SourceRecord(external_id=external_id, data=data, stamp=parse_time(changed)))
        return found

    def pull(api: Api, _stream: str, cursor: Json) -> Page:
        at = {"at": START, "until": "", **(cursor or {})}
        asked = {"after": at["at"], "until": at["until"]}
        answer = api.door.request("GET", f"/pages/{system}", params=asked, operation="list").json()
        return Page(
            records=records(answer),
            next_cursor={"at": answer["at"], **({"until": at["until"]} if at["until"] else {})},
            complete=answer["done"],
            read_at=api.door.vendor_now(),
        )

    def split(api: Api, _stream: str, parts: int) -> list[Json]:
        found = api.door.request("GET", f"/split/{system}", params={"parts": parts}, operation="split").json()
        return [{"at": start, "until": end} for start, end in pairwise([*found["starts"], ""])]

    def fetch(api: Api, _stream: str, ids: Sequence[str]) -> list[SourceRecord]:
        return records(api.door.request("POST", f"/fetch/{system}", json={"ids": list(ids)}, operation="fetch").json())

    def push(api: Api, _stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        asked = [{"id": change.external_id, "body": dict(change.body)} for change in changes]
        answer = api.door.request("POST", f"/push/{system}", json={"changes": asked}, operation="push", writes=True)
        return [
            PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)
            for index, held in enumerate(records(answer.json()))
        ]

    stream = Stream(name="contacts", writes=frozenset({"update"}), max_batch=PAGE, page_size=PAGE)
    return Connector(
        name=name,
        title=name,
        base_url="",
        hosts=("bench.example",),
        auth=(Auth(kind="token"),),
        limits=(),
        streams=(stream,),
        connect=_connect,
        check=lambda api: {"account": system},
        discover=lambda api, stream: (),
        pull=pull,
        split=split,
        fetch=fetch,
        push=push,
        parse=_parse,
    )


def _connect(door: Door, _settings: Settings) -> Api:
    return Api(door)


def _parse(_settings: Settings, request: WebhookRequest) -> list[WebhookEvent]:
    event = orjson.loads(request.body)
    return [WebhookEvent(key=event["key"], stream="contacts", external_id=event["id"])]
