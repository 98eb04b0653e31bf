"""The shipped files: no fault, every word of every enum tested, and the questions that people ask of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub.connector import Connector
from hub.core.canonical import RULES, Canonical
from hub.core.canonical_file import read_canonical
from hub.core.checks import check_file, check_together
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping, to_canonical, to_external
from hub.core.mapping_file import Hub, MappingFile, read_mapping
from hub.errors import ConfigFault, Fault
from hub.model import Json, Reference, SourceRecord
from hub.runtime.registry import connector_names, load_connector, load_project
from hub.runtime.yaml import load_yaml
from tests.shipped import FILES as SHIPPED_FILES
from tests.shipped import FOLDER

NAMES = tuple(SHIPPED_FILES)
FIRST = ("salesforce", "hubspot", "shopify", "stripe", "typeform", "plum")  # what the first hub.yaml connects
STREAMS = {
    "salesforce": [
        *("users", "accounts", "leads", "contacts", "opportunities", "campaigns", "campaign_members", "tasks"),
    ],
    "hubspot": ["owners", "companies", "contacts", "deals", "tickets", "tasks", "lists", "list_members"],
    "shopify": ["customers", "orders", "checkouts", "products", "discounts"],
    "stripe": ["customers", "subscriptions", "invoices", "charges", "coupons", "promotion_codes"],
    "typeform": ["responses", "respondents"],
    "plum": ["catalogue"],
}


def read_declarations() -> tuple[Canonical, list[Fault]]:
    sheet = Sheet(load_yaml(FOLDER / "canonical.yaml"))
    return read_canonical(sheet, derived=FUNCTIONS), sheet.faults


CANONICAL, DECLARATION_FAULTS = read_declarations()


def read(name: str) -> tuple[MappingFile, list[Fault]]:
    sheet = Sheet(load_yaml(FOLDER / f"{name}.yaml"))
    return read_mapping(sheet, CANONICAL, Hub(currency="EUR", country="DE")), sheet.faults


FILES = {name: read(name) for name in NAMES}


def stream(connector: str, name: str) -> StreamMapping:
    return FILES[connector][0].streams[name]


def values(connector: str, name: str, data: Json) -> Json:
    return to_canonical(stream(connector, name), SourceRecord(external_id="1", data=data)).values


def test_the_declarations_have_no_fault() -> None:
    assert [str(fault) for fault in DECLARATION_FAULTS] == []
    assert list(CANONICAL.entities) == [
        "contact", "company", "owner", "deal", "product", "order", "cart", "coupon", "invoice", "payment",
        "subscription", "form_submission", "activity", "appointment", "campaign", "cost", "registration", "task",
        "ticket", "segment", "membership",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_mapping_has_no_fault_and_needs_no_advice(name: str) -> None:
    file, faults = FILES[name]
    assert [str(fault) for fault in (*faults, *check_file(file))] == []
    assert list(file.streams) == STREAMS.get(name, list(file.streams)) != []


def test_the_shipped_mappings_live_in_peace() -> None:
    files = {name: file for name, (file, _) in FILES.items()}
    found = check_together(files, CANONICAL, connectors=connector_names())
    assert [str(fault) for faults in found.values() for fault in faults] == []


def test_every_field_has_a_text_that_people_can_read() -> None:
    for entity in CANONICAL.entities.values():
        assert entity.text.endswith(".")
        for field in entity.fields.values():
            assert len(field.text) > 5, f"{entity.name}.{field.name}"
            assert field.survivorship.rule in RULES
        assert all(event.text for event in entity.events.values())


def test_every_declared_event_is_one_that_rewards_can_ask_for() -> None:
    names = {f"{entity.name}.{event}" for entity in CANONICAL.entities.values() for event in entity.events}
    assert names == {
        "activity.answered", "activity.automation_completed", "activity.automation_entered",
        "activity.checkout_started", "activity.code_used", "activity.content_downloaded", "activity.course_completed",
        "activity.email_clicked", "activity.email_opened", "activity.email_unsubscribed",
        "activity.email_bounced", "activity.product_viewed",
        "activity.signed_up",
        "appointment.booked", "appointment.cancelled", "appointment.no_show", "cart.begun", "cart.paid",
        "contact.first_response",
        "contact.lead_created", "contact.referred", "contact.spend_over", "contact.unsubscribed", "deal.lost",
        "deal.stage_changed", "deal.won", "form_submission.answered", "form_submission.submitted", "invoice.renewed",
        "order.paid", "order.refunded", "registration.attended", "registration.cancelled",
        "registration.no_show", "registration.signed_up", "subscription.cancelled", "subscription.started",
        "membership.joined", "task.done", "ticket.closed", "ticket.opened",
    }  # fmt: skip


def test_only_what_crms_keep_is_ever_written() -> None:
    out = [mapping for file, _ in FILES.values() for mapping in file.streams.values() if mapping.out_fields]
    told = [mapping for mapping in out if mapping.entity == "activity"]
    assert {mapping.entity for mapping in out} - {"activity"} == {"contact", "company", "deal", "task", "ticket"}
    assert [(each.connector, each.name, each.create) for each in told] == [("activecampaign", "events", "never")]


def test_only_tasks_that_the_hub_was_asked_for_are_made() -> None:
    for name in ("salesforce", "hubspot"):
        mapping = FILES[name][0].streams["tasks"]
        assert not mapping.allows_create({"subject": "Call back"})
        assert mapping.allows_create({"subject": "Call back", "source": "trigger: new lead"})
    assert FILES["hubspot"][0].streams["tickets"].create == "never"


def test_the_phone_goes_by_source_and_consent_by_its_own_rule() -> None:
    fields = CANONICAL.entities["contact"].fields
    assert (fields["phone"].survivorship.rule, fields["phone"].survivorship.source) == (
        "source",
        ("salesforce", "hubspot"),
    )
    assert fields["consent.email"].survivorship.rule == "consent"
    assert fields["phone"].survivorship.where.startswith("canonical.yaml:")
    assert fields["email"].survivorship.rule == "newest"


# Salesforce


@pytest.mark.parametrize(
    ("lead", "contact", "person"),
    [
        (True, True, {"lifecycle": "lead", "company_name": "Acme"}),
        (False, True, {"lifecycle": "lead"}),
        (False, True, {"lifecycle": "lead", "company_name": "Acme", "company": 7}),
        (False, True, {"lifecycle": "customer", "company_name": "Acme"}),
        (False, True, {}),
    ],
)
def test_a_person_becomes_a_lead_only_early_and_with_a_company_name(lead: bool, contact: bool, person: Json) -> None:
    assert stream("salesforce", "leads").allows_create(person) is lead
    assert stream("salesforce", "contacts").allows_create(person) is contact


def test_no_person_without_a_last_name_is_made_in_salesforce() -> None:
    blocked = to_external(
        stream("salesforce", "contacts"), {"email": "a@b.de", "name": {"first_name": "Ann"}},
        changed=["email", "name"], external_ids={}, creating=True,
    )  # fmt: skip
    assert blocked.blocked
    assert blocked.skipped["name"].code == "MAP-REQUIRED"


def test_no_deal_is_made_in_salesforce_and_owners_are_never_written() -> None:
    assert not stream("salesforce", "opportunities").allows_create({"stage": "won"})
    assert stream("salesforce", "users").direction == "in"
    assert stream("hubspot", "owners").direction == "in"


# The same person, in two systems


def test_the_same_person_reads_alike_in_both_crms() -> None:
    left = values(
        "salesforce", "contacts",
        {"Email": "ANN@Example.com", "FirstName": "Ann ", "LastName": "Byron", "Phone": "030/1234567",
         "MailingCountry": "Germany", "MailingCity": "Berlin", "HasOptedOutOfEmail": True, "Interests__c": "Product"},
    )  # fmt: skip
    right = values(
        "hubspot", "contacts",
        {"properties": {"email": "ANN@example.com", "firstname": "Ann", "lastname": "Byron", "phone": "+49 30 1234567",
         "country": "DE", "city": "Berlin", "hs_email_optout": "true", "interests": "product"}},
    )  # fmt: skip
    assert left == right
    assert right["address"] == {"city": "Berlin", "country": "DE"}


def test_an_unticked_box_says_nothing_in_either_crm() -> None:
    assert values("salesforce", "contacts", {"HasOptedOutOfEmail": False}) == {"consent.email": None}
    assert values("hubspot", "contacts", {"properties": {"hs_email_optout": "false"}}) == {"consent.email": None}


def test_a_company_is_the_same_by_its_domain() -> None:
    left = values("salesforce", "accounts", {"Website": "http://www.ACME.com/about"})
    assert left == values("hubspot", "companies", {"properties": {"domain": "acme.com"}}) == {"domain": "acme.com"}


# Acts


def test_an_answer_speaks_for_its_respondent() -> None:
    data = {"token": "t1", "form_id": "f", "submitted_at": "2026-02-01T09:01:02Z", "answers": []}
    submission = to_canonical(stream("typeform", "responses"), SourceRecord(external_id="f:t1", data=data))
    person = to_canonical(stream("typeform", "respondents"), SourceRecord(external_id="f:t1", data=data))
    assert submission.references == {"contact": Reference("respondents", "f:t1")}
    assert person.acted_at == 1769936462.0
    assert stream("typeform", "respondents").acts


def test_an_order_belongs_to_its_customer_and_is_never_written() -> None:
    order = stream("shopify", "orders")
    assert (order.acts, order.direction, order.references) == (True, "in", {"contact": ("customers", "skip")})


# hub.yaml


def test_the_first_hub_yaml_starts_in_observe_and_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    for path in FOLDER.glob("*.yaml"):
        target = tmp_path if path.name == "hub.yaml" else tmp_path / "mappings"
        shutil.copy(path, target)

    def load(name: str) -> Connector:
        if name not in connector_names():
            pytest.skip(f"connector {name} is not there yet")
        return load_connector(name)

    project = load_project(tmp_path, load=load)
    assert [str(fault) for fault in project.faults] == []
    assert list(project.connections) == list(FIRST)
    assert {each.mode for each in project.connections.values()} == {"observe"}
    assert project.rewards is not None
    assert list(project.rewards.rules) == ["big_order", "deal_won"]
    assert project.kpis is not None
    assert "close_rate" in project.kpis.kpis


def test_shipped_files_are_read_whatever_the_folder() -> None:
    with pytest.raises(ConfigFault):
        load_yaml(FOLDER / "no_such_file.yaml")
    assert set(FIRST) <= set(NAMES)
    assert set(SHIPPED_FILES.values()) <= set(connector_names())
