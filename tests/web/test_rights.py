"""Every page and every thing that can be done, held against every role: the whole table, cell by cell."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from hub.app.people import ROLES, Right
from hub.web.app import ROUTES
from hub.web.site import Route
from tests.web.console import Browser, Console

# What a role may do, written out here once more: a slip in hub.app.people must not pass by agreeing with itself.
MAY: Mapping[str, set[str]] = {
    "viewer": {"read"},
    "support": {"read", "decide", "retry"},
    "approver": {"read", "approve"},
    "admin": {"read", "decide", "retry", "run", "approve", "configure", "people"},
}

# Right of every route, written out: (method, path) -> right.
TABLE = {
    ("GET", "/sign-in"): None, ("POST", "/sign-in"): None, ("GET", "/sign-in/{token}"): None,
    ("POST", "/sign-in/{token}"): None, ("POST", "/sign-out"): None, ("POST", "/theme"): None,
    ("GET", "/"): "read", ("GET", "/conflicts"): "read", ("GET", "/conflicts/{conflict}"): "read",
    ("GET", "/conflicts/{conflict}/alike"): "read", ("POST", "/conflicts/{conflict}"): "decide",
    ("POST", "/conflicts/{conflict}/notes"): "decide", ("POST", "/conflicts/{conflict}/alike"): "decide",
    ("POST", "/conflicts/{conflict}/release"): "decide", ("POST", "/conflicts/{conflict}/policy"): "decide",
    ("POST", "/conflicts/views"): "read", ("POST", "/runs/{run}/undo"): "run",
    ("POST", "/records/{target}/merge"): "decide", ("POST", "/records/{target}/unmerge"): "decide",
    ("POST", "/records/{target}/export"): "people", ("POST", "/records/{target}/erase"): "people",
    ("GET", "/search"): "read", ("GET", "/records"): "read", ("GET", "/records/{target}"): "read",
    ("GET", "/records/{target}/why/{field}"): "read", ("POST", "/records/{target}/notes"): "decide",
    ("GET", "/records/{target}/timeline"): "read", ("GET", "/records/{target}/as-of"): "read",
    ("GET", "/runs"): "read", ("GET", "/runs/{run}"): "read", ("GET", "/holds"): "read",
    ("GET", "/holds/{hold}"): "read", ("POST", "/holds/{hold}/release"): "approve",
    ("POST", "/holds/{hold}/drop"): "approve", ("GET", "/quarantine"): "read", ("GET", "/quarantine/{code}"): "read",
    ("POST", "/quarantine/{code}/retry"): "retry", ("GET", "/connections"): "read",
    ("GET", "/connections/add"): "configure", ("POST", "/connections/add"): "configure",
    ("GET", "/connections/{name}"): "read", ("GET", "/connections/{name}/progress"): "read",
    ("POST", "/connections/{name}/run"): "run", ("POST", "/connections/{name}/test"): "run",
    ("POST", "/connections/{name}/pause"): "run", ("POST", "/connections/{name}/resume"): "run",
    ("POST", "/connections/{name}/mode"): "configure", ("POST", "/connections/{name}/schedule"): "configure",
    ("POST", "/connections/{name}/backfill"): "run", ("POST", "/connections/{name}/webhooks/address"): "configure",
    ("POST", "/connections/{name}/webhooks/subscribe"): "configure",
    ("POST", "/connections/{name}/credentials"): "configure",
    ("POST", "/connections/{name}/webhooks/secret"): "configure", ("GET", "/mappings"): "read",
    ("GET", "/mappings/{file}"): "read", ("GET", "/mappings/{file}/versions/{version}"): "read",
    ("GET", "/mappings/{file}/fields"): "configure", ("POST", "/mappings/{file}/fields"): "configure",
    ("POST", "/mappings/{file}/versions/{version}"): "configure", ("GET", "/mappings/{file}/draft"): "configure",
    ("POST", "/mappings/{file}/draft"): "configure", ("POST", "/mappings/{file}/preview"): "configure",
    ("GET", "/mappings/{file}/change"): "configure", ("POST", "/mappings/{file}/publish"): "configure",
    ("GET", "/rewards"): "read", ("GET", "/rewards/{grant}"): "read", ("POST", "/rewards/{grant}/approve"): "approve",
    ("POST", "/rewards/{grant}/decline"): "approve", ("POST", "/rewards/{grant}/confirm"): "approve",
    ("POST", "/rewards/rules/{rule}/trial"): "configure", ("GET", "/reward-report"): "read",
    ("POST", "/rewards/{grant}/cancel"): "approve",
    ("POST", "/rewards/{grant}/resend"): "approve",
    ("GET", "/figures"): "read", ("POST", "/figures"): "run", ("GET", "/figures/{kpi}"): "read",
    ("GET", "/figures/{kpi}/csv"): "read", ("GET", "/goals"): "read", ("GET", "/data"): "read",
    ("POST", "/data"): "run", ("GET", "/data/report"): "read", ("POST", "/data/trust"): "configure",
    ("GET", "/identity"): "read", ("POST", "/identity/{pair}/merge"): "decide",
    ("POST", "/identity/{pair}/never"): "decide", ("POST", "/identity/{pair}/later"): "decide",
    ("GET", "/plan"): "read", ("GET", "/plan/errand"): "read", ("POST", "/plan/make"): "run",
    ("GET", "/plan/{plan}"): "read", ("POST", "/plan/{plan}/approve"): "approve",
    ("POST", "/plan/{plan}/reject"): "approve", ("GET", "/audit"): "people", ("GET", "/users"): "people",
    ("POST", "/users"): "people", ("POST", "/users/{name}"): "people", ("POST", "/users/{name}/link"): "people",
    ("POST", "/tokens"): "people", ("POST", "/tokens/{token}/drop"): "people", ("GET", "/settings"): "read",
    ("GET", "/codes/{code}"): "read",
    ("GET", "/triggers"): "read", ("POST", "/triggers/draft"): "configure", ("GET", "/triggers/add"): "configure",
    ("POST", "/triggers/add"): "configure", ("GET", "/triggers/{rule}"): "read",
    ("GET", "/triggers/{rule}/draft"): "configure", ("POST", "/triggers/{rule}/draft"): "configure",
    ("POST", "/triggers/{rule}/preview"): "configure", ("POST", "/triggers/{rule}/trial"): "configure",
    ("GET", "/firings"): "read", ("GET", "/firings/{firing}"): "read", ("POST", "/firings/{firing}/approve"): "approve",
    ("POST", "/firings/{firing}/drop"): "approve",
}  # fmt: skip
NOT_THERE = {
    "conflict": "99999", "target": "contact:99999", "field": "name", "run": "99999", "hold": "99999",
    "code": "NET-429", "name": "nobody", "file": "nothing.yaml", "version": "99", "grant": "99999", "kpi": "none",
    "token": "0" * 16,
    "pair": "99999", "firing": "99999", "rule": "nothing", "plan": "99999",
}  # fmt: skip
GUARDED = [route for route in ROUTES if route.right is not None]


def path_of(route: Route) -> str:
    """The route with things in its path that are not there, so that nothing is changed by trying."""
    return re.sub(r"{(\w+)}", lambda found: NOT_THERE[found[1]], route.path)


def test_every_route_is_in_the_table_with_its_right() -> None:
    assert {(route.method, route.path): route.right for route in ROUTES} == TABLE


def test_the_roles_have_the_rights_that_are_written_out_here() -> None:
    assert {role: {str(right) for right in rights} for role, rights in ROLES.items()} == MAY
    assert MAY["admin"] == {str(right) for right in Right}


@pytest.fixture(scope="module")
def browsers(synced: Console) -> dict[str, Browser]:
    return {role: synced.as_(role) for role in MAY}


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_a_role_may_do_what_the_table_says_and_nothing_else(
    synced: Console, browsers: dict[str, Browser], role: str, route: Route
) -> None:
    before = synced.audit()
    browser = browsers[role]
    answer = browser.get(path_of(route)) if route.method == "GET" else browser.post(path_of(route))
    allowed = TABLE[route.method, route.path] in MAY[role]
    assert (answer.status != 403) == allowed, answer.text[:300]
    assert answer.status < 500, answer.text[:2000]
    if not allowed:
        assert "AUTH-ROLE" in answer.text
        assert synced.audit() == before


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_nobody_is_let_in_without_a_session(synced: Console, route: Route) -> None:
    browser = Browser(synced.port)
    answer = browser.get(path_of(route)) if route.method == "GET" else browser.post(path_of(route))
    assert (answer.status, answer.to.partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize("route", [each for each in ROUTES if each.method == "POST"], ids=lambda route: route.path)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=str,
)
def test_another_site_can_have_nothing_done(
    synced: Console, browsers: dict[str, Browser], route: Route, headers: dict[str, str]
) -> None:
    before = synced.audit()
    answer = browsers["admin"].ask("POST", path_of(route), "", headers)
    assert (answer.status, answer.body[:7]) == (403, b"refused")
    assert synced.audit() == before


def test_a_page_of_ours_may_say_so_by_its_origin_alone(synced: Console, browsers: dict[str, Browser]) -> None:
    answer = browsers["admin"].ask("POST", "/theme", "", {"Origin": synced.url})
    assert answer.status == 303


def test_what_reads_changes_nothing(synced: Console, browsers: dict[str, Browser]) -> None:
    before = synced.audit()
    for route in ROUTES:
        if route.method == "GET" and route.right is not None:
            browsers["admin"].get(path_of(route))
    assert synced.audit() == before
