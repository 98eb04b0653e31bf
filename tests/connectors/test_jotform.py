"""Jotform against its twin, and at the wire: lists that shift, times without zone, messages nobody signed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import responses

import connectors.jotform as jotform
from connectors.jotform import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, QuotaUsedUp, RecordRejected, SignInExpired
from hub.model import Json
from hub.twins.jotform import QUESTIONS, TwinJotform
from tests.connectors.doors import NOW, Desk, call_in, desk, door_to, messages_of, twin_clock

FORM = "230000000000001"
DAY_S = 86_400.0
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29", "a\0b"]


@pytest.fixture
def forms() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinJotform(clock=twin_clock(), auto_hooks=False)) as made:
        add_form(made, FORM)
        yield made


def add_form(forms: Desk, form: str) -> None:
    forms.twin.load("forms", [{"id": form, "fields": {"title": form, "questions": QUESTIONS}, "created": NOW - DAY_S}])


def load(forms: Desk, count: int, form: str = FORM) -> list[str]:
    """So many submissions, three of each second, all older than a read's overlap."""
    rows: list[Json] = []
    for n in range(count):
        fields = {"form_id": form, "answers": {"email4": f"p{n}@example.org"}}
        rows.append({"id": str(59 * 10**17 + n), "fields": fields, "created": NOW - 9 * DAY_S + n // 3})
    forms.twin.load("submissions", rows)
    return [str(row["id"]) for row in rows]


def fill_in(forms: Desk, form: str = FORM, **answers: Json) -> str:
    return str(forms.twin.user_create("submissions", {"form_id": form, "answers": answers}))


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jotform, "PAGE", 10)
    monkeypatch.setattr(jotform, "AGAIN", 4)


def test_every_submission_of_all_forms_is_read_once_a_thousand_at_a_time(forms: Desk) -> None:
    wanted = load(forms, 2500)
    records, cursor, pages = forms.pull_all("submissions")
    assert sorted(ids(records)) == sorted(wanted)
    assert [len(page.records) for page in pages] == [1000, 980, 520]
    assert forms.calls() == 3
    assert cursor == {"since": NOW - DAY_S}


def test_what_is_new_and_what_was_edited_is_read_and_nothing_else(forms: Desk) -> None:
    old = load(forms, 9)
    _, cursor, _ = forms.pull_all("submissions")
    forms.advance(2 * DAY_S)
    new = fill_in(forms, email4="new@example.org")
    answers = {"email4": "edited@example.org"}
    forms.twin.user_edit("submissions", old[4], {"answers": answers})
    records, cursor, _ = forms.pull_all("submissions", cursor)
    assert sorted(ids(records)) == sorted([new, old[4]])
    assert {record.data["answers"][0]["email"] for record in records} == {"new@example.org", "edited@example.org"}


def test_rows_that_vanish_while_pages_are_read_hide_no_others(forms: Desk, small_pages: None) -> None:
    wanted = load(forms, 40)
    seen: set[str] = set()
    cursor: Json = None
    for number in range(60):
        page = CONNECTOR.pull(forms.api, "submissions", cursor)
        seen |= set(ids(page.records))
        cursor = orjson.loads(orjson.dumps(page.next_cursor))
        if page.complete:
            break
        if number in (0, 1, 2):  # of the newest, which were read already: more than what pages have in common, once
            for each in sorted(set(wanted) & seen)[-(7 if number == 1 else 2) :]:
                forms.twin.records.purge("submissions", each)
                wanted.remove(each)
    assert page.complete
    assert set(wanted) <= seen


def test_new_rows_while_pages_are_read_hide_none(forms: Desk, small_pages: None) -> None:
    wanted = load(forms, 40)
    first = CONNECTOR.pull(forms.api, "submissions", None)
    for n in range(15):
        fill_in(forms, email4=f"n{n}@example.org")
    rest, cursor, _ = forms.pull_all("submissions", first.next_cursor)
    later, _, _ = forms.pull_all("submissions", cursor)
    assert set(wanted) <= set(ids([*first.records, *rest]))
    assert len(set(ids(later)) - set(wanted)) == 15


def test_the_same_page_again_stops_the_stream(small_pages: None) -> None:
    api, rows = api_of(), [{"id": str(n), "created_at": "2026-02-01 04:00:10", "answers": {}} for n in range(10)]
    with responses.RequestsMock() as mock:
        mock.get("https://api.jotform.com/user/submissions", json={"responseCode": 200, "content": rows})
        first = CONNECTOR.pull(api, "submissions", None)
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api, "submissions", first.next_cursor)


def api_of(**values: Json) -> Any:
    given = Settings(values=values, auth={"kind": "token", "token": "key"})
    return CONNECTOR.connect(door_to(CONNECTOR, "", given), given)


def test_the_documented_submission_is_read_part_by_part() -> None:
    row = {
        "id": "5900000000000000001", "form_id": FORM, "ip": "203.0.113.7", "created_at": "2026-02-01 04:00:10",
        "updated_at": None, "status": "ACTIVE", "new": "1", "flag": "0", "notes": "",
        "answers": {
            "3": {"name": "name", "order": "1", "text": "Your name", "type": "control_fullname",
                  "answer": {"first": "Kim", "last": "Ono"}, "prettyFormat": "Kim Ono"},
            "4": {"name": "email4", "order": "2", "text": "E-mail", "type": "control_email",
                  "answer": "kim@example.test"},
            "5": {"name": "p", "type": "control_phone", "answer": {"area": "030", "phone": "1234567"}},
            "6": {"name": "d", "type": "control_datetime", "answer": {"day": "29", "month": "2", "year": "2028"}},
            "7": {"name": "c", "type": "control_checkbox", "answer": ["a", "b"]},
            "8": {"name": "m", "type": "control_matrix", "answer": {"0": ["x"]}, "prettyFormat": "x"},
            "9": {"name": "empty", "type": "control_textbox"},
        },
    }  # fmt: skip
    with responses.RequestsMock() as mock:
        mock.get("https://api.jotform.com/user/submissions", json={"responseCode": 200, "content": [row]})
        (record,) = CONNECTOR.pull(api_of(), "submissions", None).records
        assert mock.calls[0].request.headers["APIKEY"] == "key"
    assert (record.external_id, record.stamp) == ("5900000000000000001", None)
    assert record.data["submitted_at"] == "2026-02-01T09:00:10Z", "04:00 in New York"
    assert record.data["questions"] == row["answers"]
    assert [(each["field"]["ref"], each["type"], each[each["type"]]) for each in record.data["answers"]] == [
        ("name.first", "first_name", "Kim"), ("name.last", "last_name", "Ono"), ("email4", "email", "kim@example.test"),
        ("p", "phone_number", "030 1234567"), ("d", "date", "2028-02-29"), ("c", "choices", {"labels": ["a", "b"]}),
        ("m", "text", "x"),
    ]  # fmt: skip


def test_filters_that_are_ignored_are_applied_here() -> None:
    rows = [
        {"id": "1", "form_id": FORM, "created_at": "2020-01-01 00:00:00", "updated_at": None, "answers": []},
        {"id": "2", "form_id": "7", "created_at": "2026-11-02 00:00:00", "updated_at": None, "answers": []},
        {"id": "3", "form_id": FORM, "created_at": "2026-11-02 00:00:00", "updated_at": None, "answers": []},
        {"id": "4", "form_id": FORM, "created_at": "2020-01-01 00:00:00", "updated_at": "2026-11-02 00:00:00",
         "answers": []},
    ]  # fmt: skip
    api = api_of(forms=[FORM, "8"], timezone="UTC")
    with responses.RequestsMock() as mock:
        mock.get("https://api.jotform.com/user/submissions", json={"responseCode": 200, "content": rows})
        first = CONNECTOR.pull(api, "submissions", {"since": NOW - DAY_S})
        second = CONNECTOR.pull(api, "submissions", first.next_cursor)
        asked = [call.request.params["filter"] for call in mock.calls]  # type: ignore[attr-defined]
    assert (ids(first.records), ids(second.records), second.complete) == (["3"], ["4"], True)
    assert asked == ['{"created_at:gt":"2026-11-01 08:00:00"}', '{"updated_at:gt":"2026-11-01 08:00:00"}']


@pytest.mark.parametrize("text", NASTY)
def test_whatever_people_write_comes_as_they_wrote_it(forms: Desk, text: str) -> None:
    fill_in(forms, company=text)
    (record,) = forms.pull_all("submissions")[0]
    assert record.data["answers"][0]["text"] == text


def test_single_submissions_are_read_and_deleted_ones_told(forms: Desk) -> None:
    assert CONNECTOR.fetch is not None
    here, gone = fill_in(forms, email4="a@example.org"), fill_in(forms, email4="b@example.org")
    forms.twin.user_delete("submissions", gone)
    found = CONNECTOR.fetch(forms.api, "submissions", [here, gone, "../user", here])
    assert [(record.external_id, record.op) for record in found] == [(here, "upsert"), (gone, "delete")]


def test_a_message_names_the_submission_and_is_only_a_reason_to_read_it(forms: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.parse is not None
    for _ in range(2):
        CONNECTOR.subscribe(forms.api, "http://127.0.0.1:9/hooks/secret")
    assert forms.twin.webhooks == {FORM: ["http://127.0.0.1:9/hooks/secret"]}
    wanted = fill_in(forms, name={"first": "Zoë\r\n--x", "last": "🦄"}, company="y" * 100_000)
    (message,) = messages_of(forms.twin)
    assert CONNECTOR.verify is None, "nothing is signed"
    (event,) = CONNECTOR.parse(forms.settings, message)
    assert (event.key, event.stream, event.external_id) == (wanted, "submissions", wanted)
    assert CONNECTOR.parse(Settings(values={"forms": ["1"]}, auth={}), message) == ()


MULTI = "multipart/form-data; boundary=b"
ONE = b'--b\r\nContent-Disposition: form-data; name="formID"\r\n\r\n1\r\n'
PATH = b'--b\r\nContent-Disposition: form-data; name="submissionID"\r\n\r\n../user\r\n--b--'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MULTI, ONE + b"--b--"), (MULTI, ONE + PATH), (MULTI, b"\xff\xfe\0"), ("multipart/form-data", ONE + b"--b--"),
        ("application/json", b'{"formID":"1","submissionID":"2"}'), ("", b""),
    ],
)  # fmt: skip
def test_a_body_that_names_none_is_refused(kind: str, body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(Settings(values={}, auth={}), call_in(body, {"Content-Type": kind}))


def test_the_code_in_the_body_counts_and_the_day_can_be_used_up() -> None:
    api = api_of()
    with responses.RequestsMock() as mock:
        mock.get("https://api.jotform.com/user/submissions", json={"responseCode": 401, "message": "no", "content": ""})
        with pytest.raises(SignInExpired):
            CONNECTOR.pull(api, "submissions", None)
    with responses.RequestsMock() as mock:
        mock.get("https://api.jotform.com/user/submissions", json={"responseCode": 429, "content": ""}, status=429)
        with pytest.raises(QuotaUsedUp):
            CONNECTOR.pull(api, "submissions", None)


def test_the_budget_is_what_is_left_of_the_plan(forms: Desk) -> None:
    assert CONNECTOR.usage is not None
    answer = forms.door.request("GET", "/user", operation="check")
    assert CONNECTOR.usage(answer) == {"daily": (1, 10_000)} or CONNECTOR.usage(answer) == {"daily": (0, 9_999)}


def test_a_check_names_forms_that_are_not_there(forms: Desk) -> None:
    assert CONNECTOR.check(forms.api) == {"account": "twin", "name": "Twin", "warnings": []}
    with desk(CONNECTOR, TwinJotform(clock=twin_clock()), values={"forms": "9"}) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == ["there is no form 9"]


@pytest.mark.parametrize(("values", "code"), [({"forms": ["../me"]}, "CFG-FORM"), ({"timezone": "Mars"}, "CFG-ZONE")])
def test_settings_that_mean_nothing_are_faults(values: Json, code: str) -> None:
    with pytest.raises(ConfigFault, match=code):
        api_of(**values)
