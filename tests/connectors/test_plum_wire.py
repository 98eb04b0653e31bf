"""Plum at the wire: refusals in many shapes, orders that may be there already, and codes that nobody sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pytest
import responses
from requests import PreparedRequest

from connectors.plum import CONNECTOR, plain_amount, without_codes
from hub.connector import Settings
from hub.errors import NeedsReview, RecordRejected, RetryLater, SignInExpired
from hub.model import ChangeSet, Json, PushResult
from tests.connectors.doors import NOW, call_in, change, door_to

URL = "https://stagingstores.xoxoday.com/chef/v1/oauth/api"
BASE = "https://stagingstores.xoxoday.com/chef"
SETTINGS = Settings(values={"country": "usa"}, auth={"kind": "token", "token": "at-1"})
DATE = {"Date": "Mon, 02 Nov 2026 08:00:00 GMT"}

# vendor docs by way of the fact sheet, "Wire examples"
PLACED = {
    "orderId": 880001, "orderTotal": 25, "rawOrderTotal": 25, "orderDiscount": "", "discountPercent": "0",
    "currencyCode": "USD", "currencyValue": 0.014089, "amountCharged": 25, "orderStatus": "complete",
    "deliveryStatus": "delivered", "tag": "welcome-reward", "quantity": 1,
    "vouchers": [{"productId": 5671, "orderId": 880001, "voucherCode": "TEST-AB12-CD34", "pin": "9911",
                  "validity": "2027-11-02", "amount": 25, "currency": "USD", "country": "US", "type": "code"}],
    "voucherDetails": [{"orderId": 880001, "productId": 5671, "productName": "Test Shop eGift", "currencyCode": "USD",
                        "productStatus": "delivered", "denomination": 25}],
}  # fmt: skip
LISTED = {
    "orderId": 880001, "orderDate": "2026-11-02 13:30:00", "email": "kim@example.org", "deliveryStatus": "Pending",
    "tag": "welcome-reward", "poNumber": "hub-rwd-000123",
    "products": [{"productName": "Test Shop eGift", "receiverMobileNumber": "", "price": 25, "quantity": 1,
                  "orderProductStatus": "pending"}],
}  # fmt: skip
NO_HISTORY = {"code": 404, "errorId": "PLE10027", "errorInfo": "Failed to find order history", "error": "Not Found"}
NO_ORDER = {"code": 404, "errorId": "PLE10099", "errorInfo": "(words)", "error": "(words)"}
REPEATED = {"code": 422, "errorId": "PLE1XXXX", "errorInfo": "(words)", "error": "(words)"}


def answer(operation: str, data: Json) -> Json:
    return {"data": {operation: {"status": 1, "data": data}}}


class Wire:
    """A desk at Plum: each operation answers with the next of its list, the last one for ever."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.door = door_to(CONNECTOR, BASE, SETTINGS)
        self.api = CONNECTOR.connect(self.door, SETTINGS)
        self.asked: list[tuple[str, Json]] = []
        self._answers: dict[str, list[tuple[int, Json]]] = {}
        callback: Callable[[PreparedRequest], tuple[int, dict[str, str], bytes]] = self._reply
        mock.add_callback(responses.POST, URL, callback=callback)

    def will(self, operation: str, *answers: tuple[int, Json]) -> None:
        self._answers[operation] = list(answers)

    def _reply(self, request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        body = orjson.loads(request.body or b"")
        operation = body["query"].rpartition(".")[2]
        self.asked.append((operation, body["variables"]["data"]))
        left = self._answers[operation]
        status, told = left.pop(0) if len(left) > 1 else left[0]
        return status, DATE, told if isinstance(told, bytes) else orjson.dumps(told)

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Wire(mock)


def order(**more: Any) -> ChangeSet:
    body = {"productId": "5671", "denomination": 25, "email": "kim@example.org", "tag": "welcome-reward"}
    return change("create", {**body, **more}, reference="hub-rwd-000123")


def push(wire: Wire, *changes: ChangeSet) -> Sequence[PushResult]:
    assert CONNECTOR.push is not None
    return CONNECTOR.push(wire.api, "orders", changes)


# --- placing orders ----------------------------------------------------------------------------------------------


def test_an_order_goes_out_once_with_the_hubs_number(wire: Wire) -> None:
    wire.will("placeOrder", (200, answer("placeOrder", PLACED)))
    (result,) = push(wire, order(quantity=1))
    assert wire.asked == [
        (
            "placeOrder",
            {
                "productId": "5671", "quantity": 1, "denomination": 25, "email": "kim@example.org",
                "tag": "welcome-reward", "poNumber": "hub-rwd-000123", "notifyReceiverEmail": 1, "notifyAdminEmail": 0,
            },
        )
    ]  # fmt: skip
    assert (result.outcome, result.external_id) == ("applied", "880001")
    assert result.held is not None
    assert result.held.marker == "hub-rwd-000123"
    held = result.held.data
    assert (held["productId"], held["denomination"], held["quantity"], held["deliveryStatus"]) == (
        "5671", "25", "1", "delivered",
    )  # fmt: skip


def test_no_code_of_a_voucher_is_anywhere(wire: Wire) -> None:
    wire.will("placeOrder", (200, answer("placeOrder", PLACED)))
    wire.will("getOrderDetails", (200, answer("getOrderDetails", PLACED)))
    assert CONNECTOR.fetch is not None
    told = repr(push(wire, order())) + repr(CONNECTOR.fetch(wire.api, "orders", ["880001"]))
    assert "TEST-AB12-CD34" not in told
    assert "9911" not in told
    assert without_codes([{"a": {"voucherCode": "x", "pin": "y", "type": "url"}}]) == [{"a": {"type": "url"}}]


def test_a_refused_repeat_is_found_with_product_amount_and_recipient(wire: Wire) -> None:
    wire.will("placeOrder", (422, REPEATED))
    wire.will("getOrderHistory", (200, answer("getOrderHistory", [{**LISTED, "poNumber": "other"}, LISTED])))
    wire.will("getOrderDetails", (200, answer("getOrderDetails", PLACED)))
    (result,) = push(wire, order())
    assert (result.outcome, result.existing_id, result.code) == ("duplicate", "880001", "PLE1XXXX")
    assert result.held is not None
    held = result.held.data
    assert (held["productId"], held["denomination"], held["quantity"], held["email"], held["poNumber"]) == (
        "5671", "25", "1", "kim@example.org", "hub-rwd-000123",
    )  # fmt: skip
    assert wire.operations() == ["placeOrder", "getOrderHistory", "getOrderDetails"]
    assert wire.asked[1][1] == {"startDate": "2026-11-01", "endDate": "2026-11-03", "limit": 100, "page": 1}


def test_a_refusal_for_another_reason_is_looked_up_too_before_it_counts(wire: Wire) -> None:
    """The first attempt may have landed; the repeat can be out of stock."""
    wire.will("placeOrder", (422, {"code": 422, "errorId": "PLE10012", "errorInfo": "Failed to process order"}))
    wire.will("getOrderHistory", (404, NO_HISTORY), (404, NO_HISTORY), (200, answer("getOrderHistory", [LISTED])))
    wire.will("getOrderDetails", (404, NO_ORDER))
    (nothing,) = push(wire, order())
    assert (nothing.outcome, nothing.code) == ("rejected", "PLE10012")
    assert wire.asked[2] == (
        "getOrderHistory", {"startDate": "2026-09-22", "endDate": "2026-11-03", "limit": 100, "page": 1},
    )  # fmt: skip
    assert wire.asked[3] == ("getOrderDetails", {"orderId": "", "poNumber": "hub-rwd-000123", "sendMailToReceiver": 0})
    (there,) = push(wire, order())
    assert (there.outcome, there.existing_id) == ("duplicate", "880001")


def test_an_order_that_only_its_details_know_is_found(wire: Wire) -> None:
    wire.will("placeOrder", (422, REPEATED))
    wire.will("getOrderHistory", (404, NO_HISTORY))
    wire.will("getOrderDetails", (200, answer("getOrderDetails", PLACED)))
    assert [result.outcome for result in push(wire, order())] == ["duplicate"]


def test_details_of_another_order_are_not_taken_for_ours(wire: Wire) -> None:
    wire.will("placeOrder", (422, REPEATED))
    wire.will("getOrderHistory", (404, NO_HISTORY))
    wire.will("getOrderDetails", (200, answer("getOrderDetails", {**PLACED, "poNumber": "hub-rwd-000999"})))
    assert [result.outcome for result in push(wire, order())] == ["rejected"]


def test_a_refusal_that_cannot_be_looked_up_proves_nothing(wire: Wire) -> None:
    wire.will("placeOrder", (422, REPEATED))
    wire.will("getOrderHistory", (500, {"code": 500}))
    assert [result.outcome for result in push(wire, order())] == ["unknown"]


def test_the_history_is_searched_page_by_page(wire: Wire) -> None:
    others = [{**LISTED, "orderId": n, "poNumber": f"po-{n}"} for n in range(100)]
    wire.will(
        "getOrderHistory", (200, answer("getOrderHistory", others)), (200, answer("getOrderHistory", [LISTED]))
    )  # fmt: skip
    wire.will("getOrderDetails", (200, answer("getOrderDetails", PLACED)))
    assert CONNECTOR.find is not None
    (found,) = CONNECTOR.find(wire.api, "orders", "poNumber", "hub-rwd-000123")
    assert found.external_id == "880001"
    assert [data["page"] for operation, data in wire.asked if operation == "getOrderHistory"] == [1, 2]
    with pytest.raises(NeedsReview, match="PLUM-LOOKUP"):
        CONNECTOR.find(wire.api, "orders", "email", "kim@example.org")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": 500}),
        (502, {"code": 502, "errorId": "PLE10020"}),
        (200, b"<html>"),
        (200, answer("placeOrder", {})),
    ],
)
def test_an_order_without_an_honest_answer_is_unknown_and_the_next_ones_wait(
    wire: Wire, status: int, body: Json
) -> None:
    wire.will("placeOrder", (status, body))
    assert [result.outcome for result in push(wire, order(), order())] == ["unknown", "throttled"]
    assert wire.operations() == ["placeOrder"]


@pytest.mark.parametrize("status", [429, 200])
def test_a_throttled_order_was_not_placed_and_waits_as_told(wire: Wire, status: int) -> None:
    wire.will("placeOrder", (status, {"errors": [{"message": "auth.request_limit_exceeded", "penaltySeconds": 60}]}))
    (result,) = push(wire, order())
    assert (result.outcome, result.retry_after_s) == ("throttled", 60.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"code": 401, "errorId": "PIPE10013", "errorInfo": "(words)", "error": "invalid authorization header!"}),
        (200, {"success": 0, "error_message_id": "auth.token_error"}),
        (400, {"error": "invalid_token", "error_description": "invalid/expired token"}),
    ],
)
def test_a_dead_token_stops_the_connection_whatever_its_status(wire: Wire, status: int, body: Json) -> None:
    wire.will("placeOrder", (status, body))
    wire.will("getVouchers", (status, body))
    assert [result.outcome for result in push(wire, order())] == ["auth_expired"]
    with pytest.raises(SignInExpired):
        CONNECTOR.pull(wire.api, "catalogue", None)


def test_what_the_client_may_not_do_is_no_matter_of_signing_in(wire: Wire) -> None:
    wire.will("placeOrder", (401, {"code": 401, "errorId": "PLE10019", "errorInfo": "(words)"}))
    assert [result.outcome for result in push(wire, order())] == ["rejected"]


@pytest.mark.parametrize(
    ("made", "code", "field"),
    [
        (order(foo=1), "PLUM-FIELD", "foo"),
        (order(denomination=None), "PLUM-FIELD", "denomination"),
        (change("create", {"productId": "1", "denomination": 1}), "PLUM-NO-REFERENCE", ""),
        (change("create", {}, reference="x" * 101), "PLUM-NO-REFERENCE", ""),
        (change("update", {}, "880001"), "PLUM-OP", ""),
    ],
)
def test_what_is_no_order_never_leaves(wire: Wire, made: ChangeSet, code: str, field: str) -> None:
    (result,) = push(wire, made)
    assert (result.outcome, result.code, result.field) == ("rejected", code, field)
    assert wire.asked == []


# --- reading -----------------------------------------------------------------------------------------------------


def product(number: int, **more: Json) -> Json:
    return {"productId": number, "name": f"Card {number}", "lastUpdateDate": "2026-10-10 22:29:35", **more}


def test_the_catalogue_is_read_whole_until_a_short_page(wire: Wire) -> None:
    pages = [[product(n) for n in range(100)], [product(n) for n in range(100, 130)]]
    wire.will("getVouchers", *((200, answer("getVouchers", page)) for page in pages))
    first = CONNECTOR.pull(wire.api, "catalogue", None)
    second = CONNECTOR.pull(wire.api, "catalogue", first.next_cursor)
    assert [len(first.records), len(second.records)] == [100, 30]
    assert (first.complete, second.complete, second.next_cursor) == (False, True, {"page": 1})
    assert first.records[0].external_id == "0"
    assert first.records[0].stamp == 1_791_651_575.0  # 22:29:35 in GMT+5:30
    assert [data["page"] for _, data in wire.asked] == [1, 2]
    assert wire.asked[0][1]["filters"] == [{"key": "country", "value": "usa"}]


def test_nothing_found_is_an_empty_page(wire: Wire) -> None:
    nothing = {
        "code": 404,
        "errorId": "PLE10030",
        "errorInfo": "Failed to find vouchers.",
        "error": "No Vouchers Found",
    }
    wire.will("getVouchers", (404, nothing))
    assert CONNECTOR.pull(wire.api, "catalogue", {"page": 3, "from": NOW}).complete
    wire.will("getVouchers", (404, {**nothing, "errorId": "PLE10018"}))
    with pytest.raises(RecordRejected, match="PLE10018"):
        CONNECTOR.pull(wire.api, "catalogue", None)


def test_orders_are_read_by_date_a_day_wider_and_a_week_back(wire: Wire) -> None:
    wire.will("getOrderHistory", (200, answer("getOrderHistory", [LISTED])))
    page = CONNECTOR.pull(wire.api, "orders", None)
    (record,) = page.records
    assert (record.external_id, record.marker, record.stamp) == ("880001", "hub-rwd-000123", None)
    assert (record.data["deliveryStatus"], record.data["denomination"]) == ("pending", "25")
    assert page.next_cursor == {"since": NOW - 7 * 86_400.0}
    CONNECTOR.pull(wire.api, "orders", page.next_cursor)
    assert [(data["startDate"], data["endDate"]) for _, data in wire.asked] == [
        ("2015-01-01", "2026-11-03"), ("2026-10-25", "2026-11-03"),
    ]  # fmt: skip


def test_products_are_read_by_id_a_hundred_at_a_time_and_only_those(wire: Wire) -> None:
    assert CONNECTOR.fetch is not None
    wire.will("getVouchers", (200, answer("getVouchers", [product(1), product(2), product(3)])))
    found = CONNECTOR.fetch(wire.api, "catalogue", ["1", "3", "../x"])
    assert [record.external_id for record in found] == ["1", "3"]
    assert wire.asked[0][1]["includeProducts"] == "1,3"


def test_a_page_that_is_no_json_is_read_again_later(wire: Wire) -> None:
    wire.will("getVouchers", (200, b"<html>"))
    with pytest.raises(RetryLater, match="NET-NOT-JSON"):
        CONNECTOR.pull(wire.api, "catalogue", None)


@pytest.mark.parametrize(("value", "warnings"), [("120.5", []), (0, ["the balance is empty: no order can be placed"])])
def test_a_check_tells_the_balance(wire: Wire, value: Json, warnings: list[str]) -> None:
    wire.will("getBalance", (200, answer("getBalance", {"points": 9944, "value": value, "currency": "USD"})))
    told: Mapping[str, Json] = CONNECTOR.check(wire.api)
    assert told["balance"] == {"value": str(value), "currency": "USD"}
    assert told["warnings"] == warnings


@pytest.mark.parametrize(
    ("text", "plain"), [("25.00", "25"), ("25", "25"), ("0.50", "0.5"), ("1E+2", "100"), ("NaN", "NaN"), ("x", "x")]
)
def test_amounts_have_one_spelling(text: str, plain: str) -> None:
    assert plain_amount(text) == plain


# --- webhooks ----------------------------------------------------------------------------------------------------

BODY = (
    b'{"id":771234,"data":{"orderId":880001,"poNumber":"hub-rwd-000123","orderDate":"2026-11-02 13:30:00",'
    b'"deliveryStatus":"delivered"},"createdAt":"2026-11-02 13:30:05"}'
)


def test_a_message_is_only_a_hint_to_read_the_order() -> None:
    assert CONNECTOR.verify is None  # nothing is signed
    assert CONNECTOR.parse is not None
    (event,) = CONNECTOR.parse(SETTINGS, call_in(BODY, {}))
    assert (event.key, event.stream, event.external_id, event.kind, event.at) == (
        "771234:880001", "orders", "880001", "changed", None,
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":1}', b'{"id":1,"data":{"orderId":"../x"}}', BODY + b" " * 10_000])
def test_a_body_of_another_shape_is_refused(body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(SETTINGS, call_in(body, {}))
