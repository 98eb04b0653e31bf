"""`rewards.yaml` into `Rewards`: budgets and rules. Every fault is noted with its place.

A rule that is not wholly understood gives nothing: it is left out, and the file does not pass its check.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, tzinfo
from decimal import Decimal

from hub.core.canonical import Canonical, EntityType
from hub.core.canonical_file import check_language, digest_of
from hub.core.document import Sheet, nearest
from hub.core.expressions import compile_expression, entity_names
from hub.core.formats import MappingFault
from hub.core.rewards import (
    EVENT,
    NOWHERE,
    PEOPLE,
    PERIODS,
    POINTS,
    SCREEN,
    Amount,
    Budget,
    Give,
    Measure,
    PerPerson,
    Rewards,
    Rule,
    RuleCondition,
    exponent_of,
)
from hub.core.values import normalise_instant, to_instant

_AMOUNT = re.compile(rf"([0-9]{{1,12}})(?:\.([0-9]{{1,4}}))? ([A-Z]{{3}}|{POINTS})")
_SPAN = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
RULE_KEYS = (
    "text", "on", "when", "who", "give", "once_per", "limits", "budget", "active_from", "wait", "approve_over",
    "reverse_on", "hold_out", "measure",
)  # fmt: skip
GIVE_KEYS = ("connection", "product", "products", "amount", "deliver")
PROVIDER = "provider"  # deliver: the provider tells the receiver itself
_NEEDED = ("text", "on", "who", "give", "once_per", "budget", "active_from")


def parse_rules(
    sheet: Sheet,
    canonical: Canonical,
    *,
    currency: str = "EUR",
    zone: tzinfo = UTC,
    connections: Collection[str] | None = None,
    version: int = 0,
) -> Rewards:
    """The budgets and rules of a rewards.yaml; faults are noted in the sheet.

    Args:
        currency: the hub's; money in another is null to `when:`.
        zone: where months and years begin.
        connections: names of the connections that exist; None: not known here, not checked.
    """
    sheet.closed(("language", "budgets", "rules", "milestones"), required=("language", "rules"))
    check_language(sheet)
    budgets = {}
    for name, place in sheet.at("budgets").entries():
        budget = _budget(place, name)
        if budget is not None:
            budgets[name] = budget
    rules = {}
    for name, place in sheet.at("rules").entries():
        rule = _rule(place, name, canonical, budgets, currency, connections)
        if rule is not None:
            rules[name] = rule
    return Rewards(
        rules=rules, budgets=budgets, currency=currency, zone=zone, version=version, digest=digest_of(sheet.document)
    )  # fmt: skip


def _budget(place: Sheet, name: str) -> Budget | None:
    check_name(place, name)
    if not place.closed(("amount", "per"), required=("amount", "per")):
        return None
    amount, per = read_amount(place, "amount"), place.choice("per", PERIODS, "month")
    return None if amount is None else Budget(name=name, amount=amount, per=per)


def _rule(
    place: Sheet,
    name: str,
    canonical: Canonical,
    budgets: Mapping[str, Budget],
    currency: str,
    connections: Collection[str] | None,
) -> Rule | None:
    known = len(place.faults)
    check_name(place, name)
    if not place.closed(RULE_KEYS, required=_NEEDED):
        return None
    entity = _event_entity(place, canonical, "on", place.text("on"))
    give, budget = read_give(place.at("give"), connections), place.text("budget")
    when = _when(place, canonical, entity, currency) if entity else None
    who = _who(place, entity) if entity else ""
    reverse_on = place.texts("reverse_on")
    for event in reverse_on:
        other = _event_entity(place, canonical, "reverse_on", event)
        if other is not None and other is not entity and entity is not None:
            place.at("reverse_on").fault("RWD-005", f"{event} happens to no {entity.name}", "name an event of the same")
    active_from = read_moment(place, "active_from", code="RWD-007")
    once_per = place.choice("once_per", (EVENT, *PERIODS), EVENT)
    per_person, wait_s = _per_person(place.at("limits")), read_span(place, "wait", code="RWD-007")
    approve_over = read_amount(place, "approve_over") if place.has("approve_over") else None
    hold_out, measured_by = read_hold_out(place), read_measure(place.at("measure"), canonical)
    if give is not None:
        check_money(place, give.amount, approve_over, budget, budgets)
    if len(place.faults) > known or give is None:
        return None
    return Rule(
        name=name, text=place.text("text"), on=place.text("on"), when=when, who=who, give=give, once_per=once_per,
        budget=budget, active_from=active_from, per_person=per_person, wait_s=wait_s, approve_over=approve_over,
        reverse_on=reverse_on, hold_out=hold_out, measured_by=measured_by, where=place.where,
    )  # fmt: skip


def check_name(place: Sheet, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        place.fault("CFG-015", f"{name} is no name", "use small letters, digits and underscores, at most 40")


# Event, condition, receiver


def _event_entity(place: Sheet, canonical: Canonical, key: str, event: str) -> EntityType | None:
    """The entity type that an event such as `order.paid` happens to."""
    names = [f"{entity.name}.{each}" for entity in canonical.entities.values() for each in entity.events]
    if event in names:
        return canonical.entities[event.partition(".")[0]]
    if event:
        place.at(key).fault("RWD-001", f"no event {event} in canonical.yaml", nearest(event, names))
    return None


def _when(place: Sheet, canonical: Canonical, entity: EntityType, currency: str) -> RuleCondition | None:
    text = place.text("when")
    if not text:
        return None
    parents = {
        each.name: canonical.entities[each.to]
        for each in entity.fields.values()
        if each.kind == "ref" and each.to in canonical.entities and each.name != entity.name
    }
    own = entity_names(entity, prefix=f"{entity.name}.")
    through = {name: entity_names(kind, prefix=f"{name}.") for name, kind in parents.items()}
    try:
        expression = compile_expression(text, [*own, *(each for names in through.values() for each in names)])
    except MappingFault as fault:
        place.at("when").fault(fault.code, fault.message, fault.fix)
        return None
    used = {name: kind for name, kind in parents.items() if expression.uses & through[name].keys()}
    return RuleCondition(expression=expression, entity=entity, parents=used, currency=currency)


def _who(place: Sheet, entity: EntityType) -> str:
    """The ref field that names the receiver; "" if the event's own entity is meant."""
    who = place.text("who")
    if who == entity.name and who in PEOPLE:
        return ""
    declared = entity.fields.get(who)
    if declared is not None and declared.kind == "ref" and declared.to in PEOPLE:
        return who
    able = [each.name for each in entity.fields.values() if each.kind == "ref" and each.to in PEOPLE]
    able += [entity.name] if entity.name in PEOPLE else []
    if who:
        place.at("who").fault("RWD-002", f"{who} is nobody that {entity.name} names", nearest(who, able))
    return ""


# Money


def read_give(place: Sheet, connections: Collection[str] | None) -> Give | None:
    if not place.closed(GIVE_KEYS, required=("connection", "amount")):
        return None
    connection, amount = _connection(place, connections), read_amount(place, "amount")
    if amount is not None and not amount.minor:
        place.at("amount").fault("RWD-004", "a reward of nothing", "give an amount above 0")
    if place.has("product") == place.has("products"):
        place.fault("RWD-008", "one of product and products says what is given", "name one of them")
    product, products = place.text("product"), _products(place.at("products"))
    deliver = _deliver(place, connections)
    if amount is None:
        return None
    product = products.pop("default", product)
    return Give(connection=connection, product=product, products=products, amount=amount, deliver=deliver)


def _connection(place: Sheet, connections: Collection[str] | None) -> str:
    name = place.text("connection")
    if connections is not None and name and name not in connections:
        place.at("connection").fault("RWD-003", f"no connection {name}", nearest(name, connections))
    return name


def _products(place: Sheet) -> dict[str, str]:
    """Country, or `default`, -> product."""
    found = {}
    for name, _ in place.entries():
        if name != "default" and not re.fullmatch(r"[A-Z]{2}", name):
            place.at(name).fault("RWD-008", f"{name[:40]} is no country", "its two letters (ISO 3166), such as DE")
        found[name] = place.text(name)
    return found


def _deliver(place: Sheet, connections: Collection[str] | None) -> str | None:
    """As `Grant.deliver`."""
    inner = place.at("deliver")
    if not isinstance(inner.value, Mapping):
        said = place.choice("deliver", (PROVIDER, SCREEN, NOWHERE), PROVIDER)
        return None if said == PROVIDER else said
    if not inner.closed(("connection", "template"), required=("connection", "template")):
        return None
    return f"{_connection(inner, connections)}/{inner.text('template')}"


def check_money(
    place: Sheet, amount: Amount, approve_over: Amount | None, name: str, budgets: Mapping[str, Budget]
) -> None:
    """One currency throughout: the ledger converts nothing."""
    if approve_over is not None and approve_over.currency != amount.currency:
        place.at("approve_over").fault("RWD-004", f"not in {amount.currency}, as the reward is", "use one currency")
    budget = budgets.get(name)
    if budget is None:
        if name and not Sheet(place.document, ("budgets",)).has(name):
            place.at("budget").fault("RWD-006", f"no budget {name}", nearest(name, budgets, "declare it in budgets"))
        return
    if budget.amount.currency != amount.currency:
        place.at("budget").fault("RWD-004", f"{name} is not in {amount.currency}, as the reward is", "use one currency")
    elif budget.amount.minor < amount.minor:
        place.at("budget").fault("RWD-004", f"one reward is more than all of {name}", "raise the budget")


def read_amount(place: Sheet, key: str) -> Amount | None:
    """`25 EUR` or `12.50 EUR`."""
    text = place.text(key)
    found = _AMOUNT.fullmatch(text)
    if found is None:
        if place.has(key):
            fix = "write it as 25 EUR, 12.50 EUR or 100 points"
            place.at(key).fault("RWD-004", f"{key} is no amount of money", fix)
        return None
    whole, fraction, currency = found.groups()
    try:
        minor = Decimal(f"{whole}.{fraction or '0'}").scaleb(exponent_of(currency))
    except MappingFault as fault:
        place.at(key).fault("RWD-004", f"{currency}: {fault.message}", fault.fix)
        return None
    if minor != minor.to_integral_value():
        place.at(key).fault("RWD-004", f"{currency} has no such small part", "write fewer decimal places")
        return None
    return Amount(minor=int(minor), currency=currency)


# Limits and times


def _per_person(place: Sheet) -> PerPerson | None:
    if place.value is None:
        return None
    if not place.closed(("per_person",), required=("per_person",)):
        return None
    inner = place.at("per_person")
    if not inner.closed(("count", "per"), required=("count", "per")):
        return None
    return PerPerson(count=inner.integer("count", 1, least=1) or 1, per=inner.choice("per", PERIODS, "year"))


def read_hold_out(place: Sheet) -> Decimal:
    """A share below 1."""
    share = place.number("hold_out", 0.0, most=0.9)
    return Decimal(repr(share))


def read_measure(place: Sheet, canonical: Canonical) -> Measure | None:
    if place.value is None:
        return None
    if not place.closed(("on", "within", "value"), required=("on",)):
        return None
    on, value = place.text("on"), place.text("value")
    entity = _event_entity(place, canonical, "on", on)
    if value and entity is not None and value not in entity_names(entity):
        place.at("value").fault("RWD-009", f"{value[:40]} is no field of {entity.name}", nearest(value, entity.fields))
    within = read_span(place, "within", code="RWD-007") if place.has("within") else 30 * 86_400.0
    return Measure(on=on, within_s=within, value=value or None)


def read_moment(place: Sheet, key: str, *, code: str) -> float:
    """Epoch seconds of a moment with its zone."""
    if not place.has(key):
        return 0.0
    try:
        return to_instant(normalise_instant(place.text(key)))
    except MappingFault as fault:
        place.at(key).fault(code, f"{key}: {fault.message}", "write it as 2026-12-01T00:00:00Z")
        return 0.0


def read_span(place: Sheet, key: str, *, code: str) -> float:
    """Seconds of `3d`, `12h`, `30m`, `1d12h`; 0 if nothing is said."""
    text = place.text(key, "0s")
    found = _SPAN.fullmatch(text)
    if not text or found is None:
        place.at(key).fault(code, f"{key} is no span of time", "write it as 3d, 12h or 30m")
        return 0.0
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
