"""The data audit finds exactly what was put in: doubles, invalid and missing values, odd forms, gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mappings
from hub.app.audit_findings import in_words
from hub.app.audit_report import as_page, audit
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.runs import sync
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.model import HoldRow
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import load_yaml
from hub.store import Store
from tests.app.test_scan import person, stored
from tests.projects import CANONICAL, HUB, LEFT, edit, make_project

FIELDS = CANONICAL.replace(
    "      name: {type: text}\n",
    "      name: {type: text}\n      birthday: {type: date}\n      country: {type: country}\n",
)
MORE = """\
      birthday: {remote: Born}
      country: {remote: Country}
"""
CRM_ROWS = """\
Id,Email,Name,Phone,Born,Country,Hub
1,ann@example.org,Ann Lee,+49301112222,1990-02-03,DE,
2,BOB@Example.org,Bob  Ray,030 1234567,1800-01-01,DE,
3,cy@example.org,Cy Fox,,2199-05-06,Germany,
4,nobody@@example.org,Di Low,+49301114444,,Atlantis,
5,eve@example.org,Eve Orr,+49,1980-01-01,,
6,,<b>Flo</b>,+49301116666,,,
"""
SHOP_ROWS = """\
No,Mail,Name,Phone,Hub
9,ann@example.org,Ann Lee,,
8,bob@example.org,Bob Ray,+49301234567,
7,cy@example.org,Cy Fox,+49301113333,
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A CRM that is only read, and a shop whose phones are only read by the mapping."""
    left = LEFT + MORE
    right = LEFT.replace("remote: Email", "remote: Mail").replace("{remote: Phone,", "{remote: Phone, direction: in,")
    return make_project(
        tmp_path, hub=HUB.replace("mapping: left.yaml", "mapping: left.yaml\n    mode: observe"), canonical_yaml=FIELDS,
        left_yaml=left, right_yaml=right, left_csv=CRM_ROWS, right_csv=SHOP_ROWS,
    )  # fmt: skip


@pytest.fixture
def opened(project: Path, database_url: str) -> Iterator[Callable[[], Hub]]:
    """Opens the project as it now stands, on the database of the test."""
    hubs: list[Hub] = []

    def open_() -> Hub:
        hubs.append(open_hub(project, url=database_url, publish=True))
        return hubs[-1]

    yield open_
    for hub in hubs:
        hub.store.close()


def told(report: dict[str, Any]) -> dict[str, int]:
    return {each["key"]: each["count"] for each in report["findings"]}


def test_everything_that_was_put_in_is_found_and_nothing_else(opened: Callable[[], Hub]) -> None:
    hub = opened()
    sync(hub, ["left", "right"], owner="test")
    report = audit(hub, by="kim", look=False)
    assert told(report) == {
        "odd:left/people.country": 1,  # Germany, where DE is the form
        "odd:left/people.email": 1,  # BOB@Example.org
        "odd:left/people.name": 1,  # two blanks
        "odd:left/people.phone": 1,  # 030 1234567
        "odd:right/people.name": 1,  # which the first sync brought there
        "invalid:left/people.birthday": 2,  # 1800, 2199
        "invalid:left/people.country": 1,  # Atlantis
        "invalid:left/people.email": 1,  # two @
        "invalid:left/people.phone": 1,  # +49
        "gap:left/people.phone:observe": 1,  # Cy's, which the shop knows
        "gap:right/people.phone:reads_only": 1,  # Ann's, which the CRM knows
        "missing:contact.birthday": 2,
        "missing:contact.country": 3,
        "missing:contact.email": 2,
        "missing:contact.phone": 1,
    }
    found = {each["key"]: each for each in report["findings"]}
    assert found["invalid:left/people.birthday"]["text"] == "before 1900 (1); more than 50 years ahead (1)"
    assert found["invalid:left/people.email"]["examples"] == ["left/people/4"]
    assert found["odd:left/people.phone"]["shapes"] == [{"shape": "999 9999999", "count": 1}]
    assert found["gap:right/people.phone:reads_only"]["fix"] == (
        "let right.yaml:9 write it (direction: both), and hub plan right"
    )
    assert found["missing:contact.birthday"]["fix"] == "ask for it in left"
    rows = {(each["system"], each["field"]): each for each in report["inventory"]}
    phone = rows["left", "phone"]
    assert (phone["filled"], phone["unread"], phone["blank"], phone["filled_share"]) == (4, 1, 1, 0.8333)
    assert rows["hub", "phone"]["filled"] == 5
    assert report["parts"] == {
        "completeness": 0.7333,  # 22 of 30
        "validity": 0.8438,  # 5 of 32 are wrong
        "uniqueness": 1.0,
        "agreement": 0.9375,  # 2 gaps
        "uniformity": 0.8438,
    }
    assert report["score"] == 86


def test_the_next_audit_tells_what_changed_and_the_same_store_tells_the_same(
    opened: Callable[[], Hub], project: Path
) -> None:
    hub = opened()
    sync(hub, ["left", "right"], owner="test")
    first = audit(hub, by="kim", look=False)
    assert (first["before"], first["difference"]) == (None, [])
    again = audit(hub, by="kim", look=False)
    assert again["difference"] == []
    assert again["findings"] == first["findings"]
    edit(project, "data/left.csv", "nobody@@example.org", "nobody@example.org")
    edit(project, "data/left.csv", "1990-02-03", "1790-02-03")
    sync(hub, ["left"], owner="test")
    third = audit(hub, by="kim", look=False)
    assert third["difference"] == [
        {"key": "invalid:left/people.birthday", "before": 2, "now": 3, "change": 1},
        {"key": "invalid:left/people.email", "before": 1, "now": 0, "change": -1},
        {"key": "missing:contact.email", "before": 2, "now": 1, "change": -1},
    ]
    assert [each["score"] for each in third["scores"]] == [86, 86, third["score"]]


def test_what_many_lack_becomes_a_rule_at_the_source(opened: Callable[[], Hub], project: Path) -> None:
    lines = [f"{n},x{n}@example.org,Name {n},,,," for n in range(20, 24)]
    (project / "data" / "left.csv").write_text(CRM_ROWS + "\n".join(lines) + "\n", "utf-8")
    hub = opened()
    sync(hub, ["left", "right"], owner="test")
    report = audit(hub, by="kim", look=False)
    assert [each["rule"] for each in report["rules"]] == ["make phone required in left: 5 of 10 records lack it"], (
        "a person is reached by phone; birthdays and countries are not in use there"
    )


def _reasons(report: dict[str, Any]) -> list[str]:
    return [key.rpartition(":")[2] for key in told(report) if key.startswith("gap:")]


def test_a_gap_says_why_it_was_not_written(tmp_path: Path, database_url: str) -> None:
    project = make_project(tmp_path)
    hub = open_hub(project, url=database_url, publish=True)
    sync(hub, ["right"], owner="test")
    sync(hub, ["left"], owner="test")  # brings Ann's number, which the shop lacks
    due = audit(hub, by="kim", look=False)
    hub.connections["right"] = replace(hub.connections["right"], mode="propose")
    asks = audit(hub, by="kim", look=False)
    hub.connections["right"] = replace(hub.connections["right"], mode="live")
    sync(hub, ["right"], owner="test")
    done = audit(hub, by="kim", look=False)
    hub.store.close()
    assert [_reasons(each) for each in (due, asks, done)] == [["due"], ["asks"], []]
    assert next(each["fix"] for each in due["findings"] if each["key"].endswith(":due")) == "hub sync right"


def test_a_gap_of_a_stream_that_takes_nothing_and_one_that_did_not_stay(tmp_path: Path, database_url: str) -> None:
    project = make_project(tmp_path)
    hub = open_hub(project, url=database_url, publish=True)
    sync(hub, ["right"], owner="test")
    sync(hub, ["left"], owner="test")
    right = hub.connections["right"]
    silent = {name: replace(each, writes=frozenset()) for name, each in right.streams.items()}
    hub.connections["right"] = replace(right, streams=silent)
    no_way = audit(hub, by="kim", look=False)
    hub.connections["right"] = right
    with hub.store.transaction() as tx:
        tx.update_links([replace(each, behind_since=None) for each in tx.links_page("right", "people")])
    settled = audit(hub, by="kim", look=False)
    with hub.store.transaction() as tx:
        (link,) = (each for each in tx.links_page("right", "people") if each.external_id == "9")
        hold = HoldRow(
            id=tx.reserve_ids("hold", 1)[0], guard="one_value", connection="right", stream="people", field="phone",
            count=1, of=1, state="open", message="", at=1.0, run_id=None,
        )  # fmt: skip
        tx.add_hold_items(tx.add_hold(hold), [(link.id, "phone")])
    held = audit(hub, by="kim", look=False)
    hub.store.close()
    gaps = [_reasons(each) for each in (no_way, settled, held)]
    assert gaps == [["no_way"], ["settled"], ["held_back"]]


def test_second_records_of_one_person_are_counted_where_they_are(tmp_path: Path, database_url: str) -> None:
    rows = "Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann,,\n2,Ann@Example.org,Ann,,\n3,bob@example.org,Bob,,\n"
    hub = open_hub(make_project(tmp_path, left_csv=rows), url=database_url, publish=True)
    sync(hub, ["left"], owner="test")
    report = audit(hub, by="kim", look=False)
    hub.store.close()
    assert told(report) == {"double:left/people": 1, "odd:left/people.email": 1}
    assert report["parts"]["uniqueness"] == 0.6667  # one of three records


def test_a_system_with_one_form_of_its_own_is_uniform(tmp_path: Path, database_url: str) -> None:
    rows = "Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann,030 1234567,\n2,bob@example.org,Bob,030 7654321,\n"
    project = make_project(tmp_path, left_csv=rows)
    hub = open_hub(project, url=database_url, publish=True)
    sync(hub, ["left"], owner="test")
    alike = audit(hub, by="kim", look=False)
    edit(project, "data/left.csv", "030 7654321", "0307654321")
    sync(hub, ["left"], owner="test")
    mixed = audit(hub, by="kim", look=False)
    hub.store.close()
    assert told(alike) == {}
    assert told(mixed) == {"odd:left/people.phone": 2}


def test_best_customers_come_first_and_doubles_are_told_with_their_reasons(shipped: Hub) -> None:
    report = audit(shipped, by="kim")
    assert [(each["tier"], each["entities"], each["spent"]) for each in report["tiers"]] == [
        ("A", 2, 8500.0), ("B", 1, 1000.0), ("C", 1, 500.0), ("none", 60, 0)
    ]  # fmt: skip
    assert [each["title"] for each in report["best"]] == ["<b>Ann</b> Lee", "Bob Ray", "Cy Fox", "Anne Lee"]
    (cluster,) = report["clusters"]
    assert cluster["members"] == ["contact:1", "contact:2"]
    assert cluster["pairs"][0]["because"].startswith("birthday the same, phone the same, ")
    assert told(report) == {"duplicate:contact": 1}
    assert report["parts"]["uniqueness"] == 0.9844  # one of 64
    page = as_page(report)
    assert "&lt;b&gt;Ann&lt;/b&gt; Lee" in page
    assert "<b>" not in page
    assert not any(each in page for each in ("<script", "http:", "https:", "src=", "url("))


BORN = {"birthday": "1990-02-03"}


@pytest.fixture
def shipped(migrated_url: str) -> Iterator[Hub]:
    """The shipped entity types over a store of people, two of them one, four of them customers."""
    canonical = read_canonical(Sheet(load_yaml(Path(mappings.__file__).parent / "canonical.yaml")), derived=FUNCTIONS)
    people = [
        person("<b>Ann</b>", "Lee", "ann.lee@example.org", "+49301112222") | BORN | {"lifetime_value": "5000"},
        person("Anne", "Lee", "ann.lee@other.example", "+49301112222") | BORN | {"lifetime_value": "500"},
        person("Bob", "Ray", "bob@example.org") | {"lifetime_value": "3500"},
        person("Cy", "Fox", "cy@example.org") | {"lifetime_value": "1000"},
        *(person(f"First{n}", f"Last{n}", f"someone{n}@else.example") for n in range(60)),
    ]
    store = Store(migrated_url)
    with store.transaction() as tx:
        ids = tx.reserve_ids("entity", len(people))
        tx.insert_entities([stored(n, values) for n, values in zip(ids, people, strict=True)])
    yield Hub(store=store, canonical=canonical, connections={}, clock=VirtualClock(), instance="audit")
    store.close()


def test_a_finding_is_told_in_words() -> None:
    assert in_words("gap:crm/contacts.owner:no_parent") == {
        "kind": "gap", "what": "blank: the record that it names is not there", "where": "owner of contacts",
        "connection": "crm",
    }  # fmt: skip
    told = [
        in_words(key) for key in ("missing:form_submission.consent.email", "duplicate:contact", "double:shop/users")
    ]
    assert [(each["where"], each["what"], each["connection"]) for each in told] == [
        ("consent email of form submission", "no system knows it", ""),
        ("contact", "probably there already", ""),
        ("users", "second records of one entity", "shop"),
    ]
