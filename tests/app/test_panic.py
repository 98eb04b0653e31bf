"""One command when somebody else may be inside: nothing runs by itself, nobody is signed in, no program gets in."""

from __future__ import annotations

from pathlib import Path

from hub.app.leases import connection_lease, take
from hub.app.panic import panic
from hub.app.pausing import paused
from hub.app.people import Person
from hub.app.sessions import make_link, make_token, who, who_by_token
from hub.app.turns import Turns
from hub.web.site import COOKIE
from tests.web.console import Browser, Console

ADMIN = Person(name="admin", role="admin")


def test_one_command_stops_runs_ends_sessions_and_drops_tokens(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.start()
    try:
        hub = console.hub
        cookies = [console.as_(role).cookies[COOKIE] for role in ("viewer", "admin")]
        link = make_link(hub, "support", by="test")
        token = make_token(hub, "robot", ["read"], person=ADMIN)["token"]
        with hub.store.transaction() as tx:  # a run is under way elsewhere
            epoch = take(tx, connection_lease("left"), "elsewhere:1", hub.clock.now())
        assert panic(hub, by="kim") == {"connections": 2, "sessions": 2, "tokens": 1}
        assert [who(hub, cookie) for cookie in cookies] == [None, None]
        assert who_by_token(hub, token) is None
        assert Browser(console.port).post(link).status == 403, "a link that was not used yet opens nothing either"
        assert {name: each["by"] for name, each in paused(hub).items()} == {"left": "kim", "right": "kim"}
        with hub.store.transaction() as tx:
            assert not tx.renew(connection_lease("left"), "elsewhere:1", epoch or 0, hub.clock.now(), 60.0)
        turns = Turns(hub=hub, owner="test", watch=lambda *_: None)
        assert turns.follow("left") is None, "nothing follows by itself"
        turns.scheduled("left", hub.clock.now())
        with hub.store.reading() as tx:
            assert tx.runs() == []
        assert ("kim", "panic", "hub") in console.audit()
    finally:
        console.stop()
