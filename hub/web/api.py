"""The JSON API: what the pages do, for programs, at /api/v1 with its description at /api/v1/openapi.json.

A program signs in with a token, in the name of the person who made it and within the token's scopes. Errors are
{"code", "message", "fix", "where"}, with the codes of docs/errors.md; what is wrong in several places has them all in
"faults".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from hub.app import listings, overview, search
from hub.app.about import about
from hub.app.people import Person, Right
from hub.app.reference_errors import meaning_of
from hub.app.service import Service
from hub.app.sessions import who_by_token
from hub.app.settings_case import settings_case
from hub.errors import ConfigFault, HubError, NotAllowed, NotFound, RetryLater
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

BEARER = HTTPBearer(auto_error=False)
PAGE = 50
REFUSALS: dict[int | str, dict[str, Any]] = {}


def closed(*examples: Mapping[str, Any]) -> ConfigDict:
    """How the bodies of calls are read: nothing that is not declared. The examples stand in the description."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(each) for each in examples]})


class Wrong(BaseModel):
    """One thing that is wrong, and where."""

    code: str
    where: str
    message: str
    fix: str


class Problem(BaseModel):
    """What was wrong."""

    code: str = Field(description="Stable; see docs/errors.md.")
    message: str
    fix: str
    where: str
    faults: list[Wrong] = Field(default=[], description="All of it, where several things are wrong at once.")


class Answered(BaseModel):
    """What to answer a question with that asks first."""

    model_config = closed({"sure": True})
    sure: Literal[True] = Field(description="It is done at once.")


class Reason(BaseModel):
    """Why."""

    model_config = closed({"note": "seen with Ann on the phone"})
    note: str = Field(default="", max_length=500)


class Text(BaseModel):
    """A note."""

    model_config = closed({"text": "Called; the second address is her office."})
    text: str = Field(min_length=1, max_length=2000)


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
        faults = listings.faults(error) if isinstance(error, ConfigFault) else ()
        return _problem(status_of(error), error.code, error.message, error.fix, error.where, headers, faults)

    @app.exception_handler(RequestValidationError)
    async def misread(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        return _problem(422, "API-REQUEST", str(first["msg"]), "see /api/v1/openapi.json", place, {})

    return app


def _problem(
    status: int, code: str, message: str, fix: str, where: str, headers: dict[str, str], faults: Sequence[Any] = ()
) -> JSONResponse:
    said = {"code": code, "message": message, "fix": fix, "where": where}
    return JSONResponse(said | ({"faults": list(faults)} if faults else {}), status, headers=headers)


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

# The hub as a whole


@ROUTER.get("/overview")
def get_overview(service: Hubs, _: Reader) -> Body:
    """The hub at a glance."""
    return overview.overview(service.hub)


@ROUTER.get("/search")
def get_found(
    service: Hubs, _: Reader, q: Annotated[str, Query(min_length=1, max_length=100)], before: After = None
) -> Body:  # fmt: skip
    """Records, conflicts, runs, connections, fields and codes, by whatever is known of them."""
    return search.search(service.hub, q, before_id=before)


@ROUTER.get("/settings")
def get_settings(service: Hubs, _: Reader) -> Body:
    """The hub's own settings as hub.yaml has them, its guards, versions and connectors, and what is wrong."""
    return {**settings_case(service.hub), "about": about()}


@ROUTER.get("/codes/{code}")
def get_code(_: Reader, code: Code) -> Body:
    """What a code means, and what to do about it."""
    text, fix = meaning_of(code)
    if not text:
        raise NotFound("that is no code of the hub", where=code, fix="codes of systems are their own")
    return {"code": code, "text": text, "fix": fix}
