"""What people who are there twice have alike: whoever looks at both records can tell.

A person whom one system knows by a second address is two people to everybody who goes by addresses. That it is one must
show somewhere, as it does in real lists: a telephone number, the street. Nobody is drawn anew here: what stands in the
rows of those few is replaced by what is true of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from hub.twins.company_lands import LANDS, Land
from hub.twins.company_people import Person
from hub.twins.company_views import Ledger

Json = Any
PHONES = {"salesforce": "Phone", "hubspot": "phone", "shopify": "phone", "stripe": "phone"}
STREETS = {
    ("salesforce", "contacts"): ("MailingStreet", "MailingCity", "MailingState", "MailingPostalCode", "MailingCountry"),
    ("salesforce", "leads"): ("Street", "City", "State", "PostalCode", "Country"),
    ("hubspot", "contacts"): ("address", "city", "state", "zip", "country"),
}
_LANDS = {land.code: land for land in LANDS}


def with_own_numbers(people: Sequence[Person]) -> list[Person]:
    """The same people, told apart: two who drew one number have their own, as long as their country has some left."""
    found, used = list(people), set[str]()
    spare = {(land.code, kind): _numbers(land, kind) for land in LANDS for kind in ("phone", "mobile")}
    for place, person in enumerate(found):
        for kind in ("phone", "mobile"):
            number = getattr(person, kind)
            if number in used:
                rest = spare[person.land.code, kind]
                number = next((each for each in rest if each not in used), number)
                found[place] = replace(found[place], **{kind: number})
            if number is not None:
                used.add(number)
    return _with_own_doors(found)


def _with_own_doors(people: list[Person]) -> list[Person]:
    """Two of one name who drew one door live next to each other: nobody could tell them apart else."""
    used: set[tuple[str, ...]] = set()
    for place, person in enumerate(people):
        home = person.address
        while (door := (person.first_name, person.last_name, home.street, home.city)) in used:
            home = replace(home, street=re.sub(r"[0-9]+", lambda found: str(int(found[0]) + 1), home.street, count=1))
        used.add(door)
        if home is not person.address:
            people[place] = replace(person, address=home)
    return people


def _numbers(land: Land, kind: str) -> Any:
    """Every number of a country's ranges, in order."""
    for pattern in land.fixed if kind == "phone" else land.mobile:
        for digits in product("0123456789", repeat=pattern.count("#")):
            rest = iter(digits)
            yield f"+{land.calling}" + "".join(next(rest) if each == "#" else each for each in pattern)


def show_who_is_one(ledger: Ledger, people: Sequence[Person], answer: Any) -> None:
    """Give the records of people with a second address what tells that they are one.

    Args:
        answer: makes the form's answer that holds a telephone number.
    """
    known = {person.id: person for person in people}
    records: dict[str, list[tuple[str, str, dict[str, Json]]]] = defaultdict(list)
    rows = {
        (system, stream, row["id"]): row["fields"]
        for system in (*PHONES, "typeform")
        for stream, held in ledger.rows.get(system, {}).items()
        for row in held
    }
    for (system, stream, record), person in ledger.truth.items():
        fields = rows.get((system, stream, record.rpartition("/")[2].rpartition(":")[2]))
        if fields is not None:
            records[person].append((system, stream, fields))
    for person, own in records.items():
        if any(known[person].other_email in _address(system, fields) for system, _, fields in own):
            for system, stream, fields in own:
                _tell(known[person], system, stream, fields, answer)


def _address(system: str, fields: dict[str, Json]) -> str:
    if system == "typeform":
        return "".join(str(each.get("email") or "") for each in fields["answers"]).lower()
    return str(fields.get("Email") or fields.get("email") or "").lower()


def _tell(person: Person, system: str, stream: str, fields: dict[str, Json], answer: Any) -> None:
    number, home = person.phone or person.mobile, person.address
    if (system, stream) in STREETS:
        told = (home.street, home.city, home.state or None, home.postal_code or None)
        fields |= dict(zip(STREETS[system, stream], (*told, _LANDS[home.country].spellings[0]), strict=True))
    if number is not None and system == "typeform":
        fields["answers"] = [*(each for each in fields["answers"] if each["type"] != "phone_number"), answer(number)]
    elif number is not None:
        fields[PHONES[system]] = number
    elif system in ("shopify", "stripe", "typeform"):  # nothing there could tell: they are known by their one address
        _one_address(person, system, fields)


def _one_address(person: Person, system: str, fields: dict[str, Json]) -> None:
    if system != "typeform":
        fields["email"] = person.email
        return
    for each in fields["answers"]:
        if each["type"] == "email":
            each["email"] = person.email
