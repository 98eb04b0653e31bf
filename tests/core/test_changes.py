"""What a read changes in a cell, and what a read proves about an open write."""

from __future__ import annotations

from dataclasses import replace

from hub.core.canonical import CanonicalField
from hub.core.changes import Verdict, Window, judge_intent, observe_cell, settle_cells
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, Intent

TEXT = CanonicalField(name="name", type="text")
TAGS = CanonicalField(name="tags", type="set", kind="set")
WINDOW = Window(after=10.0, before=20.0)


def seen(cell: Cell | None, value, *, erases: bool = False, field: CanonicalField = TEXT):
    return observe_cell(field, cell, value, link=1, window=WINDOW, version=7, erases=erases)


def test_an_echo_gives_no_claim() -> None:
    cell = Cell(held="Ann", agreed=3)
    assert seen(cell, "Ann") == (cell, False)


def test_an_edit_is_what_differs_from_held_and_leaves_agreed() -> None:
    cell, edited = seen(Cell(held="Ann", agreed=3), "Anna")
    assert edited
    assert (cell.held, cell.agreed) == ("Anna", 3)
    assert cell.own == {WHOLE: Claim(1, "Anna", 10.0, 20.0, 3, 7)}


def test_first_contact_has_an_open_window_and_no_base() -> None:
    cell, edited = seen(None, "Ann")
    assert edited
    assert cell.own[WHOLE] == Claim(1, "Ann", LONG_AGO, 20.0, NO_VERSION, 7)


def test_a_blank_at_first_contact_says_nothing() -> None:
    assert seen(None, None) == (Cell(held=None), False)


def test_an_ignored_blank_keeps_the_claim_and_asks_for_the_value_back() -> None:
    own = {WHOLE: Claim(1, "Ann", 0.0, 5.0, 2, 3)}
    cell, edited = seen(Cell(held="Ann", agreed=3, own=own), None)
    assert not edited
    assert (cell.held, cell.agreed, cell.own) == (None, NO_VERSION, own)


def test_an_erasing_blank_is_a_claim() -> None:
    cell, edited = seen(Cell(held="Ann", agreed=3), None, erases=True)
    assert edited
    assert cell.own[WHOLE].value is None


def test_a_set_claims_the_elements_it_added_and_removed() -> None:
    cell, edited = seen(Cell(held=["a", "b"], agreed=3), ["b", "c"], field=TAGS)
    assert edited
    assert {part: claim.value for part, claim in cell.own.items()} == {"a": False, "c": True}


def test_a_window_is_shrunk_but_never_moved_by_a_vendor_stamp() -> None:
    assert Window.of_read(last_known=10.0, read_at=20.0, stamp=15.0) == Window(after=10.0, before=15.0)
    assert Window.of_read(last_known=10.0, read_at=20.0, stamp=5.0) == Window(after=10.0, before=20.0)
    assert Window.of_read(last_known=10.0, read_at=20.0, stamp=99.0) == Window(after=10.0, before=20.0)


def test_a_landed_write_retires_the_claim_and_is_agreed_as_of_its_intent() -> None:
    own = {WHOLE: Claim(1, "mine", 0.0, 5.0, 2, 3)}
    cells = settle_cells({"name": Cell(held="mine", agreed=2, own=own)}, {"name": "Ann"}, 9)
    assert cells["name"] == Cell(held="Ann", agreed=9)


INTENT = Intent(
    id=1, connection="a", stream="people", link_id=1, entity_id=1, op="update", values={"name": "Ann Long"},
    body={"name": "Ann Long"}, version=9, external_id="a1", pre_stamp=100.0, reference="r", idempotency_key="k",
    created_at=1000.0, first_sent=1000.0, last_possible=1150.0,
)  # fmt: skip


def judged(shown: str, *, stamp: float, by_hub: bool | None, now: float = 1010.0, intent: Intent = INTENT) -> Verdict:
    return judge_intent(
        intent, {"name": TEXT}, {"name": Cell(held="Old")}, {"name": shown}, forms={"name": "Ann Long"}, stamp=stamp,
        by_hub=by_hub, now=now, lag_s=5.0,
    ).verdict  # fmt: skip


def test_an_unchanged_record_proves_nothing_until_the_call_can_no_longer_land() -> None:
    assert judged("Old", stamp=100.0, by_hub=False) is Verdict.WAIT
    assert judged("Old", stamp=100.0, by_hub=False, now=1156.0) is Verdict.NOT_LANDED


def test_an_acknowledged_write_without_visible_effect_is_believed_after_the_lag() -> None:
    acked = replace_state(INTENT, "acked")
    assert judged("Old", stamp=100.0, by_hub=False, now=1010.0, intent=acked) is Verdict.WAIT
    assert judged("Old", stamp=100.0, by_hub=False, now=1156.0, intent=acked) is Verdict.LANDED


def test_our_name_on_the_record_proves_the_landing_in_whatever_form() -> None:
    assert judged("Ann L", stamp=101.0, by_hub=True) is Verdict.LANDED


def test_our_value_alone_proves_nothing_while_the_call_may_land() -> None:
    assert judged("Ann Long", stamp=101.0, by_hub=None) is Verdict.WAIT
    assert judged("Ann Long", stamp=101.0, by_hub=None, intent=replace_state(INTENT, "acked")) is Verdict.LANDED


def test_a_write_that_moves_no_stamp_is_believed_when_it_shows() -> None:
    acked = replace_state(INTENT, "acked")
    assert judged("Ann Long", stamp=100.0, by_hub=None, intent=acked) is Verdict.LANDED


def test_a_value_put_back_is_written_again_twice_then_taken_as_ignored() -> None:
    def verdict(tries: int) -> Verdict:
        return judge_intent(
            replace_state(INTENT, "acked"), {"name": TEXT}, {"name": Cell(held="Old")}, {"name": "Old"},
            forms={"name": "Ann Long"}, stamp=101.0, by_hub=False, now=1200.0, lag_s=5.0, tries={"name": tries},
        ).verdict  # fmt: skip

    assert [verdict(tries) for tries in (0, 1, 2)] == [Verdict.MIXED, Verdict.MIXED, Verdict.LANDED]


def test_a_value_that_nobody_can_explain_is_kept_apart() -> None:
    verdict = judge_intent(
        INTENT, {"name": TEXT}, {"name": Cell(held="Old")}, {"name": "Strange"}, forms={"name": "Ann Long"},
        stamp=101.0, by_hub=False, now=1200.0, lag_s=5.0,
    )  # fmt: skip
    assert (verdict.verdict, dict(verdict.stored), dict(verdict.strange)) == (Verdict.MIXED, {}, {"name": "Strange"})


def replace_state(intent: Intent, state: str) -> Intent:
    return replace(intent, state=state)
