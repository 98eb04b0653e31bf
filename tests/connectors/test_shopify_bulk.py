"""First loads of Shopify as bulk operations: what pages give, wherever a process dies and whatever fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from connectors.shopify import CONNECTOR, bulk
from hub.errors import RetryLater
from hub.model import Json
from tests.connectors.doors import Desk, desk
from tests.connectors.specs import Recorder
from tests.connectors.test_shopify import add, load, make_twin

DAY_S = 86_400.0


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A shop whose first loads of 30 rows and more are bulk operations; small pieces save time."""
    monkeypatch.setattr(bulk, "PIECE", 8_000)
    recorder: Any = Recorder(make_twin())
    with desk(CONNECTOR, recorder, values={"bulk_from": 30}) as made:
        yield made


def counted(shop: Desk) -> Mapping[str, int]:
    return {name: each.calls for name, each in shop.door.counts.snapshot().items()}


def leave(shop: Desk, number: int, lines: int) -> None:
    items = [{"title": f"Tea \u2028 北京 {n}", "quantity": n + 1, "price": "2.50"} for n in range(lines)]
    shop.twin.user_create("checkouts", {"lineItems": items, "note": f"number {number}\r\n"})


def pages_only(shop: Desk) -> Any:
    """The same shop, never by bulk operations."""
    shop.api.bulk_from = 0
    return shop


def ids_of(records: Any) -> list[str]:
    return sorted(record.external_id for record in records)


def fill(shop: Desk, stream: str) -> None:
    if stream == "checkouts":
        for number in range(40):
            leave(shop, number, lines=(0, 1, 3, 12)[number % 4])
    elif stream == "products":
        for number in range(40):
            shop.twin.user_create("products", {"title": f"Tea {number}", "tags": ["a", "b"]})
    else:
        load(shop, 40)
        buyer = add(shop, firstName="Bo\u0308 \U0001f642", note='a "line"\n')
        for number in range(40):
            shop.twin.user_create("orders", {"customer": buyer, "totalPrice": number + 1})


@pytest.mark.parametrize("stream", ["customers", "orders", "checkouts", "products"])
def test_a_bulk_operation_gives_the_records_that_pages_give(shop: Desk, stream: str) -> None:
    fill(shop, stream)
    records, cursor, pages = shop.pull_all(stream)
    assert len(pages) > 3  # where it began, and pieces of the file
    assert pages[-1].complete
    calls = counted(shop)
    assert (calls["bulk"], calls["poll"], calls[stream]) == (1, 1, 1)
    assert calls["file"] == len(pages) - 1
    plain, resting, _ = pages_only(shop).pull_all(stream)
    assert counted(shop)["bulk"] == 1
    assert ids_of(records) == ids_of(plain)
    assert {r.external_id: r for r in records} == {r.external_id: r for r in plain}
    assert cursor == resting


def test_few_rows_are_not_worth_it_and_counting_them_costs_no_call(shop: Desk) -> None:
    load(shop, 29)
    records, _, _ = shop.pull_all("customers")
    assert len(records) == 29
    assert counted(shop) == {"customers": 1}


def test_what_changed_since_comes_in_pages_however_much_it_is(shop: Desk) -> None:
    _, cursor, _ = shop.pull_all("customers")
    shop.advance(3600)
    load(shop, 60, ago_s=-1800.0)
    records, _, _ = shop.pull_all("customers", cursor)
    assert len(records) == 60
    assert "bulk" not in counted(shop)


@pytest.mark.parametrize("stream", ["customers", "checkouts"])
def test_a_process_that_dies_after_any_page_loses_nothing_and_repeats_nothing(shop: Desk, stream: str) -> None:
    fill(shop, stream)
    whole = ids_of(pages_only(shop).pull_all(stream)[0])
    shop.start_again()
    cursor: Json = None
    seen: list[str] = []
    for number in range(100):
        shop.start_again()  # what was read ahead and not committed dies with the process
        if number % 2:
            CONNECTOR.pull(shop.api, stream, cursor)
            shop.start_again()
        page = CONNECTOR.pull(shop.api, stream, cursor)
        seen += [record.external_id for record in page.records]
        cursor = orjson.loads(orjson.dumps(page.next_cursor))
        if page.complete:
            break
    assert sorted(seen) == whole
    assert len(set(seen)) == len(seen)
    assert "Signature" not in str(cursor)


def test_an_operation_whose_beginning_was_never_noted_is_found_again(shop: Desk) -> None:
    load(shop, 40)
    shop.twin.settings.update(bulk_s=3_600.0, bulk_at_once=1)
    first = CONNECTOR.pull(shop.api, "customers", None)
    shop.start_again()
    again = CONNECTOR.pull(shop.api, "customers", None)
    assert again.next_cursor["bulk"] == first.next_cursor["bulk"] != ""
    assert len(shop.twin.bulk.operations) == 1


def test_where_the_shop_runs_another_operation_pages_do_it(shop: Desk) -> None:
    ids = load(shop, 40)
    for number in range(40):
        leave(shop, number, 1)
    shop.twin.settings.update(bulk_s=3_600.0, bulk_at_once=1)
    CONNECTOR.pull(shop.api, "checkouts", None)
    records, _, pages = shop.pull_all("customers")
    assert (ids_of(records), len(pages)) == (sorted(ids), 1)
    assert len(shop.twin.bulk.operations) == 1


def test_one_under_way_is_waited_for_without_hurry(shop: Desk) -> None:
    load(shop, 40)
    shop.twin.settings["bulk_s"] = 10_000.0  # far longer than anybody waits
    first = CONNECTOR.pull(shop.api, "customers", None)
    assert first.records == ()
    began = shop.clock.now()
    with pytest.raises(RetryLater) as caught:
        CONNECTOR.pull(shop.api, "customers", first.next_cursor)
    assert (caught.value.code, caught.value.after_s) == ("SHOPIFY-BULK", 30.0)
    assert counted(shop)["poll"] == 20
    assert shop.clock.now() - began >= 19 * 3.0
    shop.advance(10_000.0)
    shop.start_again()
    assert len(shop.pull_all("customers", first.next_cursor)[0]) == 40
    assert counted(shop)["bulk"] == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [("FAILED", "INTERNAL_SERVER_ERROR"), ("FAILED", "TIMEOUT"), ("CANCELED", None), ("EXPIRED", None)],
)
def test_one_that_comes_to_nothing_is_replaced_by_pages_and_not_made_again(
    shop: Desk, status: str, error: str | None
) -> None:
    ids = load(shop, 40)
    first = CONNECTOR.pull(shop.api, "customers", None)
    shop.twin.user_action("fail_bulk", status=status, error=error)
    records, cursor, _ = shop.pull_all("customers", first.next_cursor)
    assert ids_of(records) == sorted(ids)
    assert cursor == {"since": first.next_cursor["from"] - 600.0}
    assert (counted(shop)["bulk"], counted(shop).get("file", 0)) == (1, 0)


def test_a_file_that_ends_halfway_is_replaced_by_pages(shop: Desk) -> None:
    ids = load(shop, 80)
    first = CONNECTOR.pull(shop.api, "customers", None)
    piece = CONNECTOR.pull(shop.api, "customers", first.next_cursor)
    assert 0 < len(piece.records) < 80
    shop.advance(7 * DAY_S + 1)
    shop.start_again()
    records, _, _ = shop.pull_all("customers", piece.next_cursor)
    assert {*ids_of(records)} == {*ids}
    assert counted(shop)["bulk"] == 1


def test_an_operation_that_found_nothing_has_no_file(shop: Desk) -> None:
    ids = load(shop, 40)
    first = CONNECTOR.pull(shop.api, "customers", None)
    for each in ids:
        shop.twin.user_delete("customers", each.rpartition("/")[2])
    records, cursor, pages = shop.pull_all("customers", first.next_cursor)
    assert (records, len(pages), cursor) == ([], 1, {"since": first.next_cursor["from"] - 600.0})
    assert "file" not in counted(shop)


def test_what_changes_while_it_runs_is_in_the_file_or_in_the_next_read(shop: Desk) -> None:
    ids = load(shop, 40)
    shop.twin.settings["bulk_s"] = 30.0
    first = CONNECTOR.pull(shop.api, "customers", None)
    shop.advance(40.0)
    assert CONNECTOR.pull(shop.api, "customers", first.next_cursor).records  # the file is as it was made
    shop.twin.user_edit("customers", ids[0].rpartition("/")[2], {"firstName": "Later"})
    fresh = add(shop, firstName="New")
    records, cursor, _ = shop.pull_all("customers", first.next_cursor)
    shop.advance(900.0)
    later, _, _ = shop.pull_all("customers", cursor)
    known = {record.external_id: record.data["firstName"] for record in [*records, *later]}
    assert (known[ids[0]], known[fresh]) == ("Later", "New")


def test_an_object_larger_than_a_piece_is_read_in_one(shop: Desk) -> None:
    load(shop, 40)
    tall = add(shop, firstName="Tall", tags=[f"{n:03d}{'x' * 240}" for n in range(200)])
    records, _, _ = shop.pull_all("customers")
    assert max(len(orjson.dumps(record.data)) for record in records) > 40_000
    assert tall in ids_of(records)
    assert len(records) == 41


def test_the_file_is_asked_for_without_the_token(shop: Desk) -> None:
    load(shop, 40)
    shop.pull_all("customers")
    files = [request for request in shop.twin.asked if request.method == "GET"]
    assert files
    assert not any("x-shopify-access-token" in request.headers for request in files)
    assert all("x-shopify-access-token" in each.headers for each in shop.twin.asked if each.method == "POST")


@pytest.mark.parametrize("fault", ["html", "cut", "error_before", "timeout_before"])
def test_trouble_with_the_file_moves_no_cursor(shop: Desk, fault: str) -> None:
    ids = load(shop, 40)
    first = CONNECTOR.pull(shop.api, "customers", None)
    CONNECTOR.pull(shop.api, "customers", first.next_cursor)
    shop.twin.set_faults(script=[{"match": "GET", "fault": fault, "times": 9}])
    with pytest.raises(RetryLater):
        CONNECTOR.pull(shop.api, "customers", first.next_cursor)
    shop.twin.set_faults(script=[])
    records, _, _ = shop.pull_all("customers", first.next_cursor)
    assert ids_of(records) == sorted(ids)


def test_a_line_apart_from_its_parent_is_not_guessed_at(shop: Desk) -> None:
    for number in range(40):
        leave(shop, number, 2)
    first = CONNECTOR.pull(shop.api, "checkouts", None)
    shop.twin.bulk.settle()
    (made,) = shop.twin.bulk.operations
    lines: list[bytes] = made.data.splitlines(keepends=True)
    parents_first = sorted(lines, key=lambda line: b"__parentId" in line)  # as without groupObjects
    made.data = b"".join(parents_first)
    records, _, _ = shop.pull_all("checkouts", first.next_cursor)
    known = {record.external_id: len(record.data["titles"]) for record in records}
    assert list(known.values()) == [2] * 40


def test_a_bulk_query_that_shopify_would_refuse_the_twin_refuses() -> None:
    text = "mutation B($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } userErrors { code } } }"
    for query in (
        "{ shop { name } }",
        '{ node(id: "gid://shopify/Customer/1") { id } }',
        "{ customers { edges { node { firstName orders { edges { node { id } } } } } } }",  # whose orders?
        "{ customers { edges { node { nonsense } } } }",
    ):
        with desk(CONNECTOR, make_twin()) as shop:
            answer = bulk.ask(shop.api, text, {"q": query}, operation="bulk", cost=10, writes=True)
            told = answer.data["bulkOperationRunQuery"]
            assert (told["bulkOperation"], [each["code"] for each in told["userErrors"]]) == (None, ["INVALID"]), query


def test_without_grouping_the_twin_puts_children_apart() -> None:
    with desk(CONNECTOR, make_twin()) as shop:
        leave(shop, 1, 2)
        leave(shop, 2, 1)
        query = "{ abandonedCheckouts { edges { node { id lineItems { edges { node { id } } } } } } }"
        for grouped in (True, False):
            shop.twin.bulk.begin(query, grouped=grouped)
        shop.twin.bulk.settle()
        one, other = ([b"__parentId" in line for line in each.data.splitlines()] for each in shop.twin.bulk.operations)
        assert one == [False, True, True, False, True]
        assert other == [False, False, True, True, True]
