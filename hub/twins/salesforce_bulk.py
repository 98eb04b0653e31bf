"""Bulk API 2.0 of the Salesforce twin: query jobs, and their results as pages of CSV.

A job sees the rows that were there when it was made. It takes `job_s` seconds of the twin's time.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hub.twins.kit import Record, Request, Response, Twin
from hub.twins.salesforce_calls import refusal
from hub.twins.salesforce_rows import API_USER, Rows
from hub.twins.salesforce_schema import FieldFault, render_stamp, to_18
from hub.twins.salesforce_soql import SoqlFault, parse

Json = Any

# All from vendor docs, "Bulk API 2.0": queries, limits.
JOBS_A_DAY = 10_000
DAY_S = 86_400.0
KEPT_S = 7 * DAY_S
MOST_ROWS = 100_000  # of a page of results, unless asked for fewer
OPERATIONS = ("query", "queryAll")
_DELIMITERS = {"COMMA": ",", "SEMICOLON": ";", "TAB": "\t", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
_LINE_ENDS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(kw_only=True)
class _Job:
    id: str
    about: dict[str, Json]
    name: str
    fields: list[str]
    rows: list[Record]
    made: float
    ended: str = ""  # Aborted or Failed


class Bulk:
    """The query jobs of one org. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, rows: Rows) -> None:
        self._twin, self._rows = twin, rows
        self._jobs: dict[str, _Job] = {}
        self._made = 0

    @staticmethod
    def answers(resource: str) -> bool:
        """Whether the resource is one of these."""
        return resource == "jobs/query" or resource.startswith("jobs/query/")

    def forget(self) -> None:
        self._jobs.clear()

    def fail(self) -> None:
        """Every job that is there has failed."""
        for job in self._jobs.values():
            job.ended = "Failed"

    def route(self, request: Request, version: str, resource: str) -> Response:
        """Answer one call; what cannot be done is answered in the vendor's form."""
        try:
            if resource == "jobs/query":
                if request.method == "POST":
                    return self._create(request, version)
                return refusal(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")
            found = re.fullmatch(r"jobs/query/([^/]+)(/results)?", resource)
            job = self._find(found[1]) if found else None
            if found is None or job is None:
                return refusal(404, "NOT_FOUND", "The requested resource does not exist")
            if found[2]:
                return self._results(request, job)
            return self._one(request, job)
        except SoqlFault as fault:
            return refusal(400, "API_ERROR" if fault.code == "MALFORMED_QUERY" else fault.code, fault.message)
        except FieldFault as fault:
            return refusal(400, fault.code, fault.message)

    def _find(self, job_id: str) -> _Job | None:
        job = self._jobs.get(to_18(job_id))
        return job if job and job.made + KEPT_S > self._twin.now() else None

    def _one(self, request: Request, job: _Job) -> Response:
        if request.method == "GET":
            return Response.json(self._about(job))
        if request.method == "DELETE":
            if self._state(job) in ("UploadComplete", "InProgress"):
                return refusal(400, "INVALIDJOBSTATE", "the job is still being processed")
            del self._jobs[job.id]
            return Response(status=204)
        if request.method == "PATCH":
            if _object(request).get("state") != "Aborted":
                raise FieldFault("INVALIDJOBSTATE", "a query job can only be aborted")
            job.ended = "Aborted"
            return Response.json(self._about(job))
        return refusal(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")

    def _create(self, request: Request, version: str) -> Response:
        """A query without nested queries, aggregates, OFFSET and compound fields (vendor docs, "Considerations")."""
        body = _object(request)
        unknown = set(body) - {"operation", "query", "contentType", "columnDelimiter", "lineEnding"}
        if unknown:
            raise FieldFault("INVALIDJOB", f"unknown fields: {', '.join(sorted(unknown))}")
        operation, text = body.get("operation"), body.get("query")
        if operation not in OPERATIONS or not isinstance(text, str):
            raise FieldFault("INVALIDJOB", "operation must be query or queryAll, and query a text")
        delimiter, line_end = body.get("columnDelimiter", "COMMA"), body.get("lineEnding", "LF")
        if body.get("contentType", "CSV") != "CSV" or delimiter not in _DELIMITERS or line_end not in _LINE_ENDS:
            raise FieldFault("INVALIDJOB", "contentType, columnDelimiter or lineEnding is not supported")
        now = self._twin.now()
        if sum(job.made + DAY_S > now for job in self._jobs.values()) >= JOBS_A_DAY:
            raise FieldFault("EXCEEDED_JOB_LIMIT", f"more than {JOBS_A_DAY} query jobs in 24 hours")
        query = parse(text)
        name = self._rows.schema.object_name(query.source)
        if name is None:
            raise SoqlFault("INVALID_TYPE", f"sObject type '{query.source}' is not supported.")
        if query.counts or query.offset:
            raise FieldFault("FEATURE_NOT_ENABLED", "COUNT() and OFFSET are not supported in Bulk API 2.0")
        fields = self._rows.field_names(name, query.fields, query.limit)
        compound = [f for f in fields if (known := self._rows.schema.find(name, f)) and known.type == "address"]
        if compound:
            raise FieldFault(
                "FEATURE_NOT_ENABLED", f"Selecting compound data not supported in Bulk Query: {compound[0]}"
            )
        found = self._rows.run(query, name, deleted=operation == "queryAll")
        rows = [replace(row, fields=dict(row.fields)) for row in found]
        self._rows.renderer(name, fields, version)  # refuses fields that are not there
        self._made += 1
        about = {
            "operation": operation,
            "object": name,
            "createdById": API_USER,
            "createdDate": render_stamp(now),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(version),
            "lineEnding": line_end,
            "columnDelimiter": delimiter,
        }
        job_id = to_18(f"750xx{self._made:0>10}")
        job = _Job(id=job_id, about=about, name=name, fields=fields, rows=rows, made=now)
        self._jobs[job_id] = job
        return Response.json(self._about(job))

    def _state(self, job: _Job) -> str:
        if job.ended:
            return job.ended
        passed, whole = self._twin.now() - job.made, float(self._twin.settings["job_s"])
        return "JobComplete" if passed >= whole else "InProgress" if passed > 0 else "UploadComplete"

    def _about(self, job: _Job) -> dict[str, Json]:
        state = self._state(job)
        told = {"id": job.id, **job.about, "state": state, "systemModstamp": render_stamp(self._twin.now())}
        if state == "JobComplete":
            told |= {"numberRecordsProcessed": len(job.rows), "retries": 0, "totalProcessingTime": 1}
        if state == "Failed":
            told["errorMessage"] = "the query could not be processed"
        return told

    def _results(self, request: Request, job: _Job) -> Response:
        """A page: `maxRecords` rows from the one that the locator names; the locator "null" says it was the last."""
        if request.method != "GET":
            return refusal(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")
        if self._state(job) != "JobComplete":
            return refusal(400, "INVALIDJOBSTATE", "results are there once the job is complete")
        asked, locator = request.first("maxRecords", str(MOST_ROWS)), request.first("locator")
        if not asked.isdecimal() or not int(asked) or (locator and not re.fullmatch(r"MTA\d+", locator)):
            return refusal(400, "INVALID_QUERY_LOCATOR", "maxRecords or locator is not valid")
        start = int(locator[3:]) if locator else 0
        part = job.rows[start : start + min(int(asked), MOST_ROWS)]
        end = start + len(part)
        text = io.StringIO()
        sheet = csv.writer(
            text,
            delimiter=_DELIMITERS[job.about["columnDelimiter"]],
            lineterminator=_LINE_ENDS[job.about["lineEnding"]],
            quoting=csv.QUOTE_ALL,
        )
        getters = [self._rows.getter(job.name, field) for field in job.fields]
        sheet.writerow(job.fields)
        sheet.writerows([_cell(read(row)) for read in getters] for row in part)
        headers = {
            "Content-Type": "text/csv; charset=UTF-8",
            "Sforce-Locator": f"MTA{end}" if end < len(job.rows) else "null",
            "Sforce-NumberOfRecords": str(len(part)),
        }
        return Response(status=200, body=text.getvalue().encode(), headers=headers, rows=len(part))


def _cell(value: Json) -> str:
    """A value as CSV has it: nothing for null, times with Z (vendor docs, "Valid Date Format in Records")."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text[:-5] + "Z" if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+0000", text) else text


def _object(request: Request) -> dict[str, Json]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise FieldFault("JSON_PARSER_ERROR", "the body must be an object")
    return body
