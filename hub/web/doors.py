"""In and out: signing in by password or by a link that works once, signing out, light and dark."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from hub.app.people import users
from hub.app.sessions import SESSION_S, sign_in, sign_in_by_link, sign_out
from hub.app.webhooks import public_url
from hub.errors import HubError, RetryLater
from hub.web.site import COOKIE, THEME, THEMES, Ask, Routes, local_path, status_of

ROUTES = Routes()
YEAR_S = 365 * 86_400


@ROUTES.get("/sign-in", None)
def door(ask: Ask) -> Response:
    if ask.person is not None:
        return ask.go("/")
    return _door(ask, to=local_path(ask.query("to") or "/"))


def _door(ask: Ask, *, to: str, name: str = "", error: HubError | None = None) -> Response:
    nobody = not any(row["active"] for row in users(ask.hub))
    answer = ask.page("sign_in.html", status_of(error) if error else 200, to=to, name=name, error=error, nobody=nobody)
    if isinstance(error, RetryLater) and error.after_s:
        answer.headers["Retry-After"] = str(int(error.after_s) + 1)
    return answer


@ROUTES.post("/sign-in", None)
def enter(ask: Ask) -> Response:
    client = ask.request.client
    to = local_path(ask.said("to"))
    try:
        cookie = sign_in(ask.hub, ask.said("name"), ask.said("password"), address=client.host if client else "")
    except HubError as error:
        return _door(ask, to=to, name=ask.said("name")[:80], error=error)
    return _signed_in(ask, cookie, to)


@ROUTES.get("/sign-in/{token}", None)
def link(ask: Ask) -> Response:
    """Asks first: what only looks at links (a mail program) must not use them up."""
    return ask.page("link.html", token=ask.path("token"))


@ROUTES.post("/sign-in/{token}", None)
def enter_by_link(ask: Ask) -> Response:
    return _signed_in(ask, sign_in_by_link(ask.hub, ask.path("token")), "/")


def _signed_in(ask: Ask, cookie: str, to: str) -> Response:
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        COOKIE, cookie, max_age=int(SESSION_S), httponly=True, samesite="lax", secure=_over_tls(ask), path="/"
    )
    return answer


def _over_tls(ask: Ask) -> bool:
    """True if the browser speaks to us through https, a proxy of ours between or not."""
    public = public_url(ask.hub)
    behind_proxy = public.startswith("https://") and ask.request.headers.get("host", "") == public.split("/")[2]
    return ask.request.url.scheme == "https" or behind_proxy


@ROUTES.post("/sign-out", None)
def leave(ask: Ask) -> Response:
    sign_out(ask.hub, ask.request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


@ROUTES.post("/theme", None)
def theme(ask: Ask) -> Response:
    answer = RedirectResponse(local_path(ask.said("to")), 303)
    wanted = ask.said("theme")
    if wanted in THEMES:
        answer.set_cookie(THEME, wanted, max_age=YEAR_S, httponly=True, samesite="lax", path="/")
    else:
        answer.delete_cookie(THEME)
    return answer
