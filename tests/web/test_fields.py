"""Fields over there: described live, with samples and how often they are filled, and which of ours each may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.app.drafts import mapping_case
from hub.app.fields import Sample, fields_of, look, name_likeness, suggestion, type_likeness, words_of
from tests.projects import CANONICAL, LEFT, RIGHT
from tests.web.console import Console

FIELDS = "      phone: {type: phone}\n      birthday: {type: date}\n      job_title: {type: text}\n"
LEFT_CSV = "Id,Email,Name,Phone,Birthday,Post,Hub\n" + "".join(
    f"{n},p{n}@example.org,P{n},,1990-01-0{n},Job {n},\n" for n in range(1, 7)
)
# The right system calls the job "Stelle" and the birthday "GebDat": only what they say gives them away.
RIGHT_CSV = "No,Mail,Name,Phone,GebDat,Stelle,Junk,Hub\n" + "".join(
    f"{n},p{n}@example.org,P{n},,1990-01-0{n},job  {n},{'x' if n == 1 else ''},\n" for n in range(1, 7)
)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    left = LEFT + "      birthday: {remote: Birthday}\n      job_title: {remote: Post}\n"
    right = RIGHT.replace("      phone: {remote: Phone, transforms: [{phone: {region: DE}}]}\n", "")
    found = Console(
        tmp_path_factory.mktemp("fields"), left_yaml=left, right_yaml=right, left_csv=LEFT_CSV, right_csv=RIGHT_CSV,
        canonical_yaml=CANONICAL.replace("      phone: {type: phone}\n", FIELDS),
    )  # fmt: skip
    found.start()
    found.sync()
    look(found.hub, "right.yaml", by="admin")
    yield found
    found.stop()


def rows(console: Console) -> dict[str, dict[str, Any]]:
    (stream,) = fields_of(console.hub, "right.yaml")["streams"]
    return {row["name"]: row for row in stream["rows"]}


def test_fields_come_with_type_samples_and_how_often_they_are_filled(described: Console) -> None:
    found = rows(described)
    assert set(found) == {"No", "Mail", "Name", "Phone", "GebDat", "Stelle", "Junk", "Hub"}
    junk = found["Junk"]
    assert (junk["type"], junk["filled"], junk["records"], junk["samples"]) == ("text", 1, 6, ["x"])
    assert found["GebDat"]["samples"] == ["1990-01-01", "1990-01-02", "1990-01-03"]
    assert (found["Mail"]["mapped_to"], found["Junk"]["mapped_to"]) == ("email", "")


def test_what_both_say_gives_a_field_away_whatever_its_name(described: Console) -> None:
    found = rows(described)
    assert found["GebDat"]["suggestion"]["name"] == "birthday"
    assert "100 % of 6 records say the same in both" in found["GebDat"]["suggestion"]["reasons"]
    assert found["Stelle"]["suggestion"]["name"] == "job_title"  # case and blanks do not tell values apart
    assert found["Phone"]["suggestion"]["reasons"][0] == "the names are the same"
    assert found["Junk"]["suggestion"] is None


def test_a_suggestion_goes_into_the_draft_by_one_click(described: Console) -> None:
    browser = described.as_("admin")
    page = browser.get("/mappings/right.yaml/fields").text
    assert "Into the draft" in page
    said: Any = {"stream": "people", "remote": "GebDat", "name": "birthday", "direction": "both", "what": "field"}
    assert browser.post("/mappings/right.yaml/draft", **said).status == 303
    draft = mapping_case(described.hub, "right.yaml")["draft"]
    assert "+      birthday:" in draft["diff"]
    assert described.as_("support").get("/mappings/right.yaml/fields").status == 403


def test_the_page_asks_no_system_and_the_button_does(described: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = described.as_("admin")
    monkeypatch.setattr("hub.app.fields.discover", lambda *_a: pytest.fail("a page asked a system"))
    assert browser.get("/mappings/right.yaml/fields").status == 200
    monkeypatch.undo()
    assert browser.post("/mappings/right.yaml/fields").to == "/mappings/right.yaml/fields?done=looked&n=8"
    assert ("admin", "fields looked at", "right.yaml") in described.audit()


def test_a_file_that_maps_no_system_has_no_fields_over_there(described: Console) -> None:
    assert described.as_("admin").get("/mappings/canonical.yaml/fields").status == 404


@pytest.mark.parametrize(
    ("theirs", "ours", "alike"),
    [
        ("FirstName", "first_name", True), ("firstname", "first_name", True), ("MobilePhone", "mobile", True),
        ("Job_Title__c", "job_title", True), ("hs_language", "language", True), ("PLZ", "postal_code", True),
        ("Birthdate", "birthday", True), ("Title", "job_title", True), ("CreatedDate", "birthday", False),
        ("OwnerId", "email", False), ("Fax", "phone", False),
    ],
)  # fmt: skip
def test_names_are_taken_apart_before_they_are_compared(theirs: str, ours: str, alike: bool) -> None:
    assert (name_likeness(theirs, ours) >= 0.9) == alike
    assert words_of("__c") == []


def test_types_that_cannot_be_read_as_one_another_are_never_suggested() -> None:
    assert [type_likeness(*each) for each in (("date", "date"), ("date", "instant"), ("boolean", "date"))] == [
        1,
        0.5,
        0,
    ]
    row = {"name": "birthday", "label": "Birthday", "type": "boolean"}
    assert suggestion(row, {"birthday": "date"}, Sample()) is None
    assert suggestion({**row, "type": "date"}, {"birthday": "date"}, Sample()) is not None


def test_values_that_differ_outweigh_a_name_that_is_alike() -> None:
    ours: list[dict[str, Any]] = [{"phone": f"+4930123456{n}"} for n in range(8)]
    theirs = [{"phone": f"+4940999999{n}"} for n in range(8)]
    row = {"name": "phone", "label": "phone", "type": "text"}
    assert suggestion(row, {"phone": "phone"}, Sample(ours=ours, theirs=theirs)) is None
    same = [{"phone": each["phone"].replace("+49", "0")} for each in ours]
    found = suggestion(row, {"phone": "phone"}, Sample(ours=ours, theirs=same, region="DE"))
    assert found is not None
    assert found["reasons"][-1] == "100 % of 8 records say the same in both"
