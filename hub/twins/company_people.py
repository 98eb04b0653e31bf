"""Draws the people, companies and sales reps of the invented company: what is true of them, before any system errs."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from hub.twins.company_lands import (
    COMPANY_FORMS,
    COMPANY_TRADES,
    COMPANY_WORDS,
    LANDS,
    NICKNAMES,
    SUFFIXES,
    TITLES,
    Land,
)

LIFECYCLE = (("subscriber", 15), ("lead", 24), ("mql", 10), ("sql", 10), ("opportunity", 14), ("customer", 27))
MAIL_DOMAINS = ("example.org", "example.com", "example.net")
INTERESTS = ("Product", "Pricing", "Support", "Training")
SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show", "Webinar", "Other")
PEOPLE_PER_COMPANY, PEOPLE_PER_REP, MOST_REPS = 8, 150, 12


@dataclass(frozen=True, kw_only=True)
class Address:
    """One postal address in true form."""

    street: str
    city: str
    state: str
    postal_code: str
    country: str  # ISO 3166 alpha-2


@dataclass(frozen=True, kw_only=True)
class Rep:
    """A sales rep, who is a user or owner in the CRMs."""

    id: str
    first_name: str
    last_name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class Firm:
    """A company that people work for."""

    id: str
    name: str
    domain: str
    phone: str  # E.164
    address: Address
    employees: int
    revenue: int  # of a year, whole euros
    rep: Rep


@dataclass(frozen=True, kw_only=True)
class Person:
    """What is true of one person."""

    id: str
    email: str  # normalised
    other_email: str  # a second address that some system knows instead
    salutation: str
    first_name: str
    last_name: str
    suffix: str | None
    spellings: tuple[tuple[str, str], ...]  # other ways to write (first, last): Latin letters, without accents, short
    phone: str | None  # E.164
    mobile: str | None  # E.164
    address: Address
    birthday: str | None  # ISO date
    job_title: str | None
    firm: Firm | None
    language: str
    lifecycle: str
    lead_source: str
    interests: tuple[str, ...]
    opted_out: bool
    rep: Rep
    shares_mailbox: bool = False
    land: Land = field(repr=False, compare=False)


def draw_people(rng: random.Random, number: int) -> tuple[list[Person], list[Firm], list[Rep]]:
    """People, their companies and the reps who look after them. Same generator state, same people."""
    used: set[str] = set()
    reps = [_rep(rng, index, used) for index in range(max(2, min(MOST_REPS, number // PEOPLE_PER_REP + 2)))]
    firms = [_firm(rng, index, reps, used) for index in range(max(1, number // PEOPLE_PER_COMPANY))]
    people = [_person(rng, index, firms, reps, used) for index in range(number)]
    return _with_shared_mailboxes(rng, people), firms, reps


def _with_shared_mailboxes(rng: random.Random, people: list[Person]) -> list[Person]:
    """For every thousand people two have one mailbox between them, as in a small office."""
    for index in range(len(people) // 1000):
        one, two = rng.sample(range(len(people)), 2)
        address = f"info{index + 1}@example.com"
        for place in (one, two):
            if not people[place].shares_mailbox:
                people[place] = replace(people[place], email=address, shares_mailbox=True)
    return people


def _rep(rng: random.Random, index: int, used: set[str]) -> Rep:
    land = LANDS[index % len(LANDS)]
    first, last = _latin(rng.choice(land.women + land.men)), _latin(rng.choice(land.families))
    return Rep(id=f"rep{index + 1:02}", first_name=first, last_name=last, email=_mail(rng, first, last, used, "sales."))


def _firm(rng: random.Random, index: int, reps: list[Rep], used: set[str]) -> Firm:
    land = _land(rng)
    words = (rng.choice(COMPANY_WORDS), rng.choice(COMPANY_TRADES))
    host = f"{words[0]}-{words[1]}".lower()
    while host in used:
        host = f"{words[0]}-{words[1]}-{rng.randrange(2, 99_999)}".lower()
    used.add(host)
    number = host.rpartition("-")[2]
    extra = f" {number}" if number.isdecimal() else ""
    return Firm(
        id=f"firm{index + 1:05}",
        name=f"{words[0]} {words[1]}{extra} {rng.choice(COMPANY_FORMS[land.code])}",
        domain=f"{host}.example.com",
        phone=_phone(rng, land, land.fixed),
        address=_address(rng, land),
        employees=rng.choice((3, 8, 12, 25, 40, 120, 450, 2_300)),
        revenue=rng.choice((120, 450, 900, 2_500, 12_000, 88_000)) * 1_000,
        rep=rng.choice(reps),
    )


def _person(rng: random.Random, index: int, firms: list[Firm], reps: list[Rep], used: set[str]) -> Person:
    land = _land(rng)
    is_woman = rng.random() < 0.5
    given = rng.choice(land.women if is_woman else land.men)
    family = rng.choice(land.families)
    if land.women_families and is_woman:
        family = re.sub(r"ki(?=/|$)", "ka", family)
    first, last = _native(given), _native(family)
    suffix = rng.choice(SUFFIXES) if land.code in ("US", "GB") and rng.random() < 0.08 else None
    lifecycle = rng.choices([name for name, _ in LIFECYCLE], [share for _, share in LIFECYCLE])[0]
    firm = rng.choice(firms) if rng.random() < 0.7 else None
    first_latin, last_latin = _latin(given), _latin(family)
    return Person(
        id=f"p{index + 1:06}",
        email=_mail(rng, first_latin, last_latin, used),
        other_email=_mail(rng, first_latin[:1], last_latin, used, "private."),
        salutation="Ms." if is_woman else "Mr.",
        first_name=first,
        last_name=last,
        suffix=suffix,
        spellings=_spellings(given, family, first, last),
        phone=_phone(rng, land, land.fixed) if rng.random() < 0.85 else None,
        mobile=_phone(rng, land, land.mobile) if rng.random() < 0.6 else None,
        address=_address(rng, land),
        birthday=_birthday(rng) if rng.random() < 0.5 else None,
        job_title=rng.choice(TITLES) if firm else None,
        firm=firm,
        language=land.language,
        lifecycle=lifecycle,
        lead_source=rng.choice(SOURCES),
        interests=tuple(sorted(rng.sample(INTERESTS, rng.randrange(0, 3)))),
        opted_out=rng.random() < 0.06,
        rep=firm.rep if firm else rng.choice(reps),
        land=land,
    )


def _spellings(given: str, family: str, first: str, last: str) -> tuple[tuple[str, str], ...]:
    """Other ways in which systems write the same name: transcribed, without accents, all capitals, short."""
    found = [(_latin(given, at), _latin(family, at)) for at in range(3)]
    found.append((plain(found[0][0]), plain(found[0][1])))
    if first in NICKNAMES:
        found.append((NICKNAMES[first], last))
    return tuple(dict.fromkeys(pair for pair in found if pair != (first, last)))


def _land(rng: random.Random) -> Land:
    return rng.choices(LANDS, [land.share for land in LANDS])[0]


def _native(name: str) -> str:
    return name.partition("/")[0]


def _latin(name: str, at: int = 0) -> str:
    """A Latin spelling of a name of the tables; the first one if there are not so many."""
    spellings = name.rpartition("/")[2].split("|")
    return spellings[at] if at < len(spellings) else spellings[0]


def plain(text: str) -> str:
    """Without accents: é becomes e, ł becomes l."""
    text = text.translate(str.maketrans("łŁøØđĐ", "lLoOdD"))
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _mail(rng: random.Random, first: str, last: str, used: set[str], prefix: str = "") -> str:
    """An address nobody has yet, on one of the domains kept free for examples (RFC 2606)."""
    name = re.sub(r"[^a-z.\-]", "", plain(f"{first}.{last}".lower().replace(" ", "")))
    domain = rng.choice(MAIL_DOMAINS)
    address, number = f"{prefix}{name}@{domain}", 1
    while address in used:
        number += rng.randrange(1, 9)
        address = f"{prefix}{name}{number}@{domain}"
    used.add(address)
    return address


def _phone(rng: random.Random, land: Land, patterns: tuple[str, ...]) -> str:
    return f"+{land.calling}{_digits(rng, rng.choice(patterns))}"


def _digits(rng: random.Random, pattern: str) -> str:
    return re.sub("#", lambda _: str(rng.randrange(10)), pattern)


def _address(rng: random.Random, land: Land) -> Address:
    city, postal_code, state = rng.choice(land.cities).split("|")
    street = rng.choice(land.streets).format(n=rng.randrange(1, 180))
    return Address(street=street, city=city, state=state, postal_code=_digits(rng, postal_code), country=land.code)


def _birthday(rng: random.Random) -> str:
    return (date(1948, 1, 1) + timedelta(days=rng.randrange(57 * 365))).isoformat()
