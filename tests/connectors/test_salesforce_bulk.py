"""Large first loads of Salesforce: query jobs give the rows that queries give, and queries replace those that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from connectors.salesforce import CONNECTOR
from hub.errors import RetryLater
from tests.connectors.doors import Desk
from tests.connectors.test_salesforce import NOW, counted, load, open_org

FIELDS = ("FirstName", "LastName", "Email", "Birthdate", "DoNotCall", "Description", "EmailBouncedDate", "Interests__c")


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An org whose first loads of 300 rows and more are jobs; pages of a tenth of their true size save time."""
    monkeypatch.setattr("connectors.salesforce.reading.PAGE", 200)
    monkeypatch.setattr("connectors.salesforce.bulk.PAGE", 1_000)
    monkeypatch.setattr("hub.twins.salesforce_calls.PAGE_ROWS", 200)
    with open_org(values={"bulk_from": 300}, job_s=0.0) as made:
        made.api.settings.streams["contacts"]["fields"][:] = FIELDS
        yield made


def nasty(org: Desk, count: int) -> None:
    """Rows with all that CSV makes difficult."""
    rows = [
        {
            "fields": {
                "LastName": f'L{n}, "the\n{n}th"',
                "Email": f"p{n}@example.org" if n % 3 else None,
                "Birthdate": "1990-12-10" if n % 2 else None,
                "DoNotCall": n % 5 == 0,
                "Description": " Köln 北京 \U0001f642 " if n % 7 == 0 else None,
                "EmailBouncedDate": "2026-11-01T10:00:00.000+0000" if n % 11 == 0 else None,
                "Interests__c": "Product;Pricing" if n % 13 == 0 else None,
            },
            "created": NOW - 90_000.0,
            "modified": NOW - 80_000.0 + n // 4,
        }
        for n in range(count)
    ]
    org.twin.load("contacts", rows)


def test_a_job_gives_the_same_records_as_queries_and_the_same_resting_cursor(org: Desk) -> None:
    nasty(org, 1_350)
    gone, loser, winner = list(org.twin.snapshot("contacts"))[500:503]
    org.twin.user_delete("contacts", gone)
    org.twin.user_merge("contacts", winner, loser)
    records, cursor, pages = org.pull_all("contacts")
    calls = counted(org)
    assert [len(page.records) for page in pages] == [200, 1_000, 150]
    assert [page.listing_complete for page in pages] == [False, False, True]
    assert (calls["job"], calls["results"]) == (1, 2)
    org.api = CONNECTOR.connect(org.door, replace(org.settings, values={"bulk_from": 0}))
    plain, resting, _ = org.pull_all("contacts")
    assert counted(org)["job"] == 1
    assert records == plain
    assert {each.op for each in records} == {"upsert", "delete", "merged_into"}
    assert cursor.keys() == resting.keys() == {"t", "id", "from", "all"}


def test_few_rows_are_not_worth_a_job(org: Desk) -> None:
    load(org, 250)
    org.pull_all("contacts")
    assert "job" not in counted(org)


def test_what_changed_since_is_queried_however_much_it_is(org: Desk) -> None:
    load(org, 10)
    _, cursor, _ = org.pull_all("contacts")
    org.advance(3_600)
    load(org, 600, modified=NOW + 1_000.0)
    records, _, _ = org.pull_all("contacts", cursor)
    assert len(records) == 600
    assert "job" not in counted(org)


def test_a_job_is_waited_for_without_hurry_and_goes_on_in_another_process(org: Desk) -> None:
    load(org, 600)
    org.twin.settings["job_s"] = 10_000.0  # far longer than anybody waits
    first = CONNECTOR.pull(org.api, "contacts", None)
    before, began = counted(org).get("poll", 0), org.clock.now()
    with pytest.raises(RetryLater) as caught:
        CONNECTOR.pull(org.api, "contacts", first.next_cursor)
    assert (caught.value.code, caught.value.after_s) == ("SF-JOB", 30.0)
    assert counted(org)["poll"] - before == 20
    assert org.clock.now() - began >= 19 * 3.0
    org.twin.settings["job_s"] = 0.0
    org.start_again()
    records, _, pages = org.pull_all("contacts", first.next_cursor)
    assert len(records) == 400
    assert pages[-1].complete
    assert counted(org)["job"] == 1


def test_a_job_that_failed_or_is_gone_is_replaced_by_queries(org: Desk) -> None:
    ids = load(org, 600)
    first = CONNECTOR.pull(org.api, "contacts", None)
    org.twin.user_action("fail_jobs")
    rest, _, pages = org.pull_all("contacts", first.next_cursor)
    assert sorted([*(each.external_id for each in first.records), *(each.external_id for each in rest)]) == sorted(ids)
    assert pages[-1].listing_complete
    assert counted(org)["job"] == 1, "one that fails is not made again and again"


def test_results_that_vanish_halfway_are_read_on_by_queries(org: Desk) -> None:
    ids = load(org, 1_400)
    first = CONNECTOR.pull(org.api, "contacts", None)
    second = CONNECTOR.pull(org.api, "contacts", first.next_cursor)
    assert not second.complete
    org.advance(8 * 86_400)
    rest, _, _ = org.pull_all("contacts", second.next_cursor)
    found = [each.external_id for each in (*first.records, *second.records, *rest)]
    assert sorted(found) == sorted(ids)


def test_a_page_that_is_no_csv_or_cut_is_not_the_end(org: Desk) -> None:
    load(org, 600)
    first = CONNECTOR.pull(org.api, "contacts", None)
    page = f"GET /services/data/v68.0/jobs/query/{first.next_cursor['job']}/results"
    org.twin.set_faults(script=[{"match": page, "fault": "html", "times": 9}])
    with pytest.raises(RetryLater) as caught:
        CONNECTOR.pull(org.api, "contacts", first.next_cursor)
    assert caught.value.code == "NET-NOT-CSV"


def test_parts_of_a_first_load_are_jobs_of_their_own(org: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.salesforce.reading.SPLIT_FROM", 100)
    ids = load(org, 1_200)
    assert CONNECTOR.split is not None
    starts = CONNECTOR.split(org.api, "contacts", 2)
    assert len(starts) == 2
    found = [each.external_id for start in starts for each in org.pull_all("contacts", start)[0]]
    assert sorted(found) == sorted(ids)
    assert counted(org)["job"] == 2


def test_fields_of_other_records_are_queried_as_ever(org: Desk) -> None:
    org.api.settings.streams["contacts"]["fields"][:] = ["LastName", "Account.Name"]
    load(org, 350)
    records, _, _ = org.pull_all("contacts")
    assert len(records) == 350
    assert "job" not in counted(org)
