"""The invented company in ActiveCampaign: users, accounts, contacts with their list and account, deals."""

from __future__ import annotations

from hub.twins.activecampaign_shapes import moment
from hub.twins.company_sketch import Sketch
from hub.twins.company_views import DAY_S

KNOWN = 0.45  # share of the people


def sketch(pen: Sketch) -> None:
    users, accounts = {}, {}
    for number, rep in enumerate(pen.reps, 1):
        users[rep.id] = str(number)
        names = {"username": rep.email.partition("@")[0], "firstName": rep.first_name, "lastName": rep.last_name}
        pen.put("users", str(number), pen.times(), {**names, "email": rep.email}, rep=rep)
    for number, firm in enumerate(pen.firms, 1):
        if pen.rng.random() < 0.5:
            accounts[firm.id] = str(number)
            url, owner = f"https://www.{firm.domain}", users[firm.rep.id]
            account = {"name": firm.name, "accountUrl": url, "owner": owner}
            pen.put("accounts", str(number), pen.times(), account, firm=firm)
    for number, (person, view) in enumerate(pen.once(KNOWN), 101):
        contact, rng = str(number), pen.rng
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
        pen.put("contacts", contact, (view.created, view.modified), fields, person=person)
        _belongings(pen, contact, accounts.get(person.firm.id) if person.firm else None, view.job_title, view.created)
        if person.opted_out and rng.random() < 0.6:
            left = {"contact": contact, "list": "1", "status": "2", "udate": moment(view.modified)}
            pen.put("contactLists", contact, (view.created, view.modified), left)
        elif not person.opted_out and rng.random() < 0.3:
            joined = {"contact": contact, "list": "1", "status": "1", "sdate": moment(view.created)}
            pen.put("contactLists", contact, (view.created, view.created), joined)
        if person.firm and rng.random() < 0.15:
            _deal(pen, f"{person.firm.name} Mailing", contact, accounts.get(person.firm.id), users[person.rep.id])


def _belongings(pen: Sketch, contact: str, account: str | None, job_title: str | None, at: float) -> None:
    if account:
        row = {"contact": contact, "account": account, "jobTitle": job_title or ""}
        pen.put("accountContacts", contact, (at, at), row)
    if pen.rng.random() < 0.2:
        entered = {"contact": contact, "automation": "1", "adddate": moment(at + DAY_S), "lastdate": moment(at + DAY_S)}
        pen.put("contactAutomations", contact, (at, at), entered)


def _deal(pen: Sketch, title: str, contact: str, account: str | None, owner: str) -> None:
    number = str(pen.count("deals") + 1)
    fields = {
        "title": f"{title} {number}",
        "value": pen.rng.choice(("45678", "120000", "9900")),
        "currency": pen.rng.choice(("eur", "eur", "usd")),
        "contact": contact,
        "account": account,
        "owner": owner,
        "stage": pen.rng.choice("12345"),
        "status": pen.rng.choice("0012"),
    }
    pen.put("deals", number, pen.times(), fields)
