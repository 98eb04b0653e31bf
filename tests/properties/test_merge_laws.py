"""Laws of the decision: order, batching and repetition do not matter; what was packed is what comes out."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from hub.core.canonical import CanonicalField, Survivorship
from hub.core.merge import Voice, decide_field
from hub.core.shadow import pack_claims, pack_fields, pack_shadow, unpack_claims, unpack_fields, unpack_shadow
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, FieldState

LINKS = (1, 2, 3, 4)
RULES = ("newest", "source", "first", "longest", "majority", "manual")
VOICES = {link: Voice(link=link, connection=f"c{link}", connector=f"c{link}", rank=link, speaks=True) for link in LINKS}

windows = st.tuples(st.sampled_from([LONG_AGO, 0.0, 1.0, 2.0, 3.0]), st.integers(1, 3)).map(
    lambda pair: (pair[0], max(pair[0], 0.0) + pair[1])
)
claims = st.builds(
    lambda link, value, window, base, taken: Claim(link, value, window[0], window[1], base, taken),
    st.sampled_from(LINKS), st.sampled_from(["", "a", "bb", "ccc", "Ä"]).filter(bool), windows, st.just(NO_VERSION),
    st.just(7),
)  # fmt: skip
sets_of_claims = st.lists(claims, max_size=4, unique_by=lambda claim: claim.link)


def field_with(rule: str) -> CanonicalField:
    return CanonicalField(name="f", type="text", survivorship=Survivorship(rule=rule, source=("c3", "c1")))


def outcome(rule: str, batches: list[list[Claim]]) -> tuple:
    """Value and memory after the claims came in these batches, each its own transaction of one version."""
    state, cells = FieldState(), {}
    for batch in batches:
        for claim in batch:
            cells[claim.link] = Cell(held=claim.value, own={WHOLE: claim})
        state = decide_field(field_with(rule), cells, state, VOICES, version=7).state
    return state.value, state.memory.get(WHOLE)


@settings(max_examples=600)
@given(sets_of_claims.flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))), st.sampled_from(RULES))
def test_order_and_batching_do_not_decide(pair: tuple[list[Claim], list[Claim]], rule: str) -> None:
    together, apart = pair
    assert outcome(rule, [together]) == outcome(rule, [[claim] for claim in apart]) or not together


@given(sets_of_claims, st.sampled_from(RULES))
def test_deciding_twice_changes_nothing(group: list[Claim], rule: str) -> None:
    cells = {claim.link: Cell(held=claim.value, own={WHOLE: claim}) for claim in group}
    once = decide_field(field_with(rule), cells, FieldState(), VOICES, version=7)
    twice = decide_field(field_with(rule), cells, once.state, VOICES, version=7)
    assert (twice.state, twice.changed) == (once.state, False)


@given(sets_of_claims, st.sampled_from(RULES))
def test_every_claim_is_the_value_or_on_record(group: list[Claim], rule: str) -> None:
    cells = {claim.link: Cell(held=claim.value, own={WHOLE: claim}) for claim in group}
    result = decide_field(field_with(rule), cells, FieldState(), VOICES, version=7)
    recorded = {loser.claim for loser in result.losers}
    assert all(claim.value == result.state.value or claim in recorded for claim in group)


values = st.one_of(
    st.none(), st.text(max_size=5), st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=3).map(sorted),
    st.fixed_dictionaries({"street": st.none() | st.text(max_size=3), "city": st.none() | st.text(max_size=3)}),
)  # fmt: skip
numbers = st.integers(-1, 9)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    held = draw(values)
    parts = [WHOLE] if not isinstance(held, list) else draw(st.lists(st.sampled_from("abc"), unique=True)) or held
    value = st.just(held) if not isinstance(held, list) else st.booleans()
    own = {
        part: Claim(
            1, draw(value | values if part == WHOLE else value), 0.0, float(draw(numbers)), draw(numbers), draw(numbers)
        )
        for part in draw(st.sampled_from([[], parts]))
    }
    return Cell(held=held, agreed=draw(numbers), own=own)


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from("pqrst"), cells(), min_size=1))
def test_a_shadow_unpacks_to_the_cells_it_was_made_of(group: dict[str, Cell]) -> None:
    assert unpack_shadow(pack_shadow(group)) == group


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from("pqrst"), cells(), min_size=1), st.none() | st.integers(1, 3))
def test_field_states_unpack_to_what_they_were(group: dict[str, Cell], ruling: int | None) -> None:
    states = {
        name: FieldState(value=cell.held, version=cell.agreed, memory=cell.own, ruling=ruling if name == "p" else None)
        for name, cell in group.items()
    }
    assert unpack_fields(pack_fields(states), {name: state.value for name, state in states.items()}) == states


@given(cells())
def test_claims_unpack_to_what_they_were(cell: Cell) -> None:
    assert unpack_claims(cell.held, pack_claims(cell.held, cell.own)) == cell.own
