"""Lists of the HubSpot twin (the vendor's pages call them segments), and who stands on them.

A membership is a record of its own, "<list>:<contact>", so that people put somebody on a list and take him off as they
do anything else.
"""

from __future__ import annotations

from typing import Any

from hub.twins.hubspot_objects import Refusal
from hub.twins.hubspot_paths import Call, not_found, row_limit
from hub.twins.hubspot_schema import render_time
from hub.twins.kit import Fields, Record, Response, Twin

Json = Any

STREAMS = ("lists", "list_members")
SEARCH_ROWS, SEARCH_CAP, MEMBER_ROWS = 500, 10_000, 250  # fact sheet, "Reading"
BY_HAND = ("MANUAL", "SNAPSHOT")  # only these take members by the API (fact sheet, "Writing")


class Lists:
    """Answers calls about lists. Callers hold the twin's lock."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def find(self, list_id: str) -> Record:
        """A list that is there. Raises Refusal."""
        record = self._twin.records.find("lists", list_id)
        if record is None or record.deleted:
            raise not_found()
        return record

    def members(self, list_id: str) -> list[Record]:
        """Who stands on it, in the order of their ids."""
        rows = [row for row in self._twin.records.all("list_members") if str(row.fields["listId"]) == list_id]
        seen = [self._twin.see(row) for row in rows]
        return sorted((row for row in seen if row and not row.deleted), key=lambda row: int(row.fields["recordId"]))

    def search(self, call: Call) -> Response:
        body = call.request.json()
        count, offset = int(body.get("count") or 20), int(body.get("offset") or 0)
        if not 0 < count <= SEARCH_ROWS or offset + count > SEARCH_CAP:
            raise Refusal(400, "VALIDATION_ERROR", f"count may be {SEARCH_ROWS} at most, offset {SEARCH_CAP}")
        wanted, kinds = str(body.get("query") or "").lower(), body.get("processingTypes") or []
        found = [
            row
            for row in self._twin.records.all("lists")
            if not row.deleted
            and wanted in str(row.fields["name"]).lower()
            and (not kinds or row.fields["processingType"] in kinds)
        ]
        page = found[offset : offset + count]
        answer = {
            "lists": [self._about(row) for row in page],
            "offset": offset + len(page),
            "hasMore": offset + len(page) < len(found),
            "total": len(found),
        }
        return Response.json(answer, rows=len(page))

    def one(self, call: Call) -> Response:
        return Response.json({"list": self._about(self.find(call.parts[0]))}, rows=1)

    def memberships(self, call: Call) -> Response:
        """A page of members by id; `after` is the last one."""
        limit = row_limit(call.request, 100, MEMBER_ROWS)
        after = int(call.request.first("after") or 0)
        found = [row for row in self.members(self.find(call.parts[0]).id) if int(row.fields["recordId"]) > after]
        answer: dict[str, Json] = {
            "results": [
                {"recordId": str(row.fields["recordId"]), "membershipTimestamp": render_time(row.created)}
                for row in found[:limit]
            ]
        }
        if len(found) > limit:
            answer["paging"] = {"next": {"after": str(found[limit - 1].fields["recordId"])}}
        return Response.json(answer, rows=len(answer["results"]))

    def add(self, call: Call) -> Response:
        """Put contacts on a list that is kept by hand."""
        record = self.find(call.parts[0])
        if record.fields["processingType"] not in BY_HAND:
            raise Refusal(400, "VALIDATION_ERROR", f"List {record.id} is dynamic; its members are computed")
        there = {str(row.fields["recordId"]) for row in self.members(record.id)}
        ids = [str(each) for each in call.request.json()]
        missing = [each for each in ids if self._twin.records.find("contacts", each) is None]
        added = [each for each in dict.fromkeys(ids) if each not in there and each not in missing]
        for each in added:
            member = f"{record.id}:{each}"
            fields: Fields = {"listId": record.id, "recordId": each}
            if self._twin.records.find("list_members", member) is None:
                self._twin.records.create("list_members", fields, by="api", id=member)
            else:
                self._twin.records.restore("list_members", member, by="api")
        return Response.json({"recordsIdsAdded": added, "recordIdsMissing": missing, "recordIdsRemoved": []})

    def remove(self, call: Call) -> Response:
        record = self.find(call.parts[0])
        if record.fields["processingType"] not in BY_HAND:
            raise Refusal(400, "VALIDATION_ERROR", f"List {record.id} is dynamic; its members are computed")
        ids = {str(each) for each in call.request.json()}
        gone = [row for row in self.members(record.id) if str(row.fields["recordId"]) in ids]
        for row in gone:
            self._twin.records.delete("list_members", row.id, by="api")
        removed = [str(row.fields["recordId"]) for row in gone]
        return Response.json({"recordsIdsAdded": [], "recordIdsMissing": [], "recordIdsRemoved": removed})

    def _about(self, row: Record) -> dict[str, Json]:
        return {
            "listId": row.id,
            "name": row.fields["name"],
            "objectTypeId": row.fields.get("objectTypeId", "0-1"),
            "processingType": row.fields["processingType"],
            "processingStatus": "COMPLETE",
            "createdAt": render_time(row.created),
            "updatedAt": render_time(row.modified),
            "additionalProperties": {"hs_list_size": str(len(self.members(row.id)))},
        }
