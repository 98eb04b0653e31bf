"""Plans in the console: made by an errand, shown page by page, let go wholly, in part, or not; four eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.app.people import change_user
from hub.app.plan_choice import Chosen, part_of
from hub.app.plan_pages import PAGE, PART, READ_MOST, Narrowed, parts_of, plan_page
from hub.app.planned import sealed, unpacked
from hub.app.proposals import keep_made, plans_now
from hub.errors import NeedsReview
from tests.projects import CANONICAL, HUB, LEFT_ROWS, RIGHT_ROWS
from tests.web.console import Browser, Console

PROPOSE = HUB.replace("mode: live", "mode: propose")
# Ann and Bob are in both, and only the left one knows their phones: two updates wait for the right one.
PEOPLE: Any = {
    "left_csv": LEFT_ROWS.replace("Bob,,", "Bob,030 7654321,"),
    "right_csv": RIGHT_ROWS + "7,bob@example.org,Bob,,\n",
}


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Console]:
    """Both systems only propose; one sync was made."""
    found = Console(tmp_path, hub_yaml=PROPOSE, **PEOPLE)
    found.start()
    found.sync()
    yield found
    found.stop()


def waiting(console: Console) -> dict[str, int]:
    return {row["connection"]: row["plan"] for row in plans_now(console.hub)["waiting"]}


def made(console: Console, browser: Browser) -> int:
    answer = browser.post("/plan/make", connection="*")
    assert answer.to == "/plan?done=plan-begun", answer.text[:500]
    assert console.service.errands.wait()
    newest = console.service.errands.newest()
    assert newest is not None
    assert newest["error"] == "", newest
    return int(newest["plan"])


def state_of(console: Console, plan: int) -> str:
    with console.hub.store.reading() as tx:
        return tx.plan_head(plan).state


# Looking


def test_the_page_of_plans_computes_nothing_and_makes_no_writing_transaction(
    asking: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, plan = asking.as_("viewer"), waiting(asking)["right"]
    assert browser.get("/plan").status == 200  # the session is touched once a minute at most
    refuse = pytest.fail
    monkeypatch.setattr(type(asking.hub.store), "transaction", lambda *_a, **_k: refuse("a page wrote"))
    page = browser.get("/plan").text
    assert f'href="/plan/{plan}"' in page
    assert browser.get(f"/plan/{plan}").status == 200


def test_a_plan_shows_each_write_with_old_and_new_and_what_it_costs(asking: Console) -> None:
    page = asking.as_("viewer").get(f"/plan/{waiting(asking)['right']}").text
    for said in ("ann@example.org", "+49301234567", "update", "By system", "By field", "Calls"):
        assert said in page
    assert "Approve all" not in page


def test_an_errand_makes_a_plan_as_if_all_were_live_and_says_how_far_it_is(asking: Console) -> None:
    browser = asking.as_("admin")
    plan = made(asking, browser)
    assert plans_now(asking.hub)["made"][0]["plan"] == plan
    assert f'href="/plan/{plan}"' in browser.get("/plan/errand").text
    part = browser.get("/plan/errand", **{"HX-Request": "true"})
    assert part.headers["hx-refresh"] == "true"
    page = browser.get(f"/plan/{plan}").text
    assert "Make all" in page
    assert "+49307654321" in page
    assert ("admin", "plan made", "sync") in asking.audit()


def test_a_plan_that_cannot_be_made_says_why(asking: Console) -> None:
    answer = asking.as_("admin").post("/plan/make", connection="nobody")
    assert (answer.status, "nobody" in answer.text) == (404, True)


def test_one_errand_at_a_time(asking: Console) -> None:
    errands = asking.service.errands
    with asking.hub.store.transaction():  # the errand has to wait for the store
        errands.make_plan(["left"], pull=False, by="admin")
        with pytest.raises(Exception, match="another plan is at work") as caught:
            errands.make_plan(["left"], pull=False, by="admin")
    assert getattr(caught.value, "code", "") == "RUN-BUSY"
    assert errands.wait()


# Deciding


def test_some_writes_are_approved_and_the_rest_is_proposed_again(asking: Console) -> None:
    plan = waiting(asking)["right"]
    rows = plan_page(asking.hub, plan)["rows"]
    place = next(each["place"] for each in rows if each["values"].get("phone") == "+49301234567")
    answer = asking.as_("approver").post(f"/plan/{plan}/approve", which="ticked", place=str(place))
    part = int(re.findall(r"/plan/(\d+)", answer.to)[0])
    assert (state_of(asking, plan), state_of(asking, part)) == ("superseded", "approved")
    assert ("approver", "plan approved", f"plan {part}") in asking.audit()
    asking.sync()
    assert "+49301234567" in asking.read("data/right.csv")
    assert "+49307654321" not in asking.read("data/right.csv")
    rest = plan_page(asking.hub, waiting(asking)["right"])["rows"]
    assert [each["values"] for each in rest] == [{"phone": "+49307654321"}]


def test_what_a_filter_leaves_is_approved_alone(asking: Console) -> None:
    plan = waiting(asking)["right"]
    approver = asking.as_("approver")
    assert approver.post(f"/plan/{plan}/approve", which="shown", op="remove").status == 422
    answer = approver.post(f"/plan/{plan}/approve", which="shown", op="update", field="phone")
    part = int(re.findall(r"/plan/(\d+)", answer.to)[0])
    assert {each["op"] for each in plan_page(asking.hub, part)["rows"]} == {"update"}


@pytest.fixture
def two_fields(tmp_path: Path) -> Iterator[Console]:
    """As `asking`, with names by the rule of the mapping, and Bob called Bobby in the left system."""
    found = Console(tmp_path, hub_yaml=PROPOSE, canonical_yaml=CANONICAL, **PEOPLE)
    found.start()
    found.sync()
    found.edit("data/left.csv", "Bob,", "Bobby,")
    found.sync()
    yield found
    found.stop()


def test_a_ticked_field_of_a_write_goes_alone(two_fields: Console) -> None:
    asking = two_fields
    plan = waiting(asking)["right"]
    row = next(each for each in plan_page(asking.hub, plan)["rows"] if each["values"].get("phone") == "+49307654321")
    assert set(row["values"]) == {"name", "phone"}
    approver = asking.as_("approver")
    assert f'name="cell" value="{row["place"]}:phone"' in approver.get(f"/plan/{plan}").text
    answer = approver.post(f"/plan/{plan}/approve", which="ticked", cell=f"{row['place']}:phone")
    assert answer.status == 303, answer.text
    asking.sync()
    written = next(line for line in asking.read("data/right.csv").splitlines() if "bob@" in line)
    assert "+49307654321" in written
    assert "Bobby" not in written


def test_a_field_is_approved_alone_in_all_updates(asking: Console) -> None:
    plan = waiting(asking)["right"]
    approver = asking.as_("approver")
    assert "Only phone of these updates" in approver.get(f"/plan/{plan}?field=phone").text
    answer = approver.post(f"/plan/{plan}/approve", which="field", field="phone")
    part = int(re.findall(r"/plan/(\d+)", answer.to)[0])
    assert [list(each["values"]) for each in plan_page(asking.hub, part)["rows"]] == [["phone"], ["phone"]]


def test_an_undo_is_made_of_whole_writes(synced: Console) -> None:
    two = write(1) | {"values": {"name": "new", "phone": "1"}}
    document = {"kind": "undo", "connections": [], "writes": [two]}
    with pytest.raises(NeedsReview, match="whole writes"):
        part_of(synced.hub, document, Chosen(fields={1: frozenset({"phone"})}))
    assert part_of(synced.hub, document, Chosen(places=[1])) is document


def test_nothing_chosen_is_said_and_decides_nothing(asking: Console) -> None:
    plan = waiting(asking)["right"]
    answer = asking.as_("approver").post(f"/plan/{plan}/approve", which="ticked")
    assert (answer.status, "PLAN-NONE" in answer.text) == (422, True)
    assert asking.as_("approver").post(f"/plan/{plan}/approve").status == 422
    assert state_of(asking, plan) == "waiting"


def test_a_plan_that_was_made_is_carried_out_by_somebody_else_than_its_maker(asking: Console) -> None:
    plan = made(asking, asking.as_("admin"))
    refused = asking.as_("admin").post(f"/plan/{plan}/approve", which="all")
    assert (refused.status, "AUTH-OWN" in refused.text) == (403, True)
    answer = asking.as_("approver").post(f"/plan/{plan}/approve", which="all")
    assert answer.to == f"/plan/{plan}?done=plan-carried"
    assert asking.service.errands.wait()
    assert state_of(asking, plan) == "applied"
    assert "+49301234567" in asking.read("data/right.csv")
    again = asking.as_("approver").post(f"/plan/{plan}/approve", which="all")
    assert (again.status, "PLAN-DECIDED" in again.text) == (409, True)


def test_whoever_is_alone_may_carry_out_his_own(asking: Console) -> None:
    change_user(asking.hub, "approver", active=False, by="test")
    plan = made(asking, asking.as_("admin"))
    assert asking.as_("admin").post(f"/plan/{plan}/approve", which="all").status == 303
    assert asking.service.errands.wait()
    assert state_of(asking, plan) == "applied"


def test_whoever_published_the_mapping_does_not_approve_what_comes_of_it(asking: Console) -> None:
    admin = asking.as_("admin")
    text = asking.read("mappings/right.yaml").replace("{remote: Name}", "{remote: Name, max: 200}")
    admin.post("/mappings/right.yaml/draft", what="save", text=text)
    assert admin.post("/mappings/right.yaml/publish").status == 303
    asking.sync()
    plan = waiting(asking)["right"]
    answer = admin.post(f"/plan/{plan}/approve", which="all")
    assert (answer.status, "you published the mapping" in answer.text.lower()) == (403, True)
    assert asking.as_("approver").post(f"/plan/{plan}/approve", which="all").status == 303


def test_none_of_a_plan_is_an_answer_too(asking: Console) -> None:
    plan = made(asking, asking.as_("admin"))
    assert asking.as_("approver").post(f"/plan/{plan}/reject").status == 303
    assert state_of(asking, plan) == "rejected"


# Pages of large plans


def write(number: int, *, field: str = "name", op: str = "update", guard: str = "") -> dict[str, Any]:
    found = {
        "connection": "left", "stream": "people", "op": op, "entity": f"contact:{number}", "external_id": str(number),
        "version": 1, "stamp": None, "values": {field: "new"}, "before": {field: "old"}, "body": {}, "why": {},
    }  # fmt: skip
    return found | ({"guard": guard} if guard else {})


def large(console: Console, writes: list[dict[str, Any]]) -> int:
    head = {"connection": "left", "calls": 1, "limits": [], "error": "", "mapping_version": 1}
    document = sealed(
        {
            "plan": 1, "hub": console.hub.instance, "kind": "sync", "made_at": None, "connections": [head],
            "writes": writes, "held": [], "refused": [],
        }
    )  # fmt: skip
    return keep_made(console.hub, document, by="test")


def test_pages_of_a_plan_give_every_write_once_in_order(synced: Console) -> None:
    plan = large(synced, [write(n) for n in range(1, 3 * PART + 8)])
    seen: list[int] = []
    after = 0
    while True:
        found = plan_page(synced.hub, plan, after=after)
        seen += [each["place"] for each in found["rows"]]
        if found["next"] is None:
            break
        after = found["next"]
    assert seen == list(range(1, 3 * PART + 8))


def test_a_rare_filter_reads_some_parts_at_a_time_and_finds_all(synced: Console) -> None:
    parts = 3 * READ_MOST
    rare = [1 + PART * part for part in range(parts)]  # one in each part
    writes = [write(n, field="phone" if n in rare else "name") for n in range(1, parts * PART + 1)]
    plan = large(synced, writes)
    seen: list[int] = []
    after, pages = 0, 0
    while True:
        found = plan_page(synced.hub, plan, Narrowed(field="phone"), after=after)
        assert found["matching"] == parts
        seen, pages = seen + [each["place"] for each in found["rows"]], pages + 1
        if found["next"] is None:
            break
        after = found["next"]
    assert (seen, pages) == (rare, 3)


def test_a_page_counts_by_system_operation_and_field(synced: Console) -> None:
    writes = [write(1), write(2, field="phone"), write(3, op="create"), write(4, op="archive", guard="deletes")]
    found = plan_page(synced.hub, large(synced, writes))
    assert found["systems"] == {"left": {"update": 2, "create": 1, "remove": 1, "held": 1}}
    assert found["fields"] == [["left", "name", 3], ["left", "phone", 1]]
    assert [found[name] for name in ("total", "held", "matching")] == [4, 1, 4]
    held = plan_page(synced.hub, large(synced, writes), Narrowed(held=True))
    assert ([each["entity"] for each in held["rows"]], held["matching"]) == (["contact:4"], 1)


def test_what_is_chosen_on_pages_is_what_the_whole_plan_has_there(synced: Console) -> None:
    writes = [write(n, field="phone" if n % 3 == 0 else "name") for n in range(1, 2 * PART)]
    plan = large(synced, writes)
    with synced.hub.store.reading() as tx:
        document = unpacked(tx.plan(plan).content)
    page = plan_page(synced.hub, plan, Narrowed(field="phone"), limit=PAGE)["rows"]
    chosen = [found for found, _ in Chosen(places=[each["place"] for each in page]).of(document)]
    assert [each["entity"] for each in chosen] == [each["entity"] for each in page]


def test_a_plan_that_was_kept_before_there_were_parts_is_shown_as_well(synced: Console) -> None:
    plan = large(synced, [write(n) for n in range(1, 10)])
    with synced.hub.store.reading() as tx:
        row = tx.plan(plan)
    with synced.hub.store.transaction() as tx:
        old = tx.add_plan(_old(row, tx.reserve_ids("plan", 1)[0]))
    assert len(plan_page(synced.hub, old)["rows"]) == 9


def _old(row: Any, number: int) -> Any:
    from dataclasses import replace

    return replace(row, id=number, parts=())


def test_rows_that_are_no_writes_are_kept_in_part_and_counted() -> None:
    document = {"writes": [], "refused": [{"code": "X"}] * 300}
    (rest,) = parts_of(document)
    assert rest.part == 0
