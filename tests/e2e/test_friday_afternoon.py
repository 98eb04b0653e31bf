"""Friday afternoon over real HTTP: Salesforce is connected, its dormant contacts would all be made in HubSpot.

The story is told in docs/friday-afternoon.md, through the command line as there; 20,000 of them in memory:
tests/app/test_friday_afternoon.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.cli.app import run
from hub.runtime.registry import SHIPPED
from hub.twins import hubspot, salesforce
from hub.twins.kit import Twin
from hub.twins.server import serve

DORMANT, KNOWN = 150, 12
HUB_YAML = """\
hub: {{name: friday, currency: EUR, country: DE, timezone: Europe/Berlin}}
store: {{url: "sqlite:///{folder}/hub.db"}}
defaults: {{mode: observe, every: 5m, sweep: 7d, reserve: 0.2}}
connections:
  salesforce:
    connector: salesforce
    local: true
    base_url: "{salesforce}"
    auth: {{kind: client_credentials, client_id: env:SF_ID, client_secret: env:SF_SECRET}}
    settings: {{domain: friday.my, marker: Hub_Id__c}}
  hubspot:
    connector: hubspot
    mode: propose
    local: true
    base_url: "{hubspot}"
    auth: {{kind: token, token: env:HS_TOKEN}}
"""
SECRETS = {"SF_ID": "twin-client", "SF_SECRET": "twin-secret", "HS_TOKEN": "twin-token"}

Hub = Callable[..., tuple[int, str, str]]
People = dict[str, dict[str, Any]]


@pytest.fixture
def twins() -> Iterator[dict[str, tuple[Twin, str]]]:
    made: dict[str, Twin] = {"salesforce": salesforce.make(), "hubspot": hubspot.make(limit_scale=100.0)}
    running = {name: serve(twin) for name, twin in made.items()}
    for number in range(DORMANT):
        made["salesforce"].user_create("contacts", {"LastName": f"Dormant {number}", "Email": f"d{number}@example.org"})
    for number in range(KNOWN):
        made["hubspot"].user_create("contacts", {"lastname": f"Customer {number}", "email": f"s{number}@example.org"})
    yield {name: (made[name], each.base_url) for name, each in running.items()}
    for each in running.values():
        each.stop()


@pytest.fixture
def hub(
    twins: dict[str, tuple[Twin, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Hub:
    """`hub …` in a project that speaks to the twins: exit code, what it said, what it complained about."""
    (tmp_path / "mappings").mkdir()
    for name in ("canonical", "salesforce", "hubspot"):
        text = (SHIPPED / f"{name}.yaml").read_text("utf-8")
        (tmp_path / "mappings" / f"{name}.yaml").write_text(text, "utf-8")
    addresses = {name: url for name, (_, url) in twins.items()}
    (tmp_path / "hub.yaml").write_text(HUB_YAML.format(folder=tmp_path, **addresses), "utf-8")
    for name in ("HUB_DATABASE_URL", "HUB_PROJECT", "HUB_SECRET_KEY", "HUB_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def call(*argv: str) -> tuple[int, str, str]:
        code = run(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def people(twin: Twin) -> People:
    """Living contacts by e-mail address: what people typed or the hub wrote, without what the system computes."""
    names = ("lastname", "firstname", "email", "phone", "Email", "LastName", "FirstName", "Phone")
    living = [row["fields"] for row in twin.snapshot("contacts").values() if not row["deleted"]]
    return {
        str(fields.get("email") or fields.get("Email")): {name: fields[name] for name in names if fields.get(name)}
        for fields in living
    }


def ids_by_email(twin: Twin) -> dict[str, str]:
    rows = twin.snapshot("contacts").items()
    return {row["fields"]["email"]: record_id for record_id, row in rows if not row["deleted"]}


def test_the_story_from_the_plan_to_the_undo(hub: Hub, twins: dict[str, tuple[Twin, str]]) -> None:
    crm, shop = twins["salesforce"][0], twins["hubspot"][0]
    before = people(crm), people(shop)
    assert (len(before[0]), len(before[1])) == (DORMANT, KNOWN)

    code, said, complaint = hub("plan", "-o", "plan.json", "--json")
    assert code == 0, complaint
    (row,) = [each for each in json.loads(said)["connections"] if each["connection"] == "hubspot"]
    assert (row["creates"], row["updates"], row["held"]) == (DORMANT, 0, DORMANT - 100)
    code, _, complaint = hub("apply", "plan.json")
    assert (code, "PLAN-HELD" in complaint) == (1, True)

    assert hub("sync")[0] == 3
    assert hub("sync")[0] == 3
    (waiting,) = json.loads(hub("plans", "list", "--json")[1])
    assert (waiting["creates"], people(shop)) == (DORMANT, before[1])

    assert hub("plans", "approve", str(waiting["plan"]))[0] == 0
    assert hub("sync")[0] == 0
    assert len(people(shop)) == DORMANT + KNOWN
    (written,) = [
        each["run"]
        for each in json.loads(hub("runs", "list", "--json")[1])
        if each["connection"] == "hubspot" and each["counts"].get("created")
    ]

    ids = ids_by_email(shop)
    shop.user_edit("contacts", ids["d7@example.org"], {"phone": "+4930111222"})
    shop.user_edit("contacts", ids["s3@example.org"], {"phone": "+4930333444"})
    code, said, complaint = hub("undo", str(written), "--delete-created", "--json")
    done = json.loads(said)
    assert (code, done["written"], done["refused"], done["pending"]) == (0, DORMANT - 1, [], []), complaint
    assert [row["code"] for row in done["left"]] == ["UNDO-EDITED"]

    edited = {"d7@example.org", "s3@example.org"}
    now = people(shop)
    assert {email: fields for email, fields in now.items() if email not in edited} == {
        email: fields for email, fields in before[1].items() if email not in edited
    }
    assert (now["d7@example.org"]["phone"], now["s3@example.org"]["phone"]) == ("+4930111222", "+4930333444")
    assert people(crm) == before[0]
    for _ in range(3):
        hub("sync")
    assert people(shop) == now
