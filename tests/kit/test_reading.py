"""Times, money, booleans and rows as vendors write them; pages that must move on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import NeedsReview
from hub.kit.paging import batches, require_ascending, require_progress, rest_at
from hub.kit.reading import (
    parse_bool,
    parse_epoch_ms,
    parse_minor,
    parse_time,
    read_rows,
    to_amount,
    to_http_date,
    to_iso,
)
from hub.model import SourceRecord

EIGHT = 1_793_606_400.0  # 2026-11-02 08:00:00 UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-02T08:00:00.000+0000", EIGHT),
        ("2026-11-02T08:00:00Z", EIGHT),
        ("2026-11-02T10:00:00+02:00", EIGHT),
        ("2026-11-02T08:00:00.123Z", EIGHT + 0.123),
    ],
)
def test_each_vendors_way_to_write_a_time_is_the_same_instant(text: str, at: float) -> None:
    assert parse_time(text) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("text", ["2026-11-02T08:00:00", "2026-11-02", "yesterday", ""])
def test_a_time_without_zone_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.integers(0, 4_000_000_000_000))
def test_a_stamp_in_milliseconds_survives_text(ms: int) -> None:
    assert to_iso(parse_time(to_iso(ms / 1000))) == to_iso(ms / 1000)
    assert round(parse_time(to_iso(ms / 1000)) * 1000) == ms


def test_http_dates_and_epochs() -> None:
    assert to_http_date(EIGHT + 0.9) == "Mon, 02 Nov 2026 08:00:00 GMT"
    assert parse_epoch_ms("1793606400500") == EIGHT + 0.5
    assert to_iso(EIGHT, digits=0) == "2026-11-02T08:00:00Z"


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.50", "EUR", 1250), ("12.5", "EUR", 1250), ("1000", "JPY", 1000), ("1.234", "KWD", 1234), (-3, "USD", -300)],
)
def test_amounts_become_minor_units_of_their_currency(amount: str, currency: str, minor: int) -> None:
    assert parse_minor(amount, currency) == minor
    assert parse_minor(to_amount(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"), [(12.5, "EUR"), ("1.001", "EUR"), ("x", "EUR"), ("NaN", "EUR"), ("1", "XX")]
)
def test_what_is_no_exact_amount_is_refused(amount: object, currency: str) -> None:
    with pytest.raises(ValueError):
        parse_minor(amount, currency)  # type: ignore[arg-type]


def test_words_for_yes_and_no() -> None:
    assert [parse_bool(each) for each in (True, "true", "1", "Yes", False, "false", 0, "no")] == [True] * 4 + [
        False
    ] * 4
    assert parse_bool("") is parse_bool(None) is None
    with pytest.raises(ValueError):
        parse_bool("maybe")


def test_a_row_that_cannot_be_read_does_not_stop_its_page() -> None:
    rows = [{"id": "1", "at": "2026-11-02T08:00:00Z"}, {"id": "2"}, None, {"id": "3", "at": "2026-11-02T08:00:00Z"}]
    records, faults = read_rows(
        rows,  # type: ignore[arg-type]
        lambda row: SourceRecord(external_id=row["id"], data=row, stamp=parse_time(row["at"])),
        id_key="id",
    )
    assert [record.external_id for record in records] == ["1", "3"]
    assert [(fault["external_id"], fault["code"]) for fault in faults] == [
        ("2", "REC-UNREADABLE"),
        ("", "REC-UNREADABLE"),
    ]


def test_a_token_handed_out_twice_stops_the_stream() -> None:
    assert require_progress({"after": "1"}, {"after": "2"}, where="stub") == {"after": "2"}
    with pytest.raises(NeedsReview) as caught:
        require_progress({"after": "2"}, {"after": "2"}, where="stub")
    assert caught.value.code == "PAGE-LOOP"


def test_a_page_that_lies_about_its_order_moves_no_cursor() -> None:
    require_ascending([1.0, 1.0, 2.0], where="stub")
    require_ascending([], where="stub")
    with pytest.raises(NeedsReview):
        require_ascending([1.0, 3.0, 2.0], where="stub")


def test_batches_and_rest() -> None:
    assert [list(each) for each in batches([1, 2, 3], 2)] == [[1, 2], [3]]
    assert rest_at(1000.0, 600.0) == 400.0
