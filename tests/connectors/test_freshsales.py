"""Freshsales on its twin: views, the bin, choices by their words, jobs, what is already there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from connectors.freshsales import CONNECTOR
from connectors.freshsales.api import BIN
from hub.errors import NeedsReview, RecordRejected
from hub.twins.freshsales import make
from tests.connectors.doors import NOW, Desk, call_in, change, desk, messages_of, twin_clock


@pytest.fixture
def made() -> Iterator[Desk]:
    with desk(CONNECTOR, make(clock=twin_clock(), auto_hooks=False, limit_scale=0)) as found:
        found.twin.user_create("owners", {"display_name": "Kim Doe", "email": "kim@example.com"})
        yield found


def person(made: Desk, number: int, **fields: Any) -> str:
    given = {
        "email": f"p{number}@example.org",
        "last_name": f"P{number}",
        "owner_id": int(next(iter(made.twin.snapshot("owners")))),
    }
    return str(made.twin.user_create("contacts", {**given, **fields}))


def test_a_read_goes_through_the_view_and_then_the_bin(made: Desk) -> None:
    ids = [person(made, number) for number in range(230)]
    made.advance(1000)
    records, cursor, pages = made.pull_all("contacts")
    assert sorted(record.external_id for record in records) == sorted(ids)
    assert len(pages) == 4  # three of the view, one of the bin
    assert made.calls() == 1 + 4 + 1  # views, pages, words of the lifecycle
    made.advance(1000)
    made.twin.user_edit("contacts", ids[3], {"last_name": "New"})
    made.twin.user_delete("contacts", ids[4])
    found, _, pages = made.pull_all("contacts", cursor)
    assert {(record.external_id, record.op) for record in found} >= {(ids[3], "upsert"), (ids[4], "delete")}
    assert len(pages) == 2


def test_rows_that_left_the_view_under_way_hide_nobody(made: Desk) -> None:
    ids = [person(made, number) for number in range(250)]
    page = CONNECTOR.pull(made.api, "contacts", None)
    seen = {record.external_id for record in page.records}
    for gone in list(seen)[:60]:
        made.twin.user_delete("contacts", gone)
    records, _, _ = made.pull_all("contacts", page.next_cursor)
    assert seen | {record.external_id for record in records} >= set(ids)


def test_equal_stamps_at_an_edge_are_all_read_again(made: Desk) -> None:
    ids = [person(made, number) for number in range(150)]  # one and the same second
    _, cursor, _ = made.pull_all("contacts")
    made.start_again()
    records, _, _ = made.pull_all("contacts", cursor)
    assert {record.external_id for record in records} == set(ids)


def test_what_was_restored_is_there_again(made: Desk) -> None:
    one = person(made, 1)
    made.twin.user_delete("contacts", one)
    _, cursor, _ = made.pull_all("contacts")
    made.twin.user_restore("contacts", one)
    records, _, _ = made.pull_all("contacts", cursor)
    assert [(record.external_id, record.op) for record in records] == [(one, "upsert")]


def test_a_bin_that_cannot_be_seen_is_told_by_the_check(made: Desk) -> None:
    assert CONNECTOR.check(made.api) == {"account": "", "name": "1 user", "warnings": []}
    made.twin.settings["bin_visible"] = False
    made.start_again()
    assert len(CONNECTOR.check(made.api)["warnings"]) == 3
    person(made, 1)
    assert len(made.pull_all("contacts")[0]) == 1


def test_a_missing_view_stops_the_stream_with_what_to_do(made: Desk) -> None:
    made.api.views["contacts"] = {BIN: "12"}
    with pytest.raises(NeedsReview, match="FRESHSALES-VIEW"):
        CONNECTOR.pull(made.api, "contacts", None)


def test_choices_are_read_and_written_as_words(made: Desk) -> None:
    person(made, 1)
    (record,), _, _ = made.pull_all("contacts")
    assert record.data["lifecycle_stage"] == "Lead"
    sent = change("update", {"lifecycle_stage": "Customer", "lead_source": "Webinar"}, record.external_id)
    (result,) = made.push("contacts", [sent])
    assert result.held is not None
    assert (result.outcome, result.held.data["lifecycle_stage"]) == ("applied", "Customer")
    sent = change("update", {"lifecycle_stage": "Nonsense"}, record.external_id)
    (result,) = made.push("contacts", [sent])
    assert (result.outcome, result.code, result.field) == ("rejected", "FRESHSALES-CHOICE", "lifecycle_stage")


def test_discovery_knows_custom_fields_types_and_options(made: Desk) -> None:
    found = {field.name: field for field in CONNECTOR.discover(made.api, "contacts")}
    assert (found["custom_field.cf_tier"].type, found["custom_field.cf_tier"].custom) == ("enum", True)
    assert found["custom_field.cf_tier"].options == ("Gold", "Silver", "Bronze")
    assert "Sales Qualified Lead" in found["lifecycle_stage"].options
    assert not found["updated_at"].writable
    assert {field.name for field in CONNECTOR.discover(made.api, "deals")} >= {"deal_stage", "currency", "amount"}


def test_a_create_carries_the_hubs_id_and_is_found_by_it_though_the_index_lags(made: Desk) -> None:
    made.twin.set_faults(index_lag_s=600)
    sent = change("create", {"emails": [{"value": "ada@example.org"}], "last_name": "Byron"}, reference="hub:7")
    (result,) = made.push("contacts", [sent])
    assert result.outcome == "applied"
    (found,) = made.find("contacts", "external_id", "hub:7")
    assert (found.external_id, found.marker) == (result.external_id, "hub:7")
    (account,) = made.push("sales_accounts", [change("create", {"name": "Acme"}, reference="hub:8")])
    (found,) = made.find("sales_accounts", "custom_field.cf_hub_id", "hub:8")
    assert found.external_id == account.external_id


def test_an_address_that_is_taken_names_who_has_it(made: Desk) -> None:
    one = person(made, 1)
    sent = change("create", {"emails": [{"value": "P1@example.org"}], "last_name": "X"}, reference="hub:1")
    (result,) = made.push("contacts", [sent])
    assert (result.outcome, result.existing_id, result.field) == ("duplicate", one, "emails.0.value")


def test_a_changed_address_takes_the_place_of_the_old_one(made: Desk) -> None:
    one = person(made, 1)
    made.fetch("contacts", [one])
    sent = change("update", {"emails": [{"value": "new@example.org"}]}, one)
    (result,) = made.push("contacts", [sent])
    assert result.outcome == "applied"
    (entry,) = made.twin.snapshot("contacts")[one]["fields"]["emails"]
    assert (entry["value"], entry["is_primary"]) == ("new@example.org", True)


def test_another_account_becomes_the_primary_and_the_others_stay(made: Desk) -> None:
    accounts = [int(made.twin.user_create("sales_accounts", {"name": f"A{n}"})) for n in range(3)]
    one = person(made, 1, sales_accounts=[{"id": accounts[0], "is_primary": True}, {"id": accounts[1]}])
    made.fetch("contacts", [one])
    (result,) = made.push("contacts", [change("update", {"sales_accounts": [{"id": str(accounts[2])}]}, one)])
    assert result.held is not None
    assert result.held.data["sales_account_id"] == accounts[2]
    assert {each["id"] for each in result.held.data["sales_accounts"]} == {accounts[1], accounts[2]}


def many(made: Desk, count: int) -> list[str]:
    ids = [person(made, number) for number in range(count)]
    made.fetch("contacts", ids)
    return ids


def test_many_updates_are_one_job_whose_bad_row_alone_is_refused(made: Desk) -> None:
    ids = many(made, 60)
    sent = [change("update", {"last_name": f"New {n}"}, each) for n, each in enumerate(ids)]
    sent[7] = change("update", {"mobile_number": "+1\0"}, ids[7])
    before = made.calls()
    results = made.push("contacts", sent)
    assert [result.outcome for result in results].count("applied") == 59
    assert (results[7].outcome, results[7].message) == ("rejected", "Mobile number is invalid")
    assert results[3].held is not None
    assert results[3].held.data["last_name"] == "New 3"
    assert made.calls() - before == 1 + 2 + 1 + 1  # job, polls, views, the newest page


def test_a_job_keeps_the_owners_of_its_records(made: Desk) -> None:
    other = int(made.twin.user_create("owners", {"display_name": "Lee", "email": "lee@example.com"}))
    ids = [person(made, number, owner_id=other) for number in range(5)]
    made.fetch("contacts", ids)
    made.push("contacts", [change("update", {"city": "Köln"}, each) for each in ids])
    rows = made.twin.snapshot("contacts")
    assert {rows[each]["fields"]["owner_id"] for each in ids} == {other}
    assert {rows[each]["fields"]["city"] for each in ids} == {"Köln"}


def test_a_job_that_does_not_end_is_unknown(made: Desk) -> None:
    made.twin.settings["job_polls"] = 1000
    ids = many(made, 5)
    results = made.push("contacts", [change("update", {"city": "Köln"}, each) for each in ids])
    assert {result.outcome for result in results} == {"unknown"}
    assert made.clock.now() - NOW >= 10  # polls are kept apart


def test_too_many_jobs_are_certainly_not_done(made: Desk) -> None:
    made.twin.settings["job_polls"] = 1000
    ids = many(made, 4)
    for _ in range(5):
        made.push("contacts", [change("update", {"city": "Köln"}, each) for each in ids])
    results = made.push("contacts", [change("update", {"city": "Bonn"}, each) for each in ids])
    assert {result.outcome for result in results} == {"throttled"}
    assert made.twin.snapshot("contacts")[ids[0]]["fields"]["city"] == "Köln"


def test_an_answer_that_got_lost_is_unknown(made: Desk) -> None:
    ids = many(made, 5)
    made.twin.set_faults(script=[{"match": "POST", "fault": "timeout_after"}])
    results = made.push("contacts", [change("update", {"city": "Köln"}, each) for each in ids])
    assert {result.outcome for result in results} == {"unknown"}


HOSTILE = ["𝒳😀", "שלום مرحبا", "a" * 255, "<b>'; DROP", "=cmd()", "²", "0", " x "]


@pytest.mark.parametrize("value", HOSTILE)
def test_any_text_comes_back_as_it_was_sent(made: Desk, value: str) -> None:
    one = person(made, 1)
    (result,) = made.push("contacts", [change("update", {"job_title": value}, one)])
    assert result.held is not None
    assert result.held.data["job_title"] == value.strip()


@pytest.mark.parametrize("value", ["a\0b", "x" * 100_000])
def test_what_the_vendor_refuses_is_refused_for_the_one_record(made: Desk, value: str) -> None:
    one = person(made, 1)
    (result,) = made.push("contacts", [change("update", {"job_title": value}, one)])
    assert (result.outcome, result.message) == ("rejected", "Job title is invalid")


def test_leap_days_and_huge_numbers(made: Desk) -> None:
    one = person(made, 1)
    for day, outcome in (("2024-02-29", "applied"), ("2023-02-29", "rejected")):
        (result,) = made.push("contacts", [change("update", {"custom_field": {"cf_birthday": day}}, one)])
        assert result.outcome == outcome
    (gone,) = made.fetch("contacts", ["9" * 20, "9" * 5000, "../x", "1\n"])
    assert (gone.external_id, gone.op) == ("9" * 20, "delete")  # the others are no ids, and never get into a path


def test_a_workflows_message_names_its_record(made: Desk) -> None:
    made.twin.set_webhook("https://hub.example.com/hooks/x", "")
    one = person(made, 1)
    (sent,) = messages_of(made.twin)
    (event,) = made.parse(sent)
    assert (event.stream, event.external_id, event.at) == ("contacts", one, NOW)
    assert made.parse(call_in(orjson.dumps({"record_type": "task", "id": 1}), {})) == ()
    for body in (b"[]", b"{", b'{"record_type": "contact"}', b'{"record_type":"contact","id":1,"updated_at":"x"}'):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            made.parse(call_in(body, {}))
