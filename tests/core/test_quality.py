"""What counts as invalid, as another form, as a tier, and what the score is made of."""

from __future__ import annotations

from datetime import date

import pytest

from hub.core.canonical import Canonical, CanonicalField, EntityType
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub, read_mapping
from hub.core.quality import (
    columns_of,
    invalid,
    is_odd,
    raw_value,
    score_of,
    shape,
    tiers_of,
)
from hub.model import Json
from hub.runtime.yaml import parse_yaml

TODAY = date(2026, 11, 28)
FIELDS = (
    CanonicalField(name="email", type="email"),
    CanonicalField(name="phone", type="phone"),
    CanonicalField(name="birthday", type="date"),
    CanonicalField(name="paid_on", type="date"),
    CanonicalField(name="expected_on", type="date"),
    CanonicalField(name="note", type="text"),
    CanonicalField(name="address", type="group", kind="group", parts={"city": "text", "country": "country"}),
)
TEXT = """
connector: crm
language: 1
streams:
  people:
    entity: contact
    root: properties
    fields:
      email: {remote: email}
      phone: {remote: phone, transforms: [{phone: {region: DE}}]}
      birthday: {remote: birthday}
      paid_on: {remote: paid_on}
      expected_on: {remote: expected_on}
      note: {remote: note, direction: in}
      city: {remote: city}
      country: {remote: country, transforms: [{country: {as: name}}]}
"""


@pytest.fixture(scope="module")
def mapping() -> StreamMapping:
    entity = EntityType(name="contact", fields={each.name: each for each in FIELDS})
    sheet = Sheet(parse_yaml(TEXT, "crm.yaml"))
    found = read_mapping(sheet, Canonical(entities={"contact": entity}), Hub()).streams["people"]
    assert not sheet.faults, sheet.faults
    return found


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("email", "ann@example.org", ""),
        ("email", "ann@@example.org", "no e-mail address"),
        ("phone", "+49301234567", ""),
        ("phone", "+49111111111", "a telephone number of one digit, repeated"),
        ("phone", "+4930", "a phone number of impossible length"),
        ("birthday", "1990-02-03", ""),
        ("birthday", "1899-12-31", "before 1900"),
        ("birthday", "2026-11-29", ""),
        ("birthday", "2026-11-30", "in the future"),
        ("paid_on", "2027-01-01", "in the future"),
        ("expected_on", "2027-01-01", ""),
        ("expected_on", "2077-01-01", "more than 50 years ahead"),
        ("country", "DE", ""),
        ("country", "Atlantis", "no country we know"),
    ],
)
def test_a_value_that_cannot_be_right_is_told_with_its_reason(
    mapping: StreamMapping, name: str, value: str, why: str
) -> None:
    column = next(each for each in columns_of(mapping) if each.name == name)
    assert invalid(column, value, TODAY).partition(":")[0] == why


@pytest.mark.parametrize(
    ("name", "raw", "held", "odd"),
    [
        ("email", "ann@example.org", "ann@example.org", False),
        ("email", "Ann@example.org", "Ann@example.org", True),
        ("phone", "+49301234567", "+49301234567", False),
        ("phone", "030 1234567", "+49301234567", True),
        ("phone", "030 1234567", "+49307777777", False),  # stored before our write: it tells nothing
        ("note", "one\ntwo  three", "one\ntwo  three", False),
        ("note", " one", " one", True),
        ("country", "Germany", "DE", False),  # the form of this system
        ("country", "DE", "DE", True),
        ("birthday", 7, "1990-02-03", False),
    ],
)
def test_a_form_is_odd_if_the_hub_would_write_another(
    mapping: StreamMapping, name: str, raw: Json, held: str, odd: bool
) -> None:
    column = next(each for each in columns_of(mapping) if each.name == name)
    assert raw_value(mapping, column.reads, {"properties": {name: raw}}) == raw
    assert is_odd(column, raw, held) is odd


def test_a_shape_says_nothing_of_the_value() -> None:
    assert shape("Ann.Lee@example.org") == "Aaa.Aaa@aaa.aaa"
    assert shape("(030) 123-45") == "(999) 999-99"


def test_tiers_follow_what_was_spent() -> None:
    assert tiers_of([0, 10, 850, 90, 50, -5]) == ["none", "C", "A", "B", "B", "none"]
    assert tiers_of([]) == []


def test_a_score_is_the_weighted_mean_of_what_there_is() -> None:
    assert score_of(dict.fromkeys(("completeness", "validity", "uniqueness", "agreement", "uniformity"), 1.0)) == 100
    assert score_of({"completeness": 0.5, "validity": 1.0, "uniqueness": None}) == 75
    assert score_of({"completeness": None}) is None
