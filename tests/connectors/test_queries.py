"""Whatever is looked for, it is one literal of the query: it finds itself, and nobody else.

The twins parse the vendors' query languages with parsers of their own, so a literal that ended early would be an
error there, or find others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from connectors.hubspot import CONNECTOR as HUBSPOT
from connectors.quickbooks import CONNECTOR as QUICKBOOKS
from connectors.salesforce import CONNECTOR as SALESFORCE
from connectors.stripe import CONNECTOR as STRIPE
from hub.errors import HubError
from hub.twins import hubspot, quickbooks, salesforce
from hub.twins.stripe import TwinStripe
from tests.connectors.doors import NOW, Desk, desk, twin_clock
from tests.hostile import CELLS, JSONS, LIKE, NAMES, SEARCH, SHELL, SOQL, SQL, TEMPLATES

# What systems take for a name: one line, without blanks around it.
WANTED = [
    text
    for text in dict.fromkeys((*SQL, *LIKE, *SOQL, *SEARCH, *TEMPLATES, *SHELL, *JSONS, *CELLS, *NAMES))
    if text.isprintable() and text == text.strip() and len(text) < 80
]


@contextmanager
def org() -> Iterator[Desk]:
    twin = salesforce.make(clock=twin_clock(), limit_scale=0.0)
    auth = {"kind": "client_credentials", "client_id": "twin-client", "client_secret": "twin-secret"}
    streams = {"contacts": {"fields": ["LastName"]}}
    with desk(
        SALESFORCE, twin, auth=auth, values={"domain": "acme.my", "marker": "Hub_Id__c"}, streams=streams
    ) as made:
        yield made


@contextmanager
def books() -> Iterator[Desk]:
    auth = {
        "kind": "refresh_token", "client_id": "twin-client", "client_secret": "twin-secret",
        "refresh_token": "twin-refresh",
    }  # fmt: skip
    twin = quickbooks.make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with desk(QUICKBOOKS, twin, values={"realm": quickbooks.REALM}, auth=auth) as made:
        yield made


@contextmanager
def portal() -> Iterator[Desk]:
    twin = hubspot.make(clock=twin_clock(), auto_hooks=False, limit_scale=0.0)
    limits = {"limits": {"burst": 100_000, "search": 100_000}}
    with desk(HUBSPOT, twin, values=limits, streams={"contacts": {"fields": ["lastname"]}}) as made:
        yield made


@contextmanager
def bank() -> Iterator[Desk]:
    with desk(STRIPE, TwinStripe(clock=twin_clock(), auto_hooks=False, limit_scale=0.0)) as made:
        yield made


PLACES: Mapping[str, tuple[Callable[[], AbstractContextManager[Desk]], str, str, Callable[[str], dict[str, Any]]]] = {
    "SOQL": (org, "contacts", "LastName", lambda text: {"LastName": text}),
    "the query of QuickBooks": (books, "customers", "DisplayName", lambda text: {"DisplayName": text}),
    "the search of HubSpot": (portal, "contacts", "lastname", lambda text: {"lastname": text}),
    "the search of Stripe": (bank, "customers", "metadata.hub_id", lambda text: {"metadata": {"hub_id": text}}),
}


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_looked_for_is_one_literal_of_the_query(place: str) -> None:
    opened, stream, name, fields = PLACES[place]
    with opened() as made:
        made.twin.load(stream, [{"fields": fields(text), "created": NOW - 90_000.0} for text in WANTED])
        made.advance(7200.0)  # search indexes have caught up
        held = {external_id: _held(row["fields"], name) for external_id, row in made.twin.snapshot(stream).items()}
        assert len(held) == len(WANTED) > 150
        for text in WANTED:
            try:
                found = {record.external_id for record in made.find(stream, name, text)}
            except HubError as refused:
                pytest.fail(f"{text!r}: {refused}")
            mine = {each for each, value in held.items() if value == text}
            assert mine <= found, text
            assert {held[each].casefold() for each in found} == {text.casefold()}, text


def _held(fields: Mapping[str, Any], name: str) -> str:
    for part in name.split("."):
        fields = fields[part]
    return str(fields)
