"""From data to action, in the demo: what must follow from what customers do, and what the figures must say of it.

Rules and goals of the demo's project are written here, so that what is right can be said beforehand: each scene acts
where a customer or a colleague would act, and is judged by what the vendors hold and by plain counting.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson
import requests

from hub.app.audit_report import audit
from hub.app.context import Hub
from hub.app.kpis import list_goals
from hub.app.webhooks import hook_token, public_url
from hub.model import Json
from hub.twins.client import TwinClient
from hub.twins.company import Company
from hub.verify.audited import BLANK, INVALID, Seen, found_entities, seeded_pairs, told_pairs
from hub.verify.rehearsal import SYSTEMS

if TYPE_CHECKING:
    from hub.verify.story import Person

ZONE = ZoneInfo("Europe/Berlin")
HALF = 180  # days from the goals' first day to today, and from today to the last
TASK, VIEWS, PRODUCT = "Ask whether they have questions", 3, "P1"
GIFT, SPEND = "50", "1000.00"
REFUNDED = "349.00"

OWNERS = {"salesforce": "OwnerId", "hubspot": "hubspot_owner_id"}  # fields of a task there
SUBJECTS = {"salesforce": "Subject", "hubspot": "hs_task_subject"}
BIRTHDAYS = {"salesforce": "Birthdate", "hubspot": "date_of_birth"}
DEMO = "demo"  # who looks at the data
DOUBLES, WRONG = 10, 3  # people typed in again (one in thirty at most), numbers that cannot be right
COPIED = ("firstname", "lastname", "phone", "date_of_birth", "address", "city", "zip", "country", "jobtitle")
PRECISION, RECALL = 0.98, 0.90
BLANKS = (
    ("salesforce", "phone", "Phone"), ("salesforce", "job_title", "Title"), ("salesforce", "birthday", "Birthdate"),
    ("hubspot", "phone", "phone"), ("hubspot", "job_title", "jobtitle"),
)  # fmt: skip
CORRECTED = ("1985-04-17", "1978-11-02", "1991-08-23")  # birthdays that a colleague writes into one CRM
ASKED = ("birthday: {type: date,", "birthday: {type: date, survivorship: manual,")  # no rule can know when one was born
WEBSITE = "  website: {connector: website}\n"
TRIGGERS = f"""\
# What the demo's hub does when something happens; docs/triggers.md has every key.
language: 1
rules:
  keen:
    text: Whoever looks at one product three times within a week is called by their sales rep.
    on: activity.product_viewed
    repeated: {{times: {VIEWS}, within: 7d, same: product_id}}
    who: contact
    do: {{task: {{subject: {TASK}, priority: high, due: 1d}}}}
    cool_down: 30d
    active_from: 2026-01-01T00:00:00Z
  good_customer:
    text: A gift card for whoever has spent 1000 in all.
    crosses: {{field: contact.lifetime_value, over: 1000}}
    do: {{reward: {{connection: plum, product: "5671", amount: {GIFT} EUR, budget: thanks}}}}
    limits: {{per_person: {{count: 1, per: ever}}}}
    active_from: 2026-01-01T00:00:00Z
"""
PATIENT = """\
  after_a_day:
    text: A small gift card a day after an order, unless it is sent back.
    on: order.paid
    when: "order.total >= 300 and order.total < 500"
    who: contact
    give: {connection: plum, product: "5671", amount: 10 EUR, deliver: provider}
    once_per: event
    budget: thanks
    active_from: 2026-01-01T00:00:00Z
    wait: 1d
    reverse_on: [order.refunded]
"""
GOALS = """\
language: 1
goals:
  forms_within_reach:
    {{kpi: forms_submitted, baseline: 0, target: {near}, since: {since}, deadline: {deadline}, owner: sales}}
  forms_out_of_reach:
    {{kpi: forms_submitted, baseline: 0, target: {far}, since: {since}, deadline: {deadline}, owner: sales}}
"""


def write_rules(place: Path, company: Company, now: float) -> None:
    """Triggers, one more reward rule, two goals of which one cannot be reached; a website that tracks.

    And a field about which a person is asked wherever two systems differ: the birthday.
    """
    mappings, settings = place / "mappings", place / "hub.yaml"
    (mappings / "triggers.yaml").write_text(TRIGGERS, "utf-8")
    with (mappings / "rewards.yaml").open("a", encoding="utf-8") as file:
        file.write(PATIENT)
    today = datetime.fromtimestamp(now, ZONE).date()
    forms = forms_since(company, today - timedelta(days=HALF))
    span = {"since": today - timedelta(days=HALF), "deadline": today + timedelta(days=HALF)}
    goals = GOALS.format(near=max(2, round(1.5 * forms)), far=3 * forms + 10, **span)  # half of the time is over
    (mappings / "goals.yaml").write_text(goals, "utf-8")
    canonical = (mappings / "canonical.yaml").read_text("utf-8")
    (mappings / "canonical.yaml").write_text(canonical.replace(*ASKED), "utf-8")
    text = settings.read_text("utf-8")
    if "  website:" not in text:
        settings.write_text(text + WEBSITE, "utf-8")


def forms_since(company: Company, since: date) -> int:
    """Forms that the invented company's customers filled in, by plain counting."""
    told = [row["fields"]["submitted_at"] for row in company.rows.get("typeform", {}).get("responses", ())]
    days = [datetime.fromisoformat(each).astimezone(ZONE).date() for each in told if each]
    return sum(day >= since for day in days)


class Acts:
    """The scenes; `add` tells the day of each."""

    def __init__(
        self, hub: Hub, twins: Mapping[str, TwinClient], company: Company,
        somebody: Callable[..., Person], add: Callable[[str, str, Callable[[], str]], None],
    ) -> None:  # fmt: skip
        self.hub, self.twins, self.company = hub, twins, company
        self._somebody, self._add = somebody, add
        self.figures: dict[str, Json] = {}
        self._before, self._after = Seen(), Seen()  # what the audits tell of single values

    def run(self) -> None:
        audit(self.hub, by=DEMO, look=False, seen=self._before)  # what there was before
        self._audited()
        self._views()
        self._spend()
        self._refund()
        self._birthdays()

    def run_after_form(self, email: str) -> None:
        self._answer(email)
        if set(self.twins) <= set(SYSTEMS):  # further systems have forms of their own, which nobody here counts
            self._goals()

    # The website

    def _track(self, *messages: Mapping[str, Json]) -> None:
        """What a tracking library on the company's site sends."""
        key = base64.b64encode(f"{hook_token(self.hub, 'website')}:".encode()).decode()
        body = orjson.dumps({"batch": list(messages), "sentAt": _text(time.time())})
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {key}"}
        requests.post(f"{public_url(self.hub)}/v1/batch", data=body, headers=headers, timeout=30).raise_for_status()

    def _views(self) -> None:
        """A customer looks at one product three times; the sales rep has a task, in both CRMs, once."""
        person = self._somebody(email=bool, owner=self._is_known_rep)
        who = {"userId": f"visitor-{person.entity_id}"}
        self._track({**who, "type": "identify", "messageId": "m-0", "traits": {"email": person.values["email"]}})
        for number in range(VIEWS):
            self._track(
                {
                    **who, "type": "track", "event": "Product Viewed", "messageId": f"m-{number + 1}",
                    "timestamp": _text(time.time()), "properties": {"name": "Tea", "product_id": PRODUCT},
                }
            )  # fmt: skip

        def check() -> str:
            found = {name: self._tasks(name) for name in OWNERS}
            wanted = self._ids_of(int(person.values["owner"]))
            owners = {name: [task.get(OWNERS[name]) for task in tasks] for name, tasks in found.items()}
            right = owners == {name: [wanted.get(name)] for name in owners}
            return "" if right else f"tasks for {owners}, wanted one each for {wanted}"

        self._add(f"a product viewed {VIEWS} times: one task for the owner in each CRM", _named(person), check)

    def _is_known_rep(self, owner: Json) -> bool:
        return isinstance(owner, int) and {"salesforce", "hubspot"} <= self._ids_of(owner).keys()

    def _ids_of(self, entity_id: int) -> dict[str, str]:
        with self.hub.store.reading() as tx:
            return {link.connection: link.external_id or "" for link in tx.links_of([entity_id])}

    def _tasks(self, system: str) -> list[dict[str, Json]]:
        told = [each["fields"] for each in self.twins[system].snapshot("tasks").values() if not each["deleted"]]
        return [each for each in told if each.get(SUBJECTS[system]) == TASK]

    # The shop

    def _order(self, person: Person, total: str) -> str:
        shop, customer = self.twins["shopify"], person.ids["shopify"].rsplit("/", 1)[-1]
        order = str(shop.user_create("orders", {"customer": customer, "total": total, "currency": "EUR"}))
        shop.user_action("pay_order", order=order)
        return order

    def _spend(self) -> None:
        """A customer's orders come to 1000; one gift card for that, whatever the order itself earns."""
        person = self._somebody("shopify", lifetime_value=lambda value: Decimal(value or 0) < Decimal(SPEND))
        self._order(person, SPEND)

        def check() -> str:
            orders = [each["fields"] for each in self.twins["plum"].snapshot("orders").values()]
            mine = [each for each in orders if str(each.get("email", "")).lower() == _email(person)]
            given = sorted(Decimal(str(each["denomination"])) for each in mine)
            return "" if given.count(Decimal(GIFT)) == 1 else f"gift cards of {[str(each) for each in given]}"

        self._add(f"{SPEND} EUR spent in all: a gift card of {GIFT} EUR", _named(person), check)

    def _refund(self) -> None:
        """An order that earned a reward is sent back before the reward leaves: its money is free again."""
        person = self._somebody("shopify", lifetime_value=lambda value: Decimal(value or 0) < Decimal(600))
        order = self._order(person, REFUNDED)
        self._wait(lambda: self._states(person) == ["reserved"])
        self.twins["shopify"].user_action("refund_order", order=order)

        def check() -> str:
            states = self._states(person)
            return "" if states == ["reversed"] else f"the reward is {states}"

        self._add(f"an order of {REFUNDED} EUR sent back: its reward taken back by the rule", _named(person), check)

    def _states(self, person: Person) -> list[str]:
        with self.hub.store.reading() as tx:
            grants = tx.grants(rule="after_a_day")
            roots = tx.roots({grant.subject_id for grant in grants} | {person.entity_id})
        return [grant.state for grant in grants if roots[grant.subject_id] == roots[person.entity_id]]

    # What only a person can say

    def _birthdays(self) -> None:
        """Birthdays are corrected in HubSpot, and Salesforce still says otherwise: nobody is overruled by a rule."""
        people = [self._somebody(birthday=lambda value: value not in (None, *CORRECTED)) for _ in CORRECTED]
        before = {each.entity_id: self._birthday(each, "salesforce") for each in people}
        for each, day in zip(people, CORRECTED, strict=True):
            self.twins["hubspot"].user_edit("contacts", each.ids["hubspot"], {BIRTHDAYS["hubspot"]: day})

        def check() -> str:
            with self.hub.store.reading() as tx:
                asked = {row.entity_id for row in tx.conflicts(state="open", field="birthday", limit=10_000)}
            wrong = [
                f"{_named(each)}: {'waits' if each.entity_id in asked else 'nobody was asked'}, {held}"
                for each, day in zip(people, CORRECTED, strict=True)
                if (held := tuple(self._birthday(each, name) for name in BIRTHDAYS)) != (before[each.entity_id], day)
                or each.entity_id not in asked
            ]
            return "; ".join(wrong)

        title = (
            f"{len(CORRECTED)} birthdays corrected in HubSpot alone: a person is asked, and both systems keep theirs"
        )
        self._add(title, ", ".join(map(_named, people)), check)

    def _birthday(self, person: Person, system: str) -> Json:
        return self.twins[system].snapshot("contacts")[person.ids[system]]["fields"].get(BIRTHDAYS[system])

    # The clock, and the goals

    def _answer(self, email: str) -> None:
        """A colleague calls the newcomer; the clock from the form to the call is what the two moments say."""
        called = time.time()
        message = {"type": "track", "event": "Call Made", "messageId": "m-call", "userId": "newcomer"}
        self._track(
            {"type": "identify", "messageId": "m-who", "userId": "newcomer", "traits": {"email": email}},
            {**message, "timestamp": _text(called)},
        )

        def check() -> str:
            with self.hub.store.reading() as tx:
                found = tx.find_by_keys("contact", [("email", email)])
                (entity_id,) = next(iter(found.values()))
                values = tx.entities([tx.roots([entity_id])[entity_id]])
            (row,) = values.values()
            said, wanted = row.values.get("speed_to_lead"), (called - self._began(email)) / 60
            return "" if said is not None and abs(float(said) - wanted) < 0.05 else f"{said} minutes, not {wanted:.2f}"

        self._add("the newcomer is called: the speed-to-lead clock stands", email, check)

    def _began(self, email: str) -> float:
        """The newcomer's form, as the vendor stamped it."""
        for each in self.twins["typeform"].snapshot("responses").values():
            if email in orjson.dumps(each["fields"]).decode().lower():
                return datetime.fromisoformat(each["fields"]["submitted_at"]).timestamp()
        raise LookupError(email)

    def _goals(self) -> None:
        """Two goals over the same figure: one on track, one off track; the figure is what plain counting says."""

        def check() -> str:
            rows = {row["goal"]: row for row in list_goals(self.hub)}
            since = date.fromisoformat(rows["forms_within_reach"]["since"])
            wanted = str(forms_since(self.company, since) + 1)  # and the newcomer's
            found = [(row["state"], row["value"]) for row in (rows["forms_within_reach"], rows["forms_out_of_reach"])]
            return "" if found == [("on track", wanted), ("off track", wanted)] else f"{found}, counted {wanted}"

        self._add("two goals: one on track, one off track", "forms_submitted", check)

    # The data

    def _audited(self) -> None:
        """Colleagues type some people in a second time, and numbers that cannot be right; the audit must tell them."""
        searches = find_spec("splink") is not None  # of the optional packages; without it the audit says so
        doubles = min(DOUBLES, len(self.company.people) // 30) if searches else 0
        seeded = [self._typed_again(number) for number in range(doubles)]
        wrong = [self._somebody(phone=bool).ids["hubspot"] for _ in range(WRONG)]
        for each in wrong:
            self.twins["hubspot"].user_edit("contacts", each, {"phone": "12"})
        told: list[Mapping[str, Json]] = []

        def report() -> Mapping[str, Json]:
            if not told:
                told.append(audit(self.hub, by=DEMO, seen=self._after))
            return told[0]

        def values() -> Seen:
            report()
            return self._after

        if doubles:
            title = f"the audit finds {doubles} people who were typed in twice, and all who were there twice before"
            self._add(title, "all systems", lambda: self._doubles(report(), seeded))
        title = f"the audit finds {WRONG} phone numbers that cannot be right: these, and no other"
        self._add(title, "HubSpot", lambda: self._more_invalid(values(), wrong))
        title = "the audit finds every missing value, record by record"
        self._add(title, "the CRMs", lambda: self._missing(values()))

    def _typed_again(self, number: int) -> tuple[int, str]:
        """(who, the address under which they are there once more)."""
        person = self._somebody(phone=bool, name=lambda name: bool(name and name.get("first_name")))
        known = self.twins["hubspot"].snapshot("contacts")[person.ids["hubspot"]]["fields"]
        email = f"again{number}@example.org"
        copied = {name: known[name] for name in COPIED if known.get(name)}
        self.twins["hubspot"].user_create("contacts", {**copied, "email": email})
        return person.entity_id, email

    def _doubles(self, report: Mapping[str, Json], seeded: Sequence[tuple[int, str]]) -> str:
        """Of all pairs that the audit calls one person, against all that are: invented so, or typed in again."""
        with self.hub.store.reading() as tx:
            found = tx.find_by_keys("contact", [("email", email) for _, email in seeded])
            named = {email: ids[0] for (_, email), ids in found.items()}
            roots = tx.roots({who for who, _ in seeded} | set(named.values()))
        again = [(roots[who], roots[named[email]]) for who, email in seeded if email in named]
        lost = len(seeded) - len(again)  # typed in, and not there
        wanted, told = seeded_pairs(self.company, found_entities(self.hub), again), told_pairs(report)
        precision, recall = len(told & wanted) / (len(told) or 1), len(told & wanted) / (len(wanted) + lost or 1)
        self.figures |= {"duplicates_precision": round(precision, 4), "duplicates_recall": round(recall, 4),
                         "duplicates": len(wanted)}  # fmt: skip
        right = precision >= PRECISION and recall >= RECALL
        return "" if right else f"precision {precision:.2f}, recall {recall:.2f} {report['note']}"

    def _more_invalid(self, after: Seen, wrong: Sequence[str]) -> str:
        """What became invalid or valid during the day; what the others hold is read while it goes on."""
        moved = {each for each in self._before.told[INVALID] ^ after.told[INVALID] if each[0] in SYSTEMS}
        wanted = {("hubspot", "contacts", each, "phone") for each in wrong}
        return "" if moved == wanted else f"{sorted(moved ^ wanted)}"

    def _missing(self, after: Seen) -> str:
        """The audit's blanks, beside the vendors' own records."""
        wrong = []
        for system, field, remote in BLANKS:
            held = self.twins[system].snapshot("contacts")
            blank = {
                (system, "contacts", record, field)
                for record, each in held.items()
                if not each["deleted"] and not each.get("merged_into") and not each["fields"].get(remote)
            }
            told = {each for each in after.told[BLANK] if each[:2] == (system, "contacts") and each[3] == field}
            wrong += sorted(blank ^ told)
        return f"{wrong[:5]}" if wrong else ""

    def _wait(self, holds: Callable[[], bool], within_s: float = 20.0) -> None:
        began = time.monotonic()
        while not holds() and time.monotonic() - began < within_s:
            time.sleep(0.1)


def _named(person: Person) -> str:
    return f"contact:{person.entity_id}"


def _email(person: Person) -> str:
    return str(person.values.get("email") or "").lower()


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
