"""What every page stands on: who asks, whether they may, and how an answer is made.

A page is a function of one `Ask`, registered with the right that it asks for; nothing is served without one, and a
test walks over the whole table. What changes something comes by POST from a page of ours, never from another site.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.app.context import Hub
from hub.app.people import Person, Right
from hub.app.service import Service
from hub.app.sessions import who
from hub.app.webhooks import public_url
from hub.errors import Drifted, HubError, NotAllowed, NotFound, RetryLater
from hub.web.show import DONE, rendered
from hub.web.times import Times

COOKIE = "hub_session"
THEME = "hub_theme"
THEMES = ("light", "dark")
FORM_LIMIT_BYTES = 1024 * 1024
FORM_S = 60.0  # for a whole form
READING = ("GET", "HEAD")

Handler = Callable[["Ask"], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One page, or one thing that a page can have done."""

    method: str
    path: str
    right: Right | None  # None: for everybody, signed in or not
    handler: Handler


@dataclass(slots=True)
class Routes:
    """The pages of one topic."""

    found: list[Route] = field(default_factory=list)

    def get(self, path: str, right: Right | None = Right.READ) -> Callable[[Handler], Handler]:
        return self._kept("GET", path, right)

    def post(self, path: str, right: Right | None) -> Callable[[Handler], Handler]:
        return self._kept("POST", path, right)

    def _kept(self, method: str, path: str, right: Right | None) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.found.append(Route(method=method, path=path, right=right, handler=handler))
            return handler

        return keep


@dataclass(slots=True, kw_only=True)
class Ask:
    """One request, by somebody."""

    service: Service
    request: Request
    person: Person | None
    form: FormData

    @property
    def hub(self) -> Hub:
        return self.service.hub

    @property
    def by(self) -> str:
        """Who is asking, for the audit log."""
        return self.who.name

    @property
    def who(self) -> Person:
        if self.person is None:
            raise NotAllowed("sign in first", code="AUTH-SESSION", fix="sign in")
        return self.person

    @property
    def times(self) -> Times:
        """The clock of whoever reads the page."""
        return Times(zone=self.hub.zone, now=self.hub.clock.now())

    @property
    def wants_part(self) -> bool:
        """The page's own script asks, and puts the answer into a page that is there."""
        return self.request.headers.get("hx-request") == "true"

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A number in the path. Raises NotFound for what is none."""
        text = self.path(name)
        if not text.isdigit() or len(text) > 18:
            raise NotFound(f"there is no {text[:40]}", where=name)
        return int(text)

    def query(self, name: str) -> str | None:
        """What the address says; None for nothing."""
        return self.request.query_params.get(name) or None

    def edge(self, name: str = "after") -> int | None:
        """Where a page of a list begins."""
        text = self.query(name)
        return int(text) if text and text.isdigit() and len(text) < 19 else None

    def said(self, name: str) -> str:
        """What a form says, as text."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def all_said(self, name: str) -> list[str]:
        return [each for each in self.form.getlist(name) if isinstance(each, str)]

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        return rendered(self, template, status, **values)

    def go(self, path: str, done: str = "", count: int | None = None) -> Response:
        """On to another page, with a word on what was done."""
        given = {"done": done} if done in DONE else {}
        if count is not None:
            given["n"] = str(count)
        link = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{link}{urlencode(given)}" if given else path, 303)


@dataclass(slots=True, kw_only=True)
class Site:
    """Answers requests."""

    service: Service

    def endpoint(self, route: Route) -> Callable[[Request], Any]:
        """A route as Starlette calls it."""

        async def answer(request: Request) -> Response:
            form = FormData()
            if request.method not in READING:
                refused = refusal(request, self.service.hub)
                if refused:
                    return Response(refused + "\n", 403, media_type="text/plain")
                if not 0 <= length_of(request) <= FORM_LIMIT_BYTES:
                    return Response("too much\n", 413, media_type="text/plain")
                try:
                    async with asyncio.timeout(FORM_S):
                        form = await request.form(max_files=0, max_fields=2000, max_part_size=FORM_LIMIT_BYTES)
                except TimeoutError:
                    return Response("too slow\n", 408, media_type="text/plain")
            return await run_in_threadpool(self._answer, route, request, form)

        return answer

    def shown_to(self, request: Request, say: Handler) -> Response:
        """An answer for everybody, with the menu of whoever is signed in."""
        return self._answer(Route(method="GET", path="", right=None, handler=say), request, FormData())

    def _answer(self, route: Route, request: Request, form: FormData) -> Response:
        ask = Ask(service=self.service, request=request, person=None, form=form)
        try:
            ask.person = who(self.service.hub, request.cookies.get(COOKIE, ""))
            if route.right is not None:
                if ask.person is None:
                    return to_sign_in(ask)
                ask.person.require(route.right)
            return route.handler(ask)
        except HubError as error:
            return failed(ask, error)


def to_sign_in(ask: Ask) -> Response:
    """To the door, and back to where one wanted to go."""
    path = ask.request.url.path if ask.request.method in READING else "/"
    if ask.wants_part:
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse(f"/sign-in?{urlencode({'to': path})}" if path != "/" else "/sign-in", 303)


def failed(ask: Ask, error: HubError) -> Response:
    """The error as a page that says what was wrong and what to do."""
    headers = {}
    if isinstance(error, RetryLater) and error.after_s:
        headers["Retry-After"] = str(math.ceil(error.after_s))
    answer = ask.page("error.html", status_of(error), error=error)
    answer.headers.update(headers)
    return answer


def status_of(error: HubError) -> int:
    """The HTTP status that says the same."""
    if isinstance(error, NotAllowed):
        return 401 if error.code == "AUTH-SESSION" else 403
    kinds: Sequence[tuple[type[HubError], int]] = ((NotFound, 404), (Drifted, 409), (RetryLater, 503))
    if error.code == "RUN-BUSY":
        return 409
    if error.code == "AUTH-SLOW":
        return 429
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)


def length_of(request: Request) -> int:
    """Of the body, as it says itself; -1 if it does not say."""
    said = request.headers.get("content-length", "0" if "transfer-encoding" not in request.headers else "")
    return int(said) if said.isdigit() else -1


# Other sites


def refusal(request: Request, hub: Hub) -> str:
    """Why a request that would change something is not taken; empty if it is from a page of ours.

    Browsers say where a request is from, and pages cannot change what they say (Fetch Metadata; the Origin header of
    RFC 6454). What says neither is no browser, and programs have tokens.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return "" if site in ("same-origin", "none") else "refused: this came from another site"
    origin = request.headers.get("origin")
    if origin is None:
        return "refused: nothing says where this came from"
    known = {request.headers.get("host", ""), urlsplit(public_url(hub)).netloc} - {""}
    return "" if urlsplit(origin).netloc in known else "refused: this came from another site"


def local_path(text: str) -> str:
    """A path of this site, so that a link cannot send people elsewhere after they signed in."""
    plain = text if text.startswith("/") and not text.startswith(("//", "/\\")) else "/"
    return plain if all(" " < each < "\x7f" and each != "\\" for each in plain) else "/"


def trial_of(ask: Ask) -> dict[str, Any]:
    """What a form says of a trial on the past: days back, or a day; the draft's rule; a first load, too."""
    days, since = ask.said("days"), ask.said("since").strip()
    return {
        "days": int(days) if days.isdigit() and len(days) < 6 else 0,
        "since": ask.times.read(since).at if since else None,
        "draft": ask.said("draft") == "yes", "loaded": ask.said("loaded") == "yes",
    }  # fmt: skip


@contextmanager
def kept_apart(errors: list[Mapping[str, str]]) -> Iterator[None]:
    """An error becomes a line on the page instead of a page of its own."""
    try:
        yield
    except HubError as error:
        errors.append({"code": error.code, "message": error.message, "fix": error.fix})
