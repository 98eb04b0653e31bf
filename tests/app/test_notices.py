"""Whoever runs the hub hears of what waits for them: once, in numbers, and again only when there is more."""

from __future__ import annotations

import http.server
import importlib.util
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import hub.app.notices as notices
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.notices import needs_now, tell_people
from hub.app.projects import check_project
from hub.app.turns import Turns
from hub.errors import ConfigFault, NeedsReview
from hub.runtime.clock import VirtualClock
from tests.projects import HUB, make_project

NOTICES = "\nnotices: {to: {team: env:TEAM_CHAT}, every: 10m}\n"


class Chat(http.server.BaseHTTPRequestHandler):
    """Takes what apprise posts."""

    heard: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.heard.append(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Hub, list[str], VirtualClock]]:
    """A project's hub whose notices end up in a list."""
    clock = VirtualClock(1_793_606_400.0)
    hub = open_hub(make_project(tmp_path, hub=HUB + NOTICES), clock=clock, environ={}, publish=True)
    said: list[str] = []

    def tell(title: str, text: str) -> list[str]:
        said.append(f"{title}\n{text}")
        return []

    hub.tell = tell
    yield hub, said, clock
    hub.store.close()


def wait(monkeypatch: pytest.MonkeyPatch, **needs: int) -> None:
    monkeypatch.setattr(notices, "waiting_counts", lambda hub: needs)


def test_each_thing_is_told_once_and_again_when_there_is_more(
    opened: tuple[Hub, list[str], VirtualClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, said, clock = opened
    wait(monkeypatch, holds=2, conflicts=0)
    assert tell_people(hub, owner="a")
    assert said == ["test: the hub needs you\n2 holds: a guard keeps changes back\nhttps://hub.example.org"]
    steps: list[tuple[float, dict[str, int], bool]] = [
        (1, {"holds": 3}, False), (700, {"holds": 3}, True), (700, {"holds": 3}, False), (700, {"holds": 1}, False),
        (700, {"holds": 2, "rewards": 1}, True), (700, {}, False), (700, {"rewards": 1}, True),
    ]  # fmt: skip
    for later_s, needs, told in steps:
        clock.advance(later_s)
        wait(monkeypatch, **needs)
        assert tell_people(hub, owner="a") is told, needs
    assert [text.splitlines()[1:-1] for text in said[2:]] == [
        ["2 holds: a guard keeps changes back", "1 rewards wait for a person"], ["1 rewards wait for a person"],
    ]  # fmt: skip


def test_what_could_not_be_sent_is_told_the_next_time(
    opened: tuple[Hub, list[str], VirtualClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, said, clock = opened
    good = hub.tell
    wait(monkeypatch, holds=1)

    def broken(title: str, text: str) -> list[str]:
        raise NeedsReview("no way out")

    failing: list[Callable[[str, str], list[str]]] = [lambda title, text: ["team"], broken]
    for tell in failing:
        hub.tell = tell
        assert not tell_people(hub, owner="a")
        assert not tell_people(hub, owner="a"), "nor at once again"
        clock.advance(700)
    hub.tell = good
    assert tell_people(hub, owner="b"), "and no lease was left behind"
    assert len(said) == 1


def test_a_connection_that_stopped_is_named_after_three_failures(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    hub, said, clock = opened
    turns = Turns(hub=hub, owner="a")
    (Path(hub.projects.folder) / "data" / "left.csv").unlink()
    for number in range(4):
        assert ("stopped left" in needs_now(hub)) is (number >= 3)
        turns.whole("left")
        clock.advance(700)
    assert [text for text in said if "left has stopped" in text] == [
        "test: the hub needs you\nleft has stopped: hub connections test left\nhttps://hub.example.org"
    ]


def test_an_address_is_a_secret_and_never_stands_in_the_file(tmp_path: Path) -> None:
    project = make_project(tmp_path, hub=HUB + "\nnotices: {to: {team: 'json://example.org'}, every: soon}\n")
    assert sorted(each["code"] for each in check_project(project) if each["stops"]) == ["CFG-020", "CFG-022"]


@pytest.mark.skipif(importlib.util.find_spec("apprise") is None, reason="apprise is not installed")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # of what apprise imports
def test_apprise_takes_it_where_it_should_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environ = {"TEAM_CHAT": f"json://127.0.0.1:{server.server_address[1]}/team"}
    hub = open_hub(make_project(tmp_path, hub=HUB + NOTICES), environ=environ, publish=True)
    try:
        wait(monkeypatch, plans=4)
        assert tell_people(hub, owner="a")
        assert [(each["title"], each["message"].splitlines()[0]) for each in Chat.heard] == [
            ("test: the hub needs you", "4 plans wait for approval")
        ]
        environ["TEAM_CHAT"] = "no address"
        assert hub.tell is not None
        assert list(hub.tell("title", "text")) == ["team"]
    finally:
        hub.store.close()
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(importlib.util.find_spec("apprise") is not None, reason="apprise is installed")
def test_without_apprise_it_is_said_what_is_missing(tmp_path: Path) -> None:
    hub = open_hub(make_project(tmp_path, hub=HUB + NOTICES), environ={"TEAM_CHAT": "json://x"}, publish=True)
    assert hub.tell is not None
    with pytest.raises(ConfigFault, match="DLV-ALERTS"):
        hub.tell("title", "text")
    hub.store.close()
