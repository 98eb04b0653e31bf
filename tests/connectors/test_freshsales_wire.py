"""Freshsales at the wire: what is asked, and what its many ways to refuse mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson
import pytest
import responses

from connectors.freshsales import CONNECTOR
from hub.connector import Settings
from hub.errors import NeedsReview, RetryLater, SignInExpired
from hub.model import ChangeSet, Json, PushResult
from tests.connectors.doors import NOW, change, door_to

BASE = "https://acme.myfreshworks.com/crm/sales/api"
GIVEN = Settings(values={"domain": "acme"}, auth={"kind": "token", "token": "key-123"})
DATE = {"Date": "Mon, 02 Nov 2026 08:00:00 GMT"}
# the fact sheet's example
ADA = {
    "id": 70012345678, "first_name": "Ada", "last_name": "L", "email": "ada@example.org",
    "emails": [{"id": 1, "value": "ada@example.org", "is_primary": True, "label": None}], "mobile_number": "+4930123",
    "owner_id": 7001, "custom_field": {"cf_tier": "Gold"}, "updated_at": "2026-11-02T08:10:00Z", "is_deleted": False,
}  # fmt: skip


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{BASE}/contacts/filters", json={"filters": [{"id": 9, "name": "All Contacts"}]}, headers=DATE)
        yield mock


def push(at: Json, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
    assert CONNECTOR.push is not None
    return CONNECTOR.push(at, stream, changes)


def api() -> Json:
    return CONNECTOR.connect(door_to(CONNECTOR, "", GIVEN), GIVEN)


def test_a_page_of_a_view_is_read_by_name_whatever_stands_beside_it(wire: responses.RequestsMock) -> None:
    body = {"users": [{"id": 7001}], "meta": {"total_pages": 1, "total": 1}, "contacts": [ADA]}
    wire.get(f"{BASE}/contacts/view/9", json=body, headers=DATE)
    page = CONNECTOR.pull(api(), "contacts", {"since": NOW - 60})
    (record,) = page.records
    assert (record.external_id, record.stamp, page.complete) == ("70012345678", NOW + 600, True)
    assert page.next_cursor == {"since": NOW - 300}
    assert dict(wire.calls[1].request.params) == {  # type: ignore[attr-defined]
        "page": "1", "per_page": "100", "sort": "updated_at", "sort_type": "desc", "include": "owner,sales_accounts",
    }  # fmt: skip
    assert wire.calls[1].request.headers["Authorization"] == "Token token=key-123"


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, {"login": "failed", "message": "incorrect username or password"}, SignInExpired),
        (403, {"errors": {"code": 403, "message": ["Access denied"]}}, NeedsReview),
        (400, {"errors": {"code": 400, "message": ["UCR contact fetch failure ... response_code :: 429"]}}, RetryLater),
        (429, {"message": "too many"}, RetryLater),
        (500, {"message": "oops"}, RetryLater),
    ],
)
def test_refusals_are_told_apart(
    wire: responses.RequestsMock, status: int, body: Json, raised: type[Exception]
) -> None:
    wire.get(f"{BASE}/contacts/view/9", json=body, status=status, headers=DATE)
    with pytest.raises(raised):
        CONNECTOR.pull(api(), "contacts", None)


def test_a_page_that_is_not_in_order_moves_no_cursor(wire: responses.RequestsMock) -> None:
    rows = [ADA, {**ADA, "id": 2, "updated_at": "2026-11-02T09:00:00Z"}]
    body = {"contacts": rows, "meta": {"total_pages": 1, "total": 2}}
    wire.get(f"{BASE}/contacts/view/9", json=body, headers=DATE)
    with pytest.raises(NeedsReview, match="PAGE-ORDER"):
        CONNECTOR.pull(api(), "contacts", None)


def test_the_same_page_again_is_found_out(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts/view/9", json={"contacts": [ADA], "meta": {"total_pages": 3, "total": 3}}, headers=DATE)
    at = api()
    page = CONNECTOR.pull(at, "contacts", None)
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(at, "contacts", page.next_cursor)


@pytest.mark.parametrize(
    "body",
    [
        {"errors": {"code": 400, "message": ["Name can't be blank"]}},
        {"errors": {"code": 400, "message": "Name can't be blank"}},
        {"errors": [{"message": "Name can't be blank"}]},
        {"message": "Name can't be blank"},
    ],
)
def test_a_refusal_is_read_in_each_of_its_shapes(wire: responses.RequestsMock, body: Json) -> None:
    wire.put(f"{BASE}/sales_accounts/5", json=body, status=400)
    (result,) = push(api(), "sales_accounts", [change("update", {"name": ""}, "5")])
    assert (result.outcome, result.message) == ("rejected", "Name can't be blank")


def test_the_edges_ban_is_waited_for_as_told(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts/view/9", json={}, status=429, headers={"Retry-After": "1800"})
    with pytest.raises(RetryLater) as caught:
        CONNECTOR.pull(api(), "contacts", None)
    assert caught.value.after_s == 1800


@pytest.mark.parametrize("as_text", [True, False])
def test_what_a_job_says_is_read_as_object_and_as_text(wire: responses.RequestsMock, as_text: bool) -> None:
    data: Json = {
        "record_status": {"succeeded": 3, "failed": 1},
        "detailed_failure_report": [{"id": "4", "error_message": ["Email is invalid"]}],
    }
    wire.post(f"{BASE}/contacts/bulk_upsert", json={"message": "", "job_status_url": f"{BASE}/job_statuses/77"})
    done = {"status": "SUCCESS", "data": orjson.dumps(data).decode() if as_text else data}
    wire.get(f"{BASE}/job_statuses/77", json=done)
    wire.get(f"{BASE}/contacts/view/9", json={"contacts": [], "meta": {"total_pages": 0, "total": 0}})
    sent = [change("update", {"city": "Bonn", "owner_id": "7001"}, str(n)) for n in range(1, 5)]
    results = push(api(), "contacts", sent)
    assert [result.outcome for result in results] == ["applied", "applied", "applied", "rejected"]
    assert results[3].message == "Email is invalid"
    assert orjson.loads(wire.calls[0].request.body or b"")["contacts"][0] == {
        "id": "1", "data": {"city": "Bonn", "owner_id": 7001},
    }  # fmt: skip


def test_calls_left_of_the_hour_are_the_vendors_word(wire: responses.RequestsMock) -> None:
    headers = {**DATE, "x-ratelimit-limit": "1000", "x-ratelimit-remaining": "10"}
    wire.get(f"{BASE}/contacts/view/9", json={"contacts": [], "meta": {"total_pages": 0, "total": 0}}, headers=headers)
    at = api()
    CONNECTOR.pull(at, "contacts", None)
    with pytest.raises(RetryLater):  # the reserve is left to people
        CONNECTOR.pull(at, "contacts", None)
