"""What the invented company's people do with its customers: campaigns, tasks and tickets in both CRMs.

It draws from numbers of its own, so the rest of the company is the same with and without it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub.twins.company_crm import Crm
from hub.twins.company_people import Person
from hub.twins.company_views import DAY_S, Ledger, draw_times
from hub.twins.salesforce_schema import make_id

Json = Any
CAMPAIGNS = (("Spring Fair", "Trade Show"), ("Product Webinar", "Webinar"), ("Newsletter", "Email"))
SUBJECTS = ("Call back", "Send offer", "Ask for feedback", "Prepare meeting")
TICKETS = ("Cannot sign in", "Invoice is wrong", "How do I export?", "Parcel arrived broken")
LISTS = (("Friends of the house", "MANUAL"), ("Spent much", "DYNAMIC"))
MEMBER_SHARE, TASK_SHARE, TICKET_SHARE, LIST_SHARE = 0.12, 0.08, 0.06, 0.1


@dataclass(kw_only=True)
class Work:
    """Rows about people whom the CRMs know."""

    ledger: Ledger
    rng: random.Random
    crm: Crm

    def add(self, people: Sequence[Person]) -> None:
        """Campaigns with their members, tasks in both CRMs, tickets in HubSpot."""
        self._add_campaigns()
        for number, (name, kind) in enumerate(LISTS, start=1):
            about = {"name": name, "processingType": kind, "objectTypeId": "0-1"}
            self.ledger.add("hubspot", "lists", str(number), *draw_times(self.rng, self.ledger.now), about)
        for person in people:
            if person.id in self.crm.sf_contacts:
                self._add_to_salesforce(person)
            if person.id in self.crm.contacts:
                self._add_to_hubspot(person)

    def _add_campaigns(self) -> None:
        for number, (name, kind) in enumerate(CAMPAIGNS, start=1):
            start = self.ledger.now - self.rng.randrange(20, 200) * DAY_S
            fields = {
                "Name": name,
                "Type": kind,
                "Status": self.rng.choice(("Planned", "In Progress", "Completed")),
                "StartDate": _day(start),
                "EndDate": _day(start + 3 * DAY_S),
                "IsActive": True,
                "OwnerId": self.rng.choice(list(self.crm.users.values())),
            }
            at = draw_times(self.rng, self.ledger.now)
            self.ledger.add("salesforce", "campaigns", make_id("Campaign", number), *at, fields)

    def _add_to_salesforce(self, person: Person) -> None:
        contact, rng = self.crm.sf_contacts[person.id], self.rng
        if rng.random() < MEMBER_SHARE or not self.ledger.count("salesforce", "campaign_members"):
            created, modified = draw_times(rng, self.ledger.now)
            responded = rng.random() < 0.5
            fields = {
                "CampaignId": make_id("Campaign", rng.randint(1, len(CAMPAIGNS))),
                "ContactId": contact,
                "Status": "Responded" if responded else "Sent",
                "FirstRespondedDate": _day(created) if responded else None,
            }
            member = make_id("CampaignMember", self.ledger.count("salesforce", "campaign_members") + 1)
            self.ledger.add("salesforce", "campaign_members", member, created, modified, fields)
        if rng.random() < TASK_SHARE or not self.ledger.count("salesforce", "tasks"):
            fields = {
                "Subject": rng.choice(SUBJECTS),
                "Status": rng.choice(("Not Started", "In Progress", "Completed")),
                "Priority": rng.choice(("High", "Normal")),
                "ActivityDate": _day(self.ledger.now + rng.randrange(-30, 30) * DAY_S),
                "WhoId": contact,
                "WhatId": self.crm.accounts.get(person.firm.id) if person.firm else None,
                "OwnerId": self.crm.users[person.rep.id],
            }
            task = make_id("Task", self.ledger.count("salesforce", "tasks") + 1)
            self.ledger.add("salesforce", "tasks", task, *draw_times(rng, self.ledger.now), fields)

    def _add_to_hubspot(self, person: Person) -> None:
        contact, rng = self.crm.contacts[person.id], self.rng
        if rng.random() < LIST_SHARE or not self.ledger.count("hubspot", "list_members"):
            listed = str(rng.randint(1, len(LISTS)))
            at = draw_times(rng, self.ledger.now)[0]
            self.ledger.add(
                "hubspot", "list_members", f"{listed}:{contact}", at, at, {"listId": listed, "recordId": contact}
            )
        if rng.random() < TASK_SHARE or not self.ledger.count("hubspot", "tasks"):
            due = self.ledger.now + rng.randrange(-30, 30) * DAY_S
            fields = {
                "hs_task_subject": rng.choice(SUBJECTS),
                "hs_task_body": "As agreed on the phone.",
                "hs_task_status": rng.choice(("NOT_STARTED", "IN_PROGRESS", "COMPLETED")),
                "hs_task_priority": rng.choice(("HIGH", "MEDIUM", "NONE")),
                "hs_task_type": rng.choice(("TODO", "CALL", "EMAIL")),
                "hs_timestamp": f"{_day(due)}T08:00:00.000Z",
                "hubspot_owner_id": self.crm.owners.get(person.rep.id),
            }
            self._put("tasks", 60_001, fields, contact)
        if rng.random() < TICKET_SHARE or not self.ledger.count("hubspot", "tickets"):
            fields = {
                "subject": rng.choice(TICKETS),
                "content": "It worked until yesterday.",
                "hs_pipeline": "0",
                "hs_pipeline_stage": rng.choice(("1", "2", "3", "4")),
                "hs_ticket_priority": rng.choice(("LOW", "MEDIUM", "HIGH", None)),
                "source_type": rng.choice(("EMAIL", "CHAT", "PHONE")),
                "hubspot_owner_id": self.crm.owners.get(person.rep.id),
            }
            self._put("tickets", 80_001, fields, contact)

    def _put(self, stream: str, first: int, fields: dict[str, Json], contact: str) -> None:
        number = str(first + self.ledger.count("hubspot", stream))
        row = self.ledger.add("hubspot", stream, number, *draw_times(self.rng, self.ledger.now), fields)
        row["associations"] = {"contacts": [contact]}


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
