"""Canaries: secrets and names that stand nowhere else are planted, all is asked to speak, and searched."""

from __future__ import annotations

import io
import logging
import traceback
from collections import deque
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from hub.app.bootstrap import start_logging
from hub.app.projects import set_secret
from hub.cli.app import run
from hub.runtime.log import logger
from hub.runtime.secrets import KEY_FILE
from hub.twins import hubspot, salesforce
from hub.twins.server import serve
from tests.projects import HUB, LEFT_ROWS, make_project
from tests.web.company import until
from tests.web.console import Console, links_of

KEPT = {"hs": "canary-one-7d1f9a03", "hook": "canary-two-7d1f9a04"}
NAMED = {"SF_SECRET": "canary-three-7d1f9a05", "SF_ID": "canary-four-7d1f9a06"}
NAME, MAIL = "Canarywren", "canarywren@example.org"
MORE = """\
  hubspot:
    connector: hubspot
    local: true
    base_url: "{hubspot}"
    auth: {{kind: token, token: secret:hs}}
    webhooks: {{secret: secret:hook}}
  salesforce:
    connector: salesforce
    local: true
    base_url: "{salesforce}"
    auth: {{kind: client_credentials, client_id: env:SF_ID, client_secret: env:SF_SECRET}}
    settings: {{domain: acme.my, marker: Hub_Id__c}}
"""
MAPPING = """\
language: 1
connector: {connector}
streams: {{contacts: {{entity: contact, direction: in, fields: {{email: {{remote: {email}}}}}}}}}
"""
COMMANDS = (
    "sync", "connections list --json", "connections test", "status --json", "runs list --json", "secrets list",
    "quarantine list --json", "mapping check --live", "discover hubspot", "--debug discover salesforce", "plan --json",
)  # fmt: skip


@dataclass
class Said:
    """Everything that the hub said."""

    pages: str
    commands: str
    log: str
    tracebacks: str
    stored: bytes
    key: str  # of the secrets


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """A hub at work, whose CRMs refuse what it signs in with, with rows that are faulty, and with a bug."""
    folder, log = tmp_path_factory.mktemp("canaries"), io.StringIO()
    running = {"hubspot": serve(hubspot.make()), "salesforce": serve(salesforce.make())}
    rows = LEFT_ROWS + f"7,{MAIL},{NAME},030 7654321,\n8,{NAME},no address,,\n9,too,many,cells,,,\n"
    text = HUB + MORE.format(**{name: each.base_url for name, each in running.items()})
    project = make_project(folder, hub=text, left_csv=rows)
    for name, email in (("hubspot", "properties.email"), ("salesforce", "Email")):
        (project / "mappings" / f"{name}.yaml").write_text(MAPPING.format(connector=name, email=email), "utf-8")
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(log):
        patch.delenv("HUB_SECRET_KEY", raising=False)
        for name, value in NAMED.items():
            patch.setenv(name, value)
        for name, value in KEPT.items():
            set_secret(project, name, value)
        console = Console(folder, project=project, worker=True, environ=NAMED)
        start_logging(console.hub)
        console.start()
        try:
            until(lambda: _runs(console) >= 4, "a run of each connection")
            tracebacks = _bugs(console)
            pages = _pages(console)
        finally:
            console.stop()
        patch.chdir(project)
        commands = "\n".join(_said_by(command) for command in COMMANDS)
        key = (project / KEY_FILE).read_text("ascii").strip()
        stored = b"".join(each.read_bytes() for each in project.glob("hub.db*"))
    for each in running.values():
        each.stop()
    return Said(pages=pages, commands=commands, log=log.getvalue(), tracebacks=tracebacks, stored=stored, key=key)


def _runs(console: Console) -> int:
    with console.hub.store.reading() as tx:
        return len({row.connection for row in tx.runs() if row.ended_at})


def _bugs(console: Console) -> str:
    """Exceptions that hold everything, logged as the hub and as a library would; and what our things show."""
    secret = KEPT["hs"]
    try:
        raise ValueError(f"token {secret} of {MAIL}, {NAMED['SF_SECRET']}")
    except ValueError:
        logger("worker").exception("bug", connection="hubspot", body=f"Bearer {secret}", phone="x")
        logging.getLogger("vendor.sdk").exception("call with %s failed for %s", KEPT["hook"], MAIL)
    shown = [repr(console.hub), str(console.hub.vault), repr(console.service)]
    for each in console.hub.connections.values():
        shown += [repr(each), repr(each.settings), repr(each.api), repr(each.fault), str(each.fault)]
    return "\n".join(shown)


def _pages(console: Console) -> str:
    admin, texts = console.as_("admin"), list[str]()
    waiting = deque(
        ["/", "/connections", "/connections/hubspot", "/settings", "/mappings", "/runs", "/audit", "/users"]
    )
    seen = set(waiting)
    while waiting and len(texts) < 60:
        answer = admin.get(waiting.popleft())
        texts.append(f"{answer.headers}{answer.text}")
        for link in links_of(answer.text):
            if not link.startswith(("/static", "/api")) and link not in seen:
                seen.add(link)
                waiting.append(link)
    return "\n".join(texts)


def _said_by(command: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            run(command.split())
        except Exception:  # noqa: BLE001  (--debug)
            traceback.print_exc()
    return f"$ {command}\n{out.getvalue()}"


def test_no_secret_is_in_anything_that_the_hub_says(said: Said) -> None:
    assert "AUTH-EXPIRED" in said.commands, "the systems were asked with them"
    assert '"event": "bug"' in said.log
    assert "hubspot" in said.pages
    for name, secret in (KEPT | NAMED).items():
        for where, text in (
            ("pages", said.pages), ("commands", said.commands), ("log", said.log), ("reprs", said.tracebacks)
        ):  # fmt: skip
            assert secret not in text, (name, where, text[max(0, text.find(secret) - 200) :][:300])
        assert secret.encode() not in said.stored, name


def test_no_name_of_a_person_is_in_the_log(said: Said) -> None:
    assert MAIL.encode() in said.stored, "she was taken in"
    assert "CSV-COLUMNS" in said.pages, "and a faulty row was told"
    for text in (NAME, MAIL, "7654321", "canarywren", "ann@example.org"):
        assert text not in said.log, said.log[max(0, said.log.find(text) - 200) :][:300]


def test_the_key_is_nowhere_but_in_its_own_file(said: Said) -> None:
    assert len(said.key) > 40
    assert said.key not in said.pages + said.commands + said.log + said.tracebacks
    assert said.key.encode() not in said.stored
