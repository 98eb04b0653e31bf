"""The Plum twin over real HTTP: one path, one wallet, one order book."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from hub.twins.client import TwinClient, TwinRefused
from hub.twins.kit import VirtualClock
from hub.twins.plum import TwinPlum, make
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any
NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC, 13:30 at the vendor
ORDER: Json = {
    "productId": "5671",
    "quantity": 1,
    "denomination": 25,
    "email": "kim@example.test",
    "contact": "+1-8155550100",
    "tag": "welcome-reward",
    "poNumber": "hub-rwd-000123",
    "notifyReceiverEmail": 0,
    "notifyAdminEmail": 0,
}
TODAY: Json = {"startDate": "2026-11-02", "endDate": "2026-11-02", "limit": 100, "page": 1}


class Account:
    """A client as thin as can be."""

    def __init__(self, running: RunningTwin, twin: TwinPlum) -> None:
        self.base_url, self.twin = running.base_url, twin
        self.session = requests.Session()
        self.session.trust_env = False
        self.token = "twin-token"

    def call(self, operation: str, prefix: str = "/chef", **data: Json) -> requests.Response:
        kind = "query" if operation == "getBalance" else "mutation"
        body = {"query": f"plumProAPI.{kind}.{operation}", "tag": "plumProAPI", "variables": {"data": data}}
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.session.post(f"{self.base_url}{prefix}/v1/oauth/api", json=body, headers=headers, timeout=10)

    def ask(self, operation: str, **data: Json) -> Json:
        answer = self.call(operation, **data)
        assert answer.status_code == 200, answer.text
        found = answer.json()["data"][operation]
        assert found["status"] == 1
        return found["data"]

    def refused(self, operation: str, **data: Json) -> tuple[int, str]:
        answer = self.call(operation, **data)
        assert answer.json()["code"] == answer.status_code
        return answer.status_code, answer.json()["errorId"]

    def place(self, **changes: Json) -> Json:
        return self.ask("placeOrder", **{**ORDER, **changes})

    def book(self) -> list[str]:
        """The references in the order book, oldest first."""
        return [row["fields"]["poNumber"] for row in self.twin.snapshot("orders").values()]

    def money(self) -> Json:
        return self.ask("getBalance")["value"]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def account(clock: VirtualClock) -> Iterator[Account]:
    twin = make(clock=clock, auto_hooks=False)
    with serve(twin) as running:
        yield Account(running, twin)


# --- catalogue -----------------------------------------------------------------------------------------------------


def test_the_catalogue_is_paged_and_ends_with_a_404(account: Account) -> None:
    first = account.ask("getVouchers", limit=3, page=1)
    assert [product["productId"] for product in first] == [5671, 5672, 5673]
    assert len(account.ask("getVouchers", limit=3, page=2)) == 2
    assert account.refused("getVouchers", limit=3, page=3) == (404, "PLE10030")
    product = first[0]
    assert (product["name"], product["valueDenominations"], product["currencyCode"]) == (
        "Test Shop eGift",
        "10,25,50",
        "EUR",
    )
    assert (product["minValue"], product["maxValue"], product["exchangeRate"]) == (0, 0, None)
    assert product["categories"] == "Fashion,Home &amp; Living"
    assert product["lastUpdateDate"] == "2026-11-02 13:30:00"
    assert "stock" not in product
    rated = account.ask("getVouchers", limit=9, page=1, exchangeRate=1, includeProducts="5672")
    assert [(row["productId"], row["exchangeRate"]) for row in rated] == [(5672, 1.08)]


def test_a_drifting_page_repeats_a_row(account: Account) -> None:
    account.twin.set_faults(page_drift_rate=1.0)
    pages = [account.ask("getVouchers", limit=2, page=page) for page in (1, 2)]
    assert [[row["productId"] for row in page] for page in pages] == [[5671, 5672], [5672, 5673]]


@pytest.mark.parametrize(
    "key, value, found",
    [
        ("country", "usa", [5672]),
        ("country", "US", []),
        ("currencyCode", "GBP", [5674]),
        ("deliveryType", "delayed", [5673]),
        ("productName", "coffee", [5672]),
        ("minPrice", "100", [5674]),
        ("colour", "red", []),
    ],
)
def test_filters_choose_products(account: Account, key: str, value: str, found: list[int]) -> None:
    answer = account.call("getVouchers", limit=9, page=1, filters=[{"key": key, "value": value}])
    if not found:
        assert answer.json()["errorId"] == "PLE10030"
        return
    assert [row["productId"] for row in answer.json()["data"]["getVouchers"]["data"]] == found


def test_filters_are_listed(account: Account) -> None:
    groups = {group["filterGroupCode"]: group["filters"] for group in account.ask("getFilters", filterGroupCode="")}
    assert [entry["filterValue"] for entry in groups["country"]] == ["germany", "uk", "usa"]
    assert len(account.ask("getFilters", filterGroupCode="currencyCode")) == 1


def test_loaded_products_and_money_replace_those_of_a_new_account(account: Account) -> None:
    fields = {"name": "Bookshop", "currencyCode": "PLN", "countryCode": "PL", "valueDenominations": "50,100"}
    account.twin.load("catalogue", [{"id": "5671", "created": NOW, "fields": fields}])
    account.twin.load("balance", [{"id": "EUR", "created": NOW, "fields": {"amount": 40.0, "currency": "EUR"}}])
    assert [row["name"] for row in account.ask("getVouchers", limit=9, page=1)] == ["Bookshop"]
    assert account.place(denomination=50)["amountCharged"] == 11.63
    assert account.money() == 28.37
    with pytest.raises(ValueError, match="no field colour"):
        account.twin.load("catalogue", [{"id": "1", "created": NOW, "fields": {"colour": "red"}}])


# --- orders --------------------------------------------------------------------------------------------------------


def test_a_realtime_order_answers_with_its_codes_and_takes_the_money(account: Account) -> None:
    placed = account.place()
    vouchers, details = placed.pop("vouchers"), placed.pop("voucherDetails")
    assert placed == {
        "orderId": 880001,
        "poNumber": "hub-rwd-000123",
        "orderTotal": 25,
        "rawOrderTotal": 25,
        "orderDiscount": "",
        "rawOrderDiscount": "",
        "discountPercent": "0",
        "currencyCode": "EUR",
        "currencyValue": 1.0,
        "amountCharged": 25,
        "orderStatus": "complete",
        "deliveryStatus": "delivered",
        "tag": "welcome-reward",
        "quantity": 1,
    }
    assert vouchers[0]["voucherCode"].startswith("TEST-")
    assert (vouchers[0]["amount"], vouchers[0]["currency"], vouchers[0]["country"]) == (25, "EUR", "DE")
    assert (vouchers[0]["type"], vouchers[0]["pin"], vouchers[0]["validity"]) == ("code", "", "2027-11-02")
    assert details[0]["productStatus"] == "delivered"
    assert account.money() == 9975
    again = account.ask("getOrderDetails", orderId=880001, poNumber="", sendMailToReceiver=0)
    assert again["vouchers"] == vouchers


def test_a_reference_is_taken_once(account: Account) -> None:
    account.place()
    assert account.refused("placeOrder", **ORDER) == (422, "PLE1XXXX")
    assert account.refused("placeOrder", **{**ORDER, "productId": "5672"}) == (422, "PLE1XXXX")
    assert account.book() == ["hub-rwd-000123"]
    assert account.money() == 9975
    assert account.place(poNumber="hub-rwd-000124")["orderId"] == 880002


@pytest.mark.parametrize(
    "changes, status, error_id",
    [
        ({"quantity": 11}, 409, "PLE10041"),
        ({"denomination": 30}, 404, "PLE10018"),
        ({"productId": "1"}, 404, "PLE10018"),
        ({"productId": "5674", "denomination": 501}, 404, "PLE10018"),
        ({"productId": "5675"}, 422, "PLE10012"),
        ({"quantity": "many"}, 400, "PLE10001"),
        ({"quantity": 0}, 400, "PLE10001"),
        ({"contact": "030 123"}, 400, "PLE10001"),
        ({"email": "kim"}, 400, "PLE10001"),
        ({"poNumber": "x" * 101}, 400, "PLE10001"),
    ],
)
def test_what_cannot_be_ordered_costs_nothing(account: Account, changes: Json, status: int, error_id: str) -> None:
    assert account.refused("placeOrder", **{**ORDER, **changes}) == (status, error_id)
    assert account.book() == []
    assert account.money() == 10_000


def test_a_refused_reference_may_be_used_again(account: Account) -> None:
    account.refused("placeOrder", **{**ORDER, "productId": "5675"})
    assert account.place()["poNumber"] == "hub-rwd-000123"


def test_an_open_value_takes_any_amount_between_swapped_bounds(account: Account) -> None:
    placed = account.place(productId="5674", denomination=12.5, quantity=2)
    assert (placed["orderTotal"], placed["amountCharged"], placed["currencyCode"]) == (25, 29.41, "GBP")
    assert [voucher["type"] for voucher in placed["vouchers"]] == ["url", "url"]
    assert len({voucher["voucherCode"] for voucher in placed["vouchers"]}) == 2


def test_an_empty_wallet_refuses_the_order(account: Account) -> None:
    account.twin.user_edit("balance", "EUR", {"amount": 24.99})
    assert account.refused("placeOrder", **ORDER) == (422, "PLE1XXXX")
    assert account.twin.user_action("top_up", amount=0.01) == 25.0
    assert account.place()["amountCharged"] == 25
    assert account.money() == 0


def test_a_delayed_order_has_its_codes_when_its_time_has_come(account: Account, clock: VirtualClock) -> None:
    placed = account.place(productId="5673")
    assert (placed["deliveryStatus"], placed["vouchers"]) == ("pending", [])
    assert placed["voucherDetails"][0]["productStatus"] == "pending"
    assert account.ask("getOrderHistory", **TODAY)[0]["deliveryStatus"] == "Pending"
    clock.advance(2 * 86_400)
    later = account.ask("getOrderDetails", orderId=880001)
    assert (later["deliveryStatus"], len(later["vouchers"])) == ("delivered", 1)


def test_a_canceled_order_gives_the_money_back_and_keeps_its_reference(account: Account) -> None:
    account.place(productId="5673")
    account.twin.user_action("cancel_order", order="880001")
    assert account.ask("getOrderDetails", orderId=880001)["deliveryStatus"] == "canceled"
    assert account.money() == 10_000
    assert account.refused("placeOrder", **ORDER) == (422, "PLE1XXXX")
    with pytest.raises(ValueError, match="is canceled"):
        account.twin.user_action("deliver_order", order="880001")


def test_the_history_goes_by_the_vendors_days_and_shows_references(account: Account, clock: VirtualClock) -> None:
    account.place()
    clock.advance(11 * 3600)  # 19:00 UTC is half past midnight at the vendor
    account.place(poNumber="hub-rwd-000124", tag="other")
    assert [row["poNumber"] for row in account.ask("getOrderHistory", **TODAY)] == ["hub-rwd-000123"]
    both = account.ask("getOrderHistory", **{**TODAY, "endDate": "2026-11-03"})
    assert [row["poNumber"] for row in both] == ["hub-rwd-000124", "hub-rwd-000123"]
    assert both[1] == {
        "orderId": 880001,
        "orderDate": "2026-11-02 13:30:00",
        "email": "kim@example.test",
        "deliveryStatus": "Delivered",
        "tag": "welcome-reward",
        "poNumber": "hub-rwd-000123",
        "products": [
            {
                "productName": "Test Shop eGift",
                "receiverMobileNumber": "+1-8155550100",
                "price": 25,
                "quantity": 1,
                "orderProductStatus": "delivered",
            }
        ],
    }
    tagged = account.ask("getOrderHistory", **{**TODAY, "endDate": "2026-11-03", "tag": "other"})
    assert len(tagged) == 1
    assert account.refused("getOrderHistory", **{**TODAY, "page": 2}) == (404, "PLE10027")
    assert account.refused("getOrderHistory", startDate="02-11-2026", endDate="2026-11-02") == (400, "PLE10032")


def test_the_history_may_lag_but_the_reference_holds(account: Account, clock: VirtualClock) -> None:
    account.twin.set_faults(index_lag_s=60.0)
    account.place()
    assert account.refused("getOrderHistory", **TODAY) == (404, "PLE10027")
    assert account.refused("placeOrder", **ORDER) == (422, "PLE1XXXX")
    clock.advance(61)
    assert len(account.ask("getOrderHistory", **TODAY)) == 1


def test_an_order_is_found_by_its_reference_only_where_that_is_switched_on(account: Account) -> None:
    account.place()
    asked = {"poNumber": "hub-rwd-000123"}
    assert account.refused("getOrderDetails", **asked) == (404, "PLE10027")
    assert account.refused("getOrderDetails", orderId=880001, poNumber="other") == (404, "PLE10027")
    account.twin.settings["details_by_po"] = True
    assert account.ask("getOrderDetails", **asked)["orderId"] == 880001


# --- faults, limits, sign-in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault, booked", [("error_after", 1), ("error_before", 0)])
def test_a_500_tells_nothing_about_the_order(account: Account, fault: str, booked: int) -> None:
    account.twin.set_faults(script=[{"match": "POST /chef/v1/oauth/api", "fault": fault}])
    assert account.call("placeOrder", **ORDER).status_code == 500
    assert len(account.book()) == booked


def test_a_lost_answer_and_a_late_order_leave_one_order_each(account: Account, clock: VirtualClock) -> None:
    account.twin.set_faults(script=[{"fault": "timeout_after"}, {"fault": "lands_late"}], late_apply_s=60.0)
    for reference in ("a", "b"):
        with pytest.raises(requests.ConnectionError):
            account.place(poNumber=reference)
    assert account.book() == ["a"]
    account.place(poNumber="b")
    clock.advance(61)
    assert account.money() == 9950  # the late repeat of b was refused
    assert account.book() == ["a", "b"]


def test_a_row_fault_is_a_product_out_of_stock(account: Account) -> None:
    account.twin.set_faults(script=[{"fault": "reject"}])
    assert account.refused("placeOrder", **ORDER) == (422, "PLE10012")
    assert account.place()["orderStatus"] == "complete"


def test_each_operation_has_its_own_limit_and_its_penalty_is_served_in_full(clock: VirtualClock) -> None:
    twin = make(clock=clock, limit_scale=1, auto_hooks=False)
    with serve(twin) as running:
        account = Account(running, twin)
        for _ in range(10):
            assert account.call("getBalance").status_code == 200
        refused = account.call("getBalance")
        assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)
        assert refused.json() == {"errors": [{"message": "auth.request_limit_exceeded", "penaltySeconds": 60}]}
        assert account.call("getFilters").status_code == 200
        clock.advance(59)
        assert account.call("getBalance").json()["errors"][0]["penaltySeconds"] == 1
        clock.advance(1)
        assert account.call("getBalance").status_code == 200


def test_the_catalogue_may_be_read_500_times_a_day(clock: VirtualClock) -> None:
    twin = make(clock=clock, limit_scale=1, auto_hooks=False)
    with serve(twin) as running:
        account = Account(running, twin)
        for _ in range(10):
            for _ in range(50):
                assert account.call("getVouchers", limit=1, page=1).status_code == 200
            clock.advance(61)
        assert account.call("getVouchers", limit=1, page=1).status_code == 429


def test_throttling_may_hide_in_a_200(account: Account) -> None:
    account.twin.settings["limit_status"] = 200
    account.twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=7)
    answer = account.call("placeOrder", **ORDER)
    assert (answer.status_code, answer.json()["errors"][0]["penaltySeconds"]) == (200, 7)
    assert account.book() == []


def test_errors_may_hide_in_a_200(account: Account) -> None:
    account.twin.settings["errors_as_200"] = True
    answer = account.call("placeOrder", **{**ORDER, "quantity": 11})
    assert (answer.status_code, answer.json()["code"]) == (200, 409)


def test_the_path_is_known_with_and_without_chef_and_asks_for_a_token(account: Account) -> None:
    assert account.call("getBalance", prefix="").status_code == 200
    assert account.call("getNothing").status_code == 400
    account.token = "wrong"
    answer = account.call("getBalance")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    account.token = ""
    answer = account.call("getBalance")
    assert (answer.status_code, answer.json()["errorId"]) == (401, "PIPE10013")


def test_each_refresh_kills_the_refresh_token_it_used(account: Account, clock: VirtualClock) -> None:
    url = f"{account.base_url}/chef/v1/oauth/token/user"
    given = {
        "grant_type": "refresh_token",
        "refresh_token": "twin-refresh",
        "client_id": "twin-client",
        "client_secret": "twin-secret",
    }
    pair = requests.post(url, json=given, timeout=5).json()
    assert (pair["expires_in"], pair["token_type"]) == (1_296_000, "bearer")
    assert pair["access_token_expiry"] == str(int((NOW + 1_296_000) * 1000))
    account.token = pair["access_token"]
    assert account.money() == 10_000
    check = requests.get(
        f"{account.base_url}/v1/oauth/token", headers={"Authorization": f"Bearer {account.token}"}, timeout=5
    )
    assert (check.status_code, "refresh_token" in check.json()) == (200, False)
    assert requests.post(url, json=given, timeout=5).json()["error"] == "invalid_grant"
    assert requests.post(url, json={**given, "refresh_token": pair["refresh_token"]}, timeout=5).status_code == 200
    clock.advance(1_296_000)
    assert account.call("getBalance").status_code == 401


# --- webhooks ------------------------------------------------------------------------------------------------------


def test_a_delivery_is_told_unsigned_and_without_codes(
    account: Account, receiver: Receiver, clock: VirtualClock
) -> None:
    account.twin.set_webhook(receiver.url + "/secret-path")
    account.place(productId="5673")
    assert account.twin.drain_hooks() == []
    clock.advance(5)
    account.twin.user_action("deliver_order", order="880001")
    account.twin.drain_hooks()
    assert orjson.loads(receiver.bodies[0]) == {
        "id": 771234,
        "data": {
            "orderId": 880001,
            "poNumber": "hub-rwd-000123",
            "orderDate": "2026-11-02 13:30:00",
            "deliveryStatus": "delivered",
        },
        "createdAt": "2026-11-02 13:30:05",
    }
    assert receiver.paths == ["/hooks/secret-path"]
    assert not [name for name in receiver.headers[0] if "sign" in name.lower()]


def test_three_failures_switch_the_url_off_until_a_person_switches_it_on(account: Account, receiver: Receiver) -> None:
    account.twin.set_webhook(receiver.url)
    receiver.answers = [(500, b"")] * 3
    account.place()
    assert len(account.twin.drain_hooks()) == 3
    account.place(poNumber="b")
    assert account.twin.drain_hooks() == []
    assert account.twin.user_action("enable_webhook") == 1
    account.place(poNumber="c")
    assert [attempt["status"] for attempt in account.twin.drain_hooks()] == [200]


def test_people_cannot_place_orders_by_hand(account: Account) -> None:
    client = TwinClient(account.base_url)
    with pytest.raises(TwinRefused, match="placed through the API"):
        client.user_create("orders", {})
    number = client.user_create("catalogue", {"name": "New"})
    assert client.snapshot("catalogue")[number]["fields"]["name"] == "New"
    client.close()
