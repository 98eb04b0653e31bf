"""Typeform against its twin: every response once, late ones too, and its signed messages as hints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.typeform import CONNECTOR
from hub.connector import Settings, WebhookEvent
from hub.errors import SignInExpired
from hub.model import Json
from hub.twins.typeform import TwinTypeform
from tests.connectors.doors import NOW, Desk, desk, messages_of, twin_clock

HOOKS = {"secret": "form-secret"}
DAY_S = 86_400.0


@pytest.fixture
def forms() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinTypeform(clock=twin_clock(), auto_hooks=False), webhooks=HOOKS) as made:
        add_form(made, "quiz")
        yield made


def add_form(forms: Desk, name: str) -> str:
    choices = [{"id": "c1", "ref": "c1r", "label": "Small"}]
    fields = [
        {"ref": "email_ref", "type": "email", "validations": {"required": True}},
        {"ref": "size_ref", "type": "multiple_choice", "properties": {"choices": choices}},
    ]
    return str(forms.twin.user_create("forms", {"id": name, "title": name, "fields": fields, "hidden": ["cid"]}))


def load(forms: Desk, count: int, form: str = "quiz") -> list[str]:
    """So many responses, three of each second. Returns their ids."""
    rows: list[Json] = []
    for n in range(count):
        fields = {"form_id": form, "answers": {"email_ref": f"p{n}@example.org"}}
        rows.append({"id": f"{form}t{n:05d}", "fields": fields, "created": NOW - DAY_S + n // 3})
    forms.twin.load("responses", rows)
    return [f"{form}:{row['id']}" for row in rows]


def fill_in(forms: Desk, form: str = "quiz", **answers: Json) -> str:
    token = forms.twin.user_create("responses", {"form_id": form, "answers": answers, "hidden": {"cid": "C-17"}})
    return f"{form}:{token}"


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


def test_every_response_is_read_once_a_thousand_at_a_time(forms: Desk) -> None:
    wanted = load(forms, 2500)
    records, cursor, pages = forms.pull_all("responses")
    assert ids(records) == wanted
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    assert forms.calls() == 1 + 3  # the list of forms, and the pages
    assert cursor == {"forms": {"quiz": NOW - 3600.0}}


def test_a_thousand_responses_of_one_named_form_are_one_call() -> None:
    with desk(CONNECTOR, TwinTypeform(clock=twin_clock()), values={"forms": "quiz"}) as forms:
        add_form(forms, "quiz")
        load(forms, 1000)
        assert len(forms.pull_all("responses")[0]) == 1000
        assert forms.calls() == 1


def test_later_reads_bring_what_is_new_and_the_hour_before(forms: Desk) -> None:
    load(forms, 10)
    _, cursor, _ = forms.pull_all("responses")
    forms.advance(60)
    new = fill_in(forms, email_ref="ada@example.org")
    records, cursor, _ = forms.pull_all("responses", cursor)
    assert ids(records) == [new]
    assert records[0].data["answers"][0]["email"] == "ada@example.org"
    assert records[0].data["hidden"] == {"cid": "C-17"}
    assert ids(forms.pull_all("responses", cursor)[0]) == [new]  # still within the hour
    forms.advance(2 * 3600)
    _, cursor, _ = forms.pull_all("responses", cursor)
    assert ids(forms.pull_all("responses", cursor)[0]) == []


def test_a_response_that_is_missing_for_half_an_hour_is_found(forms: Desk) -> None:
    load(forms, 3)
    _, cursor, _ = forms.pull_all("responses")
    forms.twin.set_faults(index_lag_s=1800.0)
    late = [fill_in(forms, email_ref=f"late{n}@example.org") for n in range(20)]
    seen: set[str] = set()
    for _ in range(8):
        forms.advance(300)
        records, cursor, _ = forms.pull_all("responses", cursor)
        seen |= set(ids(records))
    assert set(late) <= seen


def test_a_read_goes_on_after_a_restart(forms: Desk) -> None:
    wanted = load(forms, 1500)
    first = CONNECTOR.pull(forms.api, "responses", None)
    forms.start_again()
    rest, _, _ = forms.pull_all("responses", first.next_cursor)
    assert ids([*first.records, *rest]) == wanted


def test_the_same_token_in_two_forms_is_two_responses(forms: Desk) -> None:
    add_form(forms, "survey")
    load(forms, 3)
    load(forms, 4, "survey")
    records, cursor, _ = forms.pull_all("responses")
    assert len(set(ids(records))) == 7
    assert set(cursor["forms"]) == {"quiz", "survey"}
    assert {record.data["form_id"] for record in records} == {"quiz", "survey"}


def test_responses_are_read_by_id_and_what_is_not_there_is_not_deleted(forms: Desk) -> None:
    assert CONNECTOR.fetch is not None
    wanted = load(forms, 120)
    before = forms.calls()
    assert set(ids(CONNECTOR.fetch(forms.api, "responses", [*wanted, "quiz:nobody", "gone:x"]))) == set(wanted)
    assert forms.calls() - before == 3  # 121 tokens of one form, and a form that is not there
    forms.twin.set_faults(index_lag_s=1800.0)
    late = fill_in(forms, email_ref="late@example.org")
    assert CONNECTOR.fetch(forms.api, "responses", [late]) == []
    forms.advance(1801)
    assert ids(CONNECTOR.fetch(forms.api, "responses", [late])) == [late]


def test_what_people_send_is_signed_and_names_the_response(forms: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    add_form(forms, "survey")
    for _ in range(2):  # again changes nothing
        assert sorted(CONNECTOR.subscribe(forms.api, "http://127.0.0.1:9/hooks")["forms"]) == ["quiz", "survey"]
    wanted = [fill_in(forms, email_ref="ada@example.org"), fill_in(forms, "survey", size_ref="Small")]
    found: list[WebhookEvent] = []
    for message in messages_of(forms.twin):
        CONNECTOR.verify(forms.settings, message)
        found += CONNECTOR.parse(Settings(values={}, auth={}), message)
    assert [(event.external_id, event.at) for event in found] == [(each, NOW) for each in wanted]
    assert len({event.key for event in found}) == 2


def test_a_refused_token_stops_the_connection() -> None:
    wrong = {"kind": "token", "token": "tfp_wrong"}
    with desk(CONNECTOR, TwinTypeform(clock=twin_clock()), auth=wrong) as forms, pytest.raises(SignInExpired):
        forms.pull_all("responses")


def test_a_token_that_ran_out_is_renewed_once_and_its_pair_kept_going(forms: Desk) -> None:
    client = {"client_id": "twin-client", "client_secret": "twin-secret"}
    auth = {"kind": "refresh_token", **client, "refresh_token": "twin-refresh"}
    with desk(CONNECTOR, TwinTypeform(clock=twin_clock(), token_life_s=600), auth=auth) as mine:
        add_form(mine, "quiz")
        load(mine, 3)
        for _ in range(3):  # each refresh token is good once
            assert len(mine.pull_all("responses")[0]) == 3
            mine.advance(700)


def test_a_check_counts_forms_and_asks_for_a_secret(forms: Desk) -> None:
    assert CONNECTOR.check(forms.api) == {"account": "", "name": "1 form", "warnings": []}
    found = {field.name: field.type for field in CONNECTOR.discover(forms.api, "responses") if field.custom}
    assert found == {"answer:email_ref": "email", "answer:size_ref": "enum"}
    with desk(CONNECTOR, TwinTypeform(clock=twin_clock()), values={"forms": ["nothere"]}) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == [
            "there is no form nothere",
            "webhooks.secret is not set: responses come only by polling, half an hour late",
        ]
