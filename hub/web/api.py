"""The JSON API: what the pages do, for programs, at /api/v1 with its description at /api/v1/openapi.json.

A program signs in with a token, in the name of the person who made it and within the token's scopes. Errors are
{"code", "message", "fix", "where"}, with the codes of docs/errors.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from hub.app import (
    desk,
    erasing,
    fields,
    identity,
    inbox,
    listings,
    overview,
    pausing,
    personal,
    plan_choice,
    policy,
    proposals,
    records,
    review,
    reward_trial,
    saved_views,
    search,
    why,
)
from hub.app.notes import add_note
from hub.app.own import own_grant, own_hold, own_plan
from hub.app.past import parse_moment
from hub.app.people import Person, Right
from hub.app.plan_pages import Narrowed, plan_page
from hub.app.reward_desk import reward_page
from hub.app.service import Service
from hub.app.sessions import who_by_token
from hub.errors import HubError, NeedsReview, NotAllowed, RetryLater
from hub.web.site import status_of

Body = dict[str, Any]
Id = Annotated[int, InPath(ge=1, lt=2**62)]
After = Annotated[int | None, Query(ge=0, lt=2**62, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Name = Annotated[str, InPath(min_length=1, max_length=80)]
Word = Annotated[str | None, Query(max_length=80)]
Days = Annotated[int, Query(ge=1, le=3660)]
Since = Annotated[str | None, Query(max_length=40, description="A day or moment, instead of `days`.")]
Code = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{1,60}$")]

File = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
INBOX = "conflicts"  # what views are of
Op = Literal["create", "update", "remove"] | None

BEARER = HTTPBearer(auto_error=False)
PAGE = 50
REFUSALS: dict[int | str, dict[str, Any]] = {}


class Problem(BaseModel):
    """What was wrong."""

    code: str = Field(description="Stable; see docs/errors.md.")
    message: str
    fix: str
    where: str


class Decision(BaseModel):
    """How a conflict is decided: by one of its candidates, or by a value."""

    model_config = ConfigDict(extra="forbid")
    candidate: int | None = Field(default=None, ge=0, le=10_000, description="Its number in the list, from 0.")
    value: Any = Field(default=None, description="The value that shall stand, if no candidate is named; null blanks.")
    note: str = Field(default="", max_length=2000)
    digest: str | None = Field(default=None, max_length=200, description="As it was shown; refused if it changed.")


class Text(BaseModel):
    """A note."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=2000)


class Rows(BaseModel):
    """Rows to try again; none for all of the code."""

    model_config = ConfigDict(extra="forbid")
    rows: list[Annotated[int, Field(ge=1, lt=2**62)]] | None = Field(default=None, max_length=500)


class Wanted(BaseModel):
    """What a plan is wanted for."""

    model_config = ConfigDict(extra="forbid")
    connections: list[Annotated[str, Field(max_length=80)]] = Field(
        default=[], max_length=100, description="None: all."
    )
    pull: bool = Field(default=False, description="Read the systems first.")


class Chosen(BaseModel):
    """Which writes of a plan: all of them unless some are named by their places, or by what they are."""

    model_config = ConfigDict(extra="forbid")
    places: list[Annotated[int, Field(ge=1, lt=2**31)]] | None = Field(default=None, max_length=10_000)
    connection: str | None = Field(default=None, max_length=80)
    op: Op = None
    field: str | None = Field(default=None, max_length=80)
    alone: bool = Field(default=False, description="Of updates, `field` alone; other writes are left out.")
    fields: dict[Annotated[int, Field(ge=1, lt=2**31)], list[str]] = Field(
        default_factory=dict, max_length=10_000, description="Place of an update -> these of its fields alone."
    )
    held: bool = Field(
        default=False, description="A plan that was made: let through what a guard would keep back, too."
    )
    note: str = Field(default="", max_length=500)

    def chosen(self) -> plan_choice.Chosen:
        narrowed = Narrowed(connection=self.connection, op=self.op, field=self.field)
        fields = {place: frozenset(names) for place, names in self.fields.items()}
        return plan_choice.Chosen(narrowed=narrowed or None, places=self.places, fields=fields, alone=self.alone)


class Answered(BaseModel):
    """What to answer a question with that asks first."""

    model_config = ConfigDict(extra="forbid")
    sure: Literal[True] = Field(description="It is done at once.")


class Typed(BaseModel):
    """Said by naming what shall go."""

    model_config = ConfigDict(extra="forbid")
    entity: str = Field(max_length=80, description="The record's own name once more, such as contact:42.")


class Other(BaseModel):
    """The other of two."""

    model_config = ConfigDict(extra="forbid")
    other: str = Field(min_length=1, max_length=200, description="contact:43, contact:ann@example.org")


class Undone(BaseModel):
    """How a run is undone."""

    model_config = ConfigDict(extra="forbid")
    delete_created: bool = Field(default=False, description="Also where the mapping never deletes.")


class Policy(BaseModel):
    """What the policy of a conflict's field should be."""

    model_config = ConfigDict(extra="forbid")
    policy: str = Field(min_length=1, max_length=100, description="Of the conflict's `policies`.")
    note: str = Field(default="", max_length=500)


class View(BaseModel):
    """A way of looking at the inbox."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=60)
    query: str = Field(default="", max_length=500, description="As it stands in the address of the page.")


class Reason(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=500)


class Order(BaseModel):
    """The number at the provider."""

    model_config = ConfigDict(extra="forbid")
    order: str = Field(min_length=1, max_length=80)


for _status in (401, 403, 404, 409, 422, 429, 503):
    REFUSALS[_status] = {"model": Problem}


def create_api(service: Service) -> FastAPI:
    """The API over a hub at work."""
    app = FastAPI(
        title="hub", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json", responses=REFUSALS,
        description=__doc__,
    )  # fmt: skip
    app.state.service = service
    app.include_router(ROUTER)

    @app.exception_handler(HubError)
    async def refuse(_request: Request, error: HubError) -> JSONResponse:
        headers = {"Cache-Control": "no-store"}
        if isinstance(error, RetryLater) and error.after_s:
            headers["Retry-After"] = str(math.ceil(error.after_s))
        return _problem(status_of(error), error.code, error.message, error.fix, error.where, headers)

    @app.exception_handler(RequestValidationError)
    async def misread(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        return _problem(422, "API-REQUEST", str(first["msg"]), "see /api/v1/openapi.json", place, {})

    return app


def _problem(status: int, code: str, message: str, fix: str, where: str, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "fix": fix, "where": where}, status, headers=headers)


def service_of(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


Hubs = Annotated[Service, Depends(service_of)]


def needs(right: Right) -> Any:
    """Whoever asks, if their token may do this."""

    def check(
        service: Hubs, given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None
    ) -> Person:  # fmt: skip
        person = who_by_token(service.hub, given.credentials) if given is not None else None
        if person is None:
            raise NotAllowed("a token is needed", code="AUTH-SESSION", fix="Authorization: Bearer hub_…")
        person.require(right)
        return person

    return Depends(check)


ROUTER = APIRouter()
Reader = Annotated[Person, needs(Right.READ)]
Decider = Annotated[Person, needs(Right.DECIDE)]
Retrier = Annotated[Person, needs(Right.RETRY)]
Runner = Annotated[Person, needs(Right.RUN)]
Approver = Annotated[Person, needs(Right.APPROVE)]
Keeper = Annotated[Person, needs(Right.PEOPLE)]
Admin = Annotated[Person, needs(Right.CONFIGURE)]

# Looking


@ROUTER.get("/overview")
def get_overview(service: Hubs, _: Reader) -> Body:
    """The hub at a glance."""
    return overview.overview(service.hub)


@ROUTER.get("/connections")
def get_connections(service: Hubs, _: Reader) -> list[Body]:
    """Every connection, with what waits there."""
    return listings.connections(service.hub)


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


@ROUTER.get("/records")
def find_records(
    service: Hubs, _: Reader, q: Annotated[str, Query(min_length=2, max_length=100)], before: After = None
) -> Body:  # fmt: skip
    """Records by key, or by any text in their values."""
    return search.records_like(service.hub, q, before_id=before)


@ROUTER.get("/search")
def get_found(
    service: Hubs, _: Reader, q: Annotated[str, Query(min_length=1, max_length=100)], before: After = None
) -> Body:  # fmt: skip
    """Records, conflicts, runs, connections, fields and codes, by whatever is known of them."""
    return search.search(service.hub, q, before_id=before)


@ROUTER.get("/records/{record}")
def get_record(service: Hubs, _: Reader, record: Name) -> Body:
    """One record, such as contact:42."""
    return records.record(service.hub, record)


@ROUTER.get("/records/{record}/why/{field}")
def get_why(service: Hubs, _: Reader, record: Name, field: Name) -> Body:
    """Why a value stands."""
    return why.why(service.hub, record, field)


@ROUTER.get("/quarantine")
def get_quarantine(service: Hubs, _: Reader) -> Body:
    """Open rows by code."""
    return desk.quarantine_groups(service.hub)


@ROUTER.get("/quarantine/{code}")
def get_quarantine_of(service: Hubs, _: Reader, code: Code, connection: Word = None, after: After = None) -> Body:
    """Open rows of one code."""
    return desk.quarantine_page(service.hub, code, connection=connection, after_id=after or 0)


@ROUTER.get("/holds")
def get_holds(service: Hubs, _: Reader) -> list[Body]:
    """What guards keep back."""
    return desk.holds_open(service.hub)


@ROUTER.get("/runs")
def get_runs(
    service: Hubs, _: Reader, connection: Word = None, before: After = None, limit: Limit = PAGE
) -> list[Body]:  # fmt: skip
    """Runs, newest first."""
    return listings.runs(service.hub, connection=connection, limit=limit, before_id=before or 2**62)


@ROUTER.get("/runs/{run}")
def get_run(service: Hubs, _: Reader, run: Id) -> Body:
    """One run, with at most 500 of its writes."""
    return listings.run(service.hub, run, most=500)


@ROUTER.get("/rewards")
def get_rewards(service: Hubs, _: Reader, state: Word = None, after: After = None) -> Body:
    """Grants in the order in which they were made, and the budgets."""
    return reward_page(service.hub, state=state, after_id=after or 0)


@ROUTER.get("/rewards/{grant}")
def get_reward(service: Hubs, _: Reader, grant: Id) -> Body:
    """One grant with its ledger."""
    return listings.reward(service.hub, grant)


@ROUTER.get("/plans")
def get_plans(service: Hubs, _: Reader) -> Body:
    """Plans that wait, the one that was made last, and what became of others; and the errand that is going on."""
    return {**proposals.plans_now(service.hub), "errand": service.errands.newest()}


@ROUTER.get("/plans/{plan}")
def get_plan(
    service: Hubs, _: Reader, plan: Id, connection: Word = None, op: Op = None,
    field: Word = None, held: bool = False, after: After = None, limit: Limit = PAGE,
) -> Body:  # fmt: skip
    """One plan, a page of its writes."""
    narrowed = Narrowed(connection=connection, op=op, field=field, held=held)
    found = plan_page(service.hub, plan, narrowed, after=after or 0, limit=limit)
    return {**found, "row": proposals.plan_line(found["row"])}


@ROUTER.get("/conflicts/{conflict}/policies")
def get_policies(service: Hubs, _: Reader, conflict: Id) -> list[Body]:
    """What the policy of a conflict's field could be."""
    return policy.policies(service.hub, conflict)


@ROUTER.get("/views")
def get_views(service: Hubs, person: Reader) -> list[Body]:
    """Your own views of the inbox."""
    return saved_views.views_of(service.hub, INBOX, by=person.name)


@ROUTER.get("/mappings/{file}/fields")
def get_fields(service: Hubs, _: Admin, file: File) -> Body:
    """The fields of the systems behind a mapping, as they were described last; which of ours each is likely to be."""
    return fields.fields_of(service.hub, file)


@ROUTER.get("/rewards/rules/{rule}/trial")
def get_trial(
    service: Hubs, _: Admin, rule: Name, days: Days = 90, since: Since = None, draft: bool = False,
    loaded: bool = False,
) -> Body:  # fmt: skip
    """What a reward rule would have given in the last days, or since a moment."""
    moment = parse_moment(since) if since else None
    return reward_trial.try_rule(service.hub, rule, days=days, since=moment, draft=draft, loaded=loaded)


@ROUTER.get("/audit")
def get_audit(service: Hubs, _: Keeper, before: After = None, limit: Limit = PAGE) -> list[Body]:
    """What people did, newest first."""
    return listings.audit_log(service.hub, before_id=before or 2**62, limit=limit)


# Doing


@ROUTER.post("/conflicts/{conflict}/decision")
def decide(service: Hubs, person: Decider, conflict: Id, it: Decision) -> Body:
    """Decide a conflict, or overrule how it was decided."""
    value = review.UNSET if it.candidate is not None else it.value
    ruling = review.resolve_conflict(
        service.hub, conflict, candidate=it.candidate, value=value, by=person.name, note=it.note, digest=it.digest
    )
    service.poke()
    return {"ruling": ruling.id, "field": ruling.field, "value": ruling.value}


@ROUTER.post("/conflicts/{conflict}/release")
def let_go(service: Hubs, person: Decider, conflict: Id, it: Answered) -> Body:
    """Let a field that stands still move again, by its rule."""
    review.release_conflict(service.hub, conflict, by=person.name)
    service.poke()
    return {"released": it.sure}


@ROUTER.post("/conflicts/{conflict}/policy")
def propose(service: Hubs, person: Decider, conflict: Id, it: Policy) -> Body:
    """Draft a policy for the field of a conflict; whoever may publish decides about it."""
    return {"file": policy.propose_policy(service.hub, conflict, it.policy, by=person.name, note=it.note)}


@ROUTER.post("/views")
def keep_view(service: Hubs, person: Reader, it: View) -> Body:
    """Give a view of the inbox a name."""
    saved_views.keep_view(service.hub, INBOX, it.name, it.query, by=person.name)
    return {"kept": True}


@ROUTER.post("/records/{record}/merge")
def merge(service: Hubs, person: Decider, record: Name, it: Other) -> Body:
    """Make two records one; `unmerge` takes it back."""
    found = identity.merge(service.hub, record, it.other, by=person.name)
    service.poke()
    return found


@ROUTER.post("/records/{record}/unmerge")
def unmerge(service: Hubs, person: Decider, record: Name, it: Answered) -> Body:
    """Take the newest merge of a record back."""
    found = identity.unmerge(service.hub, record, by=person.name)
    service.poke()
    return {**found, "sure": it.sure}


@ROUTER.post("/records/{record}/export")
def export(service: Hubs, person: Keeper, record: Name) -> Body:
    """Everything that the hub holds about a person."""
    return personal.export(service.hub, record, by=person.name)


@ROUTER.post("/records/{record}/erase")
def erase(service: Hubs, person: Keeper, record: Name, it: Typed) -> Body:
    """Forget a person for good; gives the records that are still at your systems."""
    wanted = erasing.preview_erase(service.hub, record)["entity"]
    if it.entity != wanted:
        raise NeedsReview("what was named is something else", where=record, fix=f"name it: {wanted}")
    return erasing.erase(service.hub, record, by=person.name)


@ROUTER.post("/runs/{run}/undo", status_code=202)
def undo(service: Hubs, person: Runner, run: Id, it: Undone) -> Body:
    """Have the undo of a run prepared: a plan, to be approved like any other."""
    service.errands.make_undo([run], delete_created=it.delete_created, by=person.name)
    return {"begun": True}


@ROUTER.post("/mappings/{file}/fields")
def look_at_fields(service: Hubs, person: Admin, file: File) -> Body:
    """Ask the systems behind a mapping for their fields."""
    return {"fields": fields.look(service.hub, file, by=person.name)}


@ROUTER.post("/conflicts/{conflict}/notes")
def note_conflict(service: Hubs, person: Decider, conflict: Id, it: Text) -> Body:
    """Write a note beside a conflict."""
    listings.conflict(service.hub, conflict)
    add_note(service.hub, f"conflict:{conflict}", it.text, by=person.name)
    return {"kept": True}


@ROUTER.post("/quarantine/{code}/retry")
def retry(service: Hubs, person: Retrier, code: Code, it: Rows) -> Body:
    """Try rows again: those named, or all of the code."""
    if it.rows is None:
        found = desk.retry_code(service.hub, code, by=person.name)
    else:
        found = desk.counted(review.retry_all(service.hub, it.rows, by=person.name)) if it.rows else {"tried": 0}
    service.poke()
    return found


@ROUTER.post("/plans", status_code=202)
def make_plan(service: Hubs, person: Runner, it: Wanted) -> Body:
    """Have a plan made; `/plans` tells how far it is and which number it got."""
    service.errands.make_plan(it.connections, pull=it.pull, by=person.name)
    return {"begun": True}


@ROUTER.post("/plans/{plan}/approve")
def approve_plan(service: Hubs, person: Approver, plan: Id, it: Chosen) -> Body:
    """Let writes of a plan go, all or some: with the next run if it waits, now if somebody had it made."""
    own_plan(service.hub, plan, by=person.name)
    if plan_page(service.hub, plan, limit=1)["row"].state == proposals.MADE:
        service.errands.carry_out(plan, it.chosen(), held=it.held, by=person.name)
        return {"begun": True}
    if it.chosen() != plan_choice.Chosen():
        found = proposals.approve_some(service.hub, plan, it.chosen(), by=person.name, note=it.note)
    else:
        found = proposals.approve_plan(service.hub, plan, by=person.name, note=it.note)
    service.poke()
    return found


@ROUTER.post("/plans/{plan}/reject")
def reject_plan(service: Hubs, person: Approver, plan: Id, it: Reason) -> Body:
    """Make none of a plan's writes."""
    return proposals.reject_plan(service.hub, plan, by=person.name, note=it.note)


def _hold(service: Service, person: Person, decide: Callable[..., Any], hold: int) -> Body:
    found = dict(decide(service.hub, hold, by=person.name))
    service.poke()
    return found


@ROUTER.post("/holds/{hold}/release")
def release(service: Hubs, person: Approver, hold: Id) -> Body:
    """Let through what a guard kept back."""
    own_hold(service.hub, hold, by=person.name)
    return _hold(service, person, review.release_hold, hold)


@ROUTER.post("/holds/{hold}/drop")
def drop(service: Hubs, person: Approver, hold: Id) -> Body:
    """Refuse what a guard kept back."""
    return _hold(service, person, review.drop_hold, hold)


@ROUTER.post("/rewards/{grant}/approve")
def approve(service: Hubs, person: Approver, grant: Id) -> Body:
    """Let a reward go."""
    own_grant(service.hub, grant, by=person.name)
    return listings.approve_reward(service.hub, grant, by=person.name)


@ROUTER.post("/rewards/{grant}/decline")
def decline(service: Hubs, person: Approver, grant: Id, it: Reason) -> Body:
    """Say no, or that it was never ordered."""
    return listings.decline_reward(service.hub, grant, by=person.name, note=it.note)


@ROUTER.post("/rewards/{grant}/confirm")
def confirm(service: Hubs, person: Approver, grant: Id, it: Order) -> Body:
    """Say that a doubtful one was ordered."""
    return listings.confirm_reward(service.hub, grant, by=person.name, order=it.order)


@ROUTER.post("/connections/{connection}/run", status_code=202)
def run_now(service: Hubs, person: Runner, connection: Name) -> Body:
    """Read and write one connection now."""
    service.run_now(connection, by=person.name)
    return {"begun": True}


@ROUTER.post("/connections/{connection}/pause")
def pause(service: Hubs, person: Runner, connection: Name) -> Body:
    """Put a connection to rest."""
    pausing.pause(service.hub, connection, by=person.name)
    return {"paused": True}


@ROUTER.post("/connections/{connection}/resume")
def resume(service: Hubs, person: Runner, connection: Name) -> Body:
    """Let a connection run again."""
    pausing.resume(service.hub, connection, by=person.name)
    service.poke([connection])
    return {"paused": False}
