"""Branches of the decision that everyday records never reach, each with the case that needs it.

`make verify` counts the branches that tests of the core take (goal G18): one that none takes is unproved or idle.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.core.canonical import CanonicalField, EntityType, EventType, Survivorship
from hub.core.changes import Window, observe_cell, restate_cell
from hub.core.conditions import MOST, condition_of
from hub.core.derived import FUNCTIONS, derivations, movements
from hub.core.explain import recompute
from hub.core.first import (
    BY_TIME,
    STAYS,
    YIELDS,
    AllNew,
    Standing,
    first_claim,
    first_held,
    groups_of,
    odd_kinds,
    precedence,
    taken_over,
    undecided,
    values_alone,
)
from hub.core.guards import Bound, allowance, cell_guards, exceeds
from hub.core.merge import Voice, after_split, decide_field, evidence, without
from hub.core.plan import CASE, erases, fields_due, is_due, removal
from hub.core.rewards import dialled, recipient_of
from hub.core.shadow import pack_fields, pack_shadow, unpack_fields, unpack_shadow
from hub.errors import ConfigFault
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, FieldState, Json, RulingRow
from tests.core.language import canonical, people

TEXT = CanonicalField(name="phone", type="text")
TAGS = CanonicalField(name="tags", type="set", kind="set")
NAME = CanonicalField(name="name", type="group", kind="group", parts={"first_name": "text", "last_name": "text"})
CONSENT = CanonicalField(name="consent.email", type="consent", kind="consent")
VOICES = {
    1: Voice(link=1, connection="salesforce", connector="salesforce", rank=0, speaks=True),
    2: Voice(link=2, connection="hubspot", connector="hubspot", rank=1, speaks=True),
}
OUT = {"state": "opted_out", "at": "2026-12-01T00:00:00Z", "source": "form"}
IN = {"state": "opted_in", "at": "2026-12-02T00:00:00Z", "source": "form"}


def ruled(rule: str, *, kind: str = "text") -> CanonicalField:
    return CanonicalField(name="phone", type=kind, survivorship=Survivorship(rule=rule))


def claim(link: int, value: Json, *, before: float = 10.0, taken: int = 5) -> Claim:
    return Claim(link, value, LONG_AGO, before, NO_VERSION, taken)


def says(value: Json, link: int = 1, *, taken: int = 5) -> Cell:
    return Cell(held=value, own={WHOLE: claim(link, value, taken=taken)})


def ruling(value: Json, version: int) -> RulingRow:
    return RulingRow(id=7, entity_id=3, field="phone", value=value, version=version, by="ann", at=1.0)


# What a read changes


def test_a_blank_that_says_nothing_leaves_the_claim_and_is_put_right_there() -> None:
    old = says("+49301")
    seen, edited = observe_cell(TEXT, old, None, link=1, window=Window(after=1.0, before=2.0), version=9, erases=False)
    assert (seen, edited) == (Cell(held=None, agreed=NO_VERSION, own=old.own), False)


def test_a_set_read_for_the_first_time_without_elements_says_nothing() -> None:
    seen = observe_cell(TAGS, None, [], link=1, window=Window(after=1.0, before=2.0), version=9, erases=True)
    assert seen == (Cell(held=[]), False)


def test_consent_of_no_known_state_is_blank_in_new_terms_too() -> None:
    unknown = {"state": "unknown", "at": None, "source": None}
    assert restate_cell(CONSENT, says(IN), unknown, link=1, before=5.0, version=9) == Cell(held=None)


def test_words_of_a_set_in_new_terms_are_claimed_by_whoever_claimed_the_old_ones() -> None:
    old = Cell(held=["a", "b"], agreed=4, own={"a": claim(1, True), "b": claim(1, True)})
    new = restate_cell(TAGS, old, ["b", "c"], link=1, before=5.0, version=9)
    assert (new.held, new.agreed, set(new.own)) == (["b", "c"], 4, {"b", "c"})
    assert new.own["c"] == Claim(1, True, LONG_AGO, 5.0, NO_VERSION, 9)
    ours = restate_cell(TAGS, Cell(held=["a"], agreed=4), ["c"], link=1, before=5.0, version=9)
    assert ours == Cell(held=["c"], agreed=4)


def test_a_statement_in_new_terms_stays_its_author_s_and_ours_stays_ours() -> None:
    again = restate_cell(TEXT, says("030 1"), "+49301", link=1, before=5.0, version=9)
    assert again.own[WHOLE] == claim(1, "+49301")
    assert restate_cell(TEXT, Cell(held="030 1", agreed=4), "+49301", link=1, before=5.0, version=9).own == {}


def test_consent_of_no_known_state_is_no_claim_and_given_anew_is_one() -> None:
    window = Window(after=1.0, before=2.0)
    unknown = {"state": "unknown", "at": None, "source": None}
    assert observe_cell(CONSENT, None, unknown, link=1, window=window, version=9, erases=False) == (Cell(), False)
    anew = {**IN, "at": "2026-12-09T00:00:00Z"}
    seen, edited = observe_cell(CONSENT, says(IN), anew, link=1, window=window, version=9, erases=False)
    assert (edited, seen.held) == (True, anew)
    assert not observe_cell(CONSENT, says(IN), IN, link=1, window=window, version=9, erases=False)[1]


# Deciding


def test_whose_link_is_gone_ranks_last_and_speaks_only_by_memory() -> None:
    sticky = CanonicalField(name="phone", type="text", survivorship=Survivorship(rule="source", source=("salesforce",)))
    memory = FieldState(value="x", version=3, memory={WHOLE: claim(9, "x", taken=3)})
    assert decide_field(sticky, {2: says("y", 2)}, memory, VOICES, version=9).state.value == "y"
    mute = {**VOICES, 1: Voice(link=1, connection="salesforce", connector="salesforce", rank=0, speaks=False)}
    assert evidence(TEXT, {1: says("x"), 2: says("y", 2)}, [], mute)[WHOLE] == [claim(2, "y")]


def test_a_consent_told_twice_counts_once_and_an_opt_in_stays_without_an_opt_out() -> None:
    assert decide_field(CONSENT, {1: says(IN), 2: says(IN, 2)}, FieldState(), VOICES, version=9).state.value == IN


def test_memory_of_a_link_that_spoke_again_is_silent_unless_it_is_of_consent() -> None:
    memory = FieldState(value="x", version=3, memory={WHOLE: claim(1, "x", taken=3)})
    cells = {1: says("y")}
    assert evidence(TEXT, cells, [memory], VOICES)[WHOLE] == [claim(1, "y")]
    kept = FieldState(value=OUT, version=3, memory={WHOLE: claim(1, OUT, taken=3)})
    assert len(evidence(CONSENT, {1: says(IN)}, [kept], VOICES)[WHOLE]) == 2


def test_a_frozen_field_stands_and_a_later_ruling_moves_it() -> None:
    state = FieldState(value="x", version=3, memory={WHOLE: claim(1, "x")}, frozen=6)
    cells = {1: says("x"), 2: says("y", 2, taken=9)}
    still = decide_field(TEXT, cells, state, VOICES, version=9)
    assert (still.state, still.changed, still.open, [each.claim.value for each in still.losers]) == (
        state, False, True, ["y"],
    )  # fmt: skip
    assert decide_field(TEXT, cells, state, VOICES, version=9, ruling=ruling("y", 8)).state.value == "y"


def test_a_value_of_a_merged_record_without_any_version_takes_the_merge_s() -> None:
    empty = FieldState()
    decision = decide_field(TEXT, {1: Cell(held=None, own={WHOLE: claim(1, None)})}, empty, VOICES, version=9)
    assert (decision.changed, decision.state.version) == (False, 9)


def test_claims_that_end_leave_their_link_behind() -> None:
    cells = {1: says("x"), 2: says("y", 2)}
    left = without(cells, [(1, WHOLE)])
    assert (left[1], left[2]) == (Cell(held="x", agreed=NO_VERSION), cells[2])
    assert without(cells, []) is cells


def test_a_split_gives_back_nothing_where_nothing_joint_was_given() -> None:
    mine = decide_field(TEXT, {1: says("x")}, FieldState(value="x", version=4), VOICES, version=9)
    joint = FieldState(value="x", version=4)
    assert after_split(mine, joint, version=9, given=False).changed is False
    assert after_split(mine, FieldState(value="y", version=4), version=9, given=False).changed is True
    other = after_split(mine, FieldState(value="y", version=4), version=9, given=True)
    assert (other.changed, other.state.version, other.state.withdrawn) == (True, 9, False)


# Deciding once more


def test_a_frozen_field_is_explained_by_what_is_remembered() -> None:
    state = FieldState(value="x", version=3, memory={WHOLE: claim(1, "x")}, frozen=6)
    again = recompute(TEXT, {1: says("x")}, state, VOICES, None)
    assert (again.value, again.decided_by, again.same) == ("x", "frozen", True)


def test_a_ruling_explains_its_value_and_only_if_it_is_the_one_on_record() -> None:
    cells = {1: says("x")}
    state = FieldState(value="y", version=8, memory={WHOLE: claim(1, "x")}, ruling=7)
    again = recompute(TEXT, cells, state, VOICES, ruling("y", 8))
    assert (again.value, again.decided_by, again.same) == ("y", "ruling:7", True)
    assert not recompute(TEXT, cells, FieldState(value="y", version=8), VOICES, ruling("y", 8)).same


def test_sets_groups_and_consent_are_explained_by_their_own_rules() -> None:
    tags = Cell(held=["a"], own={"a": claim(1, True)})
    state = FieldState(value=["a"], version=3, memory={"a": claim(1, True)})
    assert recompute(TAGS, {1: tags}, state, VOICES, None).same
    person = {"first_name": "Ann", "last_name": "Lee"}
    named = FieldState(value=person, version=3, memory={WHOLE: claim(1, person)})
    assert recompute(NAME, {1: says(person)}, named, VOICES, None).same
    assert recompute(CONSENT, {1: says(OUT)}, FieldState(), VOICES, None).decided_by == "rule:consent"
    assert recompute(TEXT, {}, FieldState(), VOICES, None).decided_by == ""


# First contact, taken in at once


def test_what_has_no_common_window_is_left_to_the_long_way() -> None:
    kinds = {"phone": "scalar", "tags": "set", "consent.email": "consent"}
    odd = odd_kinds(kinds)
    assert first_held(kinds, odd, {"tags": ["a", "a"]}) is None
    assert first_held(kinds, odd, {"consent.email": OUT}) is None
    assert first_held(kinds, odd, {"phone": ""}) == ({"phone": ""}, [])
    held = first_held(kinds, odd, {"phone": "x", "gone": 1, "consent.email": {"state": "unknown"}, "tags": None})
    assert held == ({"phone": "x", "consent.email": None, "tags": []}, ["phone"])


def test_nought_and_false_are_values_and_a_group_without_parts_is_none() -> None:
    kinds = {"name": "group", "size": "scalar", "vip": "scalar"}
    shown = {"size": 0, "vip": False, "name": {"first_name": None}}
    assert first_held(kinds, odd_kinds(kinds), shown) == (shown, ["size", "vip"])


def test_a_group_that_lacks_parts_is_kept_whole_beside_what_was_said() -> None:
    own = first_claim(1, 10.0, 5)
    groups = groups_of({"name": NAME, "phone": TEXT})
    held = {"name": {"first_name": "Ann"}, "phone": "x"}
    found = values_alone(groups, held, ["name", "phone"], own)
    assert found is not None
    assert found[0]["name"] == {"first_name": "Ann", "last_name": None}
    assert list(found[1]["x"]) == ["name"]
    assert values_alone(groups, held, ["name"], own) is None  # no field has the short form
    turned = {"name": {"last_name": "Lee", "first_name": "Ann"}, "phone": "x"}  # whole, in another order
    assert "x" not in (values_alone(groups, turned, ["name", "phone"], own) or ({}, {"x": 1}))[1]
    whole = {"name": {"first_name": "Ann", "last_name": "Lee"}, "phone": "x"}
    assert values_alone(groups, whole, ["name", "phone"], own) == (whole, {"v": own[4], "m": own})


def test_who_keeps_a_place_follows_the_rule() -> None:
    one, two = VOICES[1], VOICES[2]
    assert precedence(CONSENT, one, two) is YIELDS
    assert precedence(ruled("manual"), one, two) is BY_TIME
    assert precedence(ruled("first"), one, two) is BY_TIME
    assert (precedence(TEXT, one, two), precedence(TEXT, two, one)) == (STAYS, YIELDS)
    sticky = CanonicalField(name="phone", type="text", survivorship=Survivorship(rule="source", source=("hubspot",)))
    assert (precedence(sticky, one, two), precedence(sticky, two, one)) == (YIELDS, STAYS)


def alike_phone(shadow: dict[str, Json]) -> dict[str, Json]:
    return {**shadow, "held": {**shadow["held"], "post": "p"}}


def test_a_second_record_changes_only_what_it_says_otherwise_or_may_take_over() -> None:
    first, second = first_claim(1, 10.0, 5), first_claim(2, 20.0, 6)
    old = {"held": {"phone": "x", "post": "p"}, "own": first}
    new = {"held": {"phone": "x", "post": "q"}, "own": second}
    entity = {"v": 5, "m": first}
    none: frozenset[str] = frozenset()
    stays, timed = Standing(none, none, none), Standing(none, frozenset(["phone", "post"]), none)
    assert undecided({"v": 5}, {}, old, new, ["phone"], stays) == (["phone"], [])  # nothing short to compare with
    assert undecided(entity, {"phone": "x", "post": "p"}, old, new, ["phone", "post"], stays) == (["post"], [])
    assert undecided(entity, {"phone": "x"}, old, new, ["phone"], timed) == ([], [])
    assert undecided(entity, {"phone": "z"}, old, new, ["phone"], timed) == (["phone"], [])
    assert undecided(entity, {"phone": "x"}, {**old, "x": {"phone": 1}}, new, ["phone"], stays) == (["phone"], [])
    apart = {**entity, "x": {"phone": [5, {WHOLE: [1, "x", *first[1:]]}, None]}}
    assert undecided(apart, {"phone": "x"}, old, new, ["phone"], stays) == ([], [])
    otherwise = {**old, "x": {"post": 1}}
    assert undecided(entity, {"phone": "x"}, otherwise, alike_phone(new), ["phone"], stays) == ([], [])
    assert undecided(entity, {"phone": "z"}, otherwise, alike_phone(new), ["phone"], stays) == (["phone"], [])
    ruled_on = {**entity, "x": {"phone": [5, {WHOLE: [1, "x", *first[1:]]}, [7]]}}
    assert undecided(ruled_on, {"phone": "x"}, old, new, ["phone"], stays) == (["phone"], [])
    alike = {"held": old["held"], "own": second}
    assert undecided(entity, {"phone": "x"}, old, alike, ["phone"], stays) == ([], [])
    assert undecided(entity, {"phone": "z"}, old, alike, ["phone"], stays) == (["phone"], [])


def test_an_equal_claim_takes_over_where_nothing_else_hangs_on_it() -> None:
    late, early = first_claim(1, 20.0, 5), first_claim(2, 10.0, 6)
    old, new = {"held": {"phone": "x"}, "own": late}, {"held": {"phone": "x"}, "own": early}
    entity, names = {"v": 5, "m": late}, frozenset(["phone"])
    by_time = Standing(frozenset(), names, names)
    assert undecided(entity, {"phone": "x"}, old, new, ["phone"], by_time) == ([], ["phone"])
    at_once = {**new, "own": [2, *late[1:]]}  # ranks tell, not times
    assert undecided(entity, {"phone": "x"}, old, at_once, ["phone"], by_time) == (["phone"], [])
    edited = [1, 15.0, *late[2:]]
    known = {"v": 5, "m": edited}
    assert undecided(known, {"phone": "x"}, {**old, "own": edited}, new, ["phone"], by_time) == (["phone"], [])
    assert undecided(entity, {"phone": "x"}, old, new, ["phone"], by_time._replace(passes=frozenset()))[1] == []


def test_the_default_is_the_claim_that_most_fields_have() -> None:
    first, second = first_claim(1, 20.0, 5), first_claim(2, 10.0, 6)
    entity, values = {"v": 5, "m": first}, {"note": None, "phone": "x", "post": "p", "town": "t"}
    few = {"v": 5, "m": first, "x": {"post": [5, second, None]}}
    assert taken_over(entity, values, ["post"], second) == few
    most = {"v": 5, "m": second, "x": {"phone": [5, first, None]}}
    assert taken_over(entity, values, ["post", "town"], second) == most
    assert taken_over(entity, values, ["phone", "post", "town"], second) == {"v": 5, "m": second}
    assert taken_over(entity, {"phone": "x", "post": "p"}, ["phone"], second)["m"] == second  # the first of equals


def test_changes_of_a_new_entity_read_like_pairs_and_take_more() -> None:
    found = AllNew({"phone": "x"})
    found["total"] = (None, "5")
    found["phone"] = ("x", "y")
    assert dict(found) == {"phone": ("x", "y"), "total": (None, "5")}
    assert (len(found), AllNew({"a": 1})["a"]) == (2, (None, 1))
    assert ("total" in found, "phone" in found, "post" in found) == (True, True, False)
    assert found.before() == {"phone": "x", "total": None}
    with pytest.raises(TypeError):
        del found["phone"]


def test_documents_can_lose_a_field_before_they_are_kept() -> None:
    cells = unpack_shadow(pack_shadow({"phone": says("x"), "post": says("y")}))
    del cells["post"]
    assert list(unpack_shadow(pack_shadow(cells))) == ["phone"]
    states = {"phone": FieldState(value="x", version=3), "post": FieldState(value="y", version=3)}
    kept = unpack_fields(pack_fields(states), {"phone": "x", "post": "y"})
    del kept["post"]
    assert list(kept) == ["phone"]


def test_a_document_that_was_looked_at_and_not_changed_is_kept_as_it_was() -> None:
    values = {"phone": "x", "post": "y", "note": "z"}
    document = pack_fields({name: FieldState(value=value, version=3) for name, value in values.items()})
    assert "x" not in document
    looked_at = unpack_fields(document, values)
    assert looked_at["phone"].version == 3
    assert pack_fields(looked_at) == document


# Planning

KEEPS = "    fields: {email: {remote: Email}, phone: {remote: Phone}, tags: {remote: Tags}}"
CLEARS = "    fields: {email: {remote: Email}, phone: {remote: Phone, blank: {out: clear}}}"


def test_a_blank_is_written_only_where_it_clears() -> None:
    contact = canonical().entities["contact"]
    blank = FieldState(value=None, version=5)
    held = Cell(held="+4930123", agreed=3)
    assert is_due(contact.fields["phone"], held, blank, people(KEEPS), None) == ""
    assert is_due(contact.fields["phone"], held, blank, people(CLEARS), None) == "due"
    assert is_due(contact.fields["phone"], Cell(held=None, agreed=3), blank, people(CLEARS), None) == ""
    without_consent = FieldState(value=None, version=5)
    assert is_due(contact.fields["consent.email"], says(OUT), without_consent, people(CLEARS), None) == ""


def test_a_consent_that_nobody_gave_is_never_written_as_a_blank() -> None:
    clears = people("    fields: {consent.email: {remote: OptOut, wire: opt_out_flag, blank: {out: clear}}}")
    field = canonical().entities["contact"].fields["consent.email"]
    assert is_due(field, says(OUT), FieldState(value=None, version=5), clears, None) == ""


def test_what_is_computed_is_written_once_per_change_of_what_it_is_made_of() -> None:
    tiered = people(
        """    fields:
      email: {remote: Email}
      tier: {direction: out, remote: Tier, cases: [{when: "stage == 'customer'", set: gold}, {otherwise: none}]}"""
    )
    contact, states = canonical().entities["contact"], {"stage": FieldState(value="customer", version=5)}
    due = [
        fields_due(contact, tiered, states, {CASE + "tier": cell}, {}).fields
        for cell in (Cell(), Cell(held="none", agreed=4), Cell(held="gold", agreed=4), Cell(held="none", agreed=5))
    ]
    assert due == [(CASE + "tier",), (CASE + "tier",), (), ()]


def test_a_frozen_field_waits_and_an_unknown_one_is_not_due() -> None:
    contact = canonical().entities["contact"]
    states = {"phone": FieldState(value="+4930123", version=5, frozen=5)}
    due = fields_due(contact, people(KEEPS), states, {}, {})
    assert (due.fields, due.waiting) == ((), ("phone",))
    assert fields_due(contact, people(KEEPS), {}, {}, {}).waiting == ()


def test_the_milder_of_two_deletes_holds_and_an_archive_stands_in() -> None:
    assert removal("keep", "delete", ["delete"]) is None
    assert removal("delete", "archive", ["archive", "delete"]) == "archive"
    assert removal("delete", "delete", ["archive"]) == "archive"
    assert removal("archive", "delete", ["delete"]) is None


def test_whose_blank_erases_is_said_by_the_policy() -> None:
    named = people("    fields: {email: {remote: Email}, phone: {remote: Phone, blank: {in: {erase_if_from: [crm]}}}}")
    assert erases(named, "phone", "crm")
    assert not erases(named, "phone", "shop")
    assert erases(people("    fields: {email: {remote: Email}, phone: {remote: Phone, blank: {in: erase}}}"), "phone")
    assert not erases(people(KEEPS), "phone", "crm")


# Guards


def test_a_guard_holds_above_both_bounds_and_counts_what_is_rare() -> None:
    bound = Bound(over=10, share=0.1)
    assert [exceeds(bound, count, 200) for count in (10, 20, 21)] == [False, False, True]
    assert (allowance(bound, 200), allowance(bound, 20)) == (20, 10)
    owner = CanonicalField(name="owner", type="ref", kind="ref", to="owner")
    assert cell_guards(CONSENT, IN, OUT) == ["consent_flips"]
    assert cell_guards(CONSENT, None, OUT) == []
    assert cell_guards(TEXT, "x", None) == ["blanks"]
    assert cell_guards(TEXT, None, None) == []
    assert cell_guards(owner, 1, 2) == ["one_value", "owner_changes"]


# Conditions, sums, rewards


def test_answers_of_a_condition_are_kept_for_values_that_can_be_and_not_for_ever() -> None:
    found = condition_of("stage == 'customer'", canonical().entities["contact"], currency="EUR")
    assert [found({"stage": "customer"}), found({"stage": "lead"}), found({"stage": "customer"})] == [True, False, True]
    for place in range(MOST + 1):
        assert not found({"stage": f"stage{place}"})
    tagged = condition_of("'a' in tags", canonical().entities["contact"], currency="EUR")
    assert tagged({"tags": ["a"]})


def test_a_sum_names_a_cause_once_and_may_come_without_a_moment() -> None:
    fields = {
        "total": CanonicalField(name="total", type="money"),
        "paid_at": CanonicalField(name="paid_at", type="instant"),
        "refunded_at": CanonicalField(name="refunded_at", type="instant"),
        "contact": CanonicalField(name="contact", type="ref", kind="ref", to="contact"),
    }
    events = {"paid": EventType(name="paid", when="total > 0", at="")}
    order = EntityType(name="order", fields=fields, events=events)
    spent = {"spent": CanonicalField(name="spent", type="decimal", derived="paid_orders_total")}
    contact = EntityType(name="contact", fields=spent)
    from hub.core.canonical import Canonical

    total = derivations(Canonical(entities={"contact": contact, "order": order}), currency="EUR")[0]
    paid = {"total": {"minor": 100, "currency": "EUR"}, "contact": 3, "paid_at": "2026-12-05T12:00:00Z"}
    moved = movements(total, [(7, paid, {**paid, "total": {"minor": 300, "currency": "EUR"}})])
    assert (moved[3].delta, moved[3].causes) == (Decimal(2), (7,))
    lacking = EntityType(name="order", fields={"total": fields["total"]}, events={})
    with pytest.raises(ConfigFault, match="needs more of order"):
        derivations(Canonical(entities={"contact": contact, "order": lacking}), currency="EUR")
    odd = EntityType(
        name="contact", fields={"spent": CanonicalField(name="spent", type="text", derived="paid_orders_total")}
    )
    with pytest.raises(ConfigFault, match="cannot hold"):
        derivations(Canonical(entities={"contact": odd, "order": order}), currency="EUR")
    with pytest.raises(ConfigFault, match="declare"):
        derivations(Canonical(entities={"contact": contact}), currency="EUR")
    assert "paid_orders_total" in FUNCTIONS


def test_a_number_that_is_none_is_handed_on_and_a_person_may_have_no_name() -> None:
    assert dialled("call me") == "call me"
    assert dialled("+4915112345678") == "+49-15112345678"
    assert recipient_of({"email": "kim@example.com", "name": "Kim Lee"}) == {
        "email": "kim@example.com", "name": "Kim Lee",
    }  # fmt: skip
    assert recipient_of({"name": {"first_name": "Kim", "last_name": None}}) == {"name": "Kim"}
