"""Whatever a page does can be done by a program, too, with the same right; the description says how."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from hub.web import api
from hub.web.app import CALLS, ROUTES
from tests.web.test_api import TABLE as CALLS_TABLE
from tests.web.test_rights import TABLE as PAGES_TABLE

# What has no call, and why.
EXCEPTIONS = {
    ("GET", "/sign-in"): "a program has a token", ("POST", "/sign-in"): "a program has a token",
    ("GET", "/sign-in/{token}"): "a program has a token", ("POST", "/sign-in/{token}"): "a program has a token",
    ("POST", "/sign-out"): "a program drops its token", ("POST", "/theme"): "colours of a browser",
    ("GET", "/triggers/add"): "an empty form", ("GET", "/figures/{kpi}/csv"): "the same figures, as a file",
}  # fmt: skip
# (method, path) of a page -> the calls that do together what it does.
PAIRS: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/"): ("GET /overview",),
    ("POST", "/conflicts/{conflict}"): ("POST /conflicts/{conflict}/decision",),
    ("POST", "/conflicts/views"): ("POST /views", "DELETE /views/{name}"),
    ("GET", "/records/{target}"): ("GET /records/{record}", "GET /types/{type}"),
    ("GET", "/records"): ("GET /types", "GET /records"),
    ("GET", "/connections/add"): ("GET /connectors", "GET /connectors/{connector}"),
    ("POST", "/connections/add"): ("POST /connections",),
    ("POST", "/mappings/{file}/versions/{version}"): ("POST /mappings/{file}/versions/{version}/restore",),
    ("POST", "/mappings/{file}/draft"): (
        "POST /mappings/{file}/draft", "POST /mappings/{file}/draft/fields", "DELETE /mappings/{file}/draft",
    ),
    ("POST", "/rewards/rules/{rule}/trial"): ("GET /rewards/rules/{rule}/trial",),
    ("GET", "/rewards"): ("GET /rewards", "GET /reward-rules"),
    ("GET", "/runs"): ("GET /runs", "GET /slots"),
    ("GET", "/data"): ("GET /data-audits",),
    ("POST", "/data"): ("POST /data-audits",),
    ("GET", "/data/report"): ("GET /data-audits/report",),
    ("POST", "/data/trust"): ("POST /trust/{entity}/{field}/draft",),
    ("GET", "/identity"): ("GET /pairs", "GET /pairs/{pair}"),
    ("POST", "/identity/{pair}/merge"): ("POST /pairs/{pair}/merge",),
    ("POST", "/identity/{pair}/never"): ("POST /pairs/{pair}/never",),
    ("POST", "/identity/{pair}/later"): ("POST /pairs/{pair}/later",),
    ("GET", "/plan"): ("GET /plans",),
    ("GET", "/plan/errand"): ("GET /plans",),
    ("POST", "/plan/make"): ("POST /plans",),
    ("GET", "/plan/{plan}"): ("GET /plans/{plan}",),
    ("POST", "/plan/{plan}/approve"): ("POST /plans/{plan}/approve",),
    ("POST", "/plan/{plan}/reject"): ("POST /plans/{plan}/reject",),
    ("POST", "/tokens/{token}/drop"): ("DELETE /tokens/{token}",),
    ("GET", "/audit"): ("GET /audit", "GET /audit/head"),
    ("GET", "/users"): ("GET /users", "GET /tokens"),
    ("POST", "/triggers/draft"): ("POST /triggers/draft/publish", "POST /triggers/draft/drop"),
    ("POST", "/triggers/add"): ("POST /triggers/{rule}/draft",),
    ("POST", "/triggers/{rule}/draft"): (
        "POST /triggers/{rule}/draft", "DELETE /triggers/{rule}/draft", "POST /triggers/{rule}/draft/start-now",
    ),
    ("POST", "/triggers/{rule}/trial"): ("GET /triggers/{rule}/trial",),
}  # fmt: skip
NAMES = {"{target}": "{record}", "{name}": "{connection}"}  # of the same thing in pages and calls
FILLED = {"/users/{connection}": "/users/{user}", "/users/{connection}/link": "/users/{user}/link"}


def calls_of(method: str, path: str) -> tuple[str, ...]:
    """The calls for a page: those written out above, else the one of the same address."""
    if (method, path) in PAIRS:
        return PAIRS[method, path]
    for here, there in NAMES.items():
        path = path.replace(here, there)
    return (f"{method} {FILLED.get(path, path)}",)


DESCRIPTION = api.create_api(None).openapi()  # type: ignore[arg-type]
OPERATIONS = {
    f"{method.upper()} {path}": operation for path, found in DESCRIPTION["paths"].items()
    for method, operation in found.items()
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_program_can_do_what_a_page_does_with_the_same_right(route: Any) -> None:
    page = (route.method, route.path)
    if page in EXCEPTIONS:
        return
    for call in calls_of(*page):
        method, _, path = call.partition(" ")
        assert call in OPERATIONS, f"{page} has no call: write {call}, or say in EXCEPTIONS why there is none"
        assert CALLS_TABLE[method, path] == PAGES_TABLE[page], call


def test_what_is_written_out_here_is_there() -> None:
    pages = {(route.method, route.path) for route in ROUTES}
    assert EXCEPTIONS.keys() | PAIRS.keys() <= pages
    assert not EXCEPTIONS.keys() & PAIRS.keys()
    assert len(EXCEPTIONS) <= 8, "the list is short on purpose"


@pytest.mark.parametrize("call", OPERATIONS)
def test_every_call_says_what_it_does(call: str) -> None:
    said = OPERATIONS[call]
    assert said["description"].strip().endswith("."), call
    assert "401" in said["responses"], "errors are described, too"


def bodies() -> list[type[BaseModel]]:
    """Every model of a body that a room of the API declares."""
    found = {
        each for room in (api, *CALLS) for each in vars(room).values()
        if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__.startswith("hub.web")
    }  # fmt: skip
    return sorted(found - {api.Problem, api.Wrong}, key=lambda each: each.__name__)


@pytest.mark.parametrize("body", bodies(), ids=lambda each: each.__name__)
def test_every_body_has_examples_that_are_understood_and_takes_nothing_else(body: type[BaseModel]) -> None:
    examples = body.model_json_schema()["examples"]
    assert examples
    for each in examples:
        body.model_validate(each)
        with pytest.raises(ValueError, match="Extra inputs are not permitted"):
            body.model_validate({**each, "unheard_of": 1})
