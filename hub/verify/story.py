"""One scripted day at the rehearsed company: what people do in their tools, and what must come of it.

Every scene picks its people by looking at the vendors, acts in a vendor as a person would, and can say afterwards,
again by looking at the vendors and the hub's log, whether what had to happen did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hub.app.context import Hub
from hub.errors import NotFound
from hub.model import Json, LinkRow, LinkState
from hub.twins.client import TwinClient
from hub.twins.company import Company
from hub.verify.acts import Acts
from hub.verify.screen import NEWCOMER

PATIENCE_S = 30.0
LOOK_S = 0.1
BIG = "749.00"  # over the 500 of the rule big_order in mappings/rewards.yaml
CARD = 25  # what that rule gives
PLACES = (("salesforce", "leads", "Email"), ("salesforce", "contacts", "Email"), ("hubspot", "contacts", "email"))


@dataclass(slots=True, kw_only=True)
class Scene:
    """One thing that happens, and how it is judged."""

    title: str
    told: str = ""
    check: Callable[[], str] = field(default=lambda: "")  # what is wrong; nothing if all is well
    wrong: str | None = None

    @property
    def passed(self) -> bool:
        return self.wrong == ""


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody who stands in several systems: connection -> external id."""

    entity_id: int
    ids: dict[str, str]
    values: dict[str, Json]


class Day:
    """The company's day; `run` plays it, `judge` looks back."""

    def __init__(self, hub: Hub, twins: dict[str, TwinClient], company: Company | None = None) -> None:
        """With the `company` that filled the twins: what must follow from data is played, too (hub.verify.acts)."""
        self.hub, self.twins = hub, twins
        self.scenes: list[Scene] = []
        self.lead_seconds: float | None = None
        self._taken: set[int] = set()
        self._acts = Acts(hub, twins, company, self._somebody, self._add) if company is not None else None
        self._people = self._find_people()

    # People

    def _find_people(self) -> Iterator[Person]:
        """Contacts with one live record each in Salesforce (as contact) and in HubSpot, in the order of the store."""
        after_id = 0
        while True:
            with self.hub.store.reading() as tx:
                rows = tx.entities_page("contact", after_id=after_id, limit=200)
                links: dict[int, list[LinkRow]] = {row.id: [] for row in rows}
                for link in tx.links_of(list(links)):
                    links[link.entity_id].append(link)
            if not rows:
                return
            after_id = rows[-1].id
            for row in rows:
                ids = {
                    link.connection: link.external_id or ""
                    for link in links[row.id]
                    if link.state == LinkState.LIVE and link.stream in ("contacts", "customers")
                }
                twice = any(link.state == LinkState.DUPLICATE for link in links[row.id])
                if {"salesforce", "hubspot"} <= ids.keys() and not twice:
                    yield Person(entity_id=row.id, ids=ids, values=row.values)

    def _somebody(self, *systems: str, **wanted: Callable[[Json], bool]) -> Person:
        """The next unused person with records in these systems whose values fit."""
        for person in self._find_people():
            fits = all(test(person.values.get(name)) for name, test in wanted.items())
            if person.entity_id not in self._taken and set(systems) <= person.ids.keys() and fits:
                self._taken.add(person.entity_id)
                return person
        raise NotFound("the company has nobody for this scene", where="hub demo", fix="take more people: --contacts")

    def _record(self, system: str, stream: str, record_id: str) -> dict[str, Json]:
        return dict(self.twins[system].snapshot(stream)[record_id]["fields"])

    # The day

    def run(self) -> None:
        self._same_phone_twice()
        self._unsubscribe()
        self._refused_picklist()
        self._big_order()
        if self._acts is not None:
            self._acts.run()
        self._form()
        if self._acts is not None:
            self._acts.run_after_form(NEWCOMER)

    @property
    def figures(self) -> dict[str, Json]:
        """What was measured besides, once it is judged."""
        return self._acts.figures if self._acts is not None else {}

    def judge(self) -> bool:
        """Look back on every scene."""
        for scene in self.scenes:
            scene.wrong = scene.check()
        return all(scene.passed for scene in self.scenes)

    def _same_phone_twice(self) -> None:
        """The same phone is edited in two CRMs within a moment: one value wins everywhere, and the log says why."""
        person = self._somebody(phone=lambda value: bool(value))
        self.twins["salesforce"].user_edit("contacts", person.ids["salesforce"], {"Phone": "+49 30 5550 111"})
        self.twins["hubspot"].user_edit("contacts", person.ids["hubspot"], {"phone": "+49 30 5550 222"})

        def check() -> str:
            salesforce = self._record("salesforce", "contacts", person.ids["salesforce"])["Phone"]
            hubspot = self._record("hubspot", "contacts", person.ids["hubspot"])["phone"]
            with self.hub.store.reading() as tx:
                logged = tx.conflicts(state=None, entity_id=person.entity_id, field="phone", limit=100)
            lost = {str(each["value"]) for row in logged for each in row.candidates if not each["won"]}
            alike = [text.replace(" ", "") for text in (salesforce, hubspot)] == ["+49305550111"] * 2
            right = (
                alike and "+49305550222" in lost
            )  # Salesforce is the source of phones: it wins, whoever is read first
            return "" if right else f"Salesforce has {salesforce}, HubSpot {hubspot}; lost: {sorted(lost)}"

        self._add("the same phone edited in Salesforce and HubSpot", f"contact:{person.entity_id}", check)

    def _unsubscribe(self) -> None:
        """Somebody unsubscribes in one system while another still says nothing: nobody may be written to again."""
        person = self._somebody(**{"consent.email": lambda value: value is None or value["state"] != "opted_out"})
        self.twins["hubspot"].user_edit("contacts", person.ids["hubspot"], {"hs_email_optout": "true"})
        self.twins["salesforce"].user_edit("contacts", person.ids["salesforce"], {"Title": "Head of Everything"})

        def check() -> str:
            salesforce = self._record("salesforce", "contacts", person.ids["salesforce"])
            hubspot = self._record("hubspot", "contacts", person.ids["hubspot"])
            states = salesforce["HasOptedOutOfEmail"], hubspot["hs_email_optout"]
            return "" if states == (True, "true") else f"Salesforce and HubSpot have {states}"

        self._add("an unsubscribe in HubSpot", f"contact:{person.entity_id}", check)

    def _refused_picklist(self) -> None:
        """A value that another system's picklist does not know: that field waits, the rest of the record goes on."""
        person = self._somebody(language=lambda value: bool(value))
        self.twins["salesforce"].user_action(
            "set_picklist", stream="contacts", field="Preferred_Language__c", values=["de", "en", "fr"], restricted=True
        )
        self.twins["hubspot"].user_edit(
            "contacts", person.ids["hubspot"], {"hs_language": "sv", "jobtitle": "Inköpare"}
        )

        def check() -> str:
            record = self._record("salesforce", "contacts", person.ids["salesforce"])
            with self.hub.store.reading() as tx:
                rows = tx.quarantine(state="open", connection="salesforce", limit=10_000)
            waits = any(row.entity_id == person.entity_id and row.field == "language" for row in rows)
            right = waits and record["Title"] == "Inköpare"
            return "" if right else f"listed: {waits}; Salesforce has {record['Title']!r}"

        self._add("a language that Salesforce's picklist refuses", f"contact:{person.entity_id}", check)

    def _big_order(self) -> None:
        """An order over the threshold is paid; its webhook comes twice; one gift card is ordered."""
        person = self._somebody("shopify")
        shop = self.twins["shopify"]
        shop.set_faults(hook_duplicate_rate=1.0)
        customer = person.ids["shopify"].rsplit("/", 1)[-1]
        order = shop.user_create("orders", {"customer": customer, "total": BIG, "currency": "EUR"})
        shop.user_action("pay_order", order=order)

        def check() -> str:
            orders = [each["fields"] for each in self.twins["plum"].snapshot("orders").values()]
            cards = [each for each in orders if str(each.get("email", "")).lower() == _email(person)]
            given = sum(float(each["denomination"]) == CARD for each in cards)  # others may be due for other reasons
            return "" if given == 1 else f"{given} gift cards"

        self._add(f"an order over {BIG} EUR, its webhook twice", f"contact:{person.entity_id}", check)

    def _form(self) -> None:
        """Somebody new fills in a form; both CRMs must know the lead within seconds."""
        form = next(iter(self.twins["typeform"].snapshot("forms")))
        email = "Ottilie.Neu@example.org"  # NEWCOMER, as she writes it
        answers = {
            "email_ref": email,
            "first_name_ref": "Ottilie",
            "last_name_ref": "Neu-Wagner",
            "company_ref": "Neu & Söhne",
        }
        began = time.monotonic()
        self.twins["typeform"].user_create("responses", {"form_id": form, "answers": answers})
        while time.monotonic() - began < PATIENCE_S:
            if self._is_lead(email.lower()):
                self.lead_seconds = time.monotonic() - began
                break
            time.sleep(LOOK_S)
        self._add("a form filled in by somebody new", email, self._check_lead)

    def _check_lead(self) -> str:
        return "" if self.lead_seconds is not None else f"not in both CRMs after {PATIENCE_S:.0f} s"

    def _is_lead(self, email: str) -> bool:
        """True once both CRMs have a record with this address."""
        found = {
            system
            for system, stream, name in PLACES
            for record in self.twins[system].snapshot(stream).values()
            if str(record["fields"].get(name) or "").lower() == email
        }
        return found == {"salesforce", "hubspot"}

    def _add(self, title: str, told: str, check: Callable[[], str]) -> None:
        self.scenes.append(Scene(title=title, told=told, check=check))


def _email(person: Person) -> str:
    return str(person.values.get("email") or "").lower()
