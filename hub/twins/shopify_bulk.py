"""Bulk operations: a query that runs by itself and leaves a file of JSON lines, to be fetched without a token.

A line is one object. What a nested connection gave are lines of their own, with the parent's id as `__parentId`; only
with `groupObjects` do they follow their parent. The file lies in a store of its own, at a signed address that is good
for seven days, and is handed out by ranges of bytes as well (RFC 9110, section 14).

Source: vendor docs, "Perform bulk operations"; schema 2026-10; the fact sheet's section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute_sync,
    get_named_type,
    parse_value,
    visit,
)
from graphql.language.ast import ArgumentNode, NameNode

from hub.twins.kit import Request, Response
from hub.twins.records import Fields
from hub.twins.shopify_listing import EVERYTHING, Visit, page_of_list
from hub.twins.shopify_values import gid, parse_time, utc_text

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify
    from hub.twins.shopify_graph import Graph

Json = Any
Info = Any  # GraphQLResolveInfo; its `context` is the Visit

STORE = "https://storage.googleapis.com"
FOLDER = "/shopify-tiers-assets-prod-us-east1/"
LIFE_S = 7 * 86_400.0  # of an address
CONNECTIONS, NESTED = 5, 2  # at most (vendor docs)
RUNNING, WELL = ("CREATED", "RUNNING"), "COMPLETED"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(kw_only=True)
class Operation:
    """One bulk query, and what came of it."""

    number: str
    query: str
    grouped: bool
    document: DocumentNode
    created: float
    status: str = "CREATED"
    error: str | None = None
    ended: float | None = None
    data: bytes = b""
    objects: int = 0
    roots: int = 0


@dataclass(kw_only=True)
class Bulk:
    """The operations of one shop. Settings of the twin: bulk_s, how long one takes; bulk_at_once, how many may run."""

    twin: TwinShopify
    graph: Callable[[], Graph]
    operations: list[Operation] = field(default_factory=list)

    def begin(self, query: str, *, grouped: bool) -> tuple[Operation | None, list[Fields]]:
        """A new operation, or why there is none."""
        self.settle()
        most = int(self.twin.settings["bulk_at_once"])
        if sum(each.status in RUNNING for each in self.operations) >= most:
            code = "OPERATION_IN_PROGRESS" if most == 1 else "LIMIT_REACHED"
            message = "A bulk query operation for this app and shop is already in progress."
            return None, [{"field": None, "message": message, "code": code}]
        document = self.graph().document(query)
        if document.node is None or document.errors or document.is_mutation:
            message = document.errors[0]["message"] if document.errors else "Invalid query"
            return None, [{"field": ["query"], "message": message, "code": "INVALID"}]
        if problem := _unfit(self.graph().schema, document.node):
            return None, [{"field": ["query"], "message": problem, "code": "INVALID"}]
        made = Operation(
            number=self.twin.next_number(), query=query, grouped=grouped, document=document.node,
            created=self.twin.now(),
        )  # fmt: skip
        self.operations.append(made)
        return made, []

    def settle(self) -> None:
        """End what has run long enough."""
        for each in self.operations:
            due = each.created + float(self.twin.settings["bulk_s"])
            if each.status in RUNNING and self.twin.now() >= due:
                self._run(each, due)
            elif each.status == "CREATED":
                each.status = "RUNNING"

    def _run(self, each: Operation, at: float) -> None:
        schema = self.graph().schema
        found = execute_sync(schema, _unpaged(schema, each.document), {}, Visit(self.twin))
        each.ended = at
        if found.errors:
            each.status = "FAILED"
            denied = any((error.extensions or {}).get("code") == "ACCESS_DENIED" for error in found.errors)
            each.error = "ACCESS_DENIED" if denied else "INTERNAL_SERVER_ERROR"
            return
        lines = list(_lines(found.data or {}, None))
        if not each.grouped:  # children of a parent may stand anywhere; parents do come in their order
            lines = [*(one for one in lines if "__parentId" not in one), *(one for one in lines if "__parentId" in one)]
        each.status, each.objects = WELL, len(lines)
        each.roots = sum("__parentId" not in one for one in lines)
        each.data = b"".join(orjson.dumps(one) + b"\n" for one in lines)

    def fail(self, status: str, error: str | None) -> None:
        """Whatever runs, or is done, ends badly; of its data half is there."""
        self.settle()
        for each in self.operations:
            each.status, each.error, each.ended = status, error, self.twin.now()
            each.data = each.data[: len(each.data) // 2]

    def show(self, each: Operation) -> Fields:
        url = (
            f"{STORE}{FOLDER}{each.number}.jsonl?Expires={int((each.ended or 0) + LIFE_S)}&Signature=twin{each.number}"
        )
        return {
            "__typename": "BulkOperation",
            "id": gid("BulkOperation", each.number),
            "type": "QUERY",
            "status": each.status,
            "errorCode": each.error,
            "query": each.query,
            "createdAt": utc_text(each.created),
            "completedAt": utc_text(each.ended) if each.ended is not None and each.status == WELL else None,
            "objectCount": str(each.objects),
            "rootObjectCount": str(each.roots),
            "fileSize": str(len(each.data)) if each.data else None,
            "url": url if each.status == WELL and each.data else None,
            "partialDataUrl": url if each.status != WELL and each.data else None,
        }

    def download(self, request: Request) -> Response:
        """The file, or the bytes of it that were asked for."""
        number = request.path.removeprefix(FOLDER).removesuffix(".jsonl")
        found = next((each for each in self.operations if each.number == number and each.data), None)
        if found is None or request.first("Signature") != f"twin{number}":
            return _refused(403, "SignatureDoesNotMatch")
        if self.twin.now() >= float(request.first("Expires") or 0):
            return _refused(400, "ExpiredToken")
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        headers = {"Content-Type": "application/x-ndjson", "Accept-Ranges": "bytes"}
        if asked is None:
            return Response(headers=headers, body=found.data)
        start = int(asked[1])
        end = min(int(asked[2]) if asked[2] else len(found.data) - 1, len(found.data) - 1)
        if start > end:
            return _refused(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end}/{len(found.data)}"
        return Response(status=206, headers=headers, body=found.data[start : end + 1])


def _refused(status: int, code: str) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>".encode()
    return Response(status=status, headers={"Content-Type": "application/xml; charset=UTF-8"}, body=body)


# --- the query ---------------------------------------------------------------------------------------------------


class _Connections(Visitor):
    """Visits connections: counts them, how deep they lie, and whether the parents of inner ones show their ids."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.count = self.depth = self.deepest = 0
        self.nameless = False

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if not self._is_connection():
            return
        self.count += 1
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        asked = _plain_fields(node)
        inner = any(each.selection_set and "edges" in _names(each) for each in asked)
        if inner and not any(each.name.value == "id" and each.alias is None for each in asked):
            self.nameless = True

    def leave_field(self, *_: Any) -> None:
        if self._is_connection():
            self.depth -= 1

    def _is_connection(self) -> bool:
        kind = self.types.get_type()
        return kind is not None and get_named_type(kind).name.endswith("Connection")


def _names(node: FieldNode) -> list[str]:
    selections = node.selection_set.selections if node.selection_set else ()
    return [each.name.value for each in selections if isinstance(each, FieldNode)]


def _plain_fields(connection: FieldNode) -> list[FieldNode]:
    """Fields asked of a connection's nodes: ``edges { node { … } }``."""
    found: list[Any] = [connection]
    for name in ("edges", "node"):
        found = [
            each
            for node in found
            for each in (node.selection_set.selections if node.selection_set else ())
            if isinstance(each, FieldNode) and each.name.value == name
        ]
    return [
        each
        for node in found
        for each in (node.selection_set.selections if node.selection_set else ())
        if isinstance(each, FieldNode)
    ]


def _unfit(schema: GraphQLSchema, document: DocumentNode) -> str:
    """Why a query cannot be a bulk operation; "" if it can."""
    roots = [
        each.name.value
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        for each in definition.selection_set.selections
        if isinstance(each, FieldNode)
    ]
    if {"node", "nodes"} & set(roots):
        return "Bulk queries cannot contain a top-level `node` or `nodes` field."
    types = TypeInfo(schema)
    found = _Connections(types)
    visit(document, TypeInfoVisitor(types, found))
    if not found.count:
        return "Bulk queries must contain at least one connection."
    if found.count > CONNECTIONS:
        return f"Bulk queries cannot contain more than {CONNECTIONS} connections."
    if found.deepest > NESTED:
        return f"Bulk queries cannot contain connections with a nesting depth greater than {NESTED}."
    if found.nameless:
        return "The parent 'node' field for a nested connection must select the 'id' field without an alias."
    return ""


class _Unpaged(Visitor):
    """Every connection whole, whatever its `first` says."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        kind = self.types.get_type()
        if kind is None or not get_named_type(kind).name.endswith("Connection"):
            return None
        others = [each for each in node.arguments or () if each.name.value not in ("first", "last", "after", "before")]
        first = ArgumentNode(name=NameNode(value="first"), value=parse_value(str(EVERYTHING)))
        return FieldNode(
            alias=node.alias, name=node.name, arguments=(*others, first), directives=node.directives,
            selection_set=node.selection_set,
        )  # fmt: skip


def _unpaged(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    types = TypeInfo(schema)
    changed: DocumentNode = visit(document, TypeInfoVisitor(types, _Unpaged(types)))
    return changed


def _lines(owner: Json, parent: str | None) -> Iterator[Fields]:
    """The objects of all connections in an answer, each parent before its children."""
    for value in owner.values():
        if not _is_page(value):
            continue
        for edge in value["edges"]:
            node: Fields = edge["node"]
            line = {name: inner for name, inner in node.items() if not _is_page(inner)}
            yield line if parent is None else {**line, "__parentId": parent}
            yield from _lines(node, node.get("id"))


def _is_page(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("edges"), list)


# --- resolvers ---------------------------------------------------------------------------------------------------


def _run_query(_: Json, info: Info, query: str, groupObjects: bool) -> Fields:  # noqa: N803 (the vendor's name)
    bulk: Bulk = info.context.twin.bulk
    made, refusals = bulk.begin(query, grouped=groupObjects)
    return {"bulkOperation": bulk.show(made) if made else None, "userErrors": refusals}


def _operation(_: Json, info: Info, id: str) -> Fields | None:
    bulk: Bulk = info.context.twin.bulk
    bulk.settle()
    return next((bulk.show(each) for each in bulk.operations if gid("BulkOperation", each.number) == id), None)


def _operations(_: Json, info: Info, **arguments: Json) -> Fields:
    bulk: Bulk = info.context.twin.bulk
    bulk.settle()
    rows = [bulk.show(each) for each in bulk.operations]
    rows.sort(key=lambda row: parse_time(row["createdAt"], "UTC"), reverse=bool(arguments.get("reverse")))
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "bulkOperations")


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.bulkOperationRunQuery": _run_query,
    "Query.bulkOperation": _operation,
    "Query.bulkOperations": _operations,
}
