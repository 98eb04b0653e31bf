"""The support desk for programs: conflicts, quarantine, what guards hold back. A part of hub.web.api."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from hub.app import approvals, desk, inbox, listings, policy, review, saved_views
from hub.app.notes import add_note
from hub.web.api import (
    PAGE,
    ROUTER,
    After,
    Answered,
    Approver,
    Body,
    Code,
    Decider,
    Hubs,
    Id,
    Limit,
    Name,
    Reader,
    Retrier,
    Text,
    Word,
    closed,
)  # fmt: skip

INBOX = "conflicts"  # what views are of
Place = Annotated[int, Field(ge=0, le=10_000, description="Number of a candidate in the list, from 0.")]


class Decision(BaseModel):
    """How a conflict is decided: by one of its candidates, or by a value."""

    model_config = closed({"candidate": 1, "digest": "5f0c…", "note": "said on the phone"}, {"value": "Ann Lee"})
    candidate: int | None = Field(default=None, ge=0, le=10_000, description="Its number in the list, from 0.")
    value: Any = Field(default=None, description="The value that shall stand, if no candidate is named; null blanks.")
    note: str = Field(default="", max_length=2000)
    digest: str | None = Field(default=None, max_length=200, description="As it was shown; refused if it changed.")


class Alike(BaseModel):
    """Conflicts that are decided the same way: those that were shown, each as it was then."""

    model_config = closed({"candidate": 0, "conflicts": {"12": "5f0c…", "13": "77ab…"}})
    candidate: Place = 0
    conflicts: dict[Annotated[int, Field(ge=1, lt=2**62)], Annotated[str, Field(max_length=200)]] = Field(
        min_length=1, max_length=1000, description="Number -> `digest`, as the preview gave them."
    )


class Freed(Answered):
    """A field that stands still shall move again."""

    model_config = closed({"sure": True, "note": "both systems are set to read only now"})
    note: str = Field(default="", max_length=2000)


class Rows(BaseModel):
    """Rows to try again; none for all of the code, or all of it at one connection."""

    model_config = closed({"rows": [4, 5]}, {"connection": "shop"})
    rows: list[Annotated[int, Field(ge=1, lt=2**62)]] | None = Field(default=None, max_length=500)
    connection: str | None = Field(default=None, max_length=80)


class Policy(BaseModel):
    """What the policy of a conflict's field should be."""

    model_config = closed({"policy": "newest", "note": "the shop knows better"})
    policy: str = Field(min_length=1, max_length=100, description="Of the conflict's `policies`.")
    note: str = Field(default="", max_length=500)


class View(BaseModel):
    """A way of looking at the inbox."""

    model_config = closed({"name": "Names", "query": "field=name&connection=shop"})
    name: str = Field(min_length=1, max_length=60)
    query: str = Field(default="", max_length=500, description="As it stands in the address of the page.")


# Conflicts


@ROUTER.get("/conflicts")
def get_conflicts(
    service: Hubs, _: Reader, state: Literal["waiting", "decided"] = "waiting", field: Word = None, type: Word = None,
    connection: Word = None, policy: Word = None, after: After = None, limit: Limit = PAGE,
) -> Body:  # fmt: skip
    """Conflicts that wait, oldest first; or those decided, newest first; by policy: a rule, or "person"."""
    wanted = inbox.Wanted(field=field, type=type, connection=connection, policy=policy)
    return inbox.conflict_page(service.hub, wanted, waits=state == "waiting", edge=after, limit=limit)


@ROUTER.get("/conflicts/{conflict}")
def get_conflict(service: Hubs, _: Reader, conflict: Id) -> Body:
    """One conflict with all that helps to decide."""
    return inbox.conflict_case(service.hub, conflict)


@ROUTER.get("/conflicts/{conflict}/policies")
def get_policies(service: Hubs, _: Reader, conflict: Id) -> list[Body]:
    """What the policy of a conflict's field could be."""
    return policy.policies(service.hub, conflict)


@ROUTER.get("/conflicts/{conflict}/alike")
def get_alike(service: Hubs, _: Reader, conflict: Id, candidate: int = Query(default=0, ge=0, le=10_000)) -> Body:
    """Waiting conflicts of the same field in which the same system spoke, and what each would become."""
    return inbox.alike(service.hub, conflict, candidate)


@ROUTER.post("/conflicts/{conflict}/decision")
def decide(service: Hubs, person: Decider, conflict: Id, it: Decision) -> Body:
    """Decide a conflict, or overrule how it was decided."""
    value = review.UNSET if it.candidate is not None else it.value
    ruling = review.resolve_conflict(
        service.hub, conflict, candidate=it.candidate, value=value, by=person.name, note=it.note, digest=it.digest
    )
    service.poke()
    return {"ruling": ruling.id, "field": ruling.field, "value": ruling.value}


@ROUTER.post("/conflicts/{conflict}/alike")
def decide_alike(service: Hubs, person: Decider, conflict: Id, it: Alike) -> Body:
    """Decide all of those alike that are named; one that changed since it was shown is left alone."""
    done = inbox.resolve_alike(
        service.hub, conflict, it.candidate, list(it.conflicts.items()), by=person.name
    )  # fmt: skip
    service.poke()
    return done


@ROUTER.post("/conflicts/{conflict}/release")
def let_go(service: Hubs, person: Decider, conflict: Id, it: Freed) -> Body:
    """Let a field that stands still move again, by its rule."""
    review.release_conflict(service.hub, conflict, by=person.name, note=it.note)
    service.poke()
    return {"released": it.sure}


@ROUTER.post("/conflicts/{conflict}/policy")
def propose(service: Hubs, person: Decider, conflict: Id, it: Policy) -> Body:
    """Draft a policy for the field of a conflict; whoever may publish decides about it."""
    return {"file": policy.propose_policy(service.hub, conflict, it.policy, by=person.name, note=it.note)}


@ROUTER.post("/conflicts/{conflict}/notes")
def note_conflict(service: Hubs, person: Decider, conflict: Id, it: Text) -> Body:
    """Write a note beside a conflict."""
    listings.conflict(service.hub, conflict)
    add_note(service.hub, f"conflict:{conflict}", it.text, by=person.name)
    return {"kept": True}


@ROUTER.get("/views")
def get_views(service: Hubs, person: Reader) -> list[Body]:
    """Your own views of the inbox."""
    return saved_views.views_of(service.hub, INBOX, by=person.name)


@ROUTER.post("/views")
def keep_view(service: Hubs, person: Reader, it: View) -> Body:
    """Give a view of the inbox a name."""
    saved_views.keep_view(service.hub, INBOX, it.name, it.query, by=person.name)
    return {"kept": True}


@ROUTER.delete("/views/{name}")
def drop_view(service: Hubs, person: Reader, name: Name) -> Body:
    """Drop one of your views of the inbox."""
    saved_views.drop_view(service.hub, INBOX, name, by=person.name)
    return {"dropped": True}


# Quarantine


@ROUTER.get("/quarantine")
def get_quarantine(service: Hubs, _: Reader) -> Body:
    """Open rows by code."""
    return desk.quarantine_groups(service.hub)


@ROUTER.get("/quarantine/{code}")
def get_quarantine_of(service: Hubs, _: Reader, code: Code, connection: Word = None, after: After = None) -> Body:
    """Open rows of one code."""
    return desk.quarantine_page(service.hub, code, connection=connection, after_id=after or 0)


@ROUTER.post("/quarantine/{code}/retry")
def retry(service: Hubs, person: Retrier, code: Code, it: Rows) -> Body:
    """Try rows again: those named, or all of the code."""
    if it.rows is None:
        found = desk.retry_code(service.hub, code, connection=it.connection, by=person.name)
    else:
        found = desk.retry_rows(service.hub, it.rows, by=person.name)
    service.poke()
    return found


# Holds


@ROUTER.get("/holds")
def get_holds(service: Hubs, _: Reader) -> list[Body]:
    """What guards keep back."""
    return desk.holds_open(service.hub)


@ROUTER.get("/holds/{hold}")
def get_hold(service: Hubs, _: Reader, hold: Id) -> Body:
    """One hold: what it keeps back, why, and whom it concerns."""
    return desk.hold_case(service.hub, hold)


@ROUTER.post("/holds/{hold}/release")
def release(service: Hubs, person: Approver, hold: Id) -> Body:
    """Let through what a guard kept back."""
    return approvals.release_hold(service, hold, by=person.name)


@ROUTER.post("/holds/{hold}/drop")
def drop(service: Hubs, person: Approver, hold: Id) -> Body:
    """Refuse what a guard kept back."""
    found = dict(review.drop_hold(service.hub, hold, by=person.name))
    service.poke()
    return found
