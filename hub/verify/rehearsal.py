"""A company to rehearse on: simulated vendors in a process of their own, and a project that speaks to them.

The twins live in another process, as vendors do: what the hub's process does, or a kill of it, does not touch them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import orjson

from hub.runtime.registry import SHIPPED, connector_names, load_connector
from hub.twins.client import TwinClient
from hub.twins.company import Company, fill, generate
from hub.twins.server import serve

SYSTEMS = ("salesforce", "hubspot", "shopify", "stripe", "typeform", "plum")
STARTS_WITHIN_S = 120.0

# What an admin would put into the environment; the twins know no other secrets.
ENVIRONMENT = {
    "SF_CLIENT_ID": "twin-client",
    "SF_CLIENT_SECRET": "twin-secret",
    "HUBSPOT_TOKEN": "twin-token",
    "HUBSPOT_APP_SECRET": "rehearsal-hubspot-app-secret",
    "SHOPIFY_TOKEN": "twin-token",
    "SHOPIFY_APP_SECRET": "rehearsal-shopify-app-secret",
    "STRIPE_KEY": "sk_test_twin",
    "STRIPE_WEBHOOK_SECRET": "whsec_rehearsal",
    "TYPEFORM_TOKEN": "twin-token",
    "TYPEFORM_WEBHOOK_SECRET": "rehearsal-typeform-secret",
    "PLUM_CLIENT_ID": "twin-client",
    "PLUM_CLIENT_SECRET": "twin-secret",
    "PLUM_REFRESH_TOKEN": "twin-refresh",
    # Of the further systems; every twin knows these
    "TWIN_TOKEN": "twin-token",
    "TWIN_CLIENT_ID": "twin-client",
    "TWIN_CLIENT_SECRET": "twin-secret",
    "TWIN_REFRESH_TOKEN": "twin-refresh",
    "TWIN_USERNAME": "staff",
    "TWIN_PASSWORD": "twin-password",
    "TWIN_EVENT_KEY": "twin-event-key",
    "TWIN_WEBHOOK_SECRET": "rehearsal-webhook-secret",
}
CREDENTIALS = {  # kind of sign-in -> names in hub.yaml
    "token": ("token",),
    "client_credentials": ("client_id", "client_secret"),
    "refresh_token": ("client_id", "client_secret", "refresh_token"),
}
OPTIONS: Mapping[str, Mapping[str, object]] = {"stripe": {"token": "sk_test_twin"}}

PROJECT = """\
# A rehearsal: every connection speaks to a simulated vendor on this machine.
hub: {{name: rehearsal, currency: EUR, country: DE, timezone: Europe/Berlin, public_url: "{public_url}"}}
defaults: {{mode: live, every: 5m, sweep: 7d, reserve: 0.2}}
connections:
  salesforce:
    connector: salesforce
    local: true
    base_url: "{salesforce}"
    auth: {{kind: client_credentials, client_id: env:SF_CLIENT_ID, client_secret: env:SF_CLIENT_SECRET}}
    settings: {{domain: rehearsal.my, marker: Hub_Id__c}}
  hubspot:
    connector: hubspot
    local: true
    base_url: "{hubspot}"
    auth: {{kind: token, token: env:HUBSPOT_TOKEN}}
    settings: {{limits: {hubspot_limits}}}
    webhooks: {{secret: env:HUBSPOT_APP_SECRET}}
  shopify:
    connector: shopify
    local: true
    base_url: "{shopify}"
    auth: {{kind: token, token: env:SHOPIFY_TOKEN}}
    settings: {{shop: rehearsal, limits: {shopify_limits}}}
    webhooks: {{secret: env:SHOPIFY_APP_SECRET}}
  stripe:
    connector: stripe
    local: true
    base_url: "{stripe}"
    auth: {{kind: token, token: env:STRIPE_KEY}}
    settings: {{limits: {stripe_limits}}}
    webhooks: {{secret: env:STRIPE_WEBHOOK_SECRET}}
  typeform:
    connector: typeform
    local: true
    base_url: "{typeform}"
    auth: {{kind: token, token: env:TYPEFORM_TOKEN}}
    webhooks: {{secret: env:TYPEFORM_WEBHOOK_SECRET}}
  plum:
    connector: plum
    local: true
    base_url: "{plum}"
    auth:
      kind: refresh_token
      client_id: env:PLUM_CLIENT_ID
      client_secret: env:PLUM_CLIENT_SECRET
      refresh_token: env:PLUM_REFRESH_TOKEN
"""


def every_system() -> tuple[str, ...]:
    """All that have a twin, the usual ones first."""
    known = [name for name in connector_names() if find_spec(f"hub.twins.{name}") is not None]
    return tuple(dict.fromkeys((*SYSTEMS, *known)))


def write_project(folder: Path, urls: Mapping[str, str], *, public_url: str) -> None:
    """hub.yaml and a copy of the shipped mappings, every connection local and live."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SHIPPED, folder / "mappings", ignore=shutil.ignore_patterns("*.py", "hub.yaml", "__pycache__"))
    limits = {f"{name}_limits": _limits(name) for name in ("hubspot", "shopify", "stripe")}
    usual = PROJECT.format(public_url=public_url, **{name: urls[name] for name in SYSTEMS}, **limits)
    further = "".join(_section(name, url) for name, url in urls.items() if name not in SYSTEMS)
    (folder / "hub.yaml").write_text(usual + further, encoding="utf-8")


def _section(name: str, url: str) -> str:
    """A connection to one of the further systems, by what its connector and its twin say of themselves."""
    connector = load_connector(name)
    if connector.only_listens:
        return f"  {name}: {{connector: {name}}}\n"
    told = getattr(import_module(f"hub.twins.{name}"), "CONNECTION", {})
    kinds = [auth.kind for auth in connector.auth]
    kind = told.get("auth", {}).get("kind") or ("token" if "token" in kinds else kinds[0])
    named = [each for each in (told.get("auth") or CREDENTIALS[kind]) if each != "kind"]
    names = "".join(f", {each}: env:TWIN_{each.upper()}" for each in named)
    settings = "".join(f"{each}: {orjson.dumps(value).decode()}, " for each, value in told.get("settings", {}).items())
    lines = [
        f"  {name}:",
        f"    connector: {name}",
        "    local: true",
        f'    base_url: "{url}"',
        f"    auth: {{kind: {kind}{names}}}",
        f"    settings: {{{settings}limits: {_limits(name)}}}",
        *([f"    streams: {orjson.dumps(told['streams']).decode()}"] if "streams" in told else []),
        *(["    webhooks: {secret: env:TWIN_WEBHOOK_SECRET}"] if connector.verify is not None else []),
    ]
    return "\n".join(lines) + "\n"


def _limits(name: str) -> str:
    """The twins allow ten times what their vendors do (their `limit_scale`), so that nobody waits for a rehearsal."""
    figures = {limit.name: limit.calls * 10 for limit in load_connector(name).limits}
    return "{" + ", ".join(f'"{limit}": {calls}' for limit, calls in figures.items()) + "}"


@contextmanager
def vendors(
    seed: int, people: int, systems: Sequence[str] = SYSTEMS
) -> Iterator[tuple[dict[str, TwinClient], Company]]:
    """The twins, served from a process of their own and filled with one coherent company.

    Args:
        seed: of the company.
        people: how many it knows.
        systems: the usual ones, and any others whose twin has a `sketch`.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    now = time.time()
    process = context.Process(target=_serve, args=(theirs, seed, people, now, tuple(systems)), daemon=True)
    process.start()
    theirs.close()
    clients: dict[str, TwinClient] = {}
    try:
        company = generate(seed, people, now=now, also=_further(systems))  # the same, for the ground truth
        if not ours.poll(STARTS_WITHIN_S):
            raise TimeoutError("the simulated vendors did not start")
        urls: dict[str, str] = ours.recv()
        clients = {name: TwinClient(url) for name, url in urls.items()}
        yield clients, company
    finally:
        for client in clients.values():
            client.close()
        ours.close()
        process.join(5.0)
        if process.is_alive():
            process.terminate()
            process.join(5.0)


def _further(systems: Sequence[str]) -> list[str]:
    return [name for name in systems if name not in SYSTEMS]


def _serve(pipe: Pipe, seed: int, people: int, now: float, systems: Sequence[str]) -> None:
    """The vendors' process: serves until the other end of the pipe is closed."""
    twins = {name: import_module(f"hub.twins.{name}").make(**OPTIONS.get(name, {})) for name in systems}
    fill(generate(seed, people, now=now, also=_further(systems)), twins)
    running = {name: serve(twin) for name, twin in twins.items()}
    pipe.send({name: each.base_url for name, each in running.items()})
    try:
        pipe.recv()
    except EOFError:
        pass
    for each in running.values():
        each.stop()
