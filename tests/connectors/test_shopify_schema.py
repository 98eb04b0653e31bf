"""Every document that the Shopify connector sends is valid in the schema that Shopify publishes, and in the twin's.

The published schema is the file `admin_<version>.json.gz` of the npm package `@shopify/dev-mcp` (folder `dist/data`),
put into a folder `shopify` of the specs (see `specs_of`); without it those tests are skipped.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_client_schema,
    get_named_type,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from connectors.shopify import CONNECTOR
from hub.model import Json
from hub.twins.kit import Request
from hub.twins.shopify import TwinShopify
from hub.twins.shopify_graph import Graph
from hub.verify.certify.stand import candidate
from hub.verify.certify.suite import SUITE, certify
from tests.connectors.doors import Desk, desk, twin_clock
from tests.connectors.specs import Recorder, specs_of
from tests.connectors.test_shopify import add, create, gid, load, push, update

VERSION = "2026-10"
BONN = {"city": "Bonn", "countryCode": "DE"}
ENOUGH = (
    *("every record once", "incremental = full", "a record by id is that of the list", "a connection is named"),
    *("an update is what is stored", "a lost create is settled to one record", "the live fields are told"),
)
KINDS = (
    *("query Page", "query Some", "query Who", "query Check", "query Defined", "query Hooks", "query Addresses"),
    *("mutation Bulk", "query Bulk(", "query Bulks", "{ abandonedCheckouts { edges"),
    *("mutation Hook", "customerUpdate", "customerEmailMarketingConsentUpdate"),
)


def tour(recorder: Any) -> None:
    """All that the connector can ask for, besides what a certification asks."""
    with desk(CONNECTOR, recorder, streams={"customers": {"fields": ["metafields.loyalty.tier", "email"]}}) as shop:
        _tour(shop)
    with desk(CONNECTOR, recorder) as shop:
        _tour(shop)
    with desk(CONNECTOR, recorder, values={"bulk_from": 1}) as shop:
        for stream, fields in (("orders", {}), ("checkouts", {}), ("products", {"title": "Tea"})):
            shop.twin.user_create(stream, fields)
        recorder.settings["bulk_at_once"] = 0  # refused, and so looked for among those that run
        shop.pull_all("customers")
        recorder.settings["bulk_at_once"] = 5
        for stream in ("customers", "orders", "checkouts", "products"):
            shop.pull_all(stream)


def _tour(shop: Desk) -> None:
    load(shop, 3) if not shop.twin.snapshot("customers") else []
    shop.advance(3600.0)
    CONNECTOR.check(shop.api)
    for stream in CONNECTOR.streams:
        CONNECTOR.discover(shop.api, stream.name)
        _, cursor, _ = shop.pull_all(stream.name)
        shop.pull_all(stream.name, cursor)
        shop.fetch(stream.name, [gid(1, stream.name.title().removesuffix("s"))])
    assert CONNECTOR.subscribe is not None
    for _ in range(2):
        CONNECTOR.subscribe(shop.api, "https://hub.example.com/hooks/shopify")
    who = add(
        shop, firstName="Ada", email=f"ada{shop.calls()}@example.org", addresses=[{"city": "Bonn", "countryCode": "DE"}]
    )
    for name, value in (("email", "ada@example.org"), ("phone", "+4930111"), ("hubId", "acme:1"), ("id", who)):
        shop.find("customers", name, value)
    number = shop.calls()
    push(shop, create(f"acme:{number}", firstName="Bo", email=f"bo{number}@example.org"))
    push(
        shop,
        update(who, firstName="Ada", note=None),
        update(who, emailMarketingConsent={"marketingState": "UNSUBSCRIBED"}),
        update(who, addresses=[{"address1": "1 Road", "city": "Rome", "countryCode": "IT"}]),
    )


@pytest.fixture(scope="module")
def asked() -> list[dict[str, Json]]:
    """Bodies of all calls, each kind once."""
    recorders = [Recorder(TwinShopify(clock=twin_clock(), auto_hooks=False))]
    tour(recorders[0])

    def record(twin: object) -> Recorder:
        recorders.append(Recorder(twin))
        return recorders[-1]

    assert certify(candidate("shopify"), [each for each in SUITE if each.name in ENOUGH], wrap=record).ok
    bodies = [body for each in recorders for request in each.asked if (body := _document(request))]
    bodies += [{"query": query} for body in bodies if (query := (body.get("variables") or {}).get("query"))]
    return list({str(body["query"]): body for body in bodies}.values())


def _document(request: Request) -> dict[str, Json] | None:
    return orjson.loads(request.body) if request.path.endswith("graphql.json") else None


@pytest.fixture(scope="module")
def published() -> GraphQLSchema:
    path: Path = specs_of("shopify") / f"admin_{VERSION}.json.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the specs of shopify")
    return build_client_schema(orjson.loads(gzip.decompress(path.read_bytes()))["data"], assume_valid=True)


def problems(schema: GraphQLSchema, asked: list[dict[str, Json]]) -> Iterator[str]:
    for body in asked:
        node = parse(body["query"])
        faults = validate(schema, node)
        yield from (f"{fault.message}: {body['query'][:80]}" for fault in faults)
        for each in node.definitions if not faults else ():
            if isinstance(each, OperationDefinitionNode):
                found = get_variable_values(schema, each.variable_definitions or (), body.get("variables") or {})
                if isinstance(found, list):
                    yield from (f"{fault.message}: {body['query'][:80]}" for fault in found)


def test_the_tour_meets_every_kind_of_document(asked: list[dict[str, Json]]) -> None:
    texts = " ".join(str(body["query"]) for body in asked)
    for word in KINDS:
        assert word in texts, word


def test_every_document_is_valid_in_the_twins_schema(asked: list[dict[str, Json]]) -> None:
    assert list(problems(Graph({}).schema, asked)) == []


def test_every_document_is_valid_in_the_schema_that_shopify_publishes(
    asked: list[dict[str, Json]], published: GraphQLSchema
) -> None:
    assert list(problems(published, asked)) == []


def test_the_twins_schema_is_a_part_of_the_published_one(published: GraphQLSchema) -> None:
    """Each type, field and argument of ours is there, and of the same type."""
    wrong = []
    for name, mine in Graph({}).schema.type_map.items():
        theirs = published.type_map.get(RENAMED.get(name, name))
        if name.startswith("__") or name in OUR_OWN:
            continue
        if type(theirs) is not type(mine):
            wrong.append(f"{name} is {theirs and type(theirs).__name__}")
        elif isinstance(mine, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, value in mine.fields.items():
                other = getattr(theirs, "fields", {}).get(field)
                wrong += _unlike(f"{name}.{field}", value, other)
                for argument, given in getattr(value, "args", {}).items():
                    wrong += _unlike(f"{name}.{field}({argument})", given, other and other.args.get(argument))
    assert wrong == [], "\n".join(wrong)


RENAMED = {"Query": "QueryRoot", "CustomerSetErrorCode": "CustomerSetUserErrorCode"}
OUR_OWN = ("CodedUserError",)  # one for the many error types of the vendor, which have the same fields


def _unlike(place: str, mine: Any, theirs: Any) -> list[str]:
    """A text where an enum is (the same on the wire) and errors of another name are alike."""
    if theirs is None:
        return [f"{place}: is not there"]
    ours, vendors = get_named_type(mine.type), get_named_type(theirs.type)
    same = RENAMED.get(ours.name, ours.name) == vendors.name
    same |= ours.name == "String" and isinstance(vendors, GraphQLEnumType)
    same |= ours.name in OUR_OWN and vendors.name.endswith("UserError")
    shape = str(mine.type).replace(ours.name, "") == str(theirs.type).replace(vendors.name, "")
    shape |= place.startswith("Query.") and f"{mine.type}!" == str(theirs.type)  # a refused part: null there, at ours
    return [] if same and shape else [f"{place}: {mine.type} is {theirs.type}"]
