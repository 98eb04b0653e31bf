"""Google Sheets against its twin: people sort, rename and retype while the hub reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import connectors.google_sheets.reading as reading
import connectors.google_sheets.writing as writing
from connectors.google_sheets import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NotFound, RetryLater, SignInExpired
from hub.model import Json
from hub.twins.google_sheets import COLUMNS, TwinGoogleSheets
from tests.connectors.doors import Desk, change, desk, twin_clock

PEOPLE = {"tab": "People", "key": ["Email"], "write": "in_place", "marker": "Hub Id"}
SHEET = {"spreadsheet": "SHEET1"}
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "=1+1", "+815550100", "9" * 30, "2028-02-29", "TRUE"]


def opened(twin: TwinGoogleSheets | None = None, **more: Any) -> Any:
    twin = twin or TwinGoogleSheets(clock=twin_clock())
    return desk(CONNECTOR, twin, values=SHEET, streams={"people": {**PEOPLE, **more}})


@pytest.fixture
def sheet() -> Iterator[Desk]:
    with opened() as made:
        yield made


def fill(sheet: Desk, count: int) -> list[str]:
    return [
        sheet.twin.user_create("people", {"Email": f"p{n:04}@example.org", "First name": f"P{n}"}) for n in range(count)
    ]


def rows(sheet: Desk) -> dict[str, Json]:
    return {key: row["fields"] for key, row in sheet.twin.snapshot("people").items()}


def push(sheet: Desk, *changes: Any) -> list[Any]:
    assert CONNECTOR.push is not None
    return list(CONNECTOR.push(sheet.api, "people", changes))


def outcomes(results: Any) -> list[str]:
    return [result.outcome for result in results]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_tab_is_read_whole_in_one_call_and_again_only_if_it_changed(sheet: Desk) -> None:
    wanted = fill(sheet, 2500)
    records, cursor, pages = sheet.pull_all("people")
    assert [record.external_id for record in records] == wanted
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    assert sheet.calls() == 1 + 1  # its tabs, and the values
    assert records[0].data["Last name"] == "", "rows are ragged, and filled up"
    assert sheet.pull_all("people", cursor)[0] == []
    sheet.twin.user_edit("people", wanted[7], {"First name": "New"})
    assert len(sheet.pull_all("people", cursor)[0]) == 2500


def test_rows_that_are_sorted_are_the_same_rows(sheet: Desk) -> None:
    fill(sheet, 30)
    before = {each.external_id: each for each in sheet.pull_all("people")[0]}
    sheet.twin.act_sort("First name", down=True)
    after = sheet.pull_all("people")[0]
    assert [each.external_id for each in after] != list(before)
    assert {each.external_id: each for each in after} == before


def test_a_read_that_is_cut_off_goes_on_or_begins_again(sheet: Desk) -> None:
    wanted = fill(sheet, 1500)
    first = CONNECTOR.pull(sheet.api, "people", None)
    sheet.start_again()
    rest, _, _ = sheet.pull_all("people", orjson.loads(orjson.dumps(first.next_cursor)))
    assert [each.external_id for each in [*first.records, *rest]] == wanted
    sheet.twin.user_edit("people", wanted[3], {"First name": "New"})
    sheet.start_again()
    assert len(sheet.pull_all("people", first.next_cursor)[0]) == 1500


def test_the_header_is_found_by_its_names_wherever_it_stands(sheet: Desk) -> None:
    fill(sheet, 2)
    for _ in range(3):
        sheet.twin.act_insert_row(0, ["Our people"])
    sheet.twin.act_insert_column(0, "")
    sheet.twin.act_insert_column(3, "First name")  # a second one of that name
    records = sheet.pull_all("people")[0]
    assert [each.data["First name"] for each in records] == ["P0", "P1"]
    assert set(records[0].data) == set(COLUMNS)


def test_a_tab_that_was_renamed_is_found_by_its_number() -> None:
    with opened(tab=0) as sheet:
        fill(sheet, 2)
        sheet.pull_all("people")
        sheet.twin.act_rename_tab("People", "Bob's people!")
        assert len(sheet.pull_all("people")[0]) == 2
    with opened() as sheet:
        sheet.twin.act_rename_tab("People", "Other")
        with pytest.raises(ConfigFault, match="SHEET-TAB"):
            sheet.pull_all("people")


def test_rows_without_key_or_with_that_of_another_are_faults_and_the_rest_goes_on(sheet: Desk) -> None:
    sheet.twin.act_put(
        "People", [COLUMNS, ["a@example.org"], ["", "Nobody"], ["b@example.org", "One"], [], ["b@example.org"]]
    )
    (page,) = sheet.pull_all("people")[2]
    assert [each.external_id for each in page.records] == ["a@example.org"]
    assert [(each["external_id"], each["code"]) for each in page.faults] == [
        ("", "SHEET-KEY"),
        ("b@example.org", "SHEET-KEY"),
    ]
    assert not page.listing_complete


def test_values_keep_their_kind_and_a_failed_formula_says_nothing(sheet: Desk) -> None:
    sheet.twin.act_put("People", [COLUMNS, [4711, "#N/A", True, 4.5, "x"]])
    (record,) = sheet.pull_all("people")[0]
    assert record.external_id == "4711"
    assert "First name" not in record.data
    assert (record.data["Last name"], record.data["Phone"]) == (True, 4.5)


def test_a_row_that_vanished_is_evidence_only_in_a_complete_listing(sheet: Desk) -> None:
    assert CONNECTOR.fetch is not None
    (key,) = fill(sheet, 1)
    sheet.twin.user_delete("people", key)
    assert CONNECTOR.fetch(sheet.api, "people", [key]) == []
    with opened(listing="complete") as whole:
        assert [each.op for each in CONNECTOR.fetch(whole.api, "people", [key])] == ["delete"]


# --- writing ---------------------------------------------------------------------------------------------------------


def test_rows_are_written_by_their_key_wherever_they_went(sheet: Desk) -> None:
    keys = fill(sheet, 20)
    records = {each.external_id: each for each in sheet.pull_all("people")[0]}
    sheet.twin.act_sort("Email", down=True)
    sheet.twin.act_insert_row(0, ["Title"])
    changes = [change("update", {"Last name": f"L{key}"}, key, etag=records[key].etag) for key in keys[:5]]
    before = sheet.calls()
    assert outcomes(push(sheet, *changes)) == ["applied"] * 5
    assert sheet.calls() - before == 5  # the tab, marks looked for and made, read back, written: whatever their number
    assert [rows(sheet)[key]["Last name"] for key in keys] == [f"L{key}" for key in keys[:5]] + [""] * 15
    assert rows(sheet)[keys[0]]["First name"] == "P0", "other cells stay"


def test_a_row_that_moves_in_the_very_moment_of_a_write_is_not_hit(
    sheet: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = fill(sheet, 10)
    made = writing._marks

    def sorted_meanwhile(api: Any, table: Any, wanted: Any) -> Any:
        sheet.twin.act_sort("Email", down=True)
        return made(api, table, wanted)

    monkeypatch.setattr(writing, "_marks", sorted_meanwhile)
    assert outcomes(push(sheet, change("update", {"Last name": "Ono"}, keys[0]))) == ["stale"]
    assert {row["Last name"] for row in rows(sheet).values()} == {""}
    monkeypatch.undo()
    assert outcomes(push(sheet, change("update", {"Last name": "Ono"}, keys[0]))) == ["applied"]
    assert [key for key, row in rows(sheet).items() if row["Last name"]] == [keys[0]]


def test_a_row_that_moves_after_it_was_marked_takes_its_mark_along(
    sheet: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = fill(sheet, 10)
    made = writing._read_back

    def sorted_afterwards(*given: Any) -> Any:
        found = made(*given)
        sheet.twin.act_sort("Email", down=True)
        return found

    monkeypatch.setattr(writing, "_read_back", sorted_afterwards)
    assert outcomes(push(sheet, change("update", {"Last name": "Ono"}, keys[0]))) == ["applied"]
    assert [key for key, row in rows(sheet).items() if row["Last name"]] == [keys[0]]


def test_an_edit_that_the_hub_has_not_seen_is_not_written_over(sheet: Desk) -> None:
    (key,) = fill(sheet, 1)
    (record,) = sheet.pull_all("people")[0]
    sheet.twin.user_edit("people", key, {"Phone": "1"})
    assert outcomes(push(sheet, change("update", {"Last name": "x"}, key, etag=record.etag))) == ["stale"]


def test_marks_are_made_once(sheet: Desk) -> None:
    (key,) = fill(sheet, 1)
    for name in ("A", "B", "C"):
        assert outcomes(push(sheet, change("update", {"Last name": name}, key))) == ["applied"]
    assert len(sheet.twin.marks) == 1


@pytest.mark.parametrize("text", NASTY)
def test_what_is_written_is_stored_as_it_is_and_never_becomes_a_formula(sheet: Desk, text: str) -> None:
    (key,) = fill(sheet, 1)
    new = change("create", {"Email": "new@example.org", "Last name": text}, reference="h-1")
    assert outcomes(push(sheet, change("update", {"Last name": text}, key), new)) == ["applied", "applied"]
    assert [row["Last name"] for row in rows(sheet).values()] == [text, text]
    assert {each.data["Last name"] for each in sheet.pull_all("people")[0]} == {text}


def test_new_rows_go_below_once_and_carry_the_hubs_id(sheet: Desk) -> None:
    assert CONNECTOR.find is not None
    fill(sheet, 2)
    news = [change("create", {"Email": f"n{n}@example.org"}, reference=f"h-{n}") for n in range(3)]
    assert outcomes(push(sheet, *news)) == ["applied"] * 3
    assert list(rows(sheet))[2:] == ["n0@example.org", "n1@example.org", "n2@example.org"]
    assert outcomes(push(sheet, news[1])) == ["duplicate"], "its answer was lost"
    (found,) = CONNECTOR.find(sheet.api, "people", "Hub Id", "h-1")
    assert (found.external_id, found.marker) == ("n1@example.org", "h-1")
    taken = change("create", {"Email": "p0000@example.org"}, reference="h-9")
    assert [(each.outcome, each.existing_id) for each in push(sheet, taken)] == [("duplicate", "p0000@example.org")]


def test_what_cannot_be_written_is_told_and_leaves_the_others_alone(sheet: Desk) -> None:
    (key, other) = fill(sheet, 2)
    results = push(
        sheet, change("update", {"Nope": "x"}, key), change("update", {"Email": "z@example.org"}, key),
        change("update", {"Phone": ["x"]}, key), change("update", {"Phone": "1"}, "nobody@example.org"),
        change("delete", {}, key), change("create", {"Phone": "1"}, reference="h-1"),
        change("create", {"Email": "y@example.org"}), change("update", {"Phone": "1", "Email": other}, other),
        change("update", {"Phone": "2"}, other),
    )  # fmt: skip
    assert [each.code or each.outcome for each in results] == [
        "SHEET-COLUMN", "SHEET-KEY-WRITE", "SHEET-VALUE", "not_found", "SHEET-OP", "SHEET-KEY", "SHEET-NO-MARKER",
        "applied", "stale",
    ]  # fmt: skip
    with opened(write="never") as shut:
        fill(shut, 1)
        assert push(shut, change("update", {"Phone": "1"}, key))[0].code == "SHEET-READ-ONLY"


def test_a_lost_answer_to_new_rows_is_unknown_and_they_are_found_by_the_hubs_id(sheet: Desk) -> None:
    assert CONNECTOR.find is not None
    sheet.twin.set_faults(script=[{"match": "POST", "fault": "timeout_after"}])
    new = change("create", {"Email": "n@example.org"}, reference="h-1")
    assert outcomes(push(sheet, new)) == ["unknown"]
    assert len(CONNECTOR.find(sheet.api, "people", "Hub Id", "h-1")) == 1


# --- the account -----------------------------------------------------------------------------------------------------


def test_a_service_account_signs_in_with_its_key_and_a_strangers_is_refused() -> None:
    own, strange = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    format_, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    for key, good in ((own, True), (strange, False)):
        twin = TwinGoogleSheets(
            clock=twin_clock(), service_key=public.decode(), account="hub@x.iam.gserviceaccount.com"
        )
        pem = key.private_bytes(serialization.Encoding.PEM, format_, none).decode()
        auth = {"kind": "jwt_bearer", "client_id": "hub@x.iam.gserviceaccount.com", "private_key": pem}
        with desk(CONNECTOR, twin, values=SHEET, streams={"people": PEOPLE}, auth=auth) as sheet:
            fill(sheet, 1)
            if good:
                assert len(sheet.pull_all("people")[0]) == 1
                sheet.advance(3700)  # a token lives for an hour
                assert len(sheet.pull_all("people")[0]) == 1
            else:
                with pytest.raises(SignInExpired):
                    sheet.pull_all("people")
    auth["private_key"] = "no key"
    closed = desk(CONNECTOR, TwinGoogleSheets(), values=SHEET, streams={"people": PEOPLE}, auth=auth)
    with closed as sheet, pytest.raises(SignInExpired):
        sheet.pull_all("people")


def test_a_sheet_that_is_not_shared_is_told() -> None:
    other = desk(CONNECTOR, TwinGoogleSheets(), values={"spreadsheet": "OTHER"}, streams={"people": PEOPLE})
    with other as sheet, pytest.raises(NotFound):
        sheet.pull_all("people")


def test_too_many_reads_are_waited_out() -> None:
    with opened(TwinGoogleSheets(clock=twin_clock(), limit_scale=0.05)) as sheet, pytest.raises(RetryLater):
        for _ in range(5):
            sheet.pull_all("people")


def test_a_check_reads_every_tab_and_lists_all_that_is_wrong(sheet: Desk) -> None:
    fill(sheet, 2)
    assert CONNECTOR.check(sheet.api) == {"account": "SHEET1", "name": "Twin", "warnings": []}
    streams = {
        "a": {"tab": "Nope", "key": "Email"},
        "b": {"tab": "People", "key": "Id"},
        "c": {**PEOPLE, "marker": "X"},
    }
    with desk(CONNECTOR, TwinGoogleSheets(), values=SHEET, streams=streams) as poor:
        with pytest.raises(ConfigFault) as caught:
            CONNECTOR.check(poor.api)
        assert [fault.code for fault in caught.value.faults] == ["SHEET-TAB", "SHEET-HEADER", "SHEET-HEADER"]


@pytest.mark.parametrize(
    ("values", "streams"),
    [
        ({"spreadsheet": "a/b"}, {"people": PEOPLE}), (SHEET, {}), (SHEET, {"people": {"key": "Email"}}),
        (SHEET, {"people": {"tab": "People"}}), (SHEET, {"people": {**PEOPLE, "write": "now"}}),
        (SHEET, {"people": {**PEOPLE, "marker": 7}}), (SHEET, {"people": {**PEOPLE, "tab": True}}),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_faults(values: Json, streams: Json) -> None:
    class Nobody:
        account = "sheet"

    given = Settings(values=values, auth={}, streams=streams)
    with pytest.raises(ConfigFault, match=r"CFG-SHEET|SHEET-STREAM"):
        CONNECTOR.connect(Nobody(), given)


def test_letters_of_columns() -> None:
    assert [writing._letters(number) for number in (1, 26, 27, 703)] == ["A", "Z", "AA", "AAA"]
    assert reading.quoted("Bob's") == "'Bob''s'"
