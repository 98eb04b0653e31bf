"""The pages with JavaScript off: what a person sees and does through plain links and forms."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from connectors.twilio import CONNECTOR as TWILIO
from hub.app.context import Connection
from hub.app.inbox import alike, conflict_page
from hub.app.worker import Worker
from hub.connector import Settings
from hub.model import EventRow, Grant, Json
from hub.store.rows import SlotRow
from hub.web.app import create_console
from hub.web.server import WebServer, create_app, listen
from hub.web.show import environment, prose
from tests.projects import LEFT, LEFT_ROWS, RIGHT_ROWS
from tests.web.console import Browser, Console, links_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def value_of(console: Console, field: str, email: str = "ann@example.org") -> Json:
    entity = int(console.contact(email).partition(":")[2])
    with console.hub.store.reading() as tx:
        return tx.entities([entity])[entity].values.get(field)


def test_every_page_links_only_to_pages_that_are_there(synced: Console) -> None:
    """A walk from the front page over every link, as an admin."""
    browser, seen, wanted = synced.as_("admin"), set[str](), ["/"]
    while wanted:
        path = wanted.pop()
        seen.add(path)
        answer = browser.get(path)
        assert answer.status in (200, 303), (path, answer.status)
        new = [each for each in links_of(answer.text) if not each.startswith("/static/") and each not in seen]
        wanted += [each for each in dict.fromkeys(new) if each not in wanted]
    assert len(seen) > 40
    assert {"/conflicts", "/mappings/left.yaml/draft", "/connections/add?connector=salesforce"} <= seen


def test_an_empty_hub_says_what_to_do_first(tmp_path: Path) -> None:
    found = Console(tmp_path, hub_yaml="hub: {name: new}\n")
    found.start()
    try:
        for path in (
            "/",
            "/conflicts",
            "/quarantine",
            "/holds",
            "/runs",
            "/rewards",
            "/reward-report",
            "/identity",
            "/connections",
        ):
            answer = found.as_("admin").get(path)
            assert answer.status == 200
            assert 'class="empty"' in answer.text or "Welcome" in answer.text, path
        assert "/connections/add" in found.as_("admin").get("/").text
        assert "/connections/add" not in found.as_("viewer").get("/").text
    finally:
        found.stop()


# Conflicts


def test_a_support_agent_decides_and_the_write_arrives(console: Console) -> None:
    agent, number = console.as_("support"), console.conflict()
    page = agent.get(f"/conflicts/{number}").text
    assert [html.unescape(each) for each in re.findall(r'class="value">([^<]*)<', page)] == ["Anne", "Ann", "Ann"]
    answer = agent.post(f"/conflicts/{number}", choice="0", digest=console.digest(number), note="she told us")
    assert answer.to == f"/conflicts/{number}?done=resolved"
    console.sync()
    assert "1,ann@example.org,Anne," in console.read("data/left.csv")
    assert ("support", "conflict resolved", f"conflict {number}") in console.audit()


@pytest.mark.parametrize("typed, stands", [("Anna", "Anna"), ("  Anna ", "Anna"), ("", None)])
def test_another_value_may_be_typed_and_nothing_blanks(console: Console, typed: str, stands: Json) -> None:
    console.as_("support").post(f"/conflicts/{console.conflict()}", choice="typed", value=typed)
    assert value_of(console, "name") == stands


def test_what_stands_may_be_kept_for_good(console: Console) -> None:
    console.as_("support").post(f"/conflicts/{console.conflict()}", choice="keep")
    console.sync()
    assert value_of(console, "name") == "Ann"
    assert "9,ann@example.org,Ann," in console.read("data/right.csv")


def test_a_decision_over_a_conflict_that_changed_meanwhile_is_refused_and_shows_it_anew(console: Console) -> None:
    agent, number = console.as_("support"), console.conflict()
    answer = agent.post(f"/conflicts/{number}", choice="1", digest="as it was yesterday")
    assert (answer.status, "has changed since it was shown" in answer.text.lower()) == (409, True)
    assert value_of(console, "name") == "Ann"


def test_a_form_without_a_choice_says_so(console: Console) -> None:
    answer = console.as_("support").post(f"/conflicts/{console.conflict()}")
    assert (answer.status, "Nothing was chosen" in answer.text) == (422, True)


def test_an_automatic_decision_is_listed_and_can_be_overruled(tmp_path: Path) -> None:
    found = Console(tmp_path, canonical_yaml=console_rule("{source: [left, right]}"))
    found.start()
    try:
        found.sync()
        agent = found.as_("support")
        page = agent.get("/conflicts?state=decided&kind=first_contact").text
        (path,) = {each for each in links_of(page) if re.fullmatch(r"/conflicts/\d+", each)}
        assert "the rule chose <strong>Ann</strong>" in agent.get(path).text
        assert "overruled by" not in agent.get(path).text
        assert agent.post(path, choice="typed", value="Anne").status == 303
        found.sync()
        assert "1,ann@example.org,Anne," in found.read("data/left.csv")
        page = agent.get(path).text
        assert "overruled by support" in page
        undo = re.search(r'name="choice" value="(\d+)"><p>Before a person overruled it, <strong>Ann</strong>', page)
        assert undo is not None
        admin = found.as_("admin")
        assert "put it back" not in admin.get(path).text
        assert admin.post(path, choice="typed", value="Anna").status == 409, "it is another one's last word"
        assert agent.post(path, choice=undo[1], digest=found.digest(int(path.rpartition("/")[2]))).status == 303
        found.sync()
        assert "1,ann@example.org,Ann," in found.read("data/left.csv")
        assert "Undo: put it back" not in agent.get(path).text
        viewer = found.as_("viewer")
        assert "Overrule" not in viewer.get(path).text
        assert viewer.post(path, choice="typed", value="Bad").status == 403
    finally:
        found.stop()


def console_rule(rule: str) -> str:
    from tests.projects import CANONICAL

    return CANONICAL.replace("name: {type: text}", f"name: {{type: text, survivorship: {rule}}}")


def many(console_rows: int = 5) -> dict[str, Any]:
    """Rows of both files that differ in every name."""
    left = "Id,Email,Name,Phone,Hub\n" + "".join(f"{n},p{n}@example.org,Left {n},,\n" for n in range(console_rows))
    right = "No,Mail,Name,Phone,Hub\n" + "".join(f"{n},p{n}@example.org,Right {n},,\n" for n in range(console_rows))
    return {"left_csv": left, "right_csv": right}


@pytest.fixture
def five(tmp_path: Path) -> Console:
    found = Console(tmp_path, **many())
    found.start()
    found.sync()
    return found


def test_all_alike_are_shown_first_and_then_only_those_that_were_ticked_are_decided(five: Console) -> None:
    try:
        first, *others = [row["conflict"] for row in conflict_page(five.hub)["rows"]]
        right = 0
        shown = alike(five.hub, first, right)
        assert [(row["conflict"], row["old"], row["new"]) for row in shown["rows"]] == [
            (number, f"Left {n}", f"Right {n}") for n, number in enumerate([first, *others])
        ]
        agent = five.as_("support")
        page = agent.get(f"/conflicts/{first}/alike?candidate={right}").text
        ticked = re.findall(r'name="conflict" value="(\d+:\w+)"', page)
        assert len(ticked) == 5
        answer = agent.post(f"/conflicts/{first}/alike", candidate=str(right), conflict=ticked[1:3])
        assert answer.to == "/conflicts?done=alike&n=2"
        left = [row["conflict"] for row in conflict_page(five.hub)["rows"]]
        assert left == [first, *others[2:]]
        assert value_of(five, "name", "p1@example.org") == "Right 1"
    finally:
        five.stop()


def test_after_a_decision_the_next_one_is_there(five: Console) -> None:
    try:
        agent, path = five.as_("support"), f"/conflicts/{conflict_page(five.hub)['rows'][0]['conflict']}"
        for left in range(4, -1, -1):
            path = agent.post(path.partition("?")[0], choice="0", then="next").to
            assert conflict_page(five.hub)["waiting"] == left
        assert re.sub(r"was=\d+&", "", path) == "/conflicts?done=resolved"
    finally:
        five.stop()


@pytest.mark.parametrize(
    "query, count",
    [("", 5), ("type=contact", 5), ("type=company", 0), ("field=name", 5), ("field=phone", 0),
     ("connection=left", 5), ("connection=lef", 0), ("connection=%25", 0), ("older=day", 0), ("older=never", 5)],
)  # fmt: skip
def test_the_inbox_is_narrowed(five: Console, query: str, count: int) -> None:
    try:
        page = five.as_("viewer").get(f"/conflicts?{query}").text
        assert len(re.findall(r'class="row conflict"', page)) == count
    finally:
        five.stop()


def test_the_inbox_is_paged_by_key(five: Console) -> None:
    try:
        seen, edge = [], None
        while True:
            page = conflict_page(five.hub, edge=edge, limit=2)
            seen += [row["conflict"] for row in page["rows"]]
            edge = page["next"]
            if edge is None:
                break
        assert seen == sorted(set(seen))
        assert len(seen) == 5
    finally:
        five.stop()


def test_notes_stand_beside_a_conflict_and_a_record(console: Console) -> None:
    agent, number = console.as_("support"), console.conflict()
    agent.post(f"/conflicts/{number}/notes", text="She is on holiday <b>until</b> Monday")
    agent.post(f"/records/{console.contact()}/notes", text="Prefers mail")
    assert "She is on holiday &lt;b&gt;until&lt;/b&gt; Monday" in agent.get(f"/conflicts/{number}").text
    assert "Prefers mail" in console.as_("viewer").get(f"/records/{console.contact()}").text


# Records


def test_hostile_text_in_names_stays_text(tmp_path: Path) -> None:
    quoted = HOSTILE.replace('"', '""')
    found = Console(
        tmp_path,
        left_csv=LEFT_ROWS.replace(",Ann,", f',"{quoted}",'),
        right_csv=RIGHT_ROWS.replace(",Anne,", f',"Anne {quoted}",'),
    )
    found.start()
    try:
        found.sync()
        browser, number = found.as_("admin"), found.conflict()
        paths = [
            "/conflicts", f"/conflicts/{number}", f"/records/{found.contact()}", "/records/contact", "/plan",
            f"/records/{found.contact()}/why/name", f"/conflicts/{number}/alike?candidate=0", "/runs/1",
            "/search?q=%3Cscript%3E", "/search?q=%22%3E%3Cimg", "/mappings/left.yaml/draft",
        ]  # fmt: skip
        for path in paths:
            text = browser.get(path).text
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in browser.get(f"/conflicts/{number}").text
    finally:
        found.stop()


def test_a_record_shows_each_value_with_its_source_and_who_differs(console: Console) -> None:
    page = console.as_("viewer").get(f"/records/{console.contact()}").text
    assert re.search(r'aria-label="Why name: left"', page)
    assert "Anne" in page, "what the other system holds is shown beside"
    why = console.as_("viewer").get(f"/records/{console.contact()}/why/name", **{"HX-Request": "true"}).text
    assert "rule manual" in why
    assert "<!doctype" not in why


def test_what_a_person_did_has_a_page_of_its_own(console: Console) -> None:
    target, viewer = console.contact(), console.as_("viewer")
    kind, _, number = target.partition(":")
    with console.hub.store.transaction() as tx:
        tx.insert_events(
            [
                EventRow(
                    key=f"contact.wrote:{number}:{at}", name="contact.wrote", entity_id=int(number),
                    subject_id=int(number), at=1.7e9 + at, source="left", silent=False,
                    withdrawn_at=1.8e9 if at == 59 else None,
                )
                for at in range(60)
            ]
        )  # fmt: skip
    assert f"/records/{target}/timeline" in viewer.get(f"/records/{target}").text
    page = viewer.get(f"/records/{target}/timeline").text
    assert page.count('<li class="event">') == 50
    assert page.count("withdrawn") == 1
    older = re.search(rf'href="(/records/{kind}:{number}/timeline\?before=[^"]+)"', page)
    assert older is not None
    assert viewer.get(older[1]).text.count('<li class="event">') == 10
    assert "PAGE-EDGE" in viewer.get(f"/records/{target}/timeline?before=never").text


def test_a_record_is_shown_as_it_was(console: Console) -> None:
    target, viewer = console.contact(), console.as_("viewer")
    page = viewer.get(f"/records/{target}/as-of?at=2999-01-01T00:00").text
    assert re.search(r">name</td><td[^>]*>Ann</td><td[^>]*><span class=\"soft\">the same", page)
    assert 'type="range"' not in viewer.get(f"/records/{target}").text, "nothing changed: there is nothing to slide to"
    part = viewer.get(f"/records/{target}/as-of?step=999", **{"HX-Request": "true"}).text
    assert ("As it was, " in part, "<html" in part) == (True, False)
    assert viewer.get(f"/records/{target}/as-of?at=2001-01-01").status == 404, "nobody knew of it then"
    assert "WHY-TIME" in viewer.get(f"/records/{target}/as-of?at=yesterday").text


# Quarantine


def test_quarantine_is_listed_by_code_and_tried_again_once_it_is_mended(tmp_path: Path) -> None:
    found = Console(tmp_path, left_csv=LEFT_ROWS.replace("030 1234567", "not a phone"))
    found.start()
    try:
        found.sync()
        agent = found.as_("support")
        (path,) = {
            each for each in links_of(agent.get("/quarantine").text) if re.fullmatch(r"/quarantine/[A-Z0-9-]+", each)
        }
        page = agent.get(path).text
        assert "not a phone" in page
        (row,) = re.findall(r'name="row" value="(\d+)"', page)
        assert agent.post(f"{path}/retry", which="some", row=row).to == f"{path}?done=retried&n=0"
        found.edit("data/left.csv", "not a phone", "030 1234567")
        assert agent.post(f"{path}/retry", which="all").to == f"{path}?done=retried&n=1"
        assert value_of(found, "phone") == "+49301234567"
        assert ("support", "quarantine retried", f"quarantine {row}") in found.audit()
    finally:
        found.stop()


# Connections


def test_a_connection_is_added_and_its_credentials_are_never_seen_again(console: Console) -> None:
    admin = console.as_("admin")
    secret = "sk_live_" + "0123456789abcdef"
    answer = admin.post("/connections/add", connector="stripe", name="billing", kind="token", secret__token=secret)
    assert answer.to == "/connections/billing?done=added", answer.text
    text = console.read("hub.yaml")
    assert "token: secret:billing.token" in text
    assert "mode: observe" in text
    with console.hub.store.reading() as tx:
        sealed = tx.secret("billing.token")
    assert console.hub.vault is not None
    assert console.hub.vault.unseal(sealed, "billing.token") == secret
    places = [admin.get(path).text for path in ("/connections/billing", "/settings", "/audit", "/connections")]
    places += [text, *(file.read_bytes().decode("latin-1") for file in console.project.glob("hub.db*"))]
    assert not any(secret in place for place in places)
    assert console.hub.connections["billing"].mode == "observe"


@pytest.mark.parametrize(
    "form, word",
    [
        ({"connector": "stripe", "name": "left", "kind": "token", "secret__token": "x"}, "connection left already"),
        ({"connector": "stripe", "name": "b", "kind": "token", "secret__token": " "}, "missing: token"),
        ({"connector": "stripe", "name": "b", "kind": "none"}, "choose how to sign in"),
        ({"connector": "stripe", "name": "No Name", "kind": "token", "secret__token": "x"}, "no name for a connection"),
        ({"connector": "nothing", "name": "b"}, "no connector nothing"),
    ],
)  # fmt: skip
def test_a_connection_that_cannot_be_is_refused_and_leaves_nothing(
    console: Console, form: dict[str, Any], word: str
) -> None:
    before = console.read("hub.yaml")
    answer = console.as_("admin").post("/connections/add", **form)
    assert (answer.status, word in html.unescape(answer.text).lower()) == (422, True), answer.text
    assert console.read("hub.yaml") == before
    with console.hub.store.reading() as tx:
        assert [name for name in tx.secrets() if ":" not in name] == []


def test_a_mode_is_changed_in_the_file_and_comments_stay(console: Console) -> None:
    console.edit("hub.yaml", "  left:\n", "  # the old one\n  left:\n")
    console.as_("admin").post("/connections/left/mode", mode="observe")
    assert "# the old one" in console.read("hub.yaml")
    assert console.hub.connections["left"].mode == "observe"
    assert ("admin", "mode changed", "left") in console.audit()


def test_a_connection_is_tried(console: Console) -> None:
    assert "It answers" in console.as_("admin").post("/connections/left/test").text
    (console.project / "data" / "left.csv").unlink()
    assert "FILE-NOT-THERE" in console.as_("admin").post("/connections/left/test").text


def test_a_run_is_begun_watched_and_a_pause_lets_slots_pass(tmp_path: Path) -> None:
    import time

    found = Console(tmp_path, worker=True)
    found.start()
    try:
        admin = found.as_("admin")
        deadline = time.monotonic() + 60
        while not conflict_page(found.hub)["waiting"] and time.monotonic() < deadline:
            time.sleep(0.1)
        admin.post("/connections/left/pause")
        found.edit("data/left.csv", "bob@example.org,Bob,", "bob@example.org,Bob,030 7654321")
        with found.hub.store.reading() as tx:
            before = len(tx.runs(connection="left"))
        worker = found.service._worker
        assert isinstance(worker, Worker)
        while not any(row.why == "paused by admin" for row in slots(found)) and time.monotonic() < deadline:
            worker.tick("left", found.hub.clock.now())  # one that comes while a run is still going says so instead
            time.sleep(0.1)
        assert slots(found)[0].outcome == "skipped"
        with found.hub.store.reading() as tx:
            assert len(tx.runs(connection="left")) == before
        admin.post("/connections/left/resume")
        answer = admin.post("/connections/left/run")
        assert answer.to == "/connections/left?done=run"
        while value_of(found, "phone", "bob@example.org") is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert value_of(found, "phone", "bob@example.org") == "+49307654321"
        assert admin.get("/connections/left/progress").status == 200
    finally:
        found.stop()


def slots(console: Console) -> list[SlotRow]:
    with console.hub.store.reading() as tx:
        return list(tx.slots("left", limit=1))


# Mappings


PUBLISHED = LEFT.replace("name: {remote: Name}", "name: {remote: Name, transforms: [upper], lossy: accept}")


def test_a_mapping_is_drafted_compared_published_and_rolled_back(console: Console) -> None:
    admin, path = console.as_("admin"), "/mappings/left.yaml"
    assert admin.post(f"{path}/draft", what="save", text=PUBLISHED).to == f"{path}/draft?done=draft"
    assert console.read("mappings/left.yaml") == LEFT, "a draft touches nothing"
    change = admin.get(f"{path}/change").text
    assert re.search(r"left people</td><td[^>]*>name</td><td[^>]*>2</td>", change)
    assert "ANN" in change
    assert admin.post(f"{path}/publish").to == f"{path}?done=published"
    assert console.read("mappings/left.yaml") == PUBLISHED
    assert console.hub.connections["left"].mapping_version == 2
    assert admin.post(f"{path}/versions/1").to == f"{path}?done=published"
    assert console.read("mappings/left.yaml") == LEFT
    assert console.hub.connections["left"].mapping_version == 3
    assert [what for who, what, on in console.audit() if on == "left.yaml" and who == "admin"] == ["published"] * 2


def test_a_draft_that_does_not_pass_cannot_be_published(console: Console) -> None:
    admin, path = console.as_("admin"), "/mappings/left.yaml"
    admin.post(f"{path}/draft", what="save", text=LEFT.replace("email: {remote", "emial: {remote"))
    assert "MAP-001" in admin.get(f"{path}/draft").text
    answer = admin.post(f"{path}/publish")
    assert (answer.status, "emial" in answer.text) == (422, True)
    assert console.read("mappings/left.yaml") == LEFT


def test_a_draft_of_a_file_that_moved_on_is_not_published_over_it(console: Console) -> None:
    admin, path = console.as_("admin"), "/mappings/left.yaml"
    admin.post(f"{path}/draft", what="save", text=PUBLISHED)
    console.edit("mappings/left.yaml", "name: {remote: Name}", "name: {remote: Name, transforms: [trim]}")
    answer = admin.post(f"{path}/publish")
    assert (answer.status, "DRAFT-STALE" in answer.text) == (409, True)
    assert "trim" in console.read("mappings/left.yaml")


def test_one_field_is_mapped_by_the_form_and_the_rest_of_the_file_stays(console: Console) -> None:
    console.edit("mappings/left.yaml", "streams:\n", "# ours\nstreams:\n")
    admin, path = console.as_("admin"), "/mappings/left.yaml"
    answer = admin.post(
        f"{path}/draft", what="field", stream="people", name="nickname", remote="Hub", direction="in", type="text"
    )
    assert answer.to == f"{path}/draft?done=draft"
    page = html.unescape(admin.get(f"{path}/draft").text)
    assert "# ours" in page
    assert re.search(r"custom:\s+nickname:\s+remote: Hub\s+direction: in\s+type: text", page)
    assert admin.post(f"{path}/publish").status == 303
    assert "nickname" in console.hub.canonical.entities["contact"].fields


def test_what_is_typed_is_checked_and_previewed_at_once_and_not_kept(console: Console) -> None:
    admin, path = console.as_("admin"), "/mappings/left.yaml"
    page = admin.post(f"{path}/preview", text=PUBLISHED).text
    page = re.sub(r' data-label="[^"]*"', "", page)
    assert "<td>name</td><td>Ann</td><td>Ann</td>" in page, "what the system says, and what is read now"
    assert "ANN" in page
    assert "What right would get" in page
    assert "No YAML" in admin.post(f"{path}/preview", text="streams: [").text
    with console.hub.store.reading() as tx:
        assert tx.drafts() == []


@pytest.mark.parametrize("file", ["hub.yaml", "..%2Fhub.yaml", "nothing.yaml", "%2Fetc%2Fpasswd"])
def test_only_files_of_mappings_are_shown(console: Console, file: str) -> None:
    admin: Browser = console.as_("admin")
    assert admin.get(f"/mappings/{file}").status == 404
    assert admin.post(f"/mappings/{file}/draft", what="save", text="x").status == 404


def test_a_bug_is_a_page_that_says_so(console: Console) -> None:
    def breaks(_request: object) -> Response:
        raise KeyError("a bug")

    pages, listening = create_console(console.service), listen("127.0.0.1", 0)
    pages.add_route("/breaks", breaks)
    server = WebServer(create_app(console.hub, poke=console.service.poke, console=pages), listening)
    server.start()
    try:
        answer = Browser(listening.getsockname()[1]).get("/breaks")
    finally:
        server.stop()
    assert answer.status == 500
    assert "Something went wrong in the hub itself" in answer.text
    assert "a bug" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_the_state_of_rewards_that_is_shown_is_the_one_that_is_marked(synced: Console) -> None:
    viewer = synced.as_("viewer")
    whole, given = viewer.get("/rewards").text, viewer.get("/rewards?state=issued").text
    assert re.search(r'<a href="/rewards" aria-current="page">all</a>', whole)
    assert "As soon as a rule’s event happens" in whole
    assert re.search(r'<a href="/rewards\?state=issued" aria-current="page">given</a>', given)
    assert "None is in this state." in given


def test_a_draft_is_seen_from_every_page_until_it_is_published_or_dropped(console: Console) -> None:
    support, admin = console.as_("support"), console.as_("admin")
    badge = re.compile(r'href="/mappings".*?<span class="count">1<span', re.DOTALL)
    assert not badge.search(admin.get("/").text.partition("/settings")[0])
    number = console.conflict()
    before = console.read("mappings/canonical.yaml")
    assert support.post(f"/conflicts/{number}/policy", policy="newest", note="x").to.endswith("done=policy")
    assert badge.search(admin.get("/").text.partition("/settings")[0])
    draft = admin.get("/mappings/canonical.yaml/draft").text
    assert "What is changed" in draft, "somebody else began it"
    changed = re.findall(r"^[+-](?![+-]).*", html.unescape(draft), re.MULTILINE)
    assert [(line[0], "survivorship" in line) for line in changed] == [("-", True), ("+", True)], "one line, no other"
    admin.post("/mappings/canonical.yaml/draft", what="drop")
    assert not badge.search(admin.get("/").text.partition("/settings")[0])
    assert console.read("mappings/canonical.yaml") == before


def test_ids_and_names_in_a_sentence_stay_as_they_are_written() -> None:
    show = environment().filters
    assert show["begun"]("unknown field firstName of HubSpot") == "Unknown field firstName of HubSpot"
    assert prose("say `missing: create`, <b>") == "say <code>missing: create</code>, &lt;b&gt;"
    assert prose("one ` alone") == "one ` alone"
    assert [show["several"](name) for name in ("contact", "company", "day", "form_submission", "tax")] == [
        "contacts", "companies", "days", "form submissions", "taxes"
    ]  # fmt: skip
    assert show["several"]("page", 1) == "page"


def test_every_template_imports_the_pieces_that_it_is_made_of() -> None:
    """A piece that is not imported shows only where a page has something to show with it."""
    known, lacking = environment(), {}
    assert known.loader is not None
    for name in known.list_templates(extensions=["html"]):
        text, _, _ = known.loader.get_source(known, name)
        used = set(re.findall(r"\b(chip|at|when|empty|run_state|grant_state|icon)\(", text))
        imported = re.search(r'{% from "_parts.html" import (.*?) with context %}', text)
        had = set(re.split(r", | as ", imported[1])) if imported else set()
        if used - had and name not in ("_parts.html", "_hold.html"):  # a piece itself; included by pages that import
            lacking[name] = used - had
        if re.search(r"{% (from|import) (?:(?! with context).)*? %}", text):
            lacking[name] = {"a piece that does not know whose clock the page goes by"}
    assert lacking == {}


def test_a_reward_that_did_not_arrive_waits_for_somebody_and_is_sent_another_way(console: Console) -> None:
    settings = Settings(values={"templates": {"thanks": {"text": "{link}"}}}, auth={})
    console.hub.connections["sms"] = Connection(
        name="sms", connector=TWILIO, api=None, settings=settings, mode="live", mappings={},
        streams={stream.name: stream for stream in TWILIO.streams},
    )  # fmt: skip
    ann = int(console.contact("ann@example.org").partition(":")[2])
    with console.hub.store.transaction() as tx:
        number = tx.reserve_ids("grant", 1)[0]
        tx.add_grant(Grant(
            id=number, key="k", rule="thanks", subject_id=ann, event_id=None, connection="sms", product="thanks",
            amount="25", currency="EUR", budget="", reference="r", state="undelivered", order_id="SM1", not_before=0.0,
            recipient={"email": "ann@example.org"}, detail="DLV-FAILED: it did not arrive (TWILIO-30003)",
        ))  # fmt: skip
    approver, page = console.as_("approver"), f"/rewards/{number}"
    assert f'href="{page}"' in approver.get("/rewards?state=undelivered").text
    shown = approver.get(page).text
    assert "TWILIO-30003" in shown
    assert "<option>sms/thanks</option>" in shown
    assert "Send it another way" not in console.as_("viewer").get(page).text
    assert approver.post(f"{page}/resend", way="mail/other").status >= 400
    assert approver.post(f"{page}/resend", way="sms/thanks").to.startswith(page)
    told = approver.get(page).text
    assert "Send it another way" not in told
    assert "by sms/thanks: grant" in told
    with console.hub.store.reading() as tx:
        assert [(each.state, each.amount, each.parent_id) for each in tx.grants()] == [
            ("issued", "25", None), ("reserved", "0", number),
        ]  # fmt: skip
