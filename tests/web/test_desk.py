"""The support desk beyond single decisions: views that have a name, a conflict that becomes a rule for all."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

from hub.app.drafts import mapping_case, publish
from hub.app.inbox import conflict_case
from hub.app.policy import policies
from hub.app.saved_views import MOST, views_of
from tests.web.console import Console


def test_a_view_is_kept_under_a_name_and_only_for_whoever_named_it(console: Console) -> None:
    agent = console.as_("support")
    answer = agent.post("/conflicts/views", query="field=name&connection=left&evil=1", name="  Names  in left ")
    assert answer.to == "/conflicts?field=name&connection=left&done=view"
    page = html.unescape(agent.get("/conflicts?field=name&connection=left").text)
    assert 'href="/conflicts?field=name&connection=left" aria-current="page">Names in left<' in page
    assert views_of(console.hub, "conflicts", by="admin") == []
    agent.post("/conflicts/views", query="field=phone", name="Names in left")
    assert views_of(console.hub, "conflicts", by="support") == [{"name": "Names in left", "query": "field=phone"}]
    agent.post("/conflicts/views", what="drop", drop="Names in left")
    assert views_of(console.hub, "conflicts", by="support") == []
    assert [what for who, what, _ in console.audit() if who == "support"][1:] == [
        "view kept",
        "view kept",
        "view dropped",
    ]


def test_a_view_needs_a_name_and_there_are_not_endlessly_many(console: Console) -> None:
    agent = console.as_("viewer")  # whoever may look may look in his own way
    assert agent.post("/conflicts/views", name=" ").status == 422
    assert agent.post("/conflicts/views", name="x" * 61).status == 422
    assert agent.post("/conflicts/views", what="drop", drop="never kept").status == 404
    for number in range(MOST):
        assert agent.post("/conflicts/views", name=f"view {number}").status == 303
    assert agent.post("/conflicts/views", name="one more").status == 422


def test_a_conflict_becomes_a_draft_of_the_policy_and_once_published_the_rule(console: Console) -> None:
    agent, number = console.as_("support"), console.conflict()
    page = agent.get(f"/conflicts/{number}").text
    assert 'value="source:right"' in page
    answer = agent.post(f"/conflicts/{number}/policy", policy="source:right", note="they ask people")
    assert answer.to == f"/conflicts/{number}?done=policy"
    draft = mapping_case(console.hub, "canonical.yaml")["draft"]
    assert (draft["by"], draft["stale"]) == ("support", False)
    changed = [line for line in draft["diff"].splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == [
        "-      name: {type: text, survivorship: manual}",
        "+      name: {type: text, survivorship: {source: [right, left]}}",
    ]
    assert ("support", "policy proposed", f"conflict {number}") in console.audit()
    assert "proposed a policy for name: source:right (they ask people)" in agent.get(f"/conflicts/{number}").text
    assert agent.post("/mappings/canonical.yaml/publish").status == 403
    publish(console.service, "canonical.yaml", by="admin")
    rule = console.hub.canonical.entities["contact"].fields["name"].survivorship
    assert (rule.rule, list(rule.source)) == ("source", ["right", "left"])


def test_a_policy_that_the_field_cannot_have_is_refused(console: Console) -> None:
    number = console.conflict()
    offered = {each["policy"] for each in policies(console.hub, number)}
    assert offered == {"source:left", "source:right", "newest", "first", "longest", "majority"}
    answer = console.as_("support").post(f"/conflicts/{number}/policy", policy="union")
    assert (answer.status, "no policy for this field" in answer.text) == (422, True)
    assert mapping_case(console.hub, "canonical.yaml")["draft"] is None


# Ways of looking, and what was decided in haste


def rules_of(console: Console, **query: str) -> list[str]:
    """What stands in the inbox under this filter."""
    page = console.as_("viewer").get(f"/conflicts?{urlencode(query)}").text
    return re.findall(r'class="row conflict" href="/conflicts/(\d+)', page)


def test_the_inbox_is_narrowed_by_the_policy_that_a_conflict_waits_for(console: Console) -> None:
    number = str(console.conflict())
    assert rules_of(console, policy="manual") == [number]
    assert rules_of(console, policy="newest") == []
    assert rules_of(console, policy="\x00%") == [number]  # no policy: nothing is narrowed
    console.as_("support").post(f"/conflicts/{number}", choice="0")
    assert rules_of(console, state="decided", policy="person", kind="first_contact") == [number]
    assert rules_of(console, state="decided", policy="newest", kind="first_contact") == []


def test_the_next_conflict_is_of_the_way_of_looking_that_one_came_from(console: Console) -> None:
    number, agent = console.conflict(), console.as_("support")
    page = html.unescape(agent.get("/conflicts?field=name").text)
    assert f'href="/conflicts/{number}?in=field%3Dname"' in page
    page = html.unescape(agent.get(f"/conflicts/{number}?in=field%3Dname%26evil%3D1").text)
    assert 'name="in" value="field=name"' in page
    said: Any = {"in": "field=name"}
    answer = agent.post(f"/conflicts/{number}", choice="0", then="next", **said)
    assert answer.to == f"/conflicts?field=name&was={number}&done=resolved"
    assert f'href="/conflicts/{number}" data-key="u"' in agent.get(answer.to).text


def test_a_decision_is_undone_by_one_press(console: Console) -> None:
    number, agent = console.conflict(), console.as_("support")
    before = conflict_case(console.hub, number)
    other = next(each for each in before["choices"] if not each["stands"])
    agent.post(f"/conflicts/{number}", choice=str(other["candidate"]))
    assert conflict_case(console.hub, number)["standing"] == other["whole"]
    page = agent.get(f"/conflicts/{number}").text
    assert "Undo: put it back" in page
    agent.post(f"/conflicts/{number}", choice=re.findall(r'name="choice" value="(\d)"><p>Before', page)[0])
    after = conflict_case(console.hub, number)
    assert (after["standing"], after["before"]) == (before["standing"], None)
