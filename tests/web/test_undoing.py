"""What people take back in the console: a run's writes, a merge, a field's standstill, a person's data; each asked."""

from __future__ import annotations

import re

import orjson

from hub.app.proposals import plans_now
from hub.model import ConflictKind, ConflictRow
from tests.web.console import Console


def run_that_wrote(console: Console, connection: str) -> int:
    with console.hub.store.reading() as tx:
        return next(row.id for row in tx.runs(connection=connection) if tx.intents_of_run(row.id))


def state_of(console: Console, plan: int) -> str:
    with console.hub.store.reading() as tx:
        return tx.plan_head(plan).state


def test_a_run_is_undone_after_its_undo_was_looked_at(console: Console) -> None:
    admin, run = console.as_("admin"), run_that_wrote(console, "right")
    assert "+49301234567" in console.read("data/right.csv")
    assert f'action="/runs/{run}/undo"' in admin.get(f"/runs/{run}").text
    assert "/undo" not in console.as_("support").get(f"/runs/{run}").text
    assert admin.post(f"/runs/{run}/undo").to == "/plan?done=undo-begun"
    assert console.service.errands.wait()
    assert "+49301234567" in console.read("data/right.csv")  # nothing was written by looking
    (plan,) = plans_now(console.hub)["made"]
    page = admin.get(f"/plan/{plan['plan']}").text
    assert ("Undo, plan" in page, "+49301234567" in page, f'href="/runs/{run}"' in page) == (True, True, True)
    assert admin.post(f"/plan/{plan['plan']}/approve", which="all").status == 403  # he asked for it
    assert console.as_("approver").post(f"/plan/{plan['plan']}/approve", which="all").status == 303
    assert console.service.errands.wait()
    assert "+49301234567" not in console.read("data/right.csv")
    assert state_of(console, plan["plan"]) == "applied"
    assert {("admin", "plan made", "undo"), ("approver", "plan applied", f"plan {plan['plan']}")} <= set(
        console.audit()
    )


def test_an_undo_of_no_run_is_not_there(console: Console) -> None:
    assert console.as_("admin").post("/runs/99999/undo").status == 404


def test_two_records_become_one_after_a_look_and_are_split_again(console: Console) -> None:
    agent, ann = console.as_("support"), console.contact()
    bob = console.contact("bob@example.org")
    preview = agent.post(f"/records/{ann}/merge", other="bob@example.org")
    assert (preview.status, "Nothing has happened yet" in preview.text) == (200, True)
    assert console.contact("bob@example.org") == bob
    done = agent.post(f"/records/{ann}/merge", other="bob@example.org", sure="yes")
    assert done.to == f"/records/{ann}?done=merged"
    page = agent.get(f"/records/{ann}").text
    assert f"{bob} was merged into it" in page
    asked = agent.post(f"/records/{ann}/unmerge")
    assert (asked.status, 'name="sure" value="yes"' in asked.text) == (200, True)
    assert "bob@example.org" in asked.text  # what he gets back
    assert f"{bob} was merged into it" in agent.get(f"/records/{ann}").text  # a question splits nothing
    assert agent.post(f"/records/{ann}/unmerge", sure="yes").to == f"/records/{ann}?done=split"
    assert f"{bob} was merged into it" not in agent.get(f"/records/{ann}").text
    assert agent.get(f"/records/{bob}").status == 200
    assert [(who, what) for who, what, _ in console.audit() if what in ("merged", "split")][:1] == [
        ("support", "merged")
    ]


def test_what_cannot_be_merged_says_so_and_a_viewer_is_not_asked(console: Console) -> None:
    ann = console.contact()
    assert console.as_("support").post(f"/records/{ann}/merge", other=ann).status == 409
    assert console.as_("support").post(f"/records/{ann}/unmerge").status == 404
    page = console.as_("viewer").get(f"/records/{ann}").text
    assert ("/merge" in page, "/unmerge" in page) == (False, False)


def frozen(console: Console) -> tuple[int, str]:
    """Ann's phone stands still: the conflict, the record."""
    from hub.app.scene import Scene

    ann = console.contact()
    entity = int(ann.partition(":")[2])
    with console.hub.store.transaction() as tx:
        scene = Scene(hub=console.hub, tx=tx, now=console.hub.clock.now())
        scene.load([entity])
        scene.freeze(entity, "phone")
        scene.decide()
        scene.save()
        said = [
            {"link": 1, "connection": name, "value": value, "after": -1.0, "before": 5.0, "base": 1, "taken": 1}
            for name, value in (("left", "+49301234567"), ("right", "+49307777777"))
        ]  # fmt: skip
        tx.add_conflicts(
            [
                ConflictRow(
                    entity_id=entity, field="phone", kind=ConflictKind.OSCILLATION, candidates=said, digest="d",
                    winner="+49301234567", winner_link=1, decided_by="", state="open", at=5.0,
                    note="left and right overwrite",
                )
            ]
        )  # fmt: skip
        (row,) = tx.conflicts(kind=ConflictKind.OSCILLATION, entity_id=entity)
    return row.id or 0, ann


def test_a_field_that_stands_still_is_let_go_from_the_record(console: Console) -> None:
    number, ann = frozen(console)
    agent = console.as_("support")
    page = agent.get(f"/records/{ann}").text
    assert re.search(rf'action="/conflicts/{number}/release"', page)
    assert "It stands still" in agent.get(f"/conflicts/{number}").text
    asked = agent.post(f"/conflicts/{number}/release")
    assert (asked.status, "left and right overwrite" in asked.text) == (200, True)
    assert agent.post(f"/conflicts/{number}/release", sure="yes").to == f"/records/{ann}?done=freed"
    assert "stands still" not in agent.get(f"/records/{ann}").text
    assert ("support", "conflict released", f"conflict {number}") in console.audit()
    assert agent.post(f"/conflicts/{number}/release", sure="yes").status == 409


def test_only_what_stands_still_is_let_go(console: Console) -> None:
    answer = console.as_("support").post(f"/conflicts/{console.conflict()}/release", sure="yes")
    assert answer.status == 409


# A person's own data


def test_everything_held_about_a_person_is_one_file(console: Console) -> None:
    ann = console.contact()
    answer = console.as_("admin").post(f"/records/{ann}/export")
    assert answer.headers["content-disposition"] == f'attachment; filename="{ann.replace(":", "-")}.json"'
    found = orjson.loads(answer.body)
    assert found["entities"][0]["values"]["email"] == "ann@example.org"
    assert ("admin", "exported", ann) in console.audit()
    assert console.as_("support").post(f"/records/{ann}/export").status == 403


def test_a_person_is_erased_only_when_the_name_was_typed_and_stays_away(console: Console) -> None:
    admin, ann = console.as_("admin"), console.contact()
    asked = admin.post(f"/records/{ann}/erase")
    assert (asked.status, f"type <code>{ann}</code>" in asked.text) == (200, True)
    wrong = admin.post(f"/records/{ann}/erase", sure="yes", typed="contact:0")
    assert "What was typed is something else" in wrong.text
    assert "ann@example.org" in admin.get(f"/records/{ann}").text
    done = admin.post(f"/records/{ann}/erase", sure="yes", typed=ann)
    assert (done.status, f"{ann} is erased" in done.text, ">left<" in done.text) == (200, True, True)
    assert ("admin", "erased", ann) in console.audit()
    console.edit("data/left.csv", "030 1234567", "030 7654321")
    console.sync()
    page = admin.get(f"/records/{ann}")
    assert (page.status, "ann@example.org" in page.text, "/erase" in page.text) == (200, False, False)
    assert "ann@example.org" not in admin.get("/search?q=ann").text.replace('value="ann"', "")
    assert [entry["row"] for entry in rows_of(console)] == []


def rows_of(console: Console) -> list[dict[str, int]]:
    with console.hub.store.reading() as tx:
        return [{"row": row.id or 0} for row in tx.quarantine()]
