"""The audit of an invented company finds its doubles, invalid values and gaps; the measure sees what is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.app.audit_report import audit
from hub.app.bootstrap import open_hub
from hub.app.runs import sync
from hub.verify.audited import judge_audit
from hub.verify.demo import found_entities
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
            entities, report = found_entities(hub), audit(hub, by="test")
        finally:
            hub.store.close()
    found = judge_audit(company, entities, report)
    assert found.knowable > people // 200
    assert found.precision >= 0.98, found
    assert found.recall >= 0.90, found
    assert (found.invalid, found.blank) == ({}, {})
    assert found.ok

    more = {"key": "invalid:hubspot/companies.phone", "count": 99}
    less = {**report, "clusters": report["clusters"][1:], "findings": [*report["findings"], more]}
    worse = judge_audit(company, entities, less)
    assert worse.right < found.right
    assert worse.invalid, "a finding too many is told"
    blind = {**report, "inventory": [{**row, "blank": row["blank"] + 1} for row in report["inventory"]]}
    assert not judge_audit(company, entities, blind).ok


@pytest.mark.timeout(300)
def test_the_audit_finds_what_is_wrong_with_the_company(tmp_path: Path) -> None:
    judged(tmp_path, SEED, PEOPLE)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
def test_the_same_of_more_people(tmp_path: Path, seed: int) -> None:
    judged(tmp_path, seed, MANY)
