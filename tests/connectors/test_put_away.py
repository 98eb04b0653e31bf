"""Records put away through the connectors of the further systems: archived or deleted there, and told as such."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from hub.runtime.registry import load_connector
from tests.connectors.doors import change, desk, twin_clock
from tests.shipped import connection_to

PERSON: dict[str, dict[str, Any]] = {
    "freshsales": {"last_name": "Byron", "email": "ada@example.org"},
    "activecampaign": {"lastName": "Byron", "email": "ada@example.org"},
    "bigcommerce": {"first_name": "Ada", "last_name": "Byron", "email": "ada@example.org"},
    "quickbooks": {"GivenName": "Ada", "FamilyName": "Byron"},
    "zoho_invoice": {"contact_name": "Ada Byron"},
}
STREAM = {"bigcommerce": "customers", "quickbooks": "customers"}
CASES = [(name, op) for name in PERSON for op in ("archive", "delete")]


@pytest.mark.parametrize(("name", "op"), CASES)
def test_what_is_put_away_is_away_and_a_second_one_stays(name: str, op: str) -> None:
    connector, stream, told = load_connector(name), STREAM.get(name, "contacts"), connection_to(name)
    if op not in connector.stream(stream).writes:
        pytest.skip(f"{name} offers no {op}")
    twin: Any = importlib.import_module(f"hub.twins.{name}").make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with desk(connector, twin, values=told["settings"], auth=told["auth"]) as made:
        one = twin.user_create(stream, PERSON[name])
        second = {key: f"{value}x".replace("orgx", "com") for key, value in PERSON[name].items()}
        other = twin.user_create(stream, second)
        (result,) = made.push(stream, [change(op, {}, one)])
        assert (result.outcome, result.external_id) == ("applied", one)
        assert result.held is not None
        assert result.held.op == op
        assert {each.external_id: each.op for each in made.fetch(stream, [one, other])} == {one: op, other: "upsert"}
