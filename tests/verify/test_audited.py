"""The audit of an invented company finds its doubles, invalid values and gaps; the measure sees what is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.app.audit_report import audit
from hub.app.bootstrap import open_hub
from hub.app.runs import sync
from hub.verify.audited import Seen, found_entities, judge_audit
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project

SEED, PEOPLE, MANY = 1, 250, 2_000


def judged(folder: Path, seed: int, people: int) -> None:
    with vendors(seed, people) as (twins, company):
        place = folder / "project"
        write_project(place, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:9")
        settings = place / "hub.yaml"
        settings.write_text(settings.read_text().replace("mode: live", "mode: observe"))  # nothing is cleaned by us
        hub = open_hub(place, environ=ENVIRONMENT, publish=True)
        try:
            sync(hub, list(twins), owner="test")
            seen = Seen()
            entities, report = found_entities(hub), audit(hub, by="test", seen=seen)
        finally:
            hub.store.close()
    found = judge_audit(company, entities, report, seen)
    assert found.seeded > people // 100, "of every two who are one, whatever they share"
    assert found.precision >= 0.98, found
    assert found.recall >= 0.90, found
    assert (found.invalid, found.blank) == (frozenset(), frozenset()), "which value of which record"
    assert found.ok

    less = {**report, "clusters": report["clusters"][1:]}
    assert judge_audit(company, entities, less, seen).right < found.right, "a pair that is missed is told"
    single = next(each for each in report["clusters"] if each["entity"] == "contact")
    namesakes = {**single["pairs"][0], "first": "contact:1", "second": "contact:2"}
    more = {**report, "clusters": [*report["clusters"], {**single, "pairs": [namesakes]}]}
    assert judge_audit(company, entities, more, seen).found == found.found + 1, "and so is a pair too many"
    for kind in ("invalid", "blank"):
        other = Seen()
        other.told |= {each: {*values} for each, values in seen.told.items()}
        phones = {each for each in other.told[kind] if each[:2] == ("hubspot", "contacts") and each[3] == "phone"}
        one = min(phones, default=("hubspot", "contacts", "none", "phone"))
        other.told[kind] = (other.told[kind] - {one}) | {(*one[:2], "nobody", one[3])}  # not fewer, but others
        assert not judge_audit(company, entities, report, other).ok


@pytest.mark.timeout(300)
def test_the_audit_finds_what_is_wrong_with_the_company(tmp_path: Path) -> None:
    judged(tmp_path, SEED, PEOPLE)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
def test_the_same_of_more_people(tmp_path: Path, seed: int) -> None:
    judged(tmp_path, seed, MANY)
