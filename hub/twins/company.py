"""One coherent, invented company as plain data for all twins, with the truth of who is who.

The same seed gives the same company. People stand in a random part of the systems, each with its own spelling, gaps,
old values and formats; nearly all of what is one person shares the normalised e-mail address, a little does not, and a
handful of people share a mailbox. So matching can be scored.
"""

from __future__ import annotations

import importlib
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import comb
from types import MappingProxyType
from typing import Any, Protocol

from hub.twins.company_commerce import Commerce, phone_answer
from hub.twins.company_crm import Crm
from hub.twins.company_goods import Goods
from hub.twins.company_people import Firm, Person, Rep, draw_people
from hub.twins.company_sketch import Sketch
from hub.twins.company_twice import show_who_is_one, with_own_numbers
from hub.twins.company_views import Ledger
from hub.twins.company_work import Work

Json = Any
# System, stream, external id: as the vendor's API names the record among all others, so a global id at Shopify, and
# form and token at Typeform ("u6nXL7:l9x2"), where a token is unique within its form only.
Key = tuple[str, str, str]

NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC; all history lies before
# How likely a person stands in a system: together about three in four people stand in two or more.
PRESENCE = {"salesforce": 0.72, "hubspot": 0.72, "shopify": 0.3, "stripe": 0.25, "typeform": 0.18}
OTHER_EMAIL_SHARE = 0.012  # of people whom one system knows by another address
TWICE_IN_HUBSPOT_SHARE = 0.012  # of people there twice, under two addresses
TWICE_IN_SALESFORCE_SHARE = 0.015  # of people there twice under one address, which that vendor permits
TWICE_IN_STRIPE_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Company:
    """Plain data; `rows[system][stream]` is what Twin.load takes."""

    seed: int
    people: tuple[Person, ...]
    firms: tuple[Firm, ...]
    reps: tuple[Rep, ...]
    rows: dict[str, dict[str, list[dict[str, Json]]]]
    truth: dict[Key, str]  # of streams that hold people: -> Person.id
    firm_truth: dict[Key, str]  # -> Firm.id
    rep_truth: dict[Key, str]  # -> Rep.id


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Pairs of records that were put together, against pairs that belong together."""

    precision: float  # share of the pairs put together that are right
    recall: float  # share of the right pairs that were put together
    pairs: int  # right pairs in all


class Loads(Protocol):
    """A twin, or its client."""

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int: ...


def generate(
    seed: int,
    people: int,
    *,
    now: float = NOW,
    also: Iterable[str] = (),
    drawn: Mapping[str, Callable[[Sketch], None]] = MappingProxyType({}),
) -> Company:
    """Invent a company with so many people; its history ends a day before `now` (epoch seconds).

    Args:
        also: further systems that it uses; the twin of each says in `sketch` what stands there. They draw from numbers
            of their own, so the rest of the company is the same with and without them.
        drawn: the same for twins that live elsewhere: what writes down what stands there.
    """
    rng = random.Random(seed)
    ledger = Ledger(now=now)
    drawn_people, firms, reps = draw_people(rng, people)
    persons = with_own_numbers(drawn_people)
    crm, commerce = Crm(ledger=ledger, rng=rng), Commerce(ledger=ledger, rng=rng)
    crm.add_reps(reps)
    crm.add_firms(firms)
    commerce.add_prices()
    commerce.add_form()
    commerce.add_rewards()
    for person in persons:
        _place(rng, person, crm, commerce)
    show_who_is_one(ledger, persons, phone_answer)
    crm.add_deals(persons)
    Work(ledger=ledger, rng=random.Random(f"{seed}/work"), crm=crm).add(persons)
    Goods(ledger=ledger, rng=random.Random(f"{seed}/goods")).add()
    found = {name: getattr(importlib.import_module(f"hub.twins.{name}"), "sketch", None) for name in also}
    for system, draw in {**found, **drawn}.items():
        if draw is not None:
            draw(
                Sketch(
                    system=system,
                    ledger=ledger,
                    people=tuple(persons),
                    firms=tuple(firms),
                    reps=tuple(reps),
                    rng=random.Random(f"{seed}/{system}"),
                )
            )
    return Company(
        seed=seed,
        people=tuple(persons),
        firms=tuple(firms),
        reps=tuple(reps),
        rows=ledger.rows,
        truth=ledger.truth,
        firm_truth=ledger.firms,
        rep_truth=ledger.reps,
    )


def fill(company: Company, twins: Mapping[str, Loads]) -> int:
    """Load the rows of every system that `twins` names; returns how many rows that were."""
    return sum(
        twins[system].load(stream, rows)
        for system, streams in company.rows.items()
        if system in twins
        for stream, rows in streams.items()
    )


def score(truth: Mapping[Key, str], found: Mapping[Key, Hashable]) -> Scores:
    """Compare who was put together with who belongs together.

    Args:
        truth: record -> person.
        found: record -> entity; records that were linked to nothing are absent, and count as standing alone.

    Precision and recall over pairs of records, as is usual for record linkage; 1.0 where there is no pair to judge.
    """
    known = {key: entity for key, entity in found.items() if key in truth}
    right = _pairs(truth.values())
    claimed = _pairs(known.values())
    hits = _pairs((entity, truth[key]) for key, entity in known.items())
    return Scores(precision=hits / claimed if claimed else 1.0, recall=hits / right if right else 1.0, pairs=right)


def emails_of(company: Company) -> dict[Key, str]:
    """Record of a person -> normalised e-mail address, as a matcher by that key alone would read it."""
    found: dict[Key, str] = {}
    for system, stream, name in (
        ("salesforce", "contacts", "Email"),
        ("salesforce", "leads", "Email"),
        ("hubspot", "contacts", "email"),
        ("shopify", "customers", "email"),
        ("stripe", "customers", "email"),
    ):
        for row in company.rows[system].get(stream, ()):
            record_id = f"gid://shopify/Customer/{row['id']}" if system == "shopify" else row["id"]
            found[system, stream, record_id] = row["fields"][name].strip().lower()
    for row in company.rows["typeform"].get("responses", ()):
        answer = next(a for a in row["fields"]["answers"] if a["type"] == "email")
        found["typeform", "responses", f"{row['fields']['form_id']}:{row['id']}"] = answer["email"].strip().lower()
    return found


def _pairs(groups: Iterable[Hashable]) -> int:
    return sum(comb(size, 2) for size in Counter(groups).values())


def _place(rng: random.Random, person: Person, crm: Crm, commerce: Commerce) -> None:
    """Write the person down in some of the systems, in at least one."""
    adders = {
        "salesforce": crm.add_to_salesforce,
        "hubspot": crm.add_to_hubspot,
        "shopify": commerce.add_to_shopify,
        "stripe": commerce.add_to_stripe,
        "typeform": commerce.add_to_typeform,
    }
    chosen = [system for system, share in PRESENCE.items() if rng.random() < share]
    chosen = chosen or [rng.choice(("salesforce", "hubspot"))]
    if person.shares_mailbox and "salesforce" not in chosen:
        chosen.append("salesforce")  # it takes an address twice; the others would lose the second person
    odd = rng.choice(chosen) if rng.random() < OTHER_EMAIL_SHARE else None
    for system in chosen:
        adders[system](person, person.other_email if system == odd else None)
    if person.shares_mailbox or odd:
        return
    if "hubspot" in chosen and rng.random() < TWICE_IN_HUBSPOT_SHARE:
        crm.add_to_hubspot(person, person.other_email)
    if "salesforce" in chosen and rng.random() < TWICE_IN_SALESFORCE_SHARE:
        crm.add_to_salesforce(person)
    if "stripe" in chosen and rng.random() < TWICE_IN_STRIPE_SHARE:
        commerce.add_to_stripe(person)
