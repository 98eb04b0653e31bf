"""A console over a small project of files, served on loopback, and browsers without eyes for it.

The project is tests.projects': two CSV files, real connectors, nothing faked. A `Browser` keeps cookies and sends what
a browser sends with a form of the page's own site.
"""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hub.app.bootstrap import open_hub
from hub.app.people import add_user
from hub.app.service import Service
from hub.app.sessions import make_link
from hub.app.syncing import sync_now
from hub.app.worker import Worker
from hub.web.app import create_console
from hub.web.server import WebServer, create_app, listen
from tests.projects import CANONICAL, edit, make_project

ROLES = ("viewer", "support", "approver", "admin")
MANUAL = CANONICAL.replace("name: {type: text}", "name: {type: text, survivorship: manual}")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def to(self) -> str:
        return self.headers.get("location", "")


@dataclass
class Browser:
    """Somebody's browser."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> Answer:
        given = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as client:
            client.request(method, path, body=body or None, headers=given)
            found = client.getresponse()
            content = found.read()
        cookies = [value for name, value in found.getheaders() if name.lower() == "set-cookie"]
        for each in cookies:
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, content, cookies)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, headers: dict[str, str] | None = None, **form: Any) -> Answer:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        body = urlencode({name.replace("__", "."): value for name, value in form.items()}, doseq=True)
        return self.ask("POST", path, body, sent | (headers or {}))


class Console:
    """A hub of files with its console."""

    def __init__(
        self, folder: Path, *, worker: bool = False, project: Path | None = None, environ: Any = None, **files: Any
    ) -> None:
        self.project = project or make_project(folder, **{"canonical_yaml": MANUAL, **files})
        self.hub = open_hub(self.project, environ=environ or {}, publish=True, by="test")
        self.service = Service(self.hub, make_worker=self._worker if worker else None)
        self.listening = listen("127.0.0.1", 0)
        self.port: int = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        app = create_app(self.hub, poke=self.service.poke, console=create_console(self.service))
        self.server = WebServer(app, self.listening)

    def _worker(self, hub: object) -> Worker:
        return Worker(self.hub, look_s=0.05)

    def start(self) -> None:
        for role in ROLES:
            add_user(self.hub, role, role, by="test")
        self.server.start()
        self.service.start()

    def stop(self) -> None:
        self.server.stop()
        self.service.stop()
        self.hub.store.close()

    def sync(self) -> None:
        sync_now(self.hub)

    def edit(self, name: str, old: str, new: str) -> None:
        edit(self.project, name, old, new)

    def read(self, name: str) -> str:
        return (self.project / name).read_text("utf-8")

    def as_(self, role: str) -> Browser:
        """A browser in which the person of this role is signed in, by a link."""
        browser = Browser(self.port)
        answer = browser.post(make_link(self.hub, role, by="test"))
        assert (answer.status, answer.to) == (303, "/"), answer
        return browser

    def conflict(self) -> int:
        """The number of the one conflict that waits: Ann and Anne, by rule manual."""
        with self.hub.store.reading() as tx:
            (row,) = tx.conflicts(state="open")
        return row.id or 0

    def digest(self, conflict: int) -> str:
        with self.hub.store.reading() as tx:
            return tx.conflict(conflict).digest

    def contact(self, email: str = "ann@example.org") -> str:
        with self.hub.store.reading() as tx:
            ((_, (entity, *_)),) = tx.find_by_keys("contact", [("email", email)]).items()
        return f"contact:{entity}"

    def audit(self) -> list[tuple[str, str, str]]:
        """(who, what, on), oldest first."""
        with self.hub.store.reading() as tx:
            return [(row.actor, row.action, row.target) for row in tx.audit_page(500)][::-1]


def links_of(page: str) -> list[str]:
    """Addresses on this site that a page links to."""
    return [each.replace("&amp;", "&") for each in re.findall(r'href="(/[^"#]*)"', page)]
