"""Salesforce against its twin: keyset reads, guarded and upserted writes with their reading back, merges, quotas."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.salesforce import CONNECTOR
from connectors.salesforce.reading import id18
from hub.errors import QuotaUsedUp, RecordRejected, RetryLater, SignInExpired
from hub.model import ChangeSet, Json, PushResult
from hub.twins.salesforce import TwinSalesforce
from tests.connectors.doors import NOW, Desk, change, desk, twin_clock

LOGIN = {"kind": "client_credentials", "client_id": "twin-client", "client_secret": "twin-secret"}
FIELDS = ["FirstName", "LastName", "Email", "Phone"]
STREAMS = {"contacts": {"fields": FIELDS}, "leads": {"fields": ["LastName", "Company"]}}


def open_org(*, values: Json = None, **options: Any) -> Any:
    twin = TwinSalesforce(**{"clock": twin_clock(), "auto_hooks": False, **options})
    return desk(CONNECTOR, twin, auth=LOGIN, streams=copy.deepcopy(STREAMS), values=values or {})


@pytest.fixture
def org() -> Iterator[Desk]:
    with open_org() as made:
        yield made


def load(org: Desk, count: int, *, modified: float | None = None, stream: str = "contacts") -> list[str]:
    """So many rows, a second apart unless all get one stamp. Returns their ids."""
    more = {} if stream == "contacts" else {"Company": "Acme"}
    rows = [
        {
            "fields": {"LastName": f"L{n}", "Email": f"p{n}@example.org", **more},
            "created": NOW - 90_000.0,
            "modified": modified if modified is not None else NOW - 80_000.0 + n,
        }
        for n in range(count)
    ]
    org.twin.load(stream, rows)
    return list(org.twin.snapshot(stream))


def push(org: Desk, *changes: ChangeSet, stream: str = "contacts") -> list[PushResult]:
    assert CONNECTOR.push is not None
    return list(CONNECTOR.push(org.api, stream, changes))


def create(number: int, **body: Json) -> ChangeSet:
    return change("create", {"LastName": f"New{number}", **body}, reference=f"acme:{number}")


def update(external_id: str, *, stamp: float | None = None, **body: Json) -> ChangeSet:
    return change("update", body, external_id, stamp=stamp)


def counted(org: Desk) -> dict[str, int]:
    return {name: each.calls for name, each in org.door.counts.snapshot().items()}


# reading


def test_a_first_read_is_one_call_per_two_thousand_rows_and_one_that_counts_them(org: Desk) -> None:
    ids = load(org, 4000)
    records, _, pages = org.pull_all("contacts")
    assert sorted(record.external_id for record in records) == sorted(ids)
    assert [len(page.records) for page in pages] == [2000, 2000]
    assert [page.listing_complete for page in pages] == [False, True]
    assert counted(org) == {"token": 1, "query": 3}


def test_a_record_is_the_row_without_the_sdks_attributes(org: Desk) -> None:
    ids = load(org, 1)
    record = org.pull_all("contacts")[0][0]
    assert record.external_id == ids[0]
    assert record.data["LastName"] == "L0"
    assert record.data["Phone"] is None
    assert "attributes" not in record.data
    assert record.stamp == NOW - 80_000.0
    assert record.marker is None


def test_who_wrote_last_is_told_from_us(org: Desk) -> None:
    push(org, create(1))
    org.twin.user_create("contacts", {"LastName": "Person"})
    told = {record.data["LastName"]: record.by_hub for record in org.pull_all("contacts")[0]}
    assert told == {"New1": True, "Person": False}


def test_rows_with_one_stamp_across_a_page_edge_are_neither_lost_nor_read_for_ever(org: Desk) -> None:
    ids = load(org, 4500, modified=NOW - 5000.0)
    records, _, pages = org.pull_all("contacts")
    assert sorted(record.external_id for record in records) == sorted(ids)
    assert len(pages) == 3


def test_the_next_read_starts_ten_minutes_before_this_one_and_brings_what_changed(org: Desk) -> None:
    ids = load(org, 5)
    _, cursor, _ = org.pull_all("contacts")
    assert cursor["t"] == "2026-11-02T07:50:00.000Z"
    org.advance(3600)
    org.twin.user_edit("contacts", ids[3], {"Phone": "030 1"})
    records, cursor, pages = org.pull_all("contacts", cursor)
    assert [(record.external_id, record.data["Phone"]) for record in records] == [(ids[3], "030 1")]
    assert len(pages) == 1
    assert not pages[0].listing_complete
    assert cursor["t"] == "2026-11-02T08:50:00.000Z"


def test_a_row_committed_late_is_seen_by_the_next_read(org: Desk) -> None:
    load(org, 1)
    org.twin.set_faults(late_visible_s=500.0)
    late = org.twin.user_create("contacts", {"LastName": "Late"})
    visible_at = org.twin.records.get("contacts", late).visible_at
    assert visible_at > NOW
    records, cursor, _ = org.pull_all("contacts")
    assert late not in {record.external_id for record in records}
    org.advance(599)  # its stamp is that of before the first read
    records, _, _ = org.pull_all("contacts", cursor)
    assert [record.external_id for record in records] == [late]


def test_deleted_merged_and_converted_rows_say_where_they_went(org: Desk) -> None:
    gone, loser, winner = load(org, 3)
    (lead,) = load(org, 1, stream="leads")
    org.twin.user_delete("contacts", gone)
    org.twin.user_merge("contacts", winner, loser)
    contact = org.twin.user_action("convert_lead", lead_id=lead)["ConvertedContactId"]
    found = {record.external_id: record for record in org.pull_all("contacts")[0]}
    assert (found[gone].op, found[gone].data) == ("delete", {})
    assert (found[loser].op, found[loser].merged_into) == ("merged_into", winner)
    assert found[winner].op == "upsert"
    converted = org.pull_all("leads")[0][0]
    assert (converted.external_id, converted.op) == (lead, "merged_into")
    assert converted.merged_into == f"contacts:{contact}"


def test_an_undeleted_row_comes_back_under_its_id(org: Desk) -> None:
    (gone,) = load(org, 1)
    org.twin.user_delete("contacts", gone)
    _, cursor, _ = org.pull_all("contacts")
    org.advance(60)
    org.twin.user_restore("contacts", gone)
    assert [(each.external_id, each.op) for each in org.pull_all("contacts", cursor)[0]] == [(gone, "upsert")]


def test_a_field_that_cannot_be_seen_is_left_out_not_blank(org: Desk) -> None:
    load(org, 1)
    org.api.fields["contacts"] = ["Id", "SystemModstamp", "IsDeleted", "LastName", "Shoe_Size__c"]
    record = org.pull_all("contacts")[0][0]
    assert "Shoe_Size__c" not in record.data
    assert record.data["LastName"] == "L0"
    assert org.connector.check(org.api)["warnings"] == ["contacts: not visible: Shoe_Size__c"]


def test_without_a_mapping_all_visible_fields_are_read(org: Desk) -> None:
    org.twin.load("accounts", [{"fields": {"Name": "Acme", "Website": "acme.com"}, "created": NOW - 1000.0}])
    record = org.pull_all("accounts")[0][0]
    assert record.data["Website"] == "acme.com"
    assert "BillingStreet" in record.data
    assert "BillingAddress" not in record.data  # compound


def test_records_by_id_come_in_one_call_and_deletes_only_on_evidence(org: Desk) -> None:
    kept, gone, loser, winner = load(org, 4)
    org.twin.user_delete("contacts", gone)
    org.twin.user_merge("contacts", winner, loser)
    unknown = "003xx00000000ZZAAA"
    before = org.calls()
    assert CONNECTOR.fetch is not None
    found = {each.external_id: each for each in CONNECTOR.fetch(org.api, "contacts", [kept, gone, loser, unknown])}
    assert {external_id: each.op for external_id, each in found.items()} == {
        kept: "upsert",
        gone: "delete",
        loser: "merged_into",
    }
    assert org.calls() - before == 3  # sign-in, records by id, and one look among the deleted
    before = org.calls()
    assert len(CONNECTOR.fetch(org.api, "contacts", [kept, winner])) == 2
    assert org.calls() - before == 1


def test_two_thousand_ids_are_one_call(org: Desk) -> None:
    ids = load(org, 2000)
    assert CONNECTOR.fetch is not None
    assert len(CONNECTOR.fetch(org.api, "contacts", ids)) == 2000
    assert counted(org) == {"token": 1, "fetch": 1}


def test_a_record_is_found_by_a_field_and_quotes_do_not_break_out(org: Desk) -> None:
    load(org, 3)
    name = "O'Brien' OR LastName != '"
    nasty = org.twin.user_create("contacts", {"LastName": name})
    assert CONNECTOR.find is not None
    assert [each.external_id for each in CONNECTOR.find(org.api, "contacts", "LastName", name)] == [nasty]
    assert CONNECTOR.find(org.api, "contacts", "Email", "' OR Email != '") == []
    with pytest.raises(RecordRejected):
        CONNECTOR.find(org.api, "contacts", "Email = 'x' OR Email", "y")


# writing


def test_eight_hundred_creates_and_their_reading_back_are_one_call(org: Desk) -> None:
    results = push(org, *[create(n, Email=f" P{n}@example.org ") for n in range(800)])
    assert {result.outcome for result in results} == {"applied"}
    assert counted(org) == {"token": 1, "composite": 1}
    held = results[0].held
    assert held is not None
    assert held.external_id == results[0].external_id
    assert held.data["Email"] == "P0@example.org"  # what is stored, not what was sent
    assert (held.marker, held.by_hub) == ("acme:0", True)


def test_a_create_sent_again_finds_its_own_record(org: Desk) -> None:
    first = push(org, create(1, Phone="1"))[0]
    again = push(org, create(1, Phone="2"))[0]
    assert (again.outcome, again.external_id) == ("applied", first.external_id)
    assert len(org.twin.snapshot("contacts")) == 1


def test_a_create_whose_answer_was_lost_is_one_record_after_the_repeat(org: Desk) -> None:
    org.twin.set_faults(script=[{"match": "POST /services/data/v68.0/composite", "fault": "timeout_after"}])
    assert [result.outcome for result in push(org, create(1), create(2))] == ["unknown", "unknown"]
    assert [result.outcome for result in push(org, create(1), create(2))] == ["applied", "applied"]
    assert len(org.twin.snapshot("contacts")) == 2


def test_a_few_updates_are_guarded_each_by_the_stamp_it_was_decided_on(org: Desk) -> None:
    ids = load(org, 3)
    stamps = {record.external_id: record.stamp for record in org.pull_all("contacts")[0]}
    org.twin.user_edit("contacts", ids[1], {"Phone": "person"})
    before = org.calls()
    results = push(org, *[update(each, stamp=stamps[each], Phone="hub") for each in ids])
    assert [result.outcome for result in results] == ["applied", "stale", "applied"]
    assert org.calls() - before == 1
    assert [org.twin.records.get("contacts", each).fields["Phone"] for each in ids] == ["hub", "person", "hub"]
    assert results[0].held is not None
    assert results[0].held.data["Phone"] == "hub"


def test_a_guarded_update_stays_guarded_through_a_new_sign_in(org: Desk) -> None:
    (one,) = load(org, 1)
    stamp = org.pull_all("contacts")[0][0].stamp
    org.twin.user_edit("contacts", one, {"Phone": "person"})
    org.twin.set_faults(script=[{"match": "POST", "fault": "expire_token"}])
    assert push(org, update(one, stamp=stamp, Phone="hub"))[0].outcome == "stale"
    assert counted(org)["token"] == 2
    assert org.twin.records.get("contacts", one).fields["Phone"] == "person"


def test_many_updates_go_in_collections(org: Desk) -> None:
    ids = load(org, 500)
    org.pull_all("contacts")
    before = org.calls()
    results = push(org, *[update(each, stamp=NOW, Phone="1", Email=None) for each in ids])
    assert {result.outcome for result in results} == {"applied"}
    assert org.calls() - before == 1
    assert org.twin.records.get("contacts", ids[499]).fields["Email"] is None
    assert results[499].held is not None
    assert results[499].held.data["Email"] is None


def test_one_bad_row_does_not_touch_its_neighbours(org: Desk) -> None:
    good, bad = load(org, 2)
    results = push(
        org, update(good, Phone="1"), update(bad, Email="not-an-address"), create(7), create(8, Email="not-an-address")
    )
    assert [(result.outcome, result.code, result.field) for result in results] == [
        ("applied", "", ""),
        ("rejected", "INVALID_EMAIL_ADDRESS", "Email"),
        ("applied", "", ""),
        ("rejected", "INVALID_EMAIL_ADDRESS", "Email"),
    ]


def test_a_locked_row_is_to_be_tried_again_not_rejected(org: Desk) -> None:
    ids = load(org, 30)
    org.twin.set_faults(script=[{"match": "POST /services/data", "fault": "partial_batch", "rows": 1}])
    outcomes = [result.outcome for result in push(org, *[update(each, Phone="1") for each in ids])]
    assert sorted(set(outcomes)) == ["applied", "throttled"]
    assert outcomes.count("throttled") == 1


def test_a_deleted_record_is_not_found_and_not_made_again(org: Desk) -> None:
    (gone,) = load(org, 1)
    org.twin.user_delete("contacts", gone)
    result = push(org, update(gone, Phone="1"))[0]
    assert result.outcome == "not_found"
    assert len(org.twin.snapshot("contacts")) == 1


def test_a_delete_goes_to_the_recycle_bin(org: Desk) -> None:
    one, two = load(org, 2)
    results = push(org, change("delete", {}, one))
    assert (results[0].outcome, results[0].held.op if results[0].held else "") == ("applied", "delete")
    assert {each: row["deleted"] for each, row in org.twin.snapshot("contacts").items()} == {one: True, two: False}


def test_an_id_that_is_none_reaches_nothing(org: Desk) -> None:
    results = push(org, update("../../sobjects/User/005xx0000000001AAA", LastName="x"), create(1))
    assert [(result.index, result.outcome, result.code) for result in sorted(results, key=lambda r: r.index)] == [
        (0, "rejected", "REC-ID"),
        (1, "applied", ""),
    ]


def test_an_operation_that_salesforce_has_not_is_refused_without_a_call(org: Desk) -> None:
    assert push(org, change("archive", {}, "003xx0000000001AAA"))[0].code == "REC-OP"
    assert org.calls() == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "written"),
    [("error_before", "unknown", False), ("error_after", "unknown", True), ("timeout_after", "unknown", True)],
)
def test_a_write_without_a_clear_answer_is_unknown(org: Desk, fault: str, outcome: str, written: bool) -> None:
    (one,) = load(org, 1)
    org.pull_all("contacts")
    org.twin.set_faults(script=[{"match": "POST", "fault": fault}])
    assert push(org, update(one, Phone="1"))[0].outcome == outcome
    assert (org.twin.records.get("contacts", one).fields.get("Phone") == "1") is written


# the account


def test_the_check_names_the_org_and_what_is_missing(org: Desk) -> None:
    assert org.connector.check(org.api) == {
        "account": "00Dxx0000000001EAA",
        "name": org.api.sf.sf_instance,
        "warnings": [],
    }
    org.api.marker = "Other_Id__c"
    (warning,) = org.connector.check(org.api)["warnings"]
    assert "Other_Id__c" in warning


def test_the_fields_are_described_with_what_mappings_must_know(org: Desk) -> None:
    fields = {each.name: each for each in org.connector.discover(org.api, "contacts")}
    assert fields["LastName"].required
    assert (fields["Email"].type, fields["Email"].writable) == ("email", True)
    assert (fields["AccountId"].type, fields["AccountId"].ref_to) == ("ref", "accounts")
    assert fields["Hub_Id__c"].unique
    assert fields["Hub_Id__c"].custom
    assert not fields["SystemModstamp"].writable
    assert "Web" in fields["LeadSource"].options


def test_the_daily_quota_is_a_planned_pause_with_a_reserve_for_people() -> None:
    with open_org(daily_calls=10, limit_scale=1.0) as org:
        load(org, 1)
        for _ in range(8):
            org.pull_all("contacts")
        with pytest.raises(QuotaUsedUp) as caught:
            org.pull_all("contacts")
        assert caught.value.after_s == 900.0
        assert org.twin.counts()["calls"] == 9  # sign-in and eight reads; two calls are left to people


def test_a_used_up_quota_is_neither_a_lost_permission_nor_a_reason_to_sign_in_again() -> None:
    with open_org(daily_calls=2, limit_scale=1.0) as org:
        org.door._budgets._reserve = 0.0
        load(org, 1)
        for _ in range(2):
            org.pull_all("contacts")
        with pytest.raises(QuotaUsedUp):
            org.pull_all("contacts")
        assert counted(org)["token"] == 1


def test_refused_credentials_end_the_connection() -> None:
    with open_org(client_secret="another") as org, pytest.raises(SignInExpired):
        org.pull_all("contacts")


def test_a_maintenance_page_is_not_an_empty_org(org: Desk) -> None:
    load(org, 1)
    org.twin.set_faults(script=[{"match": "GET", "fault": "html", "times": 9}])
    with pytest.raises(RetryLater) as caught:
        org.pull_all("contacts")
    assert caught.value.code == "NET-NOT-JSON"


def test_short_and_long_ids_are_one() -> None:
    assert id18("003xx0000000001") == "003xx0000000001AAA"
    assert id18("003xx0000000001AAA") == "003xx0000000001AAA"
    assert id18("00DA0000000Ilod") == "00DA0000000IlodMAC"  # D and A of the first five, I of the last
