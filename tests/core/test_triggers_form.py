"""A rule put into a form and taken out again is the same rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.triggers_form import ACTIONS, CAUSES, form_of, rule_of
from hub.model import Json

CAUSED: dict[str, dict[str, Json]] = {
    "on": {"on": "order.paid", "repeated": {"times": 3, "within": "7d", "same": "total"}, "who": "contact"},
    "changed": {"changed": {"field": "contact.country", "from": "DE", "to": ["FR", "a, b", "12", 12, "true", None]}},
    "crosses": {"crosses": {"field": "contact.lifetime_value", "over": 1000.5}},
    "quiet_for": {"quiet_for": {"events": ["order.paid", "order.refunded"], "of": "contact", "for": "60d"}},
    "every": {"every": {"of": "contact", "day_of_week": "mon", "hour": 9, "minute": "*/15"}},
}
DONE: dict[str, dict[str, Json]] = {
    "reward": {"reward": {"connection": "plum", "product": "5671", "amount": "25 EUR", "budget": "thanks"}},
    "notice": {"notice": {"team": "Look: 12, \"quoted\"."}},
    "message": {"notice": {"connection": "mail", "template": "hello"}},
    "field": {"field": {"mood": "happy", "count": 3, "known": True, "note": "a: b, c"}},
    "task": {"task": {"subject": "Call", "description": "Soon.", "priority": "high", "due": "2d", "owner": "owner"}},
    "webhook": {"webhook": {"url": "https://hooks.example.com/x", "secret": "secret:x", "local": True}},
}  # fmt: skip
REST: dict[str, Json] = {
    "text": "A rule.", "when": "contact.country == 'DE'", "cool_down": "30d", "approve": True,
    "limits": {"per_person": {"count": 2, "per": "year"}, "in_all": {"count": 50, "per": "day"}},
    "quiet_hours": {"from": "20:00", "to": "08:00", "zone": "person"}, "approve_over": "100 EUR",
    "active_from": "2026-12-01T00:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSED)
@pytest.mark.parametrize("action", DONE)
def test_a_rule_comes_out_of_its_form_as_it_went_in(cause: str, action: str) -> None:
    rule = {**REST, **CAUSED[cause], "do": DONE[action]}
    form = form_of(rule)
    assert (form["cause"], form["do"]) == (cause, action)
    assert rule_of(form) == rule


def test_every_cause_and_every_action_is_tried_above() -> None:
    assert (set(CAUSED), set(DONE)) == (set(CAUSES), set(ACTIONS))


def test_what_belongs_to_another_choice_is_left_out() -> None:
    form = form_of({**REST, **CAUSED["on"], "do": DONE["task"]}) | {"cause": "every", "do": "notice", "team": "Look."}
    assert rule_of(form) == {**REST, "who": "contact", "do": {"notice": {"team": "Look."}}}


def test_what_hangs_on_something_that_is_not_said_is_not_said() -> None:
    assert rule_of({"person_per": "year", "all_per": "day", "quiet_zone": "person"}) == {}


SCALARS = st.one_of(
    st.text(max_size=12), st.integers(-(10**12), 10**12), st.booleans(), st.none(),
    st.decimals(-1000, 1000, places=3).map(float), st.sampled_from(("true", "null", "010", "1.10", '"', "a,b", " x")),
)  # fmt: skip


@given(
    values=st.lists(SCALARS, min_size=2, max_size=5), fields=st.dictionaries(st.from_regex(r"\A[a-z_]{1,9}\Z"), SCALARS)
)
def test_whatever_value_a_field_may_have_survives(values: list[Json], fields: dict[str, Json]) -> None:
    rule: dict[str, Json] = {"changed": {"field": "contact.x", "to": values}}
    if fields:
        rule["do"] = {"field": fields}
    found = rule_of(form_of(rule))
    assert found["changed"] == rule["changed"]
    assert [type(each) for each in found["changed"]["to"]] == [type(each) for each in values]
    assert found.get("do") == rule.get("do")


@given(
    rule=st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=5), inner)))
)
def test_what_is_no_rule_makes_no_form_fail(rule: Json) -> None:
    rule_of(form_of({"on": rule, "do": rule, "limits": rule, "text": rule}))
    rule_of(form_of(rule))
