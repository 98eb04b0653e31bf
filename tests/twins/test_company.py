"""The invented company: coherent, messy as real data is, the same for the same seed, and loadable by the twins."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from typing import Any

import phonenumbers
import pytest

from hub.twins.client import TwinClient
from hub.twins.company import Company, emails_of, fill, generate, score
from hub.twins.company_lands import LANDS
from hub.twins.kit import VirtualClock
from hub.twins.server import serve


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(1, 2000)


def systems_of(company: Company) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for (system, _, _), person in company.truth.items():
        found.setdefault(person, set()).add(system)
    return found


def test_the_same_seed_gives_the_same_company() -> None:
    assert generate(7, 60) == generate(7, 60)
    assert generate(7, 60) != generate(8, 60)


def test_everybody_is_somewhere_and_most_are_in_two_systems_or_more(company: Company) -> None:
    systems = systems_of(company)
    assert len(systems) == len(company.people) == 2000
    in_many = sum(len(found) > 1 for found in systems.values()) / 2000
    assert 0.7 < in_many < 0.82


@pytest.mark.parametrize("seed", range(1, 11))
def test_the_address_alone_finds_nearly_all_and_is_nearly_never_wrong(seed: int) -> None:
    company = generate(seed, 1000)
    scores = score(company.truth, emails_of(company))
    assert 0.95 <= scores.recall < 1.0
    assert scores.precision >= 0.99


def test_every_record_of_a_person_has_its_truth(company: Company) -> None:
    streams = {
        ("salesforce", "contacts"), ("salesforce", "leads"), ("hubspot", "contacts"),
        ("shopify", "customers"), ("stripe", "customers"), ("typeform", "responses"),
    }  # fmt: skip
    told = Counter((system, stream) for system, stream, _ in company.truth)
    assert told == {key: len(company.rows[key[0]][key[1]]) for key in streams}
    assert set(emails_of(company)) == set(company.truth)


def test_few_people_share_a_mailbox_and_no_one_else_an_address(company: Company) -> None:
    addresses = Counter(person.email for person in company.people)
    shared = sum(number for number in addresses.values() if number > 1)
    assert 0 < shared / 2000 < 0.003
    for person in company.people:
        assert re.fullmatch(r"[a-z0-9.\-]+@example\.(org|com|net)", person.email)


def test_a_system_holds_an_address_once_where_its_vendor_wants_that(company: Company) -> None:
    for system, stream, name in (("hubspot", "contacts", "email"), ("shopify", "customers", "email")):
        held = Counter(row["fields"][name].strip().lower() for row in company.rows[system][stream])
        assert max(held.values()) == 1
    in_salesforce = Counter(row["fields"]["Email"].strip().lower() for row in company.rows["salesforce"]["contacts"])
    assert max(in_salesforce.values()) == 2


def test_some_people_are_twice_in_one_system(company: Company) -> None:
    twice = Counter((system, stream, person) for (system, stream, _), person in company.truth.items())
    by_system = Counter(system for (system, _, _), number in twice.items() if number > 1)
    assert all(by_system[system] >= 3 for system in ("salesforce", "hubspot", "stripe"))
    assert sum(by_system.values()) / 2000 < 0.05


def test_true_numbers_are_possible_ones(company: Company) -> None:
    numbers = [n for p in company.people for n in (p.phone, p.mobile) if n] + [firm.phone for firm in company.firms]
    assert all(phonenumbers.is_possible_number(phonenumbers.parse(number)) for number in numbers)


def test_a_written_number_can_be_read_with_the_rows_country(company: Company) -> None:
    spellings = {name: land.code for land in LANDS for name in land.spellings}
    written = 0
    for row in company.rows["hubspot"]["contacts"]:
        text, country = row["fields"]["phone"], row["fields"]["country"]
        if text in (None, "n/a", "-", "none"):
            continue
        parsed = phonenumbers.parse(text, spellings.get(country))
        assert phonenumbers.is_possible_number(parsed), text
        written += text != f"+{parsed.country_code}{parsed.national_number}"
    assert written > 500


def test_systems_disagree_and_have_gaps(company: Company) -> None:
    rows = {
        (system, row["id"]): row["fields"]
        for system, stream in (("salesforce", "contacts"), ("hubspot", "contacts"))
        for row in company.rows[system][stream]
    }
    by_person: dict[str, dict[str, Any]] = {}
    for (system, _, record_id), person in company.truth.items():
        if (system, record_id) in rows:
            by_person.setdefault(person, {})[system] = rows[system, record_id]
    pairs = [found for found in by_person.values() if len(found) == 2]
    names = sum(f["salesforce"]["LastName"] != f["hubspot"]["lastname"] for f in pairs) / len(pairs)
    gaps = sum(f["hubspot"]["phone"] is None for f in pairs) / len(pairs)
    assert 0.2 < names < 0.7
    assert 0.2 < gaps < 0.5


def test_names_come_in_many_scripts(company: Company) -> None:
    text = " ".join(f"{person.first_name} {person.last_name}" for person in company.people)
    for letters in ("ü", "ß", "é", "ł", "Παπα", "佐藤", "محمد", "O'Connor"):
        assert letters in text
    assert any(person.suffix for person in company.people)


def test_references_lead_somewhere(company: Company) -> None:
    crm, shop, money = company.rows["salesforce"], company.rows["shopify"], company.rows["stripe"]
    ids = {stream: {row["id"] for row in rows} for stream, rows in crm.items()}
    for row in crm["contacts"]:
        assert row["fields"]["AccountId"] in ids["accounts"] | {None}
        assert row["fields"]["OwnerId"] in ids["users"]
    for row in crm["opportunities"]:
        assert row["fields"]["ContactId"] in ids["contacts"]
    companies = {row["id"] for row in company.rows["hubspot"]["companies"]}
    for row in company.rows["hubspot"]["contacts"]:
        assert set(row.get("associations", {}).get("companies", [])) <= companies
    customers = {row["id"] for row in shop["customers"]}
    assert {row["fields"]["customer"] for row in shop["orders"]} <= customers
    payers = {row["id"] for row in money["customers"]}
    for stream in ("subscriptions", "invoices", "charges"):
        assert {row["fields"]["customer"] for row in money[stream]} <= payers


def test_all_history_lies_in_the_past_and_many_stamps_are_equal() -> None:
    company = generate(3, 500, now=1_800_000_000.0)
    stamps = [row["modified"] for streams in company.rows.values() for rows in streams.values() for row in rows]
    assert max(stamps) < 1_800_000_000.0
    assert all(row["created"] <= row["modified"] for row in company.rows["hubspot"]["contacts"])
    assert Counter(stamps).most_common(1)[0][1] > 100


def test_won_deals_and_large_orders_are_there(company: Company) -> None:
    deals = Counter(row["fields"]["StageName"] for row in company.rows["salesforce"]["opportunities"])
    assert deals["Closed Won"] > 10
    assert any(row["fields"]["dealstage"] == "closedwon" for row in company.rows["hubspot"]["deals"])
    assert any(row["fields"]["totalPrice"] > 500 for row in company.rows["shopify"]["orders"])


SYSTEMS = ("salesforce", "hubspot", "shopify", "stripe", "typeform", "plum")
FURTHER = ("activecampaign", "bigcommerce", "freshsales", "quickbooks", "zoho_invoice")


@pytest.mark.parametrize("system", [*SYSTEMS, *FURTHER])
def test_a_twin_takes_its_rows_whole(system: str) -> None:
    company = generate(1, 300, also=FURTHER)
    twin = importlib.import_module(f"hub.twins.{system}").make(clock=VirtualClock(), auto_hooks=False)
    assert set(company.rows[system]) <= set(twin.streams)
    number = fill(company, {system: twin})
    assert number == sum(len(rows) for rows in company.rows[system].values())
    for stream, rows in company.rows[system].items():
        assert {row["id"] for row in rows} <= set(twin.snapshot(stream))


def test_a_twin_in_another_process_is_filled_through_its_client() -> None:
    small = generate(2, 50)
    from hub.twins.hubspot import make

    with serve(make(clock=VirtualClock(), auto_hooks=False)) as running:
        client = TwinClient(running.base_url)
        fill(small, {"hubspot": client})
        assert len(client.snapshot("contacts")) == len(small.rows["hubspot"]["contacts"])
        client.close()


def test_a_further_system_changes_nothing_of_what_the_others_hold() -> None:
    usual, more = generate(2, 80), generate(2, 80, also=FURTHER)
    assert {system: more.rows[system] for system in usual.rows} == usual.rows
    assert set(more.rows) == set(usual.rows) | set(FURTHER)
    assert more.truth.items() > usual.truth.items()


def test_scores_count_pairs() -> None:
    truth = {("a", "s", "1"): "p", ("b", "s", "1"): "p", ("c", "s", "1"): "p", ("a", "s", "2"): "q"}
    found = {("a", "s", "1"): 1, ("b", "s", "1"): 1, ("c", "s", "1"): 2, ("a", "s", "2"): 2}
    scores = score(truth, found)
    assert (scores.precision, scores.recall, scores.pairs) == (0.5, 1 / 3, 3)
    assert score(truth, {}).recall == 0.0
