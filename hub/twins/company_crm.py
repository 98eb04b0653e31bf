"""The invented company in Salesforce and HubSpot: users, companies, people, deals, in the vendors' own field names."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hub.twins.company_people import Firm, Person, Rep
from hub.twins.company_views import DAY_S, Ledger, View, draw_times, draw_view, firm_country, rep_ids, write_phone
from hub.twins.salesforce_schema import make_id

Json = Any
HUBSPOT_STAGES = {
    "subscriber": "subscriber",
    "lead": "lead",
    "mql": "marketingqualifiedlead",
    "sql": "salesqualifiedlead",
    "opportunity": "opportunity",
    "customer": "customer",
}
HUBSPOT_SOURCES = {
    "Web": "WEBSITE",
    "Phone Inquiry": "PHONE",
    "Partner Referral": "PARTNER",
    "Purchased List": "LIST",
    "Trade Show": "EVENT",
    "Webinar": "WEBINAR",
    "Other": "OTHER",
}
SALESFORCE_DEALS = (
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Proposal/Price Quote",
    "Closed Won",
    "Closed Lost",
)
HUBSPOT_DEALS = ("appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost")
PEOPLE_PER_DEAL = 6


@dataclass(kw_only=True)
class Crm:
    """Ids that the rows of both CRMs refer to."""

    ledger: Ledger
    rng: random.Random
    users: dict[str, str] = field(default_factory=dict)  # rep -> Salesforce user
    owners: dict[str, str] = field(default_factory=dict)  # rep -> HubSpot owner
    accounts: dict[str, str] = field(default_factory=dict)  # firm -> Salesforce account
    companies: dict[str, str] = field(default_factory=dict)  # firm -> HubSpot company
    contacts: dict[str, str] = field(default_factory=dict)  # person -> HubSpot contact
    sf_contacts: dict[str, str] = field(default_factory=dict)  # person -> Salesforce contact
    taken: set[str] = field(default_factory=set)  # addresses in HubSpot, where each may stand once

    # --- reps and companies ------------------------------------------------------------------------------------

    def add_reps(self, reps: list[Rep]) -> None:
        """Every rep is a Salesforce user; all but the last also a HubSpot owner."""
        for rep, number in zip(reps, rep_ids(reps, 101).values(), strict=True):
            created, modified = draw_times(self.rng, self.ledger.now)
            self.users[rep.id] = user = make_id("User", number)
            names = {"FirstName": rep.first_name, "LastName": rep.last_name, "Email": rep.email}
            more = {"Username": f"{rep.email}.crm", "IsActive": True, "UserType": "Standard"}
            self.ledger.add("salesforce", "users", user, created, modified, names | more)
            self.ledger.reps["salesforce", "users", user] = rep.id
        for rep, number in list(zip(reps, rep_ids(reps, 301).values(), strict=True))[:-1]:
            created, modified = draw_times(self.rng, self.ledger.now)
            self.owners[rep.id] = owner = str(number)
            fields = {
                "firstName": rep.first_name,
                "lastName": rep.last_name,
                "email": rep.email,
                "userId": number + 9_000,
            }
            self.ledger.add("hubspot", "owners", owner, created, modified, fields)
            self.ledger.reps["hubspot", "owners", owner] = rep.id

    def add_firms(self, firms: list[Firm]) -> None:
        for firm in firms:
            in_salesforce, in_hubspot = self.rng.random() < 0.8, self.rng.random() < 0.75
            if in_salesforce or not in_hubspot:
                self._add_account(firm)
            if in_hubspot:
                self._add_company(firm)

    def _add_account(self, firm: Firm) -> None:
        rng, created_modified = self.rng, draw_times(self.rng, self.ledger.now)
        account = self.accounts[firm.id] = make_id("Account", self.ledger.count("salesforce", "accounts") + 1)
        country = firm_country(rng, firm)
        fields = {
            "Name": firm.name,
            "Website": rng.choice((f"https://www.{firm.domain}/", f"http://{firm.domain}", f"www.{firm.domain}")),
            "Phone": write_phone(rng, firm.phone, firm.address.country) if rng.random() < 0.8 else None,
            "Industry": rng.choice(("Technology", "Manufacturing", "Retail", "Consulting", None)),
            "NumberOfEmployees": firm.employees if rng.random() < 0.6 else None,
            "AnnualRevenue": float(firm.revenue) if rng.random() < 0.5 else None,
            "BillingStreet": firm.address.street,
            "BillingCity": firm.address.city,
            "BillingState": firm.address.state or None,
            "BillingPostalCode": firm.address.postal_code or None,
            "BillingCountry": country,
            "OwnerId": self.users[firm.rep.id],
        }
        self.ledger.add("salesforce", "accounts", account, *created_modified, fields)
        self.ledger.firms["salesforce", "accounts", account] = firm.id

    def _add_company(self, firm: Firm) -> None:
        rng, created_modified = self.rng, draw_times(self.rng, self.ledger.now)
        company = self.companies[firm.id] = str(9001 + self.ledger.count("hubspot", "companies"))
        fields = {
            "name": rng.choice((firm.name, firm.name.upper(), firm.name.rpartition(" ")[0])),
            "domain": firm.domain,
            "phone": write_phone(rng, firm.phone, firm.address.country) if rng.random() < 0.7 else None,
            "numberofemployees": str(firm.employees) if rng.random() < 0.5 else None,
            "annualrevenue": str(firm.revenue) if rng.random() < 0.4 else None,
            "address": firm.address.street,
            "city": firm.address.city,
            "state": firm.address.state or None,
            "zip": firm.address.postal_code or None,
            "country": firm_country(rng, firm),
            "hubspot_owner_id": self.owners.get(firm.rep.id),
        }
        self.ledger.add("hubspot", "companies", company, *created_modified, fields)
        self.ledger.firms["hubspot", "companies", company] = firm.id

    # --- people ------------------------------------------------------------------------------------------------

    def add_to_salesforce(self, person: Person, email: str | None = None) -> None:
        """A lead if nobody has qualified the person yet and no account is known, else a contact."""
        view = draw_view(self.rng, person, self.ledger.now, email)
        account = self.accounts.get(person.firm.id) if person.firm else None
        is_lead = person.lifecycle in ("lead", "mql") and person.firm is not None and account is None
        stream, name = ("leads", "Lead") if is_lead else ("contacts", "Contact")
        record_id = make_id(name, self.ledger.count("salesforce", stream) + 1)
        fields = self._salesforce_person(person, view)
        if is_lead and person.firm:
            fields |= _address(view, ("Street", "City", "State", "PostalCode", "Country"))
            fields |= {
                "Company": person.firm.name,
                "Status": self.rng.choice(("Open - Not Contacted", "Working - Contacted")),
            }
        else:
            names = ("MailingStreet", "MailingCity", "MailingState", "MailingPostalCode", "MailingCountry")
            fields |= _address(view, names)
            fields |= {"AccountId": account, "Birthdate": view.birthday}
            fields["Interests__c"] = ";".join(person.interests) if self.rng.random() < 0.5 else None
            self.sf_contacts.setdefault(person.id, record_id)
        self.ledger.add("salesforce", stream, record_id, view.created, view.modified, fields)
        self.ledger.truth["salesforce", stream, record_id] = person.id

    def _salesforce_person(self, person: Person, view: View) -> dict[str, Json]:
        rng = self.rng
        return {
            "Email": view.email,
            "Salutation": person.salutation if rng.random() < 0.6 else None,
            "FirstName": view.first_name,
            "LastName": view.last_name,
            "Phone": view.phone,
            "MobilePhone": view.mobile,
            "Title": view.job_title,
            "LeadSource": person.lead_source if rng.random() < 0.7 else None,
            "Preferred_Language__c": person.language if rng.random() < 0.4 else None,
            "HasOptedOutOfEmail": person.opted_out and rng.random() < 0.6,
            "DoNotCall": rng.random() < 0.03,
            "OwnerId": self.users[person.rep.id],
        }

    def add_to_hubspot(self, person: Person, email: str | None = None) -> None:
        """Left out if another contact has the address already: the vendor allows each one once."""
        view = draw_view(self.rng, person, self.ledger.now, email)
        if (address := view.email.strip().lower()) in self.taken:
            return
        self.taken.add(address)
        contact = str(501 + self.ledger.count("hubspot", "contacts"))
        rng = self.rng
        fields = {
            "email": view.email,
            "firstname": view.first_name,
            "lastname": view.last_name,
            "phone": view.phone,
            "mobilephone": view.mobile,
            "jobtitle": view.job_title,
            "company": view.company_name,
            **_address(view, ("address", "city", "state", "zip", "country")),
            "date_of_birth": view.birthday,
            "lifecyclestage": HUBSPOT_STAGES[view.lifecycle],
            "lead_source": HUBSPOT_SOURCES[person.lead_source] if rng.random() < 0.6 else None,
            "hs_language": person.language if rng.random() < 0.5 else None,
            "interests": ";".join(i.lower() for i in person.interests) if rng.random() < 0.5 else None,
            "hs_email_optout": "true" if person.opted_out and rng.random() < 0.6 else None,
            "hubspot_owner_id": self.owners.get(person.rep.id) if rng.random() < 0.9 else None,
        }
        row = self.ledger.add("hubspot", "contacts", contact, view.created, view.modified, fields)
        company = self.companies.get(person.firm.id) if person.firm else None
        if company:
            row["associations"] = {"companies": [company]}
        self.contacts.setdefault(person.id, contact)
        self.ledger.truth["hubspot", "contacts", contact] = person.id

    # --- deals -------------------------------------------------------------------------------------------------

    def add_deals(self, people: list[Person]) -> None:
        """Each deal lives in one CRM: where its person is known."""
        likely = [p for p in people if p.firm and p.lifecycle in ("sql", "opportunity", "customer")]
        for person in self.rng.sample(likely, min(len(likely), max(1, len(people) // PEOPLE_PER_DEAL))):
            makers: list[Callable[[Person], None]] = []
            if person.id in self.contacts:
                makers.append(self._add_hubspot_deal)
            if person.id in self.sf_contacts:
                makers.append(self._add_opportunity)
            if makers:
                self.rng.choice(makers)(person)

    def _add_hubspot_deal(self, person: Person) -> None:
        rng, (created, modified) = self.rng, draw_times(self.rng, self.ledger.now)
        deal = str(7001 + self.ledger.count("hubspot", "deals"))
        firm = person.firm
        fields = {
            "dealname": f"{_customer(person)} {rng.choice(('Rollout', 'Renewal', 'Pilot'))} {deal}",
            "dealstage": rng.choice(HUBSPOT_DEALS),
            "pipeline": "default",
            "amount": f"{rng.choice((800, 2_450, 12_000, 38_500.5))}",
            "deal_currency_code": person.land.currency if rng.random() < 0.3 else "EUR",
            "closedate": f"{_day(self.ledger.now + rng.randrange(-300, 200) * DAY_S)}T00:00:00.000Z",
            "hubspot_owner_id": self.owners.get(person.rep.id),
        }
        row = self.ledger.add("hubspot", "deals", deal, created, modified, fields)
        row["associations"] = {"contacts": [self.contacts[person.id]]}
        if firm and firm.id in self.companies:
            row["associations"]["companies"] = [self.companies[firm.id]]

    def _add_opportunity(self, person: Person) -> None:
        rng, (created, modified) = self.rng, draw_times(self.rng, self.ledger.now)
        number = self.ledger.count("salesforce", "opportunities") + 1
        firm = person.firm
        fields = {
            "Name": f"{_customer(person)} {rng.choice(('Licence', 'Service', 'Upgrade'))} {number}",
            "StageName": rng.choice(SALESFORCE_DEALS),
            "Amount": rng.choice((950.0, 4_200.0, 15_750.5, 64_000.0)),
            "CurrencyIsoCode": person.land.currency if rng.random() < 0.3 else "EUR",
            "CloseDate": _day(self.ledger.now + rng.randrange(-300, 200) * DAY_S),
            "AccountId": self.accounts.get(firm.id) if firm else None,
            "ContactId": self.sf_contacts[person.id],
            "OwnerId": self.users[person.rep.id],
        }
        self.ledger.add("salesforce", "opportunities", make_id("Opportunity", number), created, modified, fields)


def _address(view: View, names: tuple[str, str, str, str, str]) -> dict[str, Json]:
    """The view's address under a vendor's names for street, city, state, postal code, country."""
    if view.address is None:
        return dict.fromkeys(names)
    held = view.address
    values = (held.street, held.city, held.state or None, held.postal_code or None, view.country)
    return dict(zip(names, values, strict=True))


def _customer(person: Person) -> str:
    return person.firm.name if person.firm else person.last_name


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
