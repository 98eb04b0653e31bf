"""Typeform at the wire: how the listing is walked, what its refusals mean, signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import responses

from connectors.typeform import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, RetryLater, SignatureError, SignInExpired
from hub.model import Json
from tests.connectors.doors import NOW, call_in, door_to

BASE = "https://api.typeform.com"
RESPONSES = f"{BASE}/forms/u6nXL7/responses"
HOOKS = {"secret": "typeform-test-secret"}


def settings(**more: Any) -> Settings:
    return Settings(
        **{"values": {"forms": ["u6nXL7"]}, "auth": {"kind": "token", "token": "tfp_1"}, "webhooks": HOOKS, **more}
    )


class Wire:
    """Recorded answers at the vendor's address, and what was asked."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.given = settings()
        self.door = door_to(CONNECTOR, "", self.given)
        self.api = CONNECTOR.connect(self.door, self.given)

    def asked(self) -> list[dict[str, str]]:
        return [dict(call.request.params) for call in self.mock.calls]  # type: ignore[attr-defined]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with responses.RequestsMock() as mock:
        yield Wire(mock)


def item(token: str, minute: int = 0) -> Json:
    # the fact sheet's example: vendor docs, Responses API
    mail = {"field": {"id": "aB1", "ref": "email_ref", "type": "email"}, "type": "email", "email": "kim@example.org"}
    return {
        "landing_id": token, "token": token, "response_id": token, "response_type": "completed",
        "landed_at": "2026-11-02T07:58:10Z", "submitted_at": f"2026-11-02T08:{minute:02d}:00Z",
        "metadata": {"user_agent": "UA", "platform": "other", "network_id": "n1", "browser": "default"},
        "hidden": {"utm_source": "mail"}, "calculated": {"score": 0}, "answers": [mail],
    }  # fmt: skip


def page(*items: Json, pages: int = 1) -> Json:
    return {"total_items": len(items), "page_count": pages, "items": list(items)}


DATE = {"Date": "Mon, 02 Nov 2026 09:00:00 GMT"}


def test_a_walk_goes_up_from_the_bookmark_and_on_from_each_last_token(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json=page(item("a", 1), item("b", 2), pages=2), headers=DATE)
    wire.mock.get(RESPONSES, json=page(item("c", 3)), headers=DATE)
    first = CONNECTOR.pull(wire.api, "responses", {"forms": {"u6nXL7": NOW - 3600}})
    second = CONNECTOR.pull(wire.api, "responses", first.next_cursor)
    assert wire.asked() == [
        {"page_size": "1000", "sort": "submitted_at,asc", "since": "2026-11-02T07:00:00"},
        {"page_size": "1000", "after": "b"},  # a token and an order are refused together
    ]
    assert [record.external_id for record in [*first.records, *second.records]] == ["u6nXL7:a", "u6nXL7:b", "u6nXL7:c"]
    assert (first.complete, second.complete) == (False, True)
    assert second.next_cursor == {"forms": {"u6nXL7": NOW}}  # an hour before the read began, by the vendor's clock


def test_a_response_is_as_it_came_with_its_form(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json=page(item("a", 1)))
    (record,) = CONNECTOR.pull(wire.api, "responses", None).records
    assert record.data == {**item("a", 1), "form_id": "u6nXL7"}
    assert record.stamp == NOW + 60
    assert wire.asked() == [{"page_size": "1000", "sort": "submitted_at,asc"}]


def test_an_empty_page_ends_the_walk_whatever_it_counts(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json={"total_items": 0, "page_count": 0, "items": []})
    assert CONNECTOR.pull(wire.api, "responses", None).complete


def test_a_page_out_of_order_or_the_same_one_again_stops_the_stream(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json=page(item("b", 2), item("a", 1), pages=2))
    with pytest.raises(NeedsReview, match="PAGE-ORDER"):
        CONNECTOR.pull(wire.api, "responses", None)
    wire.mock.get(RESPONSES, json=page(item("b", 2), pages=2))
    at = {"forms": {}, "todo": ["u6nXL7"], "after": "b", "from": NOW}
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(wire.api, "responses", at)


def test_all_forms_are_read_one_after_the_other_and_new_ones_from_their_beginning(wire: Wire) -> None:
    given = settings(values={})
    api = CONNECTOR.connect(door_to(CONNECTOR, "", given), given)
    wire.mock.get(f"{BASE}/forms", json={"total_items": 3, "page_count": 2, "items": [{"id": "f1"}, {"id": "f2"}]})
    wire.mock.get(f"{BASE}/forms", json={"total_items": 3, "page_count": 2, "items": [{"id": "f3"}]})
    for form in ("f1", "f3"):
        wire.mock.get(f"{BASE}/forms/{form}/responses", json=page(item("a")), headers=DATE)
    wire.mock.get(f"{BASE}/forms/f2/responses", json={"code": "FORM_NOT_FOUND"}, status=404, headers=DATE)
    cursor: Json = {"forms": {"f1": NOW - 60}}
    ids: list[str] = []
    for _ in range(3):
        found = CONNECTOR.pull(api, "responses", cursor)
        ids += [record.external_id for record in found.records]
        cursor = found.next_cursor
    assert found.complete
    assert ids == ["f1:a", "f3:a"]  # f2 was deleted meanwhile
    assert cursor == {"forms": {"f1": NOW, "f3": NOW}}
    assert [asked.get("since") for asked in wire.asked()[2:]] == ["2026-11-02T07:59:00", None, None]


def test_a_response_without_time_does_not_stop_its_page(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json=page({**item("a"), "submitted_at": None}, item("b")))
    found = CONNECTOR.pull(wire.api, "responses", None)
    assert [record.external_id for record in found.records] == ["u6nXL7:b"]
    assert found.faults[0]["external_id"] == "a"


def test_responses_are_read_by_token_a_hundred_at_a_time_and_the_late_ones_left_out(wire: Wire) -> None:
    assert CONNECTOR.fetch is not None
    tokens = [f"t{n}" for n in range(150)]
    wire.mock.get(RESPONSES, json=page(*(item(token) for token in tokens[:99]), item("stranger")))
    wire.mock.get(RESPONSES, json=page(*(item(token) for token in tokens[100:])))
    ids = [f"u6nXL7:{token}" for token in tokens]
    found = CONNECTOR.fetch(wire.api, "responses", [*ids, "u6nXL7:../x", "no form"])
    assert {record.external_id for record in found} == {*ids} - {"u6nXL7:t99"}
    assert wire.asked()[1]["included_response_ids"] == ",".join(tokens[100:])


def test_a_form_that_is_gone_has_no_responses_and_none_deleted(wire: Wire) -> None:
    assert CONNECTOR.fetch is not None
    wire.mock.get(RESPONSES, json={"code": "FORM_NOT_FOUND"}, status=404)
    assert CONNECTOR.fetch(wire.api, "responses", ["u6nXL7:a"]) == []


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (403, "AUTHENTICATION_ERROR", SignInExpired),
        (401, "INVALID_AUTHORIZATION", SignInExpired),
        (500, "X", RetryLater),
        (499, "", RetryLater),
    ],
)
def test_refusals_are_told_by_their_status(wire: Wire, status: int, code: str, raised: type[Exception]) -> None:
    wire.mock.get(RESPONSES, json={"code": code, "description": "(words)"}, status=status)
    with pytest.raises(raised):
        CONNECTOR.pull(wire.api, "responses", None)


def test_too_fast_is_waited_for_as_told(wire: Wire) -> None:
    wire.mock.get(RESPONSES, json={"code": "TOO_MANY_REQUESTS"}, status=429, headers={"Retry-After": "7"})
    wire.mock.get(RESPONSES, json=page(item("a")))
    assert len(CONNECTOR.pull(wire.api, "responses", None).records) == 1
    clock: Any = wire.door._clock
    assert 7.0 <= sum(clock.slept) <= 8.0


def test_questions_inside_groups_are_fields_and_statements_are_not(wire: Wire) -> None:
    wire.mock.get(
        f"{BASE}/forms/u6nXL7",
        json={
            "id": "u6nXL7", "title": "Quiz", "hidden": ["utm_source"],
            "fields": [
                {"id": "a", "ref": "email_ref", "title": "Mail", "type": "email", "validations": {"required": True}},
                {"id": "b", "ref": "hello", "title": "Hello", "type": "statement"},
                {"id": "c", "title": "Who", "type": "contact_info", "properties": {"fields": [
                    {"id": "d", "ref": "first_name_ref", "title": "First name", "type": "short_text"},
                    {"id": "e", "ref": "phone_ref", "title": "Phone", "type": "phone_number"}]}},
                {"id": "f", "ref": "size_ref", "title": "Size", "type": "multiple_choice", "properties": {
                    "choices": [{"id": "c1", "label": "Small"}, {"id": "c2", "label": "Large"}]}},
                {"id": "g", "ref": "topics_ref", "title": "Topics", "type": "multiple_choice", "properties": {
                    "allow_multiple_selection": True, "choices": [{"id": "c3", "label": "News"}]}},
                {"id": "h", "title": "Yes?", "type": "yes_no"},
            ],
        },
    )  # fmt: skip
    found = {field.name: field for field in CONNECTOR.discover(wire.api, "responses")}
    assert {name: field.type for name, field in found.items() if field.custom} == {
        "answer:email_ref": "email", "answer:first_name_ref": "text", "answer:phone_ref": "phone",
        "answer:size_ref": "enum", "answer:topics_ref": "set", "answer:h": "boolean",
    }  # fmt: skip
    assert found["answer:email_ref"].required
    assert found["answer:size_ref"].options == ["Small", "Large"]
    assert "hidden.utm_source" in found
    assert not any(field.writable for field in found.values())


def test_a_check_names_forms_that_are_not_there(wire: Wire) -> None:
    wire.mock.get(f"{BASE}/forms", json={"total_items": 4, "page_count": 4, "items": []})
    wire.mock.get(f"{BASE}/forms/u6nXL7", json={"code": "FORM_NOT_FOUND"}, status=404)
    assert CONNECTOR.check(wire.api) == {"account": "", "name": "4 forms", "warnings": ["there is no form u6nXL7"]}


def test_a_webhook_is_put_switched_on_and_signed_for_every_form(wire: Wire) -> None:
    assert CONNECTOR.subscribe is not None
    wire.mock.put(f"{BASE}/forms/u6nXL7/webhooks/hub", json={"id": "yRt1", "enabled": True})
    CONNECTOR.subscribe(wire.api, "https://hub.example.com/hooks/t")
    assert orjson.loads(wire.mock.calls[0].request.body or b"") == {
        "url": "https://hub.example.com/hooks/t", "enabled": True, "secret": "typeform-test-secret", "verify_ssl": True,
        "event_types": {"form_response": True, "form_response_partial": False},
    }  # fmt: skip


def test_without_a_secret_nothing_is_subscribed() -> None:
    assert CONNECTOR.subscribe is not None
    given = settings(webhooks={})
    with pytest.raises(ConfigFault, match="CFG-SECRET"):
        CONNECTOR.subscribe(CONNECTOR.connect(door_to(CONNECTOR, "", given), given), "https://hub.example.com/hooks/t")


@pytest.mark.parametrize("forms", [["../me"], "a/b", [7]])
def test_what_is_no_id_of_a_form_never_gets_into_a_path(forms: Json) -> None:
    given = settings(values={"forms": forms})
    with pytest.raises(ConfigFault, match="CFG-FORM"):
        CONNECTOR.connect(door_to(CONNECTOR, "", given), given)


# --- webhooks: the fact sheet's examples (vendor docs, "Secure your webhooks") ---------------------------------------

SHORT = b'{"event_id":"01K9TESTEVENT","event_type":"form_response","form_response":{"form_id":"u6nXL7","token":"l9x2"}}'
SHORT_SIGNATURE = "sha256=HCCBUXC72duK5c82yotzb3LAXm6D27JoQiwFPP1abWM="
WHOLE = (
    b'{"event_id":"01K9TESTEVENT","event_type":"form_response","form_response":{"form_id":"u6nXL7","token":"l9x2",'
    b'"landed_at":"2026-11-02T07:58:10Z","submitted_at":"2026-11-02T08:00:00Z","hidden":{"utm_source":"mail"},'
    b'"definition":{"id":"u6nXL7","title":"Quiz","fields":[{"id":"aB1","ref":"email_ref","type":"email","title":"Your '
    b'e-mail"}]},"answers":[{"type":"email","email":"kim@example.test","field":{"id":"aB1","ref":"email_ref","type":'
    b'"email"}}]}}'
)
WHOLE_SIGNATURE = "sha256=y2EevPp8RjrWbIcbhMqgSZlGrfcTM36P3D/0tDtPaFQ="


@pytest.mark.parametrize(("body", "signature"), [(SHORT, SHORT_SIGNATURE), (WHOLE, WHOLE_SIGNATURE)])
def test_the_documented_messages_are_good(body: bytes, signature: str) -> None:
    assert CONNECTOR.verify is not None
    CONNECTOR.verify(settings(), call_in(body, {"Typeform-Signature": signature}))


def test_a_message_names_its_response() -> None:
    assert CONNECTOR.parse is not None
    (event,) = CONNECTOR.parse(settings(), call_in(WHOLE, {}))
    assert (event.key, event.stream, event.external_id, event.at) == ("01K9TESTEVENT", "responses", "u6nXL7:l9x2", NOW)
    assert CONNECTOR.parse(settings(values={"forms": ["other"]}), call_in(WHOLE, {})) == ()
    partial = WHOLE.replace(b'"form_response",', b'"form_response_partial",', 1)
    assert CONNECTOR.parse(settings(), call_in(partial, {})) == ()
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(settings(), call_in(b"[]", {}))


@pytest.mark.parametrize(
    ("body", "signature", "webhooks"),
    [
        (SHORT + b" ", SHORT_SIGNATURE, HOOKS),
        (SHORT, SHORT_SIGNATURE.removeprefix("sha256="), HOOKS),
        (SHORT, SHORT_SIGNATURE.replace("sha256", "sha1"), HOOKS),
        (SHORT, "sha256=", HOOKS),
        (SHORT, "", HOOKS),
        (SHORT, "sha256=Ünsinn", HOOKS),
        (SHORT, "sha256=1c20815170bbd9db8ae5cf36ca8b73", HOOKS),  # hex
        (SHORT, SHORT_SIGNATURE, {"secret": "other"}),
        (SHORT, SHORT_SIGNATURE, {}),
    ],
)
def test_anything_less_is_refused(body: bytes, signature: str, webhooks: dict[str, str]) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(settings(webhooks=webhooks), call_in(body, {"Typeform-Signature": signature}))
