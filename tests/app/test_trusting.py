"""Measured trust over a real store: what was corrected, ruled and bounced, and the order that becomes a draft."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.app.audit_report import as_page, audit
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.drafts import publish_for_others
from hub.app.review import resolve_conflict
from hub.app.runs import sync
from hub.app.trust_drafts import draft_would_change, propose_order
from hub.app.trusting import list_trust
from hub.errors import NeedsReview, NotFound
from hub.model import EventRow
from tests.projects import CANONICAL, edit, make_project

PEOPLE = 60
REPLACED = 40


@pytest.fixture
def project(tmp_path: Path) -> Path:
    left = [f"{n},p{n}@example.org,P{n},+4930111{n:04}," for n in range(PEOPLE)]
    right = [f"{n},p{n}@example.org,P{n},," for n in range(PEOPLE)]
    text = CANONICAL.replace("phone: {type: phone}", "# how we reach people\n      phone: {type: phone}")
    return make_project(
        tmp_path, canonical_yaml=text, left_csv="\n".join(["Id,Email,Name,Phone,Hub", *left, ""]),
        right_csv="\n".join(["No,Mail,Name,Phone,Hub", *right, ""]),
        right_yaml="""\
connector: csv
language: 1
streams:
  people:
    entity: contact
    fields: {email: {remote: Mail}, name: {remote: Name}, phone: {remote: Phone}}
""",
    )  # fmt: skip


@pytest.fixture
def hub(project: Path, database_url: str) -> Iterator[Hub]:
    found = open_hub(project, url=database_url, publish=True)
    yield found
    found.store.close()


def of(rows: list[dict[str, Any]], system: str, field: str = "phone") -> dict[str, Any]:
    return next(each for each in rows if (each["system"], each["field"]) == (system, field))


def corrected(hub: Hub, project: Path) -> None:
    """The right corrects most numbers of the left, which corrects two of its; one is changed by both at a time."""
    sync(hub, ["left", "right"], owner="test")
    for n in range(REPLACED):
        edit(project, "data/right.csv", f"+4930111{n:04}", f"+4930222{n:04}")
    sync(hub, ["right", "left"], owner="test")
    for n in range(2):
        edit(project, "data/left.csv", f"+4930222{n:04}", f"+4930333{n:04}")
    edit(project, "data/left.csv", "+49301110050", "+49304440050")
    edit(project, "data/right.csv", "+49301110050", "+49305550050")
    sync(hub, ["left", "right"], owner="test")


def test_an_order_is_measured_drafted_compared_and_published(hub: Hub, project: Path, database_url: str) -> None:
    corrected(hub, project)
    rows = list_trust(hub)
    left, right = of(rows, "left"), of(rows, "right")
    assert (left["given"], left["corrected"], left["by_person"]) == (PEOPLE + 3, REPLACED, 0)
    assert (right["given"], right["corrected"], right["overruled"]) == (REPLACED, 2, 1)
    assert left["suggests"] == right["suggests"] == ["right", "left"]
    assert of(rows, "left", "name")["suggests"] == [], "nothing was corrected there"
    assert "40" in as_page(audit(hub, by="kim", look=False))

    made = propose_order(hub, "contact", "phone", by="kim")
    assert made["order"] == ["right", "left"]
    assert made["reason"].startswith("right 3 of 41 failed (")
    before = project.joinpath("mappings/canonical.yaml").read_text()
    changes = draft_would_change(hub)
    assert changes["counts"] == [{"stream": "contact", "field": "phone", "count": 1}], "what both had changed"
    assert project.joinpath("mappings/canonical.yaml").read_text() == before, "a draft changes no file"
    publish_for_others(hub, "canonical.yaml", by="kim")
    text = project.joinpath("mappings/canonical.yaml").read_text()
    assert f"# measured trust: {made['reason']}" in text
    assert "# how we reach people" in text
    hub.store.close()

    again = open_hub(project, url=database_url, publish=True)
    try:
        assert list(again.canonical.entities["contact"].fields["phone"].survivorship.source) == ["right", "left"]
        assert of(list_trust(again), "left")["suggests"] == [], "it holds already"
        with pytest.raises(NeedsReview, match="speak for no other order"):
            propose_order(again, "contact", "phone", by="kim")
        with pytest.raises(NotFound):
            propose_order(again, "contact", "nothing", by="kim")
    finally:
        again.store.close()


def test_a_ruling_counts_against_who_is_overruled_and_a_bounce_against_the_address(
    project: Path, database_url: str
) -> None:
    edit(project, "data/right.csv", "p7@example.org,P7,", "p7@example.org,Seven,")
    hub = open_hub(project, url=database_url, publish=True)
    sync(hub, ["left", "right"], owner="test")
    with hub.store.reading() as tx:
        (conflict,) = tx.conflicts(field="name")
    wrong = next(place for place, each in enumerate(conflict.candidates) if each["value"] != conflict.winner)
    before = {each: of(list_trust(hub), each, "name") for each in ("left", "right")}
    assert sum(each["overruled"] for each in before.values()) == 1
    assert sum(each["by_person"] for each in before.values()) == 0
    resolve_conflict(hub, conflict.id or 0, candidate=wrong, by="kim")
    now = hub.clock.now()
    with hub.store.transaction() as tx:
        tx.insert_events([
            EventRow(
                key="bounce", name="activity.email_bounced", entity_id=2, subject_id=2, at=now, source="mail",
                silent=False, noticed_at=now,
            )
        ])  # fmt: skip
    rows = list_trust(hub)
    hub.store.close()
    names = {each: of(rows, each, "name") for each in ("left", "right")}
    ruled = {each for each in names if names[each]["by_person"]}
    assert {names[each]["failed"] for each in ruled} == {1}, "one value, counted once"
    assert len(ruled) == 1
    assert sum(each["failed"] for each in names.values()) == 1
    assert sum(each["bounced"] for each in rows) == 1
    (bounced,) = [each for each in rows if each["bounced"]]
    assert (bounced["field"], bounced["corrected"], bounced["failed"]) == ("email", 0, 1)
