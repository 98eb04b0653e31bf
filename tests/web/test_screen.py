"""What a website's server is told of its visitor's rewards, over real HTTP: his own, signed for, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub.app.identity import merge
from hub.app.reward_screen import PER_PERSON, screen_of
from hub.errors import NotFound
from hub.model import Json
from hub.runtime.secrets import Vault
from hub.web.server import WebServer, create_app, listen
from tests.reward_world import RULES, World

SHOWN = RULES.replace("deliver: provider", "deliver: screen").replace("100 EUR", "1000 EUR")


class Site:
    """A hub that is served on loopback, and a website's server."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        world.provider.gives = "code"
        world.hub = world.start()
        world.hub.vault = Vault(folder, {})
        shop = world.hub.connections["shop"]
        world.hub.connections["shop"] = replace(shop, connector=replace(shop.connector, tracking=True))
        self.secret = screen_of(world.hub, "shop")["secret"]
        self.listening = listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        self.server = WebServer(create_app(world.hub, poke=lambda names: None), self.listening)

    def ask(
        self, person: Json, *, secret: str = "", age_s: float = 0.0, site: str = "shop", **more: Json
    ) -> tuple[int, Json]:
        body = orjson.dumps({"person": person, **more})
        stamp = str(int(self.world.clock.now() - age_s))
        signature = hmac.new((secret or self.secret).encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return self.post(site, body, {"Hub-Signature": f"t={stamp},v1={signature}"})

    def post(self, site: str, body: bytes, headers: dict[str, str]) -> tuple[int, Json]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request("POST", f"/screen/{site}/rewards", body=body, headers=headers)
            answer = client.getresponse()
            read = answer.read()
            return answer.status, orjson.loads(read) if read else None

    def codes(self, person: Json) -> list[str]:
        status, told = self.ask(person)
        assert status == 200
        return [row["code"] for row in told["rewards"]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(f"sqlite:///{tmp_path / 'hub.db'}", rules=SHOWN)
    made = Site(world, tmp_path)
    for name in ("ann", "bob"):
        world.customer(name)
        world.order(f"o-{name}", name)
    world.issue()
    made.server.start()
    yield made
    made.server.stop()
    world.store.close()


def test_a_visitor_is_told_his_own_and_nothing_of_anybody_else(site: Site) -> None:
    status, told = site.ask({"userId": "ann"})
    assert status == 200
    (row,) = told["rewards"]
    assert {name: row[name] for name in ("text", "amount", "currency", "since")} == {
        "text": "A gift card for an order over 500.", "amount": "25", "currency": "EUR",
        "since": "2026-12-05T12:00:00.000Z",
    }  # fmt: skip
    assert sorted(row) == ["amount", "code", "currency", "id", "since", "text"]
    assert row["code"] == site.world.provider.book[0].body["code"]
    assert site.codes({"email": " Bob@Example.com "}) == [site.world.provider.book[1].body["code"]]
    assert site.ask({"userId": "nobody"}) == (200, {"rewards": []})


def test_what_is_not_issued_yet_is_not_shown(site: Site) -> None:
    site.world.order("o2", "ann")
    assert len(site.codes({"userId": "ann"})) == 1
    site.world.issue()
    assert len(site.codes({"userId": "ann"})) == 2


def test_what_was_seen_is_put_away_and_only_by_whom_it_belongs_to(site: Site) -> None:
    _, told = site.ask({"userId": "ann"})
    seen = [row["id"] for row in told["rewards"]]
    assert len(site.ask({"userId": "bob"}, seen=seen)[1]["rewards"]) == 1
    assert len(site.codes({"userId": "ann"})) == 1
    assert [site.ask({"userId": "ann"}, seen=seen)[1] for _ in range(2)] == [{"rewards": []}] * 2
    assert site.world.entries(site.world.grants()[0].id).count("seen") == 1


def test_two_names_of_one_person_are_one(site: Site) -> None:
    ann, bob = (site.world.entity("contact", index).id for index in (0, 1))
    merge(site.world.hub, f"contact:{ann}", f"contact:{bob}", by="kim")
    assert len(site.codes({"userId": "ann"})) == len(site.codes({"userId": "bob"})) == 2


@pytest.mark.parametrize("age_s", [301.0, -301.0])
def test_a_signature_is_good_for_five_minutes(site: Site, age_s: float) -> None:
    assert site.ask({"userId": "ann"}, age_s=age_s)[0] == 401
    assert site.ask({"userId": "ann"}, age_s=age_s * 0.9)[0] == 200


def test_whoever_cannot_sign_learns_nothing(site: Site) -> None:
    refused = {"error": "the signature is missing, wrong or too old"}
    body = orjson.dumps({"person": {"userId": "ann"}})
    assert site.ask({"userId": "ann"}, secret="guessed") == (401, refused)
    assert site.ask({"userId": "ann"}, site="plum") == (401, refused)
    assert site.ask({"userId": "ann"}, site="nothing") == (401, refused)
    assert site.post("shop", body, {}) == (401, refused)
    assert site.post("shop", body, {"Hub-Signature": "t=x,v1=y"}) == (401, refused)


@pytest.mark.parametrize(
    "person",
    [None, {}, {"userId": 7}, {"userId": ""}, {"id": "ann"}, {"userId": "a", "email": "b"}, {"email": "x" * 321}],
)
def test_what_names_nobody_is_refused(site: Site, person: Json) -> None:
    assert site.ask(person)[0] == 400


def test_a_call_may_not_be_large(site: Site) -> None:
    assert site.ask({"userId": "a"}, seen=["x" * 20_000])[0] == 413


def test_calls_for_one_person_are_limited_and_nobody_else_waits(site: Site) -> None:
    assert [site.ask({"userId": "ann"})[0] for _ in range(PER_PERSON + 1)] == [200] * PER_PERSON + [429]
    assert site.ask({"userId": "bob"})[0] == 200
    site.world.clock.advance(61)
    assert site.ask({"userId": "ann"})[0] == 200


def test_only_a_website_has_such_an_address(site: Site) -> None:
    with pytest.raises(NotFound):
        screen_of(site.world.hub, "plum")
    assert screen_of(site.world.hub, "shop") == {
        "url": "/screen/shop/rewards", "secret": site.secret, "header": "hub-signature",
    }  # fmt: skip
