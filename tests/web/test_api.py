"""The JSON API: tokens and their scopes, the same functions as the pages, and calls that nobody would think of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from hub.app import sessions
from hub.app.pairs import REVIEW, pair
from hub.app.people import Person, Right, change_user
from hub.web.api_rewards import ROUTER
from tests.web.console import Browser, Console

# Right of every call, written out: (method, path) -> right.
TABLE = {
    ("GET", "/overview"): "read", ("GET", "/connections"): "read", ("GET", "/conflicts"): "read",
    ("GET", "/conflicts/{conflict}"): "read", ("GET", "/records"): "read", ("GET", "/records/{record}"): "read",
    ("GET", "/search"): "read",
    ("GET", "/records/{record}/why/{field}"): "read", ("GET", "/quarantine"): "read",
    ("GET", "/records/{record}/timeline"): "read", ("GET", "/segments"): "read",
    ("GET", "/segments/{segment}"): "read",
    ("GET", "/quarantine/{code}"): "read", ("GET", "/holds"): "read", ("GET", "/runs"): "read",
    ("GET", "/runs/{run}"): "read", ("GET", "/rewards"): "read", ("GET", "/rewards/{grant}"): "read",
    ("GET", "/plans"): "read", ("GET", "/plans/{plan}"): "read", ("POST", "/plans"): "run",
    ("POST", "/plans/{plan}/approve"): "approve", ("POST", "/plans/{plan}/reject"): "approve",
    ("GET", "/audit"): "people", ("GET", "/conflicts/{conflict}/policies"): "read", ("GET", "/views"): "read",
    ("GET", "/mappings/{file}/fields"): "configure", ("GET", "/rewards/rules/{rule}/trial"): "configure",
    ("POST", "/conflicts/{conflict}/release"): "decide", ("POST", "/conflicts/{conflict}/policy"): "decide",
    ("POST", "/views"): "read", ("POST", "/records/{record}/merge"): "decide",
    ("POST", "/records/{record}/unmerge"): "decide", ("POST", "/records/{record}/export"): "people",
    ("POST", "/records/{record}/erase"): "people", ("POST", "/runs/{run}/undo"): "run",
    ("POST", "/mappings/{file}/fields"): "configure",
    ("POST", "/conflicts/{conflict}/decision"): "decide",
    ("POST", "/conflicts/{conflict}/notes"): "decide", ("POST", "/quarantine/{code}/retry"): "retry",
    ("POST", "/holds/{hold}/release"): "approve", ("POST", "/holds/{hold}/drop"): "approve",
    ("GET", "/triggers"): "read", ("GET", "/firings"): "read", ("GET", "/triggers/{rule}/trial"): "configure",
    ("GET", "/triggers/{rule}"): "read", ("GET", "/firings/{firing}"): "read", ("GET", "/triggers/draft"): "configure",
    ("GET", "/triggers/{rule}/draft"): "configure", ("POST", "/triggers/{rule}/draft"): "configure",
    ("DELETE", "/triggers/{rule}/draft"): "configure", ("POST", "/triggers/draft/publish"): "configure",
    ("POST", "/triggers/draft/drop"): "configure",
    ("POST", "/firings/{firing}/approve"): "approve", ("POST", "/firings/{firing}/drop"): "approve",
    ("POST", "/rewards/{grant}/approve"): "approve", ("POST", "/rewards/{grant}/decline"): "approve",
    ("GET", "/figures"): "read", ("GET", "/figures/{kpi}"): "read", ("GET", "/goals"): "read",
    ("GET", "/data-audits"): "read",
    ("GET", "/reward-report"): "read", ("POST", "/rewards/{grant}/cancel"): "approve",
    ("POST", "/rewards/{grant}/resend"): "approve",
    ("POST", "/rewards/{grant}/confirm"): "approve", ("POST", "/connections/{connection}/run"): "run",
    ("GET", "/pairs"): "read", ("GET", "/pairs/{pair}"): "read", ("POST", "/pairs/{pair}/merge"): "decide",
    ("POST", "/pairs/{pair}/never"): "decide", ("POST", "/pairs/{pair}/later"): "decide",
    ("POST", "/connections/{connection}/test"): "run", ("POST", "/connections/{connection}/mode"): "configure",
    ("POST", "/connections/{connection}/schedule"): "configure",
    ("GET", "/connections/{connection}/backfill"): "run", ("POST", "/connections/{connection}/backfill"): "run",
    ("GET", "/connections/{connection}/webhooks"): "read",
    ("POST", "/connections/{connection}/webhooks/address"): "configure",
    ("POST", "/connections/{connection}/webhooks/subscribe"): "configure",
    ("POST", "/connections/{connection}/webhooks/secret"): "configure",
    ("POST", "/connections/{connection}/credentials"): "configure",
    ("GET", "/forecast"): "read", ("GET", "/trust"): "read", ("POST", "/trust/{entity}/{field}/draft"): "configure",
    ("POST", "/connections/{connection}/pause"): "run", ("POST", "/connections/{connection}/resume"): "run",
    ("GET", "/settings"): "read", ("GET", "/codes/{code}"): "read", ("GET", "/connectors"): "configure",
    ("GET", "/connectors/{connector}"): "configure", ("POST", "/connections"): "configure",
    ("GET", "/connections/{connection}"): "read", ("GET", "/connections/{connection}/progress"): "read",
    ("GET", "/slots"): "read", ("GET", "/conflicts/{conflict}/alike"): "read",
    ("POST", "/conflicts/{conflict}/alike"): "decide", ("DELETE", "/views/{name}"): "read",
    ("GET", "/holds/{hold}"): "read", ("GET", "/types"): "read", ("GET", "/types/{type}"): "read",
    ("GET", "/records/{record}/as-of"): "read", ("POST", "/records/{record}/notes"): "decide",
    ("GET", "/records/{record}/merge"): "decide", ("GET", "/records/{record}/unmerge"): "decide",
    ("GET", "/records/{record}/erase"): "people",
    ("GET", "/reward-rules"): "read", ("POST", "/figures"): "run", ("POST", "/data-audits"): "run",
    ("GET", "/data-audits/report"): "read", ("GET", "/mappings"): "read", ("GET", "/mappings/{file}"): "read",
    ("GET", "/mappings/{file}/versions/{version}"): "read", ("GET", "/mappings/{file}/draft"): "configure",
    ("POST", "/mappings/{file}/draft"): "configure", ("DELETE", "/mappings/{file}/draft"): "configure",
    ("POST", "/mappings/{file}/draft/fields"): "configure", ("POST", "/mappings/{file}/preview"): "configure",
    ("GET", "/mappings/{file}/change"): "configure", ("POST", "/mappings/{file}/publish"): "configure",
    ("POST", "/mappings/{file}/versions/{version}/restore"): "configure",
    ("POST", "/triggers/{rule}/draft/start-now"): "configure", ("POST", "/triggers/{rule}/preview"): "configure",
    ("GET", "/audit/head"): "people", ("GET", "/users"): "people", ("POST", "/users"): "people",
    ("POST", "/users/{user}"): "people", ("POST", "/users/{user}/link"): "people", ("GET", "/tokens"): "people",
    ("POST", "/tokens"): "people", ("DELETE", "/tokens/{token}"): "people",
}  # fmt: skip
PLACES = {"{entity}": "nothing", "{conflict}": "99999",
          "{record}": "contact:99999", "{field}": "name", "{code}": "NET-429", "{run}": "99999",
          "{grant}": "99999", "{hold}": "99999", "{connection}": "nobody", "{plan}": "99999",
          "{file}": "nothing.yaml", "{segment}": "nothing", "{rule}": "nothing", "{pair}": "99999",
          "{version}": "99", "{connector}": "nothing", "{type}": "nothing", "{name}": "nothing", "{user}": "nobody",
          "{token}": "0" * 16, "{kpi}": "none", "{firing}": "99999"}  # fmt: skip
QUERIES = {"/records": "q=ann", "/search": "q=ann", "/as-of": "at=2030-01-01", "/merge": "other=contact:1"}
BODIES: Mapping[str, Any] = {  # nothing that changes anything
    "/policy": {"policy": "newest"}, "/merge": {"other": "contact:99998"}, "/erase": {"entity": "contact:99999"},
    "/views": {"name": " "}, "/triggers/draft/publish": {"sure": True}, "/trust/nothing/name/draft": {"sure": True},
    "/unmerge": {"sure": True}, "/conflicts/99999/release": {"sure": True},
    "/mode": {"mode": "observe"}, "/credentials": {"credentials": {"token": "x"}}, "/secret": {"secret": "x"},
    "/decision": {"candidate": 0}, "/notes": {"text": "x"}, "/confirm": {"order": "1"},
                             "/plans": {"connections": ["nobody"]},
    "/conflicts/99999/alike": {"conflicts": {"99998": "x"}}, "/publish": {"sure": True}, "/restore": {"sure": True},
    "/nothing.yaml/draft": {"text": "x"}, "/nothing.yaml/preview": {"text": "x"},
    "/triggers/nothing/preview": {"rule": {}},
    "/fields": {"stream": "x", "name": "x", "remote": "x"}, "/connections": {"name": "x", "connector": "nothing"},
    "/users": {"name": "!", "role": "none"}, "/tokens": {"name": " ", "scopes": ["people"]},
}  # fmt: skip
EXAMPLES = 5  # of every call, of each kind
NOTED = {("POST", "/data-audits")}  # what cannot be asked for without being done


def token(console: Console, *scopes: str, role: str = "admin") -> str:
    """Of somebody who is an admin when it is made, and has this role from then on."""
    made = sessions.make_token(console.hub, "robot", scopes, person=Person(name=role, role="admin"))
    return str(made["token"])


def call(console: Console, method: str, path: str, key: str = "", body: Any = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    text = orjson.dumps(body).decode() if body is not None else ""
    answer = Browser(console.port).ask(method, f"/api/v1{path}", text, headers)
    return answer.status, orjson.loads(answer.body) if answer.body else None


def path_of(path: str) -> str:
    for name, value in PLACES.items():
        path = path.replace(name, value)
    asked = next((query for ending, query in QUERIES.items() if path.endswith(ending)), "")
    return f"{path}?{asked}" if asked else path


def body_of(path: str) -> Any:
    return next((body for ending, body in BODIES.items() if path.endswith(ending)), {})


def test_every_call_is_in_the_table() -> None:
    found = {(method, route.path) for route in ROUTER.routes for method in route.methods}  # type: ignore[attr-defined]
    assert found == set(TABLE)


@pytest.fixture(scope="module")
def keys(synced: Console) -> dict[str, str]:
    """Scope -> a token that has only it."""
    return {str(scope): token(synced, scope) for scope in Right}


@pytest.mark.parametrize(("method", "path"), TABLE, ids=lambda each: str(each))
def test_a_token_does_what_its_scopes_say_and_nothing_else(
    synced: Console, keys: dict[str, str], method: str, path: str
) -> None:
    before = synced.audit()
    for scope, key in keys.items():
        status, found = call(synced, method, path_of(path), key, body_of(path) if method == "POST" else None)
        assert (status != 403) == (scope == TABLE[method, path]), (scope, status, found)
        assert status < 500, found
    assert call(synced, method, path_of(path), body=body_of(path) if method == "POST" else None)[0] in (401, 422)
    assert call(synced, method, path_of(path), "hub_wrong")[0] in (401, 422)
    assert synced.audit() == before or (method, path) in NOTED


def test_a_scope_gives_nobody_what_their_role_does_not(console: Console) -> None:
    key = token(console, "read", "decide", role="viewer")
    assert call(console, "GET", "/conflicts", key)[0] == 200
    assert call(console, "POST", f"/conflicts/{console.conflict()}/decision", key, {"candidate": 0})[0] == 403


def test_a_token_dies_with_its_person_and_by_being_dropped(console: Console) -> None:
    first, second = token(console, "read", role="viewer"), token(console, "read")
    change_user(console.hub, "viewer", active=False, by="admin")
    assert call(console, "GET", "/overview", first)[0] == 401
    (row,) = [row for row in sessions.tokens(console.hub) if row["user"] == "admin"]
    assert row["used_at"] is None
    assert call(console, "GET", "/overview", second)[0] == 200
    sessions.drop_token(console.hub, row["id"], by="admin")
    assert call(console, "GET", "/overview", second)[0] == 401


def test_a_cookie_is_no_token(console: Console) -> None:
    """What another site could make a browser send opens nothing here."""
    assert console.as_("admin").get("/api/v1/overview").status == 401


def test_a_program_decides_a_conflict_as_a_person_would(console: Console) -> None:
    key, number = token(console, "read", "decide"), console.conflict()
    status, case = call(console, "GET", f"/conflicts/{number}", key)
    assert status == 200
    place = [each["value"] for each in case["candidates"]].index("Anne")
    wrong = call(console, "POST", f"/conflicts/{number}/decision", key, {"candidate": place, "digest": "old"})
    assert (wrong[0], wrong[1]["code"]) == (409, "PLAN-DRIFT")
    body = {"candidate": place, "digest": case["digest"], "note": "robot"}
    assert call(console, "POST", f"/conflicts/{number}/decision", key, body)[1]["value"] == "Anne"
    console.sync()
    assert "1,ann@example.org,Anne," in console.read("data/left.csv")
    assert ("admin", "conflict resolved", f"conflict {number}") in console.audit()


@pytest.mark.parametrize(
    "body", [{}, {"candidate": "x"}, {"candidate": -1}, {"text": 1}, [], "x", {"text": "x", "more": 1}, None]
)
def test_a_misshapen_call_is_told_what_is_wrong(console: Console, body: Any) -> None:
    key = token(console, "decide")
    status, found = call(console, "POST", f"/conflicts/{console.conflict()}/notes", key, body)
    assert (status, found["code"]) == (422, "API-REQUEST")


# Calls that nobody would think of


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Console, str]]:
    found = Console(tmp_path_factory.mktemp("fuzz"))
    found.start()
    found.sync()
    yield found, token(found, *Right)
    found.stop()


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_no_call_that_can_be_made_is_a_bug(
    fuzzed: tuple[Console, str], described: Any, method: str, mode: GenerationMode
) -> None:
    """Schemathesis makes calls of every kind that the description allows, and some that it does not."""
    console, key = fuzzed
    tried: list[int] = []
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.method == method:
            _fuzz(operation.as_strategy(generation_mode=mode), f"{console.url}/api/v1", key, tried)
    assert len(tried) >= EXAMPLES * sum(each.lower() == method for each, _ in TABLE) // 2
    assert {404, 422} & set(tried)
    assert mode == GenerationMode.NEGATIVE or method == "delete" or {200, 404, 422} <= set(tried)


@pytest.fixture(scope="module")
def described(fuzzed: tuple[Console, str]) -> Any:
    console, _ = fuzzed
    return schemathesis.openapi.from_url(f"{console.url}/api/v1/openapi.json")


def _fuzz(cases: Any, url: str, key: str, tried: list[int]) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases)
    def run(case: Any) -> None:
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"})
        tried.append(answer.status_code)
        assert answer.status_code < 500, (case.method, case.formatted_path, answer.text[:500])

    run()


def test_a_program_decides_who_is_who(console: Console) -> None:
    key = token(console, "read", "decide")
    bob, cy = (int(console.contact(f"{name}@example.org").partition(":")[2]) for name in ("bob", "cy"))
    with console.hub.store.transaction() as tx:
        tx.add_reviews([pair(REVIEW, bob, cy, by="test", at=0.0)])
    status, (row,) = call(console, "GET", "/pairs", key)
    assert (status, {row["first"], row["second"]}) == (200, {f"contact:{bob}", f"contact:{cy}"})
    assert call(console, "POST", f"/pairs/{row['pair']}/later", key, {})[0] == 200
    assert [each["pair"] for each in call(console, "GET", "/pairs?state=later", key)[1]] == [row["pair"]]
    status, merged = call(console, "POST", f"/pairs/{row['pair']}/merge", key, {"note": "the same"})
    assert (status, merged["survivor"]) == (200, f"contact:{bob}")
    assert console.contact("cy@example.org") == f"contact:{bob}"


# What a program may not get by asking


def test_no_token_gives_more_than_the_one_that_it_is_asked_with(console: Console) -> None:
    key = token(console, "people", "read")
    status, made = call(console, "POST", "/tokens", key, {"name": "more", "scopes": ["read", "configure"]})
    assert (status, made["code"]) == (403, "AUTH-BEYOND")
    status, made = call(console, "POST", "/tokens", key, {"name": "less", "scopes": ["read"]})
    assert (status, made["scopes"]) == (201, ["read"])
    assert call(console, "GET", "/overview", made["token"])[0] == 200
    assert call(console, "GET", "/users", made["token"])[0] == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/users", {"name": "mole", "role": "admin"}),
        ("/users/viewer", {"role": "admin"}),
        ("/users/admin", {"password": "four words that differ"}),
        ("/users/admin/link", None),
    ],
)
def test_no_program_makes_itself_an_admin(console: Console, path: str, body: Any) -> None:
    before = console.audit()
    status, found = call(console, "POST", path, token(console, "people", "read"), body)
    assert (status, found["code"]) == (403, "AUTH-BEYOND")
    assert [each for each in console.audit() if each[1] != "token made"] == before


def test_a_program_lets_people_in_and_shuts_them_out(console: Console) -> None:
    key = token(console, *Right)
    assert call(console, "POST", "/users", key, {"name": "eve", "role": "viewer"})[0] == 201
    assert call(console, "POST", "/users", key, {"name": "eve", "role": "viewer"})[1]["code"] == "AUTH-USER"
    status, link = call(console, "POST", "/users/eve/link", key)
    assert status == 200
    assert Browser(console.port).post(link["path"]).status == 303
    little = token(console, "people")
    assert call(console, "POST", "/users/eve", little, {"active": False})[1]["active"] is False
    assert call(console, "POST", "/users/eve", little, {"active": True})[1]["code"] == "AUTH-BEYOND"
    short = next(each["id"] for each in call(console, "GET", "/tokens", key)[1] if each["scopes"] == ["people"])
    assert call(console, "DELETE", f"/tokens/{short}", key)[0] == 200
    assert call(console, "DELETE", f"/tokens/{short}", key)[0] == 404


def test_a_password_that_is_refused_is_not_said_again(console: Console) -> None:
    status, found = call(
        console, "POST", "/users", token(console, *Right), {"name": "x", "role": "no", "password": "s3cret"}
    )
    assert status == 422
    assert "s3cret" not in str(found)
