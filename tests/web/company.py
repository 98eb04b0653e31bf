"""A small company in a browser: two CRMs and a payment provider behind their own wire, a hub at work, its console."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.runtime.registry import SHIPPED
from hub.twins import hubspot, salesforce, stripe
from hub.twins.server import serve
from tests.web.console import Console

ENVIRONMENT = {"SF_CLIENT_ID": "twin-client", "SF_CLIENT_SECRET": "twin-secret", "HUBSPOT_TOKEN": "twin-token"}
PATIENCE_S = 60.0
HOSTILE = "<img src=x onerror=alert(1)>"

HUB = """\
hub: {{name: acme, currency: EUR, country: DE, timezone: Europe/Berlin, public_url: "https://hub.example.org"}}
defaults: {{mode: live, every: 1h}}
connections:
  salesforce:
    connector: salesforce
    local: true
    base_url: "{salesforce}"
    auth: {{kind: client_credentials, client_id: env:SF_CLIENT_ID, client_secret: env:SF_CLIENT_SECRET}}
    settings: {{domain: acme.my, marker: Hub_Id__c}}
  hubspot:
    connector: hubspot
    local: true
    base_url: "{hubspot}"
    auth: {{kind: token, token: env:HUBSPOT_TOKEN}}
"""

# (first name, last name, title in Salesforce, in HubSpot): titles are a matter of rule manual, names are not.
PEOPLE = (
    ("Ann", "Lee", "Buyer", "Head of Buying"),
    ("Bob", "Ray", "Clerk", "Manager"),
    ("Cy", "Poe", "CEO", "CEO"),
    (HOSTILE, "Tables", "Student", "Pupil"),
)


class Company:
    """The twins and the console over them."""

    def __init__(self, folder: Path) -> None:
        self.twins: dict[str, Any] = {
            "salesforce": salesforce.make(limit_scale=0.0), "hubspot": hubspot.make(limit_scale=0.0),
            "stripe": stripe.make(token="sk_test_twin"),
        }  # fmt: skip
        self._fill()
        self._served = {name: serve(twin) for name, twin in self.twins.items()}
        self.urls = {name: each.base_url for name, each in self._served.items()}
        project = folder / "project"
        shutil.copytree(SHIPPED, project / "mappings", ignore=shutil.ignore_patterns("*.py", "hub.yaml", "__pycache__"))
        canonical = project / "mappings" / "canonical.yaml"
        text = canonical.read_text("utf-8")
        canonical.write_text(text.replace("job_title: {type: text,", "job_title: {type: text, survivorship: manual,"))
        (project / "hub.yaml").write_text(HUB.format(**self.urls), "utf-8")
        self.console = Console(folder, worker=True, project=project, environ=ENVIRONMENT)

    def _fill(self) -> None:
        for n, (first, last, title, other) in enumerate(PEOPLE):
            email = f"person{n}@example.org"
            self.twins["salesforce"].load(
                "contacts", [{"fields": {"Email": email, "FirstName": first, "LastName": last, "Title": title}}]
            )
            fields = {"email": email, "firstname": first, "lastname": f"{last}-Hub", "jobtitle": other}
            self.twins["hubspot"].load("contacts", [{"fields": fields}])

    def start(self) -> None:
        self.console.start()
        until(lambda: self._waiting() >= 3, "the conflicts of the first sync")

    def _waiting(self) -> int:
        with self.console.hub.store.reading() as tx:
            return len(tx.conflicts(state="open"))

    def at_work(self) -> bool:
        with self.console.hub.store.reading() as tx:
            return any(run.ended_at is None for run in tx.runs(limit=20))

    def stop(self) -> None:
        self.console.stop()
        for each in self._served.values():
            each.stop()

    def held(self, system: str, email: str, field: str) -> Any:
        """What a twin itself holds."""
        name = {"salesforce": "Email", "hubspot": "email"}[system]
        records = self.twins[system].snapshot("contacts").values()
        return next(record["fields"].get(field) for record in records if record["fields"].get(name) == email)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that happens in other threads."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"did not come: {what}"
        time.sleep(0.05)


@contextmanager
def open_company(folder: Path) -> Iterator[Company]:
    company = Company(folder)
    try:
        company.start()
        yield company
    finally:
        company.stop()
