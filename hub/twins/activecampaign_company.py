"""The invented company in ActiveCampaign: users, accounts, contacts with their list and account, deals."""

from __future__ import annotations

from hub.twins.activecampaign import moment
from hub.twins.company_cast import Cast
from hub.twins.company_views import DAY_S

KNOWN = 0.45  # share of the people


def write_down(cast: Cast) -> None:
    users, accounts = {}, {}
    for number, rep in enumerate(cast.reps, 1):
        users[rep.id] = str(number)
        names = {"username": rep.email.partition("@")[0], "firstName": rep.first_name, "lastName": rep.last_name}
        cast.add("users", str(number), cast.times(), {**names, "email": rep.email})
        cast.staffs("users", str(number), rep)
    for number, firm in enumerate(cast.firms, 1):
        if cast.rng.random() < 0.5:
            accounts[firm.id] = str(number)
            url, owner = f"https://www.{firm.domain}", users[firm.rep.id]
            cast.add("accounts", str(number), cast.times(), {"name": firm.name, "accountUrl": url, "owner": owner})
            cast.employs("accounts", str(number), firm)
    for number, (person, view) in enumerate(cast.known(KNOWN), 101):
        contact, rng = str(number), cast.rng
        values = {"2": view.birthday or "", "4": person.language}
        if person.interests:
            values["3"] = f"||{'||'.join(person.interests)}||"
        fields = {
            "email": view.email,
            "firstName": view.first_name.strip(),
            "lastName": view.last_name.strip(),
            "phone": view.phone or "",
            "_values": values,
        }
        cast.add("contacts", contact, (view.created, view.modified), fields)
        cast.knows("contacts", contact, person)
        _belongings(cast, contact, accounts.get(person.firm.id) if person.firm else None, view.job_title, view.created)
        if person.opted_out and rng.random() < 0.6:
            left = {"contact": contact, "list": "1", "status": "2", "udate": moment(view.modified)}
            cast.add("contactLists", contact, (view.created, view.modified), left)
        elif not person.opted_out and rng.random() < 0.3:
            joined = {"contact": contact, "list": "1", "status": "1", "sdate": moment(view.created)}
            cast.add("contactLists", contact, (view.created, view.created), joined)
        if person.firm and rng.random() < 0.15:
            _deal(cast, f"{person.firm.name} Mailing", contact, accounts.get(person.firm.id), users[person.rep.id])


def _belongings(cast: Cast, contact: str, account: str | None, job_title: str | None, at: float) -> None:
    if account:
        row = {"contact": contact, "account": account, "jobTitle": job_title or ""}
        cast.add("accountContacts", contact, (at, at), row)
    if cast.rng.random() < 0.2:
        entered = {"contact": contact, "automation": "1", "adddate": moment(at + DAY_S), "lastdate": moment(at + DAY_S)}
        cast.add("contactAutomations", contact, (at, at), entered)


def _deal(cast: Cast, title: str, contact: str, account: str | None, owner: str) -> None:
    number = str(cast.ledger.count(cast.system, "deals") + 1)
    fields = {
        "title": f"{title} {number}",
        "value": cast.rng.choice(("45678", "120000", "9900")),
        "currency": cast.rng.choice(("eur", "eur", "usd")),
        "contact": contact,
        "account": account,
        "owner": owner,
        "stage": cast.rng.choice("12345"),
        "status": cast.rng.choice("0012"),
    }
    cast.add("deals", number, cast.times(), fields)
