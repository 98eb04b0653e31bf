"""Unbounce against its twin: leads page by page, both spellings, and webhooks that name no lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

import connectors.unbounce as unbounce
from connectors.unbounce import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, SignInExpired
from hub.model import Json
from hub.twins.unbounce import PAGES, TwinUnbounce
from hub.verify.certify.stand import Stuck
from tests.connectors.doors import NOW, Desk, call_in, desk, door_to, messages_of, twin_clock

DAY_S = 86_400.0
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29", "a\0b"]


def filled(twin: Any) -> Any:
    twin.load("pages", [{"id": page, "fields": {"name": page}, "created": NOW - 99 * DAY_S} for page in PAGES])
    return twin


@pytest.fixture
def pages() -> Iterator[Desk]:
    with desk(CONNECTOR, filled(TwinUnbounce(clock=twin_clock(), auto_hooks=False))) as made:
        yield made


def send(pages: Desk, email: str = "kim@example.org", page: str = PAGES[0], **more: Json) -> str:
    return str(pages.twin.user_create("leads", {"page_id": page, "form_data": {"email": email, **more}}))


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


def test_every_lead_of_every_page_is_read_once(pages: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbounce, "PAGE", 10)
    wanted = [send(pages, f"p{n}@example.org", PAGES[n % 2]) for n in range(46)]  # all in one moment
    records, cursor, found = pages.pull_all("leads")
    assert sorted(ids(records)) == sorted(wanted)
    assert [len(page.records) for page in found] == [10, 10, 3, 10, 10, 3]
    assert cursor == {"pages": dict.fromkeys(PAGES, NOW - 300.0)}


def test_later_reads_bring_what_is_new_at_one_call_a_page(pages: Desk) -> None:
    send(pages)
    pages.advance(3600)
    _, cursor, _ = pages.pull_all("leads")
    pages.advance(3600)
    new = send(pages, "new@example.org", PAGES[1])
    before = pages.calls()
    records, _, _ = pages.pull_all("leads", cursor)
    assert ids(records) == [new]
    assert pages.calls() - before == 1 + 2


def test_leads_that_come_while_pages_are_read_wait_for_the_next_read(
    pages: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbounce, "PAGE", 10)
    wanted = {send(pages, f"p{n}@example.org") for n in range(25)}
    first = CONNECTOR.pull(pages.api, "leads", None)
    pages.advance(60)
    wanted.add(send(pages, "late@example.org"))
    rest, cursor, _ = pages.pull_all("leads", orjson.loads(orjson.dumps(first.next_cursor)))
    later, _, _ = pages.pull_all("leads", cursor)
    assert {*ids(first.records), *ids(rest), *ids(later)} == wanted


def test_a_page_that_comes_again_stops_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbounce, "PAGE", 10)
    twin = filled(TwinUnbounce(clock=twin_clock()))
    for n in range(30):
        twin.user_create("leads", {"page_id": PAGES[0], "form_data": {"n": str(n)}})
    with (
        desk(CONNECTOR, Stuck(twin, lambda body: body), values={"pages": PAGES[0]}) as pages,  # type: ignore[arg-type]
        pytest.raises(NeedsReview, match="PAGE-LOOP"),
    ):
        pages.pull_all("leads")


def test_both_spellings_are_one() -> None:
    shapes = []
    for camel in (False, True):
        with desk(CONNECTOR, filled(TwinUnbounce(clock=twin_clock(), camel=camel))) as pages:
            send(pages, firstName="Kim")
            (record,) = pages.pull_all("leads")[0]
            shapes.append(record)
    assert shapes[0] == shapes[1]
    assert shapes[0].data["form_data"] == {"email": "kim@example.org", "firstName": "Kim"}


def test_a_message_leads_to_the_lead_and_is_done_with(pages: Desk) -> None:
    assert CONNECTOR.parse is not None
    assert CONNECTOR.fetch is not None
    assert CONNECTOR.verify is None
    pages.twin.set_webhook("http://127.0.0.1:9/hooks", "")
    other, lead = send(pages, "other@example.org"), send(pages, " Kim@Example.org")
    found = [event for each in messages_of(pages.twin) for event in CONNECTOR.parse(pages.settings, each)]
    assert len({event.key for event in found}) == 2
    told = found[1].external_id
    records = CONNECTOR.fetch(pages.api, "leads", [told])
    assert [(each.external_id, each.op, each.merged_into) for each in records] == [
        (lead, "upsert", None), (told, "merged_into", lead)
    ]  # fmt: skip
    assert records[0].data["form_data"]["email"] == " Kim@Example.org", "as the list has it"
    assert other not in ids(records)


def test_a_lead_that_the_list_does_not_have_yet_is_asked_for_again(pages: Desk) -> None:
    assert CONNECTOR.parse is not None
    assert CONNECTOR.fetch is not None
    pages.twin.set_webhook("http://127.0.0.1:9/hooks", "")
    pages.twin.set_faults(index_lag_s=600.0)
    lead = send(pages)
    (message,) = messages_of(pages.twin)
    (event,) = CONNECTOR.parse(pages.settings, message)
    assert CONNECTOR.fetch(pages.api, "leads", [event.external_id]) == []
    pages.advance(601)
    assert lead in ids(CONNECTOR.fetch(pages.api, "leads", [event.external_id]))


def test_leads_are_read_by_id_and_deleted_ones_told(pages: Desk) -> None:
    assert CONNECTOR.fetch is not None
    here, gone = send(pages), send(pages)
    pages.twin.user_delete("leads", gone)
    found = CONNECTOR.fetch(pages.api, "leads", [here, gone, "../pages"])
    assert [(each.external_id, each.op) for each in found] == [(here, "upsert"), (gone, "delete")]


@pytest.mark.parametrize("text", NASTY)
def test_whatever_visitors_write_comes_as_they_wrote_it(pages: Desk, text: str) -> None:
    assert CONNECTOR.parse is not None
    pages.twin.set_webhook("http://127.0.0.1:9/hooks", "")
    send(pages, company=text)
    (record,) = pages.pull_all("leads")[0]
    assert record.data["form_data"]["company"] == text
    (message,) = messages_of(pages.twin)
    assert len(CONNECTOR.parse(pages.settings, message)) == 1


def body(page: str = PAGES[0], *, name: str = "data.json", data: Json = None) -> bytes:
    given = {"email": ["kim@example.org"], "time_submitted": ["09:01 AM UTC"], "date_submitted": ["2026-02-01"]}
    return urlencode({"page_id": page, name: orjson.dumps(given if data is None else data).decode()}).encode()


def test_the_documented_message_is_read_in_its_other_spelling_too() -> None:
    assert CONNECTOR.parse is not None
    both = [body(), body(name="data_json").replace(b"page_id", b"pageId")]
    found = [CONNECTOR.parse(Settings(values={}, auth={}), call_in(each, {}))[0].external_id for each in both]
    assert found[0] == found[1]
    assert found[0].startswith(f"{PAGES[0]}@1769936460#")
    only = Settings(values={"pages": [PAGES[1]]}, auth={})
    assert CONNECTOR.parse(only, call_in(both[0], {})) == ()


@pytest.mark.parametrize(
    "sent", [b"", b"{}", b"\xff", body("../x"), body(data={}), body(data=[]), body(data={"date_submitted": ["x"]})]
)
def test_a_body_that_tells_nothing_is_refused(sent: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(Settings(values={}, auth={}), call_in(sent, {}))


def test_the_key_is_the_user_name_and_a_wrong_one_stops_the_connection() -> None:
    wrong = {"kind": "token", "token": "wrong"}
    with desk(CONNECTOR, filled(TwinUnbounce(clock=twin_clock())), auth=wrong) as pages, pytest.raises(SignInExpired):
        pages.pull_all("leads")


def test_a_check_names_pages_that_are_not_there(pages: Desk) -> None:
    assert CONNECTOR.check(pages.api) == {"account": "", "name": "2 pages", "warnings": []}
    nowhere = "99999999-2222-4333-8444-555555555555"
    with desk(CONNECTOR, filled(TwinUnbounce(clock=twin_clock())), values={"pages": nowhere}) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == [f"there is no page {nowhere}"]
        assert poor.pull_all("leads")[0] == []


def test_an_id_of_a_page_is_one() -> None:
    given = Settings(values={"pages": ["../me"]}, auth={"kind": "token", "token": "t"})
    with pytest.raises(ConfigFault, match="CFG-PAGE"):
        CONNECTOR.connect(door_to(CONNECTOR, "", given), given)
