"""HubSpot against its twin: lists, keyset search over a lagging index, batches, merges, associations, webhooks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.hubspot import CONNECTOR
from hub.connector import Settings, WebhookRequest
from hub.errors import QuotaUsedUp, RetryLater, SignatureError, SignInExpired
from hub.model import ChangeSet, Json, PushResult
from hub.twins.hubspot import TwinHubSpot
from hub.verify.certify.stand import SharedClock
from tests.connectors.doors import NOW, Desk, change, desk, twin_clock

FIELDS = ["email", "firstname", "lastname", "phone"]
STREAMS = {
    "contacts": {"fields": FIELDS, "associations": ["companies"]},
    "companies": {"fields": ["name", "domain"]},
    "deals": {"fields": ["dealname", "amount"], "associations": ["companies", "contacts"]},
}
SECRET = "hub-test-secret"


def open_portal(values: dict[str, Json] | None = None, **options: Any) -> Any:
    twin = TwinHubSpot(**{"clock": twin_clock(), "auto_hooks": False, "limit_scale": 100.0, **options})
    given = {"limits": {"burst": 10_000, "search": 1_000}, **(values or {})}
    return desk(CONNECTOR, twin, values=given, streams=copy.deepcopy(STREAMS), webhooks={"secret": SECRET})


@pytest.fixture
def portal() -> Iterator[Desk]:
    with open_portal() as made:
        yield made


def load(portal: Desk, count: int, *, modified: float | None = None) -> list[str]:
    """So many contacts, one second apart unless all get one stamp. Returns their ids."""
    rows = [
        {
            "fields": {"email": f"p{n}@example.org", "firstname": f"F{n}"},
            "created": NOW - 90_000.0,
            "modified": modified if modified is not None else NOW - 80_000.0 + n,
        }
        for n in range(count)
    ]
    portal.twin.load("contacts", rows)
    return list(portal.twin.snapshot("contacts"))


def push(portal: Desk, *changes: ChangeSet, stream: str = "contacts") -> list[PushResult]:
    assert CONNECTOR.push is not None
    return list(CONNECTOR.push(portal.api, stream, changes))


def create(number: int, **body: Json) -> ChangeSet:
    return change("create", {"email": f"new{number}@example.org", **body}, reference=f"acme:{number}")


def update(external_id: str, **body: Json) -> ChangeSet:
    return change("update", body, external_id)


def company(portal: Desk, name: str) -> str:
    found: str = portal.twin.user_create("companies", {"name": name})
    return found


def counted(portal: Desk) -> dict[str, int]:
    return {name: each.calls for name, each in portal.door.counts.snapshot().items()}


def resting(since: float) -> Json:
    """A cursor that has read everything before `since`, archived records included."""
    return {"mode": "search", "since": int(since * 1000), "seen": [], "from": None, "swept": NOW}


# reading


def test_a_first_read_is_one_call_per_hundred_with_associations_inline(portal: Desk) -> None:
    ids = load(portal, 250)
    acme = company(portal, "Acme")
    push(portal, update(ids[0], associations={"contact_to_company": acme}))
    before = portal.calls()
    records, cursor, pages = portal.pull_all("contacts")
    assert [record.external_id for record in records] == ids
    assert portal.calls() - before == 3
    assert [page.listing_complete for page in pages] == [False, False, True]
    assert records[0].data["associations"] == {"companies": {"results": [{"id": acme, "type": "contact_to_company"}]}}
    assert records[1].data["associations"] == {"companies": {"results": []}}
    assert cursor["mode"] == "search"


def test_a_record_is_the_row_as_it_came(portal: Desk) -> None:
    (one,) = load(portal, 1)
    record = portal.pull_all("contacts")[0][0]
    assert (record.external_id, record.op, record.stamp) == (one, "upsert", NOW - 80_000.0)
    assert record.data["properties"]["email"] == "p0@example.org"
    assert record.data["properties"]["phone"] is None


def test_what_changed_is_searched_two_hundred_a_call(portal: Desk) -> None:
    ids = load(portal, 1000)
    records, cursor, pages = portal.pull_all("contacts", resting(NOW - 100_000.0))
    assert [record.external_id for record in records] == ids
    assert counted(portal) == {"search": 5, "associations": 1}
    assert cursor == {"mode": "search", "since": int((NOW - 300) * 1000), "seen": [], "from": None, "swept": NOW}
    assert not pages[-1].listing_complete


def test_an_association_reads_alike_whether_listed_or_searched(portal: Desk) -> None:
    (one,) = load(portal, 1)
    first, second = company(portal, "First"), company(portal, "Second")
    push(portal, update(one, associations={"contact_to_company": first}))
    push(portal, update(one, associations={"contact_to_company": second}))  # now the primary one
    (listed,) = portal.pull_all("contacts")[0]
    (searched,) = portal.pull_all("contacts", resting(NOW - 100_000.0))[0]
    assert CONNECTOR.fetch is not None
    (fetched,) = CONNECTOR.fetch(portal.api, "contacts", [one])
    assert listed.data["associations"]["companies"]["results"][0]["id"] == second
    assert listed.data == searched.data == fetched.data


@pytest.mark.parametrize("count", [250, 450])
def test_records_of_one_millisecond_are_all_read_across_page_edges(portal: Desk, count: int) -> None:
    ids = load(portal, count, modified=NOW - 5000.0)
    late = portal.twin.user_create("contacts", {"email": "late@example.org"})
    records, _, _ = portal.pull_all("contacts", resting(NOW - 100_000.0))
    assert {record.external_id for record in records} == {*ids, late}
    assert records[-1].external_id == late


def test_ten_thousand_results_and_more_are_read_past_the_cap(portal: Desk) -> None:
    ids = load(portal, 10_450)
    records, _, pages = portal.pull_all("contacts", resting(NOW - 100_000.0))
    assert [record.external_id for record in records] == ids
    assert counted(portal) == {"search": 53, "associations": 11}
    assert max(len(page.records) for page in pages) == 1000


def test_a_record_that_changes_while_being_read_shifts_nobody_out(portal: Desk) -> None:
    ids = load(portal, 450)
    first = CONNECTOR.pull(portal.api, "contacts", resting(NOW - 100_000.0))
    portal.twin.user_edit("contacts", ids[10], {"phone": "1"})  # moves to the end of the order
    rest, _, _ = portal.pull_all("contacts", first.next_cursor)
    assert {record.external_id for record in [*first.records, *rest]} == set(ids)


def test_a_record_that_the_index_shows_late_is_seen_by_the_next_read(portal: Desk) -> None:
    load(portal, 1)
    portal.twin.set_faults(index_lag_s=120.0)
    late = portal.twin.user_create("contacts", {"email": "late@example.org"})
    records, cursor, _ = portal.pull_all("contacts", resting(NOW - 100_000.0))
    assert late not in {record.external_id for record in records}
    portal.advance(200)
    assert late in {record.external_id for record in portal.pull_all("contacts", cursor)[0]}


def test_archived_records_are_listed_now_and_then(portal: Desk) -> None:
    ids = load(portal, 3)
    _, cursor, _ = portal.pull_all("contacts")
    portal.twin.user_delete("contacts", ids[1])
    portal.advance(600)
    records, cursor, _ = portal.pull_all("contacts", cursor)
    assert records == []
    portal.advance(3600)
    records, cursor, _ = portal.pull_all("contacts", cursor)
    assert [(record.external_id, record.op, record.data) for record in records] == [(ids[1], "delete", {})]
    assert cursor["swept"] == NOW + 4200.0


@pytest.mark.parametrize("keeps", [False, True])
def test_a_merge_is_told_by_the_survivor(keeps: bool) -> None:
    with open_portal(merge_keeps_id=keeps) as portal:
        winner, loser = load(portal, 2)
        _, cursor, _ = portal.pull_all("contacts")
        portal.advance(60)
        survivor = portal.twin.user_merge("contacts", winner, loser)
        assert (survivor == winner) is keeps
        found = {record.external_id: record for record in portal.pull_all("contacts", cursor)[0]}
        assert (found[loser].op, found[loser].merged_into) == ("merged_into", survivor)
        assert found[survivor].op == "upsert"
        assert keeps or found[winner].merged_into == survivor


def test_records_by_id_are_a_strong_read_and_deletes_need_evidence(portal: Desk) -> None:
    ids = load(portal, 150)
    portal.twin.user_delete("contacts", ids[0])
    portal.twin.set_faults(index_lag_s=600.0)
    portal.twin.user_edit("contacts", ids[1], {"phone": "now"})
    assert CONNECTOR.fetch is not None
    found = {each.external_id: each for each in CONNECTOR.fetch(portal.api, "contacts", [*ids, "999999"])}
    assert found[ids[0]].op == "delete"
    assert found[ids[1]].data["properties"]["phone"] == "now"
    assert "999999" not in found
    assert len(found) == 150


def test_a_record_is_found_by_its_unique_properties_without_the_index(portal: Desk) -> None:
    portal.twin.set_faults(index_lag_s=600.0)
    (made,) = push(portal, create(1))
    assert CONNECTOR.find is not None
    for name, value in (("hub_id", "acme:1"), ("email", "New1@example.org")):
        assert [each.external_id for each in CONNECTOR.find(portal.api, "contacts", name, value)] == [made.external_id]
    assert CONNECTOR.find(portal.api, "contacts", "hub_id", "acme:2") == []


def test_more_properties_than_a_url_or_a_search_takes_are_read_in_parts(portal: Desk) -> None:
    (one,) = load(portal, 1)
    many = [f"property_with_a_rather_long_internal_name_{n:03}" for n in range(400)]
    portal.api.names["contacts"] = ["lastmodifieddate", "hub_id", "hs_merged_object_ids", *many, "email"]
    for cursor in (None, resting(NOW - 100_000.0)):
        records, _, _ = portal.pull_all("contacts", cursor)
        assert [(each.external_id, each.data["properties"]["email"]) for each in records] == [(one, "p0@example.org")]


def test_owners_are_listed_whole_each_time(portal: Desk) -> None:
    row = {"email": "kim@example.org", "firstName": "Kim", "lastName": "Doe"}
    portal.twin.load("owners", [{"fields": row, "created": NOW - 9000.0} for _ in range(120)])
    records, cursor, pages = portal.pull_all("owners")
    assert (len(records), len(pages), pages[-1].listing_complete) == (120, 2, True)
    assert records[0].data["email"] == "kim@example.org"
    assert len(portal.pull_all("owners", cursor)[0]) == 120


# writing


def test_a_hundred_creates_with_their_company_are_one_call(portal: Desk) -> None:
    acme = company(portal, "Acme")
    results = push(portal, *[create(n, lastname=None, associations={"contact_to_company": acme}) for n in range(100)])
    assert {result.outcome for result in results} == {"applied"}
    assert counted(portal) == {"batch_create": 1}
    held = results[7].held
    assert held is not None
    assert (held.marker, held.data["properties"]["email"]) == ("acme:7", "new7@example.org")
    (read,) = [each for each in portal.pull_all("contacts")[0] if each.external_id == held.external_id]
    assert held.data["associations"] == read.data["associations"]


def test_updates_are_matched_by_id_whatever_their_order(portal: Desk) -> None:
    ids = load(portal, 100)
    results = push(portal, *[update(each, phone=f"tel {n}") for n, each in enumerate(ids)])
    assert [(result.index, result.external_id) for result in results] == list(enumerate(ids))
    assert results[42].held is not None
    assert results[42].held.data["properties"]["phone"] == "tel 42"
    assert counted(portal) == {"batch_update": 1}


def test_null_clears_and_false_is_a_value(portal: Desk) -> None:
    (one,) = load(portal, 1)
    push(portal, update(one, firstname=None, hs_email_optout=False))
    fields = portal.twin.records.get("contacts", one).fields
    assert fields.get("firstname") in ("", None)
    assert fields["hs_email_optout"] == "false"


def test_taken_addresses_are_found_in_two_questions_and_the_rest_is_created(portal: Desk) -> None:
    ids = load(portal, 3)
    changes = [create(n) for n in range(50)]
    changes[10] = create(10, email="P1@example.org")
    changes[20] = create(20, email="p2@example.org")
    results = push(portal, *changes)
    taken = {result.index: result.existing_id for result in results if result.outcome == "duplicate"}
    assert taken == {10: ids[1], 20: ids[2]}
    assert sum(result.outcome == "applied" for result in results) == 48
    assert counted(portal) == {"batch_create": 2, "read": 2}


def test_an_update_to_a_taken_address_is_a_duplicate_and_its_neighbours_are_written(portal: Desk) -> None:
    ids = load(portal, 60)
    changes = [update(each, email=f"p{n}@example.org", phone="1") for n, each in enumerate(ids[:50])]
    changes[7] = update(ids[7], email="P55@example.org")
    changes[9] = update(ids[9], email="p56@example.org")
    results = push(portal, *changes)
    assert {r.index: r.existing_id for r in results if r.outcome == "duplicate"} == {7: ids[55], 9: ids[56]}
    assert sum(result.outcome == "applied" for result in results) == 48
    assert counted(portal) == {"batch_update": 2, "read": 1}


def test_a_create_whose_answer_was_lost_is_told_as_a_duplicate_of_itself(portal: Desk) -> None:
    portal.twin.set_faults(script=[{"match": "POST", "fault": "timeout_after"}])
    assert [result.outcome for result in push(portal, create(1), create(2))] == ["unknown", "unknown"]
    results = push(portal, create(1), create(2))
    assert [result.outcome for result in results] == ["duplicate", "duplicate"]
    assert CONNECTOR.fetch is not None
    adopted = CONNECTOR.fetch(portal.api, "contacts", [result.existing_id or "" for result in results])
    assert {each.external_id: each.marker for each in adopted} == {
        result.existing_id: f"acme:{n}" for n, result in enumerate(results, 1)
    }
    assert len(portal.twin.snapshot("contacts")) == 2


@pytest.mark.parametrize("bad", [0, 37, 63])
def test_a_batch_refused_for_one_row_finds_it_in_few_calls(portal: Desk, bad: int) -> None:
    ids = load(portal, 64)
    changes = [update(each, phone="1") for each in ids]
    changes[bad] = update(ids[bad], email="nope")
    results = push(portal, *changes)
    refused = [result for result in results if result.outcome != "applied"]
    assert [(result.index, result.outcome, result.code, result.field) for result in refused] == [
        (bad, "rejected", "INVALID_EMAIL", "email")
    ]
    assert portal.calls() <= 1 + 7  # ⌈log₂ 64⌉ + 1 extra


def test_a_row_missing_over_there_does_not_stop_the_others(portal: Desk) -> None:
    (one,) = load(portal, 1)
    results = push(portal, update(one, phone="1"), update("999999", phone="1"))
    assert [result.outcome for result in results] == ["applied", "not_found"]


def test_rows_that_a_batch_answer_names_as_failed_keep_their_own_state(portal: Desk) -> None:
    ids = load(portal, 20)
    portal.twin.set_faults(script=[{"match": "POST", "fault": "partial_batch", "rows": 2}])
    outcomes = [result.outcome for result in push(portal, *[update(each, phone="1") for each in ids])]
    assert outcomes.count("applied") == 18
    stored = [portal.twin.records.get("contacts", each).fields.get("phone") for each in ids]
    assert [value == "1" for value in stored] == [outcome == "applied" for outcome in outcomes]


def test_an_association_alone_is_written_and_must_be_read_back(portal: Desk) -> None:
    (one,) = load(portal, 1)
    acme = company(portal, "Acme")
    (result,) = push(portal, update(one, **{"association:contact_to_company": acme}))
    assert (result.outcome, result.held) == ("applied", None)
    assert CONNECTOR.fetch is not None
    (read,) = CONNECTOR.fetch(portal.api, "contacts", [one])
    assert [each["id"] for each in read.data["associations"]["companies"]["results"]] == [acme]
    push(portal, update(one, associations={"contact_to_company": None}))
    (read,) = CONNECTOR.fetch(portal.api, "contacts", [one])
    assert read.data["associations"]["companies"]["results"] == []


def test_a_deal_is_created_with_company_and_contact(portal: Desk) -> None:
    (person,) = load(portal, 1)
    acme = company(portal, "Acme")
    body = {"dealname": "Big", "associations": {"deal_to_company": acme, "deal_to_contact": person}}
    (made,) = push(portal, change("create", body, reference="acme:9"), stream="deals")
    assert made.outcome == "applied"
    (deal,) = portal.pull_all("deals")[0]
    assert {name: [row["id"] for row in each["results"]] for name, each in deal.data["associations"].items()} == {
        "companies": [acme],
        "contacts": [person],
    }


def test_a_delete_archives(portal: Desk) -> None:
    one, two = load(portal, 2)
    (result,) = push(portal, change("delete", {}, one))
    assert (result.outcome, result.held.op if result.held else "") == ("applied", "delete")
    assert {each: row["deleted"] for each, row in portal.twin.snapshot("contacts").items()} == {one: True, two: False}


# the account


def test_the_check_names_the_account_and_what_is_missing(portal: Desk) -> None:
    assert portal.connector.check(portal.api)["account"] == "62515"
    assert portal.connector.check(portal.api)["warnings"] == []
    portal.api.marker = "other_id"
    assert "other_id" in portal.connector.check(portal.api)["warnings"][0]


def test_properties_are_described_with_what_mappings_must_know(portal: Desk) -> None:
    fields = {each.name: each for each in portal.connector.discover(portal.api, "contacts")}
    assert (fields["email"].type, fields["email"].unique) == ("email", True)
    assert fields["hub_id"].custom
    assert fields["lifecyclestage"].restricted
    assert "customer" in fields["lifecyclestage"].options
    assert fields["hubspot_owner_id"].ref_to == "owners"
    assert not fields["lastmodifieddate"].writable


def test_the_short_limit_is_a_wait_of_the_size_that_the_answers_name() -> None:
    twin = TwinHubSpot(clock=twin_clock(), auto_hooks=False, limit_scale=0.1)  # 19 calls in ten seconds
    with desk(CONNECTOR, twin, clock=SharedClock(twin), values={"limits": {"burst": 10_000}}) as portal:
        for _ in range(40):
            portal.pull_all("owners")
        assert 20.0 <= sum(portal.clock.slept) <= 21.0
        assert portal.door.counts.total("throttled") == 0


def test_the_daily_limit_is_a_planned_pause() -> None:
    twin = TwinHubSpot(clock=twin_clock(), auto_hooks=False, limit_scale=0.000016)  # 10 calls a day
    twin.burst.calls = 1000
    with desk(CONNECTOR, twin, clock=SharedClock(twin)) as portal:
        with pytest.raises(QuotaUsedUp) as caught:
            for _ in range(10):
                portal.pull_all("owners")
        assert caught.value.after_s == 900.0
        assert twin.counts()["calls"] == 8  # four fifths; the rest is left to people


def test_an_expired_token_of_a_private_app_ends_the_connection() -> None:
    with open_portal(token="another") as portal, pytest.raises(SignInExpired):
        portal.pull_all("contacts")


def test_every_call_of_the_sdk_is_counted_once_and_never_repeated_by_it(portal: Desk) -> None:
    portal.twin.set_faults(script=[{"match": "GET", "fault": "throttle", "times": 2}], throttle_retry_after=1.0)
    portal.pull_all("owners")
    assert portal.calls() == portal.twin.counts()["calls"] == 3
    assert portal.door.counts.total("throttled") == 2


def test_a_maintenance_page_is_not_an_empty_portal(portal: Desk) -> None:
    portal.twin.set_faults(script=[{"match": "GET", "fault": "html", "times": 9}])
    with pytest.raises(RetryLater) as caught:
        portal.pull_all("contacts")
    assert caught.value.code == "NET-NOT-JSON"


# webhooks: vectors of the fact sheet, request validation guide

HOOKS = Settings(values={"portal_id": "62515"}, auth={}, webhooks={"secret": SECRET})
URL = "https://hub.example.com/hooks/hubspot"
BODY = (
    b'[{"eventId":100,"subscriptionId":12,"portalId":62515,"appId":54321,"occurredAt":1793606399000,'
    b'"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":501,"propertyName":"email",'
    b'"propertyValue":"ada@example.org","changeSource":"CRM_UI","sourceId":"userId:9"}]'
)
SIGNED = "avfVurCh1MTN/5qyo/u0qRwMhqEbxl6xc/okk1GudQA="
V1 = "42c0bfd84af81aaccf395fd6f9adfb788d6770a43345e86d39aa12f388e0436e"


def inbound(
    body: bytes = BODY, *, signature: str = SIGNED, stamp: str = "1793606400000", url: str = URL, at: float = NOW
) -> WebhookRequest:
    headers = {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signature}
    return WebhookRequest(
        method="POST", url=url, headers={k: v for k, v in headers.items() if v}, body=body, received_at=at
    )


def is_accepted(request: WebhookRequest, settings: Settings = HOOKS) -> bool:
    assert CONNECTOR.verify is not None
    try:
        CONNECTOR.verify(settings, request)
    except SignatureError:
        return False
    return True


def test_published_vectors_verify() -> None:
    assert is_accepted(inbound())
    first = b'[{"eventId":1,"objectId":501,"subscriptionType":"contact.creation"}]'
    signature = "/9L462MMYN2gdVCr9Eo+X7v6nR8LDHn+dJUupR2CACY="
    assert is_accepted(inbound(first, signature=signature, stamp="1790000001000", at=1_790_000_001.0))
    encoded = (
        b'[{"eventId":2,"subscriptionType":"contact.propertyChange","portalId":62515,"objectId":501,'
        b'"propertyName":"email","propertyValue":"ada@example.org"}]'
    )
    signature = "yH1ADgf3EZB6zwgPdAy1l7TGrs6LEH5w1sheLgPxbeM="
    assert is_accepted(inbound(encoded, signature=signature, url=URL + "?src=crm%3Aeu"))


@pytest.mark.parametrize(
    "request_",
    [
        inbound(signature=""),
        inbound(signature="x" + SIGNED[1:]),
        inbound(signature=V1),
        inbound(BODY + b" "),
        inbound(json.dumps(json.loads(BODY)).encode()),
        inbound(stamp=""),
        inbound(stamp="soon"),
        inbound(stamp="1793606400001"),
        inbound(at=NOW + 301),
        inbound(at=NOW - 301),
        inbound(url="https://hub.example.com/hooks/other"),
    ],
)
def test_what_is_unsigned_altered_old_or_from_the_future_is_refused(request_: WebhookRequest) -> None:
    assert not is_accepted(request_)


def test_no_secret_means_no_webhook() -> None:
    assert not is_accepted(inbound(), Settings(values={}, auth={}))


def test_only_the_older_signatures_are_not_enough() -> None:
    old = WebhookRequest(
        method="POST",
        url=URL,
        headers={"x-hubspot-signature": V1, "x-hubspot-signature-version": "v1"},
        body=BODY,
        received_at=NOW,
    )
    assert not is_accepted(old)


def test_an_event_is_a_reason_to_read_and_carries_no_value() -> None:
    assert CONNECTOR.parse is not None
    (event,) = CONNECTOR.parse(HOOKS, inbound())
    assert (event.stream, event.external_id, event.kind, event.at) == ("contacts", "501", "changed", 1_793_606_399.0)
    assert event.key == "62515:contact.propertyChange:100:1793606399000:501"


def test_each_kind_of_event_names_the_records_to_read() -> None:
    rows = [
        {"subscriptionType": "contact.deletion", "objectId": 1},
        {"subscriptionType": "object.creation", "objectTypeId": "0-3", "objectId": 2},
        {"subscriptionType": "company.merge", "primaryObjectId": 3, "mergedObjectIds": [4], "newObjectId": 5},
        {"subscriptionType": "contact.associationChange", "fromObjectId": 6, "toObjectId": 7},
        {"subscriptionType": "ticket.creation", "objectId": 8},
        {"subscriptionType": "conversation.creation", "objectId": 9},
    ]
    body = json.dumps([{**row, "portalId": 62515, "eventId": 1, "occurredAt": 1_793_606_399_000} for row in rows])
    assert CONNECTOR.parse is not None
    events = CONNECTOR.parse(HOOKS, inbound(body.encode()))
    assert {(event.stream, event.external_id, event.kind) for event in events} == {
        ("contacts", "1", "deleted"),
        ("deals", "2", "changed"),
        ("companies", "3", "merged"),
        ("tickets", "8", "changed"),
        ("companies", "4", "merged"),
        ("companies", "5", "changed"),
        ("contacts", "6", "changed"),
    }
    assert len({event.key for event in events}) == 7


def test_a_delivery_for_another_account_is_refused() -> None:
    assert CONNECTOR.parse is not None
    other = Settings(values={"portal_id": "1"}, auth={}, webhooks={"secret": SECRET})
    with pytest.raises(SignatureError):
        CONNECTOR.parse(other, inbound())


@pytest.mark.parametrize("body", [b"not json", b"{}", b"[" + b",".join([b"{}"] * 101) + b"]"])
def test_a_delivery_in_another_shape_is_refused(body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(SignatureError):
        CONNECTOR.parse(HOOKS, inbound(body))


def test_what_the_twin_signs_is_what_the_connector_accepts(portal: Desk) -> None:
    portal.twin.set_webhook(URL, SECRET)
    one = portal.twin.user_create("contacts", {"email": "hook@example.org"})
    portal.twin.hooks.pump(force=True)
    sent = portal.twin.hooks.log[0]
    headers = {name.lower(): value for name, value in sent.headers.items()}
    request = WebhookRequest(method="POST", url=URL, headers=headers, body=sent.body.encode(), received_at=NOW)
    assert is_accepted(request)
    assert CONNECTOR.parse is not None
    assert {event.external_id for event in CONNECTOR.parse(HOOKS, request)} == {one}
