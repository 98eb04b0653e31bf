"""What one system believes of a person: the truth, mis-spelled, out of date, badly formatted, or with gaps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hub.twins.company_lands import LANDS
from hub.twins.company_people import Address, Firm, Person, Rep, plain

Json = Any
DAY_S = 86_400.0
_LANDS = {land.code: land for land in LANDS}
NO_PHONE = ("n/a", "-", "none")
WITH_TRUNK_IN_BRACKETS = ("DE", "FR", "GB")  # "+49 (0)30 ...": a habit of these countries


@dataclass(frozen=True, kw_only=True)
class View:
    """One system's idea of one person."""

    email: str
    first_name: str
    last_name: str
    phone: str | None
    mobile: str | None
    address: Address | None
    country: str | None  # as that system's users write it
    birthday: str | None
    job_title: str | None
    company_name: str | None
    lifecycle: str
    created: float
    modified: float


@dataclass(kw_only=True)
class Ledger:
    """Rows and truth as they are written down, system by system."""

    now: float
    rows: dict[str, dict[str, list[dict[str, Json]]]] = field(default_factory=dict)
    truth: dict[tuple[str, str, str], str] = field(default_factory=dict)
    firms: dict[tuple[str, str, str], str] = field(default_factory=dict)
    reps: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(
        self, system: str, stream: str, record_id: str, created: float, modified: float, fields: dict[str, Json]
    ) -> dict[str, Json]:
        row = {"id": record_id, "created": created, "modified": modified, "fields": fields}
        self.rows.setdefault(system, {}).setdefault(stream, []).append(row)
        return row

    def count(self, system: str, stream: str) -> int:
        return len(self.rows.get(system, {}).get(stream, ()))


def draw_times(rng: random.Random, now: float) -> tuple[float, float]:
    """(created, modified) in whole seconds; every fourth row was last touched by one bulk import."""
    created = now - rng.uniform(40, 900) * DAY_S
    bulk = now - 35 * DAY_S
    modified = bulk if rng.random() < 0.25 else rng.uniform(created, now - DAY_S)
    return float(int(created)), float(int(max(created, modified)))


def draw_view(rng: random.Random, person: Person, now: float, email: str | None = None) -> View:
    """How one system sees the person; each call sees something else."""
    first, last = _written_name(rng, person)
    address = _known_address(rng, person)
    country = _country(rng, address) if address else None
    created, modified = draw_times(rng, now)
    region = address.country if address and country else None
    return View(
        email=_written_email(rng, email or person.email),
        first_name=first,
        last_name=last,
        phone=_known_phone(rng, person.phone, person, region, _LANDS[person.land.code].fixed),
        mobile=_known_phone(rng, person.mobile, person, region, _LANDS[person.land.code].mobile),
        address=address,
        country=country,
        birthday=_known_birthday(rng, person),
        job_title=_known_text(rng, person.job_title, "Consultant"),
        company_name=person.firm.name if person.firm and rng.random() < 0.9 else None,
        lifecycle=person.lifecycle,
        created=created,
        modified=modified,
    )


def write_phone(rng: random.Random, number: str, region: str | None, *, tidy: bool = False) -> str:
    """An E.164 number as people type it. National notations only if the row's `region` tells how to read them."""
    land = next(land for land in LANDS if number.startswith(f"+{land.calling}"))
    digits = number.removeprefix(f"+{land.calling}")
    area, rest = digits[: land.area], digits[land.area :]
    spaced = " ".join(rest[at : at + 3] for at in range(0, len(rest), 3))
    forms = [f"+{land.calling} {area} {spaced}", number, f"+{land.calling}-{area}-{rest}", f"+{land.calling}.{digits}"]
    if land.code in WITH_TRUNK_IN_BRACKETS:
        forms.append(f"+{land.calling} (0){area} {spaced}")
    if region == land.code and not tidy:
        home = f"{land.trunk}{area}"
        forms += [f"{home} / {spaced}", f"({home}) {rest}", f"{home}-{rest}", f"{home}{rest}", f" {home} {spaced} "]
        forms += [f"{home}.{spaced.replace(' ', '.')}"]
        if land.code in ("DE", "FR", "PL", "GR", "GB"):
            forms.append(f"00{land.calling} {area} {rest}")
    if land.code in ("US", "GB") and not tidy and rng.random() < 0.05:
        return f"{forms[0]} ext. {rng.randrange(10, 99)}"
    return rng.choice(forms)


def _known_phone(
    rng: random.Random, number: str | None, person: Person, region: str | None, patterns: tuple[str, ...]
) -> str | None:
    """The number, an old one, a remark in its place, or nothing."""
    chance = rng.random()
    if number is None or chance < 0.18:
        return rng.choice(NO_PHONE) if number and chance < 0.01 else None
    if chance < 0.24:
        pattern = rng.choice(patterns)
        digits = "".join(str(rng.randrange(10)) if c == "#" else c for c in pattern)
        number = f"+{person.land.calling}{digits}"
    return write_phone(rng, number, region)


def _written_name(rng: random.Random, person: Person) -> tuple[str, str]:
    first, last = person.first_name, person.last_name
    chance = rng.random()
    if person.spellings and chance < 0.25:
        first, last = rng.choice(person.spellings)
    elif chance < 0.29:
        first, last = first.upper(), last.upper()
    elif chance < 0.32:
        first, last = first.lower(), last.lower()
    elif chance < 0.36:
        first, last = f" {first}", f"{last} "
    if person.suffix and rng.random() < 0.6:
        last = f"{last.strip()} {person.suffix}"
    return first, last


def _written_email(rng: random.Random, email: str) -> str:
    """The same address with other capitals or stray blanks."""
    chance = rng.random()
    if chance < 0.06:
        return email.upper()
    if chance < 0.16:
        name, _, domain = email.partition("@")
        return f"{name.title()}@{domain}"
    return f" {email} " if chance < 0.19 else email


def _known_address(rng: random.Random, person: Person) -> Address | None:
    chance = rng.random()
    if chance < 0.2:
        return None
    if chance < 0.28:  # an older address in the same country
        name, postal_code, state = rng.choice(person.land.cities).split("|")
        digits = "".join(str(rng.randrange(10)) if c == "#" else c for c in postal_code)
        street = rng.choice(person.land.streets).format(n=rng.randrange(1, 99))
        return Address(street=street, city=name, state=state, postal_code=digits, country=person.address.country)
    if chance < 0.36:
        held = person.address
        return Address(
            street=held.street.lower(),
            city=plain(held.city).upper(),
            state="",
            postal_code=held.postal_code.replace(" ", ""),
            country=held.country,
        )
    return person.address


def _country(rng: random.Random, address: Address) -> str | None:
    return None if rng.random() < 0.08 else rng.choice(_LANDS[address.country].spellings)


def _known_birthday(rng: random.Random, person: Person) -> str | None:
    if person.birthday is None or rng.random() < 0.3:
        return None
    year, month, day = person.birthday.split("-")
    if rng.random() < 0.03 and int(day) <= 12:  # day and month were mistaken for each other
        return f"{year}-{day}-{month}"
    return person.birthday


def _known_text(rng: random.Random, text: str | None, other: str) -> str | None:
    chance = rng.random()
    if text is None or chance < 0.2:
        return None
    return other if chance < 0.26 else text


def firm_country(rng: random.Random, firm: Firm) -> str:
    return rng.choice(_LANDS[firm.address.country].spellings)


def rep_ids(reps: list[Rep], first: int) -> dict[str, int]:
    """Rep id -> running number from `first`."""
    return {rep.id: first + place for place, rep in enumerate(reps)}
