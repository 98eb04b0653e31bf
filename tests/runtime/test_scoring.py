"""Splink scores pairs: the same rows give the same pairs, each with reasons, and nobody by a value that many share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import pytest

from hub.core.canonical import EntityType
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.likeness import blocks_of, features_of, row_of, tells_one
from hub.errors import ConfigFault
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.runtime.scoring import Scored, scorer
from hub.runtime.yaml import load_yaml
from tests.core.test_identity import CONTACT

FEATURES = features_of(CONTACT)


def person(first: str, last: str, **more: Json) -> dict[str, Json]:
    return {"name": {"first_name": first, "last_name": last}, **more}


def scored(
    people: Mapping[int, dict[str, Json]], *, above: float = 0.9, sharing: int = 20, of: EntityType = CONTACT
) -> list[Scored]:
    features = features_of(of)
    strangers = {n: person(f"First{n}", f"Last{n}", email=f"s{n}@else.example") for n in range(1000, 1200)}
    rows = {id_: row_of(of, features, values) for id_, values in {**strangers, **people}.items()}
    with scorer(features, tuple(blocks_of(features, {})), sharing=sharing) as scores:
        scores.add([(id_, row, blocks_of(features, row)) for id_, row in rows.items()])
        return [each for page in scores.pairs(above) for each in page]


ANN = person("Ann", "Lee", email="ann.lee@example.org", phone="+49301112222", birthday="1980-03-04")


def test_a_misspelled_double_is_found_with_its_reasons() -> None:
    anne = person("Anne", "Lee", email="ann.lee@other.example", phone="+49301112222", birthday="1980-04-03")
    (found,) = scored({1: ANN, 2: anne, 3: person("Ann", "Ray", email="ann.ray@example.org")})
    assert (found.one, found.other) == (1, 2)
    assert found.probability > 0.99
    assert {name: text for name, (text, _) in found.levels.items()} == {
        "email": "the same name at another domain", "phone": "the same", "first_name": "much alike",
        "last_name": "the same", "birthday": "day and month changed places",
    }  # fmt: skip
    assert "address" not in found.levels, "nobody has one"
    assert found.weight == pytest.approx(sum(weight for _, weight in found.levels.values()) - 10.0, abs=0.1)


@pytest.mark.parametrize(
    ("other", "field", "level"),
    [
        ({"phone": "+43301112222"}, "phone", "the same last digits"),
        ({"birthday": "1980-03-05"}, "birthday", "one digit differs"),
        ({"name": {"first_name": "A.", "last_name": "Lee"}}, "first_name", "the initial fits"),
        ({"email": "ann.leee@example.org"}, "email", "much alike"),
        ({"birthday": "1999-12-31"}, "birthday", "differs"),
    ],
)
def test_each_step_of_a_comparison_is_told(other: dict[str, Json], field: str, level: str) -> None:
    (found,) = scored({1: ANN, 2: {**ANN, **other}})
    assert found.levels[field][0] == level


@pytest.mark.parametrize(("one", "other"), [("Michael", "Mike"), ("Bob", "Rob"), ("Willi", "Wilhelm")])
def test_a_short_form_is_no_other_name(one: str, other: str) -> None:
    pair = {n: {**ANN, "name": {"first_name": name, "last_name": "Lee"}} for n, name in ((1, one), (2, other))}
    (found,) = scored(pair)
    assert found.levels["first_name"][0] in ("a short form", "much alike")
    assert tells_one(FEATURES, {name: text for name, (text, _) in found.levels.items()})


def test_the_telephone_of_one_is_the_mobile_of_the_other() -> None:
    entity = read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml")), derived=FUNCTIONS).entities["contact"]
    one = person("Ann", "Lee", email="ann.lee@example.org", phone="+49301112222", mobile="+491701112233")
    other = person("Ann", "Lee", email="private.a@example.org", phone="+491701112233")
    (found,) = scored({1: one, 2: other}, of=entity)
    told = {name: text for name, (text, _) in found.levels.items()}
    assert told["any_phone"] == "the same as another number"
    assert tells_one(features_of(entity), told)
    stranger = person("Ann", "Lee", email="private.a@example.org", phone="+491709998877")
    assert scored({1: one, 2: stranger}, of=entity) == [], "a namesake with another number"


@pytest.mark.parametrize(("one", "other"), [("Łucja Woźniak", "Lucja Wozniak"), ("Ashley Young III", "Ashley Young")])
def test_strokes_and_what_follows_a_name_make_no_other_name(one: str, other: str) -> None:
    pair = {n: {**ANN, **person(*name.split(" ", 1))} for n, name in ((1, one), (2, other))}
    (found,) = scored(pair)
    assert [found.levels[name][0] for name in ("first_name", "last_name")] == ["the same", "the same"]


def test_a_birthday_that_differs_in_one_digit_is_no_proof_among_namesakes() -> None:
    one = person("Inès", "Lefèvre", email="ines.lefevre@example.org", birthday="1969-03-06")
    for birthday, proof in (("1960-03-06", False), ("1969-06-03", True), ("1969-03-06", True)):
        (found,) = scored({1: one, 2: {**one, "email": "ines.lefevre@example.com", "birthday": birthday}})
        assert tells_one(FEATURES, {name: text for name, (text, _) in found.levels.items()}) is proof


def test_of_two_with_different_birthdays_one_number_is_no_proof() -> None:
    told = {"first_name": "the same", "last_name": "the same", "phone": "the same"}
    assert tells_one(FEATURES, told)
    assert not tells_one(FEATURES, {**told, "birthday": "differs"}), "passed on, or typed in wrongly"
    assert tells_one(FEATURES, {**told, "birthday": "differs", "email": "the same"})


def test_addresses_are_compared_by_street_place_and_town() -> None:
    home = {"street": "Am Weg 1", "postal_code": "10115", "city": "Berlin"}
    for change, level in (
        ({}, "the same street and postal code"),
        ({"street": "Allee 9"}, "the same postal code"),
        ({"postal_code": "10999", "street": None}, "the same town"),
        ({"postal_code": "80331", "city": "Bonn", "street": None}, "differs"),
    ):
        (found,) = scored({1: {**ANN, "address": home}, 2: {**ANN, "address": {**home, **change}}})
        assert found.levels["address"][0] == level


def test_the_same_rows_give_the_same_pairs() -> None:
    people = {n: person(f"An{'n' * (n % 3)}", "Lee", email=f"a.lee{n % 4}@x{n}.example") for n in range(1, 30)}
    assert scored(people) == scored(dict(reversed(people.items())))


def test_a_value_that_too_many_share_finds_nobody() -> None:
    office = {n: person(f"Worker{n * 7919}", f"Of{n * 104729}", phone="+4930555") for n in range(1, 8)}
    assert scored(office, above=0.5, sharing=6) == []
    assert {each.levels["phone"][0] for each in scored(office, above=0.001, sharing=7)} == {"the same"}


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = importlib.import_module

    def missing(name: str, *more: Any) -> Any:
        if name == "splink":
            raise ImportError(name)
        return usual(name, *more)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigFault) as told, scorer(FEATURES, (), sharing=20):
        pass
    (fault,) = told.value.faults
    assert (fault.code, "integration-hub[identity]" in fault.fix) == ("IDN-EXTRA", True)
