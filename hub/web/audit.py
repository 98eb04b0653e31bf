"""People: who may sign in, tokens of programs, and the log of what everybody did."""

from __future__ import annotations

from starlette.responses import Response

from hub.app import people, sealing, sessions
from hub.app.listings import audit_log
from hub.app.people import RIGHT_TEXTS, ROLE_TEXTS, Right
from hub.errors import HubError
from hub.web.site import Ask, Routes, status_of

ROUTES = Routes()
PAGE = 100


@ROUTES.get("/audit", Right.PEOPLE)
def log(ask: Ask) -> Response:
    found = audit_log(ask.hub, limit=PAGE + 1, before_id=ask.edge("before") or 2**62)
    more = f"/audit?before={found[PAGE - 1]['entry']}" if len(found) > PAGE else ""
    return ask.page("audit.html", rows=found[:PAGE], more=more, head=sealing.head(ask.hub))


@ROUTES.get("/users", Right.PEOPLE)
def users(ask: Ask) -> Response:
    return _users(ask)


def _users(ask: Ask, error: HubError | None = None, link: str = "", token: str = "") -> Response:
    return ask.page(
        "users.html", status_of(error) if error else 200, users=people.users(ask.hub), roles=ROLE_TEXTS, error=error,
        link=link, token=token, tokens=sessions.tokens(ask.hub), scopes=RIGHT_TEXTS, name=ask.said("name")[:80],
    )  # fmt: skip


@ROUTES.post("/users", Right.PEOPLE)
def add(ask: Ask) -> Response:
    name, role = ask.said("name").strip(), ask.said("role")
    try:
        people.may_let_in(ask.hub, ask.who, name, role=role)
        people.add_user(ask.hub, name, role, password=ask.said("password"), by=ask.by)
    except HubError as error:
        return _users(ask, error)
    return ask.go("/users", "user")


@ROUTES.post("/users/{name}", Right.PEOPLE)
def change(ask: Ask) -> Response:
    active = {"in": True, "out": False}.get(ask.said("active"))
    name, role = ask.path("name"), ask.said("role") or None
    try:
        people.may_let_in(ask.hub, ask.who, name, role=role)
        people.change_user(ask.hub, name, role=role, active=active, password=ask.said("password"), by=ask.by)
    except HubError as error:
        return _users(ask, error)
    return ask.go("/users", "user")


@ROUTES.post("/users/{name}/link", Right.PEOPLE)
def link(ask: Ask) -> Response:
    people.may_let_in(ask.hub, ask.who, ask.path("name"))
    path = sessions.make_link(ask.hub, ask.path("name"), by=ask.by)
    return _users(ask, link=f"{ask.request.url.scheme}://{ask.request.headers.get('host', '')}{path}")


@ROUTES.post("/tokens", Right.PEOPLE)
def token(ask: Ask) -> Response:
    try:
        made = sessions.make_token(ask.hub, ask.said("name"), ask.all_said("scope"), person=ask.who)
    except HubError as error:
        return _users(ask, error)
    return _users(ask, token=made["token"])


@ROUTES.post("/tokens/{token}/drop", Right.PEOPLE)
def drop(ask: Ask) -> Response:
    sessions.drop_token(ask.hub, ask.path("token"), by=ask.by)
    return ask.go("/users", "token-dropped")
