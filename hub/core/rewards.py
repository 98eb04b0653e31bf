"""Rewards, decided: what happened, what is owed for it, and what may follow when a provider's answer is lost.

In the order of the flow: a change makes an *event* when a declared condition turns true; an event makes a *grant* under
each rule that asks for it; a grant becomes one order at a provider. Times, ids and money already given are arguments;
the ledger (hub.store.ledger) and the calls (hub.app.reward_orders) are somebody else's.

Invariant (law L12): a grant's key, and its reference at the provider, follow from instance, rule, subject and period
alone. Whoever decides again, after whatever crash, comes to the same key and sends the same reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.core.canonical import Canonical, EntityType, EventType
from hub.core.conditions import Condition, condition_of
from hub.core.expressions import Expression, entity_values
from hub.core.formats import email_key
from hub.core.guards import Bound
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import currency_exponent, plain_decimal, to_instant
from hub.model import EventRow, Grant, Json

if TYPE_CHECKING:
    from hub.core.milestones import Milestone

Values = Mapping[str, Json]  # canonical field -> value of one entity

PEOPLE = ("contact", "owner")  # entity types that can be given something
SCREEN, NOWHERE = "screen", "none"  # ways of delivery that need no address: a website shows it; nobody is told
MESSAGE = ".message"  # ends the rule of a grant that is the message about another; no rule's name has a dot
PERIODS = ("day", "month", "year", "ever")
EVENT = "event"  # once_per: each event pays by itself
LONGEST_REFERENCE = 100  # of Plum's poNumber (vendor docs, "Place order"), the shortest among providers known to us


class GrantState(StrEnum):
    """Where a grant is. `refused`: never owed money; all others had it set aside once."""

    REFUSED = "refused"  # over a limit or budget, or nobody to give it to; kept to be seen
    WAITING_APPROVAL = "waiting_approval"  # a person must let it go
    RESERVED = "reserved"  # owed, nothing sent that could still land
    SENDING = "sending"  # a call may be under way
    UNKNOWN = "unknown"  # an order may or may not exist
    ISSUED = "issued"  # the provider has the order
    CANCELLING = "cancelling"  # the provider has the order, and is asked to take it back
    UNDELIVERED = "undelivered"  # the provider has it, and says that it did not arrive; a person is asked
    REJECTED = "rejected"  # the provider, or a person, said no
    NEEDS_PERSON = "needs_person"  # no machine can tell
    REVERSED = "reversed"  # taken back: nothing was ordered, or the provider took the order back


_S = GrantState
HOLDING = frozenset({_S.WAITING_APPROVAL, _S.RESERVED, _S.SENDING, _S.UNKNOWN, _S.NEEDS_PERSON})  # money set aside
GIVEN = frozenset({_S.ISSUED, _S.CANCELLING, _S.UNDELIVERED})  # money spent
MOVES: Mapping[GrantState, frozenset[GrantState]] = {
    _S.WAITING_APPROVAL: frozenset({_S.RESERVED, _S.REJECTED, _S.REVERSED, _S.UNKNOWN}),
    _S.RESERVED: frozenset({_S.SENDING, _S.REVERSED, _S.WAITING_APPROVAL}),
    _S.SENDING: frozenset({_S.SENDING, _S.RESERVED, _S.UNKNOWN, _S.ISSUED, _S.REJECTED, _S.NEEDS_PERSON, _S.REVERSED}),
    _S.UNKNOWN: frozenset(
        {_S.SENDING, _S.RESERVED, _S.WAITING_APPROVAL, _S.UNKNOWN, _S.ISSUED, _S.NEEDS_PERSON, _S.REVERSED}
    ),
    _S.NEEDS_PERSON: frozenset({_S.ISSUED, _S.REJECTED}),
    _S.ISSUED: frozenset({_S.CANCELLING, _S.UNDELIVERED}),
    _S.UNDELIVERED: frozenset({_S.CANCELLING, _S.ISSUED}),
    _S.CANCELLING: frozenset({_S.CANCELLING, _S.ISSUED, _S.REVERSED}),
    _S.REJECTED: frozenset(),
    _S.REVERSED: frozenset(),
    _S.REFUSED: frozenset(),
}


# What rewards.yaml declares


POINTS = "points"  # stands where a currency does: points of the hub's own ledger


def exponent_of(currency: str) -> int:
    """Decimal places of a currency; points have none. Raises MappingFault: no such currency."""
    return 0 if currency == POINTS else currency_exponent(currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Money, or points."""

    minor: int  # minor units
    currency: str  # ISO 4217, or POINTS

    @property
    def text(self) -> str:
        """Decimal text in major units: 2500 of EUR is "25"."""
        return plain_decimal(Decimal(self.minor).scaleb(-exponent_of(self.currency)))

    def __str__(self) -> str:
        return f"{self.text} {self.currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be given in one period, by the hub's clock."""

    name: str
    amount: Amount
    per: str  # of PERIODS


@dataclass(frozen=True, slots=True, kw_only=True)
class PerPerson:
    """How often one person may get a rule's reward within a period, by the hub's clock."""

    count: int
    per: str  # of PERIODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """What is ordered."""

    connection: str
    product: str  # the provider's product id; where it differs by country: for all others, "" if there is none for them
    amount: Amount
    deliver: str | None = None  # as `Grant.deliver`
    products: Mapping[str, str] = field(default_factory=dict)  # ISO 3166 country of the receiver -> product

    def product_for(self, country: Json) -> str:
        """The product for somebody of that country; "" if nothing is given there."""
        return self.products.get(str(country or ""), self.product)

    @property
    def needs_address(self) -> bool:
        """Whether it reaches somebody at an address only."""
        return self.deliver not in (SCREEN, NOWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """By what a rule's effect is measured: what people do afterwards."""

    on: str  # event
    within_s: float = 30 * 86_400.0  # of being owed it, or left out
    value: str | None = None  # field of the event's entity that says what it is worth


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCondition:
    """A rule's `when:` over the event's entity (`order.total`) and the entities it refers to (`contact.country`)."""

    expression: Expression
    entity: EntityType
    parents: Mapping[str, EntityType]  # ref field that the expression looks through -> type there
    currency: str  # the hub's

    def __call__(self, values: Values, parents: Mapping[str, Values]) -> bool:
        names = entity_values(self.entity, values, currency=self.currency, prefix=f"{self.entity.name}.")
        for name, kind in self.parents.items():
            names |= entity_values(kind, parents.get(name, {}), currency=self.currency, prefix=f"{name}.")
        return bool(self.expression(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of rewards.yaml."""

    name: str
    text: str  # for people
    on: str  # event: "order.paid"
    when: RuleCondition | None  # None: always
    who: str  # ref field of the event's entity that names the receiver; "": the entity itself
    give: Give
    once_per: str  # EVENT, or one of PERIODS, by the event's time
    budget: str
    active_from: float  # epoch seconds; what happened before never pays
    per_person: PerPerson | None = None
    wait_s: float = 0.0  # time for a refund to cancel it before the order
    approve_over: Amount | None = None
    reverse_on: tuple[str, ...] = ()  # events of the same entity that take it back
    hold_out: Decimal = Decimal(0)  # share of people who are left out by lot, so that its effect can be measured
    measured_by: Measure | None = None
    where: str = ""  # file:line

    @property
    def measure(self) -> Measure:
        """Unless told otherwise: whether it happens again."""
        return self.measured_by or Measure(on=self.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """All of rewards.yaml."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    milestones: Mapping[str, Milestone] = field(default_factory=dict)
    currency: str = "EUR"  # the hub's
    zone: tzinfo = UTC  # where months and years begin
    version: int = 0
    digest: str = ""


# Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """An event type, ready to be asked whether it happened."""

    name: str  # "order.paid"
    event: EventType
    condition: Condition
    subject: str  # ref field that says whose event it is; "": the entity's own, if that is a person

    @property
    def looks_at(self) -> frozenset[str]:
        """Fields whose change may make, move or withdraw the event."""
        return self.condition.uses | {each for each in (self.event.at, self.subject, self.event.each) if each}

    def turned_true(self, before: Values, after: Values) -> bool:
        """False (or absent) before, true now; with `each` also true with another value."""
        if not self.condition(after):
            return False
        each = self.event.each
        return not self.condition(before) or bool(each and before.get(each) != after.get(each))

    def key(self, entity_id: int, values: Values) -> str:
        """The event's key under the name of an entity."""
        each = self.event.each
        return event_key(self.name, entity_id) + (f":{values.get(each)}" if each else "")

    def moment(self, values: Values, *, otherwise: float, now: float) -> float:
        """When it happened: never in the future, whatever a system says."""
        told = values.get(self.event.at) if self.event.at else None
        return min(now, to_instant(told) if told else otherwise)


def triggers_of(canonical: Canonical, *, currency: str) -> dict[str, tuple[Trigger, ...]]:
    """Entity type -> its events, compiled. Raises MappingFault: a condition outside the language."""
    return {
        entity.name: tuple(
            Trigger(
                name=f"{entity.name}.{event.name}",
                event=event,
                condition=condition_of(event.when, entity, currency=currency),
                subject=event.subject or _usual_subject(entity),
            )
            for event in entity.events.values()
        )
        for entity in canonical.entities.values()
        if entity.events
    }


def _usual_subject(entity: EntityType) -> str:
    """Whose event it is when nothing is declared: a person's own, else its contact's."""
    declared = entity.fields.get("contact")
    return "contact" if entity.name not in PEOPLE and declared is not None and declared.kind == "ref" else ""


def event_key(trigger_name: str, entity_id: int) -> str:
    """Once per entity and name. Names hold no colon, so no two events share a key."""
    return f"{trigger_name}:{entity_id}"


def key_under(event: EventRow, entity_id: int) -> str:
    """The key that an event would have under another name of its entity."""
    return event_key(event.name, entity_id) + event.key.removeprefix(event_key(event.name, event.entity_id))


# Periods and keys


def period_of(per: str, at: float, zone: tzinfo) -> str:
    """The label of the period that a moment falls in: "2026-11-02", "2026-11", "2026", "ever"."""
    there = datetime.fromtimestamp(at, zone)
    return {"day": f"{there:%Y-%m-%d}", "month": f"{there:%Y-%m}", "year": f"{there:%Y}", "ever": "ever"}[per]


def period_start(per: str, at: float, zone: tzinfo) -> float:
    """The first instant of the period that a moment falls in; 0 for `ever`."""
    if per == "ever":
        return 0.0
    there = datetime.fromtimestamp(at, zone)
    month = 1 if per == "year" else there.month
    day = there.day if per == "day" else 1
    return datetime(there.year, month, day, tzinfo=zone).timestamp()


def digest_of(*parts: str) -> str:
    """SHA-256 of a tuple of texts, each with its length before it: ("a|b", "c") and ("a", "b|c") differ."""
    told = b"".join(f"{len(body)}:".encode() + body for body in (part.encode() for part in parts))
    return hashlib.sha256(told).hexdigest()


def grant_key(instance: str, rule: Rule, root: int, event: EventRow, zone: tzinfo) -> str:
    """What can be granted once: this rule, this person, this event or period, by this hub."""
    span = event.key if rule.once_per == EVENT else period_of(rule.once_per, event.at, zone)
    return digest_of("grant", instance, rule.name, str(root), rule.once_per, span)


def refusal_key(instance: str, rule: Rule, event: EventRow) -> str:
    """A refusal is kept once per event, and leaves the grant's own key free for the next."""
    return digest_of("refusal", instance, rule.name, event.key)


def reference_of(instance: str, key: str) -> str:
    """The order's number at the provider: the same for every attempt, another for every grant of every hub."""
    return f"{instance[:40]}-rwd-{key[:40]}"[:LONGEST_REFERENCE]


def budget_label(budget: Budget, at: float, zone: tzinfo) -> str:
    """A budget and its period, as a grant carries them: its money goes back to where it came from."""
    return f"{budget.name}@{period_of(budget.per, at, zone)}"


def split_label(label: str) -> tuple[str, str]:
    """(budget, period) of a grant's label."""
    name, _, period = label.partition("@")
    return name, period


# Grants


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a reward that its rule would have given is not given."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


NOBODY = Refusal(code="RWD-NOBODY", text="nobody is named to receive it")
NO_ADDRESS = Refusal(code="RWD-ADDRESS", text="the receiver has no e-mail address")
HELD_OUT = Refusal(code="RWD-HOLD-OUT", text="left out by lot, so that the rule's effect can be measured")
TAKEN_BACK = Refusal(code="RWD-VOID", text="what takes it back had happened before it was given")
NO_COUNTRY = Refusal(code="RWD-COUNTRY", text="nothing is given in the receiver's country")


def over_limit(limit: PerPerson) -> Refusal:
    return Refusal(code="RWD-LIMIT", text=f"the person had {limit.count} in this {limit.per}")


def over_budget(budget: Budget) -> Refusal:
    return Refusal(code="RWD-BUDGET", text=f"budget {budget.name} ({budget.amount} per {budget.per}) is used up")


def rules_for(rewards: Rewards, event: EventRow) -> list[Rule]:
    """Rules that an event may pay under, by name: the same order whoever asks. A silent event pays under none."""
    if event.silent:
        return []
    on_it = [rule for rule in rewards.rules.values() if rule.on == event.name and event.at >= rule.active_from]
    return sorted(on_it, key=lambda rule: rule.name)


def rules_reversed_by(rewards: Rewards, event: EventRow) -> list[Rule]:
    return [rule for rule in rewards.rules.values() if event.name in rule.reverse_on]


def recipient_of(values: Values) -> dict[str, Json]:
    """What an order needs to know of a person, as of now: a later change of address does not move it."""
    name = values.get("name")
    if isinstance(name, Mapping):
        name = " ".join(str(name[part]) for part in ("first_name", "last_name") if name.get(part))
    told = {"email": values.get("email"), "phone": values.get("phone"), "name": name}
    return {each: value for each, value in told.items() if not is_empty(value)}


def needs_approval(rule: Rule) -> bool:
    return rule.approve_over is not None and rule.give.amount.minor > rule.approve_over.minor


# Bursts: the guard `rewards`


BURST_S = 3600.0  # the guard counts by the hour: what one run gives, and what many small ones do


def add_to_burst(document: Json, at: float, amount_minor: int) -> dict[str, Json]:
    """What a budget gave in this hour, with one more grant."""
    hour = int(at // BURST_S)
    kept = document if isinstance(document, Mapping) and document.get("hour") == hour else {"count": 0, "minor": 0}
    return {"hour": hour, "count": kept["count"] + 1, "minor": kept["minor"] + amount_minor}


def is_burst(bound: Bound, document: Mapping[str, Json], cap_minor: int) -> bool:
    """Both bounds passed: more grants than usual, and more than the share of the budget that may go in an hour."""
    return bool(document["count"] > bound.over and document["minor"] > bound.share * cap_minor)


# What may follow an attempt (reliability.md §4.9)


class Step(StrEnum):
    """What a grant needs next."""

    WAIT = "wait"
    SEND = "send"
    LOOK_UP = "look_up"  # ask the provider for the reference: there, or certainly not
    PERSON = "person"
    CANCEL = "cancel"


class Entry(StrEnum):
    """Lines of a grant's ledger."""

    REFUSED = "refused"
    RESERVED = "reserved"
    HELD = "held"  # waits for approval
    APPROVED = "approved"
    DECLINED = "declined"
    SENT = "sent"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    DOUBTFUL = "doubtful"  # refused now, but an earlier attempt may have landed
    NOT_FOUND = "not_found"  # looked up: not there, and it can no longer land; a clean slate
    ISSUED = "issued"
    REJECTED = "rejected"
    NEEDS_PERSON = "needs_person"
    CONFIRMED = "confirmed"  # by a person
    REVERSAL = "reversal"
    CONTRADICTION = "contradiction"  # an answer that does not fit what was settled
    SEEN = "seen"  # a website showed it, and its receiver put it away
    CANCELLING = "cancelling"  # the provider is asked to take the order back
    CANCELLED = "cancelled"  # it did: what was spent is free again
    DELIVERED = "delivered"  # a message arrived, its provider says
    READ = "read"  # and was looked at
    UNDELIVERED = "undelivered"  # it did not arrive
    RESENT = "resent"  # so it is sent another way
    KEPT = "kept"  # it did not: the code was used already, or the order cannot be taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What the orders stream of a provider guarantees."""

    kind: str  # A, B, C, D: hub.connector.Idempotency
    key_life_s: float = 0.0  # B: how long a repeated key is one effect
    settle_s: float = 0.0  # after the last instant at which an order can land: until a look-up would show it
    can_look_up: bool = False


KEY_SHARE = 0.8  # of a key's life, counted from its *first* use


def next_step(grant: Grant, kinds: Sequence[str], provider: Provider, now: float) -> Step:
    """What may be done with a grant now.

    Args:
        kinds: the kinds of the grant's ledger lines, oldest first; only needed beyond `reserved`.
    """
    if now < grant.not_before:
        return Step.WAIT
    if grant.state == GrantState.RESERVED:
        return Step.SEND
    if grant.state == GrantState.CANCELLING:
        return Step.CANCEL  # asked twice is asked once
    under_way = grant.state == GrantState.SENDING and now <= (grant.last_possible or 0.0)
    if under_way or grant.state not in (GrantState.SENDING, GrantState.UNKNOWN):
        return Step.WAIT
    return _after_unknown(grant, kinds, provider, now)


def _after_unknown(grant: Grant, kinds: Sequence[str], provider: Provider, now: float) -> Step:
    """An order may exist. Repeat only where the provider makes a repeat harmless, else look, else ask."""
    if "blind_resend" in PLANTED:
        return Step.SEND
    if not (is_reversed(kinds) or is_held(kinds) or is_doubtful(kinds)):
        if provider.kind == "A":
            return Step.SEND
        if provider.kind == "B" and now - (grant.first_sent or 0.0) < KEY_SHARE * provider.key_life_s:
            return Step.SEND
    if provider.kind == "D" or not provider.can_look_up:
        return Step.PERSON
    early = now <= (grant.last_possible or 0.0) + provider.settle_s
    return Step.WAIT if early and "look_up_order_early" not in PLANTED else Step.LOOK_UP


def is_reversed(kinds: Sequence[str]) -> bool:
    """Taken back while an order may already exist: it must not be sent again."""
    return Entry.REVERSAL in kinds


def is_held(kinds: Sequence[str]) -> bool:
    """A person has yet to let it go, for all that this ledger knows: it must not be sent."""
    return Entry.HELD in kinds[_last(kinds, Entry.APPROVED) + 1 :]


def is_doubtful(kinds: Sequence[str]) -> bool:
    """Since the last clean slate, a repeat was refused: repeating once more would be refused for ever."""
    return Entry.DOUBTFUL in kinds[_last(kinds, Entry.NOT_FOUND) + 1 :]


def _last(kinds: Sequence[str], wanted: str) -> int:
    return max((index for index, kind in enumerate(kinds) if kind == wanted), default=-1)


# Orders


def order_body(grant: Grant, code: str = "") -> dict[str, Json]:
    """The order as the provider's stream takes it; its number travels as the change's reference.

    Args:
        code: what the receiver will type, where the order is for a code: it is worth the amount, once.
    """
    amount = Decimal(grant.amount)
    whole = int(amount) if amount == amount.to_integral_value() else float(amount)
    if code:
        return {
            "productId": grant.product, "quantity": 1, "denomination": whole, "currencyCode": grant.currency,
            "code": code, "tag": grant.rule,
        }  # fmt: skip
    body: dict[str, Json] = {
        "productId": grant.product,
        "quantity": 1,
        "denomination": whole,
        "email": grant.recipient.get("email"),
        "tag": grant.rule,
        "notifyReceiverEmail": 1,
        "notifyAdminEmail": 0,
    }
    if "phone" in grant.recipient:
        body["contact"] = dialled(grant.recipient["phone"])
    return body


def dialled(phone: str) -> str:
    """E.164 with a dash after the country code: +49-15112345678 (Plum, vendor docs, "Place order")."""
    from phonenumbers import NumberParseException, parse

    try:
        number = parse(phone)
    except NumberParseException:
        return phone
    return f"+{number.country_code}-{phone.removeprefix(f'+{number.country_code}')}"


def code_of(key: str, reference: str) -> str:
    """The discount code of a grant: the same for every attempt, and nobody who lacks the key can tell it.

    Args:
        key: the store's own (`Tx.code_key`), a secret.
        reference: the grant's.
    """
    digest = hmac.new(key.encode(), reference.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8], "big")
    return "".join(LETTERS[number >> shift & 31] for shift in range(0, 5 * CODE_LENGTH, 5))


LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 that nobody takes for one another when he types them
CODE_LENGTH = 12  # 60 bits
COMPARED = ("productId", "denomination", "currencyCode", "code", "email", "quantity")


def order_differences(body: Mapping[str, Json], found: Mapping[str, Json]) -> list[str]:
    """In what an order that has our number is not the order that we want: product, amount, receiver.

    What the provider does not tell cannot differ, but the amount it must tell: an order that shows nothing to compare
    is not adopted.
    """
    told = [name for name in COMPARED if name in body and found.get(name) is not None]
    wrong = [name for name in told if not _alike(name, body[name], found[name])]
    return wrong if found.get("denomination") is not None else ["denomination", *wrong]


def _alike(name: str, wanted: Json, told: Json) -> bool:
    if name in ("denomination", "quantity"):
        try:
            return Decimal(str(wanted)) == Decimal(str(told))
        except InvalidOperation:
            return False
    if name == "email":
        return email_key(str(wanted)) == email_key(str(told))
    return str(wanted) == str(told)
