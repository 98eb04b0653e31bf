"""Invented people, each known to two systems in the systems' own shapes: twenty fields, most of them filled.

Four in five stand in both systems; of those, some have another phone, post or town there. Numbers and addresses are
written as people write them: some in normal form, some not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Any

FIRST = "Ada Ben Carla David Elena Felix Greta Hannes Ines Jonas Klara Lukas Mira Nils Olga Paul Ronja Sören Tilda Yara"
LAST = "Abel Brandt Conrad Dorn Ebert Fuchs Groß Hahn Imhof Jansen König Lorenz Müller Neumann Otto Peters Roth Schäfer"
TOWNS = (
    ("Berlin", "10115", "030"),
    ("Hamburg", "20095", "040"),
    ("München", "80331", "089"),
    ("Köln", "50667", "0221"),
    ("Leipzig", "04109", "0341"),
)
STREETS = ("Hauptstraße", "Bahnhofstraße", "Gartenweg", "Lindenallee", "Am Markt")
POSTS = ("Engineer", "Buyer", "Head of Sales", "Controller", "Assistant")
INTERESTS = ("Pricing", "Product", "Support", "Training")
SOURCES = ("Web", "Webinar", "Trade Show", "Other")

SYSTEMS = ("salesforce", "hubspot")
START = "0/"  # of plain pages: the key before all records
IN_BOTH = 0.8
OTHER_VALUE = 0.05  # of the people in both, per field that may differ
PLAIN_PHONE = 0.6  # already in international form
STARTED = 1_700_000_000.0  # the first record's last change; one second further for each


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a system."""

    id: str
    stamp: float  # epoch seconds of its last change
    data: dict[str, Json]  # the vendor's shape


def draw(number: int, seed: int = 1) -> tuple[list[Row], list[Row]]:
    """`number` records, half of them in each system."""
    rng = random.Random(seed)
    half = number // 2
    both = int(half * IN_BOTH)
    here = [_person(rng, each) for each in range(half)]
    there = [_seen_elsewhere(rng, each) for each in here[:both]]
    there += [_person(rng, half + each) for each in range(half - both)]
    rng.shuffle(there)
    first = [salesforce(place, person, STARTED + place) for place, person in enumerate(here)]
    second = [hubspot(place, person, STARTED + place) for place, person in enumerate(there)]
    return first, second


def _person(rng: random.Random, number: int) -> dict[str, Json]:
    first, last = rng.choice(FIRST.split()), rng.choice(LAST.split())
    town, postal_code, area = rng.choice(TOWNS)
    tail = f"{2_000_000 + number * 7 % 7_000_000}"
    plain = rng.random() < PLAIN_PHONE
    return {
        "email": f"{first}.{last}.{number}@example.com".lower().encode("ascii", "ignore").decode(),
        "salutation": rng.choice(("Ms.", "Mr.", "Dr.", None)),
        "first": first,
        "last": last,
        "phone": f"+49{area[1:]}{tail}" if plain else f"({area}) {tail[:3]}-{tail[3:]}",
        "mobile": f"+4917{rng.randrange(10**7, 10**8)}0" if rng.random() < 0.5 else None,
        "birthday": f"19{rng.randrange(50, 99)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        "post": rng.choice(POSTS),
        "firm": f"{rng.choice(LAST.split())} GmbH",
        "street": f"{rng.choice(STREETS)} {rng.randrange(1, 200)}",
        "town": town,
        "postal_code": postal_code,
        "state": None,
        "country": rng.choice(("DE", "Germany", "Deutschland")),
        "language": rng.choice(("de", "en")),
        "source": rng.choice(SOURCES),
        "interests": sorted(rng.sample(INTERESTS, rng.randrange(3))),
        "website": f"https://www.{last.lower()}{number % 997}.example.com/".encode("ascii", "ignore").decode(),
        "opted_out": rng.random() < 0.02,
        "note": f"Met in {town}",
    }


def _seen_elsewhere(rng: random.Random, person: dict[str, Json]) -> dict[str, Json]:
    other = dict(person)
    if rng.random() < OTHER_VALUE:
        other["post"] = rng.choice(POSTS)
    if rng.random() < OTHER_VALUE:
        other["phone"] = f"+4930{rng.randrange(2_000_000, 9_000_000)}"
    if rng.random() < OTHER_VALUE:
        other["street"] = f"{rng.choice(STREETS)} {rng.randrange(1, 200)}"
    return other


def moment(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="milliseconds")[:23]


def salesforce(place: int, person: dict[str, Json], stamp: float) -> Row:
    """As a query answers (REST API Developer Guide, "Query")."""
    record_id = f"003xx{place:010}AAA"
    data = {
        "attributes": {"type": "Contact", "url": f"/services/data/v68.0/sobjects/Contact/{record_id}"},
        "Id": record_id,
        "SystemModstamp": moment(stamp) + "+0000",
        "LastModifiedById": "005xx0000000001AAA",
        "IsDeleted": False,
        "Hub_Id__c": None,
        "MasterRecordId": None,
        "Email": person["email"],
        "Salutation": person["salutation"],
        "FirstName": person["first"],
        "LastName": person["last"],
        "Phone": person["phone"],
        "MobilePhone": person["mobile"],
        "Birthdate": person["birthday"],
        "Title": person["post"],
        "Company__c": person["firm"],
        "MailingStreet": person["street"],
        "MailingCity": person["town"],
        "MailingPostalCode": person["postal_code"],
        "MailingState": person["state"],
        "MailingCountry": person["country"],
        "Preferred_Language__c": person["language"],
        "LeadSource": person["source"],
        "Interests__c": ";".join(person["interests"]) or None,
        "Website__c": person["website"],
        "HasOptedOutOfEmail": person["opted_out"],
        "Description": person["note"],
    }
    return Row(record_id, stamp, data)


def hubspot(place: int, person: dict[str, Json], stamp: float) -> Row:
    """As the object list answers (CRM API guide, "Objects"): every value is text, `updatedAt` beside the properties."""
    record_id, at = str(1_000_001 + place), moment(stamp) + "Z"
    properties = {
        "lastmodifieddate": at,
        "hub_id": None,
        "hs_merged_object_ids": None,
        "email": person["email"],
        "salutation": person["salutation"],
        "firstname": person["first"],
        "lastname": person["last"],
        "phone": person["phone"],
        "mobilephone": person["mobile"],
        "date_of_birth": person["birthday"],
        "jobtitle": person["post"],
        "company": person["firm"],
        "address": person["street"],
        "city": person["town"],
        "zip": person["postal_code"],
        "state": person["state"],
        "country": person["country"],
        "hs_language": person["language"],
        "lead_source": person["source"],
        "interests": ";".join(person["interests"]) or None,
        "website": person["website"],
        "hs_email_optout": "true" if person["opted_out"] else "",
        "note": person["note"],
    }
    return Row(
        record_id,
        stamp,
        {"id": record_id, "properties": properties, "createdAt": at, "updatedAt": at, "archived": False},
    )


def changed(row: Row, turn: int, at: float) -> Row:
    """The same record after a person changed phone and post."""
    phone, post = f"+4930{5_000_000 + turn % 4_000_000}", f"Post {turn}"
    return written(row, {"jobtitle": post, "phone": phone} if is_hubspot(row) else {"Title": post, "Phone": phone}, at)


def written(row: Row, body: dict[str, Json], at: float) -> Row:
    """The same record with other values, last changed at `at` (epoch seconds)."""
    stamp = round(at, 3)
    text = moment(stamp)
    if is_hubspot(row):
        properties = {**row.data["properties"], **body, "lastmodifieddate": text + "Z"}
        return Row(row.id, stamp, {**row.data, "properties": properties, "updatedAt": text + "Z"})
    return Row(row.id, stamp, {**row.data, **body, "SystemModstamp": text + "+0000"})


def is_hubspot(row: Row) -> bool:
    return "properties" in row.data
