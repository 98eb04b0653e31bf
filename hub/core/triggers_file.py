"""`triggers.yaml` into `Triggers`. Every fault is noted with its place.

A rule that is not wholly understood does nothing: it is left out, and the file does not pass its check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from decimal import Decimal

from hub.core.canonical import SET_BY_TRIGGER, Canonical, CanonicalField, EntityType
from hub.core.canonical_file import check_language, digest_of
from hub.core.document import Sheet, nearest
from hub.core.expressions import compile_expression, entity_names
from hub.core.formats import MappingFault
from hub.core.rewards import PEOPLE, PERIODS, Amount, Budget, Give, PerPerson, RuleCondition
from hub.core.rewards_file import check_name, read_amount, read_hold_out, read_measure, read_moment, read_span
from hub.core.triggers import (
    ACTIONS,
    CHANGE,
    CROSSING,
    EVENT,
    FIELD,
    NOTICE,
    REWARD,
    SCHEDULE,
    SILENCE,
    TASK,
    WEBHOOK,
    Do,
    Mark,
    QuietHours,
    Repeated,
    TriggerRule,
    Triggers,
)
from hub.model import Json

RULE_KEYS = (
    "text", "on", "repeated", "changed", "crosses", "quiet_for", "every", "when", "who", "do", "cool_down", "limits",
    "quiet_hours", "approve", "approve_over", "reverse_on", "hold_out", "measure", "active_from",
)  # fmt: skip
_CAUSE_KEYS = {"on": EVENT, "changed": CHANGE, "crosses": CROSSING, "quiet_for": SILENCE, "every": SCHEDULE}
SLOT_KEYS = ("month", "day", "day_of_week", "hour", "minute")
TASK_TYPE = "task"
TASK_KEYS = ("subject", "description", "priority", "due", "owner")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
ENV_OR_URL = re.compile(r"https?://[^\s]+")


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What rules are held against."""

    canonical: Canonical
    budgets: Mapping[str, Budget]
    currency: str
    connections: Collection[str] | None
    check_slots: Callable[[Mapping[str, Json]], str]  # what is wrong with them; "" if nothing
    taken: Collection[str] = field(default_factory=tuple)  # names of rules of rewards.yaml


def parse_triggers(
    sheet: Sheet,
    canonical: Canonical,
    *,
    budgets: Mapping[str, Budget] | None = None,
    taken: Collection[str] = (),
    currency: str = "EUR",
    zone: tzinfo = UTC,
    connections: Collection[str] | None = None,
    check_slots: Callable[[Mapping[str, Json]], str] = lambda slots: "",
    version: int = 0,
) -> Triggers:
    """The rules of a triggers.yaml; faults are noted in the sheet.

    Args:
        budgets: those of rewards.yaml, which rewards of triggers are paid from.
        taken: names that rules of rewards.yaml have; both share one ledger.
        currency: the hub's; money in another is null to `when:`.
        zone: where days, months and schedules begin.
        connections: names of the connections that exist; None: not known here, not checked.
        check_slots: says what is wrong with a schedule.
    """
    sheet.closed(("language", "rules"), required=("language", "rules"))
    check_language(sheet)
    reading = _Reading(
        canonical=canonical, budgets=budgets or {}, currency=currency, connections=connections,
        check_slots=check_slots, taken=taken,
    )  # fmt: skip
    rules = {}
    for name, place in sheet.at("rules").entries():
        rule = _rule(place, name, reading)
        if rule is not None:
            rules[name] = rule
    return Triggers(rules=rules, zone=zone, version=version, digest=digest_of(sheet.document))


def _rule(place: Sheet, name: str, reading: _Reading) -> TriggerRule | None:
    known = len(place.faults)
    check_name(place, name)
    if name in reading.taken:
        place.fault(
            "TRG-007", f"rewards.yaml has a rule {name}, too", "give one of them another name: they share a ledger"
        )
    if not place.closed(RULE_KEYS, required=("text", "do", "active_from")):
        return None
    causes = [key for key in _CAUSE_KEYS if place.has(key)]
    if len(causes) != 1:
        place.fault("TRG-001", "a rule has one cause", f"say one of {', '.join(_CAUSE_KEYS)}")
        return None
    cause = _cause(place, _CAUSE_KEYS[causes[0]], reading)
    entity = reading.canonical.entities.get(str(cause.get("of", "")))
    if entity is None:
        return None
    who = _who(place, entity)
    subject = reading.canonical.entities[entity.fields[who].to if who else entity.name]
    do = _do(place.at("do"), subject, reading)
    quiet = _quiet_hours(place.at("quiet_hours")) if place.has("quiet_hours") else None
    per_person, in_all = _limits(place.at("limits")) if place.has("limits") else (None, None)
    approve = place.boolean("approve") or _is_over(place, do)
    when, active_from = _when(place, entity, reading), read_moment(place, "active_from", code="TRG-006")
    cool_down = read_span(place, "cool_down", code="TRG-006")
    effect = _effect(place, entity, do, reading)
    if len(place.faults) > known or do is None:
        return None
    return TriggerRule(
        name=name, text=place.text("text"), do=do, when=when, who=who, active_from=active_from, where=place.where,
        cool_down_s=cool_down, per_person=per_person, in_all=in_all, quiet_hours=quiet, approve=approve,
        **effect, **cause,
    )  # fmt: skip


# Causes


def _cause(place: Sheet, cause: str, reading: _Reading) -> dict[str, Json]:
    """Arguments of the rule; without `of` if the entity type is not known."""
    found = {EVENT: _on, CHANGE: _changed, CROSSING: _crosses, SILENCE: _silence, SCHEDULE: _every}[cause]
    return {"cause": cause, **found(place, reading)}


def _events(reading: _Reading) -> list[str]:
    return [f"{entity.name}.{each}" for entity in reading.canonical.entities.values() for each in entity.events]


def _on(place: Sheet, reading: _Reading) -> dict[str, Json]:
    event, names = place.text("on"), _events(reading)
    if event not in names:
        place.at("on").fault("TRG-002", f"no event {event} in canonical.yaml", nearest(event, names))
        return {}
    of = event.partition(".")[0]
    return {"of": of, "event": event, "repeated": _repeated(place, reading.canonical.entities[of])}


def _repeated(place: Sheet, entity: EntityType) -> Repeated | None:
    if not place.has("repeated"):
        return None
    inner = place.at("repeated")
    if not inner.closed(("times", "within", "same"), required=("times", "within")):
        return None
    same = inner.text("same")
    if same and same not in entity.fields:
        inner.at("same").fault("TRG-003", f"{entity.name} has no field {same}", nearest(same, entity.fields))
    within = read_span(inner, "within", code="TRG-006")
    if not within:
        inner.at("within").fault("TRG-006", "within is no span of time", "write it as 7d or 12h")
    return Repeated(count=inner.integer("times", 2, least=2) or 2, within_s=within, same=same)


def _field(inner: Sheet, reading: _Reading) -> tuple[EntityType, CanonicalField] | None:
    """The field that `field: contact.lifecycle_stage` names."""
    text = inner.text("field")
    kind, _, name = text.partition(".")
    entity = reading.canonical.entities.get(kind)
    if entity is None or name not in entity.fields:
        names = [f"{each.name}.{one}" for each in reading.canonical.entities.values() for one in each.fields]
        inner.at("field").fault("TRG-003", f"no field {text} in canonical.yaml", nearest(text, names))
        return None
    return entity, entity.fields[name]


def _changed(place: Sheet, reading: _Reading) -> dict[str, Json]:
    inner = place.at("changed")
    found = _field(inner, reading) if inner.closed(("field", "from", "to"), required=("field",)) else None
    if found is None:
        return {}
    entity, declared = found
    before, after = _values(inner, "from", declared), _values(inner, "to", declared)
    return {"of": entity.name, "field": declared.name, "before": before, "after": after}


def _values(inner: Sheet, key: str, declared: CanonicalField) -> tuple[Json, ...]:
    value = inner.at(key).value
    found = tuple(value) if isinstance(value, list) else () if value is None else (value,)
    for each in found:
        if declared.values and each not in declared.values:
            inner.at(key).fault(
                "TRG-003", f"{each} is no value of {declared.name}", nearest(str(each), declared.values)
            )
    return found


def _crosses(place: Sheet, reading: _Reading) -> dict[str, Json]:
    inner = place.at("crosses")
    found = _field(inner, reading) if inner.closed(("field", "over", "under"), required=("field",)) else None
    if found is None:
        return {}
    entity, declared = found
    if inner.has("over") == inner.has("under"):
        inner.fault("TRG-004", "a mark is crossed in one direction", "say over: or under:")
    if declared.type not in ("integer", "decimal", "money"):
        inner.at("field").fault(
            "TRG-004", f"{declared.name} is no number", "name a field of type integer, decimal or money"
        )
    mark = Mark(
        kind=declared.type, currency=reading.currency, over=_number(inner, "over"), under=_number(inner, "under")
    )
    return {"of": entity.name, "field": declared.name, "mark": mark}


def _number(inner: Sheet, key: str) -> Decimal | None:
    value = inner.at(key).value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        inner.at(key).fault("TRG-004", f"{key} is no number", "write it as 1000")
        return None
    return Decimal(str(value))


def _silence(place: Sheet, reading: _Reading) -> dict[str, Json]:
    """`quiet_for: {events: [order.paid], of: contact, for: 60d}`: of a person who did something once."""
    inner = place.at("quiet_for")
    if not inner.closed(("events", "of", "for"), required=("events", "for")):
        return {}
    names, events = _events(reading), inner.texts("events")
    for each in events:
        if each not in names:
            inner.at("events").fault("TRG-002", f"no event {each} in canonical.yaml", nearest(each, names))
    of, span = inner.choice("of", PEOPLE, "contact"), read_span(inner, "for", code="TRG-006")
    if not span:
        inner.at("for").fault("TRG-006", "for is no span of time", "write it as 60d")
    return {"of": of, "silent_events": events, "silent_s": span}


def _every(place: Sheet, reading: _Reading) -> dict[str, Json]:
    """`every: {of: contact, day_of_week: mon, hour: 9}`: for each that `when:` holds for."""
    inner = place.at("every")
    if not inner.closed(("of", *SLOT_KEYS), required=("of",)):
        return {}
    of = inner.text("of")
    if of not in reading.canonical.entities:
        fix = nearest(of, reading.canonical.entities)
        inner.at("of").fault("TRG-003", f"no entity type {of} in canonical.yaml", fix)
        return {}
    slots = {key: inner.at(key).value for key in SLOT_KEYS if inner.has(key)}
    wrong = reading.check_slots(slots) if slots else "no moment is named"
    if wrong:
        inner.fault("TRG-005", f"that is no schedule: {wrong}", "such as {day_of_week: mon, hour: 9}")
    return {"of": of, "slots": slots}


# Condition, subject


def _when(place: Sheet, entity: EntityType, reading: _Reading) -> RuleCondition | None:
    text = place.text("when")
    if not text:
        return None
    entities = reading.canonical.entities
    parents = {
        each.name: entities[each.to]
        for each in entity.fields.values()
        if each.kind == "ref" and each.to in entities and each.name != entity.name
    }
    through = {name: entity_names(kind, prefix=f"{name}.") for name, kind in parents.items()}
    names = [*entity_names(entity, prefix=f"{entity.name}."), *(each for some in through.values() for each in some)]
    try:
        expression = compile_expression(text, names)
    except MappingFault as fault:
        place.at("when").fault(fault.code, fault.message, fault.fix)
        return None
    used = {name: kind for name, kind in parents.items() if expression.uses & through[name].keys()}
    return RuleCondition(expression=expression, entity=entity, parents=used, currency=reading.currency)


def _who(place: Sheet, entity: EntityType) -> str:
    """The reference that names the subject; "" if the cause's own entity is meant, which is said by leaving it out."""
    who = place.text("who")
    if who in ("", entity.name):
        return ""
    declared = entity.fields.get(who)
    if declared is not None and declared.kind == "ref":
        return who
    able = [each.name for each in entity.fields.values() if each.kind == "ref"]
    place.at("who").fault("TRG-003", f"{who} is nobody that {entity.name} names", nearest(who, [*able, entity.name]))
    return ""


# What is done


def _do(place: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    if not place.closed(ACTIONS):
        return None
    said = [each for each in ACTIONS if place.has(each)]
    if len(said) != 1:
        place.fault("TRG-001", "a rule does one thing", f"say one of {', '.join(ACTIONS)}")
        return None
    inner = place.at(said[0])
    return {REWARD: _reward, NOTICE: _notice, FIELD: _set, TASK: _task, WEBHOOK: _webhook}[said[0]](
        inner, subject, reading
    )


def _check_receiver(inner: Sheet, subject: EntityType) -> None:
    if subject.name not in PEOPLE:
        inner.fault("TRG-008", f"a {subject.name} can receive nothing", "name a contact or an owner with who:")


def _check_connection(inner: Sheet, reading: _Reading) -> str:
    name = inner.text("connection")
    if reading.connections is not None and name and name not in reading.connections:
        inner.at("connection").fault("TRG-009", f"no connection {name}", nearest(name, reading.connections))
    return name


def _reward(inner: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    keys = ("connection", "product", "amount", "budget")
    if not inner.closed(keys, required=keys):
        return None
    _check_receiver(inner, subject)
    connection, amount, name = _check_connection(inner, reading), read_amount(inner, "amount"), inner.text("budget")
    budget = reading.budgets.get(name)
    if budget is None:
        fix = nearest(name, reading.budgets, "declare it in rewards.yaml")
        inner.at("budget").fault("TRG-010", f"no budget {name} in rewards.yaml", fix)
    elif amount is not None and (budget.amount.currency != amount.currency or budget.amount.minor < amount.minor):
        inner.at("budget").fault("TRG-010", f"{name} cannot pay {amount}", "use its currency, and raise the budget")
    if amount is None:
        return None
    give = Give(connection=connection, product=inner.text("product"), amount=amount)
    return Do(action=REWARD, give=give, budget=name)


def _notice(inner: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    """`{team: text}`, or `{connection: mail, template: name}` to the subject."""
    if not inner.closed(("team", "connection", "template")):
        return None
    if inner.has("team"):
        return Do(action=NOTICE, text=inner.text("team"))
    if not inner.has("connection") or not inner.has("template"):
        inner.fault("TRG-011", "a notice goes to somebody", "say team: and a text, or connection: and template:")
        return None
    _check_receiver(inner, subject)
    nothing = Amount(minor=0, currency=reading.currency)
    give = Give(connection=_check_connection(inner, reading), product=inner.text("template"), amount=nothing)
    return Do(action=NOTICE, give=give)


def _set(inner: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    """Only fields that no system speaks for: so no claim is overruled, and no ruling overwritten."""
    for name, at in inner.entries():
        declared = subject.fields.get(name)
        if declared is None:
            at.fault("TRG-003", f"{subject.name} has no field {name}", nearest(name, subject.fields))
        elif declared.derived != SET_BY_TRIGGER:
            fix = f"declare a field of its own with `derived: {SET_BY_TRIGGER}` in canonical.yaml"
            at.fault("TRG-012", f"systems speak for {name}; a trigger does not overrule them", fix)
        elif declared.values and at.value not in declared.values:
            at.fault("TRG-003", f"{at.value} is no value of {name}", nearest(str(at.value), declared.values))
    value = inner.value
    return Do(action=FIELD, values=dict(value)) if isinstance(value, Mapping) else None


def _task(inner: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    if not inner.closed(TASK_KEYS, required=("subject",)):
        return None
    declared = reading.canonical.entities.get(TASK_TYPE)
    if declared is None:
        inner.fault("TRG-013", "canonical.yaml has no entity type task", "take it from the shipped canonical.yaml")
        return None
    owner = inner.text("owner")
    reference = subject.fields.get(owner)
    if owner and (reference is None or reference.to != "owner"):
        able = [each.name for each in subject.fields.values() if each.to == "owner"]
        inner.at("owner").fault("TRG-003", f"{owner} is no owner that {subject.name} names", nearest(owner, able))
    priority = inner.text("priority")
    known = declared.fields["priority"].values if "priority" in declared.fields else ()
    if priority and priority not in known:
        inner.at("priority").fault("TRG-003", f"{priority} is no priority", nearest(priority, known))
    texts = {key: inner.text(key) for key in ("subject", "description", "priority") if inner.has(key)}
    return Do(action=TASK, values=texts, due_s=read_span(inner, "due", code="TRG-006"), owner=owner)


def _webhook(inner: Sheet, subject: EntityType, reading: _Reading) -> Do | None:
    if not inner.closed(("url", "secret", "local"), required=("url", "secret")):
        return None
    url, secret = inner.text("url"), inner.text("secret")
    if not ENV_OR_URL.fullmatch(url):
        inner.at("url").fault("TRG-014", "that is no address", "write it as https://hooks.example.com/path")
    if not re.fullmatch(r"(secret|env):[A-Za-z0-9._-]{1,80}", secret):
        fix = "hub secret set NAME, and write secret:NAME here"
        inner.at("secret").fault("TRG-014", "a secret never stands in a file", fix)
    return Do(action=WEBHOOK, url=url, secret=secret, local=inner.boolean("local"))


# What is taken back and measured of rewards, as rules of rewards.yaml have it


def _effect(place: Sheet, entity: EntityType, do: Do | None, reading: _Reading) -> dict[str, Json]:
    """Arguments of the rule: reverse_on, hold_out, measured_by."""
    said = [key for key in ("reverse_on", "hold_out", "measure") if place.has(key)]
    if said and do is not None and do.action != REWARD:
        place.at(said[0]).fault("TRG-015", f"{said[0]} belongs to rewards", "leave it out")
    events, names = place.texts("reverse_on"), [f"{entity.name}.{each}" for each in entity.events]
    if events and not place.has("on"):
        place.at("reverse_on").fault("TRG-015", "what an event brought about can be taken back", "say on: as its cause")
    for event in events:
        if event not in names:
            fix = nearest(event, names, "name an event of the same")
            place.at("reverse_on").fault("TRG-015", f"{event} happens to no {entity.name}", fix)
    if place.has("hold_out") and not place.has("on") and not place.has("measure"):
        place.at("hold_out").fault("TRG-015", "what its effect is measured by is not said", "say measure: {on: …}")
    measured_by = read_measure(place.at("measure"), reading.canonical)
    return {"reverse_on": events, "hold_out": read_hold_out(place), "measured_by": measured_by}


# Limits and times


def _limits(place: Sheet) -> tuple[PerPerson | None, PerPerson | None]:
    if not place.closed(("per_person", "in_all")):
        return None, None
    found: list[PerPerson | None] = []
    for key in ("per_person", "in_all"):
        inner = place.at(key)
        if not place.has(key) or not inner.closed(("count", "per"), required=("count", "per")):
            found.append(None)
            continue
        count = inner.integer("count", 1, least=1) or 1
        found.append(PerPerson(count=count, per=inner.choice("per", PERIODS, "month")))
    return found[0], found[1]


def _quiet_hours(place: Sheet) -> QuietHours | None:
    if not place.closed(("from", "to", "zone"), required=("from", "to")):
        return None
    begins, ends = _clock(place, "from"), _clock(place, "to")
    of_person = place.choice("zone", ("hub", "person"), "hub") == "person"
    return QuietHours(begins=begins, ends=ends, of_person=of_person)


def _clock(place: Sheet, key: str) -> time:
    found = _CLOCK.fullmatch(place.text(key))
    if found is None:
        place.at(key).fault("TRG-006", f"{key} is no time of day", 'write it as "21:00"')
        return time()
    return time(int(found[1]), int(found[2]))


def _is_over(place: Sheet, do: Do | None) -> bool:
    """A reward above `approve_over` waits for a person."""
    if not place.has("approve_over"):
        return False
    bound = read_amount(place, "approve_over")
    amount = do.give.amount if do is not None and do.action == REWARD and do.give is not None else None
    if do is not None and amount is None:
        place.at("approve_over").fault("TRG-010", "only rewards have an amount", "say approve: true")
    elif bound is not None and amount is not None and bound.currency != amount.currency:
        place.at("approve_over").fault("TRG-010", f"not in {amount.currency}, as the reward is", "use one currency")
    return bound is not None and amount is not None and amount.minor > bound.minor
