"""A program sets a hub up: it adds a connection, drafts a mapping, sees what would change, publishes, rolls back."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.people import Right
from tests.web.console import Console
from tests.web.test_api import call, token

LEFT = "left.yaml"


@pytest.fixture
def key(console: Console) -> str:
    return token(console, *Right)


def test_a_connection_is_added_and_its_credentials_go_into_the_vault_alone(console: Console, key: str) -> None:
    status, form = call(console, "GET", "/connectors/hubspot", key)
    assert status == 200
    assert "token" in [auth["kind"] for auth in form["auth"]]
    body = {"name": "crm", "connector": "hubspot", "kind": "token", "credentials": {"token": "pat-eu1-hidden"}}
    status, made = call(console, "POST", "/connections", key, body)
    assert (status, made) == (201, {"connection": "crm", "mode": "observe"})
    assert "secret:crm.token" in console.read("hub.yaml")
    assert "pat-eu1-hidden" not in console.read("hub.yaml")
    with console.hub.store.reading() as tx:
        sealed = tx.secret("crm.token")
    assert b"hidden" not in sealed
    assert console.hub.vault is not None
    assert console.hub.vault.unseal(sealed, "crm.token") == "pat-eu1-hidden"
    status, shown = call(console, "GET", "/connections/crm", key)
    assert (status, shown["row"]["mode"]) == (200, "observe")
    assert "pat-eu1-hidden" not in str(shown)
    assert call(console, "POST", "/connections", key, body)[1]["code"] == "CFG-051"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"credentials": {}}, "CFG-033"), ({"kind": "magic"}, "CFG-033"), ({"connector": "nothing"}, "CFG-030"),
     ({"name": "No Name"}, "CFG-015"), ({"more": 1}, "API-REQUEST")],
)  # fmt: skip
def test_a_connection_that_is_wrong_is_refused_with_its_place_and_nothing_is_kept(
    console: Console, key: str, change: Any, code: str
) -> None:
    before = console.read("hub.yaml")
    body = {"name": "crm", "connector": "hubspot", "kind": "token", "credentials": {"token": "pat-eu1-hidden"}}
    status, found = call(console, "POST", "/connections", key, body | change)
    assert (status, found["code"]) == (422, code)
    assert found["fix"]
    assert "pat-eu1-hidden" not in str(found)
    assert console.read("hub.yaml") == before
    with console.hub.store.reading() as tx:
        assert not [name for name in tx.secrets() if name.startswith("crm")]


def test_a_draft_is_checked_compared_published_and_rolled_back(console: Console, key: str) -> None:
    status, mapping = call(console, "GET", f"/mappings/{LEFT}", key)
    assert status == 200
    stream = mapping["streams"][0]["stream"]
    name = next(rule for rule in mapping["streams"][0]["rules"] if rule["name"] == "name")
    rule = {"stream": stream, "name": "name", "remote": name["remote"], "transforms": ["upper"], "direction": "in"}
    status, draft = call(console, "POST", f"/mappings/{LEFT}/draft/fields", key, rule)
    assert (status, draft["faults"]) == (200, []), draft
    assert call(console, "POST", f"/mappings/{LEFT}/draft/fields", key, rule)[1]["text"] == draft["text"], (
        "twice is once"
    )
    status, change = call(console, "GET", f"/mappings/{LEFT}/change", key)
    assert status == 200
    (counted,) = change["change"]["counts"]
    assert (counted["field"], counted["count"]) == ("name", change["change"]["compared"])
    assert {row["new"] for row in change["change"]["rows"]} >= {"ANN"}
    status, done = call(console, "POST", f"/mappings/{LEFT}/publish", key, {"sure": True})
    assert (status, done["versions"]) == (200, {"left.yaml": 2})
    assert "upper" in console.read(f"mappings/{LEFT}")
    assert call(console, "POST", f"/mappings/{LEFT}/publish", key, {"sure": True})[0] == 404
    status, old = call(console, "GET", f"/mappings/{LEFT}/versions/1", key)
    assert (status, "upper" in old["text"]) == (200, False)
    status, done = call(console, "POST", f"/mappings/{LEFT}/versions/1/restore", key, {"sure": True})
    assert (status, done["versions"]) == (200, {"left.yaml": 3})
    assert "upper" not in console.read(f"mappings/{LEFT}")


def test_a_draft_that_is_wrong_says_every_place_and_is_not_published(console: Console, key: str) -> None:
    text = console.read(f"mappings/{LEFT}")
    wrong = text.replace("name:", "nmae:", 1)
    status, kept = call(console, "POST", f"/mappings/{LEFT}/draft", key, {"text": wrong})
    assert status == 200
    assert kept["faults"]
    assert all(fault["where"].startswith(f"{LEFT}:") for fault in kept["faults"]), kept["faults"]
    status, refused = call(console, "POST", f"/mappings/{LEFT}/publish", key, {"sure": True})
    assert (status, refused["code"]) == (422, refused["faults"][0]["code"])
    assert console.read(f"mappings/{LEFT}") == text
    assert call(console, "DELETE", f"/mappings/{LEFT}/draft", key)[0] == 200
    assert call(console, "DELETE", f"/mappings/{LEFT}/draft", key)[0] == 200, "twice is once"
    assert call(console, "GET", f"/mappings/{LEFT}/draft", key)[1]["draft"] is None


def test_what_is_alike_is_decided_together_and_a_note_is_kept_beside_a_record(console: Console, key: str) -> None:
    number = console.conflict()
    status, shown = call(console, "GET", f"/conflicts/{number}/alike?candidate=1", key)
    assert (status, [each["conflict"] for each in shown["rows"]]) == (200, [number])
    stale = {"candidate": 1, "conflicts": {str(number): "old"}}
    assert call(console, "POST", f"/conflicts/{number}/alike", key, stale)[1]["done"] == 0
    known = {"candidate": 1, "conflicts": {str(number): shown["rows"][0]["digest"]}}
    assert call(console, "POST", f"/conflicts/{number}/alike", key, known)[1]["done"] == 1
    record = console.contact()
    assert call(console, "POST", f"/records/{record}/notes", key, {"text": "moved house"})[0] == 200
    assert "moved house" in str(call(console, "GET", f"/records/{record}", key)[1])


def test_a_view_is_dropped_by_its_name(console: Console, key: str) -> None:
    assert call(console, "POST", "/views", key, {"name": "Names", "query": "field=name"})[0] == 200
    assert call(console, "DELETE", "/views/Names", key)[0] == 200
    assert call(console, "GET", "/views", key)[1] == []
    assert call(console, "DELETE", "/views/Names", key)[0] == 404


def test_what_a_merge_or_an_erasure_would_do_is_told_before(console: Console, key: str) -> None:
    ann, bob = console.contact(), console.contact("bob@example.org")
    before = console.audit()
    assert call(console, "GET", f"/records/{ann}/merge?other={bob}", key)[0] == 200
    status, told = call(console, "GET", f"/records/{ann}/erase", key)
    assert (status, told["entity"]) == (200, ann)
    assert console.audit() == before


def test_kinds_of_records_their_past_and_settings_are_there_to_read(console: Console, key: str) -> None:
    kinds = {each["type"]: each["records"] for each in call(console, "GET", "/types", key)[1]}
    assert kinds["contact"] == len(call(console, "GET", "/types/contact", key)[1]["rows"])
    then = call(console, "GET", f"/records/{console.contact()}/as-of?at=2100-01-01", key)[1]
    assert then["entity"] == console.contact()
    assert call(console, "GET", "/settings", key)[1]["about"]["connectors"]
    assert call(console, "GET", "/codes/NET-429", key)[1]["text"]
    assert call(console, "GET", "/codes/NOT-THERE", key)[0] == 404
