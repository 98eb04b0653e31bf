"""The Stripe connector on a Stripe that nobody here wrote: `localstripe`, over real HTTP, through the vendor's SDK.

What it does otherwise than Stripe is put right by `Between`, never in the connector: it knows no account, and refuses
events by `types`.
"""

from __future__ import annotations

import http.server
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest
import requests
import stripe

from hub.app.bootstrap import opened
from hub.app.context import Hub
from hub.app.pull import serve_hints
from hub.app.syncing import sync_now
from hub.app.webhooks import hook_path
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.web.server import WebServer, create_app, listen

PROGRAM = [sys.executable, "-m", "localstripe"] if importlib.util.find_spec("localstripe") else [
    shutil.which("localstripe") or ""
]  # fmt: skip
pytestmark = pytest.mark.skipif(not PROGRAM[0], reason="localstripe is not installed")
SECRET = "whsec_localstripe_test"
HUB_YAML = """
hub: {{name: acme, currency: EUR, country: DE, timezone: UTC}}
defaults: {{mode: live}}
connections:
  stripe:
    connector: stripe
    local: true
    base_url: "{url}"
    auth: {{kind: token, token: env:STRIPE_KEY}}
    webhooks: {{secret: env:STRIPE_HOOK}}
  office:
    connector: csv
    mapping: office.yaml
    streams: {{people: {{file: people.csv, key: [Mail], write: in_place}}}}
"""
OFFICE = """
connector: csv
language: 1
streams:
  people: {entity: contact, create: never, fields: {email: {remote: Mail}, phone: {remote: Phone}}}
"""


class Between(http.server.BaseHTTPRequestHandler):
    """Passes calls on; see above for the two things that it puts right."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, 1 << 20
    target = ""

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/v1/account":
            self.say(200, orjson.dumps({"id": "acct_local", "object": "account"}))
            return
        asked = parse_qsl(parts.query)
        kinds = {value for name, value in asked if name.startswith("types[")}
        query = urlencode([(name, value) for name, value in asked if not name.startswith("types[")])
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        answer = requests.request(
            self.command, f"{self.target}{parts.path}?{query}", data=body, headers=kept, timeout=10
        )  # fmt: skip
        found = answer.content
        if kinds and answer.status_code == 200:
            told = answer.json()
            found = orjson.dumps({**told, "data": [each for each in told["data"] if each["type"] in kinds]})
        self.say(answer.status_code, found)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

    def say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], what: str) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < 15, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """localstripe in a process of its own, with a folder of its own for what it keeps."""
    place, port = tmp_path_factory.mktemp("localstripe"), free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {**os.environ, "TMPDIR": str(place)}
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, "--port", str(port), "--from-scratch"], cwd=place, env=environ, stdout=log, stderr=log
        )

        def up() -> bool:
            assert process.poll() is None, (place / "log").read_text("utf-8")
            try:
                return requests.get(f"{url}/v1/customers", auth=("sk_test_x", ""), timeout=1).ok
            except requests.ConnectionError:
                return False

        try:
            until(up, "localstripe does not start")
            yield url
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def between(vendor: str) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Between,), {"target": vendor}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(vendor: str) -> stripe.StripeClient:
    """The vendor's SDK, as somebody else's program uses it."""
    return stripe.StripeClient("sk_test_x", base_addresses={"api": vendor}, max_network_retries=0)


def people(hub: Hub) -> dict[str, Json]:
    with hub.store.reading() as tx:
        return {each.values["email"]: each.values for each in tx.entities_page("contact")}


def rows(hub: Hub, kind: str) -> list[Json]:
    with hub.store.reading() as tx:
        return [each.values for each in tx.entities_page(kind)]


def known_to_localstripe() -> str:
    """The shipped mapping without its last stream: localstripe has no promotion codes."""
    text = (SHIPPED / "stripe.yaml").read_text("utf-8")
    head, codes = text.split("  promotion_codes:\n")
    assert not re.search(r"^  \w+:", codes, re.MULTILINE), "it is the last"
    return head


def subscribed(shop: stripe.StripeClient, vendor: str) -> tuple[str, str]:
    """A customer with a plan, by the calls that localstripe knows; gives the ids of both."""
    customer = shop.v1.customers.create({"email": "kim@example.org", "name": "Kim Ono"}).id
    post: Callable[..., Any] = lambda path, **form: requests.post(  # noqa: E731
        f"{vendor}/v1/{path}", data=form, auth=("sk_test_x", ""), timeout=10
    ).json()
    card = {"card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    method = post("payment_methods", type="card", **card)["id"]
    post(f"payment_methods/{method}/attach", customer=customer)
    post(f"customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    product = post("products", name="Tea", type="service")["id"]
    plan = post("plans", amount="900", currency="eur", interval="month", product=product, nickname="Monthly")["id"]
    made = post("subscriptions", customer=customer, **{"items[0][plan]": plan})
    assert "id" in made, made
    return customer, str(made["id"])


def test_customers_and_subscriptions_are_read_a_change_is_written_and_a_signed_webhook_received(
    shop: stripe.StripeClient, vendor: str, between: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_KEY", "sk_test_x")
    monkeypatch.setenv("STRIPE_HOOK", SECRET)
    customer, subscription = subscribed(shop, vendor)
    shop.v1.customers.create({"email": "lee@example.org", "name": "Lee Min"})
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "canonical.yaml").write_bytes((SHIPPED / "canonical.yaml").read_bytes())
    (tmp_path / "mappings" / "stripe.yaml").write_text(known_to_localstripe(), "utf-8")
    (tmp_path / "mappings" / "office.yaml").write_text(OFFICE, "utf-8")
    (tmp_path / "people.csv").write_text("Mail,Phone\nkim@example.org,+49301234567\n", "utf-8")
    (tmp_path / "hub.yaml").write_text(HUB_YAML.format(url=between), "utf-8")
    with opened(tmp_path, publish=True) as hub:
        for _ in range(3):
            sync_now(hub)
        found = people(hub)
        assert {found[each]["name"]["first_name"] for each in found} == {"Kim", "Lee"}
        (standing,) = rows(hub, "subscription")
        with hub.store.reading() as tx:
            links = tx.links_by_keys("stripe", "subscriptions", [subscription], raw=False)
        assert (standing["status"], list(links)) == ("active", [subscription])
        # what the office knows was written, and is what Stripe now holds
        assert shop.v1.customers.retrieve(customer).phone == "+49301234567"
        written = Counter(event["type"] for event in requests.get(
            f"{vendor}/v1/events?limit=100", auth=("sk_test_x", ""), timeout=10).json()["data"])  # fmt: skip
        sync_now(hub)
        again = Counter(event["type"] for event in requests.get(
            f"{vendor}/v1/events?limit=100", auth=("sk_test_x", ""), timeout=10).json()["data"])  # fmt: skip
        assert again == written, "the next sync writes nothing"
        # somebody edits at Stripe; its event arrives signed, and is only a reason to read
        poked: list[str] = []
        listening = listen("127.0.0.1", 0)
        server = WebServer(create_app(hub, poke=poked.extend), listening)
        server.start()
        try:
            hook = f"http://127.0.0.1:{listening.getsockname()[1]}{hook_path(hub, 'stripe')}"
            told = {"url": hook, "secret": SECRET}
            assert requests.post(f"{vendor}/_config/webhooks/hub", json=told, timeout=10).ok
            shop.v1.customers.update(customer, {"name": "Kim Lee"})
            until(lambda: poked, "no webhook came, or none that was believed")
        finally:
            server.stop()
        serve_hints(hub, hub.connections["stripe"], run_id=None, tally=Counter())
        assert people(hub)["kim@example.org"]["name"]["last_name"] == "Lee"
        requests.delete(f"{vendor}/v1/customers/{customer}", auth=("sk_test_x", ""), timeout=10)
        sync_now(hub)
        with hub.store.reading() as tx:
            (link,) = tx.links_by_keys("stripe", "customers", [customer], raw=False).values()
        assert link.state == "gone"
