"""In and out of the console: passwords, links, sessions; and what a browser is told with every answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.app import people, sessions
from hub.errors import HubError, NotAllowed, NotFound, RecordRejected, RetryLater
from hub.runtime.clock import VirtualClock
from hub.web.site import COOKIE, local_path
from tests.web.console import Browser, Console

PASSWORD = "correct horse battery"


@pytest.fixture
def clock(console: Console) -> VirtualClock:
    """Time that moves when the test says so."""
    console.hub.clock = clock = VirtualClock(start=console.hub.clock.now())
    return clock


def sign_in(console: Console, name: str, password: str) -> tuple[int, str]:
    answer = Browser(console.port).post("/sign-in", name=name, password=password)
    return answer.status, answer.text


def test_a_password_lets_in_and_out_again(console: Console) -> None:
    people.add_user(console.hub, "ann@example.org", "support", password=PASSWORD, by="test")
    browser = Browser(console.port)
    answer = browser.post("/sign-in", name="ann@example.org", password=PASSWORD, to="/runs")
    assert (answer.status, answer.to) == (303, "/runs")
    assert "ann@example.org" in browser.get("/").text
    kept = browser.cookies[COOKIE]
    assert browser.post("/sign-out").to == "/sign-in"
    browser.cookies[COOKIE] = kept
    assert browser.get("/").status == 303, "the session is over at the hub, not only in the browser"


def test_the_cookie_is_kept_from_scripts_and_other_sites(console: Console) -> None:
    people.add_user(console.hub, "ann", "viewer", password=PASSWORD, by="test")
    (cookie,) = Browser(console.port).post("/sign-in", name="ann", password=PASSWORD).cookies
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "this console is served on loopback without TLS"


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(console: Console) -> None:
    people.add_user(console.hub, "ann", "viewer", password=PASSWORD, by="test")
    headers = {"Host": "hub.example.org"}
    (cookie,) = Browser(console.port).post("/sign-in", headers=headers, name="ann", password=PASSWORD).cookies
    assert "Secure" in cookie


def test_a_wrong_name_and_a_wrong_password_are_refused_alike(console: Console) -> None:
    people.add_user(console.hub, "ann", "viewer", password=PASSWORD, by="test")
    wrong, unknown = sign_in(console, "ann", "wrong horse battery"), sign_in(console, "bob", "wrong horse battery")
    assert wrong[0] == unknown[0] == 403
    assert wrong[1].replace("ann", "") == unknown[1].replace("bob", "")


def test_who_has_no_password_cannot_sign_in_with_none(console: Console) -> None:
    assert sign_in(console, "admin", "")[0] == 403


def test_guessing_is_slowed_more_each_time_and_forgiven_by_the_right_password(
    console: Console, clock: VirtualClock
) -> None:
    people.add_user(console.hub, "ann", "viewer", password=PASSWORD, by="test")
    waits = []
    for _ in range(8):
        try:
            sessions.sign_in(console.hub, "ann", "guess", address="192.0.2.1")
        except RetryLater as slow:
            waits.append(round(slow.after_s or 0))
            clock.advance((slow.after_s or 0) + 0.1)
            with pytest.raises(NotAllowed, match="AUTH-SIGN-IN"):
                sessions.sign_in(console.hub, "ann", "guess", address="192.0.2.1")
        except NotAllowed:
            pass
    assert waits == [2, 4, 8]
    with pytest.raises(RetryLater, match="AUTH-SLOW"):
        sessions.sign_in(console.hub, "ann", PASSWORD, address="198.51.100.7")
    with pytest.raises(RetryLater, match="AUTH-SLOW"):
        sessions.sign_in(console.hub, "bob", PASSWORD, address="192.0.2.1")
    clock.advance(1000.0)
    assert sessions.sign_in(console.hub, "ann", PASSWORD, address="192.0.2.1")
    with pytest.raises(NotAllowed, match="AUTH-SIGN-IN"):
        sessions.sign_in(console.hub, "ann", "guess", address="192.0.2.1")


def test_a_browser_is_told_how_long_to_wait(console: Console, clock: VirtualClock) -> None:
    clock.advance(1.0)  # and stands still while passwords are compared, however slow the machine
    for _ in range(5):
        sign_in(console, "nobody", "guess")
    answer = Browser(console.port).post("/sign-in", name="nobody", password="guess")
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (429, True)


def test_a_link_lets_in_once(console: Console) -> None:
    path = sessions.make_link(console.hub, "viewer", by="test")
    looked = Browser(console.port).get(path)
    assert looked.status == 200, "looking at it, as mail programs do, does not use it up"
    assert Browser(console.port).post(path).status == 303
    second = Browser(console.port).post(path)
    assert (second.status, "AUTH-LINK" in second.text) == (403, True)


def test_a_link_is_good_for_a_quarter_of_an_hour(console: Console, clock: VirtualClock) -> None:
    path = sessions.make_link(console.hub, "viewer", by="test")
    clock.advance(901.0)
    with pytest.raises(NotAllowed, match="AUTH-LINK"):
        sessions.sign_in_by_link(console.hub, path.rpartition("/")[2])


@pytest.mark.parametrize("rest_s, left", [(7100.0, True), (7300.0, False)])
def test_a_session_that_rests_for_two_hours_is_over(
    console: Console, clock: VirtualClock, rest_s: float, left: bool
) -> None:
    cookie = console.as_("viewer").cookies[COOKIE]
    clock.advance(rest_s)
    assert (sessions.who(console.hub, cookie) is not None) == left


def test_a_session_ends_after_a_working_day_however_busy(console: Console, clock: VirtualClock) -> None:
    cookie = console.as_("viewer").cookies[COOKIE]
    for _ in range(11):
        clock.advance(3600.0)
        assert sessions.who(console.hub, cookie) is not None
    clock.advance(3700.0)
    assert sessions.who(console.hub, cookie) is None


@pytest.mark.parametrize("change", [{"active": False}, {"role": "support"}, {"password": PASSWORD}])
def test_whoever_is_changed_has_to_sign_in_again(console: Console, change: dict[str, object]) -> None:
    browser = console.as_("viewer")
    people.change_user(console.hub, "viewer", by="admin", **change)  # type: ignore[arg-type]
    assert browser.get("/").status == 303


@pytest.mark.parametrize("cookie", ["", "x", "InZpZXdlciI.AAAA", "a" * 5000, 'é"'])
def test_a_cookie_that_the_hub_did_not_sign_is_none(console: Console, cookie: str) -> None:
    assert sessions.who(console.hub, cookie) is None


def test_the_store_holds_nothing_that_lets_anybody_in(console: Console, tmp_path: Path) -> None:
    people.add_user(console.hub, "ann", "viewer", password=PASSWORD, by="test")
    path = sessions.make_link(console.hub, "ann", by="test")
    browser = console.as_("viewer")
    person = people.Person(name="admin", role="admin")
    token = sessions.make_token(console.hub, "robot", ["read"], person=person)["token"]
    secret = str(sessions._signer(console.hub).loads(browser.cookies[COOKIE]))
    for file in console.project.glob("hub.db*"):
        content = file.read_bytes()
        for text in (PASSWORD, path.rpartition("/")[2], token, secret):
            assert text.encode() not in content, (file.name, text[:4])


def test_the_last_admin_stays_one(console: Console) -> None:
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(NotAllowed, match="AUTH-LAST"):
            people.change_user(console.hub, "admin", by="admin", **change)
    people.add_user(console.hub, "second", "admin", by="admin")
    assert people.change_user(console.hub, "admin", active=False, by="second")["active"] is False


@pytest.mark.parametrize(
    "name, role, password, code",
    [
        ("", "viewer", "", "AUTH-NAME"),
        ("<b>", "viewer", "", "AUTH-NAME"),
        ("a" * 81, "viewer", "", "AUTH-NAME"),
        ("viewer", "viewer", "", "AUTH-USER"),
        ("new", "king", "", "AUTH-ROLE-NAME"),
        ("new", "viewer", "short", "AUTH-PASSWORD"),
    ],
)
def test_a_person_who_cannot_be_is_refused_with_a_code(
    console: Console, name: str, role: str, password: str, code: str
) -> None:
    with pytest.raises(RecordRejected) as refused:
        people.add_user(console.hub, name, role, password=password, by="test")
    assert refused.value.code == code


def test_what_is_done_with_people_is_in_the_log_without_their_passwords(console: Console) -> None:
    admin = console.as_("admin")
    admin.post("/users", name="dee", role="support", password=PASSWORD)
    admin.post("/users/dee", role="viewer")
    admin.post("/users/dee", active="out")
    with console.hub.store.reading() as tx:
        rows = [row for row in tx.audit_page(50) if row.target == "dee"][::-1]
    assert [(row.actor, row.action) for row in rows] == [
        ("admin", "user added"), ("admin", "user changed"), ("admin", "user changed")
    ]  # fmt: skip
    assert rows[1].before == {"role": "support", "active": True}
    assert rows[1].after == {"role": "viewer", "active": True}
    assert PASSWORD not in repr(rows)
    assert PASSWORD not in admin.get("/audit").text


def test_a_stranger_may_not_be_linked(console: Console) -> None:
    with pytest.raises(NotFound):
        sessions.make_link(console.hub, "stranger", by="test")
    people.change_user(console.hub, "viewer", active=False, by="admin")
    with pytest.raises(HubError, match="AUTH-OUT"):
        sessions.make_link(console.hub, "viewer", by="test")


# What every answer says


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/console.css", "/nowhere", "/api/v1/openapi.json", "/users"])
def test_every_answer_says_what_browsers_may_do_with_it(synced: Console, path: str) -> None:
    headers = synced.as_("admin").get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_no_page_holds_a_script_or_a_style_of_its_own(synced: Console) -> None:
    browser = synced.as_("admin")
    for path in ("/", "/conflicts", "/records/contact", "/mappings/left.yaml/draft", "/users", "/sign-in"):
        page = browser.get(path).text
        assert re.findall(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=|javascript:", page) == [], path


def test_pages_are_not_kept_and_static_files_are_kept_for_ever(synced: Console) -> None:
    page = synced.as_("viewer").get("/")
    assert page.headers["cache-control"] == "no-store"
    sheet = re.search(r'href="(/static/console\.css\?v=\w+)"', page.text)
    assert sheet
    assert "immutable" in Browser(synced.port).get(sheet[1]).headers["cache-control"]
    assert "immutable" not in Browser(synced.port).get("/static/console.css").headers["cache-control"]


@pytest.mark.parametrize("name", ["../app.py", "console.html", "..%2fapp.py", "__init__.py"])
def test_only_the_static_files_are_served(synced: Console, name: str) -> None:
    assert Browser(synced.port).get(f"/static/{name}").status == 404


@pytest.mark.parametrize(
    "given, path",
    [
        ("/runs?connection=a", "/runs?connection=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_after_signing_in_one_stays_on_this_site(given: str, path: str) -> None:
    assert local_path(given) == path


def test_a_form_that_is_too_big_is_not_read(synced: Console) -> None:
    browser = synced.as_("admin")
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Length": str(50 * 1024 * 1024)}
    assert browser.ask("POST", "/theme", "", headers).status == 413


def test_light_and_dark_are_a_choice(synced: Console) -> None:
    browser = synced.as_("viewer")
    browser.post("/theme", theme="dark", to="/runs")
    assert '<html lang="en" data-theme="dark">' in browser.get("/").text
    browser.post("/theme", theme="auto", to="/")
    assert "data-theme" not in browser.get("/").text
