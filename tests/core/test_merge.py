"""The decision over a set of claims, rule by rule (design.md §4, rules 1-8)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.core.canonical import CanonicalField, Survivorship
from hub.core.merge import Decision, Voice, decide_field, is_later, is_open
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, ConflictKind, FieldState, Json, RulingRow

VOICES = {
    1: Voice(link=1, connection="salesforce", connector="salesforce", rank=0, speaks=True),
    2: Voice(link=2, connection="hubspot", connector="hubspot", rank=1, speaks=True),
    3: Voice(link=3, connection="shop", connector="shopify", rank=2, speaks=True),
}


def text(rule: str = "newest", source: tuple[str, ...] = ()) -> CanonicalField:
    return CanonicalField(name="phone", type="text", survivorship=Survivorship(rule=rule, source=source))


def claim(link: int, value: Json, after: float, before: float, *, base: int = NO_VERSION, taken: int = 5) -> Claim:
    return Claim(link, value, after, before, base, taken)


def decided(field: CanonicalField, claims: Sequence[Claim], state: FieldState | None = None, **more: Json) -> Decision:
    cells = {c.link: Cell(held=c.value, own={WHOLE: c}) for c in claims}
    return decide_field(field, cells, state or FieldState(), VOICES, version=5, **more)


def test_windows_that_do_not_touch_are_ordered_without_a_conflict() -> None:
    result = decided(text(), [claim(1, "old", 0, 10, taken=4), claim(2, "new", 10, 20)])
    assert (result.state.value, list(result.losers)) == ("new", [])


def test_an_author_who_was_shown_the_other_value_made_the_later_claim() -> None:
    earlier = claim(1, "x", 0, 10, taken=3)
    later = claim(2, "y", 5, 15, base=3)
    assert is_later(later, earlier)
    assert not is_later(earlier, later)
    assert decided(text(), [earlier, later]).state.value == "y"


def test_concurrent_claims_are_decided_by_the_order_of_sources_and_put_on_record() -> None:
    result = decided(text(), [claim(2, "hub", 0, 10), claim(1, "sf", 5, 15)])
    assert result.state.value == "sf"
    assert [(loser.claim.value, loser.kind) for loser in result.losers] == [("hub", ConflictKind.CONCURRENT)]
    assert result.decided_by == "rule:newest"


def test_three_overlapping_windows_have_one_winner_in_every_order() -> None:
    claims = [claim(3, "a", 0, 4), claim(2, "b", 3, 7), claim(1, "c", 6, 9)]
    values = {decided(text(), [claims[i] for i in order]).state.value for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))}
    assert values == {"c"}


def test_a_sticky_source_refuses_a_later_edit_and_says_so() -> None:
    field = text("source", ("salesforce", "hubspot"))
    result = decided(field, [claim(1, "sf", 0, 10, taken=2), claim(2, "hub", 20, 30)])
    assert result.state.value == "sf"
    assert [(loser.claim.value, loser.kind) for loser in result.losers] == [("hub", ConflictKind.REFUSED)]
    assert not result.open


def test_systems_not_named_rank_after_the_named_ones() -> None:
    field = text("source", ("hubspot",))
    assert decided(field, [claim(1, "sf", 20, 30), claim(2, "hub", 0, 10)]).state.value == "hub"


def test_first_contact_goes_to_the_tie_and_is_recorded_as_such() -> None:
    result = decided(text(), [claim(1, "sf", LONG_AGO, 10), claim(2, "hub", LONG_AGO, 900)])
    assert result.state.value == "sf"
    assert [loser.kind for loser in result.losers] == [ConflictKind.FIRST_CONTACT]


def test_claims_that_agree_are_no_conflict() -> None:
    result = decided(text(), [claim(1, "same", LONG_AGO, 10), claim(2, "same", LONG_AGO, 20)])
    assert (result.state.value, list(result.losers)) == ("same", [])


def test_max_may_be_taken_back_by_the_system_that_raised_it() -> None:
    stage = CanonicalField(
        name="stage", type="enum", values=("lead", "sql", "customer"), survivorship=Survivorship(rule="max")
    )
    raised = decided(stage, [claim(1, "customer", 0, 10), claim(2, "lead", 5, 20)])
    assert raised.state.value == "customer"
    taken_back = decided(stage, [claim(1, "sql", 30, 40), claim(2, "lead", 5, 20)], state=raised.state)
    assert taken_back.state.value == "sql"


def test_a_longer_wrong_value_can_be_corrected() -> None:
    result = decided(text("longest"), [claim(1, "a very long mistake", 0, 10, taken=2), claim(2, "right", 20, 30)])
    assert result.state.value == "right"


def test_majority_counts_values_then_the_order_of_sources() -> None:
    claims = [claim(1, "x", 0, 10), claim(2, "y", 0, 10), claim(3, "y", 0, 10)]
    assert decided(text("majority"), claims).state.value == "y"


def test_manual_keeps_the_oldest_evidence_and_asks() -> None:
    first = decided(text("manual"), [claim(2, "old", 0, 10, taken=2)])
    result = decided(text("manual"), [claim(2, "old", 0, 10, taken=2), claim(1, "new", 20, 30)], state=first.state)
    assert (result.state.value, result.open, result.decided_by) == ("old", True, "")


def test_a_ruling_stands_against_any_machine_and_a_younger_claim_opens_a_conflict() -> None:
    ruling = RulingRow(id=7, entity_id=1, field="phone", value="ruled", version=3, by="ann", at=0.0)
    calm = decided(text(), [claim(1, "other", 0, 10, taken=2)], ruling=ruling)
    assert (calm.state.value, calm.open, calm.decided_by) == ("ruled", False, "ruling:7")
    younger = decided(text(), [claim(1, "other", 20, 30, taken=5)], ruling=ruling)
    assert (younger.state.value, younger.open) == ("ruled", True)
    cell = Cell(held="other", own={WHOLE: claim(1, "other", 20, 30, taken=5)})
    assert is_open(cell, text(), ruling, "ruled")


def test_a_younger_element_that_a_ruling_wants_opens_nothing_on_behalf_of_an_old_one() -> None:
    tags = CanonicalField(name="tags", type="set", kind="set", survivorship=Survivorship(rule="union"))
    ruling = RulingRow(id=7, entity_id=1, field="tags", value=["partner"], version=3, by="ann", at=0.0)
    old, young = claim(1, True, 0, 10, taken=2), claim(1, True, 20, 30, taken=5)
    calm = Cell(held=["partner", "press"], own={"press": old, "partner": young})
    decision = decide_field(tags, {1: calm}, FieldState(value=["partner"]), VOICES, version=5, ruling=ruling)
    assert (decision.open, is_open(calm, tags, ruling, ["partner"])) == (False, False)
    asking = Cell(held=["partner", "press"], own={"press": young})
    decision = decide_field(tags, {1: asking}, FieldState(value=["partner"]), VOICES, version=5, ruling=ruling)
    assert (decision.open, is_open(asking, tags, ruling, ["partner"])) == (True, True)


def test_memory_speaks_when_its_link_is_gone_and_is_silent_when_the_link_says_otherwise() -> None:
    won = decided(text(), [claim(1, "mine", 0, 10)]).state
    gone = {**VOICES, 1: Voice(link=1, connection="salesforce", connector="salesforce", rank=0, speaks=False)}
    assert decide_field(text(), {}, won, gone, version=6).state.value == "mine"
    replaced = decided(text(), [claim(1, "mine too", 10, 20)], state=won)
    assert (replaced.state.value, list(replaced.losers)) == ("mine too", [])


def test_sets_merge_by_element_and_a_removal_is_not_undone() -> None:
    tags = CanonicalField(name="tags", type="set", kind="set", survivorship=Survivorship(rule="union"))
    added = Cell(held=["vip"], own={"vip": claim(1, True, 0, 10, taken=2)})
    before = decide_field(tags, {1: added}, FieldState(value=[]), VOICES, version=5).state
    removed = Cell(held=[], own={"vip": claim(2, False, 20, 30)})
    after = decide_field(tags, {1: added, 2: removed}, before, VOICES, version=6)
    assert (before.value, after.state.value) == (["vip"], [])
    concurrent = Cell(held=[], own={"vip": claim(2, False, 5, 15)})
    assert decide_field(tags, {1: added, 2: concurrent}, before, VOICES, version=6).state.value == ["vip"]


ADDRESS = CanonicalField(
    name="address", type="group", kind="group", parts={"street": "text", "city": "text", "country": "country"}
)


def test_an_address_is_never_stitched_from_two_edits() -> None:
    full = {"street": "A 1", "city": "Bonn", "country": "DE"}
    other = {"street": "B 2", "city": "Lyon", "country": "FR"}
    result = decided(ADDRESS, [claim(1, full, 0, 10), claim(2, other, 5, 15)])
    assert result.state.value == full
    assert len(result.losers) == 1


def test_a_partial_claim_that_wins_takes_the_open_parts_from_the_next() -> None:
    part = {"city": "Köln"}
    full = {"street": "A 1", "city": "Bonn", "country": "DE"}
    result = decided(ADDRESS, [claim(2, full, 0, 10, taken=2), claim(1, part, 20, 30)])
    assert result.state.value == {"street": "A 1", "city": "Köln", "country": "DE"}


def test_a_blank_part_is_filled_by_the_same_address_and_by_no_other() -> None:
    bare = {"street": "A 1", "city": "Bonn", "country": None}
    fuller = {"street": "A 1", "city": "Bonn", "country": "DE"}
    other = {"street": "B 2", "city": "Bonn", "country": "FR"}
    assert decided(ADDRESS, [claim(1, bare, LONG_AGO, 10), claim(2, fuller, LONG_AGO, 10)]).state.value == fuller
    assert decided(ADDRESS, [claim(1, bare, LONG_AGO, 10), claim(2, other, LONG_AGO, 10)]).state.value == bare


CONSENT = CanonicalField(
    name="consent.email", type="consent", kind="consent", survivorship=Survivorship(rule="consent")
)
OUT = {"state": "opted_out", "at": None, "source": None}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_ticked_box_without_evidence_never_opens_an_opt_out(order: tuple[int, int]) -> None:
    box = {"state": "opted_in", "at": None, "source": None}
    claims = [claim(1, OUT, 0, 10, taken=2), claim(2, box, 500, 600)]
    assert decided(CONSENT, [claims[i] for i in order]).state.value == OUT


def test_a_later_opt_in_with_time_and_source_opens_it() -> None:
    form = {"state": "opted_in", "at": "2026-11-02T08:00:00Z", "source": "form newsletter"}
    result = decided(CONSENT, [claim(1, OUT, 0, 10, taken=2), claim(2, form, 500, 500)])
    assert result.state.value == form


def test_concurrent_consent_statements_mean_opt_out() -> None:
    form = {"state": "opted_in", "at": "2026-11-02T08:00:00Z", "source": "form"}
    result = decided(CONSENT, [claim(1, OUT, 0, 100), claim(2, form, 50, 50)])
    assert result.state.value == OUT


def test_an_opt_out_overwritten_in_its_own_system_still_binds() -> None:
    won = decided(CONSENT, [claim(1, OUT, 50, 60)]).state
    older = {"state": "opted_in", "at": "1970-01-01T00:00:10Z", "source": "import"}
    result = decided(CONSENT, [claim(1, older, 10, 10)], state=won)
    assert result.state.value == OUT
