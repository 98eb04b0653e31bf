"""Both systems as one HTTP server: just what connectors ask about contacts, from records that were encoded beforehand.

    GET  /pages/<system>?after=<key>&until=…  plain pages of 1,000 records, for the floor and for `engine`
    GET  /split/<system>?parts=<n>            keys behind which n equal parts begin
    POST /fetch/<system>, /push/<system>      by id, and writes: for `engine`
    GET  /services/data/vNN.0/queryAll/?q=…   Salesforce: keyset queries by (SystemModstamp, Id)
    GET  /crm/…/contacts?after=<place>        HubSpot: the list, 100 a page
    POST /crm/…/contacts/search               HubSpot: what changed since
    POST /change?count=<n>&turn=<n>           people change so many records, half of them in each system
    POST /edit?turn=<n>                       somebody who is in both gets another post in the first; which record
    GET  /written                             post -> when it was written to the second

It is no twin: it checks nothing and refuses nothing, so that nearly all of what is measured is the hub.
"""

from __future__ import annotations

import re
import sys
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from bench.people import START, SYSTEMS, Row, changed, draw, written
from hub.twins.kit import Request, Response
from hub.twins.server import serve

Json = Any
PLAIN_PAGE, QUERY_PAGE, LIST_PAGE, SEARCH_PAGE = 1000, 2000, 100, 200


class Shelf:
    """One system's records, in the order of their last change."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows: dict[str, Row] = {}
        self.encoded: dict[str, bytes] = {}
        self.keys: list[tuple[float, str]] = []
        self.put(rows)

    def put(self, rows: Iterable[Row]) -> None:
        """Add records, or put them in the place of what they were."""
        news = {row.id: row for row in rows}
        for record_id in news.keys() & self.rows.keys():
            del self.keys[bisect_left(self.keys, (self.rows[record_id].stamp, record_id))]
        if self.rows:
            for row in news.values():  # one by one: to sort them all again takes longer than what is measured
                insort(self.keys, (row.stamp, row.id))
        else:
            self.keys = sorted((row.stamp, row.id) for row in news.values())
        self.rows |= news
        self.encoded |= {record_id: orjson.dumps(row.data) for record_id, row in news.items()}

    def behind(self, stamp: float, record_id: str = "") -> int:
        """Place of the first record behind a key; without an id, of the first with this stamp or a later one."""
        return bisect_right(self.keys, (stamp, record_id)) if record_id else bisect_left(self.keys, (stamp, ""))

    def page(self, start: int, size: int) -> bytes:
        return b",".join(self.encoded[record_id] for _, record_id in self.keys[start : start + size])

    def all_of(self, ids: Iterable[str]) -> bytes:
        return b",".join(self.encoded[each] for each in ids if each in self.encoded)


class Source:
    """What `hub.twins.server.serve` serves: answers without the manners of a vendor."""

    name = "bench"
    base_url = ""

    def __init__(self, records: int) -> None:
        first, second = draw(records)
        self.shelves = dict(zip(SYSTEMS, (Shelf(first), Shelf(second)), strict=True))
        there = {row.data["properties"]["email"] for row in second}
        self.both = [row.id for row in first if row.data["Email"] in there]
        self.written: dict[str, float] = {}

    def now(self) -> float:
        return time.time()

    def stop(self) -> None:
        """Nothing runs beside the server."""

    def handle(self, request: Request) -> Response:
        path, system = request.path, request.path.rpartition("/")[2]
        if path.startswith("/pages/"):
            return self._plain(self.shelves[system], request.first("after", START), request.first("until", ""))
        if path.startswith("/split/"):
            return self._split(self.shelves[system], int(request.first("parts")))
        if path.startswith("/fetch/"):
            return _answer(b'{"records":[%s]}' % self.shelves[system].all_of(request.json()["ids"]))
        if path.startswith("/push/"):
            return self._push(self.shelves[system], request.json()["changes"])
        if path.startswith("/services/oauth2/"):
            return Response.json({"organization_id": "00Dxx0000000001", "user_id": "005xx0000000009"})
        if path.startswith("/services/data/"):
            return self._query(request.first("q"))
        if path.startswith("/crm/"):
            return self._search(request.json()) if system == "search" else self._list(int(request.first("after", "0")))
        if path == "/edit":
            return self._edit(int(request.first("turn")))
        if path == "/written":
            return Response.json(self.written)
        if path == "/change":
            return self._change(int(request.first("count")) // 2, int(request.first("turn")))
        return Response(status=404)

    def _split(self, shelf: Shelf, parts: int) -> Response:
        size = len(shelf.keys)
        keys = [shelf.keys[size * place // parts - 1] for place in range(1, parts)]
        return Response.json({"starts": [START, *("{!r}/{}".format(*key) for key in keys)]})

    def _plain(self, shelf: Shelf, after: str, until: str) -> Response:
        """{"records": [...], "at": key of the last one, "done": bool}"""
        stamp, _, record_id = after.partition("/")
        start, limit = shelf.behind(float(stamp), record_id), len(shelf.keys)
        if until:
            stamp, _, record_id = until.partition("/")
            limit = shelf.behind(float(stamp), record_id)
        end = min(start + PLAIN_PAGE, limit)
        last = "{!r}/{}".format(*shelf.keys[end - 1]).encode() if end > start else after.encode()
        body = b'{"records":[%s],"at":"%s","done":%s}'
        return _answer(body % (shelf.page(start, end - start), last, _bool(end == limit)))

    def _push(self, shelf: Shelf, changes: list[dict[str, Json]]) -> Response:
        shelf.put([written(shelf.rows[each["id"]], each["body"], self.now()) for each in changes])
        self.written |= {each["body"]["jobtitle"]: self.now() for each in changes if "jobtitle" in each["body"]}
        return _answer(b'{"records":[%s]}' % shelf.all_of(each["id"] for each in changes))

    def _edit(self, turn: int) -> Response:
        shelf, record_id = self.shelves[SYSTEMS[0]], self.both[turn % len(self.both)]
        shelf.put([written(shelf.rows[record_id], {"Title": f"Desk {turn}"}, self.now())])
        return Response.json({"id": record_id, "post": f"Desk {turn}"})

    def _query(self, soql: str) -> Response:
        stamps, ids = re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", soql), re.search(r"Id > '(\w+)'", soql)
        stamp = datetime.fromisoformat(stamps[0]).timestamp() if stamps else 0.0
        shelf = self.shelves["salesforce"]
        start = shelf.behind(stamp, ids[1] if ids else "")
        done = _bool(start + QUERY_PAGE >= len(shelf.keys))
        return _answer(b'{"totalSize":0,"done":%s,"records":[%s]}' % (done, shelf.page(start, QUERY_PAGE)))

    def _list(self, place: int) -> Response:
        shelf, following = self.shelves["hubspot"], place + LIST_PAGE
        paging = b',"paging":{"next":{"after":"%d"}}' % following if following < len(shelf.keys) else b""
        return _answer(b'{"results":[%s]%s}' % (shelf.page(place, LIST_PAGE), paging))

    def _search(self, body: Json) -> Response:
        shelf, first = self.shelves["hubspot"], body["filterGroups"][0]["filters"][0]
        start = shelf.behind(float(first["value"]) / 1000, "" if first["operator"] == "GTE" else "~")
        return _answer(b'{"total":%d,"results":[%s]}' % (len(shelf.keys) - start, shelf.page(start, SEARCH_PAGE)))

    def _change(self, count: int, turn: int) -> Response:
        for shelf in self.shelves.values():
            oldest = [shelf.rows[record_id] for _, record_id in shelf.keys[:count]]
            shelf.put([changed(row, turn * count + place, self.now()) for place, row in enumerate(oldest)])
        return Response.json({})


def _answer(body: bytes) -> Response:
    return Response(headers={"Content-Type": "application/json"}, body=body)


def _bool(value: bool) -> bytes:
    return b"true" if value else b"false"


def main(records: str) -> None:
    """Serve until the standard input is closed."""
    with serve(Source(int(records))) as running:  # type: ignore[arg-type]
        sys.stdout.write(running.base_url + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
