"""Shopify at the wire: answers that say no with HTTP 200, prices of queries, and pages that do not end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import responses
from requests import PreparedRequest

from connectors.shopify import CONNECTOR
from hub.connector import Settings
from hub.errors import NeedsReview, RecordRejected, RetryLater, SignInExpired
from hub.model import Json
from tests.connectors.doors import change, door_to

URL = "https://example.myshopify.com/admin/api/2026-10/graphql.json"
SETTINGS = Settings(values={"shop": "example"}, auth={"kind": "token", "token": "shpat_1"})
FIGURES = {"maximumAvailable": 2000.0, "currentlyAvailable": 12, "restoreRate": 100.0}


class Wire:
    """Recorded answers at the vendor's address, and what was asked."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.door = door_to(CONNECTOR, "", SETTINGS)
        self.api = CONNECTOR.connect(self.door, SETTINGS)

    def answers(self, *bodies: Json, status: int = 200) -> None:
        for body in bodies:
            self.mock.post(URL, json=body, status=status)

    def asked(self) -> list[dict[str, Json]]:
        return [orjson.loads(call.request.body or b"{}") for call in self.mock.calls]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with responses.RequestsMock() as mock:
        yield Wire(mock)


def page(count: int, *, more: bool, end: str | None = "c1", cost: int = 990, first_id: int = 1) -> Json:
    nodes = [
        {"id": f"gid://shopify/Customer/{first_id + n}", "updatedAt": "2026-11-02T08:00:00Z", "hubId": None}
        for n in range(count)
    ]
    return {
        "data": {"customers": {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": end}}},
        "extensions": {"cost": {"requestedQueryCost": cost, "throttleStatus": FIGURES}},
    }


def error(code: str, **more: Json) -> Json:
    return {"errors": [{"message": "(words)", "extensions": {"code": code, **more}}]}


def test_the_token_travels_in_shopifys_own_header(wire: Wire) -> None:
    wire.answers(page(1, more=False))
    CONNECTOR.pull(wire.api, "customers", None)
    assert wire.mock.calls[0].request.headers["X-Shopify-Access-Token"] == "shpat_1"
    assert wire.asked()[0]["variables"] == {"first": 165, "after": None, "q": None}  # an empty filter is an error there


def test_an_incremental_read_asks_from_midnight_for_customers_and_from_the_instant_for_orders(wire: Wire) -> None:
    orders = {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
    wire.answers(page(0, more=False), orders)
    for stream in ("customers", "orders"):
        CONNECTOR.pull(wire.api, stream, {"since": 1_793_606_400.0})
    assert [asked["variables"]["q"] for asked in wire.asked()] == [
        "updated_at:>='2026-11-02T00:00:00Z'",
        "updated_at:>='2026-11-02T08:00:00Z'",
    ]


@pytest.mark.parametrize(
    ("figures", "wait_s"),
    [({"throttleStatus": FIGURES, "requestedQueryCost": 52}, 0.4), ({"requestedQueryCost": 52}, 1.0), ({}, 1.0)],
)
def test_the_wait_follows_from_the_cost_figures_or_is_a_second(wire: Wire, figures: Json, wait_s: float) -> None:
    wire.answers({**error("THROTTLED"), "extensions": {"cost": figures}}, page(1, more=False))
    CONNECTOR.pull(wire.api, "customers", None)
    clock: Any = wire.door._clock
    assert wait_s <= sum(clock.slept) <= wait_s * 1.1 + 0.01


def test_a_page_that_costs_too_much_is_asked_for_smaller_and_stays_smaller(wire: Wire) -> None:
    wire.answers(error("MAX_COST_EXCEEDED", cost=1553, maxCost=1000), page(1, more=True), page(1, more=False))
    first = CONNECTOR.pull(wire.api, "customers", None)
    CONNECTOR.pull(wire.api, "customers", first.next_cursor)
    assert [asked["variables"]["first"] for asked in wire.asked()] == [165, 105, 105]


def test_where_pages_turn_out_cheap_they_grow_to_the_vendors_maximum(wire: Wire) -> None:
    wire.answers(page(1, more=True, cost=52), page(1, more=False, cost=52))
    first = CONNECTOR.pull(wire.api, "customers", None)
    CONNECTOR.pull(wire.api, "customers", first.next_cursor)
    assert [asked["variables"]["first"] for asked in wire.asked()] == [165, 250]


def test_a_repeated_cursor_stops_the_stream(wire: Wire) -> None:
    wire.answers(page(1, more=True, end="same"), page(1, more=True, end="same"))
    first = CONNECTOR.pull(wire.api, "customers", None)
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(wire.api, "customers", first.next_cursor)


def test_more_to_come_without_a_cursor_is_a_loop_too(wire: Wire) -> None:
    wire.answers(page(0, more=True, end=None))
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(wire.api, "customers", None)


def test_a_read_that_ends_where_paging_is_capped_goes_on_by_id(wire: Wire) -> None:
    at = {"since": None, "after": "c", "from": 1.0, "rows": 24_900, "id": None}
    wire.answers(page(100, more=False), page(2, more=False, first_id=5))
    capped = CONNECTOR.pull(wire.api, "customers", at)
    assert not capped.complete
    rest = CONNECTOR.pull(wire.api, "customers", capped.next_cursor)
    assert rest.complete
    asked = wire.asked()[1]
    assert asked["variables"]["q"] == "id:>0"
    assert "sortKey: ID" in asked["query"]


def test_by_id_each_full_window_begins_after_the_last_row(wire: Wire) -> None:
    at = {"since": 86_400.0 * 3, "after": "c", "from": 1.0, "rows": 24_999, "id": "0"}
    wire.answers(page(1, more=False, first_id=77), page(0, more=False))
    CONNECTOR.pull(wire.api, "customers", CONNECTOR.pull(wire.api, "customers", at).next_cursor)
    assert wire.asked()[1]["variables"]["q"] == "updated_at:>='1970-01-04T00:00:00Z' AND id:>77"


def test_a_read_that_is_only_partly_answered_is_no_read(wire: Wire) -> None:
    denied = error("ACCESS_DENIED", requiredAccess="`read_customers` access scope.")
    wire.answers({**page(3, more=False), **denied}, {"data": {"customers": None}, **denied})
    for _ in range(2):
        with pytest.raises(NeedsReview, match="read_customers"):
            CONNECTOR.pull(wire.api, "customers", None)


def test_a_row_without_id_or_time_does_not_stop_its_page(wire: Wire) -> None:
    body = page(3, more=False)
    body["data"]["customers"]["nodes"][1]["updatedAt"] = None
    wire.answers(body)
    found = CONNECTOR.pull(wire.api, "customers", None)
    assert [record.external_id for record in found.records] == ["gid://shopify/Customer/1", "gid://shopify/Customer/3"]
    assert found.faults[0]["external_id"] == "gid://shopify/Customer/2"


@pytest.mark.parametrize(
    ("status", "raised"), [(401, SignInExpired), (402, NeedsReview), (404, NeedsReview), (423, NeedsReview)]
)
def test_errors_as_a_bare_text_are_told_by_their_status(wire: Wire, status: int, raised: type[Exception]) -> None:
    wire.answers({"errors": "[API] Invalid API key or access token"}, status=status)
    with pytest.raises(raised):
        CONNECTOR.pull(wire.api, "customers", None)


def test_a_breakdown_inside_http_200_is_tried_again_by_a_read(wire: Wire) -> None:
    wire.answers(error("INTERNAL_SERVER_ERROR"), page(2, more=False))
    assert len(CONNECTOR.pull(wire.api, "customers", None).records) == 2


def test_a_login_page_is_never_an_empty_page(wire: Wire) -> None:
    for _ in range(4):
        wire.mock.post(URL, body="<!doctype html><title>Maintenance</title>")
    with pytest.raises(RetryLater, match="NET-NOT-JSON"):
        CONNECTOR.pull(wire.api, "customers", None)
    wire.mock.assert_all_requests_are_fired = False


def push(wire: Wire, *bodies: Json) -> list[Any]:
    changes = [change("update", body, f"gid://shopify/Customer/{n}") for n, body in enumerate(bodies)]
    return list(CONNECTOR.push(wire.api, "customers", changes)) if CONNECTOR.push else []


def test_a_breakdown_inside_http_200_leaves_a_write_unknown(wire: Wire) -> None:
    wire.answers(error("INTERNAL_SERVER_ERROR"))
    assert [result.outcome for result in push(wire, {"note": "a"})] == ["unknown"]


def test_a_mutation_that_the_answer_leaves_out_is_unknown(wire: Wire) -> None:
    customer = {"id": "gid://shopify/Customer/0", "updatedAt": "2026-11-02T08:00:00Z", "hubId": {"value": "h"}}
    wire.answers({"data": {"c0": {"customer": customer, "userErrors": []}, "c1": None}})
    results = push(wire, {"note": "a"}, {"note": "b"}, {"note": "c"})
    assert [result.outcome for result in results] == ["applied", "unknown", "unknown"]
    assert results[0].held.marker == "h"


def test_text_message_consent_has_a_mutation_of_its_own(wire: Wire) -> None:
    customer = {"id": "gid://shopify/Customer/0", "updatedAt": "2026-11-02T08:00:00Z"}
    wire.answers({"data": {"c0x0": {"customer": customer, "userErrors": []}}})
    (result,) = push(wire, {"smsMarketingConsent": {"marketingState": "UNSUBSCRIBED"}})
    assert result.outcome == "applied"
    (asked,) = wire.asked()
    assert "customerSmsMarketingConsentUpdate" in asked["query"]
    assert "customerUpdate" not in asked["query"]
    assert asked["variables"] == {
        "c0x0": {
            "customerId": "gid://shopify/Customer/0",
            "smsMarketingConsent": {"marketingState": "UNSUBSCRIBED"},
        }
    }


def test_values_travel_as_variables_never_in_the_text_of_the_query(wire: Wire) -> None:
    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        asked = orjson.loads(request.body or b"")
        assert 'x") { hacked' not in asked["query"]
        assert asked["variables"]["c0"]["note"] == 'x") { hacked'
        return 200, {}, orjson.dumps({"data": {"c0": {"customer": None, "userErrors": []}}})

    reply: Callable[[PreparedRequest], tuple[int, dict[str, str], bytes]] = answer
    wire.mock.add_callback(responses.POST, URL, callback=reply)
    assert [result.outcome for result in push(wire, {"note": 'x") { hacked'})] == ["applied"]


def test_without_evidence_a_refusal_stays_what_the_vendor_calls_it(wire: Wire) -> None:
    taken = {"field": ["input", "phone"], "message": "Phone has already been taken", "code": "TAKEN"}
    uncoded = {"field": ["phone"], "message": "Phone has already been taken"}
    refused = {"c0": {"customer": None, "userErrors": [taken]}, "c1": {"customer": None, "userErrors": [uncoded]}}
    wire.answers({"data": refused}, error("undefinedField"))
    results = push(wire, {"phone": "1"}, {"phone": "1"})
    assert [(result.outcome, result.code, result.field) for result in results] == [
        ("duplicate", "TAKEN", "phone"),
        ("rejected", "USER_ERROR", "phone"),
    ]


def test_a_query_that_the_schema_refuses_is_reported_with_its_code(wire: Wire) -> None:
    wire.answers(error("undefinedField", typeName="Customer", fieldName="foo"))
    with pytest.raises(RecordRejected, match="undefinedField"):
        CONNECTOR.pull(wire.api, "customers", None)
