"""Any REST interface: every way to page and to sign in, writes, what is wrong in a description, and a whole sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from connectors.rest import CONNECTOR
from hub.app.bootstrap import opened
from hub.app.projects import add_connection, check_project
from hub.app.syncing import sync_now
from hub.connector import Idempotency, Settings
from hub.errors import ConfigFault, HubError, NeedsReview, SignInExpired
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.twins.rest import STREAMS, TwinRest
from hub.twins.server import serve
from tests.connectors.doors import NOW, Desk, change, desk, twin_clock

PAGES: dict[str, Json] = {
    "number": {"kind": "number", "param": "page", "size_param": "per_page", "size": 50},
    "number that says so": {"kind": "number", "param": "page", "size_param": "per_page", "size": 50, "more": "more"},
    "offset": {"kind": "offset", "param": "offset", "size_param": "per_page", "size": 50},
    "cursor": {"kind": "cursor", "param": "cursor", "next": "meta.next_cursor", "size_param": "per_page", "size": 50},
    "next": {"kind": "next", "next": "links.next", "size_param": "per_page", "size": 50},
    "link": {"kind": "link", "size_param": "per_page", "size": 50},
}
SIGN_INS: dict[str, tuple[dict[str, str], dict[str, str]]] = {  # twin's kind -> auth:, settings:
    "none": ({"kind": "none"}, {}),
    "bearer": ({"kind": "token", "token": "twin-token"}, {}),
    "basic": ({"kind": "basic", "username": "twin-user", "password": "twin-token"}, {}),
    "header": ({"kind": "token", "token": "twin-token"}, {"header": "X-Api-Key"}),
    "query": ({"kind": "token", "token": "twin-token"}, {"query": "api_key"}),
    "client_credentials": (
        {"kind": "client_credentials", "client_id": "twin-client", "client_secret": "twin-secret"},
        {"token_url": "/oauth/token", "scope": "shop"},
    ),
}


def person(number: int, **more: Json) -> dict[str, Json]:
    return {"email": f"p{number}@example.org", "name": {"first": f"P{number}", "last": "Ono"}, **more}


@contextmanager
def at_work(
    stream: dict[str, Json] | None = None, *, auth: str = "bearer", settings: dict[str, Json] | None = None,
    people: int = 0, **options: Any,
) -> Iterator[Desk]:  # fmt: skip
    twin = TwinRest(clock=twin_clock(), auth=auth, **options)
    rows = [
        {"id": f"{number:03}", "created": NOW - 1000 + number, "fields": person(number)} for number in range(people)
    ]
    twin.load("contacts", rows)
    given, own = SIGN_INS[auth]
    values = {**own, **(settings or {})}
    streams = {"contacts": {**STREAMS["contacts"], **(stream or {})}}
    made = Settings(values=values, auth=given, streams=streams, local=True)
    assert CONNECTOR.tailored is not None
    with desk(CONNECTOR.tailored(made), twin, values=values, auth=given, streams=streams) as found:
        yield found


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("people", [0, 1, 50, 101])
def test_every_way_to_page_has_every_record_once(name: str, people: int) -> None:
    with at_work({"page": PAGES[name]}, paging=PAGES[name]["kind"], people=people) as made:
        records, rest, pages = made.pull_all("contacts")
        assert sorted(each.external_id for each in records) == [f"{number:03}" for number in range(people)]
        made.advance(600)
        made.twin.user_edit("contacts", "000", {"phone": "1"}) if people else None
        changed, _, _ = made.pull_all("contacts", rest)
        assert {each.external_id for each in changed} >= ({"000"} if people else set())
        assert len(changed) <= 1, "only what changed since"
        assert all(page.read_at is not None for page in pages)


@pytest.mark.parametrize("name", ["number", "offset"])
def test_a_server_that_gives_less_at_once_than_it_is_asked_for_ends_no_list(name: str) -> None:
    with at_work({"page": PAGES[name]}, paging=name, people=45, most=20) as made:
        assert len(made.pull_all("contacts")[0]) == 45


@pytest.mark.parametrize("auth", SIGN_INS)
def test_every_way_to_sign_in_is_understood_and_a_wrong_secret_is_told(auth: str) -> None:
    with at_work(auth=auth, people=3) as made:
        assert made.connector.check(made.api)["name"].startswith("127.0.0.1")
        assert len(made.pull_all("contacts")[0]) == 3
        assert made.push("contacts", [change("create", person(9), reference="hub:9")])[0].outcome == "applied"
        if auth != "none":
            made.twin.settings["token"] = made.twin.settings["client_secret"] = "another"
            made.twin.tokens.expire_all(NOW)
            with pytest.raises(SignInExpired):
                made.connector.check(made.api)


def test_a_key_in_the_address_is_in_no_cursor_and_no_message() -> None:
    with at_work({"page": PAGES["link"]}, auth="query", paging="link", people=120) as made:
        _, _, pages = made.pull_all("contacts")
        assert len(pages) == 3
        assert "twin-token" not in repr([page.next_cursor for page in pages])
        made.twin.set_faults(script=[{"fault": "error_before"}] * 20)
        with pytest.raises(HubError) as refusal:
            made.pull_all("contacts")
        assert "twin-token" not in str(refusal.value)


def test_a_link_to_another_host_is_not_followed() -> None:
    with at_work({"page": PAGES["next"], "records": "data"}, paging="next", people=60) as made:
        step = made.connector.pull(made.api, "contacts", None).next_cursor
        with pytest.raises(ConfigFault, match="NET-HOST"):
            made.connector.pull(made.api, "contacts", {**step, "url": "https://evil.example/contacts"})


def test_what_is_deleted_is_told_by_the_list_and_by_the_id() -> None:
    with at_work(people=3) as made:
        _, rest, _ = made.pull_all("contacts")
        made.advance(600)
        made.twin.user_delete("contacts", "001")
        (gone,), _, _ = made.pull_all("contacts", rest)
        assert (gone.external_id, gone.op, gone.data) == ("001", "delete", {})
        assert [each.op for each in made.fetch("contacts", ["001", "002", "nobody"])] == ["delete", "upsert", "delete"]


@pytest.mark.parametrize(
    ("written", "said", "at"),
    [
        ("iso", "2026-11-02T08:00:00+01:00", NOW - 3600), ("epoch_s", 1_793_606_400, NOW),
        ("epoch_ms", "1793606400500", NOW + 0.5), ("date", "2026-11-02", NOW - 8 * 3600),
    ],
)  # fmt: skip
def test_times_are_read_as_they_are_written(written: str, said: Json, at: float) -> None:
    from connectors.rest.reading import record_of
    from connectors.rest.spec import spec_of

    faults: list[Any] = []
    spec = spec_of("x", {"path": "/x", "modified": "at.time", "modified_as": written}, faults)
    assert record_of(spec, {"id": 7, "at": {"time": said}}).stamp == at
    with pytest.raises((ValueError, TypeError)):
        record_of(spec, {"id": 7, "at": {"time": "soon"}})
    assert faults == []


def test_an_answer_without_a_list_is_never_no_records() -> None:
    with at_work({"records": "rows"}, people=3) as made, pytest.raises(NeedsReview, match="REST-NO-LIST"):
        made.pull_all("contacts")


# --- writing ---------------------------------------------------------------------------------------------------------


def test_creates_updates_and_deletes_are_what_is_then_held() -> None:
    with at_work(people=1) as made:
        (created,) = made.push("contacts", [change("create", person(7, phone=" 5 "), reference="hub:7")])
        assert created.held is not None
        assert (created.held.marker, created.held.data["phone"]) == ("hub:7", "5")
        name = created.external_id or ""
        (updated,) = made.push("contacts", [change("update", {"name": {"last": "Lee"}}, name)])
        assert updated.held is not None
        assert updated.held.data["name"] == {"first": "P7", "last": "Lee"}
        assert [each.external_id for each in made.find("contacts", "external_ref", "hub:7")] == [name]
        assert [each.external_id for each in made.find("contacts", "email", "p7@example.org")] == [name]
        assert made.push("contacts", [change("delete", {}, name)])[0].held.op == "delete"  # type: ignore[union-attr]
        assert [each.outcome for each in made.push("contacts", [change("update", {"phone": "1"}, name)])] == [
            "not_found"
        ]
        assert made.find("contacts", "external_ref", "hub:7") == []


def test_a_refused_write_stops_no_other_and_a_lost_answer_is_unknown() -> None:
    with at_work() as made:
        changes = [
            change("create", {"email": "none"}, reference="hub:1"), change("create", person(2), reference="hub:2"),
            change("create", person(3), reference="hub:2"), change("archive", {}, "1"),
        ]  # fmt: skip
        found = made.push("contacts", changes)
        assert [each.outcome for each in found] == ["rejected", "applied", "rejected", "rejected"]
        assert [each.code for each in found[2:]] == ["REC-CONFLICT", "REST-OP"]
        made.twin.set_faults(script=[{"match": "POST", "fault": "timeout_after"}])
        lost = made.push("contacts", [change("create", person(4), reference="hub:4")] * 2)
        assert [each.outcome for each in lost] == ["unknown", "throttled"]
        assert len(made.find("contacts", "external_ref", "hub:4")) == 1


def test_a_create_that_is_answered_by_an_address_only_is_known_by_it() -> None:
    with at_work(bare=True) as made:
        (created,) = made.push("contacts", [change("create", person(7), reference="hub:7")])
        assert (created.outcome, created.held) == ("applied", None)
        (read,) = made.fetch("contacts", [created.external_id or ""])
        assert read.marker == "hub:7"


def test_a_key_makes_one_record_of_a_create_that_is_sent_twice() -> None:
    keyed = {"marker": "", "find": {}, "idempotency": "Idempotency-Key"}
    with at_work(keyed) as made:
        again = [change("create", person(7), idempotency_key="k1")] * 2
        assert len({each.external_id for each in made.push("contacts", again)}) == 1
        assert made.connector.stream("contacts").idempotency is Idempotency.KEY_WITH_LIFE


# --- what is wrong in a description ----------------------------------------------------------------------------------

WRONG: list[tuple[Json, str, str]] = [
    ({"path": "contacts"}, "path", "no path"),
    ({}, "path", "missing"),
    ({"path": "/a", "recods": "x"}, "recods", "records"),
    ({"path": "/a/{id}"}, "path", "must not have"),
    ({"path": "/a", "fetch": "/a"}, "fetch", "needs"),
    ({"path": "/a", "page": {"kind": "pages"}}, "page.kind", "none of"),
    ({"path": "/a", "page": "number"}, "page", "mapping"),
    ({"path": "/a", "page": {"kind": "number"}}, "page.param", "param"),
    ({"path": "/a", "page": {"kind": "cursor", "param": "c"}}, "page.next", "next"),
    ({"path": "/a", "page": {"kind": "link", "size": 0}}, "page.size", "number"),
    ({"path": "/a", "since": "after"}, "since", "modified"),
    ({"path": "/a", "modified_as": "text"}, "modified_as", "none of"),
    ({"path": "/a", "modified": "m", "since": "s", "listing": "complete"}, "listing", "not complete"),
    ({"path": "/a", "update": "/a/{id}"}, "fetch", "fetch"),
    ({"path": "/a", "fetch": "/a/{id}", "create": "/a"}, "create", "lost"),
    ({"path": "/a", "fetch": "/a/{id}", "update": {"path": "/a/{id}", "method": "GET"}}, "update.method", "none of"),
    ({"path": "/a", "deleted": {"path": "x"}}, "deleted.is", "missing"),
    ({"path": "/a", "params": [1]}, "params", "mapping"),
    ({"path": "/a", "find": {"email": "e mail"}}, "find.email", "no name"),
    ({"path": "/../a"}, "path", "no path"),
    ({"path": "/a", "marker": "m", "find": {"x": "x"}, "fetch": "/a/{id}"}, "find", "marker"),
    (7, "", "mapping"),
]


@pytest.mark.parametrize(("given", "place", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_place(given: Json, place: str, words: str) -> None:
    assert CONNECTOR.tailored is not None
    settings = Settings(values={"url": "https://api.example.com"}, auth={}, streams={"contacts": given})
    with pytest.raises(ConfigFault) as found:
        CONNECTOR.tailored(settings)
    told = [(each.code, each.where) for each in found.value.faults]
    assert ("REST-SPEC", f"streams.contacts.{place}".rstrip(".")) in told
    assert any(words in f"{each.message} {each.fix}" for each in found.value.faults)


@pytest.mark.parametrize(
    "values",
    [
        {}, {"url": "http://api.example.com"}, {"url": "https://api.example.com:8443"}, {"url": "https://a.example?x=1"},
        {"url": "https://u:p@a.example"}, {"url": "https://a.example", "calls": 0},
        {"url": "https://a.example", "hosts": "a b"}, {"url": "https://a.example", "header": "X", "query": "y"},
        {"url": "https://a.example", "header": "X\r\nY"}, {"url": "https://a.example", "per_s": "soon"},
    ],
)  # fmt: skip
def test_an_address_or_sign_in_that_cannot_be_is_told(values: dict[str, Json]) -> None:
    assert CONNECTOR.tailored is not None
    with pytest.raises(ConfigFault, match="REST-SPEC"):
        CONNECTOR.tailored(Settings(values=values, auth={}))


def test_it_goes_to_the_hosts_that_are_named_and_no_other() -> None:
    assert CONNECTOR.tailored is not None
    values = {"url": "https://api.example.com/v2", "hosts": "login.example.com", "calls": "7", "per_s": "60"}
    made = CONNECTOR.tailored(Settings(values=values, auth={}))
    assert (made.base_url, made.hosts) == ("https://api.example.com/v2", ("api.example.com", "login.example.com"))
    assert [(limit.calls, limit.per_s) for limit in made.limits] == [(7, 60.0)]


# --- the whole way ---------------------------------------------------------------------------------------------------

HUB_YAML = "hub: {name: acme, currency: EUR, country: DE, timezone: UTC}\ndefaults: {mode: live}\nconnections: {}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "hub.yaml").write_text(HUB_YAML, encoding="utf-8")
    (tmp_path / "mappings" / "canonical.yaml").write_bytes((SHIPPED / "canonical.yaml").read_bytes())
    return tmp_path


def describe(project: Path, name: str, streams: Json, **more: Json) -> None:
    yaml = YAML()
    found = yaml.load(project / "hub.yaml")
    found["connections"][name] |= {"streams": streams, **more}
    yaml.dump(found, project / "hub.yaml")


def test_a_connection_is_added_by_command_and_its_description_is_checked_with_its_line(project: Path) -> None:
    needed = add_connection(
        project, "shop", "rest", settings={"url": "https://api.shop.example/v2", "header": "X-Api-Key"}, auth={}
    )
    assert needed == ["env:SHOP_TOKEN"]
    assert [each["code"] for each in check_project(project) if each["stops"]] == []
    describe(project, "shop", {"contacts": {"path": "contacts", "page": {"kind": "numbers"}}})
    faults = [each for each in check_project(project) if each["stops"]]
    lines = (project / "hub.yaml").read_text("utf-8").splitlines()
    assert [each["code"] for each in faults] == ["REST-SPEC", "REST-SPEC"]
    for fault, word in zip(faults, ("path: contacts", "kind: numbers"), strict=True):
        name, _, line = fault["where"].partition(":")
        assert (name, word in lines[int(line) - 1]) == ("hub.yaml", True), fault


def test_two_shops_become_one_and_a_third_sync_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = {
        "shop": TwinRest(paging="cursor", seed=1, limit_scale=100.0),
        "till": TwinRest(auth="query", seed=2, limit_scale=100.0),
    }
    pages = {"shop": PAGES["cursor"], "till": PAGES["number that says so"]}
    for name, twin in twins.items():
        monkeypatch.setenv(f"{name.upper()}_TOKEN", "twin-token")
        first, numbers = (100, range(5)) if name == "shop" else (200, range(3, 9))
        twin.load("contacts", [{"id": str(first + each), "fields": person(each)} for each in numbers])
    with serve(twins["shop"]) as shop, serve(twins["till"]) as till:
        for name, running in (("shop", shop), ("till", till)):
            add_connection(project, name, "rest", settings={"query": "api_key"} if name == "till" else {}, auth={},
                           base_url=running.base_url)  # fmt: skip
            streams = {"contacts": {**STREAMS["contacts"], "page": pages[name]}, "orders": STREAMS["orders"]}
            describe(project, name, streams, mode="live")
        canonical = project / "mappings" / "canonical.yaml"
        canonical.write_text(canonical.read_text("utf-8").replace("plum, rest", "plum, shop, till, rest"), "utf-8")
        with opened(project, publish=True) as hub:
            assert {name: each.fault for name, each in hub.connections.items()} == {"shop": None, "till": None}
            for _ in range(2):
                sync_now(hub)
            for twin in twins.values():
                held = Counter(row["fields"]["email"] for row in twin.snapshot("contacts").values())
                assert held == {f"p{number}@example.org": 1 for number in range(9)}
            twins["till"].user_edit("contacts", "203", {"phone": "+49301234567"})
            sync_now(hub)
            sync_now(hub)
            writes = [twin.counts()["writes"] for twin in twins.values()]
            assert twins["shop"].snapshot("contacts")["103"]["fields"]["phone"] == "+49301234567"
            sync_now(hub)
            assert [twin.counts()["writes"] for twin in twins.values()] == writes
