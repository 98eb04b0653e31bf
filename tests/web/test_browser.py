"""The console in a real browser: by keyboard, on a phone, light and dark, with JavaScript and without.

Needs Chromium, which is no Python package: without it these tests are left out, and say so.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hub.app.pairs import REVIEW, WEAK_KEY, pair
from hub.app.review import resolve_conflict
from hub.app.sessions import make_link
from tests.web.company import HOSTILE, PEOPLE, Company, open_company, until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: the console is not tried in a browser"),
    pytest.mark.timeout(600),
]
PATIENCE_MS = 40_000  # a machine may be busy with other tests; what is right is right after a while, too
WIDE: Any = {"width": 1440, "height": 900}
PHONE: Any = {"width": 390, "height": 844}
PAGES = (
    "/", "/conflicts", "/conflicts?state=decided", "/conflicts?state=decided&kind=first_contact", "/conflicts/@open",
    "/conflicts/@open/alike?candidate=0", "/records", "/records/contact", "/records/@record", "/search?q=person",
    "/search?q=hubspot", "/records/@record/why/name", "/records/@record/timeline",
    "/records/@record/as-of?at=2999-01-01",
    "/quarantine", "/quarantine/MAP-PARENT-NONE", "/holds", "/plan", "/runs", "/runs/1",
    "/rewards", "/reward-report", "/identity", "/connections", "/connections/hubspot", "/connections/add",
    "/connections/add?connector=salesforce", "/connections/add?connector=csv", "/mappings", "/mappings/hubspot.yaml",
    "/mappings/canonical.yaml", "/mappings/hubspot.yaml/draft", "/mappings/hubspot.yaml/change",
    "/mappings/hubspot.yaml/versions/1", "/mappings/hubspot.yaml/fields", "/plan/@plan", "/plan/errand",
    "/triggers", "/triggers/add", "/triggers/big_spender", "/triggers/big_spender/draft", "/firings",
    "/figures", "/figures/close_rate", "/figures/referrals?by=week&segment=source&records=yes",
    "/figures/data_quality?as_of=2026-01-01", "/goals", "/data", "/audit", "/users",
    "/settings", "/codes/NET-429", "/nowhere",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shown_pair(company: Company) -> Company:
    """With two people who may be one."""
    with company.console.hub.store.transaction() as tx:
        one, other = (row.id for row in tx.entities_page("contact", limit=2))
        tx.add_reviews([pair(REVIEW, one, other, by=WEAK_KEY, at=1.0, evidence={"key": "phone"})])
    return company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with open_company(tmp_path) as found:
        yield found


def enter(company: Company, chromium: Browser, role: str, **options: Any) -> Page:
    """A page in which the person of this role is signed in, by a link; nothing may go wrong in it unseen."""
    options = {"viewport": WIDE, **options}
    context = chromium.new_context(base_url=company.console.url, **options)
    context.set_default_timeout(2 * PATIENCE_MS)
    page = context.new_page()
    watch(page, company.console.url)
    page.goto(make_link(company.console.hub, role, by="test"))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/$"))
    page.wait_for_load_state()  # keys are heard once the script is there
    return page


def watch(page: Page, url: str) -> None:
    """Errors of scripts, requests to elsewhere and dialogs fail the test."""

    def asked(request: Any) -> None:
        assert request.url.startswith(url), f"asked elsewhere: {request.url}"

    def dialog(found: Any) -> None:
        raise AssertionError(f"a dialog: {found.message}")

    page.on("request", asked)
    page.on("dialog", dialog)
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))


# A support agent with a customer on the phone


def test_a_conflict_takes_three_keystrokes_and_the_write_arrives(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "support")
    page.goto("/conflicts?field=job_title")
    first = page.locator("a.row").first.inner_text()
    person = next(n for n, (_, last, _, _) in enumerate(PEOPLE) if last in first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("job title")
    wanted = page.locator("label[for=c1] .value").inner_text()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Decided. Here is the next one")
    expect(page.get_by_role("heading", level=1)).to_contain_text("job title")
    email = f"person{person}@example.org"
    until(lambda: company.held("salesforce", email, "Title") == wanted, "the title in Salesforce")
    until(lambda: company.held("hubspot", email, "jobtitle") == wanted, "the title in HubSpot")


def test_another_value_is_typed_by_keyboard_alone(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "support")
    page.goto("/conflicts?field=job_title")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("job title")
    page.keyboard.press("t")
    page.keyboard.type("Chief 1 / 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Decided")
    until(lambda: "Chief 1 / 2" in titles(company, "salesforce"), "the typed title in Salesforce")
    until(lambda: "Chief 1 / 2" in titles(company, "hubspot"), "the typed title in HubSpot")


def titles(company: Company, system: str) -> list[Any]:
    field = {"salesforce": "Title", "hubspot": "jobtitle"}[system]
    return [record["fields"].get(field) for record in company.twins[system].snapshot("contacts").values()]


def test_an_automatic_decision_is_overruled_and_the_write_arrives(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "support")
    page.goto("/conflicts?state=decided&kind=first_contact&field=name")
    page.get_by_role("link", name=re.compile("Ann Lee")).click()
    expect(page.get_by_text("So the rule chose")).to_be_visible()
    page.get_by_label("Last name").fill("Overruled")
    page.get_by_role("button", name="Overrule").click()
    expect(page.get_by_role("status")).to_contain_text("Decided")
    until(lambda: company.held("hubspot", "person0@example.org", "lastname") == "Overruled", "the name in HubSpot")
    until(lambda: company.held("salesforce", "person0@example.org", "LastName") == "Overruled", "in Salesforce")


def test_a_viewer_can_do_neither(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "viewer")
    for path in ("/conflicts", "/conflicts?state=decided&kind=first_contact"):
        page.goto(path)
        page.locator("a.row").first.click()
        expect(page.get_by_text("Your role may look, and not decide.")).to_be_visible()
        expect(page.locator("main form")).to_have_count(0)
        before = page.url
        for key in ("1", "Enter"):
            page.keyboard.press(key)
        assert page.url == before


def test_without_javascript_a_conflict_is_read_and_decided(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "support", java_script_enabled=False)
    page.goto("/conflicts?field=job_title")
    page.locator("a.row").first.click()
    wanted = page.locator("label[for=c2] .value").inner_text()
    page.locator("#c2").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Decided")
    until(lambda: wanted in titles(company, "hubspot") and wanted in titles(company, "salesforce"), "the write")


def test_a_record_is_found_while_its_name_is_typed(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "viewer")
    page.keyboard.press("/")
    page.keyboard.type("person1")
    page.get_by_role("link", name=re.compile("Bob")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bob Ray")
    page.get_by_label(re.compile("^Why job title")).click()
    expect(page.locator("[id^=why-] .why-box")).to_contain_text("rule manual")
    page.get_by_label(re.compile("^Why email")).hover()  # under the pointer it explains itself, without a click
    expect(page.locator(".tip .why-box:visible")).to_contain_text("person1@example.org")
    page.keyboard.press("Escape")
    expect(page.locator(".tip .why-box:visible")).to_have_count(0)
    page.get_by_label(re.compile("^Slide back")).press("Home")
    expect(page.locator("#past")).to_contain_text("As it was")


def test_hostile_text_in_names_stays_text(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "admin")
    page.goto("/search?q=Tables")
    page.locator("main a.row").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    for path in ("/conflicts", "/plan", "/records/contact", "/mappings/hubspot.yaml/draft"):
        page.goto(path)
        expect(page.locator("main img")).to_have_count(0)


# An admin who has never seen it


def test_an_admin_adds_a_connection_maps_a_field_publishes_and_rolls_back(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "admin")
    page.goto("/connections")
    page.get_by_role("link", name="Add a connection").click()
    page.get_by_role("link", name=re.compile("^Stripe")).click()
    page.get_by_label("Token").fill("sk_test_twin")
    page.get_by_text("A server on this machine").click()
    page.get_by_label("Its address").fill(company.urls["stripe"])
    page.get_by_role("button", name="Add, in mode observe").click()
    expect(page.get_by_role("status").first).to_contain_text("Added")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("It answers")).to_be_visible()

    page.goto("/mappings/hubspot.yaml/draft")
    page.get_by_label("Stream").select_option("contacts")
    page.get_by_label("Field over there").fill("jobtitle")
    page.get_by_label("Way").select_option("in")
    page.get_by_label("Field here").fill("role_text")
    page.get_by_label("New field of type").select_option("text")
    page.get_by_role("button", name="Into the draft").click()
    expect(page.locator("#preview")).to_contain_text("role text")
    page.get_by_role("link", name="What would change").click()
    expect(page.get_by_role("cell", name="role text").first).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("status")).to_contain_text("Published")
    expect(page.get_by_role("cell", name=re.compile("^role_text"))).to_be_visible()
    page.get_by_role("link", name="1", exact=True).click()
    page.get_by_role("button", name="Roll back to this version").click()
    expect(page.get_by_role("status")).to_contain_text("Published")
    expect(page.get_by_role("cell", name=re.compile("^role_text"))).to_have_count(0)


def test_an_admin_writes_a_trigger_tries_it_publishes_and_rolls_back(company: Company, chromium: Browser) -> None:
    with company.console.hub.store.reading() as tx:
        conflict = tx.conflicts(state="open", field="job_title", limit=1)[0].id or 0
    resolve_conflict(company.console.hub, conflict, value="Chief", by="test")  # a past to try it on
    page = enter(company, chromium, "admin")
    page.goto("/triggers/add")
    page.get_by_label("Name", exact=True).fill("promoted")
    page.get_by_label("What it is for").fill("The team hears of new titles.")
    field, checks = page.get_by_label("Field", exact=True), page.locator("#preview")
    expect(field).not_to_be_visible()
    page.get_by_label("A field changes").check()
    field.fill("contact.name")
    page.get_by_label("Tell the team").check()
    page.get_by_label("Text", exact=True).fill("Somebody has a new title.")
    page.get_by_label("What was before never fires").fill("2026-01-01T00:00:00Z")
    page.get_by_role("button", name="Begin the draft").click()

    yaml = page.get_by_label("YAML of promoted")
    expect(yaml).to_have_value(re.compile("field: contact.name"))
    field.fill("contact.jobtitle")  # what the form says, the YAML says, and the checks judge
    expect(yaml).to_have_value(re.compile("field: contact.jobtitle"))
    expect(checks).to_contain_text("Did you mean contact.job_title?")
    yaml.fill(yaml.input_value().replace("contact.jobtitle", "contact.job_title"))  # and the other way round
    expect(field).to_have_value("contact.job_title")
    expect(checks).to_contain_text("Every check passes")
    page.get_by_role("region", name="The same as YAML").get_by_role("button", name="Into the draft").click()
    expect(page.get_by_role("status")).to_contain_text("The draft is kept")

    page.get_by_role("button", name="Try it on the past").click()
    expect(page.get_by_text("1 person").first).to_be_visible()
    page.goto("/triggers")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("status")).to_contain_text("Published")
    assert "promoted" in company.console.hub.triggers.rules
    page.get_by_role("link", name="1", exact=True).click()
    page.get_by_role("button", name="Roll back to this version").click()
    expect(page.get_by_role("status")).to_contain_text("Published")
    assert "promoted" not in company.console.hub.triggers.rules


def test_a_pair_is_decided_by_keys_and_only_the_one_that_was_gone_to(shown_pair: Company, chromium: Browser) -> None:
    page = enter(shown_pair, chromium, "support")
    page.goto("/identity")
    expect(page.get_by_role("button", name=re.compile("^They are one"))).to_have_count(1)
    page.keyboard.press("x")  # no pair was gone to: nothing is decided
    page.goto("/identity")
    expect(page.get_by_role("button", name=re.compile("^They are one"))).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("status")).to_contain_text("Kept apart for good")
    expect(page.get_by_text("Nobody is in doubt")).to_be_visible()


def test_what_is_typed_into_a_draft_is_checked_while_it_is_typed(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "admin")
    page.goto("/mappings/hubspot.yaml/draft")
    text = page.locator("#text").input_value()
    page.locator("#text").fill(text.replace("job_title: {remote", "job_titel: {remote"))
    expect(page.locator("#preview")).to_contain_text("MAP-001")


def test_a_run_shows_how_far_it_is(company: Company, chromium: Browser) -> None:
    page = enter(company, chromium, "admin")
    until(lambda: not company.at_work(), "the end of what runs by itself")
    company.twins["hubspot"].set_faults(latency_s=0.4)
    page.goto("/connections/hubspot")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#progress")).to_be_visible()
    company.twins["hubspot"].set_faults(latency_s=0.0)
    expect(page.locator("#progress")).to_contain_text("ended", timeout=60_000)


# Plans, and what is taken back


def test_a_run_is_undone_by_two_people_who_saw_what_it_would_write(company: Company, chromium: Browser) -> None:
    email = "person0@example.org"
    until(lambda: company.held("hubspot", email, "lastname") == "Lee", "the name in HubSpot")
    with company.console.hub.store.reading() as tx:
        run = next(row.id for row in tx.runs(limit=50, connection="hubspot") if tx.intents_of_run(row.id))
    admin = enter(company, chromium, "admin")
    admin.goto(f"/runs/{run}")
    admin.get_by_role("button", name=re.compile("See what an undo")).click()
    link = admin.get_by_role("link", name=re.compile(r"^Plan \d+$")).first
    expect(link).to_be_visible()  # the page says by itself when it is ready
    plan = str(link.get_attribute("href"))
    admin.goto(plan)
    expect(admin.get_by_text("Ann Lee-Hub").first).to_be_visible()
    assert company.held("hubspot", email, "lastname") == "Lee"
    approver = enter(company, chromium, "approver")
    approver.goto(plan)
    approver.get_by_label("Why").press("Enter")  # approves nothing
    approver.get_by_label("Write 1", exact=True).check()
    approver.get_by_role("button", name="Make only those ticked").click()
    until(lambda: "Hub" in str(company.held("hubspot", email, "lastname")), "the old name in HubSpot")
    others = [company.held("hubspot", f"person{n}@example.org", "lastname") for n in (1, 2)]
    assert others == ["Ray", "Poe"]


# Everybody


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with open_company(tmp_path_factory.mktemp("company")) as found:
        yield found


FORMS = {"light-wide": (WIDE, "light"), "dark-phone": (PHONE, "dark")}
OTHERS = {"dark-wide": (WIDE, "dark"), "light-phone": (PHONE, "light")}


@pytest.mark.parametrize(
    ("size", "scheme"),
    [*FORMS.values(), *(pytest.param(*each, marks=pytest.mark.long) for each in OTHERS.values())],
    ids=[*FORMS, *OTHERS],
)
def test_every_page_is_accessible_and_fits(shown: Company, chromium: Browser, size: Any, scheme: Any) -> None:
    page = enter(shown, chromium, "admin", viewport=size, color_scheme=scheme)
    page.goto("/conflicts")
    open_one = str(page.locator("a.row").first.get_attribute("href")).rpartition("/")[2]
    page.goto("/search?q=person0")
    record = str(page.locator("main a.row").first.get_attribute("href")).rpartition("/")[2]
    page.goto("/plan")
    page.get_by_role("button", name="Make a plan").click()
    expect(page.get_by_role("link", name=re.compile(r"^Plan \d+$")).first).to_be_visible()
    plan = str(page.get_by_role("link", name=re.compile(r"^Plan \d+$")).first.get_attribute("href")).rpartition("/")[2]
    places = {"@open": open_one, "@record": record, "@plan": plan}
    wrong = [found for path in PAGES if (found := faults(page, re.sub(r"@\w+", lambda it: places[it[0]], path)))]
    for path, button in ((f"/records/{record}", "Erase …"), (f"/records/{record}", "See what a merge would do …")):
        page.goto(path)
        page.get_by_label("Is one with").fill("person1@example.org")
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("link", name="Rather not")).to_be_visible()
        wrong += [found for found in [faults(page)] if found]
    page.goto("/connections/hubspot")
    page.get_by_role("button", name="See what it takes …").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Read hubspot again?")
    wrong += [found for found in [faults(page)] if found]
    stranger = chromium.new_context(base_url=shown.console.url, viewport=size, color_scheme=scheme).new_page()
    wrong += [found for path in ("/sign-in", "/sign-in/x") if (found := faults(stranger, path))]
    assert wrong == []


def faults(page: Page, path: str = "") -> str:
    """What axe finds on a page (the one that is shown unless another is named), and whether it is too wide."""
    if path:
        page.goto(path)
    found = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in Axe().run(page).response["violations"]]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if over > 0:
        found.append(f"{over} px wider than the screen")
    return f"{path}: {'; '.join(found)}" if found else ""


def test_a_menu_folds_out_on_a_phone(shown: Company, chromium: Browser) -> None:
    page = enter(shown, chromium, "admin", viewport=PHONE)
    expect(page.get_by_role("link", name="Runs")).not_to_be_visible()
    page.get_by_text("Menu").click()
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_the_box_shows_its_findings_whole_and_whoever_is_done_finds_the_way_out(
    shown: Company, chromium: Browser
) -> None:
    page = enter(shown, chromium, "admin")
    way_out = page.get_by_role("button", name="Sign out").bounding_box()
    assert way_out is not None
    assert way_out["y"] + way_out["height"] <= WIDE["height"]
    page.keyboard.press("/")
    page.keyboard.type("person1")
    found = page.locator("#find-wide-results")
    expect(found.get_by_role("link", name=re.compile("Bob")).first).to_be_visible()
    box = found.bounding_box()
    assert box is not None
    seen = "([x, y]) => !!document.elementFromPoint(x, y).closest('#find-wide-results')"
    assert page.evaluate(seen, [box["x"] + box["width"] - 12, box["y"] + 30]), "the menu cuts it off"


def test_axe_and_the_measure_see_what_is_wrong(chromium: Browser) -> None:
    """A page that is wrong on purpose: these checks can fail."""
    context: BrowserContext = chromium.new_context(viewport=PHONE)
    page = context.new_page()
    page.route("http://wrong.test/", lambda route: route.fulfill(
        content_type="text/html", body="<html><body><img src=x><div style='width:900px'>x</div></body></html>"
    ))  # fmt: skip
    page.route("http://wrong.test/x", lambda route: route.fulfill(status=404, body=""))
    told = faults(page, "http://wrong.test/")
    assert "image-alt" in told
    assert "wider than the screen" in told
